"""The ngspice board and its fast twin do the same, point by point, and both what a hand calculation says.

Two simulators can agree on the wrong number, so there is a third witness: the published equations
integrated in a plain loop that shares no code with either.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from labctl.addressing import drive, infer, multiply, read_row, select
from labctl.images import letters
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.shapes import Wave, half_sine, square, staircase, triangle
from sim_backend.compact import CompactBoard
from sim_backend.devices import parameters
from sim_backend.devices.model import HEAD
from sim_backend.engine import Job, Waves
from sim_backend.ngspice import NgspiceBoard, NgspiceSettings
from sim_backend.simulated import SimulatedBoard

CONDUCTANCE, ENERGY, NEURON_VOLTS = 0.01, 0.02, 1e-3
"""How far the twins may be apart; they are five times closer than that."""
SITE = 5
SERIES, SWITCH, SENSE = 10e3, 75.0, 180e-12

SHAPES: dict[str, Callable[[float, float], Wave]] = {
    "square": square,
    "half sine": half_sine,
    "triangle": triangle,
    "staircase": lambda volts, seconds: staircase(
        [volts / 3, 2 * volts / 3, volts, volts / 2], seconds / 4.04
    ),
}
DRIVES = [(0.5, 100e-6), (0.65, 20e-6), (-0.5, 100e-6), (0.6, 1e-3), (-0.6, 1e-3), (0.65, 10e-3), (0.1, 1e-3)]
HARD = [(1.0, 100e-6), (2.0, 100e-6), (-1.0, 100e-6), (-2.0, 10e-3)]
"""More than the 50 uA of a carbon-doped device allow."""


class Twins:
    """An ngspice board and a compact board of the same settings, and what ngspice computed last."""

    def __init__(self, **settings: Any) -> None:
        settings = {"model": "metastable"} | settings
        self.ngspice = NgspiceBoard(NgspiceSettings(**settings))
        self.compact = CompactBoard(NgspiceSettings(**settings))
        self.spec = self.ngspice.spec
        self.waves: list[Waves] = []
        real = self.ngspice._engine.transient

        def spy(job: Job) -> Waves:
            self.waves.append(real(job))
            return self.waves[-1]

        self.ngspice._engine.transient = spy  # type: ignore[method-assign]

    def start(self, x: Floats | float) -> None:
        """All devices in this state."""
        self.ngspice._chip.x[:] = self.compact._chip.x[:] = x

    def apply(self, pulses: Sequence[Pulse]) -> list[tuple[Trace, Trace]]:
        """Each pulse's traces: ngspice's and the twin's."""
        self.waves.clear()
        return list(zip(self.ngspice.apply(pulses), self.compact.apply(pulses), strict=True))

    def assert_same_conductances(self) -> None:
        assert siemens(self.ngspice) == pytest.approx(siemens(self.compact), rel=CONDUCTANCE)


@pytest.fixture(scope="module", params=["W", "Sn", "Cr", "C"])
def selectors(request: pytest.FixtureRequest) -> Iterator[Twins]:
    twins = Twins(layout="selector", columns=16, dopant=request.param)
    with twins.ngspice, twins.compact:
        yield twins


@pytest.fixture(scope="module")
def networks() -> Iterator[Twins]:
    twins = Twins(layout="network")
    with twins.ngspice, twins.compact:
        yield twins


def siemens(board: SimulatedBoard) -> Floats:
    """Conductance of every device, from its state."""
    ron, roff = board._chip.parameters[:, HEAD], board._chip.parameters[:, HEAD + 1]
    return board._chip.x / ron + (1 - board._chip.x) / roff


def joules(trace: Trace) -> float:
    return float(np.sum(trace.seconds[:, None] * trace.volts * trace.amps))


def assert_same_energy(pairs: Sequence[tuple[Trace, Trace]]) -> None:
    """Within the tolerance for each pulse, and closer for all together."""
    one, other = np.array([[joules(trace) for trace in pair] for pair in pairs]).T
    assert one == pytest.approx(other, rel=ENERGY)
    assert one.sum() == pytest.approx(other.sum(), rel=ENERGY / 4)


def times_of_twin(trace: Trace) -> Floats:
    """[s] of the twin's samples: two a step, in its middle (with two thirds of its seconds) and its end."""
    ends = np.cumsum(1.5 * trace.seconds[1::2])
    starts = np.append(0.0, ends[:-1])
    return np.append(0.0, np.column_stack([(starts + ends) / 2, ends]).ravel())


# ---- one selected device -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_one_device_goes_the_same_way(selectors: Twins, shape: str) -> None:
    selectors.start(0.05)
    carbon = selectors.spec.sites[0].dopant == "C"
    drives = DRIVES if carbon else [*DRIVES, *HARD]
    pairs = []
    for volts, seconds in drives:
        wave = SHAPES[shape](volts, seconds)
        pairs += selectors.apply([select(selectors.spec, SITE, wave, Purpose.PROGRAM)])
        assert_same_path(selectors, *pairs[-1])
        selectors.assert_same_conductances()
    assert_same_energy(pairs)


def assert_same_path(twins: Twins, ours: Trace, twin: Trace) -> None:
    """Current and conductance of the device, at the twin's samples, ngspice's in between interpolated."""
    column = twins.spec.rows + SITE
    (waves,) = twins.waves
    times = times_of_twin(twin)
    amps = np.interp(times, waves.seconds, -ours.amps[:, column])
    assert amps == pytest.approx(-twin.amps[:, column], abs=0.02 * np.abs(twin.amps[:, column]).max())
    device = twin.volts[:, 0] - SERIES * twin.amps[:, 0] + SWITCH * twin.amps[:, column]
    seen = np.abs(device) > 0.2 * np.abs(device).max()
    ron, roff = twins.compact._chip.parameters[SITE, HEAD : HEAD + 2]
    x = np.interp(times, waves.seconds, waves.values[0])[seen]
    across = -twin.amps[seen, column] / device[seen]
    assert x / ron + (1 - x) / roff == pytest.approx(across, rel=0.02)


def test_a_list_goes_the_same_way(selectors: Twins) -> None:
    selectors.start(0.02)
    pulses = [
        select(selectors.spec, SITE, square(volts, 100e-6), Purpose.PROGRAM).repeated(repeats)
        for volts, repeats in ((0.4, 3), (0.5, 1), (-0.3, 2), (0.6, 4), (0.1, 1), (-0.6, 5))
    ]
    pairs = selectors.apply(pulses)
    for (ours, twin), pulse in zip(pairs, pulses, strict=True):
        assert ours.seconds.sum() == pytest.approx(pulse.duration, rel=1e-12)
        assert twin.seconds.sum() == pytest.approx(pulse.duration, rel=1e-12)
    selectors.assert_same_conductances()
    assert_same_energy(pairs)


def test_a_device_with_schottky_junctions_goes_the_same_way(tmp_path: Any) -> None:
    file = tmp_path / "diode.toml"
    file.write_text(
        "[parameters]\nron = 2e3\nroff = 50e3\nvon = 0.3\nvoff = 0.15\ntau = 5e-4\nvt = 0.0257\n"
        "phi = 0.9\naf = 1e-6\nbf = 5.0\nar = 1e-6\nbr = 5.0\nhold = 1\n"
    )
    twins = Twins(layout="selector", columns=6, parameters=str(file))
    with twins.ngspice, twins.compact:
        twins.start(0.1)
        pulses = [
            select(twins.spec, SITE, triangle(volts, 200e-6), Purpose.PROGRAM) for volts in (1.0, -1.0, 0.5)
        ]
        assert_same_energy(twins.apply(pulses))
        twins.assert_same_conductances()


# ---- several devices -----------------------------------------------------------------------------


@pytest.mark.parametrize("wire", [0.0, 20.0])
def test_a_crossbar_goes_the_same_way(wire: float) -> None:
    twins = Twins(layout="crossbar", rows=4, columns=4, wire=wire, series=4e3)
    spec = twins.spec
    with twins.ngspice, twins.compact:
        twins.start(np.random.default_rng(1).uniform(0.001, 0.02, 16))
        before = siemens(twins.compact)
        pairs = twins.apply(
            [
                select(spec, 5, square(0.6, 100e-6), Purpose.PROGRAM),
                read_row(spec, 2, 0.1, 100e-6),
                multiply(spec, np.array([0.1, 0.2, 0.0, 0.15]), 1e-3),
                drive(
                    spec, {1: -0.4} | dict.fromkeys(range(4, 8), 0.0), triangle(1.0, 1e-3), Purpose.PROGRAM
                ),
                drive(spec, {0: 0.4, 5: -0.2}, half_sine(1.0, 1e-3), Purpose.PROGRAM),
            ]
        )
        twins.assert_same_conductances()
        assert_same_energy(pairs)
        assert np.abs(siemens(twins.compact) / before - 1).max() > 0.5
    for ours, twin in pairs:
        assert_same_extremes(ours, twin)


def assert_same_extremes(ours: Trace, twin: Trace) -> None:
    """Highest and lowest volts and amps of every line, to half a percent of the highest of all."""
    for one, other in ((ours.volts, twin.volts), (ours.amps, twin.amps)):
        near = 0.005 * np.abs(other).max()
        assert one.max(axis=0) == pytest.approx(other.max(axis=0), abs=near)
        assert one.min(axis=0) == pytest.approx(other.min(axis=0), abs=near)


def test_the_network_board_is_programmed_the_same_way(networks: Twins) -> None:
    networks.start(0.01)
    pulses = [
        select(networks.spec, site, square(volts, 100e-6), Purpose.PROGRAM)
        for site in (0, 17, 29)
        for volts in (0.5, 0.8, -0.3)
    ]
    assert_same_energy(networks.apply(pulses))
    networks.assert_same_conductances()


def test_the_network_board_infers_the_same(networks: Twins) -> None:
    spec = networks.spec
    assert spec.window is not None
    networks.start(state_of(np.random.default_rng(2).uniform(*spec.window, 30)))
    pairs = networks.apply([infer(spec, 0.1 * pixels, 100e-6) for pixels in letters("z").pixels])
    assert len(pairs) == 30
    assert_same_energy(pairs)
    networks.assert_same_conductances()
    outputs = [neuron.output for neuron in spec.neurons]
    answers = np.array([[at_the_end(trace)[outputs] for trace in pair] for pair in pairs])
    assert answers[:, 0] == pytest.approx(answers[:, 1], abs=NEURON_VOLTS)
    assert np.ptp(answers[:, 1, -1]) > 10 * NEURON_VOLTS


def state_of(conductances: Floats) -> Floats:
    """The states in which chromium-doped devices have these conductances."""
    values = parameters.load("Cr", "metastable").values
    ron, roff = values["ron"], values["roff"]
    return (conductances - 1 / roff) / (1 / ron - 1 / roff)


def at_the_end(trace: Trace) -> Floats:
    """[V] of all lines in the last sample before the inputs fall."""
    inputs = trace.volts[:, :9].max(axis=1)
    return trace.volts[np.flatnonzero(inputs >= inputs.max() - 1e-9)[-1]]


# ---- the third witness ---------------------------------------------------------------------------


def by_hand(volts: float, seconds: float, x: float) -> tuple[float, float]:
    """Conductance [S] after, and energy [J] of, a square with 1 % edges on a Cr device.

    The equations of PLoS ONE 0085175 with the parameters of Cr.toml; the rates at zero field are taken
    off. 180 pF between 10 kohm and the device, 75 ohm behind it. Runge-Kutta, order 4, 10 ns.
    """
    ron, roff, von, voff, tau, vt = 381.0, 173e3, 0.313, 0.153, 5.3e-4, 0.0257
    on_at_rest, off_at_rest = 1 / (1 + np.exp(von / vt)), 1 / (1 + np.exp(voff / vt))

    def source(t: float) -> float:
        edge = 0.01 * seconds
        return volts * min(t / edge, 1.0, (seconds - t) / edge)

    def slopes(t: float, y: Floats) -> Floats:
        node, x, _ = y
        ohms = 1 / (x / ron + (1 - x) / roff)
        v = node * ohms / (ohms + 75.0)
        on = max(1 / (1 + np.exp(-(v - von) / vt)) - on_at_rest, 0.0)
        off = max(1 / (1 + np.exp((v + voff) / vt)) - off_at_rest, 0.0)
        amps = (source(t) - node) / 10e3
        return np.array(
            [
                (amps - node / (ohms + 75.0)) / 180e-12,
                (on * (1 - x) - off * x) / tau,
                source(t) * amps,
            ]
        )

    y, h = np.array([0.0, x, 0.0]), 1e-8
    for step in range(round(seconds / h)):
        t = step * h
        a = slopes(t, y)
        b = slopes(t + h / 2, y + h / 2 * a)
        c = slopes(t + h / 2, y + h / 2 * b)
        d = slopes(t + h, y + h * c)
        y = y + h / 6 * (a + 2 * b + 2 * c + d)
    return float(y[1] / ron + (1 - y[1]) / roff), float(y[2])


@pytest.mark.parametrize(("volts", "x"), [(1.0, 0.01), (-0.8, 0.3)])
def test_both_do_what_a_hand_calculation_says(networks: Twins, volts: float, x: float) -> None:
    networks.start(x)
    expected_siemens, expected_joules = by_hand(volts, 50e-6, x)
    ((ours, twin),) = networks.apply([select(networks.spec, 7, square(volts, 50e-6), Purpose.PROGRAM)])
    for board, trace in ((networks.ngspice, ours), (networks.compact, twin)):
        assert siemens(board)[7] == pytest.approx(expected_siemens, rel=CONDUCTANCE / 4)
        assert joules(trace) == pytest.approx(expected_joules, rel=ENERGY / 4)
