"""What time and use do to a device: relaxation, drift, jumps back to the high-resistance state, wear.

**Relaxation**: within about a second of rest a filament that was just grown loses a part, most of it
if it is thin: x -> x x^m/(x^m + part^m). Measured devices read 1.3 to 2.5 times the resistance that they
had during the set pulse (their charges and energies tell), while driven loops show no such loss.
Whether the device or the instrument does it, the data do not say; how fast is a guess.

**Retention**: the part of x above 0 shrinks with the logarithm-like law of filaments,
x(t) = x0 (1 + t/t0)^-nu, t counted from the last pulse that moved the device. The measured
+10 to +70 % of the low resistance in half an hour on one kind of device (and none on others) gives
nu = .013 to .071 with t0 = 1 s. Some devices jump to the high-resistance state all at once.

**Wear**: each erasing pulse is a cycle. A leak grows with the square of the cycles lived, as the
high-resistance state falls for good, and at the end of its life, drawn from a Weibull
distribution, the device is stuck. No endurance of these devices is published: its numbers are a guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MOVED = 1e-3
"""Change of x, relative to x + 0.01, that counts as a new state: its age begins again."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What a grown filament loses at rest."""

    part: float
    """x of a filament that loses half of itself; 0: none loses anything."""
    power: float
    """m: how sharply thin filaments are told from thick ones."""
    spread: float
    """Standard deviation of ln `part` from one growth to the next."""
    seconds: float
    """Time constant."""

    def settled(self, x: float, normal: float) -> float:
        """What is left of x in the end."""
        if self.part == 0.0 or x <= 0.0:
            return x
        lost = (self.part * math.exp(self.spread * normal) / x) ** self.power
        return x / (1.0 + lost)

    def remaining(self, seconds: float) -> float:
        """Part of the loss that is still to come after so long."""
        return math.exp(-seconds / self.seconds)


@dataclass(frozen=True, slots=True)
class Retention:
    """Drift and jumps of a written state."""

    exponent: float
    """nu of a median device."""
    spread: float
    """Standard deviation of ln nu from device to device."""
    onset: float
    """t0 [s]."""
    jump_seconds: float
    """[s] mean time to a jump to the high-resistance state; infinite: none."""

    def kept(self, exponent: float, age: float, seconds: float) -> float:
        """Part of x that is left after `seconds` more, `age` seconds after it was written."""
        return math.exp(-exponent * math.log1p(seconds / (self.onset + age)))

    def probability_of_jump(self, seconds: float) -> float:
        """Within so many seconds."""
        return -math.expm1(-seconds / self.jump_seconds)


@dataclass(frozen=True, slots=True)
class Wear:
    """How many cycles a device lives, and what they do to it."""

    cycles: float
    """Scale of the Weibull distribution of lives: 63 % of all devices die before."""
    shape: float
    """Of that distribution."""
    leak: float
    """[S] of the leak at the end of a life."""

    def life(self, uniform: float) -> float:
        """Cycles of the device that drew this number between 0 and 1."""
        return self.cycles * (-math.log1p(-uniform)) ** (1.0 / self.shape)

    def shunt(self, lived: float, life: float) -> float:
        """[S] after so many cycles."""
        return self.leak * min(lived / life, 1.0) ** 2
