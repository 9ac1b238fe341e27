"""The path of every synapse to its target: what it read after each pulse, one panel a site.

Panels share both axes and lie as the network does, a row of panels a neuron, a column one of its
inputs. Conductance is on a logarithmic axis, on which a tolerance is as wide everywhere. Where a
site took many pulses, their number is on a square-root axis, so that the short paths keep their room.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from labctl.pulse import Floats
from labctl.report.history import History, SitePath
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
from labctl.report.summary import Summary

MICRO = 1e6
PANEL = (1.18, 1.02)
"""[inches]"""
GAP = (0.09, 0.3)
"""[inches] between two panels; the upper one carries the site's name."""
LEFT, BELOW = MARGIN + 0.42, SMALL_PRINT + 0.5
"""[inches] room for the numbers of the axes."""
WIDEST = 9
"""Panels in a row where the sites lie in no network."""
STRAIGHT = 30
"""Most pulses that are drawn evenly spaced; more of them take a square-root axis."""
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


class Limits(NamedTuple):
    """What the shared axes show."""

    pulses: int
    low: float
    """[S]"""
    high: float
    """[S]"""


def limits(told: Summary, seen: History) -> Limits:
    """Room for every path and every target; open devices (0 S) are drawn at the lower edge."""
    values = np.concatenate([path.siemens for path in seen.paths.values()])
    targets = told.goal.targets[told.goal.synapses()] if told.goal else values[:0]
    shown = np.concatenate([values[values > 0], targets])
    low, high = (float(shown.min()), float(shown.max())) if len(shown) else (1e-6, 1e-4)
    room = max((high / low) ** 0.08, 1.1)
    return Limits(max(1, *(path.total for path in seen.paths.values())), low / room, high * room)


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
    _axis_names(figure, told, rows, width, bent=shared.pulses > STRAIGHT)
    _legend(figure, told, seen)
    return figure


def said_of(seen: History) -> str:
    """What was read, and what of it is missing."""
    reads = sum(len(path.pulses) for path in seen.paths.values())
    pulses = sum(path.total for path in seen.paths.values())
    parts = [f"{count(pulses, 'pulse')} that move, {count(reads, 'read')} on {count(len(seen.paths), 'site')}"]
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
    if shared.pulses > STRAIGHT:
        spot.set_xscale("function", functions=(_root, np.square))
    spot.set(xlim=(-0.04 * shared.pulses if shared.pulses <= STRAIGHT else 0, 1.04 * shared.pulses))
    spot.set(ylim=(shared.low * MICRO, shared.high * MICRO))
    at, up = pulse_ticks(shared.pulses), conductance_ticks(shared.low * MICRO, shared.high * MICRO)
    spot.set_xticks(at, [str(tick) for tick in at] if numbered[1] else [""] * len(at))
    spot.set_yticks(up, [f"{tick:g}" for tick in up] if numbered[0] else [""] * len(up))
    spot.set_yticks([], minor=True)
    spot.tick_params(length=2, pad=2, labelsize=7)
    spot.grid(visible=True)


def pulse_ticks(most: int) -> list[int]:
    """Three or four numbers of pulses, evenly spaced as they are drawn."""
    if most <= STRAIGHT:
        step = max(1, math.ceil(most / 4))
        return list(range(0, most + 1, step))
    step = 10 ** math.floor(math.log10(most))
    top = most // step * step
    return [0, round(top / 9), round(top * 4 / 9), top]


def conductance_ticks(low: float, high: float) -> list[float]:
    """Round numbers, any unit: as many as are needed for two or more."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        ticks = [digit * 10.0**power for power in powers for digit in digits]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 2:
            return inside
    return [low * 1.0, high * 1.0]


def _root(values: Floats) -> Floats:
    return np.sqrt(np.maximum(values, 0.0))


def _panel(spot: Axes, told: Summary, path: SitePath, site: int, shared: Limits) -> None:
    wrong = False
    if told.goal is not None:
        target, tolerance = float(told.goal.targets[site]), told.goal.tolerance
        band = np.array([1 - tolerance, 1 + tolerance]) * target * MICRO
        spot.axhspan(*band, color=GREEN, alpha=0.35, linewidth=0)
        spot.axhline(target * MICRO, color=GREEN, linewidth=0.8)
        wrong = bool(abs(path.present / target - 1) > tolerance)
    for number in path.resets:
        spot.axvline(number, color=ORANGE, linewidth=1, linestyle=(0, (2, 1.5)))
    siemens = np.maximum(path.siemens, shared.low) * MICRO
    spot.plot(path.pulses, siemens, color=BLUE, linewidth=1.1, marker="o", markersize=2.2)
    if wrong:
        spot.plot(path.pulses[-1:], siemens[-1:], color=ALARM, marker="o", markersize=4, linestyle="")
    spot.set_title(told.labels[site], size=7.5, pad=2.5)
    if (ending := told.given_up.get(site)) is not None:
        spot.set_title(str(ending), size=6.5, color=ALARM, weight="normal", loc="right", pad=2.5)


def _axis_names(figure: Figure, told: Summary, rows: int, width: float, *, bent: bool) -> None:
    across, up = figure.get_size_inches()
    middle = BELOW + rows * (PANEL[1] + GAP[1]) / 2
    scale = " (square-root axis)" if bent else ""
    figure.text((LEFT + width - MARGIN) / 2 / across, (BELOW - 0.32) / up, f"pulses on the site{scale}", ha="center", va="center")
    figure.text((LEFT - 0.62) / across, middle / up, "conductance (µS)", rotation=90, ha="center", va="center")
    if told.goal is None:
        return
    names = [
        f"output {column}" if layer is told.goal.layers[-1] else f"hidden {column}"
        for layer in told.goal.layers
        for column in (told.crossings[site][1] for site in layer[0])
    ]
    for row, name in enumerate(names):
        height = BELOW + (rows - 1 - row) * (PANEL[1] + GAP[1]) + PANEL[1] / 2
        figure.text((LEFT - 0.38) / across, height / up, name, size=7, color=SOFT, rotation=90, ha="center", va="center")


def _legend(figure: Figure, told: Summary, seen: History) -> None:
    """What the marks mean, as far as there are any; at the right of the heading."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys: list[Any] = [Line2D([], [], color=BLUE, marker="o", markersize=3, linewidth=1.1, label="read")]
    if told.goal is not None:
        band = Patch(facecolor=GREEN, alpha=0.35, label=f"target ± {percent(told.goal.tolerance)}")
        last = Line2D([], [], color=ALARM, marker="o", markersize=4, linestyle="", label="outside at the end")
        keys += [band, last]
    if any(path.resets for path in seen.paths.values()):
        keys.append(Line2D([], [], color=ORANGE, linewidth=1, linestyle=(0, (2, 1.5)), label="reset"))
    width, height = figure.get_size_inches()
    place = (1 - MARGIN / width, 1 - 0.24 / height)
    figure.legend(handles=keys, loc="upper right", bbox_to_anchor=place, borderaxespad=0, ncols=len(keys))
