"""Layers whose weights are conductances of a crossbar, for networks that will run on one.

What is stable for those who build on it::

    CrossbarLinear(inputs, outputs, technology, limit=, bias=, awareness=, generator=)
    CrossbarConv2d(in_channels, out_channels, kernel_size, technology, padding=, limit=, ...)
        .weight (outputs, inputs)   .bias   .technology   .limit   .awareness   .refresh   .gain   .chip
        .matrix() (inputs, outputs): output = inputs @ matrix + bias      .project()      .targets() [S]
    on_chip(network)                 with it, every layer is evaluated as the chip computes it
    set_chip(network, chip, seed)    the devices of chip number `chip`; None: as they were meant to be
    set_draws(network, seed, first)  what training draws from now on, so that an epoch can be repeated
    set_technology(network, technology)    set_awareness(network, awareness)
    project(network)                 weights back into their limits: after each step of an optimiser
    calibrate(network)               one digital gain a layer against the mean attenuation
    crossbars(network)               its layers, in order

A bias is digital: it is added once currents are numbers. In training, a layer that is aware draws new
devices in each forward pass; in evaluation it has those of its chip. Read noise is new in each pass.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from typing import Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from labctl.aware import circuit, leading, mapping, paired, parts
from labctl.aware.technology import Technology
from labctl.pulse import Floats


class Awareness(StrEnum):
    """What a layer knows of the chip that it will run on."""

    STANDARD = "standard"
    """Nothing: the plain product."""
    NOISE = "noise"
    """Devices as they are made and read, in an ideal circuit."""
    TECHNOLOGY = "technology"
    """Those devices, in the circuit that the chip has."""


REFRESH = 64
"""Steps of training for which the small part of the circuit is held: see `labctl.aware.leading`."""


class Crossbar(nn.Module):
    """What `CrossbarLinear` and `CrossbarConv2d` share: weights, their conductances, and the chip's view."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        technology: Technology,
        *,
        limit: float | None = None,
        bias: bool = True,
        awareness: Awareness = Awareness.TECHNOLOGY,
        generator: torch.Generator | None = None,
    ) -> None:
        """`limit` is the largest weight, at the ends of the window; `generator` draws the first weights."""
        super().__init__()
        self.technology, self.awareness, self.generator = technology, awareness, generator
        self.limit = 6 / math.sqrt(inputs) if limit is None else limit
        self.gain = 1.0
        bound = min(self.limit, 1 / math.sqrt(inputs))
        self.weight = nn.Parameter(_uniform((outputs, inputs), bound, generator))
        self.bias = nn.Parameter(_uniform((outputs,), bound, generator)) if bias else None
        self.chip: parts.Draws | None = None
        self.seed, self.index, self.refresh = 0, 0, REFRESH
        self._count = 0
        self._held: tuple[object, Tensor, Tensor] | None = None
        self._rest = leading.Held(self.refresh)

    def matrix(self) -> Tensor:
        """(inputs, outputs) effective weights, in the unit of weights; output = inputs @ matrix + bias."""
        if self.awareness is Awareness.STANDARD:
            return self.weight.mT
        draws = self._draws()
        seen = self._seen(draws)
        if self.technology.read_noise:
            seen = parts.read(seen, self.technology, draws, self._count)
        self._count += 1
        return mapping.difference(seen, self.technology) * self._unit()

    def start_drawing(self, seed: int, index: int, first: int) -> None:
        """See `set_draws`; what was held from earlier steps is forgotten."""
        self.seed, self.index, self._count = seed, index, first
        self._rest = leading.Held(self.refresh)

    def targets(self) -> Floats:
        """[S] (inputs, columns on the chip): what each device is to be programmed to."""
        with torch.no_grad():
            meant = mapping.siemens(self.weight.mT, self.limit, self.technology)
            found = mapping.physical(meant, self.technology)
        return np.asarray(found.double().numpy(), dtype=np.float64)

    def project(self) -> None:
        """Weights back into what the window can hold."""
        with torch.no_grad():
            self.weight.clamp_(-self.limit, self.limit)

    def train(self, mode: bool = True) -> Self:
        """Training mode, or evaluation; what was held from earlier steps is forgotten."""
        self._held = None
        self._rest = leading.Held(self.refresh)
        return super().train(mode)

    def _unit(self) -> float:
        """Weight for a siemens of difference."""
        return self.gain / mapping.scale(self.limit, self.technology)

    def _draws(self) -> parts.Draws:
        """Which chip this pass runs on: in training a new one each time, never one of evaluation's."""
        if self.training:
            return parts.Draws(self.seed, -1 - self._count, self.index)
        return self.chip or parts.Draws(self.seed, -1, self.index)

    def _seen(self, draws: parts.Draws) -> Tensor:
        """[S] (inputs, devices) effective conductances, in blocks, before noise of reading."""
        if self.training or torch.is_grad_enabled():
            return self._computed(draws)
        key = (self.technology, self.awareness, self.chip, self.limit)
        if self._held is None or self._held[0] != key or not torch.equal(self._held[1], self.weight):
            self._held = key, self.weight.detach().clone(), self._computed(draws)
        return self._held[2]

    def _computed(self, draws: parts.Draws) -> Tensor:
        devices = self._devices(draws)
        return devices if self.awareness is Awareness.NOISE else circuit.effective(devices, self.technology)

    def _devices(self, draws: parts.Draws) -> Tensor:
        """[S] (inputs, devices) in blocks, as they were made; on no chip as they were meant."""
        meant = mapping.siemens(self.weight.mT, self.limit, self.technology)
        nominal = self.chip is None and not self.training
        return meant if nominal else parts.made(meant, self.technology, draws)


class CrossbarLinear(Crossbar):
    """A fully connected layer on one crossbar, or on tiles."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        if not (self.training and self.refresh > 1 and self._on_one_array()):
            return nn.functional.linear(inputs, self.matrix().mT, self.bias)
        form = self._form()
        currents = form.currents(inputs.reshape(-1, inputs.shape[-1]), self._rest.rest(form))
        currents = currents.reshape(*inputs.shape[:-1], -1)
        unit = self._unit()
        return currents * unit if self.bias is None else torch.add(self.bias, currents, alpha=unit)

    def _on_one_array(self) -> bool:
        """Whether the closed form holds for the layer as a whole, and has more than one end."""
        known, told = self.awareness is Awareness.TECHNOLOGY, self.technology
        return known and told.tile is None and not told.wire and min(told.source, told.neuron) > 0

    def _form(self) -> leading.Form:
        """What this step of training computes with; noise of reading is part of the devices here."""
        told, draws = self.technology, self._draws()
        self._count += 1
        if told.weights == "pairs" and _as_meant(told):
            if self._rest.due:
                mapping.check(self.weight, self.limit)
            sizes = self.weight.shape[1], self.weight.shape[0]
            slope, middle = mapping.slope(self.limit, told), sum(told.window) / 2
            return paired.Pairs(self.weight, paired.Shape(*sizes, slope, middle, told.source, told.neuron))
        devices = parts.read(self._devices(draws), told, draws)
        return leading.Columns(devices, told)

    def __call__(self, inputs: Tensor) -> Tensor:
        """As `forward`."""
        return cast(Tensor, super().__call__(inputs))


class CrossbarConv2d(Crossbar):
    """A convolution, stride 1: each patch of the image is a vector on the rows of one crossbar."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        technology: Technology,
        *,
        padding: int = 0,
        limit: float | None = None,
        bias: bool = True,
        awareness: Awareness = Awareness.TECHNOLOGY,
        generator: torch.Generator | None = None,
    ) -> None:
        """Rows are in_channels x kernel x kernel, in the order of `torch.nn.functional.unfold`."""
        super().__init__(
            in_channels * kernel_size**2,
            out_channels,
            technology,
            limit=limit,
            bias=bias,
            awareness=awareness,
            generator=generator,
        )
        self.in_channels, self.kernel_size, self.padding = in_channels, kernel_size, padding

    def forward(self, images: Tensor) -> Tensor:
        """(batch, in_channels, height, width) -> (batch, out_channels, ...)."""
        size = self.kernel_size
        kernel = self.matrix().mT.reshape(-1, self.in_channels, size, size)
        return nn.functional.conv2d(images, kernel, self.bias, padding=self.padding)

    def __call__(self, images: Tensor) -> Tensor:
        """As `forward`."""
        return cast(Tensor, super().__call__(images))


def crossbars(network: nn.Module) -> list[Crossbar]:
    """The layers of a network that are on crossbars, in the order in which it has them."""
    return [layer for layer in network.modules() if isinstance(layer, Crossbar)]


def project(network: nn.Module) -> None:
    """Weights back into their limits."""
    for layer in crossbars(network):
        layer.project()


def set_chip(network: nn.Module, chip: int | None, seed: int = 0) -> None:
    """The devices of chip `chip` of a seed in every layer; None: every device as it was meant to be."""
    for index, layer in enumerate(crossbars(network)):
        layer.chip = None if chip is None else parts.Draws(seed, chip, index)


def set_draws(network: nn.Module, seed: int, first: int = 0) -> None:
    """What training draws from now on: chips `first`, `first` + 1... of the seed's, one for each step."""
    for index, layer in enumerate(crossbars(network)):
        layer.start_drawing(seed, index, first)


def set_technology(network: nn.Module, technology: Technology) -> None:
    """Other chips: the weights stay, their conductances are those of the new window."""
    for layer in crossbars(network):
        layer.technology = technology


def set_awareness(network: nn.Module, awareness: Awareness) -> None:
    """What the layers know from now on."""
    for layer in crossbars(network):
        layer.awareness = awareness


@contextmanager
def on_chip(network: nn.Module) -> Generator[nn.Module]:
    """The network as the chip computes it, for evaluation, whatever it was trained with."""
    before = [(layer, layer.awareness, layer.training) for layer in crossbars(network)]
    try:
        for layer, _, _ in before:
            layer.awareness = Awareness.TECHNOLOGY
            layer.train(mode=False)
        yield network
    finally:
        for layer, awareness, training in before:
            layer.awareness = awareness
            layer.train(training)


def calibrate(network: nn.Module) -> None:
    """One digital gain a layer that brings its effective weights closest to those meant (least squares)."""
    with torch.no_grad(), on_chip(network):
        for layer in crossbars(network):
            layer.gain = 1.0
            seen = layer.matrix()
            layer.gain = float((seen * layer.weight.mT).sum() / (seen * seen).sum())


def _as_meant(technology: Technology) -> bool:
    """Whether every device is what it is meant to be, in every read."""
    errors = technology.programming_error, technology.variation, technology.read_noise
    return technology.levels is None and not any((*errors, technology.stuck_off, technology.stuck_on))


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator | None) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * bound
