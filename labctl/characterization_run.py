"""A characterization from its beginning to its tables: begin it, go on with it, try it dry.

This is where plans meet the board and the run folder; what a run keeps is in
`labctl.characterization_record`. Tables are written whenever the run ends, also when it is stopped
or fails: they hold the rows that there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from labctl.board import Board
from labctl.characterization_record import (
    Characterization,
    about,
    before_of,
    characterization_of,
    ended_note,
    result_note,
    rows_note,
)
from labctl.characterization_tables import write_tables
from labctl.characterize.probing import neighbours
from labctl.characterize.procedure import Figures, Row
from labctl.characterize.protocol import Before, Key, Witness, measure
from labctl.energy import Charge, Ledger
from labctl.errors import LabError
from labctl.journal import recompute
from labctl.pulse import Pulse, Trace
from labctl.runfolder import run_folder
from labctl.running import opened, refuse_finished, refuse_other_board
from labctl.session import Observer, run
from labctl.spec import Spec
from labctl.store import Store


@dataclass
class Advance:
    """How far a run has come, for whoever watches it."""

    total: int
    """Steps of all sites."""
    done: int = 0
    doing: str = "starting"
    site: int = 0
    rows: int = 0
    """Measured since it began, or went on."""


Watch = Callable[[Advance, Spec, Ledger], Observer]
"""Told what is about to be measured; answers with what is to be told of every list."""


@dataclass(frozen=True)
class Finished:
    """What a run came to."""

    run: str
    figures: Mapping[Key, Figures]
    ledger: Ledger


def begin(
    what: Characterization, base: Path, name: str, watch: Watch, stop: Callable[[], bool] | None = None
) -> Finished:
    """Start a run of that name in the folder of runs, and measure to the end."""
    board = what.bench.board(run_folder(base, name))
    what.protocol.check(board.spec, what.sites)
    with Store.create(base, name, board.spec, about(what)) as store:
        return _measure(what, board, store, Before(), Ledger(), watch, stop)


def resume(base: Path, name: str, watch: Watch, stop: Callable[[], bool] | None = None) -> Finished:
    """Go on with a run that was stopped or died: with the next row of the step that it was in."""
    with Store.resume(base, name) as store:
        refuse_finished(store.journal)
        what = characterization_of(store.journal)
        board = what.bench.board(store.folder)
        refuse_other_board(store.journal, board.spec)
        what.protocol.check(board.spec, what.sites)
        before, ledger = before_of(store.journal), recompute(store.journal)
        store.note("resumed", {"unknown": [entry.id for entry in store.journal.unknown()]})
        return _measure(what, board, store, before, ledger, watch, stop)


def _measure(
    what: Characterization,
    board: Board,
    store: Store,
    before: Before,
    ledger: Ledger,
    watch: Watch,
    stop: Callable[[], bool] | None,
) -> Finished:
    advance = Advance(len(what.sites) * len(what.protocol.steps))
    plan = measure(what.protocol, board.spec, what.sites, _Recorder(store, advance, before), before)
    observer = watch(advance, board.spec, ledger)
    with _tabled(store), opened(board, store):
        figures = run(plan, board, ledger=ledger, store=store, observer=observer, stop=stop)
        store.note("result", result_note(ledger))
        return Finished(store.folder.name, figures, ledger)


@contextmanager
def _tabled(store: Store) -> Generator[None]:
    """Whatever ends the run, its rows become tables; what ended it must not be hidden by a full disk."""
    try:
        yield
    except BaseException:
        with suppress(LabError, OSError):
            write_tables(store.journal)
        raise
    write_tables(store.journal)


class _Told(Witness):
    """Counts the steps, for whoever watches."""

    def __init__(self, advance: Advance, before: Before) -> None:
        self._advance = advance
        advance.done = len(before.ended)

    def begins(self, step: str, site: int) -> None:
        self._advance.doing, self._advance.site = step, site

    def found(self, step: str, site: int, rows: Sequence[Row]) -> None:
        self._advance.rows += len(rows)

    def ends(self, step: str, site: int, figures: Figures) -> None:
        self._advance.done += 1


class _Recorder(_Told):
    """Writes everything down as it happens."""

    def __init__(self, store: Store, advance: Advance, before: Before) -> None:
        super().__init__(advance, before)
        self._store = store

    def begins(self, step: str, site: int) -> None:
        super().begins(step, site)
        after = self._store.journal.counts()["intended"]
        self._store.note("step", {"step": step, "site": site, "after": after})

    def found(self, step: str, site: int, rows: Sequence[Row]) -> None:
        super().found(step, site, rows)
        self._store.note("rows", rows_note(step, site, rows))

    def ends(self, step: str, site: int, figures: Figures) -> None:
        super().ends(step, site, figures)
        self._store.note("ended", ended_note(step, site, figures))


# ---- without a board --------------------------------------------------------------------------


@dataclass
class Forecast:
    """What a dry run says of a characterization."""

    what: Characterization
    spec: Spec
    """Of the simulated board that stood in."""
    ledger: Ledger = field(default_factory=Ledger)
    figures: Mapping[Key, Figures] = field(default_factory=dict[Key, Figures])
    pulses: dict[int, int] = field(default_factory=dict[int, int])
    """By site."""
    worst_joules: dict[int, float] = field(default_factory=dict[int, float])
    """[J] by site, if the device had its least resistance all the time."""
    highest_volts: dict[int, float] = field(default_factory=dict[int, float])
    """[V] by site, of either sign, at the source."""

    @property
    def neighbours(self) -> list[int]:
        """Sites that are not measured, and see what those see."""
        seen = {other for site in self.what.sites for other in neighbours(self.spec, site)}
        return sorted(seen.difference(self.what.sites))


def rehearse(what: Characterization, watch: Watch) -> Forecast:
    """Measure the simulated board that stands in for the bench; nothing real is driven, nothing kept.

    Whether the bench's own board could be driven so is checked as well: `Refused` where it could not.
    """
    with TemporaryDirectory() as nowhere:
        what.protocol.check(what.bench.board(Path(nowhere)).spec, what.sites)
        board = what.bench.for_dry_runs().board(Path(nowhere))
        what.protocol.check(board.spec, what.sites)
        forecast = Forecast(what, board.spec)
        advance = Advance(len(what.sites) * len(what.protocol.steps))
        watched = watch(advance, board.spec, forecast.ledger)

        def observe(pulses: Sequence[Pulse], traces: Sequence[Trace], booked: Sequence[Charge]) -> None:
            _foresee(forecast, advance.site, pulses)
            watched(pulses, traces, booked)

        plan = measure(what.protocol, board.spec, what.sites, _Told(advance, Before()))
        with board:
            forecast.figures = run(plan, board, ledger=forecast.ledger, observer=observe)
        return forecast


def _foresee(forecast: Forecast, site: int, pulses: Sequence[Pulse]) -> None:
    worst, highest = forecast.worst_joules, forecast.highest_volts
    forecast.pulses[site] = forecast.pulses.get(site, 0) + sum(pulse.repeats for pulse in pulses)
    worst[site] = worst.get(site, 0.0) + math.fsum(map(forecast.spec.worst_joules, pulses))
    peaks = [float(np.abs(pulse.volts).max(initial=0.0)) for pulse in pulses]
    highest[site] = max([highest.get(site, 0.0), *peaks])
