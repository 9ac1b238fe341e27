"""What is believed of a device while it is programmed, and what one device teaches of the next.

A read shows a conductance through a scatter that no controller can undo: noise of the read, and what
every writing pulse changes beside the state. To answer a read that is 5 % off with a pulse of 5 %
would be to chase that scatter. So a `Level` weighs each read against what was predicted, and a
`Shift` each response against all before it: both are Kalman filters of one number. Whether this
chip scatters as its kind is said to is learnt too (`Experience`): a steady chip is soon read as one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from labctl.programming.prediction import Threshold

SCALES = (0.0, 0.1, 0.4, 1.0, 2.0)
"""How much of the believed variance a chip may really have,"""
PRIOR = (0.15, 0.05, 0.1, 0.6, 0.1)
"""and how likely each is before anything was seen."""
MOST_SURPRISE = 16.0
"""Of a square, in variances: an outlier says no more than this."""
SYSTEMATIC = 0.25
"""Variance of what all devices of a chip may share, of that from device to device."""
MOST_LOST = 3
"""Sites that a model may lose before it is asked whether it loses more than it leads."""
STALE = 0.1
"""By how much a shift may change from pulse to pulse, of what it differs by from device to device: no
threshold of a model is right in every state."""


@dataclass(slots=True)
class Experience:
    """What was learnt on other sites of the same kind. Handed from site to site, it only grows."""

    shifts: dict[int, list[float]] = field(default_factory=lambda: {+1: [], -1: []})
    """[V] of each device, for rising (+1) and falling (-1)."""
    odds: list[float] = field(default_factory=lambda: [math.log(one) for one in PRIOR])
    """Logarithms of the likelihood of each of `SCALES`."""
    led: int = 0
    """Sites that the model led to their end,"""
    lost: int = 0
    """and those at which it was given up for the adaptive method."""

    @property
    def misled(self) -> bool:
        """Whether the model is not worth asking on this chip any more."""
        return self.lost >= MOST_LOST and self.lost > self.led

    def prior(self, sign: int, spread: Threshold) -> Shift:
        """The shift of a device that has not been seen yet."""
        seen, variance = self.shifts[sign], spread.device**2 + 1e-6
        weight = len(seen) + 1 / SYSTEMATIC
        return Shift(sum(seen) / weight, variance * (1 + 1 / weight), (STALE * spread.device) ** 2)

    @property
    def unrest(self) -> float:
        """The believed variance from pulse to pulse is to be multiplied by this."""
        most = max(self.odds)
        weights = [math.exp(one - most) for one in self.odds]
        return sum(one * scale for one, scale in zip(weights, SCALES, strict=True)) / sum(weights)

    def notice(self, surprise: float, unrest: float, rest: float) -> None:
        """Two reads differ by `surprise` from what was predicted; variances: from unrest, and else."""
        for index, scale in enumerate(SCALES):
            variance = scale * unrest + rest
            self.odds[index] -= 0.5 * (math.log(variance) + min(surprise**2 / variance, MOST_SURPRISE))


@dataclass(slots=True)
class Level:
    """ln G of a device, in the mean over its scatter."""

    mean: float
    variance: float

    def update(self, expected: float, added: float, seen: float, scatter: float) -> None:
        """A pulse was to lead to `expected`, `added` its variance; a read with that `scatter` says `seen`."""
        before = self.variance + added
        gain = before / (before + scatter**2)
        self.mean, self.variance = expected + gain * (seen - expected), (1 - gain) * before


@dataclass(slots=True)
class Shift:
    """[V] By how much the threshold of one polarity differs from the model's."""

    mean: float
    variance: float
    drift: float
    """[V^2] added with each pulse."""
    unmoved: int = 0
    """Pulses in a row that should have moved the device and did not."""

    def measured(self, shift: float, variance: float) -> None:
        """The model does what the device did at this shift."""
        self.unmoved = 0
        gain = self.variance / (self.variance + variance)
        self.mean += gain * (shift - self.mean)
        self.variance *= 1 - gain

    def corrected(self, surprise: float, slope: float, variance: float) -> None:
        """Ln G is off by `surprise`, of that `variance` in all, where it falls by `slope` for each volt."""
        gain = slope * self.variance / variance
        self.mean -= gain * surprise
        self.variance *= 1 - min(gain * slope, 0.9)

    def exceeds(self, least: float, variance: float) -> None:
        """The device did not move: its shift is more than `least`, by what a normal distribution says.

        The second time in a row the distribution was too narrow.
        """
        self.variance *= 2 if self.unmoved else 1
        self.unmoved += 1
        total = self.variance + variance
        sigma = math.sqrt(total)
        part = (least - self.mean) / sigma
        tail = 0.5 * math.erfc(part / math.sqrt(2))
        density = math.exp(-0.5 * part * part) / math.sqrt(2 * math.pi)
        beyond = density / tail if tail > 1e-9 else part
        self.mean += self.variance / total * sigma * beyond
