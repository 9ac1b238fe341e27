"""Endurance as a picture: both states over the number of cycles, and the window between them."""

from __future__ import annotations

import numpy as np

from labctl.characterize.endurance import Endurance, ReadOuts, read_outs
from labctl.report.quantities import grid, log_axis, shared_range
from labctl.report.shown import Shown
from labctl.report.style import (
    ALARM,
    BLUE,
    HEADING,
    INK,
    MARGIN,
    ORANGE,
    SMALL_PRINT,
    SOFT,
    Axes,
    Figure,
    axes,
    said,
)

SIZE = (8.0, 5.6)
"""[inches]"""


def picture(shown: Shown) -> Figure | None:
    """Both states above, their ratio below; None before the first read-out."""
    procedure, seen = shown.procedure, read_outs(shown.rows)
    if not isinstance(procedure, Endurance) or not len(seen.cycle):
        return None
    figure = shown.sheet(*SIZE, _told(shown, procedure))
    bottom, width = SMALL_PRINT + 0.6, SIZE[0] - 2 * MARGIN - 0.7
    ratio = axes(figure, MARGIN + 0.7, bottom, width, 1.1)
    states = axes(figure, MARGIN + 0.7, bottom + 1.35, width, SIZE[1] - HEADING - 0.3 - bottom - 1.35)
    _states(states, seen)
    _ratio(ratio, seen, procedure.settings.least_ratio)
    failed = float(shown.figures["failed_at"])
    for spot in (states, ratio):
        spot.set_xlim(0.8, 1.3 * float(seen.cycle[-1]))
        log_axis(spot, "x")
        if np.isfinite(failed):
            spot.axvline(failed, color=ALARM, linewidth=1.0)
    states.tick_params(axis="x", labelbottom=False)
    return figure


def _told(shown: Shown, procedure: Endurance) -> str:
    how, found = procedure.settings, shown.figures
    failure = str(found["failure"])
    end = "no failure" if failure == "none" else f"{failure} at cycle {float(found['failed_at']):.0f}"
    return (
        f"set {said(how.set_volts, 'V')} {said(how.set_seconds, 's')}, reset -{said(how.reset_volts, 'V')}"
        f" {said(how.reset_seconds, 's')}: {float(found['cycles']):.0f} cycles, {end},"
        f" {said(float(found['joules']), 'J')} delivered"
    )


def _states(spot: Axes, seen: ReadOuts) -> None:
    for values, colour, name in (
        (seen.reset_ohms, ORANGE, "after reset"),
        (seen.set_ohms, BLUE, "after set"),
    ):
        known = np.isfinite(values)
        spot.plot(
            seen.cycle[known],
            values[known],
            color=colour,
            marker="o",
            markersize=4,
            linewidth=0.8,
            label=name,
        )
    spot.set_ylim(*shared_range(seen.reset_ohms, seen.set_ohms))
    log_axis(spot, "y", "Ω")
    spot.set(ylabel="resistance")
    grid(spot)
    spot.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)


def _ratio(spot: Axes, seen: ReadOuts, least: float) -> None:
    known = np.isfinite(seen.ratio)
    spot.plot(seen.cycle[known], seen.ratio[known], color=INK, marker="o", markersize=3, linewidth=0.8)
    spot.axhline(least, color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
    spot.set_ylim(*shared_range(seen.ratio, np.array([least])))
    log_axis(spot, "y")
    spot.set(ylabel="ratio", xlabel="cycles")
    grid(spot)
