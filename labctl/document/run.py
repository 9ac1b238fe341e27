"""The report of one run: what became of it, site by site, what it cost, and how to do it again."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from labctl.characterization_record import META, is_characterization
from labctl.console import Page, Table
from labctl.document import commands, provenance
from labctl.document.html import (
    Markup,
    code,
    command,
    heading,
    listed,
    micro,
    page,
    paragraph,
    picture,
    table,
    tag,
)
from labctl.errors import BadRun
from labctl.journal import Journal
from labctl.pages import bill as statement
from labctl.pages.characterization import characterized_parts
from labctl.pages.run import bench_of, run_page, state_of
from labctl.pages.run import heading as subject
from labctl.quantity import format_quantity
from labctl.report.history import history
from labctl.report.summary import Summary, summary

ALTS = {
    "conductances": "Maps of the conductances before, as they were to be and after, and of their errors.",
    "paths": "The conductance of each synapse, pulse by pulse, on its way to the target.",
    "bill": "Energy by purpose and sink, bench time by kind, energy by site.",
    "answers": "The answer of the output neuron to each pattern.",
}
"""What the pictures of a training run show; the tables of the page say it in numbers."""


def run_document(journal: Journal, drawn: Sequence[Path]) -> str:
    """The whole page; raises `BadRun` where the journal makes no sense."""
    body = [
        heading(1, subject(journal)),
        *_state(journal),
        *_found(journal),
        *_pictures(drawn),
        *_bill(journal),
        *_provenance(journal),
    ]
    return page(f"{journal.folder.name} – report", *body)


def _state(journal: Journal) -> Iterator[Markup]:
    notes = journal.notes()
    state = state_of(notes)
    pulses = journal.counts()["measured"]
    bench, kind = bench_of(journal)
    yield paragraph(
        f"Run {journal.folder.name}, on bench {bench} ({kind}): {state}, {pulses} pulses.", kind="lead"
    )
    if state != "finished":
        yield paragraph("What follows is what there is so far.", kind="alarm")


# ---- what was found --------------------------------------------------------------------------


def _found(journal: Journal) -> Iterator[Markup]:
    yield heading(2, "What was found", "found")
    if is_characterization(journal):
        yield from parts(characterized_parts(journal))
        return
    told = run_page(journal).data
    if "right" in told:
        yield table(("", ""), _figures(told), "pair")
    seen = summary(journal)
    if seen.goal is not None:
        yield heading(3, "Sites")
        yield table(("site", "target", "is", "off by", "pulses", "ended"), _sites(journal, seen))
    else:
        yield paragraph("There are no targets yet.")


def _figures(told: Any) -> list[tuple[str, str]]:
    tolerance, learning = format_quantity(told["tolerance"], "%"), provenance.tables(told.get("learning"))
    rows = [("patterns right", f"{told['right']} of {told['patterns']}, {told['neurons']}")]
    if told["synapses"]:
        rows += [
            (f"synapses within {tolerance} of target", f"{told['within_tolerance']} of {told['synapses']}"),
            ("synapses within 5 % of target", f"{told['within_5_percent']} of {told['synapses']}"),
        ]
    return rows + [(f"learning: {key.replace('_', ' ')}", str(value)) for key, value in learning.items()]


def _sites(journal: Journal, seen: Summary) -> Iterator[tuple[str, ...]]:
    """A row for each synapse, in the order of the network."""
    goal, paths = seen.goal, history(journal)
    if goal is None:
        return
    present = paths.present(len(seen.labels)) if seen.final is None else seen.final
    errors = goal.errors(present)
    for site in goal.synapses():
        path = paths.paths.get(site)
        yield (
            seen.labels[site],
            _known(float(goal.targets[site])),
            _known(float(present[site])),
            f"{100 * errors[site]:+.2f} %" if math.isfinite(errors[site]) else "–",
            str(path.total if path else 0),
            str(seen.endings.get(site, "–")),
        )


def _known(siemens: float) -> str:
    return micro(format_quantity(siemens, "S", 4)) if math.isfinite(siemens) else "–"


def parts(told: Iterator[str | Table]) -> Iterator[Markup]:
    """The answer of a command: lines before a table are its heading."""
    for part in told:
        if isinstance(part, Table):
            yield listed(part)
        elif part:
            yield paragraph(micro(part))


# ---- pictures, bill, provenance --------------------------------------------------------------


def _pictures(drawn: Sequence[Path]) -> Iterator[Markup]:
    if drawn:
        yield heading(2, "Pictures", "pictures")
        made = [picture(path, _alt(path), tag("code", path.name)) for path in drawn]
        yield tag("div", *made, class_="pictures")


def _alt(path: Path) -> str:
    return ALTS.get(path.stem, f"Picture of the step and site {path.stem}: the tables above say it.")


def _bill(journal: Journal) -> Iterator[Markup]:
    yield heading(2, "The bill", "bill")
    answer: Page = statement.page(statement.statement(journal))
    yield from parts(iter(answer.parts))


def _provenance(journal: Journal) -> Iterator[Markup]:
    meta = journal.meta
    yield heading(2, "Provenance", "provenance")
    rows = [*provenance.circumstances(meta), ("bench file", str(meta.get("bench_source", "not told")))]
    yield table(("", ""), rows, "pair")
    yield paragraph(_again_how(journal))
    yield command(_again(journal))
    yield paragraph("This page, and the bill from the stored waveforms:")
    yield code(f"{commands.report(journal.folder)}\n{commands.bill(journal.folder)}")
    for title, key in (("The experiment", "experiment"), ("What is measured", META), ("The bench", "bench")):
        if key in meta:
            yield provenance.frozen(title, meta[key])
    if "images" in meta:
        yield provenance.frozen("The images", meta["images"])


def _again_how(journal: Journal) -> str:
    if is_characterization(journal):
        return "Made again by this command, with the settings below where they are not the defaults:"
    return "Made again by this command, where the file holds the experiment below:"


def _again(journal: Journal) -> str:
    meta = journal.meta
    bench = str(meta.get("bench_source", "BENCH"))
    try:
        if is_characterization(journal):
            sites = [f"--site={journal.spec.label(int(site))}" for site in meta[META]["sites"]]
            return shlex.join(["labctl", "characterize", str(meta[META]["procedure"]), bench, *sites])
        name = str(provenance.tables(meta.get("experiment")).get("name", "EXPERIMENT"))
        return shlex.join(["labctl", "train", f"{name}.toml", "--bench", bench])
    except (LookupError, TypeError, ValueError) as error:
        raise BadRun(f"{journal.folder} does not say what it measures: {error!r}") from error
