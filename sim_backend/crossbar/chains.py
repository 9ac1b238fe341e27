"""Chains of nodes factored and solved, many at once: with numba side by side, else by numpy and LAPACK.

Along a chain every node waits for the one before, and LAPACK spends nearly all its time on that. Chains do
not wait for each other, so the kernel goes along four of them side by side, in a third of the time. (Four,
because chains that lie a large power of two apart share one place of the cache, which holds few of them.)
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpttrs

from labctl.pulse import Floats
from sim_backend.jit import COMPILED, kernel

SIDE_BY_SIDE = 4


def conductances(grounded: Floats, wire_ohms: float) -> Floats:
    """[S], (chains, nodes): what each node conducts to 0 V by itself and all nodes before it.

    From what each conducts by itself, `grounded` [S], of that shape, which is used up, and the `wire_ohms`
    between two nodes: s_k = g_k + 1 / (1 / s_(k-1) + r). Only positive numbers are added.
    """
    if COMPILED:
        _accumulate(grounded, wire_ohms)
        return grounded
    along = np.ascontiguousarray(grounded.T)
    before = np.empty(along.shape[1])
    with np.errstate(divide="ignore"):  # a node joined to nothing conducts 0: an infinite resistance
        for node, last in zip(along[1:], along, strict=False):
            np.reciprocal(last, before)
            before += wire_ohms
            np.reciprocal(before, before)
            node += before
    return np.ascontiguousarray(along.T)


def substitute(pivots: Floats, factors: Floats, values: Floats) -> None:
    """Turn the right-hand sides `values` into the solutions, in place; all are (chains, nodes), contiguous.

    Each chain's matrix is L D L^T: `pivots` are D, `factors` stand beside the ones of L, 0 at the last node.
    """
    if COMPILED:
        _substitute(pivots, factors, values)
    else:
        dpttrs(pivots.reshape(-1), factors.reshape(-1)[:-1], values.reshape(-1), overwrite_b=1)


@kernel
def _accumulate(siemens: Floats, wire_ohms: float) -> None:
    chains, nodes = siemens.shape
    for first in range(0, chains, SIDE_BY_SIDE):
        last = min(first + SIDE_BY_SIDE, chains)
        for k in range(1, nodes):
            for n in range(first, last):
                siemens[n, k] += 1.0 / (1.0 / siemens[n, k - 1] + wire_ohms)


@kernel
def _substitute(pivots: Floats, factors: Floats, values: Floats) -> None:
    chains, nodes = values.shape
    for first in range(0, chains - chains % SIDE_BY_SIDE, SIDE_BY_SIDE):
        for k in range(1, nodes):
            for n in range(first, first + SIDE_BY_SIDE):
                values[n, k] -= values[n, k - 1] * factors[n, k - 1]
        for n in range(first, first + SIDE_BY_SIDE):
            values[n, nodes - 1] /= pivots[n, nodes - 1]
        for k in range(nodes - 2, -1, -1):
            for n in range(first, first + SIDE_BY_SIDE):
                values[n, k] = values[n, k] / pivots[n, k] - values[n, k + 1] * factors[n, k]
    for n in range(chains - chains % SIDE_BY_SIDE, chains):
        for k in range(1, nodes):
            values[n, k] -= values[n, k - 1] * factors[n, k - 1]
        values[n, nodes - 1] /= pivots[n, nodes - 1]
        for k in range(nodes - 2, -1, -1):
            values[n, k] = values[n, k] / pivots[n, k] - values[n, k + 1] * factors[n, k]
