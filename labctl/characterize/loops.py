"""Figures of one current-voltage loop, as papers print them, from the device's own volts and amps.

A set threshold has no agreed definition. Here it is the device voltage at which, on the way up to
the positive peak, the conductance first passes the geometric mean of what it is at the read voltage
(HRS) and its greatest: half of the way on the logarithmic scale on which these devices switch. The
reset threshold is the same on the way to the negative peak, downwards. The steepest change of
conductance and a threshold current were tried on sine loops that others measured on W, Sn, Cr and C
devices: from cycle to cycle the set threshold of the former scatters up to five times as much, because
it takes a derivative of noise, and the latter depends on the series resistor. (The reset threshold
was not compared so.) A branch on which the conductance
changes by less than `LEAST_RATIO` has no threshold: NaN.

HRS and LRS are read on the loop itself, at the stated read voltage on the way up and on the way back
of the positive half, by least squares over the samples near it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from labctl.characterize.probing import Curve
from labctl.pulse import Bools, Floats

NEAR = 0.2
"""Samples within this part of the read voltage count as being at it."""
LEAST_RATIO = 1.2
"""Of the conductances at both ends of a branch, below which nothing was switched on it."""


@dataclass(frozen=True, slots=True)
class Loop:
    """The figures of one loop; NaN for what it does not show."""

    vset: float
    """[V] across the device"""
    vreset: float
    """[V] across the device, negative"""
    hrs: float
    """[ohm] at the read voltage, on the way up"""
    lrs: float
    """[ohm] at the read voltage, on the way back"""
    imax: float
    """[A] highest"""
    imin: float
    """[A] lowest"""
    area: float
    """[W] enclosed by both lobes: the sum of the magnitudes of the integrals of I dV"""
    energy: float
    """[J] into the device"""


def figures_of(curve: Curve, read_volts: float) -> Loop:
    """The figures of one loop that begins and ends at 0 V, positive half first."""
    peak, valley = int(np.argmax(curve.source)), int(np.argmin(curve.source))
    place = np.arange(len(curve.source))
    positive, negative = place < valley, place > peak
    up, back = place <= peak, positive & (place > peak) & (curve.source > 0)
    down = negative & (place <= valley) & (curve.source < 0)
    high, low = conductance_at(curve, up, read_volts), conductance_at(curve, back, read_volts)
    return Loop(
        vset=threshold(curve, up, read_volts),
        vreset=threshold(curve, down, -read_volts),
        hrs=_ohms(high),
        lrs=_ohms(low),
        imax=float(curve.amps.max()),
        imin=float(curve.amps.min()),
        area=sum(_lobe(curve, half) for half in (curve.source > 0, curve.source < 0)),
        energy=float(curve.seconds @ (curve.volts * curve.amps)),
    )


def conductance_at(curve: Curve, branch: Bools, volts: float) -> float:
    """[S] at this device voltage on a branch: least squares near it; between its neighbours if none is near.

    NaN where the branch does not come to that voltage.
    """
    near = branch & (np.abs(curve.volts - volts) <= NEAR * abs(volts))
    if near.any():
        weights, v, i = curve.seconds[near], curve.volts[near], curve.amps[near]
        return float(weights @ (v * i)) / float(weights @ v**2)
    v, i = curve.volts[branch], curve.amps[branch]
    if len(v) == 0 or not v.min() <= volts <= v.max():
        return math.nan
    order = np.argsort(v)
    return float(np.interp(volts, v[order], i[order])) / volts


def threshold(curve: Curve, branch: Bools, from_volts: float) -> float:
    """[V] of the device where a branch, from `from_volts` on, passes the geometric mean of its conductances.

    A positive `from_volts` looks for a rise up to the greatest conductance of the branch, a negative
    one for a fall down to the least.
    """
    rises = from_volts > 0
    reached = branch & (np.abs(curve.volts) >= abs(from_volts)) & (curve.volts * from_volts > 0)
    first = conductance_at(curve, branch, from_volts)
    volts, amps = curve.volts[reached], curve.amps[reached]
    if len(volts) < 2 or not first > 0:
        return math.nan
    siemens = amps / volts
    last = float(siemens.max() if rises else siemens.min())
    low, high = sorted((first, last))
    if not (high >= LEAST_RATIO * low > 0 and (last > first) == rises):
        return math.nan
    return _passing(volts, siemens, math.sqrt(first * last), rises)


def _passing(volts: Floats, siemens: Floats, middle: float, rises: bool) -> float:
    """Where it first passes the middle, between two samples."""
    beyond = siemens >= middle if rises else siemens <= middle
    index = int(np.argmax(beyond))
    if index == 0:
        return float(volts[0])
    before, after = float(siemens[index - 1]), float(siemens[index])
    part = (middle - before) / (after - before)
    return float(volts[index - 1] + part * (volts[index] - volts[index - 1]))


def _ohms(siemens: float) -> float:
    return 1 / siemens if siemens > 0 else math.nan


def _lobe(curve: Curve, half: Bools) -> float:
    """[W] the magnitude of the integral of I dV around one half."""
    volts, amps = curve.volts[half], curve.amps[half]
    if len(volts) < 2:
        return 0.0
    steps = np.diff(volts, append=volts[:1])
    return abs(float((amps + np.roll(amps, -1)) @ steps) / 2)
