"""Program one site to a conductance: pulse, read, adapt, until it is there or a cap is reached.

How far a pulse moves a memristor depends exponentially on its voltage and about linearly on its
width, and nobody knows the constants beforehand. So the strength of a pulse is kept as one number,
``ln(width) + volts / e_fold``, on which the response is about exponential: after a pulse that moved
the device by some amount, the next strength follows from the amount that is still missing. Width
is spent first, then voltage. Each direction keeps its own strength. Voltages are those across the
device: the source is set higher by the drop over the series resistor at the last conductance read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from labctl.addressing import level, select
from labctl.config import Count, Joules, PositiveFraction, PositiveSeconds, PositiveVolts, Section
from labctl.energy import Charge, charges
from labctl.errors import BoardFault, LimitExceeded, Refused
from labctl.plan import Plan
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


class Ending(StrEnum):
    """Why programming of a site ended."""

    DONE = "within tolerance"
    STUCK = "does not move"
    PULSES = "too many pulses"
    SECONDS = "too much time"
    ENERGY = "too much energy"
    LIMIT = "a limit is in the way"
    FAULT = "the board failed on it"


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

    @property
    def error(self) -> float:
        """Relative distance from the target."""
        return self.after / self.target - 1


@dataclass(slots=True)
class _Direction:
    """What one polarity has learnt of this device."""

    sign: int
    strength: float
    idle: int = 0
    """Strongest pulses in a row that did not move it."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What programming a site has cost before, in a run that was interrupted: caps hold for the sum."""

    pulses: int = 0
    seconds: float = 0.0
    joules: float = 0.0


NOTHING = Spent()


@dataclass(slots=True)
class _Effort:
    """What has been spent on a site, and every conductance on the way [S]."""

    path: list[float]
    pulses: int
    seconds: float
    joules: float


TIME_CONSTANTS = 12.0
"""Of the board's slowest node in a read: after nine, when the settled end begins, 1e-4 is left."""
NOTICEABLE = 2e-3
"""Relative change of conductance that counts as a movement; what moved less counts as this much."""
IDLE_MOST = 3
"""Strongest pulses in a row without a movement after which a site is stuck."""
BOLDEST, MEEKEST = 2.5, -5.0
"""Most and least by which the strength changes after one pulse."""


def read(spec: Spec, site: int, how: Reading) -> Pulse:
    """The pulse that reads this site, long enough for the board's slowest node to settle."""
    seconds = max(how.seconds, TIME_CONSTANTS * spec.response_seconds)
    return select(spec, site, level(spec, how.volts, seconds), Purpose.READ)


def write_verify(
    spec: Spec,
    site: int,
    target: float,
    now: float,
    how: Programming,
    reading: Reading,
    spent: Spent = NOTHING,
) -> Plan[Outcome]:
    """Bring one site from conductance `now` to `target` [S]. What the site does ends it, never an error.

    A `now` of NaN is a site that could not be read: nothing is sent to it.
    """
    if not 0 < target < math.inf:
        raise Refused(f"a target of {target} S for site {spec.label(site)}", allowed="a number above 0")
    effort = _Effort([now], spent.pulses, spent.seconds, spent.joules)
    start = math.log(how.first_width) + how.first_volts / how.e_fold
    directions = {+1: _Direction(+1, start), -1: _Direction(-1, start)}
    probe = read(spec, site, reading)
    ending, reason = Ending.DONE, ""
    if not math.isfinite(now):
        ending, reason = Ending.FAULT, "it could not be read"
    while ending is Ending.DONE and not abs(now - target) <= how.tolerance * target:
        direction = directions[+1 if now < target else -1]
        ending = _cap(effort, direction, how)
        if ending is not Ending.DONE:
            break
        pulse, strongest = _pulse(spec, site, direction, now, how)
        after, ending, reason = yield from _sent(spec, site, pulse, probe, effort)
        if ending is not Ending.DONE:
            break
        missing = max(abs(target - after), 0.5 * how.tolerance * target)  # nobody need aim any closer
        _learn(direction, (after - now) * direction.sign, missing, now, strongest, how)
        now = after
    return Outcome(
        site, target, effort.path[0], now, effort.pulses, effort.joules, ending, tuple(effort.path), reason
    )


def _sent(
    spec: Spec, site: int, pulse: Pulse, probe: Pulse, effort: _Effort
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


def _cap(effort: _Effort, direction: _Direction, how: Programming) -> Ending:
    """The cap that has been reached; done: none."""
    caps = {
        Ending.STUCK: direction.idle >= IDLE_MOST,
        Ending.PULSES: not effort.pulses < how.most_pulses,
        Ending.SECONDS: not effort.seconds < how.most_seconds,
        Ending.ENERGY: not effort.joules < how.most_energy,
    }
    return next((ending for ending, reached in caps.items() if reached), Ending.DONE)


def _pulse(
    spec: Spec, site: int, direction: _Direction, siemens: float, how: Programming
) -> tuple[Pulse, bool]:
    """The pulse of this strength, and whether it is the strongest that site and plan allow."""
    place, limits = spec.sites[site], spec.sites[site].limits
    series = spec.series_ohms[place.row] + spec.series_ohms[spec.rows + place.column]
    divider = 1 + siemens * series
    bound = limits.high_volts if direction.sign > 0 else -limits.low_volts
    most = min(bound, limits.amps * (series + limits.least_ohms)) * (1 - 1e-9)
    shortest = max(how.shortest, spec.shortest_pulse)
    longest = min(how.longest, limits.seconds, spec.longest_pulse)
    width = min(max(_width(direction.strength, how.first_volts, longest, how), shortest), longest)
    volts = divider * max((direction.strength - math.log(width)) * how.e_fold, 0.1 * how.first_volts)
    strongest = False
    if volts >= most:
        volts, width = most, _width(direction.strength, most / divider, longest, how)
        strongest = width >= longest
    edge = min(width / 10, 1e-6, 0.99 * spec.edge_seconds)
    wave = square(direction.sign * volts, width, edge)
    return select(spec, site, wave, Purpose.PROGRAM), strongest


def _width(strength: float, volts: float, longest: float, how: Programming) -> float:
    """[s] that make up this strength at these volts; at most the longest, which no exponential leaves."""
    power = strength - volts / how.e_fold
    return math.exp(power) if power < math.log(longest) else longest


def _book(effort: _Effort, charged: Sequence[Charge]) -> None:
    for charge in charged:
        effort.pulses += 1
        effort.seconds += sum(charge.seconds)
        effort.joules += charge.joules[0]


def _learn(
    direction: _Direction, moved: float, missing: float, before: float, strongest: bool, how: Programming
) -> None:
    """Choose the next strength of this polarity from what its last pulse did, in siemens."""
    noticeable = NOTICEABLE * (before or missing)  # of an open device, which reads 0 S, what it lacks
    change = math.log(how.boldness * missing / max(moved, noticeable))
    idle = moved <= noticeable
    if not (idle and strongest):
        direction.strength += min(max(change, MEEKEST), BOLDEST)
    direction.idle = direction.idle + strongest if idle else 0
