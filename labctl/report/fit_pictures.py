"""The pictures of a fit: loops measured and modelled, what is left between them, and correlations.

Each is a sheet in the style of the house. The grey band behind a loop is where single cycles lay: a
model inside it is as good as a model without randomness can be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from labctl.errors import BadData
from labctl.fit.excerpts import Excerpt
from labctl.fit.fitting import Fit
from labctl.report.style import (
    ALARM,
    BLUE,
    DIVERGING,
    EMPTY,
    FAINT,
    HEADING,
    INK,
    MARGIN,
    ORANGE,
    SMALL_PRINT,
    SOFT,
    Axes,
    Figure,
    axes,
    house_style,
    metric,
    save,
    sheet,
)

PANEL, GAP = (2.7, 2.1), (0.75, 0.75)
"""[inches] width and height of one loop, and the space between."""
MOST_PANELS = 24
CELL = 0.42
"""[inches] of a correlation."""


def draw(fit: Fit, stem: Path, title: str) -> list[Path]:
    """Write `<stem>-loops.png`, `-residuals.png` and `-correlations.png`. Raises `BadData` if it cannot."""
    with house_style():
        figures: Mapping[str, Figure] = {
            "loops": loops(fit, title),
            "residuals": residuals(fit, title),
            "correlations": correlations(fit, title),
        }
        try:
            return [save(made, stem.with_name(f"{stem.name}-{name}.png")) for name, made in figures.items()]
        except OSError as error:
            raise BadData(f"pictures cannot be written beside {stem}: {error.strerror or error}") from error


def loops(fit: Fit, title: str) -> Figure:
    """Current against device voltage, a panel a recording."""
    told = f"{fit.candidate.title}; NMSE {fit.mean_nmse:.2g} in the mean"
    figure, spots = _panels(fit.parts, f"{title}: measured and modelled", told, _origin(fit))
    for spot, part, predicted, nmse in zip(spots, fit.parts, fit.predicted, fit.nmse, strict=False):
        scale, unit = metric(float(np.abs(part.amps).max()), "A")
        if part.cycles is not None:
            for cycle in part.cycles:
                spot.plot(part.volts - cycle * part.series_ohms, cycle * scale, color=FAINT, linewidth=0.8)
        spot.plot(part.volts - part.amps * part.series_ohms, part.amps * scale, color=BLUE, linewidth=1.4)
        spot.plot(part.volts - predicted * part.series_ohms, predicted * scale, color=ORANGE, linewidth=1.1)
        _labels(spot, part, "device voltage (V)", f"current ({unit})")
        spot.text(0.03, 0.96, f"NMSE {nmse:.2g}", transform=spot.transAxes, size=8, color=SOFT, va="top")
    _key(figure, (("measured", BLUE), ("model", ORANGE), ("single cycles", FAINT)))
    return figure


def residuals(fit: Fit, title: str) -> Figure:
    """What the model leaves, over time, a panel a recording."""
    told = "measured less modelled, over the root mean square current; grey: spread of single cycles"
    figure, spots = _panels(fit.parts, f"{title}: residuals", told, _origin(fit))
    for spot, part, predicted in zip(spots, fit.parts, fit.predicted, strict=False):
        root = math.sqrt(part.square)
        factor, unit = metric(float(part.seconds[-1]), "s")
        time = part.seconds * factor
        if part.cycles is not None:
            spread = (part.cycles - part.amps).std(axis=0) / root
            spot.fill_between(time, -spread, spread, color=EMPTY, linewidth=0)
        spot.plot(time, (part.amps - predicted) / root, color=BLUE, linewidth=1.0)
        spot.axhline(0, color=INK, linewidth=0.7)
        _labels(spot, part, f"time ({unit})", "residual (1)")
    return figure


def correlations(fit: Fit, title: str) -> Figure:
    """Correlations of the unknowns; those that the data leave open are named in red."""
    count = sum(not one.nuisance for one in fit.estimates)
    side = max(count * CELL, 1.5)
    width, height = MARGIN + 1.1 + side + 1.6, HEADING + side + 1.0 + SMALL_PRINT
    told = "of the estimates; red: not determined by these data"
    figure = sheet(max(width, 7.0), height, f"{title}: correlations", told, _origin(fit))
    spot = axes(figure, MARGIN + 1.1, SMALL_PRINT + 0.9, side, side)
    shown = fit.correlation[:count, :count]
    image = spot.imshow(shown, cmap=DIVERGING, vmin=-1, vmax=1)
    names = [one.name for one in fit.estimates[:count]]
    spot.set_xticks(range(count), names, rotation=60, ha="right")
    spot.set_yticks(range(count), names)
    for k, one in enumerate(fit.estimates[:count]):
        for label in (spot.get_xticklabels()[k], spot.get_yticklabels()[k]):
            label.set_color(ALARM if one.undetermined else INK)
    for (row, column), value in np.ndenumerate(shown):
        if row != column and abs(value) >= 0.1:
            dark = "white" if abs(value) > 0.7 else INK
            spot.text(
                column, row, f"{value:.1f}".replace("0.", "."), size=7, ha="center", va="center", color=dark
            )
    bar = figure.colorbar(image, cax=axes(figure, MARGIN + 1.1 + side + 0.2, SMALL_PRINT + 0.9, 0.12, side))
    bar.outline.set_visible(False)
    return figure


def _panels(parts: Sequence[Excerpt], title: str, told: str, origin: str) -> tuple[Figure, list[Axes]]:
    shown = min(len(parts), MOST_PANELS)
    columns = min(3, shown)
    rows = -(-shown // columns)
    width = 2 * MARGIN + columns * (PANEL[0] + GAP[0])
    height = HEADING + rows * (PANEL[1] + GAP[1]) + SMALL_PRINT
    figure = sheet(max(width, 7.5), height, title, told, origin)
    spots = list[Axes]()
    for k in range(shown):
        left = MARGIN + GAP[0] * 0.75 + (k % columns) * (PANEL[0] + GAP[0])
        bottom = height - HEADING - (k // columns + 1) * PANEL[1] - (k // columns) * GAP[1] - 0.2
        spots.append(axes(figure, left, bottom, *PANEL))
    return figure, spots


def _labels(spot: Axes, part: Excerpt, across: str, up: str) -> None:
    spot.set_title(part.name, size=9)
    spot.set_xlabel(across)
    spot.set_ylabel(up)
    spot.locator_params(axis="x", nbins=5)
    spot.grid(visible=True)


def _key(figure: Figure, names: Sequence[tuple[str, str]]) -> None:
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    handles = [Line2D([], [], color=colour, linewidth=1.6, label=name) for name, colour in names]
    place = (1 - MARGIN / width, 1 - 0.24 / height)
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=place, borderaxespad=0, ncols=len(names))


def _origin(fit: Fit) -> str:
    return f"labctl fit, model {fit.candidate.name}, data {fit.fingerprint[:12]}, seed {fit.seed}"
