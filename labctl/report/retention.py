"""Retention as a picture: conductance over log time, its drift, and the tolerance."""

from __future__ import annotations

import numpy as np

from labctl.characterize.procedure import Figures
from labctl.characterize.retention import Drift, Retention, drift, series
from labctl.report.quantities import grid, log_axis, shared_range
from labctl.report.shown import Shown
from labctl.report.style import (
    ALARM,
    BLUE,
    FAINT,
    HEADING,
    INK,
    MARGIN,
    SMALL_PRINT,
    Figure,
    axes,
    percent,
    said,
)

SIZE = (8.0, 4.6)
"""[inches]"""


def picture(shown: Shown) -> Figure | None:
    """Reads, the power law through them, and the tolerance; None before the first read."""
    procedure, seen = shown.procedure, series(shown.rows)
    if not isinstance(procedure, Retention) or not len(seen.seconds):
        return None
    tolerance = procedure.settings.tolerance
    found, first = drift(seen, tolerance), float(seen.siemens[0])
    figure = shown.sheet(*SIZE, _told(found, shown.figures))
    bottom, left = SMALL_PRINT + 0.6, MARGIN + 0.8
    spot = axes(figure, left, bottom, SIZE[0] - left - MARGIN, SIZE[1] - HEADING - 0.2 - bottom)
    band = np.array([first * (1 - tolerance), first * (1 + tolerance)])
    spot.axhspan(*band, color=FAINT, zorder=0, linewidth=0, label=f"within {percent(tolerance)}")
    outside = np.abs(seen.siemens / first - 1) > tolerance
    for part, colour in ((~outside, BLUE), (outside, ALARM)):
        spot.plot(
            seen.seconds[part], seen.siemens[part], color=colour, linestyle="", marker="o", markersize=4
        )
    if np.isfinite(found.nu.value):
        law = found.siemens * (seen.seconds / seen.seconds[0]) ** -found.nu.value
        spot.plot(seen.seconds, law, color=INK, linewidth=1.0, label="power law")
    spot.set_ylim(*shared_range(seen.siemens, band))
    spot.set_xlim(float(seen.seconds[0]) / 1.5, float(seen.seconds[-1]) * 1.5)
    log_axis(spot, "y", "S")
    log_axis(spot, "x", "s")
    spot.set(xlabel="time since it was programmed", ylabel="conductance")
    grid(spot)
    spot.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
    return figure


def _told(found: Drift, figures: Figures) -> str:
    state = str(figures["state"])
    if not np.isfinite(found.nu.value):
        return f"programmed: {state}; too few reads for a drift"
    if figures["disturbed"] == "yes":
        change, alone = (percent(float(figures[name])) for name in ("change", "change_control"))
        return (
            f"programmed: {state}; changed by {change}, and by {alone} in as many reads alone: they move it"
        )
    leaves = found.leaves
    when = (
        f"; leaves the tolerance after {said(leaves, 's')}"
        if np.isfinite(leaves)
        else "; stays, as far as seen"
    )
    return f"programmed: {state}; drift exponent {found.nu.value:.3g} ± {found.nu_error:.1g}{when}"
