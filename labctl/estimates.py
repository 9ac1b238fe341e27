"""Numbers from few measurements, each with how well it is known: shares, medians, spreads, slopes.

A share of successes gets Wilson's score interval, which stays inside 0 to 1 and holds for few trials
(Wilson, J. Am. Stat. Assoc. 22, 209 (1927)); a median or a spread gets a percentile bootstrap (Efron,
Ann. Statist. 7, 1 (1979)) with a seed of its own, so that the same table gives the same interval; a
slope gets the standard error of least squares. Everything here is pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from labctl.pulse import Floats

NORMAL_95 = 1.959964
"""Standard deviations either side that hold 95 % of a normal distribution."""
RESAMPLES = 2000
"""Of a bootstrap: its ends are then known to about 1/20 of the interval's width."""
Statistic: TypeAlias = Callable[..., Any]
"""A numpy reduction that takes `axis`: np.median, np.std."""


class Interval(NamedTuple):
    """An estimate and its 95 % interval; NaN where there is nothing to estimate it from."""

    value: float
    low: float
    high: float


UNKNOWN = Interval(math.nan, math.nan, math.nan)


def wilson(successes: int, trials: int) -> Interval:
    """Share of successes with Wilson's 95 % score interval."""
    if trials < 1:
        return UNKNOWN
    share, square = successes / trials, NORMAL_95**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    half *= NORMAL_95 / (1 + square / trials)
    low = middle - half if successes else 0.0
    return Interval(share, low, middle + half if successes < trials else 1.0)


def bootstrap(values: Floats, statistic: Statistic, *, seed: int = 0) -> Interval:
    """`statistic` of `values` (n,) with its 95 % percentile bootstrap interval; one value has no interval."""
    if len(values) == 0:
        return UNKNOWN
    value = float(statistic(values))
    if len(values) == 1:
        return Interval(value, math.nan, math.nan)
    draws = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(statistic(values[draws], axis=1), (2.5, 97.5), method="nearest")
    return Interval(value, float(low), float(high))


def spread(values: Floats, axis: int | None = None) -> Any:
    """Sample standard deviation (one degree of freedom goes to the mean); NaN of fewer than two."""
    with np.errstate(all="ignore"):
        return np.std(values, axis=axis, ddof=1) if np.shape(values)[-1] > 1 else math.nan


class Line(NamedTuple):
    """A straight line by least squares; errors are standard errors."""

    slope: float
    slope_error: float
    intercept: float
    intercept_error: float
    scatter: float
    """Standard deviation of the residuals."""


def line(x: Floats, y: Floats, weights: Floats | None = None) -> Line:
    """`y` = intercept + slope `x`, all (n,); `weights` are relative inverse variances.

    NaN where the points do not determine it: fewer than two different x, and no errors from two points.
    """
    weight = np.ones_like(x) if weights is None else weights
    total = float(weight.sum()) or math.nan
    middle = float(weight @ x) / total
    power = float(weight @ (x - middle) ** 2)
    if not power > 0:
        return Line(*[math.nan] * 5)
    slope = float(weight @ ((x - middle) * y)) / power
    centre = float(weight @ y) / total
    left, free = y - centre - slope * (x - middle), len(x) - 2
    variance = float(weight @ left**2) / free if free > 0 else math.nan
    return Line(
        slope,
        math.sqrt(variance / power),
        centre - slope * middle,
        math.sqrt(variance * (1 / total + middle**2 / power)),
        math.sqrt(variance * len(x) / total),
    )
