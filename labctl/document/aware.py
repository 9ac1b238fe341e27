"""The report of networks trained for a crossbar: pictures, their table, and where it all comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from labctl.aware.answers import answers, headlines, kinds_of
from labctl.aware.record import AwareRecord
from labctl.document import commands, provenance
from labctl.document.html import Markup, command, heading, listed, page, paragraph, picture, table, tag
from labctl.pages.aware import accuracy_tables, asked_of, headline_lines, is_finished, network_tables
from labctl.report import aware_pictures
from labctl.report.aware_chart import charts
from labctl.report.style import house_style, save

SMALL_PRINT = "point: mean over networks · bar: 95 % interval (Student, over networks)"


class Drawn(NamedTuple):
    """A picture of a sweep."""

    path: Path
    alt: str


def drawn(record: AwareRecord) -> list[Drawn]:
    """Every picture that its rows give, into its folder; a training has none. Raises what the disk says."""
    found = answers(record)
    ideal = headlines(record, found).ideal
    small = f"{SMALL_PRINT} · {record.what} {record.folder.name} · {record.fingerprint()}"
    with house_style():
        return [
            Drawn(
                save(aware_pictures.picture(chart, ideal, small), record.folder / f"{chart.name}.png"),
                aware_pictures.alt_of(chart),
            )
            for chart in charts(found)
        ]


def aware_document(record: AwareRecord, pictures: Sequence[Drawn]) -> str:
    """The whole page."""
    body = [*_head(record), *_found(record, pictures), *_provenance(record)]
    return page(f"{record.file.name} – {record.folder.name}", *body)


def _head(record: AwareRecord) -> Iterator[Markup]:
    (networks, chips), (trained, tried) = asked_of(record), record.counts()
    yield heading(1, f"{record.file.name}: networks trained for a crossbar")
    yield paragraph(
        f"{record.what.capitalize()} {record.folder.name}: {trained} of {networks} networks,"
        f" {tried} of {chips} chips; fingerprint {record.fingerprint()}. All of it is simulated.",
        kind="lead",
    )
    if not is_finished(record):
        yield paragraph("Not finished.", kind="alarm")
        yield command(commands.resume_in(record.folder))


def _found(record: AwareRecord, pictures: Sequence[Drawn]) -> Iterator[Markup]:
    found = answers(record)
    if sentences := headline_lines(record, found):
        yield heading(2, "In short", "headlines")
        yield tag("ul", *(tag("li", sentence) for sentence in sentences))
    shown = (picture(one.path, one.alt, tag("code", one.path.name)) for one in pictures)
    yield tag("div", *shown, class_="pictures")
    yield heading(2, "Accuracy", "accuracy")
    yield paragraph(
        "Chips of one network are not independent, so an interval is Student's 95 % interval over networks of"
        " the mean over the chips of each. “Before” is the training that all networks of a seed begin with.",
        kind="note",
    )
    yield from map(listed, [*network_tables(record), *accuracy_tables(found, kinds_of(record))])


def _provenance(record: AwareRecord) -> Iterator[Markup]:
    rows = [
        *provenance.circumstances(record.meta),
        ("file", str(record.meta["source"])),
        ("pictures", f"{record.meta['data']}: digest of all of them, in training and in test"),
        provenance.fingerprint(record),
        (
            "seeds",
            f"networks from seed {record.file.training.seed} on; chip n is the same for all networks",
        ),
    ]
    yield heading(2, "Provenance", "provenance")
    yield table(("", ""), rows, "pair")
    spells = [(when, str(steps), f"{seconds:.1f}") for when, steps, seconds in record.spells()]
    yield from provenance.spells(("until", "epochs and chips", "seconds"), spells)
    yield provenance.frozen("The file", record.meta["file"])
