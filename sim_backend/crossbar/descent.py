"""Conjugate gradients for S x = r with S = C - G R^-1 G, preconditioned by C, pass by pass through memory.

A step costs two line solves; the rest is adding up arrays that are larger than a processor's nearest
memory. So it goes by blocks of lines, each taken through all that can be done with it while it is near.
C p is never computed: beside p = z + beta p runs C p = r + beta C p, since C z = r.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal
from scipy.linalg.blas import daxpy, ddot, dscal

from labctl.pulse import Floats
from sim_backend.crossbar.lines import Lines, apart

SPENT = 1e-30
"""Of the power at first: below this, the residual is one of rounding."""

SURE = 3.0
"""What the error's bound is multiplied by: the least eigenvalue may not have been met to its last digit."""


class Descent:
    """A solve on its way: `x` [V] (columns, rows) for `residual` [A], of the same shape, which is used up."""

    def __init__(self, rows: Lines, columns: Lines, residual: Floats) -> None:
        self._rows, self._columns = rows, columns
        self.x = np.zeros_like(residual)
        self._r, self._cp = residual, columns.gather(residual).copy()
        self._z = residual.copy()
        self._p, self._row = apart(*residual.shape), apart(*rows.siemens.shape)  # these are read across
        self.power = 0.0
        """[W]: r C^-1 r, which is to the error's power as C is to S."""
        for lines in columns.blocks:
            self._p[lines] = columns.solve(self._z[lines], lines)
            self.power += flat_dot(self._z[lines], residual[lines])
        self.spent = False
        """Whether no digit of what was asked for is left to find."""
        self._least = self.power * SPENT
        self.steps: list[float] = []
        self._ratios: list[float] = []

    def step(self) -> None:
        """One iteration, or the finding that rounding has left nothing to go by."""
        taken = self._applied()
        self.spent = not (taken > 0 and self.power > self._least)
        if self.spent:
            return
        alpha = self.power / taken
        last, self.power = self.power, max(self._moved(alpha), 0.0)
        beta = self.power / last
        for lines in self._columns.blocks:
            p, cp = self._p[lines], self._cp[lines].reshape(-1)
            self.x[lines] += p * alpha
            p *= beta
            p += self._z[lines]
            dscal(beta, cp)
            daxpy(self._r[lines].reshape(-1), cp)
        self.steps.append(alpha)
        self._ratios.append(beta)

    @property
    def least_eigenvalue(self) -> float:
        """The least of C^-1 S that the iteration has met, a Ritz value; at first 1, the most there can be."""
        if not self.steps:
            return 1.0
        steps, ratios = np.array(self.steps), np.array(self._ratios)[:-1]
        diagonal = 1 / steps
        diagonal[1:] += ratios / steps[:-1]
        beside = np.sqrt(ratios) / steps[:-1]
        found = eigvalsh_tridiagonal(diagonal, beside, select="i", select_range=(0, 0))
        return float(found[0])

    @property
    def error_power(self) -> float:
        """[W]: at most what the difference of `x` from the solution takes."""
        return SURE**2 * self.power / self.least_eigenvalue if self.power else 0.0

    def _applied(self) -> float:
        """Find q = S p, where z was; returns p S p [W]."""
        for lines in self._rows.blocks:
            row = self._rows.siemens[lines] * self._p[:, lines].T
            self._row[lines] = self._rows.solve(row, lines)
        total = 0.0
        for lines in self._columns.blocks:
            q = self._z[lines]
            np.multiply(self._columns.siemens[lines], self._row[:, lines].T, q)
            np.subtract(self._cp[lines], self._columns.gather(q), q)
            total += float(np.einsum("ij,ij->", self._p[lines], q))
        return total

    def _moved(self, alpha: float) -> float:
        """Take r a step on, and z = C^-1 r; returns r z [W]."""
        total = 0.0
        for lines in self._columns.blocks:
            r, z = self._r[lines], self._z[lines]
            daxpy(z.reshape(-1), r.reshape(-1), a=-alpha)
            z[:] = r
            total += flat_dot(r, self._columns.solve(z, lines))
        return total


def flat_dot(one: Floats, other: Floats) -> float:
    """The sum of products of two contiguous arrays."""
    return float(ddot(one.reshape(-1), other.reshape(-1)))
