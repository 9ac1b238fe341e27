"""A trained network as a chip has it: layers of conductances cut to arrays, and the digital part between.

Each layer is cut as its technology says (`labctl.aware.tiling`), and every piece is given to an array of
its own. What an array adds up are currents; all else is digital: the currents of pieces below one another
are added, those of a pair subtracted, divided by the volts and siemens that stand for 1, and the bias
added; rectifiers and pooling follow, and the values become the volts of the next layer's rows. A convolution
is asked one vector after the other: what its kernel covers, at each place of the picture.

A pixel of 1 is the read voltage. Later values have no such bound, so each layer has a *full scale*, a
digital constant: the largest value that it was given over a set of training pictures. A picture that
leads beyond it is scaled down by its own largest value, and counted: nothing is clipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from labctl.aware import mapping, parts, tiling
from labctl.aware.layers import Crossbar, CrossbarConv2d, CrossbarLinear
from labctl.aware.technology import Technology
from labctl.errors import Refused
from labctl.pulse import Floats


@dataclass(frozen=True, eq=False)
class Piece:
    """What one array has of a layer."""

    number: int
    """Among all pieces of the network, from 0."""
    layer: int
    tile: tiling.Tile
    targets: Floats
    """[S], shape (rows, physical columns): of the devices, wires not counted."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"layer-{self.layer + 1}-array-{self.tile.down + 1}-{self.tile.across + 1}"


@dataclass(frozen=True)
class Kernel:
    """What a convolution moves over pictures, one step at a time."""

    side: int
    padding: int

    def patches(self, pictures: Floats) -> Floats:
        """(pictures, places, inputs): what it covers at each place of pictures (pictures, channels, y, x)."""
        found = nn.functional.unfold(torch.as_tensor(pictures), self.side, padding=self.padding)
        return np.asarray(found.mT.numpy(), dtype=np.float64)

    def pictures(self, outputs: Floats, shape: Sequence[int]) -> Floats:
        """(pictures, channels, y, x) of outputs (pictures x places, channels), for pictures of that shape."""
        down, across = (length + 2 * self.padding - self.side + 1 for length in shape[2:])
        return np.moveaxis(outputs.reshape(shape[0], down, across, -1), -1, 1)


DIGITAL = (nn.Flatten, nn.ReLU, nn.MaxPool2d, nn.ZeroPad2d)
"""What may stand before a layer, or between two."""


@dataclass(frozen=True, eq=False)
class ChipLayer:
    """A layer on arrays: fully connected, or a convolution with its kernel."""

    before: tuple[nn.Module, ...]
    """What is digital between the layer before, or the pictures, and this one."""
    kernel: Kernel | None
    pieces: tuple[Piece, ...]
    siemens: float
    """[S] of difference for a weight of 1, the layer's digital gain included."""
    bias: Floats
    """shape (outputs,)."""
    technology: Technology

    def given(self, values: Floats) -> Floats:
        """What the layer is given where the one before gave `values` (pictures, ...)."""
        found = torch.as_tensor(values)
        for module in self.before:
            found = module(found)
        return np.asarray(found.numpy(), dtype=np.float64)

    def vectors(self, given: Floats) -> Floats:
        """(pictures, vectors, inputs): what is put on its rows for each picture, one after the other."""
        return given[:, None, :] if self.kernel is None else self.kernel.patches(given)

    def outputs(self, amps: Sequence[Floats], volts: Floats) -> Floats:
        """(vectors, outputs) from the currents of its pieces, each (vectors, columns) [A].

        `volts` (vectors, 1) [V] stand for an input of 1.
        """
        found = np.zeros((len(volts), len(self.bias)))
        for piece, currents in zip(self.pieces, amps, strict=True):
            found[:, piece.tile.outputs] += differences(currents, piece.tile.paired)
        return found / (volts * self.siemens) + self.bias


Multiply: TypeAlias = Callable[[Piece, Floats], Floats]
"""Volts of a piece's rows (vectors, rows) to the currents of its columns (vectors, columns) [A]."""


def differences(amps: Floats, paired: bool) -> Floats:
    """Plus less minus, or each column less the reference, the last: (vectors, outputs)."""
    return amps[:, 0::2] - amps[:, 1::2] if paired else amps[:, :-1] - amps[:, -1:]


def layers_of(network: nn.Module) -> tuple[ChipLayer, ...]:
    """The network's layers, cut to arrays.

    Raises `Refused` for a network that is not layers with rectifiers between them.
    """
    found, number = list[ChipLayer](), 0
    for index, (before, layer) in enumerate(_in_order(network)):
        technology, targets = layer.technology, _targets(layer)
        outputs, inputs = layer.weight.shape
        pieces = tuple(
            Piece(number + place, index, tile, targets[tile.rows, _columns(tile, outputs, technology)])
            for place, tile in enumerate(tiling.tiles(inputs, outputs, technology))
        )
        number += len(pieces)
        bias = np.zeros(outputs) if layer.bias is None else layer.bias.detach().double().numpy()
        scale = mapping.scale(layer.limit, technology) / layer.gain
        kernel = Kernel(layer.kernel_size, layer.padding) if isinstance(layer, CrossbarConv2d) else None
        made = np.asarray(bias, dtype=np.float64)
        found.append(ChipLayer(before, kernel, pieces, scale, made, technology))
    return tuple(found)


def _in_order(network: nn.Module) -> list[tuple[tuple[nn.Module, ...], Crossbar]]:
    """Each layer, and what is digital before it."""
    inner = [one for one in network.modules() if not isinstance(one, nn.Sequential)]
    found, before = list[tuple[tuple[nn.Module, ...], Crossbar]](), list[nn.Module]()
    for one in inner:
        if isinstance(one, Crossbar) and (not found or any(isinstance(each, nn.ReLU) for each in before)):
            found.append((tuple(before), one))
            before = []
        elif isinstance(one, DIGITAL):
            before.append(one)
        else:
            break
    else:
        if found and not before and isinstance(found[-1][1], CrossbarLinear):
            return found
    raise Refused(
        f"a network of {', '.join(type(one).__name__ for one in inner)} cannot be put on arrays",
        allowed="crossbar layers with rectifiers between them, pooled or not, the last one fully connected",
        todo="deploy a network that `labctl aware train` made",
    )


def _targets(layer: Crossbar) -> Floats:
    """[S] (inputs, physical columns), on the levels of its technology."""
    found = parts.quantised(torch.as_tensor(layer.targets()), layer.technology)
    return np.asarray(found.numpy(), dtype=np.float64)


def _columns(tile: tiling.Tile, outputs: int, technology: Technology) -> slice:
    """Where a piece's physical columns are among those of the layer: arrays lie side by side."""
    before = [one.columns for one in tiling.tiles(1, outputs, technology) if one.across < tile.across]
    return slice(sum(before), sum(before) + tile.columns)


# ---- values, layer by layer -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network said of some pictures."""

    outputs: Floats
    """shape (pictures, classes), of the last layer."""
    beyond: int
    """Pictures that led beyond a full scale."""

    @property
    def classes(self) -> NDArray[np.int64]:
        """The largest of each, shape (pictures,)."""
        return self.outputs.argmax(axis=1).astype(np.int64)

    def right(self, labels: NDArray[np.int64]) -> int:
        """How many are those of the labels."""
        return int((self.classes == labels).sum())


def answers(
    layers: Sequence[ChipLayer], pictures: Floats, scales: Sequence[float], volts: float, multiply: Multiply
) -> Answers:
    """Of pictures (pictures, ...), none of them negative, at `volts` [V] for each layer's full scale."""
    values, beyond = pictures, np.zeros(len(pictures), dtype=np.bool_)
    for layer, scale in zip(layers, scales, strict=True):
        given = layer.given(values)
        largest = _largest(given)
        beyond |= largest > scale
        values = _through(layer, given, np.maximum(largest, scale), volts, multiply)
    return Answers(values, int(beyond.sum()))


def full_scales(
    layers: Sequence[ChipLayer], pictures: Floats, volts: float, multiply: Multiply
) -> tuple[float, ...]:
    """The largest value that each layer is given by these pictures; 1, a pixel's, for the first."""
    given, scales = layers[0].given(pictures), [1.0]
    for layer, following in pairwise(layers):
        full = np.maximum(_largest(given), scales[-1])
        given = following.given(_through(layer, given, full, volts, multiply))
        scales.append(float(given.max(initial=0.0)) or 1.0)
    return tuple(scales)


def vectors_of(layers: Sequence[ChipLayer], picture: Floats) -> tuple[int, ...]:
    """How many vectors each layer's arrays are asked for such a picture: one, or a convolution's places."""
    found = dict[int, int]()

    def counted(piece: Piece, volts: Floats) -> Floats:
        found[piece.layer] = len(volts)
        return np.zeros((len(volts), piece.tile.columns))

    answers(layers, picture[None], [1.0] * len(layers), 1.0, counted)
    return tuple(found[number] for number in range(len(layers)))


def _largest(given: Floats) -> Floats:
    """Of each picture."""
    return given.reshape(len(given), -1).max(axis=1, initial=0.0)


def _through(layer: ChipLayer, given: Floats, full: Floats, volts: float, multiply: Multiply) -> Floats:
    vectors = layer.vectors(given)
    per_one = np.repeat(volts / full, vectors.shape[1])[:, None]
    rows = vectors.reshape(len(per_one), -1) * per_one
    amps = [multiply(piece, rows[:, piece.tile.rows]) for piece in layer.pieces]
    outputs = layer.outputs(amps, per_one)
    return outputs if layer.kernel is None else layer.kernel.pictures(outputs, given.shape)


def multiplied(layers: Sequence[ChipLayer], siemens: Sequence[Floats] | None = None) -> Multiply:
    """What arrays with these conductances compute by the technology's circuit; None: with their targets.

    One array [S] (rows, physical columns) for each piece of the network, by its number.
    """
    made = {
        piece.number: effective(piece.targets if siemens is None else siemens[piece.number], layer.technology)
        for layer in layers
        for piece in layer.pieces
    }
    return lambda piece, volts: volts @ made[piece.number]


def effective(siemens: Floats, technology: Technology) -> Floats:
    """[S] (rows, physical columns) as the neurons see them, of one array with these devices."""
    from labctl.aware import closed_form, wires

    devices = torch.as_tensor(siemens)
    with torch.no_grad():
        if technology.wire:
            ends = technology.source, technology.neuron, technology.wire
            found = wires.effective_with_wires(devices, *ends)
        else:
            found = closed_form.effective(devices, technology.source, technology.neuron)
    return np.asarray(found.numpy(), dtype=np.float64)
