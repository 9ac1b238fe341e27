"""Sweeps of an emulated Keithley 2450: linear, logarithmic, lists. Each command writes a trigger model.

Follows "Model 2450 Reference Manual", 2450-901-01, section 6, `:SOURce[1]:SWEep`. A sweep begins with an
empty buffer, ends with the output off, and with `failAbort` (the default) at the first point that is limited.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sim_backend.emulators.k2450.lists import ConfigurationList, Recalled
from sim_backend.emulators.k2450.stored import Buffer
from sim_backend.emulators.k2450.trigger import DELAY, SWITCH, TriggerModel, argument
from sim_backend.emulators.scpi.parser import command, none
from sim_backend.emulators.scpi.values import Number, ScpiError, numbers, words
from sim_backend.emulators.smu.model import OTHER, Quantity, Reading, Seen
from sim_backend.emulators.smu.run import Action, Do, Measure, Wait
from sim_backend.emulators.smu.scpi import sizes

POINTS = Number(2, 1_000_000, 2, whole=True)
TIMES = Number(1, 268_435_455, 1, whole=True)
MOST_LISTED, MOST_AT_ONCE = 2500, 100
UNRANGED = ("delay", "count", "abort", "buffer")
RANGED = ("delay", "count", "ranging", "abort", "dual", "buffer")
"""Parameters of a sweep after its levels."""
CUSTOM: dict[Quantity, str] = {"volts": "VoltCustomSweepList", "amps": "CurrCustomSweepList"}
RANGING = words("AUTO", "BEST", "FIXed")


class Sweeps(TriggerModel):
    """Levels one after the other, with a measurement at each."""

    def deliver_sweeps(self) -> None:
        """Empty lists."""
        self._levels: dict[Quantity, list[float]] = {"volts": [], "amps": []}

    @command(":SOURce[1]:LIST:VOLTage")
    def _list_volts(self, arguments: list[str]) -> None:
        self._levels["volts"] = numbers(arguments, sizes(self.model)["volts"], MOST_AT_ONCE)
        self._remember("volts")

    @command(":SOURce[1]:LIST:CURRent")
    def _list_amps(self, arguments: list[str]) -> None:
        self._levels["amps"] = numbers(arguments, sizes(self.model)["amps"], MOST_AT_ONCE)
        self._remember("amps")

    @command(":SOURce[1]:LIST:VOLTage:APPend")
    def _append_volts(self, arguments: list[str]) -> None:
        more = numbers(arguments, sizes(self.model)["volts"], MOST_AT_ONCE)
        if len(self._levels["volts"]) + len(more) > MOST_LISTED:
            raise ScpiError(-223)
        self._levels["volts"] += more
        self._remember("volts")

    def _remember(self, quantity: Quantity) -> None:
        """The list is a source configuration list too (p. 6-78), with what else is set now."""
        smu = self.smu
        fixed = smu.source_range(quantity), smu.source_auto(quantity), smu.limit(OTHER[quantity])
        stored = [Recalled(quantity, level, *fixed) for level in self._levels[quantity]]
        self.lists.setdefault(CUSTOM[quantity], ConfigurationList()).stored[:] = stored

    @command(":SOURce[1]:LIST:VOLTage?")
    def _listed_volts(self, arguments: list[str]) -> str:
        none(arguments)
        return ",".join(map(self.form, self._levels["volts"]))

    @command(":SOURce[1]:LIST:VOLTage:POINts?")
    def _listed_points(self, arguments: list[str]) -> str:
        none(arguments)
        return str(len(self._levels["volts"]))

    @command(":SOURce[1]:SWEep:VOLTage:LINear")
    def _sweep_volts(self, arguments: list[str]) -> None:
        self._linear("volts", arguments)

    @command(":SOURce[1]:SWEep:CURRent:LINear")
    def _sweep_amps(self, arguments: list[str]) -> None:
        self._linear("amps", arguments)

    @command(":SOURce[1]:SWEep:VOLTage:LOG")
    def _sweep_volts_by_decades(self, arguments: list[str]) -> None:
        start, stop, points = self._ends("volts", arguments)
        if not start * stop > 0:
            raise ScpiError(-222)
        levels = [start * (stop / start) ** (point / (points - 1)) for point in range(points)]
        self._sweep("volts", levels, arguments[3:], ranged=True)

    @command(":SOURce[1]:SWEep:VOLTage:LIST")
    def _sweep_list(self, arguments: list[str]) -> None:
        first = int(Number(1, MOST_LISTED, 1, whole=True).read(argument(arguments, 0)))
        levels = self._levels["volts"][first - 1 :]
        if not levels:
            raise ScpiError(-222)
        self._sweep("volts", levels, arguments[1:], ranged=False)

    def _linear(self, quantity: Quantity, arguments: list[str]) -> None:
        start, stop, points = self._ends(quantity, arguments)
        levels = [start + (stop - start) * point / (points - 1) for point in range(points)]
        self._sweep(quantity, levels, arguments[3:], ranged=True)

    def _ends(self, quantity: Quantity, arguments: Sequence[str]) -> tuple[float, float, int]:
        kind = sizes(self.model)[quantity]
        start, stop = (kind.read(argument(arguments, place)) for place in (0, 1))
        return start, stop, int(POINTS.read(argument(arguments, 2)))

    def _sweep(self, quantity: Quantity, levels: list[float], rest: list[str], *, ranged: bool) -> None:
        """`rest` is what may be left out, in the order of the command."""
        told = dict(zip(RANGED if ranged else UNRANGED, rest, strict=False))
        delay = -1.0 if told.get("delay", "-1") == "-1" else DELAY.read(told["delay"])
        times = int(TIMES.read(told.get("count", "1")))
        aborts = SWITCH.read(told.get("abort", "ON"))
        RANGING.read(told.get("ranging", "BEST"))
        if SWITCH.read(told.get("dual", "OFF")):
            levels += levels[::-1]
        buffer = self.buffer(told.get("buffer"))
        if quantity != self.smu.function:
            raise ScpiError(-221)
        for level in levels:
            self.smu.check_level(quantity, level)
        wait = self.source_delay() if delay < 0 else delay
        self.clear_blocks()
        self.put(1, lambda: self.clears(buffer))
        self.put(2, lambda: self._points(quantity, levels * times, wait, buffer, aborts))

    def _points(
        self, quantity: Quantity, levels: list[float], delay: float, buffer: Buffer, aborts: bool
    ) -> Iterator[Action]:
        smu, limited = self.smu, list[bool]()

        def keep(reading: Reading) -> None:
            self.keep(buffer, reading)
            limited.append(bool(reading.seen & Seen.COMPLIANCE))

        for place, level in enumerate(levels):
            yield Do(lambda level=level: smu.set_level(quantity, level))
            if place == 0:
                yield Do(lambda: setattr(smu, "output", True))
            yield Wait(delay)
            yield Measure(keep)
            if aborts and limited[-1]:
                yield Do(self.fail)
        yield Do(lambda: setattr(smu, "output", False))
