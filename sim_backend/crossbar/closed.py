"""The closed form of a crossbar without wires: every line one node, so outputs = volts @ `effective`.

With Rs and Rn the ends of rows and columns, A = 1 / (1 + Rs Dr) and Dr, Dc the sums of the devices over
rows and columns, the outputs are K^-1 G^T A V with K = 1 + Rn Dc - Rs Rn G^T A G (no wires; Chakraborty,
Roy and Roy, arXiv:1711.08889, name the model). K is a difference: with strong devices behind large ends
it holds few digits. So the same elimination is done as star-mesh transforms: a row's node taken away
leaves conductances between its columns, and each column's node taken away leaves conductances between
those that remain, and to 0 V. Nothing is ever subtracted, and every entry of the result is right to nearly
every digit. The lines of the kind that there are more of go first: they cost a matrix product, and only
the others an elimination of n^3 / 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular

from labctl.errors import Refused
from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar

BLOCK = 64
"""Nodes eliminated between two matrix products."""


class Mesh:
    """Nodes that conduct to one another and to 0 V, all eliminated: K = L D L^T of an M-matrix.

    `between` [S] (nodes, nodes), symmetric, its diagonal unread; `ground` [S] (nodes,), above zero.
    """

    def __init__(self, between: Floats, ground: Floats) -> None:
        count = len(ground)
        mesh, ground, self.pivots = between.copy(), ground.copy(), np.empty(count)
        for start in range(0, count, BLOCK):
            end = min(start + BLOCK, count)
            for node in range(start, end):
                others = mesh[node, node + 1 :]
                self.pivots[node] = ground[node] + others.sum()
                shares = others / self.pivots[node]
                ground[node + 1 : end] += shares[: end - node - 1] * ground[node]
                mesh[node + 1 : end, node + 1 :] += np.outer(shares[: end - node - 1], others)
            shares = mesh[start:end, end:] / self.pivots[start:end, None]
            ground[end:] += ground[start:end] @ shares
            mesh[end:, end:] += shares.T @ mesh[start:end, end:]
        self._upper = np.triu(mesh, 1) / -self.pivots[:, None]

    def solve(self, currents: Floats) -> Floats:
        """[V], (nodes, cases), for currents [A] into the nodes, (nodes, cases)."""
        volts = solve_triangular(self._upper, currents, trans="T", unit_diagonal=True, check_finite=False)
        volts /= self.pivots[:, None]
        return solve_triangular(self._upper, volts, unit_diagonal=True, check_finite=False)


class Lineless:
    """Rows and columns that are one node each, joined by devices [S], eliminated: the longer side first.

    `source` [S] (rows,) and `sink` [S] (columns,) conduct to 0 V; infinite ones hold their node there.
    """

    def __init__(self, siemens: Floats, source: Floats, sink: Floats) -> None:
        self._turned = siemens.shape[1] > siemens.shape[0]
        first, last = (sink, source) if self._turned else (source, sink)
        self._devices = siemens.T if self._turned else siemens
        self._free = slice(None) if np.isfinite(last).all() else np.isfinite(last)
        self._whole = self._devices.sum(axis=1) + first
        grounded = first + self._devices[:, np.isinf(last)].sum(axis=1)
        share = np.where(np.isinf(first), 1.0, grounded / np.where(np.isinf(first), 1.0, self._whole))
        self._kept = kept = self._devices[:, self._free]
        self._mesh = Mesh((kept / self._whole[:, None]).T @ kept, last[self._free] + share @ kept)

    def volts(self, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
        """Node voltages [V], (rows, cases) and (columns, cases), for currents [A] into the nodes.

        Held nodes stay at 0 V whatever flows into them.
        """
        outer, inner = (columns, rows) if self._turned else (rows, columns)
        whole = self._whole[:, None]
        found = np.zeros_like(inner)
        found[self._free] = self._mesh.solve(inner[self._free] + self._kept.T @ (outer / whole))
        first = (outer + self._kept @ found[self._free]) / whole
        return (found, first) if self._turned else (first, found)


class Closed:
    """A crossbar without wires, factored: node voltages for any drive of its rows and columns."""

    def __init__(self, crossbar: Crossbar) -> None:
        if crossbar.wired:
            raise Refused(
                "a closed form for a crossbar with wires",
                allowed="row and column wires of 0 ohm",
                todo="use solve()",
            )
        self.crossbar = crossbar
        self.source = ends(crossbar.source_ohms, crossbar.far_source_ohms)
        self.sink = ends(crossbar.sink_ohms, crossbar.far_sink_ohms)
        self.volts = Lineless(crossbar.siemens, self.source, self.sink).volts

    def driven(self, volts: Floats) -> tuple[Floats, Floats]:
        """Node voltages [V], (vectors, rows) and (vectors, columns), for source voltages (vectors, rows)."""
        held = np.isinf(self.source)
        rows = np.where(held, 0.0, volts * np.where(held, 0.0, self.source))
        columns = (volts * held) @ self.crossbar.siemens
        v, u = self.volts(rows.T, columns.T)
        return v.T + volts * held, u.T

    def corrections(self, volts: Floats, v: Floats, u: Floats, amps: Floats) -> tuple[Floats, Floats]:
        """What `driven` still lacks [V], (vectors, rows) and (vectors, columns); `amps`: of its devices."""
        source, sink = (np.where(np.isinf(ends), 0.0, ends) for ends in (self.source, self.sink))
        dv, du = self.volts(((volts - v) * source - amps.sum(axis=2)).T, (amps.sum(axis=1) - u * sink).T)
        return dv.T, du.T

    def outputs(self, volts: Floats) -> Floats:
        """[A], (vectors, columns), for source voltages [V] (vectors, rows)."""
        return self.drained(self.driven(volts)[0])

    def drained(self, rows: Floats) -> Floats:
        """[A], (vectors, columns): what columns give to their sinks with the rows' nodes at these [V].

        A node of conductance Dc to the rows and s to its sink gives the sink s / (s + Dc) of what comes.
        """
        held = np.isinf(self.sink)
        sink = np.where(held, 1.0, self.sink)
        share = np.where(held, 1.0, sink / (sink + self.crossbar.siemens.sum(axis=0)))
        return (rows @ self.crossbar.siemens) * share


def ends(near: Floats, far: Floats | None) -> Floats:
    """[S], (lines,): what both ends of a line conduct together; infinite where one has 0 ohm."""
    with np.errstate(divide="ignore"):
        return 1 / near if far is None else 1 / near + 1 / far


def effective(crossbar: Crossbar) -> Floats:
    """[S], (rows, columns): what 1 V at each source sends into each neuron, without wires, exactly."""
    closed = Closed(crossbar)
    if crossbar.rows <= crossbar.columns:
        return closed.outputs(np.eye(crossbar.rows))
    return effective(_turned(crossbar)).T


def outputs(crossbar: Crossbar, volts: ArrayLike) -> Floats:
    """[A], (vectors, columns), without wires; `volts` [V] is (rows,) or (vectors, rows)."""
    return Closed(crossbar).outputs(crossbar.checked(volts))


def _turned(crossbar: Crossbar) -> Crossbar:
    """The crossbar driven at its columns and read at its rows: by reciprocity, the same, transposed."""
    return Crossbar(
        crossbar.siemens.T,
        crossbar.sink_ohms,
        crossbar.source_ohms,
        crossbar.column_wire_ohms,
        crossbar.row_wire_ohms,
        crossbar.far_sink_ohms,
        crossbar.far_source_ohms,
    )
