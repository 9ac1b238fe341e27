"""A device as it is believed to be: a model of its kind, and what its own responses say against it.

Three things are learnt of each device, by the filters of `belief`: its conductance, the shift of
each polarity's threshold, and, where no shift explains a movement because the device is already as
fast as it can be, its pace.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.programming.belief import Experience, Level, Shift
from labctl.programming.common import Bounds, Push, logarithm
from labctl.programming.prediction import Response

DOUBT = 0.2
"""Of every movement: no model is better."""
CLEAR = 3.0
"""Of the scatter of reads: a movement larger than this says at which shift the model does the same."""
UNMOVED = 0.5
"""Of the scatter of reads: a movement smaller than this is none."""
LEAST_PART = 0.2
"""Of what several pulses were to move a device: less, and they may as well have moved nothing."""
PACE = 0.5
"""Standard deviation of what devices differ by in ln(rate) where they are as fast as they can be."""
NUDGE = 2e-3
"""[V] by which a slope is taken."""
LEAST_NOISE = 1e-4
"""Of ln G, of any read."""


@dataclass(slots=True)
class Side:
    """One polarity of a device."""

    sign: int
    bounds: Bounds
    shift: Shift
    pace: float = 0.0
    """Logarithm of how much faster it is than the model, where no shift explains it."""
    pace_variance: float = PACE**2
    used: bool = False
    push: Push = field(init=False)
    """Its strongest pulses,"""
    led: Push = field(init=False)
    """and all of them, against what was expected of each."""

    def __post_init__(self) -> None:
        self.push, self.led = Push(self.sign), Push(self.sign)

    @property
    def most(self) -> float:
        """[V] of the source, with the sign."""
        return self.sign * self.bounds.volts


@dataclass(frozen=True, slots=True)
class Step:
    """A pulse and what it is expected to do."""

    side: Side
    volts: float
    """[V] of the source, signed."""
    width: float
    """[s] of the pulse,"""
    seconds: float
    """of which the device sees the full voltage."""
    expected: float
    """ln G after it."""
    slope: float
    """[1/V] by how much ln G falls for each volt that the threshold rises."""
    scatter: float
    """Standard deviation of ln G from pulse to pulse."""
    strongest: bool


class BelievedDevice:
    """One device while it is programmed. Conductances are logarithms, of siemens, unless said otherwise."""

    def __init__(
        self,
        response: Response,
        experience: Experience,
        allowed: Mapping[int, Bounds],
        siemens: float,
        quiet: float,
    ) -> None:
        """As first read, in `siemens`; surprises as small as `quiet`, in ln G, are none."""
        self.response = response
        self.experience = experience
        self._quiet = quiet
        self._last = logarithm(siemens)
        self._level = Level(self._last, self.scatter**2)
        spreads = {+1: response.scatter.rise, -1: response.scatter.fall}
        self.sides = {
            sign: Side(sign, allowed[sign], experience.prior(sign, spread))
            for sign, spread in spreads.items()
        }

    @property
    def level(self) -> float:
        """In the mean over its scatter."""
        return self._level.mean

    @property
    def siemens(self) -> float:
        """[S] The same."""
        return math.exp(self._level.mean)

    @property
    def scatter(self) -> float:
        """Standard deviation of a read after a pulse."""
        return self._scatter_at(self._last)

    def volts(self, side: Side, move: float, seconds: float) -> float:
        """[V] of the source for this movement in that time; NaN: none that is allowed, or none is too low."""
        after, ohms = math.exp(self.level + move), side.bounds.ohms
        return self.response.volts(
            self.siemens, after, _counted(side, seconds), ohms, side.most, side.shift.mean
        )

    def easy(self, side: Side, move: float, seconds: float) -> bool:
        """Whether the most volts lead further than that: where no voltage will do, none is too low."""
        after = math.exp(self.level + move)
        needed = self.response.seconds(self.siemens, after, side.most, side.bounds.ohms, side.shift.mean)
        return needed <= _counted(side, seconds)

    def moved(self, side: Side, volts: float, seconds: float, shift: float | None = None) -> float:
        """By how much a pulse is to move it."""
        ohms, shift = side.bounds.ohms, side.shift.mean if shift is None else shift
        after = self.response.siemens(self.siemens, _counted(side, seconds), volts, ohms, shift)
        return math.log(after / self.siemens)

    def slope(self, side: Side, volts: float, seconds: float, shift: float) -> float:
        """[1/V] by how much less a pulse leads to for each volt of shift."""
        low, high = (self.moved(side, volts, seconds, shift + nudge) for nudge in (-NUDGE, NUDGE))
        return (low - high) / (2 * NUDGE)

    def learn(self, step: Step, siemens: float) -> None:
        """What it reads after a pulse."""
        side, seen, level = step.side, logarithm(siemens), self._level
        moved, toward = side.sign * (seen - level.mean), side.sign * (step.expected - level.mean)
        unknown = step.slope**2 * side.shift.variance + (DOUBT * toward) ** 2
        self._notice(step, seen, unknown)
        scatter = self._scatter_at(seen)
        if max(moved, toward) >= CLEAR * scatter:
            self._solve(step, moved, scatter)
        else:
            total = level.variance + unknown + step.scatter**2 + scatter**2
            side.shift.corrected(seen - step.expected, step.slope, total)
        side.shift.variance += side.shift.drift
        side.led.see(math.exp(self._last), siemens, LEAST_PART * max(toward, 0.0))
        level.update(step.expected, unknown + step.scatter**2, seen, scatter)
        self._last = seen
        if side.sign < 0:  # what comes next is another cycle
            rise = self.response.scatter.rise
            self.sides[+1].shift.variance += self.experience.unrest * rise.cycle**2

    def teach(self) -> None:
        """Leave to the next device what was found out."""
        for side in self.sides.values():
            if side.used:
                self.experience.shifts[side.sign].append(side.shift.mean)

    def _solve(self, step: Step, moved: float, scatter: float) -> None:
        """A clear movement, or one that should have been: the shift at which the model does it."""
        side, least = step.side, UNMOVED * scatter
        side.used = True
        seen = math.exp(self.level + side.sign * max(moved, least))
        counted = _counted(side, step.seconds)
        found = self.response.shift(self.siemens, seen, counted, step.volts, side.bounds.ohms)
        if not math.isfinite(found):  # no shift explains it
            found = side.shift.mean
        slope = max(abs(self.slope(side, step.volts, step.seconds, found)), 1e-3)
        if moved < least:
            side.shift.exceeds(found, (step.scatter / slope) ** 2)
        else:
            variance = scatter**2 + self._level.variance + step.scatter**2
            side.shift.measured(found, variance / slope**2)
            self._hurry(step, seen, variance / moved**2)

    def _hurry(self, step: Step, seen: float, variance: float) -> None:
        """What the shift leaves unexplained is the device's pace; `variance` of ln(seconds)."""
        side = step.side
        needed = self.response.seconds(self.siemens, seen, step.volts, side.bounds.ohms, side.shift.mean)
        if 0 < needed < math.inf:
            gain = side.pace_variance / (side.pace_variance + variance)
            side.pace += gain * math.log(needed / _counted(side, step.seconds))
            side.pace_variance *= 1 - gain

    def _notice(self, step: Step, seen: float, unknown: float) -> None:
        """Two reads in a row say whether this chip scatters, unless too much else is unknown."""
        unrest = 2 * self.response.noise(math.exp(seen)) ** 2
        if unknown < unrest:
            surprise = (seen - self._last) - (step.expected - self.level)
            rest = 2 * self._read**2 + unknown + self._quiet**2
            self.experience.notice(surprise, unrest + step.scatter**2, rest)

    @property
    def _read(self) -> float:
        return self.response.scatter.read + LEAST_NOISE

    def _scatter_at(self, level: float) -> float:
        noise = self.response.noise(math.exp(level))
        return math.sqrt(self.experience.unrest * noise**2 + self._read**2)


def _counted(side: Side, seconds: float) -> float:
    """[s] as the model counts them."""
    return seconds * math.exp(side.pace)
