"""How every picture looks: one palette, one set of sizes, one heading, one small print.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which stay apart for people
with any of the common colour deficiencies; maps use viridis for the same reason. Places are given
in inches from the edges of the sheet, so that a picture of another size needs no new numbers.
matplotlib is used through its objects, never through pyplot: no window system is touched and no
figure outlives its file. Its stubs leave keywords untyped, which strict checking refuses: hence the
two aliases.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from labctl.quantity import format_quantity

Figure: TypeAlias = Any
"""A matplotlib.figure.Figure."""
Axes: TypeAlias = Any
"""A matplotlib.axes.Axes."""

INK, SOFT, FAINT, EMPTY = "#1f2933", "#5f6c7b", "#dfe3e8", "#e9ecef"
BLUE, ORANGE, GREEN, SKY, PURPLE = "#0072b2", "#e69f00", "#009e73", "#56b4e9", "#cc79a7"
ALARM = "#d55e00"
"""Vermilion: what is not as it should be, and nothing else."""
SEQUENTIAL, DIVERGING = "viridis", "PuOr_r"

DPI = 160
MARGIN = 0.45
"""[inches] left of a heading and of the small print."""
HEADING = 0.85
"""[inches] that a heading takes."""
SMALL_PRINT = 0.4
"""[inches] that the small print takes."""

_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same picture on every machine
    "font.size": 9,
    "text.color": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "hatch.linewidth": 0.8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def house_style() -> Generator[None]:
    """Figures that are made and saved inside look like this; what was set before comes back."""
    import matplotlib as mpl

    untyped: Any = mpl
    plain = {key: value for key, value in untyped.rcParamsDefault.items() if not key.startswith("backend")}
    with untyped.rc_context(plain | _RC):
        yield


def sheet(width: float, height: float, title: str, subtitle: str, small_print: str) -> Figure:
    """An empty figure of this size [inches] with its heading and its small print."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    figure: Figure = Sheet(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    left = MARGIN / width
    figure.text(left, 1 - 0.24 / height, title, size=13, weight="bold", va="top")
    figure.text(left, 1 - 0.52 / height, subtitle, size=9, color=SOFT, va="top")
    figure.text(left, 0.15 / height, small_print, size=7, color=SOFT, va="bottom")
    return figure


def axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at this place [inches] of the sheet."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def save(figure: Figure, path: Path) -> Path:
    """Write it as a PNG, whole or not at all; the same figure gives the same bytes."""
    part = path.with_name(f"{path.name}.part")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)  # names may be in any script
            figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def said(value: float, unit: str) -> str:
    """A quantity as a person reads it: 12.3 µJ."""
    text = format_quantity(value, unit, digits=3)
    return text.replace(" u", " µ").replace("ohm", "Ω")


def count(number: int, thing: str) -> str:
    """`1 pulse`, `2 pulses`."""
    return f"{number} {thing}{'s' * (number != 1)}"


def percent(fraction: float) -> str:
    """`2 %`."""
    return f"{fraction * 100:.3g} %"


def metric(largest: float, unit: str) -> tuple[float, str]:
    """The factor and the unit in which an axis up to `largest` carries short numbers: (1e9, "nJ")."""
    value, text = 1.0, unit
    for prefix, power in (("m", 3), ("µ", 6), ("n", 9), ("p", 12), ("f", 15)):
        if not 0 < largest * value < 1:
            break
        value, text = 10.0**power, prefix + unit
    return value, text
