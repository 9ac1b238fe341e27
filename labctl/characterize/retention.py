"""Retention: a state is programmed, left alone, and read at times that are evenly spaced in log time.

Between reads nothing is driven: waits, each no longer than the board's longest pulse. The time base
is the board's: what pulses, waits, settling and link took, added up from row to row. Time in which no
program ran is not in it: on a device that is really there, a run that was interrupted shows a drift
that is too fast at the seam.

Reads themselves move a device that stands near a threshold, and reads at evenly spaced logarithms of
time then look like a power law. So as many reads as there were follow at the end, one right after the
other: what those change is no retention (`CONTROL`).

Drift is fitted as G = G0 (t / t0)^-nu, a straight line in ln G against ln t, with t0 the time of the
first read. Standard errors are those of least squares, as if the reads scattered independently.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from labctl.addressing import wait
from labctl.characterize.booking import bench_seconds
from labctl.characterize.estimates import interval_columns, with_interval
from labctl.characterize.probing import read, siemens, siemens_or_nan
from labctl.characterize.procedure import Capped, Column, Figures, Procedure, Row
from labctl.characterize.tables import ROUNDING, column
from labctl.config import PositiveFraction, PositiveSeconds, Quantity
from labctl.errors import Refused
from labctl.estimates import NORMAL_95, UNKNOWN, Interval, line
from labctl.plan import Plan
from labctl.programming.write_verify import Programming, Reading, write_verify
from labctl.pulse import Floats, Pulse
from labctl.spec import Spec

LONGEST_WAIT = 60.0
"""[s] in one list of pulses: a run can be stopped between two lists."""

AT_ONCE = 256
"""Reads in one list."""
WATCHED, CONTROL = "watched", "control"
DISTURBED = 0.5
"""Of the change: what reads alone make of it, from which on they are said to be what moves the device."""
NEVER = 1e12
"""[s] 30,000 years: nobody extrapolates that far."""


class RetentionSettings(Capped):
    """Which state, how long it is watched, and what counts as having left it."""

    most_time: PositiveSeconds = 1e6
    target: Annotated[float, Quantity("S", above=0)] | None = None
    """Programmed first. Left out: the state that is there."""
    first: PositiveSeconds = 1e-2
    """The first wait: no read comes before it."""
    last: PositiveSeconds = 1000.0
    per_decade: Annotated[int, Field(ge=1, le=1000)] = 5
    tolerance: PositiveFraction = 0.1
    """Of the first conductance: further away, the state is lost."""
    programming: Programming = Programming()
    reading: Reading = Reading()


class Retention(Procedure[RetentionSettings]):
    """Program once, then only look."""

    name = "retention"
    title = "Retention: drift of a programmed state"
    wears = True
    Settings = RetentionSettings
    columns = (
        Column("seconds", "s", "of bench time since the state was programmed, to the end of the read"),
        Column("siemens", "S", "of the device; 0 below the noise floor of the board"),
        Column("kind", "", "watched, or control: reads right after each other, at the end"),
        Column("state", "", "how programming ended, with the first read"),
    )
    figures = (
        Column("reads", "1", "that a drift can be fitted to"),
        Column("siemens", "S", "G0, of the fit at the time of the first read"),
        *interval_columns("nu", "1", "drift exponent: G falls as t^-nu (least squares)"),
        Column("nu_error", "1", "its standard error"),
        Column("scatter", "1", "standard deviation of ln G about the fit"),
        Column("change", "1", "last conductance over the first, less 1"),
        Column(
            "change_control", "1", "the same of as many reads right after each other: what reads alone change"
        ),
        Column("disturbed", "", "whether reads alone change as much as half of it: then it is no retention"),
        Column("left", "s", "time of the first read outside the tolerance; NaN: none was"),
        Column(
            "leaves",
            "s",
            "when the fit leaves the tolerance; infinite: no drift seen, or not in 30,000 years",
        ),
        Column("leaves_low", "s", "the same with the steepest drift inside the interval of nu"),
        Column("state", "", "how programming ended"),
    )

    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """The longest wait and the read."""
        how = self.settings
        if how.target is not None and not spec.isolating:
            raise Refused(
                f"{spec.name} cannot program one site alone: it has no switch at each",
                allowed="a board with isolating sites, or no target: the state that is there",
            )
        if not how.first < how.last:
            raise Refused(f"a first wait of {how.first:g} s", allowed=f"less than the last, {how.last:g} s")
        waits = [wait(spec, one) for one in _waits(spec, how.last)][:1]
        return [*waits, read(spec, site, how.reading)]

    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """Program unless there are rows, then wait and read, wait and read."""
        how, probing = self.settings, read(spec, site, self.settings.reading)
        state = ""
        if not rows:
            state = yield from self._programmed(spec, site, probing)
        now = float(rows[-1]["seconds"]) if rows else 0.0
        for goal in times(how)[len(rows) :]:
            missing = max(float(goal) - now - probing.duration, spec.shortest_pulse)
            *before, last = [wait(spec, one) for one in _waits(spec, missing)]
            for one in before:
                now += bench_seconds((yield [one]))
            traces = yield [last, probing]
            now += bench_seconds(traces)
            found = siemens_or_nan(spec, probing, traces[1], site)
            rows.append({"seconds": now, "siemens": found, "kind": WATCHED, "state": state})
            state = ""
        yield from self._control(spec, site, probing, rows)

    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """The drift, and when it leaves the tolerance."""
        seen = series(rows)
        found = drift(seen, self.settings.tolerance)
        first = float(seen.siemens[0]) if len(seen.siemens) else math.nan
        outside = np.flatnonzero(np.abs(seen.siemens / first - 1) > self.settings.tolerance)
        change, control = _change(watched(rows)), _change([*watched(rows)[-1:], *_controls(rows)])
        return {
            "reads": len(seen.seconds),
            "siemens": found.siemens,
            **with_interval("nu", found.nu),
            "nu_error": found.nu_error,
            "scatter": found.scatter,
            "change": change,
            "change_control": control,
            "disturbed": _disturbed(change, control, found.scatter),
            "left": float(seen.seconds[outside[0]]) if len(outside) else math.nan,
            "leaves": found.leaves,
            "leaves_low": found.leaves_low,
            "state": str(rows[0]["state"]) if rows else "not read",
        }

    def _control(self, spec: Spec, site: int, probing: Pulse, rows: list[Row]) -> Plan[None]:
        """As many reads right after each other, so that the last of the others has as many behind it."""
        now, every = float(rows[-1]["seconds"]), 2 * len(times(self.settings)) - 1
        while len(rows) < every:
            for trace in (yield [probing] * min(every - len(rows), AT_ONCE)):
                now += bench_seconds([trace])
                found = siemens_or_nan(spec, probing, trace, site)
                rows.append({"seconds": now, "siemens": found, "kind": CONTROL, "state": ""})

    def _programmed(self, spec: Spec, site: int, probing: Pulse) -> Plan[str]:
        """Bring it to the target; how that ended."""
        how = self.settings
        if how.target is None:
            return "as it was"
        now = siemens(spec, probing, (yield [probing])[0], site)
        outcome = yield from write_verify(spec, site, how.target, now, how.programming, how.reading)
        return f"{outcome.ending}: {outcome.reason}" if outcome.reason else str(outcome.ending)


class Series(NamedTuple):
    """Reads that say something, both shape (reads,)."""

    seconds: Floats
    siemens: Floats


class Drift(NamedTuple):
    """G = siemens (t / first)^-nu."""

    siemens: float
    nu: Interval
    nu_error: float
    scatter: float
    leaves: float
    leaves_low: float


def times(how: RetentionSettings) -> Floats:
    """[s], shape (reads,): evenly spaced in log time, from the first to the last."""
    decades = math.log10(how.last / how.first)
    return how.first * 10 ** np.linspace(0, decades, max(round(decades * how.per_decade), 1) + 1)


def watched(rows: Sequence[Row]) -> list[Row]:
    """The reads after waits."""
    return [row for row in rows if row.get("kind") != CONTROL]


def _controls(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.get("kind") == CONTROL]


def _change(rows: Sequence[Row]) -> float:
    """Last conductance over the first, less 1, of the reads that found the device; NaN of fewer than two."""
    siemens = column(rows, "siemens")
    siemens = siemens[siemens > 0]
    return float(siemens[-1] / siemens[0]) - 1 if len(siemens) > 1 else math.nan


def _disturbed(change: float, control: float, scatter: float) -> str:
    """Whether reads are what changed the device, where that is more than scatter."""
    if math.isnan(change) or math.isnan(control):
        return "not known"
    evident = change * control > 0 and abs(control) > 2 * math.sqrt(2) * max(scatter, ROUNDING)
    return "yes" if evident and abs(control) > DISTURBED * abs(change) else "no"


def series(rows: Sequence[Row]) -> Series:
    """What was watched, without reads below the noise floor, and without those that failed."""
    rows = watched(rows)
    seconds, siemens = column(rows, "seconds"), column(rows, "siemens")
    return Series(seconds[siemens > 0], siemens[siemens > 0])


def drift(seen: Series, tolerance: float) -> Drift:
    """The straight line in log-log, and the time at which it is `tolerance` from where it began."""
    if len(seen.seconds) < 3:
        return Drift(math.nan, UNKNOWN, math.nan, math.nan, math.nan, math.nan)
    first = float(seen.seconds[0])
    fit = line(np.log(seen.seconds / first), np.log(seen.siemens))
    nu, half = -fit.slope, NORMAL_95 * fit.slope_error
    ends = _leaving(nu - half, first, tolerance), _leaving(nu + half, first, tolerance)
    return Drift(
        math.exp(fit.intercept),
        Interval(nu, nu - half, nu + half),
        fit.slope_error,
        fit.scatter,
        math.inf if nu - half <= 0 <= nu + half else _leaving(nu, first, tolerance),
        min(ends),
    )


def _leaving(nu: float, first: float, tolerance: float) -> float:
    """[s] when (t / first)^-nu is 1 - tolerance, or 1 + tolerance if it grows."""
    if nu == 0:
        return math.inf
    power = math.log1p(-math.copysign(min(tolerance, 1 - 1e-12), nu)) / -nu
    seconds = first * math.exp(min(power, 500.0))
    return seconds if seconds < NEVER else math.inf


def _waits(spec: Spec, seconds: float) -> Iterator[float]:
    """[s] of waits that the board can make, together `seconds`, none shorter than its shortest."""
    count = math.ceil(seconds / min(spec.longest_pulse, LONGEST_WAIT))
    return iter([seconds / count] * count)
