"""The Keithley 2400: its words on the wire, and how long its levels last."""

import pytest

from labctl.errors import LimitExceeded
from labctl.pulse import Flag
from sim_backend.emulators.smu.run import Wait
from tests.source_meters import (
    TRANSCRIPTS,
    lines,
    reading,
    resistor,
    rig,
    writing,
)

NAME = "keithley2400"


def test_it_reads_with_read_and_never_with_meas() -> None:
    assert not any("MEAS" in line for line in lines(TRANSCRIPTS / f"{NAME}.txt"))


def test_a_list_has_at_most_a_hundred_values() -> None:
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board, 0.02 + 0.001 * index) for index in range(150)])
        lengths = [message.count(",") + 1 for message in found.heard if ":SOUR:LIST:VOLT" in message]
    assert max(lengths) == 100


@pytest.mark.parametrize("overhead", [0.0, 535e-6, 2e-3])
def test_what_a_level_takes_beside_its_delay_is_learned(overhead: float) -> None:
    """The manual has 535 us; whatever it is, levels are as long as asked."""
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        cycles = found.instrument._cycles

        def slower(levels):
            for action in cycles(levels):
                if isinstance(action, Wait):
                    yield Wait(overhead)
                yield action

        found.instrument._cycles = slower
        before = found.instrument.clock.seconds
        pulses = [writing(board, 0.1, 100e-3), *(reading(board, 0.1, 20e-3) for _ in range(49))]
        board.apply(pulses)
        before = found.instrument.clock.seconds
        traces = board.apply(pulses)
        took = found.instrument.clock.seconds - before
    asked = sum(pulse.duration for pulse in pulses)
    assert sum(float(trace.seconds.sum()) for trace in traces) == pytest.approx(asked, rel=0.01)
    assert sum(float(trace.seconds.sum()) + trace.settle_seconds for trace in traces) == pytest.approx(
        took, rel=0.02
    )


def test_a_range_that_limits_the_current_is_no_compliance() -> None:
    with rig(NAME, resistor(1.0, series=300.0)) as found, found.board as board:
        (trace,) = board.apply([writing(board, 0.09, 20e-3)])
        assert trace.flags & Flag.OVER_RANGE
        assert trace.flags & Flag.LOWER_BOUND


def test_rear_terminals_are_chosen_and_read_back() -> None:
    with rig(NAME, resistor(20e3), terminals="rear") as found, found.board:
        assert found.instrument.terminals == "REAR"


def test_levels_that_are_too_short_for_it_are_refused() -> None:
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        with pytest.raises(LimitExceeded, match="s long"):
            board.apply([reading(board, 0.1, 0.9e-3)])
        assert not any(":LIST" in message and "0.1" in message for message in found.heard)
