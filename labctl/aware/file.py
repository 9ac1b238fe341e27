"""Files that say what is trained, for which chips, and what is asked of it; checked without torch.

Standard, noise-aware and technology-aware training differ in one line, `aware = ...` of `[training]`:
everything else, the number of steps included, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from labctl.aware.data import CLASSES, DataTable
from labctl.aware.technology import Technology
from labctl.config import Count, Fraction, Name, Section, Seed, read_toml

Aware = Literal["standard", "noise", "technology"]
Compared = Literal["standard", "calibrated", "noise", "technology"]
"""Kinds of networks in a sweep. "calibrated": those of standard training, each layer with the one digital
gain that undoes its mean attenuation, so that it can be seen what training brings beyond a gain."""
Epochs = Annotated[int, Field(ge=0, le=10_000)]
PositiveFloat = Annotated[float, Field(gt=0)]
Ratio = Annotated[float, Field(ge=0, le=1)]
"""Of a resistance to Ron."""


MOST_WEIGHTS = 80_000_000
"""With the moments of the optimiser, what a row of the record can hold: a billion bytes."""


class Layer(NamedTuple):
    """What a layer asks of an array: rows, and weights side by side in each of them."""

    name: str
    inputs: int
    outputs: int


class Network(Section):
    """The `[network]` table: which layers; between them rectifiers."""

    kind: Literal["fcn", "cnn"] = "fcn"
    hidden: tuple[Count, ...] | None = None
    """Widths of the fully connected layers before the last; left out: 500 (fcn), 512 (cnn)."""
    channels: tuple[Count, Count] = (32, 64)
    """cnn: of the two convolutions, each 3 x 3 and followed by pooling 2 x 2."""
    side: Count = 32
    """cnn: pictures are padded with zeros to this side: 64 channels of 8 x 8 remain of 32 x 32."""
    limit: PositiveFloat = 3.0
    """Largest weight of a layer, times the root of its inputs: what the ends of the window stand for. A
    smaller limit makes more of the window, and so less of what varies; too small a one cannot be learnt."""
    array: tuple[Count, Count] | None = None
    """Rows and columns of devices of the arrays that there are; left out: as large as the layers."""

    @model_validator(mode="after")
    def _of_its_kind(self) -> Network:
        usual = type(self).model_fields
        told = [name for name in ("channels", "side") if getattr(self, name) != usual[name].default]
        if told and self.kind == "fcn":
            raise ValueError(f"{' and '.join(told)} with kind = 'fcn'; allowed: with kind = 'cnn'")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the fully connected layers before the last."""
        return self.hidden if self.hidden is not None else {"fcn": (500,), "cnn": (512,)}[self.kind]

    def layers(self, data: DataTable) -> tuple[Layer, ...]:
        """Its layers on those pictures, in order."""
        found: list[Layer] = []
        inputs = data.kind.channels * data.side**2
        if self.kind == "cnn":
            before = data.kind.channels
            for number, channels in enumerate(self.channels, 1):
                found.append(Layer(f"convolution {number}", 9 * before, channels))
                before = channels
            inputs = before * (self.side // 4) ** 2
        for number, outputs in enumerate((*self.widths, CLASSES), 1):
            found.append(Layer(f"layer {number}", inputs, outputs))
            inputs = outputs
        return tuple(found)


class Training(Section):
    """The `[training]` table."""

    aware: Aware = "technology"
    """Of what training is aware: of nothing; of what varies from chip to chip; of the circuit as well."""
    ideal_epochs: Epochs = 10
    """Of plain training, which comes first whatever comes after."""
    epochs: Epochs = 5
    """Of training that is as aware as `aware` says."""
    batch: Count = 64
    """Pictures in a step."""
    optimizer: Literal["adam", "sgd"] = "adam"
    rate: PositiveFloat = 1e-3
    """Learning rate, of both."""
    exact: bool = False
    """Whether every step solves the circuit exactly; else a small part of it is held for some steps."""
    start: str | None = None
    """A run to start from instead of `ideal_epochs`, beside this file."""
    seed: Seed = 0


class Sweep(Section):
    """The `[sweep]` table: chips that networks are compared on."""

    source: tuple[Ratio, ...] = (1e-4, 1e-3, 1e-2)
    """Rs/Ron."""
    neuron: tuple[Ratio, ...] = (1e-4, 1e-3, 1e-2)
    """Rn/Ron."""
    points: Literal["grid", "diagonals"] = "grid"
    """Every source with every neuron, or only the two diagonals of that square."""
    variation: tuple[Fraction, ...] = ()
    """Sigma from chip to chip, varied alone: all else is as in `[technology]`."""
    tiles: tuple[tuple[Count, Count], ...] = ()
    """Rows and columns of arrays, varied alone."""
    aware: tuple[Compared, ...] = ("standard", "calibrated", "technology")
    """Kinds of networks that are compared."""
    seeds: Count = 3
    """Networks of each kind."""
    chips: Count = 20
    """That each of them is tried on at every point."""

    @model_validator(mode="after")
    def _possible(self) -> Sweep:
        for name in ("source", "neuron", "aware"):
            found = getattr(self, name)
            if not found or len(set(found)) != len(found):
                raise ValueError(f"{name} is empty or has one twice; allowed: different values")
        if "calibrated" in self.aware and "standard" not in self.aware[: self.aware.index("calibrated")]:
            raise ValueError('aware has "calibrated" without "standard" before it; allowed: both, or neither')
        if self.points == "diagonals" and len(self.source) != len(self.neuron):
            raise ValueError('points = "diagonals" needs as many source as neuron')
        return self

    def technologies(self, base: Technology) -> Iterator[Technology]:
        """Every kind of chip of the sweep: `base`, with what the sweep says instead."""
        last = len(self.source) - 1
        for (i, source), (j, neuron) in product(enumerate(self.source), enumerate(self.neuron)):
            if self.points == "grid" or j in {i, last - i}:
                yield base.model_copy(update={"source": source * base.on, "neuron": neuron * base.on})
        yield from (base.model_copy(update={"variation": sigma}) for sigma in self.variation)
        yield from (base.model_copy(update={"tile": tile}) for tile in self.tiles)


class AwareFile(Section):
    """A file, as it was written."""

    name: Name
    data: DataTable = DataTable()
    network: Network = Network()
    technology: Technology = Technology()
    training: Training = Training()
    sweep: Sweep | None = None

    @model_validator(mode="after")
    def _fits(self) -> AwareFile:
        """A picture into the network, every layer into the arrays."""
        network, side = self.network, self.data.side
        if network.kind == "cnn" and (network.side < side or network.side % 4 or (network.side - side) % 2):
            raise ValueError(
                f"network.side = {network.side}; allowed: a multiple of 4, {side} or an even number more"
            )
        weights = sum(layer.inputs * layer.outputs for layer in network.layers(self.data))
        if weights > MOST_WEIGHTS:
            raise ValueError(f"a network of {weights:.2g} weights; allowed: {MOST_WEIGHTS:.0g} at most")
        _check_arrays(self)
        return self


def read_aware(path: Path) -> AwareFile:
    """The file at `path`; raises `BadConfig` with every mistake."""
    return read_toml(path, AwareFile)


def device_columns(outputs: int, technology: Technology) -> int:
    """Columns of devices that hold so many weights side by side."""
    return 2 * outputs if technology.weights == "pairs" else outputs + 1


def _check_arrays(file: AwareFile) -> None:
    array, tiles = file.network.array, [file.technology.tile, *(file.sweep.tiles if file.sweep else ())]
    for tile in tiles:
        if tile is not None and tile[1] < 2:
            raise ValueError("a tile of one column holds no weight; allowed: 2 columns or more")
        if array is not None and tile is not None and (tile[0] > array[0] or tile[1] > array[1]):
            raise ValueError(f"a tile of {_size(tile)} is larger than network.array, {_size(array)}")
    if array is None or file.technology.tile is not None:
        return
    for layer in file.network.layers(file.data):
        needed = layer.inputs, device_columns(layer.outputs, file.technology)
        if needed[0] > array[0] or needed[1] > array[1]:
            raise ValueError(
                f"{layer.name} needs {_size(needed)} devices, and network.array has {_size(array)}; "
                "allowed: a larger array, or technology.tile, on which layers are cut"
            )


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
