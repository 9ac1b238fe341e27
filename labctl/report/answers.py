"""What the chip's last neuron answered to each pattern, above the pattern itself.

The sign is the class, so a bar on the wrong side of zero is a wrong answer. The marks are what ideal
amplifiers would have answered with the conductances that were read: where bar and mark differ, it
was the neurons and not the synapses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from labctl.report.style import (
    ALARM,
    BLUE,
    FAINT,
    HEADING,
    INK,
    MARGIN,
    ORANGE,
    SMALL_PRINT,
    SOFT,
    Axes,
    Figure,
    axes,
    metric,
    said,
    sheet,
)
from labctl.report.summary import Answers, Summary

HEIGHT = 5.0
"""[inches]"""
SLOT = (0.16, 0.34)
"""[inches] least and most width for a pattern."""
WIDTH = 11.0
"""[inches] that the patterns fill if their slots allow."""
NOTHING = 1e-6
"""[V] A difference that is not worth a word."""
SIDE = 3
"""Pixels along the side of a pattern."""
LEFT = MARGIN + 0.62
CLASSES = {1.0: ("class +1", BLUE), -1.0: ("class \N{MINUS SIGN}1", ORANGE)}


def picture(told: Summary) -> Figure | None:
    """Bars, marks and patterns; None for a run that has not answered yet."""
    answers = told.answers
    if answers is None or not len(answers.volts):
        return None
    patterns = len(answers.volts)
    slot = min(max((WIDTH - LEFT - MARGIN) / patterns, SLOT[0]), SLOT[1])
    across = patterns * slot
    width = max(LEFT + across + MARGIN, 8.0)
    figure = sheet(width, HEIGHT, "What the output neuron answered", subtitle(answers), str(told.origin))
    thumbnails = SMALL_PRINT + 0.35
    bars = thumbnails + slot + 0.3
    _bars(axes(figure, LEFT, bars, across, HEIGHT - HEADING - bars), answers)
    _thumbnails(axes(figure, LEFT, thumbnails, across, slot), answers)
    _legend(figure, answers)
    return figure


def subtitle(answers: Answers) -> str:
    """How many were right, how clear it was, and how far from an ideal circuit."""
    right = int(answers.right.sum())
    margin = float((answers.volts * answers.labels).min())
    off = float(np.abs(answers.volts - answers.predicted).max())
    least = said(abs(margin), "V")
    clear = f"least margin {least}" if margin > 0 else f"the worst is wrong by {least}"
    same = f"at most {said(off, 'V')} from" if off > NOTHING else "the same as"
    return (
        f"{right} of {len(answers.volts)} patterns classified right {answers.neurons};"
        f" {clear}; {same} an ideal circuit"
    )


def _bars(spot: Axes, answers: Answers) -> None:
    places = np.arange(len(answers.volts))
    factor, unit = metric(float(np.abs([answers.volts, answers.predicted]).max()), "V")
    for label, (name, colour) in CLASSES.items():
        its = answers.labels == label
        spot.bar(places[its], answers.volts[its] * factor, 0.62, color=colour, label=name)
    spot.plot(places, answers.predicted * factor, **_mark())
    wrong = np.flatnonzero(~answers.right)
    for place in wrong:
        spot.axvspan(place - 0.5, place + 0.5, color=ALARM, alpha=0.18, linewidth=0, zorder=0)
    spot.axhline(0, color=INK, linewidth=0.8)
    spot.set_xlim(-0.5, len(places) - 0.5)
    spot.margins(y=0.08)
    spot.set_xticks([])
    spot.spines["bottom"].set_visible(False)
    spot.grid(visible=True, axis="y")
    spot.set_ylabel(f"output voltage ({unit})")


def _mark() -> dict[str, Any]:
    return {
        "color": INK,
        "marker": "D",
        "markersize": 3.5,
        "markerfacecolor": "white",
        "markeredgewidth": 0.9,
        "linestyle": "",
    }


def _thumbnails(spot: Axes, answers: Answers) -> None:
    """Each pattern under its bar: lit pixels in the colour of its class, a frame around what went wrong."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    pixel, patches, colours = 0.84 / SIDE, list[Any](), list[str]()
    for place, (pixels, label) in enumerate(zip(answers.pixels, answers.labels, strict=True)):
        for (row, column), lit in np.ndenumerate(pixels.reshape(SIDE, SIDE)):
            corner = (place - 0.42 + column * pixel, 0.42 - (row + 1) * pixel)
            patches.append(Rectangle(corner, pixel, pixel))
            colours.append(CLASSES[float(label)][1] if lit else FAINT)
    spot.add_collection(PatchCollection(patches, facecolors=colours, edgecolors="white", linewidths=0.5))
    for place in np.flatnonzero(~answers.right):
        spot.add_patch(
            Rectangle((place - 0.46, -0.46), 0.92, 0.92, fill=False, edgecolor=ALARM, linewidth=1.4)
        )
    spot.set(xlim=(-0.5, len(answers.pixels) - 0.5), ylim=(-0.5, 0.5))
    spot.axis("off")
    spot.text(-0.7, 0, "pattern", size=8, color=SOFT, ha="right", va="center")


def _legend(figure: Figure, answers: Answers) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys: list[Any] = [Patch(facecolor=colour, label=name) for name, colour in CLASSES.values()]
    keys.append(Line2D([], [], label="ideal circuit", **_mark()))
    if not answers.right.all():
        keys.append(Patch(facecolor="none", edgecolor=ALARM, linewidth=1.4, label="wrong"))
    width, height = figure.get_size_inches()
    place = (1 - MARGIN / width, 1 - 0.24 / height)
    figure.legend(handles=keys, loc="upper right", bbox_to_anchor=place, borderaxespad=0, ncols=len(keys))
