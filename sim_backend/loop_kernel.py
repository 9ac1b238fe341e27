"""A long recording of one device, simulated fast: source, series resistor, device, one state.

A fit simulates the same few loops ten thousand times. Between two samples of a recording the source
is a straight line and, most of the time, the state hardly moves, so a one-step method that takes the
whole interval when nothing happens beats an error-controlled one that has to find out again each time
(`tests/test_loop_kernel.py` compares both). The step is exponential Rosenbrock-Euler (Hochbruck and
Ostermann, Acta Numerica 2010, section 2.4): second order, exact for a linear rate, and so unmoved by
a switching time a thousand times shorter than a sample. The node between resistor and device, which a
scope's capacitance makes late by up to a microsecond, is followed by backward Euler: where samples lie
further apart than that, it is a lag, which shifts a threshold by as much as the drive has risen since.
"""

from __future__ import annotations

from math import expm1

import numpy as np

from labctl.pulse import Floats
from sim_backend.devices.equations import current, prepared, rate
from sim_backend.jit import kernel

NUDGE = 1e-6
"""Difference by which slopes in volts are taken [V]."""
STATE_NUDGE = 1e-5
"""The same for the state."""
STEEPEST = 3.0
"""Largest growth exponent of one step: a step that would explode is a step too long."""
LOWEST_STATE = 1e-6
SETTLED = 1e-7
"""[V] A Newton step as short as this leaves an error of its square."""
NOTHING = 1e-9
"""Of the state: a step that does less needs no slope."""
STANDS_STILL = 1e-6
"""A state that a whole period moves by less than this part of itself is periodic."""


@kernel
def divided(across: float, ohms: float, x: float, guess: float, p: Floats) -> float:
    """[V] of a device with `ohms` in series and `across` volts over both: Newton between brackets."""
    if ohms == 0.0:
        return across
    low, high = min(0.0, across), max(0.0, across)
    v = guess if low <= guess <= high else 0.5 * across
    for _ in range(80):
        here = current(v, x, p)
        left = v + ohms * here - across
        if left > 0.0:
            high = v
        else:
            low = v
        slope = (current(v + NUDGE, x, p) - here) / NUDGE
        new = v - left / (1.0 + ohms * slope)
        if not low <= new <= high:
            new = 0.5 * (low + high)
        if abs(new - v) < SETTLED:
            return new
        v = new
    return v


@kernel
def allowed(x: float, speed: float, cap: float, left: float, whole: float) -> float:
    """[s] of a step in which the state moves by no more than `cap` of its way to either end."""
    farthest = cap * (min(x, 1.0 - 0.9 * x) + 2e-3)
    if abs(speed) * left <= farthest:
        return left
    return min(left, max(farthest / abs(speed), 1e-4 * whole))


@kernel
def behind(
    source: float, ohms: float, late: float, before: float, x: float, guess: float, p: Floats
) -> float:
    """[V] of a device whose node had `before` [V] a while ago; `late`: its time constant over that while."""
    return divided((source + late * before) / (1.0 + late), ohms / (1.0 + late), x, guess, p)


@kernel
def advance(
    start: float,
    end: float,
    seconds: float,
    ohms: float,
    lag: float,
    x: float,
    v: float,
    p: Floats,
    cap: float,
) -> tuple[float, float]:
    """State and device volts after `seconds` in which the source goes straight from `start` to `end` [V]."""
    t = 0.0
    while t < seconds:
        h = allowed(x, rate(v, x, p), cap, seconds - t, seconds)
        middle, late = start + (end - start) * ((t + 0.5 * h) / seconds), 2.0 * lag / h
        half = behind(middle, ohms, late, v, x, v, p)
        speed = rate(half, x, p)
        if abs(speed) * h <= NOTHING:
            x += h * speed
        else:
            aside = x - STATE_NUDGE if x > 0.5 else x + STATE_NUDGE
            slope = (rate(behind(middle, ohms, late, v, aside, half, p), aside, p) - speed) / (aside - x)
            z = min(h * slope, STEEPEST)
            x += h * speed * (1.0 + 0.5 * z if abs(z) < 1e-6 else expm1(z) / z)
        x = min(max(x, LOWEST_STATE), 1.0)
        t = t + h if h < seconds - t else seconds
        v = behind(start + (end - start) * (t / seconds), ohms, lag / h, v, x, half, p)
    return x, v


@kernel
def loop(
    seconds: Floats,
    volts: Floats,
    period: float,
    ohms: float,
    lag: float,
    row: Floats,
    x: float,
    cycles: int,
    cap: float,
    amps: Floats,
    states: Floats,
) -> float:
    """Run the samples `volts` [V] at `seconds` [s] up to `cycles` times; return the last state.

    Writes into amps [A] and states (samples,) what the last cycle did. With a `period` [s] above 0
    the samples repeat, from the last straight to the first of the next cycle, and the run ends when a
    whole cycle leaves the state as it was; with 0 they are run once from the state `x`. `lag` [s] is the time
    constant of the node: the resistance before it times its capacitance.
    """
    p = prepared(row)
    count, v = len(volts), 0.0
    closing = period - (seconds[count - 1] - seconds[0])
    for cycle in range(cycles):
        before = x
        if cycle > 0:
            x, v = advance(volts[count - 1], volts[0], closing, ohms, lag, x, v, p, cap)
        else:
            v = divided(volts[0], ohms, x, v, p)
        amps[0], states[0] = current(v, x, p), x
        for k in range(1, count):
            x, v = advance(volts[k - 1], volts[k], seconds[k] - seconds[k - 1], ohms, lag, x, v, p, cap)
            amps[k], states[k] = current(v, x, p), x
        if period <= 0.0 or abs(x - before) < STANDS_STILL * (x + 0.003):
            break
    return x


def simulated(
    seconds: Floats,
    volts: Floats,
    period: float,
    ohms: float,
    row: Floats,
    x: float,
    cap: float,
    lag: float = 0.0,
) -> tuple[Floats, Floats]:
    """[A] and states, each shape (samples,), of a device with this row of parameters: see `loop`."""
    amps, states = np.empty(len(volts)), np.empty(len(volts))
    loop(seconds, volts, period, ohms, lag, row, x, 10 if period > 0.0 else 1, cap, amps, states)
    return amps, states
