"""What a device of known parameters is expected to do: how long it takes from one conductance to another.

At a constant source voltage behind resistors the state has one velocity for each state, so the time
between two states is an integral, and where a pulse leads is the same integral read backwards. It
is taken along ln(x + `NUCLEUS`), in panels in which the integrand is taken for exponential, which
is exact for rates exponential in the state. What stands in the way of a real pulse (edges, the
sense node) is not in it: whoever learns from responses absorbs it.

A device that differs is told by one number, its shift: the volts by which its threshold of this
polarity lies further from 0 V than that of the parameter set.
"""

from __future__ import annotations

from math import ceil, exp, inf, log, sqrt

import numpy as np

from labctl.pulse import Floats
from sim_backend.devices.equations import current, rate
from sim_backend.jit import kernel
from sim_backend.path_kernel import divided

NUCLEUS = 1e-3
"""x below which panels are no longer relative."""
PANEL = 0.15
"""Longest panel, in ln(x + NUCLEUS); 4 panels or more."""
LEAST_STATE = 1e-6
"""A state lower than this is not told from it: no filament is ever gone."""
CLOSE = 1e-3
"""Of a time, in its logarithm: how close a voltage or a shift is worked out."""
LONGEST_LOGARITHM = 50.0
"""Of two times: where a device does not move, it counts as this."""


@kernel
def state_of(siemens: float, volts: float, p: Floats) -> float:
    """The state of a device that reads `siemens` at `volts` across it; the nearest that there is."""
    amps, low, high = siemens * volts, LEAST_STATE, 1.0
    if amps <= current(volts, low, p):
        return low
    if amps >= current(volts, high, p):
        return high
    x = 0.5
    for _ in range(60):
        here = current(volts, x, p) - amps
        if here > 0.0:
            high = x
        else:
            low = x
        slope = (current(volts, x + 1e-7, p) - amps - here) / 1e-7
        new = x - here / slope if slope > 0.0 else low
        if not low < new < high:
            new = 0.5 * (low + high)
        if abs(new - x) <= 1e-10:
            return new
        x = new
    return x


@kernel
def pace(x: float, volts: float, ohms: float, shift: float, guess: float, p: Floats) -> tuple[float, float]:
    """[1/s] dx/dt at this state, and the device's voltage [V]."""
    v, _ = divided(volts, ohms, x, guess, p)
    moving = abs(v) - shift
    if not moving > 0.0:
        return 0.0, v
    return rate(moving if v > 0.0 else -moving, x, p), v


@kernel
def march(
    start: float, end: float, seconds: float, volts: float, ohms: float, shift: float, p: Floats
) -> tuple[float, float]:
    """From state to state within `seconds`: the time that was used [s], and the state it led to.

    A device that stops on the way, or runs the other way, uses endless time there.
    """
    s, last = log(start + NUCLEUS), log(end + NUCLEUS)
    panels = max(4, ceil(abs(last - s) / PANEL))
    step = (last - s) / panels
    sign = 1.0 if step > 0.0 else -1.0
    speed, v = pace(start, volts, ohms, shift, 0.5 * volts, p)
    if not speed * sign > 0.0:
        return inf, start
    slow, used = (start + NUCLEUS) / (speed * sign), 0.0
    for panel in range(1, panels + 1):
        x = exp(s + panel * step) - NUCLEUS
        speed, v = pace(x, volts, ohms, shift, v, p)
        here = exp(s + (panel - 1) * step)
        if not speed * sign > 0.0:
            return inf, here - NUCLEUS
        slower = (x + NUCLEUS) / (speed * sign)
        bend = log(slower / slow)
        mean = slow * (1.0 + 0.5 * bend) if abs(bend) < 1e-4 else (slower - slow) / bend
        needed = mean * abs(step)
        if used + needed > seconds:
            part = (seconds - used) / (slow * abs(step))
            if abs(bend) > 1e-4:
                part = log(1.0 + bend * part) / bend
            return seconds, here * exp(part * step) - NUCLEUS
        used, slow = used + needed, slower
    return used, end


@kernel
def seconds_between(
    before: float, after: float, volts: float, ohms: float, shift: float, read: float, p: Floats
) -> float:
    """[s] from one conductance to another, as they are read behind these ohms; inf: never."""
    start = state_of(before, read / (1.0 + before * ohms), p)
    end = state_of(after, read / (1.0 + after * ohms), p)
    if start == end:
        return 0.0
    return march(start, end, inf, volts, ohms, shift, p)[0]


@kernel
def siemens_after(
    before: float, seconds: float, volts: float, ohms: float, shift: float, read: float, p: Floats
) -> float:
    """[S] as it will be read after this long."""
    start = state_of(before, read / (1.0 + before * ohms), p)
    _, x = march(start, 1.0 if volts > 0.0 else LEAST_STATE, seconds, volts, ohms, shift, p)
    siemens = before
    for _ in range(3):  # the voltage of a read depends a little on what it reads
        v = read / (1.0 + siemens * ohms)
        siemens = current(v, x, p) / v
    return siemens


@kernel
def balance(
    volts: float, shift: float, start: float, end: float, seconds: float, ohms: float, p: Floats
) -> float:
    """How much longer than `seconds` it takes, as a logarithm within +-`LONGEST_LOGARITHM`."""
    used = march(start, end, inf, volts, ohms, shift, p)[0]
    if not used < inf:
        return LONGEST_LOGARITHM
    return min(max(log(used / seconds), -LONGEST_LOGARITHM), LONGEST_LOGARITHM)


@kernel
def searched(
    low: float, high: float, of_volts: bool, given: float, start: float, end: float, seconds: float,
    ohms: float, p: Floats,
) -> float:  # fmt: skip
    """The volts at the shift `given`, or the shift at the volts `given`, at which it takes `seconds`.

    By false position (Illinois), halving where a device does not move at all. NaN: none in between.
    """
    f_low, f_high, f, side, middle = 0.0, 0.0, 0.0, 0, low
    for turn in range(62):
        if turn < 2:
            middle = low if turn == 0 else high
        elif abs(f_low) >= LONGEST_LOGARITHM or abs(f_high) >= LONGEST_LOGARITHM:
            middle = 0.5 * (low + high)
        else:
            middle = (low * f_high - high * f_low) / (f_high - f_low)
        volts, shift = (middle, given) if of_volts else (given, middle)
        f = balance(volts, shift, start, end, seconds, ohms, p)
        if turn == 0:
            f_low = f
        elif turn == 1:
            f_high = f
            if not f_low * f_high <= 0.0:
                return np.nan
        elif abs(f) <= CLOSE or abs(high - low) <= 1e-7:
            return middle
        elif f * f_low > 0.0:
            low, f_low = middle, f
            f_high = 0.5 * f_high if side == -1 and abs(f_high) < LONGEST_LOGARITHM else f_high
            side = -1
        else:
            high, f_high = middle, f
            f_low = 0.5 * f_low if side == 1 and abs(f_low) < LONGEST_LOGARITHM else f_low
            side = 1
    return 0.5 * (low + high)


@kernel
def scattered(
    start: float, seconds: float, volts: float, ohms: float, read: float, p: Floats, others: Floats
) -> float:
    """Standard deviation of ln G after a pulse, over pairs of `others`, rows one sigma up and down."""
    end = 1.0 if volts > 0.0 else LEAST_STATE
    total = 0.0
    for pair in range(len(others) // 2):
        _, up = march(start, end, seconds, volts, ohms, 0.0, others[2 * pair])
        _, down = march(start, end, seconds, volts, ohms, 0.0, others[2 * pair + 1])
        total += (0.5 * log(current(read, up, p) / current(read, down, p))) ** 2
    return sqrt(total)
