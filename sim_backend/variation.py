"""How the devices of a chip differ: which spreads are drawn, how, and which sites do not work.

Spreads are either those of the device's own file, or one number for all parameters, as studies vary
it. Both are of the logarithm, or, for a parameter that may be 0 or less (`additive`), in its own unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from labctl.pulse import Floats, Indices
from sim_backend.devices.model import HEAD, Model
from sim_backend.unrest import Kinds

FAULTS = ("low", "high", "open", "short")
"""What can be wrong with a site."""
_TOGETHER = ("af", "ar")
"""Junctions of one device that must stay equal, or it would give a current at 0 V."""


@dataclass(frozen=True, slots=True)
class Variability:
    """Which of the device's spreads are drawn; none by default."""

    device_to_device: bool = False
    cycle_to_cycle: bool = False
    read_noise: bool = False
    unrest: Kinds = field(default_factory=Kinds)
    variation: float | None = field(default=None, repr=False)
    """[1] One spread for every parameter between devices, in place of those of the device's file."""
    neuron_offset: float = field(default=0.0, repr=False)
    """[V rms] Input offset of the neurons' op-amps."""

    @property
    def text(self) -> str:
        """All of it in words that last; what came later is told where it is used, so that old chips stay."""
        later = [] if self.variation is None else [f" variation {self.variation}"]
        later += [f" neuron_offset {self.neuron_offset}"] if self.neuron_offset else []
        return "".join([str(self), *later])


@dataclass(frozen=True, slots=True)
class Faults:
    """Sites that do not work: by number, so many of the others, and by the part of the rest."""

    low: tuple[int, ...] = ()
    """Stuck in the high-resistance state (low conductance)."""
    high: tuple[int, ...] = ()
    """Stuck in the low-resistance state (high conductance)."""
    open: tuple[int, ...] = ()
    short: tuple[int, ...] = ()
    low_part: float = 0.0
    high_part: float = 0.0
    open_part: float = 0.0
    short_part: float = 0.0
    low_count: int = field(default=0, repr=False)
    high_count: int = field(default=0, repr=False)
    open_count: int = field(default=0, repr=False)
    short_count: int = field(default=0, repr=False)

    @property
    def named(self) -> tuple[int, ...]:
        """All sites that are named, once for each time that they are."""
        return (*self.low, *self.high, *self.open, *self.short)

    @property
    def counts(self) -> dict[str, int]:
        """How many sites are to be drawn, by what is wrong with them."""
        return {name: getattr(self, f"{name}_count") for name in FAULTS}

    @property
    def text(self) -> str:
        """All of it in words that last; what came later is told where it is used, so that old chips stay."""
        return f"{self}{self.counts if any(self.counts.values()) else ''}"

    def kinds(self, uniforms: Floats, order: Indices) -> list[str]:
        """What each site is, shape (sites,): "" is a good one.

        `uniforms` is a number between 0 and 1 for each, `order` (sites,) one in which sites are taken: low
        ones from its beginning, high ones from its end, so that one more of either leaves the others.
        """
        bounds = np.cumsum([self.low_part, self.high_part, self.open_part, self.short_part])
        names = (*FAULTS, "")
        places = [int(np.searchsorted(bounds, float(one), side="right")) for one in uniforms]
        found = [names[place] for place in places]
        free = [int(site) for site in order if int(site) not in self.named]
        for name, count in self.counts.items():
            for _ in range(count):
                found[free.pop(-1 if name == "high" else 0)] = name
        for name in FAULTS:
            for site in getattr(self, name):
                found[site] = name
        return found


class Spread:
    """What the parameters of one kind of device are drawn with."""

    def __init__(self, model: Model, sigmas: Mapping[str, float]) -> None:
        parameters = model.parameters
        self.sigmas = np.array([sigmas.get(one.name, 0.0) for one in parameters])
        """shape (parameters,): of the logarithm, or in the parameter's own unit."""
        self._added = np.array([one.additive for one in parameters])

    def __call__(self, rows: Floats, normals: Floats) -> Floats:
        """Rows (..., head + parameters) with what they differ by, from normals (..., parameters)."""
        drawn, values = self.sigmas * normals, rows[..., HEAD:]
        spread = rows.copy()
        spread[..., HEAD:] = np.where(self._added, values + drawn, values * np.exp(drawn))
        return spread


def varied(model: Model, rows: Floats, sigma: float, draw: np.random.Generator) -> Floats:
    """Rows (sites, head + parameters) of devices that differ by `sigma` in every parameter.

    Log-normal; for additive parameters normal, with `sigma` times the magnitude. What is 0 stays, and so
    does what stands at the upper end of its range: the one says that a device has none of it, the
    other that it has all. What would leave its range is drawn again.
    """
    low, high = (np.array([getattr(one, end) for one in model.parameters]) for end in ("low", "high"))
    found, values = rows.copy(), rows[0, HEAD:]
    stays = (values == 0.0) | (values == high)
    sigmas = {
        one.name: 0.0 if stay else sigma * (abs(float(value)) if one.additive else 1.0)
        for one, value, stay in zip(model.parameters, values, stays, strict=True)
    }
    spread, again = Spread(model, sigmas), np.ones((len(rows), len(values)), dtype=np.bool_)
    while again.any():
        normals = draw.standard_normal(again.shape)
        if set(_TOGETHER) <= set(model.names):
            first, second = (place - HEAD for place in model.places(_TOGETHER))
            normals[:, second] = normals[:, first]
        found[:, HEAD:][again] = spread(rows, normals)[:, HEAD:][again]
        again = ~((found[:, HEAD:] >= low) & (found[:, HEAD:] <= high))
    return found
