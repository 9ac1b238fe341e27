"""Thresholds as a picture: how far each amplitude moved the device, and where each search ended."""

from __future__ import annotations

import math

import numpy as np

from labctl.characterize.tables import column
from labctl.characterize.threshold import RESET, SET
from labctl.report.quantities import log_axis, shared_range
from labctl.report.shown import Shown
from labctl.report.style import (
    BLUE,
    FAINT,
    MARGIN,
    ORANGE,
    SMALL_PRINT,
    SOFT,
    Axes,
    Figure,
    axes,
    percent,
    said,
)

SIZE = (9.6, 4.4)
"""[inches]"""
PANEL = (3.75, 2.4)
"""[inches]"""
LEAST = 1e-4
"""Changes below this are drawn at this: the axis is logarithmic."""


def picture(shown: Shown) -> Figure | None:
    """The searches of one step; None where it has no rows."""
    if not shown.rows:
        return None
    how = shown.procedure.settings
    heading = f"pulses of {said(how.width, 's')}; the threshold is a change of {percent(how.change)}"
    figure = shown.sheet(*SIZE, f"{heading}, from a restored state each time")
    for index, (direction, colour) in enumerate(((SET, BLUE), (RESET, ORANGE))):
        left = MARGIN + 0.5 + index * (PANEL[0] + 0.75)
        _searches(axes(figure, left, SMALL_PRINT + 0.55, *PANEL), shown, direction, colour)
    return figure


def _searches(spot: Axes, shown: Shown, direction: str, colour: str) -> None:
    own = [row for row in shown.rows if row["direction"] == direction]
    cycles = column(own, "cycle")
    volts, change = np.abs(column(own, "volts")), np.maximum(np.abs(column(own, "change")), LEAST)
    for cycle in sorted(set(cycles.tolist())):
        line = cycles == cycle
        spot.plot(volts[line], change[line], "-", color=FAINT, linewidth=0.9)
        spot.plot(volts[line], change[line], "o", color=colour, markersize=2.6, alpha=0.7)
    spot.axhline(shown.procedure.settings.change, color=SOFT, linewidth=0.8, linestyle="--")
    middle = abs(float(shown.figures[f"{direction}_volts"]))
    if math.isfinite(middle):
        spot.axvline(middle, color=SOFT, linewidth=0.8)
    spot.set_ylim(*shared_range(change, np.array([shown.procedure.settings.change])))
    log_axis(spot, "y")
    highest = shown.procedure.settings.first if not len(volts) else float(volts.max())
    spot.set_xlim(0, 1.05 * highest)
    spot.set_title(f"{direction.capitalize()}: {_found(shown, direction, middle)}")
    spot.set_xlabel("amplitude at the source [V]")
    spot.set_ylabel("|relative change of conductance|")
    spot.grid(visible=True)


def _found(shown: Shown, direction: str, volts: float) -> str:
    """The threshold in words; where the lowest amplitude moved the device, it is only known from above."""
    if not math.isfinite(volts):
        return "not found"
    lowest = volts <= shown.procedure.settings.first
    return f"{said(volts, 'V')} or less" if lowest else said(volts, "V")
