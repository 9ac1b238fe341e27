"""Learning on the chip: its physics and slopes, the rules on a board made by hand, and the twin."""

import math
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl import cli
from labctl.board import Board
from labctl.config import build, dump
from labctl.energy import Ledger
from labctl.errors import BadConfig, BoardFault, LabError, LimitExceeded
from labctl.images import letters
from labctl.network import HIDDEN, OUTPUT, Activation, Amplifier, Window, amplifiers, chip_volts
from labctl.plan import Plan
from labctl.programming.common import Programming, Spent
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.session import run
from labctl.spec import Spec
from labctl.training.assignment import Assignment, ConductanceError, assign
from labctl.training.controller import Trained, Training, train
from labctl.training.inference import Inference
from labctl.training.learning import fine_tuning
from labctl.training.learning.circuit import Circuit, flattened, matrices, measured_circuit, probes
from labctl.training.learning.options import Delta, Learning, Manhattan
from labctl.training.learning.pulses import each, foreseen_pulses, noisy_pixels
from labctl.training.learning.retraining import Retraining, descend, judge, orders, retrain, slope
from labctl.training.learning.rules import FIRST_CHANGE, DeltaRule, ManhattanRule, measured_slopes
from labctl.training.target_weights import importance
from tests.boards import compact

ROOT = Path(__file__).parents[1]
SIZES = (9, 3, 1)
IMAGES = letters("z")
REFERENCE = 55 / 45
NONE = (np.zeros(3), np.zeros(1))
GOOD = Circuit((HIDDEN, OUTPUT), REFERENCE, NONE)
QUICK = Retraining(steps=60, starts=2)
NOISY: dict[str, Any] = {"device_to_device": True, "cycle_to_cycle": True, "read_noise": True}


@cache
def goal() -> Assignment:
    """What the network board is to become; worked out once."""
    return assign(IMAGES, compact("network", pixel="40 mV").spec, Training().software)


def meant() -> Floats:
    return flattened(goal().network.weights)


def training(rule: str, **options: Any) -> Training:
    table = {"rule": rule} | options
    return build({"learning": table, "testing": {"noise": ["15 %"]}}, Training, "test")


# ---- the neurons as they are ---------------------------------------------------------------------


def test_an_offset_comes_out_as_it_does_of_an_amplifier() -> None:
    """The circuit in weights and read voltages against the nodal equation in siemens and volts."""
    window, read_volts, offset = Window(10e-6, 100e-6), 0.04, 1.5e-3
    siemens = np.linspace(8e-6, 120e-6, 27).reshape(9, 3)
    amplifier = Amplifier(0.7 / 45e-6, 55e-6, -10.0, 10.0, offset_volts=offset)
    circuit = Circuit((HIDDEN, OUTPUT), REFERENCE, (np.full(3, offset / read_volts), np.zeros(1)))
    by_weights = circuit.unclipped(0, IMAGES.pixels, window.weights(siemens)) * read_volts
    assert by_weights == pytest.approx(amplifier.output_volts(IMAGES.pixels * read_volts, siemens), rel=1e-9)


def test_devices_that_conduct_less_at_small_voltages_are_taken_for_what_they_are() -> None:
    siemens, window = np.linspace(8e-6, 120e-6, 27).reshape(9, 3), Window(10e-6, 100e-6)
    less = Circuit((HIDDEN, OUTPUT), REFERENCE, NONE, response=0.97)
    scaled = GOOD.unclipped(0, IMAGES.pixels, window.weights(0.97 * siemens))
    assert less.unclipped(0, IMAGES.pixels, window.weights(siemens)) == pytest.approx(scaled, rel=1e-9)


def test_layers_are_views_of_a_row() -> None:
    rows = np.arange(60.0).reshape(2, 30)
    first, second = matrices(rows, SIZES)
    assert (first.shape, second.shape) == ((2, 9, 3), (2, 3, 1))
    assert flattened([first[1], second[1]]).tolist() == rows[1].tolist()
    first[0, 0, 0] = -1.0
    assert rows[0, 0] == -1.0


def measured(siemens: Floats, offsets: Sequence[float], pixels: Floats) -> list[Floats]:
    """[read voltages] What neurons put out, by their nodal equations."""
    hidden, last = amplifiers((HIDDEN, OUTPUT), Window(10e-6, 100e-6), 0.04)
    volts, layers = pixels * 0.04, matrices(siemens, SIZES)
    columns = [
        Amplifier(hidden.feedback_ohms, 55e-6, 0.0, 0.04, offset_volts=offsets[j]).output_volts(
            volts, layers[0][:, [j]]
        )
        for j in range(3)
    ]
    outputs = np.concatenate(columns, axis=1)
    answer = Amplifier(last.feedback_ohms, 55e-6, -0.04, 0.04, offset_volts=offsets[3])
    return [outputs / 0.04, answer.output_volts(outputs, layers[1]) / 0.04]


@pytest.mark.parametrize("offsets", [(1e-3, -0.5e-3, 2e-3, -1e-3), (0.0, 0.0, 0.0, 0.0)])
@pytest.mark.parametrize("response", [1.0, 0.97])
def test_offsets_and_response_are_found_from_what_neurons_answer(
    offsets: tuple[float, ...], response: float
) -> None:
    weights = matrices(meant(), SIZES)
    pixels = np.concatenate([IMAGES.pixels, probes(GOOD, weights)])
    siemens = response * (55e-6 + 45e-6 * meant())
    circuit, known = measured_circuit(GOOD, weights, pixels, tuple(measured(siemens, offsets, pixels)))
    assert known.all()
    assert flattened(circuit.offsets) * 0.04 == pytest.approx(offsets, abs=0.1e-3)
    assert circuit.response == pytest.approx(response, abs=0.005)


def test_of_a_neuron_at_its_rail_nothing_is_known() -> None:
    railed = (np.ones((30, 3)), np.full((30, 1), -1.0))
    circuit, known = measured_circuit(GOOD, matrices(meant(), SIZES), IMAGES.pixels, railed)
    assert not known.any()
    assert circuit.response == 1.0
    assert not flattened(circuit.offsets).any()


def test_probes_are_pixels_that_bring_neurons_between_their_rails() -> None:
    weights = matrices(meant(), SIZES)
    pixels = probes(GOOD, weights)
    assert 0.0 <= pixels.min() < pixels.max() <= 1.0
    outputs = GOOD.unclipped(0, pixels, weights[0])
    assert all(((outputs[:, neuron] > 0.1) & (outputs[:, neuron] < 0.9)).any() for neuron in range(3))


# ---- training again ------------------------------------------------------------------------------


def test_slopes_agree_with_finite_differences() -> None:
    rng = np.random.default_rng(5)
    wide = (Activation(0.7, -100, 100), OUTPUT)
    offsets = (rng.normal(0, 0.05, 3), rng.normal(0, 0.05, 1))
    circuit = Circuit(wide, REFERENCE, offsets, response=0.95)
    rows, inputs = rng.uniform(-0.3, 0.3, (2, 30)), rng.random((6, 9))
    labels, found = np.array([1.0, 1, -1, -1, -1, 1]), np.zeros((2, 30))

    def losses() -> Floats:
        short = np.maximum(0.0, 1.0 - labels * circuit.forward(inputs, matrices(rows, SIZES))[1])
        assert short.max() < 2.0
        return (importance(labels) * short**2).sum(axis=-1)

    pull = -2 * importance(labels) * labels
    slope(circuit, inputs, matrices(rows, SIZES), labels, pull, 1.0, matrices(found, SIZES))
    for place in (0, 13, 26, 27, 29):
        rows[:, place] += 1e-6
        above = losses()
        rows[:, place] -= 2e-6
        assert found[:, place] == pytest.approx((above - losses()) / 2e-6, rel=1e-5, abs=1e-8)
        rows[:, place] += 1e-6


def test_hidden_neurons_in_another_order_are_the_same_network() -> None:
    rows = np.array(list(orders(meant(), SIZES)))
    assert len(np.unique(rows, axis=0)) == 6
    answers = GOOD.forward(IMAGES.pixels, matrices(rows, SIZES))[1]
    assert answers == pytest.approx(np.tile(answers[0], (6, 1)), abs=1e-9)


def stuck(**weights: float) -> tuple[Floats, Floats]:
    """What a chip has, and which weights can move: the others are given as `w3 = 57`."""
    now, free = meant().copy(), np.ones(30, dtype=np.bool_)
    for name, weight in weights.items():
        now[int(name[1:])], free[int(name[1:])] = weight, False
    return now, free


def test_what_cannot_move_stays_what_it_is_and_all_else_stays_in_the_window() -> None:
    now, free = stuck(w3=57.0, w14=-1.2)
    rows = retrain(IMAGES, GOOD, SIZES, now, meant(), free, QUICK, np.random.default_rng(1))
    assert rows.shape == (9, 30)
    assert (rows[:, ~free] == now[~free]).all()
    assert np.abs(rows[:, free]).max() <= 1.0


@pytest.mark.parametrize(
    ("faults", "least"),
    [
        ({"w8": 57.0, "w23": -1.1}, 0.99),
        ({"w27": 57.0, "w28": 57.0}, 0.97),
        ({"w0": -1.2, "w29": 400.0}, 0.97),
    ],
    ids=["first layer", "both in the last", "a short"],
)
def test_weights_are_trained_around_stuck_devices(faults: dict[str, float], least: float) -> None:
    now, free = stuck(**faults)
    how = Retraining()
    rows = retrain(IMAGES, GOOD, SIZES, now, meant(), free, how, np.random.default_rng(1))
    before, after = (judge(IMAGES, GOOD, SIZES, one, how, 0).accuracy.max() for one in (now[None], rows))
    assert after > least > before


def test_the_same_generator_gives_the_same_weights() -> None:
    now, free = stuck(w3=57.0)
    found = [
        retrain(IMAGES, GOOD, SIZES, now, meant(), free, QUICK, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_starts_outside_the_window_are_brought_into_it() -> None:
    free = np.ones(30, dtype=np.bool_)
    rows = descend(IMAGES, GOOD, SIZES, np.full((1, 30), 3.0), free, QUICK, np.random.default_rng(0))
    assert np.abs(rows).max() <= 1.0


# ---- rules, on a board made by hand --------------------------------------------------------------

Answer = Callable[[Pulse], None]


class HandMade:
    """Ideal neurons; a programming pulse moves its device by `step` siemens; some are stuck."""

    def __init__(self, spec: Spec, siemens: Floats, step: float = 4e-6, stuck: Sequence[int] = ()) -> None:
        self.spec, self.siemens, self.step, self.stuck = spec, siemens.copy(), step, stuck
        self.pulses = list[Pulse]()

    def answer(self, pulses: Sequence[Pulse]) -> list[Trace]:
        self.pulses += pulses
        return [self._trace(pulse) for pulse in pulses]

    def _trace(self, pulse: Pulse) -> Trace:
        volts, amps = pulse.volts[1:2] * pulse.driven, np.zeros((1, self.spec.lines))
        site = self.spec.target(pulse)
        if site is None:
            self._infer(volts)
        else:
            self._select(site, pulse, volts, amps)
        return Trace(np.array([pulse.duration]), volts, amps)

    def _select(self, site: int, pulse: Pulse, volts: Floats, amps: Floats) -> None:
        place = self.spec.sites[site]
        row, column = place.row, self.spec.rows + place.column
        if pulse.purpose is Purpose.PROGRAM and site not in self.stuck:
            self.siemens[site] = max(self.siemens[site] + math.copysign(self.step, volts[0, row]), 1e-6)
        ohms = self.spec.series_ohms[row] + self.spec.series_ohms[column] + 1 / self.siemens[site]
        amps[0, row], amps[0, column] = volts[0, row] / ohms, -volts[0, row] / ohms

    def _infer(self, volts: Floats) -> None:
        circuit = [
            Amplifier(one.feedback_ohms, one.reference_siemens, one.low_volts, one.high_volts)
            for one in (self.spec.neurons[0], self.spec.neurons[3])
        ]
        hidden, last = chip_volts(volts[0, :9], goal().placement.by_layer(self.siemens), circuit)
        volts[0, 9:13] = [*hidden.ravel(), *last.ravel()]


def driven(plan: Plan[Trained], board: Any, errors: dict[int, LabError] | None = None) -> Trained:
    """The result of a plan on this board; errors are thrown in at the lists of these numbers."""
    answer: Callable[[], Sequence[Pulse]] = lambda: next(plan)  # noqa: E731 -- changes from list to list
    number = 0
    while True:
        try:
            pulses = answer()
        except StopIteration as end:
            return end.value
        error = (errors or {}).get(number)
        if error is not None:
            answer = lambda error=error: plan.throw(error)  # noqa: E731
        else:
            traces = board.answer(pulses)
            answer = lambda traces=traces: plan.send(traces)  # noqa: E731
        number += 1


def spec() -> Spec:
    return compact("network", pixel="40 mV").spec


def hand_made(**options: Any) -> HandMade:
    """Devices where the software wants them."""
    return HandMade(spec(), np.nan_to_num(goal().targets), **options)


def spoilt(board: HandMade, sites: Sequence[int], siemens: float) -> HandMade:
    board.siemens[list(sites)] = siemens
    return board


@pytest.mark.parametrize("rule", ["manhattan", "delta"])
def test_a_chip_that_answers_right_is_left_alone(rule: str) -> None:
    board = hand_made()
    found = driven(train(goal(), board.spec, training(rule, transfer=False, pixel_noise="0 %")), board)
    assert found.learnt
    assert [(epoch.right, epoch.pulses) for epoch in found.learnt.epochs] == [(30, 0)] * 6
    assert not [pulse for pulse in board.pulses if pulse.purpose is Purpose.PROGRAM]


@pytest.mark.parametrize("rule", ["manhattan", "delta"])
def test_pulses_bring_a_spoilt_chip_back(rule: str) -> None:
    board = spoilt(hand_made(), range(27, 30), 55e-6)
    before = driven(train(goal(), board.spec, training("none")), hand_made(stuck=range(30))).right
    found = driven(train(goal(), board.spec, training(rule, transfer=False, pixel_noise="0 %")), board)
    assert found.learnt
    assert found.learnt.epochs[0].right < found.right == 30 == before
    assert {pulse.purpose for pulse in board.pulses} == {Purpose.READ, Purpose.INFER, Purpose.PROGRAM}


def answered(board: HandMade) -> tuple[Floats, Floats]:
    """Outputs of both layers for the ideal patterns."""
    hidden = np.zeros((30, 3))
    last = np.zeros((30, 1))
    for index, pattern in enumerate(IMAGES.pixels):
        volts = np.zeros((1, 17))
        volts[0, :9] = pattern * 0.04
        board._infer(volts)
        hidden[index], last[index] = volts[0, 9:12] / 0.04, volts[0, 12] / 0.04
    return hidden, last


def test_measured_slopes_are_those_of_the_computed_circuit() -> None:
    board = spoilt(hand_made(), (0, 4, 12), 60e-6)
    read = dict(enumerate(map(float, board.siemens)))
    found = measured_slopes(goal(), IMAGES.pixels, answered(board), read)
    order = [int(site) for site in goal().placement.order()]
    weights = goal().window.weights(board.siemens[order])
    computed = np.zeros(30)
    labels = IMAGES.labels
    layers, answers = GOOD.forward(IMAGES.pixels, matrices(weights, SIZES))
    inside = np.abs(answers) < 1.0  # beyond its rails the chip shows the rail, and asks for nothing more
    pull = np.where(inside | (answers * labels < 0), -2 * importance(labels) * labels, 0.0)
    slope(GOOD, layers[0], matrices(weights, SIZES), labels, pull, 1.0, matrices(computed, SIZES))
    steep = np.abs(computed) > 0.05 * np.abs(computed).max()
    signs = np.sign([found[site] for site in order])
    assert (signs[steep] == np.sign(computed[steep])).all()


def test_the_manhattan_rule_sends_one_pulse_up_and_one_down() -> None:
    rule = ManhattanRule(spec(), goal(), Manhattan(set_volts=0.3, reset_volts=0.1, least_slope=0.5))
    pulses = rule.pulses(0, {0: 1.0, 1: -0.6, 2: 0.4, 3: 0.0, 27: -0.01, 28: 0.001})
    assert sorted(pulses) == [0, 1, 27]  # 27 is the steepest of its layer
    drop = 1 + 55e-6 * 10075
    assert pulses[0].volts.min() == pytest.approx(-0.1 * drop)
    assert pulses[1].volts.max() == pytest.approx(0.3 * drop)
    assert {pulse.duration for pulse in pulses.values()} == {pulses[0].duration}


def test_the_delta_rule_makes_pulses_longer_in_proportion() -> None:
    """The law of programming: at the same volts a width e times as long moves a device e times as far."""
    programming = Programming(first_width=20e-6)
    rule = DeltaRule(spec(), goal(), Delta(rate=FIRST_CHANGE), programming)
    rule.learn(dict.fromkeys(range(30), 55e-6))
    pulses = rule.pulses(0, {0: -1.0, 1: 0.5, 2: 0.1})
    assert sorted(pulses) == [0, 1]  # a change of 0.005 is not worth a pulse
    widths = [float(pulses[site].seconds[-2]) for site in (0, 1)]
    assert widths[0] / widths[1] == pytest.approx(2.0, rel=0.1)
    assert pulses[0].volts.max() == pytest.approx(0.15 * (1 + 55e-6 * 10075))
    assert pulses[1].volts.min() < 0


def test_the_delta_rule_learns_how_hard_a_device_is_to_move() -> None:
    rule = DeltaRule(spec(), goal(), Delta(rate=FIRST_CHANGE), Programming())
    rule.learn(dict.fromkeys(range(30), 55e-6))
    first = rule.pulses(0, {0: -1.0, 1: -1.0})
    rule.learn({0: 55e-6 + 10 * FIRST_CHANGE * 45e-6, 1: 55e-6})  # too far, and not at all
    then = rule.pulses(0, {0: -1.0, 1: -1.0})
    assert then[0].duration < first[0].duration
    assert then[1].duration > first[1].duration


def thrown(plan: Plan[Any], answer: Callable[[Sequence[Pulse]], LabError | None]) -> Any:
    """The result of a plan whose lists are answered with an error, or with nothing of interest."""
    pulses = next(plan)
    while True:
        error = answer(pulses)
        try:
            pulses = plan.throw(error) if error else plan.send([])
        except StopIteration as end:
            return end.value


def test_a_refused_pulse_is_found_and_all_others_are_driven() -> None:
    pulses = {site: object() for site in range(10)}
    bad, sent = pulses[6], list[Any]()

    def answer(asked: Sequence[Any]) -> LabError | None:
        if bad in asked:
            return LimitExceeded("too much")
        sent.extend(asked)
        return None

    assert thrown(each(pulses, lambda *_: None), answer) == {6: "too much"}  # type: ignore[arg-type]
    assert sent == [pulse for site, pulse in pulses.items() if site != 6]


def test_after_a_fault_the_rest_of_the_list_is_driven() -> None:
    pulses = {site: object() for site in range(10)}
    lists = list[list[Any]]()

    def answer(asked: Sequence[Any]) -> LabError | None:
        lists.append(list(asked))
        return BoardFault("hiccup", traces=[None] * 3) if len(lists) == 1 else None  # type: ignore[list-item]

    assert thrown(each(pulses, lambda *_: None), answer) == {3: "hiccup"}  # type: ignore[arg-type]
    assert lists[1] == list(pulses.values())[4:]


def test_a_fault_in_one_epoch_costs_that_epoch_and_three_in_a_row_end_it() -> None:
    how = training("manhattan", transfer=False, pixel_noise="0 %")
    for faults, stopped in (({3}, ""), ({1, 2, 3}, "hiccup")):
        board = spoilt(hand_made(), range(27, 30), 55e-6)
        found = driven(train(goal(), board.spec, how), board, {at: BoardFault("hiccup") for at in faults})
        assert found.learnt
        assert found.learnt.stopped == stopped
        assert (found.right == 30) is not bool(stopped)


def test_noisy_patterns_that_are_refused_end_learning_with_the_reason() -> None:
    board = spoilt(hand_made(), range(27, 30), 55e-6)
    plan = train(goal(), board.spec, training("delta", transfer=False))
    found = driven(plan, board, {1: LimitExceeded("a pixel too bright")})
    assert found.learnt
    assert (found.learnt.stopped, found.learnt.epochs) == ("a pixel too bright", ())
    assert len(found.answers) == 30


def test_what_learning_will_send_is_known_beforehand() -> None:
    how = Learning(rule="manhattan", manhattan=Manhattan(epochs=2))
    pulses = foreseen_pulses(spec(), goal(), how, Inference())
    assert [pulse.purpose for pulse in pulses] == [Purpose.PROGRAM] * 60 + [Purpose.INFER] * 60
    assert foreseen_pulses(spec(), goal(), Learning(), Inference()) == []
    first, second = noisy_pixels(goal(), how, 2)
    assert (first - IMAGES.pixels).std() == pytest.approx(0.15, rel=0.15)
    assert not np.array_equal(first, second)


# ---- fine tuning ---------------------------------------------------------------------------------


def on_twin(rule: str, goal: Assignment, board: Board, **options: Any) -> tuple[Trained, Ledger]:
    ledger = Ledger()
    with board:
        return run(train(goal, board.spec, training(rule, **options)), board, ledger=ledger), ledger


def faulty(seed: int, **settings: Any) -> Board:
    return compact("network", pixel="40 mV", seed=seed, **NOISY, **settings)


FAULTS = {
    "a low and a high": {"low": [8], "high": [23]},
    "two high in the last layer": {"high": [27, 28]},
    "an open and a short": {"open": [4], "short": [23]},
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_a_chip_with_two_stuck_devices_is_brought_back(faults: dict[str, list[int]]) -> None:
    before, _ = on_twin("none", goal(), faulty(3, faults=faults))
    after, ledger = on_twin("fine_tuning", goal(), faulty(3, faults=faults))
    assert after.learnt
    assert after.right == 30
    assert after.tested[0].accuracy > 0.95 > before.tested[0].accuracy
    bad = {site for sites in faults.values() for site in sites}
    assert bad <= set(after.learnt.frozen)
    looks = after.learnt.epochs
    assert looks[-1].accuracy > looks[0].accuracy
    assert sum(look.pulses for look in looks) > 0
    assert ledger.total(purpose=Purpose.PROGRAM).pulses == sum(one.pulses for one in after.outcomes)
    assert ledger.total(purpose=Purpose.INFER).pulses > 30 + 300 + 30 * len(looks)


def test_what_is_computed_of_the_chip_is_what_it_does() -> None:
    after, _ = on_twin("fine_tuning", goal(), faulty(2, faults={"high": [5, 16]}, neuron_offset="1 mV"))
    assert after.learnt
    assert after.learnt.epochs[-1].accuracy == pytest.approx(after.tested[0].accuracy, abs=0.03)


def test_offsets_are_measured_and_learnt_around() -> None:
    board: Any = faulty(8, neuron_offset="3 mV")
    true = board._parasitics.amplifier_offsets
    before, _ = on_twin("none", goal(), faulty(8, neuron_offset="3 mV"))
    after, _ = on_twin("fine_tuning", goal(), board)
    assert after.learnt
    found = np.array(after.learnt.offsets)
    known = np.isfinite(found)
    assert known.sum() >= 2
    assert found[known] == pytest.approx(np.array(true)[known], abs=0.4e-3)
    assert after.tested[0].accuracy > before.tested[0].accuracy


def test_a_good_chip_is_measured_and_left_alone() -> None:
    plain, _ = on_twin("none", goal(), compact("network", pixel="40 mV"))
    found, _ = on_twin("fine_tuning", goal(), compact("network", pixel="40 mV"))
    assert found.learnt
    assert [(one.right, one.pulses, one.sites) for one in found.learnt.epochs] == [(30, 0, 0)]
    assert sum(one.pulses for one in found.outcomes) == sum(one.pulses for one in plain.outcomes)
    assert found.right == 30


def test_the_same_chip_is_tuned_in_the_same_way() -> None:
    found = [on_twin("fine_tuning", goal(), faulty(4, faults={"high": [8, 19]}))[0] for _ in range(2)]
    assert np.array_equal(found[0].conductances, found[1].conductances)
    assert found[0].learnt
    assert found[1].learnt
    assert found[0].learnt.epochs == found[1].learnt.epochs


def test_stuck_devices_are_frozen_and_the_rest_is_tuned() -> None:
    """And a look at the chip that fails once is repeated."""
    board = hand_made(step=0.4e-6, stuck=(8, 13))
    spoilt(board, (8,), 2.6e-3)
    spoilt(board, (13,), 5e-6)
    how = training("fine_tuning", fine_tuning={"rounds": 2})
    how = how.model_copy(update={"programming": Programming(most_pulses=300)})
    found = driven(train(goal(), board.spec, how), board)
    assert found.learnt
    assert set(found.learnt.frozen) == {8, 13}
    lists = count_lists(how)
    again = spoilt(spoilt(hand_made(step=0.4e-6, stuck=(8, 13)), (8,), 2.6e-3), (13,), 5e-6)
    repeated = driven(train(goal(), again.spec, how), again, {lists: BoardFault("hiccup")})
    assert repeated.learnt
    assert repeated.learnt.epochs == found.learnt.epochs
    assert repeated.right == found.right >= 28


def count_lists(how: Training) -> int:
    """How many lists the transfer takes: the next is the first look."""
    board = spoilt(spoilt(hand_made(step=0.4e-6, stuck=(8, 13)), (8,), 2.6e-3), (13,), 5e-6)
    plan = train(goal(), board.spec, how)
    pulses, count = next(plan), 0
    while not (count and pulses[0].purpose is Purpose.READ and len(pulses) == 30):
        pulses = plan.send(board.answer(pulses))
        count += 1
    plan.close()
    return count


def test_a_round_that_made_it_worse_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tuning._Tuner, "_better", lambda tuner, turn: np.full(30, 55e-6))
    found, _ = on_twin("fine_tuning", goal(), compact("network", pixel="40 mV"))
    assert found.learnt
    looks = found.learnt.epochs
    assert looks[1].right < looks[0].right == looks[2].right == 30
    assert [look.sites > 20 for look in looks] == [False, True, True]
    assert np.abs(found.conductances / goal().targets - 1).max() < 0.07  # reads make devices creep


def test_a_look_that_fails_three_times_ends_tuning_and_not_training() -> None:
    how = training("fine_tuning")
    board = hand_made()
    found = driven(train(goal(), board.spec, how), board, {at: BoardFault("hiccup") for at in (1, 2, 3)})
    assert found.learnt
    assert (found.learnt.stopped, found.learnt.epochs) == ("hiccup", ())
    assert found.right == 30


def test_a_chip_that_is_taken_back_is_not_missed_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured of the best look holds the errors on purpose already."""
    monkeypatch.setattr(fine_tuning._Tuner, "_better", lambda tuner, turn: np.full(30, 55e-6))
    how = training("fine_tuning")
    how = how.model_copy(update={"missed": ConductanceError(error=0.2, seed=3)})
    missed = assign(IMAGES, spec(), how.software, how.missed)
    with compact("network", pixel="40 mV") as board:
        found = run(train(missed, board.spec, how), board, ledger=Ledger())
    assert found.learnt
    assert [look.sites > 20 for look in found.learnt.epochs] == [False, True, True]
    assert np.abs(found.conductances / missed.targets - 1).max() < 0.07  # reads make devices creep


@pytest.mark.parametrize("transfer", [True, False])
def test_what_was_spent_before_an_interruption_counts_in_fine_tuning(transfer: bool) -> None:
    """Without a transfer, too: nothing else tells the caps of an earlier life."""
    board = spoilt(hand_made(), range(27, 30), 30e-6)
    how = training("fine_tuning", transfer=transfer)
    spent = {27: Spent(99, 0.0, 0.0), 28: Spent(0, 5.0, 0.0), 29: Spent(0, 0.0, 1.0)}
    found = driven(train(goal(), board.spec, how, spent=spent), board)
    assert found.learnt
    told = {site: found.learnt.frozen[site] for site in spent if site in found.learnt.frozen}
    assert told == {27: "too many pulses", 28: "too much time", 29: "too much energy"}
    pulsed = [board.spec.target(one) for one in board.pulses if one.purpose is Purpose.PROGRAM]
    assert [pulsed.count(site) for site in spent] == [1, 0, 0]


@pytest.mark.parametrize("rule", ["manhattan", "delta"])
def test_caps_hold_for_pulses_that_nobody_verifies(rule: str) -> None:
    """Three devices that never move are asked to in each of 60 epochs."""
    board = spoilt(hand_made(stuck=range(27, 30)), range(27, 30), 55e-6)
    how = training(rule, transfer=False, pixel_noise="0 %")
    how = how.model_copy(update={"programming": Programming(most_pulses=7)})
    found = driven(train(goal(), board.spec, how, spent={27: Spent(5, 0.0, 0.0)}), board)
    assert found.learnt
    assert found.learnt.frozen[27] == "too many pulses"
    pulsed = [board.spec.target(one) for one in board.pulses if one.purpose is Purpose.PROGRAM]
    counts = [pulsed.count(site) for site in range(30)]
    assert (counts[27], max(counts)) == (2, 7)


def test_from_scratch_fine_tuning_trains_the_chip_by_itself() -> None:
    found, _ = on_twin("fine_tuning", goal(), compact("network", pixel="40 mV"), transfer=False)
    assert found.right == 30
    assert len(found.outcomes) == 30


@pytest.mark.parametrize("rule", ["manhattan", "delta"])
def test_the_twin_learns_by_pulses_alone(rule: str) -> None:
    board = faulty(1)
    found, ledger = on_twin(rule, goal(), board, transfer=False)
    assert found.learnt
    assert found.outcomes == ()
    assert found.learnt.epochs[0].right <= 20
    assert found.right >= 28
    assert ledger.total(purpose=Purpose.PROGRAM).pulses == sum(one.pulses for one in found.learnt.epochs)


# ---- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"transfer": False}, "transfer = false without a rule"),
        ({"rule": "delta", "manhattan": {"epochs": 3}}, "options of manhattan, but the rule is delta"),
        ({"fine_tuning": {"rounds": 1}}, "options of fine_tuning, but the rule is none"),
        ({"rule": "hebb"}, "manhattan"),
        ({"rule": "manhattan", "manhattan": {"epochs": 0}}, "greater than or equal to 1"),
        ({"rule": "delta", "delta": {"rate": "0 %"}}, "more than 0 %"),
    ],
)
def test_options_without_sense_are_refused(table: dict[str, Any], told: str) -> None:
    with pytest.raises(BadConfig, match=told):
        build(table, Learning, "test")


@pytest.mark.parametrize("rule", ["none", "manhattan", "delta", "fine_tuning"])
def test_options_survive_the_journal(rule: str) -> None:
    how = build({"rule": rule}, Learning, "test")
    assert build(dump(how), Learning, "test") == how


def test_every_command_of_the_page_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs/how-to/learn-on-chip.md").read_text(encoding="utf-8")
    for block, name in re.findall(r"```toml\n(# (\S+\.toml)\n.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "labctl.report.pictures", None)  # they take longer than the runs
    for folder in ("benches", "examples"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    commands = re.findall(
        r"^labctl .*$", "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)), re.MULTILINE
    )
    assert commands
    told = ""
    for command in commands:
        assert cli.run(shlex.split(command, comments=True)[1:]) == 0, capsys.readouterr().err
        told += capsys.readouterr().out
    assert "patterns right   30 / 30" in told
    assert "learning         fine_tuning" in told
