"""The tables of a characterization as CSV files in its run folder, one for each step of each site.

Comment lines (`#`) say where the numbers come from: run, bench, board, site, settings, and the
figures that the table comes to. Then a header with units, then the rows; decimal points, SI units,
numbers that read back as the same float, `nan` for what could not be known. Programs that read CSV
skip such comments when they are told to; numpy's `genfromtxt` would take names from the first of them.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from labctl.characterization_record import Part, parts_of, protocol_in
from labctl.characterize.procedure import AnyProcedure, Column
from labctl.characterize.protocol import Protocol
from labctl.config import dump
from labctl.errors import BadRun
from labctl.journal import Journal
from labctl.quantity import printable


def write_tables(journal: Journal) -> list[Path]:
    """Write the table of every step that has rows; returns the files. Raises `BadRun` where it cannot."""
    protocol = protocol_in(journal)
    procedures = {step.name: step.procedure for step in protocol.steps}
    written = list[Path]()
    for part in parts_of(journal).values():
        if part.rows and part.step in procedures:
            procedure, path = procedures[part.step], journal.folder / table_name(journal, part)
            written.append(_written(path, table(journal, protocol, procedure, part)))
            if text := procedure.text(journal.spec, part.figures or {}):
                written.append(_written(path.with_suffix(".toml"), text))
    return written


def _written(path: Path, text: str) -> Path:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadRun(f"{path} cannot be written: {error.strerror or error}") from error
    return path


def table_name(journal: Journal, part: Part) -> str:
    """`iv-A1.csv`: a site whose label makes no file name, or that of another site too, gives its number."""
    names = [_safe(journal.spec.label(site)) for site in range(len(journal.spec.sites))]
    own = names[part.site]
    return f"{part.step}-{own if names.count(own) == 1 else part.site}.csv"


def _safe(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-")


def table(journal: Journal, protocol: Protocol, procedure: AnyProcedure, part: Part) -> str:
    """The text of one table."""
    text = io.StringIO()
    text.writelines(f"# {printable(line)}\n" for line in _provenance(journal, protocol, procedure, part))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_header, procedure.columns))
    for row in part.rows:
        writer.writerow(row.get(column.name, "nan") for column in procedure.columns)
    return text.getvalue()


def _provenance(journal: Journal, protocol: Protocol, procedure: AnyProcedure, part: Part) -> Iterator[str]:
    spec, meta = journal.spec, journal.meta
    yield f"{procedure.title} ({procedure.name})"
    yield f"run: {journal.folder.name}, begun {meta.get('created', '?')}, protocol {protocol.name}"
    yield f"bench: {meta.get('bench_source', '?')} ({spec.name})"
    yield f"site: {spec.label(part.site)} (number {part.site}, {spec.sites[part.site].dopant})"
    yield f"settings: {json.dumps(dump(procedure.settings))}"
    yield from _figures(procedure.figures, part)


def _figures(columns: Sequence[Column], part: Part) -> Iterator[str]:
    if part.figures is None:
        yield "not finished"
        return
    units = {column.name: column.unit for column in columns}
    for name, value in part.figures.items():
        unit = units.get(name, "")
        yield f"{name}: {value}{f' {unit}' if unit not in ('', '1') else ''}"


def _header(column: Column) -> str:
    return column.name if column.unit in ("", "1") else f"{column.name} [{column.unit}]"
