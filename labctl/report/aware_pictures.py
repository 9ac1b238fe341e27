"""The pictures of a sweep: standard training beside training that knows the technology.

A panel for each kind of training, with the same axes: lines fall in one and stay in the other. Each point
is the mean over networks, its bar Student's 95 % interval; the grey line is standard training in software.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from labctl.aware.answers import Answer
from labctl.estimates import Interval
from labctl.report.aware_chart import AwareChart
from labctl.report.quantities import grid, log_places, moved
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
    SOFT,
    Axes,
    Figure,
    axes,
    sheet,
)

WIDTH, PLOT = 7.2, 2.9
"""[inches] of the sheet, and height of a panel."""
BETWEEN = 0.26
"""[inches] between two panels."""
LEFT, RIGHT, BOTTOM, TITLE = 0.62, 0.25, SMALL_PRINT + 0.55, 0.28
"""[inches] beside the panels, below and above them."""
COLOURS = (SKY, BLUE, GREEN, ORANGE, PURPLE, INK)
MARKS = "os^Dv"
ASIDE = 1.6
"""[points] between series at the same place, so that their bars can be told apart."""
LONG = 6
"""Letters of a tick from which on ticks are smaller."""
CHANCE = 10.0
"""[%] of ten classes."""
IDEAL: dict[str, Any] = {"color": SOFT, "linewidth": 1.0, "linestyle": (0, (4, 2))}
BY_CHANCE: dict[str, Any] = {"color": SOFT, "linewidth": 0.8, "linestyle": ":"}
PANELS = {
    "standard": "Standard training",
    "calibrated": "With one gain a layer",
    "noise": "Noise-aware training",
    "technology": "Technology-aware training",
}


def picture(chart: AwareChart, ideal: Interval, small_print: str) -> Figure:
    """One picture of a sweep; `ideal` is the accuracy of standard training in software."""
    figure = sheet(WIDTH, HEADING + 0.22 + TITLE + PLOT + BOTTOM, chart.title, chart.fixed, small_print)
    wide = (WIDTH - LEFT - RIGHT - BETWEEN * (len(chart.panels) - 1)) / len(chart.panels)
    low = _lowest(chart)
    for number, (kind, points) in enumerate(chart.panels.items()):
        spot = axes(figure, LEFT + number * (wide + BETWEEN), BOTTOM, wide, PLOT)
        _ideal(spot, ideal)
        for line, places in enumerate(points.values()):
            _line(spot, places, line, (line - (len(points) - 1) / 2) * ASIDE)
        _frame(spot, chart, low, first=number == 0)
        spot.set_title(PANELS.get(kind, kind), size=9.5, pad=7)
    _legend(figure, chart)
    _levels(figure, ideal, chance=low < CHANCE)
    return figure


def alt_of(chart: AwareChart) -> str:
    """What a picture shows, for who cannot see it: every mean."""
    told = [
        f"{PANELS.get(kind, kind)}, {chart.by} {name}: {_said(chart, places)}"
        for kind, points in chart.panels.items()
        for name, places in points.items()
        if places
    ]
    return f"{chart.title}, {chart.fixed}. {'; '.join(told)}."


def _said(chart: AwareChart, places: Sequence[tuple[float, Answer]]) -> str:
    return ", ".join(f"{100 * one.accuracy.value:.1f} % at {chart.ticks[place]}" for place, one in places)


def _line(spot: Axes, places: Sequence[tuple[float, Answer]], number: int, aside: float) -> None:
    if not places:
        return
    at = [place for place, _ in places]
    mean = [100 * one.accuracy.value for _, one in places]
    spot.plot(at, mean, transform=spot.transData, alpha=0)  # so that the limits know where they are
    shifted = moved(spot, aside)
    look = _look(number)
    spot.errorbar(at, mean, yerr=_bars(places), transform=shifted, elinewidth=1.0, capsize=2.0, **look)


def _bars(places: Sequence[tuple[float, Answer]]) -> tuple[list[float], list[float]]:
    """How far intervals reach below and above, never beyond 0 and 100 %; nothing where there is none."""
    every = [one.accuracy for _, one in places]
    below = [100 * (one.value - max(one.low, 0.0)) if math.isfinite(one.low) else 0.0 for one in every]
    above = [100 * (min(one.high, 1.0) - one.value) if math.isfinite(one.high) else 0.0 for one in every]
    return below, above


def _look(number: int) -> dict[str, Any]:
    colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
    return {"color": colour, "marker": mark, "markersize": 4.5, "linewidth": 1.6}


def _ideal(spot: Axes, ideal: Interval) -> None:
    if math.isfinite(ideal.low):
        spot.axhspan(100 * ideal.low, 100 * ideal.high, color=FAINT, linewidth=0)
    if math.isfinite(ideal.value):
        spot.axhline(100 * ideal.value, **IDEAL)


def _frame(spot: Axes, chart: AwareChart, low: float, first: bool) -> None:
    if chart.log:
        log_places(spot)
    spot.set_xticks(list(chart.ticks), list(chart.ticks.values()))
    if max(map(len, chart.ticks.values())) > LONG:
        spot.tick_params(axis="x", labelsize=6.5)
    spot.margins(x=0.07)
    spot.set_xlabel(chart.axis)
    spot.set_ylim(low, 103)
    if low < CHANCE:
        spot.axhline(CHANCE, **BY_CHANCE)
    grid(spot)
    if first:
        spot.set_ylabel("accuracy on chips (%)")
    else:
        spot.tick_params(labelleft=False)


def _lowest(chart: AwareChart) -> float:
    """[%] where the axis begins: with room below the lowest point, on a round number."""
    every = [one for points in chart.panels.values() for places in points.values() for _, one in places]
    lows = [
        min(one.accuracy.value, one.accuracy.low if math.isfinite(one.accuracy.low) else 1.0) for one in every
    ]
    return max(math.floor(10 * min(lows, default=0.0) - 0.3) * 10.0, 0.0)


def _legend(figure: Figure, chart: AwareChart) -> None:
    """The series under the heading, after what they have in common."""
    from matplotlib.lines import Line2D

    names = list(next(iter(chart.panels.values())))
    if not chart.by:
        return
    keys = [Line2D([], [], label=chart.by, linewidth=0)]
    keys += [Line2D([], [], label=name, **_look(number)) for number, name in enumerate(names)]
    width, height = figure.get_size_inches()
    figure.legend(
        handles=keys,
        loc="upper left",
        bbox_to_anchor=((MARGIN - 0.26) / width, 1 - (HEADING - 0.06) / height),
        ncols=len(keys),
        borderaxespad=0,
        borderpad=0,
        handlelength=1.8,
        columnspacing=1.3,
    )


def _levels(figure: Figure, ideal: Interval, chance: bool) -> None:
    """What the two level lines are, to the right of the heading."""
    from matplotlib.lines import Line2D

    keys = [Line2D([], [], label=f"in software: {100 * ideal.value:.1f} %", **IDEAL)]
    keys = keys if math.isfinite(ideal.value) else []
    keys += [Line2D([], [], label="chance", **BY_CHANCE)] * chance
    width, height = figure.get_size_inches()
    figure.legend(
        handles=keys,
        loc="upper right",
        bbox_to_anchor=(1 - RIGHT / width, 1 - 0.5 / height),
        ncols=2,
        borderaxespad=0,
        borderpad=0,
        handlelength=2.2,
        columnspacing=1.3,
    )
