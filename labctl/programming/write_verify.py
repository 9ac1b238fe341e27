"""Program one site to a conductance: pulse, read, adapt, until it is there or a cap is reached.

How far a pulse moves a memristor depends exponentially on its voltage and about linearly on its
width, and nobody knows the constants beforehand. So the strength of a pulse is kept as one number,
``ln(width) + volts / e_fold``, on which the response is about exponential: after a pulse that moved
the device by some amount, the next strength follows from the amount that is still missing. Width
is spent first, then voltage. Each direction keeps its own strength. Voltages are those across the
device: the source is set higher by the drop over the series resistor at the last conductance read.

A board that cannot make a pulse as short as the first one has volts alone to choose, and pulses long
enough for a device to stop by itself: rising is then left to `labctl.programming.self_limiting`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from labctl.errors import Refused
from labctl.plan import Plan
from labctl.programming.belief import Experience
from labctl.programming.common import (
    IDLE_MOST,
    NOTHING,
    TIME_CONSTANTS,
    Bounds,
    Effort,
    Ending,
    Outcome,
    Programming,
    Push,
    Reading,
    Spent,
    bounds,
    cap,
    least_progress,
    programming_pulse,
    read,
    sent,
)
from labctl.programming.contact import open_circuit, short
from labctl.programming.prediction import Response
from labctl.programming.predictive import predictive
from labctl.programming.self_limiting import Setting
from labctl.quantity import printable
from labctl.spec import Spec

__all__ = [
    "IDLE_MOST",
    "NOTHING",
    "TIME_CONSTANTS",
    "Ending",
    "Experience",
    "Outcome",
    "Programming",
    "Reading",
    "Spent",
    "read",
    "write_verify",
]


NOTICEABLE = 2e-3
"""Relative change of conductance that counts as a movement; what moved less counts as this much."""
BOLDEST, MEEKEST = 2.5, -5.0
"""Most and least by which the strength changes after one pulse."""
LEAP = 0.25
"""Of the target: a pulse that ends so far on its other side, and farther than it began, has met a device that
goes by itself, and the next strengths of its polarity are sought in steps of half the size."""


@dataclass(slots=True)
class _Direction:
    """What one polarity has learnt of this device."""

    sign: int
    strength: float
    push: Push
    boldest: float = BOLDEST
    """Most by which it may rise after one pulse: less after each leap."""
    setting: Setting | None = None
    """For setting pulses of one width, on a slow board."""


def write_verify(
    spec: Spec,
    site: int,
    target: float,
    now: float,
    how: Programming,
    reading: Reading,
    spent: Spent = NOTHING,
    response: Response | None = None,
    experience: Experience | None = None,
) -> Plan[Outcome]:
    """Bring one site from conductance `now` to `target` [S]. What the site does ends it, never an error.

    A `now` of NaN is a site that could not be read: nothing is sent to it, nor to a short. The predictive
    method needs the `response` of this kind of device; `experience` is what it has learnt on other sites.
    """
    if not 0 < target < math.inf:
        raise Refused(f"a target of {target} S for site {spec.label(site)}", allowed="a number above 0")
    if how.method == "predictive" and response is None:
        raise Refused(
            "the predictive method without a model of the devices",
            allowed='method = "adaptive", or a plan that is given what devices do',
        )
    effort = Effort([now], spent.pulses, spent.seconds, spent.joules)
    ending, reason = yield from _obstacle(spec, site, now, how, reading)
    if ending is Ending.DONE and response is not None and how.method == "predictive":
        known = Experience() if experience is None else experience
        ending, reason = yield from _predictive(spec, site, target, how, reading, effort, response, known)
    elif ending is Ending.DONE:
        ending, reason = yield from _adaptive(spec, site, target, how, reading, effort)
    if ending is Ending.STUCK and effort.path[-1] == 0.0:
        reason = "; ".join(filter(None, (reason, (yield from open_circuit(spec, site, reading)))))
    path, pulses, joules, seconds = tuple(effort.path), effort.pulses, effort.joules, effort.seconds
    return Outcome(site, target, path[0], path[-1], pulses, joules, ending, path, reason, seconds)


def _obstacle(
    spec: Spec, site: int, now: float, how: Programming, reading: Reading
) -> Plan[tuple[Ending, str]]:
    """What keeps every pulse from this site; done: nothing."""
    if not math.isfinite(now):
        return Ending.FAULT, "it could not be read"
    if found := (yield from short(spec, site, now, reading)):
        return Ending.SHORT, found
    allowed = bounds(spec, site, +1, how)
    if not allowed.shortest <= allowed.longest:
        least = f"a pulse of {allowed.shortest:.4g} s or more"
        return Ending.LIMIT, f"{least}, where {allowed.longest:.4g} s are allowed"
    return Ending.DONE, ""


def _predictive(
    spec: Spec,
    site: int,
    target: float,
    how: Programming,
    reading: Reading,
    effort: Effort,
    response: Response,
    experience: Experience,
) -> Plan[tuple[Ending, str]]:
    """By the model, as long as it leads somewhere; then by what the device does alone."""
    lost = "the model was given up on other sites"
    if not experience.misled:
        try:
            how_it_ended = yield from predictive(
                spec, site, target, how, reading, effort, response, experience
            )
        except (ArithmeticError, ValueError) as error:  # no number that a model answers may end a session
            lost, experience.lost = printable(str(error)), experience.lost + 1
        else:
            experience.led += 1
            return how_it_ended
    ending, reason = yield from _adaptive(spec, site, target, how, reading, effort)
    return ending, "; ".join(filter(None, (lost, reason)))


def _adaptive(
    spec: Spec, site: int, target: float, how: Programming, reading: Reading, effort: Effort
) -> Plan[tuple[Ending, str]]:
    """Pulses whose strength follows from the last response alone; why it ended."""
    now, probe = effort.path[-1], read(spec, site, reading)
    start = math.log(how.first_width) + how.first_volts / how.e_fold
    directions = {sign: _Direction(sign, start, Push(sign)) for sign in (+1, -1)}
    if spec.shortest_pulse > how.first_width:
        missing = max(abs(target - now), how.tolerance * target)  # which a first pulse is taken to bring
        hardness = start - math.log(missing)
        directions[+1].setting = Setting(bounds(spec, site, +1, how).ohms, how.e_fold, hardness)
    while not abs(now - target) <= how.tolerance * target:
        direction = directions[+1 if now < target else -1]
        ending = cap(effort, direction.push.idle, how)
        if ending is not Ending.DONE:
            return ending, ""
        volts, width, strongest = _chosen(
            bounds(spec, site, direction.sign, how), direction, now, target, how
        )
        pulse = programming_pulse(spec, site, direction.sign * volts, width)
        after, ending, reason = yield from sent(spec, site, pulse, probe, effort)
        if ending is not Ending.DONE:
            return ending, reason
        if strongest:
            direction.push.see(now, after, least_progress(now, target, effort, how))
        missing = abs(target - after)
        if (after > target) is not (now > target) and missing > max(abs(target - now), LEAP * target):
            missing = abs(target - now)  # the way back says nothing of this polarity
            direction.boldest /= 2
        missing = max(missing, 0.5 * how.tolerance * target)  # nobody need aim any closer
        moved = (after - now) * direction.sign
        if direction.setting is None:
            _learn(direction, moved, missing, now, strongest, how)
        elif not strongest or moved > NOTICEABLE * now:
            direction.setting.learn(volts, width, now, max(moved, NOTICEABLE * (now or missing)))
        now = after
    return Ending.DONE, ""


def _chosen(
    allowed: Bounds, direction: _Direction, siemens: float, target: float, how: Programming
) -> tuple[float, float, bool]:
    """[V] as a magnitude, [s], and whether it is the strongest pulse that site and plan allow."""
    divider, most, longest = 1 + siemens * allowed.ohms, allowed.volts, allowed.longest
    least = 0.1 * how.first_volts
    if direction.setting is not None:
        missing, width = how.boldness * (target - siemens), allowed.shortest
        volts = direction.setting.volts(siemens, missing, width, min(divider * least, most), most)
        return (volts, width, False) if volts < most else (most, longest, True)
    width = _width(direction.strength, how.first_volts, longest, how)
    width = min(max(width, allowed.shortest), longest)
    volts = divider * max((direction.strength - math.log(width)) * how.e_fold, least)
    if volts < most:
        return volts, width, False
    width = min(max(_width(direction.strength, most / divider, longest, how), allowed.shortest), longest)
    return most, width, width >= longest


def _width(strength: float, volts: float, longest: float, how: Programming) -> float:
    """[s] that make up this strength at these volts; at most the longest, which no exponential leaves."""
    power = strength - volts / how.e_fold
    return math.exp(power) if power < math.log(longest) else longest


def _learn(
    direction: _Direction, moved: float, missing: float, before: float, strongest: bool, how: Programming
) -> None:
    """Choose the next strength of this polarity from what its last pulse did, in siemens."""
    noticeable = NOTICEABLE * (before or missing)  # of an open device, which reads 0 S, what it lacks
    change = math.log(how.boldness * missing / max(moved, noticeable))
    if not (strongest and moved <= noticeable):
        direction.strength += min(max(change, MEEKEST), direction.boldest)
