"""All rows, or all columns, of a crossbar by themselves: ladders of wires from their ends on.

What a ladder does with given currents needs no solve: drops add up along the wire. That makes it
possible to say by how much node voltages are wrong without the differences of nearly equal voltages
over micro-ohms, in which digits are lost. Without resistance in its wire a ladder is one node.

Arrays have shape (lines, nodes), the driven end first; of ladders without wires' resistance, volts have
shape (lines, 1), and what is asked for at one node is summed over the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats

HELD = 1e-12
"""Of a wire segment: what an end of 0 ohm is taken for where there are wires, as nothing divides by 0."""


class Mismatch(NamedTuple):
    """By how much the voltages of ladders are not those that their currents ask for."""

    volts: Floats
    """[V], of each node against the first of its line."""
    amps: Floats
    """[A], same shape: too many into the ends, 0 elsewhere."""

    def size(self, divider: Floats) -> float:
        """[V] A norm, where lines have so many ohms (lines,) against ground; NaN if a number in it is."""
        return float((np.abs(self.volts).max(axis=1) + divider * np.abs(self.amps.sum(axis=1))).max())


@dataclass(frozen=True, eq=False)
class Ladders:
    """Lines of `nodes` crossings each, fed at one end through `ohms`, and at both if there are `far` ones."""

    ohms: Floats
    """[ohm], shape (lines,)."""
    far: Floats | None
    """[ohm], shape (lines,); None: that end is open."""
    wire: float
    """[ohm] of each segment."""
    nodes: int

    @property
    def wired(self) -> bool:
        """Whether the nodes of a line may differ."""
        return self.wire > 0 and self.nodes > 1

    @property
    def ends(self) -> tuple[Floats, Floats]:
        """[ohm], shape (lines,) each: near and far, none of them 0 at a wire; an open end is infinite."""
        least = HELD * self.wire if self.wired else 0.0
        near = np.maximum(self.ohms, least)
        return near, np.full(len(near), np.inf) if self.far is None else np.maximum(self.far, least)

    @property
    def joined(self) -> Floats:
        """[ohm], shape (lines,): of both ends side by side, where a line is one node."""
        if self.far is None:
            return self.ohms
        total = self.ohms + self.far
        return np.asarray(self.ohms * self.far / np.where(total > 0, total, 1.0), dtype=np.float64)

    def near_amps(self, amps: Floats) -> Floats:
        """[A], shape (lines,): what comes in at the near end, where devices take `amps` (lines, nodes)."""
        total = amps.sum(axis=1)
        if self.far is None:
            return total
        length = self.wire * (self.nodes - 1)
        near, far = self.ends if self.wired else (self.ohms, self.far)
        passed = self.wire * amps.cumsum(axis=1)[:, :-1].sum(axis=1)
        around = near + far + length
        shared = (far * total + passed) / np.where(around > 0, around, 1.0)
        return np.asarray(np.where(around > 0, shared, total / 2), dtype=np.float64)

    def slack(self, amps: Floats) -> float:
        """[V] at most by which ends of 0 ohm are missed, being taken for a little more (`HELD`)."""
        if not self.wired:
            return 0.0
        return HELD * self.wire * float(np.abs(amps).sum(axis=1).max())

    def mismatch(self, volts: Floats, terminal: Floats, amps: Floats) -> Mismatch:
        """Where devices take `amps` (lines, nodes) and `terminal` (lines,) volts stand behind the ends."""
        if not self.wired:
            ohms = np.where(self.joined > 0, self.joined, np.inf)  # a line without is held by its source
            over = (volts[:, 0] - terminal) / ohms + amps.sum(axis=1)
            return Mismatch(np.zeros_like(volts), np.where(ohms < np.inf, over, 0.0)[:, None])
        near, far = self.ends
        amps = np.ascontiguousarray(amps)  # sums across the memory take four times as long
        first = self.near_amps(amps)
        passing = first[:, None] - amps.cumsum(axis=1)
        told = np.zeros_like(amps)  # [V] of each node against the first
        passing[:, :-1].cumsum(axis=1, out=told[:, 1:])
        told *= -self.wire
        ends = np.zeros_like(amps)
        ends[:, 0] = (volts[:, 0] - terminal) / near + first
        ends[:, -1] += (volts[:, 0] + told[:, -1] - terminal) / far - passing[:, -1] * (self.far is not None)
        return Mismatch(volts - volts[:, :1] - told, ends)

    def most_ohms(self, slopes: Floats) -> float:
        """[ohm] from any node to ground, at most, through its device, or along its line to the near end."""
        with np.errstate(divide="ignore"):
            device = 1.0 / (slopes if self.wired else slopes.sum(axis=1, keepdims=True))
        line = self.ohms[:, None] + self.wire * np.arange(slopes.shape[1] if self.wired else 1)
        return float(np.minimum(device, line).max())

    def divider(self, slopes: Floats) -> Floats:
        """[ohm], shape (lines,): of whole lines against ground, with `slopes` (lines, nodes) [S]."""
        return self.joined / (1.0 + self.joined * slopes.sum(axis=1))
