"""A quick look at a list of pulses: whose extremes alone show that no site, line or source minds them.

What it clears has no objection (a property that is tested); what it does not clear may still be
harmless, and `labctl.objections` says so in words. Comparisons are such that a NaN fails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from operator import lt
from typing import TYPE_CHECKING

import numpy as np

from labctl.objections import countable, well_formed
from labctl.parts import Shapes
from labctl.pulse import Bools, Floats, Pulse, Purpose

if TYPE_CHECKING:
    from labctl.spec import Spec

FEW = 4
"""Pulses up to which looking at one after the other is quicker than at all together."""


def suspects(spec: Spec, pulses: Sequence[Pulse]) -> Sequence[int]:
    """Those that a look at the extremes does not clear; a list of harmless ones costs 2 us a pulse."""
    if spec.shared_sources or not pulses or not all(well_formed(spec.lines, pulse) for pulse in pulses):
        return range(len(pulses))
    if len(pulses) <= FEW:
        return [index for index, pulse in enumerate(pulses) if not _clears(spec, pulse)]
    with np.errstate(all="ignore"):  # what is not finite fails a comparison
        return np.flatnonzero(~_cleared(spec, pulses)).tolist()


def _cleared(spec: Spec, pulses: Sequence[Pulse]) -> Bools:
    """Which of these well-formed pulses are harmless by their extremes alone, shape (pulses,)."""
    volts = np.concatenate([pulse.volts for pulse in pulses])
    seconds = np.concatenate([pulse.seconds for pulse in pulses])
    corners = np.array([len(pulse.seconds) for pulse in pulses], dtype=np.intp)
    ends = np.cumsum(corners)
    starts = ends - corners
    highest = np.maximum.reduceat(volts.max(axis=1, initial=0.0), starts)
    lowest = np.minimum.reduceat(volts.min(axis=1, initial=0.0), starts)
    steps = np.diff(seconds, prepend=0.0)
    steps[starts] = np.where(seconds[starts] == 0.0, np.inf, -np.inf)
    length = seconds[ends - 1]
    allowed = np.array([_allowed(spec, pulse) for pulse in pulses])
    fine = (
        (highest - lowest <= allowed[:, 0])
        & (length <= allowed[:, 1])
        & (length >= spec.shortest_pulse)
        & (np.minimum.reduceat(steps, starts) > 0)
    )
    if spec.grounded:
        fine &= ~np.logical_or.reduceat(volts[:, spec.grounded].any(axis=1), starts)
    if spec.shapes is Shapes.STEPS:
        slopes = np.zeros(len(volts), dtype=np.bool_)
        slopes[1:] = (volts[1:] != volts[:-1]).any(axis=1) & ~(steps[1:] <= spec.edge_seconds)
        slopes[starts] = False
        fine &= ~np.logical_or.reduceat(slopes, starts)
    return fine


def _clears(spec: Spec, pulse: Pulse) -> bool:
    """The same look at one pulse, at a quarter of the price of a list of one."""
    seconds = pulse.seconds.tolist()
    spread, longest = _allowed(spec, pulse)
    return (
        seconds[0] == 0.0
        and all(map(lt, seconds, seconds[1:]))
        and spec.shortest_pulse <= seconds[-1] <= longest
        and (surely_within(pulse.volts, spread) or _spread(pulse.volts) <= spread)
        and not (spec.grounded and pulse.volts[:, spec.grounded].any())
        and (spec.shapes is Shapes.ANY or not _slopes(pulse, seconds, spec.edge_seconds))
    )


def _allowed(spec: Spec, pulse: Pulse) -> tuple[float, float]:
    """[V] spread of lines and ground, and [s] length, that no site minds while these lines are driven so."""
    if not countable(pulse.repeats):
        return -1.0, -1.0
    if pulse.purpose is Purpose.WAIT:
        return 0.0, spec.longest_pulse
    key = pulse.driven.tobytes()
    if key not in spec.clearances:
        spec.clearances[key] = _clearance(spec, pulse)
    return spec.clearances[key]


def _clearance(spec: Spec, pulse: Pulse) -> tuple[float, float]:
    exposed = spec.exposed(pulse)
    if len(exposed) == 0:
        return spec.source_volts, spec.longest_pulse
    limits = [spec.sites[index].limits for index in map(int, exposed)]
    ohms = spec.loop_ohms(pulse.driven, exposed)
    volts = [
        min(-limit.low_volts, limit.high_volts, limit.amps * float(loop))
        for limit, loop in zip(limits, ohms, strict=True)
    ]
    rails = [max(neuron.high_volts, -neuron.low_volts) for neuron in spec.neurons]
    taken = any(pulse.driven[neuron.output] for neuron in spec.neurons)
    if spec.computing(pulse.driven) and (taken or not max(rails) <= min(volts)):
        return -1.0, -1.0  # even without a voltage: let the slow rules say why
    return min(spec.source_volts, *volts), min(spec.longest_pulse, *(limit.seconds for limit in limits))


def _slopes(pulse: Pulse, seconds: list[float], edge: float) -> bool:
    """Whether a voltage takes longer than `edge` [s] to change."""
    slow = [not later - earlier <= edge for earlier, later in pairwise(seconds)]
    return any(slow) and bool((pulse.volts[1:] != pulse.volts[:-1]).any(axis=1)[slow].any())


def surely_within(volts: Floats, spread: float) -> bool:
    """Whether the sum of all squares is enough to know that lines and ground differ by no more than this.

    highest - lowest is at most sqrt(2 (highest**2 + lowest**2)); a little more than 2 makes up for rounding,
    and the 1e-300 for squares so small that they vanish.
    """
    return math.sqrt(2.0001 * float(np.vdot(volts, volts)) + 1e-300) <= spread < math.inf


def _spread(volts: Floats) -> float:
    """[V] between the highest and the lowest of all lines and ground."""
    highest = np.maximum.reduce(volts, axis=None, initial=0.0)
    return float(highest) - float(np.minimum.reduce(volts, axis=None, initial=0.0))
