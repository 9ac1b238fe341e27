"""The pictures of a study: one for each figure of each question.

Over a numeric axis: a line through the medians, a band over the middle half of the chips, and a bar
for the 95 % interval of each median. Where points only have names: a row each, with the same three.
Every series has a colour and a mark of its own, and stands a little beside the others, so that lines
that lie on each other can still be told apart.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from labctl.pulse import Floats
from labctl.quantity import printable
from labctl.report.quantities import grid, moved
from labctl.report.study_chart import Chart, axis_scale, place_axis
from labctl.report.style import (
    BLUE,
    FAINT,
    GREEN,
    HEADING,
    INK,
    MARGIN,
    ORANGE,
    PURPLE,
    SKY,
    SMALL_PRINT,
    Axes,
    Figure,
    axes,
    said,
    sheet,
)
from labctl.study.answers import Answer
from labctl.study.conditions import Study
from labctl.study.file import UNITS

WIDTH = 7.2
"""[inches]"""
PLOT = 3.0
"""[inches] height of the axes of lines."""
ROW, BETWEEN = 0.235, 0.2
"""[inches] height of a row, and between two points."""
BESIDE, MOST_BESIDE = 2.4, 12.0
"""[points] from one series to the next, and from the first to the last."""
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, INK)
MARKS = "osD^vP"
DASHES = ("-", "--", ":")
KEYS_WIDE = 92
"""Letters of the names of series, with their marks, in one row of the legend."""


def charts(study: Study, found: Sequence[Answer]) -> Iterator[Chart]:
    """All that can be drawn: a chart for each figure of each question that a chip has answered."""
    for asked in study.asked:
        for name in asked.question.shows:
            mine = [one for one in found if one.question == asked.question.name and one.metric == name]
            chart = Chart(asked.question, name, mine)
            if not chart.empty:
                yield chart


def picture(chart: Chart, small_print: str) -> Figure:
    """One figure of one question."""
    keys = [name for name in chart.series if name] if len(chart.series) > 1 else []
    rows = _key_rows(keys)
    head = HEADING - 0.1 + 0.22 * len(rows)
    bottom = SMALL_PRINT + 0.55
    body = PLOT if chart.numeric else _height(chart)
    title = f"{chart.metric[0].upper()}{chart.metric[1:]}"
    subtitle = textwrap.shorten(printable(chart.question.title), 105, placeholder=" …")
    figure = sheet(WIDTH, head + body + bottom, title, subtitle, printable(small_print))
    left = 0.72 if chart.numeric else 0.15 + _label_width(chart)
    right = 0.3 if chart.numeric else 0.85
    spot = axes(figure, MARGIN + left - 0.2, bottom, WIDTH - MARGIN - left + 0.2 - right, body)
    (_lines if chart.numeric else _rows)(spot, chart)
    _legend(figure, chart, rows, (head + body + bottom - HEADING + 0.06))
    return figure


def _look(number: int) -> dict[str, Any]:
    """Colour, mark and dashes of the series of that number."""
    dash = DASHES[number // len(COLOURS) % len(DASHES)]
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKS[number % len(MARKS)],
        "linestyle": dash,
        "markersize": 4.5,
    }


# ---- lines -----------------------------------------------------------------------------------


def _lines(spot: Axes, chart: Chart) -> None:
    every = [float(one.at or 0.0) for one in chart.answers]
    along, factor = axis_scale(chart.question.vary, max(map(abs, every)))[0], chart.scale[0]
    beside, middle = min(BESIDE, MOST_BESIDE / len(chart.series)), (len(chart.series) - 1) / 2
    for number, points in enumerate(chart.series.values()):
        if points:
            aside = (number - middle) * beside
            ordered = sorted(points, key=lambda one: one.at or 0.0)
            _line(spot, ordered, along, factor, number, aside)
    place_axis(spot, chart.question.vary, [one * along for one in every])
    spot.margins(x=0.04)
    chart.value_axis(spot, "y")
    grid(spot)


def _line(
    spot: Axes, points: Sequence[Answer], along: float, factor: float, number: int, aside: float
) -> None:
    look = _look(number)
    at = np.array([float(one.at or 0.0) for one in points]) * along
    median = np.array([one.median.value for one in points]) * factor
    low, high = (np.array([one.quartiles[end] for one in points]) * factor for end in (0, 1))
    shifted = moved(spot, aside)
    spot.fill_between(at, low, high, color=look["color"], alpha=0.16, linewidth=0)
    spot.plot(at, median, linewidth=1.6, transform=shifted, **look)
    spot.update_datalim(np.column_stack([at, median]))
    for end in (low, high):  # so that bands that lie on each other still have an edge
        spot.plot(at, end, color=look["color"], linewidth=0.5, alpha=0.5)
    spot.errorbar(
        at,
        median,
        yerr=_bars(points, factor),
        transform=shifted,
        fmt="none",
        ecolor=look["color"],
        elinewidth=1.1,
        capsize=2.2,
    )


def _bars(points: Sequence[Answer], factor: float) -> tuple[Floats, Floats]:
    """How far the 95 % intervals reach below and above their medians; nothing where it is not known."""
    below = [one.median.value - one.median.low for one in points]
    above = [one.median.high - one.median.value for one in points]
    return np.nan_to_num(np.array(below)) * factor, np.nan_to_num(np.array(above)) * factor


# ---- rows ------------------------------------------------------------------------------------


def _rows(spot: Axes, chart: Chart) -> None:
    """From the top: the points, and in each the series."""
    count = len(chart.series)
    group = count * ROW + BETWEEN
    for number, points in enumerate(chart.series.values()):
        for one in points:
            _row(spot, chart, one, _look(number), chart.places.index(one.x) * group + (number + 0.5) * ROW)
    ticks = [place * group + count * ROW / 2 for place in range(len(chart.places))]
    spot.set_yticks(ticks, [_wrapped(place) for place in chart.places])
    spot.set_ylim(len(chart.places) * group - BETWEEN / 2, -BETWEEN / 2)
    spot.tick_params(axis="y", length=0)
    for place in range(1, len(chart.places)):
        spot.axhline(place * group - BETWEEN / 2, color=FAINT, linewidth=0.6)
    chart.value_axis(spot, "x")
    spot.grid(visible=True, axis="x", color=FAINT)


def _row(spot: Axes, chart: Chart, one: Answer, look: dict[str, Any], height: float) -> None:
    factor, colour = chart.scale[0], look["color"]
    low, high = (end * factor for end in one.quartiles)
    spot.plot([low, high], [height] * 2, color=colour, alpha=0.28, linewidth=8, solid_capstyle="butt")
    if all(map(math.isfinite, one.median)):
        ends = [one.median.low * factor, one.median.high * factor]
        spot.plot(ends, [height] * 2, color=colour, linewidth=1.6, solid_capstyle="butt")
    spot.plot([one.median.value * factor], [height], **{**look, "markersize": 5.5})
    spot.annotate(
        _value(chart, one.median.value),
        (1.0, height),
        (6, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        size=8,
        color=INK,
        annotation_clip=False,
    )


def _value(chart: Chart, value: float) -> str:
    if chart.is_share:
        return f"{100 * value:.1f} %"
    unit = UNITS.get(chart.metric)
    return said(value, unit) if unit else f"{value:.4g}"


def _height(chart: Chart) -> float:
    """[inches] of the axes."""
    return max(len(chart.places) * (len(chart.series) * ROW + BETWEEN), 0.8)


def _wrapped(label: str) -> str:
    return textwrap.fill(printable(label), 30)


def _label_width(chart: Chart) -> float:
    """[inches] of the longest line of a label."""
    lines = [line for place in chart.places for line in _wrapped(place).split("\n")]
    return 0.25 + 0.066 * max(map(len, lines))


# ---- legend ----------------------------------------------------------------------------------


def _key_rows(keys: Sequence[str]) -> list[list[int]]:
    """Which series stand in which row of the legend."""
    rows, wide = list[list[int]](), KEYS_WIDE
    for number, key in enumerate(keys):
        need = min(len(key), 60) + 7
        if wide + need > KEYS_WIDE:
            rows.append([])
            wide = 0
        rows[-1].append(number)
        wide += need
    return rows


def _legend(figure: Figure, chart: Chart, rows: Sequence[Sequence[int]], top: float) -> None:
    """The names of the series under the heading, a row at a time: `top` [inches] is its place."""
    from matplotlib.lines import Line2D

    names = [textwrap.shorten(printable(name), 60, placeholder=" …") for name in chart.series]
    width, height = figure.get_size_inches()
    for line, numbers in enumerate(rows):
        keys = [Line2D([], [], label=names[number], linewidth=1.6, **_look(number)) for number in numbers]
        figure.legend(
            handles=keys,
            loc="upper left",
            bbox_to_anchor=(MARGIN / width, (top - 0.22 * line) / height),
            ncols=len(keys),
            borderaxespad=0,
            borderpad=0,
            handlelength=2.0,
            columnspacing=1.6,
        )
