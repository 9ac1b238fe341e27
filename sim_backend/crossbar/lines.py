"""All lines of one direction as one ladder of wires: node voltages from node currents, losing no digits.

A line is a chain of nodes joined by wire segments, with a device at each node and a resistance at either
end. Taken alone, with the other side of its devices at 0 V, its voltages v for currents b into its nodes
solve a tridiagonal system; set end to end with nothing between them, all lines are one such system, and
LAPACK solves it in one call. A wire of 1 uohm conducts 1e11 times what a device does, so that pivots found
by subtraction would hold no digit of the devices. They are found as the physics has it instead: s_k, what
node k conducts to 0 V by itself and all nodes before it,

    s_k = g_k + 1 / (1 / s_(k-1) + r)        pivot_k = s_k + 1 / r

which only adds positive numbers; so does the substitution for positive currents. A node held by an end of
0 ohm has an infinite pivot. Lines whose segments have no resistance are one node each.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from labctl.pulse import Floats
from sim_backend.crossbar.chains import conductances, substitute

NEAR = 8192
"""Nodes in a block of lines."""


def apart(rows: int, columns: int) -> Floats:
    """An empty array that can be read across: its rows do not lie a large power of two apart in memory.

    If they did, a column of them would fall on one place of the cache, and take four times as long.
    """
    return np.empty((rows, columns + 8 if columns % 32 == 0 else columns))[:, :columns]


def across(values: Floats) -> Floats:
    """A transposed copy, contiguous."""
    between = apart(*values.shape)
    between[:] = values
    return np.ascontiguousarray(between.T)


class Lines:
    """Lines of one direction: devices [S] (lines, crossings), their ends [ohm] (lines,), their wire [ohm]."""

    def __init__(
        self, siemens: Floats, first_ohms: Floats | None, last_ohms: Floats | None, wire_ohms: float
    ) -> None:
        self.siemens = siemens
        self.first = _conducted(first_ohms, len(siemens))
        self.last = _conducted(last_ohms, len(siemens))
        self.wire = 1 / wire_ohms if wire_ohms > 0 and siemens.shape[1] > 1 else np.inf
        if np.isfinite(self.wire):
            self._pivots, self._factors = self._ladder(wire_ohms)
        else:
            self._whole = (siemens.sum(axis=1) + self.first + self.last)[:, None]

    @property
    def wired(self) -> bool:
        """Whether the nodes of a line may differ in voltage."""
        return bool(np.isfinite(self.wire))

    def solve(self, currents: Floats, lines: slice = slice(None)) -> Floats:
        """Turn currents [A] into the nodes, (lines, crossings), contiguous, into their voltages, in place.

        With `lines`, the currents are those of these lines alone.
        """
        if self.wired:
            substitute(self._pivots[lines], self._factors[lines], currents)
        else:
            currents[:] = currents.sum(axis=1, keepdims=True) / self._whole[lines]
        return currents

    @cached_property
    def blocks(self) -> list[slice]:
        """The lines in pieces small enough to stay in a processor's nearest memory through several passes."""
        count, crossings = self.siemens.shape
        step = max(1, NEAR // crossings)
        return [slice(start, min(start + step, count)) for start in range(0, count, step)]

    @cached_property
    def profile(self) -> Floats:
        """[V], (lines, crossings): the nodes with both ends driven at 1 V and the devices' other side at 0 V.

        By reciprocity also the share of a current into each node that leaves through the ends.
        """
        found = np.zeros_like(self.siemens)
        for end, inner, conducted in ((0, 1, self.first), (-1, -2, self.last)):
            held = np.isinf(conducted)
            found[~held, end] += conducted[~held]
            if self.wired:
                found[held, inner] += self.wire
        self.solve(found)
        for end, conducted in ((0, self.first), (-1, self.last)):
            found[np.isinf(conducted), end if self.wired else slice(None)] = 1.0
        return found

    def gather(self, currents: Floats) -> Floats:
        """Share out, in place, what flows into lines of one node: only its sum means anything, and it may be
        much less than its terms."""
        if not self.wired:
            currents[:] = currents.mean(axis=1, keepdims=True)
        return currents

    def lacking(self, currents: Floats) -> Floats:
        """What flows into the nodes unaccounted for, in place: gathered, and 0 where an end holds a node."""
        for end, conducted in ((0, self.first), (-1, self.last)):
            currents[np.isinf(conducted), end if self.wired else slice(None)] = 0.0
        return self.gather(currents)

    def arriving(self, volts: Floats, ends: Floats | float) -> Floats:
        """[A], (lines, crossings): what flows into each node from its wires, and from ends at `ends` [V].

        Each wire's current is the same number at both its nodes: what rounding adds to one it takes from
        the other. Of lines that are one node, the currents from the ends are at their first and last place.
        """
        found = np.zeros_like(self.siemens)
        if self.wired:
            through = (volts[:, :-1] - volts[:, 1:]) * self.wire
            found[:, 1:] += through
            found[:, :-1] -= through
        for end, conducted in ((0, self.first), (-1, self.last)):
            held = np.isinf(conducted)
            found[:, end] += np.where(held, 0.0, conducted) * (ends - volts[:, end])
            found[held, end] = 0.0
        return found

    def leaving(self, volts: Floats) -> Floats:
        """[A], (lines,): what flows out of the ends at 0 V, but for the device at a node that is held."""
        total = np.zeros(len(volts))
        for end, inner, conducted in ((0, 1, self.first), (-1, -2, self.last)):
            held = np.isinf(conducted)
            total += np.where(held, 0.0, conducted) * volts[:, end]
            if self.wired:
                total += np.where(held, self.wire * volts[:, inner], 0.0)
        return total

    def _ladder(self, wire_ohms: float) -> tuple[Floats, Floats]:
        """Pivots and factors of L D L^T, as LAPACK's `pttrs` has them."""
        pivots = np.array(self.siemens)
        pivots[:, 0] += self.first
        pivots[:, -1] += self.last
        pivots = conductances(pivots, wire_ohms)
        pivots[:, :-1] += self.wire
        factors = np.zeros_like(self.siemens)
        np.divide(-self.wire, pivots[:, :-1], factors[:, :-1])
        return pivots, factors


def _conducted(ohms: Floats | None, count: int) -> Floats:
    """[S] of ends: 0 where there is none, infinite where the node is held."""
    if ohms is None:
        return np.zeros(count)
    with np.errstate(divide="ignore"):
        return 1 / ohms
