"""The Keysight B2900: its words on the wire, its timer, its two trains of triggers."""

import numpy as np
import pytest

from drivers.keysight_b2900 import KeysightB2900
from labctl.errors import BoardFault, Outputs
from labctl.pulse import Flag
from sim_backend.emulators.behind.terminals import Resistors, Terminals
from tests.source_meters import (
    TRANSCRIPTS,
    lines,
    meddle,
    reading,
    resistor,
    rig,
    writing,
)

NAME = "keysight_b2900"


def test_a_run_does_not_switch_on_what_somebody_switched_off() -> None:
    assert "> :OUTP1:ON:AUTO OFF" in lines(TRANSCRIPTS / f"{NAME}.txt")


def test_levels_last_as_long_as_the_timer_says() -> None:
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        pulses = [writing(board, 0.5, 0.1), *(reading(board, 0.1, 20e-3) for _ in range(50))]
        board.apply(pulses)
        before = found.instrument.clock.seconds
        traces = board.apply(pulses)
        took = found.instrument.clock.seconds - before
    booked = sum(float(trace.seconds.sum()) + trace.settle_seconds for trace in traces)
    assert booked == pytest.approx(took, rel=0.02)


def test_a_long_list_is_one_run() -> None:
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board, 0.05)])
        before = len(found.heard)
        board.apply([reading(board, 0.02 + 1e-5 * index) for index in range(1000)])
        runs = [message for message in found.heard[before:] if ":INIT" in message]
    assert len(runs) == 1


def test_the_interlock_is_named_where_it_is_the_reason() -> None:
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board, 0.05)])
        found.instrument.smu.output = False
        found.instrument.smu.interlock_closed = False
        with pytest.raises(BoardFault, match="interlock is open"):
            board.apply([writing(board, 0.05)])


# ---- off at compliance --------------------------------------------------------------------------


def test_it_is_armed_to_switch_off_at_its_compliance_and_watched() -> None:
    told = lines(TRANSCRIPTS / f"{NAME}.txt")
    assert told[told.index("> :OUTP1:PROT ON") + 1 :][:2] == ["> :OUTP1:PROT?", "< 1"]
    with rig(NAME, resistor(20e3)) as found:
        meddle(found.instrument, lambda message: None if message == ":OUTP1:PROT ON" else message)
        with pytest.raises(BoardFault, match="OUTP1:PROT"):
            found.board.__enter__()
        assert not found.instrument.smu.output


def often(board: KeysightB2900) -> None:
    for _ in range(30):
        board.apply([reading(board)])


def test_somebody_who_disarms_it_is_noticed() -> None:
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board)])
        found.instrument.smu.modes.trips_off = False
        with pytest.raises(BoardFault, match="settings are") as fault:
            often(board)
        assert fault.value.outputs is Outputs.OFF


def test_fault_26_a_read_that_meets_its_compliance_ends_with_the_output_off() -> None:
    with rig(NAME, resistor(20e3), compliance="2 uA") as found, found.board as board:
        with pytest.raises(BoardFault, match="COMPLIANCE") as fault:
            board.apply([reading(board, 0.1)])
        assert fault.value.outputs is Outputs.OFF
        assert not found.instrument.smu.output
        (trace,) = board.apply([reading(board, 0.02)])  # with less, it can be used again
        assert trace.flags is Flag.NONE


def tripping(measured: int, *, within: bool = False) -> list[tuple[int, Flag]]:
    """Pulses 20 ms long in one run, of which the third takes too much: samples and flags of their traces.

    The short is there before the level after the `measured`-th reading, or `within` that reading.
    """
    terminals = Terminals(Resistors((20e3, 1.0), 10e3))
    with rig(NAME, terminals, compliance="20 uA") as found, found.board as board:
        board.apply([reading(board)])
        smu = found.instrument.smu
        measure, seen = smu.measure, []

        def worn():
            seen.append(within and len(seen) + 1 == measured)
            if seen[-1]:
                terminals.closed = {1}
            taken = measure()
            if len(seen) == measured:
                terminals.closed = {1}
            return taken

        smu.measure = worn
        with pytest.raises(BoardFault, match="COMPLIANCE") as fault:
            board.apply([writing(board, 0.4, 20e-3) for _ in range(5)])
        assert fault.value.outputs is Outputs.OFF
        assert not smu.output
        for trace in fault.value.traces:
            assert float(np.abs(trace.amps).max()) <= 2.1e-5
    return [(len(trace.seconds), trace.flags) for trace in fault.value.traces]


def test_fault_26_a_trip_in_a_run_ends_it_and_the_pulse_in_which_it_was_is_flagged() -> None:
    found = tripping(measured=26, within=True)
    assert [flags for _, flags in found] == [Flag.NONE, Flag.NONE, Flag.COMPLIANCE]
    assert len({samples for samples, _ in found}) == 1


def test_fault_26_a_trip_in_the_first_level_of_a_pulse_is_booked_to_that_pulse() -> None:
    found = tripping(measured=22)
    assert [bool(flags & Flag.COMPLIANCE) for _, flags in found] == [False, False, True]


def test_fault_26_a_trip_between_two_readings_leaves_a_lower_bound() -> None:
    *_, (_, flags) = tripping(measured=26)  # in the delay before the aperture
    assert flags == Flag.COMPLIANCE | Flag.LOWER_BOUND
