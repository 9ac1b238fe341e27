"""The one loop that touches a board: check, write down, drive, bill, write down, answer the plan.

No pulse gets past the bill or the journal, whatever plan and board are joined here. A list that
must not be driven, or that went wrong, is thrown into the plan as an error, so that a plan may mark
a site as stuck and go on; what it does not catch comes out. When the journal cannot be written
nothing goes on: a pulse that leaves no record is not driven.

The board's joules are limited before they are spent: a list is refused when it could, if every
memristor had its least resistance, deliver more than the budget or the limit of a site has left.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import TypeAlias, TypeVar

import numpy as np

from labctl.board import Board
from labctl.energy import Charge, Ledger, charges
from labctl.errors import LabError, LimitExceeded, Misbehaved, Outputs, Refused, Stopped, StorageFault
from labctl.limits import Budget
from labctl.plan import Plan
from labctl.pulse import Pulse, Purpose, Trace
from labctl.spec import Spec
from labctl.store import Store

T = TypeVar("T")

Observer: TypeAlias = Callable[[Sequence[Pulse], Sequence[Trace], Sequence[Charge]], None]
"""Called with each list when it has been driven, billed and written down."""

_WRITES = (Purpose.PROGRAM, Purpose.RESET)
READ_JOULES = 1e-6
"""A read delivers nanojoules; one that could deliver more than this [J] counts as writing."""
_UNLIMITED = Budget()


def run(
    plan: Plan[T],
    board: Board,
    *,
    ledger: Ledger,
    store: Store | None = None,
    budget: Budget = _UNLIMITED,
    observer: Observer | None = None,
    stop: Callable[[], bool] | None = None,
) -> T:
    """Drive the plan to its end on an open board, and return its result. The plan is always closed.

    `stop` is asked between lists; when it says yes, `Stopped` is raised. Without a store nothing is
    written down: for dry runs. Raises what the plan does not catch (`Refused`, `Misbehaved`), and what
    no plan can catch: `StorageFault`, and a `Misbehaved` that left the outputs on or unknown.
    """
    loop = _Loop(board, ledger, store, budget, observer)
    answer: Callable[[], Sequence[Pulse]] = partial(next, plan)
    try:
        while True:
            try:
                pulses = answer()
            except StopIteration as end:
                return end.value
            if stop is not None and stop():
                raise _stopped(store)
            try:
                answer = partial(plan.send, loop.drive(pulses))
            except StorageFault:
                raise
            except (Refused, Misbehaved) as error:
                if isinstance(error, Misbehaved) and error.outputs is not Outputs.OFF:
                    raise  # nothing more is driven on a board that may still be driving
                answer = partial(plan.throw, error)
    except LabError as error:
        _write_end(store, error)
        raise
    finally:
        plan.close()


class _Loop:
    """One turn of the loop, for one board and its bill."""

    def __init__(
        self, board: Board, ledger: Ledger, store: Store | None, budget: Budget, observer: Observer | None
    ) -> None:
        self._board = board
        self._ledger = ledger
        self._store = store
        self._budget = budget
        self._observer = observer

    def drive(self, pulses: Sequence[Pulse]) -> Sequence[Trace]:
        """Everything that belongs to one list."""
        if not pulses:
            return []
        self._board.spec.check(pulses)  # `apply` will again: here, before it is counted and written down
        refuse_beyond(self._budget, self._board.spec, self._ledger, pulses)
        first = self._store.intend(pulses) if self._store else 0
        try:
            traces = self._board.apply(pulses)
        except Refused:
            if self._store:
                self._store.not_driven(first, len(pulses))
            raise
        except Misbehaved as error:
            self._book(first, pulses, error.traces)
            raise
        self._book(first, pulses, traces)
        return traces

    def _book(self, first: int, pulses: Sequence[Pulse], traces: Sequence[Trace]) -> None:
        """Bill and write down the pulses that were measured: as many as there are traces."""
        driven = pulses[: len(traces)]
        booked = charges(self._board.spec, driven, traces)
        self._ledger.charge(booked)
        if self._store:
            self._store.record(first, driven, traces, booked)
        if self._observer is not None:
            self._observer(driven, traces, booked)


def _stopped(store: Store | None) -> Stopped:
    return Stopped(
        "stopped between two lists of pulses, as asked",
        saved=store.saved() if store else "",
        todo=f"`labctl resume {store.folder.name}` goes on from here" if store else "",
    )


def _write_end(store: Store | None, error: LabError) -> None:
    """Say in the journal how the run ended; a journal that cannot be written has said so already."""
    if store is None or isinstance(error, StorageFault):
        return
    error.saved = store.saved()
    kind = "interrupted" if isinstance(error, Stopped) else "failed"
    with suppress(StorageFault):
        store.note(kind, {"error": type(error).__name__, "wrong": error.wrong})


# ---- what may still be spent ----------------------------------------------------------------


def refuse_beyond(budget: Budget, spec: Spec, ledger: Ledger, pulses: Sequence[Pulse]) -> None:
    """Raise `LimitExceeded` if this list could spend more than the budget or a site has left."""
    writing = [pulse for pulse in pulses if pulse.purpose in _WRITES]
    writing += _heavy(spec, [pulse for pulse in pulses if pulse.purpose not in _WRITES])
    if writing:
        _refuse_sites(spec, ledger, writing)
    if budget == _UNLIMITED:
        return
    spent = ledger.total()
    _refuse_unless(spent.pulses + len(pulses), budget.pulses, "pulses")
    seconds = sum(pulse.duration for pulse in pulses) + spec.settle_seconds * len(pulses) + spec.link_seconds
    _refuse_unless(float(spent.seconds.sum()) + seconds, budget.seconds, "s")
    if budget.joules < math.inf:
        worst = math.fsum(_worst(spec, pulses))
        _refuse_unless(float(spent.joules[0]) + worst, budget.joules, "J")


def _refuse_sites(spec: Spec, ledger: Ledger, writing: Sequence[Pulse]) -> None:
    """The limits in joules of the sites that these pulses write, against all that they were given before.

    A pulse that writes several sites at once is counted in full against each of them.
    """
    if all(site.limits.joules == math.inf for site in spec.sites):
        return
    bound, written = math.fsum(map(spec.most_joules, writing)), [_sites(spec, pulse) for pulse in writing]
    shared = ledger.programmed_joules(None)
    left = {
        site: spec.sites[site].limits.joules - shared - ledger.delivered(site)
        for site in set[int]().union(*written)
    }
    if all(bound <= joules for joules in left.values()):
        return
    coming = dict.fromkeys(left, 0.0)
    for sites, joules in zip(written, _worst(spec, writing), strict=True):
        for site in sites:
            coming[site] += joules
            if not coming[site] <= left[site]:
                limit = spec.sites[site].limits.joules
                raise _beyond(limit - left[site] + coming[site], limit, "J", f"site {spec.label(site)}")


def _heavy(spec: Spec, reads: Sequence[Pulse]) -> list[Pulse]:
    """Those that could deliver more than a read does; most lists are cleared all at once."""
    if not reads:
        return []
    highest = max(float(np.abs(np.concatenate([pulse.volts for pulse in reads])).max()), spec.highest_rail)
    longest = max(pulse.duration for pulse in reads)
    if (2 * highest) ** 2 * longest * spec.most_siemens <= READ_JOULES:
        return []
    return [pulse for pulse in reads if spec.most_joules(pulse) > READ_JOULES]


def _sites(spec: Spec, pulse: Pulse) -> list[int]:
    """Which sites a pulse writes: its target, or all that it connects."""
    target = spec.target(pulse)
    return list(map(int, spec.connected(pulse.driven))) if target is None else [target]


def _worst(spec: Spec, pulses: Sequence[Pulse]) -> list[float]:
    """[J] that each could deliver at worst; a pulse that comes again is worked out once."""
    known: dict[int, float] = {}
    for pulse in pulses:
        if id(pulse) not in known:
            known[id(pulse)] = spec.worst_joules(pulse)
    return [known[id(pulse)] for pulse in pulses]


def _refuse_unless(total: float, limit: float, unit: str) -> None:
    if not total <= limit:
        raise _beyond(total, limit, unit, "this run")


def _beyond(total: float, limit: float, unit: str, who: str) -> LimitExceeded:
    return LimitExceeded(
        f"{who} could come to {total:.6g} {unit} with these pulses",
        allowed=f"{limit:.6g} {unit}",
        todo="give it more, if that is what you mean: nothing of this list was driven",
    )


# ---- Ctrl-C ---------------------------------------------------------------------------------


@contextmanager
def stop_on_interrupt() -> Generator[Callable[[], bool]]:
    """Give a `stop` for `run` that says yes after Ctrl-C or a SIGTERM; a second one interrupts at once.

    For the main thread only. The handlers that were there before are put back.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
