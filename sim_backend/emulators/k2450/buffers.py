"""The reading side of an emulated Keithley 2450: named buffers, their elements, READ?, FETC? and TRAC.

Follows "Model 2450 Reference Manual", 2450-901-01, section 6. A buffer holds so many readings and then, as it
is told, stops or loses the oldest. Elements are asked for by name; without any a query answers READing alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice

from sim_backend.emulators.k2450.stored import (
    BIRTH,
    COUNT,
    DEFAULTS,
    FIRST,
    FOUR_WIRE,
    FRONT,
    LARGEST,
    LIMITED,
    ON,
    READ_BACK,
    SIZE,
    SMALLEST,
    SYMBOLS,
    Buffer,
    Stored,
    named,
)
from sim_backend.emulators.scpi.parser import command, only
from sim_backend.emulators.scpi.values import Number, ScpiError, quoted
from sim_backend.emulators.smu.model import Quantity, Reading, Seen
from sim_backend.emulators.smu.run import Measure, Wait
from sim_backend.emulators.smu.scpi import OVERFLOW, SmuFront


class Buffers(SmuFront):
    """What a 2450 keeps and tells of its readings."""

    count: int

    def deliver_buffers(self) -> None:
        """Two empty buffers."""
        self.buffers = {name: Buffer() for name in DEFAULTS}
        self.precision, self.count = 0, 1
        self.data_format = "ASC"
        self._begun = False

    def source_delay(self) -> float:
        """[s] of the function that is sourced."""
        raise NotImplementedError

    def reads_back(self, quantity: Quantity) -> bool:
        """Whether the source is measured, too."""
        raise NotImplementedError

    def buffer(self, name: str | None = None) -> Buffer:
        """By its name, quotes and all; the first one without. `ScpiError` if there is none."""
        found = self.buffers.get(quoted(name) if name else DEFAULTS[0])
        if found is None:
            raise ScpiError(-224)
        return found

    def keep(self, buffer: Buffer, reading: Reading) -> None:
        """What is measured, and what is sourced, into a buffer."""
        smu = self.smu
        quantity, function = smu.modes.sensed[0], smu.function
        value = reading.volts if quantity == "volts" else reading.amps
        over = Seen.VOLTS_OVER if quantity == "volts" else Seen.AMPS_OVER
        back = self.reads_back(function)
        source = (reading.volts if function == "volts" else reading.amps) if back else reading.source
        bits = READ_BACK * back | LIMITED * bool(reading.seen & Seen.COMPLIANCE) | ON * smu.output
        status = FRONT | FIRST * (not buffer.readings)
        told = OVERFLOW if reading.seen & over else value
        sensed = bits | FOUR_WIRE * smu.modes.four_wire
        buffer.put(Stored(told, source, reading.seconds, status, sensed, (quantity, function)))

    # ---- queries ------------------------------------------------------------------------------

    @command(":READ?", ":MEASure?")
    def _read(self, arguments: list[str]) -> str:
        buffer = self.buffer(arguments[0] if arguments else None)
        elements = named(arguments[1:])
        if not self._begun:
            if self.runner.active:
                raise ScpiError(-213)
            self._begun = True
            actions = (Measure(partial(self.keep, buffer)) for _ in range(self.count))
            self.runner.start(iter([Wait(self.source_delay()), *actions]))
        self.wait()
        self._begun = False
        return self._told(buffer, [buffer.readings[-1]], elements)

    @command(":FETCh?")
    def _fetch(self, arguments: list[str]) -> str:
        buffer = self.buffer(arguments[0] if arguments else None)
        if not buffer.readings:
            raise ScpiError(-230)
        return self._told(buffer, [buffer.readings[-1]], named(arguments[1:]))

    @command(":TRACe:DATA?")
    def _data(self, arguments: list[str]) -> str:
        if len(arguments) < 2:
            raise ScpiError(-109)
        buffer = self.buffer(arguments[2] if len(arguments) > 2 else None)
        first, last = (int(COUNT.read(text)) for text in arguments[:2])
        if not first <= last <= len(buffer.readings):
            raise ScpiError(-222)
        return self._told(buffer, islice(buffer.readings, first - 1, last), named(arguments[3:]))

    def _told(self, buffer: Buffer, readings: Iterable[Stored], elements: Sequence[str]) -> str:
        zero = buffer.readings[0].seconds
        return ",".join(self._element(one, element, zero) for one in readings for element in elements)

    def _element(self, one: Stored, element: str, zero: float) -> str:
        match element:
            case "READ":
                return self.number(one.value)
            case "SOUR":
                return self.number(one.source)
            case "REL":
                return self.number(one.seconds - zero)
            case "STAT":
                return str(one.status)
            case "SOURSTAT":
                return str(one.source_status)
            case _:
                return self._words(one, element)

    def _words(self, one: Stored, element: str) -> str:
        when = BIRTH + timedelta(seconds=one.seconds)
        match element:
            case "UNIT" | "SOURUNIT":
                return SYMBOLS[one.units[element == "SOURUNIT"]]
            case "FORM" | "SOURFORM":
                sourced = element == "SOURFORM"
                value = one.source if sourced else one.value
                return f"{value:+.5E} {SYMBOLS[one.units[sourced]][0]}"
            case "SEC":
                return str(int(when.timestamp()))
            case "FRAC":
                return self.number(when.timestamp() % 1)
            case "DATE":
                return f"{when:%m/%d/%Y}"
            case "TIME":
                return f"{when:%H:%M:%S}"
            case _:
                return f"{when:%m/%d/%Y %H:%M:%S.%f}000"

    def number(self, value: float) -> str:
        """A reading as text, in the precision that was asked for."""
        return f"{value:.{(self.precision or 7) - 1}E}"

    # ---- buffers ------------------------------------------------------------------------------

    @command(":TRACe:ACTual?", ":TRACe:ACTual:END?")
    def _filled(self, arguments: list[str]) -> str:
        return str(len(self.buffer(only(arguments) if arguments else None).readings))

    @command(":TRACe:ACTual:STARt?")
    def _first(self, arguments: list[str]) -> str:
        return str(int(bool(self.buffer(only(arguments) if arguments else None).readings)))

    @command(":TRACe:CLEar")
    def _empty(self, arguments: list[str]) -> None:
        self.buffer(only(arguments) if arguments else None).readings.clear()

    @command(":TRACe:MAKE")
    def _make(self, arguments: list[str]) -> None:
        if len(arguments) < 2:
            raise ScpiError(-109)
        name, size = quoted(arguments[0]), Number(SMALLEST, LARGEST, SIZE, whole=True).read(arguments[1])
        if not name.isidentifier() or name in self.buffers:
            raise ScpiError(-224)
        self.buffers[name] = Buffer(int(size), once=True)

    @command(":TRACe:DELete")
    def _delete(self, arguments: list[str]) -> None:
        name = quoted(only(arguments))
        if name in DEFAULTS or name not in self.buffers:
            raise ScpiError(-224)
        del self.buffers[name]

    @command(":TRACe:POINts")
    def _resize(self, arguments: list[str]) -> None:
        buffer = self.buffer(arguments[1] if len(arguments) > 1 else None)
        size = Number(SMALLEST, LARGEST, SIZE, whole=True).read(arguments[0] if arguments else "")
        buffer.size = int(size)
        buffer.readings.clear()

    @command(":TRACe:POINts?")
    def _size(self, arguments: list[str]) -> str:
        return str(self.buffer(only(arguments) if arguments else None).size)

    @command(":TRACe:FILL:MODE")
    def _fill(self, arguments: list[str]) -> None:
        modes = {"ONCE": True, "CONT": False, "CONTINUOUS": False}
        if not arguments or arguments[0].upper() not in modes:
            raise ScpiError(-224 if arguments else -109)
        self.buffer(arguments[1] if len(arguments) > 1 else None).once = modes[arguments[0].upper()]

    @command(":TRACe:FILL:MODE?")
    def _filling(self, arguments: list[str]) -> str:
        return "ONCE" if self.buffer(only(arguments) if arguments else None).once else "CONT"

    @command(":TRACe:TRIGger")
    def _take(self, arguments: list[str]) -> None:
        self._read(arguments)

    def halt(self) -> None:
        """A reading that was asked for is not made any more."""
        super().halt()
        self._begun = False
