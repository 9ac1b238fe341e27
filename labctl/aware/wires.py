"""What a crossbar computes whose wires have resistance too: quickly, differentiably, and nearly exactly.

An exact effective matrix of 784 x 1000 devices takes seconds, far too long for a step of training.
But nearly all of it is simple. With a_ik the voltage that one volt at the source of row i leaves at crossing
k while all columns are at 0 V (a ladder of resistors, solved from its end), and b_lj that of column j seen
from its neuron, the current that takes the direct way through device ij is a_ij G_ij b_ij. The rest raises
columns on its way and comes back through other rows. Both are exactly, with L the conductance matrix of the
whole grid, its sources and neurons at 0 V::

    G_eff,ij = a_ij G_ij b_ij  +  sum over k, l of  a_ik G_ik  [L^-1: current into column k at row i,
                                                              voltage of row l at column j]  G_lj b_lj

L has 2 x rows x columns unknowns, but what comes back is small, and smooth along the array apart from what
each line makes of it. So its voltages are sought among few functions: polynomials across the array, times
what a line shows when all that cross it are at one volt: 1 - a on rows, 1 - b on columns. (Ritz: the best
of all such functions in the sense of dissipated power; the error of G_eff is of second order in theirs.
As L (1 - a) = G on a row, the power is that of the devices, plus that of the polynomials' slopes in the
wires.) More `modes` come nearer to the exact matrix; as many as there are lines are exact.

How near is told in `docs/reference/aware-approximations.md`. Sources are left of the first column, neurons
below the last row, as in the simulated crossbar.
"""

from __future__ import annotations

from functools import lru_cache
from math import isqrt
from typing import Any, cast

import numpy as np
import torch
from numpy.polynomial import legendre
from torch import Tensor
from torch.autograd.function import once_differentiable

from labctl.aware import closed_form
from labctl.errors import Refused

MODES = 4
"""Polynomials in each direction: constant to cubic."""


def effective_with_wires(
    siemens: Tensor, source: float, neuron: float, wire: float, *, modes: int = MODES
) -> Tensor:
    """[S] (..., rows, columns): current of each column for a volt on each row, all others at 0 V.

    `siemens` [S] (..., rows, physical columns), leading axes are chips or tiles; `source` and `neuron` [ohm]
    as lumped at the ends, `wire` [ohm] of each segment between two crossings. Without wires the exact closed
    form; with 0 modes the direct way alone. Raises `Refused` for resistances that are negative or not finite.
    """
    _check(source, neuron, wire, modes)
    if not wire > 0:
        return closed_form.effective(siemens, source, neuron)
    along_rows = _ladder(siemens.mT.contiguous(), source, wire, from_last=False).mT.contiguous()
    along_columns = _ladder(siemens, neuron, wire, from_last=True)
    direct = siemens * along_rows * along_columns
    if not modes:
        return direct
    rows = _polynomials(siemens.shape[-2], modes, held=neuron < wire).to(siemens)
    columns = _polynomials(siemens.shape[-1], modes, held=source < wire).to(siemens)
    lifted, sunk = 1 - along_rows, 1 - along_columns
    injected = _each_by_each(rows, (siemens * along_rows * sunk) @ columns)
    collected = _each_by_each((siemens * along_columns * lifted).mT @ rows, columns)
    between = _transfer(siemens, lifted, sunk, wire, rows, columns)
    return direct + injected @ between @ collected.mT


def _transfer(
    siemens: Tensor, lifted: Tensor, sunk: Tensor, wire: float, rows: Tensor, columns: Tensor
) -> Tensor:
    """[ohm] (..., modes, modes): voltage in each mode of the rows for a current into each of the columns."""
    into_rows = siemens * lifted
    P, Q = _each_by_each(rows, rows), _each_by_each(columns, columns)
    dP, dQ = (_each_by_each(slope, slope) / wire for slope in (rows.diff(dim=0), columns.diff(dim=0)))
    in_rows = _moments(P, into_rows, Q) + _moments(P, lifted[..., 1:] * lifted[..., :-1], dQ)
    in_columns = _moments(P, siemens * sunk, Q) + _moments(dP, sunk[..., 1:, :] * sunk[..., :-1, :], Q)
    across = _moments(P, into_rows * sunk, Q)
    upper, lower = torch.cat([in_rows, -across], dim=-1), torch.cat([-across, in_columns], dim=-1)
    count = across.shape[-1]
    return _inverse(torch.cat([upper, lower], dim=-2))[..., count:, :count].to(siemens)


def _each_by_each(left: Tensor, right: Tensor) -> Tensor:
    """Products of each column of `left` with each of `right`, (..., lines, columns of left x of right)."""
    return (left.unsqueeze(-1) * right.unsqueeze(-2)).flatten(-2)


def _moments(rows: Tensor, weights: Tensor, columns: Tensor) -> Tensor:
    """Sums of `weights` (..., rows, columns) times the products of two modes, as a matrix (..., modes, modes)
    of one mode and the other, each numbered row polynomial by row polynomial."""
    found = rows.mT @ weights @ columns
    down, across = isqrt(rows.shape[-1]), isqrt(columns.shape[-1])
    apart = found.reshape(*found.shape[:-2], down, down, across, across).transpose(-3, -2)
    return apart.reshape(*found.shape[:-2], down * across, down * across)


def _inverse(matrix: Tensor) -> Tensor:
    """Of a positive matrix (..., n, n), in double precision; modes that the ends hold at 0 V have zeros, and
    are left at 0 V."""
    found = matrix.double()
    size = found.diagonal(dim1=-2, dim2=-1)
    scale = torch.where(size > 0, size, 1.0).rsqrt()
    # Far above what rounding leaves of modes that the ends forbid, far below any that they do not.
    ridge = 16 * torch.finfo(matrix.dtype).eps * torch.eye(found.shape[-1], dtype=found.dtype)
    scaled = found * scale.unsqueeze(-1) * scale.unsqueeze(-2) + ridge
    return torch.inverse(scaled) * scale.unsqueeze(-1) * scale.unsqueeze(-2)


@lru_cache(maxsize=64)
def _polynomials(count: int, modes: int, *, held: bool) -> Tensor:
    """The first few, orthonormal on `count` evenly spaced lines, shape (count, modes or fewer): one less than
    lines at most where the crossings at one end are nearly held at 0 V and nothing can be different there."""
    modes = min(modes, max(count - held, 1))
    found = np.linalg.qr(legendre.legvander(np.linspace(-1, 1, count), modes - 1))[0]
    found[:, 0] = count**-0.5  # exactly constant, so that it has no slope for wires to conduct
    return torch.tensor(found)


def _ladder(siemens: Tensor, end: float, wire: float, *, from_last: bool) -> Tensor:
    return cast(Tensor, _Ladder.apply(siemens, end, wire, from_last))  # pyright: ignore - torch has no type


class _Ladder(torch.autograd.Function):
    """Voltage of each node of ladders, (..., nodes, ladders), for one volt behind `end`, which is before the
    first node or behind the last; between nodes `wire`, from each to ground a device.

    y_k, what node k and all behind it conduct, is G_k + y_k+1 / (1 + wire y_k+1); a node has
    1 / (1 + wire y_k) of the voltage of the one before. The matrix is symmetric, so the gradient is its
    solution once more.
    """

    @staticmethod
    def forward(ctx: Any, siemens: Tensor, end: float, wire: float, from_last: bool) -> Tensor:
        dividers, volts = torch.empty_like(siemens), torch.empty_like(siemens)
        G, t, u = (_nodes(each, from_last) for each in (siemens, dividers, volts))
        y, one = G[-1], siemens.new_ones(())
        for k in range(len(G) - 1, 0, -1):
            torch.add(one, y, alpha=wire, out=t[k])
            y = torch.addcdiv(G[k - 1], y, t[k])
        torch.add(one, y, alpha=end, out=t[0])
        torch.reciprocal(t[0], out=u[0])
        for k in range(1, len(G)):
            torch.div(u[k - 1], t[k], out=u[k])
        ctx.save_for_backward(dividers, volts)
        ctx.circuit = end, wire, from_last
        return volts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore
        dividers, volts = ctx.saved_tensors
        end, wire, from_last = ctx.circuit
        solution = torch.empty_like(volts)
        t, x, amps = (_nodes(each, from_last) for each in (dividers, solution, upstream.contiguous()))
        x[-1].copy_(amps[-1])
        for k in range(len(t) - 1, 0, -1):
            torch.addcdiv(amps[k - 1], x[k], t[k], out=x[k - 1])
        x[0].mul_(end).div_(t[0])
        for k in range(1, len(t)):
            torch.add(x[k - 1], x[k], alpha=wire, out=x[k]).div_(t[k])
        return solution.mul_(volts).neg_(), None, None, None


def _nodes(ladders: Tensor, from_last: bool) -> list[Tensor]:
    """Views of each node of all ladders, that at the end first."""
    found = list(ladders.unbind(-2))
    return found[::-1] if from_last else found


def _check(source: float, neuron: float, wire: float, modes: int) -> None:
    ohms = {"Rs": source, "Rn": neuron, "a wire": wire}
    wrong = [f"{name} = {value:g} ohm" for name, value in ohms.items() if not 0 <= value < float("inf")]
    if wrong:
        raise Refused(", ".join(wrong), allowed="finite resistances, 0 ohm or more")
    if modes < 0:
        raise Refused(f"{modes} modes", allowed="0, the direct way alone, or more")
