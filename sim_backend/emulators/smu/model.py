"""What a source-measure unit can do, in numbers: ranges, resolution, envelope, apertures, noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple, TypeAlias

Quantity: TypeAlias = Literal["volts", "amps"]
OTHER: dict[Quantity, Quantity] = {"volts": "amps", "amps": "volts"}


class Wrong(Enum):
    """Why an instrument refuses."""

    RANGE = "beyond what it, or the chosen range, can do"
    CONFLICT = "not together with its other settings"
    POWER = "more than the envelope allows"
    COMPLIANCE = "a measure range above the compliance range"
    OFF = "not while the output is off"
    INTERLOCK = "not while the interlock is open"
    BUSY = "not while something is under way"
    EMPTY = "there is no reading"


class Unfit(Exception):
    """The source-measure unit refuses; its front says so with a code of its own."""

    def __init__(self, wrong: Wrong) -> None:
        self.wrong = wrong
        super().__init__(wrong.value)


class Seen:
    """What was the matter with a reading: bits. Plain numbers, because an enum's are slow."""

    FINE = 0
    COMPLIANCE = 1
    """The limit of the user was in force."""
    RANGE_COMPLIANCE = 2
    """The fixed measure range limited the source."""
    VOLTS_OVER = 4
    """The voltage was beyond its measure range."""
    AMPS_OVER = 8


class Reading(NamedTuple):
    """One measurement."""

    volts: float
    amps: float
    source: float
    """[V or A] as programmed."""
    seconds: float
    """[s] of the instrument's clock when its aperture opened."""
    seen: int
    """Bits of `Seen`."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How one quantity is sourced and measured."""

    ranges: tuple[float, ...]
    """[V or A] full scales, lowest first."""
    most: float
    """[V or A] the highest level."""
    source_step: float
    """[1] of the range: resolution of the source."""
    measure_step: float
    """[1] of the range: resolution of a reading."""
    noise: float
    """[1 rms] of the range, at one power line cycle."""
    over: float = 1.05
    """[1] of a range that is still in it."""

    def fitting(self, value: float) -> float:
        """The lowest range that holds a value; raises `Unfit`."""
        for full in self.ranges:
            if abs(value) <= full * self.over * _ROUNDING:
                return full
        raise Unfit(Wrong.RANGE)

    def above(self, value: float) -> float:
        """The range that a command with this value chooses: the lowest that is not below it."""
        for full in self.ranges:
            if 0 <= value <= full * _ROUNDING:
                return full
        if 0 <= value <= self.most * _ROUNDING:
            return self.ranges[-1]
        raise Unfit(Wrong.RANGE)


_ROUNDING = 1 + 1e-9


@dataclass(frozen=True, slots=True)
class SmuModel:
    """One model; the numbers of the three that there are stand in their own files."""

    volts: Scale
    amps: Scale
    envelope: tuple[tuple[float, float], ...]
    """[V], [A]: up to so many volts so many amps, lowest volts first."""
    cycles: tuple[float, float]
    """Shortest and longest aperture in power line cycles."""
    default_limits: tuple[float, float]
    """[V] while sourcing amps, [A] while sourcing volts."""
    default_cycles: float = 1.0
    least_limits: tuple[float, float] = (0.0, 0.0)
    """[V], [A] the lowest that a limit can be."""
    line_hertz: float = 50.0
    longest_delay: float = 9999.999
    interlock_volts: float = math.inf
    """[V] that need a closed interlock; 0: any output at all does."""
    range_limits: bool = False
    """A fixed measure range below the limit limits the source."""
    limit_holds_range: bool = False
    """A measure range cannot be set above the range of the limit."""

    def scale(self, quantity: Quantity) -> Scale:
        """That of volts or amps."""
        return self.volts if quantity == "volts" else self.amps

    def allows(self, volts: float, amps: float) -> bool:
        """Whether both together are within the envelope."""
        return any(abs(volts) <= v * _ROUNDING and abs(amps) <= a * _ROUNDING for v, a in self.envelope)
