"""Noise of a series of equal reads: power spectrum, exponent of 1/f, Allan deviation, and its floors.

Series are relative: y = ln R less its mean, so a density is in 1/Hz, and times the square of the
current it is the current noise at constant voltage in A^2/Hz. Densities are one-sided.

The spectrum to look at is Welch's (IEEE Trans. Audio Electroacoust. 15, 70 (1967)). The exponent is
not fitted to it but to the periodogram of the whole series, less a straight drift, by Whittle's
likelihood (Ark. Mat. 2, 423 (1953)), as a / f^exponent + white: a straight line through a log-log plot
is biased, because the logarithm of a periodogram is skewed, and does not know where the floor begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from labctl.estimates import NORMAL_95, Line, line
from labctl.pulse import Floats

BOLTZMANN = 1.380649e-23
"""[J/K], exact since 2019."""
CHARGE = 1.602176634e-19
"""[C], exact since 2019."""
FEWEST = 64
"""Reads from which on a spectrum says anything."""
SKIPPED = 2
"""Lowest bins that the fit leaves out: the Hann window mixes them with the mean that was taken off."""
HANN_CORRELATION = 1 + 2 * (4 / 9) + 2 * (1 / 36)
"""Neighbouring bins of a Hann window are correlated, 2/3 and 1/6 in amplitude: variances grow so much."""
STEEPEST = 3.5
"""Exponent above which it is called no noise but a drift that is not straight."""
LIKELIHOOD = 9.21
"""Twice the gain in ln(likelihood) at which white noise is given up: 1 % of a chi-square with two degrees."""

LOWEST, HIGHEST = np.array([-25.0, 0.1, -25.0]), np.array([10.0, STEEPEST, 5.0])
"""Of ln(a), exponent and ln(white), relative to the mean density."""
ROUNDS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """A one-sided power spectral density by Welch's method."""

    hertz: Floats
    """shape (bins,), without 0."""
    density: Floats
    """[1/Hz], shape (bins,)."""
    low: Floats
    high: Floats
    """[1/Hz] 95 % interval of each bin, from the chi-square of so many averages."""
    averages: int


def welch(values: Floats, period: float, segments: int = 8) -> Spectrum:
    """Of `values` (n,) at a fixed `period` [s]: Hann windows over half-overlapping segments."""
    from scipy import signal, stats

    length = max(min(len(values), 2 * len(values) // (segments + 1)) // 2 * 2, 8)
    values = straightened(values)
    hertz, density = signal.welch(values, 1 / period, nperseg=length, detrend="constant")
    turns = max((2 * len(values)) // length - 1, 1)
    freedom = 2 * turns / (1 + 2 * (turns - 1) / turns / 36)  # half-overlapping Hann windows share 1/36
    low, high = (freedom / stats.chi2.ppf(tail, freedom) for tail in (0.975, 0.025))
    hertz, density = np.asarray(hertz[1:]), np.asarray(density[1:])
    return Spectrum(hertz, density, density * low, density * high, turns)


@dataclass(frozen=True, slots=True)
class Flicker:
    """Density a / f^exponent + white."""

    exponent: float
    """NaN: no more low-frequency noise than white noise has by chance, or a drift that is not straight."""
    exponent_error: float
    """Standard error."""
    at_1_hertz: float
    """[1/Hz] a: the flicker density at 1 Hz; 0 where there is none."""
    white: float
    """[1/Hz]"""
    drifts: bool = False
    """What is at low frequency is steeper than noise: a drift that is not straight."""

    @property
    def corner(self) -> float:
        """[Hz] where flicker and white noise are equal; NaN where one of them is missing."""
        if not (self.at_1_hertz > 0 and self.white > 0):
            return math.nan
        power = math.log(self.at_1_hertz / self.white) / self.exponent
        return math.exp(power) if abs(power) < 100 else math.nan

    def density(self, hertz: Floats) -> Floats:
        """[1/Hz] of the fit, shape of `hertz`."""
        pink = self.at_1_hertz * hertz ** -(self.exponent if self.at_1_hertz > 0 else 0.0)
        return self.white + pink


def flicker(values: Floats, period: float) -> Flicker:
    """The most likely a, exponent and white floor of `values` (n,) at a fixed `period` [s]."""
    hertz, power = _periodogram(values, period)
    white = float(power.mean()) if len(power) else math.nan
    if len(values) < FEWEST or not white > 0:
        return Flicker(math.nan, math.nan, 0.0, white)
    middle = float(np.exp(np.log(hertz).mean()))
    octaves, scaled = np.log(hertz / middle), power / white
    fit, cost = _most_likely(octaves, scaled)
    gain = 2 * (len(scaled) - cost) / HANN_CORRELATION  # the cost of white noise alone is 1 a bin
    if not gain > LIKELIHOOD:
        return Flicker(math.nan, math.nan, 0.0, white)
    level, exponent, floor = math.exp(fit[0]), float(fit[1]), math.exp(fit[2])
    if exponent >= STEEPEST:
        return Flicker(math.nan, math.nan, 0.0, white * floor, drifts=True)
    error = _exponent_error(octaves, level, exponent, floor)
    return Flicker(exponent, error, white * level * middle**exponent, white * floor)


def straightened(values: Floats) -> Floats:
    """`values` (n,) less a straight line: a drift is no noise, and would leak into every bin."""
    if len(values) < 2:
        return values - values
    turn = np.arange(len(values), dtype=np.float64)
    fit = line(turn, values)
    return values - (fit.intercept + fit.slope * turn)


def _periodogram(values: Floats, period: float) -> tuple[Floats, Floats]:
    """[Hz] and [1/Hz], one-sided, Hann window over all of it; the lowest bins left out."""
    count = len(values)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(count) / max(count, 1))
    line_up = np.fft.rfft(straightened(values) * window) if count else np.zeros(0)
    power = 2 * period * np.abs(line_up) ** 2 / max(float(window @ window), 1e-300)
    hertz = np.arange(len(power)) / (max(count, 1) * period)
    kept = slice(SKIPPED, (count + 1) // 2)  # without the Nyquist bin, which has one degree of freedom
    return hertz[kept], power[kept]


def _most_likely(octaves: Floats, power: Floats) -> tuple[Floats, float]:
    """ln(a), exponent, ln(white) that minimise sum(power / model + ln(model)), and that sum.

    Fisher's scoring with Levenberg's damping, from three exponents: the surface has valleys.
    """
    found = [_descend(octaves, power, np.array([-1.0, start, -1.0])) for start in (0.6, 1.2, 2.0)]
    return min(found, key=lambda one: one[1])


def _descend(octaves: Floats, power: Floats, fit: Floats) -> tuple[Floats, float]:
    cost, damping = _cost(octaves, power, fit), 1e-2
    for _ in range(ROUNDS):
        pink, floor = _pink(octaves, fit), math.exp(fit[2])
        share = pink / (pink + floor)
        rows = np.array([share, -share * octaves, 1 - share])
        gradient, information = rows @ (1 - power / (pink + floor)), rows @ rows.T
        damped = information + np.diag(damping * information.diagonal() + 1e-9)
        trial = np.clip(fit - np.linalg.solve(damped, gradient), LOWEST, HIGHEST)
        better = _cost(octaves, power, trial)
        if better < cost:
            fit, damping, gain, cost = trial, damping / 5, cost - better, better
            if gain < 1e-6:
                break
        elif (damping := 5 * damping) > 1e9:
            break
    return fit, cost


def _pink(octaves: Floats, fit: Floats) -> Floats:
    return np.exp(np.clip(fit[0] - fit[1] * octaves, -60.0, 60.0))


def _cost(octaves: Floats, power: Floats, fit: Floats) -> float:
    model = _pink(octaves, fit) + math.exp(fit[2])
    return float((power / model + np.log(model)).sum())


def _exponent_error(octaves: Floats, level: float, exponent: float, floor: float) -> float:
    """Standard error from Fisher's information; NaN where it is singular."""
    pink = level * np.exp(-exponent * octaves)
    share = pink / (pink + floor)
    rows = np.array([share, -share * octaves, 1 / (pink + floor)])
    rows[2] *= pink.min()  # of whatever size: the errors of the others are the same
    try:
        return math.sqrt(HANN_CORRELATION * float(np.linalg.inv(rows @ rows.T)[1, 1]))
    except (np.linalg.LinAlgError, ValueError):
        return math.nan


# ---- in time -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Allan:
    """Overlapping Allan deviation of a relative series."""

    seconds: Floats
    """[s] tau, shape (taus,)."""
    deviation: Floats
    """[1], shape (taus,)."""
    low: Floats
    high: Floats
    """[1] 95 % interval, normal, from the degrees of freedom for white noise."""
    freedom: Floats
    """Equivalent degrees of freedom, shape (taus,)."""

    @property
    def floor(self) -> tuple[float, float]:
        """The least deviation and the tau [s] it is reached at: longer averaging does not help."""
        best = int(np.argmin(self.deviation))
        return float(self.deviation[best]), float(self.seconds[best])

    def slope(self, *, late: bool) -> Line:
        """Exponent of the deviation in tau, over the first or the last decade of tau.

        White noise has -1/2, flicker 0, a random walk +1/2, a linear drift +1.
        """
        edge = self.seconds[-1] / 10 if late else self.seconds[0] * 10
        part = self.seconds >= edge * (1 - 1e-9) if late else self.seconds <= edge * (1 + 1e-9)
        part &= self.deviation > 0
        return line(np.log(self.seconds[part]), np.log(self.deviation[part]), self.freedom[part])


def allan(values: Floats, period: float, per_octave: int = 2) -> Allan:
    """Of `values` (n,), averages over `period` [s] each, for tau up to a quarter of their time.

    avar(m) = sum_j (sum_{i=j}^{j+m-1} (y_{i+m} - y_i))^2 / (2 m^2 (n - 2m + 1)), and the degrees of freedom
    for white frequency noise: NIST Special Publication 1065 (2008), sections 5.2.4 and 5.4.1.
    """
    count = len(values)
    most = max(count // 4, 1)
    steps = 2 ** (np.arange(int(per_octave * math.log2(most)) + 1) / per_octave)
    sizes = np.unique(np.round(steps).astype(np.intp)) if count >= 3 else np.zeros(0, dtype=np.intp)
    sums = np.concatenate([[0.0], np.cumsum(values - values.mean())]) if count else np.zeros(1)
    deviation = np.array([_allan_at(sums, int(size)) for size in sizes])
    size = sizes.astype(np.float64)
    freedom = (
        (3 * (count - 1) / (2 * size) - 2 * (count - 2) / max(count, 1)) * 4 * size**2 / (4 * size**2 + 5)
    )
    freedom = np.maximum(freedom, 1.0)
    half = NORMAL_95 / np.sqrt(2 * freedom)
    return Allan(
        size * period, deviation, deviation * np.maximum(1 - half, 0), deviation * (1 + half), freedom
    )


def _allan_at(sums: Floats, size: int) -> float:
    """`sums` (n + 1,): running sums of the series."""
    second = sums[2 * size :] - 2 * sums[size:-size] + sums[: -2 * size]
    return math.sqrt(float(second @ second) / (2 * size**2 * len(second)))


# ---- from theory -------------------------------------------------------------------------------


def thermal_density(siemens: float, kelvin: float = 298.0) -> float:
    """[A^2/Hz] 4 k T G: Johnson, Phys. Rev. 32, 97; Nyquist, Phys. Rev. 32, 110 (1928)."""
    return 4 * BOLTZMANN * kelvin * siemens


def shot_density(amps: float) -> float:
    """[A^2/Hz] 2 q I, full shot noise (Schottky, Ann. Phys. 362, 541 (1918)): more than a resistor has."""
    return 2 * CHARGE * abs(amps)


def sampled(density: float, period: float, averaged: float) -> float:
    """A white `density` as reads that average over `averaged` [s] every `period` [s] see it: folded back.

    Each read has the variance density / (2 averaged), which fills the band up to 1 / (2 period).
    """
    return density * period / averaged
