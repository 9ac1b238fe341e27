"""Write-verify statistics: the same targets programmed again and again, and how that went.

Each cycle goes through the targets in the order of the list, each from where the one before ended:
a list that goes up and down tries both directions. A programming is `labctl.programming.write_verify`, with
its own caps; the figures are its success, the pulses and joules it took, and the error that was left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from labctl.addressing import level
from labctl.characterize.estimates import interval_columns, with_interval
from labctl.characterize.probing import probe, read, siemens
from labctl.characterize.procedure import Capped, Column, Figures, Procedure, Row
from labctl.characterize.tables import column
from labctl.config import Count, Joules, Quantity
from labctl.errors import LimitExceeded, Refused
from labctl.estimates import Interval, bootstrap, wilson
from labctl.plan import Plan
from labctl.programming.write_verify import Ending, Outcome, Programming, Reading, write_verify
from labctl.pulse import Floats, Pulse, Purpose
from labctl.spec import Spec

Target = Annotated[float, Quantity("S", above=0)]
HOPELESS = (Ending.STUCK, Ending.FAULT, Ending.SHORT)


class StatisticsSettings(Capped):
    """What is programmed, and how often."""

    most_energy: Joules = 0.1
    targets: Annotated[tuple[Target, ...], Field(min_length=1)] = (30e-6, 100e-6)
    cycles: Count = 20
    patience: Count = 3
    """Programmings in a row that find the device stuck, or not readable, after which it ends."""
    programming: Programming = Programming()
    reading: Reading = Reading()


class WriteVerify(Procedure[StatisticsSettings]):
    """Each target, cycle after cycle."""

    name = "write_verify"
    title = "Write-verify statistics: pulses, error and energy to each target"
    wears = True
    Settings = StatisticsSettings
    columns = (
        Column("cycle", "1", "from 1"),
        Column("target", "S", "conductance that was asked for"),
        Column("before", "S", "as read before the first pulse"),
        Column("after", "S", "as last read"),
        Column("error", "1", "after / target - 1"),
        Column("pulses", "1", "that programmed"),
        Column("joules", "J", "delivered to them"),
        Column("ending", "", "why programming ended"),
    )
    figures = (
        Column("programmings", "1", "targets tried, over all cycles"),
        *interval_columns("success", "1", "share of them within tolerance (Wilson)"),
        *interval_columns("pulses", "1", "median number of pulses to success (bootstrap)"),
        Column("pulses_most", "1", "95 of 100 successes took no more pulses"),
        *interval_columns("joules", "J", "median energy delivered until success (bootstrap)"),
        *interval_columns("error", "1", "root mean square of the relative error after success (bootstrap)"),
        Column("worst_target", "S", "the one with the lowest share of successes, the first of equals"),
        Column("worst_success", "1", "its share of successes"),
        Column("endings", "", "how many ended how"),
    )

    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """The first pulse in each direction, and the read; what is stronger, write-verify keeps in limits."""
        if not spec.isolating:
            raise Refused(
                f"{spec.name} cannot program one site alone: it has no switch at each",
                allowed="a board with isolating sites",
            )
        how = self.settings.programming
        seconds = max(how.first_width, how.shortest, spec.shortest_pulse)
        waves = (level(spec, sign * how.first_volts, seconds) for sign in (+1, -1))
        pulses = [probe(spec, site, wave, Purpose.PROGRAM) for wave in waves]
        return [*pulses, read(spec, site, self.settings.reading)]

    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """The site is read once; from then on each programming knows where the one before ended."""
        how = self.settings
        every = ((cycle, target) for cycle in range(1, how.cycles + 1) for target in how.targets)
        if len(rows) >= how.cycles * len(how.targets) or _hopeless(rows) >= how.patience:
            return
        probing = read(spec, site, how.reading)
        now = siemens(spec, probing, (yield [probing])[0], site)
        for cycle, target in islice(every, len(rows), None):
            outcome = yield from write_verify(spec, site, target, now, how.programming, how.reading)
            rows.append(_row(cycle, outcome))
            if outcome.ending is Ending.LIMIT:
                raise LimitExceeded(outcome.reason)
            if _hopeless(rows) >= how.patience:
                return
            now = outcome.after

    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """Over all targets, and the one that goes worst."""
        done = [row for row in rows if row["ending"] == Ending.DONE]
        pulses, worst = column(done, "pulses"), min(by_target(rows), key=_share, default=None)
        return {
            "programmings": len(rows),
            **with_interval("success", wilson(len(done), len(rows))),
            **with_interval("pulses", bootstrap(pulses, np.median)),
            "pulses_most": float(np.percentile(pulses, 95, method="higher")) if len(pulses) else math.nan,
            **with_interval("joules", bootstrap(column(done, "joules"), np.median)),
            **with_interval("error", bootstrap(column(done, "error"), root_mean_square)),
            "worst_target": worst.target if worst else math.nan,
            "worst_success": worst.success.value if worst else math.nan,
            "endings": _counted([str(row["ending"]) for row in rows]),
        }

    def obstacle(self, figures: Figures) -> str:
        """A device that never got anywhere is not driven any further."""
        never = figures["success"] == 0.0 and Ending.STUCK in str(figures["endings"])
        return "it does not switch" if never else ""


class OfTarget(NamedTuple):
    """How one target went."""

    target: float
    """[S]"""
    success: Interval
    pulses: Floats
    """Of the successes."""
    joules: Floats
    """[J] of the successes."""
    after: Floats
    """[S] as last read, of all."""


def by_target(rows: Sequence[Row]) -> list[OfTarget]:
    """The rows of each target together, in the order in which they first came."""
    found: list[OfTarget] = []
    for target in dict.fromkeys(float(row["target"]) for row in rows):
        its = [row for row in rows if row["target"] == target]
        done = [row for row in its if row["ending"] == Ending.DONE]
        columns = column(done, "pulses"), column(done, "joules"), column(its, "after")
        found.append(OfTarget(target, wilson(len(done), len(its)), *columns))
    return found


def root_mean_square(values: Floats, axis: int | None = None) -> Floats:
    """Of `values` along `axis`."""
    return np.sqrt(np.mean(np.square(values), axis=axis))


def _row(cycle: int, outcome: Outcome) -> Row:
    return {
        "cycle": cycle,
        "target": outcome.target,
        "before": outcome.before,
        "after": outcome.after,
        "error": outcome.error,
        "pulses": outcome.pulses,
        "joules": outcome.joules,
        "ending": str(outcome.ending),
    }


def _hopeless(rows: Sequence[Row]) -> int:
    """Programmings at the end that found no device to program."""
    moved = (number for number, row in enumerate(reversed(rows)) if row["ending"] not in HOPELESS)
    return next(moved, len(rows))


def _share(one: OfTarget) -> float:
    return one.success.value


def _counted(endings: Sequence[str]) -> str:
    return ", ".join(f"{endings.count(one)} {one}" for one in dict.fromkeys(endings))
