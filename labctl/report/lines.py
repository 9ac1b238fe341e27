"""The lines of a crossbar as a picture: what each device loses when the whole line is connected."""

from __future__ import annotations

import math

from labctl.characterize.tables import column
from labctl.report.shown import Shown
from labctl.report.style import BLUE, MARGIN, ORANGE, SMALL_PRINT, Axes, Figure, axes

SIZE = (6.6, 4.6)
"""[inches]"""
PANEL = (5.2, 2.6)
"""[inches]"""
ASIDE = 0.15
"""[crossings] by which rows and columns stand beside each other."""
MOST_DIGITS = 100
LEAST = 1e-3
"""[ohm] Nobody asks for less."""
NAMES = (("source", "Rs"), ("neuron", "Rn"), ("row_wire", "row's wire"), ("column_wire", "column's"))


def picture(shown: Shown) -> Figure | None:
    """What one step found; None where it has no rows."""
    if not shown.rows:
        return None
    dopant = shown.spec.sites[shown.site].dopant
    figure = shown.sheet(*SIZE, ", ".join(_found(shown, name, told) for name, told in NAMES), of=dopant)
    spot = axes(figure, MARGIN + 0.55, SMALL_PRINT + 0.55, *PANEL)
    _points(spot, shown)
    spot.grid(visible=True)
    return figure


def _found(shown: Shown, name: str, told: str) -> str:
    value, error = (float(shown.figures.get(key, math.nan)) for key in (name, f"{name}_error"))
    return f"{told} {between(value, error)} Ω" if math.isfinite(value) else f"{told} unknown"


def between(value: float, error: float) -> str:
    """`50.12 ± 0.03`: as many digits as the error is worth, rounded up, and no more than a look takes in."""
    if not math.isfinite(error):
        return f"{value:.4g} ± unknown"
    worth = max(error, abs(value) / MOST_DIGITS, LEAST)
    places = max(0, 1 - math.floor(math.log10(worth)))
    told = max(1, math.ceil(error * 10**places)) / 10**places
    return f"{value:.{places}f} ± {told:.{places}f}"


def _points(spot: Axes, shown: Shown) -> None:
    kinds = [str(row["line"]) for row in shown.rows]
    lost = 100 * (1 - column(shown.rows, "together") / column(shown.rows, "alone"))
    for kind, along, color, aside in (("row", "column", BLUE, -ASIDE), ("column", "row", ORANGE, ASIDE)):
        mine = [number for number, one in enumerate(kinds) if one == kind]
        places = column(shown.rows, along)[mine]
        spot.plot(
            places + aside, lost[mine], "o", color=color, markersize=3, label=f"{kind} driven as a whole"
        )
    spot.set_title("Current that a device loses to the others of its line")
    spot.set_xlabel("distance from the end of the line [crossings]")
    spot.set_ylabel("less than alone [%]")
    spot.legend(frameon=False, fontsize=8)
