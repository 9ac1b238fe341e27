"""Emulated source meters one by one: their formats, their runs, and what their manuals forbid."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.config import build
from sim_backend.emulators.behind.terminals import Resistors, Terminals
from sim_backend.emulators.k2450.stored import LIMITED, ON, READ_BACK
from sim_backend.emulators.keithley2400 import Keithley2400
from sim_backend.emulators.keithley2450 import Keithley2450
from sim_backend.emulators.keysight_b2900 import KeysightB2900
from sim_backend.emulators.serving.witness import Witness
from sim_backend.settings import SimulatedSettings

VOLTS, WIDTH = 1.0, 1e-3


def resistors(*ohms: float) -> Terminals:
    return Terminals(Resistors(ohms or (10_000.0,)))


def devices(dopant: str = "Cr") -> Terminals:
    table = {"layout": "selector", "dopant": dopant, "columns": 1}
    return Terminals(build(table, SimulatedSettings, "test"))


def talk(instrument: Any, *messages: str) -> str:
    """The reply to the last of these."""
    reply = b""
    for message in messages:
        reply = instrument.receive(message.encode())
    return reply.decode().rstrip("\n")


def numbers(instrument: Any, *messages: str) -> list[float]:
    return [float(field) for field in talk(instrument, *messages).split(",")]


def error(instrument: Any) -> int:
    return int(talk(instrument, ":SYST:ERR?").split(",")[0])


def fine(instrument: Any) -> bool:
    return error(instrument) == 0


# ---- a pulse as text moves what the next read measures ---------------------------------------


def pulse_2400(volts: float, terminals: Terminals, witness: Witness | None = None, **how: Any) -> Any:
    """A list of two levels; the width of the first is the source delay and the aperture."""
    instrument = Keithley2400(terminals, witness, **how)
    talk(
        instrument,
        "*RST",
        ":SENS:FUNC 'CURR'",
        ":SENS:CURR:PROT 1e-3",
        ":SENS:CURR:NPLC 0.01",
        f":SOUR:DEL {WIDTH - 2e-4}",
        ":SOUR:VOLT:MODE LIST",
        f":SOUR:LIST:VOLT {volts},0",
        ":TRIG:COUN 2",
        ":OUTP ON",
    )
    talk(instrument, ":READ?")
    return instrument


def pulse_2450(volts: float, terminals: Terminals, witness: Witness | None = None, **how: Any) -> Any:
    """Blocks: recall the peak, delay, recall 0 V."""
    instrument = Keithley2450(terminals, witness, **how)
    talk(
        instrument,
        "*RST",
        ":SOUR:VOLT:ILIM 1e-3",
        ":SOUR:VOLT:DEL 0",
        ':SOUR:CONF:LIST:CRE "pulse"',
        f":SOUR:VOLT {volts}",
        ':SOUR:CONF:LIST:STOR "pulse"',
        ":SOUR:VOLT 0",
        ':SOUR:CONF:LIST:STOR "pulse"',
        ':TRIG:LOAD "Empty"',
        ":TRIG:BLOC:SOUR:STAT 1, ON",
        ':TRIG:BLOC:CONF:REC 2, "pulse", 1',
        f":TRIG:BLOC:DEL:CONS 3, {WIDTH}",
        ':TRIG:BLOC:CONF:NEXT 4, "pulse"',
        ":TRIG:BLOC:SOUR:STAT 5, OFF",
        ":INIT",
        "*WAI",
    )
    return instrument


def pulse_b2900(volts: float, terminals: Terminals, witness: Witness | None = None, **how: Any) -> Any:
    """Pulse mode."""
    instrument = KeysightB2900(terminals, witness, **how)
    talk(
        instrument,
        "*RST",
        ":SENS1:CURR:PROT 1e-3",
        ":SOUR1:FUNC PULS",
        f":SOUR1:PULS:WIDT {WIDTH}",
        f":SOUR1:VOLT:TRIG {volts}",
        ":SENS1:CURR:APER 1e-4",
        ":TRIG1:ACQ:DEL 8e-4",
        ":OUTP1 ON",
        ":INIT (@1)",
        "*OPC?",
    )
    return instrument


PULSES: dict[str, Callable[..., Any]] = {"2400": pulse_2400, "2450": pulse_2450, "b2900": pulse_b2900}


@pytest.mark.parametrize("kind", PULSES)
@pytest.mark.parametrize("dopant", ["Cr", "W"])
def test_a_pulse_sent_as_text_moves_the_device_as_the_same_level_does(kind: str, dopant: str) -> None:
    directly, terminals = devices(dopant), devices(dopant)
    found = [terminals.siemens()[0]]
    for volts in (VOLTS, -0.4):
        directly.hold(volts, WIDTH)
        directly.hold(0.0, 1e-4)
        instrument = PULSES[kind](volts, terminals)
        assert fine(instrument)
        found.append(terminals.siemens()[0])
        assert found[-1] == pytest.approx(directly.siemens()[0], rel=0.01)
    assert found[1] > 1.3 * found[0]
    assert found[2] < 0.8 * found[1]


# ---- Keithley 2400 ---------------------------------------------------------------------------


@pytest.fixture
def k2400() -> Keithley2400:
    instrument = Keithley2400(resistors())
    talk(instrument, "*RST", ":SENS:FUNC 'VOLT','CURR'", ":SENS:CURR:PROT 1e-4", ":SOUR:VOLT 0.1")
    return instrument


def test_a_2400_tells_five_elements(k2400: Keithley2400) -> None:
    reply = talk(k2400, ":OUTP ON", ":READ?")
    fields = reply.split(",")
    assert len(fields) == 5
    assert all(len(field) == len("+1.000000E-01") for field in fields)
    volts, amps, ohms, _, status = map(float, fields)
    assert volts == pytest.approx(0.1, rel=1e-3)
    assert amps == pytest.approx(1e-5, rel=1e-3)
    assert ohms == 9.91e37
    assert int(status) & 0b1000 == 0


def test_a_2400_tells_what_it_was_told_to_in_the_order_of_its_manual(k2400: Keithley2400) -> None:
    talk(k2400, ":FORM:ELEM STAT,CURR", ":OUTP ON")
    assert talk(k2400, ":FORM:ELEM?") == "CURR,STAT"
    amps, status = numbers(k2400, ":SOUR:VOLT 2", ":READ?")
    assert amps == pytest.approx(1e-4, rel=1e-3)
    assert int(status) & 0b1000
    assert talk(k2400, ":SENS:CURR:PROT:TRIP?") == "1"
    talk(k2400, ":FORM:ELEM FOO")
    assert error(k2400) == -224


def test_a_2400_does_not_read_with_its_output_off(k2400: Keithley2400) -> None:
    assert talk(k2400, ":READ?") == ""
    assert error(k2400) == 803
    assert talk(k2400, ":SOUR:CLE:AUTO ON", ":READ?")
    assert talk(k2400, ":OUTP?") == "0"


def test_measure_of_a_2400_turns_its_source_on(k2400: Keithley2400) -> None:
    assert talk(k2400, ":MEAS:CURR?")
    assert talk(k2400, ":OUTP?") == "1"


def test_a_2400_has_no_measure_range_above_its_compliance(k2400: Keithley2400) -> None:
    talk(k2400, ":SENS:CURR:RANG 1e-2")
    assert error(k2400) == 824
    talk(k2400, ":SENS:CURR:PROT 1e-2", ":SENS:CURR:RANG 1e-2")
    assert fine(k2400)
    talk(k2400, ":SENS:CURR:PROT 1e-5")
    assert numbers(k2400, ":SENS:CURR:RANG?") == [1e-5]


def test_a_list_of_a_2400_is_read_point_by_point(k2400: Keithley2400) -> None:
    talk(k2400, ":OUTP ON", ":SOUR:VOLT:MODE LIST", ":SOUR:LIST:VOLT 0.1,-0.2,0.3", ":TRIG:COUN 3")
    talk(k2400, ":SOUR:DEL 0.5", ":FORM:ELEM CURR,TIME", ":SENS:CURR:NPLC 1")
    told = np.array(numbers(k2400, ":READ?")).reshape(3, 2)
    assert told[:, 0] == pytest.approx([1e-5, -2e-5, 3e-5], rel=1e-3)
    assert np.diff(told[:, 1]) == pytest.approx([0.52, 0.52], rel=1e-3)
    talk(k2400, ":SOUR:LIST:VOLT " + ",".join(["0.1"] * 101))
    assert error(k2400) == -223
    assert talk(k2400, ":SOUR:LIST:VOLT:POIN?") == "3"
    talk(k2400, ":SOUR:LIST:VOLT 0.1,30", ":INIT")
    assert error(k2400) == 0
    talk(k2400, ":SENS:CURR:PROT 1", ":INIT")
    assert error(k2400) == 826


def test_a_staircase_of_a_2400(k2400: Keithley2400) -> None:
    talk(k2400, ":OUTP ON", ":SOUR:VOLT:MODE SWE;STAR 0;STOP 0.4", ":SOUR:SWE:POIN 5", ":TRIG:COUN 5")
    talk(k2400, ":FORM:ELEM VOLT")
    assert numbers(k2400, ":READ?") == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=1e-4)
    assert numbers(k2400, ":SOUR:VOLT:STEP?") == pytest.approx([0.1])


def test_an_open_output_enable_blocks_a_2400_if_it_is_looked_at(k2400: Keithley2400) -> None:
    k2400.smu.interlock_closed = False
    assert talk(k2400, ":OUTP ON", ":OUTP?") == "1"
    talk(k2400, ":OUTP OFF", ":OUTP:ENAB ON", ":OUTP ON")
    assert error(k2400) == 802
    assert talk(k2400, ":OUTP?") == "0"


def test_functions_of_a_2400_add_up(k2400: Keithley2400) -> None:
    talk(k2400, ":SENS:FUNC:OFF:ALL", ":SENS:FUNC 'VOLT'", ":SENS:FUNC 'CURR:DC'")
    assert talk(k2400, ":SENS:FUNC?") == '"VOLT:DC","CURR:DC"'
    talk(k2400, ":SENS:FUNC:CONC OFF", ":SENS:FUNC 'VOLT','CURR'")
    assert error(k2400) == -221


# ---- Keithley 2450 ---------------------------------------------------------------------------


@pytest.fixture
def k2450() -> Keithley2450:
    instrument = Keithley2450(resistors())
    talk(instrument, "*RST", ":SOUR:VOLT:ILIM 1e-4", ":SOUR:VOLT:DEL 0", ":SOUR:VOLT 0.1")
    return instrument


def test_a_2450_says_that_there_is_no_error(k2450: Keithley2450) -> None:
    assert talk(k2450, ":SYST:ERR?") == '0,"No error;0;0 0"'
    assert talk(k2450, ":FOO", ":SYST:ERR?").startswith('-113,"Undefined header;1;')
    assert talk(k2450, "*LANG?") == "SCPI"


def test_a_2450_tells_elements(k2450: Keithley2450) -> None:
    source, amps, seconds, bits = numbers(k2450, ":OUTP ON", ':READ? "defbuffer1", SOUR, READ, REL, SOURSTAT')
    assert source == pytest.approx(0.1, rel=1e-4)
    assert amps == pytest.approx(1e-5, rel=1e-4)
    assert seconds == 0.0
    assert int(bits) == ON | READ_BACK
    talk(k2450, ":SOUR:VOLT 2", ":READ?")
    assert talk(k2450, ":SOUR:VOLT:ILIM:TRIP?") == "1"
    assert int(numbers(k2450, ':FETC? "defbuffer1", SOURSTAT')[0]) & LIMITED
    assert talk(k2450, ":TRAC:ACT?") == "2"
    words = talk(k2450, ':TRAC:DATA? 1, 1, "defbuffer1", DATE, TIME, TST, UNIT, SOURUNIT, FORM').split(",")
    assert words[3:5] == ["Amp DC", "Volt DC"]


def test_loops_of_a_2450_are_counted_as_in_its_manual(k2450: Keithley2450) -> None:
    """The example of `:TRIGger:BLOCk:BRANch:COUNter`: 15 readings."""
    talk(
        k2450,
        'TRIG:LOAD "EMPTY"',
        "TRIG:BLOC:BUFF:CLEAR 1",
        "TRIG:BLOC:MEAS 2",
        "TRIG:BLOC:BRAN:COUN 3, 5, 2",
    )
    assert talk(k2450, "TRIG:STAT?") == "BUILDING;BUILDING;0"
    talk(k2450, "TRIG:BLOC:DEL:CONS 4, 1", "TRIG:BLOC:BRAN:COUN 5, 3, 2", "INIT", "*WAI")
    assert talk(k2450, 'TRAC:ACT? "defbuffer1"') == "15"
    assert talk(k2450, "TRIG:STAT?") == "IDLE;IDLE;5"
    assert k2450.clock.seconds == pytest.approx(3 + 15 * 0.02)


def test_a_sweep_of_a_2450_ends_with_the_output_off(k2450: Keithley2450) -> None:
    talk(k2450, ":SOUR:SWE:VOLT:LIN 0, 0.4, 5, 1e-3, 1, AUTO, ON, OFF, 'defbuffer1'", ":INIT", "*WAI")
    told = np.array(numbers(k2450, ':TRAC:DATA? 1, 5, "defbuffer1", SOUR, READ')).reshape(5, 2)
    assert told[:, 0] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=1e-4)
    assert told[:, 1] == pytest.approx(told[:, 0] / 1e4, abs=1e-8)
    assert talk(k2450, ":OUTP?") == "0"


def test_a_sweep_of_a_2450_stops_at_its_limit_if_it_is_to(k2450: Keithley2450) -> None:
    talk(k2450, ":SOUR:SWE:VOLT:LIN 0, 4, 5, 0", ":INIT", "*WAI")
    assert talk(k2450, ":TRAC:ACT?;:OUTP?;:TRIG:STAT?").startswith("3;0;FAILED")
    talk(k2450, ":SOUR:SWE:VOLT:LIN 0, 4, 5, 0, 1, AUTO, OFF", ":INIT", "*WAI")
    assert talk(k2450, ":TRAC:ACT?") == "5"


def test_a_list_of_a_2450(k2450: Keithley2450) -> None:
    talk(
        k2450, ":SOUR:LIST:VOLT 0.1,0.2", ":SOUR:LIST:VOLT:APP 0.3", ":SOUR:SWE:VOLT:LIST 2, 0", ":INIT;*WAI"
    )
    assert numbers(k2450, ':TRAC:DATA? 1,2,"defbuffer1",SOUR') == pytest.approx([0.2, 0.3], rel=1e-3)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (":TRIG:BLOC:DEL:CONS 1, 1e-9", -222),
        (":TRIG:BLOC:DEL:CONS 1", -109),
        (':TRIG:BLOC:MEAS 1, "nobuffer"', -224),
        (':TRIG:BLOC:CONF:REC 1, "nolist"', -224),
        (":TRIG:BLOC:NOP 64", -222),
        (':TRIG:LOAD "Empty";:INIT', -221),
        (":TRIG:BLOC:NOP 2;:INIT", -221),
        (':TRAC:DATA? 1, 1, "defbuffer1"', -222),
        (":FETC?", -230),
        (':TRAC:MAKE "defbuffer1", 100', -224),
        (':TRAC:MAKE "mine", 1', -222),
        (':TRAC:DEL "defbuffer2"', -224),
        (':READ? "defbuffer1", FOO', -224),
        (":SOUR:VOLT:ILIM 2", -222),
        (":SOUR:VOLT:ILIM 1e-10", -222),
        (":SENS:CURR:NPLC 11", -222),
        (":SOUR:SWE:VOLT:LIN 0, 1, 1", -222),
        (":SOUR:SWE:VOLT:LIN 0, 300, 3", -222),
        (":SOUR:SWE:VOLT:LIST 5", -222),
    ],
)
def test_what_a_2450_refuses(k2450: Keithley2450, message: str, code: int) -> None:
    assert talk(k2450, message) == ""
    assert error(k2450) == code


def test_high_voltage_of_a_2450_needs_its_interlock(k2450: Keithley2450) -> None:
    assert talk(k2450, ":OUTP:INT:TRIP?") == "1"
    talk(k2450, ":SOUR:VOLT 30", ":OUTP ON")
    assert fine(k2450)
    k2450.smu.open_interlock()
    assert talk(k2450, ":OUTP?;:OUTP:INT:TRIP?") == "0;0"
    assert talk(k2450, ":OUTP ON", ":OUTP?") == "0"
    assert error(k2450) == -221
    assert talk(k2450, ":SOUR:VOLT 20", ":OUTP ON", ":OUTP?") == "1"
    talk(k2450, ":SOUR:VOLT 30")
    assert error(k2450) == -221


def test_protection_of_a_2450_holds_the_level(k2450: Keithley2450) -> None:
    talk(k2450, ":SOUR:VOLT:PROT PROT2")
    assert talk(k2450, ":SOUR:VOLT:PROT?") == "PROT2"
    talk(k2450, ":SOUR:VOLT 3")
    assert error(k2450) == -222


def test_another_language_of_a_2450_needs_a_power_cycle(k2450: Keithley2450) -> None:
    assert talk(k2450, "*LANG TSP", "*LANG?") == "SCPI"
    k2450.power_cycle()
    assert talk(k2450, "*LANG?") == "TSP"
    assert talk(k2450, "*IDN?") == ""


def test_a_buffer_of_a_2450_keeps_what_it_has_room_for(k2450: Keithley2450) -> None:
    talk(k2450, ':TRAC:MAKE "mine", 10', ":SENS:COUN 15", ":OUTP ON", ':READ? "mine"')
    assert talk(k2450, ':TRAC:ACT? "mine"') == "10"
    talk(k2450, ':TRAC:FILL:MODE CONT, "mine"', ':TRAC:CLE "mine"', ':READ? "mine"')
    assert talk(k2450, ':TRAC:ACT? "mine"') == "10"
    assert talk(k2450, ':TRAC:FILL:MODE? "mine"') == "CONT"


# ---- Keysight B2900 --------------------------------------------------------------------------


@pytest.fixture
def b2900() -> KeysightB2900:
    instrument = KeysightB2900(resistors())
    talk(instrument, "*RST", ':SENS1:FUNC "VOLT","CURR"', ":SENS1:CURR:PROT 1e-4")
    talk(
        instrument,
        ":FORM:ELEM:SENS VOLT,CURR,TIME,STAT,SOUR",
        ":SENS1:CURR:APER 1e-4",
        ":SENS1:VOLT:APER 1e-4",
    )
    return instrument


def test_a_b2900_says_that_there_is_no_error(b2900: KeysightB2900) -> None:
    assert talk(b2900, ":SYST:ERR?") == '+0,"No error"'


def test_a_spot_measurement_of_a_b2900_turns_its_output_on(b2900: KeysightB2900) -> None:
    volts, amps, _, status, source = numbers(b2900, ":SOUR1:VOLT 0.1", ":MEAS? (@1)")
    assert (volts, amps) == (pytest.approx(0.1, rel=1e-3), pytest.approx(1e-5, rel=1e-3))
    assert (status, source) == (0.0, pytest.approx(0.1))
    assert talk(b2900, ":OUTP1?") == "1"
    assert int(numbers(b2900, ":SOUR1:VOLT 2", ":MEAS? (@1)")[3]) == 4


def test_pulses_of_a_b2900_come_by_its_timer(b2900: KeysightB2900) -> None:
    talk(b2900, ":SOUR1:VOLT:MODE LIST", ":SOUR1:LIST:VOLT 0.1,0.2,0.3", ":SOUR1:FUNC PULS")
    talk(b2900, ":SOUR1:PULS:WIDT 1e-3", ":TRIG1:ALL:COUN 3", ":TRIG1:SOUR TIM", ":TRIG1:TIM 5e-3")
    talk(b2900, ":TRIG1:ACQ:DEL 8e-4", ":OUTP1 ON", ":INIT (@1)")
    assert int(talk(b2900, ":STAT:OPER:COND?")) & 18 == 18
    told = np.array(numbers(b2900, ":FETC:ARR? (@1)")).reshape(3, 5)
    assert told[:, 0] == pytest.approx([0.1, 0.2, 0.3], rel=1e-3)
    assert np.diff(told[:, 2]) == pytest.approx([5e-3, 5e-3])
    assert numbers(b2900, ":SOUR1:VOLT?") == [0.0]
    assert numbers(b2900, ":FETC:ARR:CURR? (@1)") == told[:, 1].tolist()


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (":SOUR1:PULS:WIDT 1e-5", -222),
        (":SOUR3:VOLT 1", -114),
        (":INIT (@3)", -222),
        (":INIT (1)", -104),
        (":FETC:ARR? (@1)", -230),
        (":OUTP1 ON;:OUTP1:HCAP ON", -221),
        (":OUTP1 ON;:OUTP1:OFF:MODE HIZ", -221),
        (":SENS1:CURR:APER 10", -222),
        (":TRIG1:ACQ:DEL 9.5e-4;:SOUR1:FUNC PULS;:SOUR1:PULS:WIDT 1e-3;:INIT (@1)", -221),
        (":SOUR1:VOLT 100;:SENS1:CURR:PROT 1", -221),
    ],
)
def test_what_a_b2900_refuses(b2900: KeysightB2900, messages: str, code: int) -> None:
    assert talk(b2900, messages) == ""
    assert error(b2900) == code


def test_a_b2900_goes_off_at_its_limit_if_it_is_to(b2900: KeysightB2900) -> None:
    talk(b2900, ":OUTP1:PROT ON", ":SOUR1:VOLT 2", ":OUTP1 ON")
    assert talk(b2900, ":MEAS? (@1)")
    assert talk(b2900, ":OUTP1?") == "0"


def test_a_list_of_a_b2900_goes_back_unless_it_is_to_stay(b2900: KeysightB2900) -> None:
    talk(b2900, ":SOUR1:VOLT:MODE SWE;STAR 0.1;STOP 0.4", ":SOUR1:SWE:POIN 4", ":TRIG1:COUN 4", ":OUTP1 ON")
    told = np.array(numbers(b2900, ":READ:ARR? (@1)")).reshape(4, 5)
    assert told[:, 4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert numbers(b2900, ":SOUR1:VOLT?") == [0.0]
    talk(b2900, ":SOUR1:FUNC:TRIG:CONT ON", ":INIT (@1)")
    assert numbers(b2900, ":SOUR1:VOLT?") == pytest.approx([0.4])


def test_high_voltage_of_a_b2900_needs_its_interlock(b2900: KeysightB2900) -> None:
    b2900.smu.open_interlock()
    assert talk(b2900, ":SYST:INT:TRIP?;:STAT:QUES:COND?") == "1;1024"
    talk(b2900, ":SOUR1:VOLT 50", ":OUTP1 ON")
    assert error(b2900) == -221


def test_channel_2_of_a_b2900_reaches_nothing(b2900: KeysightB2900) -> None:
    talk(b2900, ":SOUR2:VOLT 5", ":OUTP2 ON")
    assert talk(b2900, ":OUTP1?;:OUTP2?") == "0;1"
    assert abs(numbers(b2900, ":MEAS:CURR? (@2)")[0]) < 1e-9


# ---- real time, and who watches --------------------------------------------------------------


def test_a_witness_sees_the_output(tmp_path: Path) -> None:
    with Witness(tmp_path / "w") as witness, Witness.of(tmp_path / "w") as eye:
        instrument = Keithley2450(resistors(), witness)
        talk(instrument, ":OUTP ON")
        assert eye.look().live == 0  # on, at 0 V
        talk(instrument, ":SOUR:VOLT -0.5")
        seen = eye.look()
        assert (seen.live, seen.level, seen.changes) == (1, 0.5, 1)
        before = time.monotonic()
        talk(instrument, ":OUTP OFF")
        seen = eye.look()
        assert seen.live == 0
        assert before <= seen.off_at <= time.monotonic()
        assert seen.on_at < seen.off_at
        (tmp_path / "no").write_bytes(bytes(64))
        with pytest.raises(ValueError, match="not the file"):
            Witness.of(tmp_path / "no")


def test_off_is_heard_while_a_run_takes_its_time(tmp_path: Path) -> None:
    with Witness(tmp_path / "w") as witness:
        instrument = Keithley2400(resistors(), witness, realtime=True)
        talk(instrument, "*RST", ":SENS:CURR:PROT 1e-3", ":SOUR:VOLT 1", ":SOUR:DEL 60", ":OUTP ON")
        assert talk(instrument, ":READ?") == ""
        assert time.monotonic() < instrument.due < time.monotonic() + 61
        assert talk(instrument, "*IDN?") == ""  # waits behind the reading
        assert witness.look().live == 1
        talk(instrument, ":OUTP OFF")
        assert witness.look().live == 0
        assert instrument.due == math.inf
        assert "2400" in talk(instrument, "*IDN?")


def test_what_was_put_off_is_said_when_it_is_due() -> None:
    instrument = Keithley2450(resistors(), realtime=True)
    talk(instrument, ":OUTP ON;:SOUR:VOLT:DEL 0.02;:SOUR:VOLT 0.1")
    began = time.monotonic()
    assert talk(instrument, ":READ?;*OPC?") == ""
    reply = b""
    while not reply:
        time.sleep(max(0.0, min(instrument.due - time.monotonic(), 1.0)))
        reply = instrument.poll()
    assert time.monotonic() - began >= 0.02
    amps, done = reply.decode().split(";")
    assert float(amps) == pytest.approx(1e-5, rel=1e-3)
    assert done == "1\n"


def test_an_aborted_model_stands_where_it_was() -> None:
    instrument = Keithley2450(resistors(), realtime=True)
    talk(instrument, 'TRIG:LOAD "Empty"', "TRIG:BLOC:SOUR:STAT 1, ON", "TRIG:BLOC:DEL:CONS 2, 60", "INIT")
    assert talk(instrument, "TRIG:STAT?") == "RUNNING;RUNNING;2"
    talk(instrument, "SOUR:VOLT 1")  # not while it runs
    assert error(instrument) == -221
    talk(instrument, "ABOR")
    assert talk(instrument, "TRIG:STAT?;:OUTP?") == "ABORTED;ABORTED;2;1"
