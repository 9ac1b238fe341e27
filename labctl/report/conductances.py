"""Conductances before, as they were to be, and as they are, laid out as the network is.

All three maps share one scale. The fourth shows how far each synapse is from its target, on a scale
of twice the tolerance: what is beyond it is told by its number. Rows and columns carry the board's
numbers, which are those in the names of its sites.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from labctl.pulse import Floats
from labctl.report.grid import Cell, Grid
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
    count,
    percent,
    sheet,
)
from labctl.report.summary import Goal, State, Summary

MICRO = 1e6
CELL = (0.46, 0.36)
"""[inches] width and height of a synapse."""
GAP, FIRST = 0.62, MARGIN + 0.3
"""[inches] between two maps, and left of the first."""
BAR = 4.2
"""[inches] width of the conductances' colour bar."""
MOST_NAMED = 6
"""Sites that the heading names for each reason."""
CORNER: Any = ((-1, 1), (1, 1), (-1, -1))
"""The mark of what was given up, as corners of a triangle."""
MOST_NUMBERED = 24
"""Rows up to which each cell carries its number."""


def present(told: Summary, seen: History) -> Floats:
    """[S], shape (sites,): as last read; where that is not kept, as the result says; else NaN."""
    read = seen.present(len(told.labels))
    return read if told.final is None else np.where(np.isnan(read), told.final, read)


def picture(told: Summary, seen: History) -> Figure | None:
    """The four maps; None for a run that has no targets."""
    goal = told.goal
    if goal is None:
        return None
    grid, bottom = Grid(goal.layers), SMALL_PRINT + 0.85
    across, up = grid.width * CELL[0], grid.height * CELL[1]
    lefts = [FIRST + number * (across + GAP) for number in range(4)]
    before, now = seen.before(len(told.labels)), present(told, seen)
    lost = f"; {count(seen.dropped, 'read')} left no waveform" if seen.dropped else ""
    heading = "Conductances of the synapses, laid out as the network", reached(told, goal, now) + lost
    figure = sheet(lefts[-1] + across + MARGIN, bottom + up + 0.3 + HEADING, *heading, str(told.origin))
    spots = [axes(figure, left, bottom, across, up) for left in lefts]
    scale, errors = _scale(goal, before, now), _error_scale(goal)
    _map(spots[0], "Before", told, grid, before * MICRO, scale)
    _map(spots[1], "Target", told, grid, goal.targets * MICRO, scale)
    finished = told.origin.state is State.FINISHED
    _map(spots[2], "After" if finished else "Last read", told, grid, now * MICRO, scale)
    _map(spots[3], "Error", told, grid, goal.errors(now) * 100, errors, signed=True)
    wrong = np.isfinite(now) & ~goal.reached(now)
    for spot in spots[2:]:
        _mark(spot, told, [cell for cell in grid.cells() if wrong[cell.site]])
    _bars(figure, lefts, across, (scale, errors), beyond=bool(np.any(now * MICRO > scale.norm.vmax)))
    known = np.isfinite(now + before)[goal.synapses()]
    _legend(figure, lefts[2], told, wrong=bool(wrong.any()), unknown=not known.all())
    return figure


def reached(told: Summary, goal: Goal, now: Floats) -> str:
    """How many synapses are where they were to be, and which were given up."""
    synapses = goal.synapses()
    count = int(goal.reached(now)[synapses].sum())
    text = f"{count} of {len(synapses)} synapses within {percent(goal.tolerance)} of their target"
    reasons = [
        f"{ending}: {named([told.labels[site] for site, its in told.given_up.items() if its is ending])}"
        for ending in sorted(set(told.given_up.values()))
    ]
    return f"{text}; given up, {'; '.join(reasons)}" if reasons else text


def named(labels: list[str]) -> str:
    """The first of them, and how many more."""
    more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    return ", ".join(labels[:MOST_NAMED]) + more


def _scale(goal: Goal, *shown: Floats) -> Any:
    """From 0 to what is shown, but not far beyond the window, whose colours must stay apart."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    high = goal.window[1]
    most = max(high, *(float(np.nanmax(values, initial=0.0)) for values in shown))
    return ScalarMappable(Normalize(0.0, min(most, 1.25 * high) * MICRO), SEQUENTIAL)


def _error_scale(goal: Goal) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bound = max(200 * goal.tolerance, 0.1)
    return ScalarMappable(Normalize(-bound, bound), DIVERGING)


def _map(
    spot: Axes, title: str, told: Summary, grid: Grid, values: Floats, scale: Any, *, signed: bool = False
) -> None:
    spot.set(xlim=(0, grid.width), ylim=(0, grid.height))
    spot.axis("off")
    spot.set_title(title, pad=4)
    for cell in grid.cells():
        _cell(spot, cell, scale.to_rgba(values[cell.site]), hatched=bool(np.isnan(values[cell.site])))
        if grid.rows <= MOST_NUMBERED and not np.isnan(values[cell.site]):
            _number(spot, cell, values[cell.site], scale, signed=signed)
    _names(spot, told, grid)


def _cell(spot: Axes, cell: Cell, face: Any, *, hatched: bool) -> None:
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = {"facecolor": EMPTY, "hatch": "////"} if hatched else {"facecolor": face}
    spot.add_patch(Rectangle((cell.x, cell.y), 1, 1, edgecolor="white", linewidth=1.2, **look))


def _number(spot: Axes, cell: Cell, value: float, scale: Any, *, signed: bool) -> None:
    dark = float(np.dot(scale.to_rgba(value)[:3], (0.299, 0.587, 0.114))) < 0.5
    ink = "white" if dark else INK
    text = as_number(value, signed=signed)
    spot.text(cell.x + 0.5, cell.y + 0.47, text, size=7, color=ink, ha="center", va="center")


def as_number(value: float, *, signed: bool) -> str:
    """Three digits at most before they are all needed; no minus zero; a minus that is one."""
    digits = 0 if abs(value) >= 99.95 else 1
    value = round(value, digits) + 0.0
    text = f"{value:+.{digits}f}" if signed and value else f"{value:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _names(spot: Axes, told: Summary, grid: Grid) -> None:
    """The board's columns above the cells and its rows beside them."""
    small: dict[str, Any] = {"size": 7, "color": SOFT}
    for depth, block in enumerate(grid.blocks(), 1):
        middle = block.left + block.sites.shape[1] / 2
        name = "output" if depth == len(grid.layers) else "hidden"
        spot.text(middle, block.top + 0.62, name, size=8, ha="center", va="bottom")
        for number, site in enumerate(block.upmost):
            column = str(told.crossings[site][1])
            spot.text(block.left + number + 0.5, block.top + 0.14, column, ha="center", va="bottom", **small)
        for number, site in enumerate(block.leftmost if grid.rows <= MOST_NUMBERED else ()):
            row = str(told.crossings[site][0])
            spot.text(block.left - 0.12, block.top - number - 0.53, row, ha="right", va="center", **small)


def _mark(spot: Axes, told: Summary, wrong: list[Cell]) -> None:
    """A frame around what is outside tolerance, with a cut corner where it was given up."""
    from matplotlib.patches import Polygon, Rectangle

    for cell in wrong:
        x, y = cell.x + 0.05, cell.y + 0.06
        spot.add_patch(Rectangle((x, y), 0.9, 0.88, fill=False, edgecolor=ALARM, linewidth=1.8))
        if cell.site in told.given_up:
            corner = ((x, y + 0.88), (x + 0.26, y + 0.88), (x, y + 0.55))
            spot.add_patch(Polygon(corner, facecolor=ALARM, edgecolor=ALARM, linewidth=0.5))


def _bars(
    figure: Figure, lefts: list[float], across: float, scales: tuple[Any, Any], *, beyond: bool
) -> None:
    """A colour bar under the three maps, and one under the errors."""
    conductances = (lefts[0], BAR, "conductance (µS)", "max" if beyond else "neither")
    errors = (lefts[3], across, "error (% of target)", "both")
    for scale, (left, width, name, extend) in zip(scales, (conductances, errors), strict=True):
        spot = axes(figure, left, SMALL_PRINT + 0.5, width, 0.12)
        bar = figure.colorbar(scale, cax=spot, orientation="horizontal", extend=extend, extendfrac=0.04)
        bar.set_label(name, labelpad=2)
        bar.outline.set_visible(False)


def _legend(figure: Figure, left: float, told: Summary, *, wrong: bool, unknown: bool) -> None:
    """What frames, corners and hatches mean, as far as there are any."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys = list[Any]()
    if wrong:
        keys.append(Patch(facecolor="none", edgecolor=ALARM, linewidth=1.8, label="outside tolerance"))
    if told.given_up:
        corner = Line2D([], [], color=ALARM, linewidth=0, marker=CORNER, markersize=6)
        corner.set_label("given up")
        keys.append(corner)
    if unknown:
        keys.append(Patch(facecolor=EMPTY, edgecolor="white", hatch="////", label="not known"))
    width, height = figure.get_size_inches()
    place = (left / width, (SMALL_PRINT + 0.74) / height)
    figure.legend(handles=keys, loc="upper left", bbox_to_anchor=place, borderaxespad=0, handlelength=1.4)
