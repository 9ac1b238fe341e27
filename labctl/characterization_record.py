"""A characterization as it was asked for, and as its run folder keeps it.

A run keeps the protocol with its settings, the sites and the bench as they were when it began. Its
notes keep where each step began (`step`, with the number of pulses before it), its rows as they
became known (`rows`), how it ended with its figures (`ended`), and at last the bill (`result`). So
everything can be read back from the journal alone: what a run that died has still to do, the
tables, and which stored waveforms belong to which step of which site.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labctl.bench import Bench
from labctl.characterize import protocol_of
from labctl.characterize.dose import Dose, at_worst, measured
from labctl.characterize.procedure import Figures, Row
from labctl.characterize.protocol import Before, Key, Protocol
from labctl.config import dump
from labctl.energy import Ledger
from labctl.errors import BadRun, Refused
from labctl.journal import Journal, Outcome, Stored
from labctl.running import about_bench, bench_of, booked
from labctl.spec import Spec
from labctl.tables import reading

META = "characterization"
"""Key of the run's meta data that tells a characterization from a training session."""


@dataclass(frozen=True)
class Characterization:
    """What is to be measured, where: read and checked; nothing is open yet."""

    protocol: Protocol
    sites: tuple[int, ...]
    bench: Bench


def sites_of(spec: Spec, names: Sequence[str]) -> tuple[int, ...]:
    """The sites of these labels or numbers, each once; without a name, the first of the board."""
    labels = {spec.label(site): site for site in range(len(spec.sites))}
    found = dict[int, None]()
    for name in names or ["0"]:
        number = int(name) if name.isascii() and name.isdigit() else -1
        site = labels.get(name, number)
        if not 0 <= site < len(spec.sites):
            some = ", ".join(list(labels)[:8]) + (", …" if len(labels) > 8 else "")
            raise Refused(
                f"{spec.name} has no site {name[:40]!r}",
                allowed=f"one of {some}, or a number from 0 to {len(spec.sites) - 1}",
            )
        found[site] = None
    return tuple(found)


# ---- what a run keeps, as JSON ----------------------------------------------------------------


def about(what: Characterization) -> dict[str, Any]:
    """For the journal: all that the run needs to go on, whatever becomes of files."""
    protocol = {"procedure": what.protocol.name, "settings": dump(what.protocol.settings)}
    return {META: {**protocol, "sites": list(what.sites)}, **about_bench(what.bench)}


def is_characterization(journal: Journal) -> bool:
    """Whether it is the run of a characterization."""
    return META in journal.meta


def protocol_in(journal: Journal) -> Protocol:
    """What a run measures; the bench's class need not be there for it."""
    with reading(journal.folder):
        told = journal.meta[META]
        return protocol_of(told["procedure"], told["settings"], f"{journal.folder}: the settings")


def sites_in(journal: Journal) -> tuple[int, ...]:
    """Which sites a run measures."""
    with reading(journal.folder):
        sites = tuple(int(site) for site in journal.meta[META]["sites"])
        if not all(0 <= site < len(journal.spec.sites) for site in sites):
            raise ValueError(f"sites {sites} on a board of {len(journal.spec.sites)}")
        return sites


def characterization_of(journal: Journal) -> Characterization:
    """What a run was begun with."""
    if not is_characterization(journal):
        raise BadRun(f"{journal.folder} is not the run of a characterization")
    return Characterization(protocol_in(journal), sites_in(journal), bench_of(journal))


def rows_note(step: str, site: int, rows: Sequence[Row]) -> dict[str, Any]:
    """New rows of a table, for a note."""
    return {"step": step, "site": site, "rows": [_plain(row) for row in rows]}


def ended_note(step: str, site: int, figures: Figures) -> dict[str, Any]:
    """The figures of a step that is over, for a note."""
    return {"step": step, "site": site, "figures": _plain(figures)}


def result_note(ledger: Ledger) -> dict[str, Any]:
    """The last note of a run."""
    return {"bill": booked(ledger)}


def _plain(row: Mapping[str, float | str]) -> dict[str, float | str | None]:
    """JSON has no NaN: null."""
    return {
        name: value if isinstance(value, str) else (None if math.isnan(value) else float(value))
        for name, value in row.items()
    }


# ---- and back ---------------------------------------------------------------------------------


@dataclass
class Part:
    """One step on one site, as far as it has come."""

    step: str
    site: int
    rows: list[Row] = field(default_factory=list[Row])
    figures: Figures | None = None
    """None until it has ended."""


def parts_of(journal: Journal) -> dict[Key, Part]:
    """All steps that a run has begun or left out, in that order."""
    parts = dict[Key, Part]()
    with reading(journal.folder):
        for note in journal.notes():
            if note.kind in ("step", "rows", "ended"):
                key = str(note.body["step"]), int(note.body["site"])
                part = parts.setdefault(key, Part(*key))
                part.rows += map(_row, note.body.get("rows", ()))
                if note.kind == "ended":
                    part.figures = _row(note.body["figures"])
    return parts


def _row(found: Any) -> Row:
    return {
        str(name): math.nan if value is None else value if isinstance(value, str) else float(value)
        for name, value in found.items()
    }


def entries_of(journal: Journal) -> Iterator[tuple[Key, Stored]]:
    """Every pulse of a run with the step and site that it belongs to, in their order."""
    with reading(journal.folder):
        marks = [
            (int(note.body["after"]), (str(note.body["step"]), int(note.body["site"])))
            for note in journal.notes()
            if note.kind == "step"
        ]
    ends = [*marks[1:], (math.inf, ("", 0))]
    spans = iter([(key, until) for (_, key), (until, _) in zip(marks, ends, strict=True)])
    key, until = next(spans, (("", 0), math.inf))
    for entry in journal.entries():
        while entry.id > until:
            key, until = next(spans)
        yield key, entry


def before_of(journal: Journal) -> Before:
    """What a run has behind it: rows, steps that are over, and what each has given its device."""
    parts, doses = parts_of(journal), dict[Key, Dose]()
    for key, entry in entries_of(journal):
        doses[key] = doses.get(key, Dose()) + _dose(journal.spec, entry)
    return Before(
        {key: part.rows for key, part in parts.items()},
        {key: part.figures for key, part in parts.items() if part.figures is not None},
        doses,
    )


def _dose(spec: Spec, entry: Stored) -> Dose:
    """Of one pulse; one of unknown outcome counts as if it had been driven, at worst."""
    if entry.outcome is Outcome.NOT_DRIVEN:
        return Dose()
    return at_worst(spec, [entry.pulse]) if entry.charge is None else measured([entry.pulse], [entry.charge])
