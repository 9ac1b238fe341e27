"""Pulses and traces are values."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from labctl.pulse import Flag, Pulse, Purpose, Trace


def pulse() -> Pulse:
    """A triangle of 0.5 V and 3 us on line 0 against line 1."""
    volts = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.0]])
    return Pulse(np.array([0.0, 1e-6, 3e-6]), volts, np.array([True, True]), Purpose.READ)


@pytest.mark.parametrize("name", ["seconds", "volts", "driven"])
def test_what_is_in_a_pulse_cannot_be_changed(name: str) -> None:
    one = pulse()
    with pytest.raises(ValueError, match="read-only"):
        getattr(one, name)[0] = 1
    with pytest.raises(FrozenInstanceError):
        setattr(one, name, getattr(one, name))


@pytest.mark.parametrize("name", ["seconds", "volts", "amps"])
def test_what_is_in_a_trace_cannot_be_changed(name: str) -> None:
    trace = Trace(np.ones(2), np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="read-only"):
        getattr(trace, name)[0] = 7.0


def test_repeats_last_as_long_as_all_of_them() -> None:
    assert pulse().duration == 3e-6
    assert pulse().repeated(5).duration == pytest.approx(15e-6)
    assert pulse().repeats == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(pulse(), purpose=Purpose.PROGRAM),
        replace(pulse(), repeats=2),
        replace(pulse(), seconds=np.array([0.0, 1e-6, np.nextafter(3e-6, 1)])),
        replace(pulse(), volts=np.array([[0.0, 0.0], [0.5, 0.0], [5e-324, 0.0]])),
        replace(pulse(), driven=np.array([True, False])),
    ],
    ids=["purpose", "repeats", "seconds", "volts", "driven"],
)
def test_pulses_are_the_same_only_in_every_number(other: Pulse) -> None:
    assert pulse().same_as(pulse())
    assert not pulse().same_as(other)


def test_a_trace_has_nothing_to_complain_of_unless_told() -> None:
    trace = Trace(np.ones(1), np.ones((1, 2)), np.ones((1, 2)))
    assert trace.flags == Flag.NONE
    assert not trace.flags
    assert not trace.estimated
    assert Flag.COMPLIANCE | Flag.OPEN == 9
