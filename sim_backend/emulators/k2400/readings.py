"""The reading side of an emulated Keithley 2400: what is measured, its elements, the status word.

A reading is five elements unless fewer were chosen: volts, amps, ohms, seconds, status (manual, section 18,
`:FORMat:ELEMents`). What was not measured is the programmed value if it is sourced, and 9.91e37 if not.
"""

from __future__ import annotations

from collections.abc import Sequence

from sim_backend.emulators.k2400.sweeps import Sweeps
from sim_backend.emulators.scpi.parser import command, none
from sim_backend.emulators.scpi.values import ScpiError, quoted
from sim_backend.emulators.smu.model import Quantity, Reading, Seen
from sim_backend.emulators.smu.scpi import NAN, OVERFLOW

ELEMENTS = ("VOLT", "CURR", "RES", "TIME", "STAT")
FUNCTIONS: dict[str, Quantity] = {
    "VOLT": "volts", "VOLTAGE": "volts", "VOLT:DC": "volts", "VOLTAGE:DC": "volts",
    "CURR": "amps", "CURRENT": "amps", "CURR:DC": "amps", "CURRENT:DC": "amps",
}  # fmt: skip
NAMES = {"volts": '"VOLT:DC"', "amps": '"CURR:DC"'}
FRONT, COMPLIANCE, RANGE_COMPLIANCE, FOUR_WIRE = 1 << 2, 1 << 3, 1 << 16, 1 << 22
"""Bits of the status word beside those of what is measured and sourced."""
MEASURED = {"volts": 1 << 11, "amps": 1 << 12}
SOURCED = {"volts": 1 << 14, "amps": 1 << 15}


def status(reading: Reading, sensed: tuple[Quantity, ...], function: Quantity, four_wire: bool) -> int:
    """The status word of a reading."""
    seen = reading.seen
    bits = FRONT | SOURCED[function] | sum(MEASURED[quantity] for quantity in sensed)
    bits |= COMPLIANCE * bool(seen & Seen.COMPLIANCE) | RANGE_COMPLIANCE * bool(seen & Seen.RANGE_COMPLIANCE)
    return bits | FOUR_WIRE * four_wire | bool(seen & (Seen.VOLTS_OVER | Seen.AMPS_OVER))


class Readings(Sweeps):
    """What a 2400 measures and tells."""

    def deliver_readings(self) -> None:
        """As delivered."""
        self._concurrent, self._elements, self._zero = True, ELEMENTS, 0.0

    @property
    def concurrent(self) -> bool:
        """Whether volts and amps are measured together."""
        return self._concurrent

    @concurrent.setter
    def concurrent(self, on: bool) -> None:
        self._concurrent = on
        if not on:
            self.smu.modes.sensed = self.smu.modes.sensed[-1:]

    @command("[:SENSe[1]]:FUNCtion[:ON]")
    def _sense(self, arguments: list[str]) -> None:
        wanted = self._functions(arguments)
        if not self._concurrent and len(wanted) > 1:
            raise ScpiError(-221)
        before = self.smu.modes.sensed if self._concurrent else ()
        self.smu.modes.sensed = tuple(q for q in ("volts", "amps") if q in wanted or q in before)

    @command("[:SENSe[1]]:FUNCtion:OFF")
    def _sense_not(self, arguments: list[str]) -> None:
        unwanted = self._functions(arguments)
        self.smu.modes.sensed = tuple(q for q in self.smu.modes.sensed if q not in unwanted)

    @command("[:SENSe[1]]:FUNCtion:OFF:ALL")
    def _sense_nothing(self, arguments: list[str]) -> None:
        none(arguments)
        self.smu.modes.sensed = ()

    @command("[:SENSe[1]]:FUNCtion[:ON]?")
    def _sensed(self, arguments: list[str]) -> str:
        none(arguments)
        return ",".join(NAMES[quantity] for quantity in self.smu.modes.sensed) or '""'

    @staticmethod
    def _functions(arguments: list[str]) -> list[Quantity]:
        if not arguments:
            raise ScpiError(-109)
        wanted = [quoted(text).upper() for text in arguments]
        if not set(wanted) <= set(FUNCTIONS):
            raise ScpiError(-224)
        return [FUNCTIONS[word] for word in wanted]

    # ---- readings -----------------------------------------------------------------------------

    @command(":READ?")
    def _read(self, arguments: list[str]) -> str:
        none(arguments)
        if not self._begun:
            self.halt()
            self._initiate(arguments)
            self._begun = True
        return self._fetch(arguments)

    @command(":FETCh?")
    def _fetch(self, arguments: list[str]) -> str:
        none(arguments)
        self.wait()
        self._begun = False
        if not self._readings:
            raise ScpiError(-230)
        return self.tell_readings(self._readings)

    def tell_readings(self, readings: Sequence[Reading]) -> str:
        """In the elements that were chosen."""
        return ",".join(map(self._told, readings))

    @command("[:SENSe[1]]:DATA[:LATest]?")
    def _latest(self, arguments: list[str]) -> str:
        none(arguments)
        if not self._readings:
            raise ScpiError(-230)
        return self._told(self._readings[-1])

    @command(":MEASure[:CURRent][:DC]?")
    def _measure_amps(self, arguments: list[str]) -> str:
        """Resets the controls of the function and turns the source on: why drivers do not use it."""
        self._configure("amps")
        return self._read(arguments)

    @command(":MEASure:VOLTage[:DC]?")
    def _measure_volts(self, arguments: list[str]) -> str:
        self._configure("volts")
        return self._read(arguments)

    @command(":CONFigure:CURRent[:DC]")
    def _configure_amps(self, arguments: list[str]) -> None:
        none(arguments)
        self._configure("amps")

    @command(":CONFigure:VOLTage[:DC]")
    def _configure_volts(self, arguments: list[str]) -> None:
        none(arguments)
        self._configure("volts")

    def _configure(self, quantity: Quantity) -> None:
        self.smu.set_sense_auto(quantity, True)
        self.smu.modes.sensed = (quantity,)
        self.trigger_count = self.arm_count = 1
        self.output = True

    def _told(self, reading: Reading) -> str:
        """One reading in the elements that were chosen, in the order that the manual has."""
        smu, sensed = self.smu, self.smu.modes.sensed
        told = list[str]()
        for element in self._elements:
            match element:
                case "VOLT":
                    value = self._value("volts", reading.volts, reading.seen & Seen.VOLTS_OVER, reading)
                case "CURR":
                    value = self._value("amps", reading.amps, reading.seen & Seen.AMPS_OVER, reading)
                case "TIME":
                    value = reading.seconds - self._zero
                case "STAT":
                    value = float(status(reading, sensed, smu.function, smu.modes.four_wire))
                case _:
                    value = NAN
            told.append(f"{value:+.6E}")
        return ",".join(told)

    def _value(self, quantity: Quantity, measured: float, over: int, reading: Reading) -> float:
        """Measured; or programmed, where it is sourced and not measured; or nothing."""
        if quantity in self.smu.modes.sensed:
            return OVERFLOW if over else measured
        return reading.source if quantity == self.smu.function else NAN

    @command(":FORMat:ELEMents[:SENSe[1]]")
    def _choose_elements(self, arguments: list[str]) -> None:
        long = {"VOLTAGE": "VOLT", "CURRENT": "CURR", "RESISTANCE": "RES", "STATUS": "STAT"}
        wanted = [long.get(text.upper(), text.upper()) for text in arguments]
        if not wanted:
            raise ScpiError(-109)
        if not set(wanted) <= set(ELEMENTS):
            raise ScpiError(-224)
        self._elements = tuple(element for element in ELEMENTS if element in wanted)

    @command(":FORMat:ELEMents[:SENSe[1]]?")
    def _chosen_elements(self, arguments: list[str]) -> str:
        none(arguments)
        return ",".join(self._elements)

    @command(":SYSTem:TIME:RESet")
    def _zero_time(self, arguments: list[str]) -> None:
        none(arguments)
        self._zero = self.clock.seconds
