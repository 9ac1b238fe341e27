"""A training session from its files to its result: begin it, go on with it, try it dry.

This is where the pure parts meet the board and the run folder. A run keeps the experiment and the
bench as they were when it began, so that it can go on with them whatever became of the files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from labctl.bench import Bench, BenchFile
from labctl.board import Board
from labctl.config import build, dump
from labctl.energy import Charge, Ledger
from labctl.errors import BadRun
from labctl.experiment import Experiment, budget_of
from labctl.images import ImageSet
from labctl.journal import Journal, recompute
from labctl.pulse import Pulse, Purpose, Trace
from labctl.runfolder import run_folder
from labctl.session import Observer, run
from labctl.spec import Spec
from labctl.store import Store
from labctl.training import Assignment, Trained, assign, train
from labctl.write_verify import Spent

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Session:
    """What a training session needs, read and checked; nothing is open yet."""

    experiment: Experiment
    images: ImageSet
    bench: Bench


@dataclass(frozen=True)
class Finished:
    """What a training session came to."""

    run: str
    assignment: Assignment
    trained: Trained
    ledger: Ledger


@dataclass(frozen=True)
class Forecast:
    """What a dry run says of a session."""

    assignment: Assignment
    trained: Trained
    ledger: Ledger
    worst_joules: float
    """[J] if every site had its least resistance all the time."""


Watch = Callable[[Assignment, Spec, Ledger], Observer]
"""Told what is about to be trained; answers with what is to be told of every list."""


def begin(
    session: Session, base: Path, name: str, watch: Watch, stop: Callable[[], bool] | None = None
) -> Finished:
    """Start a run of that name in the folder of runs, and train to the end."""
    board = session.bench.board(run_folder(base, name))
    assignment = assign(session.images, board.spec, session.experiment.training)
    keep = session.experiment.keep_waveforms * MEBIBYTE
    with Store.create(base, name, board.spec, _about(session), keep_bytes=keep) as store:
        store.note("assignment", _assigned(assignment))
        with board:
            return _train(session, assignment, board, store, Ledger(), watch, stop)


def resume(base: Path, name: str, watch: Watch, stop: Callable[[], bool] | None = None) -> Finished:
    """Go on with a run that was stopped or died: read every site again, then train to the end."""
    with Store.resume(base, name) as store:
        if any(note.kind == "result" for note in store.journal.notes()):
            raise BadRun(f"run {name} is finished", allowed="a run that was stopped or died")
        session = session_of(store.journal)
        board = session.bench.board(store.folder)
        assignment = assign(session.images, board.spec, session.experiment.training)
        ledger = recompute(store.journal, board.spec)
        unknown = [entry.id for entry in store.journal.unknown()]
        store.note("resumed", {"unknown": unknown})
        with board:
            return _train(session, assignment, board, store, ledger, watch, stop)


def rehearse(session: Session, watch: Watch) -> Forecast:
    """Train a new chip on the simulated board that stands in for the bench; nothing real is driven or kept."""
    worst = 0.0
    with TemporaryDirectory() as nowhere:
        board = session.bench.for_dry_runs().board(Path(nowhere))
        assignment = assign(session.images, board.spec, session.experiment.training)
        ledger = Ledger()
        watched = watch(assignment, board.spec, ledger)

        def observe(pulses: Sequence[Pulse], traces: Sequence[Trace], booked: Sequence[Charge]) -> None:
            nonlocal worst
            worst += math.fsum(map(board.spec.worst_joules, pulses))
            watched(pulses, traces, booked)

        plan = train(assignment, board.spec, session.experiment.training)
        with board:
            trained = run(plan, board, ledger=ledger, budget=budget_of(session.experiment), observer=observe)
        return Forecast(assignment, trained, ledger, worst)


def _train(
    session: Session,
    assignment: Assignment,
    board: Board,
    store: Store,
    ledger: Ledger,
    watch: Watch,
    stop: Callable[[], bool] | None,
) -> Finished:
    plan = train(
        assignment,
        board.spec,
        session.experiment.training,
        skip_reset=ledger.total(purpose=Purpose.RESET).pulses > 0,
        spent=_spent(ledger),
    )
    observer = watch(assignment, board.spec, ledger)
    trained = run(
        plan,
        board,
        ledger=ledger,
        store=store,
        budget=budget_of(session.experiment),
        observer=observer,
        stop=stop,
    )
    store.note("result", _result(trained))
    return Finished(store.folder.name, assignment, trained, ledger)


def _spent(ledger: Ledger) -> dict[int, Spent]:
    """What each site's programming has cost so far, reads after pulses not counted."""
    return {
        site: Spent(entry.pulses, float(entry.seconds.sum()), float(entry.joules[0]))
        for purpose, site, _, entry in ledger.rows()
        if purpose is Purpose.PROGRAM and site is not None
    }


# ---- what a run keeps of them, as JSON ---------------------------------------------------------


def _about(session: Session) -> dict[str, Any]:
    images = session.images
    return {
        "experiment": dump(session.experiment),
        "bench": dump(session.bench.file),
        "bench_source": session.bench.source,
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
            Bench(build(meta["bench"], BenchFile, f"{source}: the bench"), meta["bench_source"], Path()),
        )
    except (KeyError, TypeError) as error:
        raise BadRun(f"{source} is not the run of a training session: it lacks {error}") from error


def _assigned(assignment: Assignment) -> dict[str, Any]:
    return {
        "targets_siemens": [None if math.isnan(target) else target for target in assignment.targets],
        "weights": [layer.tolist() for layer in assignment.network.weights],
        "window_siemens": [assignment.window.low, assignment.window.high],
        "read_volts": assignment.read_volts,
    }


def _result(trained: Trained) -> dict[str, Any]:
    return {
        "right": trained.right,
        "patterns": len(trained.answers),
        "answers_volts": trained.answers.tolist(),
        "predicted_volts": trained.predicted.tolist(),
        "conductances_siemens": [None if math.isnan(one) else one for one in trained.conductances],
        "outcomes": [asdict(outcome) for outcome in trained.outcomes],
    }
