"""Shapes of a pulse over time, as pure functions from numbers to corners.

A `Wave` is one line's voltage: corners joined by straight lines. Curved shapes are sampled finely
enough that the straight lines stay within `2e-3` of the amplitude. Amplitudes carry their sign;
times are positive. The shapes are those of memristor benches: Knowm's Memristor Discovery
software drives squares, half sines, triangles and sawtooths, curve tracers drive staircases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labctl.errors import Refused
from labctl.pulse import Floats

CURVE_CORNERS = 41
"""Corners of a half sine: a chord of 1/40 of half a period is off by (pi/40)^2/8 = 8e-4."""


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    """The voltage of one line: `seconds` (corners,) [s] from 0 up, `volts` (corners,) [V]."""

    seconds: Floats
    volts: Floats


def square(volts: float, seconds: float, edge: float | None = None) -> Wave:
    """0 V, up within `edge`, flat, down within `edge`, all in `seconds`; edge: 1 % unless told."""
    rise = seconds / 100 if edge is None else edge
    _refuse_unless(
        0 < rise < seconds / 2, f"a square of {seconds} s with edges of {rise} s", "0 < edge < seconds / 2"
    )
    return Wave(np.array([0.0, rise, seconds - rise, seconds]), np.array([0.0, volts, volts, 0.0]))


def half_sine(volts: float, seconds: float) -> Wave:
    """Half a period of a sine: 0 V, `volts` in the middle, 0 V."""
    _refuse_unless(0 < seconds < math.inf, f"a half sine of {seconds} s", "seconds > 0")
    phase = np.linspace(0.0, math.pi, CURVE_CORNERS)
    wave = volts * np.sin(phase)
    wave[0] = wave[-1] = 0.0
    return Wave(phase * (seconds / math.pi), wave)


def sine(volts: float, seconds: float) -> Wave:
    """One whole period of a sine, positive half first: the drive of a pinched hysteresis loop."""
    up = half_sine(volts, seconds / 2)
    return join(up, Wave(up.seconds, -up.volts))


def triangle(volts: float, seconds: float) -> Wave:
    """0 V, straight up to `volts` at half time, straight down to 0 V."""
    _refuse_unless(0 < seconds < math.inf, f"a triangle of {seconds} s", "seconds > 0")
    return Wave(np.array([0.0, seconds / 2, seconds]), np.array([0.0, volts, 0.0]))


def sawtooth(volts: float, seconds: float, fall: float | None = None) -> Wave:
    """0 V, straight up to `volts`, then back within `fall` [s]: 1 % of `seconds` unless told."""
    back = seconds / 100 if fall is None else fall
    wrong = f"a sawtooth of {seconds} s that falls in {back} s"
    _refuse_unless(0 < back < seconds < math.inf, wrong, "0 < fall < seconds")
    return Wave(np.array([0.0, seconds - back, seconds]), np.array([0.0, volts, 0.0]))


def staircase(levels: Sequence[float], step: float, edge: float | None = None) -> Wave:
    """Flat levels [V] of `step` [s] each, joined by edges, from 0 V and back to it."""
    rise = step / 100 if edge is None else edge
    _refuse_unless(len(levels) > 0, "a staircase without levels", "one level or more")
    wrong = f"a staircase of {step} s steps with edges of {rise} s"
    _refuse_unless(0 < rise < step < math.inf, wrong, "0 < edge < step")
    starts = np.arange(len(levels), dtype=np.float64) * step
    seconds = np.append(np.column_stack([starts + rise, starts + step]).ravel(), len(levels) * step + rise)
    volts = np.append(np.repeat(np.asarray(levels, dtype=np.float64), 2), 0.0)
    return Wave(np.insert(seconds, 0, 0.0), np.insert(volts, 0, 0.0))


def samples(volts: Sequence[float], step: float) -> Wave:
    """Any wave: `volts` (n,) [V] at 0, step, 2 step… [s], straight in between."""
    fine = len(volts) >= 2 and 0 < step < math.inf
    _refuse_unless(fine, f"{len(volts)} samples of {step} s", "two samples, step > 0")
    return Wave(np.arange(len(volts), dtype=np.float64) * step, np.array(volts, dtype=np.float64))


def join(first: Wave, second: Wave) -> Wave:
    """One wave after the other; the first must end at the voltage at which the second begins."""
    _refuse_unless(
        bool(first.volts[-1] == second.volts[0]),
        f"a wave that ends at {first.volts[-1]} V before one that begins at {second.volts[0]} V",
        "waves that meet",
    )
    seconds = np.concatenate([first.seconds, first.seconds[-1] + second.seconds[1:]])
    return Wave(seconds, np.concatenate([first.volts, second.volts[1:]]))


def _refuse_unless(fine: bool, wrong: str, allowed: str) -> None:
    if not fine:
        raise Refused(f"{wrong} cannot be made", allowed=allowed)
