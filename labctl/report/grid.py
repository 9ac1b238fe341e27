"""Where each synapse is drawn: layers side by side, a column a neuron, a row one of its inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ABOVE = 1.3
"""Cells above the highest, for names."""
SPACE = 1.0
"""Cells between two layers."""


class Cell(NamedTuple):
    """A synapse's place, in cells from the left and from the bottom."""

    site: int
    x: float
    y: float


class Block(NamedTuple):
    """A layer's place: its left edge and its top, in cells."""

    sites: NDArray[np.intp]
    left: float
    top: float

    @property
    def upmost(self) -> list[int]:
        """The sites of its first input, one a neuron."""
        return [int(site) for site in self.sites[0]]

    @property
    def leftmost(self) -> list[int]:
        """The sites of its first neuron, one an input."""
        return [int(site) for site in self.sites[:, 0]]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The places of all synapses."""

    layers: tuple[NDArray[np.intp], ...]
    """Which site holds which synapse, shape (inputs, neurons)."""

    @property
    def rows(self) -> int:
        """Cells of the highest layer."""
        return max(len(layer) for layer in self.layers)

    @property
    def width(self) -> float:
        """Cells of all layers and what is between them."""
        return sum(layer.shape[1] + SPACE for layer in self.layers) - SPACE

    @property
    def height(self) -> float:
        """Cells of the highest layer and of the names above it."""
        return self.rows + ABOVE

    def blocks(self) -> Iterator[Block]:
        """The layers, first layer first, centred in height."""
        lefts = accumulate((layer.shape[1] + SPACE for layer in self.layers), initial=0.0)
        for left, layer in zip(lefts, self.layers, strict=False):
            yield Block(layer, left, (self.rows + len(layer)) / 2)

    def cells(self) -> Iterator[Cell]:
        """The synapses, layer by layer, input by input."""
        for block in self.blocks():
            for (row, column), site in np.ndenumerate(block.sites):
                yield Cell(int(site), block.left + column, block.top - row - 1)
