"""What all methods of programming a site share: settings, caps and outcome, a pulse and the read after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from labctl.addressing import level, select
from labctl.config import Count, Joules, PositiveFraction, PositiveSeconds, PositiveVolts, Section
from labctl.energy import Charge, charges
from labctl.errors import BoardFault, LimitExceeded
from labctl.plan import Plan
from labctl.programming.prediction import Prediction
from labctl.pulse import Pulse, Purpose
from labctl.reading import conductance
from labctl.shapes import square
from labctl.spec import Spec


class Reading(Section):
    """How a conductance is read."""

    volts: PositiveVolts = 0.1
    seconds: PositiveSeconds = 50e-6


class Programming(Section):
    """How a site is programmed; the caps are for each site."""

    method: Literal["adaptive", "predictive"] = "adaptive"
    """What chooses the next pulse: the last response alone, or a model that responses correct."""
    visits: Literal["site by site", "in rounds"] = "site by site"
    """Whether a site is brought to its end before the next begins, or all get a pulse and a read in turn."""
    tolerance: PositiveFraction = 0.02
    """Of the target conductance."""
    first_volts: PositiveVolts = 0.15
    """Across the device, in both directions."""
    first_width: PositiveSeconds = 10e-6
    shortest: PositiveSeconds = 2e-6
    longest: PositiveSeconds = 1e-3
    e_fold: PositiveVolts = 0.03
    """More voltage that moves the device e times as far, until its own responses say otherwise."""
    boldness: PositiveFraction = 0.8
    """Part of what is missing that the next pulse is to do."""
    most_pulses: Count = 100
    most_seconds: PositiveSeconds = 1.0
    most_energy: Joules = 1e-4
    prediction: Prediction = Prediction()
    """For the predictive method."""


class Ending(StrEnum):
    """Why programming of a site ended."""

    DONE = "within tolerance"
    STUCK = "does not move"
    PULSES = "too many pulses"
    SECONDS = "too much time"
    ENERGY = "too much energy"
    LIMIT = "a limit is in the way"
    FAULT = "the board failed on it"
    SHORT = "a short"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one site."""

    site: int
    target: float
    """[S]"""
    before: float
    """[S] as first read."""
    after: float
    """[S] as last read."""
    pulses: int
    joules: float
    """[J] delivered to programming pulses."""
    ending: Ending
    path: tuple[float, ...]
    """[S] every conductance read on the way."""
    reason: str = ""
    """What the board, or a model that was given up, said."""
    seconds: float = 0.0
    """[s] of programming pulses, settling and link included."""

    @property
    def error(self) -> float:
        """Relative distance from the target."""
        return self.after / self.target - 1

    @property
    def why(self) -> str:
        """Why it ended, with what the board or the model said."""
        return f"{self.ending}: {self.reason}" if self.reason else str(self.ending)

    @property
    def spent(self) -> Spent:
        """All of it counts, where the site is programmed again."""
        return Spent(self.pulses, self.seconds, self.joules)


@dataclass(frozen=True, slots=True)
class Spent:
    """What programming a site has cost before, in a run that was interrupted: caps hold for the sum."""

    pulses: int = 0
    seconds: float = 0.0
    joules: float = 0.0


NOTHING = Spent()


@dataclass(slots=True)
class Effort:
    """What has been spent on a site, and every conductance on the way [S]."""

    path: list[float]
    pulses: int
    seconds: float
    joules: float


TIME_CONSTANTS = 12.0
"""Of the board's slowest node in a read: after nine, when the settled end begins, 1e-4 is left."""
IDLE_MOST = 3
"""Strongest pulses without progress after which a site is stuck."""
LEAST_PROGRESS = 0.02
"""In ln G, of each strongest pulse, where more is missing than the pulses left would bring at a slower pace:
a hundred of them would hardly make a decade."""
LEAST_SIEMENS = 1e-12
"""What an open device, which reads 0 S, is taken for."""


def logarithm(siemens: float) -> float:
    """Of a conductance that may be 0."""
    return math.log(max(siemens, LEAST_SIEMENS))


def least_progress(before: float, target: float, effort: Effort, how: Programming) -> float:
    """In ln G: what a strongest pulse is to move a device by, so that it is not given up."""
    missing = abs(math.log(target) - logarithm(before))
    return min(LEAST_PROGRESS, missing / max(how.most_pulses - effort.pulses, 1))


@dataclass(slots=True)
class Push:
    """Pulses of one polarity that came to less than they should have, taken together.

    Each of them may seem to move a device that is stuck: reads are noisy, and every writing pulse may
    leave another conductance in the same state. Their sum is what one read differs from an earlier one.
    """

    sign: int
    idle: int = 0
    """Since the last progress."""
    moved: float = 0.0
    """In ln G, by those,"""
    due: float = 0.0
    """and by how much they should have moved it, at least."""

    def see(self, before: float, after: float, least: float) -> None:
        """A pulse that should have moved ln G by so much led from the one conductance to the other [S]."""
        self.idle, self.due = self.idle + 1, self.due + least
        self.moved += self.sign * (logarithm(after) - logarithm(before))
        if self.moved >= self.due:
            self.idle, self.moved, self.due = 0, 0.0, 0.0


def read(spec: Spec, site: int, how: Reading) -> Pulse:
    """The pulse that reads this site: as long as asked, or as the board needs to make it and to settle."""
    seconds = max(how.seconds, TIME_CONSTANTS * spec.response_seconds, spec.shortest_pulse)
    return select(spec, site, level(spec, how.volts, seconds), Purpose.READ)


def sent(
    spec: Spec, site: int, pulse: Pulse, probe: Pulse, effort: Effort
) -> Plan[tuple[float, Ending, str]]:
    """One pulse and the read after it: the conductance [S], or what kept it from being known."""
    try:
        traces = yield [pulse, probe]
        _book(effort, charges(spec, [pulse], traces[:1]))
        after = conductance(spec, probe, traces[1], site)
    except LimitExceeded as error:
        return math.nan, Ending.LIMIT, error.wrong
    except BoardFault as error:
        _book(effort, charges(spec, [pulse], error.traces[:1]))
        return math.nan, Ending.FAULT, error.wrong
    effort.path.append(after)
    return after, Ending.DONE, ""


def cap(effort: Effort | Spent, idle: int, how: Programming) -> Ending:
    """The cap that has been reached; done: none."""
    caps = {
        Ending.STUCK: idle >= IDLE_MOST,
        Ending.PULSES: not effort.pulses < how.most_pulses,
        Ending.SECONDS: not effort.seconds < how.most_seconds,
        Ending.ENERGY: not effort.joules < how.most_energy,
    }
    return next((ending for ending, reached in caps.items() if reached), Ending.DONE)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What pulses of one polarity on a site may be."""

    ohms: float
    """[ohm] between source and device."""
    volts: float
    """[V] most that the source may give, as a magnitude."""
    shortest: float
    longest: float
    """[s]"""


def bounds(spec: Spec, site: int, sign: int, how: Programming) -> Bounds:
    """What site, board and plan allow in this polarity.

    Where all that the plan allows is too short for the board, every pulse is the board's shortest, and
    volts alone are left to choose.
    """
    place, limits = spec.sites[site], spec.sites[site].limits
    series = spec.series_ohms[place.row] + spec.series_ohms[spec.rows + place.column]
    bound = limits.high_volts if sign > 0 else -limits.low_volts
    return Bounds(
        ohms=series,
        volts=min(bound, limits.amps * (series + limits.least_ohms)) * (1 - 1e-9),
        shortest=max(how.shortest, spec.shortest_pulse),
        longest=min(max(how.longest, spec.shortest_pulse), limits.seconds, spec.longest_pulse),
    )


def programming_pulse(spec: Spec, site: int, volts: float, width: float) -> Pulse:
    """A square on this site with edges that are short, and that this board can make."""
    return select(spec, site, square(volts, width, edge_of(spec, width)), Purpose.PROGRAM)


def edge_of(spec: Spec, width: float) -> float:
    """[s] of each edge of a programming pulse."""
    return min(width / 10, 1e-6, 0.99 * spec.edge_seconds)


def _book(effort: Effort, charged: Sequence[Charge]) -> None:
    for charge in charged:
        effort.pulses += 1
        effort.seconds += sum(charge.seconds)
        effort.joules += charge.joules[0]
