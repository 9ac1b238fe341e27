"""The sum of squares: from numbers between 0 and 1 to what is left between model and measurement.

Every open unknown is a coordinate from 0 to 1 between its bounds, on a logarithmic scale where it is
positive, so that a step and an uncertainty mean the same in each. After the model's unknowns come the
named nuisances of each recording: the state that it began in, and, where asked for, the offset and
the delay of its current. A residual is divided by the root of its recording's mean square current,
and by the number of recordings: half the sum of squares that scipy minimizes is half the mean NMSE.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from labctl.fit.candidate import Candidate, Unknown
from labctl.fit.excerpts import Excerpt
from labctl.pulse import Floats

NUISANCES = ("offset", "delay")
STEP = 2e-4
"""Of a coordinate, by which derivatives are taken."""
THREADS = min(os.cpu_count() or 1, 8)
HOPELESS = 1e3
"""Residual in place of one that is no number."""


@dataclass(frozen=True, slots=True)
class Coordinate:
    """One number between 0 and 1 and what it stands for."""

    unknown: Unknown
    place: int
    """In the model's values; -1: a nuisance."""
    part: int = -1
    """The excerpt that a nuisance belongs to; -1: all of them."""
    kind: str = ""

    def value(self, u: float) -> float:
        """Of the unknown, in SI units."""
        one = self.unknown
        if one.logarithmic:
            return one.low * math.exp(u * math.log(one.high / one.low))
        return one.low + u * (one.high - one.low)

    def coordinate(self, value: float) -> float:
        """From 0 to 1; a value beyond the bounds is on them."""
        one = self.unknown
        if one.logarithmic:
            u = math.log(max(value, one.low) / one.low) / math.log(one.high / one.low)
        else:
            u = (value - one.low) / (one.high - one.low)
        return min(max(u, 0.0), 1.0)


class Problem:
    """A candidate, what it has to predict, and which of its unknowns are open."""

    def __init__(
        self,
        candidate: Candidate,
        parts: Sequence[Excerpt],
        values: Floats,
        free: Sequence[str],
        nuisances: Sequence[str] = (),
    ) -> None:
        self.candidate, self.parts, self.values = candidate, list(parts), np.array(values, dtype=np.float64)
        self.coordinates = [
            Coordinate(_reaching(unknown, self.values[k]), k)
            for k, unknown in enumerate(candidate.unknowns)
            if unknown.name in free
        ]
        self.model_count = len(self.coordinates)
        for k, part in enumerate(self.parts):
            self.coordinates += [
                _nuisance(part, k, kind) for kind in ("state", *nuisances) if _has(part, kind)
            ]
        self.evaluations = 0

    def start(self, values: Floats) -> Floats:
        """Coordinates of a set of values, nuisances at rest; shape (coordinates,)."""
        return np.array(
            [c.coordinate(values[c.place] if c.place >= 0 else c.unknown.start) for c in self.coordinates]
        )

    def full(self, u: Floats) -> Floats:
        """All values of the model, shape (unknowns,)."""
        values = self.values.copy()
        for coordinate, position in zip(self.coordinates, u, strict=True):
            if coordinate.place >= 0:
                values[coordinate.place] = coordinate.value(float(position))
        return values

    def predicted(self, u: Floats, k: int) -> Floats:
        """[A] that the model, with its nuisances, predicts for excerpt `k`."""
        part = self.parts[k]
        told = {
            c.kind: c.value(float(position))
            for c, position in zip(self.coordinates, u, strict=True)
            if c.part == k
        }
        amps = self.candidate.currents(self.full(u), part, told.get("state"))
        self.evaluations += 1
        if delay := told.get("delay", 0.0):
            amps = _late(part, amps, delay)
        return amps + told.get("offset", 0.0)

    def residual(self, u: Floats, k: int) -> Floats:
        """What is left of excerpt `k`, shape (residuals,)."""
        left = self.parts[k].residual(self.predicted(u, k)) / math.sqrt(len(self.parts))
        return np.where(np.isfinite(left), left, HOPELESS)

    def residuals(self, u: Floats) -> Floats:
        """Of all excerpts, one after the other: their squares add up to the mean NMSE."""
        return np.concatenate([self.residual(u, k) for k in range(len(self.parts))])

    def jacobian(self, u: Floats, central: bool = False) -> Floats:
        """Derivatives of `residuals`, shape (samples, coordinates), by differences that stay in bounds."""
        here = [self.residual(u, k) for k in range(len(self.parts))]
        blocks = [np.zeros((len(left), len(u))) for left in here]

        def fill(task: tuple[int, int]) -> None:
            k, j = task
            blocks[k][:, j] = self._slope(u, k, j, here[k], central)

        with ThreadPoolExecutor(max_workers=THREADS) as pool:  # compiled candidates let go of Python's lock
            deque(pool.map(fill, self._tasks()), maxlen=0)
        return np.concatenate(blocks)

    def _tasks(self) -> list[tuple[int, int]]:
        """Which excerpt depends on which coordinate: all on the model's, each on its own nuisances."""
        return [
            (k, j)
            for k in range(len(self.parts))
            for j, coordinate in enumerate(self.coordinates)
            if coordinate.part in (-1, k)
        ]

    def _slope(self, u: Floats, k: int, j: int, here: Floats, central: bool) -> Floats:
        ahead = min(u[j] + STEP, 1.0)
        back = max(u[j] - STEP, 0.0) if central or ahead == u[j] else u[j]
        upper = self.residual(_moved(u, j, ahead), k) if ahead > u[j] else here
        lower = self.residual(_moved(u, j, back), k) if back < u[j] else here
        return (upper - lower) / (ahead - back)

    def nmse(self, u: Floats) -> list[float]:
        """Of each excerpt, nuisances included."""
        return [part.nmse(self.predicted(u, k)) for k, part in enumerate(self.parts)]


def _moved(u: Floats, j: int, position: float) -> Floats:
    moved = u.copy()
    moved[j] = position
    return moved


def _reaching(unknown: Unknown, value: float) -> Unknown:
    """The unknown with bounds that hold the value that it starts with."""
    low, high = min(unknown.low, value), max(unknown.high, value)
    if unknown.logarithmic and not low > 0:
        low = unknown.low
    return Unknown(
        unknown.name, unknown.unit, unknown.meaning, value, low, high, unknown.logarithmic, unknown.experiment
    )


def _has(part: Excerpt, kind: str) -> bool:
    """A repeated drive has no state of its own to begin with."""
    return kind != "state" or not part.period


def _nuisance(part: Excerpt, k: int, kind: str) -> Coordinate:
    root = math.sqrt(part.square)
    step = part.period or float(part.seconds[-1])
    bounds = {
        "state": (0.0, 1.0, 0.05, ""),
        "offset": (-root, root, 0.0, "A"),
        "delay": (-0.05 * step, 0.05 * step, 0.0, "s"),
    }
    low, high, start, unit = bounds[kind]
    meaning = {
        "state": "state that the recording began in",
        "offset": "added to the current",
        "delay": "of the current",
    }
    unknown = Unknown(f"{kind} of {part.name}", unit, meaning[kind], start, low, high)
    return Coordinate(unknown, -1, k, kind)


def _late(part: Excerpt, amps: Floats, delay: float) -> Floats:
    """The same currents, `delay` [s] later."""
    if part.period:
        return np.interp(part.seconds - delay, part.seconds, amps, period=part.period)
    return np.interp(part.seconds - delay, part.seconds, amps)
