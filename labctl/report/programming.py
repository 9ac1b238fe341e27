"""Closed-loop programming as a picture: both states over the cycles, how they are spread, how many pulses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labctl.characterize.programming import ClosedLoop, Cycle, complete
from labctl.pulse import Floats
from labctl.report.quantities import cumulative, grid, log_axis, shared_range, whole
from labctl.report.shown import Shown
from labctl.report.style import (
    ALARM,
    BLUE,
    HEADING,
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

SIZE = (11.0, 4.6)
"""[inches]"""


def picture(shown: Shown) -> Figure | None:
    """The three charts; None before the first cycle is over."""
    procedure = shown.procedure
    if not isinstance(procedure, ClosedLoop):
        return None
    cycles = complete(shown.rows, procedure.settings.most_sets)
    if not cycles:
        return None
    figure = shown.sheet(*SIZE, _told(procedure, cycles))
    bottom = SMALL_PRINT + 0.6
    height = SIZE[1] - HEADING - 0.3 - bottom
    over, spreads, pulses = (
        axes(figure, MARGIN + left, bottom, width, height)
        for left, width in ((0.6, 4.4), (5.3, 2.3), (8.4, 1.6))
    )
    _over_cycles(over, cycles, procedure.limit(shown.spec, shown.site))
    _spreads(spreads, cycles, over.get_ylim())
    _pulses(pulses, cycles, procedure.settings.most_sets)
    return figure


def _told(procedure: ClosedLoop, cycles: Sequence[Cycle]) -> str:
    how, done = procedure.settings, sum(one.success for one in cycles)
    first = sum(one.success and len(one.siemens) == 1 for one in cycles)
    return (
        f"reset -{said(how.reset_volts, 'V')} {said(how.reset_seconds, 's')}, set {said(how.set_volts, 'V')}"
        f" {said(how.set_seconds, 's')}, read {said(how.reading.volts, 'V')}: {done} of {len(cycles)}"
        f" cycles set, {percent(first / len(cycles))} by the first pulse"
    )


def _states(cycles: Sequence[Cycle]) -> tuple[Floats, Floats, Floats]:
    """[ohm] after reset, after the last set pulse, and where that was no success; NaN elsewhere."""
    with np.errstate(divide="ignore"):
        high = 1 / np.array([one.reset for one in cycles])
        low = 1 / np.array([one.siemens[-1] for one in cycles])
    success = np.array([one.success for one in cycles])
    return high, np.where(success, low, np.nan), np.where(success, np.nan, low)


def _over_cycles(spot: Axes, cycles: Sequence[Cycle], limit: float) -> None:
    high, low, failed = _states(cycles)
    numbers = np.arange(1, len(cycles) + 1)
    style = {"linestyle": "", "marker": "o", "markersize": 3.2}
    spot.plot(numbers, high, color=ORANGE, label="after reset", **style)
    spot.plot(numbers, low, color=BLUE, label="after set", **style)
    if np.isfinite(failed).any():
        spot.plot(numbers, failed, color=ALARM, label="not set", linestyle="", marker="x", markersize=4.5)
    spot.axhline(limit, color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)), label="limit")
    spot.set_ylim(*shared_range(high, low, failed, np.array([limit])))
    log_axis(spot, "y", "Ω")
    spot.set(title="Both states", xlabel="cycle", ylabel="resistance")
    spot.set_xlim(0.5 - 0.01 * len(cycles), len(cycles) + 0.5 + 0.01 * len(cycles))
    whole(spot, "x")
    grid(spot)
    spot.legend(loc="lower right", ncols=4, bbox_to_anchor=(1.0, 0.99), handletextpad=0.2, columnspacing=1.0)


def _spreads(spot: Axes, cycles: Sequence[Cycle], limits: tuple[float, float]) -> None:
    """Probability plot: a log-normal spread is a straight line."""
    from scipy.special import ndtri

    high, low, _ = _states(cycles)
    for values, colour in ((high, ORANGE), (low, BLUE)):
        ordered, share = cumulative(values[np.isfinite(values)])
        spot.plot(np.asarray(ndtri(share)), ordered, color=colour, linestyle="", marker="o", markersize=3.2)
    shares = (0.01, 0.1, 0.5, 0.9, 0.99)
    spot.set_xticks([float(ndtri(one)) for one in shares], ["1", "10", "50", "90", "99"])
    spot.set(ylim=limits, xlim=(-2.8, 2.8))
    log_axis(spot, "y", "Ω")
    spot.set(title="Spread", xlabel="cycles below (%)")
    spot.tick_params(axis="y", labelleft=False)
    grid(spot)


def _pulses(spot: Axes, cycles: Sequence[Cycle], most: int) -> None:
    """How many set pulses a cycle took; those that were not set, in the colour of alarm on top."""
    counts = np.array([len(one.siemens) for one in cycles])
    success = np.array([one.success for one in cycles])
    numbers = np.arange(1, min(most, max(int(counts.max()), 3)) + 1)
    done = np.array([np.sum(counts[success] == number) for number in numbers])
    failed = np.array([np.sum(counts[~success] == number) for number in numbers])
    spot.bar(numbers, done, 0.7, color=BLUE)
    spot.bar(numbers, failed, 0.7, bottom=done, color=ALARM)
    mean = float(counts[success].mean()) if success.any() else float("nan")
    spot.set(title="Set pulses", xlabel=f"mean {mean:.3g}", ylabel="cycles", ylim=(0, 1.08 * len(cycles)))
    spot.set_xticks(numbers if len(numbers) <= 5 else numbers[1::2])
    whole(spot, "y")
    spot.grid(visible=True, axis="y")
