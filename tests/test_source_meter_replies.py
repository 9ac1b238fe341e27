"""What instruments answer, taken as flags; and what is left of a run in which the output went off."""

import numpy as np
import pytest

from drivers.source_meters.replies import bits, column
from drivers.source_meters.runs import Key, Run, Unit
from drivers.source_meters.source_meter import Readings
from drivers.source_meters.traces import driven
from labctl.pulse import Flag
from sim_backend.emulators.scpi.values import ScpiError, split

NONE, COMPLIANCE = int(Flag.NONE), int(Flag.COMPLIANCE)
LOWER_BOUND = int(Flag.COMPLIANCE | Flag.LOWER_BOUND)


@pytest.mark.parametrize("odd", [9.9e37, -9.91e37, 1e22, 1e20])
def test_what_stands_for_no_number_is_flagged_wherever_it_is(odd: float) -> None:
    values, flags = column(np.array([[1.0, 2.0], [-3.0, odd]]), 1)
    assert values.tolist() == [2.0, 0.0]
    assert flags.tolist() == [0, Flag.OVER_RANGE]


def test_numbers_that_are_numbers_are_not_touched() -> None:
    values, flags = column(np.array([[1.0, 9e19], [-3.0, -9e19]]), 1)
    assert values.tolist() == [9e19, -9e19]
    assert not flags.any()


def test_bits_of_a_status_word_are_flags_of_their_own_readings() -> None:
    meanings = {Flag.COMPLIANCE: 2 | 4, Flag.OVER_RANGE: 1 << 13}
    found = bits(np.array([[0.0], [4.0], [8192.0], [8196.0], [1.0]]), 0, meanings)
    both = Flag.COMPLIANCE | Flag.OVER_RANGE
    assert found.tolist() == [Flag.NONE, Flag.COMPLIANCE, Flag.OVER_RANGE, both, Flag.NONE]
    assert not bits(np.zeros((3, 1)), 0, meanings).any()


# ---- an output that went off --------------------------------------------------------------------


def left(volts: list[float], flags: list[int], *, tripped: bool) -> list[int]:
    """Of three pulses of two levels of 1 V and one of 0 V, measured so: the flags of what is left."""
    units = [Unit(pulse, (1.0, 1.0, 0.0), (1e-3,) * 3, 0.0, True) for pulse in range(3)]
    run = Run(Key(1e-3, 2.0, 1e-4, (0,), writes=True), units, [1.0, 1.0, 0.0] * 3, [1e-3] * 9)
    readings = Readings(None, np.array(volts), np.zeros(len(volts)), np.array(flags, dtype=np.intp))
    return driven(run, readings, 0.01, tripped=tripped).flags.tolist()


WHOLE = [1.0, 1.0, 0.0] * 3
OFF_IN_THE_SECOND = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
OFF_BEFORE_THE_THIRD = [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("volts", "limited_at", "found"),
    [
        (OFF_IN_THE_SECOND, None, [0] * 4 + [LOWER_BOUND, 0]),
        (OFF_IN_THE_SECOND, 3, [0] * 3 + [COMPLIANCE, 0, 0]),
        (OFF_BEFORE_THE_THIRD, 4, [0] * 4 + [COMPLIANCE, 0]),  # in the last moment of the second
        (OFF_BEFORE_THE_THIRD, None, [0] * 6 + [LOWER_BOUND, 0, 0]),
        ([1.0, 1.0, 0.0, 0.7], 3, [0] * 3 + [COMPLIANCE]),  # an instrument that ends its run then
        (WHOLE, None, [0] * 9),
    ],
)
def test_a_trip_is_booked_to_its_pulse(volts: list[float], limited_at: int | None, found: list[int]) -> None:
    flags = [COMPLIANCE if place == limited_at else NONE for place in range(len(volts))]
    assert left(volts, flags, tripped=True) == found


@pytest.mark.parametrize(
    ("volts", "count"),
    [
        (OFF_IN_THE_SECOND, 4),
        (OFF_BEFORE_THE_THIRD, 6),
        (WHOLE, 9),
        ([0.5, 0.5, 0.0] * 3, 9),
        ([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0], 9),  # what is driven later was on before
    ],
)
def test_of_an_output_that_was_switched_off_no_level_after_that_is_left(
    volts: list[float], count: int
) -> None:
    assert left(volts, [0] * 9, tripped=False) == [0] * count


def test_a_short_that_its_limit_holds_at_nothing_is_driven_all_the_same() -> None:
    flags = [0] * 3 + [COMPLIANCE, COMPLIANCE, 0] * 2
    assert left([1.0, 1.0, 0.0] + [0.001, 0.001, 0.0] * 2, flags, tripped=False) == flags


# ---- the emulators' side ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (':A "x";:B 1', [':A "x"', ":B 1"]),
        (':A "x;y";:B 1', [':A "x;y"', ":B 1"]),
        (':A "x""y";:B', [':A "x""y"', ":B"]),
        (":A 'x;\"y';:B (@1;2)", [":A 'x;\"y'", ":B (@1;2)"]),
        (':A ""; :B', [':A ""', ":B"]),
    ],
)
def test_what_stands_in_quotes_separates_nothing(text: str, parts: list[str]) -> None:
    assert split(text, ";") == parts


def test_a_quote_without_an_end_is_refused() -> None:
    with pytest.raises(ScpiError, match="-151"):
        split(':A "x;:B 1', ";")
