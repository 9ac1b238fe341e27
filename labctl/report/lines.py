"""The lines of a crossbar as a picture: what each device loses when the whole line is connected."""

from __future__ import annotations

import math

from labctl.characterize.tables import column
from labctl.report.shown import Shown
from labctl.report.style import BLUE, MARGIN, ORANGE, SMALL_PRINT, Axes, Figure, axes, said

SIZE = (6.6, 4.6)
"""[inches]"""
PANEL = (5.2, 2.6)
"""[inches]"""
NAMES = (("source", "Rs"), ("neuron", "Rn"), ("row_wire", "wire of a row"), ("column_wire", "of a column"))


def picture(shown: Shown) -> Figure | None:
    """What one step found; None where it has no rows."""
    if not shown.rows:
        return None
    figure = shown.sheet(*SIZE, ", ".join(_found(shown, name, told) for name, told in NAMES))
    spot = axes(figure, MARGIN + 0.55, SMALL_PRINT + 0.55, *PANEL)
    _points(spot, shown)
    spot.grid(visible=True)
    return figure


def _found(shown: Shown, name: str, told: str) -> str:
    value, error = (float(shown.figures.get(key, math.nan)) for key in (name, f"{name}_error"))
    return (
        f"{told} {said(value, 'ohm')} ± {said(error, 'ohm')}" if math.isfinite(value) else f"{told} unknown"
    )


def _points(spot: Axes, shown: Shown) -> None:
    kinds = [str(row["line"]) for row in shown.rows]
    lost = 100 * (1 - column(shown.rows, "together") / column(shown.rows, "alone"))
    for kind, along, color in (("row", "column", BLUE), ("column", "row", ORANGE)):
        mine = [number for number, one in enumerate(kinds) if one == kind]
        places = column(shown.rows, along)[mine]
        spot.plot(places, lost[mine], "o", color=color, markersize=3, label=f"of a {kind}, driven as a whole")
    spot.set_title("Current that a device loses to the others of its line")
    spot.set_xlabel("distance from the end of the line [crossings]")
    spot.set_ylabel("less than alone [%]")
    spot.legend(frameon=False, fontsize=8)
