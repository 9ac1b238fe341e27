"""What there is to do for a file: which networks to train, from which, and on which chips to try each.

All networks of a seed begin with the same plain training. Those of standard training know nothing of a
condition, so there is one for all of them; noise-aware training knows the parts of a chip alone, so
conditions that differ in the circuit share a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.aware.conditions import Condition, conditions
from labctl.aware.file import AwareFile, Compared
from labctl.config import Count

START = "start"
"""The kind of networks that had the plain training which comes first, and nothing else yet."""
CALIBRATED = "calibrated"
"""The kind of networks that had standard training, and then one gain a layer for the chips of a condition."""
CHIPS: Count = 20
"""On which the network of a training is tried, where nobody says."""


@dataclass(frozen=True)
class Job:
    """A network to train, and the chips to try it on."""

    aware: str
    """`START`, "standard", `CALIBRATED`, "noise" or "technology"."""
    seed: int
    trained_for: Condition | None
    tried_on: tuple[Condition, ...]

    @property
    def key(self) -> str:
        """The name of the network in the record."""
        known = f" for {self.trained_for.key}" if self.trained_for else ""
        return f"{self.aware} {self.seed}{known}"

    def trial(self, condition: Condition) -> str:
        """The name under which its chips of that condition are kept."""
        return trial_key(self.aware, self.seed, condition)


def trial_key(aware: str, seed: int, condition: Condition) -> str:
    """The name under which chips are kept that had the network of this kind and seed on them."""
    return f"{aware} {seed} on {condition.key}"


def of_training(file: AwareFile) -> tuple[Job, Job]:
    """A network before and after the training that its file asks for, each for the file's own chips."""
    own, seed = Condition.of(file.technology), file.training.seed
    first = Job(START, seed, None, (own,))
    return first, Job(file.training.aware, seed, _known(file.training.aware, own), (own,))


def of_sweep(file: AwareFile) -> tuple[Job, ...]:
    """Every network of a sweep, seed by seed, each after those that it begins with."""
    if file.sweep is None:
        return ()
    first = file.training.seed
    return tuple(job for seed in range(first, first + file.sweep.seeds) for job in _of_seed(file, seed))


def _of_seed(file: AwareFile, seed: int) -> Iterator[Job]:
    yield Job(START, seed, None, ())
    for aware in file.sweep.aware if file.sweep else ():
        shared: dict[Condition | None, list[Condition]] = {}
        for condition in conditions(file):
            shared.setdefault(_known(aware, condition), []).append(condition)
        for known, tried_on in shared.items():
            yield Job(aware, seed, known, tuple(tried_on))


def _known(aware: Compared, condition: Condition) -> Condition | None:
    """What training of this kind is told of a condition."""
    match aware:
        case "standard":
            return None
        case "noise":
            return condition.without_circuit()
        case "technology" | "calibrated":
            return condition
