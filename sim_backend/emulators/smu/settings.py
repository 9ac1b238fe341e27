"""Settings of a source-measure unit, by quantity: one that does not fit raises `Unfit`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from sim_backend.emulators.smu.model import OTHER, Quantity, SmuModel, Unfit, Wrong

OffMode: TypeAlias = Literal["normal", "zero", "high-impedance", "guard"]
EPS = 1 + 1e-9
"""For rounding."""


@dataclass(slots=True)
class Side:
    """All settings of volts, or of amps."""

    level: float = 0.0
    source_range: float = 0.0
    source_auto: bool = True
    limit: float = 0.0
    """[V or A] while the other is sourced."""
    sense_range: float = 0.0
    sense_auto: bool = True
    cycles: float = 1.0


@dataclass(slots=True)
class Modes:
    """The settings that belong to no quantity."""

    function: Quantity = "volts"
    off_mode: OffMode = "normal"
    trips_off: bool = False
    """Off by itself when the limit is met."""
    four_wire: bool = False
    most_volts: float = math.inf
    """[V] Over-voltage protection: no level and no limit above it."""
    sensed: tuple[Quantity, ...] = field(default=("volts", "amps"))
    """What a reading measures."""


class SmuSettings(ABC):
    """Level, ranges, limit and aperture of volts and of amps."""

    def __init__(self, model: SmuModel) -> None:
        self.model, self.modes = model, Modes()
        self._sides: dict[Quantity, Side] = {}
        self.deliver()

    def deliver(self) -> None:
        """Everything as it was delivered."""
        self.modes = Modes()
        for quantity, limit in zip(OTHER, self.model.default_limits, strict=True):
            scale = self.model.scale(quantity)
            top = scale.fitting(limit)
            self._sides[quantity] = Side(
                source_range=scale.ranges[0], limit=limit, sense_range=top, cycles=self.model.default_cycles
            )

    @abstractmethod
    def check(self, quantity: Quantity, level: float, limit: float) -> None:
        """Raise `Unfit` if this level and the limit of the other do not go together."""

    @abstractmethod
    def tell(self) -> None:
        """The level has changed."""

    def level(self, quantity: Quantity) -> float:
        """[V or A] of the source."""
        return self._sides[quantity].level

    def check_level(self, quantity: Quantity, value: float) -> float:
        """The range for a level that may be sourced; raises `Unfit` for another."""
        side, scale = self._sides[quantity], self.model.scale(quantity)
        full = scale.fitting(value) if side.source_auto else side.source_range
        if not abs(value) <= full * scale.over * EPS:
            raise Unfit(Wrong.RANGE)
        self.check(quantity, value, self._sides[OTHER[quantity]].limit)
        return full

    def set_level(self, quantity: Quantity, value: float) -> None:
        """In steps of its resolution; takes effect at once."""
        full, side = self.check_level(quantity, value), self._sides[quantity]
        step = full * self.model.scale(quantity).source_step
        side.level, side.source_range = round(value / step) * step, full
        self.tell()

    def source_range(self, quantity: Quantity) -> float:
        """[V or A] full scale of the source."""
        return self._sides[quantity].source_range

    def set_source_range(self, quantity: Quantity, value: float) -> None:
        """A fixed one; refused if the level is beyond it."""
        side, scale = self._sides[quantity], self.model.scale(quantity)
        full = scale.above(abs(value))
        if abs(side.level) > full * scale.over * EPS:
            raise Unfit(Wrong.CONFLICT)
        side.source_range, side.source_auto = full, False

    def source_auto(self, quantity: Quantity) -> bool:
        """Whether the range follows the level."""
        return self._sides[quantity].source_auto

    def set_source_auto(self, quantity: Quantity, on: bool) -> None:
        """Let it follow, or stay where it is."""
        side = self._sides[quantity]
        side.source_auto = on
        if on:
            side.source_range = self.model.scale(quantity).fitting(side.level)

    def limit(self, quantity: Quantity) -> float:
        """[V or A] most of it while the other is sourced."""
        return self._sides[quantity].limit

    def set_limit(self, quantity: Quantity, value: float) -> None:
        """Of either sign, so it has none."""
        scale, side = self.model.scale(quantity), self._sides[quantity]
        least = self.model.least_limits[quantity == "amps"]
        if not least / EPS <= value <= scale.most * EPS:
            raise Unfit(Wrong.RANGE)
        self.check(OTHER[quantity], self._sides[OTHER[quantity]].level, value)
        side.limit = value
        if self.model.limit_holds_range:
            side.sense_range = min(side.sense_range, scale.fitting(value))

    def sense_range(self, quantity: Quantity) -> float:
        """[V or A] full scale of the measurement."""
        return self._sides[quantity].sense_range

    def set_sense_range(self, quantity: Quantity, value: float) -> None:
        """A fixed one."""
        scale, side = self.model.scale(quantity), self._sides[quantity]
        full = scale.above(abs(value))
        held = self.model.limit_holds_range and quantity != self.modes.function
        if held and full > scale.fitting(side.limit):
            raise Unfit(Wrong.COMPLIANCE)
        side.sense_range, side.sense_auto = full, False

    def sense_auto(self, quantity: Quantity) -> bool:
        """Whether the range follows the reading."""
        return self._sides[quantity].sense_auto

    def set_sense_auto(self, quantity: Quantity, on: bool) -> None:
        """Let it follow, or stay where it is."""
        self._sides[quantity].sense_auto = on

    def cycles(self, quantity: Quantity) -> float:
        """Aperture in power line cycles."""
        return self._sides[quantity].cycles

    def set_cycles(self, quantity: Quantity, cycles: float) -> None:
        """Aperture in power line cycles."""
        low, high = self.model.cycles
        if not low / EPS <= cycles <= high * EPS:
            raise Unfit(Wrong.RANGE)
        self._sides[quantity].cycles = cycles

    def aperture(self, quantity: Quantity) -> float:
        """[s] of a reading."""
        return self._sides[quantity].cycles / self.model.line_hertz

    def set_aperture(self, quantity: Quantity, seconds: float) -> None:
        """[s] of a reading."""
        self.set_cycles(quantity, seconds * self.model.line_hertz)
