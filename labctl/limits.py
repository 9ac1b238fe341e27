"""What must never be asked of a device, of a site and of a run.

Limits only ever narrow: those of the bench file are intersected with the absolute maximum of the
dopant and with those of the experiment, and nothing raises them again. They are refused, not
clipped, and written so that a NaN fails: `not (x <= limit)`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from labctl.errors import Refused


@dataclass(frozen=True, slots=True)
class Limits:
    """What one site may see."""

    low_volts: float = -3.0
    """[V] lowest voltage from row to column, series resistors included."""
    high_volts: float = 3.0
    """[V] highest voltage from row to column, series resistors included."""
    amps: float = math.inf
    """[A] highest current, reached through the series resistors into `least_ohms`."""
    least_ohms: float = math.inf
    """[ohm] least resistance that the site could have; the current is worked out with it."""
    quiet_volts: float = math.inf
    """[V] and the next: a site that sees no more than this has at least `quiet_ohms`."""
    quiet_ohms: float = math.inf
    """[ohm] through which it feeds others on its lines then (`labctl.sneak`); inf: nobody says, `least_ohms`.

    No absolute maximum says it: whoever knows the array does.
    """
    seconds: float = 100.0
    """[s] longest single pulse that programs, resets, reads or infers."""
    joules: float = math.inf
    """[J] what the sources may deliver to pulses that program or reset the site, in one run."""

    def __post_init__(self) -> None:
        """Refuse limits that allow nothing or that no comparison can hold."""
        fine = (
            self.low_volts <= 0.0 <= self.high_volts
            and self.amps > 0
            and self.least_ohms > 0
            and self.quiet_volts > 0
            and self.quiet_ohms > 0
            and self.seconds > 0
            and self.joules > 0
        )
        if not fine:
            raise Refused(
                f"limits that cannot be kept: {self}",
                allowed="low_volts <= 0 <= high_volts; amps, ohms, seconds and joules above 0; no NaN",
            )

    def __and__(self, other: Limits) -> Limits:
        """The stricter of both in everything."""
        return Limits(
            low_volts=max(self.low_volts, other.low_volts),
            high_volts=min(self.high_volts, other.high_volts),
            amps=min(self.amps, other.amps),
            least_ohms=min(self.least_ohms, other.least_ohms),
            quiet_volts=min(self.quiet_volts, other.quiet_volts),
            quiet_ohms=min(self.quiet_ohms, other.quiet_ohms),
            seconds=min(self.seconds, other.seconds),
            joules=min(self.joules, other.joules),
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """What one run may spend, whatever its plan would like; checked before each list of pulses."""

    pulses: float = math.inf
    seconds: float = math.inf
    """[s] of pulses, settling and link together."""
    joules: float = math.inf
    """[J] delivered by the sources."""

    def __post_init__(self) -> None:
        """Refuse a budget that no comparison can hold."""
        if not (self.pulses > 0 and self.seconds > 0 and self.joules > 0):
            raise Refused(f"a budget that cannot be kept: {self}", allowed="numbers above 0; no NaN")


ABSOLUTE: dict[str, Limits] = {
    # Knowm FAQ (knowm.org): at most 1 mA through tungsten, 50 uA through carbon; more current
    # lowers the high-resistance state for good. Chromium and tin are not published: 0.3 mA is this
    # project's caution. Volts: nothing published; 3 V is beyond every drive that Knowm's own
    # software offers. The least resistance is what measured devices came down to during set pulses of
    # 2 V (Energies 2024, 17(21), 5400: charge and energy of each pulse), less a tenth or more.
    "W": Limits(amps=1e-3, least_ohms=600.0),
    "Sn": Limits(amps=3e-4, least_ohms=700.0),
    "Cr": Limits(amps=3e-4, least_ohms=380.0),
    "C": Limits(amps=5e-5, least_ohms=3000.0),
}
"""Absolute maximum of each dopant; a site of one of these never gets more."""


def allowed_for(dopant: str, limits: Limits) -> Limits:
    """`limits` narrowed to the dopant's absolute maximum; a dopant unknown here must bring its own."""
    narrowed = limits & ABSOLUTE.get(dopant, limits)
    if not (narrowed.amps < math.inf and narrowed.least_ohms < math.inf):
        raise Refused(
            f"a site of dopant {dopant!r}, whose absolute maximum is not known here",
            allowed=f"one of {', '.join(ABSOLUTE)}, or limits with amps and least_ohms of your own",
        )
    return narrowed
