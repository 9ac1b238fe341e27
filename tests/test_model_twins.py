"""Every device model on random drives: ngspice and the fast twin agree, and a third witness with both.

The witness is scipy's Radau on the equations as the papers write them (`tests.papers`).
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from labctl.addressing import infer, multiply, read_row, select
from labctl.images import letters
from labctl.pulse import Floats, Pulse, Purpose
from labctl.shapes import Wave, half_sine, square, triangle
from sim_backend.compact import CompactBoard
from sim_backend.devices import equations, parameters
from sim_backend.devices.models import MODELS
from sim_backend.engine import Engine, Job, Waves
from sim_backend.ngspice import NgspiceBoard, NgspiceSettings
from tests.papers import PAPERS

CONDUCTANCE, NMSE = 0.01, 1e-4
"""How far the twins may be apart: in the conductance after a pulse, in the current during it."""
SWITCH, SENSE = 75.0, 180e-12
DOPANTS = ("W", "Sn", "Cr", "C")
CASES = [pytest.param(model, dopant, id=f"{model}-{dopant}") for model in MODELS for dopant in DOPANTS]


class Ran(NamedTuple):
    """One device after one wave: times [s] and currents [A], and the conductance [S] it ended with."""

    seconds: Floats
    amps: Floats
    siemens: float


class Twins:
    """Both simulators with one engine, which takes its time to start."""

    def __init__(self, engine: Engine, **settings: Any) -> None:
        self.ngspice = NgspiceBoard(NgspiceSettings(**settings))
        self.compact = CompactBoard(NgspiceSettings(**settings))
        self.waves: list[Waves] = []
        self.ngspice._engine = self  # type: ignore[assignment]
        self._engine, self.spec = engine, self.ngspice.spec

    def transient(self, job: Job) -> Waves:
        """As the engine, and remembered."""
        self.waves.append(self._engine.transient(job))
        return self.waves[-1]

    def run(self, wave: Wave, x: float) -> tuple[Ran, Ran, Floats]:
        """What ngspice and the twin say, past the limits of the dopant; and the twin's weights."""
        pulses = [select(self.spec, 0, wave, Purpose.PROGRAM)]
        self.waves.clear()
        self.ngspice._chip.x[0] = self.compact._chip.x[0] = x
        (ours,), (twin,) = list(self.ngspice._solve(pulses)), list(self.compact._solve(pulses))
        (waves,) = self.waves
        first = Ran(waves.seconds, -ours.amps[-len(waves.seconds) :, 1], self.siemens(self.ngspice))
        second = Ran(times_of_twin(twin.seconds), -twin.amps[:, 1], self.siemens(self.compact))
        return first, second, twin.seconds

    def siemens(self, board: Any) -> float:
        """[S] of the first device for a small read."""
        row = equations.prepared(board._chip.parameters[0])
        return equations.current(0.1, float(board._chip.x[0]), row) / 0.1


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(None, 60.0) as engine:
        yield engine


def one_device(engine: Engine, model: str, dopant: str) -> Twins:
    """Behind the resistor that the device was measured with."""
    series = 47.5e3 if dopant == "C" else 5.11e3
    return Twins(engine, layout="selector", columns=1, model=model, dopant=dopant, series=series)


def times_of_twin(weights: Floats) -> Floats:
    """[s] of the twin's samples: two a step, in its middle (with two thirds of its seconds) and its end.

    Where two segments meet, the next one's first sixth belongs to a sample that is there already.
    """
    ends = np.cumsum(1.5 * weights[1::2])
    starts = np.append(0.0, ends[:-1])
    return np.append(0.0, np.column_stack([(starts + ends) / 2, ends]).ravel())


def random_drives(seed: int, count: int) -> Iterator[tuple[Wave, float]]:
    """Waves of 5 us to 0.1 s within 2 V, and the states to begin from."""
    random = np.random.default_rng(seed)
    shapes: list[Callable[[float, float], Wave]] = [square, half_sine, triangle]
    for index in range(count):
        seconds, volts = 10 ** random.uniform(-5.3, -1), random.uniform(0.3, 2.0) * random.choice([-1, 1])
        wave = shapes[index % 4 - 1](volts, seconds) if index % 4 else corners(random, seconds)
        yield wave, 10 ** random.uniform(-2, -0.05)


def corners(random: np.random.Generator, seconds: float) -> Wave:
    """Straight lines between random voltages at random times, from 0 V to 0 V."""
    inside = np.unique(np.round(random.uniform(0.02, 0.98, random.integers(4, 12)), 2))
    volts = np.concatenate([[0.0], random.uniform(-2, 2, len(inside)), [0.0]])
    return Wave(seconds * np.concatenate([[0.0], inside, [1.0]]), volts)


@pytest.mark.parametrize(("model", "dopant"), CASES)
def test_the_twins_agree_on_random_drives(engine: Engine, model: str, dopant: str) -> None:
    twins = one_device(engine, model, dopant)
    for number, (wave, x) in enumerate(random_drives(20, 16)):
        ours, twin, weights = twins.run(wave, x)
        assert ours.siemens == pytest.approx(twin.siemens, rel=CONDUCTANCE), f"drive {number}"
        assert nmse(np.interp(twin.seconds, ours.seconds, ours.amps), twin.amps, weights) < NMSE, (
            f"drive {number}"
        )


def test_a_simulator_may_try_states_and_voltages_that_cannot_be(engine: Engine) -> None:
    """Abrupt resets of chromium, on the way to which ngspice asks for a logarithm below 0."""
    twins = one_device(engine, "sdc", "Cr")
    for seed in (101, 102, 103, 104):
        for number, (wave, x) in enumerate(random_drives(seed, 16)):
            ours, twin, _ = twins.run(wave, x)
            assert ours.siemens == pytest.approx(twin.siemens, rel=CONDUCTANCE), f"drive {number} of {seed}"


def nmse(found: Floats, expected: Floats, weights: Floats) -> float:
    """Mean squared error over mean square; the first sample, which ngspice does not keep, aside."""
    error = weights[1:] @ (found[1:] - expected[1:]) ** 2
    return float(error / (weights[1:] @ expected[1:] ** 2))


# ---- the third witness --------------------------------------------------------------------------


def witness(model: str, dopant: str, wave: Wave, x: float, times: Floats) -> Ran:
    """The papers' equations in the same circuit, integrated by Radau segment by segment."""
    p, paper = parameters.load(dopant, model).values, PAPERS[model]
    series = 47.5e3 if dopant == "C" else 5.11e3

    def inside(node: float, x: float) -> float:
        span = abs(node) + 1e-6
        return float(brentq(lambda v: v + SWITCH * paper.amps(v, x, p) - node, -span, span, xtol=1e-15))

    def slopes(t: float, y: Floats, begin: float, slope: float) -> list[float]:
        x = max(float(y[0]), 0.0)
        v = inside(float(y[1]), x)
        into = (begin + slope * t - y[1]) / series
        return [paper.per_second(v, x, p), (into - paper.amps(v, x, p)) / SENSE]

    y, amps = np.array([x, 0.0]), np.zeros(len(times))
    for index in range(len(wave.seconds) - 1):
        start, end = wave.seconds[index : index + 2]
        line = float(wave.volts[index]), float(np.diff(wave.volts)[index] / (end - start))
        here = (times >= start) & (times <= end * (1 + 1e-12))
        solved = solve_ivp(
            slopes,
            (0.0, end - start),
            y,
            "Radau",
            dense_output=True,
            rtol=1e-7,
            atol=[1e-10, 1e-8],
            args=line,
        )
        assert solved.success
        x_here, node_here = solved.sol(np.minimum(times[here] - start, end - start))
        through = [paper.amps(inside(v, x), x, p) for v, x in zip(node_here, x_here, strict=True)]
        amps[here], y = through, solved.y[:, -1]
    return Ran(times, amps, paper.amps(0.1, float(y[0]), p) / 0.1)


@pytest.mark.parametrize(
    ("model", "dopant"),
    [("metastable", "Sn"), ("sdc", "W"), ("sdc", "Sn"), ("sdc", "C"), ("vteam", "Cr"), ("yakopcic", "C")],
)
def test_both_do_what_the_papers_say(engine: Engine, model: str, dopant: str) -> None:
    twins = one_device(engine, model, dopant)
    for number, (wave, x) in enumerate(random_drives(20, 4)):
        ours, twin, weights = twins.run(wave, x)
        by_hand = witness(model, dopant, wave, x, twin.seconds)
        seen = Ran(twin.seconds, np.interp(twin.seconds, ours.seconds, ours.amps), ours.siemens)
        for found in (seen, twin):
            assert found.siemens == pytest.approx(by_hand.siemens, rel=CONDUCTANCE), f"drive {number}"
            assert nmse(found.amps, by_hand.amps, weights) < NMSE, f"drive {number}"


# ---- several devices, whose currents are no longer proportional ---------------------------------


@pytest.mark.parametrize("model", ["sdc", "yakopcic"])
def test_a_crossbar_of_nonlinear_devices_goes_the_same_way(engine: Engine, model: str) -> None:
    twins = Twins(engine, layout="crossbar", rows=3, columns=3, wire=20.0, series=4e3, model=model)
    twins.ngspice._chip.x[:] = twins.compact._chip.x[:] = np.random.default_rng(1).uniform(0.01, 0.4, 9)
    spec = twins.spec
    pulses = [
        select(spec, 4, square(0.7, 100e-6), Purpose.PROGRAM),
        read_row(spec, 2, 0.1, 100e-6),
        multiply(spec, np.array([0.1, 0.2, 0.15]), 1e-3),
        select(spec, 2, half_sine(-0.8, 1e-3), Purpose.PROGRAM),
    ]
    for pulse in pulses:
        assert_same_charges(twins, pulse)
        assert twins.ngspice._chip.x == pytest.approx(twins.compact._chip.x, rel=CONDUCTANCE, abs=1e-4)


def assert_same_charges(twins: Twins, pulse: Pulse) -> None:
    """[C] of every line within 1 % of the largest."""
    (ours,), (twin,) = list(twins.ngspice._solve([pulse])), list(twins.compact._solve([pulse]))
    one, other = ours.seconds @ ours.amps, twin.seconds @ twin.amps
    assert one == pytest.approx(other, abs=0.01 * np.abs(other).max())


@pytest.mark.parametrize("model", ["sdc", "vteam", "yakopcic"])
def test_the_network_board_infers_the_same(engine: Engine, model: str) -> None:
    twins = Twins(engine, layout="network", model=model)
    spec = twins.spec
    assert spec.window is not None
    wanted = np.random.default_rng(2).uniform(*spec.window, 30)
    twins.ngspice._chip.x[:] = twins.compact._chip.x[:] = [state_of(twins, siemens) for siemens in wanted]
    pulses = [infer(spec, 0.1 * pixels, 100e-6) for pixels in letters("z").pixels[::5]]
    found = []
    for board in (twins.ngspice, twins.compact):
        solved = [at_the_top(samples.volts) for samples in board._solve(pulses)]
        found.append(np.array(solved)[:, [neuron.output for neuron in spec.neurons]])
    assert found[0] == pytest.approx(found[1], abs=1e-3)
    assert np.ptp(found[1], axis=0).max() > 0.01


def state_of(twins: Twins, siemens: float) -> float:
    """The state in which a small read finds this conductance, or the nearest that there is."""
    row = equations.prepared(twins.compact._chip.parameters[0])

    def beyond(x: float) -> float:
        return equations.current(0.1, x, row) / 0.1 - siemens

    return 0.0 if beyond(0.0) > 0 else float(brentq(beyond, 0.0, 1.0))


def at_the_top(volts: Floats) -> Floats:
    """[V] of all lines in the last sample before the inputs fall."""
    inputs = volts[:, :9].max(axis=1)
    return volts[np.flatnonzero(inputs >= inputs.max() - 1e-9)[-1]]


@pytest.mark.parametrize("model", ["sdc", "yakopcic"])
def test_the_closed_form_of_the_neurons_converges_for_nonlinear_devices(engine: Engine, model: str) -> None:
    twins = Twins(engine, layout="network", model=model)
    spec, gain = twins.spec, twins.compact._parasitics.amplifier_gain
    twins.compact._chip.x[:] = np.random.default_rng(4).uniform(0.05, 0.6, 30)
    pulses = [infer(spec, 0.3 * pixels, 1e-6) for pixels in letters("v").pixels[::10]]
    for solved in twins.compact._solve(pulses):
        for neuron in spec.neurons:
            ground, total = solved.volts[:, neuron.column], solved.volts[:, list(neuron.inputs)].sum(axis=1)
            inward = -solved.amps[:, neuron.column] - neuron.reference_siemens * (total + ground)
            swing = ground - neuron.feedback_ohms * inward
            assert ground == pytest.approx(-swing / gain, rel=1e-6, abs=1e-15)
