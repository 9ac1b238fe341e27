"""Tables of closed-loop programming: what set and reset pulses did, row by row, as statistics.

The format is that of the AGH measurements (Energies 2024, 17(21), 5400): a row a pulse, with the
resistance that was read after it. A row with a negative amplitude is the reset that begins a cycle. These
files hold no waveforms, so nothing is fitted to them: their figures are what a fitted device is
compared with.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labctl.errors import BadData
from labctl.estimates import Interval, bootstrap, spread, wilson
from labctl.fit.delimited import MOST_BAD, read_text

HEADER_BYTES = 4096
"""Of a file, in which its header is looked for."""
_WANTED = ("no. pulses", "r", "succes", "dt_ronr", "amp_ronr")


@dataclass(frozen=True, slots=True)
class Programming:
    """What one kind of set pulse did."""

    name: str
    volts: float
    """[V] of the set pulses."""
    seconds: float
    """[s]"""
    cycles: int
    first_pulse: Interval
    """Part of the cycles that the first set pulse brought over the limit (Wilson's interval)."""
    pulses: Interval
    """Mean set pulses of the cycles that succeeded."""
    median_ohms: Interval
    """[ohm] median of the last resistance of each cycle."""
    spread: Interval
    """Standard deviation of ln R of the same."""
    reset_ohms: float
    """[ohm] median after the reset pulses, of those that the instrument could resolve."""
    remarks: tuple[str, ...] = ()


def is_programming(path: Path) -> bool:
    """Whether a file is such a table; `BadData` where it cannot be read at all."""
    first = read_text(path, HEADER_BYTES).partition("\n")[0].lower()
    return "no. pulses" in first and "amp" in first


def read(path: Path) -> Programming:
    """The statistics of a table. Raises `BadData` where it has no cycle to count."""
    rows, bad = _rows(path)
    cycles = _cycles(rows)
    if len(cycles) < 2:
        raise BadData(f"{path} has {len(cycles)} cycles of reset and set", allowed="two or more")
    first = np.array([cycle[1][2] for cycle in cycles])
    counts = np.array([len(cycle) - 1 for cycle in cycles if cycle[-1][2]], dtype=np.float64)
    last = np.array([cycle[-1][1] for cycle in cycles if cycle[-1][1] > 0]) * 1e3
    resets = np.array([cycle[0][1] for cycle in cycles if 0 < cycle[0][1] < 1e5]) * 1e3
    volts, seconds = cycles[0][1][4], cycles[0][1][3]
    remarks = (f"{len(bad)} rows dropped ({', '.join(bad[:3])})",) if bad else ()
    return Programming(
        path.stem,
        volts,
        seconds,
        len(cycles),
        wilson(int(first.sum()), len(first)),
        bootstrap(counts, np.mean),
        bootstrap(last, np.median),
        bootstrap(np.log(last), spread),
        float(np.median(resets)) if len(resets) else math.nan,
        remarks,
    )


_Row = tuple[int, float, bool, float, float]
"""Number of the pulse, kohm, success, [s], [V]."""


def _rows(path: Path) -> tuple[list[_Row], list[str]]:
    lines = [line for line in csv.reader(read_text(path).splitlines()) if line]
    if not lines:
        raise BadData(f"{path} is empty", allowed="a programming table")
    names = [cell.strip().lower().replace("dt_ron", "dt_ronr", 1) for cell in lines[0]]
    names = [name.replace("dt_ronrr", "dt_ronr") for name in names]
    missing = [name for name in _WANTED if name not in names]
    if missing:
        raise BadData(f"{path} is no programming table: no column {', '.join(missing)}")
    places = [names.index(name) for name in _WANTED]
    good, bad = list[_Row](), list[str]()
    for number, cells in enumerate(lines[1:], 2):
        row = _row(cells, places)
        if row is None:
            bad.append(f"line {number}")
        else:
            good.append(row)
    if len(bad) > max(MOST_BAD * len(lines), 1.0):
        raise BadData(f"{path}: {len(bad)} of {len(lines) - 1} rows cannot be read: {', '.join(bad[:3])}")
    return good, bad


def _row(cells: Sequence[str], places: Sequence[int]) -> _Row | None:
    try:
        pulse, ohms, success, seconds, volts = (cells[place].strip() for place in places)
        row = int(float(pulse)), float(ohms), success.lower() == "true", float(seconds), float(volts)
    except (IndexError, ValueError):
        return None
    return row if all(map(math.isfinite, row)) else None


def _cycles(rows: Sequence[_Row]) -> list[list[_Row]]:
    """A reset and the set pulses behind it, each."""
    cycles = list[list[_Row]]()
    for row in rows:
        if row[4] < 0:
            cycles.append([row])
        elif cycles:
            cycles[-1].append(row)
    return [cycle for cycle in cycles if len(cycle) > 1]
