"""The device models there are, by name; and that of a row of numbers."""

from __future__ import annotations

from labctl.pulse import Floats
from sim_backend.devices import metastable, sdc, vteam, yakopcic
from sim_backend.devices.model import HEAD, Model, Parameter

__all__ = ["DEFAULT", "HEAD", "MODELS", "Model", "Parameter", "arguments", "of"]

MODELS: dict[str, Model] = {module.MODEL.name: module.MODEL for module in (metastable, sdc, vteam, yakopcic)}
DEFAULT = "sdc"
"""Where a bench does not say which."""
_BY_NUMBER = {float(model.number): model for model in MODELS.values()}


def of(row: Floats) -> Model:
    """The model that this row belongs to; `ValueError` if it is no model's."""
    model = _BY_NUMBER.get(float(row[0]))
    if model is None:
        raise ValueError(f"{row[0]} is the number of no model")
    return model


def arguments(row: Floats) -> dict[str, float]:
    """What the equations of a row's model take beside v and x, by name."""
    model = of(row)
    return model.arguments(model.values(row))
