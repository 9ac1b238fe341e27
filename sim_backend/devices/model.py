"""What a device model is: two equations, and what there is to know about their parameters.

A model has a current I(v, x) [A] and a rate dx/dt = f(v, x) [1/s] of one state x, from 0 (high
resistance) to 1 (low). Both are kernels in the small language of `sim_backend.devices.spice`, from
which the fast twin and every circuit simulator get the same expressions. To the simulators a device
is a row of numbers::

    [number of the model, speed, scale, shunt, *values of the parameters]

    dx/dt = speed f(v, x)          I = scale I(v, x) + shunt v

The head of the row is what may happen to a device of any kind: a stuck one has no speed, an open
one no scale, a short or a leak is a shunt [S], and read noise is a scale that is not quite 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats

SPEED, SCALE, SHUNT, HEAD = 1, 2, 3, 4
"""Places in a row; the values of the parameters begin at `HEAD`."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of a model."""

    name: str
    unit: str
    """SI; "" for a pure number."""
    meaning: str
    low: float
    high: float
    """Values that make sense: a file with another is refused, a fit stays between."""
    default: float | None = None
    """For a file that does not give it; None: every file must."""
    logarithmic: bool = False
    """It lives on a logarithmic scale: `low` is above 0, and a fit takes steps of its logarithm."""
    additive: bool = False
    """Its spread is in its own unit, because it may be 0 or less; otherwise spreads are of the logarithm."""

    def allowed(self) -> str:
        """The range, for a message and for the documentation."""
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()


class Derived(NamedTuple):
    """A number that follows from parameters alone, worked out once: a kernel of some of them, by name."""

    function: Callable[..., float]
    parameters: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Model:
    """One device model. `current` and `rate` take v [V], x, and parameters and `derived` by name."""

    name: str
    number: int
    """What the rows of its devices begin with (`sim_backend.devices.equations` goes by it)."""
    title: str
    source: str
    """The papers."""
    parameters: tuple[Parameter, ...]
    """In the order of a row."""
    current: Callable[..., float]
    rate: Callable[..., float]
    derived: Mapping[str, Derived]
    tolerance: float = 1.0
    """How much of its usual tolerance the fast twin grants it for each step of one device."""
    reltol: float = 1e-5
    """ngspice's. A model whose rates feed on themselves needs both closer: errors grow as the state does."""

    def __repr__(self) -> str:
        """The same in every process: chips go by it."""
        return f"Model({self.name!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters, in the order of a row."""
        return tuple(parameter.name for parameter in self.parameters)

    def row(self, values: Mapping[str, float]) -> Floats:
        """The row of a healthy device, shape (HEAD + parameters,)."""
        return np.array([self.number, 1.0, 1.0, 0.0, *(values[name] for name in self.names)])

    def values(self, row: Floats) -> dict[str, float]:
        """The parameters in a row, by name."""
        return dict(zip(self.names, map(float, row[HEAD:]), strict=True))

    def arguments(self, values: Mapping[str, float]) -> dict[str, float]:
        """What the equations take beside v and x: the parameters and what is derived from them."""
        derived = {
            name: float(function(*(values[name] for name in parameters)))
            for name, (function, parameters) in self.derived.items()
        }
        return {**values, **derived}

    def places(self, names: Sequence[str]) -> list[int]:
        """Where in a row these parameters stand."""
        return [HEAD + self.names.index(name) for name in names]
