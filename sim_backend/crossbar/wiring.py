"""What stands around the devices of a crossbar: its rows and columns, and how their voltages are mended.

By how much node voltages are wrong is worked out ladder by ladder (`sim_backend.crossbar.ladders`), without
loss of digits. What mends it is a linear crossbar whose devices are slopes: in closed form where no wire has
resistance, otherwise conjugate gradients on the columns, with the rows eliminated and each column solved
exactly as the preconditioner. A correction may be rough, because the next mismatch is exact again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labctl.errors import NoConvergence
from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.closed import Lineless, ends
from sim_backend.crossbar.descent import Descent
from sim_backend.crossbar.ladders import Ladders, Mismatch
from sim_backend.crossbar.lines import Lines, across

ROUGH = 1e-4
"""Of the highest voltage of a correction: what a linear solve with wires may be off by, at any node."""
MOST_ROUNDS = 2000
EPSILONS = 16
"""Of the highest voltage: what rounding makes of a node's."""


class Nodes(NamedTuple):
    """[V] of both electrodes of all devices: (rows, columns), or (rows, 1) and (1, columns) without wires."""

    rows: Floats
    columns: Floats

    def moved(self, by: Nodes, part: float = 1.0) -> Nodes:
        """These, and a part of others added."""
        return Nodes(self.rows + part * by.rows, self.columns + part * by.columns)

    @property
    def largest(self) -> float:
        """[V] the highest magnitude; NaN if one is."""
        return float(max(np.abs(self.rows).max(), np.abs(self.columns).max()))


@dataclass(frozen=True, eq=False)
class Wiring:
    """What stands around the devices of a crossbar: `rows` from their sources, `columns` from their sinks."""

    rows: Ladders
    columns: Ladders

    @classmethod
    def of(cls, crossbar: Crossbar) -> Wiring:
        """The lines of a crossbar; what its devices conduct does not matter here."""
        count = crossbar.rows, crossbar.columns
        ends = crossbar.far_source_ohms, crossbar.far_sink_ohms
        return cls(
            Ladders(crossbar.source_ohms, ends[0], crossbar.row_wire_ohms, count[1]),
            Ladders(crossbar.sink_ohms, ends[1], crossbar.column_wire_ohms, count[0]),
        )

    def at_rest(self, volts: Floats, sunk: Floats) -> Nodes:
        """Where the search begins: no current anywhere."""
        shape = len(self.rows.ohms), len(self.columns.ohms)
        above = np.repeat(volts[:, None], shape[1] if self.rows.wired else 1, axis=1)
        below = np.repeat(sunk[None, :], shape[0] if self.columns.wired else 1, axis=0)
        return Nodes(above, below)

    def mismatch(self, nodes: Nodes, volts: Floats, sunk: Floats, amps: Floats) -> tuple[Mismatch, Mismatch]:
        """What is wrong with node voltages if the devices carry `amps` (rows, columns)."""
        return (
            self.rows.mismatch(nodes.rows, volts, amps),
            self.columns.mismatch(_along(nodes.columns), sunk, -_along(amps)),
        )

    def dividers(self, slopes: Floats) -> tuple[Floats, Floats]:
        """[ohm] of rows (rows,) and columns (columns,) against ground, with devices (rows, columns) [S]."""
        return self.rows.divider(slopes), self.columns.divider(_along(slopes))

    def rounded(self, volts: Floats, sunk: Floats, amps: Floats) -> float:
        """[V] by which nodes may be off however often they are mended, if the devices carry `amps`."""
        highest = max(float(np.abs(volts).max()), float(np.abs(sunk).max()))
        ends = max(self.rows.slack(amps), self.columns.slack(_along(amps)))
        return ends + EPSILONS * float(np.finfo(float).eps) * highest

    def correction(self, slopes: Floats, wrong: tuple[Mismatch, Mismatch]) -> tuple[Nodes, float]:
        """The change of node voltages that mends this where devices are `slopes` (rows, columns) [S].

        And by how much [V] it may be off, because the linear solve was rough.
        """
        above, below = wrong
        apart = slopes * (above.volts - _across(below.volts))
        into_rows = apart - _placed(above.amps, slopes.shape)
        into_columns = -apart - _placed(_across(below.amps), slopes.shape)
        if self.rows.wired or self.columns.wired:
            mended, error = self._by_gradients(slopes, into_rows, into_columns)
        else:
            mended, error = self._in_closed_form(slopes, into_rows.sum(axis=1), into_columns.sum(axis=0)), 0.0
        return Nodes(mended.rows - above.volts, mended.columns - _across(below.volts)), error

    def _in_closed_form(self, slopes: Floats, into_rows: Floats, into_columns: Floats) -> Nodes:
        """Volts of (rows, 1) and (1, columns) for currents into whole lines."""
        lines = (ends(side.ohms, side.far) for side in (self.rows, self.columns))
        rows, columns = Lineless(slopes, *lines).volts(into_rows[:, None], into_columns[:, None])
        return Nodes(rows, columns.T)

    def _by_gradients(self, slopes: Floats, into_rows: Floats, into_columns: Floats) -> tuple[Nodes, float]:
        """The same with wires: conjugate gradients on the columns, rows eliminated; and its error [V]."""
        near, far = self.columns.ends
        above = Lines(slopes, *self.rows.ends, self.rows.wire)
        below = Lines(across(slopes), far, near, self.columns.wire)
        left = into_columns + slopes * above.solve(into_rows.copy())
        search = Descent(above, below, across(left))
        error = _descended(search, self.columns.most_ohms(_along(slopes)))
        columns = across(search.x)
        rows = above.solve(into_rows + slopes * columns)
        found = Nodes(
            rows if self.rows.wired else rows[:, :1], columns if self.columns.wired else columns[:1]
        )
        return found, error


def _descended(search: Descent, ohms: float) -> float:
    """Search until no node is off by more than `ROUGH` allows; returns by how much one may be [V].

    An error that takes a power P has at most the root of P times a node's resistance to ground, `ohms` at
    most; nodes of rows lie between those of columns.
    """
    while not search.spent:
        enough = (ROUGH * max(float(search.x.max()), -float(search.x.min()))) ** 2
        if search.power * ohms <= enough and search.error_power * ohms <= enough:
            break
        if len(search.steps) == MOST_ROUNDS:
            raise NoConvergence(
                f"the crossbar's voltages have not settled after {MOST_ROUNDS:,} iterations",
                todo="compare wires and ends with the devices: they are many decades apart",
            )
        search.step()
    return float(np.sqrt(search.error_power * ohms))


def _along(columns: Floats) -> Floats:
    """(rows, columns) as columns see it, from their sinks on: (columns, rows)."""
    return columns[::-1].T


def _across(lines: Floats) -> Floats:
    """And back."""
    return lines.T[::-1]


def _placed(amps: Floats, shape: tuple[int, ...]) -> Floats:
    """Currents at nodes as currents at crossings: those of a line that is one node go to one of them."""
    if amps.shape == shape:
        return amps
    placed = np.zeros(shape)
    placed[: amps.shape[0], : amps.shape[1]] = amps
    return placed
