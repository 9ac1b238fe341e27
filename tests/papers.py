"""The device models as their papers (and our page of devices) write them: with cases, in plain Python.

Nothing of `sim_backend` is used here. `amps` and `per_second` take v [V], x and the parameters by name.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

Parameters = Mapping[str, float]


class Paper(NamedTuple):
    """Current [A] and rate [1/s]."""

    amps: Callable[[float, float, Parameters], float]
    per_second: Callable[[float, float, Parameters], float]


def metastable_amps(v: float, x: float, p: Parameters) -> float:
    junctions = p["af"] * math.expm1(p["bf"] * v) - p["ar"] * math.expm1(-p["br"] * v)
    return p["phi"] * (x / p["ron"] + (1 - x) / p["roff"]) * v + (1 - p["phi"]) * junctions


def metastable_rate(v: float, x: float, p: Parameters) -> float:
    def f(z: float) -> float:
        return 1 / (1 + math.exp(-z / p["vt"]))

    on = max(f(v - p["von"]) - p["hold"] * f(-p["von"]), 0.0)
    off = max(f(-v - p["voff"]) - p["hold"] * f(-p["voff"]), 0.0)
    return (on * (1 - x) - off * x) / p["tau"]


def sdc_amps(v: float, x: float, p: Parameters) -> float:
    b = p["bend"] * (1 - p["fade"] * x)
    filament = math.expm1(b * v) / b if b > 1e-3 else v
    leak = math.sinh(p["curve"] * v) / p["curve"] if p["curve"] else v
    return p["gon"] * x * filament + p["gleak"] * leak


def sdc_rate(v: float, x: float, p: Parameters) -> float:
    if v > 0:
        narrow = p["narrow_on"]
        width = p["width_on"] * (1 - narrow * x if narrow < 0 else 1 / (1 + narrow * x))
        k = 100 * v / width * math.exp(min((v - p["von"] - p["shift_on"] * x) / width, 300))
        k *= (x + p["nucleus"]) ** p["power_on"]
        return k / (1 + p["tau"] * k) * (1 - x)
    width = p["width_off"]
    k = -100 * v / width * math.exp(min((-v - p["voff"] - p["shift_off"] * x) / width, 300))
    return -k / (1 + p["tau"] * k) * x


def vteam_amps(v: float, x: float, p: Parameters) -> float:
    return v / (x * p["ron"] + (1 - x) * p["roff"])


def vteam_rate(v: float, x: float, p: Parameters) -> float:
    if v > p["von"]:
        return p["kon"] * (v / p["von"] - 1) ** p["aon"] * (1 - x)
    if v < -p["voff"]:
        return -p["koff"] * (-v / p["voff"] - 1) ** p["aoff"] * x
    return 0.0


def yakopcic_amps(v: float, x: float, p: Parameters) -> float:
    return (p["a1"] if v >= 0 else p["a2"]) * x * math.sinh(p["b"] * v) + p["leak"] * v


def yakopcic_rate(v: float, x: float, p: Parameters) -> float:
    if v > p["vp"]:
        inside = math.exp(-p["alphap"] * (x - p["xp"])) * ((p["xp"] - x) / (1 - p["xp"]) + 1)
        return p["ap"] * (math.exp(v) - math.exp(p["vp"])) * (inside if x >= p["xp"] else 1.0)
    if v < -p["vn"]:
        inside = math.exp(p["alphan"] * (x + p["xn"] - 1)) * x / (1 - p["xn"])
        return -p["an"] * (math.exp(-v) - math.exp(p["vn"])) * (inside if x <= 1 - p["xn"] else 1.0)
    return 0.0


PAPERS = {
    "metastable": Paper(metastable_amps, metastable_rate),
    "sdc": Paper(sdc_amps, sdc_rate),
    "vteam": Paper(vteam_amps, vteam_rate),
    "yakopcic": Paper(yakopcic_amps, yakopcic_rate),
}
