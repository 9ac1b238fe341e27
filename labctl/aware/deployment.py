"""A trained network as a chip has it: layers of conductances cut to arrays, and the digital part between.

Each layer is cut as its technology says (`labctl.aware.tiling`), and every piece is given to an array of
its own. What an array adds up are currents; all else is digital: the currents of pieces below one another
are added, those of a pair subtracted, divided by the volts and siemens that stand for 1, and the bias
added; a rectifier follows, and the values become the volts of the next layer's rows.

A pixel of 1 is the read voltage. Later values have no such bound, so each layer has a *full scale*, a
digital constant: the largest value that it was given over a set of training pictures. A picture that
leads beyond it is scaled down by its own largest value, and counted: nothing is clipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from labctl.aware import mapping, parts, tiling
from labctl.aware.layers import Crossbar, CrossbarLinear
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


@dataclass(frozen=True, eq=False)
class ChipLayer:
    """A fully connected layer on arrays."""

    pieces: tuple[Piece, ...]
    siemens: float
    """[S] of difference for a weight of 1, the layer's digital gain included."""
    bias: Floats
    """shape (outputs,)."""
    technology: Technology

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
    for index, layer in enumerate(_in_order(network)):
        technology, targets = layer.technology, _targets(layer)
        outputs, inputs = layer.weight.shape
        pieces = tuple(
            Piece(number + place, index, tile, targets[tile.rows, _columns(tile, outputs, technology)])
            for place, tile in enumerate(tiling.tiles(inputs, outputs, technology))
        )
        number += len(pieces)
        bias = np.zeros(outputs) if layer.bias is None else layer.bias.detach().double().numpy()
        scale = mapping.scale(layer.limit, technology) / layer.gain
        found.append(ChipLayer(pieces, scale, np.asarray(bias, dtype=np.float64), technology))
    return tuple(found)


def _in_order(network: nn.Module) -> list[Crossbar]:
    inner = [one for one in network.modules() if not isinstance(one, (nn.Sequential, nn.Flatten))]
    layers = [one for one in inner if isinstance(one, CrossbarLinear)]
    expected = [kind for _ in layers for kind in (CrossbarLinear, nn.ReLU)][:-1]
    if not layers or [type(one) for one in inner] != expected:
        raise Refused(
            f"a network of {', '.join(type(one).__name__ for one in inner)} cannot be put on arrays",
            allowed="fully connected layers with rectifiers between them",
            todo='deploy a network of kind = "fcn"',
        )
    return list(layers)


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
    """Of pictures (pictures, inputs), none of them negative, at `volts` [V] for each layer's full scale."""
    values, beyond = pictures, np.zeros(len(pictures), dtype=np.bool_)
    for number, layer in enumerate(layers):
        values = np.maximum(values, 0.0) if number else values
        largest = values.max(axis=1, initial=0.0)
        beyond |= largest > scales[number]
        values = _through(layer, values, np.maximum(largest, scales[number]), volts, multiply)
    return Answers(values, int(beyond.sum()))


def full_scales(
    layers: Sequence[ChipLayer], pictures: Floats, volts: float, multiply: Multiply
) -> tuple[float, ...]:
    """The largest value that each layer is given by these pictures; 1, a pixel's, for the first."""
    values, scales = pictures, [1.0]
    for layer in layers[:-1]:
        largest = np.maximum(values.max(axis=1, initial=0.0), scales[-1])
        values = np.maximum(_through(layer, values, largest, volts, multiply), 0.0)
        scales.append(float(values.max(initial=0.0)) or 1.0)
    return tuple(scales)


def _through(layer: ChipLayer, values: Floats, full: Floats, volts: float, multiply: Multiply) -> Floats:
    per_one = (volts / full)[:, None]
    amps = [multiply(piece, values[:, piece.tile.rows] * per_one) for piece in layer.pieces]
    return layer.outputs(amps, per_one)


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
