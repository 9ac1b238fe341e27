"""Runs of every longer procedure, stopped in the middle and resumed, on a twin without noise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labctl.bench import Bench
from labctl.characterization_record import Characterization, parts_of
from labctl.characterization_run import begin, resume
from labctl.characterize import protocol_of
from labctl.characterize.procedure import Row
from labctl.errors import Stopped
from labctl.journal import Journal

BENCH = """
class = "sim_backend.compact:CompactBoard"
kind = "sim"
[board]
layout = "selector"
columns = 1
memory = "{run}/chip.state"
limits.energy = "1 J"
"""
LONG: dict[str, dict[str, Any]] = {
    "write_verify": {"cycles": 2, "targets": ["60 uS", "150 uS"]},
    "programming": {"cycles": 6},
    "endurance": {"cycles": 200, "most_at_once": 20},
    "retention": {"last": "10 s"},
    "noise": {"reads": 1024},
}


def quiet(*_: Any) -> Callable[..., None]:
    return lambda *_: None


def characterization(tmp_path: Path, name: str) -> Characterization:
    file = tmp_path / "bench.toml"
    file.write_text(BENCH)
    return Characterization(protocol_of(name, LONG[name], "test"), (0,), Bench.read(file))


def rows_of(base: Path, run: str, name: str) -> list[Row]:
    with Journal.open(base, run) as journal:
        return parts_of(journal)[name, 0].rows


def tables_agree(one: list[Row], other: list[Row]) -> bool:
    """Number by number, all digits; as text, because a NaN is no NaN."""
    return [str(row) for row in one] == [str(row) for row in other]


@pytest.mark.parametrize("lists", [2, 3])
@pytest.mark.parametrize("name", LONG)
def test_a_run_that_was_stopped_goes_on_to_the_rows_of_one_that_was_not(
    name: str, lists: int, tmp_path: Path
) -> None:
    what, asked = characterization(tmp_path, name), iter(range(100))
    begin(what, tmp_path, "whole", quiet)
    with pytest.raises(Stopped):
        begin(what, tmp_path, "cut", quiet, stop=lambda: next(asked) >= lists)
    finished = resume(tmp_path, "cut", quiet)
    whole, cut = (rows_of(tmp_path, run, name) for run in ("whole", "cut"))
    assert len(cut) == len(whole)
    assert finished.figures[name, 0]["ended"] == "done"
    if name == "write_verify":  # a programming that was cut begins anew, from where it was
        told = ("cycle", "target", "ending")
        assert [[row[key] for key in told] for row in cut] == [[row[key] for key in told] for row in whole]
    elif name == "retention":  # a wait that was cut is waited again
        for key in ("seconds", "siemens"):
            assert [row[key] for row in cut] == pytest.approx([row[key] for row in whole], rel=1e-6)
    else:
        assert tables_agree(cut, whole)
