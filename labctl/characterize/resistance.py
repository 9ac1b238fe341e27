"""Line and contact resistance: what lies in series with the device, beyond the known resistors.

Levels of rising voltage set the device, and at the end of each its voltage is held against its
current. A device that is set further the more current flows keeps its own voltage near its threshold,
so that at high current V = V0 + R I, and R is what does not get less: contact and line. The device's
own least resistance cannot be told from them, and the series resistors' error adds to them, so
`contact` is an upper bound, and it says nothing unless the voltages at high current lie on a line
(`contact_error`).

What a board lets one know: where every site has its own switch, R is of the site's own path, and the
wires, contacts and switch (beyond what the bench file says of it) are one number. On a bare crossbar
all sites of a row are set together, the row's wire carries their currents as well, and every line
ends behind a resistor of its own, so that no other line can be held at exactly 0 V: neither a wire nor a
contact can be told from the neighbours there, not even by comparing near sites with far ones, whose
devices differ more than their wires. That is refused, unless the row has one site.

The four-point method, which parts a contact from its device, needs a second terminal on either side of
the device, and none of these boards has one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from labctl.characterize.probing import neighbours, steady, write
from labctl.characterize.procedure import Capped, Column, Figures, Procedure, Row
from labctl.characterize.tables import column
from labctl.config import PositiveSeconds, PositiveVolts
from labctl.errors import Refused
from labctl.plan import Plan
from labctl.pulse import Bools, Floats, Pulse
from labctl.spec import Spec

HIGHEST_PART = 0.5
"""Of the highest current, from which on points count as being at high current."""


class ResistanceSettings(Capped):
    """The levels that set the device."""

    highest: PositiveVolts = 1.0
    """At the source."""
    levels: Annotated[int, Field(ge=4, le=1000)] = 12
    """From `highest / levels` up to `highest`."""
    seconds: PositiveSeconds = 10e-3
    """Of each level."""


class Resistance(Procedure[ResistanceSettings]):
    """Rising levels, and the line through the last of them."""

    name = "resistance"
    title = "Line and contact resistance"
    wears = True
    Settings = ResistanceSettings
    columns = (
        Column("source", "V", "set at the source"),
        Column("volts", "V", "across the device and what is in series with it, known resistors taken off"),
        Column("amps", "A", "through the device"),
    )
    figures = (
        Column("contact", "ohm", "slope dV/dI at high current: contact, line and least device at most"),
        Column("contact_error", "ohm", "standard error of the slope"),
        Column("offset", "V", "V0 of the line: the voltage that the device keeps for itself"),
        Column("least", "ohm", "lowest V/I seen: no series resistance can be more"),
    )

    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """The highest level; refused where neighbours share the current."""
        if beside := neighbours(spec, site):
            raise Refused(
                f"{spec.name} has no switches: the path of site {spec.label(site)} cannot be told"
                f" from the currents of the {len(beside)} other sites of its row",
                allowed="a board with a switch for each site, or rows of one site",
            )
        return [self._level(spec, site, self.settings.levels)]

    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """One list a level."""
        for number in range(len(rows) + 1, self.settings.levels + 1):
            pulse = self._level(spec, site, number)
            (trace,) = yield [pulse]
            volts, amps = steady(spec, pulse, trace, site)
            rows.append({"source": self._volts(number), "volts": volts, "amps": amps})

    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """The line through the points at high current."""
        volts, amps = column(rows, "volts"), column(rows, "amps")
        conducting = amps > spec.noise_floor_amps
        least = float((volts[conducting] / amps[conducting]).min()) if conducting.any() else math.nan
        return {**line(volts, amps), "least": least}

    def _volts(self, number: int) -> float:
        return self.settings.highest * (number / self.settings.levels)

    def _level(self, spec: Spec, site: int, number: int) -> Pulse:
        return write(spec, site, self._volts(number), self.settings.seconds)


def at_high_current(amps: Floats) -> Bools:
    """Which points count, shape (points,)."""
    return amps >= HIGHEST_PART * amps.max(initial=0.0)


def line(volts: Floats, amps: Floats) -> dict[str, float]:
    """V = V0 + R I by least squares through the points at high current; NaN where they are too few."""
    high = at_high_current(amps)
    x, y = amps[high], volts[high]
    spread = float(((x - x.mean()) ** 2).sum()) if len(x) else 0.0
    if len(x) < 3 or not spread > 0:
        return dict.fromkeys(("contact", "contact_error", "offset"), math.nan)
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    offset = float(y.mean() - slope * x.mean())
    residual = float(np.sum((y - offset - slope * x) ** 2)) / (len(x) - 2)
    return {"contact": slope, "contact_error": math.sqrt(residual / spread), "offset": offset}
