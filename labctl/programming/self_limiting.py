"""Setting by volts alone, on boards whose pulses are all long: where a set stops, not how fast it goes.

A device behind a series resistor takes voltage away from itself as it sets: a long pulse ends where
what is left is too little to go on, and the conductance at which it ends follows the source. The
law of `write_verify`, that a pulse moves a device by ``width exp(volts / e_fold)``, still holds at each
moment, with the volts across the device at that moment::

    width = exp(hardness) * integral from G before to G after of exp(-V / ((1 + G R) e_fold)) dG

so one number, the hardness, is learnt from each response and says which source volts lead to the next goal.
It is another one in other states, and is remembered by the conductance from which the response began. Where
one pulse from there led too far and another not far enough, a response is believed by half: else both
would follow each other for ever.

Falling is the reverse, a runaway that nothing stops: it is left to the plain law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from labctl.programming.common import logarithm

POINTS = 65
"""Of the integral; its integrand falls by no more than a factor e or so between two of them."""
FARTHEST = math.exp(2.5)
"""Times the farthest movement seen so far that a pulse may aim for: the law is not known beyond."""
ALIKE = 0.1
"""In ln G: responses that began no further apart began in the same state."""
HALVINGS = 40
"""Of the interval in which the volts are looked for."""


@dataclass(slots=True)
class State:
    """What is known of a device at one conductance."""

    hardness: float
    outcomes: set[bool] = field(default_factory=set[bool])
    """Whether pulses led too far: False, True, or both were seen."""


@dataclass(slots=True)
class Setting:
    """What setting pulses have taught of one device."""

    ohms: float
    """[ohm] between source and device."""
    e_fold: float
    """[V]"""
    unknown: float
    """Hardness of a device that nothing is known of."""
    states: dict[float, State] = field(default_factory=dict[float, State])
    """By ln G before the pulse."""
    asked: float = 0.0
    """[S] by which the present pulse is to move the device,"""
    assumed: float = 0.0
    """and the hardness that was thought to do it."""
    reach: float = 0.0
    """[S] farthest movement seen."""

    def volts(self, before: float, missing: float, width: float, least: float, most: float) -> float:
        """[V] of the source, from least to most, that lead from `before` to that much [S] more."""
        near = self._nearest(logarithm(before))
        self.asked = min(missing, FARTHEST * self.reach) if self.reach else missing
        self.assumed = self.states[near].hardness if self.states else self.unknown
        after, wanted = before + self.asked, math.log(width) - self.assumed
        if self._integral(least, before, after) <= wanted:
            return least
        if self._integral(most, before, after) > wanted:
            return most
        for _ in range(HALVINGS):
            middle = (least + most) / 2
            if self._integral(middle, before, after) > wanted:
                least = middle
            else:
                most = middle
        return most

    def learn(self, volts: float, width: float, before: float, moved: float) -> None:
        """A pulse moved the device from `before` [S] by so much [S], more than nothing."""
        here, hardness = logarithm(before), math.log(width) - self._integral(volts, before, before + moved)
        near = self._nearest(here)
        state = self.states.setdefault(near if abs(near - here) <= ALIKE else here, State(hardness))
        state.outcomes.add(moved > self.asked)
        state.hardness = (self.assumed + hardness) / 2 if len(state.outcomes) == 2 else hardness
        self.reach = max(self.reach, moved)

    def _nearest(self, here: float) -> float:
        """Where ln G was most like this; infinity: nothing was seen yet."""
        return min(self.states, key=lambda there: abs(there - here), default=math.inf)

    def _integral(self, volts: float, before: float, after: float) -> float:
        """Logarithm of the integral: ln of siemens."""
        siemens = np.linspace(before, after, POINTS)
        powers = -volts / ((1 + siemens * self.ohms) * self.e_fold)
        return float(np.logaddexp.reduce(powers)) + math.log((after - before) / POINTS)
