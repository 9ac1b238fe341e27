"""Two levels in a series of reads: random telegraph noise, found by a stated test.

A series is called telegraph noise when all four hold: a mixture of two Gaussians of equal width
describes it better than one by `GAIN` in the Bayesian information criterion (Schwarz, Ann. Statist. 6,
461 (1978)); the levels lie at least `APART` widths apart (Ashman's D, Astron. J. 108, 2348 (1994));
it changes level at least `CHANGES` times; and it does so in one step, which a drift or a 1/f wander
that happens to have two favourite places does not: the mean step at a change is at least `JUMP` of
the distance. Times spent in a level that are not several periods long are missed: they come out
too long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from labctl.pulse import Bools, Floats

GAIN = 10.0
APART = 2.5
CHANGES = 4
JUMP = 0.6
TURNS = 200
"""Most rounds of the fit; it ends when no level moves by more than 1e-9 of the spread."""


@dataclass(frozen=True, slots=True, eq=False)
class Telegraph:
    """Two levels, or the best attempt at them."""

    found: bool
    reason: str
    """Why it is none; empty where it is."""
    low: float
    high: float
    """Levels, in the unit of the series."""
    width: float
    """Standard deviation within a level."""
    share_high: float
    """Part of the reads in the high level."""
    changes: int
    seconds_low: float
    seconds_high: float
    """[s] mean time in each level between two changes; NaN without a change."""


NONE = Telegraph(
    False, "too few reads, or all alike", math.nan, math.nan, math.nan, math.nan, 0, math.nan, math.nan
)


def telegraph(values: Floats, period: float) -> Telegraph:
    """Test `values` (n,), read at a fixed `period` [s]."""
    if len(values) < 16 or not float(np.ptp(values)) > 0:
        return NONE
    low, high, width, share, gain = _mixture(values)
    upper = values > _boundary(low, high, width, share)
    changed = np.flatnonzero(upper[1:] != upper[:-1])
    step = float(np.abs(values[changed + 1] - values[changed]).mean()) if len(changed) else 0.0
    apart = (high - low) / width if width > 0 else math.inf
    objections = {
        f"one level explains it as well (BIC gain {gain:.3g})": not gain > GAIN,
        f"levels only {apart:.2g} widths apart": not apart >= APART,
        f"only {len(changed)} change{'' if len(changed) == 1 else 's'} of level": not len(changed) >= CHANGES,
        "it wanders from one level to the other": not step >= JUMP * (high - low),
    }
    reason = next((why for why, holds in objections.items() if holds), "")
    times = (_mean_time(~upper, period), _mean_time(upper, period))
    return Telegraph(not reason, reason, low, high, width, float(upper.mean()), len(changed), *times)


def _mixture(values: Floats) -> tuple[float, float, float, float, float]:
    """Low and high level, common width, share of the high one, and gain in BIC over one Gaussian."""
    count, whole = len(values), float(values.std())
    low, high = (float(level) for level in np.percentile(values, (15, 85)))
    width, share = 0.5 * whole, 0.5
    for _ in range(TURNS):
        odds = _log_odds(values, low, high, width, share)
        weight = 1 / (1 + np.exp(np.clip(-odds, -700, 700)))
        most = float(weight.sum())
        if not 0.5 < most < count - 0.5:
            return low, high, width, share, -math.inf
        before = low, high
        low, high = float((1 - weight) @ values) / (count - most), float(weight @ values) / most
        share = most / count
        squares = float((1 - weight) @ (values - low) ** 2 + weight @ (values - high) ** 2)
        width = max(math.sqrt(squares / count), 1e-6 * whole)
        if max(abs(low - before[0]), abs(high - before[1])) < 1e-9 * whole:
            break
    one = -count * (math.log(whole) + 0.5)
    two = _log_likelihood(values, low, high, width, share)
    return low, high, width, share, 2 * (two - one) - 2 * math.log(count)


def _log_odds(values: Floats, low: float, high: float, width: float, share: float) -> Floats:
    """Logarithm of the odds that each value is of the high level."""
    return math.log(share / (1 - share)) + ((values - low) ** 2 - (values - high) ** 2) / (2 * width**2)


def _log_likelihood(values: Floats, low: float, high: float, width: float, share: float) -> float:
    """Without the factor of 2 pi that one Gaussian has as well."""
    near = np.log1p(-share) - (values - low) ** 2 / (2 * width**2)
    far = np.log(share) - (values - high) ** 2 / (2 * width**2)
    return float(np.logaddexp(near, far).sum()) - len(values) * math.log(width)


def _boundary(low: float, high: float, width: float, share: float) -> float:
    """Where a value is as likely of one level as of the other."""
    if not high > low:
        return low
    shift = width**2 * math.log((1 - share) / share) / (high - low)
    return min(max((low + high) / 2 + shift, low), high)


def _mean_time(inside: Bools, period: float) -> float:
    """[s] mean length of the stays; NaN where it never leaves or never comes."""
    visits = int(np.count_nonzero(np.diff(inside.astype(np.int8)) == 1)) + int(inside[0])
    never = visits == 0 or bool(inside.all())
    return math.nan if never else float(np.count_nonzero(inside)) * period / visits
