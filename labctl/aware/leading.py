"""The closed form as quickly as training wants it: what counts in every step, the rest now and then.

With the means of the columns v = 1^T A G / alpha, alpha = 1^T A 1, and what deviates from them F = G - 1 v,
F^T A 1 is 0, so that G^T A G = alpha v v^T + F^T A F exactly, and ::

    K = K0 - Rs Rn F^T A F        K0 = 1 + Rn diag c - Rs Rn alpha v v^T

Conductances are all positive, so the mean carries nearly everything: what F adds to the currents is 2e-6 to
4e-3 of them. K0 is a diagonal and a matrix of rank one, and is inverted by hand (Sherman and Morrison), so a
step costs the product of the inputs with the weights, as in any layer, and vectors. What F adds is the
same as a small change of the devices, R, in that product alone::

    I = K0^-1 (G + R)^T A V        A R = Rs Rn G_eff F^T A F

R is found by iteration to single precision, held for some steps, and renewed (`Held`): it is small and
changes as slowly as the weights. Its derivative is left out of the gradient, which is then off by as little
as R adds to it. While a layer of 784 x 500 learns its first things, with R renewed every 64 steps, currents
are off by 1e-5 or so with Rs and Rn of 1e-3 Ron, and by up to 2e-3 with 1e-2 Ron. Where every step has
devices of its own, R is that of other ones: with 10 % of variation 3e-4 and 5e-3.

Where weights are pairs as they were meant to be, row sums are all the same, F = [H, -H], and the product is
as wide as the layer and not twice as wide (`labctl.aware.paired`); `Columns` holds for any devices. Only
training does this: evaluation is always exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from labctl.aware import mapping
from labctl.aware.technology import Technology

CONVERGED = 1e-8
"""Error of R, relative to the devices, with which an iteration is the last: below single precision."""
MOST_ITERATIONS = 100  # K is positive definite, so they converge; four are many in practice


class Form(Protocol):
    """A layer's devices in one step of training."""

    @property
    def devices(self) -> Tensor:
        """What R is added to: conductances, or weights."""
        ...

    def currents(self, volts: Tensor, rest: Tensor) -> Tensor:
        """[A] (vectors, outputs) differences of columns, for (vectors, inputs) [V]; R as it is held."""
        ...

    def spread(self) -> Tensor:
        """F^T A F."""
        ...

    def next(self, rest: Tensor, spread: Tensor) -> Tensor:
        """A better R."""
        ...


@dataclass(frozen=True)
class Columns:
    """Any devices [S] (inputs, devices), on one array."""

    devices: Tensor
    technology: Technology

    def currents(self, volts: Tensor, rest: Tensor) -> Tensor:
        """See `Form`."""
        share = self._share()
        seen = self._seen((volts * share.mT) @ (self.devices + rest), share)
        return mapping.difference(seen, self.technology)

    def spread(self) -> Tensor:
        """See `Form`."""
        share = self._share()
        F = self.devices - share.mT @ self.devices / share.sum()
        return F.mT @ (share * F)

    def next(self, rest: Tensor, spread: Tensor) -> Tensor:
        """See `Form`."""
        share = self._share()
        seen = self._seen(share * (self.devices + rest), share)
        return (self.technology.source * self.technology.neuron) * (seen @ spread) / share

    def _share(self) -> Tensor:
        """The diagonal of A, (inputs, 1)."""
        return 1 / (1 + self.technology.source * self.devices.sum(1, keepdim=True))

    def _seen(self, driven: Tensor, share: Tensor) -> Tensor:
        """K0^-1 times what columns would carry without neurons (..., devices)."""
        alpha = share.sum()
        means = (share.mT @ self.devices).squeeze(0) / alpha
        C = 1 + self.technology.neuron * self.devices.sum(0)
        u = means / C
        beta = self.technology.source * self.technology.neuron * alpha
        mixed = u * (beta / (1 - beta * torch.dot(means, u)))
        return driven / C + (driven @ u).unsqueeze(-1) * mixed


class Held:
    """R, kept for some steps."""

    def __init__(self, every: int) -> None:
        """It is renewed every so many steps."""
        self._every = every
        self._rest: Tensor | None = None
        self._age = 0

    @property
    def due(self) -> bool:
        """Whether the next step renews it."""
        return self._rest is None or self._age >= self._every

    def rest(self, form: Form) -> Tensor:
        """R for this step of these devices."""
        if self._rest is None or self.due:
            self._rest, self._age = solved(form, self._rest), 0
        self._age += 1
        return self._rest


def solved(form: Form, rest: Tensor | None = None) -> Tensor:
    """R, by iteration from what it was; what an iteration leaves is its change times the rate so far."""
    with torch.no_grad():
        spread, whole = form.spread(), _size(form.devices)
        rest = torch.zeros_like(form.devices) if rest is None else rest
        for _ in range(MOST_ITERATIONS):
            found = form.next(rest, spread)
            change, size = _size(found - rest), _size(found)
            rest = found
            if not change * size > CONVERGED * whole**2:
                break
    return rest


def _size(matrix: Tensor) -> float:
    return math.sqrt(float((matrix * matrix).sum()))
