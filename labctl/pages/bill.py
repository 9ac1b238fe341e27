"""The bill of a run, worked out again from what is stored, and held against what was booked.

While a run works, every pulse is booked with its integrals, and the last note holds what they came
to. Here each pulse whose waveform was kept is integrated anew; of the others the stored integrals
are taken, and the statement says of how many. The rows must agree to `AGREEMENT`. Periphery is a
tariff, a price that somebody stated: a line of its own that is added to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from labctl.bench import BenchFile, tariff_of
from labctl.config import build
from labctl.console import Page, Table
from labctl.energy import KINDS, SINKS, Entry, Ledger, Tariff
from labctl.errors import BadRun
from labctl.journal import Journal, recompute
from labctl.pulse import Purpose
from labctl.quantity import format_quantity
from labctl.spec import Spec

AGREEMENT = 1e-9
"""Most by which a row may differ, relative to its own delivered joules and seconds."""


@dataclass(frozen=True)
class Statement:
    """A bill and what it is worth."""

    run: str
    spec: Spec
    ledger: Ledger
    """From waveforms where they were kept."""
    difference: float
    """Relative; the largest of all rows, against what was booked and what the last note says."""
    tariff: Tariff
    dropped: int
    """Measured pulses whose waveform was not kept."""
    unknown: int
    """Pulses of unknown outcome: driven or not, nothing is booked for them."""

    @property
    def agrees(self) -> bool:
        """True where it is what was booked; a NaN agrees with nothing."""
        return self.difference <= AGREEMENT

    @property
    def estimated(self) -> int:
        """Pulses whose energy the board could only estimate."""
        return self.ledger.total(estimated=True).pulses


def statement(journal: Journal) -> Statement:
    """The bill of this run. Raises `BadRun` where the journal cannot be read."""
    ledger, counts = recompute(journal), journal.counts()
    against = [difference(ledger, _booked(journal))]
    against += [_apart(ledger.total(), entry) for entry in _noted(journal)]
    return Statement(
        run=journal.folder.name,
        spec=journal.spec,
        ledger=ledger,
        difference=float(np.max(against)),
        tariff=_tariff(journal),
        dropped=counts["dropped"],
        unknown=counts["intended"] - counts["measured"] - counts["not driven"],
    )


def difference(one: Ledger, other: Ledger) -> float:
    """Relative, the largest of all rows; infinite where one has rows or pulses that the other lacks."""
    left, right = _rows(one), _rows(other)
    if left.keys() != right.keys():
        return np.inf
    return float(np.max([0.0, *(_apart(left[key], right[key]) for key in left)]))


def _apart(one: Entry, other: Entry) -> float:
    if one.pulses != other.pulses:
        return np.inf
    return float(np.max([_relative(one.joules, other.joules), _relative(one.seconds, other.seconds)]))


def _relative(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Relative to the largest of a row's figures: `device` is a difference of two others."""
    scale = np.max(np.abs(other))
    apart = np.max(np.abs(one - other))
    return float(apart / scale) if scale else (np.inf if apart else 0.0)


def _rows(ledger: Ledger) -> dict[tuple[Purpose, int | None, bool], Entry]:
    return {(purpose, site, estimated): entry for purpose, site, estimated, entry in ledger.rows()}


def _booked(journal: Journal) -> Ledger:
    ledger = Ledger()
    for entry in journal.entries():
        if entry.charge is not None:
            ledger.charge([entry.charge])
    return ledger


def _noted(journal: Journal) -> Iterator[Entry]:
    """What the run itself said that it had cost, when it had come to its end."""
    for note in journal.notes():
        body = note.body.get("bill") if note.kind == "result" else None
        try:
            if body is not None:
                joules = np.array(body["joules"], float).reshape(len(SINKS))
                seconds = np.array(body["seconds"], float).reshape(len(KINDS))
                yield Entry(int(body["pulses"]), joules, seconds)
        except (KeyError, TypeError, ValueError) as error:
            raise BadRun(f"{journal.folder} has a last note that is no bill: {error!r}") from error


def _tariff(journal: Journal) -> Tariff:
    if "bench" not in journal.meta:
        return Tariff()
    try:
        return tariff_of(build(journal.meta["bench"], BenchFile, f"{journal.folder}: the bench"))
    except AttributeError as error:  # not a table at all
        raise BadRun(f"{journal.folder} does not say which bench it ran on") from error


# ---- as a page ------------------------------------------------------------------------------


def page(bill: Statement) -> Page:
    """The whole bill, for `labctl bill`."""
    parts: list[str | Table] = [f"{bill.run}: joules by purpose", by_purpose(bill.ledger), ""]
    parts += ["by site (several: sites that saw the same voltage)", _by_site(bill.spec, bill.ledger), ""]
    parts += [*seconds_by_kind(bill.ledger), *_worth(bill)]
    return Page(data(bill), parts)


def data(bill: Statement) -> dict[str, Any]:
    """The bill for a program."""
    rows = [
        {
            "purpose": purpose.value,
            "site": None if site is None else bill.spec.label(site),
            "estimated": estimated,
            **_figures(entry),
        }
        for purpose, site, estimated, entry in bill.ledger.rows()
    ]
    periphery = {"tariff": bill.tariff.name, "joules": bill.ledger.periphery(bill.tariff)}
    return {
        "run": bill.run,
        "total": _figures(bill.ledger.total()),
        "rows": rows,
        "periphery": periphery,
        "estimated_pulses": bill.estimated,
        "dropped_waveforms": bill.dropped,
        "unknown_pulses": bill.unknown,
        "difference": bill.difference,
        "agrees": bill.agrees,
    }


def by_purpose(ledger: Ledger) -> Table:
    """One row a purpose, the estimated ones apart, and the total of what was measured and estimated."""
    kinds = dict.fromkeys((purpose, estimated) for purpose, _, estimated, _ in ledger.rows())
    rows = [
        _row(
            f"{purpose} (estimated)" if estimated else purpose,
            ledger.total(purpose=purpose, estimated=estimated),
        )
        for purpose, estimated in kinds
    ]
    return Table(("purpose", "pulses", *SINKS, "time"), [*rows, _row("total", ledger.total())])


def seconds_by_kind(ledger: Ledger) -> Iterator[str]:
    """One line: the bench's time, taken apart."""
    seconds = ledger.total().seconds
    kinds = ", ".join(
        f"{kind} {format_quantity(float(one), 's', 4)}" for kind, one in zip(KINDS, seconds, strict=True)
    )
    yield f"bench time {format_quantity(float(seconds.sum()), 's', 4)}: {kinds}"


def _by_site(spec: Spec, ledger: Ledger) -> Table:
    sites = sorted({-1 if site is None else site for _, site, _, _ in ledger.rows()})
    rows: list[tuple[str, ...]] = []
    for site in sites:
        own = [entry for _, its, _, entry in ledger.rows() if its == (None if site < 0 else site)]
        total = Entry(sum(entry.pulses for entry in own))
        for entry in own:
            total.joules += entry.joules
            total.seconds += entry.seconds
        rows.append(_row("several" if site < 0 else spec.label(site), total))
    return Table(("site", "pulses", *SINKS, "time"), rows)


def _row(name: str, entry: Entry) -> tuple[str, ...]:
    joules = (format_quantity(float(one), "J", 4) for one in entry.joules)
    return (name, str(entry.pulses), *joules, format_quantity(float(entry.seconds.sum()), "s", 4))


def _worth(bill: Statement) -> Iterator[str]:
    """What is apart from the joules that were measured, and whether the books agree."""
    yield _periphery(bill)
    if bill.estimated:
        yield f"{bill.estimated} pulses are estimated: the board senses too little to measure them"
    if bill.dropped:
        yield f"{bill.dropped} waveforms were dropped: of these pulses the stored integrals are taken"
    if bill.unknown:
        yield f"{bill.unknown} pulses have an unknown outcome and are not in the bill"
    if bill.agrees:
        yield f"agrees with what was booked (largest difference {bill.difference:.1e})"
    else:
        yield f"DOES NOT AGREE with what was booked: a row differs by {bill.difference:.3g} of itself"


def _periphery(bill: Statement) -> str:
    if bill.tariff == Tariff():
        return "periphery: the bench states no tariff"
    watts, each = format_quantity(bill.tariff.watts, "W"), format_quantity(bill.tariff.joules_per_pulse, "J")
    joules = format_quantity(bill.ledger.periphery(bill.tariff), "J")
    return f'periphery, not in the above: {joules} at tariff "{bill.tariff.name}" ({watts}, {each} a pulse)'


def _figures(entry: Entry) -> dict[str, Any]:
    return {
        "pulses": entry.pulses,
        "joules": dict(zip(SINKS, entry.joules.tolist(), strict=True)),
        "seconds": dict(zip(KINDS, entry.seconds.tolist(), strict=True)),
    }
