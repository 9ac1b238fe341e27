"""Every board keeps every law, and `examine` tells of each law what became of it."""

import inspect
import subprocess
import sys

import pytest

from labctl.board import Board
from labctl.contract import LAWS, PROGRAMMING_LAWS, Outcome, examine
from labctl.contract.probe import DoesNotApply, Law
from labctl.pulse import Pulse
from tests.boards import BOARDS, CIRCUITS, STACKS, NullBoard, compact

ALL = (*LAWS, *PROGRAMMING_LAWS)

PASSED_OVER: dict[str, set[str]] = {
    "selector-1x1": {
        "neurons_sum_and_saturate",
        "patterns_are_answered_one_by_one",
        "too_many_amps_are_refused",
        "what_sources_cannot_make_is_refused",
        "neighbours_are_left_alone",
    },
    "selector-1x16": {
        "neurons_sum_and_saturate",
        "patterns_are_answered_one_by_one",
        "too_many_amps_are_refused",
        "what_sources_cannot_make_is_refused",
    },
    "crossbar-4x4": {
        "neurons_sum_and_saturate",
        "patterns_are_answered_one_by_one",
        "what_sources_cannot_make_is_refused",
        "neighbours_are_left_alone",
    },
    "tile-4x3": {
        "neurons_sum_and_saturate",
        "patterns_are_answered_one_by_one",
        "what_sources_cannot_make_is_refused",
    },
    "network": {"too_many_amps_are_refused", "what_sources_cannot_make_is_refused"},
    **{
        stack: {"charge_is_conserved", "too_many_amps_are_refused", "what_sources_cannot_make_is_refused"}
        for stack in STACKS
    },
}
"""By circuit, the laws that speak of what it does not have; none goes missing unnoticed."""


@pytest.mark.parametrize("law", ALL, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", BOARDS)
def test_every_board_keeps_every_law(name: str, law: Law) -> None:
    board = BOARDS[name]()
    if law.__name__ in PASSED_OVER[name.partition("-")[2]]:
        with pytest.raises(DoesNotApply):
            law(board)
    else:
        law(board)


@pytest.mark.parametrize("law", ALL, ids=lambda law: law.__name__)
def test_a_law_is_one_sentence_about_a_board(law: Law) -> None:
    sentence = inspect.getdoc(law) or ""
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert ". " not in sentence
    assert list(inspect.signature(law).parameters) == ["board"]


def test_no_two_laws_share_a_name() -> None:
    assert len({law.__name__ for law in ALL}) == len(ALL)


def test_no_verdict_where_python_strips_the_assertions() -> None:
    source = "from labctl.contract import examine; examine(None, [])"
    ended = subprocess.run([sys.executable, "-O", "-c", source], capture_output=True, text=True, check=False)
    assert "no law can be broken" in ended.stderr


class Recorder(NullBoard):
    """Remembers whether it is open, and how often it was made safe."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.safe = False, 0

    def _open(self) -> None:
        self.open = True

    def _close(self) -> None:
        self.open = False

    def _make_safe(self):
        self.safe += 1
        return super()._make_safe()


def kept(board: Board) -> None:
    """A law that every board keeps."""
    with board:
        board.apply([])


def broken(board: Board) -> None:
    """A law that every board breaks,
    said in two lines."""
    with board:
        assert board.spec.rows == 0, "it has rows"


def beside_the_point(board: Board) -> None:
    """A law about something else."""
    raise DoesNotApply("no such thing")


def careless(board: Board) -> None:
    """A law that leaves the board open and ends in an error of its own."""
    board.__enter__()
    raise ZeroDivisionError("oops")


def test_every_law_gets_its_verdict_whatever_became_of_the_others() -> None:
    board = Recorder()
    verdicts = examine(board, [broken, careless, beside_the_point, kept])
    assert [(v.law, v.outcome, v.why.partition("\n")[0]) for v in verdicts] == [
        ("broken", Outcome.BROKEN, "it has rows"),
        ("careless", Outcome.BROKEN, "ZeroDivisionError: oops"),
        ("beside_the_point", Outcome.PASSED_OVER, "no such thing"),
        ("kept", Outcome.KEPT, ""),
    ]
    assert verdicts[0].sentence == "A law that every board breaks, said in two lines."
    assert not board.open
    assert board.safe >= len(verdicts)


def test_an_interrupt_leaves_the_board_safe_and_goes_on_up() -> None:
    def interrupted(board: Board) -> None:
        board.__enter__()
        raise KeyboardInterrupt

    board = Recorder()
    with pytest.raises(KeyboardInterrupt):
        examine(board, [interrupted])
    assert not board.open
    assert board.safe


def test_a_board_that_fails_to_make_safe_breaks_the_law() -> None:
    class Stubborn(NullBoard):
        def _make_safe(self):
            raise OSError("the relay is stuck")

    verdict = examine(Stubborn(), [kept])[0]
    assert verdict.outcome is Outcome.BROKEN
    assert "the relay is stuck" in verdict.why


def test_a_board_that_does_nothing_keeps_all_laws_but_those_of_what_it_lacks() -> None:
    found = {verdict.law for verdict in examine(NullBoard(), ALL) if verdict.outcome is not Outcome.KEPT}
    assert found == PASSED_OVER["selector-1x1"]


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_a_noisy_chip_says_so_in_its_spec_and_keeps_the_laws(circuit: str) -> None:
    board = compact(circuit, read_noise=True, cycle_to_cycle=True, device_to_device=True, seed=3)
    assert [verdict for verdict in examine(board, ALL) if verdict.outcome is Outcome.BROKEN] == []


def test_reading_laws_drive_reads_alone() -> None:
    class Watched(NullBoard):
        peak = 0.0

        def _drive(self, pulses: list[Pulse]):
            self.peak = max([self.peak, *(float(abs(pulse.volts).max()) for pulse in pulses)])
            return super()._drive(pulses)

    board = Watched()
    examine(board, LAWS)
    assert 0 < board.peak <= 0.05 * board.spec.sites[0].limits.high_volts
