"""Tiles: small squares of crossings as blocks, made many at a time, and trimmed at the crossbar's edges.

The smallest block is one crossing: its device, and the wires to its left and right, below and above it.
Sources and neurons are the outermost of those wires, so no block is special. All crossings of a region are
one stack; neighbours are joined side by side and one above the other until tiles are left, with a few numpy
calls a level. What a tile then has beyond the crossbar (its size is a power of 2) is cut off, and so are its
ports at edges where nothing more can be joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.merging import BELOW, BESIDE, Block, Counts, joined

Integers: TypeAlias = NDArray[np.intp]

Place: TypeAlias = tuple[int, int]
"""(down, across) of a tile."""

LARGEST = 32
"""Crossings along a tile: beyond it, one pair at a time is as fast as a stack."""


@dataclass(frozen=True)
class Tiling:
    """How a crossbar is cut into tiles."""

    crossbar: Crossbar

    @cached_property
    def size(self) -> tuple[int, int]:
        """Crossings of a tile along its columns and its rows: (height, width)."""
        return _power_of_2(self.crossbar.rows), _power_of_2(self.crossbar.columns)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """How many tiles: (down, across)."""
        height, width = self.size
        return -(-self.crossbar.rows // height), -(-self.crossbar.columns // width)

    def blocks(self, places: Sequence[Place]) -> dict[Place, Block]:
        """These tiles, each a block with the ports that it has; made as one stack."""
        found = self._stack(places)
        while (shape := found.matrix.shape[1:3]) != (1, 1):
            if shape[1] > 1:
                found = joined(_of(found, np.s_[:, :, 0::2]), _of(found, np.s_[:, :, 1::2]), BESIDE)
            if shape[0] > 1:
                found = joined(_of(found, np.s_[:, 1::2]), _of(found, np.s_[:, 0::2]), BELOW)
        return {place: self._trimmed(found.matrix[at, 0, 0], *place) for at, place in enumerate(places)}

    def _trimmed(self, matrix: Floats, i: int, j: int) -> Block:
        bar, (height, width), (tall, wide) = self.crossbar, self.size, self.shape
        rows = min(height, bar.rows - i * height)
        columns = min(width, bar.columns - j * width)
        right = rows if j < wide - 1 or bar.far_source_ohms is not None else 0
        top = columns if i > 0 or bar.far_sink_ohms is not None else 0
        answers = (rows if j > 0 else 0, right, top, columns)
        givens = (rows, right, top, columns if i < tall - 1 else 0)
        sides = (height, height, width, width)
        kept = np.ix_(_ports(answers, sides), _ports(givens, sides))
        return Block(matrix[kept], answers, givens)

    def _stack(self, places: Sequence[Place]) -> Block:
        """Every crossing as a block: a stack (tiles, rows, columns); beyond the crossbar, 0 S and 0 ohm."""
        bar, (height, width) = self.crossbar, self.size
        down, across = np.array(places).T
        i = (down[:, None] * height + np.arange(height))[:, :, None]
        j = (across[:, None] * width + np.arange(width))[:, None, :]
        known = bar.siemens[np.minimum(i, bar.rows - 1), np.minimum(j, bar.columns - 1)]
        siemens = known * ((i < bar.rows) & (j < bar.columns))
        left = _at(bar.source_ohms, i) * (j == 0)
        right: Floats = _at(bar.far_source_ohms, i) * (j == bar.columns - 1)
        below = _at(bar.sink_ohms, j) * (i == bar.rows - 1)
        above: Floats = _at(bar.far_sink_ohms, j) * (i == 0)
        right = right + bar.row_wire_ohms * ((i < bar.rows) & (j < bar.columns - 1))
        above = above + bar.column_wire_ohms * ((i > 0) & (i < bar.rows) & (j < bar.columns))
        return crossings(siemens, left, right, below, above)


def crossings(siemens: Floats, left: Floats, right: Floats, below: Floats, above: Floats) -> Block:
    """A block for each crossing, of its device [S] and the four wires at it [ohm], all of one shape."""
    through = siemens / (1 + siemens * (left + below))  # the device's current, by each given
    device = np.stack([through, -through * left, -through * below, -through], axis=-1)
    matrix = np.stack([device, -left[..., None] * device, below[..., None] * device, device], axis=-2)
    matrix[..., 0, 1] += 1
    matrix[..., 1, 0] += 1
    matrix[..., 1, 1] -= left + right
    matrix[..., 2, 3] += 1
    matrix[..., 2, 2] += below + above
    matrix[..., 3, 2] += 1
    return Block(matrix, (1, 1, 1, 1), (1, 1, 1, 1))


def _at(ohms: Floats | None, lines: Integers) -> Floats:
    """Of these lines, 0 for those that are not there."""
    if ohms is None:
        return np.zeros(lines.shape)
    return np.where(lines < ohms.size, ohms[np.minimum(lines, ohms.size - 1)], 0.0)


def _of(stack: Block, which: tuple[slice, ...]) -> Block:
    return Block(stack.matrix[which], stack.answers, stack.givens)


def _ports(counts: Counts, sides: Counts) -> Integers:
    starts = np.cumsum((0, *sides[:-1]))
    return np.concatenate([start + np.arange(n) for start, n in zip(starts, counts, strict=True)])


def _power_of_2(lines: int) -> int:
    return min(LARGEST, 1 << (lines - 1).bit_length())
