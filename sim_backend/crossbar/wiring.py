"""What stands around the devices of a crossbar: its rows and columns, and how their voltages are mended.

By how much node voltages are wrong is worked out ladder by ladder (`sim_backend.crossbar.ladders`), without
loss of digits. What mends it is a linear crossbar whose devices are slopes: dense where no wire has
resistance, otherwise conjugate gradients on the columns, with the rows eliminated and each column solved
exactly as the preconditioner. A correction may be rough, because the next mismatch is exact again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.ladders import Ladders, Mismatch

ROUGH = 1e-4
"""[1] Relative error that a linear solve with wires may leave."""
MOST_ROUNDS = 2000


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

    def correction(self, slopes: Floats, wrong: tuple[Mismatch, Mismatch]) -> Nodes:
        """The change of node voltages that mends this where devices are `slopes` (rows, columns) [S]."""
        above, below = wrong
        apart = slopes * (above.volts - _across(below.volts))
        into_rows = apart - _placed(above.amps, slopes.shape)
        into_columns = -apart - _placed(_across(below.amps), slopes.shape)
        if self.rows.wired or self.columns.wired:
            mended = self._by_gradients(slopes, into_rows, into_columns)
        else:
            mended = self._dense(slopes, into_rows.sum(axis=1), into_columns.sum(axis=0))
        return Nodes(mended.rows - above.volts, mended.columns - _across(below.volts))

    def _dense(self, slopes: Floats, into_rows: Floats, into_columns: Floats) -> Nodes:
        """Volts of (rows, 1) and (1, columns) for currents into whole lines, the longer side eliminated."""
        if len(slopes) < slopes.shape[1]:
            columns, rows = _eliminated(
                slopes.T, self.columns.joined, self.rows.joined, into_columns, into_rows
            )
        else:
            rows, columns = _eliminated(
                slopes, self.rows.joined, self.columns.joined, into_rows, into_columns
            )
        return Nodes(rows[:, None], columns[None, :])

    def _by_gradients(self, slopes: Floats, into_rows: Floats, into_columns: Floats) -> Nodes:
        """The same with wires: conjugate gradients on the columns, rows eliminated."""
        above = self.rows.solver(slopes)
        held = self.columns.solver(_along(slopes))

        def below(amps: Floats) -> Floats:
            return _across(held(_along(amps)))

        lifted = above(into_rows)
        left = into_columns + slopes * lifted  # [A] not yet accounted for, at the devices
        columns = np.zeros_like(lifted[:1] if not self.columns.wired else slopes)
        search, asked = below(left), left  # a search direction [V], and the currents that hold it there
        power = first = float(np.vdot(left, np.broadcast_to(search, slopes.shape)))
        for _ in range(MOST_ROUNDS):
            if not power > ROUGH**2 * first:
                break
            taken = asked - slopes * above(slopes * search)
            part = power / float(np.vdot(taken, np.broadcast_to(search, slopes.shape)))
            columns = columns + part * search
            left = left - part * taken
            next_search = below(left)
            before, power = power, float(np.vdot(left, np.broadcast_to(next_search, slopes.shape)))
            search = next_search + (power / before) * search
            asked = left + (power / before) * asked
        return Nodes(above(into_rows + slopes * columns), columns)


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


def _eliminated(
    slopes: Floats, ohms: Floats, other_ohms: Floats, amps: Floats, other_amps: Floats
) -> tuple[Floats, Floats]:
    """[V] of lines and of the others, for currents into them; slopes (lines, others), lines eliminated."""
    divider = ohms / (1.0 + ohms * slopes.sum(axis=1))
    matrix = -(other_ohms[:, None] * slopes.T) @ (divider[:, None] * slopes)
    matrix.flat[:: len(matrix) + 1] += 1.0 + other_ohms * slopes.sum(axis=0)
    asked: Floats = other_ohms * (other_amps + slopes.T @ (divider * amps))
    try:
        others = np.asarray(np.linalg.solve(matrix, asked), dtype=np.float64)
    except np.linalg.LinAlgError:  # slopes so steep that nothing else counts
        others = np.full(len(asked), np.nan)
    return divider * (amps + slopes @ others), others
