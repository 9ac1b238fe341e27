"""What the gate promises holds at the devices, not only at the terminals: lines that sites share have ohms.

The witness is the exact solution of the circuit, with devices anywhere at or above their least resistance.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.addressing import drive, level, multiply
from labctl.errors import LimitExceeded
from labctl.layouts import Circuit, crossbar
from labctl.pulse import Floats, Purpose
from labctl.spec import Spec
from sim_backend.crossbar import Crossbar, solve


def board(rows: int, columns: int, series: float, switch: float) -> Spec:
    return crossbar(rows, columns, Circuit(dopant="W", series_ohms=series, switch_ohms=switch), switched=True)


def device_amps(spec: Spec, siemens: Floats, volts: Floats, wire: float = 0.0) -> Floats:
    """[A] (rows, columns); the package sinks columns below the last row, the board above the first."""
    lines = spec.series_ohms
    circuit = Crossbar(siemens[::-1], lines[: spec.rows], lines[spec.rows :], wire, wire)
    return solve(circuit, volts[::-1]).device_amps[0, ::-1]


def test_a_row_against_all_others_is_refused() -> None:
    """63 rows at 0.6 V lift the column that they share, and the last, at -0.6 V, sees nearly twice that."""
    spec = board(64, 1, series=50.0, switch=80.0)
    limits, volts = spec.sites[0].limits, np.full(64, 0.6)
    spec.check([multiply(spec, volts, 50e-6), multiply(spec, np.eye(64)[0] * 0.6, 50e-6)])
    volts[-1] = -0.6
    siemens = np.full((64, 1), 1 / limits.least_ohms)
    assert np.abs(device_amps(spec, siemens, volts)).max() > 1.7 * limits.amps
    with pytest.raises(LimitExceeded, match="A through"):
        spec.check([multiply(spec, volts, 50e-6)])


def test_columns_that_differ_do_not_hide_behind_the_rows_resistor() -> None:
    """A column at 0.65 V feeds the 31 at -0.65 V through the row's node, past the row's 2 kohm."""
    spec = board(1, 32, series=2000.0, switch=1.0)
    one = {0: 0.0, 1: 0.65}
    shape = level(spec, 1.0, 50e-6)
    spec.check([drive(spec, one, shape, Purpose.READ)])
    with pytest.raises(LimitExceeded, match="A through"):
        spec.check([drive(spec, one | dict.fromkeys(range(2, 33), -0.65), shape, Purpose.READ)])


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.data())
def test_what_passes_the_gate_keeps_every_device_within_its_limits(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 6))
    ends = st.sampled_from([0.0, 5.0, 50.0, 500.0])
    wire = data.draw(st.sampled_from([0.0, 1.0, 20.0]))
    spec = board(rows, columns, data.draw(ends), data.draw(ends) + 1.0)
    spec = replace(spec, wire_ohms=wire * (max(rows, columns) - 1))
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    volts = draw.choice([-1.0, 0.0, 1.0], rows) * draw.uniform(0, 1.2, rows)
    try:
        spec.check([multiply(spec, volts, 50e-6)])
    except LimitExceeded:
        return
    limits = spec.sites[0].limits
    siemens = draw.choice([1.0, 0.1, 1e-3], (rows, columns)) / limits.least_ohms
    amps = device_amps(spec, siemens, volts, wire)
    assert np.abs(amps).max() <= limits.amps * (1 + 1e-9)
    across = np.abs(amps / siemens).max()
    assert across <= min(limits.high_volts, -limits.low_volts) * (1 + 1e-9)
