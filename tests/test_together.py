"""Plans side by side: the traces go where they belong, and nobody suffers from who else is in the round."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from labctl.energy import Ledger
from labctl.errors import BoardFault, BoardGone, LabError, LimitExceeded, Misbehaved, Refused
from labctl.plan import Plan
from labctl.programming.write_verify import Ending, Outcome, Programming, Reading, read, write_verify
from labctl.pulse import Pulse, Purpose, Trace
from labctl.session import run
from labctl.together import side_by_side
from tests.boards import compact

NUMBERS = tuple[str, tuple[float, ...]]


def pulse(volts: float) -> Pulse:
    """Told apart from others by its volts."""
    return Pulse(np.array([0.0, 1.0]), np.full((2, 2), volts), np.ones(2, dtype=np.bool_), Purpose.READ)


def trace(of: Pulse) -> Trace:
    """Says which pulse it is of."""
    return Trace(np.array([1.0]), of.volts[:1], np.zeros((1, 2)))


def told(traces: Sequence[Trace]) -> tuple[float, ...]:
    return tuple(float(one.volts[0, 0]) for one in traces)


def asking(*lists: Sequence[float]) -> Plan[list[NUMBERS]]:
    """A plan that asks for these lists, whatever happens, and returns what it heard of each."""
    heard: list[NUMBERS] = []
    for numbers in lists:
        try:
            heard.append(("served", told((yield [pulse(one) for one in numbers]))))
        except Misbehaved as error:
            heard.append((type(error).__name__, told(error.traces)))
        except Refused as error:
            heard.append((type(error).__name__, ()))
    return heard


def sent(
    plan: Plan[list[list[NUMBERS]]], errors: dict[int, LabError] | None = None
) -> tuple[list[list[NUMBERS]], list[list[float]]]:
    """The plan's result and the lists that it sent; `errors`: what the list of a number ends in, from 1."""
    lists: list[list[float]] = []
    try:
        pulses = next(plan)
        while True:
            lists.append([float(one.volts[0, 0]) for one in pulses])
            if error := (errors or {}).get(len(lists)):
                pulses = plan.throw(error)
            else:
                pulses = plan.send([trace(one) for one in pulses])
    except StopIteration as end:
        return end.value, lists


def traces_of(*numbers: float) -> list[Trace]:
    return [trace(pulse(one)) for one in numbers]


def test_lists_are_joined_and_each_plan_gets_its_own_traces() -> None:
    heard, lists = sent(side_by_side([asking([1, 2], [3]), asking([4]), asking([5], [6, 7], [8])]))
    assert lists == [[1, 2, 4, 5], [3, 6, 7], [8]]
    assert heard == [
        [("served", (1, 2)), ("served", (3,))],
        [("served", (4,))],
        [("served", (5,)), ("served", (6, 7)), ("served", (8,))],
    ]


def test_no_plans_ask_for_nothing() -> None:
    assert sent(side_by_side([])) == ([], [])
    assert sent(side_by_side([asking(), asking()])) == ([[], []], [])


def test_of_a_refused_round_each_part_is_sent_alone() -> None:
    plans = [asking([1], [2]), asking([3], [4]), asking([5])]
    refused: dict[int, LabError] = {1: Refused("all of it"), 3: LimitExceeded("too much for 3")}
    heard, lists = sent(side_by_side(plans), refused)
    assert lists == [[1, 3, 5], [1], [3], [5], [2, 4]]
    assert heard[1] == [("LimitExceeded", ()), ("served", (4,))]
    assert [one for plan in (heard[0], heard[2]) for one, _ in plan] == ["served"] * 3


@pytest.mark.parametrize(
    ("measured", "failed", "its_own", "left"),
    [
        ([], 0, (), [3, 5]),
        ([1], 0, (1,), [3, 5]),
        ([1, 2], 1, (), [5]),
        ([1, 2, 3], 1, (3,), [5]),
        ([1, 2, 3, 4], 2, (), []),
        ([1, 2, 3, 4, 5], 2, (5,), []),
        ([1, 2, 3, 4, 5, 6], 2, (5, 6), []),
    ],
)
def test_after_a_round_that_went_wrong_nothing_is_sent_twice(
    measured: list[float], failed: int, its_own: tuple[float, ...], left: list[float]
) -> None:
    plans = [asking([1, 2]), asking([3, 4]), asking([5, 6])]
    fault = BoardFault("it broke", traces=traces_of(*measured))
    heard, lists = sent(side_by_side(plans), {1: fault})
    assert lists == [[1, 2, 3, 4, 5, 6], *([one, one + 1] for one in left)]
    assert heard[failed] == [("BoardFault", its_own)]
    others = [index for index in range(3) if index != failed]
    assert [heard[index] for index in others] == [
        [("served", (2 * index + 1, 2 * index + 2))] for index in others
    ]
    assert told(fault.traces) == tuple(measured)  # whoever threw it finds it as it was


def test_the_one_that_failed_goes_on_in_the_next_round() -> None:
    plans = [asking([1], [2]), asking([3], [4])]
    heard, lists = sent(side_by_side(plans), {1: BoardFault("it broke", traces=traces_of(1))})
    assert lists == [[1, 3], [2, 4]]
    assert heard == [
        [("served", (1,)), ("served", (2,))],
        [("BoardFault", ()), ("served", (4,))],
    ]


def careless() -> Plan[list[NUMBERS]]:
    yield [pulse(9)]
    return []


def test_an_error_that_nobody_catches_comes_out_and_all_are_closed() -> None:
    closed: list[int] = []

    def closing() -> Plan[list[NUMBERS]]:
        try:
            yield [pulse(1)]
            yield [pulse(2)]
        finally:
            closed.append(1)
        return []

    with pytest.raises(BoardGone):
        sent(side_by_side([closing(), careless()]), {1: BoardGone("unplugged", traces=traces_of(1))})
    assert closed == [1]


def test_closing_it_closes_all() -> None:
    plans = [careless(), careless()]
    together = side_by_side(plans)
    next(together)
    together.close()
    assert [plan.gi_frame for plan in plans] == [None, None]  # type: ignore[attr-defined]


# ---- programming ---------------------------------------------------------------------------------


def programmed(at_once: bool, **settings: object) -> tuple[list[Outcome], Ledger]:
    """Ten sites of a network chip brought to ten conductances."""
    board, ledger = compact("network", **settings), Ledger()
    targets = np.geomspace(12e-6, 90e-6, 10)

    def plan() -> Plan[list[Outcome]]:
        pulses = [read(board.spec, site, Reading()) for site in range(10)]
        yield pulses
        each = [
            write_verify(board.spec, site, float(targets[site]), 4.5e-6, Programming(), Reading())
            for site in range(10)
        ]
        if at_once:
            return (yield from side_by_side(each))
        outcomes: list[Outcome] = []
        for one in each:
            outcomes.append((yield from one))  # noqa: PERF401 - no yield in a comprehension
        return outcomes

    with board:
        return run(plan(), board, ledger=ledger), ledger


def test_on_a_steady_chip_it_comes_to_the_same_as_one_by_one_with_fewer_calls() -> None:
    (alone, long), (at_once, short) = programmed(at_once=False), programmed(at_once=True)
    assert [replace(one, seconds=0.0) for one in at_once] == [replace(one, seconds=0.0) for one in alone]
    assert {outcome.ending for outcome in alone} == {Ending.DONE}
    assert short.total().pulses == long.total().pulses
    assert short.total().joules == pytest.approx(long.total().joules, rel=1e-12)
    *others, link = long.total().seconds - short.total().seconds
    assert others == pytest.approx([0, 0, 0], abs=1e-12)
    most = max(outcome.pulses for outcome in alone)
    calls = sum(outcome.pulses for outcome in alone)
    assert link == pytest.approx((calls - most) * 125e-6)


def test_a_site_that_is_stuck_holds_nobody_up() -> None:
    outcomes, _ = programmed(at_once=True, faults={"low": (3,)})
    endings = [outcome.ending for outcome in outcomes]
    assert endings.pop(3) is Ending.STUCK
    assert set(endings) == {Ending.DONE}
