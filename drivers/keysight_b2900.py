"""Keysight (Agilent) B2900 series, channel 1, over a raw socket, USB or GPIB.

Follows the *B2900 Series Precision Source/Measure Unit SCPI Command Reference*, B2910-90030 (models B2901A,
B2902A, B2911A, B2912A and their B-editions), in the default command set. Tried on emulators only.

A run is a list of at most 2500 levels, stepped by the trigger timer; each is measured at a delay after its
trigger. A source pulse could be 50 us long, but others who drive this family refuse less than 1 ms with a
measurement, and so does this driver.

    open     *IDN?  :OUTP2? (of two)  :OUTP1?
             (left on: :ABOR (@1)  :SOUR1:VOLT 0  :SOUR1:CURR 0  :OUTP1 OFF)  *RST  *CLS
    ranges   :SOUR1:VOLT:RANG  :SENS1:CURR:PROT  :SENS1:CURR:RANG, each read back
    steps    :SENS1:CURR:APER  :SENS1:VOLT:APER  :TRIG1:TRAN:TIM  :TRIG1:ACQ:TIM  :TRIG1:ACQ:DEL, read back
    read     :SOUR1:LIST:VOLT …;:TRIG1:TRAN:COUN n;:TRIG1:ACQ:COUN n;:INIT (@1);*WAI;:FETC:ARR? (@1);…
    program  :TRAC1:…  (store emptied)  :SOUR1:LIST:VOLT …;:INIT (@1)
             :STAT:OPER:COND?;:TRAC1:POIN:ACT?  :TRAC1:DATA?;:OUTP1?;:SYST:ERR?
    off      :ABOR (@1)  :OUTP1 OFF  :OUTP1?

It switches itself off when its limit cuts in (`:OUTP1:PROT ON`): that ends the list, and is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from drivers.languages.numbers import Identity, wire
from drivers.links.transport import Transport
from drivers.source_meters.board import SourceMeterBoard
from drivers.source_meters.replies import bits, column
from drivers.source_meters.scpi_meter import ScpiSourceMeter
from drivers.source_meters.settings import SourceMeterSettings
from drivers.source_meters.source_meter import Reach, Readings
from labctl.errors import BoardFault
from labctl.pulse import Flag, Floats

REACH = Reach(
    name="Keysight B2900",
    models=("B2901A", "B2902A", "B2911A", "B2912A", "B2901B", "B2902B", "B2911B", "B2912B"),
    volts_ranges=(0.2, 2.0, 20.0),  # 200 V is left out: no memristor wants it, and it needs the interlock
    amps_ranges=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
    shortest_step=0.99e-3,
    longest_step=1000.0,
    most_steps=2500,
    edge_seconds=2e-4,
    noise_amps=2e-10,
    noise_floor_amps=2e-9,  # 10 uA range: 0.025 % + 2 nA in a year [not verified]
    accuracy=0.02,  # 200 mV range: 0.015 % + 225 uV in a year [not verified]
)
LONGEST_APERTURE = 1.9
"""[s] a little less than 100 cycles of 50 Hz."""
IDLE = 1 << 1 | 1 << 4
"""Operation status: transient and acquire actions of channel 1 are idle."""


class KeysightB2900Language(ScpiSourceMeter):
    """What channel 1 of a B2900 understands."""

    reach = REACH
    _channels = 1
    LEFT_ON = (":ABOR (@1)", ":SOUR1:VOLT 0", ":SOUR1:CURR 0")
    OFF = (":ABOR (@1)", ":OUTP1 OFF")
    OUTPUT = ":OUTP1"
    WORDS: ClassVar = {
        ":OUTP1:OFF:MODE": "HIZ",  # off is an open relay: nothing is held, nothing discharged into a device
        ":OUTP1:HCAP": "OFF",
        ":OUTP1:LOW": "GRO",  # Low Force is ground, as it was delivered
        ":OUTP1:PROT": "ON",  # off at once when its limit cuts in: what took so much is to get no more
        ":OUTP1:ON:AUTO": "OFF",  # a run must not switch on what somebody has switched off
        ":OUTP1:OFF:AUTO": "OFF",
        ":SOUR1:FUNC:MODE": "VOLT",
        ":SOUR1:FUNC:SHAP": "DC",
        ":SOUR1:VOLT:MODE": "LIST",
        ":SOUR1:VOLT:RANG:AUTO": "OFF",
        ":SENS1:CURR:RANG:AUTO": "OFF",
        ":SENS1:REM": "OFF",
        ":SOUR1:WAIT": "OFF",
        ":SENS1:WAIT": "OFF",
        ":FORM": "ASC",
        ":FORM:ELEM:SENS": "VOLT,CURR,TIME,STAT",
        ":TRIG1:TRAN:SOUR": "TIM",
        ":TRIG1:ACQ:SOUR": "TIM",
    }
    VOLTS_RANGE = ":SOUR1:VOLT:RANG"
    AMPS_RANGE = ":SENS1:CURR:RANG"
    AMPS_LIMIT = ":SENS1:CURR:PROT"
    LEVEL = ":SOUR1:VOLT"
    WATCHED = (
        ":SOUR1:FUNC:MODE",
        ":SOUR1:VOLT:MODE",
        ":OUTP1:OFF:MODE",
        ":OUTP1:PROT",
        ":SENS1:REM",
        ":FORM:ELEM:SENS",
    )
    INTERLOCK = ":SYST:INT:TRIP"
    TRIP = ":SENS1:CURR:PROT:TRIP"  # [not verified: that it still says so when the output is off]

    FIELDS = 4
    READ = ":INIT (@1);*WAI;:FETC:ARR? (@1)"
    START = ":INIT (@1)"
    STATUS = ":STAT:OPER:COND?"
    CLEAR = ":TRAC1:FEED:CONT NEV;:TRAC1:CLE;:TRAC1:POIN {count};:TRAC1:FEED SENS;:TRAC1:FEED:CONT NEXT"
    STORED = ":TRAC1:POIN:ACT?"
    FETCH = ":TRAC1:DATA?"

    def identify(self) -> Identity:
        """Ask who it is."""
        found = super().identify()
        self._channels = int(found.model[4:5] == "2") + 1  # B2902A, B2912A
        return found

    def begin(self) -> None:
        """A reset is of both channels: not while the other one drives what is none of this bench's."""
        if self._channels > 1 and self._whole(":OUTP2?") != 0:
            raise BoardFault(
                f"{self.reach.name} at {self._link.address} has channel 2 on, which a reset would cut off",
                allowed="channel 2 off: this driver has the whole instrument",
                todo="bring channel 2 to 0 V and off by whatever drives it",
            )
        super().begin()

    def _begun(self) -> None:
        self._scpi.set_word(":SENS1:FUNC", '"VOLT","CURR"')

    def _program(self, nplc: float, delay: float, seconds: float) -> float:
        aperture = self._scpi.set(":SENS1:CURR:APER", min(0.85 * seconds, LONGEST_APERTURE), tolerance=0.02)
        self._scpi.set(":SENS1:VOLT:APER", aperture, tolerance=0.02)
        for action in (":TRIG1:TRAN", ":TRIG1:ACQ"):
            self._scpi.set(f"{action}:TIM", seconds, tolerance=1e-3)
        self._scpi.set(":TRIG1:ACQ:DEL", 0.95 * seconds - aperture, tolerance=0.02, step=2e-6)
        return aperture * self._hertz

    def _load(self, volts: Sequence[float]) -> list[str]:
        count = len(volts)
        return [
            f":SOUR1:LIST:VOLT {','.join(map(wire, volts))}",
            f":TRIG1:TRAN:COUN {count}",
            f":TRIG1:ACQ:COUN {count}",
        ]

    def _readings(self, rows: Floats) -> Readings:
        volts, no_volts = column(rows, 0)
        amps, no_amps = column(rows, 1)
        status = bits(rows, 3, {Flag.COMPLIANCE: 1 << 1 | 1 << 2 | 1 << 3, Flag.OVER_RANGE: 1 << 4 | 1 << 13})
        return Readings(rows[:, 2], volts, amps, no_volts | no_amps | status)

    def _busy(self, status: str) -> bool:
        return self._as_whole(status, self.STATUS) & IDLE != IDLE


class KeysightB2900(SourceMeterBoard):
    """Channel 1 of a Keysight B2900 with a memristor, or several behind a switch box."""

    reach = REACH

    def _language(self, link: Transport, settings: SourceMeterSettings) -> KeysightB2900Language:
        return KeysightB2900Language(link, settings.line_hertz, settings.deadline)
