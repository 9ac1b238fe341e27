"""Series resistance as a picture: the steady points, and the line through those at high current."""

from __future__ import annotations

import math

import numpy as np

from labctl.characterize.resistance import at_high_current
from labctl.characterize.tables import column
from labctl.report.shown import Shown
from labctl.report.style import BLUE, MARGIN, ORANGE, SMALL_PRINT, Axes, Figure, axes, metric, said

SIZE = (6.6, 4.6)
"""[inches]"""
PANEL = (5.2, 2.6)
"""[inches]"""


def picture(shown: Shown) -> Figure | None:
    """What one step found; None where it has no rows."""
    if not shown.rows:
        return None
    value, error = (float(shown.figures[name]) for name in ("contact", "contact_error"))
    found = f"{said(value, 'ohm')} ± {said(error, 'ohm')}" if math.isfinite(value) else "not found"
    figure = shown.sheet(*SIZE, f"contact, line and least device at most: {found}")
    spot = axes(figure, MARGIN + 0.55, SMALL_PRINT + 0.55, *PANEL)
    _points(spot, shown)
    spot.grid(visible=True)
    return figure


def _points(spot: Axes, shown: Shown) -> None:
    volts, amps = column(shown.rows, "volts"), column(shown.rows, "amps")
    scale, unit = metric(float(np.abs(amps).max()), "A")
    high = at_high_current(amps)
    spot.plot(amps[~high] * scale, volts[~high], "o", color=BLUE, markersize=4, fillstyle="none")
    spot.plot(amps[high] * scale, volts[high], "o", color=BLUE, markersize=4)
    slope, offset = float(shown.figures["contact"]), float(shown.figures["offset"])
    if math.isfinite(slope):
        ends = np.array([0.0, float(amps.max())])
        spot.plot(ends * scale, offset + slope * ends, "-", color=ORANGE, linewidth=1.0)
    spot.set_title("Device voltage against current, each level at its end")
    spot.set_xlabel(f"current [{unit}]")
    spot.set_ylabel("voltage, known resistors taken off [V]")
