"""What can stand behind terminals: columns of something that levels are held on and waves are played to."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labctl.errors import BadConfig
from labctl.pulse import Floats
from sim_backend.simulated import Samples


class Held(NamedTuple):
    """What a level came to."""

    amps: float
    """[A] out of the source, mean over the window."""
    volts: float
    """[V] at the terminals, mean over the window."""
    limited: bool
    """Whether the current limit was in force at any time in the window."""


@dataclass(frozen=True, slots=True)
class Resistors:
    """Plain resistors: `ohms` of each column; infinity is an open one, 0 is refused."""

    ohms: tuple[float, ...]
    series: float = 0.0
    """[ohm] in front of all of them."""


class Load(ABC):
    """Columns of something; `Terminals` gives it only levels of positive length, or none to look at."""

    columns: int

    @abstractmethod
    def hold(self, closed: Sequence[int], volts: float, seconds: float, limit: float) -> Held:
        """One level for `seconds` [s]; 0: what flows at once, and nothing moves."""

    @abstractmethod
    def wave(self, closed: Sequence[int], seconds: Floats, volts: Floats) -> Samples:
        """Straight lines between corners, without a limit."""

    @abstractmethod
    def siemens(self, volts: float) -> list[float]:
        """[S] of each column by itself at `volts`, what is in series included; nothing moves."""

    def rest(self, seconds: float) -> None:
        """Nothing is connected for so long."""

    def expect_several(self) -> None:
        """Several columns may be closed at once: what takes long the first time is done now."""


class PlainLoad(Load):
    """Plain resistors."""

    def __init__(self, resistors: Resistors) -> None:
        if not resistors.ohms or not all(ohms + resistors.series > 0 for ohms in resistors.ohms):
            raise BadConfig(f"resistors of {resistors.ohms} ohm", allowed="one or more, each above 0 ohm")
        self._resistors = resistors
        self.columns = len(resistors.ohms)
        self._known: dict[tuple[int, ...], float] = {}

    def hold(self, closed: Sequence[int], volts: float, seconds: float, limit: float) -> Held:
        amps = volts * self._together(closed)
        if abs(amps) <= limit:
            return Held(amps, volts, limited=False)
        return Held(math.copysign(limit, amps), math.copysign(limit, amps) / self._together(closed), True)

    def wave(self, closed: Sequence[int], seconds: Floats, volts: Floats) -> Samples:
        steps = np.diff(seconds)
        weights = np.zeros(len(seconds))
        weights[1:] += steps / 2
        weights[:-1] += steps / 2
        return Samples(weights, volts, volts * self._together(closed))

    def siemens(self, volts: float) -> list[float]:
        return [self._together((column,)) for column in range(self.columns)]

    def _together(self, closed: Sequence[int]) -> float:
        key = tuple(closed)
        if key not in self._known:
            parallel = sum(1 / self._resistors.ohms[column] for column in key)
            self._known[key] = 1 / (self._resistors.series + 1 / parallel) if parallel else 0.0
        return self._known[key]
