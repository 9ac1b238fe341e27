"""Weights as conductances, and currents back as weights: what arrays hold for a layer.

A weight w in [-limit, limit] is a difference of two conductances, both inside the window of the
technology, and linear in w. As `pairs`, the two share a row and move against each other about the
middle of the window; as `reference`, one moves and the other stays in the middle, in a column that an
array has once. Inside torch, columns of devices are in *blocks*: all plus before all minus, or all weights
before the references (one for each array side by side); a chip has them as `targets` orders them.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from labctl.aware import tiling
from labctl.aware.technology import Technology
from labctl.errors import Refused

ROUNDING = 1e-6
"""Of single precision: a weight that was brought to the limit may round to a little more."""


def siemens(weights: Tensor, limit: float, technology: Technology) -> Tensor:
    """[S] (inputs, devices) in blocks, for weights (inputs, outputs); differentiable.

    Raises `Refused` for weights that the window cannot hold: beyond the limit, or not a number.
    """
    check(weights, limit)
    step, middle = weights * slope(limit, technology), sum(technology.window) / 2
    if technology.weights == "pairs":
        return torch.cat([middle + step, middle - step], dim=-1)
    reference = weights.new_full((*weights.shape[:-1], 1), middle)
    return tiling.with_references(torch.cat([middle + step, reference], dim=-1), technology)


def slope(limit: float, technology: Technology) -> float:
    """[S] by which one device moves for a unit of weight."""
    low, high = technology.window
    return (high - low) / 2 / limit


def scale(limit: float, technology: Technology) -> float:
    """[S] of difference for a unit of weight."""
    return slope(limit, technology) * (2 if technology.weights == "pairs" else 1)


def difference(columns: Tensor, technology: Technology) -> Tensor:
    """What neurons make of columns in blocks (last axis): plus less minus, or each less its reference."""
    outputs = tiling.outputs_of(columns.shape[-1], technology)
    first, second = columns[..., :outputs], columns[..., outputs:]
    if second.shape[-1] in {1, outputs}:
        return first - second
    arrays = tiling.tiles(1, outputs, technology)
    shared = [array.across for array in arrays for _ in range(array.outputs.stop - array.outputs.start)]
    return first - second[..., shared]


def physical(columns: Tensor, technology: Technology) -> Tensor:
    """Columns as they lie on the chip, from blocks (last axis): array beside array, in each plus_0, minus_0,
    plus_1, minus_1..., or its weights and then its reference."""
    rows, devices = columns.shape[-2:]
    outputs = tiling.outputs_of(devices, technology)
    arrays = [replace(array, rows=slice(0, rows)) for array in tiling.tiles(1, outputs, technology)]
    return torch.cat([array.devices(columns, outputs) for array in arrays], dim=-1)


def check(weights: Tensor, limit: float) -> None:
    """Raises `Refused` for weights beyond the limit, or not a number."""
    largest = float(weights.detach().abs().max()) if weights.numel() else 0.0
    if not largest <= limit * (1 + ROUNDING):
        raise Refused(
            f"a weight of {largest:.6g}, which the window of conductances cannot hold",
            allowed=f"-{limit:g} to {limit:g}",
            todo="call `project()` after each step of the optimiser, or build the layer with a larger limit",
        )
