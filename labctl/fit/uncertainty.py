"""How well the data determine what was fitted, told so that it holds when residuals are correlated.

Neighbouring residuals of a loop are not independent: where the model is a little wrong it is wrong for
a hundred samples in a row, and the textbook formula would call those a hundred measurements. The
covariance is therefore a sandwich: the curvature on both sides, and between them the scatter of the
scores with their correlations along each recording, by Newey and West (Econometrica 55, 703, 1987),
over as many lags as the residuals themselves are correlated. A few samples, those of the jumps, fix
the thresholds, and a fit goes nearer to samples that it depends on: each residual is taken as large as
it would be had it not been fitted (MacKinnon and White, J. Econometrics 29, 305, 1985: HC3). Where the
textbook's figure is the wider of the two it stands. The quantile is Student's with as many degrees of
freedom as samples contribute (Satterthwaite, Biometrics Bull. 2, 110, 1946), and so high that all
intervals of a fit hold at once with 95 %: parameters are used together, and among twelve intervals that
hold one by one there is a wrong one in every second fit. Whoever wants those has the standard errors.
What no formula sees is a model that is wrong in kind.

A direction in which nothing happens would make the curvature singular. Each coordinate is therefore
given the weak prior that its bounds are: what the data leave open comes out as wide as its bounds,
and is said to be undetermined, with what it cannot be told from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from labctl.fit.problem import Coordinate, Problem
from labctl.pulse import Bools, Floats

OPEN = 0.25
"""Half an interval, as a part of the bounds, from which an unknown is undetermined."""
DECADE = math.log(3.0)
"""The same for the logarithm of an unknown: a factor of three either way."""
LEAST_LEFT = 0.05
"""Part of a residual that is left at least, where one sample alone fixes an unknown."""
GAUSSIAN = 3.0
"""Fourth moment of a normal residual over the square of its second."""
ON_BOUND = 2e-3
"""How near a bound a coordinate stands on it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One unknown, found."""

    name: str
    unit: str
    meaning: str
    value: float
    error: float
    """Standard error, in its unit."""
    low: float
    high: float
    """Ends of the 95 % interval, which holds together with those of all other unknowns."""
    undetermined: str = ""
    """Why it is not determined by these data; empty: it is."""
    nuisance: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """All of them, and how they hang together."""

    estimates: tuple[Estimate, ...]
    correlation: Floats
    """shape (coordinates, coordinates)."""
    samples: float
    """How many independent samples the residuals are worth."""


def uncertainty(problem: Problem, u: Floats) -> Uncertainty:
    """Intervals of all coordinates at an optimum."""
    left, slopes = problem.residuals(u), problem.jacobian(u, central=True)
    lengths = [part.count for part in problem.parts]
    samples = sum(_independent(piece) for piece in _pieces(left, lengths))
    freedom = np.full(len(u), max(samples - len(u), 1.0))
    free = (u > ON_BOUND) & (u < 1 - ON_BOUND)
    covariance = np.eye(len(u))
    if free.any():
        covariance[np.ix_(free, free)], worth = _covariance(left, slopes[:, free], lengths)
        freedom[free] = np.minimum(freedom[free], worth)
    errors = np.sqrt(np.diag(covariance))
    quantiles = _student(freedom, max(int(free[: problem.model_count].sum()), 1))
    correlation = covariance / np.outer(errors, errors)
    reasons = _reasons(problem.coordinates, u, covariance, quantiles, free)
    estimates = [
        _estimate(one, float(u[k]), float(errors[k]), float(quantiles[k]), reasons[k])
        for k, one in enumerate(problem.coordinates)
    ]
    return Uncertainty(tuple(estimates), correlation, samples)


def _covariance(left: Floats, slopes: Floats, lengths: Sequence[int]) -> tuple[Floats, Floats]:
    """The sandwich, or where that is narrower the textbook's figure, shape (free, free); and the degrees
    of freedom of each variance (free,): as many as there are samples that really contribute to it.
    """
    variance = float(left @ left) / max(len(left) - slopes.shape[1], 1)
    prior = np.eye(slopes.shape[1]) * variance
    inverse = cast(Floats, np.linalg.inv(slopes.T @ slopes + prior))
    leverage = np.einsum("ij,jk,ik->i", slopes, inverse, slopes)
    honest = left / np.maximum(1.0 - leverage, LEAST_LEFT)
    sandwich = inverse @ (_meat(honest, slopes, lengths) + variance * prior) @ inverse
    wider = np.sqrt(np.maximum(variance * np.diag(inverse) / np.diag(sandwich), 1.0))
    shares = (slopes @ inverse * honest[:, None]) ** 2
    worth = GAUSSIAN * shares.sum(axis=0) ** 2 / np.maximum((shares**2).sum(axis=0), 1e-300)
    return sandwich * np.outer(wider, wider), np.maximum(worth, 2.0)


def _meat(left: Floats, slopes: Floats, lengths: Sequence[int]) -> Floats:
    """Sum of products of scores with their neighbours' along each recording, Bartlett's weights."""
    meat = np.zeros((slopes.shape[1],) * 2)
    for piece, block in zip(_pieces(left, lengths), _pieces(slopes, lengths), strict=True):
        scores = block * piece[:, None]
        reach = _reach(piece)
        meat += scores.T @ scores
        for lag in range(1, reach + 1):
            product = scores[lag:].T @ scores[:-lag]
            meat += (1 - lag / (reach + 1)) * (product + product.T)
    return meat


def _pieces(values: Floats, lengths: Sequence[int]) -> list[Floats]:
    return np.split(values, np.cumsum(lengths)[:-1])


def _correlations(piece: Floats) -> Floats:
    """Autocorrelation of a recording's residuals up to its first value that is noise, lag 0 left out."""
    centred = piece - piece.mean()
    size = len(centred)
    power = np.abs(np.fft.rfft(centred, 2 * size)) ** 2
    lags = np.fft.irfft(power)[: size // 2]
    if not lags[0] > 0:
        return np.zeros(0)
    found = lags[1:] / lags[0]
    below = np.flatnonzero(found < 2.0 / math.sqrt(size))
    return found[: int(below[0])] if len(below) else found


def _reach(piece: Floats) -> int:
    """Lags over which residuals are correlated, three times over: the kernel takes a half of them away."""
    return min(3 * len(_correlations(piece)), len(piece) // 3)


def _independent(piece: Floats) -> float:
    """Of how many independent samples a recording has the weight."""
    return max(len(piece) / (1 + 2 * float(_correlations(piece).sum())), 1.0)


def _student(freedom: Floats, together: int) -> Floats:
    """Half-widths in standard errors; so many `together` hold at once with 95 % (Bonferroni)."""
    from scipy.stats import t

    return np.asarray(t.ppf(1 - 0.025 / together, freedom), dtype=np.float64)


# ---- words ------------------------------------------------------------------------------------


def _estimate(one: Coordinate, position: float, error: float, quantile: float, reason: str) -> Estimate:
    low, high = max(position - quantile * error, 0.0), min(position + quantile * error, 1.0)
    unknown, value = one.unknown, one.value(position)
    scale = (
        math.log(unknown.high / unknown.low) * value if unknown.logarithmic else unknown.high - unknown.low
    )
    ends = one.value(low), one.value(high)
    return Estimate(
        unknown.name, unknown.unit, unknown.meaning, value, error * scale, *ends, reason, one.place < 0
    )


def _reasons(
    coordinates: Sequence[Coordinate], u: Floats, covariance: Floats, quantiles: Floats, free: Bools
) -> list[str]:
    errors = np.sqrt(np.diag(covariance))
    names = [one.unknown.name for one in coordinates]
    reasons = list[str]()
    for k, one in enumerate(coordinates):
        unknown, half = one.unknown, float(quantiles[k] * errors[k])
        wide = DECADE / math.log(unknown.high / unknown.low) if unknown.logarithmic else OPEN
        todo = f"; {unknown.experiment}" if unknown.experiment else ""
        if not free[k]:
            which = "lower" if u[k] < 0.5 else "upper"
            reasons.append(f"stands on its {which} bound, {one.value(float(round(u[k]))):.4g}{todo}")
        elif not half <= min(wide, OPEN):
            reasons.append(f"its interval says next to nothing{_partners(names, covariance, k)}{todo}")
        else:
            reasons.append("")
    return reasons


def _partners(names: Sequence[str], covariance: Floats, k: int) -> str:
    """Which others move with an unknown in the direction that the data leave open."""
    errors = np.sqrt(np.diag(covariance))
    close = [
        name for j, name in enumerate(names) if j != k and abs(covariance[k, j]) > 0.9 * errors[k] * errors[j]
    ]
    return f" (cannot be told apart from {', '.join(close[:3])})" if close else ""
