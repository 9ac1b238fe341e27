"""Logarithmic axes that carry quantities, and what pictures of measured points share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from labctl.pulse import Floats
from labctl.report.style import FAINT, Axes

WIDE = 2.0
"""Decades from which on an axis numbers only powers of ten."""


def log_axis(spot: Axes, which: str, unit: str = "") -> None:
    """Make the `which` ("x" or "y") axis logarithmic, with ticks such as 20 kΩ. After plotting."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    getattr(spot, f"set_{which}scale")("log")
    low, high = getattr(spot, f"get_{which}lim")()
    axis: Any = getattr(spot, f"{which}axis")
    decades = math.log10(high / low)
    steps = (
        (1.0,) if decades >= WIDE else (1.0, 2.0, 5.0) if decades >= 0.5 else tuple(np.arange(1.0, 10.0, 0.5))
    )
    axis.set_major_locator(LogLocator(10, subs=steps, numticks=12))
    axis.set_major_formatter(EngFormatter(unit) if unit else _plain)
    axis.set_minor_formatter(NullFormatter())


def log_places(spot: Axes) -> None:
    """Make the x axis logarithmic, without ticks between those that it is given."""
    from matplotlib.ticker import NullFormatter, NullLocator

    spot.set_xscale("log")
    spot.xaxis.set_minor_locator(NullLocator())
    spot.xaxis.set_minor_formatter(NullFormatter())


def moved(spot: Axes, points: float) -> Any:
    """The transform of data that stand so many points [1/72 inch] to the right of their place."""
    from matplotlib.transforms import ScaledTranslation

    return spot.transData + ScaledTranslation(points / 72, 0, spot.get_figure().dpi_scale_trans)


def whole(spot: Axes, which: str) -> None:
    """Numbers on the `which` ("x" or "y") axis that count something: no half of it."""
    from matplotlib.ticker import MaxNLocator

    getattr(spot, f"{which}axis").set_major_locator(MaxNLocator(integer=True))


def _plain(value: float, place: int | None = None) -> str:
    """10, 0.02, 5·10⁶, 10⁻⁷: without a unit; powers of ten below a thousandth and from a hundred thousand."""
    if 1e-3 <= value < 1e5 or not value > 0:
        return f"{value:g}"
    digits, power = f"{value:.1e}".split("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if digits == "1.0" else f"{float(digits):g}·10{raised}"


def shared_range(*values: Floats) -> tuple[float, float]:
    """Room for all positive, finite values on a logarithmic axis."""
    every = np.concatenate([np.ravel(one) for one in values])
    every = every[np.isfinite(every) & (every > 0)]
    low, high = (float(every.min()), float(every.max())) if len(every) else (1.0, 10.0)
    room = max((high / low) ** 0.08, 1.25)
    return low / room, high * room


def grid(spot: Axes) -> None:
    """Faint lines behind everything."""
    spot.grid(visible=True, which="major", color=FAINT)


def cumulative(values: Floats) -> tuple[Floats, Floats]:
    """Sorted values and the share at or below each, (i - 1/2) / n: for step lines and probability plots."""
    ordered = np.sort(values)
    return ordered, (np.arange(len(ordered)) + 0.5) / max(len(ordered), 1)
