"""Read noise as a picture: the series and its values, the spectrum with its floors, the Allan deviation."""

from __future__ import annotations

import math

import numpy as np

from labctl.characterize import spectrum
from labctl.characterize.noise import Noise, Series, drifts, series
from labctl.characterize.telegraph import telegraph
from labctl.report.quantities import grid, log_axis, shared_range
from labctl.report.shown import Shown
from labctl.report.style import (
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
    SOFT,
    Axes,
    Figure,
    axes,
    percent,
    said,
)

SIZE = (11.0, 7.5)
"""[inches]"""
DASHED = (0, (4, 3))
BELOW = 1e3
"""How far below the lowest floor a density is drawn: what is further down is the arithmetic's."""


def picture(shown: Shown) -> Figure | None:
    """The four charts; None for a device that was not found, or that has no noise at all."""
    procedure = shown.procedure
    if not isinstance(procedure, Noise):
        return None
    seen = series(shown.rows, procedure.settings.period)
    if len(seen.values) < spectrum.FEWEST or not float(np.ptp(seen.values)) > 0:
        return None
    figure = shown.sheet(*SIZE, _told(shown, seen))
    bottom, half = SMALL_PRINT + 0.9, (SIZE[0] - 2 * MARGIN) / 2
    upper, height = bottom + 3.1, SIZE[1] - HEADING - 0.3 - (bottom + 3.1)
    time = axes(figure, MARGIN + 0.7, upper, SIZE[0] - 2 * MARGIN - 2.3, height)
    beside = axes(figure, SIZE[0] - MARGIN - 1.4, upper, 1.4, height)
    _series(time, beside, seen)
    power = axes(figure, MARGIN + 0.7, bottom, half - 1.75, 2.2)
    _spectrum(power, shown, procedure, seen)
    _allan(axes(figure, MARGIN + half + 0.75, bottom, half - 0.75, 2.2), seen)
    return figure


def _told(shown: Shown, seen: Series) -> str:
    found = shown.figures
    levels = "two levels" if found["telegraph"] == "yes" else "no telegraph levels"
    return (
        f"{len(seen.values)} reads every {said(seen.period, 's')} at {said(seen.ohms, 'ohm')}:"
        f" standard deviation {percent(float(found['sd']))}, {_slow(shown, seen)}, {levels}"
    )


def _slow(shown: Shown, seen: Series) -> str:
    """What is slower than white noise, in words."""
    found, fit = shown.figures, spectrum.flicker(seen.values, seen.period)
    exponent, error = float(found["exponent"]), float(found["exponent_error"])
    told = [f"it drifts by {_percent(float(found['drift']))} a second"] if drifts(seen, fit) else []
    if math.isfinite(exponent):
        told.append(f"1/f^{exponent:.2f} ± {error:.2f}")
    return ", ".join(told) or "no 1/f noise above white noise"


def _series(spot: Axes, beside: Axes, seen: Series) -> None:
    """Against time, and how often each value came; levels where there are two."""
    off, found = 100 * seen.values, telegraph(seen.values, seen.period)
    spot.plot(seen.seconds - seen.seconds[0], off, color=BLUE, linewidth=0.5)
    beside.hist(off, bins=40, orientation="horizontal", color=SKY)
    if found.found:
        for one in (found.low, found.high):
            for where in (spot, beside):
                where.axhline(100 * one, color=ORANGE, linewidth=1.0)
    spot.set(title="Resistance, read after read", xlabel="time (s)", ylabel="ln R less its mean (%)")
    spot.set_xlim(0, float(seen.seconds[-1] - seen.seconds[0]))
    beside.set(title="Values", xlabel="reads", ylim=spot.get_ylim())
    beside.tick_params(axis="y", labelleft=False)
    for one in (spot, beside):
        one.grid(visible=True, axis="y")


def _spectrum(spot: Axes, shown: Shown, procedure: Noise, seen: Series) -> None:
    """Welch's density with its intervals, the fit, and the floors; the same in A^2/Hz on the right."""
    found, fit = spectrum.welch(seen.values, seen.period), spectrum.flicker(seen.values, seen.period)
    spot.fill_between(found.hertz, found.low, found.high, color=SKY, alpha=0.35, linewidth=0)
    spot.plot(found.hertz, found.density, color=BLUE, linewidth=1.0, label="measured")
    amps = procedure.amps(shown.spec, shown.site, 1 / seen.ohms)
    floors = procedure.floors(shown.spec, shown.site, 1 / seen.ohms)
    shown_floors = [one / amps**2 for one in floors if one > 0]
    for one, colour, name in zip(
        floors, (GREEN, PURPLE, SOFT), ("thermal", "shot", "instrument"), strict=True
    ):
        if one > 0:
            spot.axhline(one / amps**2, color=colour, linewidth=1.0, linestyle=DASHED, label=name)
    low, high = shared_range(found.density, np.array(shown_floors))
    low = max(low, min(shown_floors) / BELOW)
    if (fitted := fit.density(found.hertz)).max() > low:
        spot.plot(found.hertz, fitted, color=INK, linewidth=1.0, label="fit")
    spot.set(ylim=(low, high), xlim=(float(found.hertz[0]), float(found.hertz[-1])))
    log_axis(spot, "x", "Hz")
    log_axis(spot, "y")
    spot.set(title="Power spectral density", ylabel="of ln R (1/Hz)", xlabel="frequency")
    grid(spot)
    right = spot.twinx()
    right.set_ylim(low * amps**2, high * amps**2)
    log_axis(right, "y")
    right.set_ylabel("of the current (A²/Hz)")
    spot.legend(loc="upper center", bbox_to_anchor=(0.5, -0.26), ncols=5, columnspacing=1.0, handlelength=1.4)


def _allan(spot: Axes, seen: Series) -> None:
    """With its intervals, and how white noise would go on averaging down."""
    found = spectrum.allan(seen.values, seen.period)
    spot.fill_between(found.seconds, found.low, found.high, color=SKY, alpha=0.35, linewidth=0)
    spot.plot(found.seconds, found.deviation, color=BLUE, marker="o", markersize=3, linewidth=1.0)
    white = found.deviation[0] * np.sqrt(found.seconds[0] / found.seconds)
    spot.plot(found.seconds, white, color=SOFT, linewidth=1.0, linestyle=DASHED, label="white noise")
    floor, tau = found.floor
    spot.axhline(floor, color=FAINT, linewidth=0.8, zorder=0)
    spot.set_ylim(*shared_range(found.deviation, white))
    spot.set_xlim(float(found.seconds[0]) / 1.3, float(found.seconds[-1]) * 1.3)
    log_axis(spot, "x", "s")
    log_axis(spot, "y")
    spot.set(
        title="Allan deviation", xlabel=f"τ (least: {percent(floor)} at {said(tau, 's')})", ylabel="of ln R"
    )
    grid(spot)
    spot.legend(loc="lower left")


def _percent(part: float) -> str:
    """Two digits, and all before the point."""
    return f"{100 * part:.0f} %" if abs(part) >= 0.1 else f"{100 * part:.2g} %"
