"""A matrix of weights on a crossbar: what `labctl.aware.layers` makes its layers of.

The weights are parameters; their conductances, and what the chip makes of these, are computed from them in
every pass. In training, a layer that is aware draws new devices each time; in evaluation it has those
of its chip, and what they and their circuit come to is kept until a weight or the chip is another.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from labctl.aware import circuit, leading, mapping, parts, tiling
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
        self.technology, self.awareness = technology, awareness
        self.limit = 6 / math.sqrt(inputs) if limit is None else limit
        self.gain = 1.0
        bound = min(self.limit, 1 / math.sqrt(inputs))
        self.weight = nn.Parameter(_uniform((outputs, inputs), bound, generator))
        self.bias = nn.Parameter(_uniform((outputs,), bound, generator)) if bias else None
        self.chip: parts.Draws | None = None
        self.seed, self.index, self.refresh = 0, 0, REFRESH
        self._steps = self._reads = 0
        self._held: tuple[object, Tensor, Tensor] | None = None
        self._rest = leading.Held(self.refresh)

    def matrix(self) -> Tensor:
        """(inputs, outputs) effective weights, in the unit of weights; output = inputs @ matrix + bias."""
        return self._matrix(*self._pass())

    def start_drawing(self, seed: int, index: int, first: int) -> None:
        """See `set_draws`; what was held from earlier steps is forgotten."""
        self.seed, self.index, self._steps = seed, index, first
        self._rest = leading.Held(self.refresh)

    def put_on(self, chip: parts.Draws | None) -> None:
        """See `set_chip`; reads are counted from the first again."""
        self.chip, self._reads = chip, 0

    def calibrate(self) -> None:
        """See `labctl.aware.layers.calibrate`; noise of reading has no part in it."""
        self.gain = 1.0
        quiet = self._effective(self._devices(self._draws()))
        seen = mapping.difference(quiet, self.technology) * self._unit()
        self.gain = float((seen * self.weight.mT).sum() / (seen * seen).sum())

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
            return parts.Draws(self.seed, -1 - self._steps, self.index)
        return self.chip or parts.Draws(self.seed, -1, self.index)

    def _pass(self) -> tuple[parts.Draws, int]:
        """Which chip a new pass runs on, and its number: of a step of training, or of a read."""
        draws = self._draws()
        if self.training:
            self._steps += 1
            return draws, self._steps - 1
        self._reads += 1
        return draws, self._reads - 1

    def _matrix(self, draws: parts.Draws, number: int) -> Tensor:
        if self.awareness is Awareness.STANDARD:
            return self.weight.mT
        return mapping.difference(self._seen(draws, number), self.technology) * self._unit()

    def _converted(
        self, outputs: Tensor, inputs: Tensor, axes: tuple[int, ...], draws: parts.Draws, number: int
    ) -> Tensor:
        """Outputs as converters give them, for inputs whose vectors, or images, lie along those axes."""
        if self.awareness is Awareness.STANDARD or not self.technology.output_noise > 0:
            return outputs
        largest = inputs.detach().abs().amax(axes, keepdim=True)
        arrays = tiling.tiles(self.weight.shape[1], 1, self.technology)  # those below one another
        device = self.technology.window[1] * self._unit() * math.sqrt(len(arrays)) * largest
        return parts.converted(outputs, device, self.technology, draws, number)

    def _seen(self, draws: parts.Draws, number: int) -> Tensor:
        """[S] (inputs, devices) effective conductances in that read, in blocks; kept if reads are alike."""
        if self.training or torch.is_grad_enabled() or self.technology.read_noise:
            return self._effective(parts.read(self._devices(draws), self.technology, draws, number))
        key = (self.technology, self.awareness, self.chip, self.limit)
        if self._held is None or self._held[0] != key or not torch.equal(self._held[1], self.weight):
            self._held = key, self.weight.detach().clone(), self._effective(self._devices(draws))
        return self._held[2]

    def _effective(self, devices: Tensor) -> Tensor:
        """[S] what these devices come to in the circuit, as far as the layer knows of one."""
        return devices if self.awareness is Awareness.NOISE else circuit.effective(devices, self.technology)

    def _devices(self, draws: parts.Draws) -> Tensor:
        """[S] (inputs, devices) in blocks, as they were made; on no chip as they were meant."""
        meant = mapping.siemens(self.weight.mT, self.limit, self.technology)
        nominal = self.chip is None and not self.training
        return meant if nominal else parts.made(meant, self.technology, draws)


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator | None) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * bound
