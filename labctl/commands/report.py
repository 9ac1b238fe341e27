"""`labctl report`: what became of a run or a study, as one HTML file with its pictures inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl import console
from labctl.commands.options import RUNS, Json, Runs, place
from labctl.console import Exit
from labctl.errors import BadRun, Refused

if TYPE_CHECKING:
    from labctl.console import Page
    from labctl.document.writing import Written

Subject = Annotated[
    str, typer.Argument(metavar="RUN-OR-STUDY", help="The name of a run or study, or the path of its folder.")
]
Into = Annotated[
    Path | None, typer.Option("--into", metavar="PAGE", help="Also put a study's figures into this page.")
]


def report(subject: Subject, into: Into = None, runs: Runs = RUNS, as_json: Json = False) -> int:
    """Write what became of a run or study into one HTML file, with pictures, bill and provenance."""
    from labctl.aware.record import is_aware
    from labctl.study.record import is_study

    base, name = place(subject, runs)
    if is_study(base, name):
        return _study(base, name, into, as_json)
    if into is not None:
        raise Refused(
            f"--into with {name}, which is no study", allowed="a study, whose figures go into a page"
        )
    return (_aware if is_aware(base, name) else _run)(base, name, as_json)


def _aware(base: Path, name: str, as_json: bool) -> int:
    from labctl.aware.record import AwareRecord
    from labctl.document.writing import write_aware

    with AwareRecord.open(base, name) as record, record.guarded():
        written, done = write_aware(record), sum(record.counts())
    console.show(_page(name, written), as_json)
    return Exit.DONE if done else Exit.NO


def _run(base: Path, name: str, as_json: bool) -> int:
    from labctl.document.writing import write_run
    from labctl.journal import Journal

    with Journal.open(base, name) as journal:
        console.show(_page(name, write_run(journal)), as_json)
    return Exit.DONE


def _study(base: Path, name: str, into: Path | None, as_json: bool) -> int:
    from labctl.document.readme import section, write_into
    from labctl.document.told import Told
    from labctl.document.writing import write_study
    from labctl.study.record import StudyRecord

    with StudyRecord.open(base, name) as record, record.guarded():
        told = Told(record)
        page, done = _page(name, write_study(told)), record.counts()[0]
        called, figures = told.study.file.name, section(told)
    if into is not None:
        if not done:
            raise BadRun(f"{name} has no figures for {into}: no chip is done", todo=f"`labctl resume {name}`")
        page = _with_page(page, into, write_into(into, called, figures))
    console.show(page, as_json)
    return Exit.DONE if done else Exit.NO


def _page(name: str, written: Written) -> Page:
    data: dict[str, Any] = {
        "of": name,
        "report": str(written.report),
        "pictures": [str(path) for path in written.pictures],
        "answers": str(written.answers) if written.answers else None,
    }
    pictures = ", ".join(path.name for path in written.pictures) or "none: nothing is there to be drawn yet"
    parts = [f"report   {written.report}", f"pictures {pictures}"]
    if written.answers:
        parts.append(f"answers  {written.answers}")
    return console.Page(data, parts)


def _with_page(page: Page, into: Path, changed: bool) -> Page:
    told = f"page     {into}: {'rewritten' if changed else 'says so already'}"
    return console.Page({**page.data, "into": str(into), "rewritten": changed}, [*page.parts, told])
