"""The search: many starts, rough and cheap, then the best of them fine and in full.

Loops of a threshold device have many local optima (a threshold that is never reached has no slope),
so one start is not enough. The starts are the sets that come with the model, the user's, and random
ones around the best and across the bounds, from a seed. All are costed on recordings thinned to
`COARSE` samples; the best few are improved there by a bounded trust-region least squares, and the
best of those on all samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from labctl.fit.problem import Problem
from labctl.pulse import Floats

COARSE = 250
"""Samples a cycle while searching."""
EDGE = 1e-4
"""How near a bound a search may begin."""


class Effort(NamedTuple):
    """How hard to look."""

    random: int = 40
    """Random starts that are costed."""
    improved: int = 4
    """How many of all starts are improved."""
    steps: int = 25
    """Least-squares steps for each of them."""
    final: int = 50
    """Steps at the end, on all samples."""
    kicks: int = 3
    """Improvements from the best, moved at random."""


class Found(NamedTuple):
    """An optimum."""

    u: Floats
    cost: float
    """Mean NMSE."""


def search(
    problem: Problem, fine: Problem, starts: Sequence[Floats], seed: int, effort: Effort, robust: bool
) -> Found:
    """The best optimum that was found, on the `fine` problem; `starts` are coordinates."""
    rng = np.random.default_rng(seed)
    tried = [*starts, *_random(problem, starts, rng, effort.random)]
    costs = [cost(problem, u) for u in tried]
    order = _spread_out(tried, np.argsort(costs), effort.improved)
    best = min((improve(problem, tried[k], effort.steps, robust) for k in order), key=lambda one: one.cost)
    for k in range(effort.kicks):
        width = (0.03, 0.08)[k % 2]
        moved = np.clip(best.u + width * rng.normal(size=len(best.u)), EDGE, 1 - EDGE)
        again = improve(problem, moved, effort.steps, robust)
        best = again if again.cost < best.cost else best
    found = improve(fine, best.u, effort.final, robust, close=1e-9)
    known = min(starts, key=lambda u: cost(fine, u))
    if cost(fine, known) < found.cost:  # what is coarse misled: never worse than what was known before
        found = improve(fine, known, effort.final, robust, close=1e-9)
    return found


def improve(problem: Problem, u: Floats, steps: int, robust: bool = False, close: float = 1e-6) -> Found:
    """The nearest optimum: scipy's trust-region reflective least squares inside the bounds.

    It ends when cost or coordinates change by less than a part `close` of themselves.
    """
    from scipy.optimize import least_squares

    begun = np.clip(u, EDGE, 1 - EDGE)
    options: dict[str, Any] = {}
    if robust:
        rough = problem.residuals(begun)
        options = {"loss": "soft_l1", "f_scale": max(3.0 * float(np.median(np.abs(rough))), 1e-9)}
    found: Any = least_squares(
        problem.residuals,
        begun,
        jac=problem.jacobian,
        bounds=(0.0, 1.0),
        max_nfev=steps,
        x_scale=0.1,
        ftol=close,
        xtol=close,
        gtol=1e-10,
        **options,
    )
    return Found(found.x, cost(problem, found.x))


def cost(problem: Problem, u: Floats) -> float:
    """Mean NMSE."""
    left = problem.residuals(u)
    return float(left @ left)


def _random(problem: Problem, starts: Sequence[Floats], rng: np.random.Generator, count: int) -> list[Floats]:
    """Half around the starts, half anywhere between the bounds."""
    size = len(problem.coordinates)
    near = [
        np.clip(starts[k % len(starts)] + 0.08 * rng.normal(size=size), EDGE, 1 - EDGE)
        for k in range(count // 2)
    ]
    return [*near, *rng.random((count - len(near), size))]


def _spread_out(tried: Sequence[Floats], order: Sequence[int] | Any, count: int) -> list[int]:
    """The cheapest, but no two that are neighbours."""
    chosen = list[int]()
    for k in map(int, order):
        if all(float(np.abs(tried[k] - tried[other]).max()) > 0.05 for other in chosen):
            chosen.append(k)
        if len(chosen) == count:
            break
    return chosen
