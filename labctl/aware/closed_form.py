"""What a crossbar computes between its sources and its neurons, exactly, and its exact gradient.

Rows i are driven with V_i through Rs, columns j end in a neuron of input resistance Rn, wires have no
resistance. With the conductances G, r and c their row and column sums::

    A = diag 1/(1 + Rs r)        K = 1 + Rn diag c - Rs Rn G^T A G        I = V G_eff,  G_eff = A G K^-1

K is symmetric and not less than 1, so one Cholesky factor solves it. The gradient is the adjoint's: for
what comes down for G_eff, U, with W = U K^-1 and Q = G_eff^T W::

    A W + Rs Rn A G (Q + Q^T)  -  rows: Rs A (A G . W + Rs Rn A G Q . G)  -  columns: Rn diag Q

(. is the product element by element, summed over each row; the last two hold for every device of the row
or column). Nothing is approximated; `labctl.aware.leading` is what makes a step of training quick.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from labctl.errors import Refused


def effective(siemens: Tensor, source_ohms: float, neuron_ohms: float) -> Tensor:
    """[S] (..., rows, columns): current of each column for a volt on each row, all others at 0 V.

    Differentiable in the conductances [S] (..., rows, columns). Raises `Refused` for a negative resistance.
    """
    if not (0 <= source_ohms < float("inf") and 0 <= neuron_ohms < float("inf")):
        raise Refused(
            f"Rs = {source_ohms:g} ohm, Rn = {neuron_ohms:g} ohm", allowed="finite resistances, 0 ohm or more"
        )
    if neuron_ohms == 0 or source_ohms == 0:
        return _one_sided(siemens, source_ohms, neuron_ohms)
    applied = cast(Any, _Effective).apply
    return cast(Tensor, applied(siemens, source_ohms, neuron_ohms))


def _one_sided(siemens: Tensor, source_ohms: float, neuron_ohms: float) -> Tensor:
    """With one of the two: each line is a divider of its own."""
    if source_ohms:
        return siemens / (1 + source_ohms * siemens.sum(-1, keepdim=True))
    if neuron_ohms:
        return siemens / (1 + neuron_ohms * siemens.sum(-2, keepdim=True))
    return siemens


class _Effective(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, siemens: Tensor, source_ohms: float, neuron_ohms: float) -> Tensor:
        share = 1 / (1 + source_ohms * siemens.sum(-1, keepdim=True))
        driven = share * siemens
        K = (-source_ohms * neuron_ohms) * (driven.mT @ siemens)
        K.diagonal(dim1=-2, dim2=-1).add_(1 + neuron_ohms * siemens.sum(-2))
        factor = cast(Tensor, torch.linalg.cholesky(K))  # pyright: ignore[reportUnknownMemberType]
        found = _solved(factor, driven)
        ctx.save_for_backward(siemens, share, driven, factor, found)
        ctx.ohms = source_ohms, neuron_ohms
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore
        siemens, share, driven, factor, found = ctx.saved_tensors
        source_ohms, neuron_ohms = ctx.ohms
        W = _solved(factor, upstream)
        Q = found.mT @ W
        both = driven @ (Q + Q.mT)
        rows = driven * W + (source_ohms * neuron_ohms / 2) * both * siemens
        gradient = share * W + (source_ohms * neuron_ohms) * both
        gradient -= source_ohms * share * rows.sum(-1, keepdim=True)
        gradient -= neuron_ohms * Q.diagonal(dim1=-2, dim2=-1).unsqueeze(-2)
        return gradient, None, None


def _solved(factor: Tensor, rows: Tensor) -> Tensor:
    """The rows times K^-1, by the Cholesky factor of K."""
    return torch.cholesky_solve(rows.mT, factor).mT
