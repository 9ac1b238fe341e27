"""Chip-in-the-loop fine tuning: look at the chip, train again around what it is, program what moved.

After the transfer all sites are read and the neurons answer to all patterns. Devices that would not
move are frozen at what they read. Where a neuron is between its rails, what it answers beyond what
its devices explain is the noise gain times its offset. Targets are then trained again in software
(`retraining`) for this circuit, and a site is programmed where its target has moved by more
than the tolerance. That is repeated while it promises to gain something; in the end the chip is left
at, or brought back to, the best of what it has been.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from labctl.errors import BoardFault, LimitExceeded
from labctl.network import Matrices, right
from labctl.plan import Plan
from labctl.programming.common import NOTHING, Ending, Outcome
from labctl.pulse import Bools, Floats
from labctl.spec import Spec
from labctl.training.assignment import Assignment
from labctl.training.learning.circuit import Circuit, flattened, matrices, measured_circuit, probes
from labctl.training.learning.forward_pass import examine, forward
from labctl.training.learning.options import Epoch, Hands, Learning, Learnt
from labctl.training.learning.retraining import Retraining, judge, retrain

ATTEMPTS = 3
"""Times that a look at the chip is tried where the board fails."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The chip as it was measured at one time."""

    siemens: Floats
    """[S], shape (synapses,), in the order of the placement; NaN where it could not be read."""
    weights: Floats
    circuit: Circuit
    right: int
    accuracy: float
    """Computed under noise, but no better than what was measured."""
    margin: float
    pulses: int = 0
    sites: int = 0

    @property
    def worth(self) -> tuple[float, float]:
        """What looks are compared by."""
        return self.accuracy, self.margin


def fine_tune(
    spec: Spec, assignment: Assignment, how: Learning, hands: Hands, outcomes: Sequence[Outcome]
) -> Plan[Learnt]:
    """Learn around what is wrong with this chip, from the `outcomes` of the transfer, if there was one."""
    return (yield from _Tuner(spec, assignment, how, hands, outcomes).tuned())


class _Tuner:
    """What is known of one chip while it is tuned."""

    def __init__(
        self, spec: Spec, assignment: Assignment, how: Learning, hands: Hands, outcomes: Sequence[Outcome]
    ) -> None:
        self._spec, self._goal, self._how, self._hands = spec, assignment, how, hands
        self._order = [int(site) for site in assignment.placement.order()]
        self._missed = hands.missed[self._order]
        self._spent = dict(hands.spent)
        self._sizes = assignment.network.sizes
        self._outcomes = {outcome.site: outcome for outcome in outcomes}
        self._frozen = {one.site: one.why for one in outcomes if one.ending is not Ending.DONE}
        self._strayed = set[int]()
        self._looks = list[Look]()
        window, activations = assignment.window, assignment.network.activations
        none = tuple(np.zeros(neurons) for neurons in self._sizes[1:])
        self._bare = Circuit(activations, window.reference / window.scale, none)
        """The neurons without offsets."""
        options = how.fine_tuning
        self._retraining = Retraining(
            how.pixel_noise, options.weight_noise, steps=options.steps, starts=options.starts
        )

    def tuned(self) -> Plan[Learnt]:
        """Look, train, program; until it is of no use, or the rounds are used up."""
        stopped = ""
        try:
            yield from self._look()
            for turn in range(self._how.fine_tuning.rounds):
                targets = self._better(turn)
                if targets is None:
                    break
                before, frozen = max(look.worth for look in self._looks), len(self._frozen)
                yield from self._moved(targets)
                if not self._looks[-1].worth > before and len(self._frozen) == frozen:
                    break  # nothing was gained, and nothing new is known
            best = max(self._looks, key=lambda look: look.worth)
            if best is not self._looks[-1]:
                yield from self._moved(best.siemens)
        except (BoardFault, LimitExceeded) as error:
            stopped = error.wrong
        return self._learnt(stopped)

    # ---- what the chip is

    def _look(self, pulses: int = 0, sites: int = 0) -> Plan[None]:
        """Read all sites and let all neurons answer; what the board fails at is tried again."""
        for attempt in range(ATTEMPTS):
            try:
                read = yield from examine(self._spec, self._order, self._hands.reading)
                siemens = np.array([read[site] for site in self._order])
                pixels = self._applied(siemens)
                volts, how = self._goal.read_volts, self._hands.inference
                outputs = yield from forward(self._spec, pixels, volts, how)
            except BoardFault:
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            self._freeze(read)
            look = self._seen(siemens, pixels, outputs)
            self._looks.append(replace(look, pulses=pulses, sites=sites))
            return

    def _freeze(self, read: Mapping[int, float]) -> None:
        """Leave alone what cannot be read, or for the second time is far from where it was programmed to."""
        beyond = self._how.fine_tuning.stuck_beyond
        for site, now in read.items():
            if not math.isfinite(now):
                self._frozen.setdefault(site, "it could not be read")
            elif site in self._outcomes and not abs(now / self._outcomes[site].target - 1) <= beyond:
                if site in self._strayed:
                    self._frozen.setdefault(site, "it does not stay where it was programmed to")
                self._strayed.add(site)

    def _weights(self, siemens: Floats) -> Floats:
        """Of an unreadable device nothing is known."""
        return np.nan_to_num(self._goal.window.weights(siemens), nan=0.0)

    def _applied(self, siemens: Floats) -> Floats:
        """All patterns, then what brings each hidden neuron between its rails; shape (rows, inputs)."""
        weights = matrices(self._weights(siemens), self._sizes)
        return np.concatenate([self._goal.images.pixels, probes(self._bare, weights)])

    def _seen(self, siemens: Floats, pixels: Floats, outputs: Matrices) -> Look:
        """What the measured numbers amount to."""
        images, weights = self._goal.images, self._weights(siemens)
        circuit, known = measured_circuit(self._bare, matrices(weights, self._sizes), pixels, outputs)
        judged = judge(images, circuit, self._sizes, weights[None], self._retraining, self._how.seed)
        count = int(right(outputs[-1][: len(images), 0], images.labels).sum())
        accuracy = min(float(judged.accuracy[0]), count / len(images))
        self._offsets = np.where(known, flattened(circuit.offsets) * self._goal.read_volts, np.nan)
        return Look(siemens, weights, circuit, count, accuracy, float(judged.margin[0]))

    # ---- what it is to become

    def _better(self, turn: int) -> Floats | None:
        """[S], shape (synapses,): targets that promise enough more; of as good ones, those nearest by."""
        now, how, least = self._looks[-1], self._retraining, self._how.fine_tuning.least_gain
        if not max(look.accuracy for look in self._looks) + least < 1.0:
            return None
        rng = np.random.default_rng([self._how.seed, turn, 0x17])
        meant, free = flattened(self._goal.network.weights), self._free()
        images, sizes = self._goal.images, self._sizes
        rows = retrain(images, now.circuit, sizes, now.weights, meant, free, how, rng)
        judged = judge(images, now.circuit, sizes, rows, how, self._how.seed)
        best = float(judged.accuracy.max())
        if not best > max(look.accuracy for look in self._looks) + least:
            return None
        good = np.flatnonzero(judged.accuracy > best - least / 2)
        moved = [int(self._far(self._siemens(rows[row], now), now.siemens).sum()) for row in good]
        return self._siemens(rows[good[int(np.argmin(moved))]], now)

    def _free(self) -> Bools:
        return np.array([site not in self._frozen for site in self._order])

    def _siemens(self, weights: Floats, now: Look) -> Floats:
        """[S] that these weights need, missed as all targets are; what cannot move stays what it is."""
        window = self._goal.window
        meant = (window.reference + window.scale * weights) * self._missed
        return np.where(self._free(), meant, now.siemens)

    def _far(self, targets: Floats, siemens: Floats) -> Bools:
        """Which sites are to be programmed."""
        return self._free() & ~(np.abs(siemens - targets) <= self._hands.programming.tolerance * targets)

    # ---- and how

    def _moved(self, targets: Floats) -> Plan[None]:
        """Program what is to move, and look again."""
        now = self._looks[-1].siemens
        places = np.flatnonzero(self._far(targets, now))
        present = {self._order[place]: float(now[place]) for place in places}
        by_site = np.full(len(self._spec.sites), np.nan)
        by_site[self._order] = targets
        spent = {site: self._spent.get(site, NOTHING) for site in present}
        found = yield from self._hands.program(present, by_site, spent)
        pulses = sum(one.pulses - spent[one.site].pulses for one in found)
        for one in found:
            if one.ending is not Ending.DONE:
                self._frozen.setdefault(one.site, one.why)
            self._spent[one.site] = one.spent
            earlier = self._outcomes.get(one.site)
            path = (*earlier.path, *one.path[1:]) if earlier else one.path
            self._outcomes[one.site] = replace(one, before=path[0], path=path)
        yield from self._look(pulses, len(present))

    def _learnt(self, stopped: str) -> Learnt:
        epochs = [
            Epoch(one.right, len(self._goal.images), one.accuracy, one.pulses, one.sites)
            for one in self._looks
        ]
        return Learnt(
            "fine_tuning",
            tuple(epochs),
            dict(sorted(self._frozen.items())),
            tuple(float(one) for one in self._offsets) if epochs else (),
            tuple(self._outcomes.values()),
            stopped,
        )
