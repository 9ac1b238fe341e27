"""The one loop: what it lets through, what it throws into the plan, and how it stops."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from labctl import session
from labctl.energy import Ledger
from labctl.errors import (
    BoardFault,
    LimitExceeded,
    Misbehaved,
    NoConvergence,
    Outputs,
    Refused,
    Stopped,
    StorageFault,
)
from labctl.journal import Journal, Outcome, recompute
from labctl.limits import Budget, Limits
from labctl.parts import Site
from labctl.plan import Plan
from labctl.pulse import Pulse, Purpose, Trace
from labctl.shapes import square
from labctl.spec import Spec
from labctl.store import Store
from tests.boards import OHMS, SPEC, NullBoard, spec_with

ROOT = Path(__file__).resolve().parent.parent


def pulse(volts: float = 0.5, purpose: Purpose = Purpose.READ, seconds: float = 1e-3) -> Pulse:
    wave = square(volts, seconds)
    lines = np.column_stack([wave.volts, np.zeros(len(wave.volts))])
    return Pulse(wave.seconds, lines, np.array([True, True]), purpose)


def plan_of(*lists: Sequence[Pulse]) -> Plan[list[int]]:
    """Sends each list and returns how many traces came back for it."""
    answers: list[int] = []
    for pulses in lists:
        traces = yield pulses
        answers.append(len(traces))
    return answers


def forgiving(*lists: Sequence[Pulse]) -> Plan[list[str]]:
    """Goes on after every error, and returns what happened."""
    answers: list[str] = []
    for pulses in lists:
        try:
            traces = yield pulses
            answers.append(str(len(traces)))
        except (Refused, Misbehaved) as error:
            answers.append(type(error).__name__)
    return answers


class Failing(NullBoard):
    """Fails at the n-th pulse of its life."""

    def __init__(self, at: int, error: BaseException) -> None:
        super().__init__()
        self.at, self.error = at, error

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for one in pulses:
            if self.driven + 1 == self.at:
                self.at = -1
                raise self.error
            yield from super()._drive([one])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path, "run", SPEC, {}) as made:
        yield made


def outcomes(store: Store) -> list[Outcome]:
    return [entry.outcome for entry in store.journal.entries()]


def assert_bill_agrees(store: Store, ledger: Ledger) -> None:
    again, total = recompute(store.journal).total(), ledger.total()
    assert again.pulses == total.pulses
    assert again.joules == pytest.approx(total.joules, rel=1e-9)
    assert again.seconds == pytest.approx(total.seconds, rel=1e-9)


def test_a_plan_is_driven_billed_and_written_down(store: Store) -> None:
    ledger, seen = Ledger(), []
    with NullBoard() as board:
        answers = session.run(
            plan_of([pulse()] * 3, [], [pulse(1.0, Purpose.PROGRAM)]),
            board,
            ledger=ledger,
            store=store,
            observer=lambda pulses, traces, charges: seen.append(len(charges)),
        )
    assert answers == [3, 0, 1]
    assert seen == [3, 1]
    assert outcomes(store) == [Outcome.MEASURED] * 4
    assert_bill_agrees(store, ledger)
    # By hand: 1 V for 0.98 ms and two edges of 10 us, at half their height, into 15.05 kohm.
    by_hand = (0.98e-3 + 2 * 10e-6 / 4) / (OHMS + 5_050.0)
    assert ledger.programmed_joules(0) == pytest.approx(by_hand, rel=1e-12)


def test_a_dry_run_needs_no_store() -> None:
    with NullBoard() as board:
        assert session.run(plan_of([pulse()]), board, ledger=Ledger()) == [1]


# ---- limits ---------------------------------------------------------------------------------


def test_a_pulse_beyond_a_limit_is_not_driven_nor_written_and_the_plan_is_told(store: Store) -> None:
    ledger = Ledger()
    with NullBoard() as board:
        answers = session.run(forgiving([pulse(), pulse(4.0)], [pulse()]), board, ledger=ledger, store=store)
        assert answers == ["LimitExceeded", "1"]
        assert board.driven == 1
    assert outcomes(store) == [Outcome.MEASURED]


def test_what_a_plan_does_not_catch_comes_out_and_is_noted(store: Store) -> None:
    plan = plan_of([pulse()], [pulse(math.nan)])
    with NullBoard() as board, pytest.raises(LimitExceeded) as error:
        session.run(plan, board, ledger=Ledger(), store=store)
    assert "everything up to pulse 1" in error.value.saved
    assert plan.gi_frame is None  # closed
    assert [(note.kind, note.body["error"]) for note in store.journal.notes()] == [
        ("failed", "LimitExceeded")
    ]


@pytest.mark.parametrize(
    ("budget", "unit"),
    [
        (Budget(pulses=5), "6 pulses"),
        (Budget(seconds=5.5e-3), "0.006 s"),
        (Budget(joules=4e-7), "J"),  # a list: 3 x 1.6e-8 J, and 3 x 4.1e-8 J at worst
    ],
)
def test_fault_37_a_budget_ends_the_run_before_it_is_overdrawn(budget: Budget, unit: str) -> None:
    ledger = Ledger()
    size = 1 if budget.joules == math.inf else 3
    lists = [[pulse()] * size] * 50
    with NullBoard() as board, pytest.raises(LimitExceeded, match=unit):
        session.run(plan_of(*lists), board, ledger=ledger, budget=budget)
    spent = ledger.total()
    assert spent.pulses <= budget.pulses
    assert spent.seconds.sum() <= budget.seconds
    assert 0 < spent.joules[0] <= budget.joules


def test_fault_30_a_site_takes_no_more_joules_than_its_limit_and_the_plan_may_go_on() -> None:
    ledger, write = Ledger(), pulse(0.9, Purpose.PROGRAM)
    with NullBoard(spec_with(joules=1e-6)) as board:
        answers = session.run(forgiving(*[[write]] * 40, [pulse()]), board, ledger=ledger)
    worst = board.spec.worst_joules(write)
    assert "LimitExceeded" in answers
    assert answers[-1] == "1"  # reading is not programming
    assert 1e-6 - worst < ledger.programmed_joules(0) <= 1e-6


def test_a_list_is_counted_as_a_whole_against_the_limit_of_a_site() -> None:
    with (
        NullBoard(spec_with(joules=1e-6)) as board,
        pytest.raises(LimitExceeded, match="site x could come to"),
    ):
        session.run(plan_of([pulse(0.9, Purpose.PROGRAM)] * 40), board, ledger=Ledger())
    assert board.driven == 0


class Pair(NullBoard):
    """One row, two columns: both sites can be written at once."""

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for one in pulses:
            volts = (one.volts[1:] + one.volts[:-1]) / 2
            yield Trace(np.diff(one.seconds), volts, volts * 1e-4)


def test_writing_two_sites_at_once_is_no_way_around_their_limits() -> None:
    limits = Limits(joules=1e-6)
    spec = Spec(
        "pair", 1, 2, (Site(0, 0, "W", "a", limits), Site(0, 1, "W", "b", limits)), (5_000.0, 0.0, 0.0)
    )
    wave = square(0.9, 1e-3)
    both = Pulse(
        wave.seconds,
        np.column_stack([wave.volts, 0 * wave.volts, 0 * wave.volts]),
        np.ones(3, dtype=bool),
        Purpose.PROGRAM,
    )
    ledger = Ledger()
    with Pair(spec) as board:
        answers = session.run(forgiving(*[[both]] * 40), board, ledger=ledger)
    assert answers[-1] == "LimitExceeded"
    assert ledger.total().joules[0] <= 1e-6


def test_a_trace_that_is_no_number_is_never_billed(store: Store) -> None:
    class Broken(NullBoard):
        def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
            for trace in super()._drive(pulses):
                yield Trace(trace.seconds, trace.volts, trace.amps * math.nan)

    ledger = Ledger()
    with Broken() as board:
        answers = session.run(forgiving([pulse()]), board, ledger=ledger, store=store)
    assert answers == ["BoardFault"]
    assert ledger.total().pulses == 0
    assert outcomes(store) == [Outcome.UNKNOWN]


def test_a_read_that_could_deliver_what_programming_does_counts_as_programming() -> None:
    heavy, light = pulse(0.5, Purpose.READ).repeated(100_000), pulse(0.01, Purpose.READ)
    with NullBoard(spec_with(joules=1e-7)) as board:
        assert session.run(forgiving([heavy], [light]), board, ledger=Ledger()) == ["LimitExceeded", "1"]


@pytest.mark.parametrize("outputs", [Outputs.ON, Outputs.UNKNOWN])
def test_nothing_more_is_driven_while_outputs_are_not_known_to_be_off(outputs: Outputs) -> None:
    class Dangerous(NullBoard):
        lists = 0

        def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
            self.lists += 1
            raise NoConvergence("it went wrong")
            yield

        def _make_safe(self) -> Outputs:
            return outputs

    board = Dangerous().__enter__()
    with pytest.raises(Misbehaved) as caught:
        session.run(forgiving([pulse()], [pulse()], [pulse()]), board, ledger=Ledger())
    assert board.lists == 1
    assert caught.value.outputs is outputs


# ---- boards and disks that fail ---------------------------------------------------------------


def test_what_was_measured_before_a_fault_is_billed_and_the_rest_unknown(store: Store) -> None:
    ledger = Ledger()
    with Failing(3, NoConvergence("no solution")) as board:
        answers = session.run(forgiving([pulse()] * 5, [pulse()]), board, ledger=ledger, store=store)
    assert answers == ["NoConvergence", "1"]
    assert outcomes(store) == [Outcome.MEASURED] * 2 + [Outcome.UNKNOWN] * 3 + [Outcome.MEASURED]
    assert ledger.total().pulses == 3
    assert_bill_agrees(store, ledger)


def test_a_fault_that_is_not_caught_comes_out_with_outputs_off(store: Store) -> None:
    with Failing(1, RuntimeError("a bug")) as board, pytest.raises(BoardFault) as error:
        session.run(plan_of([pulse()]), board, ledger=Ledger(), store=store)
    assert error.value.outputs is Outputs.OFF
    assert error.value.saved == store.saved()


def test_a_list_that_the_board_refuses_is_known_not_to_have_been_driven(store: Store) -> None:
    board = NullBoard()  # not entered
    with pytest.raises(Refused, match="not open"):
        session.run(plan_of([pulse()] * 2), board, ledger=Ledger(), store=store)
    assert outcomes(store) == [Outcome.NOT_DRIVEN] * 2


def test_no_plan_goes_on_when_the_journal_cannot_be_written(store: Store) -> None:
    def plan() -> Plan[None]:
        while True:
            try:
                yield [pulse()]
            except Misbehaved:
                pytest.fail("thrown into the plan")
            (store.folder / "journal.sqlite").unlink(missing_ok=True)

    with NullBoard() as board, pytest.raises(StorageFault, match="moved or deleted"):
        session.run(plan(), board, ledger=Ledger(), store=store)
    assert board.driven == 1


# ---- stopping -------------------------------------------------------------------------------


def test_a_stop_comes_between_lists_and_leaves_nothing_unknown(store: Store) -> None:
    asked = iter([False, False, True])
    with NullBoard() as board, pytest.raises(Stopped) as error:
        session.run(
            plan_of(*[[pulse()] * 2] * 9), board, ledger=Ledger(), store=store, stop=lambda: next(asked)
        )
    assert outcomes(store) == [Outcome.MEASURED] * 4
    assert "everything up to pulse 4" in error.value.saved
    assert "labctl resume run" in error.value.todo
    assert [note.kind for note in store.journal.notes()] == ["interrupted"]


def test_a_plan_that_has_ended_is_not_stopped() -> None:
    with NullBoard() as board:
        assert session.run(plan_of(), board, ledger=Ledger(), stop=lambda: True) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_fault_39_the_first_signal_asks_and_the_second_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with session.stop_on_interrupt() as stop:
        assert not stop()
        signal.raise_signal(number)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


INTERRUPTED = """
import sys
from pathlib import Path
from labctl import session
from labctl.energy import Ledger
from labctl.errors import Stopped
from labctl.store import Store
from tests.boards import SPEC, NullBoard
from tests.test_session import plan_of, pulse

def endless():
    while True:
        yield [pulse()] * 10

with Store.create(Path(sys.argv[1]), "run", SPEC, {}) as store, NullBoard() as board:
    with session.stop_on_interrupt() as stop:
        show = lambda *_: print("driven", flush=True)
        try:
            session.run(endless(), board, ledger=Ledger(), store=store, observer=show, stop=stop)
        except Stopped:
            sys.exit(7)
"""


def test_ctrl_c_stops_a_running_program_at_a_safe_point(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    os.kill(child.pid, signal.SIGINT)
    shown = 1 + child.stdout.read().count("driven")
    child.stdout.close()
    assert child.wait(timeout=60) == 7
    with Journal.open(tmp_path, "run") as journal:
        assert journal.counts()["measured"] == 10 * shown
        assert journal.unknown() == []
        assert [note.kind for note in journal.notes()] == ["interrupted"]


def test_an_impatient_ctrl_c_leaves_at_most_one_list_unknown(store: Store) -> None:
    with Failing(3, KeyboardInterrupt()) as board, pytest.raises(KeyboardInterrupt):
        session.run(plan_of([pulse()], [pulse()] * 2), board, ledger=Ledger(), store=store)
    assert outcomes(store) == [Outcome.MEASURED, Outcome.UNKNOWN, Outcome.UNKNOWN]
