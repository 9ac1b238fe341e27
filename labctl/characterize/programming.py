"""Closed-loop programming: reset, then equal set pulses until a resistance limit, over many cycles.

This is the protocol by which published devices of this kind were measured (Energies 2024, 17, 5400):
a reset of -2.5 V for 0.1 s, set pulses of one amplitude and width with a read after each, at most
ten of them. What comes out is how many pulses a set takes, how far resistances scatter from cycle to
cycle, and what a pulse costs in the device. A row is one pulse and the read after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from labctl.addressing import level, wait
from labctl.characterize.booking import device_joules
from labctl.characterize.estimates import interval_columns, with_interval
from labctl.characterize.probing import probe, read, siemens_or_nan
from labctl.characterize.procedure import Capped, Column, Figures, Procedure, Row
from labctl.characterize.tables import column
from labctl.config import Count, Joules, PositiveOhms, PositiveSeconds, PositiveVolts, Seconds
from labctl.estimates import Interval, bootstrap, spread, wilson
from labctl.plan import Plan
from labctl.programming.write_verify import Reading
from labctl.pulse import Floats, Pulse, Purpose
from labctl.spec import Spec

LIMITS = {"C": 100e3}
"""[ohm] Below it a device counts as set: that of the measurements above, of carbon; all others 5 kohm."""
LIMIT = 5e3


class ProgrammingSettings(Capped):
    """The protocol; the amplitudes are of the source."""

    most_energy: Joules = 1.0
    most_pulses: Count = 100_000
    cycles: Count = 100
    reset_volts: PositiveVolts = 2.5
    """Applied negative."""
    reset_seconds: PositiveSeconds = 0.1
    set_volts: PositiveVolts = 1.0
    set_seconds: PositiveSeconds = 10e-3
    limit: PositiveOhms | None = None
    """Set below it. Left out: 5 kohm, carbon 100 kohm."""
    most_sets: Count = 10
    """Set pulses in a cycle."""
    reading: Reading = Reading(volts=0.15, seconds=10e-3)
    pause: Seconds = 0.0
    """Between a pulse and its read."""
    patience: Count = 20
    """Cycles in a row without a switch after which it ends: not set, or set already after the reset."""


class CyclePulses(NamedTuple):
    """The pulses of one cycle, made once."""

    reset: list[Pulse]
    set: list[Pulse]
    """The pulse, its pause if any, and the read."""


class ClosedLoop(Procedure[ProgrammingSettings]):
    """Reset and set until a limit."""

    name = "programming"
    title = "Closed-loop programming: reset, then set pulses until a limit"
    wears = True
    Settings = ProgrammingSettings
    columns = (
        Column("cycle", "1", "from 1"),
        Column("pulse", "1", "0: the reset; set pulses from 1"),
        Column("volts", "V", "of the source"),
        Column("seconds", "s", "length of the pulse"),
        Column("siemens", "S", "of the device, read after the pulse; 0 below the noise floor of the board"),
        Column("joules", "J", "of the pulse, in the device"),
        Column("success", "", "yes: below the limit; empty for a reset"),
    )
    figures = (
        Column("cycles", "1", "that ended with a set or with the last pulse allowed"),
        *interval_columns("success", "1", "share of cycles that were set within the pulses allowed (Wilson)"),
        *interval_columns("first", "1", "share of cycles that were set by the first pulse (Wilson)"),
        *interval_columns("pulses", "1", "mean number of set pulses of cycles that were set (bootstrap)"),
        Column("pulses_all", "1", "the same of all cycles, those that were not set with the pulses they got"),
        *interval_columns(
            "set_ohms", "ohm", "median after the last pulse of cycles that were set (bootstrap)"
        ),
        *interval_columns(
            "set_ohms_all", "ohm", "median after every set pulse, of whatever cycle (bootstrap)"
        ),
        *interval_columns("set_sd", "1", "standard deviation of ln R over cycles that were set (bootstrap)"),
        *interval_columns("reset_ohms", "ohm", "median after the reset; infinite: below the noise floor"),
        *interval_columns("reset_sd", "1", "standard deviation of ln R after the reset, where resolved"),
        Column("unresolved", "1", "resets after which the current was below the board's noise floor"),
        Column("not_reset", "1", "resets that left the device below the limit: it was set already"),
        Column("set_joules", "J", "median of a set pulse, in the device"),
        Column("reset_joules", "J", "median of a reset, in the device"),
        Column("verdict", "", "switches, or what it does instead"),
    )

    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """One cycle."""
        pulses = self._pulses(spec, site)
        return [*pulses.reset, *pulses.set]

    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """One list for the reset with the first set pulse, one for each further set pulse."""
        known, how = self._pulses(spec, site), self.settings
        limit = self.limit(spec, site)
        failures = _failures(complete(rows, how.most_sets), limit)
        while failures < how.patience:
            cycle, number = _next(rows, how.most_sets)
            if cycle > how.cycles:
                return
            pulses = known.set if number else [*known.reset, *known.set]
            traces = yield pulses
            parts = [number] if number else [0, 1]
            size = len(pulses) // len(parts)
            for place, part in enumerate(parts):
                first, last = place * size, (place + 1) * size - 1
                found = siemens_or_nan(spec, pulses[last], traces[last], site)
                joules = device_joules(spec, pulses[first], traces[first], site)
                rows.append(self._row(cycle, part, found, joules, limit))
            if _ended(rows[-1], how.most_sets):
                its = complete(rows[-1 - int(rows[-1]["pulse"]) :], how.most_sets)
                failures = failures + 1 if _failures(its, limit) else 0

    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """Shares, medians and spreads, each with its interval."""
        cycles = complete(rows, self.settings.most_sets)
        done = [cycle for cycle in cycles if cycle.success]
        last, every = _ohms([one.siemens[-1] for one in done]), [g for one in cycles for g in one.siemens]
        resets = _ohms([one.reset for one in cycles])
        seen = resets[np.isfinite(resets)]
        counts = np.array([len(one.siemens) for one in cycles], dtype=np.float64)
        taken = counts[[one.success for one in cycles]] if cycles else counts
        first = sum(one.success and len(one.siemens) == 1 for one in cycles)
        return {
            "cycles": len(cycles),
            **with_interval("success", wilson(len(done), len(cycles))),
            **with_interval("first", wilson(first, len(cycles))),
            **with_interval("pulses", bootstrap(taken, np.mean)),
            "pulses_all": _median_or_mean(counts, mean=True),
            **with_interval("set_ohms", bootstrap(last, np.median)),
            **with_interval("set_ohms_all", bootstrap(_ohms(every), np.median)),
            **with_interval("set_sd", _spread(last)),
            **with_interval("reset_ohms", bootstrap(resets, np.median)),
            **with_interval("reset_sd", _spread(seen)),
            "unresolved": int(np.isinf(resets).sum()),
            "not_reset": int((resets < self.limit(spec, site)).sum()),
            "set_joules": _median_or_mean(_column(rows, "joules", reset=False)),
            "reset_joules": _median_or_mean(_column(rows, "joules", reset=True)),
            "verdict": self._verdict(rows, cycles, self.limit(spec, site)),
        }

    def obstacle(self, figures: Figures) -> str:
        """A device that does not switch is not driven any further."""
        return "" if figures["verdict"] in ("switches", "no cycle yet") else "it does not switch"

    def _pulses(self, spec: Spec, site: int) -> CyclePulses:
        how = self.settings
        probing = read(spec, site, how.reading)
        after = [wait(spec, how.pause), probing] if how.pause else [probing]
        erase = level(spec, -how.reset_volts, how.reset_seconds)
        write = level(spec, how.set_volts, how.set_seconds)
        return CyclePulses(
            [probe(spec, site, erase, Purpose.RESET), *after],
            [probe(spec, site, write, Purpose.PROGRAM), *after],
        )

    def limit(self, spec: Spec, site: int) -> float:
        """[ohm] below which this device counts as set."""
        return self.settings.limit or LIMITS.get(spec.sites[site].dopant, LIMIT)

    def _row(self, cycle: int, number: int, siemens: float, joules: float, limit: float) -> Row:
        how = self.settings
        return {
            "cycle": cycle,
            "pulse": number,
            "volts": how.set_volts if number else -how.reset_volts,
            "seconds": how.set_seconds if number else how.reset_seconds,
            "siemens": siemens,
            "joules": joules,
            "success": ("yes" if siemens * limit > 1 else "no") if number else "",
        }

    def _verdict(self, rows: Sequence[Row], cycles: Sequence[Cycle], limit: float) -> str:
        if not cycles:
            return "no cycle yet"
        every = np.array([float(row["siemens"]) for row in rows])
        if not np.any(every > 0):
            return "open"
        failures = _failures(cycles, limit)
        if failures < min(self.settings.patience, len(cycles)):
            return "switches"
        sets = sum(one.success for one in cycles[-failures:])
        what = "set" if not sets else "reset" if sets == failures else "set, or not reset,"
        return f"not {what} in the last {failures} cycles" if failures > 1 else f"not {what} once"


class Cycle(NamedTuple):
    """What one cycle did."""

    reset: float
    """[S] after the reset."""
    siemens: tuple[float, ...]
    """[S] after each set pulse."""
    success: bool

    def switched(self, limit: float) -> bool:
        """Whether it was set, and its reset had not left it set: below `limit` [ohm]."""
        return self.success and not self.reset * limit > 1


def complete(rows: Sequence[Row], most_sets: int) -> list[Cycle]:
    """The cycles that came to their end."""
    found: list[Cycle] = []
    reset, sets = math.nan, list[float]()
    for row in rows:
        if not row["pulse"]:
            reset, sets = float(row["siemens"]), []
            continue
        sets.append(float(row["siemens"]))
        success = row["success"] == "yes"
        if success or len(sets) == most_sets:
            found.append(Cycle(reset, tuple(sets), success))
    return found


def _next(rows: Sequence[Row], most_sets: int) -> tuple[int, int]:
    """Cycle and number of the pulse that comes next."""
    if not rows:
        return 1, 0
    last = rows[-1]
    cycle, number = int(last["cycle"]), int(last["pulse"])
    return (cycle + 1, 0) if _ended(last, most_sets) else (cycle, number + 1)


def _ended(row: Row, most_sets: int) -> bool:
    """Whether this row is the last of its cycle."""
    return row["success"] == "yes" or float(row["pulse"]) >= most_sets


def _failures(cycles: Sequence[Cycle], limit: float) -> int:
    """Cycles that did not switch since the last one that did."""
    switched = (number for number, one in enumerate(reversed(cycles)) if one.switched(limit))
    return next(switched, len(cycles))


def _ohms(siemens: Sequence[float]) -> Floats:
    """[ohm], infinite where open; what could not be read is left out."""
    found = np.array(siemens, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return 1 / found[~np.isnan(found)]


def _spread(ohms: Floats) -> Interval:
    return bootstrap(np.log(ohms), spread)


def _median_or_mean(values: Floats, *, mean: bool = False) -> float:
    if not len(values):
        return math.nan
    return float(values.mean() if mean else np.median(values))


def _column(rows: Sequence[Row], name: str, *, reset: bool) -> Floats:
    return column([row for row in rows if (row["pulse"] == 0) is reset], name)
