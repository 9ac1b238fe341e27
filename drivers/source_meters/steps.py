"""The levels of a pulse, and a step that fits all of them: pure functions.

A source-measure unit plays levels that are all equally long. So every level of a pulse becomes a whole number
of steps of one length; an edge becomes a jump in its middle, so that the area under the pulse is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from drivers.source_meters.source_meter import Reach

FIT = 0.005
"""[1] by which a level may be longer or shorter than asked."""
MOST_READINGS = 64
"""In one level, to find a step that fits all levels of a pulse."""


class Step(NamedTuple):
    """One level of a pulse."""

    corner: int
    """Of the pulse, whose voltage it has."""
    seconds: float


class Shape(NamedTuple):
    """One repeat of a pulse, as steps."""

    before: float
    """[s] at 0 V before the first level."""
    steps: tuple[Step, ...]
    """From the first to the last level that is not 0 V."""
    after: float
    """[s] at 0 V after the last."""


def shape(seconds: Sequence[float], volts: Sequence[float]) -> Shape:
    """The levels between corners, edges replaced by steps in their middles.

    >>> shape([0.0, 2.0, 6.0, 8.0], [0.0, 1.0, 1.0, 0.0])
    Shape(before=1.0, steps=(Step(corner=1, seconds=6.0),), after=1.0)
    """
    found = list[Step]()
    corner, start = 0, 0.0
    for index in range(1, len(seconds)):
        if volts[index] != volts[corner]:
            middle = (seconds[index - 1] + seconds[index]) / 2
            found.append(Step(corner, middle - start))
            corner, start = index, middle
    found.append(Step(corner, seconds[-1] - start))
    if len(found) == 1 and volts[corner] == 0.0:
        return Shape(0.0, (), seconds[-1])
    before = found.pop(0).seconds if volts[found[0].corner] == 0.0 else 0.0
    after = found.pop().seconds if volts[found[-1].corner] == 0.0 else 0.0
    return Shape(before, tuple(found), after)


def common_step(lengths: Sequence[float], readings: int, reach: Reach) -> float | None:
    """[s] of a step that fits a whole number of times into every length; None where there is none.

    `readings` are wanted in the shortest; more are taken where that makes them fit.
    """
    shortest = min(lengths)
    most = min(MOST_READINGS, int(shortest / reach.shortest_step * (1 + 1e-9)))
    least = max(1, math.ceil(shortest / reach.longest_step * (1 - 1e-9)))
    wanted = max(least, min(readings, most))
    for count in (*range(wanted, least - 1, -1), *range(wanted + 1, most + 1)):
        step = shortest / count
        if count <= most and all(_fits(length, step) for length in lengths):
            return step
    return None


def _fits(length: float, step: float) -> bool:
    times = length / step
    return abs(times - round(times)) <= FIT * times
