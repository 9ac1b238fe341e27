"""The model of Yakopcic: a sinh current, exponential rates beyond two thresholds, and windows.

C. Yakopcic, T. M. Taha, G. Subramanyam, R. E. Pino, S. Rogers, "A Memristor Device Model", IEEE Electron
Device Lett. 32(10), 1436 (2011), and the same with G. Subramanyam, S. Rogers, "Memristor SPICE
model and crossbar simulation based on devices with nanosecond switching time", IJCNN 2013::

    I     = a1 x sinh(b v)  (v > 0)       a2 x sinh(b v)  (v < 0)       + leak v
    dx/dt =  ap (exp(v) - exp(vp)) f_on(x)         v > vp
    dx/dt = -an (exp(-v) - exp(vn)) f_off(x)       v < -vn
    f_on  = exp(-alphap u) (1 - u/(1 - xp))        u = max(x - xp, 0)
    f_off = exp(-alphan u) (1 - u/(1 - xn))        u = max(1 - xn - x, 0)

The windows are those of the papers, written with max instead of cases. `leak` is this project's: as
published (0), the device conducts nothing at x = 0. A state that a simulator's rounding takes below 0
conducts nothing either: an exponential of it must not become a source.
"""

from __future__ import annotations

from math import exp, sinh

from sim_backend.devices.model import Model, Parameter
from sim_backend.jit import kernel

NUMBER = 3


@kernel
def beyond(v: float, threshold: float) -> float:
    """exp(v) - exp(threshold) above the threshold [V], 0 below."""
    return max(exp(min(v, 40.0)) - exp(threshold), 0.0)


@kernel
def window(u: float, alpha: float, start: float) -> float:
    """1 until motion is slowed down, 0 where it ends; `u` is how far beyond `start`."""
    return exp(-alpha * max(u, 0.0)) * (1.0 - max(u, 0.0) / (1.0 - start))


@kernel
def yakopcic_current(v: float, x: float, a1: float, a2: float, b: float, leak: float) -> float:
    """[A] from top to bottom electrode."""
    forward = a1 * sinh(min(b * max(v, 0.0), 40.0))
    reverse = a2 * sinh(max(b * min(v, 0.0), -40.0))
    return max(x, 0.0) * (forward + reverse) + leak * v


@kernel
def yakopcic_rate(
    v: float, x: float, vp: float, vn: float, ap: float, an: float,
    xp: float, xn: float, alphap: float, alphan: float,
) -> float:  # fmt: skip
    """[1/s] dx/dt."""
    on = ap * beyond(v, vp) * window(x - xp, alphap, xp)
    off = an * beyond(-v, vn) * window(1.0 - xn - x, alphan, xn)
    return on - off


MODEL = Model(
    name="yakopcic",
    number=NUMBER,
    title="Yakopcic",
    source="Yakopcic et al., IEEE Electron Device Lett. 32(10), 1436 (2011), and IJCNN 2013",
    parameters=(
        Parameter("a1", "A", "current above 0 V", 1e-12, 1e3, logarithmic=True),
        Parameter("a2", "A", "current below 0 V", 1e-12, 1e3, logarithmic=True),
        Parameter("b", "1/V", "curvature of the current", 1e-3, 20.0, logarithmic=True),
        Parameter("vp", "V", "set threshold", 0.0, 5.0),
        Parameter("vn", "V", "reset threshold, below 0 V", 0.0, 5.0),
        Parameter("ap", "1/s", "set rate", 1e-6, 1e12, logarithmic=True),
        Parameter("an", "1/s", "reset rate", 1e-6, 1e12, logarithmic=True),
        Parameter("xp", "", "state from which setting is slowed down", 0.0, 0.99),
        Parameter("xn", "", "1 less the state from which resetting is slowed down", 0.0, 0.99),
        Parameter("alphap", "", "how much setting is slowed down", 0.0, 50.0),
        Parameter("alphan", "", "how much resetting is slowed down", 0.0, 50.0),
        Parameter("leak", "S", "conductance beside the filament", 0.0, 1.0, 0.0),
    ),
    current=yakopcic_current,
    rate=yakopcic_rate,
    derived={},
    tolerance=0.1,
)
