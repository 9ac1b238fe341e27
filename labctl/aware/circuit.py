"""What the arrays of a layer compute together: ends, wires and tiles of the technology in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

from labctl.aware import closed_form, tiling
from labctl.aware.technology import Technology

ClosedForm: TypeAlias = Callable[[Tensor, float, float], Tensor]
"""(..., rows, columns) [S] with source and neuron resistance [ohm] -> effective conductances [S]."""


def ideal(technology: Technology) -> bool:
    """Whether there is nothing in the circuit but devices."""
    return not (technology.source or technology.neuron or technology.wire)


def effective(siemens: Tensor, technology: Technology, closed: ClosedForm = closed_form.effective) -> Tensor:
    """[S] (..., inputs, devices) as the chip's neurons see them, for conductances in blocks, and in blocks.

    `closed` solves an array whose wires have no resistance.
    """
    if ideal(technology):
        return siemens
    if technology.tile is None and not technology.wire:
        return closed(siemens, technology.source, technology.neuron)

    def arrays(stacked: Tensor) -> Tensor:
        if technology.wire:
            from labctl.aware.wires import effective_with_wires

            return effective_with_wires(stacked, technology.source, technology.neuron, technology.wire)
        return closed(stacked, technology.source, technology.neuron)

    return tiling.stitched(siemens, technology, arrays)
