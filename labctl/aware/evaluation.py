"""How many test pictures a network classifies right: in software, and on each of many chips.

On a chip every layer has that chip's devices, and its circuit is solved exactly (without wires; with
wires as `labctl.aware.wires` does), whatever training held or left out. Chips are counted from 0 and
drawn with a seed, so that two networks are tried on the same ones. Where reads are noisy, one read of all
devices serves `BATCH` pictures.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from labctl.aware.data import Data
from labctl.aware.layers import Awareness, crossbars, on_chip, set_awareness, set_chip, set_technology
from labctl.aware.technology import Technology

BATCH = 500
"""Pictures at a time: more would need more memory, and not less time."""


def right_in_software(network: nn.Module, data: Data) -> int:
    """Test pictures that are classified right by plain products."""
    before = [layer.awareness for layer in crossbars(network)]
    set_awareness(network, Awareness.STANDARD)
    try:
        with _evaluating(network):
            return _right(network, data)
    finally:
        for layer, awareness in zip(crossbars(network), before, strict=True):
            layer.awareness = awareness


def right_on_chip(
    network: nn.Module, data: Data, technology: Technology, chip: int | None, seed: int = 0
) -> int:
    """Test pictures that are classified right on chip number `chip`; None: all devices as they are meant."""
    before = [(layer.technology, layer.chip) for layer in crossbars(network)]
    set_technology(network, technology)
    set_chip(network, chip, seed)
    try:
        with _evaluating(network), on_chip(network):
            return _right(network, data)
    finally:
        for layer, (usual, draws) in zip(crossbars(network), before, strict=True):
            layer.technology, layer.chip = usual, draws


def classified(network: nn.Module, pictures: Tensor) -> Tensor:
    """The class of each picture, in the state that the network is in."""
    return torch.cat([network(some).argmax(1) for some in torch.split(pictures, BATCH)])


def _right(network: nn.Module, data: Data) -> int:
    found = classified(network, torch.as_tensor(data.test))
    return int((found == torch.as_tensor(data.test_labels)).sum())


@contextmanager
def _evaluating(network: nn.Module) -> Generator[None]:
    before = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(before)
