"""One line of a crossbar as a circuit, and what its ends and its wire must be for what was read.

A driven line is a ladder: the source behind its resistance, then a branch at every crossing, with a
segment of wire between two of them. A branch is a device with all that follows it to the other end. Of
each branch the path through the line and itself is known, because it was read alone::

    V --end--+--wire--+--wire--+        alone: end + distance * wire + branch
             |        |        |        together: what these branches take at once
           branch   branch   branch

So with `end` and `wire` given, the branches are known and the currents of all together follow; both are
found by least squares. Lines are experiments of their own, with devices and noise of their own, so what
leaving out a line does to the answer tells how well it is known (the jackknife; B. Efron, C. Stein, Annals
of Statistics 9, 586 (1981)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from labctl.pulse import Floats

Complex: TypeAlias = NDArray[np.complex128]
STEPS = 50
"""Most steps of Gauss and Newton; a handful is usual."""
SETTLED_OHMS = 1e-9
"""[ohm] A step that is smaller is the last."""
TINY = 1e-30
"""Imaginary part that makes an exact derivative of an analytic function."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Found:
    """What lies before the branches of lines of one kind."""

    end: float
    """[ohm] from the source, or the neuron, to the first crossing."""
    end_error: float
    """[ohm] half of its 95 % interval."""
    wire: float
    """[ohm] of a segment between two crossings."""
    wire_error: float
    """[ohm] half of its 95 % interval."""
    misfit: float
    """[1] of the currents of lines driven as a whole, root mean square, relative."""


def together(alone: Floats, end: float, wire: float) -> Floats:
    """[S] of each branch, shape (lines, crossings), of current over source volts with all of them connected.

    `alone`, the same shape: as read one by one; 0: nothing there. Crossing 0 is next to the end.
    """
    return _together(alone, end, wire).real


def _together(alone: Floats, end: complex, wire: complex) -> Complex:
    """The same; where one resistance has an imaginary part, that of the answer is the derivative in it."""
    count = alone.shape[1]
    before = np.array([end + wire * node for node in range(count)], dtype=np.complex128)
    branches: Complex = alone / (1 - alone * before)
    seen = branches.copy()  # [S] into each node, from the line's end
    for node in range(count - 2, -1, -1):
        seen[:, node] += seen[:, node + 1] / (1 + wire * seen[:, node + 1])
    volts = np.ones(len(alone), dtype=np.complex128)  # of a node, for a source of 1 V
    for node in range(count):
        volts /= 1 + (wire if node else end) * seen[:, node]
        branches[:, node] *= volts
    return branches


def fitted(alone: Floats, measured: Floats, floor: float) -> Found:
    """End and wire for which `together` gives what was `measured`: [S], shapes (lines, crossings).

    Residuals are relative, and to `floor` [S] where less than that was measured. Two lines or more.
    """
    scale, end, wire = np.hypot(measured, floor), 0.0, 0.0
    residual, slopes = _linear(alone, measured, scale, end, wire)
    for _ in range(STEPS):
        step = np.linalg.lstsq(slopes.reshape(-1, 2), -residual.ravel(), rcond=None)[0]
        end, wire = end + float(step[0]), wire + float(step[1])
        residual, slopes = _linear(alone, measured, scale, end, wire)
        if float(np.abs(step).max()) <= SETTLED_OHMS:
            break
    errors = _quantile(len(alone) - 1) * _jackknife(residual, slopes)
    return Found(end, float(errors[0]), wire, float(errors[1]), float(np.sqrt(np.mean(residual**2))))


def _linear(alone: Floats, measured: Floats, scale: Floats, end: float, wire: float) -> tuple[Floats, Floats]:
    """Residuals (lines, crossings), and their slopes in end and wire (lines, crossings, 2)."""
    residual = (together(alone, end, wire) - measured) / scale
    turned = _together(alone, end + 1j * TINY, wire), _together(alone, end, wire + 1j * TINY)
    return residual, np.stack([one.imag / (TINY * scale) for one in turned], axis=-1)


def _jackknife(residual: Floats, slopes: Floats) -> Floats:
    """[ohm] standard errors of end and wire, from what each line's absence would change, in one step."""
    lines = len(residual)
    squares = np.einsum("lki,lkj->lij", slopes, slopes)
    pulls = np.einsum("lki,lk->li", slopes, residual)
    without = squares.sum(axis=0) - squares
    changes: Floats = np.asarray(np.linalg.solve(without, pulls[..., None])[..., 0], dtype=np.float64)
    return np.sqrt((lines - 1) / lines * ((changes - changes.mean(axis=0)) ** 2).sum(axis=0))


def _quantile(freedom: int) -> float:
    """Of Student's distribution: standard errors to either side that hold 95 %."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
