"""Learning on the chip itself, with its own forward pass: the options, and what comes of it.

A chip whose weights were only transferred knows nothing of its own faults. Here its neurons answer,
and what they answer changes its weights: by a fixed pulse a weight (`manhattan`: Prezioso et al.,
Nature 521, 61, 2015), by a pulse as strong as the weight's gradient (`delta`), or by training its
weights again in software around what was measured of it (`fine_tuning`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import model_validator

from labctl.config import Count, Fraction, PositiveFraction, PositiveSeconds, PositiveVolts, Section, Seed
from labctl.plan import Plan
from labctl.programming.common import Outcome, Programming, Reading, Spent
from labctl.pulse import Floats
from labctl.training.inference import Inference

Rule: TypeAlias = Literal["none", "manhattan", "delta", "fine_tuning"]


class FineTuning(Section):
    """How targets are trained again around what was measured, and programmed."""

    rounds: Count = 3
    """At most; a round that promises no gain is not driven."""
    least_gain: Fraction = 0.002
    """Of computed accuracy under noise, for which devices are programmed again."""
    weight_noise: Fraction = 0.05
    """Standard deviation on each weight that can move, of the largest weight."""
    steps: Count = 100
    starts: Count = 8
    """Random ones, beside the chip as it is and the orders of its hidden neurons."""
    stuck_beyond: PositiveFraction = 0.2
    """Relative distance of a read from its target beyond which a device is taken for stuck."""


class Manhattan(Section):
    """One fixed pulse a weight and epoch, of which only the sign is learnt."""

    epochs: Count = 60
    """At most."""
    enough: Count = 5
    """Epochs in a row with every pattern right, after which the chip has learnt."""
    set_volts: PositiveVolts = 0.3
    """Across a device in the middle of the window: the source's are higher by its series resistors."""
    reset_volts: PositiveVolts = 0.12
    """The same; applied negative."""
    seconds: PositiveSeconds = 20e-6
    least_slope: Fraction = 0.3
    """Of the steepest in its layer: a weight with a flatter one gets no pulse."""


class Delta(Section):
    """One pulse a weight and epoch, as strong as its gradient asks for, not verified."""

    epochs: Count = 60
    """At most."""
    enough: Count = 5
    """Epochs in a row with every pattern right, after which the chip has learnt."""
    rate: PositiveFraction = 0.5
    """Change of the steepest weight of a layer in the first epoch, of the largest weight; it falls to a
    tenth."""
    least_change: PositiveFraction = 0.01
    """Of the largest weight: a smaller change is not worth a pulse."""
    read_every: Count = 1
    """Epochs from one read of all sites to the next."""


class Learning(Section):
    """What the chip learns after, or in place of, the transfer of target weights."""

    rule: Rule = "none"
    transfer: bool = True
    """Target weights are programmed first; if not, learning starts from the devices as they are."""
    pixel_noise: Fraction = 0.15
    """Standard deviation on each pixel, of a lit one: applied to the chip, or in fine tuning computed."""
    seed: Seed = 0
    fine_tuning: FineTuning = FineTuning()
    manhattan: Manhattan = Manhattan()
    delta: Delta = Delta()

    @model_validator(mode="after")
    def _sensible(self) -> Learning:
        """Refuse what would leave the chip untrained, and options of a rule that is not the chosen one."""
        if self.rule == "none" and not self.transfer:
            raise ValueError(
                "transfer = false without a rule would train nothing; allowed: a rule, or transfer = true"
            )
        for rule in ("fine_tuning", "manhattan", "delta"):
            if rule != self.rule and getattr(self, rule) != type(getattr(self, rule))():
                raise ValueError(
                    f"options of {rule}, but the rule is {self.rule}; allowed: the table of the chosen rule"
                )
        return self


@dataclass(frozen=True, slots=True)
class Epoch:
    """One look at the chip while it learnt, and what was done to it before."""

    right: int
    """Patterns that its neurons classified right, ideal or noisy as they were applied."""
    of: int
    accuracy: float
    """Fine tuning: computed under noise with the measured circuit. Others: the part that was right."""
    pulses: int
    """Programming pulses since the look before."""
    sites: int
    """How many sites got them."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What came of learning."""

    rule: Rule
    epochs: tuple[Epoch, ...]
    """In the order of time: the last is how the chip was left."""
    frozen: dict[int, str]
    """Sites that were left alone from some time on, and why."""
    offsets: tuple[float, ...] = ()
    """[V] At the input of each neuron, as fine tuning found them; NaN where nothing told of one."""
    outcomes: tuple[Outcome, ...] = ()
    """Fine tuning: what became of every site, transfer included."""
    stopped: str = ""
    """Why it ended before its time."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What learning may do to a chip, as the rest of the training is told to do it."""

    inference: Inference
    reading: Reading
    programming: Programming
    missed: Floats
    """[1], shape (sites,): by what factor each target is missed on purpose."""
    spent: Mapping[int, Spent]
    """By site: what programming has cost before, transfer included."""
    program: Callable[[Mapping[int, float], Floats, Mapping[int, Spent]], Plan[tuple[Outcome, ...]]]
    """Bring sites from their present conductances [S] to targets [S], shape (sites,), with what was spent."""
    short: frozenset[int] = frozenset()
    """Sites that read as shorts before anything was sent to them."""
