"""The `[board.limits]` table of a bench file: what every site of a board may see, the same for any board."""

from __future__ import annotations

import math

from pydantic import model_validator

from labctl.config import Amps, Joules, PositiveOhms, PositiveSeconds, PositiveVolts, Section, Volts
from labctl.limits import Limits


class SiteLimits(Section):
    """Limits of every site, inside the absolute maximum of its dopant."""

    low: Volts = -2.5
    high: Volts = 2.5
    current: Amps | None = None
    least_resistance: PositiveOhms | None = None
    """That the devices could have; a dopant that labctl does not know needs it, and `current`."""
    quiet_voltage: PositiveVolts | None = None
    """Up to which a device is known to have `quiet_resistance` or more; both or neither."""
    quiet_resistance: PositiveOhms | None = None
    """Through which it then feeds others on its lines; left out, through `least_resistance`."""
    longest_pulse: PositiveSeconds = 0.2
    energy: Joules = 1e-3

    @model_validator(mode="after")
    def _both(self) -> SiteLimits:
        if (self.quiet_voltage is None) != (self.quiet_resistance is None):
            raise ValueError("quiet_voltage or quiet_resistance alone; allowed: both, or neither")
        return self

    def limits(self) -> Limits:
        """The same as the seam takes them; what is not given does not narrow."""
        return Limits(
            low_volts=self.low,
            high_volts=self.high,
            amps=math.inf if self.current is None else self.current,
            least_ohms=math.inf if self.least_resistance is None else self.least_resistance,
            quiet_volts=math.inf if self.quiet_voltage is None else self.quiet_voltage,
            quiet_ohms=math.inf if self.quiet_resistance is None else self.quiet_resistance,
            seconds=self.longest_pulse,
            joules=self.energy,
        )
