"""Keithley 2450 SourceMeter in its SCPI language (not TSP, not SCPI 2400), over a raw socket, USB or GPIB.

Follows the *Model 2450 Interactive SourceMeter Instrument Reference Manual*, 2450-901-01. Tried on emulators
only.

A run is a trigger model over a source configuration list: recall a level, wait, measure, next. The source is
read back, so that volts are measured as amps are, one after the other. With a measurement no level is
shorter than about 1.6 ms; what a level takes beside its delay and its two apertures is measured anew whenever
the output is switched on, at 0 V.

    open     *IDN?  *LANG?  :OUTP?  (left on: :ABOR  :SOUR:VOLT 0  :SOUR:CURR 0  :OUTP OFF)  *RST  *CLS
    ranges   :SOUR:VOLT:RANG  :SOUR:VOLT:ILIM  :SENS:CURR:RANG, each read back
    steps    :SENS:CURR:NPLC  (read back)  :TRIG:BLOC:DEL:CONS
    read     :SOUR:LIST:VOLT …;:TRIG:BLOC:BRAN:COUN 7,n,4;:INIT;*WAI;:TRAC:DATA? …;:OUTP?;:SYST:ERR?
    program  :TRAC:CLE  :SOUR:LIST:VOLT …;:INIT  :TRIG:STAT?;:TRAC:ACT?  :TRAC:DATA? …;:OUTP?;:SYST:ERR?
    off      :ABOR  :OUTP OFF  :OUTP?

It has nothing that switches off at compliance: the limit holds, and the status word says so (`COMPLIANCE`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from drivers.languages.numbers import wire
from drivers.links.dead_socket import KEITHLEY
from drivers.links.transport import Transport
from drivers.source_meters.board import SourceMeterBoard
from drivers.source_meters.replies import bits, column
from drivers.source_meters.scpi_meter import ScpiSourceMeter
from drivers.source_meters.settings import KeithleySettings, SourceMeterSettings
from drivers.source_meters.source_meter import Reach, Readings
from labctl.errors import BoardFault
from labctl.pulse import Flag, Floats
from labctl.quantity import quoted

REACH = Reach(
    name="Keithley 2450",
    models=("MODEL 2450",),
    volts_ranges=(0.2, 2.0, 20.0),  # above 21 V it wants its interlock, and no memristor wants that
    amps_ranges=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
    shortest_step=1.584e-3,
    longest_step=1000.0,
    most_steps=1000,
    edge_seconds=2e-4,
    noise_amps=2e-10,
    noise_floor_amps=1.5e-9,  # 10 uA range: 0.025 % + 1.5 nA in a year [not verified]
    dead_socket_port=KEITHLEY,
    accuracy=0.02,  # 200 mV range: 0.015 % + 200 uV in a year [not verified]
)
MOST_VALUES = 100
"""In one message of a list."""
LIST = "VoltCustomSweepList"
"""What the instrument calls the source configuration list that :SOUR:LIST:VOLT makes."""
BUFFER = '"defbuffer1"'
TRIGGER_MODEL = (
    ':TRIG:LOAD "Empty"',
    f":TRIG:BLOC:BUFF:CLE 1,{BUFFER}",
    f':TRIG:BLOC:CONF:REC 2,"{LIST}",1',
    ":TRIG:BLOC:BRAN:ALW 3,5",
    f':TRIG:BLOC:CONF:NEXT 4,"{LIST}"',
    ":TRIG:BLOC:DEL:CONS 5,{delay}",
    f":TRIG:BLOC:MEAS 6,{BUFFER},1",
    ":TRIG:BLOC:BRAN:COUN 7,1,4",
)


class Keithley2450Language(ScpiSourceMeter):
    """What a 2450 understands."""

    reach = REACH
    LEFT_ON = (":ABOR", ":SOUR:VOLT 0", ":SOUR:CURR 0")
    OFF = (":ABOR", ":OUTP OFF")
    OUTPUT = ":OUTP"
    WORDS: ClassVar = {
        ":SOUR:FUNC": "VOLT",
        ":OUTP:VOLT:SMOD": "HIMP",  # off is an open relay: nothing is held, nothing discharged into a device
        ":SOUR:VOLT:DEL:AUTO": "OFF",
        ":SOUR:VOLT:READ:BACK": "ON",
        ":SENS:CURR:RSEN": "OFF",
        ":SENS:CURR:AZER": "OFF",
    }
    VOLTS_RANGE = ":SOUR:VOLT:RANG"
    AMPS_RANGE = ":SENS:CURR:RANG"
    AMPS_LIMIT = ":SOUR:VOLT:ILIM"
    LEVEL = ":SOUR:VOLT"
    WATCHED = (":SOUR:FUNC", ":SENS:FUNC", ":OUTP:VOLT:SMOD", ":ROUT:TERM", ":SENS:CURR:RSEN")
    ZERO = ":SENS:AZER:ONCE"
    INTERLOCK = ":OUTP:INT:TRIP"
    TRIPPED = 0  # it answers 1 while the interlock is closed [not verified]
    TIMING = (1.1e-3, 2.0)  # the source is read back, then the current is measured [not verified]

    FIELDS = 4
    READ = ":INIT;*WAI;:TRAC:DATA? 1,{count}," + f"{BUFFER},SOUR,READ,REL,SOURSTAT"
    START = ":INIT"
    STATUS = ":TRIG:STAT?"
    CLEAR = f":TRAC:CLE {BUFFER}"
    STORED = f":TRAC:ACT? {BUFFER}"
    FETCH = ":TRAC:DATA? 1,{count}," + f"{BUFFER},SOUR,READ,REL,SOURSTAT"

    def __init__(self, link: Transport, line_hertz: float, patience: float, terminals: str) -> None:
        super().__init__(link, line_hertz, patience)
        self._terminals = terminals

    def begin(self) -> None:
        """Only in the language that this is: in another one it would not even switch off."""
        language = self._scpi.ask("*LANG?")
        if language.strip() != "SCPI":
            raise BoardFault(
                f"{self.reach.name} at {self._link.address} speaks {quoted(language)}",
                allowed="SCPI",
                todo="choose SCPI in its menu (System, Settings, Command Set), and switch it off and on",
            )
        super().begin()

    def _begun(self) -> None:
        self._scpi.set_word(":ROUT:TERM", self._terminals)  # a reset goes back to those at the front
        self._scpi.set_word(":SENS:FUNC", '"CURR"', '"CURR:DC"')
        self._scpi.tell(":SOUR:LIST:VOLT 0.0")  # the trigger model names the list, so there must be one

    def _program(self, nplc: float, delay: float, seconds: float) -> float:
        nplc = self._scpi.set(":SENS:CURR:NPLC", nplc, tolerance=0.01)
        for block in TRIGGER_MODEL:
            self._scpi.tell(block.format(delay=wire(delay)))
        return nplc

    def _load(self, volts: Sequence[float]) -> list[str]:
        texts = list(map(wire, volts))
        commands = [f":SOUR:LIST:VOLT {','.join(texts[:MOST_VALUES])}"]
        more = range(MOST_VALUES, len(texts), MOST_VALUES)
        commands += [f":SOUR:LIST:VOLT:APP {','.join(texts[at : at + MOST_VALUES])}" for at in more]
        return [*commands, f":TRIG:BLOC:BRAN:COUN 7,{len(texts)},4"]

    def _readings(self, rows: Floats) -> Readings:
        volts, no_volts = column(rows, 0)
        amps, no_amps = column(rows, 1)
        status = bits(rows, 3, {Flag.COMPLIANCE: 4 | 32})  # over-voltage protection; level limited
        return Readings(rows[:, 2], volts, amps, no_volts | no_amps | status)

    def _busy(self, status: str) -> bool:
        """By the state of its trigger model: "RUNNING;RUNNING;6"."""
        return status.partition(";")[0].upper() in {"RUNNING", "WAITING"}


class Keithley2450(SourceMeterBoard):
    """A Keithley 2450 with a memristor, or several behind a switch box."""

    reach = REACH
    Settings = KeithleySettings

    def _language(self, link: Transport, settings: SourceMeterSettings) -> Keithley2450Language:
        rear = isinstance(settings, KeithleySettings) and settings.terminals == "rear"
        return Keithley2450Language(link, settings.line_hertz, settings.deadline, "REAR" if rear else "FRON")
