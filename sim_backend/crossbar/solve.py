"""Solve a crossbar: the closed form where there are no wires, the grid where there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from labctl.errors import Refused
from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.closed import Closed
from sim_backend.crossbar.grid import Found, Grid
from sim_backend.crossbar.solution import Solution

TIGHTEST = 1e-13
"""No tolerance below this: double precision has no more to give."""


def solve(crossbar: Crossbar, volts: ArrayLike, *, tolerance: float = 1e-10) -> Solution:
    """Everything about the crossbar with its sources at `volts` [V], (rows,) or (vectors, rows).

    No output is off by more than `tolerance` of its vector's largest: `Solution.error` is what was
    reached, and `NoConvergence` is raised where the tolerance could not be. A vector's solution takes
    24 bytes for each crossing; for many vectors on one array, where only outputs are wanted,
    `Factored` is the better tool. Raises `Refused` for volts of a wrong shape, or a tolerance
    outside 1e-13 to 0.1.
    """
    if not TIGHTEST <= tolerance <= 0.1:
        raise Refused(f"a tolerance of {tolerance:.6g}", allowed=f"{TIGHTEST:g} to 0.1")
    vectors = crossbar.checked(volts)
    if not crossbar.wired:
        return _closed(crossbar, vectors)
    grid = Grid(crossbar)
    return _gathered(crossbar, vectors, [grid.solve(vector, tolerance) for vector in vectors])


def _closed(crossbar: Crossbar, volts: Floats) -> Solution:
    """Nodes from the closed form; device currents corrected by what Kirchhoff's law finds lacking in them."""
    closed = Closed(crossbar)
    v, u = closed.driven(volts)
    shape = (len(volts), crossbar.rows, crossbar.columns)
    rows, columns = np.broadcast_to(v[:, :, None], shape), np.broadcast_to(u[:, None, :], shape)
    amps = (rows - columns) * crossbar.siemens
    dv, du = closed.corrections(volts, v, u, amps)
    amps += (dv[:, :, None] - du[:, None, :]) * crossbar.siemens
    outputs = closed.drained(v)
    error = float(np.finfo(float).eps) * 4 * sum(crossbar.siemens.shape)
    return Solution(crossbar, volts, outputs, rows, columns, amps, error, 0)


def _gathered(crossbar: Crossbar, volts: Floats, found: list[Found]) -> Solution:
    return Solution(
        crossbar,
        volts,
        _stacked([one.outputs for one in found]),
        _stacked([one.row_volts for one in found]),
        _stacked([one.column_volts for one in found]),
        _stacked([one.device_amps for one in found]),
        max(one.error for one in found),
        sum(one.iterations for one in found),
    )


def _stacked(arrays: list[Floats]) -> Floats:
    """Along a new first axis; one alone is not copied."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
