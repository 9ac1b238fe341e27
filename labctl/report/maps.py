"""Conductances before, as they were to be, and as they are, laid out as the network is.

A column of cells is a neuron, a row is one of its inputs; the layers stand side by side. All three
maps share one scale. The fourth shows how far each synapse is from its target, on a scale of twice
the tolerance: what is beyond it is told by its number.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import numpy as np

from labctl.pulse import Floats
from labctl.report.history import History
from labctl.report.style import (
    ALARM,
    DIVERGING,
    EMPTY,
    HEADING,
    INK,
    MARGIN,
    SEQUENTIAL,
    SMALL_PRINT,
    SOFT,
    Axes,
    Figure,
    axes,
    sheet,
)
from labctl.report.summary import Goal, State, Summary
from labctl.write_verify import Ending

MICRO = 1e6
CELL = (0.46, 0.36)
"""[inches] width and height of a synapse."""
BAR = 4.2
"""[inches] width of the conductances' colour bar."""
SPACE = 1.0
"""Cells between two layers."""
MOST_NAMED = 4
"""Sites that the heading names."""
MOST_NUMBERED = 24
"""Inputs up to which each cell carries its number."""


def present(told: Summary, seen: History) -> Floats:
    """[S], shape (sites,): as last read; where that is not kept, as the result says; else NaN."""
    read = seen.present(len(told.labels))
    return read if told.final is None else np.where(np.isnan(read), told.final, read)


def outside(goal: Goal, siemens: Floats) -> list[int]:
    """Sites with a synapse that are not known to be within tolerance."""
    errors = np.abs(goal.errors(siemens))
    return [int(site) for layer in goal.layers for site in layer.ravel() if not errors[site] <= goal.tolerance]


def picture(told: Summary, seen: History) -> Figure | None:
    """The four maps; None for a run that has no targets."""
    goal = told.goal
    if goal is None:
        return None
    rows = max(len(layer) for layer in goal.layers)
    columns = sum(layer.shape[1] + SPACE for layer in goal.layers) - SPACE
    across, up = columns * CELL[0], (rows + 0.9) * CELL[1]
    now, bottom = present(told, seen), SMALL_PRINT + 0.85
    lefts = [MARGIN + 0.55 + number * (across + 0.62) for number in range(4)]
    figure = sheet(
        lefts[-1] + across + MARGIN, bottom + up + 0.3 + HEADING, *_heading(told, goal, now), str(told.origin)
    )
    spots: list[Axes] = [axes(figure, left, bottom, across, up) for left in lefts]
    before, last = seen.before(len(told.labels)), told.origin.state is State.FINISHED
    titles = ("Before", "Target", "After" if last else "Last read", "Error")
    scale, errors = _scale(goal, before, now), _error_scale(goal)
    for spot, title, values, mapping in zip(
        spots,
        titles,
        (before * MICRO, goal.targets * MICRO, now * MICRO, goal.errors(now) * 100),
        (scale, scale, scale, errors),
        strict=True,
    ):
        _map(spot, goal, values, mapping, signed=mapping is errors)
        spot.set_title(title, pad=15)
    for spot in spots[2:]:
        _mark(spot, goal, told, outside(goal, now))
    _bars(figure, lefts, across, (scale, errors))
    _legend(figure, lefts[0] + BAR + 0.4, told, goal, now)
    return figure


def _heading(told: Summary, goal: Goal, now: Floats) -> tuple[str, str]:
    total = sum(layer.size for layer in goal.layers)
    reached = total - len(outside(goal, now))
    text = f"{reached} of {total} synapses within {goal.tolerance * 100:g} % of their target"
    given_up = [f"{told.labels[site]} {ending}" for site, ending in told.endings.items() if _given_up(told, site)]
    more = f" and {len(given_up) - MOST_NAMED} more" if len(given_up) > MOST_NAMED else ""
    named = f"; given up: {', '.join(given_up[:MOST_NAMED])}{more}" if given_up else ""
    return "Conductances of the synapses, laid out as the network", text + named


def _scale(goal: Goal, *shown: Floats) -> Any:
    """0 to what is shown, but not far beyond the window, whose colours must stay apart."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    high = goal.window[1]
    most = np.nanmax([high, *(float(np.nanmax(values, initial=0.0)) for values in shown)])
    return ScalarMappable(Normalize(0.0, min(most, 1.25 * high) * MICRO), SEQUENTIAL)


def _error_scale(goal: Goal) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bound = max(200 * goal.tolerance, 0.1)
    return ScalarMappable(Normalize(-bound, bound), DIVERGING)


def _cells(goal: Goal) -> Iterator[tuple[int, float, float]]:
    """Every site and the left lower corner of its cell, in cells."""
    rows = max(len(layer) for layer in goal.layers)
    for left, layer in zip(_lefts(goal), goal.layers, strict=True):
        top = rows - (rows - len(layer)) / 2
        for (row, column), site in np.ndenumerate(layer):
            yield int(site), left + column, top - row - 1


def _lefts(goal: Goal) -> list[float]:
    """Where each layer begins, in cells."""
    widths = [layer.shape[1] + SPACE for layer in goal.layers]
    return list(accumulate(widths[:-1], initial=0.0))


def _map(spot: Axes, goal: Goal, values: Floats, mapping: Any, *, signed: bool) -> None:
    from matplotlib.patches import Rectangle

    rows = max(len(layer) for layer in goal.layers)
    spot.set(xlim=(0, _lefts(goal)[-1] + goal.layers[-1].shape[1]), ylim=(0, rows + 0.9))
    spot.axis("off")
    for site, x, y in _cells(goal):
        known = bool(np.isfinite(values[site]))
        face = mapping.to_rgba(values[site]) if known else EMPTY
        hatch = None if known else "////"
        spot.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor="white", linewidth=1.2, hatch=hatch))
        if known and rows <= MOST_NUMBERED:
            dark = np.dot(face[:3], (0.299, 0.587, 0.114)) < 0.5
            text = _number(values[site], signed=signed)
            ink = "white" if dark else INK
            spot.text(x + 0.5, y + 0.47, text, size=7, color=ink, ha="center", va="center")
    _names(spot, goal, rows)


def _number(value: float, *, signed: bool) -> str:
    digits = 0 if abs(value) >= 99.95 else 1
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _names(spot: Axes, goal: Goal, rows: int) -> None:
    """Neurons above their cells, inputs beside them."""
    inputs = [f"x{number + 1}" for number in range(len(goal.layers[0]))]
    for depth, (left, layer) in enumerate(zip(_lefts(goal), goal.layers, strict=True)):
        top = rows - (rows - len(layer)) / 2
        is_last = depth == len(goal.layers) - 1
        neurons = [f"{'out' if is_last else 'h'}{column + 1}" for column in range(layer.shape[1])]
        neurons = ["out"] if neurons == ["out1"] else neurons
        if rows <= MOST_NUMBERED:
            for row, name in enumerate(inputs):
                spot.text(left - 0.12, top - row - 0.53, name, size=7, color=SOFT, ha="right", va="center")
        for column, name in enumerate(neurons):
            spot.text(left + column + 0.5, top + 0.14, name, size=7.5, color=SOFT, ha="center", va="bottom")
        inputs = neurons


def _mark(spot: Axes, goal: Goal, told: Summary, wrong: list[int]) -> None:
    """A frame around what is outside tolerance, and a stroke through what was given up."""
    from matplotlib.patches import Rectangle

    for site, x, y in _cells(goal):
        if site in wrong:
            frame = Rectangle((x + 0.04, y + 0.05), 0.92, 0.9, fill=False, edgecolor=ALARM, linewidth=1.8)
            spot.add_patch(frame)
        if _given_up(told, site):
            spot.plot([x + 0.06, x + 0.28], [y + 0.93, y + 0.65], color=ALARM, linewidth=1.8)


def _given_up(told: Summary, site: int) -> bool:
    return told.endings.get(site, Ending.DONE) is not Ending.DONE


def _bars(figure: Figure, lefts: list[float], across: float, scales: tuple[Any, Any]) -> None:
    """One bar under the three maps, one under the errors."""
    spans = ((lefts[0], lefts[2] + across), (lefts[3], lefts[3] + across))
    names = ("conductance (µS)", "error (% of target)")
    for (left, right), scale, name, extend in zip(spans, scales, names, ("max", "both"), strict=True):
        width = min(right - left, BAR)
        spot = axes(figure, left, SMALL_PRINT + 0.5, width, 0.12)
        bar = figure.colorbar(scale, cax=spot, orientation="horizontal", extend=extend, extendfrac=0.03)
        bar.set_label(name, labelpad=2)
        bar.outline.set_visible(False)


def _legend(figure: Figure, left: float, told: Summary, goal: Goal, now: Floats) -> None:
    """What frames, strokes and hatches mean, as far as there are any."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys = list[Any]()
    unknown = any(np.isnan(now[site]) for site, *_ in _cells(goal))
    if outside(goal, now):
        name = f"not within {goal.tolerance * 100:g} %"
        keys.append(Patch(facecolor="none", edgecolor=ALARM, linewidth=1.8, label=name))
    if any(_given_up(told, site) for site in told.endings):
        keys.append(Line2D([], [], color=ALARM, linewidth=1.8, marker="", label="given up"))
    if unknown:
        keys.append(Patch(facecolor=EMPTY, edgecolor="white", hatch="////", label="not known"))
    width, height = figure.get_size_inches()
    figure.legend(
        handles=keys,
        loc="upper left",
        bbox_to_anchor=(left / width, (SMALL_PRINT + 0.72) / height),
        borderaxespad=0,
        handlelength=1.4,
    )
