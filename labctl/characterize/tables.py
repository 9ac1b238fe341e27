"""Numbers out of tables: columns of rows as arrays, their median and their spread."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from labctl.characterize.procedure import Row
from labctl.pulse import Floats

ROUNDING = 1e-12
"""A spread that is smaller than this part of the median is that of the arithmetic."""


def column(rows: Sequence[Row], name: str) -> Floats:
    """The numbers of one column, shape (rows,); NaN where a row has none."""
    return np.array([float(row.get(name, math.nan)) for row in rows], dtype=np.float64)


def median_and_spread(rows: Sequence[Row], name: str) -> tuple[float, float]:
    """Median and standard deviation (n - 1) of what is known of a column; NaN where too little is."""
    values = column(rows, name)
    values = values[np.isfinite(values)]
    middle = float(np.median(values)) if len(values) else math.nan
    spread = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    return middle, 0.0 if spread <= ROUNDING * abs(middle) else spread
