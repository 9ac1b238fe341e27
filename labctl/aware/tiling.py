"""Layers that are larger than an array: cut into tiles whose currents are added after conversion.

A layer's devices lie in one matrix [S]: for pairs (inputs, 2 x outputs), all the plus devices before all
the minus; for references (inputs, outputs + arrays side by side), the columns of references behind the
weights, one for each array across (`with_references`). A tile has some of the inputs and some of the
outputs, and all the devices of these: a pair is never parted, and every tile has references of its own.
In a tile columns lie as on the chip (plus, minus, plus, minus...; or the weights, and the references last),
because with wires it matters which is next to which.

A layer is cut evenly: 784 rows on arrays of 128 are seven tiles of 112 and not six of 128 and one of 16,
because the longest line is what attenuates most. The sizes then differ by no more than one, so that
there are four shapes at most, and all tiles of a shape are computed in one call.

Each tile attenuates by its own row and column sums; the rows below one another add up as numbers, as
if the matrix of what the whole layer computes were stitched from those of its tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import ceil

import torch
from torch import Tensor

from labctl.aware.technology import Technology
from labctl.errors import Refused


@dataclass(frozen=True)
class Tile:
    """What one array has of a layer: some of its inputs, and some of its outputs."""

    down: int
    """Place among the tiles below one another, 0 at the top."""
    across: int
    """Place among those side by side."""
    rows: slice
    """Inputs of the layer."""
    outputs: slice
    """Outputs of the layer that get a part of their current here."""
    paired: bool
    columns: int
    """Physical columns: two for each output, or one and the references."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and physical columns."""
        return self.rows.stop - self.rows.start, self.columns

    def devices(self, siemens: Tensor, outputs: int) -> Tensor:
        """The tile's part [S] of a layer of so many outputs, (..., inputs, devices), as it lies on the
        chip: (..., rows, physical columns)."""
        part = siemens[..., self.rows, :]
        if self.paired:
            sides = part.reshape(*part.shape[:-1], 2, outputs)[..., self.outputs]
            return sides.transpose(-1, -2).flatten(-2)
        reference = outputs + self.across
        return torch.cat([part[..., self.outputs], part[..., reference : reference + 1]], dim=-1)


def tiles(inputs: int, outputs: int, technology: Technology) -> tuple[Tile, ...]:
    """The arrays that a layer needs, row of arrays after row of arrays; one, if any layer fits into one.

    Raises `Refused` where an array has no room for one weight.
    """
    paired = technology.weights == "pairs"
    down = _evenly(inputs, technology.tile[0] if technology.tile else inputs)
    across = _evenly(outputs, _room(technology) or outputs)
    return tuple(
        Tile(i, j, rows, part, paired, _columns(part.stop - part.start, paired))
        for i, rows in enumerate(down)
        for j, part in enumerate(across)
    )


def arrays_across(outputs: int, technology: Technology) -> int:
    """How many arrays lie side by side, each with references of its own."""
    return len(_evenly(outputs, _room(technology) or outputs))


def with_references(siemens: Tensor, technology: Technology) -> Tensor:
    """Weights and one column of references [S], (..., inputs, outputs + 1), with that column once for each
    array across: what a layer on tiles really has. Pairs come back as they are."""
    if technology.weights == "pairs":
        return siemens
    count = arrays_across(siemens.shape[-1] - 1, technology)
    references = siemens[..., -1:].expand(*siemens.shape[:-1], count)
    return torch.cat([siemens[..., :-1], references], dim=-1)


def outputs_of(devices: int, technology: Technology) -> int:
    """How many outputs a layer has whose matrix is so many devices wide.

    Raises `Refused` where no number of outputs has so many devices.
    """
    if technology.weights == "pairs":
        found, needed = devices // 2, 2 * (devices // 2)
    else:
        room = _room(technology)
        found = devices - 1 if room is None else devices - ceil(devices / (room + 1))
        needed = found + arrays_across(found, technology) if found > 0 else 0
    if found < 1 or needed != devices:
        raise Refused(
            f"a layer of {devices} columns of devices with weights = {technology.weights!r}",
            allowed="two columns for each output"
            if technology.weights == "pairs"
            else "one column for each output, and one of references for each array across",
        )
    return found


def stitched(siemens: Tensor, technology: Technology, effective: Callable[[Tensor], Tensor]) -> Tensor:
    """What a layer on tiles conducts [S] from each input to each column, (..., inputs, devices), in the order
    of `siemens`.

    `effective` gives the effective matrices [S] of arrays, (..., tiles, rows, physical columns), from their
    devices, of the same shape.
    """
    outputs = outputs_of(siemens.shape[-1], technology)
    cut = tiles(siemens.shape[-2], outputs, technology)
    done: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    for _, same in groupby(sorted(cut, key=lambda tile: tile.shape), key=lambda tile: tile.shape):
        group = list(same)
        stack = effective(torch.stack([tile.devices(siemens, outputs) for tile in group], dim=-3))
        for tile, found in zip(group, stack.unbind(-3), strict=True):
            done[tile.down, tile.across] = _sides(found, tile.paired)
    down, across = cut[-1].down + 1, range(cut[-1].across + 1)
    rows = [torch.cat([done[i, j][side] for side in (0, 1) for j in across], dim=-1) for i in range(down)]
    return torch.cat(rows, dim=-2)


def _sides(columns: Tensor, paired: bool) -> tuple[Tensor, Tensor]:
    """Plus and minus, or weights and reference, of a tile's columns as they lie on the chip."""
    if paired:
        return columns[..., 0::2], columns[..., 1::2]
    return columns[..., :-1], columns[..., -1:]


def _room(technology: Technology) -> int | None:
    """Outputs that an array has room for; None: any number."""
    if technology.tile is None:
        return None
    columns = technology.tile[1]
    if columns < 2:
        what = "a pair of devices" if technology.weights == "pairs" else "a weight and its reference"
        raise Refused(
            f"arrays of {technology.tile[0]} x {columns} have no room for {what}",
            allowed="2 columns or more",
        )
    return columns // 2 if technology.weights == "pairs" else columns - 1


def _columns(outputs: int, paired: bool) -> int:
    return 2 * outputs if paired else outputs + 1


def _evenly(count: int, most: int) -> list[slice]:
    """So few parts of `count` that none is longer than `most`, as even as can be, the longer ones first."""
    parts = ceil(count / most)
    short, longer = divmod(count, parts)
    ends = [short * k + min(k, longer) for k in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]
