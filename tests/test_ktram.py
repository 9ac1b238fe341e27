"""kT-RAM instructions by hand: which rows, which sign, and what a read of a known pair answers."""

import numpy as np
import pytest

from labctl.errors import Refused
from labctl.ktram import NOTHING, Answer, Drive, Feedback, Instruction, execute, feedback
from labctl.parts import Site
from labctl.plan import Plan
from labctl.pulse import Pulse, Purpose, Trace
from labctl.spec import Spec
from tests.boards import SPEC
from tests.discoveries import discovery

SERIES, SWITCH = 20e3, 75.0
PAIRS = Spec(
    "pairs",
    rows=2,
    columns=8,
    sites=tuple(Site(row, column, "Cr") for row in range(2) for column in range(8)),
    series_ohms=(SERIES, SERIES, *[SWITCH] * 8),
    shared_sources=((0, 1),),
    sensed=(0, 1),
    noise_floor_amps=3e-9,
)
HOW = Drive()
STRONG, WEAK = Answer(0.2, 80e-6, 20e-6), Answer(-0.2, 20e-6, 80e-6)


def sent(plan):
    """The pulses that a plan sends first; none if it ends at once."""
    try:
        return list(next(plan))
    except StopIteration:
        return []


def rows_and_volts(pulse: Pulse) -> tuple[tuple[int, ...], float]:
    """Which rows are driven, and their extreme voltage."""
    rows = tuple(np.flatnonzero(pulse.driven[:2]).tolist())
    wave = pulse.volts[:, rows[0]]
    return rows, float(wave[np.argmax(np.abs(wave))])


@pytest.mark.parametrize(
    ("what", "rows", "volts"),
    [
        (Instruction.FLV, (0, 1), 0.08),
        (Instruction.RLV, (0, 1), -0.08),
        (Instruction.FAB, (0, 1), 1.0),
        (Instruction.FA, (0,), 1.0),
        (Instruction.FB, (1,), 1.0),
        (Instruction.RAB, (0, 1), -0.5),
        (Instruction.RA, (0,), -0.5),
        (Instruction.RB, (1,), -0.5),
    ],
)
def test_an_instruction_is_one_pulse_on_its_rows(what: Instruction, rows: tuple[int, ...], volts: float):
    (pulse,) = sent(execute(PAIRS, [3], what, HOW))
    assert rows_and_volts(pulse) == (rows, pytest.approx(volts))
    assert np.flatnonzero(pulse.driven[2:]).tolist() == [3]
    assert pulse.duration == pytest.approx(50e-6)
    assert (pulse.purpose is Purpose.READ) == (what in (Instruction.FLV, Instruction.RLV))
    PAIRS.check([pulse])


@pytest.mark.parametrize(
    ("what", "last", "pulses"),
    [
        (Instruction.HEBBIAN, STRONG, [((0,), 1.0), ((1,), -0.5)]),
        (Instruction.HEBBIAN, WEAK, [((0,), -0.5), ((1,), 1.0)]),
        (Instruction.HEBBIAN, NOTHING, [((0,), 1.0), ((1,), -0.5)]),
        (Instruction.ANTI_HEBBIAN, STRONG, [((0,), -0.5), ((1,), 1.0)]),
        (Instruction.ANTI_HEBBIAN, WEAK, [((0,), 1.0), ((1,), -0.5)]),
    ],
)
def test_hebbian_amplifies_the_sign_of_the_last_read_and_anti_hebbian_opposes_it(what, last, pulses):
    plan = execute(PAIRS, [0], what, HOW, last)
    assert [rows_and_volts(pulse) for pulse in sent(plan)] == pulses
    with pytest.raises(StopIteration) as ended:
        plan.send([])
    assert ended.value.value is last  # no read is implied


@pytest.mark.parametrize(
    ("what", "last", "moved"),
    [
        (Feedback.FH, WEAK, ((0,), 1.0)),
        (Feedback.FL, WEAK, ((1,), 1.0)),
        (Feedback.FU, STRONG, ((1,), 1.0)),
        (Feedback.FU, WEAK, ((0,), 1.0)),
        (Feedback.FA, STRONG, ((0,), 1.0)),
        (Feedback.RH, STRONG, ((0,), -0.5)),
        (Feedback.RL, STRONG, ((1,), -0.5)),
        (Feedback.RU, STRONG, ((0,), -0.5)),
        (Feedback.RA, STRONG, ((1,), -0.5)),
    ],
)
def test_feedback_moves_the_memristor_that_sees_twice_the_voltage(what, last, moved):
    # with node y at m V, A sees (1 - m) V and B (1 + m) V in forward direction, and V is negative in reverse
    (pulse,) = sent(feedback(PAIRS, [0], what, HOW, last))
    assert rows_and_volts(pulse) == moved


@pytest.mark.parametrize("what", [Feedback.FZ, Feedback.RZ])
def test_no_feedback_is_no_pulse(what: Feedback) -> None:
    assert sent(feedback(PAIRS, [0], what, HOW, STRONG)) == []


def test_feedback_by_the_sign_of_nothing_is_no_pulse() -> None:
    assert sent(feedback(PAIRS, [0], Feedback.FU, HOW, NOTHING)) == []


def divided(pulse: Pulse, a: float, b: float) -> Trace:
    """What a pair of conductances a and b [S] answers, by Ohm's law."""
    volts = (pulse.volts[1:] + pulse.volts[:-1]) / 2
    amps = np.zeros_like(volts)
    for row, siemens in ((0, a), (1, b)):
        amps[:, row] = volts[:, row] / (SERIES + SWITCH + 1 / siemens)
    return Trace(np.diff(pulse.seconds), volts, amps)


@pytest.mark.parametrize("what", [Instruction.FLV, Instruction.RLV])
def test_a_read_answers_with_vy_and_both_conductances(what: Instruction) -> None:
    # 50 and 12.5 kohm behind 20 kohm: node A at 50.075/70.075, node B at 12.575/32.575 of the source
    plan = execute(PAIRS, [5], what, HOW)
    (pulse,) = sent(plan)
    with pytest.raises(StopIteration) as ended:
        plan.send([divided(pulse, 80e-6, 20e-6)])
    answer = ended.value.value
    assert answer.y == pytest.approx(50.075 / 70.075 - 12.575 / 32.575, rel=1e-9)
    assert (answer.a, answer.b) == (pytest.approx(80e-6), pytest.approx(20e-6))
    assert answer.state == pytest.approx(0.6)


def test_several_columns_are_read_as_one_sum() -> None:
    plan = execute(PAIRS, [0, 1, 2], Instruction.FLV, HOW)
    (pulse,) = sent(plan)
    assert np.flatnonzero(pulse.driven[2:]).tolist() == [0, 1, 2]
    volts = (pulse.volts[1:] + pulse.volts[:-1]) / 2
    amps = np.zeros_like(volts)
    amps[:, 0] = volts[:, 0] / (
        SERIES + (SWITCH + 1 / 30e-6) / 3
    )  # three equal devices, each with its switch
    with pytest.raises(StopIteration) as ended:
        plan.send([Trace(np.diff(pulse.seconds), volts, amps)])
    assert ended.value.value.a == pytest.approx(90e-6)
    assert ended.value.value.b == 0.0  # no current: open


def test_a_board_without_pairs_is_refused() -> None:
    with pytest.raises(Refused, match="share a source"):
        sent(execute(SPEC, [0], Instruction.FLV, HOW))
    with pytest.raises(Refused, match="no column"):
        sent(execute(PAIRS, [], Instruction.FLV, HOW))


def test_instructions_move_a_synapse_of_an_emulated_board() -> None:
    board = discovery("v2", 2)

    def run(plan: Plan[Answer]) -> Answer:
        traces = None
        while True:
            try:
                traces = board.apply(next(plan) if traces is None else plan.send(traces))
            except StopIteration as ended:
                return ended.value

    with board:
        spec, how = board.spec, Drive(read=0.05)
        before = run(execute(spec, [2], Instruction.FLV, how))
        run(execute(spec, [2], Instruction.FA, how))
        raised = run(execute(spec, [2], Instruction.FLV, how))
        run(execute(spec, [2], Instruction.ANTI_HEBBIAN, how, raised))
        opposed = run(execute(spec, [2], Instruction.FLV, how))
    assert raised.a > 1.5 * before.a
    assert raised.y > 0.1 > abs(before.y)
    assert opposed.a < raised.a
    assert opposed.b > 1.5 * before.b
    assert opposed.y < raised.y
