"""Boards whose shortest pulse is longer than experiments ask for: it is taken, and volts alone are left."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labctl.addressing import select
from labctl.config import build
from labctl.energy import Ledger
from labctl.errors import LimitExceeded
from labctl.experiment import images_of, read_experiment
from labctl.layouts import Circuit, network, selector
from labctl.programming.common import Reading, bounds, read
from labctl.programming.self_limiting import Setting
from labctl.programming.write_verify import Ending, Outcome, Programming, write_verify
from labctl.pulse import Pulse, Purpose
from labctl.session import run
from labctl.shapes import triangle
from labctl.spec import Spec
from labctl.training.assignment import assign
from labctl.training.controller import Reset, Training, foreseen
from labctl.training.inference import Inference, inferences
from labctl.training.learning.options import Learning
from sim_backend.compact import CompactBoard

EXAMPLES = Path(__file__).parents[1] / "examples"
SLOW = 1.6e-3
"""[s] Shortest pulse of a source meter that sets levels."""
WINDOWS = {"Cr": (40e-6, 100e-6), "W": (170e-6, 450e-6), "Sn": (40e-6, 240e-6), "C": (2e-6, 15e-6)}


def twin(layout: str = "selector", **settings: object) -> CompactBoard:
    table = {"layout": layout, **({"columns": 1} if layout == "selector" else {}), **settings}
    return CompactBoard(build(table, CompactBoard.Settings, "test"))


def slow(spec: Spec) -> Spec:
    return replace(spec, shortest_pulse=SLOW)


def test_figures_of_a_bench_are_figures_of_its_twin() -> None:
    spec = twin(
        settle="20 ms",
        link="1 ms",
        shortest_pulse="1.6 ms",
        edge="100 us",
        noise_floor="2 nA",
        accuracy="3 %",
    ).spec
    assert (spec.settle_seconds, spec.link_seconds, spec.shortest_pulse) == (20e-3, 1e-3, 1.6e-3)
    assert (spec.noise_floor_amps, spec.accuracy, spec.edge_seconds) == (2e-9, 0.03, 1e-4)
    slope = select(spec, 0, triangle(0.1, 4e-3), Purpose.READ)
    with pytest.raises(LimitExceeded, match="levels with edges"):
        spec.check([slope])


def test_reads_and_patterns_last_at_least_what_the_board_can_make() -> None:
    spec = slow(selector(1, Circuit()))
    assert read(spec, 0, Reading()).duration == SLOW
    assert read(spec, 0, Reading(seconds=5e-3)).duration == 5e-3
    brain = slow(network(Circuit()))
    (pattern,) = inferences(brain, np.ones((1, 9)), 0.1, Inference())
    assert pattern.duration == SLOW
    brain.check([pattern])


def test_where_the_plan_allows_too_little_every_pulse_is_the_shortest_of_the_board() -> None:
    allowed = bounds(slow(selector(1, Circuit())), 0, +1, Programming())
    assert allowed.shortest == allowed.longest == SLOW
    fast = bounds(selector(1, Circuit()), 0, +1, Programming())
    assert (fast.shortest, fast.longest) == (2e-6, 1e-3)


def test_everything_that_is_foreseen_can_be_made() -> None:
    """Reset and the pulses of the Manhattan rule, too."""
    experiment = read_experiment(EXAMPLES / "letters.toml")
    spec = slow(network(Circuit(), read_volts=0.05))
    goal = assign(images_of(experiment, EXAMPLES), spec, experiment.training.software)
    how = Training(reset=Reset(enabled=True, seconds=1e-4), learning=Learning(rule="manhattan"))
    pulses = foreseen(goal, spec, how)
    assert {pulse.purpose for pulse in pulses} >= {Purpose.READ, Purpose.RESET, Purpose.PROGRAM}
    assert all(pulse.duration >= SLOW for pulse in pulses)
    spec.check(pulses)


# ---- by volts alone --------------------------------------------------------------------------


def test_without_a_resistor_setting_follows_the_plain_law() -> None:
    """An e-fold more volts moves the device e times as far."""
    setting = Setting(ohms=0.0, e_fold=0.03, unknown=0.0)
    setting.learn(0.2, SLOW, before=20e-6, moved=1e-6)
    further = setting.volts(20e-6, math.e * 1e-6, SLOW, least=0.0, most=2.0)
    assert further == pytest.approx(0.23, abs=1e-6)


def test_behind_a_resistor_it_knows_where_a_threshold_stops_the_device() -> None:
    """With a sharp law, V / (1 + G R) at the end is the same number whatever the end."""
    setting = Setting(ohms=10e3, e_fold=1e-3, unknown=0.0)
    setting.learn(0.27 * (1 + 1.5), SLOW, before=70e-6, moved=80e-6)  # stopped at 150 uS
    volts = setting.volts(70e-6, 230e-6, SLOW, least=0.0, most=3.0)  # to 300 uS
    assert volts == pytest.approx(0.27 * (1 + 3.0), rel=0.01)


def test_an_unknown_device_is_approached_step_by_step() -> None:
    """What moved nothing is answered by 12 times as much, not by all that is missing."""
    setting = Setting(ohms=0.0, e_fold=0.03, unknown=0.0)
    setting.learn(0.1, SLOW, before=20e-6, moved=40e-9)
    assert setting.volts(20e-6, 80e-6, SLOW, 0.0, 2.0) == pytest.approx(0.1 + 2.5 * 0.03, abs=1e-6)


def programmed(dopant: str, target: float, shortest: str) -> tuple[Outcome, list[Pulse]]:
    series = "47.5 kohm" if dopant == "C" else "10 kohm"
    board, pulses = twin(dopant=dopant, series=series, shortest_pulse=shortest), list[Pulse]()
    plan = write_verify(board.spec, 0, target, 6e-6, Programming(), Reading())
    with board:
        outcome = run(plan, board, ledger=Ledger(), observer=lambda driven, *_: pulses.extend(driven[:1]))
    return outcome, pulses


@pytest.mark.parametrize("shortest", ["100 us", "500 us", "1.6 ms"])
@pytest.mark.parametrize("dopant", WINDOWS)
def test_all_over_its_window_a_device_gets_there_by_pulses_that_a_slow_board_can_make(
    dopant: str, shortest: str
) -> None:
    outcomes = [programmed(dopant, target, shortest)[0] for target in np.linspace(*WINDOWS[dopant], 9)]
    assert {outcome.ending for outcome in outcomes} == {Ending.DONE}
    assert max(abs(outcome.error) for outcome in outcomes) <= 0.02
    assert np.mean([outcome.pulses for outcome in outcomes]) <= 20  # as on a fast board


def test_the_pulses_of_a_slow_board_are_all_alike_but_for_their_volts() -> None:
    _, pulses = programmed("W", 300e-6, "1.6 ms")
    assert {pulse.duration for pulse in pulses} == {SLOW}
    assert len({float(pulse.volts.max()) for pulse in pulses}) > 3
