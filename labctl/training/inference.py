"""Let the chip classify: the ideal patterns, and the same with noise on their pixels.

Noise is put on what the board is asked to apply, so that a bench is tested as a simulation is: a
Gaussian on each pixel voltage, in parts of a lit pixel's (a negative voltage is applied as such), and
pixels that are inverted. A list is one call of the board.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from labctl.addressing import infer
from labctl.config import Count, Fraction, PositiveSeconds, Section, Seed
from labctl.network import right
from labctl.plan import Plan
from labctl.pulse import Floats, Pulse
from labctl.reading import settled_volts
from labctl.spec import Spec
from labctl.training.assignment import Assignment
from labctl.training.target_weights import Noise

Disturbance: TypeAlias = Literal["noise", "flips"]


class Inference(Section):
    """How patterns are applied. The pixel voltage is that of the neurons' rails."""

    seconds: PositiveSeconds = 50e-6


class Testing(Section):
    """With what noise the trained chip is tested, beside the ideal patterns."""

    noise: tuple[Fraction, ...] = ()
    """Standard deviations on each pixel voltage, each a test of its own."""
    flips: tuple[Fraction, ...] = ()
    """Probabilities that a pixel is inverted."""
    draws: Count = 10
    """Noisy copies of every pattern in a test."""
    seed: Seed = 0


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of one test."""

    disturbance: Disturbance
    level: float
    """Standard deviation, or probability."""
    right: int
    of: int

    @property
    def accuracy(self) -> float:
        """Part of the answers that was right."""
        return self.right / self.of


def inferences(spec: Spec, pixels: Floats, read_volts: float, how: Inference) -> list[Pulse]:
    """One pulse for each row of `pixels` (patterns, inputs), in lit pixels; at least the board's shortest."""
    seconds = max(how.seconds, spec.shortest_pulse)
    return [infer(spec, row * read_volts, seconds) for row in pixels]


def classify(spec: Spec, pixels: Floats, read_volts: float, how: Inference) -> Plan[Floats]:
    """[V], shape (patterns,): what the chip's last neuron answers to each pattern, in one list."""
    pulses = inferences(spec, pixels, read_volts, how)
    traces = yield pulses
    output = spec.neurons[-1].output
    return np.array(
        [settled_volts(pulse, trace, output) for pulse, trace in zip(pulses, traces, strict=True)]
    )


def disturbed(assignment: Assignment, how: Testing) -> Iterable[tuple[Disturbance, float, Floats]]:
    """The pixels of each test, shape (draws * patterns, inputs): the same for every chip and board."""
    images = np.tile(assignment.images.pixels, (how.draws, 1))
    for place, level in enumerate(how.noise):
        rng = np.random.default_rng([how.seed, 0, place])
        yield "noise", level, Noise(pixels=level).on_inputs(images, 0.0, rng)
    for place, level in enumerate(how.flips):
        rng = np.random.default_rng([how.seed, 1, place])
        yield "flips", level, Noise(flips=level).on_inputs(images, 0.0, rng)


def tested(
    spec: Spec, assignment: Assignment, how: Testing, inference: Inference
) -> Plan[tuple[Tested, ...]]:
    """How many answers are right in each test."""
    found = list[Tested]()
    labels = np.tile(assignment.images.labels, how.draws)
    for kind, level, pixels in disturbed(assignment, how):
        answers = yield from classify(spec, pixels, assignment.read_volts, inference)
        found.append(Tested(kind, level, int(right(answers, labels).sum()), len(labels)))
    return tuple(found)
