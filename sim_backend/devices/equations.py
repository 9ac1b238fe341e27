"""The device equations, stated once.

Each model is two plain functions of the device voltage `v` [V], its state `x` (0 = high
resistance, 1 = low resistance) and its parameters: `*_current` [A] and `*_rate` [1/s]. The fast
twin compiles these very functions; `sim_backend.devices.spice` reads their text and writes the
same expressions into the ngspice subcircuit. They therefore hold to a small language: assignments
of one expression each and a return; + - * / **, `exp`, `sinh`, `tanh`, `min`, `max`, `abs`, other
functions of this file, and `a if p == number else b` for a parameter p.

**Mean metastable switch** (Nugent and Molter, PLoS ONE 0085175; generalised with a Schottky branch
in arXiv:1608.04659). x is the fraction of switches that are on::

    dx/dt = (f_on(v) (1 - x) - f_off(v) x) / tau
    f_on  = 1 / (1 + exp(-(v - von)/vt))        f_off = 1 / (1 + exp((v + voff)/vt))
    G     = x/ron + (1 - x)/roff
    I     = phi G v + (1 - phi) (a_f exp(b_f v) - a_r exp(-b_r v))

`hold` is this project's addition, 0 or 1. As published (0), f_off(0) is not zero, and parameter
sets fitted to loops of 1 to 100 Hz forget within milliseconds (C, voff = 0) to a second (W, Cr) at
no voltage at all, which the devices do not do: their states were read back seconds and minutes
later. With 1, the rates at zero field are subtracted, so that a state without field stays. See
docs/decisions/0007-hold.md.
"""

from __future__ import annotations

from math import exp, tanh

import numpy as np

from labctl.pulse import Floats
from sim_backend.jit import kernel


@kernel
def logistic(z: float) -> float:
    """1 / (1 + exp(-z)), in the form that no z overflows and that both readers compute fastest."""
    return 0.5 + 0.5 * tanh(0.5 * z)


@kernel
def schottky(v: float, af: float, bf: float, ar: float, br: float) -> float:
    """[A] of two opposed junctions; as published where af = ar, and 0 at 0 V in any case."""
    return af * (exp(min(bf * v, 50.0)) - 1.0) - ar * (exp(min(-br * v, 50.0)) - 1.0)


@kernel
def metastable_current(
    v: float, x: float, ron: float, roff: float, phi: float, af: float, bf: float, ar: float, br: float
) -> float:
    """[A] from top to bottom electrode: ohmic part and optional Schottky part."""
    ohmic = (x / ron + (1.0 - x) / roff) * v
    return ohmic if phi == 1.0 else phi * ohmic + (1.0 - phi) * schottky(v, af, bf, ar, br)


@kernel
def metastable_rate(
    v: float, x: float, von: float, voff: float, tau: float, vt: float, rest_on: float, rest_off: float
) -> float:
    """[1/s] dx/dt: switches that turn on less those that turn off; `rest_*` are taken off each (`rest`)."""
    on = max(logistic((v - von) / vt) - rest_on, 0.0)
    off = max(logistic(-(v + voff) / vt) - rest_off, 0.0)
    return (on * (1.0 - x) - off * x) / tau


@kernel
def rest(threshold: float, vt: float, hold: float) -> float:
    """What is left of f_on or f_off at 0 V, times `hold`."""
    return hold * logistic(-threshold / vt)


# ---- by rows of numbers: a row is (ron, roff, von, voff, tau, vt, phi, af, bf, ar, br, hold) ----


@kernel
def prepared(row: Floats) -> Floats:
    """The row and what follows from it alone, worked out once: `rest` of on and of off."""
    return np.append(row, np.array([rest(row[2], row[5], row[11]), rest(row[3], row[5], row[11])]))


@kernel
def current(v: float, x: float, p: Floats) -> float:
    """[A] of a device whose prepared row is `p`."""
    return metastable_current(v, x, p[0], p[1], p[6], p[7], p[8], p[9], p[10])


@kernel
def rate(v: float, x: float, p: Floats) -> float:
    """[1/s] dx/dt of a device whose prepared row is `p`."""
    return metastable_rate(v, x, p[2], p[3], p[4], p[5], p[12], p[13])
