"""What happens to the devices of a chip between and beside their pulses: noise that remembers, drift, wear.

Each device keeps the little that this needs in the chip's memory, and is brought up to date when the
next pulse reaches it; until then nobody could have seen it. Time is the time of the pulses, waits
included: a chip at rest between two programs does not age.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats
from sim_backend.devices.ageing import MOVED
from sim_backend.devices.model import SCALE, SHUNT, SPEED
from sim_backend.devices.unrest import Unrest

LAST, AGE, LEFT, LIVED, FULL, REST, LEVELS = range(7)
"""Rows of the memory: [s] when a device was last up to date, [s] since its state was written, its state
when it was left, erasing pulses so far, whether its trap is full, the state that it relaxes to; then the
flicker processes."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """Which of them are drawn."""

    flicker: bool = False
    telegraph: bool = False
    relaxation: bool = False
    retention: bool = False
    wear: bool = False

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        return self.flicker or self.telegraph or self.relaxation or self.retention or self.wear


class Coming(NamedTuple):
    """The pulse that is about to reach a device."""

    seconds: float
    repeats: int = 1
    writing: bool = False
    """Meant to change the state; otherwise it reads."""
    erasing: bool = False
    """Meant to lower it: a new cycle begins."""


class Restless:
    """The unrest of `sites` devices. `fresh(salt)` is a generator for what each of them is born with."""

    def __init__(
        self, unrest: Unrest, kinds: Kinds, sites: int, fresh: Callable[[int], np.random.Generator]
    ) -> None:
        self.unrest = unrest
        self.kinds = kinds
        self._sites = sites
        retention, wear = unrest.retention, unrest.wear
        self._exponents = retention.exponent * np.exp(retention.spread * fresh(0).standard_normal(sites))
        self._lives = np.array([wear.life(uniform) for uniform in fresh(1).random(sites)])
        self._trapped = fresh(2).random(sites) < unrest.telegraph.share
        self._fresh = fresh

    @property
    def rows(self) -> int:
        """Of the memory that it needs."""
        if not self.kinds.any:
            return 0
        return LEVELS + (len(self.unrest.flicker.relaxations) if self.kinds.flicker else 0)

    def at_birth(self, x: Floats) -> Floats:
        """The memory of new devices in the states `x`, shape (rows, sites)."""
        memory = np.zeros((self.rows, self._sites))
        if self.rows:
            memory[LEFT] = memory[REST] = x
            memory[LEVELS:] = self._fresh(3).standard_normal(memory[LEVELS:].shape)
        return memory

    def befall(
        self, site: int, now: float, coming: Coming, memory: Floats, x: Floats, row: Floats,
        draw: np.random.Generator,
    ) -> None:  # fmt: skip
        """Bring a device up to `now` [s], `x` and `memory` in place, and its `row` for what is coming."""
        elapsed = now - memory[LAST, site]
        memory[LAST, site] = now
        normals, uniforms = draw.standard_normal(len(memory) - REST), draw.random(2)
        if self.kinds.flicker:
            flicker = self.unrest.flicker
            memory[LEVELS:, site] = flicker.step(memory[LEVELS:, site], elapsed, normals[1:])
            row[SCALE] *= flicker.factor(memory[LEVELS:, site], coming.seconds)
        if self.kinds.telegraph and self._trapped[site]:
            telegraph = self.unrest.telegraph
            full = uniforms[0] < telegraph.probability(bool(memory[FULL, site]), elapsed)
            memory[FULL, site] = float(full)
            row[SCALE] *= telegraph.factor(full)
        if self.kinds.relaxation or self.kinds.retention:
            self._rest(site, elapsed, float(normals[0]), float(uniforms[1]), memory, x)
        if self.kinds.wear:
            self._wear(site, coming, memory, row)

    def _rest(
        self, site: int, elapsed: float, normal: float, uniform: float, memory: Floats, x: Floats
    ) -> None:
        """What a rest of `elapsed` [s] does to a state."""
        left, relaxation = float(memory[LEFT, site]), self.unrest.relaxation
        grown = float(x[site]) - left
        if abs(grown) > MOVED * (abs(left) + 0.01):  # the last pulse wrote it
            memory[AGE, site] = 0.0
            memory[REST, site] = relaxation.settled(float(x[site]), normal) if grown > 0 else x[site]
        if self.kinds.relaxation:
            rest = float(memory[REST, site])
            x[site] = rest + (float(x[site]) - rest) * relaxation.remaining(elapsed)
        if self.kinds.retention:
            self._forget(site, elapsed, uniform, memory, x)
        memory[AGE, site] += elapsed
        memory[LEFT, site] = x[site]

    def _forget(self, site: int, elapsed: float, uniform: float, memory: Floats, x: Floats) -> None:
        retention = self.unrest.retention
        kept = retention.kept(float(self._exponents[site]), float(memory[AGE, site]), elapsed)
        if uniform < retention.probability_of_jump(elapsed):
            kept = 0.0
        x[site] *= kept
        memory[REST, site] *= kept

    def _wear(self, site: int, coming: Coming, memory: Floats, row: Floats) -> None:
        if coming.erasing:
            memory[LIVED, site] += coming.repeats
        lived, life = float(memory[LIVED, site]), float(self._lives[site])
        row[SHUNT] += self.unrest.wear.shunt(lived, life)
        if lived >= life:
            row[SPEED] = 0.0
