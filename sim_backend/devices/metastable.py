"""The mean metastable switch, generalised with a Schottky branch.

A. Nugent and T. Molter, PLoS ONE 9(2): e85175 (2014); the branch: arXiv:1608.04659. x is the fraction
of many two-state switches that are on::

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

from sim_backend.devices.model import Derived, Model, Parameter
from sim_backend.jit import kernel

NUMBER = 0


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


MODEL = Model(
    name="metastable",
    number=NUMBER,
    title="mean metastable switch",
    source="Nugent and Molter, PLoS ONE 9(2): e85175 (2014); Schottky branch: arXiv:1608.04659",
    parameters=(
        Parameter("ron", "ohm", "resistance with every switch on", 1.0, 1e9, logarithmic=True),
        Parameter("roff", "ohm", "resistance with every switch off", 1.0, 1e12, logarithmic=True),
        Parameter("von", "V", "where half of the switches turn on", -5.0, 5.0),
        Parameter("voff", "V", "where half of them turn off, below 0 V", -5.0, 5.0),
        Parameter("tau", "s", "shortest time constant", 1e-12, 1e3, logarithmic=True),
        Parameter("vt", "V", "width of both steps: kT/q", 1e-3, 1.0, logarithmic=True),
        Parameter("phi", "", "ohmic part of the current", 0.0, 1.0, 1.0),
        Parameter("af", "A", "forward junction", 0.0, 1.0, 0.0),
        Parameter("bf", "1/V", "forward junction", 0.0, 100.0, 1.0),
        Parameter("ar", "A", "reverse junction", 0.0, 1.0, 0.0),
        Parameter("br", "1/V", "reverse junction", 0.0, 100.0, 1.0),
        Parameter("hold", "", "1 if a state without voltage stays, 0 as published", 0.0, 1.0, 1.0),
    ),
    current=metastable_current,
    rate=metastable_rate,
    derived={
        "rest_on": Derived(rest, ("von", "vt", "hold")),
        "rest_off": Derived(rest, ("voff", "vt", "hold")),
    },
)
