"""One device whose source limits its current: less voltage at the terminals, and a state that still moves.

While the limit is in force the current is known and the voltage follows, so the one equation left is
dx/dt = f(x). It is stiff near the end of a switching under limit, where the voltage that the device keeps
falls to its threshold and the state stops. So time is worked out from x: over a small step of x, f is a
straight line, and the time that this takes (or the approach to the place where f is 0) has a closed form. The
sense node is taken as settled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from labctl.pulse import Floats
from sim_backend.devices.equations import rate, tangent
from sim_backend.path_kernel import divided

STEP = 4e-3
"""Most by which x moves in one step."""
BEND = 0.2
"""Most by which the logarithm of f changes in one step."""
SMALLEST = 1e-9
"""Of a step of x."""
SETTLED = 1e-12
"""Of the asked voltage, in Newton's method."""


class Crept(NamedTuple):
    """What a stretch under limit came to."""

    x: float
    seconds: float
    """[s] that it took: less than was asked for where the limit was left."""
    volt_seconds: float
    """[V s] at the terminals."""


@dataclass(frozen=True, slots=True)
class LimitedDevice:
    """A device, prepared row `p`, with `ohms` in series, at a source of `volts` [V] and `limit` [A]."""

    p: Floats
    ohms: float
    volts: float
    limit: float

    def unlimited_amps(self, x: float) -> float:
        """[A] that would flow at the asked voltage, the sense node settled."""
        return float(divided(self.volts, self.ohms, x, 0.5 * self.volts, self.p)[1])

    def device_volts(self, x: float) -> float:
        """[V] of the device at the limit: Newton's method, kept between 0 and the asked voltage."""
        amps = math.copysign(self.limit, self.volts)
        low, high = sorted((0.0, self.volts))
        v = 0.5 * self.volts
        for _ in range(100):
            here, slope = tangent(v, x, self.p)
            low, high = (v, high) if here < amps else (low, v)
            new = v + (amps - here) / slope if slope > 0 else low
            if not low < new < high:
                new = 0.5 * (low + high)
            if abs(new - v) <= SETTLED * abs(self.volts):
                return new
            v = new
        return v

    def terminal_volts(self, x: float) -> float:
        """[V] at the terminals while the limit is in force."""
        return self.device_volts(x) + math.copysign(self.limit, self.volts) * self.ohms

    def slope(self, x: float) -> float:
        """[1/s] dx/dt while the limit is in force."""
        return float(rate(self.device_volts(x), x, self.p))

    def creep(self, x: float, seconds: float) -> Crept:
        """Step on for `seconds` [s], or until the asked voltage is no longer too much."""
        done, area, h = 0.0, 0.0, STEP
        f, volts = self.slope(x), self.terminal_volts(x)
        while done < seconds:
            if f == 0.0 or not math.isfinite(f):
                return Crept(x, seconds, area + volts * (seconds - done))
            new, took, h = self._step(x, f, seconds - done, h)
            late = self.terminal_volts(new)
            area += 0.5 * (volts + late) * took
            done, x, f, volts = done + took, new, self.slope(new), late
            if abs(self.unlimited_amps(x)) < self.limit:
                break
        return Crept(x, min(done, seconds), area)

    def _step(self, x: float, f: float, left: float, h: float) -> tuple[float, float, float]:
        """From x, where dx/dt is `f`: the next x, the seconds it takes (at most `left`), the next step."""
        h = min(STEP, 2 * h)
        while True:
            change = math.copysign(h, f)
            end = self.slope(x + change)
            bend = math.log(end / f) if end * f > 0 else math.inf
            if abs(bend) <= BEND or h <= SMALLEST:
                break
            h /= 2
        steepness = (end - f) / change
        took = change / f if abs(bend) < 1e-6 else bend / steepness
        if took <= left:
            return x + change, took, h
        moved = f * left if abs(steepness * left) < 1e-6 else f * math.expm1(steepness * left) / steepness
        return x + moved, left, h
