"""The on-chip training controller: from an image set to a chip that classifies it.

The algorithm is that of arXiv:2408.14680: target weights are trained in software and mapped to
conductances (`assignment`); then, on the chip (`train`), all sites are examined, reset or not,
and each is adjusted by the difference between target and present conductance, with a read after every
pulse; at last the patterns are applied and the chip's own neurons answer. Where the paper is
silent the choices are this project's, each an option with a default. Beyond the paper, the chip may
learn from what its own neurons answer (`labctl.training.learning`), after the transfer or in place of it.

Everything here is a plan or a pure function: no I/O, no board. Whatever drives the plan may throw
an error in at a `yield`; a site that fails is marked, with the reason, and training goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from labctl.addressing import level, select
from labctl.config import PositiveSeconds, PositiveVolts, Section
from labctl.network import right
from labctl.plan import Plan
from labctl.programming.contact import looks_short
from labctl.programming.prediction import Response
from labctl.programming.write_verify import (
    NOTHING,
    Experience,
    Outcome,
    Programming,
    Reading,
    Spent,
    write_verify,
)
from labctl.pulse import Floats, Pulse, Purpose
from labctl.spec import Spec
from labctl.together import side_by_side
from labctl.training.assignment import Assignment, ConductanceError, Software, error_factors, predicted
from labctl.training.inference import Inference, Tested, Testing, classify, disturbed, inferences, tested
from labctl.training.learning.fine_tuning import fine_tune
from labctl.training.learning.forward_pass import examine, reads
from labctl.training.learning.options import Hands, Learning, Learnt
from labctl.training.learning.pulses import foreseen_pulses, learn_by_pulses


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
    learning: Learning = Learning()
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
    learnt: Learnt | None = None
    """What came of learning on the chip; None where there was none."""


def train(
    assignment: Assignment,
    spec: Spec,
    how: Training,
    *,
    skip_reset: bool = False,
    spent: Mapping[int, Spent] | None = None,
    response: Response | None = None,
) -> Plan[Trained]:
    """Examine, reset or not, adjust site by site, read all again, and let the chip classify.

    A run that was interrupted goes on with what its sites have `spent` (by site) and `skip_reset`:
    sites are read again first, what is done is not undone, and caps hold for the sum. The predictive
    method asks `response` what devices do.
    """
    known = Known(response)
    sites = _sites(assignment)
    present = yield from examine(spec, sites, how.reading)
    if how.reset.enabled and not skip_reset:
        present = yield from reset(spec, present, how)
    outcomes = tuple[Outcome, ...]()
    if how.learning.transfer:
        outcomes = yield from adjust(spec, assignment, present, how, spent or {}, known)
    learnt = yield from learn(spec, assignment, present, outcomes, how, spent or {}, known)
    final = yield from examine(spec, sites, how.reading)
    conductances = np.full(len(spec.sites), np.nan)
    conductances[sites] = [final[site] for site in sites]
    pixels, volts = assignment.images.pixels, assignment.read_volts
    answers = yield from classify(spec, pixels, volts, how.inference)
    noisy = yield from tested(spec, assignment, how.testing, how.inference)
    return Trained(
        learnt.outcomes or outcomes if learnt else outcomes,
        conductances,
        answers,
        predicted(assignment, spec, conductances),
        int(right(answers, assignment.images.labels).sum()),
        noisy,
        learnt,
    )


def learn(
    spec: Spec,
    assignment: Assignment,
    present: Mapping[int, float],
    outcomes: Sequence[Outcome],
    how: Training,
    spent: Mapping[int, Spent],
    known: Known,
) -> Plan[Learnt | None]:
    """Let the chip learn by the rule that was chosen, from the `outcomes` of the transfer, if any.

    New targets are missed by what the first ones were missed by; caps hold for all that was `spent`;
    `present` is what sites read [S] before the transfer: shorts are left alone.
    """

    def program(
        present: Mapping[int, float], targets: Floats, spent: Mapping[int, Spent]
    ) -> Plan[tuple[Outcome, ...]]:
        return adjust(spec, replace(assignment, targets=targets), present, how, spent, known)

    missed = error_factors(how.missed, len(spec.sites))
    before = {**spent, **{outcome.site: outcome.spent for outcome in outcomes}}
    shorts = frozenset(site for site, now in present.items() if looks_short(spec, site, now))
    hands = Hands(how.inference, how.reading, how.programming, missed, before, program, shorts)
    if how.learning.rule == "fine_tuning":
        return (yield from fine_tune(spec, assignment, how.learning, hands, outcomes))
    if how.learning.rule != "none":
        return (yield from learn_by_pulses(spec, assignment, how.learning, hands))
    return None


def foreseen(assignment: Assignment, spec: Spec, how: Training) -> list[Pulse]:
    """All pulses that are known before anything is driven: reads, resets, of learning, inference.

    Whoever has them checked first need not find out at the end, on a worn chip, that it cannot classify.
    """
    sites = _sites(assignment)
    resets = _resets(spec, sites, how.reset) if how.reset.enabled else []
    patterns = [assignment.images.pixels, *(pixels for *_, pixels in disturbed(assignment, how.testing))]
    asked = inferences(spec, np.concatenate(patterns), assignment.read_volts, how.inference)
    learning = foreseen_pulses(spec, assignment, how.learning, how.inference)
    return [*reads(spec, sites, how.reading), *resets, *learning, *asked]


def _sites(assignment: Assignment) -> list[int]:
    """The sites that hold a synapse, in the order in which they are programmed."""
    return [int(site) for site in assignment.placement.order()]


def _resets(spec: Spec, sites: Sequence[int], how: Reset) -> list[Pulse]:
    wave = level(spec, -how.volts, max(how.seconds, spec.shortest_pulse), longest_edge=1e-6)
    return [select(spec, site, wave, Purpose.RESET) for site in sites]


def reset(spec: Spec, present: Mapping[int, float], how: Training) -> Plan[dict[int, float]]:
    """One reset pulse on each of these sites, by what they read [S], then what they read; none on a short."""
    yield _resets(
        spec, [site for site, now in present.items() if not looks_short(spec, site, now)], how.reset
    )
    return (yield from examine(spec, list(present), how.reading))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the devices of a chip, beforehand and from one site to the next."""

    response: Response | None = None
    experience: Experience = field(default_factory=Experience)


def adjust(
    spec: Spec,
    assignment: Assignment,
    present: Mapping[int, float],
    how: Training,
    spent: Mapping[int, Spent],
    known: Known,
) -> Plan[tuple[Outcome, ...]]:
    """Bring each site from its `present` conductance [S] to its target: one after the other, or in rounds."""

    def write(site: int, now: float) -> Plan[Outcome]:
        target, before = float(assignment.targets[site]), spent.get(site, NOTHING)
        options = (how.programming, how.reading, before, known.response, known.experience)
        return write_verify(spec, site, target, now, *options)

    if how.programming.visits == "in rounds":
        return tuple((yield from side_by_side([write(site, now) for site, now in present.items()])))
    outcomes: list[Outcome] = []
    for site, now in present.items():
        outcomes.append((yield from write(site, now)))
    return tuple(outcomes)
