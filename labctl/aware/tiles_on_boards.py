"""Pieces of a network on boards: one array for each, and one run folder, with all that it was driven with.

A simulated bench makes as many chips as there are pieces: the seed of its file and those after it, each
with a memory of its own. A bench that is there is one array, so there must be as many benches as pieces.

What a run has noted as programmed is not programmed again. A run that died before goes on: its devices are
read first, and those that are at their targets get no pulse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from labctl.aware.deploy_plans import (
    Deploying,
    Placed,
    Programmed,
    Told,
    foreseen,
    multiply,
    placed,
    program,
    refuse_window,
)
from labctl.aware.deployment import Piece
from labctl.bench import Bench
from labctl.energy import Ledger
from labctl.errors import BadRun, Refused
from labctl.journal import Note, recompute
from labctl.plan import Plan
from labctl.programming.write_verify import Spent
from labctl.pulse import Floats, Purpose
from labctl.runfolder import JOURNAL
from labctl.running import MEBIBYTE, about_bench, booked, opened, refuse_other_board
from labctl.session import run
from labctl.store import Store
from labctl.tables import reading

T = TypeVar("T")
Stop = Callable[[], bool]
KEEP_BYTES = 4 * MEBIBYTE
"""Of waveforms, in each run: there are many, and the bill holds the integrals of all others."""
_PROGRAMMED = "programmed"


@dataclass(frozen=True)
class Missed:
    """A device that did not get within the tolerance."""

    piece: str
    site: str
    target: float
    """[S] as it was to read."""
    after: float
    """[S] as it read last."""
    why: str


def benches_for(benches: Sequence[Bench], pieces: Sequence[Piece]) -> list[Bench]:
    """A bench for each piece. Raises `Refused` where there are too few, or none that can be programmed."""
    if not benches:
        raise Refused("no bench to put the network on", allowed="--bench FILE, again for more arrays")
    for bench in benches:
        if bench.file.kind == "replay":
            raise Refused(f"{bench.name} is a recording", allowed="a bench whose devices can be programmed")
    if len(benches) == 1 and benches[0].file.kind == "sim":
        return [_chip(benches[0], piece.number) for piece in pieces]
    if len(benches) < len(pieces):
        raise Refused(
            f"the network takes {len(pieces)} arrays, and there are {len(benches)}",
            allowed=f"{len(pieces)} benches (--bench for each), or one that is simulated",
            todo="train a smaller network, or for larger tiles",
        )
    return list(benches[: len(pieces)])


def _chip(bench: Bench, number: int) -> Bench:
    seed = bench.file.board.get("seed", 0)
    return bench.with_board(seed=int(seed) + number, memory="{run}/chip.state")


def check(
    benches: Sequence[Bench], pieces: Sequence[Piece], window: tuple[float, float], how: Deploying
) -> None:
    """Raise `Refused` where a piece cannot be on its bench, before anything is driven or made."""
    known = set[tuple[int, tuple[int, int]]]()
    for bench, piece in zip(benches, pieces, strict=True):
        kind = (id(bench) if len({one.source for one in benches}) > 1 else 0, piece.targets.shape)
        if kind in known:
            continue  # a chip of the same file, for a piece of the same shape
        known.add(kind)
        spec = bench.board(Path()).spec
        refuse_window(spec, window)
        spec.check(foreseen(spec, placed(spec, piece.targets.shape), how))


class Array:
    """A piece on its board, with its run. Entered for as long as the run is written."""

    def __init__(
        self, piece: Piece, bench: Bench, base: Path, about: Mapping[str, Any], wire: float, how: Deploying
    ) -> None:
        """Its folder is made in `base`, or gone on with; `wire` [ohm] is that of a segment."""
        self.piece, self.how = piece, how
        self._wire = wire
        self._board = bench.board(base / piece.name)
        self.spec = self._board.spec
        self.place: Placed = placed(self.spec, piece.targets.shape)
        told = {**about_bench(bench), "piece": piece.name, **about}
        self._store, self.ledger = self._run(base, told)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def _run(self, base: Path, about: Mapping[str, Any]) -> tuple[Store, Ledger]:
        if not (base / self.piece.name / JOURNAL).exists():
            store = Store.create(base, self.piece.name, self.spec, about, keep_bytes=KEEP_BYTES)
            return store, Ledger()
        with ExitStack() as undo:
            store = undo.enter_context(Store.resume(base, self.piece.name))
            refuse_other_board(store.journal, self.spec)
            ledger = recompute(store.journal)
            undo.pop_all()
        return store, ledger

    def programmed(self, told: Told, stop: Stop | None = None) -> tuple[Floats, list[Missed]]:
        """The devices as read back [S], and those that missed; programs them where that is still to do."""
        notes = [note for note in self._store.journal.notes() if note.kind == _PROGRAMMED]
        if not notes:
            spent = _spent(self.ledger)
            plan = program(self.spec, self.place, self.piece.targets, self._wire, self.how, spent, told)
            self._store.note(_PROGRAMMED, self._told(self._driven(plan, stop)))
            notes = [note for note in self._store.journal.notes() if note.kind == _PROGRAMMED]
        else:
            told(self.piece.targets.size)
        return self._read_back(notes[-1])

    def multiplied(self, volts: Floats, told: Told, stop: Stop | None = None) -> Floats:
        """[A] (vectors, columns) for volts [V] (vectors, rows)."""
        return self._driven(multiply(self.spec, self.place, volts, self.how, told), stop)

    def finished(self) -> None:
        """The last note: what it has cost."""
        self._store.note("result", {"bill": booked(self.ledger)})

    def _driven(self, plan: Plan[T], stop: Stop | None) -> T:
        with opened(self._board, self._store):
            return run(plan, self._board, ledger=self.ledger, store=self._store, stop=stop)

    def _told(self, found: Programmed) -> dict[str, Any]:
        missed = [
            Missed(self.piece.name, self.spec.label(one.site), one.target, one.after, one.why)
            for one in found.missed
        ]
        siemens = [[None if np.isnan(one) else float(one) for one in row] for row in found.siemens]
        return {"siemens": siemens, "missed": [asdict(one) for one in missed]}

    def _read_back(self, note: Note) -> tuple[Floats, list[Missed]]:
        with reading(self._store.folder):
            siemens = np.array(note.body["siemens"], dtype=np.float64)
            missed = [Missed(**one) for one in note.body["missed"]]
        if siemens.shape != self.piece.targets.shape:
            raise BadRun(f"{self._store.folder} holds a piece of another shape")
        return siemens, missed


def _spent(ledger: Ledger) -> dict[int, Spent]:
    """What programming of each site has cost so far."""
    found = dict[int, Spent]()
    for purpose, site, _, entry in ledger.rows():
        if purpose is Purpose.PROGRAM and site is not None:
            had = found.get(site, Spent())
            seconds, joules = float(entry.seconds.sum()), float(entry.joules[0])
            found[site] = Spent(had.pulses + entry.pulses, had.seconds + seconds, had.joules + joules)
    return found
