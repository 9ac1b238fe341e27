"""The reading side of an emulated Keysight B2900: what starts runs, what tells their readings, and how.

Follows "Keysight B2900A Series SCPI Command Reference", B2910-90030 (FETCh, READ, MEASure, FORMat, STATus).
"""

from __future__ import annotations

from collections.abc import Sequence

from sim_backend.emulators.b2900.channel import Channel
from sim_backend.emulators.scpi.parser import command, none
from sim_backend.emulators.scpi.values import ScpiError, channels
from sim_backend.emulators.smu.model import Reading, Seen
from sim_backend.emulators.smu.scpi import NAN, OVERFLOW, SmuFront
from sim_backend.emulators.smu.store import Stores

ELEMENTS = ("VOLT", "CURR", "RES", "TIME", "STAT", "SOUR")
LONG = {"VOLTAGE": "VOLT", "CURRENT": "CURR", "RESISTANCE": "RES", "STATUS": "STAT", "SOURCE": "SOUR"}
VOLT_LIMITED, AMP_LIMITED, OVER = 1 << 1, 1 << 2, 1 << 13
"""Bits of the status element; which of the first two is which is [not verified]."""


class Readings(Stores, SmuFront):
    """What a B2900 measures and tells, and the runs that it does it in."""

    channels: tuple[Channel, ...] = ()
    zero: float
    """[s] of the clock that times are told from."""

    def deliver_readings(self) -> None:
        """As delivered."""
        self._elements, self.zero = ELEMENTS, 0.0
        self.deliver_store()

    def form(self, value: float) -> str:
        """Numbers with their sign."""
        return f"{value:+.8E}"

    def error_form(self, code: int, text: str) -> str:
        """Codes with their sign."""
        return f'{code:+d},"{text}"'

    def advance(self) -> None:
        """Of both channels."""
        super().advance()
        for channel in self.channels[1:]:
            channel.runner.advance()

    def finished(self) -> bool:
        """Whether no channel has a run under way."""
        return not self._stuck and not any(channel.runner.active for channel in self.channels)

    def wait(self) -> None:
        """Until none has."""
        for channel in self.channels:
            if channel.runner.active:
                channel.runner.wait()

    # ---- runs ---------------------------------------------------------------------------------

    @command(":INITiate[:IMMediate][:ALL]")
    def _initiate(self, arguments: list[str]) -> None:
        for channel in self._listed(arguments):
            channel.initiate()

    @command(":INITiate[:IMMediate]:TRANsient")
    def _initiate_transient(self, arguments: list[str]) -> None:
        for channel in self._listed(arguments):
            channel.initiate(acquire=False)

    @command(":INITiate[:IMMediate]:ACQuire")
    def _initiate_acquire(self, arguments: list[str]) -> None:
        for channel in self._listed(arguments):
            channel.initiate(transient=False)

    @command(":ABORt[:ALL]", ":ABORt:ACQuire", ":ABORt:TRANsient")
    def _abort(self, arguments: list[str]) -> None:
        for channel in self._listed(arguments):
            channel.halt()

    @command(":IDLE[:ALL]?")
    def _idle(self, arguments: list[str]) -> str:
        self._listed(arguments)
        self.wait()
        return "1"

    @command(":MEASure?")
    def _measure(self, arguments: list[str]) -> str:
        return self._fresh(arguments, self._elements, spot=True, last=True)

    @command(":MEASure:CURRent[:DC]?")
    def _measure_amps(self, arguments: list[str]) -> str:
        return self._fresh(arguments, ("CURR",), spot=True, last=True)

    @command(":MEASure:VOLTage[:DC]?")
    def _measure_volts(self, arguments: list[str]) -> str:
        return self._fresh(arguments, ("VOLT",), spot=True, last=True)

    @command(":READ[:SCALar]?")
    def _read(self, arguments: list[str]) -> str:
        return self._fresh(arguments, self._elements, spot=False, last=True)

    @command(":READ:ARRay?")
    def _read_all(self, arguments: list[str]) -> str:
        return self._fresh(arguments, self._elements, spot=False, last=False)

    @command(":FETCh[:SCALar]?")
    def _fetch(self, arguments: list[str]) -> str:
        return self._told(self._listed(arguments), self._elements, last=True)

    @command(":FETCh:ARRay?")
    def _fetch_all(self, arguments: list[str]) -> str:
        return self._told(self._listed(arguments), self._elements, last=False)

    @command(":FETCh:ARRay:CURRent?")
    def _fetch_amps(self, arguments: list[str]) -> str:
        return self._told(self._listed(arguments), ("CURR",), last=False)

    @command(":FETCh:ARRay:VOLTage?")
    def _fetch_volts(self, arguments: list[str]) -> str:
        return self._told(self._listed(arguments), ("VOLT",), last=False)

    @command(":FETCh:ARRay:TIME?")
    def _fetch_times(self, arguments: list[str]) -> str:
        return self._told(self._listed(arguments), ("TIME",), last=False)

    def _fresh(self, arguments: list[str], elements: Sequence[str], *, spot: bool, last: bool) -> str:
        """Start, wait, tell; asked again after a wait, it has started already."""
        listed = self._listed(arguments)
        for channel in listed:
            if not channel.begun:
                (channel.spot if spot else channel.initiate)()
                channel.begun = True
        self.wait()
        for channel in listed:
            channel.begun = False
        return self._told(listed, elements, last=last)

    def _listed(self, arguments: Sequence[str]) -> list[Channel]:
        """The channels of a list; the first without one."""
        if len(arguments) > 1:
            raise ScpiError(-108)
        return [self._numbered(number) for number in (channels(arguments[0]) if arguments else [1])]

    def _numbered(self, number: int) -> Channel:
        if not 1 <= number <= len(self.channels):
            raise ScpiError(-222)
        return self.channels[number - 1]

    # ---- telling ------------------------------------------------------------------------------

    def _told(self, listed: Sequence[Channel], elements: Sequence[str], *, last: bool) -> str:
        self.wait()
        if not all(channel.readings for channel in listed):
            raise ScpiError(-230)
        return ",".join(
            self.form(self._element(channel, reading, element))
            for channel in listed
            for reading in (channel.readings[-1:] if last else channel.readings)
            for element in elements
        )

    def tell_readings(self, readings: Sequence[Reading]) -> str:
        """Of channel 1, in the elements that were chosen."""
        return ",".join(
            self.form(self._element(self.channels[0], reading, element))
            for reading in readings
            for element in self._elements
        )

    def _element(self, channel: Channel, reading: Reading, element: str) -> float:
        sensed, seen = channel.smu.modes.sensed, reading.seen
        match element:
            case "VOLT" if "volts" in sensed:
                return OVERFLOW if seen & Seen.VOLTS_OVER else reading.volts
            case "CURR" if "amps" in sensed:
                return OVERFLOW if seen & Seen.AMPS_OVER else reading.amps
            case "TIME":
                return reading.seconds - self.zero
            case "SOUR":
                return reading.source
            case "STAT":
                limited = AMP_LIMITED if channel.smu.function == "volts" else VOLT_LIMITED
                over = bool(seen & (Seen.VOLTS_OVER | Seen.AMPS_OVER))
                return float(limited * bool(seen & Seen.COMPLIANCE) | OVER * over)
            case _:
                return NAN

    @command(":FORMat:ELEMents:SENSe[1]")
    def _choose_elements(self, arguments: list[str]) -> None:
        wanted = [LONG.get(text.upper(), text.upper()) for text in arguments]
        if not wanted:
            raise ScpiError(-109)
        if not set(wanted) <= set(ELEMENTS):
            raise ScpiError(-224)
        self._elements = tuple(element for element in ELEMENTS if element in wanted)

    @command(":FORMat:ELEMents:SENSe[1]?")
    def _chosen_elements(self, arguments: list[str]) -> str:
        none(arguments)
        return ",".join(self._elements)
