"""VTEAM: nothing moves between two thresholds, a power of the overdrive beyond them.

S. Kvatinsky, M. Ramadan, E. G. Friedman, A. Kolodny, "VTEAM: A General Model for Voltage-Controlled
Memristors", IEEE Trans. Circuits Syst. II 62(8), 786 (2015). Written for x = (woff - w)/(woff - won),
which is 1 at low resistance, with thresholds and rates as positive numbers, and with the windows
1 - x and x, which stop the state at its ends (the paper leaves windows to its user)::

    dx/dt =  kon  (v/von - 1)**aon   (1 - x)        v > von
    dx/dt = -koff (-v/voff - 1)**aoff x             v < -voff
    I     = v / (ron + (roff - ron) (1 - x))
"""

from __future__ import annotations

from math import exp, log

from sim_backend.devices.model import Model, Parameter
from sim_backend.jit import kernel

NUMBER = 2


@kernel
def overdrive(z: float, power: float) -> float:
    """max(z, 0)**power, with a slope that is finite at 0 for powers below 1, too."""
    return max(z, 0.0) * exp((power - 1.0) * log(max(z, 1e-9)))


@kernel
def vteam_current(v: float, x: float, ron: float, roff: float) -> float:
    """[A] of a resistance that is linear in x."""
    return v / (ron + (roff - ron) * (1.0 - min(max(x, 0.0), 1.0)))


@kernel
def vteam_rate(
    v: float, x: float, von: float, voff: float, kon: float, koff: float, aon: float, aoff: float
) -> float:
    """[1/s] dx/dt."""
    on = kon * overdrive(v / von - 1.0, aon)
    off = koff * overdrive(-v / voff - 1.0, aoff)
    return on * (1.0 - x) - off * x


MODEL = Model(
    name="vteam",
    number=NUMBER,
    title="VTEAM",
    source="Kvatinsky et al., IEEE Trans. Circuits Syst. II 62(8), 786 (2015)",
    parameters=(
        Parameter("ron", "ohm", "resistance at x = 1", 1.0, 1e9, logarithmic=True),
        Parameter("roff", "ohm", "resistance at x = 0", 1.0, 1e12, logarithmic=True),
        Parameter("von", "V", "set threshold", 1e-3, 5.0, logarithmic=True),
        Parameter("voff", "V", "reset threshold, below 0 V", 1e-3, 5.0, logarithmic=True),
        Parameter("kon", "1/s", "set rate at twice the threshold", 1e-6, 1e12, logarithmic=True),
        Parameter("koff", "1/s", "reset rate at twice the threshold", 1e-6, 1e12, logarithmic=True),
        Parameter("aon", "", "power of the overdrive in setting", 0.3, 20.0, logarithmic=True),
        Parameter("aoff", "", "power of the overdrive in resetting", 0.3, 20.0, logarithmic=True),
    ),
    current=vteam_current,
    rate=vteam_rate,
    derived={},
)
