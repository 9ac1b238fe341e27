"""The wired crossbar, exactly: conjugate gradients on the columns' nodes, preconditioned by their lines.

With G the devices, R and C the tridiagonal systems of the rows and of the columns (`lines`), Kirchhoff's
law is

    R v - G u = drive        C u - G v = 0

Rows are eliminated: S u = G R^-1 drive with S = C - G R^-1 G, and C is the preconditioner. C p follows its
own recurrence beside p, so wires, which may conduct 1e11 times what devices do, are only met inside the
line solves, where they cost no digits. The residual is then taken anew from the drops over every wire and
device; where it is too large (two strongly coupled, weakly held sides) a correction is solved for in the
same way and kept beside the solution, in digits of its own.

The error is bounded: the difference from the true solution takes a power of r S^-1 r, with r the residual,
at most r C^-1 r / (least eigenvalue of C^-1 S), and the square of an output's error is at most that
power times what its column conducts from its sinks to the rows. The eigenvalue is the iteration's least
Ritz value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from labctl.errors import NoConvergence
from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.descent import SURE, Descent
from sim_backend.crossbar.lines import Lines, across

ROUNDED = 16 * float(np.finfo(float).eps)
"""What a sum may lose, as a share of the sum of its terms' sizes."""
ROUNDS = 6
"""Corrections at most; each gains several digits."""
MARGIN = 0.3 / SURE
"""Of the tolerance: what the iteration aims at, so that its end passes the check."""
STEPS = 10
"""Iterations at most in a round, for each line: strongly coupled sides take several for each."""
FINER = 0.1
"""Of its aim: what it aims at next, where the check was not passed."""


@dataclass(frozen=True)
class Found:
    """One vector's solution."""

    row_volts: Floats
    """[V], (rows, columns)."""
    column_volts: Floats
    """[V], (rows, columns)."""
    device_amps: Floats
    """[A], (rows, columns)."""
    outputs: Floats
    """[A], (columns,)."""
    error: float
    """Bound of the outputs' error, as a share of the largest output, or of what is lacking in the power."""
    iterations: int


@dataclass(frozen=True)
class _Balance:
    """What a solution so far lacks by Kirchhoff's law."""

    amps: Floats
    """[A], (rows, columns): through the devices."""
    rows: Floats
    """[V], (rows, columns): the correction that puts the rows right."""
    residual: Floats
    """[A], (columns, rows): into the columns' nodes, with the rows put right."""
    watts: float
    """[W]: at most the power of the difference from the true solution."""
    share: float
    """Of the power given, what is not accounted for."""


class Grid:
    """The factors of a crossbar's lines, for any number of input vectors."""

    def __init__(self, crossbar: Crossbar) -> None:
        self.crossbar = crossbar
        devices = crossbar.siemens
        self.rows = Lines(devices, crossbar.source_ohms, crossbar.far_source_ohms, crossbar.row_wire_ohms)
        self.columns = Lines(
            across(devices), crossbar.far_sink_ohms, crossbar.sink_ohms, crossbar.column_wire_ohms
        )
        self.weights = across(self.columns.profile * self.columns.siemens)
        """[S], (rows, columns): what 1 V at a row's node sends into a column's sinks, its others at 0 V."""
        self.reach = float(np.sqrt(self.weights.sum(axis=0).max()))
        """[sqrt(S)]: the most that an output can be off, for each root of a watt."""
        self.most = 100 + STEPS * (crossbar.rows + crossbar.columns)

    def solve(self, volts: Floats, tolerance: float) -> Found:
        """The solution for source voltages [V] (rows,); `NoConvergence` if it cannot be had."""
        return _Search(self, volts, tolerance).run()


class _Search:
    """The solution for one vector on its way: the sum of parts, each with digits of its own."""

    def __init__(self, grid: Grid, volts: Floats, tolerance: float) -> None:
        self.grid, self.volts, self.tolerance = grid, volts, tolerance
        self.parts: list[tuple[Floats, Floats, Floats]] = []
        """[V]: rows (rows, columns); columns, (rows, columns) and (columns, rows)."""
        self.left = np.zeros(grid.crossbar.columns)
        self.iterations = 0
        self.aim = MARGIN * tolerance
        self.eigenvalue, self.largest = 1.0, np.inf

    def run(self) -> Found:
        """Iterate, check, correct."""
        v = self.grid.rows.profile * self.volts[:, None]
        residual = across(v * self.grid.rows.siemens)
        error = np.inf
        for _ in range(ROUNDS):
            self._add(v, self._descend(residual))
            balance = self._balance()
            found = self._found(balance)
            error = found.error
            if error <= self.tolerance:
                return found
            v, residual, self.aim = balance.rows, balance.residual, self.aim * FINER
        raise NoConvergence(
            f"the crossbar's outputs, or their power, may be off by {error:.1e} of the largest",
            allowed=f"{self.tolerance:.1e}",
            todo="allow a larger tolerance",
        )

    def _add(self, v: Floats, u: Floats) -> None:
        """A part: the rows' voltages `v`, and `u` in the columns with what the rows answer to it."""
        turned = across(u)
        v += self.grid.rows.solve(turned * self.grid.rows.siemens)
        self.parts.append((v, turned, u))
        self.left += self.grid.columns.leaving(u)

    def _balance(self) -> _Balance:
        rows, columns = self.grid.rows, self.grid.columns
        amps = sum_of(v - u for v, u, _ in self.parts)
        amps *= rows.siemens
        driven = [self.volts, *(0.0 for _ in self.parts[1:])]
        lacking = sum_of(rows.arriving(v, ends) for (v, _, _), ends in zip(self.parts, driven, strict=True))
        lacking -= amps
        dv = rows.solve(rows.lacking(lacking).copy())
        residual = across(amps + rows.siemens * dv)
        for _, _, u in self.parts:
            residual += columns.arriving(u, 0.0)
        z = columns.solve(columns.lacking(residual).copy())
        watts = product(lacking, dv) + product(residual, z) / self.eigenvalue
        given = abs(float(self.volts @ amps.sum(axis=1)))
        lost = abs(product(lacking, self.parts[0][0])) + abs(product(residual, self.parts[0][2]))
        return _Balance(amps, dv, residual, max(watts, 0.0), lost / given if given else 0.0)

    def _found(self, balance: _Balance) -> Found:
        """The solution so far, and what it may be off by."""
        v, u = (sum_of(part[k] for part in self.parts) for k in (0, 1))
        terms = self.grid.weights * v
        outputs = terms.sum(axis=0)
        self.largest = float(np.abs(terms, terms).sum(axis=0).max())
        off = SURE * self.grid.reach * balance.watts**0.5
        error = max(off / self.largest + ROUNDED, balance.share) if self.largest else 0.0
        return Found(v, u, balance.amps, outputs, error, self.iterations)

    def _descend(self, r: Floats) -> Floats:
        """Conjugate gradients for S x = r (columns, rows), until the error allows what is asked."""
        state = Descent(self.grid.rows, self.grid.columns, r)
        while not (state.spent or self._enough(state)):
            if len(state.steps) == self.grid.most:
                raise NoConvergence(
                    f"the crossbar's voltages have not settled after {self.grid.most:,} iterations",
                    todo="allow a larger tolerance; compare wires and ends with the devices",
                )
            state.step()
        self.iterations += len(state.steps)
        return state.x

    def _enough(self, state: Descent) -> bool:
        """Whether the error is within the aim, by the eigenvalues met so far."""
        now = min(self.largest, float(np.abs(self.left + self.grid.columns.leaving(state.x)).max()))
        most = (self.aim * now / self.grid.reach) ** 2 if self.grid.reach else np.inf
        if state.power > most:
            return False
        self.eigenvalue = min(self.eigenvalue, state.least_eigenvalue)
        return state.power <= most * self.eigenvalue


def product(one: Floats, other: Floats) -> float:
    """The sum of products, without the threads that a BLAS would start for it."""
    return float(np.einsum("ij,ij->", one, other))


def sum_of(arrays: Iterable[Floats]) -> Floats:
    """Of arrays of one shape; a single one is itself."""
    return reduce(np.add, arrays)
