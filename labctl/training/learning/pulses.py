"""Learning by pulses that are not verified: epoch by epoch, the chip answers and its weights are changed.

The patterns of an epoch are applied with noise on their pixels. All neurons are measured, the weights
behind the hidden ones are read, and a rule (`rules`) says which weight gets which pulse.
An epoch in which every pattern was right changes nothing, and a few of them in a row end it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from labctl.energy import charges
from labctl.errors import BoardFault, LimitExceeded
from labctl.network import Matrices, right
from labctl.plan import Plan
from labctl.programming.common import NOTHING, Ending, Programming, Spent, cap
from labctl.programming.contact import looks_short
from labctl.pulse import Floats, Pulse, Trace
from labctl.spec import Spec
from labctl.training.assignment import Assignment
from labctl.training.inference import Inference, inferences
from labctl.training.learning.forward_pass import examine, forward
from labctl.training.learning.options import Epoch, Hands, Learning, Learnt
from labctl.training.learning.rules import DeltaRule, ManhattanRule, Rule, measured_slopes
from labctl.training.target_weights import Noise

FAILURES_MOST = 3
"""Epochs in a row that the board may fail at."""


def learn_by_pulses(spec: Spec, assignment: Assignment, how: Learning, hands: Hands) -> Plan[Learnt]:
    """Epoch by epoch: answer, compare, pulse. An epoch with every pattern right changes nothing."""
    pupil = _Pupil(spec, assignment, how, hands)
    stopped = yield from pupil.taught()
    frozen = dict(sorted(pupil.frozen.items()))
    return Learnt(how.rule, tuple(pupil.epochs), frozen, stopped=stopped)


class _Pupil:
    """One chip while it learns."""

    def __init__(self, spec: Spec, assignment: Assignment, how: Learning, hands: Hands) -> None:
        self._spec, self._goal, self._hands = spec, assignment, hands
        self._rule = rule_of(spec, assignment, how, hands.programming)
        self._pixels = noisy_pixels(assignment, how, self._rule.epochs)
        self._order = [int(site) for site in assignment.placement.order()]
        self.frozen = dict.fromkeys(sorted(hands.short), str(Ending.SHORT))
        self.epochs = list[Epoch]()
        self._spent = dict(hands.spent)
        self._pulses = 0
        """Since the look before."""

    def taught(self) -> Plan[str]:
        """Teach it, and look at it once more without noise; why it ended before its time."""
        good = failures = 0
        for epoch, pixels in enumerate(self._pixels):
            try:
                good = good + 1 if (yield from self._epoch(epoch, pixels)) else 0
                failures = 0
            except LimitExceeded as error:
                return error.wrong
            except BoardFault as error:
                failures += 1
                if failures == FAILURES_MOST:
                    return error.wrong
            if good == self._rule.enough:
                break
        try:
            yield from self._look(self._goal.images.pixels)
        except (BoardFault, LimitExceeded) as error:
            return error.wrong
        return ""

    def _epoch(self, epoch: int, pixels: Floats) -> Plan[bool]:
        """One of them; whether every pattern was right, so that nothing was changed."""
        answers = yield from self._look(pixels)
        if self.epochs[-1].right == self.epochs[-1].of:
            return True
        behind = self._order[self._goal.placement.sites[0].size :]
        sites = self._order if self._rule.reads(epoch) else behind
        read = yield from examine(self._spec, sites, self._hands.reading)
        for site, now in read.items():
            if not math.isfinite(now):
                self.frozen.setdefault(site, "it could not be read")
            elif looks_short(self._spec, site, now):
                self.frozen.setdefault(site, str(Ending.SHORT))
        self._rule.learn(read)
        self._freeze_capped()
        slopes = measured_slopes(self._goal, pixels, answers, read)
        free = {site: slope for site, slope in slopes.items() if site not in self.frozen}
        pulses = self._rule.pulses(epoch, free)
        self._pulses = len(pulses)
        self.frozen |= yield from each(pulses, self._book)
        return False

    def _freeze_capped(self) -> None:
        """Caps hold for these pulses as for those of programming, and for the sum of both."""
        for site, spent in self._spent.items():
            ending = cap(spent, 0, self._hands.programming)
            if ending is not Ending.DONE:
                self.frozen.setdefault(site, str(ending))

    def _book(self, sites: Sequence[int], pulses: Sequence[Pulse], traces: Sequence[Trace]) -> None:
        """What one pulse on each of these sites cost, of those that were measured."""
        for site, charge in zip(sites, charges(self._spec, pulses, traces), strict=False):
            before = self._spent.get(site, NOTHING)
            seconds, joules = before.seconds + sum(charge.seconds), before.joules + charge.joules[0]
            self._spent[site] = Spent(before.pulses + 1, seconds, joules)

    def _look(self, pixels: Floats) -> Plan[Matrices]:
        """What the neurons put out."""
        goal, labels = self._goal, self._goal.images.labels
        answers = yield from forward(self._spec, pixels, goal.read_volts, self._hands.inference)
        count = int(right(answers[-1][:, 0], labels).sum())
        self.epochs.append(Epoch(count, len(labels), count / len(labels), self._pulses, self._pulses))
        self._pulses = 0
        return answers


def rule_of(spec: Spec, assignment: Assignment, how: Learning, programming: Programming) -> Rule:
    """The rule that was chosen."""
    if how.rule == "manhattan":
        return ManhattanRule(spec, assignment, how.manhattan)
    return DeltaRule(spec, assignment, how.delta, programming)


Book: TypeAlias = Callable[[Sequence[int], Sequence[Pulse], Sequence[Trace]], None]
"""Told the sites and the pulses of a list, and the traces of those that were measured."""


def each(pulses: Mapping[int, Pulse], book: Book) -> Plan[dict[int, str]]:
    """Drive one pulse a site, in one list; why those failed that did. The others get theirs all the same.

    A list that is refused is tried in halves. Of one that went wrong, the pulse after the last trace is
    the one it went wrong at.
    """
    failed, waiting = dict[int, str](), [list(pulses)]
    while waiting:
        sites = waiting.pop()
        if not sites:
            continue
        asked = [pulses[site] for site in sites]
        try:
            book(sites, asked, (yield asked))
        except LimitExceeded as error:
            if len(sites) == 1:
                failed[sites[0]] = error.wrong
            else:
                middle = len(sites) // 2
                waiting += [sites[middle:], sites[:middle]]
        except BoardFault as error:
            book(sites, asked, error.traces)
            at = min(len(error.traces), len(sites) - 1)
            failed[sites[at]] = error.wrong
            waiting.append(sites[at + 1 :])
    return failed


def noisy_pixels(assignment: Assignment, how: Learning, epochs: int) -> list[Floats]:
    """Of each epoch, shape (patterns, inputs), in lit pixels."""
    noise, pixels = Noise(pixels=how.pixel_noise), assignment.images.pixels
    rng = np.random.default_rng([how.seed, 0x2E])
    return [noise.on_inputs(pixels, 0.0, rng) for _ in range(epochs)]


def foreseen_pulses(spec: Spec, assignment: Assignment, how: Learning, inference: Inference) -> list[Pulse]:
    """Those that are known before anything is driven: noisy patterns, and what the Manhattan rule sends."""
    if how.rule not in ("manhattan", "delta"):
        return []
    options = how.manhattan if how.rule == "manhattan" else how.delta
    pixels = np.concatenate(noisy_pixels(assignment, how, options.epochs))
    asked = inferences(spec, pixels, assignment.read_volts, inference)
    fixed = ManhattanRule(spec, assignment, how.manhattan).all_pulses if how.rule == "manhattan" else []
    return [*fixed, *asked]
