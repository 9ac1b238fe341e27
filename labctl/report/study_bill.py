"""What a chip of a study costs, as a picture: joules by purpose and sink, seconds by kind, medians."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.energy import KINDS
from labctl.quantity import printable
from labctl.report.bill import ORDER, kinds, sinks
from labctl.report.style import HEADING, MARGIN, SMALL_PRINT, Figure, axes, said, sheet
from labctl.study.costs import TOTAL, Cost

SIZE = (11.0, 3.7)
"""[inches]"""


def picture(bill: Mapping[str, Cost], condition: str, small_print: str) -> Figure:
    """Both charts, of one condition."""
    total = bill[TOTAL]
    subtitle = (
        f"{condition}: {said(float(total.joules[0]), 'J')} delivered in"
        f" {said(float(total.seconds.sum()), 's')} of bench time, {total.pulses:g} pulses"
    )
    figure = sheet(*SIZE, "What a chip costs, median over the chips", printable(subtitle), small_print)
    bottom, half = SMALL_PRINT + 0.6, (SIZE[0] - 2 * MARGIN) / 2
    height = SIZE[1] - HEADING - 0.3 - bottom
    found = [(purpose, bill[purpose]) for purpose in ORDER if purpose in bill]
    joules = {purpose: cost.joules[1:] for purpose, cost in found}
    sinks(axes(figure, MARGIN + 0.65, bottom, half - 1.75, height), joules)
    seconds: dict[str, float] = dict(zip(KINDS, total.seconds.tolist(), strict=True))
    kinds(axes(figure, MARGIN + half + 0.65, bottom, half - 1.75, height), seconds)
    return figure
