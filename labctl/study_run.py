"""A study from its beginning to its end: begin it, go on with it, by whoever does the work.

On a simulation, chips are made by their number and handed to workers. On a bench that is there, each
condition is a training run of its own on the one chip that it has, kept with its journal in the
study's folder, and nothing is handed to anybody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from labctl.bench import Bench, BenchFile
from labctl.config import build
from labctl.errors import BoardGone, Outputs, Refused, Stopped
from labctl.experiment import Experiment
from labctl.journal import Journal
from labctl.network import Network
from labctl.runfolder import JOURNAL
from labctl.running import response_for
from labctl.study.chips import (
    Job,
    Lost,
    jobs,
    recipe_of,
    train_weights,
    training_of,
    weights_key,
)
from labctl.study.conditions import Condition, Study
from labctl.study.record import StudyRecord
from labctl.study.rows import row_of_run
from labctl.study.workers import Stop, Workers
from labctl.training.assignment import assigned
from labctl.training.controller import foreseen
from labctl.training_run import Watch, begin, resume
from labctl.training_session import Session

BLOCK = 5
"""Chips in a job: a second of work or less."""

Told = Callable[[int, int], None]
"""Told how many chips are done, of how many."""


@dataclass(frozen=True)
class Effort:
    """What one spell of work came to."""

    chips: int
    seconds: float


def run_study(record: StudyRecord, workers: Workers, told: Told, watch: Watch, stop: Stop) -> Effort:
    """Do what is left of a study.

    Raises `Stopped` when it was asked to, and `BoardGone` where chips have no row in the end because
    what was to compute them ended or hung; all others have one by then.
    """
    study = record.study()
    began, before = time.monotonic(), record.counts()[0]
    total = sum(condition.chips for condition in study.conditions.values())
    told(before, total)
    done, lost = before, list[Lost]()
    try:
        for condition in study.conditions.values():
            if not condition.simulated and not record.done(condition.key):
                _on_the_bench(record, condition, watch, stop)
                told(done := done + 1, total)
        with closing(workers.results(_jobs(record, study), stop)) as results:
            for job, found in results:
                lost += [one for one in found if isinstance(one, Lost)]
                by_chip = zip(job.chips, found, strict=True)
                rows = {chip: row for chip, row in by_chip if not isinstance(row, Lost)}
                record.keep(job.condition.key, rows)
                told(done := done + len(rows), total)
    finally:
        seconds = time.monotonic() - began
        record.keep_spell(workers.name, done - before, seconds)
    if done + len(lost) < total:
        raise Stopped("stopped between two chips, as asked", saved=record.saved())
    if lost:
        raise _lost(lost, record.saved())
    return Effort(done - before, seconds)


def _lost(lost: Sequence[Lost], saved: str) -> BoardGone:
    return BoardGone(
        f"{len(lost)} chips were not done, the first for {lost[0].error}: {lost[0].wrong}",
        outputs=Outputs.OFF,
        saved=saved,
        todo="`labctl resume` tries them again; see to memory, and to the simulator",
    )


def preflight(study: Study) -> None:
    """Raise what would make every chip of a condition fail, before the first is begun."""
    for key, condition in study.conditions.items():
        try:
            _check(condition)
        except Refused as error:
            asking = [one.question.name for one in study.asked if key in {at.condition for at in one.places}]
            error.wrong = f"question {', '.join(asking)}: {error.wrong}"
            raise


def _check(condition: Condition) -> None:
    spec, _, recipe = recipe_of(condition)
    how = training_of(condition, 0, 1)
    response_for(how, spec)
    shapes = [np.zeros(pair) for pair in pairwise(recipe.sizes)]
    network = Network(tuple(shapes), recipe.activations)  # of any weights: pulses do not depend on them
    spec.check(foreseen(assigned(condition.image_set(), network, spec, how.missed), spec, how))


def _jobs(record: StudyRecord, study: Study) -> Iterator[Job]:
    known = record.weights()
    for condition in study.conditions.values():
        done = record.done(condition.key)
        if condition.simulated and len(done) < condition.chips:
            weights = tuple(_weights(record, condition, known, turn) for turn in range(study.file.networks))
            yield from jobs(condition, done, weights, BLOCK)


def _weights(
    record: StudyRecord, condition: Condition, known: dict[str, tuple[Any, ...]], turn: int
) -> tuple[Any, ...]:
    """Target weights of a condition: trained once, and the same ever after."""
    _, software, recipe = recipe_of(condition)
    images, seed = condition.image_set(), software.seed + turn
    key = weights_key(images, recipe, seed)
    if key not in known:
        known[key] = train_weights(images, recipe, seed)
        record.keep_weights(key, known[key])
    return known[key]


def _on_the_bench(record: StudyRecord, condition: Condition, watch: Watch, stop: Stop) -> None:
    """Train the chip that is there, as a run with its journal, and keep its row."""
    experiment = build(condition.experiment, Experiment, "the experiment of a study")
    folder = Path(condition.bench_source)
    bench = Bench(build(condition.bench, BenchFile, str(folder)), str(folder), folder.parent)
    base, name = record.folder / "runs", condition.key
    if not (base / name / JOURNAL).exists():
        begin(Session(experiment, condition.image_set(), bench), base, name, watch, stop)
    elif not _finished(base, name):
        resume(base, name, watch, stop)
    with Journal.open(base, name) as journal:
        row = row_of_run(journal, experiment.training.testing, bench.tariff)
    record.keep(condition.key, {0: row})


def _finished(base: Path, name: str) -> bool:
    """Whether the run has its result, though the study was ended before it had the row."""
    with Journal.open(base, name) as journal:
        return any(note.kind == "result" for note in journal.notes())
