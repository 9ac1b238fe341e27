"""A question in the report of a study: its pictures, the command that makes them again, its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from labctl.document import commands
from labctl.document.cited import interval_of, range_of, shown, value
from labctl.document.html import Markup, command, folded, heading, micro, paragraph, picture, table, tag
from labctl.document.told import Drawing, Told
from labctl.energy import KINDS, SINKS
from labctl.quantity import format_quantity
from labctl.study.answers import Answer
from labctl.study.conditions import Asked
from labctl.study.costs import Cost

MOST_OPEN = 8
"""Rows up to which a table of numbers is not folded."""
BILL = ("purpose", "pulses", *SINKS, *(f"{kind} time" for kind in KINDS))
"""Headers of a bill."""


def question_section(told: Told, asked: Asked, drawings: Sequence[Drawing]) -> Iterator[Markup]:
    """The whole section."""
    question = asked.question
    mine = [one for one in told.answers if one.question == question.name]
    yield heading(2, question.title, f"q-{question.name}")
    if question.says:
        yield paragraph(question.says)
    if not any(one.chips > one.failed for one in mine):
        yield paragraph("No chip has answered this yet.", kind="alarm")
    drawn = [one for one in drawings if one.question == question.name]
    if drawn:
        figures = (picture(one.path, one.alt, tag("code", one.path.name)) for one in drawn)
        yield tag("div", *figures, class_="figures")
        yield paragraph("Made again by", kind="note")
    yield command(commands.again(told.record, told.study, asked))
    for name in question.shows:
        rows = [one for one in mine if one.metric == name]
        if rows:
            numbers = _numbers(asked, rows)
            yield folded(f"Numbers: {name}", numbers, opened=len(rows) <= MOST_OPEN)
    bills = [place for place in asked.places if place.condition in told.costs]
    if bills:
        rows_of_bill = [
            (place.series, place.x, *row) for place in bills for row in bill_rows(told.costs[place.condition])
        ]
        headers = (_by(asked), question.vary.name, *BILL)
        yield folded("The bill of each condition, medians of its chips", _bare(headers, rows_of_bill))


def _by(asked: Asked) -> str:
    return asked.question.by.name if asked.question.by else ""


def _numbers(asked: Asked, rows: Sequence[Answer]) -> Markup:
    """A row for each place."""
    headers = (_by(asked), asked.question.vary.name, "median", "95 % interval", "quartiles", "mean", "worst")
    lines = [
        (
            one.series,
            one.x,
            value(one),
            interval_of(one),
            range_of(one.metric, *one.quartiles),
            shown(one.metric, one.mean),
            shown(one.metric, one.worst),
            str(one.chips),
            str(one.failed),
        )
        for one in rows
    ]
    return _bare((*headers, "chips", "failed"), lines)


def _bare(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table without its first column where that is empty: a question with one series."""
    if any(row[0] for row in rows):
        return table(headers, rows)
    return table(headers[1:], [row[1:] for row in rows])


# ---- the bill --------------------------------------------------------------------------------


def bill_rows(bill: Mapping[str, Cost]) -> Iterator[tuple[str, ...]]:
    """A row for each purpose."""
    for purpose, cost in bill.items():
        joules = (_short(float(one), "J") for one in cost.joules)
        seconds = (_short(float(one), "s") for one in cost.seconds)
        yield (purpose, f"{cost.pulses:g}", *joules, *seconds)


def _short(value: float, unit: str) -> str:
    return micro(format_quantity(value, unit, 4))
