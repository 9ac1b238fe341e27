"""Self-directed-channel memristors: a filament whose growth depends on how far it has grown.

This project's model of Knowm's W, Sn, Cr and C devices, with the terms that their loops at 0.5 to
1.5 V and 1 to 100 Hz ask for (docs/decisions/0013-the-sdc-model.md). x is how far the filament has
grown::

    I     = gon x (exp(b v) - 1)/b + gleak sinh(curve v)/curve            b = bend (1 - fade x)
    dx/dt =  (1 - x)/(tau + 1/k_on)                                                      v > 0
    dx/dt = -x/(tau + 1/k_off)                                                           v < 0
    k_on  = k0 (v/w) exp((v - von - shift_on x)/w) (x + nucleus)**power_on
    k_off = k0 (-v/width_off) exp((-v - voff - shift_off x)/width_off)        k0 = 100 per second
    w     = width_on/(1 + narrow_on x)       or, for narrow_on < 0,     width_on (1 - narrow_on x)

Rates grow exponentially with voltage, as ions hop over a barrier that the field lowers, so that a
threshold rises by 2.3 w for each decade of frequency; k0 is a fixed reference. `tau` is the
shortest time constant. `power_on` lets growth help itself, `shift` moves a threshold as the filament
grows, `narrow_on` makes setting steeper. `bend` is a rectifying contact, which `fade` lets the filament
bridge, and the second term of the current is a path beside the filament. Both rates vanish at 0 V: a
state without voltage stays.

1/(tau + 1/k) is written as logistic(ln(k tau))/tau, in which nothing overflows and of which ngspice
takes the derivative at least cost. Where k tau is below 1e-16 it is 0.
"""

from __future__ import annotations

from math import exp, log, sinh, sqrt

from sim_backend.devices.metastable import logistic
from sim_backend.devices.model import Model, Parameter
from sim_backend.jit import kernel

NUMBER = 1


@kernel
def rectified(v: float, bend: float) -> float:
    """[V] (exp(bend v) - 1)/bend, for a bend that may come close to 0, where no digits would be left."""
    steep = max(bend, 1e-2)
    return (exp(steep * v) - 1.0) / steep


@kernel
def hopping(v: float, barrier: float, steepness: float, tau: float, helped: float) -> float:
    """[1/s] 1/(tau + 1/k) at v >= 0 against a barrier [V], a width 1/steepness."""
    hops = max(
        100.0 * tau * (v * steepness), 1e-300
    )  # not 0, nor below where a simulator tries the other side
    return logistic(log(hops) + (v - barrier) * steepness + helped) / tau


@kernel
def grows(
    v: float, x: float, tau: float,
    von: float, width_on: float, narrow_on: float, power_on: float, shift_on: float, nucleus: float,
) -> float:  # fmt: skip
    """[1/s] dx/dt at v >= 0."""
    steepness = (1.0 + max(narrow_on, 0.0) * x) / (width_on * (1.0 - min(narrow_on, 0.0) * x))
    helped = power_on * log(max(x, 0.0) + nucleus)
    return (1.0 - x) * hopping(v, von + shift_on * x, steepness, tau, helped)


@kernel
def dissolves(v: float, x: float, tau: float, voff: float, width_off: float, shift_off: float) -> float:
    """[1/s] -dx/dt at v >= 0 from bottom to top electrode."""
    return x * hopping(v, voff + shift_off * x, 1.0 / width_off, tau, 0.0)


@kernel
def sdc_current(
    v: float, x: float, gon: float, bend: float, fade: float, gleak: float, curve: float
) -> float:
    """[A] from top to bottom electrode: the filament behind its contact, and the path beside it.

    A state that a simulator's rounding takes below 0 must not make a source of an exponential.
    """
    filament = v if bend == 0.0 else rectified(v, bend * (1.0 - fade * x))
    leak = v if curve == 0.0 else sinh(curve * v) / curve
    return gon * max(x, 0.0) * filament + gleak * leak


@kernel
def sdc_tangent(
    v: float, x: float, gon: float, bend: float, fade: float, gleak: float, curve: float
) -> tuple[float, float]:
    """[A] as above, and [S] its slope against v, at little more than the price of the one."""
    filament, steeper = v, 1.0
    if bend != 0.0:
        steep = max(bend * (1.0 - fade * x), 1e-2)
        steeper = exp(steep * v)
        filament = (steeper - 1.0) / steep
    leak, wider = v, 1.0
    if curve != 0.0:
        risen = sinh(curve * v)
        leak, wider = risen / curve, sqrt(1.0 + risen * risen)
    grown = gon * max(x, 0.0)
    return grown * filament + gleak * leak, grown * steeper + gleak * wider


@kernel
def sdc_rate(
    v: float, x: float, tau: float,
    von: float, width_on: float, narrow_on: float, power_on: float, shift_on: float, nucleus: float,
    voff: float, width_off: float, shift_off: float,
) -> float:  # fmt: skip
    """[1/s] dx/dt: the filament grows at positive voltage and dissolves at negative."""
    return (
        grows(v, x, tau, von, width_on, narrow_on, power_on, shift_on, nucleus)
        if v > 0.0
        else -dissolves(-v, x, tau, voff, width_off, shift_off)
    )


MODEL = Model(
    name="sdc",
    number=NUMBER,
    title="self-directed channel: exponential rates that depend on the state",
    source="this project: docs/decisions/0013-the-sdc-model.md",
    parameters=(
        Parameter("gon", "S", "conductance of the whole filament at 0 V", 1e-7, 1.0, logarithmic=True),
        Parameter("bend", "1/V", "rectifying contact of the filament; 0: ohmic", 0.0, 20.0, 0.0),
        Parameter("fade", "", "part of it that the whole filament bridges", 0.0, 1.0, 0.0),
        Parameter("gleak", "S", "conductance beside the filament at 0 V", 1e-12, 1e-2, logarithmic=True),
        Parameter("curve", "1/V", "curvature of its current; 0: ohmic", 0.0, 50.0, 0.0),
        Parameter("tau", "s", "shortest time constant", 1e-9, 1.0, logarithmic=True),
        Parameter("von", "V", "set threshold", -1.0, 2.0, additive=True),
        Parameter("width_on", "V", "per factor e of the set rate at x = 0", 2e-3, 1.0, logarithmic=True),
        Parameter("narrow_on", "", "how it narrows towards x = 1", -20.0, 100.0, 0.0, additive=True),
        Parameter("power_on", "", "of the state in the set rate", -10.0, 10.0, 0.0, additive=True),
        Parameter("shift_on", "V", "of the set threshold from x = 0 to 1", -2.0, 2.0, 0.0, additive=True),
        Parameter(
            "nucleus", "", "what there is to grow from at x = 0", 1e-6, 1.0, 6.738e-3, logarithmic=True
        ),
        Parameter("voff", "V", "reset threshold", -1.0, 2.0, additive=True),
        Parameter("width_off", "V", "per factor e of the reset rate", 2e-3, 1.0, logarithmic=True),
        Parameter("shift_off", "V", "of the reset threshold from x = 0 to 1", -2.0, 2.0, 0.0, additive=True),
    ),
    current=sdc_current,
    rate=sdc_rate,
    derived={},
    tolerance=0.2,
    reltol=3e-6,
)
