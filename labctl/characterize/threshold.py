"""The voltage at which a pulse of a given width begins to move the device, in either direction.

Amplitudes rise from `first` by `step`; before each, the device is restored to the other end of its
range (by way of this one) and read, so that every pulse meets the same state and small ones do not
add up. The threshold is the first amplitude after which the conductance differs by `change` from what
it was (10 % by default, as Knowm's own array diagnosis takes it). It is a property of the device
*and* of the width: longer pulses have lower thresholds. The whole search is repeated, for the scatter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from labctl.characterize.probing import read, restored, siemens, steady, write
from labctl.characterize.procedure import Capped, Column, Figures, Procedure, Row
from labctl.characterize.tables import median_and_spread
from labctl.config import Count, PositiveFraction, PositiveSeconds, PositiveVolts
from labctl.errors import Refused
from labctl.plan import Plan
from labctl.programming.write_verify import Reading
from labctl.pulse import Pulse
from labctl.spec import Spec

SET, RESET = "set", "reset"


class ThresholdSettings(Capped):
    """Which amplitudes are tried, and what counts as a change."""

    first: PositiveVolts = 0.05
    """Of both polarities."""
    step: PositiveVolts = 0.02
    highest_set: PositiveVolts = 1.0
    """Where the search for the set threshold ends."""
    highest_reset: PositiveVolts = 1.0
    """Where the search for the reset threshold ends, as a magnitude."""
    width: PositiveSeconds = 1e-3
    """Of each pulse."""
    change: PositiveFraction = 0.1
    """Of the conductance before the pulse."""
    cycles: Count = 5
    """Searches of each threshold."""
    restore_set: PositiveVolts = 1.0
    """Before pulses that search for the reset threshold."""
    restore_reset: PositiveVolts = 2.0
    """Before pulses that search for the set threshold, as a magnitude."""
    restore_seconds: PositiveSeconds = 10e-3
    reading: Reading = Reading()


class Trial(NamedTuple):
    """One amplitude of one search."""

    cycle: int
    direction: str
    volts: float
    """[V] of the source, with its sign."""


class Threshold(Procedure[ThresholdSettings]):
    """Set and reset threshold in turn."""

    name = "threshold"
    title = "Set and reset thresholds, by rising amplitudes"
    wears = True
    Settings = ThresholdSettings
    columns = (
        Column("cycle", "1", "from 1"),
        Column("direction", "", "set or reset"),
        Column("volts", "V", "amplitude at the source, with its sign"),
        Column("device_volts", "V", "across the device, mean over the end of the pulse"),
        Column("before", "S", "conductance after the restoration"),
        Column("after", "S", "conductance after the pulse"),
        Column("change", "1", "after over before, less 1; NaN after an open device"),
    )
    figures = tuple(
        Column(f"{which}{of}{what}", unit, f"{meaning}, {of_what}")
        for which in (SET, RESET)
        for of, unit, meaning in (
            ("_volts", "V", f"{which} threshold at the source"),
            ("_device_volts", "V", f"{which} threshold across the device"),
        )
        for what, of_what in (("", "median of the searches"), ("_sd", "from search to search"))
    ) + tuple(
        column
        for which in (SET, RESET)
        for column in (
            Column(f"{which}_missed", "1", f"searches that found no {which}"),
            Column(
                f"{which}_unrest", "1", "relative scatter of `before`: changes no larger are no threshold"
            ),
            Column(f"{which}_at_first", "1", "searches that ended at `first`: the threshold may be lower"),
        )
    )

    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """Both restorations, the highest amplitudes, and the read."""
        how = self.settings
        if not how.first <= min(how.highest_set, how.highest_reset):
            raise Refused(
                f"a search from {how.first:g} V up to less", allowed="first <= highest_set, highest_reset"
            )
        highest = ((SET, how.highest_set), (RESET, -how.highest_reset))
        return [
            pulse
            for direction, volts in highest
            for pulse in self.list_of(spec, site, Trial(1, direction, volts))
        ]

    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """One list an amplitude: restoration, read, pulse, read."""
        while (trial := self.after(rows)) is not None:
            pulses = self.list_of(spec, site, trial)
            traces = yield pulses
            before, after = (siemens(spec, pulses[index], traces[index], site) for index in (2, 4))
            across, _ = steady(spec, pulses[3], traces[3], site)
            change = after / before - 1 if before > 0 else math.nan
            rows.append(
                {**_of(trial), "device_volts": across, "before": before, "after": after, "change": change}
            )

    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """Medians of the searches, and their standard deviations."""
        found: dict[str, float | str] = {}
        for direction in (SET, RESET):
            hits = [row for row in rows if row["direction"] == direction and self.is_hit(row)]
            for name in ("volts", "device_volts"):
                middle, spread = median_and_spread(hits, name)
                found |= {f"{direction}_{name}": middle, f"{direction}_{name}_sd": spread}
            searches = len({row["cycle"] for row in rows if row["direction"] == direction})
            found[f"{direction}_missed"] = float(searches - len(hits) - self._is_searching(rows, direction))
            found[f"{direction}_unrest"] = _unrest([row for row in rows if row["direction"] == direction])
            found[f"{direction}_at_first"] = float(sum(self._is_first(row) for row in hits))
        return found

    def obstacle(self, figures: Figures) -> str:
        """A device that no amplitude of either polarity moved is not driven any further."""
        ways = (SET, RESET)
        missed = all(float(figures[f"{way}_missed"]) > 0 for way in ways)
        never = all(math.isnan(float(figures[f"{way}_volts"])) for way in ways)
        return "it does not switch" if missed and never else ""

    def is_hit(self, row: Row) -> bool:
        """Whether the device moved."""
        before, after = float(row["before"]), float(row["after"])
        return after != before and abs(after - before) >= self.settings.change * before

    def _is_searching(self, rows: Sequence[Row], direction: str) -> bool:
        """Whether the last search of this direction was stopped before its end."""
        coming = self.after(rows) if rows else None
        return coming is not None and coming[:2] == (rows[-1]["cycle"], direction) == _search(rows[-1])

    def _is_first(self, row: Row) -> bool:
        return abs(float(row["volts"])) <= self.settings.first

    def after(self, rows: Sequence[Row]) -> Trial | None:
        """What is to be tried after these rows; None: nothing more."""
        how = self.settings
        if not rows:
            return Trial(1, SET, how.first)
        last = rows[-1]
        cycle, direction, volts = int(last["cycle"]), str(last["direction"]), float(last["volts"])
        highest = how.highest_set if direction == SET else how.highest_reset
        tried = round((abs(volts) - how.first) / how.step)
        coming = how.first + (tried + 1) * how.step
        if not self.is_hit(last) and coming <= highest * (1 + 1e-9):
            return Trial(cycle, direction, math.copysign(min(coming, highest), volts))
        if direction == SET:
            return Trial(cycle, RESET, -how.first)
        return Trial(cycle + 1, SET, how.first) if cycle < how.cycles else None

    def list_of(self, spec: Spec, site: int, trial: Trial) -> list[Pulse]:
        """Restoration, read, pulse, read."""
        how, look = self.settings, read(spec, site, self.settings.reading)
        ends = -how.restore_reset, how.restore_set
        end, other = ends if trial.direction == SET else ends[::-1]
        before = restored(spec, site, end, other, how.restore_seconds)
        return [*before, look, write(spec, site, trial.volts, how.width), look]


def _unrest(rows: Sequence[Row]) -> float:
    """By how much the restored state differs from read to read: noise of reads and of restorations."""
    middle, spread = median_and_spread(rows, "before")
    return spread / middle if middle > 0 else math.nan


def _search(row: Row) -> tuple[float | str, float | str]:
    return row["cycle"], row["direction"]


def _of(trial: Trial) -> Row:
    return {"cycle": float(trial.cycle), "direction": trial.direction, "volts": trial.volts}
