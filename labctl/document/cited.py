"""Answers that a study file names: its headlines, and what others claim beside what was found.

A single answer is told with its interval and its quartiles. One that is held against another is told
with the difference on the same chips: points of a share, percent of a cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labctl.document.html import micro
from labctl.estimates import Interval, bootstrap
from labctl.pages.study import value_of
from labctl.study.answers import Answer, figures
from labctl.study.file import Cited, Claim, Metric, metric
from labctl.study.record import StudyRecord

MANY = 2.0
"""A cost that is higher by more than so many times the other is told as a factor, not in percent."""
NOT_ASKED = "not asked in this study"
NOT_YET = "no chip has answered yet"
NO_PAIR = "no chip has answered both yet"


@dataclass(frozen=True)
class Found:
    """What a study says to one thing that its file names."""

    cited: Cited
    value: str
    how: str = ""
    """With what interval, of how many chips."""
    answer: Answer | None = None
    other: Answer | None = None
    """What it is held against."""
    change: Interval | None = None
    """Of a share: the mean difference; of a cost: the median ratio less 1; both chip by chip."""

    @property
    def told(self) -> str:
        """In one line."""
        return f"{self.value} ({self.how})" if self.how else self.value


def found(record: StudyRecord, cited: Cited, known: Sequence[Answer]) -> Found:
    """What became of this figure."""
    asked = {question.name for question in record.file.question}
    answer = _answer(known, cited, cited.series, cited.x)
    if answer is None:
        return Found(cited, NOT_YET if cited.question in asked else NOT_ASKED)
    if cited.against is None:
        return Found(cited, value(answer), _alone(answer), answer)
    series = cited.series if cited.against.series is None else cited.against.series
    x = cited.x if cited.against.x is None else cited.against.x
    other = _answer(known, cited, series, x)
    if other is None:
        return Found(cited, value(answer), f"{_alone(answer)}; what it is held against: {NOT_YET}", answer)
    return _held(record, cited, answer, other)


def _answer(known: Sequence[Answer], cited: Cited, series: str, x: str) -> Answer | None:
    wanted = (cited.question, cited.metric, series, x)
    same = (one for one in known if (one.question, one.metric, one.series, one.x) == wanted)
    return next((one for one in same if np.isfinite(one.median.value)), None)


def value(answer: Answer) -> str:
    """The median with its unit."""
    return shown(answer.metric, answer.median.value)


def _alone(answer: Answer) -> str:
    """For example: 95 % interval 99.10 to 99.50 %; half of the chips 98.70 to 100.00 %; 1000 chips."""
    half = range_of(answer.metric, *answer.quartiles)
    return f"95 % interval {interval_of(answer)}; half of the chips {half}; {chips_of(answer)}"


def interval_of(answer: Answer) -> str:
    """Of the median."""
    return range_of(answer.metric, answer.median.low, answer.median.high)


def shown(name: str, number: float) -> str:
    """A number of a figure with its unit, as it is printed."""
    return micro(value_of(name, number))


def range_of(name: str, low: float, high: float) -> str:
    """From one to the other; the unit once where it is the same."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "–"
    (first, unit), (last, other) = (shown(name, one).partition(" ")[::2] for one in (low, high))
    return f"{first}{'' if unit == other else f' {unit}'} to {last} {other}".rstrip()


def chips_of(answer: Answer) -> str:
    """How many chips answered, and how many failed."""
    good = answer.chips - answer.failed
    return f"{good} chip{'s' * (good != 1)}" + (f", {answer.failed} failed" if answer.failed else "")


# ---- held against another --------------------------------------------------------------------


def _held(record: StudyRecord, cited: Cited, answer: Answer, other: Answer) -> Found:
    left, right = record.rows(answer.condition), record.rows(other.condition)
    both = sorted(left.keys() & right.keys())
    one, two = (
        figures({chip: rows[chip] for chip in both}, _figure(record, its))
        for rows, its in ((left, answer), (right, other))
    )
    share = metric(cited.metric).is_share
    with np.errstate(all="ignore"):
        apart = one - two if share else one / two - 1
    apart = apart[np.isfinite(apart)]
    if not len(apart):
        return Found(cited, f"{value(answer)} against {value(other)}", NO_PAIR, answer, other)
    change = bootstrap(apart, np.mean if share else np.median)
    both_values = f"{value(answer)} against {value(other)}"
    how = f"{_interval(change, share)}; {len(apart)} chips, chip by chip"
    return Found(cited, f"{both_values}: {_change(change.value, share)}", how, answer, other, change)


def _figure(record: StudyRecord, answer: Answer) -> Metric:
    """Also of an answer whose axis is the level of a test."""
    question = next(one for one in record.file.question if one.name == answer.question)
    if question.vary.levels is None or answer.at is None:
        return metric(answer.metric)
    return Metric(f"accuracy at {answer.x}", question.vary.levels, answer.at)


def _change(change: float, share: bool) -> str:
    if share:
        return f"{100 * change:+.2f} points"
    if change > MANY:
        return f"{1 + change:.3g} times"
    return f"{100 * abs(change):.3g} % {'less' if change < 0 else 'more'}"


def _interval(change: Interval, share: bool) -> str:
    what = "mean of the differences" if share else "median of the ratios"
    if not (np.isfinite(change.low) and np.isfinite(change.high)):
        return what
    if share:
        return f"{what}; 95 % interval {100 * change.low:+.2f} to {100 * change.high:+.2f} points"
    if change.value > MANY:
        return f"{what}; 95 % interval {1 + change.low:.3g} to {1 + change.high:.3g}"
    sign = -100 if change.value < 0 else 100
    low, high = sorted((sign * change.low, sign * change.high))
    return f"{what}; 95 % interval {low:.3g} to {high:.3g} %"


def headlines(record: StudyRecord, known: Sequence[Answer]) -> list[Found]:
    """What the study's file wants told first."""
    return [found(record, one, known) for one in record.file.headline]


def claims(record: StudyRecord, known: Sequence[Answer]) -> list[tuple[Claim, Found]]:
    """What others say, each with what was found."""
    return [(one, found(record, one, known)) for one in record.file.claim]
