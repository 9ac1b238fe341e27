"""The bill as a picture: joules by purpose and sink, seconds by kind, joules by site.

What was estimated is in the bars and named apart in the heading; the periphery's tariff is in no
bar at all, because it is a stated price and no measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from labctl.energy import KINDS, Ledger
from labctl.pulse import Floats, Purpose
from labctl.report.style import (
    BLUE,
    GREEN,
    HEADING,
    MARGIN,
    ORANGE,
    PURPLE,
    SKY,
    SMALL_PRINT,
    SOFT,
    Axes,
    Figure,
    axes,
    count,
    metric,
    said,
    sheet,
)
from labctl.report.summary import Summary

SIZE = (11.0, 6.6)
"""[inches]"""
MOST_NAMED = 48
"""Sites up to which each is named under its bar."""
LETTER = 0.07
"""[inches] of a letter in the name of a site."""
PALE = 0.4
"""Opacity of what series resistors took."""
COLOURS = {
    Purpose.PROGRAM: BLUE,
    Purpose.RESET: ORANGE,
    Purpose.READ: SKY,
    Purpose.INFER: GREEN,
    Purpose.WAIT: PURPLE,
}
ORDER = (Purpose.RESET, Purpose.PROGRAM, Purpose.READ, Purpose.INFER, Purpose.WAIT)


def by_purpose(ledger: Ledger) -> dict[Purpose, Floats]:
    """[J] that went into devices and into series resistors, shape (2,), for each purpose that occurs."""
    found = {purpose: ledger.total(purpose=purpose) for purpose in ORDER}
    return {purpose: entry.joules[1:] for purpose, entry in found.items() if entry.pulses}


def by_kind(ledger: Ledger) -> dict[str, float]:
    """[s] of each kind."""
    return dict(zip(KINDS, ledger.total().seconds.tolist(), strict=True))


def by_site(ledger: Ledger, sites: int) -> dict[Purpose, Floats]:
    """[J] delivered, shape (sites + 1,), for each purpose that occurs; last, for several sites at once."""
    found = {purpose: np.zeros(sites + 1) for purpose in by_purpose(ledger)}
    for purpose, site, _, entry in ledger.rows():
        found[purpose][sites if site is None else site] += entry.joules[0]
    return found


def picture(told: Summary, ledger: Ledger) -> Figure | None:
    """The three charts; None where nothing was driven."""
    if not ledger.total().pulses:
        return None
    figure = sheet(*SIZE, "What the run cost", _subtitle(told, ledger), str(told.origin))
    upper, half = SMALL_PRINT + 3.35, (SIZE[0] - 2 * MARGIN) / 2
    height = SIZE[1] - HEADING - 0.3 - upper
    sinks(axes(figure, MARGIN + 0.65, upper, half - 1.75, height), by_purpose(ledger))
    kinds(axes(figure, MARGIN + half + 0.65, upper, half - 1.75, height), by_kind(ledger))
    longest = max(map(len, told.labels), default=0)
    lower = SMALL_PRINT + min(max(0.65, 0.15 + LETTER * longest), 1.3)
    spot = axes(figure, MARGIN + 0.65, lower, SIZE[0] - 2 * MARGIN - 0.65, upper - lower - 0.95)
    _sites(spot, told.labels, by_site(ledger, len(told.labels)))
    return figure


def _subtitle(told: Summary, ledger: Ledger) -> str:
    total, estimated = ledger.total(), ledger.total(estimated=True)
    seconds = float(total.seconds.sum())
    parts = [
        f"{said(float(total.joules[0]), 'J')} delivered in {said(seconds, 's')} of bench time,"
        f" {count(total.pulses, 'pulse')}"
    ]
    if estimated.pulses:
        parts.append(f"of which {said(float(estimated.joules[0]), 'J')} estimated, not measured")
    if periphery := ledger.periphery(told.tariff):
        parts.append(f"periphery, at tariff {told.tariff.name}: {said(periphery, 'J')} more")
    return "; ".join(parts)


def sinks(spot: Axes, joules: Mapping[Purpose, Floats]) -> None:
    """A bar a purpose: what devices took, then what series resistors and switches took."""
    from matplotlib.patches import Patch

    device, series = (np.array([pair[sink] for pair in joules.values()]) for sink in (0, 1))
    factor, unit = metric(float((device + series).max(initial=0.0)), "J")
    names, places = [str(purpose) for purpose in joules], np.arange(len(joules))
    colours = [COLOURS[purpose] for purpose in joules]
    spot.barh(places, device * factor, 0.6, color=colours)
    spot.barh(places, series * factor, 0.6, left=device * factor, color=colours, alpha=PALE)
    _lengths(spot, names, device + series, factor, "J")
    spot.set(title="Energy by purpose and sink", xlabel=f"energy ({unit})")
    keys = [
        Patch(facecolor=SOFT, label="devices and wires"),
        Patch(facecolor=SOFT, alpha=PALE, label="series resistors, switches"),
    ]
    spot.legend(handles=keys, loc="lower right", bbox_to_anchor=(1.28, 0.02))


def kinds(spot: Axes, seconds: Mapping[str, float]) -> None:
    """A bar a kind of time."""
    values = np.array(list(seconds.values()))
    factor, unit = metric(float(values.max()), "s")
    spot.barh(np.arange(len(values)), values * factor, 0.6, color=SOFT)
    _lengths(spot, list(seconds), values, factor, "s")
    spot.set(title="Bench time by kind", xlabel=f"time ({unit})")


def _lengths(spot: Axes, names: list[str], values: Floats, factor: float, unit: str) -> None:
    """Names at the left of the bars, values and shares at their ends."""
    spot.set_yticks(np.arange(len(names)), names)
    spot.set_ylim(len(names) - 0.4, -0.6)
    spot.tick_params(axis="y", length=0)
    spot.grid(visible=True, axis="x")
    total = float(values.sum())
    for place, value in enumerate(values):
        share = f"  ({100 * value / total:.2g} %)" if total > 0 else ""
        text = said(float(value), unit) + share
        spot.annotate(
            text, (max(value, 0.0) * factor, place), (4, 0), textcoords="offset points", va="center", size=8
        )
    spot.margins(x=0.02)


def _sites(spot: Axes, labels: tuple[str, ...], joules: Mapping[Purpose, Floats]) -> None:
    """A bar a site, by purpose; the last one for what several sites took at once."""
    names, places = [*labels, "several"], np.arange(len(labels) + 1)
    several = any(values[-1] for values in joules.values())
    shown = len(names) if several else len(labels)
    factor, unit = metric(float(np.sum(list(joules.values()), axis=0).max()), "J")
    bottom = np.zeros(shown)
    for purpose, values in joules.items():
        heights = values[:shown] * factor
        spot.bar(places[:shown], heights, 0.7, bottom=bottom, color=COLOURS[purpose], label=str(purpose))
        bottom += heights
    if shown <= MOST_NAMED:
        spot.set_xticks(places[:shown], names[:shown], rotation=90, size=7.5)
        spot.tick_params(axis="x", length=0)
    spot.set(xlim=(-0.6, shown - 0.4), ylim=(0, 1.06 * max(float(bottom.max()), 1e-9)))
    spot.grid(visible=True, axis="y")
    spot.set(title="Energy delivered to each site", ylabel=f"energy ({unit})")
    handles: list[Any] = spot.get_legend_handles_labels()[0]
    spot.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1, 1.0), ncols=len(handles), borderaxespad=0.2
    )
