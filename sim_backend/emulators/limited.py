"""One device whose source limits its current: less voltage at the terminals, and a state that still moves.

While the limit is in force the current is known and the voltage follows, so the one equation left is
dx/dt = f(V(I, x), x). Near the end of a switching under limit it is stiff (the voltage that the device keeps
falls to its threshold, and the state stops there), so the steps are implicit: backward Euler, of steps in
which x moves by at most `STEP`, which leaves an error of about its half. The sense node is taken as settled.
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
SETTLED = 1e-12
"""Of the voltage in Newton's method, and of x in the bisection."""


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
        done, area, h = 0.0, 0.0, seconds
        volts = self.terminal_volts(x)
        while done < seconds:
            h = min(h, seconds - done)
            new = self._implicit(x, h)
            if new is None:
                h /= 2
                continue
            late = self.terminal_volts(new)
            area += 0.5 * (volts + late) * h
            done, x, volts, h = done + h, new, late, 2 * h
            if abs(self.unlimited_amps(x)) < self.limit:
                break
        return Crept(x, done, area)

    def _implicit(self, x: float, h: float) -> float | None:
        """Backward Euler; None: x would move by more than a step may."""
        forward = self.slope(x)
        if not math.isfinite(forward) or forward == 0.0:
            return x
        near, far = x, x + math.copysign(STEP, forward)
        if (far - x - h * self.slope(far)) * forward < 0:
            return None
        while abs(far - near) > SETTLED:
            middle = 0.5 * (near + far)
            if (middle - x - h * self.slope(middle)) * forward < 0:
                near = middle
            else:
                far = middle
        return 0.5 * (near + far)
