"""The two networks, of layers that are crossbars: fully connected (784-500-10) and convolutional.

The convolutional one pads pictures to 32 x 32; two convolutions 3 x 3 to 32 and 64 channels, each pooled
2 x 2, leave 64 x 8 x 8 = 4096 inputs for its 4096 x 512 layer, and 10 outputs follow. Between layers are
rectifiers, so that inputs of every crossbar are voltages of one sign: pixels in [0, 1], then whatever
the neurons before give. A rectifier, pooling and a bias are digital.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from labctl.aware.data import DataTable
from labctl.aware.file import Network
from labctl.aware.layers import CrossbarConv2d, CrossbarLinear, crossbars
from labctl.aware.technology import Technology
from labctl.errors import BadData


def build(table: Network, data: DataTable, technology: Technology, seed: int) -> nn.Sequential:
    """The network of the table for those pictures; all that is drawn of its weights comes from `seed`."""
    generator = torch.Generator().manual_seed(seed)
    layers = table.layers(data)
    convolutions, full = layers[: -len(table.widths) - 1], layers[-len(table.widths) - 1 :]
    modules: list[nn.Module] = []
    if table.kind == "cnn":
        modules.append(nn.ZeroPad2d((table.side - data.side) // 2))
    before = data.kind.channels
    for layer in convolutions:
        limit = table.limit / math.sqrt(layer.inputs)
        modules += [
            CrossbarConv2d(before, layer.outputs, 3, technology, padding=1, limit=limit, generator=generator),
            nn.MaxPool2d(2),
            nn.ReLU(),
        ]
        before = layer.outputs
    modules.append(nn.Flatten())
    for layer in full:
        limit = table.limit / math.sqrt(layer.inputs)
        modules += [
            CrossbarLinear(layer.inputs, layer.outputs, technology, limit=limit, generator=generator),
            nn.ReLU(),
        ]
    return nn.Sequential(*modules[:-1])  # the last outputs are compared, not rectified


def weights_of(network: nn.Module) -> dict[str, NDArray[Any]]:
    """All that was learnt, by name: weights and biases, and the digital gain of each layer."""
    found = {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}
    gains = np.array([layer.gain for layer in crossbars(network)])
    return {**found, "gains": gains}


def set_weights(network: nn.Module, weights: Mapping[str, NDArray[Any]]) -> None:
    """What `weights_of` gave; raises `BadData` where it is of another network."""
    parameters = {name: torch.as_tensor(value.copy()) for name, value in weights.items() if name != "gains"}
    layers, gains = crossbars(network), weights.get("gains", np.empty(0))
    try:
        if len(gains) != len(layers):
            raise ValueError(f"{len(gains)} gains for {len(layers)} layers")
        network.load_state_dict(parameters)
    except (RuntimeError, ValueError) as error:
        raise BadData(
            f"these weights are of another network: {error}", todo="train one with this [network]"
        ) from error
    for layer, gain in zip(layers, gains, strict=True):
        layer.gain = float(gain)
