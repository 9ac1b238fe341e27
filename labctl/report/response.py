"""Pulse response as a picture: the trains of each width, and the map over amplitude and width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from labctl.characterize.procedure import Row
from labctl.characterize.response import RESET, SET
from labctl.characterize.tables import column
from labctl.pulse import Floats
from labctl.report.shown import Shown
from labctl.report.style import (
    EMPTY,
    HEADING,
    MARGIN,
    SEQUENTIAL,
    SMALL_PRINT,
    Axes,
    Figure,
    axes,
    metric,
    said,
)

PANEL = (2.1, 1.75)
"""[inches]"""
GAP = (0.3, 0.85)
"""[inches] between two panels."""
LEFT = MARGIN + 0.5
MOST_WIDTHS = 6
"""Panels in a row; of more widths, the first are drawn as trains, and all are in the map."""
TITLES = {SET: "Potentiation", RESET: "Depression"}


class Trains(NamedTuple):
    """All trains of one direction, averaged over the cycles."""

    direction: str
    volts: list[float]
    """[V] magnitudes, rising."""
    widths: list[float]
    """[s] rising."""
    siemens: Floats
    """[S], shape (volts, widths, reads); NaN where there is none yet."""


def trains_of(rows: Sequence[Row], direction: str) -> Trains:
    """The trains of this direction; without any, its lists are empty."""
    own = [row for row in rows if row["direction"] == direction]
    volts, widths = np.abs(column(own, "volts")), column(own, "width")
    levels, lengths = sorted(set(volts.tolist())), sorted(set(widths.tolist()))
    pulse = column(own, "pulse").astype(np.intp)
    total = np.zeros((len(levels), len(lengths), int(pulse.max(initial=-1)) + 1))
    counts = np.zeros_like(total)
    place = np.searchsorted(levels, volts), np.searchsorted(lengths, widths), pulse
    np.add.at(total, place, column(own, "siemens"))
    np.add.at(counts, place, 1.0)
    with np.errstate(invalid="ignore"):
        return Trains(direction, levels, lengths, total / counts)


def picture(shown: Shown) -> Figure | None:
    """The response of one step; None where it has no rows."""
    found = [trains for way in (SET, RESET) if (trains := trains_of(shown.rows, way)).volts]
    if not found:
        return None
    across = max(min(len(trains.widths), MOST_WIDTHS) for trains in found)
    width = LEFT + across * (PANEL[0] + GAP[0]) + 0.95 + PANEL[0] + 1.1
    height = SMALL_PRINT + 0.5 + len(found) * (PANEL[1] + GAP[1]) - GAP[1] + 0.35 + HEADING
    figure = shown.sheet(max(width, 8.5), height, _heading(shown))
    for index, trains in enumerate(found):
        bottom = SMALL_PRINT + 0.5 + (len(found) - 1 - index) * (PANEL[1] + GAP[1])
        _row(figure, trains, bottom, across)
    return figure


def _heading(shown: Shown) -> str:
    how, found = shown.procedure.settings, shown.figures
    lowest, highest = (said(float(found[name]), "S") for name in ("lowest", "highest"))
    read_at = said(how.reading.volts, "V")
    return f"trains of {how.pulses} pulses after a restoration; {lowest} to {highest}, read at {read_at}"


def _row(figure: Figure, trains: Trains, bottom: float, across: int) -> None:
    """Trains of each width, then the map, of one direction."""
    known = trains.siemens[np.isfinite(trains.siemens)]
    scale, unit = metric(float(known.max(initial=0.0)), "S")
    spots = [
        axes(figure, LEFT + index * (PANEL[0] + GAP[0]), bottom, *PANEL)
        for index in range(min(len(trains.widths), MOST_WIDTHS))
    ]
    for index, spot in enumerate(spots):
        _curves(spot, trains, index, scale)
        spot.sharey(spots[0])
        spot.tick_params(labelleft=index == 0)
    spots[0].set_ylabel(f"conductance [{unit}]")
    left = LEFT + across * (PANEL[0] + GAP[0]) + 0.65
    _map(figure, axes(figure, left, bottom, *PANEL), trains, scale, unit)


def _colours(count: int) -> Sequence[object]:
    from matplotlib import colormaps

    shades: Any = colormaps[SEQUENTIAL]
    return [shades(place) for place in np.linspace(0.0, 0.9, count)]


def _curves(spot: Axes, trains: Trains, width: int, scale: float) -> None:
    colours = _colours(len(trains.volts))
    for volts, curve, colour in zip(trains.volts, trains.siemens[:, width], colours, strict=True):
        spot.plot(
            range(len(curve)),
            curve * scale,
            "o-",
            color=colour,
            markersize=2.2,
            linewidth=0.9,
            label=said(volts, "V"),
        )
    spot.set_title(f"{TITLES[trains.direction]}, {said(trains.widths[width], 's')}")
    spot.set_xlabel("pulse")
    spot.grid(visible=True)
    if width == 0 and len(trains.volts) <= 8:
        spot.legend(loc="best", fontsize=6.5, handlelength=1.2)


def _map(figure: Figure, spot: Axes, trains: Trains, scale: float, unit: str) -> None:
    """Conductance after the last pulse, over amplitude and width."""
    from matplotlib import colormaps

    shades = colormaps[SEQUENTIAL].with_extremes(bad=EMPTY)
    last = np.ma.masked_invalid(trains.siemens[:, :, -1] * scale)
    mesh = spot.imshow(last, origin="lower", aspect="auto", cmap=shades)
    spot.set_xticks(range(len(trains.widths)), [said(one, "s") for one in trains.widths], fontsize=7)
    spot.set_yticks(range(len(trains.volts)), [said(one, "V") for one in trains.volts], fontsize=7)
    spot.set_title("After the last pulse")
    spot.set_xlabel("width")
    for side in spot.spines.values():
        side.set_visible(False)
    bar = figure.colorbar(mesh, ax=spot, fraction=0.08, pad=0.04)
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=7)
