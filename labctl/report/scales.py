"""Axes that all panels of the paths share: how far they go, and which round numbers they carry."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats
from labctl.report.history import History
from labctl.report.style import Axes
from labctl.report.summary import Summary

STRAIGHT = 30
"""Most pulses that are drawn evenly spaced; more of them take a square-root axis."""


class Limits(NamedTuple):
    """What the shared axes show."""

    pulses: int
    low: float
    """[S]"""
    high: float
    """[S]"""


def limits(told: Summary, seen: History) -> Limits:
    """Room for every path and every target; open devices (0 S) are drawn at the lower edge."""
    values = np.concatenate([path.siemens for path in seen.paths.values()])
    targets = told.goal.targets[told.goal.synapses()] if told.goal else values[:0]
    shown = np.concatenate([values[values > 0], targets])
    low, high = (float(shown.min()), float(shown.max())) if len(shown) else (1e-6, 1e-4)
    room = max((high / low) ** 0.08, 1.1)
    return Limits(max(1, *(path.total for path in seen.paths.values())), low / room, high * room)


def pulse_axis(spot: Axes, most: int, *, numbered: bool) -> None:
    """Give these axes room for so many pulses."""
    if most > STRAIGHT:
        spot.set_xscale("function", functions=(_root, _square))
    ticks = pulse_ticks(most)
    spot.set_xticks(ticks, [str(tick) for tick in ticks] if numbered else [""] * len(ticks))
    spot.set_xlim(-0.04 * most if most <= STRAIGHT else -0.0016 * most, 1.04 * most)


def pulse_ticks(most: int) -> list[int]:
    """Three to five numbers of pulses, evenly spaced as they are drawn, none at the right edge of a root."""
    if most <= STRAIGHT:
        return list(range(0, most + 1, max(1, math.ceil(most / 4))))
    power = 10 ** math.floor(math.log10(most / 9.5))
    step = max(digit * power for digit in (1, 2, 5) if digit * power <= most / 9.5)
    return [number**2 * step for number in range(6) if number**2 * step <= 0.95 * most]


def conductance_ticks(low: float, high: float) -> list[float]:
    """Round numbers, any unit: as many as are needed for two or more."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        ticks = [digit * 10.0**power for power in powers for digit in digits]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 2:
            return inside
    return [low * 1.0, high * 1.0]


def _root(values: Floats) -> Floats:
    return np.sign(values) * np.sqrt(np.abs(values))


def _square(values: Floats) -> Floats:
    return np.sign(values) * np.square(values)
