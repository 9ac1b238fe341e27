"""Keithley 2400 SourceMeter (and 2401), in SCPI over RS-232 or GPIB.

Follows the *Series 2400 SourceMeter User's Manual*, 2400S-900-01 Rev. K. Tried on emulators only.

A run is a list sweep: at most 100 values, one delay and one aperture for all. The length of a level is that
of the manual's appendix A, case III (auto-zero off, one function)::

    50 us source configuration + source delay + (NPLC / line frequency + 185 us) + 300 us firmware

Voltages are those that were programmed: measuring them too would double the aperture, and the status word
says when the current limit kept the source from reaching them. Auto-zero is off, since
it would stretch every level by two more conversions: the zero is measured once, when the output goes on.

    open     *IDN?  :OUTP?  (left on: :ABOR  :SOUR:VOLT 0  :SOUR:CURR 0  :OUTP OFF)  *RST  *CLS, then `WORDS`
    ranges   :SOUR:VOLT:RANG  :SENS:CURR:PROT  :SENS:CURR:RANG, each read back
    steps    :SENS:CURR:NPLC  :SOUR:DEL, each read back
    read     :SOUR:LIST:VOLT …;:TRIG:COUN n;:READ?;:OUTP?;:SYST:ERR?        (never :MEAS?)
    program  :TRAC:…  (store emptied)  :SOUR:LIST:VOLT …;:TRIG:COUN n;:INIT
             :STAT:OPER:COND?;:TRAC:POIN:ACT?  :TRAC:DATA?;:OUTP?;:SYST:ERR?
    off      :ABOR  :OUTP OFF  :OUTP?

It has nothing that switches off at compliance: the limit holds, and the status word says so (`COMPLIANCE`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from drivers.languages.numbers import wire
from drivers.links.transport import Transport
from drivers.source_meters.board import SourceMeterBoard
from drivers.source_meters.replies import bits, column
from drivers.source_meters.scpi_meter import ScpiSourceMeter
from drivers.source_meters.settings import KeithleySettings, SourceMeterSettings
from drivers.source_meters.source_meter import Reach, Readings
from labctl.pulse import Flag, Floats

REACH = Reach(
    name="Keithley 2400",
    models=("MODEL 2400", "MODEL 2401"),
    volts_ranges=(0.2, 2.0, 20.0),  # 200 V is left out: no memristor wants it, and it needs its interlock
    amps_ranges=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
    shortest_step=0.99e-3,
    longest_step=1000.0,
    most_steps=100,
    edge_seconds=2e-4,
    noise_amps=2e-10,
    noise_floor_amps=1e-9,  # 10 uA range: 0.027 % + 700 pA in a year
    accuracy=0.03,  # 200 mV range: 600 uV in a year, of reads of some tens of millivolts
    clock_seconds=1e-3,
)
RANGE_LIMITED = 1 << 16
"""In the status of a reading: the measuring range, not the compliance, limited the current."""
IDLE = 1 << 10
"""In the operation condition register."""


class Keithley2400Language(ScpiSourceMeter):
    """What a 2400 understands."""

    reach = REACH
    LEFT_ON = (":ABOR", ":SOUR:VOLT 0", ":SOUR:CURR 0")
    OFF = (":ABOR", ":OUTP OFF")
    OUTPUT = ":OUTP"
    WORDS: ClassVar = {
        ":OUTP:SMOD": "HIMP",  # off is an open relay: nothing is held, nothing is discharged into a device
        ":SOUR:CLE:AUTO": "OFF",
        ":SYST:RSEN": "OFF",
        ":SOUR:FUNC": "VOLT",
        ":SOUR:VOLT:MODE": "LIST",
        ":SOUR:SWE:RANG": "FIX",
        ":SOUR:DEL:AUTO": "OFF",
        ":SENS:FUNC:CONC": "OFF",
        ":SYST:AZER:STAT": "OFF",
        ":FORM:ELEM": "VOLT,CURR,TIME,STAT",
        ":ARM:COUN": "1",
    }
    VOLTS_RANGE = ":SOUR:VOLT:RANG"
    AMPS_RANGE = ":SENS:CURR:RANG"
    AMPS_LIMIT = ":SENS:CURR:PROT"
    LEVEL = ":SOUR:VOLT"
    WATCHED = (
        ":SOUR:FUNC",
        ":SOUR:VOLT:MODE",
        ":OUTP:SMOD",
        ":ROUT:TERM",
        ":SYST:RSEN",
        ":SENS:FUNC",
        ":FORM:ELEM",
    )
    ZERO = ":SYST:AZER:STAT ONCE"
    INTERLOCK = ":OUTP:ENAB:TRIP"

    TIMING = (50e-6 + 185e-6 + 300e-6, 1.0)

    FIELDS = 4
    READ = ":READ?"
    START = ":INIT"
    STATUS = ":STAT:OPER:COND?"  # [not verified: whether a real one answers in a sweep]
    CLEAR = ":TRAC:FEED:CONT NEV;:TRAC:CLE;:TRAC:POIN {count};:TRAC:FEED SENS;:TRAC:FEED:CONT NEXT"
    STORED = ":TRAC:POIN:ACT?"
    FETCH = ":TRAC:DATA?"

    def __init__(self, link: Transport, line_hertz: float, patience: float, terminals: str) -> None:
        super().__init__(link, line_hertz, patience)
        self._terminals = terminals

    def _begun(self) -> None:
        self._scpi.set_word(":ROUT:TERM", self._terminals)  # a reset goes back to those at the front
        self._scpi.set_word(":SENS:FUNC", '"CURR"', '"CURR:DC"')
        self._scpi.set(":TRIG:DEL", 0.0, step=1e-6)

    def _program(self, nplc: float, delay: float, seconds: float) -> float:
        nplc = self._scpi.set(":SENS:CURR:NPLC", nplc, tolerance=0.01)
        self._scpi.set(":SOUR:DEL", delay, step=1e-5)
        return nplc

    def _load(self, volts: Sequence[float]) -> list[str]:
        return [f":SOUR:LIST:VOLT {','.join(map(wire, volts))}", f":TRIG:COUN {len(volts)}"]

    def _readings(self, rows: Floats) -> Readings:
        volts, no_volts = column(rows, 0)
        amps, no_amps = column(rows, 1)
        status = bits(rows, 3, {Flag.OVER_RANGE: 1 | RANGE_LIMITED, Flag.COMPLIANCE: 1 << 3 | 1 << 4})
        return Readings(rows[:, 2], volts, amps, no_volts | no_amps | status)

    def _busy(self, status: str) -> bool:
        return not self._as_whole(status, self.STATUS) & IDLE


class Keithley2400(SourceMeterBoard):
    """A Keithley 2400 with a memristor, or several behind a switch box."""

    reach = REACH
    Settings = KeithleySettings

    def _language(self, link: Transport, settings: SourceMeterSettings) -> Keithley2400Language:
        rear = isinstance(settings, KeithleySettings) and settings.terminals == "rear"
        return Keithley2400Language(link, settings.line_hertz, settings.deadline, "REAR" if rear else "FRON")
