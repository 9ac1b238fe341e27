"""The path of every synapse to its target: what it read after each pulse, one panel a site.

Panels share both axes and lie as the network does, a row of panels a neuron, a column one of its
inputs. Conductance is on a logarithmic axis, on which a tolerance is as wide everywhere. Where a
site took many pulses, their number is on a square-root axis, so that the short paths keep their room.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from labctl.report.history import History, SitePath
from labctl.report.scales import STRAIGHT, Limits, conductance_ticks, limits, pulse_axis
from labctl.report.style import (
    ALARM,
    BLUE,
    GREEN,
    HEADING,
    MARGIN,
    ORANGE,
    SMALL_PRINT,
    SOFT,
    Axes,
    Figure,
    axes,
    count,
    percent,
    sheet,
)
from labctl.report.summary import Goal, Summary

MICRO = 1e6
PANEL = (1.18, 1.02)
"""[inches]"""
GAP = (0.09, 0.3)
"""[inches] between two panels; the upper one carries the site's name."""
LEFT, BELOW = MARGIN + 0.42, SMALL_PRINT + 0.5
"""[inches] room for the numbers of the axes."""
WIDEST = 9
"""Panels in a row where the sites lie in no network."""
ROOM = 3
"""Free places in the last row for the picture of all distances."""
LEAST = 0.01
"""[%] A distance that is drawn at the lower edge."""
NO_PATH = SitePath(np.array([], dtype=np.intp), np.array([]), (), 0)


class Panel(NamedTuple):
    """A site and its place among the panels."""

    site: int
    row: int
    column: int


def panels(told: Summary, seen: History) -> list[Panel]:
    """A place for every synapse; without a network, for every site that was read."""
    if told.goal is None:
        read = [site for site, path in seen.paths.items() if len(path.pulses)]
        return [Panel(site, *divmod(place, WIDEST)) for place, site in enumerate(read)]
    places, top = list[Panel](), 0
    for layer in told.goal.layers:
        for (source, neuron), site in np.ndenumerate(layer):
            places.append(Panel(int(site), top + neuron, source))
        top += layer.shape[1]
    return places


def picture(told: Summary, seen: History) -> Figure | None:
    """The paths of all sites; None where nothing was read."""
    if not any(len(path.pulses) for path in seen.paths.values()):
        return None
    places, shared = panels(told, seen), limits(told, seen)
    rows, columns = (1 + max(numbers) for numbers in ([p.row for p in places], [p.column for p in places]))
    width = LEFT + columns * (PANEL[0] + GAP[0]) + MARGIN
    height = BELOW + rows * (PANEL[1] + GAP[1]) + HEADING
    heading = "The path of every synapse to its target" if told.goal else "The path of every site"
    figure = sheet(max(width, 8.5), height, heading, said_of(seen), str(told.origin))
    for place in places:
        left = LEFT + place.column * (PANEL[0] + GAP[0])
        bottom = BELOW + (rows - 1 - place.row) * (PANEL[1] + GAP[1])
        spot = axes(figure, left, bottom, *PANEL)
        lowest = not any(one.row > place.row and one.column == place.column for one in places)
        _frame(spot, shared, numbered=(place.column == 0, lowest))
        _panel(spot, told, seen.paths.get(place.site, NO_PATH), place.site, shared)
    _distances(figure, told, seen, rows, columns, sum(place.row == rows - 1 for place in places))
    _axis_names(figure, told, rows, width, bent=shared.pulses > STRAIGHT)
    _legend(figure, told, seen)
    return figure


def said_of(seen: History) -> str:
    """What was read, and what of it is missing."""
    reads = sum(len(path.pulses) for path in seen.paths.values())
    resets = sum(len(path.resets) for path in seen.paths.values())
    pulses = sum(path.total for path in seen.paths.values()) - resets
    moved = (
        f"{pulses} programming and {resets} reset pulses" if resets else count(pulses, "programming pulse")
    )
    parts = [f"{moved} and {count(reads, 'read')} on {count(len(seen.paths), 'site')}"]
    if seen.dropped:
        parts.append(f"{count(seen.dropped, 'read')} left no waveform and are not shown")
    if seen.useless:
        parts.append(f"{count(seen.useless, 'read')} said nothing of the device")
    if seen.unknown:
        parts.append(f"{count(seen.unknown, 'pulse')} of unknown outcome counted as driven")
    return "; ".join(parts)


def _frame(spot: Axes, shared: Limits, *, numbered: tuple[bool, bool]) -> None:
    """Axes that all panels share; numbers only at the left and at the bottom."""
    spot.set_yscale("log")
    up = conductance_ticks(shared.low * MICRO, shared.high * MICRO)
    spot.set(ylim=(shared.low * MICRO, shared.high * MICRO))
    pulse_axis(spot, shared.pulses, numbered=numbered[1])
    spot.set_yticks(up, [f"{tick:g}" for tick in up] if numbered[0] else [""] * len(up))
    spot.set_yticks([], minor=True)
    spot.tick_params(length=2, pad=2, labelsize=7)
    spot.grid(visible=True)


def _panel(spot: Axes, told: Summary, path: SitePath, site: int, shared: Limits) -> None:
    if told.goal is not None:
        target, tolerance = float(told.goal.targets[site]), told.goal.tolerance
        band = np.array([1 - tolerance, 1 + tolerance]) * target * MICRO
        spot.axhspan(*band, color=GREEN, alpha=0.35, linewidth=0)
        spot.axhline(target * MICRO, color=GREEN, linewidth=0.8)
    for number in path.resets:
        spot.axvline(number, color=ORANGE, linewidth=1, linestyle=(0, (2, 1.5)))
    siemens = np.maximum(path.siemens, shared.low) * MICRO
    spot.plot(path.pulses, siemens, color=BLUE, linewidth=1.1, marker="o", markersize=2.2)
    if told.goal is not None and abs(path.present / told.goal.targets[site] - 1) > told.goal.tolerance:
        spot.plot(path.pulses[-1:], siemens[-1:], color=ALARM, marker="o", markersize=4, linestyle="")
    spot.set_title(told.labels[site], size=7.5, pad=2.5)
    if (ending := told.given_up.get(site)) is not None:
        spot.set_title(str(ending), size=6.5, color=ALARM, weight="normal", loc="right", pad=2.5)


def _distances(figure: Figure, told: Summary, seen: History, rows: int, columns: int, taken: int) -> None:
    """Every synapse's distance from its target, where the last row of panels has room for it."""
    if told.goal is None or columns - taken < ROOM or rows < 2:
        return
    left = LEFT + taken * (PANEL[0] + GAP[0]) + 0.75
    right = LEFT + columns * (PANEL[0] + GAP[0]) - GAP[0]
    spot = axes(figure, left, BELOW, right - left, PANEL[1] - 0.2)
    tolerance = told.goal.tolerance * 100
    spot.axhspan(LEAST, tolerance, color=GREEN, alpha=0.2, linewidth=0)
    for site in told.goal.synapses():
        path = seen.paths.get(site, NO_PATH)
        far = np.maximum(np.abs(path.siemens / told.goal.targets[site] - 1) * 100, LEAST)
        spot.plot(path.pulses, far, color=BLUE, linewidth=0.8, alpha=0.45, marker="o", markersize=1.8)
    spot.set_yscale("log")
    spot.set(ylim=(LEAST, 300))
    spot.set_yticks([0.01, 0.1, 1, 10, 100], ["0.01", "0.1", "1", "10", "100"])
    spot.set_yticks([], minor=True)
    spot.set_ylabel("error (%)", size=8, labelpad=2)
    pulse_axis(spot, max(1, *(path.total for path in seen.paths.values())), numbered=True)
    spot.tick_params(length=2, pad=2, labelsize=7)
    spot.grid(visible=True)
    spot.set_title("all synapses: distance from target", size=7.5, pad=2.5)


def _ends_outside(goal: Goal, seen: History) -> list[int]:
    """Sites whose last read is known and not within tolerance."""
    present = seen.present(len(goal.targets))
    known = np.isfinite(present) & np.isfinite(goal.targets)
    return np.flatnonzero(known & ~goal.reached(present)).tolist()


def _axis_names(figure: Figure, told: Summary, rows: int, width: float, *, bent: bool) -> None:
    across, up = figure.get_size_inches()
    middle = BELOW + rows * (PANEL[1] + GAP[1]) / 2
    scale = " (square-root axis)" if bent else ""
    figure.text(
        (LEFT + width - MARGIN) / 2 / across,
        (BELOW - 0.32) / up,
        f"pulses on the site{scale}",
        ha="center",
        va="center",
    )
    figure.text(
        (LEFT - 0.62) / across, middle / up, "conductance (µS)", rotation=90, ha="center", va="center"
    )
    if told.goal is None:
        return
    names = [
        f"output {column}" if layer is told.goal.layers[-1] else f"hidden {column}"
        for layer in told.goal.layers
        for column in (told.crossings[int(site)][1] for site in layer[0])
    ]
    for row, name in enumerate(names):
        height = BELOW + (rows - 1 - row) * (PANEL[1] + GAP[1]) + PANEL[1] / 2
        figure.text(
            (LEFT - 0.38) / across,
            height / up,
            name,
            size=7,
            color=SOFT,
            rotation=90,
            ha="center",
            va="center",
        )


def _legend(figure: Figure, told: Summary, seen: History) -> None:
    """What the marks mean, as far as there are any; at the right of the heading."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys: list[Any] = [Line2D([], [], color=BLUE, marker="o", markersize=3, linewidth=1.1, label="read")]
    if told.goal is not None:
        band = Patch(facecolor=GREEN, alpha=0.35, label=f"target ± {percent(told.goal.tolerance)}")
        keys.append(band)
    if told.goal is not None and _ends_outside(told.goal, seen):
        last = Line2D([], [], color=ALARM, marker="o", markersize=4, linestyle="", label="last read outside")
        keys.append(last)
    if any(path.resets for path in seen.paths.values()):
        keys.append(Line2D([], [], color=ORANGE, linewidth=1, linestyle=(0, (2, 1.5)), label="reset"))
    width, height = figure.get_size_inches()
    place = (1 - MARGIN / width, 1 - 0.24 / height)
    figure.legend(handles=keys, loc="upper right", bbox_to_anchor=place, borderaxespad=0, ncols=len(keys))
