"""Conductance that is never still: flicker noise, telegraph noise, and the noise of a current.

**Flicker** (1/f) is a sum of Ornstein-Uhlenbeck processes whose relaxation times stand evenly on a
logarithmic scale; each adds the same variance (McWhorter's picture of traps; A. van der Ziel,
Adv. Electron. Electron Phys. 49, 225, 1979). **Telegraph** noise is one trap that is full or empty.
Both are stepped exactly over any time, so that reads a microsecond or a day apart see the noise that
such reads would see. A pulse sees its mean over the pulse: processes faster than the pulse average out.

**Thermal and shot** noise belong to the current: S = 4 k T / R + 2 q |I|, white, in the bandwidth
1/(2 t) of a sample that stands for t seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labctl.pulse import Floats

BOLTZMANN = 1.380649e-23
CHARGE = 1.602176634e-19
KELVIN = 298.0
"""[K] The temperature that the device parameters belong to."""
PER_DECADE = 2
"""Relaxation times in a decade: the sum is then within 2 % of 1/f between the fastest and the slowest."""


@dataclass(frozen=True, slots=True)
class Flicker:
    """1/f noise of ln G between two relaxation times [s]; `rms` is that of all of it together."""

    rms: float
    fastest: float
    slowest: float

    @property
    def relaxations(self) -> Floats:
        """[s], shape (processes,): evenly spaced on a logarithmic scale."""
        decades = np.log10(self.slowest / self.fastest)
        return np.geomspace(self.fastest, self.slowest, 1 + round(PER_DECADE * decades))

    def step(self, levels: Floats, seconds: float, normals: Floats) -> Floats:
        """The processes (processes,), each of unit variance, `seconds` later."""
        kept = np.exp(-seconds / self.relaxations)
        return kept * levels + np.sqrt(1.0 - kept**2) * normals

    def factor(self, levels: Floats, seconds: float) -> float:
        """By what G is multiplied, on average, in a pulse that lasts `seconds`."""
        return float(np.exp(self.rms * (levels @ averaged(self.relaxations, seconds)) / np.sqrt(len(levels))))


def averaged(relaxations: Floats, seconds: float) -> Floats:
    """Standard deviation of the mean over `seconds` of processes of unit variance.

    With r = tau/T, the variance of the mean of such a process over T is 2 (r - r^2 (1 - exp(-1/r))).
    """
    if seconds <= 0.0:
        return np.ones_like(relaxations)
    ratio = relaxations / seconds
    series = 1.0 - 1.0 / (3.0 * ratio)  # the same to first order where the difference would cancel
    exact = 2.0 * (ratio - ratio**2 * -np.expm1(-1.0 / ratio))
    return np.sqrt(np.where(ratio > 1e4, series, exact))


@dataclass(frozen=True, slots=True)
class Telegraph:
    """One trap: while it is full, G is less by `amplitude`; mean dwell times [s] full and empty."""

    share: float
    """Part of the devices that have one."""
    amplitude: float
    full_seconds: float
    empty_seconds: float

    def probability(self, full: bool, seconds: float) -> float:
        """That it is full `seconds` later."""
        rate = 1.0 / self.full_seconds + 1.0 / self.empty_seconds
        settled = self.full_seconds / (self.full_seconds + self.empty_seconds)
        return settled + (float(full) - settled) * float(np.exp(-seconds * rate))

    def factor(self, full: bool) -> float:
        """By what G is multiplied."""
        return 1.0 - self.amplitude if full else 1.0


def current_noise(amps: Floats, ohms: float, seconds: Floats, response: float, normals: Floats) -> Floats:
    """[A], shape (samples,): thermal and shot noise of `amps` through a path of `ohms`.

    `response` [s] is the board's slowest time constant: no sample, which stands for `seconds`, sees a
    wider band than 1/(4 response), which is that of an RC low-pass.
    """
    band = 1.0 / np.maximum(2.0 * seconds, 4.0 * max(response, 1e-12))
    return np.sqrt((4.0 * BOLTZMANN * KELVIN / ohms + 2.0 * CHARGE * np.abs(amps)) * band) * normals
