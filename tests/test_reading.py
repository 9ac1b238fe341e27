"""Conductances from traces written by hand."""

from dataclasses import replace

import numpy as np
import pytest

from labctl.addressing import read_row, select
from labctl.errors import BoardFault
from labctl.pulse import Flag, Purpose, Trace
from labctl.reading import conductance, row_conductances, settled_volts
from labctl.shapes import square
from labctl.spec import Site, Spec

SPEC = Spec("pair", 1, 2, (Site(0, 0, "W"), Site(0, 1, "W")), series_ohms=(1000.0, 100.0, 200.0))
PULSE = select(SPEC, 0, square(0.5, 10e-6), Purpose.READ)
AMPS = 0.5 / (1000 + 3900 + 100)  # 0.1 mA through a device of 3.9 kohm: 0.39 V of the 0.5 V fall on it


def trace(amps: list[float], volts: float = 0.5) -> Trace:
    """Flat for 4, 3, 2 and 1 us, with these currents into the row and out of column 0; edges without time."""
    into = np.array([0.0, *amps, 0.0])
    flat = np.array([0.0, volts, volts, volts, volts, 0.0])
    nothing = np.zeros(6)
    return Trace(
        np.array([0.0, 4e-6, 3e-6, 2e-6, 1e-6, 0.0]),
        np.column_stack([flat, nothing, nothing]),
        np.column_stack([into, -into, nothing]),
    )


def test_a_conductance_is_that_of_the_device_without_its_series_resistors() -> None:
    assert conductance(SPEC, PULSE, trace([AMPS] * 4), 0) == pytest.approx(1 / 3900, rel=1e-12)
    assert conductance(SPEC, PULSE, trace([-AMPS] * 4, -0.5), 0) == pytest.approx(1 / 3900, rel=1e-12)


def test_what_flows_before_the_sense_node_has_settled_is_not_the_devices() -> None:
    # the last quarter of 10 us begins within the third sample: the spikes are in the first two
    assert conductance(SPEC, PULSE, trace([9e-4, 3e-4, AMPS, AMPS]), 0) == pytest.approx(1 / 3900, rel=1e-12)


def test_samples_count_by_their_seconds_and_their_volts() -> None:
    # 2 us of 100 uA and 1 us of 130 uA: device volts .39 and .5 - 1100 * 130e-6 = .357
    by_hand = (2 * 100e-6 * 0.39 + 1 * 130e-6 * 0.357) / (2 * 0.39**2 + 1 * 0.357**2)
    assert conductance(SPEC, PULSE, trace([0, 0, 100e-6, 130e-6]), 0) == pytest.approx(by_hand, rel=1e-12)


def test_every_repeat_settles_anew() -> None:
    once = trace([9e-4, 3e-4, AMPS, AMPS])
    twice = Trace(*(np.concatenate([a, a]) for a in (once.seconds, once.volts, once.amps)))
    assert conductance(SPEC, PULSE.repeated(2), twice, 0) == pytest.approx(1 / 3900, rel=1e-12)


def test_one_sample_is_enough() -> None:
    one = Trace(np.array([1e-3]), np.array([[0.5, 0.0, 0.0]]), np.array([[AMPS, -AMPS, 0.0]]))
    assert conductance(SPEC, PULSE, one, 0) == pytest.approx(1 / 3900, rel=1e-12)


def test_a_row_that_is_not_sensed_is_read_at_its_column() -> None:
    found = trace([AMPS] * 4)
    blind = Trace(found.seconds, found.volts, found.amps * [0, 1, 1])
    assert conductance(replace(SPEC, sensed=(1, 2)), PULSE, blind, 0) == pytest.approx(1 / 3900, rel=1e-12)


def test_an_open_device_is_zero_siemens() -> None:
    assert conductance(SPEC, PULSE, trace([0.9e-9] * 4), 0) == 0.0
    assert conductance(SPEC, PULSE, trace([-0.9e-9] * 4), 0) == 0.0
    assert conductance(SPEC, PULSE, trace([1.1e-9] * 4), 0) == pytest.approx(2.2e-9, rel=1e-4)


@pytest.mark.parametrize("flag", [Flag.COMPLIANCE, Flag.OVER_RANGE, Flag.SATURATED, Flag.INTERLOCK])
def test_a_current_that_the_instrument_limits_is_no_conductance(flag: Flag) -> None:
    with pytest.raises(BoardFault, match=str(flag.name)):
        conductance(SPEC, PULSE, replace(trace([AMPS] * 4), flags=flag), 0)


def test_no_voltage_is_no_conductance() -> None:
    with pytest.raises(BoardFault, match="no voltage"):
        conductance(SPEC, PULSE, trace([0.0] * 4, 0.0), 0)
    with pytest.raises(BoardFault, match="no voltage"):
        conductance(SPEC, PULSE, Trace(np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3))), 0)


@pytest.mark.parametrize("amps", [np.nan, np.inf])
def test_what_is_no_number_is_never_a_conductance(amps: float) -> None:
    with pytest.raises(BoardFault, match="finite"):
        conductance(SPEC, PULSE, trace([AMPS, AMPS, AMPS, amps]), 0)


def test_a_current_against_its_voltage_is_a_fault() -> None:
    with pytest.raises(BoardFault, match="against"):
        conductance(SPEC, PULSE, trace([-AMPS] * 4), 0)
    with pytest.raises(BoardFault, match="against"):  # more than the series resistors alone allow
        conductance(SPEC, PULSE, trace([1e-3] * 4), 0)


def row_trace(spec: Spec, columns: list[float], into: float) -> Trace:
    """One sample of a row at 0.5 V with these currents out of its columns."""
    return Trace(np.array([1e-5]), np.array([[0.5, 0.0, 0.0]]), np.array([[into, *(-np.array(columns))]]))


def test_each_column_gives_the_conductance_of_its_own_crossing() -> None:
    # 100 uA and 50 uA: the row's 1 kohm takes .15 V; column resistors .01 V each; .34 V are left
    pulse = read_row(SPEC, 0, 0.5, 1e-5)
    found = row_conductances(SPEC, pulse, row_trace(SPEC, [100e-6, 50e-6], 150e-6))
    assert found == pytest.approx([100e-6 / 0.34, 50e-6 / 0.34], rel=1e-12)
    blind = row_conductances(replace(SPEC, sensed=(1, 2)), pulse, row_trace(SPEC, [100e-6, 50e-6], 0.0))
    assert blind == pytest.approx(found, rel=1e-12)


def test_a_crossing_without_a_site_and_an_open_site_are_zero() -> None:
    sparse = replace(SPEC, sites=SPEC.sites[:1])
    pulse = read_row(sparse, 0, 0.5, 1e-5)
    found = row_conductances(sparse, pulse, row_trace(sparse, [100e-6, 0.0], 100e-6))
    assert found == pytest.approx([100e-6 / 0.39, 0.0], rel=1e-12)
    assert row_conductances(sparse, pulse, row_trace(sparse, [1e-12, 0.0], 1e-12)).tolist() == [0.0, 0.0]


def test_settled_volts_are_those_of_the_end_of_the_top() -> None:
    volts = np.zeros((6, 3))
    volts[:, 0], volts[:, 2] = [0, 0.5, 0.5, 0.5, 0.5, 0], [0, 0.4, 0.3, 0.2, 0.1, 0]
    answer = Trace(trace([0] * 4).seconds, volts, np.zeros((6, 3)))
    assert settled_volts(PULSE, answer, 2) == pytest.approx((2 * 0.2 + 1 * 0.1) / 3)
