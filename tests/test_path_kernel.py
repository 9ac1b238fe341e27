"""One device in its circuit, against the published equations handed to scipy's Radau.

The circuit is a source behind a resistor, a capacitor at the node between them and the device, and
a switch below the device. Nothing of the twin is used on this side but the parameter files.
"""

import math
from typing import NamedTuple

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from labctl.pulse import Floats
from labctl.shapes import Wave, join, samples, square, staircase, triangle
from sim_backend import path_kernel
from sim_backend.compact import TOLERANCE
from sim_backend.devices import parameters
from sim_backend.devices.metastable import MODEL
from sim_backend.path_kernel import TOO_SHORT, TOO_STIFF, Circuit

DISCOVERY = Circuit(series=10e3, switch=75.0, farads=180e-12)
NAKED = Circuit(series=0.0, switch=0.0, farads=0.0)
RESISTORS = Circuit(series=10e3, switch=75.0, farads=0.0)
START = 0.3
SCHOTTKY = {"phi": 0.85, "af": 2e-6, "bf": 3.0, "ar": 3e-6, "br": 2.5}


class Ended(NamedTuple):
    """State, sense node [V] and joules out of the source when the pulse is over."""

    x: float
    v: float
    joules: float


def published(p: dict[str, float], circuit: Circuit, wave: Wave) -> Ended:
    """The same by an implicit Runge-Kutta method of another author, segment by segment."""

    def f(z: float) -> float:
        return 1 / (1 + math.exp(-z / p["vt"]))

    def amps(v: float, x: float) -> float:
        junctions = p["af"] * math.expm1(p["bf"] * v) - p["ar"] * math.expm1(-p["br"] * v)
        return p["phi"] * (x / p["ron"] + (1 - x) / p["roff"]) * v + (1 - p["phi"]) * junctions

    def inside(across: float, ohms: float, x: float) -> float:
        if p["phi"] == 1.0:
            return across / (1 + ohms * (x / p["ron"] + (1 - x) / p["roff"]))
        return brentq(lambda v: v + ohms * amps(v, x) - across, -abs(across) - 1, abs(across) + 1, xtol=1e-14)

    def slopes(t: float, y: Floats, begin: float, slope: float) -> list[float]:
        x, v, source = float(y[0]), float(y[1]), begin + slope * t
        if circuit.farads:
            device = inside(v, circuit.switch, x)
            into = (source - v) / circuit.series
        else:
            device = inside(source, circuit.series + circuit.switch, x)
            into = amps(device, x)
        on = max(f(device - p["von"]) - f(-p["von"]), 0.0)
        off = max(f(-device - p["voff"]) - f(-p["voff"]), 0.0)
        charging = (into - amps(device, x)) / circuit.farads if circuit.farads else 0.0
        return [(on * (1 - x) - off * x) / p["tau"], charging, source * into]

    y = np.array([START, 0.0, 0.0])
    for index in range(len(wave.seconds) - 1):
        length = float(wave.seconds[index + 1] - wave.seconds[index])
        slope = float(wave.volts[index + 1] - wave.volts[index]) / length
        solved = solve_ivp(
            slopes,
            (0.0, length),
            y,
            method="Radau",
            rtol=1e-10,
            atol=1e-14,
            args=(float(wave.volts[index]), slope),
        )
        assert solved.success
        y = solved.y[:, -1]
    return Ended(*map(float, y))


def vector(p: dict[str, float]) -> Floats:
    """A row of parameters."""
    return MODEL.row(p)


def twin(
    p: dict[str, float], circuit: Circuit, waves: list[Wave], room: int = 20_000
) -> tuple[int, Floats, Floats, Floats]:
    """What the kernel returns, x and v at the end, its samples, and their number for each wave."""
    out, counts = np.empty((room, 5)), np.zeros(len(waves), dtype=np.intp)
    seconds = np.concatenate([wave.seconds for wave in waves])
    volts = np.concatenate([wave.volts for wave in waves])
    driven = np.column_stack([volts, np.zeros_like(volts)])
    ends = np.cumsum([len(wave.seconds) for wave in waves]) - 1
    state, rows = np.array([START, 0.0]), vector(p)[None]
    used = path_kernel.integrate(seconds, driven, ends, rows, state, circuit, TOLERANCE, out, counts)
    return used, state, out[: max(used, 0)], counts


def assert_agrees(p: dict[str, float], circuit: Circuit, wave: Wave) -> None:
    """x to 2e-4 (an edge that is one step is the worst of it) and the joules to 5e-4."""
    by_hand = published(p, circuit, wave)
    _, state, found, _ = twin(p, circuit, [wave])
    assert state[0] == pytest.approx(by_hand.x, abs=2e-4)
    assert (found[:, 0] * found[:, 1] * found[:, 3]).sum() == pytest.approx(by_hand.joules, rel=5e-4)
    if circuit.farads:
        assert state[1] == pytest.approx(by_hand.v, abs=1e-3)


@pytest.mark.parametrize("circuit", [DISCOVERY, RESISTORS], ids=["with capacitor", "without"])
@pytest.mark.parametrize(("volts", "seconds"), [(0.1, 50e-6), (1.5, 20e-6), (-1.0, 1e-3), (0.6, 0.05)])
@pytest.mark.parametrize("dopant", ["W", "Sn", "Cr", "C"])
def test_a_square_does_what_the_published_equations_say(
    dopant: str, volts: float, seconds: float, circuit: Circuit
) -> None:
    assert_agrees(parameters.load(dopant, "metastable").values, circuit, square(volts, seconds))


@pytest.mark.parametrize("dopant", ["W", "Cr"])
def test_a_device_without_resistors_sees_the_source(dopant: str) -> None:
    assert_agrees(parameters.load(dopant, "metastable").values, NAKED, triangle(0.5, 1e-3))


@pytest.mark.parametrize("circuit", [DISCOVERY, RESISTORS, NAKED], ids=["discovery", "resistors", "naked"])
@pytest.mark.parametrize("volts", [0.8, -0.8])
def test_a_device_with_junctions_does_too(volts: float, circuit: Circuit) -> None:
    assert_agrees(parameters.load("W", "metastable").values | SCHOTTKY, circuit, square(volts, 1e-4))


@pytest.mark.parametrize("dopant", ["Cr", "C"])
def test_a_loop_does_too(dopant: str) -> None:
    loop = join(triangle(0.8, 5e-3), triangle(-0.8, 5e-3))
    assert_agrees(parameters.load(dopant, "metastable").values, DISCOVERY, loop)


def test_a_published_device_forgets_without_a_voltage_as_published() -> None:
    # C as published (hold 0, voff 0): half of what is on turns off, x falls with 2 tau
    p = parameters.load("C", "metastable").values | {"hold": 0.0}
    _, state, _, _ = twin(p, RESISTORS, [samples([0.0, 0.0], 2.2e-4)])
    assert state[0] == pytest.approx(START * math.exp(-1), rel=1e-3)


WAVES = [square(0.9, 1e-4), staircase([0.2, -0.4, 0.6], 3e-5), samples([0.3, 0.7], 1e-4), square(-0.9, 2e-3)]


@pytest.mark.parametrize("circuit", [DISCOVERY, RESISTORS, NAKED], ids=["discovery", "resistors", "naked"])
def test_samples_add_up_to_each_pulse_and_show_its_voltages(circuit: Circuit) -> None:
    used, _, found, counts = twin(parameters.load("Cr", "metastable").values, circuit, WAVES)
    assert counts.sum() == used
    for wave, part in zip(WAVES, np.split(found, np.cumsum(counts)[:-1]), strict=True):
        assert part[:, 0].sum() == pytest.approx(wave.seconds[-1], rel=1e-12)
        assert part[[0, -1], 1] == pytest.approx(wave.volts[[0, -1]])
        assert part[:, 0] @ part[:, 1] == pytest.approx(np.trapezoid(wave.volts, wave.seconds), rel=1e-9)
        assert (part[:, 0] >= 0).all()


@pytest.mark.parametrize("volts", [1.0, -1.0])
def test_what_the_source_gives_is_in_device_resistors_and_capacitor(volts: float) -> None:
    # a ramp that ends at its top: the capacitor keeps C V^2 / 2 of it
    circuit = DISCOVERY._replace(farads=10e-9)
    p = parameters.load("W", "metastable").values
    _, state, found, _ = twin(p, circuit, [samples([0.0, volts], 2e-4)])
    seconds, source, _, into, through = found.T
    node = source - circuit.series * into
    device = node - circuit.switch * through
    stored = 0.5 * circuit.farads * state[1] ** 2
    sinks = circuit.series * into**2 + circuit.switch * through**2 + device * through
    delivered = seconds @ (source * into)
    assert stored > 0.03 * delivered
    assert seconds @ sinks + stored == pytest.approx(delivered, rel=1e-3)


def test_room_that_is_too_small_is_noticed() -> None:
    p = parameters.load("Cr", "metastable").values
    assert [twin(p, DISCOVERY, WAVES, room)[0] for room in (0, 1, 10, 50)] == [TOO_SHORT] * 4


@pytest.mark.parametrize("name", ["ron", "tau", "von"])
def test_what_is_no_number_is_never_a_solution(name: str) -> None:
    p = parameters.load("Cr", "metastable").values | {name: math.nan}
    assert twin(p, DISCOVERY, [square(0.5, 1e-4)])[0] == TOO_STIFF
