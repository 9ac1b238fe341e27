"""The on-chip training controller: from an image set to a chip that classifies it.

The algorithm is that of arXiv:2408.14680: target weights are trained in software and mapped to
conductances (`labctl.assignment`); then, on the chip (`train`), all sites are examined, reset or not,
and each is adjusted by the difference between target and present conductance, with a read after every
pulse; at last the patterns are applied and the chip's own neurons answer. Where the paper is
silent the choices are this project's, each an option with a default.

Everything here is a plan or a pure function: no I/O, no board. Whatever drives the plan may throw
an error in at a `yield`; a site that fails is marked, with the reason, and training goes on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from labctl.addressing import level, select
from labctl.assignment import Assignment, ConductanceError, Software, predicted
from labctl.config import PositiveSeconds, PositiveVolts, Section
from labctl.errors import BoardFault
from labctl.inference import Inference, Tested, Testing, classify, disturbed, inferences, tested
from labctl.network import right
from labctl.plan import Plan
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.reading import conductance
from labctl.spec import Spec
from labctl.write_verify import NOTHING, Outcome, Programming, Reading, Spent, read, write_verify


class Reset(Section):
    """The reset of all devices before they are adjusted; left out unless asked for."""

    enabled: bool = False
    volts: PositiveVolts = 2.0
    """Of the source; applied negative."""
    seconds: PositiveSeconds = 2e-3


def _in_order(how: Programming) -> Programming:
    if not how.shortest <= how.longest:
        raise ValueError(f"shortest, {how.shortest:g} s, is more than longest, {how.longest:g} s")
    return how


class Training(Section):
    """All options of the controller."""

    software: Software = Software()
    reading: Reading = Reading()
    reset: Reset = Reset()
    programming: Annotated[Programming, AfterValidator(_in_order)] = Programming()
    missed: ConductanceError = ConductanceError()
    inference: Inference = Inference()
    testing: Testing = Testing()


@dataclass(frozen=True, slots=True)
class Trained:
    """What the chip has become."""

    outcomes: tuple[Outcome, ...]
    """In the order in which the sites were programmed."""
    conductances: Floats
    """[S], shape (sites,), read after the last pulse; NaN without a synapse, or not readable."""
    answers: Floats
    """[V], shape (patterns,): output of the last neuron."""
    predicted: Floats
    """[V], shape (patterns,): what an ideal circuit would answer with these conductances."""
    right: int
    """Patterns that the chip classified right."""
    tested: tuple[Tested, ...] = ()
    """With noise on the pixels."""


def train(
    assignment: Assignment,
    spec: Spec,
    how: Training,
    *,
    skip_reset: bool = False,
    spent: Mapping[int, Spent] | None = None,
) -> Plan[Trained]:
    """Examine, reset or not, adjust site by site, read all again, and let the chip classify.

    A run that was interrupted goes on with what its sites have `spent` (by site) and `skip_reset`:
    sites are read again first, what is done is not undone, and caps hold for the sum.
    """
    sites = _sites(assignment)
    present = yield from examine(spec, sites, how.reading)
    if how.reset.enabled and not skip_reset:
        present = yield from reset(spec, sites, how)
    outcomes = yield from adjust(spec, assignment, present, how, spent or {})
    final = yield from examine(spec, sites, how.reading)
    conductances = np.full(len(spec.sites), np.nan)
    conductances[sites] = [final[site] for site in sites]
    pixels, volts = assignment.images.pixels, assignment.read_volts
    answers = yield from classify(spec, pixels, volts, how.inference)
    noisy = yield from tested(spec, assignment, how.testing, how.inference)
    return Trained(
        outcomes,
        conductances,
        answers,
        predicted(assignment, spec, conductances),
        int(right(answers, assignment.images.labels).sum()),
        noisy,
    )


def foreseen(assignment: Assignment, spec: Spec, how: Training) -> list[Pulse]:
    """All pulses that are known before anything is driven: reads, resets if there are any, inference.

    Whoever has them checked first need not find out at the end, on a worn chip, that it cannot classify.
    """
    sites = _sites(assignment)
    resets = _resets(spec, sites, how.reset) if how.reset.enabled else []
    patterns = [assignment.images.pixels, *(pixels for *_, pixels in disturbed(assignment, how.testing))]
    asked = inferences(spec, np.concatenate(patterns), assignment.read_volts, how.inference)
    return [*_reads(spec, sites, how.reading), *resets, *asked]


def _sites(assignment: Assignment) -> list[int]:
    """The sites that hold a synapse, in the order in which they are programmed."""
    return [int(site) for site in assignment.placement.order()]


def _reads(spec: Spec, sites: Sequence[int], how: Reading) -> list[Pulse]:
    return [read(spec, site, how) for site in sites]


def _resets(spec: Spec, sites: Sequence[int], how: Reset) -> list[Pulse]:
    wave = level(spec, -how.volts, how.seconds, longest_edge=1e-6)
    return [select(spec, site, wave, Purpose.RESET) for site in sites]


def examine(spec: Spec, sites: Sequence[int], how: Reading) -> Plan[dict[int, float]]:
    """The conductance [S] of each of these sites, read in one list; NaN where a trace says nothing of it."""
    pulses = _reads(spec, sites, how)
    traces = yield pulses
    return {
        site: _readable(spec, pulse, trace, site)
        for site, pulse, trace in zip(sites, pulses, traces, strict=True)
    }


def _readable(spec: Spec, pulse: Pulse, trace: Trace, site: int) -> float:
    """One bad site must not end the training of the others."""
    try:
        return conductance(spec, pulse, trace, site)
    except BoardFault:
        return math.nan


def reset(spec: Spec, sites: Sequence[int], how: Training) -> Plan[dict[int, float]]:
    """One reset pulse on each of these sites, then what they read [S]."""
    yield _resets(spec, sites, how.reset)
    return (yield from examine(spec, sites, how.reading))


def adjust(
    spec: Spec,
    assignment: Assignment,
    present: Mapping[int, float],
    how: Training,
    spent: Mapping[int, Spent],
) -> Plan[tuple[Outcome, ...]]:
    """Bring one site after the other from its `present` conductance [S] to its target."""
    outcomes: list[Outcome] = []
    for site, now in present.items():
        target, before = float(assignment.targets[site]), spent.get(site, NOTHING)
        plan = write_verify(spec, site, target, now, how.programming, how.reading, before)
        outcomes.append((yield from plan))
    return tuple(outcomes)
