"""Write-verify statistics as a picture: what was reached, how many pulses it took, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labctl.characterize.statistics import OfTarget, WriteVerify, by_target
from labctl.pulse import Floats
from labctl.report.quantities import grid, log_axis, whole
from labctl.report.shown import Shown
from labctl.report.style import (
    ALARM,
    BLUE,
    FAINT,
    GREEN,
    HEADING,
    INK,
    MARGIN,
    ORANGE,
    PURPLE,
    SKY,
    SMALL_PRINT,
    Axes,
    Figure,
    axes,
    metric,
    percent,
    said,
)

SIZE = (11.0, 4.6)
"""[inches]"""
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, INK)


def picture(shown: Shown) -> Figure | None:
    """The three charts; None before the first target was tried."""
    procedure, targets = shown.procedure, by_target(shown.rows)
    if not isinstance(procedure, WriteVerify) or not targets:
        return None
    tolerance = procedure.settings.programming.tolerance
    share = float(shown.figures["success"])
    told = f"{percent(share)} of {len(shown.rows)} programmings within {percent(tolerance)} of their target"
    figure = shown.sheet(*SIZE, told)
    bottom = SMALL_PRINT + 0.6
    height = SIZE[1] - HEADING - 0.3 - bottom
    errors, pulses, joules = (
        axes(figure, MARGIN + left, bottom, width, height)
        for left, width in ((0.6, 3.6), (4.9, 2.3), (7.8, 2.3))
    )
    _errors(errors, targets, tolerance)
    _shares(pulses, targets, [one.pulses for one in targets])
    pulses.set(title="Pulses to success", xlabel="pulses", ylabel="share of successes")
    whole(pulses, "x")
    most = max((float(one.joules.max(initial=0.0)) for one in targets), default=0.0)
    factor, unit = metric(most, "J")
    _shares(joules, targets, [one.joules * factor for one in targets])
    joules.set(title="Energy to success", xlabel=f"delivered energy ({unit})")
    joules.tick_params(axis="y", labelleft=False)
    if most > 0:
        log_axis(joules, "x")
        pulses.legend(loc="lower right", handlelength=1.2)
    return figure


def _errors(spot: Axes, targets: Sequence[OfTarget], tolerance: float) -> None:
    """Every programming, beside the others of its target."""
    for place, (one, colour) in enumerate(zip(targets, _colours(targets), strict=True)):
        shift = np.linspace(-0.28, 0.28, len(one.after)) if len(one.after) > 1 else np.zeros(1)
        off = 100 * (one.after / one.target - 1)
        fine = np.abs(off) <= 100 * tolerance * (1 + 1e-9)
        style = {"linestyle": "", "marker": "o", "markersize": 3.2}
        spot.plot(place + shift[fine], off[fine], color=colour, **style)
        spot.plot(place + shift[~fine], off[~fine], color=ALARM, linestyle="", marker="x", markersize=4.5)
    spot.axhspan(-100 * tolerance, 100 * tolerance, color=FAINT, zorder=0, linewidth=0)
    names = [f"{said(one.target, 'S')}\n{percent(one.success.value)}" for one in targets]
    spot.set_xticks(range(len(targets)), names)
    spot.tick_params(axis="x", length=0)
    spot.set(title="Error that was left", ylabel="from target (%)", xlim=(-0.5, len(targets) - 0.5))
    spot.grid(visible=True, axis="y")


def _shares(spot: Axes, targets: Sequence[OfTarget], values: Sequence[Floats]) -> None:
    """Cumulative share of the successes of each target."""
    for one, colour, its in zip(targets, _colours(targets), values, strict=True):
        if len(its):
            ordered = np.sort(its)
            steps, share = np.append(ordered[0], ordered), np.linspace(0, 1, len(its) + 1)
            spot.step(steps, share, color=colour, where="pre", linewidth=1.4, label=said(one.target, "S"))
    spot.set_ylim(0, 1.02)
    grid(spot)


def _colours(targets: Sequence[OfTarget]) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(len(targets))]
