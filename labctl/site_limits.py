"""The `[board.limits]` table of a bench file: what every site of a board may see, the same for any board."""

from __future__ import annotations

import math

from labctl.config import Amps, Joules, PositiveOhms, PositiveSeconds, Section, Volts
from labctl.limits import Limits


class SiteLimits(Section):
    """Limits of every site, inside the absolute maximum of its dopant."""

    low: Volts = -2.5
    high: Volts = 2.5
    current: Amps | None = None
    least_resistance: PositiveOhms | None = None
    """That the devices could have; a dopant that labctl does not know needs it, and `current`."""
    least_resistance_beside: PositiveOhms | None = None
    """The same while it sees at most 0.6 of the volts of a pulse: through so much it feeds others."""
    longest_pulse: PositiveSeconds = 0.2
    energy: Joules = 1e-3

    def limits(self) -> Limits:
        """The same as the seam takes them; what is not given does not narrow."""
        return Limits(
            low_volts=self.low,
            high_volts=self.high,
            amps=math.inf if self.current is None else self.current,
            least_ohms=math.inf if self.least_resistance is None else self.least_resistance,
            beside_ohms=math.inf if self.least_resistance_beside is None else self.least_resistance_beside,
            seconds=self.longest_pulse,
            joules=self.energy,
        )
