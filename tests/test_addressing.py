"""From what one wants to what every line does."""

import numpy as np
import pytest

from labctl.addressing import drive, infer, multiply, read_row, select, wait
from labctl.errors import Refused
from labctl.parts import Neuron, Site
from labctl.pulse import Pulse, Purpose
from labctl.shapes import triangle
from labctl.spec import Spec

SITES = tuple(Site(row, column, "W") for row in range(3) for column in range(2))
SPEC = Spec("grid", 3, 2, SITES, (100.0,) * 5)
NEURAL = Spec("neural", 3, 2, SITES, (100.0,) * 5, neurons=(Neuron(3, 2, (0, 1), 1e4, 1e-5, 0.0, 0.1),))


def peaks(pulse: Pulse) -> list[float | None]:
    """The voltage of each line where it is largest; None where it is open."""
    largest = pulse.volts[np.abs(pulse.volts).argmax(axis=0), range(pulse.volts.shape[1])]
    return [float(volts) if driven else None for volts, driven in zip(largest, pulse.driven, strict=True)]


def test_selecting_drives_the_row_and_grounds_the_column_of_one_site() -> None:
    pulse = select(SPEC, 3, triangle(-0.7, 2.0), Purpose.RESET)  # row 1, column 1
    assert peaks(pulse) == [None, -0.7, None, None, 0.0]
    assert pulse.seconds.tolist() == [0, 1, 2]
    assert pulse.volts[:, 1].tolist() == [0, -0.7, 0]
    assert pulse.purpose is Purpose.RESET
    assert SPEC.connected(pulse.driven).tolist() == [3]


def test_driving_scales_one_shape_by_line() -> None:
    pulse = drive(SPEC, {0: 0.5, 4: -0.25}, triangle(2.0, 1.0), Purpose.PROGRAM)
    assert peaks(pulse) == [1.0, None, None, None, -0.5]


def test_reading_a_row_holds_every_other_line_at_zero() -> None:
    pulse = read_row(SPEC, 2, 0.1, 1e-3)
    assert peaks(pulse) == [0.0, 0.0, 0.1, 0.0, 0.0]
    assert (pulse.purpose, pulse.seconds[-1]) == (Purpose.READ, 1e-3)


def test_multiplying_drives_all_rows_and_holds_all_columns() -> None:
    pulse = multiply(SPEC, np.array([0.1, -0.2, 0.3]), 1e-3)
    assert peaks(pulse) == [0.1, -0.2, 0.3, 0.0, 0.0]
    assert pulse.purpose is Purpose.INFER
    with pytest.raises(Refused, match="3 rows"):
        multiply(SPEC, np.zeros(2), 1e-3)


def test_inference_drives_inputs_and_leaves_the_rest_to_the_neurons() -> None:
    pulse = infer(NEURAL, np.array([0.1, 0.05]), 1e-3)
    assert peaks(pulse) == [0.1, 0.05, None, None, None]
    assert NEURAL.computing(pulse.driven)


@pytest.mark.parametrize(("spec", "inputs"), [(NEURAL, 3), (NEURAL, 1), (SPEC, 3)])
def test_inference_needs_neurons_and_a_voltage_for_each_input(spec: Spec, inputs: int) -> None:
    with pytest.raises(Refused, match="neurons"):
        infer(spec, np.zeros(inputs), 1e-3)


@pytest.mark.parametrize("spec", [SPEC, NEURAL], ids=lambda spec: spec.name)
def test_waiting_drives_nothing(spec: Spec) -> None:
    pulse = wait(spec, 0.5)
    assert peaks(pulse) == [None] * 5
    assert (pulse.purpose, pulse.duration) == (Purpose.WAIT, 0.5)
    assert spec.connected(pulse.driven).tolist() == []
    assert not spec.computing(pulse.driven)
