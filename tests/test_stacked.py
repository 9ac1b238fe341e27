"""A network on boards without neurons: addressing, the bill, computed answers, and what fails half way."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.addressing import drive, infer, level, select, wait
from labctl.bench import Bench
from labctl.board import Board
from labctl.config import build
from labctl.energy import Ledger, charges
from labctl.errors import BadConfig, BoardFault, BoardGone, LimitExceeded, Outputs, Unavailable
from labctl.experiment import images_of, read_experiment
from labctl.network import HIDDEN, OUTPUT, Window, amplifiers, chip_volts
from labctl.parts import Shapes
from labctl.pulse import Flag, Floats, Purpose
from labctl.reading import conductance, settled_volts
from labctl.session import run
from labctl.stacked import StackedBoard
from labctl.training.assignment import assign
from labctl.training.controller import train
from tests.boards import compact, ngspice, selectors, stacked
from tests.resistor_parts import Resistors

ROOT = Path(__file__).parents[1]


def part(siemens: Sequence[float], **settings: Any) -> dict[str, Any]:
    return {
        "class": "tests.resistor_parts:Resistors",
        "board": {"siemens": list(map(float, siemens)), **settings},
    }


def stack(*parts: dict[str, Any], **settings: Any) -> StackedBoard:
    return StackedBoard(build({"parts": list(parts), **settings}, StackedBoard.Settings, "test"))


def resistors(board: StackedBoard) -> list[Resistors]:
    found = [one for one in board.parts if isinstance(one, Resistors)]
    assert len(found) == len(board.parts)
    return found


def chip() -> tuple[Floats, Floats]:
    """[S] Conductances of both layers, shapes (9, 3) and (3, 1), in the order of the sites of the network."""
    rng = np.random.default_rng(5)
    return rng.uniform(10e-6, 100e-6, (9, 3)), rng.uniform(10e-6, 100e-6, (3, 1))


def in_order(hidden: Floats, output: Floats) -> list[float]:
    """By site of the network: neuron by neuron."""
    return [*map(float, hidden.T.ravel()), *map(float, output.ravel())]


def two_parts(**settings: Any) -> StackedBoard:
    siemens = in_order(*chip())
    return stack(part(siemens[:16]), part(siemens[16:]), **settings)


def answers(board: StackedBoard, pixels: Floats) -> Floats:
    """[V] Of all neurons, shape (patterns, neurons)."""
    pulses = [infer(board.spec, row, 50e-6) for row in pixels]
    with board:
        traces = board.apply(pulses)
    outputs = [neuron.output for neuron in board.spec.neurons]
    return np.array(
        [[settled_volts(p, t, line) for line in outputs] for p, t in zip(pulses, traces, strict=True)]
    )


# ---- where pulses go -------------------------------------------------------------------------


def test_each_site_reads_the_device_that_holds_it() -> None:
    board, siemens = two_parts(), in_order(*chip())
    spec = board.spec
    pulses = [select(spec, site, level(spec, 0.1, 50e-6), Purpose.READ) for site in range(30)]
    with board:
        found = [
            conductance(spec, p, t, s)
            for s, (p, t) in enumerate(zip(pulses, board.apply(pulses), strict=True))
        ]
    assert found == pytest.approx(siemens, rel=1e-9)


@pytest.mark.parametrize("sensed", [(0,), (1, 2, 3, 4, 5, 6)], ids=["rows", "columns"])
def test_what_one_end_of_a_site_senses_holds_for_the_other(sensed: tuple[int, ...]) -> None:
    parts = [part([2e-5, 3e-5, 4e-5, 5e-5, 6e-5, 7e-5], changes={"sensed": sensed})]
    board = stack(*parts, sizes=[2, 2, 1])
    pulse = select(board.spec, 4, level(board.spec, 0.1, 50e-6), Purpose.READ)
    lit = infer(board.spec, np.array([0.1, 0.05]), 50e-6)
    with board:
        read, inferred = board.apply([pulse, lit])
    assert conductance(board.spec, pulse, read, 4) == pytest.approx(6e-5)
    assert read.amps.sum() == pytest.approx(0.0, abs=1e-15)
    assert -inferred.amps[1, board.spec.rows] == pytest.approx(0.1 * 2e-5 + 0.05 * 3e-5)


def test_runs_for_one_part_are_one_list_and_keep_their_order() -> None:
    board = two_parts()
    wave = level(board.spec, 0.1, 50e-6)
    sites = [0, 1, 15, 16, 17, 2]
    with board:
        board.apply([select(board.spec, site, wave, Purpose.READ) for site in sites])
    first, second = resistors(board)
    assert (first.lists, second.lists) == (2, 1)
    assert [int(np.flatnonzero(p.driven)[1]) - 1 for p in first.pulses] == [0, 1, 15, 2]
    assert [int(np.flatnonzero(p.driven)[1]) - 1 for p in second.pulses] == [0, 1]


def test_who_reads_of_it_is_told_that_its_neurons_are_computed() -> None:
    assert two_parts().spec.neurons_told == "by neurons computed from its currents"
    assert compact("network").spec.neurons_told == "on the chip's own neurons"


def test_stuck_devices_are_left_out() -> None:
    siemens = in_order(*chip())
    board = stack(part([1e-3, *siemens[:15]]), part([*siemens[15:], 1e-3]), unused=[[0, 0], [1, 15]])
    told = [site.label for site in board.spec.sites]
    assert (told[0], told[14], told[15]) == ("w0-0@0.M2", "w5-1@0.M16", "w6-1@1.M1")
    swapped = stack(
        part(siemens[16:]),
        part(siemens[:16]),
        order=[[1, n] for n in range(16)] + [[0, n] for n in range(14)],
    )
    pixels = 0.1 * np.eye(9)
    assert answers(board, pixels) == pytest.approx(answers(two_parts(), pixels))
    assert answers(swapped, pixels) == pytest.approx(answers(two_parts(), pixels))


def test_a_wait_is_waited_by_all_parts_one_after_the_other() -> None:
    board = two_parts()
    with board:
        (trace,) = board.apply([wait(board.spec, 0.5)])
    assert [one.pulses[0].duration for one in resistors(board)] == [0.5, 0.5]
    assert float(trace.seconds.sum()) == 0.5
    assert trace.settle_seconds == pytest.approx(0.5 + 2e-5)
    assert not trace.volts.any()


def test_pulses_that_connect_several_sites_are_refused_and_nothing_is_driven() -> None:
    board = two_parts()
    wave = level(board.spec, 1.0, 50e-6)
    read = select(board.spec, 0, wave, Purpose.READ)
    both = drive(board.spec, {0: 0.1, 1: 0.1, board.spec.rows: 0.0}, wave, Purpose.READ)
    with board, pytest.raises(LimitExceeded, match="connects 2 sites"):
        board.apply([read, both])
    assert not any(one.pulses for one in resistors(board))


# ---- what a stack is ---------------------------------------------------------------------------


def test_a_stack_is_as_good_as_the_worst_of_its_parts() -> None:
    worse = {
        "shortest_pulse": 1e-3, "longest_pulse": 1.0, "source_volts": 5.0, "shapes": Shapes.STEPS,
        "edge_seconds": 1e-5, "noise_amps": 1e-9, "noise_floor_amps": 1e-8, "settle_seconds": 0.02,
        "response_seconds": 1e-4, "link_seconds": 0.001, "accuracy": 0.02, "spread": 0.2,
    }  # fmt: skip
    siemens = in_order(*chip())
    board = stack(part(siemens[:16]), part(siemens[16:], changes=worse))
    assert {name: getattr(board.spec, name) for name in worse} == worse
    assert board.spec.series_ohms == (10e3,) * 13 + (75.0,) * 4
    assert board.spec.sensed == (13, 14, 15, 16)
    assert [site.limits for site in board.spec.sites] == [
        one.limits for each in board.parts for one in each.spec.sites
    ]


def test_limits_of_a_site_are_those_of_its_device() -> None:
    narrow = {"layout": "selector", "columns": 16, "limits": {"high": "0.5 V"}}
    wide = {"layout": "selector", "columns": 16}
    parts = [{"class": "sim_backend.compact:CompactBoard", "board": one} for one in (wide, narrow)]
    board = stack(*parts)
    with board:
        board.apply([select(board.spec, 15, level(board.spec, 1.0, 50e-6), Purpose.PROGRAM)])
        with pytest.raises(LimitExceeded, match=r"site w7-1@1\.M1"):
            board.apply([select(board.spec, 16, level(board.spec, 1.0, 50e-6), Purpose.PROGRAM)])


def test_columns_that_can_only_be_grounded_stay_so() -> None:
    board = stack(part(in_order(*chip()), changes={"grounded": (1, 2)}))
    assert board.spec.grounded == (13,)


SIXTEEN = [3e-5] * 16
OTHER_SERIES = {"series_ohms": (11e3, *[75.0] * 16)}


@pytest.mark.parametrize(
    ("parts", "settings", "told"),
    [
        ([part(SIXTEEN)], {}, "16 sites for the 30 memristors"),
        ([part(SIXTEEN), part(SIXTEEN)], {"unused": [[0, 0], [0, 1], [1, 0]]}, "29 sites"),
        ([part(SIXTEEN), part(SIXTEEN)], {"unused": [[1, 16]]}, "no site 16 on part 1"),
        ([part(SIXTEEN)], {"order": [[1, 0]]}, "no site 0 on part 1"),
        ([part(SIXTEEN)], {"order": [[0, 0], [0, 0]]}, "names a site twice"),
        ([part(SIXTEEN)], {"order": [[0, 0]], "unused": [[0, 1]]}, "allowed: one of both"),
        ([part(SIXTEEN * 2, layout="crossbar")], {}, "no switches"),
        ([part(SIXTEEN), part(SIXTEEN, changes=OTHER_SERIES)], {}, "differ by 500 ohm"),
        ([], {}, "at least 1"),
    ],
)  # fmt: skip
def test_parts_that_do_not_make_a_network_are_refused(
    parts: list[dict[str, Any]], settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadConfig, match=told):
        stack(*parts, **settings)


def test_one_network_is_of_one_kind_of_device() -> None:
    parts = [
        {"class": "sim_backend.compact:CompactBoard", "board": {"layout": "selector", "dopant": dopant}}
        for dopant in ("Cr", "W")
    ]
    with pytest.raises(BadConfig, match="devices of Cr and W"):
        stack(*parts)


def test_a_part_that_is_no_board_is_told_with_its_number() -> None:
    with pytest.raises(Unavailable, match=r"parts\[1\]"):
        stack(part(SIXTEEN), {"class": "labctl.spec:Spec"})


def test_series_resistors_that_hardly_differ_cost_accuracy() -> None:
    board = stack(part(SIXTEEN), part(SIXTEEN, changes={"series_ohms": (10_100.0, *[75.0] * 16)}))
    assert board.spec.series_ohms[0] == 10_050.0
    assert board.spec.accuracy == pytest.approx(0.01 + 50 * 100e-6)


# ---- what neurons are computed to answer ---------------------------------------------------------


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
def test_neurons_answer_what_their_formula_makes_of_the_conductances(together: bool) -> None:
    hidden, output = chip()
    patterns = 0.1 * np.vstack([np.eye(9), np.ones(9), np.random.default_rng(2).uniform(0, 1, (5, 9))])
    window = Window(10e-6, 100e-6)
    wanted = np.hstack(chip_volts(patterns, (hidden, output), amplifiers((HIDDEN, OUTPUT), window, 0.1)))
    found = answers(two_parts(together=together), patterns)
    # switches in parallel are corrected for as if all devices conducted alike
    assert np.abs(found - wanted).max() < (2e-3 if together else 1e-9)
    assert (np.abs(wanted) < 0.099).any(axis=0).all(), "every neuron is between its rails for some pattern"


def test_an_inference_by_hand() -> None:
    """Two pixels, two hidden neurons, one output; Cr: G_ref = 55 uS, R_f = 0.7 and 1 over 45 uS."""
    board = stack(part([20e-6, 40e-6, 30e-6, 60e-6, 25e-6, 80e-6]), sizes=[2, 2, 1])
    first = -0.7 / 45e-6 * (0.1 * 20e-6 + 0.05 * 40e-6 - 55e-6 * 0.15)
    second = -0.7 / 45e-6 * (0.1 * 30e-6 + 0.05 * 60e-6 - 55e-6 * 0.15)
    last = -1 / 45e-6 * (first * 25e-6 + second * 80e-6 - 55e-6 * (first + second))
    found = answers(board, np.array([[0.1, 0.05]]))[0]
    assert found == pytest.approx([first, second, last], rel=1e-9)
    assert 0 < second < first < 0.1


def test_pixels_of_0_volts_are_not_driven() -> None:
    board = two_parts()
    assert answers(board, np.zeros((1, 9))) == pytest.approx(np.zeros((1, 4)))
    assert not any(one.pulses for one in resistors(board))


def test_sites_that_see_the_same_voltage_can_share_a_pulse() -> None:
    """Nine lit pixels: 27 pulses one by one; four together, because the second column is on both parts."""
    alone, together = two_parts(), two_parts(together=True)
    for board, count in ((alone, 27), (together, 4)):
        answers(board, np.full((1, 9), 0.09))
        inputs = [p for one in resistors(board) for p in one.pulses if float(p.volts.max()) == 0.09]
        assert len(inputs) == count


def test_a_current_below_the_noise_floor_is_none() -> None:
    quiet = stack(part([20e-6, 1e-9, 30e-6, 60e-6, 25e-6, 80e-6]), sizes=[2, 2, 1])
    empty = stack(part([20e-6, 0.0, 30e-6, 60e-6, 25e-6, 80e-6]), sizes=[2, 2, 1])
    pixels = np.array([[0.1, 0.1]])
    assert np.array_equal(answers(quiet, pixels), answers(empty, pixels))


def test_a_current_against_its_voltage_is_a_fault() -> None:
    board = stack(part([20e-6, 40e-6, 30e-6, 60e-6, 25e-6, 80e-6], wired="backwards"), sizes=[2, 2, 1])
    with board, pytest.raises(BoardFault, match="is no conductance"):
        board.apply([infer(board.spec, np.array([0.1, 0.1]), 50e-6)])


def test_flags_of_any_pulse_are_flags_of_the_inference() -> None:
    siemens = in_order(*chip())
    board = stack(part(siemens[:16]), part(siemens[16:], flags=int(Flag.OVER_RANGE)))
    with board:
        (trace,) = board.apply([infer(board.spec, np.full(9, 0.1), 50e-6)])
    assert trace.flags is Flag.OVER_RANGE


# ---- the bill ------------------------------------------------------------------------------------


def test_the_bill_is_the_sum_of_the_bills_of_the_parts() -> None:
    """Joules and seconds of selections by kind; of an inference the joules, and all the time it took."""
    board = two_parts()
    spec, wave = board.spec, level(board.spec, 0.1, 50e-6)
    for pulses in (
        [select(spec, site, wave, Purpose.READ).repeated(1 + site % 3) for site in (0, 20, 3, 4)],
        [infer(spec, np.array([0.1, 0, 0.1, 0, 0.05, 0, 0, 0, 0.1]), 50e-6)],
    ):
        for one in resistors(board):
            one.pulses.clear()
            one.traces.clear()
        with board:
            booked = charges(spec, pulses, board.apply(pulses))
        parts = [charge for one in resistors(board) for charge in charges(one.spec, one.pulses, one.traces)]
        assert sum(one.joules[0] for one in booked) == pytest.approx(
            sum(one.joules[0] for one in parts), rel=1e-12
        )
        assert sum(sum(one.seconds) for one in booked) == pytest.approx(
            sum(sum(one.seconds) for one in parts)
        )
        assert {one.site for one in booked} == ({0, 20, 3, 4} if len(pulses) > 1 else {None})


def test_energies_are_those_of_the_network_board_but_for_what_series_resistors_change() -> None:
    """On ngspice: a selection costs the same; a pixel less, for it drives through the series resistor."""
    parts = selectors(3, 2, "ngspice:NgspiceBoard", sense="0 F")
    boards = (stacked("ngspice", parts=parts), 2), (ngspice("network", sense="0 F"), 3)
    bills = list[list[float]]()
    for board, devices_in_row in boards:
        spec = board.spec
        site, pixels = spec.site_at(1, 0), np.zeros(spec.rows - len(spec.neurons))
        pixels[0] = 0.1
        pulses = [
            select(spec, site, level(spec, 0.6, 100e-6, 1e-6), Purpose.PROGRAM),
            select(spec, site, level(spec, 0.1, 50e-6), Purpose.READ),
            infer(spec, pixels, 50e-6),
        ]
        with board:
            traces = board.apply(pulses)
        pixel = float(traces[2].seconds @ (traces[2].volts[:, 0] * traces[2].amps[:, 0]))
        bills.append([*(one.joules[0] for one in charges(spec, pulses, traces)[:2]), pixel / devices_in_row])
    program, read, pixel = (mine / theirs for mine, theirs in zip(*bills, strict=True))
    fresh = 1 / 173e3  # S, of a new Cr device
    assert (program, read) == pytest.approx((1.0, 1.0), abs=2e-3)
    assert pixel == pytest.approx(1 / (1 + fresh * 10_075), abs=0.02)


# ---- what fails half way ---------------------------------------------------------------------------


def test_a_part_that_fails_leaves_the_traces_before_it_and_says_which() -> None:
    siemens = in_order(*chip())
    board = stack(part(siemens[:16]), part(siemens[16:], fails_at=1, safe="UNKNOWN"))
    wave = level(board.spec, 0.1, 50e-6)
    pulses = [select(board.spec, site, wave, Purpose.READ) for site in (0, 16, 17, 1)]
    board.__enter__()
    with pytest.raises(BoardGone, match=r"^part 1: the plug was pulled") as caught:
        board.apply(pulses)
    with pytest.raises(BoardFault, match="was left"):  # and by then nobody has switched it off
        board.__exit__(None, None, None)
    assert len(caught.value.traces) == 2
    assert conductance(board.spec, pulses[1], caught.value.traces[1], 16) == pytest.approx(siemens[16])
    assert caught.value.outputs is Outputs.UNKNOWN
    assert len(resistors(board)[0].pulses) == 1, "nothing was driven after the failure"


def test_a_part_that_fails_in_an_inference_fails_the_inference() -> None:
    siemens = in_order(*chip())
    board = stack(part(siemens[:16]), part(siemens[16:], fails_at=14))
    pulses = [infer(board.spec, np.full(9, 0.1), 50e-6) for _ in range(3)]
    with board, pytest.raises(BoardGone) as caught:
        board.apply(pulses)
    assert len(caught.value.traces) == 1
    assert caught.value.outputs is Outputs.OFF


def test_what_a_part_refuses_in_the_middle_is_no_refusal() -> None:
    siemens = in_order(*chip())
    board = stack(part(siemens[:16]), part(siemens[16:], refuses=True))
    wave = level(board.spec, 0.1, 50e-6)
    first, second = (select(board.spec, site, wave, Purpose.READ) for site in (0, 16))
    with board:
        with pytest.raises(LimitExceeded):
            board.apply([second, first])
        assert not resistors(board)[0].pulses
        with pytest.raises(BoardFault, match="part 1 refused in the middle of a list") as caught:
            board.apply([first, second])
    assert len(caught.value.traces) == 1


@pytest.mark.parametrize(
    ("safe", "whole"),
    [(("off", "off"), Outputs.OFF), (("UNKNOWN", "off"), Outputs.UNKNOWN), (("UNKNOWN", "on"), Outputs.ON)],
)
def test_the_whole_is_as_safe_as_its_worst_part(safe: tuple[str, str], whole: Outputs) -> None:
    board = stack(part(SIXTEEN, safe=safe[0]), part(SIXTEEN, safe=safe[1]))
    assert board.make_safe() is whole


def test_the_part_that_was_driven_last_is_switched_off_first() -> None:
    siemens = in_order(*chip())
    board = stack(part(siemens[:16]), part(siemens[16:]))
    order = list[int]()
    with board:
        wave = level(board.spec, 0.1, 50e-6)
        for number, one in enumerate(board.parts):
            one.make_safe = lambda number=number: order.append(number) or Outputs.OFF
        for site, first in ((16, 1), (0, 0)):
            board.apply([select(board.spec, site, wave, Purpose.READ)])
            board.make_safe()
            assert order == [first, 1 - first]
            order.clear()


def test_a_half_failed_opening_closes_the_parts_that_are_open() -> None:
    board = stack(part(SIXTEEN), part(SIXTEEN, opens=False))
    with pytest.raises(BoardGone), board:
        pass
    assert not resistors(board)[0].open
    with pytest.raises(BoardGone), board:
        pass


# ---- an experiment that knows nothing of stacks ------------------------------------------------------


@pytest.mark.parametrize("bench", ["network-stacked-cr-twin", "network-stacked-slow-cr-twin"])
def test_the_experiment_of_the_network_board_trains_a_stack_unmodified(bench: str, tmp_path: Path) -> None:
    experiment = read_experiment(ROOT / "examples/letters.toml")
    board = Bench.read(ROOT / f"benches/{bench}.toml").board(tmp_path)
    images = images_of(experiment, ROOT / "examples")
    ledger = Ledger()
    goal = assign(images, board.spec, experiment.training.software)
    with board:
        trained = run(train(goal, board.spec, experiment.training), board, ledger=ledger)
    assert trained.right == len(images) == 30
    assert np.nanmax(np.abs(trained.conductances / goal.targets - 1)) < 0.05
    assert ledger.total(estimated=True).pulses == 0
    assert {path.name for path in tmp_path.iterdir()} >= {"chip.state" if "slow" in bench else "chip-1.state"}


def trained_bill(board: Board) -> Ledger:
    experiment = read_experiment(ROOT / "examples/letters.toml")
    goal = assign(images_of(experiment, ROOT / "examples"), board.spec, experiment.training.software)
    ledger = Ledger()
    with board:
        run(train(goal, board.spec, experiment.training), board, ledger=ledger)
    return ledger


def test_a_stack_costs_what_the_network_board_costs_for_the_same_training() -> None:
    """Programming and reading: the same. Inference is a few percent of all, and costs less (see above)."""
    mine, theirs = trained_bill(stacked("2x16")), trained_bill(compact("network"))
    for purpose in (Purpose.PROGRAM, Purpose.READ):
        ours, reference = (float(bill.total(purpose=purpose).joules[0]) for bill in (mine, theirs))
        assert ours == pytest.approx(reference, rel=0.01)
    assert float(mine.total().joules[0]) == pytest.approx(float(theirs.total().joules[0]), rel=0.05)
