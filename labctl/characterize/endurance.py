"""Endurance: set and reset cycles without end, with both states read in log steps.

Read-outs come at cycles 1, 2, 5, 10, 20, 50 and so on. Between them one pulse holds a reset and a
set, and is repeated as a whole: boards drive its repeats at their own pace, thousands with one call.
A read-out that fails (the window between the states has closed) is repeated in the cycles that
follow; if those fail too, the device has failed, and the cycling ends. Every list of pulses leaves a
row, so that a run that died, or was stopped for the weekend, goes on with the cycle after the last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from labctl.addressing import level
from labctl.characterize.booking import device_joules
from labctl.characterize.dose import Dose, at_worst, measured
from labctl.characterize.probing import probe, read, siemens_or_nan
from labctl.characterize.procedure import Capped, Column, Figures, Procedure, Row
from labctl.characterize.tables import column
from labctl.config import Count, PositiveSeconds, PositiveVolts
from labctl.energy import charges
from labctl.plan import Plan
from labctl.programming.write_verify import Reading
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.shapes import join
from labctl.spec import Spec

STEPS = (1, 2, 5)
STUCK = 1.05
"""Ratio of the two states below which the device does not move at all."""
READ_OUT = ("reset_siemens", "set_siemens", "reset_joules", "set_joules")
"""Columns that only a read-out fills."""
Ratio = Annotated[float, Field(gt=1)]


class EnduranceSettings(Capped):
    """The cycle, how long it goes on, and when the device counts as failed; volts are of the source."""

    most_pulses: Count = 1_000_000
    cycles: Count = 1000
    endless: bool = False
    """On until the device fails or a dose limit is reached."""
    set_volts: PositiveVolts = 1.0
    set_seconds: PositiveSeconds = 5e-3
    reset_volts: PositiveVolts = 1.5
    """Applied negative."""
    reset_seconds: PositiveSeconds = 5e-3
    reading: Reading = Reading()
    least_ratio: Ratio = 2.0
    """Of the resistances after reset and after set; below it the window is closed."""
    patience: Count = 3
    """Failed read-outs in a row that end it."""
    most_at_once: Count = 500
    """Cycles in one list of pulses: what is lost when the program dies, and how long a stop may wait."""
    longest_list: PositiveSeconds = 30.0


class Cycling(NamedTuple):
    """The pulses of endurance, made once."""

    reset: Pulse
    set: Pulse
    read: Pulse
    both: Pulse | None
    """A reset and a set as one pulse; None where together they are longer than the site allows."""


class Endurance(Procedure[EnduranceSettings]):
    """Set and reset until the end."""

    name = "endurance"
    title = "Endurance: both states over the number of cycles"
    wears = True
    Settings = EnduranceSettings
    columns = (
        Column("cycle", "1", "cycles that the device has behind it"),
        Column("reset_siemens", "S", "read after the reset of this cycle; NaN: not read; 0: below the floor"),
        Column("set_siemens", "S", "read after the set of this cycle; NaN: not read"),
        Column("reset_joules", "J", "of this reset, in the device"),
        Column("set_joules", "J", "of this set, in the device"),
        Column("pulses", "1", "that programmed or reset so far; a reset and a set in one count as one"),
        Column("joules", "J", "delivered to them so far"),
        Column("seconds", "s", "of bench time so far"),
    )
    figures = (
        Column("cycles", "1", "done"),
        Column("reset_ohms_first", "ohm", "high-resistance state at the first read-out"),
        Column("set_ohms_first", "ohm", "low-resistance state at the first read-out"),
        Column("reset_ohms_last", "ohm", "high-resistance state at the last read-out"),
        Column("set_ohms_last", "ohm", "low-resistance state at the last read-out"),
        Column("ratio_first", "1", "of the two at the first read-out"),
        Column("ratio_least", "1", "smallest of all read-outs"),
        Column("ratio_last", "1", "at the last read-out"),
        Column("joules", "J", "delivered to all cycles"),
        Column("failed_at", "1", "first cycle of the failed read-outs that ended it; NaN: it has not failed"),
        Column("failure", "", "none, or what happened"),
    )

    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """Reset, set, read, and the two in one where they are driven so."""
        pulses = self._pulses(spec, site)
        return [pulses.reset, pulses.set, pulses.read, *([pulses.both] if pulses.both else [])]

    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """Cycles in bulk up to the one before a read-out, then that one, pulse by pulse."""
        known, how = self._pulses(spec, site), self.settings
        last = math.inf if how.endless else how.cycles
        while not failure(rows, how):
            done = int(rows[-1]["cycle"]) if rows else 0
            if done >= last:
                return
            room = self._room(spec, site, known, rows)
            goal = min(_next_read_out(rows, done, how), last) if room else done + 1
            count = int(min(goal - 1 - done, room))
            bulk, reads = _bulk(known, count), done + count + 1 == goal
            pulses = [*bulk, known.reset, known.read, known.set, known.read] if reads else bulk
            traces = yield pulses
            given = _given(rows) + measured(pulses, charges(spec, pulses, traces))
            row: dict[str, float | str] = {"cycle": done + count + reads, **dict.fromkeys(READ_OUT, math.nan)}
            if reads:
                row |= _read_out(spec, site, known, traces[-4:])
            rows.append(row | {"pulses": given.pulses, "joules": given.joules, "seconds": given.seconds})

    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """First, last and worst of both states, and what became of the device."""
        seen, why = read_outs(rows), failure(rows, self.settings)
        ratios = seen.ratio if len(seen.cycle) else np.full(1, math.nan)
        known = ratios[~np.isnan(ratios)]
        return {
            "cycles": float(rows[-1]["cycle"]) if rows else 0.0,
            "reset_ohms_first": _end(seen.reset_ohms, 0),
            "set_ohms_first": _end(seen.set_ohms, 0),
            "reset_ohms_last": _end(seen.reset_ohms, -1),
            "set_ohms_last": _end(seen.set_ohms, -1),
            "ratio_first": float(ratios[0]),
            "ratio_least": float(known.min()) if len(known) else math.nan,
            "ratio_last": float(ratios[-1]),
            "joules": _given(rows).joules,
            "failed_at": float(seen.cycle[-self.settings.patience]) if why else math.nan,
            "failure": why or "none",
        }

    def obstacle(self, figures: Figures) -> str:
        """A failed device is not driven any further."""
        why = figures["failure"]
        return "" if why == "none" else f"it failed in endurance: {why}"

    def _pulses(self, spec: Spec, site: int) -> Cycling:
        how, limits = self.settings, spec.sites[site].limits
        erase = level(spec, -how.reset_volts, how.reset_seconds)
        write = level(spec, how.set_volts, how.set_seconds)
        fits = how.reset_seconds + how.set_seconds <= min(limits.seconds, spec.longest_pulse)
        return Cycling(
            probe(spec, site, erase, Purpose.RESET),
            probe(spec, site, write, Purpose.PROGRAM),
            read(spec, site, how.reading),
            probe(spec, site, join(erase, write), Purpose.PROGRAM) if fits else None,
        )

    def _room(self, spec: Spec, site: int, known: Cycling, rows: Sequence[Row]) -> int:
        """Cycles that one list may hold, so that no cap stops it and a last read-out is left; 0: that one."""
        how, had, limit = self.settings, _given(rows), spec.sites[site].limits.joules
        one, read_out = at_worst(spec, _bulk(known, 1)), at_worst(spec, [known.reset, known.set])
        left = (
            (how.most_pulses - had.pulses - read_out.pulses) / one.pulses,
            (min(how.most_energy, limit) - had.joules - read_out.joules) / one.joules,
            (how.most_time - had.seconds - read_out.seconds) / one.seconds,
        )
        handy = max(min(how.most_at_once, math.floor(how.longest_list / one.seconds)), 1)
        return max(min(math.floor(min(left)), handy), 0)


class ReadOuts(NamedTuple):
    """The rows in which both states were read, all shape (read-outs,)."""

    cycle: Floats
    reset_ohms: Floats
    """[ohm] after the reset; infinite: below the board's noise floor; NaN: the read said nothing."""
    set_ohms: Floats
    """[ohm] after the set."""
    ratio: Floats
    """Of the two."""


def read_outs(rows: Sequence[Row]) -> ReadOuts:
    """Both states over the cycles."""
    seen = [row for row in rows if not math.isnan(float(row["set_joules"]))]
    cycle, high, low = (column(seen, name) for name in ("cycle", "reset_siemens", "set_siemens"))
    with np.errstate(divide="ignore", invalid="ignore"):
        return ReadOuts(cycle, 1 / high, 1 / low, low / high)


def failure(rows: Sequence[Row], how: EnduranceSettings) -> str:
    """What the last read-outs, as many as `patience`, agree is wrong with the device; empty: nothing."""
    seen = read_outs(rows)
    if _failed_at_end(seen, how) < how.patience:
        return ""
    ratio, low = float(seen.ratio[-1]), float(seen.set_ohms[-1])
    if math.isinf(low):
        return "open"
    if math.isnan(ratio):
        return "not readable"
    if ratio >= STUCK:
        return "the window is closed"
    good = np.flatnonzero(seen.ratio >= how.least_ratio)
    if not len(good):
        return "it never switched"
    last = good[-1]
    middle = math.sqrt(float(seen.set_ohms[last]) * min(float(seen.reset_ohms[last]), 1e12))
    return f"stuck in the {'low' if low < middle else 'high'}-resistance state"


def _failed_at_end(seen: ReadOuts, how: EnduranceSettings) -> int:
    """Read-outs at the end whose window is closed."""
    good = np.flatnonzero(seen.ratio >= how.least_ratio)  # NaN is not
    return len(seen.ratio) - (int(good[-1]) + 1 if len(good) else 0)


def _next_read_out(rows: Sequence[Row], done: int, how: EnduranceSettings) -> int:
    """The next of 1, 2, 5, 10 and so on, or the very next cycle after a failed one."""
    if _failed_at_end(read_outs(rows), how):
        return done + 1
    decade = 10 ** (len(str(done)) - 1)
    return next(step * decade for step in (*STEPS, 10 * STEPS[0]) if step * decade > done)


def _bulk(known: Cycling, count: int) -> list[Pulse]:
    """`count` cycles without a read."""
    if count == 0:
        return []
    return [known.both.repeated(count)] if known.both else [known.reset, known.set] * count


def _read_out(spec: Spec, site: int, known: Cycling, traces: Sequence[Trace]) -> dict[str, float]:
    """Reset, read, set, read: what they found."""
    reset, after_reset, set_, after_set = traces
    values = (
        siemens_or_nan(spec, known.read, after_reset, site),
        siemens_or_nan(spec, known.read, after_set, site),
        device_joules(spec, known.reset, reset, site),
        device_joules(spec, known.set, set_, site),
    )
    return dict(zip(READ_OUT, values, strict=True))


def _given(rows: Sequence[Row]) -> Dose:
    """By all cycles so far."""
    if not rows:
        return Dose()
    last = rows[-1]
    return Dose(int(float(last["pulses"])), float(last["joules"]), float(last["seconds"]))


def _end(values: Floats, place: int) -> float:
    return float(values[place]) if len(values) else math.nan
