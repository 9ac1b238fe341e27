"""A training session as its files describe it, and as its run folder keeps it.

A run keeps the experiment, the images and the bench as they were when it began, so that it can go
on with them whatever became of the files; its notes keep what was to be learnt and what came of it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labctl.bench import Bench
from labctl.config import build, dump
from labctl.energy import Ledger
from labctl.errors import BadConfig, BadRun
from labctl.experiment import Experiment, images_of, read_experiment
from labctl.images import ImageSet
from labctl.journal import Journal
from labctl.quantity import printable
from labctl.running import about_bench, bench_of, booked
from labctl.tables import reading
from labctl.training.assignment import Assignment
from labctl.training.controller import Trained
from labctl.training.learning.options import Learnt


@dataclass(frozen=True)
class Session:
    """What a training session needs, read and checked; nothing is open yet."""

    experiment: Experiment
    images: ImageSet
    bench: Bench


def read_session(experiment_file: Path, bench_file: Path | None = None) -> Session:
    """The session that these files describe; without a bench file, the one that the experiment names.

    Raises what is wrong with any of them (`BadConfig`, `BadImages`, `Unavailable`); nothing is opened.
    """
    experiment = read_experiment(experiment_file)
    if bench_file is None and experiment.bench is None:
        raise BadConfig(
            f"{printable(str(experiment_file))} names no bench",
            allowed='bench = "the path of a bench file" in it, or --bench FILE',
        )
    bench = bench_file or experiment_file.parent / str(experiment.bench)
    return Session(experiment, images_of(experiment, experiment_file.parent), Bench.read(bench))


# ---- what a run keeps of it, as JSON


def about(session: Session) -> dict[str, Any]:
    """For the journal: all that a session needs, in what JSON can hold."""
    images = session.images
    return {
        "experiment": dump(session.experiment),
        **about_bench(session.bench),
        "images": {
            "name": images.name,
            "pixels": images.pixels.tolist(),
            "labels": images.labels.tolist(),
        },
    }


def session_of(journal: Journal) -> Session:
    """The session that a run was begun with."""
    meta, source = journal.meta, str(journal.folder)
    try:
        images = ImageSet(
            meta["images"]["name"], np.array(meta["images"]["pixels"]), np.array(meta["images"]["labels"])
        )
        return Session(
            build(meta["experiment"], Experiment, f"{source}: the experiment"),
            images,
            bench_of(journal),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRun(f"{source} is not the run of a training session: {error!r}") from error


def refuse_another(journal: Journal, assigned: dict[str, Any]) -> None:
    """A labctl that would train other conductances must not go on with this run."""
    notes = [note.body for note in journal.notes() if note.kind == "assignment"]
    if not notes:
        return  # it died before it had written them
    with reading(journal.folder):
        one, other = (np.array(body["targets_siemens"], dtype=np.float64) for body in (notes[0], assigned))
    if not (one.shape == other.shape and np.allclose(one, other, rtol=1e-6, equal_nan=True)):
        raise BadRun(
            f"{journal.folder} was begun with other target conductances than this labctl works out",
            allowed="the version that began it (`labctl show` names it)",
            todo="go on with that version, or train anew: nothing was driven",
        )


def assigned(assignment: Assignment) -> dict[str, Any]:
    """For a note: what the chip is to become."""
    return {
        "targets_siemens": [None if math.isnan(target) else target for target in assignment.targets],
        "weights": [layer.tolist() for layer in assignment.network.weights],
        "window_siemens": [assignment.window.low, assignment.window.high],
        "read_volts": assignment.read_volts,
    }


def result(trained: Trained, ledger: Ledger) -> dict[str, Any]:
    """For the last note: what it has become, and the bill as it was booked."""
    return {
        "right": trained.right,
        "patterns": len(trained.answers),
        "answers_volts": trained.answers.tolist(),
        "predicted_volts": trained.predicted.tolist(),
        "conductances_siemens": [None if math.isnan(one) else one for one in trained.conductances],
        "tested": [asdict(test) for test in trained.tested],
        "outcomes": [asdict(outcome) for outcome in trained.outcomes],
        "learning": learning(trained.learnt) if trained.learnt else None,
        "bill": booked(ledger),
    }


def learning(learnt: Learnt) -> dict[str, Any]:
    """For the last note: what came of learning on the chip."""
    return {
        "rule": learnt.rule,
        "epochs": [asdict(epoch) for epoch in learnt.epochs],
        "frozen": {str(site): why for site, why in learnt.frozen.items()},
        "offsets_volts": [None if math.isnan(volts) else volts for volts in learnt.offsets],
        "stopped": learnt.stopped,
    }
