"""What the commands answer about studies, from their record alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from labctl.console import Page, Table
from labctl.pages.commands import command
from labctl.quantity import format_quantity
from labctl.study.answers import Answer, answers
from labctl.study.conditions import Study
from labctl.study.file import UNITS
from labctl.study.record import StudyRecord


def outline_page(study: Study) -> Page:
    """What a study would do."""
    total = sum(condition.chips for condition in study.conditions.values())
    rows = [
        (
            asked.question.name,
            asked.question.title,
            str(len({place.condition for place in asked.places})),
            str(sum(study.conditions[key].chips for key in {place.condition for place in asked.places})),
        )
        for asked in study.asked
    ]
    data = {
        "study": study.file.name,
        "questions": [dict(zip(("name", "title", "conditions", "chips"), row, strict=True)) for row in rows],
        "conditions": len(study.conditions),
        "chips": total,
    }
    table = Table(("question", "", "conditions", "chips"), rows)
    shared = (
        f"{len(study.conditions)} conditions, {total} chips: conditions that questions share are done once"
    )
    return Page(data, [f"{study.file.name}: {study.file.title}", table, shared])


def study_page(record: StudyRecord, seconds: float | None = None) -> Page:
    """What came of a study so far."""
    (done, total), found = record.counts(), answers(record)
    file = record.file
    data: dict[str, Any] = {
        "study": record.folder.name,
        "folder": str(record.folder),
        "title": file.title,
        "chips": done,
        "of": total,
        "fingerprint": record.fingerprint(),
        "answers": [asdict(answer) for answer in found],
    }
    parts: list[str | Table] = [f"{record.folder.name}: {file.title}"]
    for question in file.question:
        mine = [answer for answer in found if answer.question == question.name]
        for name in question.shows:
            parts += ["", question.title, *table_of(mine, name)]
    pace = f" in {seconds:.1f} s" if seconds is not None else ""
    parts += ["", f"{done} of {total} chips{pace}; fingerprint {data['fingerprint']}"]
    parts.append(f"{command(record.folder, 'report')} draws it" if done else "nothing is done yet")
    return Page(data, parts)


def table_of(found: Sequence[Answer], name: str) -> Iterator[Table]:
    """One figure of one question: a row for each place, series beside each other."""
    mine = [answer for answer in found if answer.metric == name]
    series = list(dict.fromkeys(answer.series for answer in mine))
    if not mine:
        return
    rows = list[tuple[str, ...]]()
    for x in dict.fromkeys(answer.x for answer in mine):
        cells = {answer.series: told(answer) for answer in mine if answer.x == x}
        rows.append((x, *(cells.get(one, "") for one in series)))
    yield Table((name, *series), rows)


def told(answer: Answer) -> str:
    """Median and quartiles of an answer: "99.3 % (98.7 to 100 %)"."""
    median, low, high = (value_of(answer.metric, one) for one in (answer.median.value, *answer.quartiles))
    failed = f", {answer.failed} failed" if answer.failed else ""
    return f"{median} ({low} to {high}{failed})"


def value_of(name: str, value: float) -> str:
    """A number of a figure with its unit; a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    if name.startswith("accuracy"):
        return f"{100 * value:.2f} %"
    unit = UNITS.get(name)
    return format_quantity(value, unit, 3) if unit else f"{value:.4g}"
