"""Text of rows and columns as instruments, spreadsheets and people write it, read to numbers.

Forgiven, because they are everywhere: a byte-order mark, comments (# or %), a header, a unit row,
tabs, semicolons or commas between columns, decimal commas where something else parts the columns,
blank lines, gzip. Not forgiven: guessing. A row that is no row of numbers is dropped, counted and
named with its line; more than `MOST_BAD` of them and the file is refused, and a text that can be read
in two ways is refused with both of them.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labctl.errors import BadData
from labctl.pulse import Floats
from labctl.quantity import quoted

MOST_BAD = 0.02
"""Part of the rows that may be unreadable."""
MOST_BYTES = 2**26
"""Longest text that is read: 64 MiB, two million rows of three columns."""
_TABLE = "a table of numbers: time, voltage, current; with or without a header"
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_NOT_A_NUMBER = {"nan", "inf", "-inf", "+inf", "infinity", "-infinity", "∞", "na", "n/a", "", "--", "null"}


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """The rows of a file that could be read."""

    path: Path
    headers: tuple[str, ...]
    """Of the columns, as they stand in the file; empty: it had none."""
    values: Floats
    """shape (rows, columns)."""
    places: Floats
    """shape (rows,): of each among all rows, those that were dropped too."""
    bad: tuple[str, ...] = ()
    """What was dropped: `line 7: "nan"`."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What there is to say about dropped rows."""
        if not self.bad:
            return ()
        shown = ", ".join(self.bad[:3]) + (", …" if len(self.bad) > 3 else "")
        rows = f"{len(self.bad)} row{'s' * (len(self.bad) != 1)} of {len(self.bad) + len(self.values)}"
        return (f"{rows} dropped ({shown})",)


def read_text(path: Path, beginning: int | None = None) -> str:
    """The text of a file, or its `beginning` [bytes], gunzipped if need be.

    Raises `BadData` for what is not there, is too long, or is no text.
    """
    most = MOST_BYTES + 1 if beginning is None else beginning
    try:
        if not path.is_file():
            raise BadData(f"{path} is no file", allowed="CSV or TSV, plain or gzip; a run folder")
        with path.open("rb") as file:
            raw = file.read(most)
        if raw[:2] == b"\x1f\x8b":
            with gzip.open(path) as file:
                raw = file.read(most)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadData(f"{path}: the gzip file is damaged or ends too early", todo="copy it again") from error
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror or error}") from error
    if len(raw) > MOST_BYTES:
        raise BadData(
            f"{path} is longer than {MOST_BYTES >> 20} MiB",
            allowed="a few cycles of each drive: a thousand samples each are enough",
            todo="cut it, or keep every tenth row",
        )
    return _decoded(path, raw)


def read_numbers(path: Path) -> Numbers:
    """Rows and columns of a file. Raises `BadData` where there are none, or too many bad ones."""
    lines = _lines(read_text(path))
    if not lines:
        raise BadData(f"{path} is empty", allowed=_TABLE, todo="record or export it again")
    separator, comma = _punctuation(path, [text for _, text in lines])
    rows = [(number, _cells(text, separator)) for number, text in lines]
    first = next((k for k, (_, cells) in enumerate(rows) if _is_data(cells, comma)), None)
    if first is None:
        raise BadData(
            f"{path} has no row of numbers; it begins {quoted(lines[0][1])}",
            allowed=_TABLE,
            todo="look whether it is the right file, and export it again as text",
        )
    width = len(rows[first][1])
    headers = _headers(rows[:first], width)
    good, places, bad = _parsed(rows[first:], width, comma)
    if len(bad) > max(MOST_BAD * (len(good) + len(bad)), 1.0):
        raise BadData(
            f"{path}: {len(bad)} of {len(good) + len(bad)} rows cannot be read: {', '.join(bad[:3])}",
            allowed=f"at most {MOST_BAD * 100:g} % of the rows",
            todo="mend the file, or cut the part that is damaged",
        )
    return Numbers(path, headers, np.array(good), np.array(places, dtype=np.float64), tuple(bad))


# ---- rows -------------------------------------------------------------------------------------


def _decoded(path: Path, raw: bytes) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in raw[:4096]:
        raise BadData(f"{path} is no text", allowed="CSV or TSV, plain or gzip; a run folder")
    else:
        encoding = "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return raw.decode("latin-1")  # a degree or micro sign of an old instrument: the digits are the same


def _lines(text: str) -> list[tuple[int, str]]:
    """Lines that are not blank and no comment, with their numbers; a commented header is a header."""
    kept: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line[:1] in ("#", "%"):
            continue
        if line:
            kept.append((number, line))
    return kept


def _punctuation(path: Path, lines: list[str]) -> tuple[str, bool]:
    """What parts the columns, and whether decimals follow a comma."""
    body = lines[len(lines) // 2 :]
    for separator in ("\t", ";"):
        if sum(separator in line for line in body) > 0.5 * len(body):
            cells = [cell for line in body for cell in _cells(line, separator)]
            return separator, sum("," in cell for cell in cells) > 0 and not any("." in c for c in cells)
    if sum("," in line for line in body) <= 0.5 * len(body):
        return "", False  # any white space
    if sum(bool(re.search(r"[0-9]\s+[+-]?[0-9]", line)) for line in body) > 0.5 * len(body):
        return "", True  # "0,5 1,2e-6": white space parts, commas are decimal
    counts = {line.count(",") for line in body}
    if not any("." in line for line in body) and counts and min(counts) >= 3:
        raise BadData(
            f"{path}: commas part the columns and the decimals: {quoted(body[0])} can be read in two ways",
            todo="write it again with semicolons between columns, or with points before decimals",
        )
    return ",", False


def _cells(line: str, separator: str) -> list[str]:
    cells = line.split(separator) if separator else line.split()
    cells = [cell.strip().strip('"').strip() for cell in cells]
    while len(cells) > 1 and cells[-1] == "":
        cells.pop()
    return cells


def _value(cell: str, comma: bool) -> float | None:
    """The number that a cell is; NaN for one that says that it is none; None for a text."""
    if comma:
        cell = cell.replace(",", ".", 1)
    if _NUMBER.fullmatch(cell):
        return float(cell)
    return math.nan if cell.lower() in _NOT_A_NUMBER else None


def _is_data(cells: list[str], comma: bool) -> bool:
    values = [_value(cell, comma) for cell in cells]
    return len(values) > 1 and sum(value is not None and math.isfinite(value) for value in values) >= 2


def _headers(rows: list[tuple[int, list[str]]], width: int) -> tuple[str, ...]:
    """The last rows above the numbers that have as many columns: names, with a row of units under them."""
    fitting = [cells for _, cells in rows if len(cells) == width]
    if not fitting:
        return ()
    if len(fitting) > 1 and all(len(cell.strip("[]()")) <= 3 for cell in fitting[-1]):
        return tuple(f"{a} [{b.strip('[]()')}]" for a, b in zip(fitting[-2], fitting[-1], strict=True))
    return tuple(fitting[-1])


def _parsed(
    rows: list[tuple[int, list[str]]], width: int, comma: bool
) -> tuple[list[list[float]], list[int], list[str]]:
    good, places, bad = list[list[float]](), list[int](), list[str]()
    for place, (number, cells) in enumerate(rows):
        values = [_value(cell, comma) for cell in cells]
        numbers = [value for value in values if value is not None and math.isfinite(value)]
        if len(numbers) == len(cells) == width:
            good.append(numbers)
            places.append(place)
        else:
            bad.append(f"line {number}: {_wrong(cells, values, width)}")
    return good, places, bad


def _wrong(cells: list[str], values: list[float | None], width: int) -> str:
    for cell, value in zip(cells, values, strict=True):
        if value is None or not math.isfinite(value):
            return quoted(cell, 20)
    return f"{len(cells)} columns for {width}"
