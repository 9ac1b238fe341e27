"""What is wrong with a recording, estimated and told; nothing is corrected here.

A memristor's current is zero where its voltage is: the loop is pinched (Chua, IEEE Trans. Circuit
Theory 18, 507, 1971). So the current at the zeros of the voltage tells the instrument's faults apart:
an offset shows with one sign on both branches, a delay between the channels with opposite ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from labctl.errors import BadData
from labctl.fit.excerpts import Excerpt
from labctl.pulse import Floats
from labctl.quantity import format_quantity

NEAR_ZERO = 0.08
"""Part of the peak voltage below which a device is taken to be ohmic."""
NOTABLE = 0.005
"""Part of the root mean square current from which an offset is worth a word."""
STEADY = 0.02
"""Part of its mean by which a drive varies that is none."""
FOLLOWS = 0.03
"""Least correlation of a current with its voltage, of either sign, offsets included."""
SWITCHES = 1.15
"""Least ratio of the conductances of both branches of a loop that shows switching."""


class Faults(NamedTuple):
    """Of the instrument, not of the device."""

    offset: float
    """[A]"""
    delay: float
    """[s] by which the current comes late."""
    offset_error: float
    delay_error: float


def inspect(part: Excerpt) -> tuple[str, ...]:
    """Remarks on an excerpt; raises `BadData` where nothing can be fitted to it."""
    volts = part.volts
    if not np.ptp(volts) > max(STEADY * float(np.abs(volts).mean()), 1e-3):
        level = format_quantity(float(volts.mean()), "V", 3)
        raise BadData(
            f"{part.name}: drift only: the drive stays at {level}, and no switching can be seen in that",
            todo="record a sweep or pulses; a record of reads over time is for retention",
        )
    if not part.square > 0:
        raise BadData(f"{part.name}: no current at all", todo="look whether the device is connected")
    across = volts - part.amps * part.series_ohms
    alike = _alike(part, across)
    if abs(alike) < FOLLOWS:
        raise BadData(
            f"{part.name}: the current does not follow the voltage: it is noise, or of another measurement",
            todo="look whether the device is connected, and whether both columns are of one recording",
        )
    if alike < 0:
        raise BadData(
            f"{part.name}: the current runs against the voltage: one of the two has the wrong sign",
            todo="--correct sign, which turns the current round",
        )
    return (*_faults_told(part), *_ill_posed(part, across))


def _alike(part: Excerpt, across: Floats) -> float:
    """Correlation of current and voltage, from -1 to 1."""
    squares = float(part.share @ across**2) * part.square
    return float(part.share @ (across * part.amps)) / math.sqrt(squares) if squares > 0 else 0.0


def switches(part: Excerpt) -> bool:
    """Whether the device changes its conductance in this recording, by more than its noise."""
    return conductance_ratio(part.volts - part.amps * part.series_ohms, part.amps) >= SWITCHES


def conductance_ratio(across: Floats, amps: Floats) -> float:
    """Greatest ratio of conductances at one voltage of the device; 1: it does not switch."""
    peak = float(np.abs(across).max())
    ratio = 1.0
    for sign in (1.0, -1.0):
        for low, high in ((0.2, 0.35), (0.35, 0.55), (0.55, 0.8)):
            near = (sign * across > low * peak) & (sign * across < high * peak)
            if np.count_nonzero(near) < 8:
                continue
            siemens = np.sort(sign * amps[near] / np.abs(across[near]))
            few = max(len(siemens) // 10, 2)
            least, most = float(np.median(siemens[:few])), float(np.median(siemens[-few:]))
            noise = 6.0 * _noise(sign * amps[near] / np.abs(across[near]))
            if most - least > noise:
                ratio = max(ratio, most / max(least, noise / 6.0, 1e-12))
    return ratio


def faults(part: Excerpt) -> Faults | None:
    """Offset and delay of the current, from straight lines through the zeros of the voltage."""
    across = part.volts - part.amps * part.series_ohms
    near = np.abs(part.volts) < NEAR_ZERO * np.abs(part.volts).max()
    slopes: Floats = np.gradient(part.volts, part.seconds)
    rising = _line(across[near & (slopes > 0)], part.amps[near & (slopes > 0)])
    falling = _line(across[near & (slopes < 0)], part.amps[near & (slopes < 0)])
    if rising is None or falling is None or not part.period:
        return None
    (up, g_up, e_up), (down, g_down, e_down) = rising, falling
    speed = float(np.median(np.abs(slopes[near])))
    if not (g_up + g_down) * speed > 0:
        return None
    delay = (down - up) / (speed * (g_up + g_down))
    error = math.hypot(e_up, e_down)
    offset = up + g_up * speed * delay
    return Faults(offset, delay, error, error / (speed * (g_up + g_down)))


def _faults_told(part: Excerpt) -> tuple[str, ...]:
    found = faults(part)
    if found is None:
        return ()
    said = list[str]()
    if abs(found.offset) > max(4 * found.offset_error, NOTABLE * math.sqrt(part.square)):
        amps = format_quantity(found.offset, "A", 2)
        said.append(f"the current is off by {amps} at 0 V (not corrected; --nuisance offset fits it)")
    step = float(np.median(np.diff(part.seconds)))
    if abs(found.delay) > max(4 * found.delay_error, 1.5 * step, 0.002 * part.period):
        late = format_quantity(abs(found.delay), "s", 2)
        way = "late" if found.delay > 0 else "early"
        said.append(f"the current comes {late} too {way} (not corrected; --nuisance delay fits it)")
    return tuple(said)


def _ill_posed(part: Excerpt, across: Floats) -> tuple[str, ...]:
    said = list[str]()
    if not switches(part):
        said.append("the device does not switch here: this recording tells of one state alone")
    if float(across.max()) < 0.1 * np.abs(across).max():
        said.append("no positive voltage: nothing is known of setting")
    if -float(across.min()) < 0.1 * np.abs(across).max():
        said.append("no negative voltage: nothing is known of resetting")
    return tuple(said)


def _line(volts: Floats, amps: Floats) -> tuple[float, float, float] | None:
    """Intercept, slope and the intercept's standard error of a straight line."""
    if len(volts) < 5:
        return None
    design = np.column_stack([np.ones_like(volts), volts])
    found, *_ = np.linalg.lstsq(design, amps, rcond=None)
    rest = amps - design @ found
    variance = float(rest @ rest) / (len(volts) - 2)
    return float(found[0]), float(found[1]), math.sqrt(variance / len(volts))


def _noise(values: Floats) -> float:
    """Standard deviation of what changes from sample to sample."""
    return 1.4826 * float(np.median(np.abs(np.diff(values)))) / math.sqrt(2)
