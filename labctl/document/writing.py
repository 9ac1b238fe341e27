"""The files of a report: one HTML file, the pictures that are in it, and for a study its numbers as JSON.

They go into the folder of the run or study itself, each written whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labctl.aware.record import AwareRecord
from labctl.console import finite
from labctl.document.aware import aware_document, drawn
from labctl.document.cited import Found, shown
from labctl.document.run import run_document
from labctl.document.study import study_document
from labctl.document.told import Drawing, Told
from labctl.errors import BadRun
from labctl.journal import Journal
from labctl.pages.aware import aware_page
from labctl.report import pictures, study_bill, study_pictures
from labctl.report.study_chart import Chart
from labctl.report.style import house_style, save

REPORT = "report.html"
ANSWERS = "answers.json"
LINES = "line: median · band: middle half of the chips · bar: 95 % interval of the median"
ROWS = "mark: median · band: middle half of the chips · bar: 95 % interval of the median"


@dataclass(frozen=True)
class Written:
    """What was written."""

    report: Path
    pictures: tuple[Path, ...]
    answers: Path | None = None


def write_run(journal: Journal) -> Written:
    """The report of a training run or of a characterization; raises `BadRun` where it cannot be."""
    drawn = tuple(pictures.draw(journal))
    return Written(_written(journal.folder / REPORT, run_document(journal, drawn)), drawn)


def write_study(told: Told) -> Written:
    """The report of a study, as far as it has come."""
    folder = told.record.folder
    drawings = draw_study(told)
    answers = _written(folder / ANSWERS, numbers(told))
    report = _written(folder / REPORT, study_document(told, drawings))
    return Written(report, tuple(one.path for one in drawings), answers)


def write_aware(record: AwareRecord) -> Written:
    """The report of networks trained for a crossbar, as far as they have come."""
    try:
        pictures = drawn(record)
    except OSError as error:
        raise _unwritable(record.folder, error) from error
    report = _written(record.folder / REPORT, aware_document(record, pictures))
    answers = _written(record.folder / ANSWERS, _json(aware_page(record).data))
    return Written(report, tuple(one.path for one in pictures), answers)


def _written(path: Path, content: str) -> Path:
    part = path.with_name(f"{path.name}.part")
    try:
        try:
            part.unlink(missing_ok=True)  # a link there would lead elsewhere
            part.write_text(content, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    return path


def _unwritable(folder: Path, error: OSError) -> BadRun:
    return BadRun(
        f"a report cannot be written to {folder}: {error.strerror or error}",
        todo="give yourself permission to write there, free some space, or copy the folder",
    )


# ---- pictures of a study ---------------------------------------------------------------------


def draw_study(told: Told) -> list[Drawing]:
    """All pictures of a study, into its folder."""
    with house_style():
        try:
            return list(_drawn(told))
        except OSError as error:
            raise _unwritable(told.record.folder, error) from error


def _drawn(told: Told) -> Iterator[Drawing]:
    folder = told.record.folder
    origin = f"study {folder.name} · {told.record.fingerprint()}"
    for chart in study_pictures.charts(told.study, told.answers):
        small = f"{LINES if chart.numeric else ROWS} · {origin}"
        path = save(study_pictures.picture(chart, small), folder / f"{chart.name}.png")
        yield Drawing(path, alt_of(chart), chart.question.name, chart.metric)
    if told.base in told.costs:
        name = told.name_of(told.base)
        made = study_bill.picture(told.costs[told.base], name, origin)
        yield Drawing(
            save(made, folder / "bill.png"), f"What a chip costs ({name}): the table below says it."
        )


def alt_of(chart: Chart) -> str:
    """What a picture shows, for who cannot see it: every median."""
    series = [
        f"{name + ': ' if name else ''}"
        + ", ".join(f"{one.x} {shown(chart.metric, one.median.value)}" for one in points)
        for name, points in chart.series.items()
    ]
    return f"{chart.metric} against {chart.question.vary.name}, medians. {'; '.join(series)}."


# ---- numbers ---------------------------------------------------------------------------------


def numbers(told: Told) -> str:
    """All answers as JSON, for other programs."""
    record, (done, total) = told.record, told.record.counts()
    data: dict[str, Any] = {
        "study": told.study.file.name,
        "folder": record.folder.name,
        "title": told.study.file.title,
        "chips": done,
        "of": total,
        "fingerprint": record.fingerprint(),
        "labctl": record.meta.get("packages", {}).get("labctl"),
        "commit": record.meta.get("commit"),
        "headlines": _cited(told.headlines),
        "claims": _cited([found for _, found in told.claims]),
        "answers": [asdict(one) for one in told.answers],
    }
    return _json(data)


def _json(data: Any) -> str:
    return json.dumps(finite(data), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _cited(found: Sequence[Found]) -> list[dict[str, Any]]:
    return [{**one.cited.model_dump(mode="json"), "found": one.told, "change": one.change} for one in found]
