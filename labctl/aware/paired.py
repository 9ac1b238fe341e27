"""A step of training for pairs of devices as they were meant to be, at nearly the cost of a plain layer's.

Both devices of a weight w conduct m + k w and m - k w, so all rows have the same sum, A is one number a, and
with inputs M, outputs N, the mean x = k sum w / M of each column, n = Rn M and b = 1 + n m ::

    D = 1/(b^2 - n^2 x^2)      d = 2 x D                      vectors of N
    S = sum D                  X = sum x^2 D
    U = 2 m b S - 2 n X        W = 2 b m^2 S + (2 b - 4 m n) X     h = beta/(1 - beta W)    beta = Rs Rn M a

(U is the sum of v/C over all columns, W that of v^2/C, in the words of `labctl.aware.leading`.) Of the
products T of the volts with the weights (and R) and the sum s of the volts, the currents are::

    I = 2 a k b T . D + y d        y = a m (h U - n) s + a k h (T d)

The derivatives are written out here, because autograd's bookkeeping of so many small vectors costs as much
as the product; tests hold them against the general form.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Shape:
    """What is fixed of a layer of pairs."""

    inputs: int
    outputs: int
    slope: float
    """[S] k, by which one device moves for a unit of weight."""
    middle: float
    """[S] m, of both devices where a weight is 0."""
    source: float
    """[ohm] Rs."""
    neuron: float
    """[ohm] Rn."""

    @cached_property
    def share(self) -> float:
        """The number a."""
        return 1 / (1 + self.source * 2 * self.outputs * self.middle)

    @property
    def n(self) -> float:
        """[ohm] Rn M."""
        return self.neuron * self.inputs

    @property
    def b(self) -> float:
        """Mean of 1 + Rn c."""
        return 1 + self.n * self.middle


class _Vectors:
    """Everything that hangs on the sums of the columns alone."""

    def __init__(self, sums: Tensor, shape: Shape) -> None:
        m, n, b = shape.middle, shape.n, shape.b
        self.shape = shape
        self.x = sums * (shape.slope / shape.inputs)
        self.D = 1 / (b * b - n * n * self.x * self.x)
        self.d = 2 * self.x * self.D
        S, X = float(self.D.sum()), float(torch.dot(self.x, self.d)) / 2
        self.U = 2 * m * b * S - 2 * n * X
        beta = shape.source * shape.neuron * shape.inputs * shape.share
        self.h = beta / (1 - beta * (2 * b * m * m * S + (2 * b - 4 * m * n) * X))
        self.of_total = shape.share * m * (self.h * self.U - n)
        self.of_products = shape.share * shape.slope * self.h
        self.straight = (2 * shape.share * shape.slope * b) * self.D

    def currents(self, products: Tensor, total: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """I, and T d and y, which its derivative needs."""
        projected = products @ self.d
        y = self.of_total * total + self.of_products * projected
        return torch.addr(products * self.straight, y, self.d), projected, y

    def down(self, straight: Tensor, d: Tensor, of_total: float, of_products: float) -> Tensor:
        """Gradient of the sums, from those of D as it is in `straight`, of d, and of the two factors in y."""
        shape = self.shape
        m, n, b, a = shape.middle, shape.n, shape.b, shape.share
        h = a * m * self.U * of_total + a * shape.slope * of_products
        U, W = a * m * self.h * of_total, self.h * self.h * h
        S = 2 * m * b * U + 2 * b * m * m * W
        X = (2 * b - 4 * m * n) * W - 2 * n * U
        D = straight + S + self.x * (2 * d + X * self.x)
        x = self.D * (2 * d + 2 * X * self.x + (2 * n * n) * D * self.x * self.D)
        return x * (shape.slope / shape.inputs)


class _Currents(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, volts: Tensor, weights: Tensor, rest: Tensor, shape: Shape) -> Tensor:
        both, total = weights + rest, volts.sum(1)
        products, vectors = volts @ both.mT, _Vectors(weights.sum(1), shape)
        found, projected, y = vectors.currents(products, total)
        ctx.save_for_backward(volts, both, total, products, projected, y)
        ctx.vectors = vectors
        return found

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, upstream: Tensor
    ) -> tuple[Tensor | None, Tensor, None, None]:
        volts, both, total, products, projected, y = ctx.saved_tensors
        vectors = cast(_Vectors, ctx.vectors)
        shape, along = vectors.shape, upstream @ vectors.d
        to_products = torch.addr(upstream * vectors.straight, along * vectors.of_products, vectors.d)
        D = (2 * shape.share * shape.slope * shape.b) * (upstream * products).sum(0)
        d = y @ upstream + vectors.of_products * (along @ products)
        sums = vectors.down(D, d, float(along @ total), float(along @ projected))
        to_weights = torch.addmm(sums.unsqueeze(1), to_products.mT, volts)
        if not ctx.needs_input_grad[0]:
            return None, to_weights, None, None
        return torch.addmm((vectors.of_total * along).unsqueeze(1), to_products, both), to_weights, None, None


@dataclass(frozen=True)
class Pairs:
    """The `Form` of `labctl.aware.leading` for pairs; its devices are weights (outputs, inputs)."""

    devices: Tensor
    shape: Shape

    def currents(self, volts: Tensor, rest: Tensor) -> Tensor:
        """See `Form`."""
        apply = cast(Any, _Currents).apply
        return cast(Tensor, apply(volts, self.devices, rest, self.shape))

    def spread(self) -> Tensor:
        """See `Form`; of the weights, without A, which is the same for all rows."""
        F = self.devices - self.devices.mean(1, keepdim=True)
        return F @ F.mT

    def next(self, rest: Tensor, spread: Tensor) -> Tensor:
        """See `Form`."""
        vectors = _Vectors(self.devices.sum(1), self.shape)
        seen = vectors.currents((self.devices + rest).mT, self.devices.new_ones(self.shape.inputs))[0]
        return (self.shape.source * self.shape.neuron * self.shape.slope) * (spread @ seen.mT)
