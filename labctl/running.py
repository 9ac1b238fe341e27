"""What every kind of run shares: a new name, an open board, the bench it was begun on, and its bill."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import chain, count
from pathlib import Path
from typing import Any

from labctl.bench import Bench, BenchFile, too_old
from labctl.board import Board
from labctl.codec import spec_to_json
from labctl.config import build, dump
from labctl.energy import Ledger
from labctl.errors import BadRun, Refused
from labctl.journal import Journal
from labctl.making import Identified
from labctl.programming.prediction import Prediction, Response, load
from labctl.spec import Spec
from labctl.store import Store
from labctl.training.controller import Training

MEBIBYTE = 2**20


def new_name(stem: str, base: Path, at: datetime) -> str:
    """A name that no run in this folder has: ``letters-20261121-230501``, in UTC, then ``-2``."""
    dated = f"{stem[:40]}-{at.astimezone(UTC):%Y%m%d-%H%M%S}"
    names = chain([dated], (f"{dated}-{number}" for number in count(2)))
    return next(name for name in names if not (base / name).exists())


def response_for(how: Training, spec: Spec) -> Response | None:
    """The model that the predictive method asks what devices do; None where another method programs."""
    if how.programming.method != "predictive":
        return None
    prediction = how.programming.prediction
    return _response(prediction.model, prediction.device, spec.sites[0].dopant, how.reading.volts)


@lru_cache(maxsize=16)
def _response(model: str, device: str, dopant: str, read_volts: float) -> Response:
    """Models remember what they have worked out: one for all chips."""
    return load(Prediction(model=model, device=device), dopant, read_volts)


@contextmanager
def opened(board: Board, store: Store) -> Generator[None]:
    """The board, open; where it cannot be opened, the journal says why, so that nobody waits for this run.

    Which instrument it is, as far as the board knows, is written down.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(board)
        except Exception as error:
            store.note("failed", {"error": type(error).__name__, "wrong": str(error).partition("\n")[0]})
            raise
        if isinstance(board, Identified) and (told := board.identity()):
            store.note("instrument", {"identity": told})
        yield


# ---- the bench of a run, as JSON


def about_bench(bench: Bench) -> dict[str, Any]:
    """For the journal: the bench as it is now."""
    return {"bench": dump(bench.file), "bench_source": bench.source}


def bench_of(journal: Journal) -> Bench:
    """The bench that a run was begun on, whatever became of its file."""
    meta = journal.meta
    file = build(meta["bench"], BenchFile, f"{journal.folder}: the bench")
    return Bench(file, meta["bench_source"], Path(meta["bench_source"]).parent)


def refuse_finished(journal: Journal) -> None:
    """A run that has a result is not gone on with."""
    if any(note.kind == "result" for note in journal.notes()):
        raise BadRun(f"run {journal.folder.name} is finished", allowed="a run that was stopped or died")


def refuse_stale(bench: Bench, today: date | None = None) -> None:
    """Raise `Refused` where the bench was calibrated longer ago than it allows itself; `today` is in UTC."""
    table = bench.file.calibration
    if table is not None and too_old(table, today or datetime.now(UTC).date()):
        raise Refused(
            f"{bench.name} was calibrated on {table.date}",
            allowed=f"a calibration of the last {table.older_than}, as its bench file says",
            todo="measure a known resistor on it (`labctl characterize first_use`), then write the date down",
        )


def refuse_other_board(journal: Journal, spec: Spec) -> None:
    """A run goes on with the limits and resistors that it began with: its bill was worked out with them."""
    if spec_to_json(spec) != spec_to_json(journal.spec):
        raise BadRun(
            f"{journal.folder} was begun on a board that was not what {spec.name} is now",
            allowed="the same lines, sites, resistors and limits",
            todo="go on with the bench and the driver that it began with, or begin anew: nothing was driven",
        )


def booked(ledger: Ledger) -> dict[str, Any]:
    """For the last note: the bill as it was booked."""
    total = ledger.total()
    return {"pulses": total.pulses, "joules": total.joules.tolist(), "seconds": total.seconds.tolist()}
