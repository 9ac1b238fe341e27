"""The page of faults says where each is tried, and there it is."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/reference/faults.md"
LAST = 45


def rows() -> dict[int, list[str]]:
    """By number: what goes wrong, what labctl does, where it is tried."""
    lines = re.findall(r"^\| ([0-9]+) \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {int(number): [cell.strip() for cell in rest.split("|")] for number, rest in lines}


def numbers(file: Path) -> set[int]:
    """The faults that are in the names of this file's tests: `01`, `22_and_27`, `1_to_8`."""
    found = set[int]()
    names = re.findall(r"def test_fault_([0-9]+)(?:_(and|to)_([0-9]+))?_", file.read_text(encoding="utf-8"))
    for first, how, last in names:
        found |= {
            "to": set(range(int(first), int(last or first) + 1)),
            "and": {int(first), int(last or first)},
        }.get(how, {int(first)})
    return found


def test_every_fault_is_on_the_page_once() -> None:
    told = re.findall(r"^\| ([0-9]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert list(map(int, told)) == list(range(1, LAST + 1))


@pytest.mark.parametrize("number", range(1, LAST + 1))
def test_a_fault_is_tried_where_the_page_says(number: int) -> None:
    wrong, done, where = rows()[number]
    assert wrong
    assert done
    files = re.findall(r"`(test_[a-z0-9_]+\.py)`", where)
    assert files
    for file in files:
        assert number in numbers(HERE / file), file
