"""What an OpenMENA board does for a pulse: looks, trains and rests; what it cannot do is refused.

A *look* holds all rows and all columns at once, for 0.9 s and no other time. A *train* closes the switches
of one row and one column, with the other rows open and the other columns at virtual ground. So a pulse
that reads is as many looks as fit, and one that programs is one train for each level of it.

A programming pulse that drives one row and one column, all else open, has no ground to stand on: only the
difference counts. It is made as half on the row and half on the column, against virtual ground, so that the
neighbours on the row, whose columns nothing here can open, see half of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from drivers.levels import Level, levels
from drivers.openmena_parts.firmware import LINES, LOOK_SECONDS, MOST_TRAIN_SECONDS, Codes
from labctl.errors import Refused
from labctl.pulse import Floats, Pulse, Purpose

EDGE_SECONDS = 1e-3
"""[s] Longest edge that passes for a step: a thousandth of a look."""
SHORTEST_SECONDS = 25e-6
"""[s] Whole microseconds are within 2 % of any time from here on."""
ROUNDING = 0.02
"""[1] by which the length of a level may differ from what is made."""
_SLACK = 3 * EDGE_SECONDS
"""[s] An edge at each end, and rounding."""
_MOST_TRAINS = 10_000


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is driven for a time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Looks:
    """All rows at these codes, columns at virtual ground, so many times."""

    seconds: float
    codes: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Train:
    """One site, `micro` [us] on and as long off, so many times."""

    row: int
    column: int
    codes: tuple[int, int]
    micro: int
    count: int
    driven: tuple[float, float]
    """[V] of row and column as the trace gives them."""

    @property
    def seconds(self) -> float:
        """[s] that its pulses are on."""
        return 1e-6 * self.micro * self.count


Step: TypeAlias = Rest | Looks | Train


def steps(pulse: Pulse, codes: Codes) -> list[Step]:
    """All that the pulse asks for, repeats included. Raises `Refused` for what the board cannot do."""
    try:
        if not pulse.driven.any():
            return [Rest(pulse.duration)]
        if pulse.purpose in (Purpose.READ, Purpose.INFER):
            return [_look(level, pulse, codes) for level in levels(pulse)] * pulse.repeats
        return _trains(pulse, codes)
    except Refused as error:
        raise Refused(
            f"OpenMENA cannot make a pulse ({pulse.purpose}): {error.wrong}",
            allowed=error.allowed,
            todo="nothing of the list was driven: docs/how-to/connect-a-bench.md says what this board makes",
        ) from None


def held(pulse: Pulse, codes: Codes) -> Pulse:
    """The same pulse with all that the board holds meanwhile, which its neighbours' currents depend on."""
    if not pulse.driven.any():
        return pulse
    everything = np.ones(2 * LINES, dtype=np.bool_)
    volts = np.where(pulse.driven, pulse.volts, 0.0)
    if pulse.purpose in (Purpose.READ, Purpose.INFER):
        return replace(pulse, volts=volts, driven=everything)
    row, column = _site(pulse)
    if _alone(pulse):
        across = volts[:, row] - volts[:, LINES + column]
        volts[:, LINES + column] = np.maximum(-across / 2, codes.column_volts(0))
        volts[:, row] = across + volts[:, LINES + column]
    everything[:LINES] = np.arange(LINES) == row
    return replace(pulse, volts=volts, driven=everything)


def _look(level: Level, pulse: Pulse, codes: Codes) -> Step:
    rows, columns = level.volts[:LINES], level.volts[LINES:]
    if columns.any():
        raise Refused("a voltage on a column while currents are read", allowed="0 V: virtual ground")
    if level.seconds <= EDGE_SECONDS and not rows.any():
        return Rest(level.seconds)
    count = round(level.seconds / LOOK_SECONDS)
    if count < 1 or not abs(level.seconds - count * LOOK_SECONDS) <= _SLACK:
        raise Refused(
            f"a level of {level.seconds:.6g} s to read",
            allowed=f"{LOOK_SECONDS:g} s, or as often as wanted: the firmware averages for so long",
        )
    return Looks(level.seconds, tuple(codes.row(float(volts)) for volts in rows), count)


def _trains(pulse: Pulse, codes: Codes) -> list[Step]:
    row, column = _site(pulse)
    made = [_train(level, row, column, _alone(pulse), codes) for level in levels(pulse)]
    trains = [step for step in made if isinstance(step, Train)]
    if len(trains) == 1:
        return [step for step in made for step in _repeated(step, pulse.repeats)]
    if len(made) * pulse.repeats > _MOST_TRAINS:
        raise Refused(f"{len(made)} levels, {pulse.repeats} times", allowed=f"{_MOST_TRAINS} trains at most")
    return made * pulse.repeats


def _alone(pulse: Pulse) -> bool:
    """Whether one row and one column are driven, so that only their difference counts."""
    return int(pulse.driven.sum()) == 2


def _site(pulse: Pulse) -> tuple[int, int]:
    """Row and column of the one site that the pulse programs."""
    rows = np.flatnonzero(pulse.driven[:LINES])
    columns = np.flatnonzero(pulse.driven[LINES:])
    if len(columns) == LINES:
        columns = np.flatnonzero(pulse.volts[:, LINES:].any(axis=0))
    if not (len(rows) == 1 and len(columns) == 1):
        raise Refused(
            "it drives more than one site",
            allowed="one row, with one column (all else open), or with all columns and a voltage on one",
        )
    return int(rows[0]), int(columns[0])


def _train(level: Level, row: int, column: int, alone: bool, codes: Codes) -> Step:
    above, below = float(level.volts[row]), float(level.volts[LINES + column])
    if above == below == 0.0:
        return Rest(level.seconds)
    micro = round(1e6 * level.seconds)
    if not abs(1e6 * level.seconds - micro) <= ROUNDING * micro:
        raise Refused(f"a level of {level.seconds:.6g} s", allowed="whole microseconds, within 2 %")
    if not level.seconds <= MOST_TRAIN_SECONDS:
        raise Refused(f"a level of {level.seconds:.6g} s", allowed=f"{MOST_TRAIN_SECONDS:g} s at most")
    if not alone:
        pair = codes.row(above), codes.column(below)
        return Train(row, column, pair, micro, 1, (codes.row_volts(pair[0]), codes.column_volts(pair[1])))
    pair = _halves(above - below, codes)
    made = codes.row_volts(pair[0]) - codes.column_volts(pair[1])
    return Train(row, column, pair, micro, 1, (below + made, below))


def _halves(volts: float, codes: Codes) -> tuple[int, int]:
    """Codes of row and column with this difference: half each, more on the row where the column ends."""
    lowest = codes.column_volts(0)
    column = codes.column(max(-volts / 2, lowest))
    return codes.row(volts + codes.column_volts(column)), column


def _repeated(step: Step, repeats: int) -> list[Step]:
    """The same so often, in as few trains as may be: none longer than what nothing can stop."""
    if isinstance(step, Rest):
        return [Rest(step.seconds * repeats)]
    if isinstance(step, Looks):
        return [step] * repeats
    most = max(1, int(MOST_TRAIN_SECONDS / (2e-6 * step.micro)))
    full, left = divmod(repeats, most)
    counts = [most] * full + [left] * (left > 0)
    return [Train(step.row, step.column, step.codes, step.micro, count, step.driven) for count in counts]


def volts_of(step: Looks, codes: Codes) -> Floats:
    """[V], shape (rows,), that these codes really are."""
    return np.array([codes.row_volts(code) for code in step.codes])
