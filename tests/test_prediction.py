"""What a model says that a pulse does: against the twin that does it, and against itself."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from labctl.addressing import select
from labctl.board import Board
from labctl.energy import Ledger
from labctl.errors import BadConfig, Unavailable
from labctl.plan import Plan
from labctl.programming.prediction import Prediction, Response, load
from labctl.programming.write_verify import Reading, read
from labctl.pulse import Purpose
from labctl.reading import conductance
from labctl.session import run
from labctl.shapes import square
from sim_backend.devices import parameters
from sim_backend.devices.equations import current, prepared
from sim_backend.devices.models import MODELS
from sim_backend.prediction import DeviceModel
from sim_backend.prediction_kernel import march, state_of
from tests.boards import compact

OHMS = 10_075.0
DOPANTS = ("W", "Sn", "Cr", "C")
MOVES = [(20e-6, 60e-6), (60e-6, 61e-6), (60e-6, 20e-6), (60e-6, 59e-6)]


# ---- the kernel ----------------------------------------------------------------------------------


def test_a_state_is_found_again_from_what_it_reads() -> None:
    for name in MODELS:
        for dopant in DOPANTS:
            row = prepared(parameters.load(dopant, name).vector)
            for x in (1e-5, 1e-3, 0.02, 0.3, 0.9):
                siemens = current(0.08, x, row) / 0.08
                assert state_of(siemens, 0.08, row) == pytest.approx(x, rel=1e-4, abs=1e-8), (name, dopant)


def test_what_no_state_reads_is_the_nearest_that_one_does() -> None:
    row = prepared(parameters.load("Cr").vector)
    assert state_of(0.0, 0.1, row) == pytest.approx(0.0, abs=1e-5)
    assert state_of(1.0, 0.1, row) == 1.0


def test_a_march_takes_as_long_as_a_rate_that_is_known_by_hand() -> None:
    """VTEAM above its threshold without series: dx/dt = k (1 - x), so t = ln((1 - a)/(1 - b))/k."""
    device = parameters.load("Cr", "vteam")
    row, v, start, end = prepared(device.vector), 0.8, 0.1, 0.6
    one = device.values
    k = one["kon"] * (v / one["von"] - 1) ** one["aon"]
    used, x = march(start, end, math.inf, v, 0.0, 0.0, row)
    assert used == pytest.approx(math.log((1 - start) / (1 - end)) / k, rel=4e-3)
    assert x == end
    _, x = march(start, 1.0, used / 2, v, 0.0, 0.0, row)
    assert x == pytest.approx(1 - (1 - start) * math.exp(-k * used / 2), rel=1e-3)


# ---- a device ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), MOVES)
@pytest.mark.parametrize("dopant", ["Sn", "Cr"])
def test_its_answers_agree_with_each_other(dopant: str, before: float, after: float) -> None:
    model, seconds = DeviceModel(dopant), 1e-3
    volts = model.volts(before, after, seconds, OHMS, 3.0 if after > before else -3.0)
    assert math.copysign(1, volts) == math.copysign(1, after - before)
    assert model.seconds(before, after, volts, OHMS) == pytest.approx(seconds, rel=2e-3)
    assert model.siemens(before, seconds, volts, OHMS) == pytest.approx(after, rel=2e-3)
    slower = model.seconds(before, after, volts, OHMS, 0.003)
    assert slower > seconds
    assert model.shift(before, after, slower, volts, OHMS) == pytest.approx(0.003, abs=2e-4)


def test_it_says_so_where_a_device_never_gets_there() -> None:
    model = DeviceModel("Cr")
    assert model.seconds(20e-6, 60e-6, -1.0, OHMS) == math.inf  # the other way
    assert model.seconds(20e-6, 1.0, 1.0, OHMS) == math.inf  # more than the whole filament
    assert math.isnan(model.volts(20e-6, 60e-6, 1e-6, OHMS, 0.1))
    assert model.siemens(20e-6, 1e-3, 0.0, OHMS) == pytest.approx(20e-6)


def sent(board: Board, volts: float, width: float) -> float:
    """[S] What site 0 reads after a pulse."""

    def plan() -> Plan[float]:
        probe = read(board.spec, 0, Reading())
        pulse = select(board.spec, 0, square(volts, width, 1e-6), Purpose.PROGRAM)
        traces = yield [pulse, probe]
        return conductance(board.spec, probe, traces[1], 0)

    return run(plan(), board, ledger=Ledger())


@pytest.mark.parametrize("dopant", ["W", "Sn", "Cr"])
def test_the_twin_does_what_is_predicted(dopant: str) -> None:
    """Without its sense node, which no model knows of: up, down and up again through the window."""
    board, model = compact("network", dopant=dopant, sense="0 F"), DeviceModel(dopant)
    low, high = board.spec.window or (0.0, 0.0)
    width = 1e-3
    with board:
        now = sent(board, 1e-3, width)
        for goal in (low, 2 * low, 1.9 * low, 0.9 * high, 0.8 * high, 0.3 * high + 0.7 * low):
            volts = model.volts(now, goal, width - 1e-6, OHMS, 2.5 if goal > now else -2.5)
            now = sent(board, volts, width)
            assert now == pytest.approx(goal, rel=0.05)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_can_be_asked(name: str, tmp_path: Path) -> None:
    path = parameters.FOLDER / name / "Cr.toml"
    model = DeviceModel(str(path))
    assert model.device.model.name == name
    assert isinstance(model, Response)
    assert model.seconds(20e-6, 40e-6, 2.0, OHMS) > 0
    assert model.noise(40e-6) >= 0


# ---- scatter -------------------------------------------------------------------------------------


def test_scatter_is_that_of_the_file() -> None:
    model = DeviceModel("Cr")
    spread = model.device.spread
    assert model.scatter.read == model.device.read_noise
    assert model.scatter.rise.device == pytest.approx(spread["von"], rel=0.2)  # and something for tau
    assert model.noise(80e-6) == pytest.approx(model.device.pulse["gon"], rel=0.1)  # the leak dilutes it
    assert model.noise(6e-6) < model.noise(80e-6)


def test_where_the_file_states_no_spreads_nothing_scatters(tmp_path: Path) -> None:
    text = (parameters.FOLDER / "sdc" / "Cr.toml").read_text()
    steady = tmp_path / "steady.toml"
    steady.write_text(text[: text.index("# Standard deviations")])
    model = DeviceModel(str(steady))
    assert (model.scatter.rise.device, model.scatter.fall.pulse, model.noise(50e-6)) == (0, 0, 0)
    seconds, scatter = model.gentlest(30e-6, 50e-6, OHMS, 2.5, 1e-5, 1e-3)
    assert (seconds, scatter) == (1e-5, 0.0)  # the shortest will do


def test_the_gentlest_pulse_scatters_less_than_others() -> None:
    """C's set rate spreads by its width, so strong short pulses are best; its reset is best when long."""
    model, ohms = DeviceModel("C"), 47_575.0
    short, scatter = model.gentlest(4e-6, 6e-6, ohms, 2.5, 3e-5, 3e-3)
    assert short < 2e-4
    assert scatter < math.log(6 / 4) / 2
    long, _ = model.gentlest(6e-6, 4e-6, ohms, -2.5, 3e-5, 3e-3)
    assert long > 2e-4


def test_what_it_answers_does_not_depend_on_what_it_was_asked_before() -> None:
    """It remembers durations, and all chips of a process ask the same one."""
    draw = np.random.default_rng(3)
    asked = [(20e-6 * math.exp(one), 20e-6 * math.exp(other)) for one, other in draw.normal(0, 1, (200, 2))]

    def answers(model: DeviceModel, order: Sequence[int]) -> list[tuple[float, float]]:
        found = dict[int, tuple[float, float]]()
        for index in order:
            before, after = asked[index]
            most = 2.5 if after > before else -2.5
            found[index] = model.gentlest(before, after, OHMS, most, 1e-5, 1e-3)
        return [found[index] for index in range(len(asked))]

    forth, back = (answers(DeviceModel("Cr"), order) for order in (range(200), range(199, -1, -1)))
    alone = [answers(DeviceModel("Cr"), [0, *range(200)])[index] for index in (0, 77, 199)]
    assert forth == back
    assert alone == [forth[index] for index in (0, 77, 199)]


def test_a_duration_is_between_those_that_are_allowed() -> None:
    model = DeviceModel("W")
    for shortest, longest in ((1e-5, 1e-3), (2e-5, 2e-5), (1e-5, 7e-5)):
        seconds, _ = model.gentlest(200e-6, 260e-6, OHMS, 2.5, shortest, longest)
        assert shortest <= seconds <= longest


# ---- by import path ------------------------------------------------------------------------------


def test_a_model_is_loaded_for_the_dopant_or_from_a_file() -> None:
    assert isinstance(load(Prediction(), "W", 0.1), DeviceModel)
    path = str(parameters.FOLDER / "vteam" / "Cr.toml")
    found = load(Prediction(device=path), "W", 0.1)
    assert isinstance(found, DeviceModel)
    assert found.device.dopant == "Cr"


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("sim_backend.prediction", "does not name a class"),
        ("sim_backend.prediction:Nobody", "cannot be had: AttributeError"),
        ("no.such.module:Model", "cannot be had: ModuleNotFoundError"),
        ("sim_backend.prediction:STEP", "is no class"),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(model: str, told: str) -> None:
    with pytest.raises(Unavailable, match=told):
        load(Prediction(model=model), "Cr", 0.1)


class Silent:
    """No model of anything."""

    def __init__(self, device: str, read_volts: float) -> None:
        pass


def test_a_class_that_predicts_nothing_is_refused() -> None:
    with pytest.raises(Unavailable, match="predicts nothing"):
        load(Prediction(model=f"{__name__}:Silent"), "Cr", 0.1)


def test_a_dopant_without_parameters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no parameters for a device 'Xe'"):
        load(Prediction(), "Xe", 0.1)
    broken = tmp_path / "broken.toml"
    broken.write_text('model = "nothing"')
    with pytest.raises(BadConfig, match="model is 'nothing'"):
        load(Prediction(device=str(broken)), "Cr", 0.1)
