"""A first look at a device, before it is driven: open, short, and in which state.

Nothing above `highest` is applied, and no settings file can raise that above `SUB_THRESHOLD`, where
no self-directed-channel device has been seen to move (Knowm puts the erase threshold at .05 to .1 V,
set thresholds measured at 1 Hz are .15 V and more). The voltage rises level by level, each in both
polarities, and the rise ends at the first sign of a short.

What such reads can tell: an open line, a short, the resistance, whether the two polarities agree, and
whether the reads themselves moved the device. What they cannot: whether a device of very high
resistance was ever formed. Devices of this kind form at their ordinary set voltage, so a resistance
below `formed` says yes; above it, only the first set will tell ("unknown").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from labctl.characterize.probing import read, siemens_or_nan, steady
from labctl.characterize.procedure import Capped, Column, Figures, Procedure, Row
from labctl.config import PositiveOhms, PositiveSeconds, Quantity
from labctl.plan import Plan
from labctl.programming.write_verify import Reading
from labctl.pulse import Pulse
from labctl.spec import Spec

SUB_THRESHOLD = 0.1
"""[V] that no first look exceeds."""


class FirstUseSettings(Capped):
    """How far the first look goes."""

    highest: Annotated[float, Quantity("V", above=0, most=SUB_THRESHOLD)] = 0.05
    levels: Annotated[int, Field(ge=1, le=100)] = 3
    """From `highest / levels` up to `highest`, each in both polarities."""
    seconds: PositiveSeconds = 1e-3
    """Of each read."""
    short: PositiveOhms = 200.0
    """What has less is called short."""
    low: PositiveOhms = 20e3
    """What has less is in the low-resistance state."""
    formed: PositiveOhms = 1e6
    """What has less conducts: it is formed."""
    open: PositiveOhms = 1e8
    """What has more is called open; so is a current below the board's noise floor."""


class FirstUse(Procedure[FirstUseSettings]):
    """Reads of rising voltage, far below any threshold."""

    name = "first_use"
    title = "First use: open, short, or in which state"
    wears = False
    Settings = FirstUseSettings
    columns = (
        Column("volts", "V", "of the source"),
        Column("amps", "A", "mean over the settled end of the read"),
        Column("siemens", "S", "of the device; 0 below the noise floor of the board"),
    )
    figures = (
        Column("state", "", "open, short, low or high resistance, or not readable"),
        Column("formed", "", "yes, no (open), or unknown"),
        Column("ohms", "ohm", "at the highest voltage, mean of both polarities; infinite when open"),
        Column("asymmetry", "1", "conductance at the highest voltage, + over -, less 1"),
        Column("drift", "1", "conductance at the last voltage over that at the first, less 1"),
    )

    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """Both polarities of the highest read."""
        return self._pair(spec, site, self.settings.levels)

    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """One list a level, until the highest or a short."""
        for number in range(1 + len(rows) // 2, 1 + self.settings.levels):
            if self._is_short(rows):
                return
            pulses = self._pair(spec, site, number)
            for pulse, trace in zip(pulses, (yield pulses), strict=True):
                amps = steady(spec, pulse, trace, site)[1]
                volts = float(max(pulse.volts[:, spec.sites[site].row], key=abs))
                found = siemens_or_nan(spec, pulse, trace, site)
                rows.append({"volts": volts, "amps": amps, "siemens": found})

    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """What the last pair says, beside the first."""
        if len(rows) < 2:
            return {"state": "not readable", "formed": "unknown"} | dict.fromkeys(
                ("ohms", "asymmetry", "drift"), math.nan
            )
        first, *_ = values = [float(row["siemens"]) for row in rows]
        forward, backward = values[-2:]
        mean = (forward + backward) / 2
        ohms = math.inf if mean == 0 else 1 / mean
        state = self._state(ohms)
        conducts = "yes" if ohms < self.settings.formed else "unknown"
        return {
            "state": state,
            "formed": "no" if state == "open" else conducts,
            "ohms": ohms,
            "asymmetry": forward / backward - 1 if backward > 0 else math.nan,
            "drift": forward / first - 1 if first > 0 else math.nan,
        }

    def obstacle(self, figures: Figures) -> str:
        """An open or short device is not driven any further."""
        state = figures["state"]
        return f"the device is {state}" if state in ("open", "short", "not readable") else ""

    def _pair(self, spec: Spec, site: int, number: int) -> list[Pulse]:
        volts = self.settings.highest * (number / self.settings.levels)
        how = Reading(volts=volts, seconds=self.settings.seconds)
        forward = read(spec, site, how)
        return [forward, Pulse(forward.seconds, -forward.volts, forward.driven, forward.purpose)]

    def _state(self, ohms: float) -> str:
        how = self.settings
        if math.isnan(ohms):
            return "not readable"
        if ohms < how.short:
            return "short"
        if ohms > how.open:
            return "open"
        return "low resistance" if ohms < how.low else "high resistance"

    def _is_short(self, rows: Sequence[Row]) -> bool:
        return any(float(row["siemens"]) > 1 / self.settings.short for row in rows)
