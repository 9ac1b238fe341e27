"""The work of a study: one chip after the other, trained and tested, each by its number alone.

A row holds what came of one chip, in numbers that depend on condition and chip and on nothing else:
no time of day, no worker, no order. What is worked out with matrices of the processor's own library
(the target weights) is worked out once, by whoever hands the work out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from labctl.bench import Bench, BenchFile, tariff_of
from labctl.board import Board
from labctl.config import build
from labctl.energy import Ledger, Tariff
from labctl.errors import LabError
from labctl.experiment import Experiment
from labctl.images import ImageSet
from labctl.network import Network
from labctl.programming.write_verify import Ending
from labctl.pulse import Purpose
from labctl.running import response_for
from labctl.session import run
from labctl.spec import Spec
from labctl.study.conditions import Condition
from labctl.training.assignment import Assignment, Software, assigned, recipe_for
from labctl.training.controller import Trained, Training, train
from labctl.training.target_weights import Recipe, train_targets

Row = dict[str, Any]
"""What came of one chip, as JSON can hold it: `row_of` makes it."""


@dataclass(frozen=True, slots=True)
class Job:
    """Some chips of one condition, with the target weights that they share in turn."""

    condition: Condition
    chips: tuple[int, ...]
    weights: tuple[tuple[Any, ...], ...]
    """For each network its layers, as lists."""


def work(job: Job) -> list[Row]:
    """The rows of these chips, in their order. An error of one chip is its row, and stops no other."""
    return [_worked(job, chip) for chip in job.chips]


def _worked(job: Job, chip: int) -> Row:
    try:
        return _trained(job, chip)
    except LabError as error:
        return {"error": type(error).__name__, "wrong": error.wrong}


def _trained(job: Job, chip: int) -> Row:
    condition = job.condition
    board = board_of(condition, chip)
    how = training_of(condition, chip, len(job.weights))
    network = network_of(recipe_for(board.spec, how.software), job.weights[chip % len(job.weights)])
    assignment = assigned(condition.image_set(), network, board.spec, how.missed)
    ledger = Ledger()
    plan = train(assignment, board.spec, how, response=response_for(how, board.spec))
    with board:
        trained = run(plan, board, ledger=ledger)
    return row_of(assignment, trained, ledger, tariff_of(build(condition.bench, BenchFile, "the bench")))


def row_of(assignment: Assignment, trained: Trained, ledger: Ledger, tariff: Tariff) -> Row:
    """The numbers of one chip."""
    targets = assignment.targets.copy()
    for outcome in trained.outcomes:  # learning moves targets
        targets[outcome.site] = outcome.target
    errors = np.abs(trained.conductances / targets - 1)
    purposes = [(purpose, ledger.total(purpose=purpose)) for purpose in Purpose]
    return {
        "right": trained.right,
        "patterns": len(trained.answers),
        "tested": [asdict(test) for test in trained.tested],
        "within_2": int((errors <= 0.02).sum()),
        "within_5": int((errors <= 0.05).sum()),
        "given_up": sum(outcome.ending is not Ending.DONE for outcome in trained.outcomes),
        "sites": len(trained.outcomes),
        "tariff": [tariff.watts, tariff.joules_per_pulse],
        "bill": {
            str(purpose): [entry.pulses, *entry.joules.tolist(), *entry.seconds.tolist()]
            for purpose, entry in purposes
            if entry.pulses
        },
    }


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


def total(row: Row, place: int) -> float:
    """A column of the bill of a chip, over all purposes: 0 pulses, 1 to 3 joules, 4 to 7 seconds."""
    return math.fsum(entry[place] for entry in row["bill"].values())
