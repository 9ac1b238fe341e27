"""The seam: what a backend cannot get wrong."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from labctl.addressing import select
from labctl.board import Board
from labctl.errors import (
    BoardFault,
    BoardGone,
    LimitExceeded,
    Misbehaved,
    NoConvergence,
    Outputs,
    Refused,
)
from labctl.pulse import Pulse, Purpose, Trace
from labctl.shapes import square
from tests.boards import SPEC, NullBoard

PULSE = select(SPEC, 0, square(0.5, 1e-3), Purpose.READ)


class Witness(NullBoard):
    """Writes down what happens to it, and fails in the pulse that it is told to."""

    def __init__(self, failure: BaseException | None = None, at: int = 2) -> None:
        super().__init__()
        self.log: list[str] = []
        self._failure, self._at = failure, at
        self.outputs = Outputs.OFF

    def _open(self) -> None:
        self.log.append("open")

    def _close(self) -> None:
        self.log.append("close")

    def _make_safe(self) -> Outputs:
        self.log.append("safe")
        return self.outputs

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for index, trace in enumerate(super()._drive(pulses)):
            if self._failure is not None and index == self._at:
                raise self._failure
            self.log.append("drive")
            yield trace


def fault(board: Board, pulses: Sequence[Pulse], kind: type[Misbehaved] = BoardFault) -> Misbehaved:
    """The error in which driving these pulses ends."""
    with pytest.raises(kind) as caught:
        board.apply(pulses)
    return caught.value


def test_a_board_is_opened_driven_made_safe_and_closed() -> None:
    with Witness() as board:
        assert len(board.apply([PULSE, PULSE])) == 2
        assert board.apply([]) == []
    assert board.log == ["open", "drive", "drive", "safe", "close"]


def test_a_board_can_be_entered_again_once_it_was_left() -> None:
    board = Witness()
    for _ in range(2):
        with board:
            board.apply([PULSE])
    assert board.log == ["open", "drive", "safe", "close"] * 2


def test_an_error_inside_leaves_the_board_safe_and_closed() -> None:
    board = Witness()
    with pytest.raises(ZeroDivisionError), board:
        raise ZeroDivisionError
    assert board.log == ["open", "safe", "close"]


@pytest.mark.parametrize("error", [OSError("no answer"), KeyboardInterrupt()])
def test_a_half_failed_opening_closes_itself(error: BaseException) -> None:
    class Half(Witness):
        def _open(self) -> None:
            super()._open()
            raise error

    board = Half()
    with pytest.raises(type(error)):
        board.__enter__()
    assert board.log == ["open", "safe", "close"]
    with pytest.raises(Refused, match="not open"):
        board.apply([PULSE])


def test_a_board_that_cannot_be_made_safe_is_closed_all_the_same() -> None:
    class Stubborn(Witness):
        def _make_safe(self) -> Outputs:
            raise OSError("the relay is stuck")

    board = Stubborn()
    with pytest.raises(OSError, match="relay"), board:
        pass
    assert board.log == ["open", "close"]


def test_nothing_is_driven_through_a_board_that_is_not_open() -> None:
    board = Witness()
    with pytest.raises(Refused, match="is not open"):
        board.apply([PULSE])
    with board, pytest.raises(Refused, match="is open already"):
        board.__enter__()
    with pytest.raises(Refused, match="is not open"):
        board.apply([PULSE])
    assert "drive" not in board.log


def test_nothing_of_a_refused_list_is_driven() -> None:
    beyond = select(SPEC, 0, square(3.001, 1e-3), Purpose.PROGRAM)
    with Witness() as board:
        with pytest.raises(LimitExceeded, match="pulse 3 of 3"):
            board.apply([PULSE, PULSE, beyond])
        assert board.log == ["open"]


@pytest.mark.parametrize("kind", [BoardGone, NoConvergence])
def test_a_failure_carries_the_traces_before_it_and_makes_safe(kind: type[Misbehaved]) -> None:
    with Witness(kind("it went away")) as board:
        error = fault(board, [PULSE] * 5, kind)
        assert [trace.seconds.sum() for trace in error.traces] == pytest.approx([1e-3, 1e-3])
        assert error.outputs is Outputs.OFF
        assert board.log == ["open", "drive", "drive", "safe"]


def test_any_other_error_of_a_driver_is_a_fault_of_the_board() -> None:
    with Witness(ZeroDivisionError("oops")) as board:
        error = fault(board, [PULSE] * 5)
        assert "ZeroDivisionError: oops" in error.wrong
        assert isinstance(error.__cause__, ZeroDivisionError)
        assert len(error.traces) == 2
        assert board.log[-1] == "safe"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit()])
def test_an_interrupt_makes_safe_and_goes_on_up(interrupt: BaseException) -> None:
    with Witness(interrupt) as board:
        with pytest.raises(type(interrupt)):
            board.apply([PULSE] * 5)
        assert board.log[-1] == "safe"


@pytest.mark.parametrize("outputs", list(Outputs))
def test_what_is_known_of_the_outputs_is_what_is_reported(outputs: Outputs) -> None:
    for failure in (BoardGone("gone"), ValueError("what?")):
        with Witness(failure) as board:
            board.outputs = outputs
            assert fault(board, [PULSE] * 5, Misbehaved).outputs is outputs
            board.outputs = Outputs.OFF


@pytest.mark.parametrize("outputs", [Outputs.ON, Outputs.UNKNOWN])
def test_outputs_that_are_not_off_when_it_is_left_are_told_and_hide_no_error(outputs: Outputs) -> None:
    board = Witness()
    board.outputs = outputs
    with pytest.raises(BoardFault, match="was left, and its outputs are not confirmed") as caught, board:
        pass
    assert (caught.value.outputs, board.log) == (outputs, ["open", "safe", "close"])
    board.__exit__(None, None, None)  # it is told once
    with pytest.raises(ZeroDivisionError), board:
        raise ZeroDivisionError


@pytest.mark.parametrize("failure", [BoardGone("gone"), ValueError("what?"), KeyboardInterrupt()])
def test_outputs_that_cannot_be_switched_off_are_unknown_and_hide_no_error(failure: BaseException) -> None:
    class Stubborn(Witness):
        def _make_safe(self) -> Outputs:
            raise OSError("the relay is stuck")

    board = Stubborn(failure)
    board.__enter__()
    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else Misbehaved
    with pytest.raises(expected) as caught:
        board.apply([PULSE] * 5)
    if isinstance(caught.value, Misbehaved):
        assert caught.value.outputs is Outputs.UNKNOWN
        assert len(caught.value.traces) == 2


@pytest.mark.parametrize(("missing", "kept"), [(1, 2), (3, 0), (-1, 3)])
def test_a_trace_for_each_pulse_and_no_more(missing: int, kept: int) -> None:
    class Miscounting(Witness):
        def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
            return super()._drive([PULSE] * (len(pulses) - missing))

    with Miscounting() as board:
        error = fault(board, [PULSE] * 3)
        assert f"{3 - missing} traces for 3 pulses" in error.wrong
        assert len(error.traces) == kept
        assert board.log[-1] == "safe"


@pytest.mark.parametrize(
    ("samples", "volts", "amps"),
    [(0, (0, 2), (0, 2)), (3, (3, 1), (3, 2)), (3, (3, 2), (2, 2)), (3, (3,), (3,))],
)
def test_a_trace_has_a_value_for_each_sample_and_line(
    samples: int, volts: tuple[int, ...], amps: tuple[int, ...]
) -> None:
    class Misshapen(Witness):
        def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
            yield from super()._drive(pulses[:1])
            yield Trace(np.ones(samples), np.ones(volts), np.ones(amps))

    with Misshapen() as board:
        error = fault(board, [PULSE] * 2)
        assert "the trace of pulse 2 is not samples of finite numbers" in error.wrong
        assert len(error.traces) == 1
        assert board.log[-1] == "safe"


def test_an_error_says_in_lines_what_is_known() -> None:
    error = BoardFault("it smells", allowed="fresh air", saved="nothing", todo="open a window")
    assert str(error).splitlines() == [
        "it smells",
        "  allowed: fresh air",
        "  outputs: UNKNOWN",
        "  saved: nothing",
        "  what to do: open a window",
    ]
    assert str(Refused("no")) == "no"


@pytest.mark.parametrize("spoil", ["seconds", "volts", "amps"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_trace_that_is_not_finite_never_leaves_the_board(spoil: str, value: float) -> None:
    class Broken(Witness):
        def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
            good, bad = super()._drive(pulses)
            yield good
            arrays = {name: getattr(bad, name).copy() for name in ("seconds", "volts", "amps")}
            arrays[spoil].flat[0] = value
            yield Trace(**arrays)
            raise NoConvergence("and it ends with an error of its own")

    with Broken() as board:
        error = fault(board, [PULSE] * 2)
        assert len(error.traces) == 1
        assert board.log[-1] == "safe"


def test_time_does_not_run_backwards_in_a_trace() -> None:
    class Backwards(Witness):
        def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
            for trace in super()._drive(pulses):
                yield Trace(-trace.seconds, trace.volts, trace.amps)

    with Backwards() as board:
        assert fault(board, [PULSE]).traces == ()
