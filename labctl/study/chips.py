"""The work of a study: one chip after the other, trained and tested, each by its number alone.

A row (`labctl.study.rows`) depends on condition and chip and on nothing else: no time of day, no
worker, no order. Target weights are worked out once, by whoever hands the work out: their training is
long enough for the last bits of the processor's own library for matrices to become other weights.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from labctl.bench import Bench, BenchFile, tariff_of
from labctl.board import Board
from labctl.config import build
from labctl.energy import Charge, Ledger
from labctl.errors import BoardFault, BoardGone, BoardHung, LabError, LimitExceeded
from labctl.experiment import Experiment
from labctl.images import ImageSet
from labctl.network import Network
from labctl.pulse import Pulse, Trace
from labctl.running import response_for
from labctl.session import run
from labctl.spec import Spec
from labctl.study.conditions import Condition
from labctl.study.rows import Row, count, row_of
from labctl.training.assignment import Software, assigned, recipe_for
from labctl.training.controller import Training, train
from labctl.training.target_weights import Recipe, train_targets
from labctl.training_session import assigned as goal
from labctl.training_session import result


@dataclass(frozen=True, slots=True)
class Lost:
    """A chip that has no row, because what was to compute it ended or hung: it is to be tried again."""

    error: str
    wrong: str


@dataclass(frozen=True, slots=True)
class Job:
    """Some chips of one condition, with the target weights that they share in turn."""

    condition: Condition
    chips: tuple[int, ...]
    weights: tuple[tuple[Any, ...], ...]
    """For each network its layers, as lists."""


def work(job: Job) -> list[Row | Lost]:
    """The rows of these chips, in their order. What one chip fails at is its row, and stops no other.

    Raises what would be wrong with every chip (`Refused`, such as a board's class that is not here),
    and whatever is a mistake in labctl or in a board's driver; a note says at which chip it was.
    """
    return [_worked(job, chip) for chip in job.chips]


def _worked(job: Job, chip: int) -> Row | Lost:
    try:
        return _trained(job, chip)
    except (LimitExceeded, BoardFault) as error:
        return {"error": type(error).__name__, "wrong": error.wrong}
    except (BoardGone, BoardHung) as error:
        return Lost(type(error).__name__, error.wrong)
    except Exception as error:
        where = f"chip {chip} of condition {job.condition.key}"
        error.add_note(where)
        if isinstance(error, LabError):
            error.wrong = f"{where}: {error.wrong}"
        raise


def _trained(job: Job, chip: int) -> Row:
    condition = job.condition
    board = board_of(condition, chip)
    how = training_of(condition, chip, len(job.weights))
    network = network_of(recipe_for(board.spec, how.software), job.weights[chip % len(job.weights)])
    assignment = assigned(condition.image_set(), network, board.spec, how.missed)
    plan = train(assignment, board.spec, how, response=response_for(how, board.spec))
    ledger, tests = Ledger(), Ledger()
    last = deque[Sequence[Charge]](maxlen=count(how.testing))

    def observe(pulses: Sequence[Pulse], traces: Sequence[Trace], charges: Sequence[Charge]) -> None:
        last.append(charges)

    with board:
        trained = run(plan, board, ledger=ledger, observer=observe)
    for charges in last:
        tests.charge(charges)
    tariff = tariff_of(build(condition.bench, BenchFile, "the bench"))
    return row_of(goal(assignment), result(trained, ledger), ledger, tests, tariff)


# ---- what a condition is for one chip --------------------------------------------------------


def board_of(condition: Condition, chip: int) -> Board:
    """A board, not open yet, with this chip on it."""
    bench = _bench(condition.key, condition.bench_source, _Hidden(condition.bench))
    return (bench.with_board(seed=chip) if condition.simulated else bench).board(Path())


def training_of(condition: Condition, chip: int, networks: int) -> Training:
    """The options of the controller, with the draws of this chip."""
    how = build(condition.experiment, Experiment, "the experiment of a study").training
    return how.model_copy(
        update={
            "software": how.software.model_copy(update={"seed": how.software.seed + chip % networks}),
            "learning": how.learning.model_copy(update={"seed": how.learning.seed + chip}),
            "missed": how.missed.model_copy(update={"seed": how.missed.seed + chip}),
        }
    )


@dataclass(frozen=True)
class _Hidden:
    """Tables that a cache need not look at: the key beside them says which they are."""

    tables: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hidden)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)
def _bench(key: str, source: str, tables: _Hidden) -> Bench:
    return Bench(build(tables.tables, BenchFile, source), source, Path(source).parent)


# ---- target weights --------------------------------------------------------------------------


def network_of(recipe: Recipe, layers: Sequence[Any]) -> Network:
    """A network with weights that were trained before."""
    return Network(tuple(np.array(layer, dtype=np.float64) for layer in layers), recipe.activations)


def weights_key(images: ImageSet, recipe: Recipe, seed: int) -> str:
    """What the trained weights depend on, as text."""
    told = [images.pixels.tolist(), images.labels.tolist(), asdict(recipe), seed]
    return repr(told)


def train_weights(images: ImageSet, recipe: Recipe, seed: int) -> tuple[Any, ...]:
    """The layers of a trained network, as lists."""
    return tuple(layer.tolist() for layer in train_targets(images, recipe, seed=seed).network.weights)


def recipe_of(condition: Condition) -> tuple[Spec, Software, Recipe]:
    """What the weights of a condition are trained for."""
    spec = board_of(condition, 0).spec
    software = training_of(condition, 0, 1).software
    return spec, software, recipe_for(spec, software)


def jobs(condition: Condition, done: frozenset[int], weights: tuple[Any, ...], block: int) -> Iterator[Job]:
    """The chips that are not done yet, some at a time."""
    left = [chip for chip in range(condition.chips) if chip not in done]
    for start in range(0, len(left), block):
        yield Job(condition, tuple(left[start : start + block]), weights)
