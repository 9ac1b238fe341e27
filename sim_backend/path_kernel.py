"""One selected device, integrated: source, series resistor, sense node, device, switch.

::

    Vr(t) --[ series ]--+--( device )--[ switch ]-- Vc(t)
                        |
                       === farads

Two states: x of the device and v of the sense node. Their time constants lie apart by up to five
decades (microseconds against seconds), so the method is RODAS4, an L-stable Rosenbrock method of
order 4 with an embedded error estimate (Hairer and Wanner, Solving ODEs II, section IV.7); the
Jacobian is taken by differences. Between two steps the method has a continuous solution, so
each step gives two samples whose weights are Simpson's: energies summed over the samples are then
of the same order as the steps.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats, Indices
from sim_backend.devices.equations import OHMIC, current, prepared, rate, tangent
from sim_backend.jit import inlined, kernel

# RODAS4, in the form that needs no product with the Jacobian (Hairer and Wanner, loc. cit.)
GAMMA = 0.25
A21 = 1.544
A31, A32 = 0.9466785280815826, 0.2557011698983284
A41, A42, A43 = 3.314825187068521, 2.896124015972201, 0.9986419139977817
A51, A52, A53, A54 = 1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950
C21 = -5.6688
C31, C32 = -2.430093356833875, -0.2063599157091915
C41, C42, C43 = -0.1073529058151375, -9.594562251023355, -20.47028614809616
C51, C52, C53, C54 = 7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160
C61, C62, C63 = 8.083246795921522, -7.981132988064893, -31.52159432874371
C64, C65 = 16.31930543123136, -6.058818238834054
ALPHA2, ALPHA3, ALPHA4 = 0.386, 0.21, 0.63
SLOPE1, SLOPE2, SLOPE3, SLOPE4 = 0.25, -0.1043, 0.1035, -0.0362
H1, H2, H3 = 2.447023728451449, -1.11103463794254, -6.64637425277377
H4, H5 = 1.0977102123807765, -0.5680142098906935
FLOOR, FLOOR_VOLTS = 1e-2, 0.05
"""x, and volts of the sense node, below which the tolerance is absolute."""
SHORTEST_STEP = 1e-15
TOO_SHORT, TOO_STIFF = -1, -2
SETTLED = 1e-5
"""[V] A step of Newton's method this small leaves an error of about its square."""
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


@inlined
def divided(across: float, ohms: float, x: float, guess: float, p: Floats) -> tuple[float, float]:
    """[V] of a device with `ohms` in series and `across` volts over both, and [A] through them."""
    if ohms == 0.0:
        return across, current(across, x, p)
    if p[OHMIC] == 1.0:
        siemens = current(1.0, x, p)
        v = across / (1.0 + ohms * siemens)
        return v, siemens * v
    v = guess
    for _ in range(60):
        here, slope = tangent(v, x, p)
        step = (across - v - ohms * here) / (1.0 + ohms * slope)
        v += step
        if abs(step) <= SETTLED:
            return v, here + slope * step
    return np.nan, np.nan


@inlined
def currents(
    x: float, v: float, t: float, near: float, drive: Drive, circuit: Circuit, p: Floats
) -> tuple[float, float, float]:
    """[V] of the device, [A] out of the row's source and through the device, at `t` [s] into the segment.

    `near` [A] went through it a moment ago: the search begins with the drop over the resistors then.
    """
    row, column = drive.row + drive.row_slope * t, drive.column + drive.column_slope * t
    if circuit.farads > 0.0:
        across = v - column
        inner, amps = divided(across, circuit.switch, x, across - circuit.switch * near, p)
        return inner, (row - v) / circuit.series, amps
    across, ohms = row - column, circuit.series + circuit.switch
    inner, amps = divided(across, ohms, x, across - ohms * near if near != 0.0 else 0.5 * across, p)
    return inner, amps, amps


@inlined
def derivatives(
    x: float, v: float, t: float, near: float, drive: Drive, circuit: Circuit, p: Floats
) -> Rates:
    """How fast both states change at `t` [s] into the segment, and the currents there."""
    inner, source, amps = currents(x, v, t, near, drive, circuit, p)
    charging = (source - amps) / circuit.farads if circuit.farads > 0.0 else 0.0
    return Rates(rate(inner, x, p), charging, source, amps)


@inlined
def times(matrix: tuple[float, float, float, float], x: float, v: float) -> tuple[float, float]:
    """A 2 x 2 matrix, by rows, times (x, v)."""
    return matrix[0] * x + matrix[1] * v, matrix[2] * x + matrix[3] * v


@kernel
def last_stage(k1: float, k2: float, k3: float, k4: float, k5: float) -> float:
    """The sum of increments that the sixth stage takes up."""
    return C61 * k1 + C62 * k2 + C63 * k3 + C64 * k4 + C65 * k5


@kernel
def halfway(start: float, end: float, k1: float, k2: float, k3: float, k4: float, k5: float) -> float:
    """The method's own continuous solution, of order 3, in the middle of a step.

    A cubic through both ends and their slopes will not do: where the sense node relaxes a hundred times
    faster than the step, its slope is an error of its end, a hundred times enlarged.
    """
    return 0.5 * (start + end) + H1 * k1 + H2 * k2 + H3 * k3 + H4 * k4 + H5 * k5


@inlined
def in_time(
    x: float, v: float, t: float, h: float, now: Rates, drive: Drive, circuit: Circuit, p: Floats
) -> tuple[float, float]:
    """What the sources alone change of dx/dt and dv/dt in a step of `h` [s]."""
    if drive.row_slope == 0.0 and drive.column_slope == 0.0:
        return 0.0, 0.0
    later = derivatives(x, v, t + 1e-3 * h, now.amps, drive, circuit, p)
    return (later.x - now.x) / 1e-3, (later.v - now.v) / 1e-3


@kernel
def attempt(
    x: float, v: float, t: float, h: float, now: Rates, drive: Drive, circuit: Circuit, p: Floats
) -> tuple[float, float, float, float, float, float]:
    """One step of RODAS4 from (x, v) at `t`: the new x and v, those halfway, and the error of each."""
    a = derivatives(x + NUDGE, v, t, now.amps, drive, circuit, p)
    b = derivatives(x, v + NUDGE, t, now.amps, drive, circuit, p)
    tx, tv = in_time(x, v, t, h, now, drive, circuit, p)
    # the matrix of all six stages, 1/(h gamma) - J, and its inverse
    each = 1.0 / h
    mxx, mvv = each / GAMMA - (a.x - now.x) / NUDGE, each / GAMMA - (b.v - now.v) / NUDGE
    jvx, jxv = (a.v - now.v) / NUDGE, (b.x - now.x) / NUDGE
    scale = 1.0 / (mxx * mvv - jxv * jvx)
    inverse = (mvv * scale, jxv * scale, jvx * scale, mxx * scale)

    x1, v1 = times(inverse, now.x + SLOPE1 * tx, now.v + SLOPE1 * tv)
    f = derivatives(x + A21 * x1, v + A21 * v1, t + ALPHA2 * h, now.amps, drive, circuit, p)
    x2, v2 = times(inverse, f.x + C21 * x1 * each + SLOPE2 * tx, f.v + C21 * v1 * each + SLOPE2 * tv)
    gx, gv = x + A31 * x1 + A32 * x2, v + A31 * v1 + A32 * v2
    f = derivatives(gx, gv, t + ALPHA3 * h, f.amps, drive, circuit, p)
    gx, gv = C31 * x1 + C32 * x2, C31 * v1 + C32 * v2
    x3, v3 = times(inverse, f.x + gx * each + SLOPE3 * tx, f.v + gv * each + SLOPE3 * tv)
    gx, gv = x + A41 * x1 + A42 * x2 + A43 * x3, v + A41 * v1 + A42 * v2 + A43 * v3
    f = derivatives(gx, gv, t + ALPHA4 * h, f.amps, drive, circuit, p)
    gx, gv = C41 * x1 + C42 * x2 + C43 * x3, C41 * v1 + C42 * v2 + C43 * v3
    x4, v4 = times(inverse, f.x + gx * each + SLOPE4 * tx, f.v + gv * each + SLOPE4 * tv)
    sx, sv = x + A51 * x1 + A52 * x2 + A53 * x3 + A54 * x4, v + A51 * v1 + A52 * v2 + A53 * v3 + A54 * v4
    f = derivatives(sx, sv, t + h, f.amps, drive, circuit, p)
    gx, gv = C51 * x1 + C52 * x2 + C53 * x3 + C54 * x4, C51 * v1 + C52 * v2 + C53 * v3 + C54 * v4
    x5, v5 = times(inverse, f.x + gx * each, f.v + gv * each)
    f = derivatives(sx + x5, sv + v5, t + h, f.amps, drive, circuit, p)
    gx, gv = last_stage(x1, x2, x3, x4, x5), last_stage(v1, v2, v3, v4, v5)
    x6, v6 = times(inverse, f.x + gx * each, f.v + gv * each)
    nx, nv = sx + x5 + x6, sv + v5 + v6
    return nx, nv, halfway(x, nx, x1, x2, x3, x4, x5), halfway(v, nv, v1, v2, v3, v4, v5), x6, v6


@kernel
def write(out: Floats, used: int, weight: float, t: float, drive: Drive, source: float, amps: float) -> int:
    """Append one sample."""
    out[used, 0] = weight
    out[used, 1] = drive.row + drive.row_slope * t
    out[used, 2] = drive.column + drive.column_slope * t
    out[used, 3] = source
    out[used, 4] = amps
    return used + 1


@kernel
def follow(
    state: Floats, step: float, length: float, drive: Drive, circuit: Circuit, p: Floats, tolerance: float,
    out: Floats, used: int,
) -> tuple[int, float]:  # fmt: skip
    """Integrate one straight segment of `length` [s]; return the samples written so far and the next step."""
    x, v, t = state[0], state[1], 0.0
    now = derivatives(x, v, 0.0, 0.0, drive, circuit, p)
    while t < length:
        left = length - t
        h = left if step >= 0.999 * left else min(step, 0.5 * left)
        nx, nv, mx, mv, ex, ev = attempt(x, v, t, h, now, drive, circuit, p)
        ex /= tolerance * (abs(nx) + FLOOR)
        ev /= tolerance * (abs(nv) + FLOOR_VOLTS)
        error = sqrt(0.5 * (ex * ex + ev * ev))
        if not error <= 1.0:
            step = h * max(0.1, 0.9 / sqrt(sqrt(error))) if error < np.inf else 0.1 * h
            if step < SHORTEST_STEP:
                return TOO_STIFF, step
            continue
        if used + 2 > len(out):
            return TOO_SHORT, step
        end = t + h if h < left else length
        new = derivatives(nx, nv, end, now.amps, drive, circuit, p)
        middle = 0.5 * (t + end)
        _, source, amps = currents(mx, mv, middle, new.amps, drive, circuit, p)
        out[used - 1, 0] += h / 6.0
        used = write(out, used, h * 2.0 / 3.0, middle, drive, source, amps)
        used = write(out, used, h / 6.0, end, drive, new.source, new.amps)
        x, v, t, now = nx, nv, end, new
        step = h * min(6.0, max(0.2, 0.9 / sqrt(sqrt(error + 1e-12))))
    state[0], state[1] = x, v
    return used, step


@kernel
def straight(volts: Floats, corner: int, length: float) -> Drive:
    """The segment of `length` [s] that begins at this corner."""
    row, column = volts[corner, 0], volts[corner, 1]
    slopes = (volts[corner + 1, 0] - row) / length, (volts[corner + 1, 1] - column) / length
    return Drive(row, slopes[0], column, slopes[1])


@kernel
def integrate(
    seconds: Floats, volts: Floats, ends: Indices, rows: Floats, state: Floats, circuit: Circuit,
    tolerance: float, out: Floats, counts: Indices,
) -> int:  # fmt: skip
    """Run one device through a chain of pulses; return the number of samples written.

    seconds (corners,) and volts (corners, 2) of row and column, of all pulses one after the other [s, V],
    each pulse from 0 s. ends: (pulses,) index of the last corner of each. rows: (1 or pulses,
    parameters) of the device in each. state: x and v, changed in place.
    out: (capacity, 5) of seconds that the sample stands for, row volts, column volts, amps out of the
    row's source, amps through the device. counts: (pulses,) samples of each pulse.
    Returns `TOO_SHORT` where `out` has no room, `TOO_STIFF` where no step was small enough.
    """
    p = prepared(rows[0])
    used, corner, step = 0, 0, 1e-6
    for pulse in range(len(ends)):
        first = used
        if 0 < pulse < len(rows):
            p = prepared(rows[pulse])
        while corner < ends[pulse]:
            length = seconds[corner + 1] - seconds[corner]
            drive = straight(volts, corner, length)
            if used == first:
                if used + 1 > len(out):
                    return TOO_SHORT
                now = derivatives(state[0], state[1], 0.0, 0.0, drive, circuit, p)
                used = write(out, used, 0.0, 0.0, drive, now.source, now.amps)
            used, step = follow(state, min(step, length), length, drive, circuit, p, tolerance, out, used)
            if used < 0:
                return used
            corner += 1
        counts[pulse] = used - first
        corner += 1
    return used
