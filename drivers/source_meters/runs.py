"""Lists of pulses into runs of a source-measure unit: pure functions.

Where a pulse writes, each of its levels is several steps, so that its energy is known while the current
changes. What is at 0 V may last longer than asked, never shorter: that time is booked as settling. Pulses
with steps of one length, in the same ranges and on the same columns, are played in one run.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

import numpy as np

from drivers.source_meters.source_meter import Reach
from drivers.source_meters.steps import FIT, common_step, shape
from labctl.errors import LimitExceeded
from labctl.pulse import Pulse, Purpose
from labctl.quantity import format_quantity

MOST_SAMPLES = 20_000
"""Of one pulse, with all its repeats: beyond this each level is read once."""
MOST_KNOWN = 4096
"""Shapes of pulses that are remembered."""
MOST_REST = 16
"""Steps of 0 V after a pulse; a longer rest is a run of its own, of one long step."""
WRITES = (Purpose.PROGRAM, Purpose.RESET)


class Key(NamedTuple):
    """What the pulses of one run share."""

    seconds: float
    """[s] of each step."""
    volts_range: float
    """[V] 0: whatever it is."""
    amps_range: float
    """[A] 0: whatever it is."""
    columns: tuple[int, ...]
    """Columns that are at 0 V; the others are open."""
    writes: bool


class Unit(NamedTuple):
    """One repeat of one pulse, or a rest: what is never torn apart."""

    pulse: int
    """Which of the list."""
    volts: tuple[float, ...]
    """[V] one a step; the last is 0."""
    weights: tuple[float, ...]
    """[s] one a step: what its reading stands for."""
    spare: float
    """[s] at 0 V that nobody asked for."""
    last: bool
    """Whether it completes its pulse."""


@dataclass(slots=True)
class Run:
    """What an instrument plays in one go."""

    key: Key
    units: list[Unit] = field(default_factory=list[Unit])
    volts: list[float] = field(default_factory=list[float])
    weights: list[float] = field(default_factory=list[float])

    @property
    def seconds(self) -> float:
        """[s] of all of it."""
        return self.key.seconds * len(self.volts)


class Plan(NamedTuple):
    """How pulses of one shape are played, whatever their voltages."""

    seconds: float
    """[s] of each step."""
    corners: tuple[int, ...]
    """One a step: whose voltage it has; those at the end are at 0 V and have none."""
    zeros: int
    """Steps of 0 V at the end."""
    weights: tuple[float, ...]
    """[s] one a step."""
    spare: float
    """[s] at 0 V that nobody asked for."""
    rest: float
    """[s] after it, worth a run of its own."""
    columns: tuple[int, ...]
    writes: bool


class Planner:
    """Turns lists of pulses into runs, for one instrument and one row of devices."""

    def __init__(
        self, reach: Reach, series_ohms: float, least_ohms: float, amps_limit: float, readings: int
    ) -> None:
        """Ohms: in front of all devices, and of one device with its switch, at the least: they say how high a
        current can be. `amps_limit` [A] is the compliance; `readings` are taken in each level that writes.
        """
        self._reach, self._readings = reach, readings
        self._series, self._least, self._limit = series_ohms, least_ohms, amps_limit
        self._known: dict[object, Plan | None] = {}

    def runs(self, pulses: Sequence[Pulse]) -> list[Run]:
        """All of the list. Raises `LimitExceeded` for a pulse that the instrument cannot make."""
        found, room = list[Run](), 0
        for index, pulse in enumerate(pulses):
            for key, unit in self._units(index, pulse):
                if not found or found[-1].key != key or len(unit.volts) > room:
                    found.append(Run(key))
                    room = self._reach.most_steps
                run = found[-1]
                run.units.append(unit)
                run.volts += unit.volts
                run.weights += unit.weights
                room -= len(unit.volts)
        return found

    def _units(self, index: int, pulse: Pulse) -> Iterable[tuple[Key, Unit]]:
        volts: list[float] = pulse.volts[:, 0].tolist()
        peak = max(map(abs, volts))
        plan = self._plan(index, pulse, volts, peak)
        if plan is None:
            columns = _columns(pulse)
            return self._rest(index, pulse.duration, columns, last=True)
        levels = (*[volts[corner] for corner in plan.corners], *repeat(0.0, plan.zeros))
        ranges = self._volts_range(peak), self._amps_range(peak, len(plan.columns))
        key = Key(plan.seconds, *ranges, plan.columns, plan.writes)
        unit = Unit(index, levels, plan.weights, plan.spare, not plan.rest)
        if pulse.repeats == 1 and not plan.rest:
            return ((key, unit),)
        return self._repeated(index, pulse.repeats, (key, unit), plan)

    def _repeated(
        self, index: int, repeats: int, once: tuple[Key, Unit], plan: Plan
    ) -> Iterator[tuple[Key, Unit]]:
        between = once[0], once[1]._replace(last=False)
        for _ in range(repeats - 1):
            yield between
            yield from self._rest(index, plan.rest, plan.columns, last=False)
        yield once
        yield from self._rest(index, plan.rest, plan.columns, last=True)

    def _plan(self, index: int, pulse: Pulse, volts: Sequence[float], peak: float) -> Plan | None:
        """From what is known of pulses like this one; None: nothing is driven."""
        if not (pulse.driven[0] and peak):
            return None
        like = (
            pulse.seconds.tobytes(),
            pulse.driven.tobytes(),
            tuple([level / peak for level in volts]),
            pulse.purpose,
            pulse.repeats,
        )
        if like not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[like] = self._planned(index, pulse, volts)
        return self._known[like]

    def _planned(self, index: int, pulse: Pulse, volts: Sequence[float]) -> Plan | None:
        columns, found = _columns(pulse), shape(pulse.seconds.tolist(), volts)
        if not columns:
            return None
        writes = pulse.purpose in WRITES
        lengths = [step.seconds for step in found.steps if volts[step.corner] != 0.0]
        many = len(found.steps) * pulse.repeats * self._readings > MOST_SAMPLES
        step = common_step(lengths, self._readings if writes and not many else 1, self._reach)
        if step is None:
            raise self._unmakeable(index, pulse, lengths)
        corners, weights = list[int](), list[float]()
        for corner, seconds in found.steps:
            times = seconds / step
            count = max(1, round(times) if volts[corner] else math.ceil(times - FIT))
            corners += repeat(corner, count)
            weights += repeat(seconds / count, count)
        zeros, each, spare, rest = _ending(found.before + found.after, step)
        if len(corners) + zeros > self._reach.most_steps:
            raise self._unmakeable(index, pulse, lengths)
        all_weights = (*weights, *repeat(each, zeros))
        return Plan(step, tuple(corners), zeros, all_weights, spare, rest, columns, writes)

    def _rest(
        self, index: int, seconds: float, columns: tuple[int, ...], *, last: bool
    ) -> Iterator[tuple[Key, Unit]]:
        """Nothing but 0 V, in steps as long as can be."""
        if not seconds:
            return
        count = math.ceil(seconds / self._reach.longest_step)
        step = max(seconds / count, self._reach.shortest_step)
        spare = max(0.0, step - seconds / count)
        key = Key(step, 0.0, 0.0, columns, writes=False)
        for turn in range(count):
            yield key, Unit(index, (0.0,), (seconds / count,), spare, last and turn == count - 1)

    def _volts_range(self, peak: float) -> float:
        return self._reach.volts_ranges[bisect_left(self._reach.volts_ranges, peak)]

    def _amps_range(self, peak: float, devices: int) -> float:
        """The lowest that holds what the least resistance would take, which the compliance may cut short."""
        most = min(peak / (self._series + self._least / devices), self._limit)
        ranges = self._reach.amps_ranges
        return ranges[min(bisect_left(ranges, most), len(ranges) - 1)]

    def _unmakeable(self, index: int, pulse: Pulse, lengths: Sequence[float]) -> LimitExceeded:
        different = sorted(set(lengths))
        shown = ", ".join(format_quantity(length, "s") for length in different[:4])
        return LimitExceeded(
            f"pulse {index + 1} ({pulse.purpose}) has {len(lengths)} levels of {shown}"
            f"{' and more' * (len(different) > 4)}, which {self._reach.name} cannot make",
            allowed=f"levels of {format_quantity(self._reach.shortest_step, 's')} or more that have a common"
            f" step, and at most {self._reach.most_steps - 1} of these steps",
            saved="all that was measured before",
            todo="change the pulse: nothing of the list was driven",
        )


def _columns(pulse: Pulse) -> tuple[int, ...]:
    """Those at 0 V, if the row is driven: without it there is no circuit."""
    return tuple(np.flatnonzero(pulse.driven[1:]).tolist()) if pulse.driven[0] else ()


def _ending(rest: float, step: float) -> tuple[int, float, float, float]:
    """Steps of 0 V after a pulse, [s] of each, [s] that nobody asked for, [s] left for a run of its own."""
    count = max(1, math.ceil(rest / step - FIT))
    if count > MOST_REST:
        return 1, step, 0.0, rest - step
    return count, rest / count, max(0.0, count * step - rest), 0.0
