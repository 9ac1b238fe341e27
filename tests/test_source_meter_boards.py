"""Every source-measure unit keeps every law over its emulator, and what goes wrong there is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.source_meters import player as smu_player
from drivers.source_meters.board import SourceMeterBoard
from labctl.addressing import read_row, select
from labctl.contract import LAWS, PROGRAMMING_LAWS
from labctl.contract.probe import DoesNotApply, Law
from labctl.errors import BoardFault, BoardHung, InUse, Misbehaved, Outputs, Unavailable
from labctl.pulse import Flag, Purpose, Trace
from labctl.reading import conductance
from labctl.shapes import square
from sim_backend.emulators.behind.terminals import Resistors, Terminals
from sim_backend.emulators.keysight_34970a import Keysight34970A
from sim_backend.emulators.serving.server import on_tcp
from tests.boards import compact
from tests.source_meters import KINDS, built, device, meddle, reading, resistor, rig, writing

ALL = (*LAWS, *PROGRAMMING_LAWS)
PASSED_OVER = {
    "charge_is_conserved",
    "neurons_sum_and_saturate",
    "patterns_are_answered_one_by_one",
    "too_many_amps_are_refused",
    "neighbours_are_left_alone",
}
"""Laws of what one device behind a resistor does not have."""
LIMIT = {
    "keithley2400": ":SENS:CURR:PROT",
    "keithley2450": ":SOUR:VOLT:ILIM",
    "keysight_b2900": ":SENS1:CURR:PROT",
}
LIST = {"keithley2400": ":READ?", "keithley2450": ":TRAC:DATA?", "keysight_b2900": ":FETC:ARR?"}
"""What is in every message that reads."""

every_kind = pytest.mark.parametrize("name", KINDS)


LINKS = [*((name, "tcp") for name in KINDS), ("keithley2400", "pty")]


@pytest.mark.parametrize("law", ALL, ids=lambda law: law.__name__)
@pytest.mark.parametrize(("name", "link"), LINKS, ids=["-".join(link) for link in LINKS])
def test_every_instrument_keeps_every_law(name: str, link: str, law: Law) -> None:
    with rig(name, link=link) as found:
        if law.__name__ in PASSED_OVER:
            with pytest.raises(DoesNotApply):
                law(found.board)
        else:
            law(found.board)
        assert not found.instrument.smu.output
        assert not found.instrument.errors


def joules(trace: Trace) -> float:
    """What the source delivered [J]."""
    return float(trace.seconds @ (trace.volts * trace.amps).sum(axis=1))


@every_kind
def test_the_energy_of_a_programming_pulse_is_that_of_the_twin(name: str) -> None:
    twin = compact("selector-1x1", dopant="Sn", series="10 kohm", switch="1 ohm")
    with rig(name, device()) as found, found.board as board, twin:
        for volts, seconds in ((1.5, 0.05), (-1.5, 0.1), (1.2, 0.01), (2.0, 0.1)):
            pulse = writing(board, volts, seconds)
            measured, solved = board.apply([pulse])[0], twin.apply([pulse])[0]
            joules = [
                float(trace.seconds @ (trace.volts * trace.amps).sum(axis=1)) for trace in (measured, solved)
            ]
            assert joules[0] == pytest.approx(joules[1], rel=0.05)


@every_kind
def test_a_resistor_reads_as_what_it_is(name: str) -> None:
    with rig(name, resistor(20e3)) as found, found.board as board:
        pulses = [reading(board, volts) for volts in (0.05, 0.1, -0.1, 0.5)]
        for pulse, trace in zip(pulses, board.apply(pulses), strict=True):
            assert conductance(board.spec, pulse, trace, 0) == pytest.approx(1 / 20e3, rel=0.01)


@every_kind
def test_a_list_takes_few_messages(name: str) -> None:
    with rig(name, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board)])
        before = len(found.heard)
        board.apply([reading(board, 0.02 + 0.001 * index) for index in range(40)])
        assert len(found.heard) - before <= 8


@every_kind
def test_what_goes_on_the_wire_reads_back_as_the_same_number(name: str) -> None:
    with rig(name, resistor(20e6), compliance="100 nA") as found, found.board as board:
        board.apply([reading(board, 1 / 3 * 0.1)])
        assert f"{LIMIT[name]} 1e-07" in found.heard
        assert any(repr(1 / 3 * 0.1) in message for message in found.heard)


@every_kind
def test_between_lists_the_source_is_on_at_nothing_and_off_in_the_end(name: str) -> None:
    with rig(name, resistor(20e3)) as found:
        smu = found.instrument.smu
        with found.board as board:
            assert not smu.output
            board.apply([reading(board), writing(board)])
            assert smu.output
            assert smu.level("volts") == 0.0
        assert not smu.output
        assert any(message.endswith((":SMOD HIMP", ":OFF:MODE HIZ")) for message in found.heard)


@every_kind
def test_a_board_can_be_made_safe_at_any_time(name: str) -> None:
    with rig(name, resistor(20e3)) as found:
        assert found.board.make_safe() is Outputs.UNKNOWN  # nobody has asked it yet
        with found.board as board:
            board.apply([reading(board)])
            assert board.make_safe() is Outputs.OFF
            assert not found.instrument.smu.output
            board.apply([reading(board)])
            assert found.instrument.smu.output


@every_kind
def test_a_look_at_an_instrument_changes_nothing(name: str) -> None:
    with rig(name, faults="starts-on 2") as found:
        told = found.board.ready()
        assert found.instrument.identity.split(",")[2] in told
        assert "output ON" in told
        assert found.instrument.smu.output
        assert all(message.endswith("?") for message in found.heard)


@every_kind
def test_nobody_answers(name: str) -> None:
    with rig(name) as found:
        board = found.board
    with pytest.raises(Unavailable):
        board.ready()
    with pytest.raises((Misbehaved, Unavailable)):
        board.__enter__()


@every_kind
def test_fault_14_another_instrument_is_left_alone(name: str) -> None:
    with rig(name, faults="starts-on 2") as found:
        with pytest.raises(BoardFault, match="serial number") as refused:
            found.another(serial="000").__enter__()
        assert refused.value.allowed == "000"
        assert found.instrument.smu.output
        assert all(message == "*IDN?" for message in found.heard)
        found.instrument.identity = "SOMEONE,MODEL 1,2,3"
        with pytest.raises(BoardFault, match="MODEL 1"):
            found.board.__enter__()
        assert found.instrument.smu.output


@every_kind
def test_fault_15_errors_of_others_are_drained_and_an_endless_queue_is_not(name: str) -> None:
    with rig(name) as found, found.board as board:
        assert board.make_safe() is Outputs.OFF
        found.instrument.errors.append((-113, "Undefined header"))
        with pytest.raises(BoardFault, match="Undefined header"):
            board.apply([reading(board)])
    with rig(name, faults="errors") as found:
        with pytest.raises(BoardFault, match="more than 50"):
            found.board.__enter__()
        assert len(found.heard) < 200


@every_kind
@pytest.mark.parametrize("ignored", ["limit", "volts range", "amps range", "off state", "output"])
def test_fault_16_a_setting_that_is_not_taken_is_a_fault(name: str, ignored: str) -> None:
    with rig(name, resistor(20e3)) as found:
        language = found.board._meter
        command = {
            "limit": language.AMPS_LIMIT,
            "volts range": language.VOLTS_RANGE,
            "amps range": language.AMPS_RANGE,
            "off state": next(word for word in language.WORDS if "SMOD" in word or "OFF:MODE" in word),
            "output": f"{language.OUTPUT} ON",
        }[ignored]
        meddle(
            found.instrument,
            lambda message: None if message.startswith(f"{command} ") or message == command else message,
        )
        with pytest.raises(BoardFault), found.board as board:
            board.apply([reading(board, 1.9)])
        assert not found.instrument.smu.output


@every_kind
def test_fault_16_levels_that_are_clipped_are_a_fault(name: str) -> None:
    with rig(name, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board, 0.1)])
        meddle(found.instrument, lambda message: message.replace("0.15", "0.1"))
        with pytest.raises(BoardFault, match="it sourced") as fault:
            board.apply([reading(board, 0.15)])
        assert fault.value.outputs is Outputs.OFF


@every_kind
def test_fault_17_a_source_that_was_left_on_goes_off_before_anything_is_reset(name: str) -> None:
    with rig(name, faults="starts-on 2") as found:
        with found.board as board:
            assert not found.instrument.smu.output
            board.apply([reading(board)])
        off = next(
            place for place, message in enumerate(found.heard) if "OUTP" in message and "OFF" in message
        )
        zero = next(place for place, message in enumerate(found.heard) if message.endswith(":VOLT 0"))
        assert zero < off < found.heard.index("*RST")


@every_kind
def test_fault_18_a_change_at_the_front_panel_is_noticed(name: str) -> None:
    with rig(name, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board) for _ in range(20)])
        board.apply([reading(board, seconds=50e-3) for _ in range(10)])
        found.instrument.smu.set_limit("amps", 0.01)
        with pytest.raises(BoardFault, match="settings are") as fault:
            board.apply([writing(board)])
        assert fault.value.outputs is Outputs.OFF
        assert not fault.value.traces


def often(board: SourceMeterBoard) -> None:
    for _ in range(30):
        board.apply([reading(board)])


@pytest.mark.parametrize("name", ["keithley2400", "keithley2450"])
def test_fault_18_terminals_are_read_back_and_watched(name: str) -> None:
    with rig(name, resistor(20e3)) as found:
        with found.board as board:
            board.apply([reading(board)])
            found.instrument.terminals = "REAR"
            with pytest.raises(BoardFault, match="settings are"):
                often(board)
        with found.another(terminals="rear") as board:
            assert found.instrument.terminals == "REAR"
        meddle(found.instrument, lambda message: None if message.startswith(":ROUT:TERM ") else message)
        with pytest.raises(BoardFault, match="ROUT:TERM"):
            found.another(terminals="rear").__enter__()


@every_kind
def test_fault_19_an_instrument_that_was_off_is_used_again_only_when_it_is_opened_again(name: str) -> None:
    with rig(name, resistor(20e3)) as found:
        with found.board as board:
            board.apply([reading(board)])
            found.instrument.power_cycle()
            for volts in (0.05, 0.5, 0.05):
                with pytest.raises(BoardFault) as fault:
                    board.apply([reading(board, volts)])
                assert fault.value.outputs is Outputs.OFF
                assert not found.instrument.smu.output
        with found.board as board:
            board.apply([reading(board)])


@every_kind
def test_fault_20_an_output_that_went_off_by_itself_is_told(name: str) -> None:
    with rig(name, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board)])
        found.instrument.smu.output = False
        with pytest.raises(BoardFault) as fault:
            board.apply([reading(board)])
        assert fault.value.outputs is Outputs.OFF


@every_kind
def test_fault_21_a_run_that_never_ends_is_ended(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smu_player, "MARGIN", 0.1)
    with rig(name, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board)])
        found.instrument.suffer("busy", "")
        with pytest.raises(BoardHung, match="still busy") as hung:
            board.apply([writing(board)])
        assert hung.value.outputs is Outputs.OFF
        assert not found.instrument.smu.output


@every_kind
def test_fault_21_an_instrument_that_says_nothing_is_switched_off_over_a_fresh_link(name: str) -> None:
    with rig(name, resistor(20e3), faults="silence at 60", deadline="0.3 s") as found, found.board as board:
        pulses = [reading(board, 0.001 * index) for index in range(1, 200)]
        with pytest.raises(Misbehaved) as hung:
            board.apply(pulses * 5)
        assert hung.value.outputs is Outputs.OFF
        assert not found.instrument.smu.output


@every_kind
@pytest.mark.parametrize(
    "readings", ["nan,0,0,0", "1_0,0,0,0", "inf,0,0,0", "0.05,1e-6,0", "", "٣,0,0,0", "0.05,1e-6,0,0,0"]
)
def test_fault_23_and_24_what_is_no_row_of_numbers_is_a_fault(name: str, readings: str) -> None:
    with rig(name, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board)])
        receive = found.instrument.receive

        def lie(message: bytes) -> bytes:
            reply = receive(message)
            return f"{readings};1;0,".encode() + b'"No error"\n' if LIST[name].encode() in message else reply

        found.instrument.receive = lie
        with pytest.raises(BoardFault) as fault:
            board.apply([reading(board)])
        found.instrument.receive = receive
        assert not fault.value.traces


@every_kind
def test_fault_25_the_firmware_is_told(name: str) -> None:
    with rig(name) as found:
        assert found.instrument.identity.split(",")[3] in found.board.ready()


@pytest.mark.parametrize("name", [name for name in KINDS if name != "keysight_b2900"])
def test_fault_26_a_current_at_its_limit_is_flagged_and_is_no_resistance(name: str) -> None:
    with rig(name, resistor(20e3), compliance="2 uA") as found, found.board as board:
        pulse = reading(board, 0.1)
        (trace,) = board.apply([pulse])
        assert trace.flags & Flag.COMPLIANCE
        assert float(np.abs(trace.amps).max()) <= 2.2e-6
        with pytest.raises(BoardFault, match="COMPLIANCE"):
            conductance(board.spec, pulse, trace, 0)


@every_kind
def test_fault_22_and_27_over_range_is_read_again_once_and_then_flagged_never_a_number(name: str) -> None:
    with rig(name, resistor(500.0, series=0.0)) as found, found.board as board:
        (trace,) = board.apply([reading(board, 0.09)])  # 180 uA where the least resistance allows 8.4
        assert found.instrument.smu.sense_range("amps") > 1e-5
        assert np.isfinite(trace.amps).all()
        assert float(np.abs(trace.amps).max()) < 1.0
        (trace,) = board.apply([writing(board, 0.09)])
        if trace.flags & Flag.OVER_RANGE:
            assert trace.flags & Flag.LOWER_BOUND
        else:
            assert trace.flags & Flag.COMPLIANCE or trace.amps[0, 0] == pytest.approx(1.8e-4, rel=0.02)


@every_kind
def test_an_output_that_goes_off_in_a_run_leaves_traces_of_what_was_driven_alone(name: str) -> None:
    """But for one that does not measure its volts."""
    with rig(name, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board)])
        smu = found.instrument.smu
        measure, left = smu.measure, [25]

        def unplugged():
            left[0] -= 1
            smu.output = smu.output and left[0] > 0
            return measure()

        smu.measure = unplugged
        with pytest.raises(BoardFault, match="went off in a run: it may have") as fault:
            board.apply([writing(board, 0.5, 20e-3) for _ in range(5)])
        assert fault.value.outputs is Outputs.OFF
        assert len(fault.value.traces) == (5 if name == "keithley2400" else 2)


@every_kind
def test_a_run_that_writes_is_four_messages(name: str) -> None:
    with rig(name, resistor(20e3)) as found, found.board as board:
        board.apply([writing(board, 0.5, 20e-3)])
        found.heard.clear()
        board.apply([writing(board, 0.4, 20e-3), writing(board, 0.3, 20e-3)])
        assert len(found.heard) == 4


@every_kind
def test_fault_28_an_open_device_is_nothing_and_no_error(name: str) -> None:
    with rig(name, resistor(1e15)) as found, found.board as board:
        pulse = reading(board, 0.1)
        assert conductance(board.spec, pulse, board.apply([pulse])[0], 0) == 0.0


@every_kind
def test_a_run_that_fails_keeps_the_traces_of_the_pulses_that_it_drove(name: str) -> None:
    with rig(name, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board)])
        pulses = [writing(board, 0.5 + 0.1 * index, 0.15) for index in range(5)]
        once = found.instrument.receive
        asked = 0

        def unplugged(message: bytes) -> bytes:
            """The run has ended; of the questions whether it has, the first is answered with rubbish."""
            nonlocal asked
            reply = once(message)
            if b"STAT" in message and asked == 0:
                asked += 1
                return b"\xff\xff\n"
            return reply

        found.instrument.receive = unplugged
        with pytest.raises(BoardFault) as fault:
            board.apply(pulses)
        assert fault.value.outputs is Outputs.OFF
        assert len(fault.value.traces) == len(pulses)  # all were driven: all are billed


@every_kind
def test_where_nobody_knows_how_many_pulses_were_driven_nothing_goes_on_by_itself(name: str) -> None:
    with rig(name, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board)])
        once = found.instrument.receive

        def forgets(message: bytes) -> bytes:
            reply = once(message)
            if b"STAT" in message or (b"TRAC" in message and b"DATA" in message):
                return b"\xff\xff\n"
            return reply

        found.instrument.receive = forgets
        with pytest.raises(BoardFault) as fault:
            board.apply([writing(board, 0.5), writing(board, 0.6)])
        assert fault.value.outputs is Outputs.UNKNOWN
        assert not found.instrument.smu.output


@every_kind
def test_fault_44_a_second_owner_is_refused_and_told(name: str) -> None:
    with rig(name) as found, found.board:
        before = len(found.heard)
        with pytest.raises(InUse):
            found.another().__enter__()
        assert len(found.heard) == before


@every_kind
def test_a_session_is_recorded_and_replayed(name: str, tmp_path: Path) -> None:
    file = tmp_path / "session.txt"
    with rig(name, resistor(20e3), record=str(file)) as found, found.board as board:
        pulses = [reading(board), writing(board, 0.5)]
        told = board.apply(pulses)
    with built(type(found.board), f"replay:{file}") as board:
        for one, other in zip(told, board.apply(pulses), strict=True):
            assert np.array_equal(one.amps, other.amps)


# ---- behind a box of relays -------------------------------------------------------------------


@contextmanager
def thirds(name: str) -> Iterator[tuple[SourceMeterBoard, Any]]:
    """Three resistors behind a source meter and a 34970A."""
    terminals = Terminals(Resistors((10e3, 20e3, 40e3), 10e3))
    terminals.closed = set()
    driver, emulator = KINDS[name]
    instrument = emulator(terminals)
    with on_tcp(instrument) as address, on_tcp(Keysight34970A(terminals)) as box:
        switch = {
            "class": "drivers.keysight_34970a:Keysight34970A",
            "address": box,
            "channels": (101, 102, 103),
        }
        yield built(driver, address, switch=switch), terminals


@every_kind
def test_each_site_of_a_switch_box_is_its_own(name: str) -> None:
    with thirds(name) as (board, terminals):
        with board:
            assert board.spec.columns == 3
            pulses = [
                select(board.spec, site, square(0.05, 10e-3, 5e-5), Purpose.READ) for site in (0, 2, 1, 1)
            ]
            traces = board.apply(pulses)
            each = zip(pulses, traces, (0, 2, 1, 1), strict=True)
            found = [conductance(board.spec, pulse, trace, site) for pulse, trace, site in each]
            assert found == pytest.approx([1e-4, 0.25e-4, 0.5e-4, 0.5e-4], rel=0.01)
            assert [trace.settle_seconds > 0.02 for trace in traces] == [True, True, True, False]
            assert terminals.closed == {1}
        assert terminals.closed == set()


@every_kind
def test_several_sites_at_once_share_a_current_that_nobody_measured(name: str) -> None:
    with thirds(name) as (board, _), board:
        (trace,) = board.apply([read_row(board.spec, 0, 0.1, 10e-3)])
        together = 1 / (10e3 + 1 / (1 / 10e3 + 1 / 20e3 + 1 / 40e3))
        assert trace.amps[0, 0] == pytest.approx(0.1 * together, rel=0.01)
        assert trace.amps[0].sum() == pytest.approx(0.0, abs=1e-12)
        assert trace.estimated


@every_kind
def test_relays_move_only_while_the_source_is_at_nothing(name: str) -> None:
    with thirds(name) as (board, _), board:
        levels = list[float]()
        pulses = [select(board.spec, site, square(0.05, 10e-3, 5e-5), Purpose.READ) for site in (0, 1, 2)]
        box = board._box
        assert box is not None
        choose = box.select

        def watched(channels):
            levels.append(board._meter._scpi.ask_number(f"{board._meter.LEVEL}?"))
            choose(channels)

        box.select = watched
        board.apply(pulses)
        assert levels == [0.0, 0.0, 0.0]
