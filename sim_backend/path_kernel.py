"""One selected device, integrated: source, series resistor, sense node, device, switch.

::

    Vr(t) --[ series ]--+--( device )--[ switch ]-- Vc(t)
                        |
                       === farads

Two states: x of the device and v of the sense node. Their time constants lie apart by up to five
decades (microseconds against seconds), so the method is RODAS4, an L-stable Rosenbrock method of
order 4 with an embedded error estimate (Hairer and Wanner, Solving ODEs II, section IV.7); the
Jacobian is taken by differences. Between two steps the solution is a cubic through both ends, so
each step gives two samples whose weights are Simpson's: energies summed over the samples are then
of the same order as the steps.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats, Indices
from sim_backend.devices.equations import current, prepared, rate
from sim_backend.jit import kernel

GAMMA = 0.25
STAGES = 6
A = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [1.544, 0.0, 0.0, 0.0, 0.0],
        [0.9466785280815826, 0.2557011698983284, 0.0, 0.0, 0.0],
        [3.314825187068521, 2.896124015972201, 0.9986419139977817, 0.0, 0.0],
        [1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950, 0.0],
        [1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950, 1.0],
    ]
)
C = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [-5.6688, 0.0, 0.0, 0.0, 0.0],
        [-2.430093356833875, -0.2063599157091915, 0.0, 0.0, 0.0],
        [-0.1073529058151375, -9.594562251023355, -20.47028614809616, 0.0, 0.0],
        [7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160, 0.0],
        [8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054],
    ]
)
ALPHA = np.array([0.0, 0.386, 0.21, 0.63, 1.0, 1.0])
SLOPE = np.array([0.25, -0.1043, 0.1035, -0.0362, 0.0, 0.0])
FLOOR = 1e-2
"""x and volts below which the tolerance is absolute."""
SHORTEST_STEP = 1e-15
TOO_SHORT, TOO_STIFF = -1, -2
NUDGE = 1e-6
"""Difference by which the Jacobian is taken, in volts and in x."""


class Circuit(NamedTuple):
    """What stands around the device."""

    series: float
    """[ohm] between the row's source and the sense node."""
    switch: float
    """[ohm] between the device and the column's source."""
    farads: float
    """[F] at the sense node; 0: no such state."""


class Drive(NamedTuple):
    """The voltages of one straight segment: [V] at its beginning, [V/s]."""

    row: float
    row_slope: float
    column: float
    column_slope: float


class Rates(NamedTuple):
    """dx/dt [1/s], dv/dt [V/s], and the currents [A] out of the row's source and through the device."""

    x: float
    v: float
    source: float
    amps: float


@kernel
def device_volts(across: float, ohms: float, x: float, guess: float, p: Floats) -> float:
    """[V] of a device with `ohms` in series and `across` volts over both: Newton, exact if it is ohmic."""
    if ohms == 0.0:
        return across
    v = guess
    for _ in range(60):
        here = current(v, x, p)
        slope = (current(v + NUDGE, x, p) - here) / NUDGE
        step = (across - v - ohms * here) / (1.0 + ohms * slope)
        v += step
        if abs(step) <= 1e-13 + 1e-12 * abs(v):
            return v
    return np.nan


@kernel
def derivatives(x: float, v: float, t: float, drive: Drive, circuit: Circuit, p: Floats) -> Rates:
    """How fast both states change at `t` [s] into the segment, and the currents there."""
    row, column = drive.row + drive.row_slope * t, drive.column + drive.column_slope * t
    if circuit.farads > 0.0:
        inner = device_volts(v - column, circuit.switch, x, v - column, p)
        amps = current(inner, x, p)
        source = (row - v) / circuit.series
        return Rates(rate(inner, x, p), (source - amps) / circuit.farads, source, amps)
    across = row - column
    inner = device_volts(across, circuit.series + circuit.switch, x, 0.5 * across, p)
    amps = current(inner, x, p)
    return Rates(rate(inner, x, p), 0.0, amps, amps)


@kernel
def attempt(
    x: float, v: float, t: float, h: float, now: Rates, drive: Drive, circuit: Circuit, p: Floats, k: Floats
) -> tuple[float, float, float, float]:
    """One step of RODAS4 from (x, v) at `t`: the new x and v, and the error of each. k: (2, STAGES) scratch."""
    a = derivatives(x + NUDGE, v, t, drive, circuit, p)
    b = derivatives(x, v + NUDGE, t, drive, circuit, p)
    later = derivatives(x, v, t + 1e-3 * h, drive, circuit, p)
    jxx, jvx = (a.x - now.x) / NUDGE, (a.v - now.v) / NUDGE
    jxv, jvv = (b.x - now.x) / NUDGE, (b.v - now.v) / NUDGE
    tx, tv = (later.x - now.x) / (1e-3 * h), (later.v - now.v) / (1e-3 * h)
    mxx, mvv = 1.0 / (h * GAMMA) - jxx, 1.0 / (h * GAMMA) - jvv
    determinant = mxx * mvv - jxv * jvx
    for i in range(STAGES):
        gx, gv, sx, sv = x, v, 0.0, 0.0
        for j in range(i):
            gx += A[i, j] * k[0, j]
            gv += A[i, j] * k[1, j]
            sx += C[i, j] * k[0, j]
            sv += C[i, j] * k[1, j]
        f = now if i == 0 else derivatives(gx, gv, t + ALPHA[i] * h, drive, circuit, p)
        hx = f.x + sx / h + SLOPE[i] * h * tx
        hv = f.v + sv / h + SLOPE[i] * h * tv
        k[0, i] = (mvv * hx + jxv * hv) / determinant
        k[1, i] = (mxx * hv + jvx * hx) / determinant
    # the last stage was evaluated at the result of the embedded method; its increment is the error
    return gx + k[0, 5], gv + k[1, 5], k[0, 5], k[1, 5]


@kernel
def write(out: Floats, used: int, weight: float, t: float, drive: Drive, now: Rates) -> int:
    """Append one sample."""
    out[used, 0] = weight
    out[used, 1] = drive.row + drive.row_slope * t
    out[used, 2] = drive.column + drive.column_slope * t
    out[used, 3] = now.source
    out[used, 4] = now.amps
    return used + 1


@kernel
def follow(
    state: Floats,
    step: float,
    length: float,
    drive: Drive,
    circuit: Circuit,
    p: Floats,
    tolerance: float,
    out: Floats,
    used: int,
) -> tuple[int, float]:
    """Integrate one straight segment of `length` [s]; return the samples written so far and the next step."""
    x, v, t = state[0], state[1], 0.0
    k = np.empty((2, STAGES))
    now = derivatives(x, v, 0.0, drive, circuit, p)
    while t < length:
        left = length - t
        h = left if step >= 0.999 * left else min(step, 0.5 * left)
        nx, nv, ex, ev = attempt(x, v, t, h, now, drive, circuit, p, k)
        ex /= tolerance * (abs(nx) + FLOOR)
        ev /= tolerance * (abs(nv) + FLOOR)
        error = sqrt(0.5 * (ex * ex + ev * ev))
        if not error <= 1.0:
            step = h * max(0.1, 0.9 * error**-0.25) if error == error else 0.1 * h  # noqa: PLR0124 - NaN
            if step < SHORTEST_STEP:
                return TOO_STIFF, step
            continue
        if used + 2 > len(out):
            return TOO_SHORT, step
        end = t + h if h < left else length
        new = derivatives(nx, nv, end, drive, circuit, p)
        middle = derivatives(
            0.5 * (x + nx) + 0.125 * h * (now.x - new.x),
            0.5 * (v + nv) + 0.125 * h * (now.v - new.v),
            0.5 * (t + end),
            drive,
            circuit,
            p,
        )
        out[used - 1, 0] += h / 6.0
        used = write(out, used, h * 2.0 / 3.0, 0.5 * (t + end), drive, middle)
        used = write(out, used, h / 6.0, end, drive, new)
        x, v, t, now = nx, nv, end, new
        step = h * min(6.0, max(0.2, 0.9 * (error + 1e-12) ** -0.25))
    state[0], state[1] = x, v
    return used, step


@kernel
def integrate(
    seconds: Floats,
    rows: Floats,
    columns: Floats,
    ends: Indices,
    state: Floats,
    circuit: Circuit,
    row: Floats,
    tolerance: float,
    out: Floats,
    counts: Indices,
) -> int:
    """Run one device through a chain of pulses; return the number of samples written.

    seconds, rows, columns: (corners,) of all pulses one after the other [s, V, V], each pulse from 0 s.
    ends: (pulses,) index of the last corner of each. state: x and v, changed in place.
    out: (capacity, 5) of seconds that the sample stands for, row volts, column volts, amps out of the
    row's source, amps through the device. counts: (pulses,) samples of each pulse.
    Returns `TOO_SHORT` where `out` has no room, `TOO_STIFF` where no step was small enough.
    """
    p = prepared(row)
    used, corner, step = 0, 0, 1e-6
    for pulse in range(len(ends)):
        first = used
        while corner < ends[pulse]:
            length = seconds[corner + 1] - seconds[corner]
            drive = Drive(
                rows[corner],
                (rows[corner + 1] - rows[corner]) / length,
                columns[corner],
                (columns[corner + 1] - columns[corner]) / length,
            )
            if used == first:
                if used + 1 > len(out):
                    return TOO_SHORT
                used = write(out, used, 0.0, 0.0, drive, derivatives(state[0], state[1], 0.0, drive, circuit, p))
            used, step = follow(state, min(step, length), length, drive, circuit, p, tolerance, out, used)
            if used < 0:
                return used
            corner += 1
        counts[pulse] = used - first
        corner += 1
    return used
