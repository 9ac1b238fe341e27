"""Two rules that change weights on the chip, a pulse a weight and epoch, and verify none of them.

From what the chip's neurons put out, hidden ones included, and from the weights behind the hidden ones,
which are read, follows the slope of the error against every weight. The Manhattan rule (Prezioso et
al., Nature 521, 61, 2015) knows only its sign: one and the same set pulse for a weight that is to rise,
one and the same reset pulse for one that is to fall. The delta rule wants each weight to move in
proportion to its slope, and chooses the strength of the pulse by the law of `write_verify`,
``ln(width) + volts / e_fold``, whose constant it learns for each site and polarity from what the last
pulses did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from labctl.network import Matrices
from labctl.programming.common import Programming, bounds, programming_pulse
from labctl.pulse import Floats, Pulse
from labctl.spec import Spec
from labctl.training.assignment import Assignment
from labctl.training.learning.circuit import AT_RAIL, flattened, matrices
from labctl.training.learning.options import Delta, Manhattan
from labctl.training.target_weights import backpropagate

MARGIN = 1.0
"""[read voltages] Answer of right sign beyond which a pattern asks for nothing more: the rail."""


class Rule(Protocol):
    """Which pulse each weight gets."""

    @property
    def epochs(self) -> int:
        """At most."""
        ...

    @property
    def enough(self) -> int:
        """Epochs in a row with every pattern right, after which it ends."""
        ...

    def reads(self, epoch: int) -> bool:
        """Whether all sites are to be read in this epoch, or only those that backpropagation needs."""
        ...

    def learn(self, read: Mapping[int, float]) -> None:
        """See what the last pulses did, from conductances [S] by site."""
        ...

    def pulses(self, epoch: int, slopes: Mapping[int, float]) -> dict[int, Pulse]:
        """By site, from the slope of the error against each weight that may be changed."""
        ...


def measured_slopes(
    assignment: Assignment, pixels: Floats, answers: Matrices, read: Mapping[int, float]
) -> dict[int, float]:
    """Slope of the squared hinge against each weight, by site, from measured outputs of all layers.

    `read` [S] must hold the sites of all layers but the first, whose weights no slope depends on.
    """
    order, sizes = [int(site) for site in assignment.placement.order()], assignment.network.sizes
    known = np.array([read.get(site, math.nan) for site in order])
    weights = matrices(np.nan_to_num(assignment.window.weights(known), nan=0.0), sizes)
    slopes = backpropagate(
        [pixels, *answers[:-1]],
        answers[-1][:, 0],
        weights,
        assignment.images.labels,
        assignment.network.activations,
        MARGIN,
        AT_RAIL,
    )
    return dict(zip(order, map(float, flattened(slopes)), strict=True))


def layers_of_sites(assignment: Assignment) -> list[list[int]]:
    """The sites of each layer."""
    return [[int(site) for site in layer.ravel()] for layer in assignment.placement.sites]


class ManhattanRule:
    """One fixed pulse, up or down. Volts are across a device in the middle of the window.

    It knows no law by which a longer pulse would need less: on a board whose shortest pulse is longer than
    asked, whoever chooses the volts must.
    """

    def __init__(self, spec: Spec, assignment: Assignment, how: Manhattan) -> None:
        self.epochs, self.enough = how.epochs, how.enough
        self._how = how
        self._layers = layers_of_sites(assignment)
        self._pulses = {
            (int(site), sign): self._pulse(spec, int(site), sign, assignment.window.reference)
            for site in assignment.placement.order()
            for sign in (+1, -1)
        }

    def _pulse(self, spec: Spec, site: int, sign: int, siemens: float) -> Pulse:
        place = spec.sites[site]
        ohms = spec.series_ohms[place.row] + spec.series_ohms[spec.rows + place.column]
        volts = self._how.set_volts if sign > 0 else -self._how.reset_volts
        seconds = max(self._how.seconds, spec.shortest_pulse)
        return programming_pulse(spec, site, volts * (1 + siemens * ohms), seconds)

    @property
    def all_pulses(self) -> list[Pulse]:
        """Every pulse that it can ask for."""
        return list(self._pulses.values())

    def reads(self, epoch: int) -> bool:
        """It needs none of its own."""
        return False

    def learn(self, read: Mapping[int, float]) -> None:
        """It learns nothing of devices."""

    def pulses(self, epoch: int, slopes: Mapping[int, float]) -> dict[int, Pulse]:
        """Against the slope, where it is steep enough for its layer."""
        found = dict[int, Pulse]()
        for layer in self._layers:
            steepest = max((abs(slopes.get(site, 0.0)) for site in layer), default=0.0)
            least = self._how.least_slope * steepest
            steep = [site for site in layer if abs(slopes.get(site, 0.0)) >= least and slopes.get(site)]
            found |= {site: self._pulses[site, -1 if slopes[site] > 0 else +1] for site in steep}
        return found


FIRST_CHANGE = 0.05
"""Of the largest weight: what the first pulse of programming is taken to do to an unknown device."""
LEAST_SEEN = 0.2
"""Of the change that was asked for: less, or one the wrong way, counts as this much."""
TRUST = 0.5
"""Part of what a response says of a device that is believed; the rest is scatter from pulse to pulse."""


class DeltaRule:
    """As strong a pulse as the slope asks for, by a law whose constant each site teaches."""

    def __init__(self, spec: Spec, assignment: Assignment, how: Delta, programming: Programming) -> None:
        self.epochs, self.enough = how.epochs, how.enough
        self._spec, self._window, self._how, self._programming = spec, assignment.window, how, programming
        first = math.log(programming.first_width) + programming.first_volts / programming.e_fold
        everyone = [int(site) for site in assignment.placement.order()]
        self._hardness = {
            (site, sign): first - math.log(FIRST_CHANGE) for site in everyone for sign in (1, -1)
        }
        self._siemens = dict[int, float]()
        self._asked = dict[int, float]()
        """By site: the change of weight that was asked for since it was last read."""
        self._layers = layers_of_sites(assignment)

    def reads(self, epoch: int) -> bool:
        """Every so many epochs, and until there is something to go by."""
        return epoch % self._how.read_every == 0 or not self._siemens

    def learn(self, read: Mapping[int, float]) -> None:
        """How hard each site that was pulsed once has turned out to move."""
        for site, now in read.items():
            asked, before = self._asked.pop(site, 0.0), self._siemens.get(site, math.nan)
            moved = (now - before) / self._window.scale
            if asked and math.isfinite(moved):
                seen = max(moved / asked, LEAST_SEEN)
                self._hardness[site, 1 if asked > 0 else -1] -= TRUST * math.log(seen)
            self._siemens[site] = now

    def pulses(self, epoch: int, slopes: Mapping[int, float]) -> dict[int, Pulse]:
        """Against the slope, in proportion; smaller from epoch to epoch."""
        wanted = dict[int, float]()
        for layer in self._layers:
            known = [site for site in layer if site in slopes and site in self._siemens]
            steepest = max((abs(slopes[site]) for site in known), default=0.0) or math.inf
            rate = self._how.rate * (1 - 0.9 * epoch / self.epochs) / steepest
            wanted |= {site: -rate * slopes[site] for site in known}
        self._asked = {site: one for site, one in wanted.items() if abs(one) >= self._how.least_change}
        return {site: self._pulse(site, one) for site, one in self._asked.items()}

    def _pulse(self, site: int, change: float) -> Pulse:
        """For this change of weight: width first, then voltage, no more than site and plan allow."""
        how, sign = self._programming, 1 if change > 0 else -1
        allowed = bounds(self._spec, site, sign, how)
        strength = self._hardness[site, sign] + math.log(abs(change))
        longest = math.log(allowed.longest)
        width = max(math.exp(min(strength - how.first_volts / how.e_fold, longest)), allowed.shortest)
        volts = max((strength - math.log(width)) * how.e_fold, 0.1 * how.first_volts)
        source = min(volts * (1 + self._siemens[site] * allowed.ohms), allowed.volts)
        return programming_pulse(self._spec, site, sign * source, width)
