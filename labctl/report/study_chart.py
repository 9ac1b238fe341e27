"""What a picture of one figure of a study is drawn from: its series, its points, and its axes.

Which kind of picture it is follows from the points alone: those with a place on a numeric axis become
lines, the others rows. A share is drawn in percent over the range that it takes; a cost from zero, or
on a logarithmic axis where its values are further apart than a linear one could show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from labctl.pulse import Floats
from labctl.report.quantities import log_axis, log_places
from labctl.report.style import Axes, metric
from labctl.study.answers import Answer
from labctl.study.file import UNITS, Axis, Question

APART = 8.0
"""Times that the highest cost is the lowest from which an axis is logarithmic."""
LEAST_SPAN = 0.01
"""Of an axis of shares: what is less apart is shown as little apart."""
FEW_DECADES = (0.5, 3.0)
"""Decades between which 1, 2 and 5 are numbered."""
MOST_TICKS = 9
"""Points up to which each has its number on the axis."""


@dataclass(frozen=True)
class Chart:
    """One figure of one question, as far as it was answered."""

    question: Question
    metric: str
    answers: Sequence[Answer]

    @property
    def name(self) -> str:
        """Of its file, without the ending."""
        plain = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in self.metric)
        return f"{self.question.name}--{'-'.join(plain.split())}"

    @cached_property
    def series(self) -> dict[str, list[Answer]]:
        """The points of each series, in their order; without those that no chip answers."""
        found: dict[str, list[Answer]] = {answer.series: [] for answer in self.answers}
        for answer in self.answers:
            if math.isfinite(answer.median.value):
                found[answer.series].append(answer)
        return found

    @property
    def places(self) -> list[str]:
        """The labels of all points, each once."""
        return list(dict.fromkeys(answer.x for answer in self.answers))

    @property
    def numeric(self) -> bool:
        """Whether the points stand on an axis of numbers."""
        return len(self.places) > 1 and all(answer.at is not None for answer in self.answers)

    @property
    def empty(self) -> bool:
        """Whether no chip has answered."""
        return not any(self.series.values())

    @property
    def is_share(self) -> bool:
        """Whether the values go from 0 to 1."""
        return self.metric.startswith("accuracy")

    @cached_property
    def values(self) -> Floats:
        """All that is drawn: quartiles, medians and their intervals, shape (n,)."""
        drawn = [
            one
            for points in self.series.values()
            for answer in points
            for one in (*answer.median, *answer.quartiles)
        ]
        found = np.array(drawn, dtype=np.float64)
        return found[np.isfinite(found)]

    @property
    def logarithmic(self) -> bool:
        """Whether the values are too far apart for an even axis."""
        low, high = float(self.values.min()), float(self.values.max())
        return not self.is_share and low > 0 and high / low > APART

    @cached_property
    def scale(self) -> tuple[float, str]:
        """By what a value is multiplied to be drawn, and the unit that it has then."""
        if self.is_share:
            return 100.0, "%"
        unit = UNITS.get(self.metric, "")
        if not unit or self.logarithmic:  # a logarithmic axis carries its prefixes itself
            return 1.0, unit
        return metric(float(self.values.max()), unit)

    @property
    def label(self) -> str:
        """Beside the axis of the values."""
        unit = self.scale[1]
        what = "accuracy" if self.is_share else self.metric
        return f"{what} ({unit})" if unit and not self.logarithmic else what

    def value_axis(self, spot: Axes, which: str) -> None:
        """Give the `which` ("x" or "y") axis the range that shows the point. After plotting."""
        factor = self.scale[0]
        low, high = float(self.values.min()) * factor, float(self.values.max()) * factor
        if self.logarithmic:
            _decades(spot, which, UNITS.get(self.metric, ""))
        else:
            spot.set(**{f"{which}lim": self._range(low, high)})
            _sparse(spot, which, counts=not self.is_share and factor == 1.0 and high > 5)
        spot.set(**{f"{which}label": self.label})

    def _range(self, low: float, high: float) -> tuple[float, float]:
        if self.is_share:
            low = min(low, high - 100 * LEAST_SPAN)
            room = 0.06 * (high - low)
            return max(low - room, -1.0), high + room
        if low == high == 0.0:
            return -0.04, 1.0
        if low < 0.6 * high:
            return 0.0, 1.06 * high
        room = 0.12 * (high - low) or 0.05 * abs(high) or 1.0
        return low - room, high + room


def _decades(spot: Axes, which: str, unit: str) -> None:
    """Logarithmic, with 1, 2 and 5 of each decade where there is room for them."""
    from matplotlib.ticker import LogLocator

    log_axis(spot, which, unit)
    low, high = getattr(spot, f"get_{which}lim")()
    if FEW_DECADES[0] < math.log10(high / low) < FEW_DECADES[1]:
        axis: Any = getattr(spot, f"{which}axis")
        axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0), numticks=12))


def _sparse(spot: Axes, which: str, *, counts: bool) -> None:
    """A handful of round numbers; whole ones of what is counted."""
    from matplotlib.ticker import MaxNLocator

    axis: Any = getattr(spot, f"{which}axis")
    axis.set_major_locator(MaxNLocator(6, integer=counts, steps=[1, 2, 5, 10]))


# ---- the axis of what is varied --------------------------------------------------------------


def axis_scale(axis: Axis, most: float) -> tuple[float, str]:
    """By what a place on this axis is multiplied to be drawn, and the unit that it has then."""
    unit = "%" if axis.levels else axis.unit
    if unit == "%":
        return 100.0, "%"
    if not unit:
        return 1.0, ""
    factor, text = metric(abs(most), unit)
    return factor, text.replace("ohm", "Ω")


def place_axis(spot: Axes, axis: Axis, places: Sequence[float]) -> None:
    """Ticks at the points themselves, where there is room; `places` are as they are drawn."""
    ordered = sorted(set(places))
    low, high = ordered[0], ordered[-1]
    if low > 0 and high / low >= 30:
        log_places(spot)
        gaps = np.diff(np.log(ordered)) / math.log(high / low)
    else:
        gaps = np.diff(ordered) / (high - low)
    if len(ordered) <= MOST_TICKS and gaps.min() > 0.05:
        spot.set_xticks(ordered, [f"{one:g}" for one in ordered])
    unit = axis_scale(axis, high)[1]
    spot.set_xlabel(f"{axis.name} ({unit})" if unit else axis.name)
