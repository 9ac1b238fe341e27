"""Netlists and stretches: pure functions, from numbers to text and from samples to pulses."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.addressing import infer, select
from labctl.layouts import Circuit, crossbar, network, selector
from labctl.pulse import Pulse, Purpose
from labctl.shapes import half_sine, square
from sim_backend.devices import equations, metastable, models, parameters
from sim_backend.devices.spice import expression
from sim_backend.netlist import job, path
from sim_backend.netlist_array import array
from sim_backend.parasitics import Parasitics
from sim_backend.stretches import MOST_CORNERS, MOST_PARTS, stretches, weighted, with_samples_at

CHROMIUM = parameters.load("Cr", "metastable").vector
SELECTOR = selector(4, Circuit())
PATH = path((0, 3), (10e3, 75.0), 180e-12, CHROMIUM)
START = np.array([0.25, 0.0])


def pulse(volts: float = 1.0, seconds: float = 100e-6) -> Pulse:
    return select(SELECTOR, 2, square(volts, seconds), Purpose.PROGRAM)


def elements(text: str) -> set[str]:
    """The names of the elements of a netlist."""
    return {line.split()[0] for line in text.splitlines()[1:] if line[0] not in ".+*"}


# ---- from the equations to text ------------------------------------------------------------------


def evaluated(text: str, v: float, x: float) -> float:
    """What a SPICE expression of v(a,b) and v(x) amounts to, read by Python."""
    names = {"v": v, "x": x, "tanh": np.tanh, "exp": np.exp, "max": max, "min": min}
    return float(eval(text.replace("v(a,b)", "v").replace("v(x)", "x"), {}, names))


@pytest.mark.parametrize("dopant", ["W", "Sn", "Cr", "C"])
@given(v=st.floats(-2.5, 2.5), x=st.floats(0, 1), phi=st.sampled_from([1.0, 0.9]))
def test_both_readers_of_the_equations_agree(dopant: str, v: float, x: float, phi: float) -> None:
    device = parameters.load(dopant, "metastable")
    device.values.update(phi=phi, af=1e-6, bf=3.0, ar=1e-6, br=3.0)
    known = models.arguments(device.vector)
    row = equations.prepared(device.vector)
    for function, of_row in (
        (metastable.metastable_current, equations.current),
        (metastable.metastable_rate, equations.rate),
    ):
        text = expression(function, known | {"v": "v(a,b)", "x": "v(x)"})
        assert evaluated(text, v, x) == pytest.approx(of_row(v, x, row), rel=1e-9, abs=1e-12)


def test_numbers_are_gathered_and_nothing_is_divided() -> None:
    text = expression(metastable.metastable_rate, models.arguments(CHROMIUM) | {"v": "v(a,b)", "x": "v(x)"})
    assert "/" not in text
    assert text.count("tanh") == 2
    assert text.count("*") <= 7


# ---- one selected device -------------------------------------------------------------------------


def test_a_short_pulse_alters_a_circuit_whose_text_says_nothing_of_it() -> None:
    (first,), (second,) = stretches([pulse(1.0)]), stretches([pulse(-0.4, 20e-6)])
    one, other = job(PATH, first, START), job(PATH, second, 2 * START)
    assert one.circuit == other.circuit
    assert one.altered() == other.altered() == ("@vs[pwl]", "ca ic", "cx ic")
    assert "cx ic = 0.25" in one.alter
    assert one.stop == 100e-6
    one.check()


def test_a_long_waveform_stands_in_the_text_with_its_states() -> None:
    (stretch,) = stretches([select(SELECTOR, 2, half_sine(1.0, 1e-3), Purpose.PROGRAM)])
    made = job(PATH, stretch, START)
    assert made.alter == ()
    assert re.search(r"^cx x 0 1.0 ic=0.25$", made.circuit, re.MULTILINE)
    assert max(map(len, made.circuit.splitlines())) < 600
    made.check()


def test_the_same_device_elsewhere_has_the_same_text() -> None:
    (stretch,) = stretches([pulse()])
    elsewhere = path((0, 1), (10e3, 75.0), 180e-12, CHROMIUM)
    assert job(elsewhere, stretch, START).circuit.count("\n") == job(PATH, stretch, START).circuit.count("\n")
    assert elsewhere.body == PATH.body


@pytest.mark.parametrize(
    ("ohms", "farads", "gone"),
    [
        ((10e3, 0.0), 1e-12, {"rc"}),
        ((0.0, 75.0), 1e-12, {"rs", "ca"}),
        ((0.0, 0.0), 1e-12, {"rs", "rc", "ca"}),
        ((10e3, 75.0), 0.0, {"ca"}),
    ],
)
def test_what_is_zero_is_left_out(ohms: tuple[float, float], farads: float, gone: set[str]) -> None:
    (stretch,) = stretches([pulse()])
    netlist = path((0, 3), ohms, farads, CHROMIUM)
    left = elements(job(netlist, stretch, np.zeros(len(netlist.states))).circuit)
    assert left == {"vs", "vc", "rs", "rc", "ca", "ed", "bd", "bx", "cx"} - gone


def test_a_number_that_is_none_never_gets_into_a_netlist() -> None:
    with pytest.raises(ValueError, match="cannot stand in a netlist"):
        path((0, 3), (10e3, 75.0), 180e-12, CHROMIUM * ([1.0] * 4 + [np.nan] * 12))


# ---- several devices -----------------------------------------------------------------------------


def lines_driven(lines: int, *driven: int) -> np.ndarray:
    flags = np.zeros(lines, dtype=np.bool_)
    flags[list(driven)] = True
    return flags


def test_a_crossbar_with_wires_has_a_node_for_each_crossing() -> None:
    spec, rows = crossbar(2, 3, Circuit()), np.tile(CHROMIUM, (6, 1))
    netlist = array(spec, Parasitics(wire_ohms=2.0), lines_driven(5, 0, 2), range(6), rows)
    text = "\n".join(netlist.elements)
    assert {f"rw0_{step}" for step in (1, 2)} < elements("\n" + text)
    assert len([name for name in elements("\n" + text) if name.startswith("rw")]) == 2 * 2 + 3 * 1
    assert "rs0 s0 n0_0 10000.0" in text
    assert "bd5 n1_2 n4_1 " in text
    assert [source.line for source in netlist.sources] == [0, 2]
    assert [probe.line for probe in netlist.probes if probe.amps is None] == [1, 3, 4]


def test_open_lines_without_a_connected_device_are_not_in_the_circuit() -> None:
    spec = network(Circuit())
    driven = lines_driven(spec.lines, 0, 1, spec.rows)
    sites = [int(site) for site in spec.connected(driven)]
    netlist = array(spec, Parasitics(), driven, sites, np.tile(CHROMIUM, (len(sites), 1)))
    assert [probe.line for probe in netlist.probes] == [0, 1, spec.rows]


def test_each_neuron_holds_its_column_and_drives_its_row() -> None:
    spec = network(Circuit())
    driven = infer(spec, np.zeros(9), 1e-4).driven
    netlist = array(spec, Parasitics(), driven, range(30), np.tile(CHROMIUM, (30, 1)))
    text = "\n".join(netlist.elements)
    assert sorted(probe.line for probe in netlist.probes) == list(range(spec.lines))
    assert len(netlist.states) == 30 + 4
    for index, neuron in enumerate(spec.neurons):
        assert f"vm{index} n{neuron.column} s{index} 0" in text
        assert re.search(rf"^bo{index} n{neuron.output} 0 v=min\(max\(", text, re.MULTILINE)


# ---- where a list is cut -------------------------------------------------------------------------


def test_a_list_of_alike_pulses_is_one_stretch() -> None:
    (stretch,) = stretches([pulse(0.5 + k / 100) for k in range(50)])
    assert np.allclose(stretch.ends, 100e-6 * np.arange(1, 51))
    assert len(stretch.seconds) == 50 * 3 + 1
    assert np.all(np.diff(stretch.seconds) > 0)
    assert stretch.complete == (True,) * 50


def test_repeats_are_unrolled_and_many_are_cut() -> None:
    found = list(stretches([pulse().repeated(250)]))
    assert [len(stretch.ends) for stretch in found] == [MOST_PARTS, MOST_PARTS, 50]
    assert sum(found[0].complete + found[1].complete) == 0
    assert found[2].complete == (False,) * 49 + (True,)


def test_a_pulse_of_very_many_corners_is_cut_at_corners() -> None:
    seconds = np.linspace(0, 1e-3, 1001)
    long = Pulse(seconds, np.zeros((1001, 5)), lines_driven(5, 0, 3), Purpose.PROGRAM)
    found = list(stretches([long]))
    assert max(len(stretch.seconds) for stretch in found) <= MOST_CORNERS
    assert sum(stretch.ends[-1] for stretch in found) == pytest.approx(1e-3)
    assert [stretch.complete for stretch in found] == [(False,), (False,), (True,)]


def test_a_jump_between_pulses_is_not_smoothed_but_cut() -> None:
    held = Pulse(np.array([0.0, 1e-4]), np.full((2, 5), 0.1), lines_driven(5, 0, 3), Purpose.READ)
    higher = Pulse(np.array([0.0, 1e-4]), np.full((2, 5), 0.2), lines_driven(5, 0, 3), Purpose.READ)
    assert [len(stretch.ends) for stretch in stretches([held, held, higher])] == [2, 1]


def test_a_short_pulse_does_not_make_the_steps_of_a_long_one_short() -> None:
    found = list(stretches([pulse(1.0, 1e-5), pulse(1.0, 1e-2), pulse(1.0, 2e-2)]))
    assert [stretch.shortest for stretch in found] == [1e-5, 1e-2]


# ---- which samples belong to which pulse ---------------------------------------------------------


def test_samples_at_the_ends_are_shared_and_their_seconds_are_not() -> None:
    seconds = np.array([0.1, 0.5, 1.0, 1.5, 2.0])
    exact, values, ends = with_samples_at(np.array([1.0, 2.0]), seconds, np.vstack([seconds]))
    (first, before), (second, after) = weighted(exact, ends)
    assert values[0, first].tolist() == [0.1, 0.5, 1.0]
    assert values[0, second].tolist() == [1.0, 1.5, 2.0]
    assert before == pytest.approx([0.1 + 0.2, 0.45, 0.25])
    assert after == pytest.approx([0.25, 0.5, 0.25])


def test_an_end_without_a_sample_gets_one() -> None:
    seconds = np.array([0.1, 0.7, 1.6, 2.0])
    exact, values, ends = with_samples_at(np.array([1.0, 2.0]), seconds, np.vstack([3 * seconds]))
    assert exact.tolist() == [0.1, 0.7, 1.0, 1.6, 2.0]
    assert values[0].tolist() == pytest.approx([0.3, 2.1, 3.0, 4.8, 6.0])
    assert [weights.sum() for _, weights in weighted(exact, ends)] == pytest.approx([1.0, 1.0], rel=1e-15)


@given(st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=8), st.integers(2, 30))
def test_the_seconds_add_up_to_the_pulse(lengths: list[float], samples: int) -> None:
    ends = np.cumsum(lengths)
    seconds = np.unique(np.concatenate([np.linspace(0, ends[-1], samples)[1:], ends * (1 + 1e-13)]))
    seconds = seconds[np.append(np.diff(seconds) > 1e-12, True)]
    exact, _, found = with_samples_at(ends, seconds, np.zeros((1, len(seconds))))
    sums = [weights.sum() for _, weights in weighted(exact, found)]
    assert sums == pytest.approx(lengths, rel=1e-12)
