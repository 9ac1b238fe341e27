"""The fast simulation of a recording, against the error-controlled one and against a hand calculation."""

import numpy as np
import pytest

from sim_backend.devices.metastable import MODEL as METASTABLE
from sim_backend.devices.models import MODELS
from sim_backend.devices.parameters import load
from sim_backend.loop_kernel import divided, simulated
from sim_backend.path_kernel import Circuit, integrate
from tests.recordings import SERIES

FARADS = 180e-12
"""A scope at the node between resistor and device."""


def reference(
    seconds: np.ndarray, volts: np.ndarray, row: np.ndarray, farads: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Times and amps at the ends of the steps of RODAS4 to 1e-7."""
    state, out, counts = np.array([0.02, 0.0]), np.empty((400_000, 5)), np.zeros(1, dtype=np.intp)
    ends = np.array([len(seconds) - 1])
    circuit, driven = Circuit(SERIES, 0.0, farads), np.column_stack([volts, np.zeros_like(volts)])
    used = integrate(seconds, driven, ends, row[None], state, circuit, 1e-7, out, counts)
    ends_of_steps = np.concatenate([[0.0], np.cumsum(1.5 * out[1:used:2, 0])])
    fresh = np.append(True, np.diff(ends_of_steps) > 0)
    return ends_of_steps[fresh], out[0:used:2, 4][fresh]


@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize("hertz", [1.0, 100.0])
def test_currents_are_those_of_the_error_controlled_method(model: str, hertz: float) -> None:
    seconds = np.arange(1000) / (500 * hertz)
    volts = np.sin(2 * np.pi * hertz * seconds)
    row = load("Cr", model).vector
    amps, _ = simulated(seconds, volts, 0.0, SERIES, row, 0.02, 0.02)
    exact = np.interp(seconds, *reference(seconds, volts, row))
    assert np.mean((amps - exact) ** 2) / np.mean(exact**2) < 1e-5


@pytest.mark.parametrize(("dopant", "volts"), [("Cr", 0.5), ("Cr", 1.5), ("W", 0.5), ("W", 1.5)])
def test_the_node_of_a_scope_is_followed(dopant: str, volts: float) -> None:
    """At 100 Hz it is a microsecond late: what that moves is found where samples crowd, and where not."""
    seconds = np.arange(1000) / 50_000
    source = volts * np.sin(2 * np.pi * 100 * seconds)
    row = load(dopant, "sdc").vector
    times, exact = reference(seconds, source, row, FARADS)
    lengths, bins = np.gradient(times), np.minimum((times * 20_000).astype(np.intp), 399)
    left = list[float]()
    for lag in (0.0, SERIES * FARADS):
        amps, _ = simulated(times, np.interp(times, seconds, source), 0.0, SERIES, row, 0.02, 0.02, lag)
        each = np.bincount(bins, lengths * (amps - exact)) / np.bincount(bins, lengths)
        left.append(float(np.abs(each).max()))
    assert left[1] < left[0] / 5
    assert left[1] < 5e-4 * np.abs(exact).max()
    wide, _ = simulated(seconds, source, 0.0, SERIES, row, 0.02, 0.02, SERIES * FARADS)
    there = np.interp(seconds, times, exact)
    assert np.mean((wide - there) ** 2) / np.mean(there**2) < 1e-6


def test_an_idle_device_charges_the_node_with_its_time_constant() -> None:
    values = load("Cr", "metastable").values
    row = METASTABLE.row({**values, "phi": 1.0})
    row[1] = 0.0  # speed
    seconds = np.arange(0, 201) * 1e-8
    volts = np.where(seconds > 0, 0.5, 0.0)
    amps, _ = simulated(seconds, volts, 0.0, SERIES, row, 0.5, 0.02, SERIES * FARADS)
    ohms = 1 / (0.5 / values["ron"] + 0.5 / values["roff"])
    charged = 0.5 / (ohms + SERIES) * (1 - np.exp(-seconds * (1 / SERIES + 1 / ohms) / FARADS))
    assert amps[3:] == pytest.approx(charged[3:], rel=0.05)


def test_a_device_that_cannot_move_is_a_voltage_divider() -> None:
    values = load("Cr", "metastable").values
    row = METASTABLE.row({**values, "phi": 1.0})
    row[1] = 0.0  # speed
    seconds, volts = np.linspace(0, 1, 50), np.linspace(-1, 1, 50)
    amps, states = simulated(seconds, volts, 0.0, SERIES, row, 0.5, 0.02)
    ohms = 1 / (0.5 / values["ron"] + 0.5 / values["roff"])
    assert amps == pytest.approx(volts / (ohms + SERIES), rel=1e-5)
    assert (states == 0.5).all()


def test_a_repeated_drive_ends_in_its_periodic_state_wherever_it_began() -> None:
    seconds = np.arange(200) / 2000
    volts = np.sin(2 * np.pi * 10 * seconds)
    row = load("Cr", "metastable").vector
    ends = [simulated(seconds, volts, 0.1, SERIES, row, begin, 0.02)[0] for begin in (0.02, 0.9)]
    assert ends[0] == pytest.approx(ends[1], abs=1e-3 * np.abs(ends[0]).max())


def test_without_a_resistor_the_device_sees_the_source() -> None:
    assert divided(0.37, 0.0, 0.5, 0.0, load("W", "metastable").vector) == 0.37
