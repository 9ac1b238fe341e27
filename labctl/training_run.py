"""A training session from its beginning to its result: begin it, go on with it, try it dry.

This is where the pure parts meet the board and the run folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from labctl.board import Board
from labctl.energy import Charge, Ledger
from labctl.experiment import budget_of
from labctl.journal import Stored, recompute
from labctl.programming.write_verify import Spent
from labctl.pulse import Pulse, Purpose, Trace
from labctl.runfolder import run_folder
from labctl.running import (
    MEBIBYTE,
    opened,
    refuse_finished,
    refuse_other_board,
    refuse_stale,
    response_for,
)
from labctl.session import Observer, run
from labctl.spec import Spec
from labctl.store import Store
from labctl.training.assignment import Assignment, assign
from labctl.training.controller import Trained, foreseen, train
from labctl.training_session import (
    Session,
    about,
    assigned,
    refuse_another,
    result,
    session_of,
)


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
    spec: Spec
    worst_joules: float
    """[J] if every site had its least resistance all the time."""


Watch = Callable[[Assignment, Spec, Ledger], Observer]
"""Told what is about to be trained; answers with what is to be told of every list."""


def begin(
    session: Session, base: Path, name: str, watch: Watch, stop: Callable[[], bool] | None = None
) -> Finished:
    """Start a run of that name in the folder of runs, and train to the end."""
    refuse_stale(session.bench)
    board = session.bench.board(run_folder(base, name))
    assignment = _assignment(session, board)
    keep = session.experiment.keep_mebibytes * MEBIBYTE
    with Store.create(base, name, board.spec, about(session), keep_bytes=keep) as store:
        store.note("assignment", assigned(assignment))
        with opened(board, store):
            return _train(session, assignment, board, store, None, watch, stop)


def resume(base: Path, name: str, watch: Watch, stop: Callable[[], bool] | None = None) -> Finished:
    """Go on with a run that was stopped or died: read every site again, then train to the end."""
    with Store.resume(base, name) as store:
        refuse_finished(store.journal)
        session = session_of(store.journal)
        refuse_stale(session.bench)
        board = session.bench.board(store.folder)
        refuse_other_board(store.journal, board.spec)
        assignment = _assignment(session, board)
        refuse_another(store.journal, assigned(assignment))
        before = _Before(recompute(store.journal), tuple(store.journal.unknown()))
        store.note("assignment", assigned(assignment))
        store.note("resumed", {"unknown": [entry.id for entry in before.unknown]})
        with opened(board, store):
            return _train(session, assignment, board, store, before, watch, stop)


def rehearse(session: Session, watch: Watch) -> Forecast:
    """Train a new chip on the simulated board that stands in for the bench; nothing real is driven or kept.

    The budget is not applied: what the session would cost without it says whether it fits.
    """
    worst = 0.0
    with TemporaryDirectory() as nowhere:
        board = session.bench.for_dry_runs().board(Path(nowhere))
        assignment = _assignment(session, board)
        ledger = Ledger()
        watched = watch(assignment, board.spec, ledger)

        def observe(pulses: Sequence[Pulse], traces: Sequence[Trace], booked: Sequence[Charge]) -> None:
            nonlocal worst
            worst += math.fsum(map(board.spec.worst_joules, pulses))
            watched(pulses, traces, booked)

        how = session.experiment.training
        plan = train(assignment, board.spec, how, response=response_for(how, board.spec))
        with board:
            trained = run(plan, board, ledger=ledger, observer=observe)
        return Forecast(assignment, trained, ledger, board.spec, worst)


@dataclass(frozen=True)
class _Before:
    """What a run has behind it when it goes on."""

    ledger: Ledger
    unknown: tuple[Stored, ...]
    """Pulses of unknown outcome: never repeated, and counted as if they had been driven."""

    @property
    def was_reset(self) -> bool:
        """True where any reset was, or could have been, driven."""
        unknown = any(entry.pulse.purpose is Purpose.RESET for entry in self.unknown)
        return unknown or self.ledger.total(purpose=Purpose.RESET).pulses > 0

    def spent(self, spec: Spec) -> dict[int, Spent]:
        """What programming of each site cost, without its reads; of pulses in doubt, the most it can be."""
        known = {
            site
            for purpose, site, *_ in self.ledger.rows()
            if purpose is Purpose.PROGRAM and site is not None
        }
        spent = {site: _sum(self.ledger, site) for site in known}
        for entry in self.unknown:
            site = spec.target(entry.pulse)
            if entry.pulse.purpose is Purpose.PROGRAM and site is not None:
                pulses, seconds, joules = astuple(spent.get(site, Spent()))
                worst = spec.worst_joules(entry.pulse)
                spent[site] = Spent(pulses + 1, seconds + entry.pulse.duration, joules + worst)
        return spent


def _sum(ledger: Ledger, site: int) -> Spent:
    entry = ledger.total(purpose=Purpose.PROGRAM, site=site)
    return Spent(entry.pulses, float(entry.seconds.sum()), float(entry.joules[0]))


def _assignment(session: Session, board: Board) -> Assignment:
    """What the chip is to become; raises `Refused` if it would take a pulse that must not be driven."""
    how = session.experiment.training
    assignment = assign(session.images, board.spec, how.software, how.missed)
    board.spec.check(foreseen(assignment, board.spec, how))
    return assignment


def _train(
    session: Session,
    assignment: Assignment,
    board: Board,
    store: Store,
    before: _Before | None,
    watch: Watch,
    stop: Callable[[], bool] | None,
) -> Finished:
    ledger = before.ledger if before else Ledger()
    plan = train(
        assignment,
        board.spec,
        session.experiment.training,
        skip_reset=before is not None and before.was_reset,
        spent=before.spent(board.spec) if before else None,
        response=response_for(session.experiment.training, board.spec),
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
    store.note("result", result(trained, ledger))
    return Finished(store.folder.name, assignment, trained, ledger)
