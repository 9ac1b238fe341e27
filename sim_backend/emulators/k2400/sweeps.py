"""The trigger side of an emulated Keithley 2400: lists, staircases, counts, delays.

One cycle is trigger delay, source, source delay, measure (manual, section 11); `TRIG:COUN` times `ARM:COUN`
cycles are one run. With `SOUR:CLE:AUTO` the output is on only from source to measure. After a run the source
stays at its last point.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim_backend.emulators.scpi.parser import command, none
from sim_backend.emulators.scpi.values import ScpiError, numbers
from sim_backend.emulators.smu.model import OTHER, Quantity, Reading, Unfit, Wrong
from sim_backend.emulators.smu.run import Action, Do, Measure, Wait
from sim_backend.emulators.smu.scpi import SmuFront, sizes
from sim_backend.emulators.smu.store import Stores

MOST_CYCLES = 2500
MOST_POINTS = 100
AUTO_DELAY = 1e-3
"""[s] Source delay that it chooses itself; the manual has a table by range [not verified]."""


class Sweeps(Stores, SmuFront):
    """What a 2400 does between INIT and FETC?."""

    trigger_count: int
    arm_count: int
    trigger_delay: float
    clears: bool
    points: int
    spacing: str
    direction: str

    def deliver_sweeps(self) -> None:
        """Trigger settings as delivered."""
        self.trigger_count = self.arm_count = 1
        self.trigger_delay = self._delay = 0.0
        self.auto_delay, self.clears = True, False
        self.points, self.spacing, self.direction, self.ranging = 2500, "LIN", "UP", "BEST"
        self._modes: dict[Quantity, str] = dict.fromkeys(OTHER, "FIX")
        self._lists: dict[Quantity, list[float]] = {quantity: [] for quantity in OTHER}
        self._ends: dict[Quantity, dict[str, float]] = {quantity: {} for quantity in OTHER}
        self._readings: list[Reading] = []
        self._begun = False
        self.deliver_store()

    # ---- settings -----------------------------------------------------------------------------

    @property
    def delay(self) -> float:
        """[s] between source and measure."""
        return self._delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._delay, self.auto_delay = seconds, False

    def mode(self, quantity: Quantity) -> str:
        """FIX, LIST or SWE."""
        return self._modes[quantity]

    def set_mode(self, quantity: Quantity, mode: str) -> None:
        self._modes[quantity] = mode

    def start(self, quantity: Quantity) -> float:
        """[V or A] of a staircase."""
        return self._ends[quantity].get("start", 0.0)

    def set_start(self, quantity: Quantity, value: float) -> None:
        self._ends[quantity]["start"] = value

    def stop(self, quantity: Quantity) -> float:
        """[V or A] of a staircase."""
        return self._ends[quantity].get("stop", 0.0)

    def set_stop(self, quantity: Quantity, value: float) -> None:
        self._ends[quantity]["stop"] = value

    def step(self, quantity: Quantity) -> float:
        """[V or A] of a staircase: what follows from its ends and points."""
        return (self.stop(quantity) - self.start(quantity)) / max(self.points - 1, 1)

    def set_step(self, quantity: Quantity, value: float) -> None:
        span = self.stop(quantity) - self.start(quantity)
        if value == 0.0 or span / value < 0:
            raise ScpiError(-221)
        self.points = round(span / value) + 1

    @command(":SOURce[1]:LIST:VOLTage")
    def _list_volts(self, arguments: list[str]) -> None:
        self._lists["volts"] = numbers(arguments, sizes(self.model)["volts"], MOST_POINTS)

    @command(":SOURce[1]:LIST:CURRent")
    def _list_amps(self, arguments: list[str]) -> None:
        self._lists["amps"] = numbers(arguments, sizes(self.model)["amps"], MOST_POINTS)

    @command(":SOURce[1]:LIST:VOLTage:APPend")
    def _append_volts(self, arguments: list[str]) -> None:
        room = MOST_POINTS - len(self._lists["volts"])
        self._lists["volts"] += numbers(arguments, sizes(self.model)["volts"], room)

    @command(":SOURce[1]:LIST:VOLTage?")
    def _listed_volts(self, arguments: list[str]) -> str:
        none(arguments)
        return ",".join(map(self.form, self._lists["volts"]))

    @command(":SOURce[1]:LIST:VOLTage:POINts?")
    def _listed_points(self, arguments: list[str]) -> str:
        none(arguments)
        return str(len(self._lists["volts"]))

    @command(":SOURce[1]:CLEar[:IMMediate]")
    def _output_off(self, arguments: list[str]) -> None:
        none(arguments)
        self.output = False

    # ---- runs ---------------------------------------------------------------------------------

    @command(":INITiate[:IMMediate]")
    def _initiate(self, arguments: list[str]) -> None:
        none(arguments)
        if self.runner.active:
            raise ScpiError(-213)
        if not (self.smu.output or self.clears):
            raise Unfit(Wrong.OFF)
        if self.trigger_count * self.arm_count > MOST_CYCLES:
            raise ScpiError(-221)
        levels = self._levels()
        self._readings = []
        self.runner.start(self._cycles(levels))

    @command(":ABORt")
    def _abort(self, arguments: list[str]) -> None:
        none(arguments)
        self.halt()

    @command(":TRIGger:CLEar")
    def _clear_trigger(self, arguments: list[str]) -> None:
        none(arguments)

    def halt(self) -> None:
        """A reading that was asked for is not made any more."""
        super().halt()
        self._begun = False

    def keep(self, reading: Reading) -> None:
        """A reading of the run."""
        self._readings.append(reading)
        self.store(reading)

    def _levels(self) -> list[float]:
        """What is sourced one after the other; empty: what is there. Refused if one does not fit."""
        quantity = self.smu.function
        match self._modes[quantity]:
            case "LIST":
                levels = self._lists[quantity]
            case "SWE":
                levels = self._staircase(quantity)
            case _:
                return []
        if not levels:
            raise ScpiError(-221)
        for level in levels:
            self.smu.check_level(quantity, level)
        return levels

    def _staircase(self, quantity: Quantity) -> list[float]:
        start, stop, last = self.start(quantity), self.stop(quantity), max(self.points - 1, 1)
        if self.spacing == "LOG":
            if not start * stop > 0:
                raise ScpiError(-221)
            levels = [start * (stop / start) ** (point / last) for point in range(self.points)]
        else:
            levels = [start + (stop - start) * point / last for point in range(self.points)]
        return levels if self.direction == "UP" else levels[::-1]

    def _cycles(self, levels: list[float]) -> Iterator[Action]:
        smu, quantity = self.smu, self.smu.function
        for cycle in range(self.trigger_count * self.arm_count):
            if self.trigger_delay:
                yield Wait(self.trigger_delay)
            if levels:
                level = levels[cycle % self.trigger_count % len(levels)]
                yield Do(lambda level=level: smu.set_level(quantity, level))
            if self.clears:
                yield Do(lambda: setattr(smu, "output", True))
            yield Wait(AUTO_DELAY if self.auto_delay else self._delay)
            yield Measure(self.keep)
            if self.clears:
                yield Do(lambda: setattr(smu, "output", False))
