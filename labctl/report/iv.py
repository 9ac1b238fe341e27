"""Current-voltage loops as a picture: linear, logarithmic, and what they came to from cycle to cycle.

Loops are drawn from the stored waveforms, against the voltage across the device, series resistors
taken off. Of very many, `MOST_DRAWN` are drawn, evenly chosen, so that the last is among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from labctl.characterize.iv import shape_of
from labctl.characterize.probing import Curve, curve
from labctl.characterize.tables import column
from labctl.quantity import format_quantity
from labctl.report.quantities import log_axis, shared_range, whole
from labctl.report.shown import Shown
from labctl.report.style import (
    BLUE,
    MARGIN,
    ORANGE,
    SEQUENTIAL,
    SMALL_PRINT,
    SOFT,
    Axes,
    Figure,
    axes,
    metric,
    said,
)

SIZE = (11.0, 4.75)
"""[inches]"""
PANEL = (2.75, 2.65)
"""[inches]"""
MOST_DRAWN = 100
DECADES = 5
"""Most of them on the logarithmic axis: what is below is noise, or 0 V."""


def picture(shown: Shown) -> Figure | None:
    """The loops of one step; None where no waveform was kept."""
    loops = loops_of(shown)
    if not loops:
        return None
    figure = shown.sheet(*SIZE, _heading(shown, len(loops)))
    lefts = [MARGIN + 0.5 + index * (PANEL[0] + 0.72) for index in range(3)]
    spots = [axes(figure, left, SMALL_PRINT + 0.5, *PANEL) for left in lefts]
    scale, unit = metric(max(float(np.abs(loop.amps).max()) for loop in loops), "A")
    _linear(spots[0], loops, scale, unit)
    _logarithmic(spots[1], loops, scale, unit)
    _cycles(spots[2], shown)
    return figure


def loops_of(shown: Shown) -> list[Curve]:
    """The device's own curves, one a cycle, of the cycles whose waveforms were kept."""
    count = sum(entry.trace is not None for entry in shown.entries())  # all at once they are large
    chosen = {round(place) for place in np.linspace(0, count - 1, min(count, MOST_DRAWN))}
    kept = ((entry.pulse, entry.trace) for entry in shown.entries() if entry.trace is not None)
    return [
        curve(shown.spec, pulse, trace, shown.site)
        for place, (pulse, trace) in enumerate(kept)
        if place in chosen
    ]


def _heading(shown: Shown, drawn: int) -> str:
    how, found = shown.procedure.settings, shown.figures
    ends = said(how.amplitude, "V") + (f" and -{said(how.negative, 'V')}" if how.negative else "")
    drive = f"{shape_of(how, shown.spec)} of {ends} at {format_quantity(how.frequency, 'Hz')}"
    figures = [
        f"{name} {said(float(found[key]), unit)}"
        for name, key, unit in (
            ("Vset", "vset", "V"),
            ("Vreset", "vreset", "V"),
            ("HRS", "hrs", "ohm"),
            ("LRS", "lrs", "ohm"),
        )
        if math.isfinite(float(found[key]))
    ]
    medians = ", ".join(figures) or "no states, no thresholds"
    return f"{drive}, {drawn} loops; {medians} (medians, states at {said(how.read_volts, 'V')})"


def _colours(count: int) -> Sequence[object]:
    """From the first loop to the last."""
    from matplotlib import colormaps

    shades: Any = colormaps[SEQUENTIAL]
    return [shades(place) for place in np.linspace(0.0, 0.85, count)]


def _linear(spot: Axes, loops: Sequence[Curve], scale: float, unit: str) -> None:
    for loop, colour in zip(loops, _colours(len(loops)), strict=True):
        spot.plot(loop.volts, loop.amps * scale, color=colour, linewidth=0.8)
    _labelled(spot, f"current [{unit}]", "Loop, first to last cycle")
    spot.axhline(0, color=SOFT, linewidth=0.5)
    spot.axvline(0, color=SOFT, linewidth=0.5)


def _logarithmic(spot: Axes, loops: Sequence[Curve], scale: float, unit: str) -> None:
    for loop, colour in zip(loops, _colours(len(loops)), strict=True):
        spot.plot(loop.volts, np.abs(loop.amps) * scale, color=colour, linewidth=0.8)
    highest = max(float(np.abs(loop.amps).max()) for loop in loops) * scale
    if highest > 0:
        spot.set_ylim(highest * 10.0**-DECADES, highest * 2)
        log_axis(spot, "y")
    _labelled(spot, f"|current| [{unit}]", "The same, logarithmic")


def _labelled(spot: Axes, current: str, title: str) -> None:
    spot.set_xlabel("voltage across the device [V]")
    spot.set_ylabel(current)
    spot.set_title(title)
    spot.grid(visible=True)


def _cycles(spot: Axes, shown: Shown) -> None:
    """HRS and LRS of each cycle."""
    cycles = column(shown.rows, "cycle")
    for name, colour, told in (("hrs", ORANGE, "HRS"), ("lrs", BLUE, "LRS")):
        spot.plot(cycles, column(shown.rows, name), "o", color=colour, markersize=3.5, label=told)
    known = np.concatenate([column(shown.rows, name) for name in ("hrs", "lrs")])
    if (known > 0).any():
        spot.set_ylim(*shared_range(known))
        log_axis(spot, "y", "Ω")
    else:
        spot.set_yticks([])
    spot.set_xlim(0.5, len(cycles) + 0.5)
    spot.set_xlabel("cycle")
    whole(spot, "x")
    spot.set_ylabel("resistance")
    spot.set_title("From cycle to cycle")
    spot.grid(visible=True)
    spot.legend(loc="best")
