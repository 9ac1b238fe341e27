"""Programming by prediction: a model says which pulse leads to the target, responses correct the model.

The next pulse is worked out from what is believed of the device (`labctl.programming.believed_device`). Its
duration is the one at which devices of this kind scatter least. It aims short of the target by a part
of what it may go wrong, because to erase is less certain than to grow; and a device that lies a
little too high is left to the scatter of a further small pulse.
"""

from __future__ import annotations

import math

from labctl.plan import Plan
from labctl.programming.belief import Experience
from labctl.programming.believed_device import LEAST_PART, BelievedDevice, Side, Step
from labctl.programming.checked_response import CheckedResponse, Lost
from labctl.programming.common import (
    Bounds,
    Effort,
    Ending,
    Programming,
    Reading,
    bounds,
    cap,
    edge_of,
    least_progress,
    programming_pulse,
    read,
    sent,
)
from labctl.programming.prediction import Response
from labctl.spec import Spec

CAUTION = {+1: 1.0, -1: 0.15}
"""Standard deviations of where a pulse may lead by which it aims short of the target: rising, falling."""
LEAST_CAUTION = 0.3
"""Of that, on a chip that was found to be steady: there an overshoot is soon undone."""
SLACK = 0.25
"""Of the scatter of reads: that much overshoot is none."""
BAND = 0.9
"""Of the scatter of reads: a device that lies higher than this is erased, no other."""
BELOW = 0.02
"""Of ln G: an erasing pulse aims that far below the target, from where it can grow again."""
SMALLEST = 0.1
"""Of the tolerance: no pulse aims to move less."""
WEAKEST = 0.01
"""Of the most volts: for a device that is believed to move more than it should at any."""
SETTLED = 7.0
"""Of the board's time constant: shorter pulses than this are not predicted well."""
PATIENCE = 50
"""Pulses on a site after which its model is given up. Of 1,350 sites of simulated Cr, W and C chips, with a
model that is right, none took more; a model of other devices would go on to the last pulse allowed."""
FUTILE, FUTILE_MOVES = 12, 1.0
"""Pulses of one polarity that led to next to nothing, and how much of ln G they were to move it in all, after
which the model is given up as well: a device that scatters can keep a belief from giving up by itself."""
LAG = 1.7
"""Of the same: what a pulse loses while the voltage rises at the device."""


def predictive(
    spec: Spec,
    site: int,
    target: float,
    how: Programming,
    reading: Reading,
    effort: Effort,
    response: Response,
    experience: Experience,
) -> Plan[tuple[Ending, str]]:
    """Bring one site to `target` [S] from where `effort` last read it; why it ended.

    Raises `Lost`, or another `ValueError` or `ArithmeticError`, where the model does not lead there.
    """
    allowed = {sign: bounds(spec, site, sign, how) for sign in (+1, -1)}
    checked = CheckedResponse(response)
    device = BelievedDevice(checked, experience, allowed, effort.path[-1], 0.25 * how.tolerance)
    probe, ending, reason = read(spec, site, reading), Ending.DONE, ""
    begun = effort.pulses
    while not abs(effort.path[-1] - target) <= how.tolerance * target:
        side, move = _wanted(device, math.log(target), how.tolerance)
        ending = cap(effort, side.push.idle, how)
        if ending is not Ending.DONE:
            break
        _refuse_futile(side, effort.pulses - begun)
        step = _step(spec, device, side, move, SMALLEST * how.tolerance)
        pulse = programming_pulse(spec, site, step.volts, step.width)
        after, ending, reason = yield from sent(spec, site, pulse, probe, effort)
        if ending is not Ending.DONE:
            break
        if step.strongest:
            side.push.see(effort.path[-2], after, least_progress(effort.path[-2], target, effort, how))
        device.learn(step, after)
    device.teach()
    return ending, reason


def _refuse_futile(side: Side, pulses: int) -> None:
    """Raise `Lost` where the model has led nowhere for too long."""
    if pulses >= PATIENCE:
        raise Lost(f"the model was given up after {pulses} pulses")
    if side.led.idle >= FUTILE and side.led.due >= LEAST_PART * FUTILE_MOVES:
        raise Lost(f"the model was given up: {side.led.idle} pulses led nowhere")


def _wanted(device: BelievedDevice, goal: float, tolerance: float) -> tuple[Side, float]:
    """The polarity of the next pulse, and by how much it is to move ln G."""
    missing = goal - device.level
    if missing > -max(BAND * device.scatter, 0.5 * tolerance):
        return device.sides[+1], max(missing, SMALLEST * tolerance)
    return device.sides[-1], missing - BELOW


def _step(spec: Spec, device: BelievedDevice, side: Side, move: float, smallest: float) -> Step:
    """The pulse for this movement, or for a part of it where it may lead too far; or the strongest."""
    shortest, longest, lost = _durations(spec, device.siemens, side.bounds)
    goal = math.exp(device.level + move)
    seconds, scatter = device.response.gentlest(
        device.siemens, goal, side.bounds.ohms, side.most, shortest, longest
    )
    volts = device.volts(side, move, seconds)
    while not math.isfinite(volts) and seconds < longest and not device.easy(side, move, seconds):
        seconds = min(3 * seconds, longest)
        volts = device.volts(side, move, seconds)
    strongest, limited = False, not math.isfinite(volts)
    if limited:
        strongest = not device.easy(side, move, seconds)
        volts = side.most if strongest else WEAKEST * side.most
        move = device.moved(side, volts, seconds)
    slope = device.slope(side, volts, seconds, side.shift.mean)
    scatter *= math.sqrt(device.experience.unrest)
    sigma = math.hypot(slope * math.sqrt(side.shift.variance), scatter)
    part = 1.0 if limited else _part(device, side.sign, abs(move), sigma, smallest)
    if part < 1 and math.isfinite(less := device.volts(side, part * move, seconds)):
        volts = less
    if not math.isfinite(volts):
        raise Lost(f"the model led to a pulse of {volts} V")
    width = min(max(seconds + lost, side.bounds.shortest), side.bounds.longest)
    expected = device.level + part * move
    return Step(side, volts, width, seconds, expected, part * slope, part * scatter, strongest)


def _durations(spec: Spec, siemens: float, allowed: Bounds) -> tuple[float, float, float]:
    """[s] that a device may see the full voltage, shortest and longest, and what a pulse has besides."""
    lag = LAG * spec.response_seconds
    first = min(max(allowed.shortest, SETTLED * spec.response_seconds), allowed.longest)
    edge = edge_of(spec, first)
    most = min(lag + edge, 0.5 * first)  # the same for every state: what follows from it is remembered
    lost = min(lag / (1 + siemens * allowed.ohms) + edge, most)
    return first - most, allowed.longest - most, lost


def _part(device: BelievedDevice, sign: int, size: float, sigma: float, smallest: float) -> float:
    """Which part of a movement to ask for, where ln G after all of it is uncertain by `sigma`."""
    caution = CAUTION[sign] * min(max(device.experience.unrest, LEAST_CAUTION), 1.0)
    careful = (size + SLACK * device.scatter) / (1 + caution * sigma / size)
    return min(max(careful, smallest) / size, 1.0)
