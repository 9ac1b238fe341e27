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
devices in each forward pass; in evaluation it has those of its chip. Noise of reading and of converters is
new in each pass; a chip's passes are counted from when it is set, so that a chip is always the same.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from labctl.aware import leading, mapping, paired, parts
from labctl.aware.crossbar import Awareness, Crossbar
from labctl.aware.technology import Technology


class CrossbarLinear(Crossbar):
    """A fully connected layer on one crossbar, or on tiles."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        draws, number = self._pass()
        if self.training and self.refresh > 1 and self._on_one_array():
            outputs = self._quick(inputs, draws, number)
        else:
            outputs = nn.functional.linear(inputs, self._matrix(draws, number).mT, self.bias)
        return self._converted(outputs, inputs, (-1,), draws, number)

    def _quick(self, inputs: Tensor, draws: parts.Draws, number: int) -> Tensor:
        """A step of training, as `labctl.aware.leading` computes it."""
        form = self._form(draws, number)
        currents = form.currents(inputs.reshape(-1, inputs.shape[-1]), self._rest.rest(form))
        currents = currents.reshape(*inputs.shape[:-1], -1)
        unit = self._unit()
        return currents * unit if self.bias is None else torch.add(self.bias, currents, alpha=unit)

    def _on_one_array(self) -> bool:
        """Whether the closed form holds for the layer as a whole, and has more than one end."""
        known, told = self.awareness is Awareness.TECHNOLOGY, self.technology
        return known and told.tile is None and not told.wire and min(told.source, told.neuron) > 0

    def _form(self, draws: parts.Draws, number: int) -> leading.Form:
        """What this step of training computes with; noise of reading is part of the devices here."""
        told = self.technology
        if told.weights == "pairs" and _as_meant(told):
            if self._rest.due:
                mapping.check(self.weight, self.limit)
            sizes = self.weight.shape[1], self.weight.shape[0]
            slope, middle = mapping.slope(self.limit, told), sum(told.window) / 2
            return paired.Pairs(self.weight, paired.Shape(*sizes, slope, middle, told.source, told.neuron))
        devices = parts.read(self._devices(draws), told, draws, number)
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
        draws, number = self._pass()
        kernel = self._matrix(draws, number).mT.reshape(-1, self.in_channels, size, size)
        outputs = nn.functional.conv2d(images, kernel, self.bias, padding=self.padding)
        return self._converted(outputs, images, (-3, -2, -1), draws, number)

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
        layer.put_on(None if chip is None else parts.Draws(seed, chip, index))


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
            layer.calibrate()


def _as_meant(technology: Technology) -> bool:
    """Whether every device is what it is meant to be, in every read."""
    errors = technology.programming_error, technology.variation, technology.read_noise
    return technology.levels is None and not any((*errors, technology.stuck_off, technology.stuck_on))
