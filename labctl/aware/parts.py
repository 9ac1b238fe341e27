"""What chance and making do to the conductances of a chip: levels, programming error, stuck devices,
variation from chip to chip, read noise, converters.

Each part is a small function of conductances [S], differentiable in them; `made` puts them in the order
in which they happen: the target is one of the *levels*, write-verify leaves a *programming error*,
*stuck* devices ignore both, and what a device is worth *varies* from chip to chip, stuck or not. `read`
is another matter: it is drawn anew for each read, and so is what converters add (`converted`).

What is drawn comes from `Draws`, not from a generator that others use too: chip 7 of seed 1, layer 2
varies the same whatever else was drawn before, one chip at a time or many at once, in single precision or
double, and at any sigma: a sweep over sigma scales the same deviations. No part uses another's numbers.

A conductance is never below 0. A normal part, G (1 + sigma n), would put it there where n < -1/sigma: such
an n is drawn again, until it is not (truncated normal). Up to sigma = 25 % that is one device in 30,000;
at 50 % it is one in 44, and the mean is 2.8 % higher than that of an untruncated normal. The log-normal
variation, G exp(sigma n), keeps the median.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from labctl.aware.technology import Technology
from labctl.errors import Refused


@dataclass(frozen=True)
class Draws:
    """The chance of one layer on one chip, or on several: which numbers are drawn, not the numbers."""

    seed: int
    chips: int | tuple[int, ...]
    """Number of the chip; several chips give all that is drawn a leading axis."""
    layer: int = 0

    @property
    def several(self) -> bool:
        """Whether what is drawn has a leading axis of chips."""
        return not isinstance(self.chips, int)

    def normal(self, part: str, shape: Sequence[int], least: float = -torch.inf) -> Tensor:
        """Standard normal deviates, none below `least`, shape (*shape) or (chips, *shape)."""

        def one(generator: torch.Generator) -> Tensor:
            return _redrawn(torch.randn(*shape, generator=generator, dtype=torch.float32), least, generator)

        return self._each(part, one)

    def uniform(self, part: str, shape: Sequence[int]) -> Tensor:
        """Deviates in [0, 1), shape (*shape) or (chips, *shape)."""
        return self._each(part, lambda to: torch.rand(*shape, generator=to, dtype=torch.float32))

    def _each(self, part: str, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        if isinstance(self.chips, int):
            return draw(self._generator(self.chips, part))
        return torch.stack([draw(self._generator(chip, part)) for chip in self.chips])

    def _generator(self, chip: int, part: str) -> torch.Generator:
        name = f"{self.seed} {chip} {self.layer} {part}".encode()
        seed = int.from_bytes(hashlib.blake2b(name, digest_size=4).digest(), "little")
        return torch.Generator().manual_seed(seed)  # the generator takes no more than 32 bits of a seed


def made(siemens: Tensor, technology: Technology, draws: Draws) -> Tensor:
    """What chips conduct [S] whose targets are `siemens`, shape (inputs, devices) for all chips alike, or
    (chips, inputs, devices); returns (inputs, devices) for one chip, (chips, inputs, devices) for several.

    Raises `Refused` for chips of another number than those of the draws.
    """
    shape = _shape(siemens, draws)
    found = quantised(siemens, technology)
    found = programmed(found, technology, draws, shape)
    found = stuck(found, technology, draws, shape)
    found = varied(found, technology, draws, shape)
    return found.expand(len(draws.chips), *shape) if isinstance(draws.chips, tuple) else found


def read(siemens: Tensor, technology: Technology, draws: Draws, number: int = 0) -> Tensor:
    """What the devices conduct [S] in read `number` of the chips: each read has noise of its own."""
    shape = _shape(siemens, draws)
    return _normally(siemens, technology.read_noise, draws, f"read {number}", shape)


def converted(
    outputs: Tensor, device: Tensor, technology: Technology, draws: Draws, number: int = 0
) -> Tensor:
    """Outputs with the noise of the converters in read `number`; `device` is what one device of Ron adds to
    an output at the largest input, in the unit of the outputs and of a shape that goes with theirs."""
    if not technology.output_noise > 0:
        return outputs
    noise = draws.normal(f"output {number}", outputs.shape).to(outputs)
    return outputs + technology.output_noise * device * noise


def quantised(siemens: Tensor, technology: Technology) -> Tensor:
    """The nearest of the levels [S], evenly spaced over the window; the gradient passes as if there were
    none (straight through), because that of a staircase is 0 or nothing."""
    if technology.levels is None:
        return siemens
    lowest, highest = technology.window
    step = (highest - lowest) / (technology.levels - 1)
    nearest = lowest + step * torch.round((siemens.detach() - lowest) / step)
    return siemens + (nearest - siemens.detach())


def programmed(siemens: Tensor, technology: Technology, draws: Draws, shape: Sequence[int]) -> Tensor:
    """Targets [S] with what write-verify leaves: G (1 + sigma n), truncated; may leave the window."""
    return _normally(siemens, technology.programming_error, draws, "programming", shape)


def stuck(siemens: Tensor, technology: Technology, draws: Draws, shape: Sequence[int]) -> Tensor:
    """Conductances [S] with some devices at an end of the window, which no gradient reaches. The devices
    that are stuck at 1 % are among those at 2 %."""
    if not technology.stuck_off + technology.stuck_on > 0:
        return siemens
    lowest, highest = technology.window
    chance = draws.uniform("stuck", shape).to(siemens.device)
    found = torch.where(chance < technology.stuck_off, lowest, siemens)
    return torch.where(chance >= 1 - technology.stuck_on, highest, found)


def varied(siemens: Tensor, technology: Technology, draws: Draws, shape: Sequence[int]) -> Tensor:
    """Conductances [S] of particular chips: G (1 + sigma n), truncated, or G exp(sigma n)."""
    if technology.distribution == "normal" or not technology.variation > 0:
        return _normally(siemens, technology.variation, draws, "variation", shape)
    return siemens * torch.exp(technology.variation * draws.normal("variation", shape).to(siemens))


def _normally(siemens: Tensor, sigma: float, draws: Draws, part: str, shape: Sequence[int]) -> Tensor:
    if not sigma > 0:
        return siemens
    return siemens * (1 + sigma * draws.normal(part, shape, least=-1 / sigma).to(siemens))


def _redrawn(deviates: Tensor, least: float, generator: torch.Generator) -> Tensor:
    while bool((beyond := deviates < least).any()):
        deviates[beyond] = torch.randn(int(beyond.sum()), generator=generator, dtype=deviates.dtype)
    return deviates


def _shape(siemens: Tensor, draws: Draws) -> tuple[int, ...]:
    """Of what one chip has; `Refused` where the chips are not those that are drawn."""
    chips = siemens.shape[:-2]
    drawn = (len(draws.chips),) if isinstance(draws.chips, tuple) else ()
    if chips not in {(), drawn}:
        raise Refused(
            f"conductances of shape {tuple(siemens.shape)} for the draws of {drawn or 'one chip'}",
            allowed="(inputs, devices), or as many chips in front as are drawn",
        )
    return tuple(siemens.shape[-2:])
