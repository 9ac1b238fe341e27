"""What was found of a crossbar's lines as a `[technology]` table: training that is aware of this very one."""

from __future__ import annotations

import math

import numpy as np

from labctl.characterize.procedure import Figures
from labctl.errors import Refused
from labctl.quantity import format_quantity
from labctl.spec import Spec

CLEARLY = 3.0
"""Half intervals below 0 at which what was found can be no resistance."""


def technology(spec: Spec, figures: Figures) -> str:
    """The `[technology]` table [TOML] of the crossbar with these figures; empty where they are not known.

    One wire stands for both directions, weighted by how well each is known. A resistance that is not to be
    told from 0 is 0 there, and the comment says what was found.
    """
    known = {name: float(figures.get(name, math.nan)) for name in _NAMES}
    if not all(map(math.isfinite, known.values())):
        return ""
    pairs = {name: (known[name], known[f"{name}_error"]) for name in ("source", "neuron")}
    pairs["wire"] = _wire(known)
    rows = [_resistance(name, *pair) for name, pair in pairs.items()]
    if spec.window is not None:
        low, high = spec.window
        rows = [f'on = "{_ohms(1 / high)}"', f'off = "{_ohms(1 / low)}"', *rows]
    return "\n".join([f"# of {spec.name}, from reads (labctl characterize lines)", "[technology]", *rows, ""])


_NAMES = tuple(
    name + end for name in ("source", "neuron", "row_wire", "column_wire") for end in ("", "_error")
)


def _wire(known: dict[str, float]) -> tuple[float, float]:
    """Mean of both directions [ohm] and half of its interval; by 1 / error^2."""
    values = np.array([known["row_wire"], known["column_wire"]])
    errors = np.array([known["row_wire_error"], known["column_wire_error"]])
    if not (errors > 0).all():
        return float(values.mean()), float(errors.max())
    weights = errors**-2 / (errors**-2).sum()
    return float(weights @ values), float((errors**-2).sum() ** -0.5)


def _resistance(name: str, ohms: float, error: float) -> str:
    if ohms < -CLEARLY * error and ohms < -1e-6:
        raise Refused(
            f"{name} comes to {_ohms(ohms)} +- {_ohms(error)}, which no resistance can be",
            allowed="rows driven at column 0, columns that end at row 0, linear devices",
        )
    return f'{name} = "{_ohms(max(ohms, 0.0))}"  # {_ohms(ohms)} +- {_ohms(error)}'


def _ohms(value: float) -> str:
    return format_quantity(value, "ohm", 5)
