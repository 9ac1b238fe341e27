"""Under which conditions networks are trained and tried: the kinds of chips of a file.

The name of a condition goes into the record; it is the same whatever order the file has its lists in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, TypeAlias

from labctl.aware.file import AwareFile
from labctl.aware.technology import Technology

Tile: TypeAlias = "tuple[int, int] | None"
PARTS = ("variation", "programming_error", "stuck_off", "stuck_on", "read_noise", "output_noise")
"""What makes one chip differ from the next; where all are 0, one chip is as good as twenty."""


@dataclass(frozen=True)
class Condition:
    """One kind of chip that networks are tried on: its resistances in units of Ron."""

    source: float
    neuron: float
    variation: float
    tile: Tile
    technology: Technology

    @classmethod
    def of(cls, technology: Technology) -> Self:
        """That of a technology."""
        return cls(
            _ratio(technology.source, technology.on),
            _ratio(technology.neuron, technology.on),
            technology.variation,
            technology.tile,
            technology,
        )

    @property
    def key(self) -> str:
        """Its name in the record."""
        shown = f"source {self.source:.10g}, neuron {self.neuron:.10g}, variation {self.variation:.10g}"
        return f"{shown}, tile {tile_name(self.tile)}"

    @property
    def varies(self) -> bool:
        """Whether one chip of this kind differs from the next."""
        return any(getattr(self.technology, part) > 0 for part in PARTS)

    def without_circuit(self) -> Condition:
        """What noise-aware training knows of it: its parts, not the circuit around them."""
        bare = {"source": 0.0, "neuron": 0.0, "wire": 0.0, "tile": None}
        return Condition.of(self.technology.model_copy(update=bare))

    def chips(self, asked: int) -> int:
        """How many chips are tried: one where they are all the same."""
        return asked if self.varies else min(asked, 1)


def conditions(file: AwareFile) -> tuple[Condition, ...]:
    """Those of the file's sweep, each once; without a sweep, the one of its technology."""
    technologies = file.sweep.technologies(file.technology) if file.sweep else [file.technology]
    found = {one.key: one for one in map(Condition.of, technologies)}
    return tuple(found.values())


def tile_name(tile: Tile) -> str:
    """Of an array's size: "128x128", "any" where a layer is one array."""
    return "any" if tile is None else f"{tile[0]}x{tile[1]}"


def _ratio(ohms: float, on: float) -> float:
    """As the file had it: ten digits, without what multiplying and dividing by Ron leaves."""
    return float(f"{ohms / on:.10g}")
