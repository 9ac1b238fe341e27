"""One channel of an emulated 2600B: what its settings, readings and trigger model do."""

from __future__ import annotations

from typing import NamedTuple

from sim_backend.emulators.k2600.trigger import Hands, Plan, Sweep, Timers
from sim_backend.emulators.lua.values import LuaError, Value, number, whole
from sim_backend.emulators.smu.core import Smu
from sim_backend.emulators.smu.model import OTHER, Quantity, Reading, Seen
from sim_backend.emulators.smu.run import Runner
from sim_backend.emulators.smu.settings import OffMode
from sim_backend.emulators.tsp.buffers import Buffer
from sim_backend.emulators.tsp.output import PARAMETER

OFF_MODES: tuple[OffMode, ...] = ("normal", "zero", "high-impedance")
NO_READING = 9.91e37
COMPLIANCE = 0x40
"""Bit of a reading's status."""
LIMIT_AUTO = -1.0
"""[not verified] What the constant is."""
KEPT = {
    "count": 1.0,
    "interval": 0.0,
    "autozero": 2.0,
    "filter.enable": 0.0,
    "filter.count": 1.0,
    "filter.type": 1.0,
    "highc": 0.0,
    "settling": 0.0,
    "sink": 0.0,
    "offlimiti": 1e-3,
    "offlimitv": 40.0,
    "offfunc": 1.0,
    "outputenableaction": 0.0,
    "delayfactor": 1.0,
    "autoclear": 0.0,
    "limitp": 0.0,
}
"""Settings that the emulator keeps and does nothing with."""
CAPACITY = 60_000
"""Readings of a buffer of its own."""


class Before(NamedTuple):
    """What a sweep changes, as it was."""

    quantity: Quantity
    level: float
    limit: float


class Channel:
    """What stands behind `smua`."""

    def __init__(self, smu: Smu, runner: Runner, timers: Timers) -> None:
        self.smu, self.runner, self._timers = smu, runner, timers
        self.buffers = [Buffer(f"smua.nvbuffer{place}", CAPACITY) for place in (1, 2)]
        self.starving = False
        """Its sweep waits for what never comes."""
        self.deliver()

    def deliver(self) -> None:
        """`smua.reset()`."""
        self.runner.stop()
        self.smu.reset()
        self.plan, self.starving = Plan(), False
        self._trigger_limits: dict[Quantity, float] = dict.fromkeys(OTHER, LIMIT_AUTO)
        self.targets: list[tuple[str, Buffer]] = []
        """Of a sweep: letter of what is kept, and where."""
        self.swept: Quantity = "volts"
        self.kept = dict(KEPT)
        self._before: Before | None = None

    # ---------------------------------------------------------------------------------- output

    @property
    def sweeping(self) -> bool:
        """Whether its trigger model is not idle."""
        return self.runner.active or self.starving

    def halt(self) -> None:
        """`smua.abort()`: idle at once, at the level that is programmed."""
        if self.sweeping:
            self.runner.stop()
            self.starving = False
            self._idle()
            self.advanced()

    def switch(self, value: Value) -> None:
        """`smua.source.output`."""
        state = whole(value, "output")
        if not 0 <= state <= 2:
            raise LuaError("Parameter, output, out of range", PARAMETER)
        if state != 1:
            self.halt()
        self.smu.output = state == 1

    def set_function(self, value: Value) -> None:
        """`smua.source.func`."""
        self.smu.function = "volts" if whole(value, "func") == 1 else "amps"

    def set_off_mode(self, value: Value) -> None:
        """`smua.source.offmode`."""
        if not 0 <= whole(value, "offmode") <= 2:
            raise LuaError("Parameter, offmode, out of range", PARAMETER)
        self.smu.modes.off_mode = OFF_MODES[whole(value)]

    def set_sense(self, value: Value) -> None:
        """`smua.sense`."""
        if not 0 <= whole(value, "sense") <= 1:
            raise LuaError("Parameter, sense, out of range", PARAMETER)
        self.smu.modes.four_wire = whole(value) == 1

    def set_level(self, quantity: Quantity, value: float) -> None:
        """`smua.source.levelv`: while it sweeps, what it goes back to."""
        if self._before is not None and self._before.quantity == quantity:
            self._before = self._before._replace(level=value)
        else:
            self.smu.set_level(quantity, value)

    def set_cycles(self, cycles: float) -> None:
        """`smua.measure.nplc`, of both quantities."""
        self.smu.set_cycles("volts", cycles)
        self.smu.set_cycles("amps", cycles)

    def trigger_limit_of(self, quantity: Quantity) -> float:
        """`smua.trigger.source.limiti`."""
        return self._trigger_limits[quantity]

    def set_trigger_limit(self, quantity: Quantity, value: Value) -> None:
        """The limit of sweeps; `LIMIT_AUTO`: that of the source."""
        limit = number(value, "limit")
        if limit != LIMIT_AUTO and not 0 < limit <= self.smu.model.scale(quantity).most:
            raise LuaError("Parameter, limit, out of range", PARAMETER)
        self._trigger_limits[quantity] = limit

    # -------------------------------------------------------------------------------- readings

    def measure(self, letters: str, given: list[Value]) -> list[Value]:
        """`measure.iv(ibuffer, vbuffer)` and its kin; the last reading."""
        targets = [(letter, _buffer(one)) for letter, one in zip(letters, given, strict=False)]
        for _, buffer in targets:
            buffer.begin()
        found: list[Value] = []
        for _ in range(int(self.kept["count"])):
            self._follow_source()
            reading = self.smu.measure()
            self._keep(targets, reading)
            found = [_value(letter, reading) for letter in letters]
        return found

    def _follow_source(self) -> None:
        """What is sourced is measured in the range that it is sourced in."""
        sourced = self.smu.function
        self.smu.set_sense_range(sourced, self.smu.source_range(sourced))

    def _keep(self, targets: list[tuple[str, Buffer]], reading: Reading) -> None:
        limited = reading.seen & (Seen.COMPLIANCE | Seen.RANGE_COMPLIANCE)
        for letter, buffer in targets:
            buffer.add(_value(letter, reading), reading.seconds, COMPLIANCE * bool(limited), reading.source)

    # ----------------------------------------------------------------------------------- sweeps

    def initiate(self) -> None:
        """`smua.trigger.initiate()`."""
        if self.sweeping:
            raise LuaError("Trigger model is not idle", 5041)
        if self.plan.sources and not self.plan.levels:
            raise LuaError("No sweep is configured", 5041)
        for _, buffer in self.targets:
            buffer.begin()
        self._follow_source()
        swept, other = self.swept, OTHER[self.swept]
        self._before = Before(swept, self.smu.level(swept), self.smu.limit(other))
        if self._trigger_limits[other] != LIMIT_AUTO:
            self.smu.set_limit(other, self._trigger_limits[other])
        hands = Hands(
            now=lambda: self.smu.clock.seconds,
            level=lambda level: self.smu.set_level(swept, level),
            idle=self._idle,
            take=lambda reading: self._keep(self.targets, reading),
            starve=self._starve,
        )
        self.runner.start(Sweep(self.plan, self._timers, hands).actions())
        self.advanced()

    def advanced(self) -> None:
        """Time has passed: a sweep that has ended by itself leaves the limit as it was."""
        if self._before is not None and not self.sweeping:
            self.smu.set_limit(OTHER[self._before.quantity], self._before.limit)
            self._before = None

    def _idle(self) -> None:
        if self._before is not None:
            self.smu.set_level(self._before.quantity, self._before.level)

    def _starve(self) -> None:
        self.starving = True
        self.runner.stop()

    def sweep(self, quantity: Quantity, levels: list[float]) -> None:
        """`trigger.source.listv(…)` and its kin."""
        if not levels:
            raise LuaError("Parameter, list, is empty", PARAMETER)
        self.swept, self.plan.levels = quantity, levels

    def keep(self, letters: str, given: list[Value]) -> None:
        """`trigger.measure.iv(…)` and its kin."""
        self.targets = [(letter, _buffer(one)) for letter, one in zip(letters, given, strict=True)]


def _value(letter: str, reading: Reading) -> float:
    """What is kept of a reading: i, v, r or p."""
    over = reading.seen & (Seen.AMPS_OVER if letter == "i" else Seen.VOLTS_OVER)
    if over or (letter in "rp" and reading.seen & (Seen.AMPS_OVER | Seen.VOLTS_OVER)):
        return NO_READING
    if letter == "r":
        return reading.volts / reading.amps if reading.amps else NO_READING
    return {"i": reading.amps, "v": reading.volts, "p": reading.volts * reading.amps}[letter]


def _buffer(value: Value) -> Buffer:
    if not isinstance(value, Buffer):
        raise LuaError("a buffer expected", PARAMETER)
    return value
