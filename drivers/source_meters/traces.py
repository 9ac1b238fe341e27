"""Readings of a source-measure unit back into traces: pure.

One row is driven and measured. A column that is at 0 V alone takes what the row gives; several share it in a
way that nobody measured, so that such a trace is booked as estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from drivers.source_meters.runs import Run
from drivers.source_meters.source_meter import Reach, Readings
from labctl.errors import BoardFault
from labctl.pulse import Flag, Floats, Trace
from labctl.quantity import format_quantity

BELIEVED = 1e-3
"""[1] by which steps may differ from what they should be before it is taken into account."""
WRONG = 0.2
"""[1] by which they may differ before it is a fault."""
LOST = Flag.OVER_RANGE | Flag.SATURATED
"""What leaves no number: the energy is at least what is booked."""


class Piece(NamedTuple):
    """A part of a trace."""

    seconds: Floats
    volts: Floats
    amps: Floats
    flags: Flag


@dataclass(slots=True)
class Assembler:
    """Puts traces together, run after run: a pulse may be longer than one."""

    lines: int
    reach: Reach
    link_seconds: float
    """[s] of one run on the way to the instrument and back."""
    _pieces: list[Piece] = field(default_factory=list[Piece])
    _settle: float = 0.0
    _link: float = 0.0
    _wrong: BoardFault | None = None

    def begin(self, settle_seconds: float) -> None:
        """A run begins, after so long a wait for switches."""
        self._settle += settle_seconds
        self._link += self.link_seconds

    def traces(self, run: Run, readings: Readings) -> list[Trace]:
        """Of the pulses that are complete with these readings, which may be fewer than the run's."""
        count = len(readings.amps)
        volts = np.zeros((count, self.lines))
        amps = np.zeros((count, self.lines))
        if columns := run.key.columns:
            volts[:, 0] = readings.volts
            amps[:, 0] = readings.amps
            share = readings.amps / -len(columns)
            for column in columns:
                amps[:, 1 + column] = share
        weights = np.array(run.weights[:count]) * self._stretch(run, readings)
        flags = readings.flags if readings.flags.any() else None
        found, start, estimated = list[Trace](), 0, len(columns) > 1
        for unit in run.units:
            stop = start + len(unit.volts)
            if stop > count:
                break
            arrays = weights[start:stop], volts[start:stop], amps[start:stop]
            self._settle += unit.spare
            if unit.last and flags is None and not self._pieces:
                found.append(Trace(*arrays, Flag.NONE, estimated, self._settle, self._link))
                self._settle = self._link = 0.0
            else:
                flag = 0 if flags is None else int(np.bitwise_or.reduce(flags[start:stop]))
                self._pieces.append(Piece(*arrays, Flag(flag)))
                if unit.last:
                    found.append(self._complete(estimated=estimated))
            start = stop
        return found

    def _complete(self, *, estimated: bool) -> Trace:
        """Of all pieces."""
        piece = _joined(self._pieces) if len(self._pieces) > 1 else self._pieces[0]
        self._pieces.clear()
        flags = piece.flags | Flag.LOWER_BOUND if piece.flags & LOST else piece.flags
        settle, link = self._settle, self._link
        self._settle = self._link = 0.0
        return Trace(piece.seconds, piece.volts, piece.amps, flags, estimated, settle, link)

    def _stretch(self, run: Run, readings: Readings) -> float:
        """[1] by which the steps were longer than asked, by the instrument's own clock."""
        stamps = readings.seconds
        intervals = len(readings.amps) - 1
        if (
            stamps is None
            or intervals < 1
            or not intervals * run.key.seconds > self.reach.clock_seconds / BELIEVED
        ):
            return 1.0
        took = float(stamps[-1] - stamps[0]) / intervals
        off = took / run.key.seconds - 1.0
        if not abs(off) <= WRONG:
            self._wrong = BoardFault(
                f"{self.reach.name}: steps took {format_quantity(took, 's')} each,"
                f" and {format_quantity(run.key.seconds, 's')} were asked for",
                todo="see that filters, auto-zero and auto-ranges are off, and the line frequency is right",
            )
        return 1.0 + off if abs(off) > BELIEVED and took > 0 else 1.0

    def refuse_wrong_times(self) -> None:
        """Raise `BoardFault` where steps took another time: once the traces of what was driven are told."""
        if self._wrong is not None:
            raise self._wrong


def driven(run: Run, readings: Readings, nothing: float, *, tripped: bool) -> Readings:
    """Without those from the level on at which the output was off: up to `nothing` [V] is 0 V.

    Where it tripped at its compliance the pulse in which it did is kept, with that flag.
    """
    count = len(readings.amps)
    meant = np.abs(run.volts[:count]) > 2 * nothing
    dead = meant & (np.abs(readings.volts) <= nothing) & (readings.flags == 0)
    dead[: int(np.max(np.flatnonzero(meant & ~dead), initial=-1)) + 1] = False
    limited = readings.flags & int(Flag.COMPLIANCE) != 0 if tripped else np.zeros(count, dtype=np.bool_)
    if not (limited.any() or dead.any()):
        return readings
    if not tripped:
        return _up_to(readings, int(np.argmax(dead)))
    place = int(np.argmax(limited if limited.any() else dead))
    flags = readings.flags.copy()
    flags[place] |= int(Flag.COMPLIANCE if limited.any() else Flag.COMPLIANCE | Flag.LOWER_BOUND)
    return _up_to(readings._replace(flags=flags), _end_of_pulse(run, place))


def _up_to(readings: Readings, stop: int) -> Readings:
    seconds, volts, amps, flags = readings
    return Readings(None if seconds is None else seconds[:stop], volts[:stop], amps[:stop], flags[:stop])


def _end_of_pulse(run: Run, place: int) -> int:
    """Of the pulse in which this level is."""
    ends = np.cumsum([len(unit.volts) for unit in run.units])
    pulse = run.units[int(np.searchsorted(ends, place, side="right"))].pulse
    return int(max(end for end, unit in zip(ends, run.units, strict=True) if unit.pulse == pulse))


def _joined(parts: Sequence[Piece]) -> Piece:
    flags = Flag.NONE
    for part in parts:
        flags |= part.flags
    return Piece(
        np.concatenate([part.seconds for part in parts]),
        np.concatenate([part.volts for part in parts]),
        np.concatenate([part.amps for part in parts]),
        flags,
    )
