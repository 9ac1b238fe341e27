"""What the rows of a study say: medians and quartiles of chips, with intervals.

Chips are what is drawn, so an interval is over chips: a percentile bootstrap of the median. Chips
that failed are counted and told, and are no part of a median. Energy and time are those of training
and of one look at the ideal patterns, without the tests with noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from labctl.estimates import Interval, bootstrap
from labctl.pulse import Floats, Purpose
from labctl.study.conditions import is_level, level_label
from labctl.study.file import Disturbance, Metric, metric
from labctl.study.record import StudyRecord
from labctl.study.rows import Row, of_training


@dataclass(frozen=True, slots=True)
class Answer:
    """One number over the chips of a condition."""

    question: str
    metric: str
    series: str
    x: str
    at: float | None
    chips: int
    failed: int
    median: Interval
    quartiles: tuple[float, float]
    mean: float
    worst: float
    """Of all chips: the lowest of a share, the highest of a cost."""
    condition: str


def answers(record: StudyRecord) -> list[Answer]:
    """Every figure that the questions ask for, in their order; conditions without rows are left out."""
    study, found = record.study(), list[Answer]()
    rows = {key: record.rows(key) for key in study.conditions}
    for asked in study.asked:
        for name in asked.question.shows:
            for place in asked.places:
                there = rows[place.condition]
                levels = _levels(there, asked.question.vary.levels)
                for x, at, figure in levels or [(place.x, place.at, metric(name))]:
                    if there:
                        named = (asked.question.name, name, place.series, x, at)
                        found.append(_answer(named, there, figure, place.condition))
    return found


def _levels(
    rows: Mapping[int, Row], disturbance: Disturbance | None
) -> list[tuple[str, float, Metric]] | None:
    """The levels at which the chips of a condition were tested, where these are the axis."""
    if disturbance is None:
        return None
    good = next((row for row in rows.values() if "error" not in row), None)
    tests: list[dict[str, Any]] = good["tested"] if good else []
    levels: list[float] = [test["level"] for test in tests if test["disturbance"] == disturbance]
    return [
        (level_label(level), level, Metric(f"accuracy at {level_label(level)}", disturbance, level))
        for level in levels
    ]


def _answer(
    named: tuple[str, str, str, str, float | None], rows: Mapping[int, Row], figure: Metric, condition: str
) -> Answer:
    values = figures(rows, figure)
    known = values[np.isfinite(values)]
    failed = len(values) - len(known)
    if not len(known):
        nan = float("nan")
        return Answer(*named, len(values), failed, Interval(nan, nan, nan), (nan, nan), nan, nan, condition)
    low, high = np.percentile(known, (25, 75))
    worst = known.min() if figure.is_share else known.max()
    median, mean = bootstrap(known, np.median), float(known.mean())
    return Answer(
        *named, len(values), failed, median, (float(low), float(high)), mean, float(worst), condition
    )


def figures(rows: Mapping[int, Row], figure: Metric) -> Floats:
    """One number a chip, shape (chips,), in the order of their numbers; NaN for one that failed."""
    return np.array([np.nan if "error" in row else _figure(row, figure) for row in rows.values()])


def _figure(row: Row, figure: Metric) -> float:
    if figure.disturbance is None:
        return _FIGURES[figure.name](row)
    for test in row["tested"]:
        if test["disturbance"] == figure.disturbance and is_level(figure.level, test["level"]):
            return test["right"] / test["of"]
    return math.nan


def _last_test(row: Row) -> float:
    """Of the tests with noise; NaN where there was none."""
    return row["tested"][-1]["right"] / row["tested"][-1]["of"] if row["tested"] else math.nan


def _pulses(row: Row) -> float:
    """Those that write."""
    return float(sum(row["bill"].get(name, [0])[0] for name in (Purpose.PROGRAM, Purpose.RESET)))


def _energy(row: Row) -> float:
    """[J] delivered."""
    return of_training(row, [1])


def _time(row: Row) -> float:
    """[s] on the bench: pulses, reads, settling, link."""
    return of_training(row, range(4, 8))


def _energy_with_periphery(row: Row) -> float:
    """[J] delivered, and what the bench's tariff asks for the electronics around the array."""
    watts, per_pulse = row["tariff"]
    return _energy(row) + watts * _time(row) + per_pulse * of_training(row, [0])


_FIGURES: dict[str, Callable[[Row], float]] = {
    "accuracy": lambda row: row["right"] / row["patterns"],
    "accuracy in the last test": _last_test,
    "pulses": _pulses,
    "energy": _energy,
    "energy with periphery": _energy_with_periphery,
    "time": _time,
    "sites within 2 %": lambda row: float(row["within_2"]),
    "sites within 5 %": lambda row: float(row["within_5"]),
    "sites given up": lambda row: float(row["given_up"]),
}
"""How each figure of `labctl.study.file.PLAIN` is taken from a row."""
