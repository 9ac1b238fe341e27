"""Readings as source-measure units send them, read strictly: numbers and commas, sentinels, status words."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from drivers.languages.numbers import NONE_FROM
from labctl.pulse import Flag, Floats, Indices

_ALL_FINE = NONE_FROM**2
"""Sum of squares below which none is as large as `NONE_FROM`; not a number is not below it."""
_NUMBERS = re.compile(r"[0-9eE+\-., ]*")


def table(text: str, rows: int, fields: int) -> Floats | None:
    """So many rows of so many numbers, shape (rows, fields); None if the text is anything else.

    `float` alone would take "nan", "1_0" and the digits of other scripts.

    >>> table("+1.0E-01,2.5E-07", 1, 2).tolist(), table("nan,1", 1, 2), table("1,2,3", 1, 2)
    ([[0.1, 2.5e-07]], None, None)
    """
    if not _NUMBERS.fullmatch(text):
        return None
    try:
        found = np.array([float(field) for field in text.split(",")])
    except ValueError:
        return None
    return found.reshape(rows, fields) if found.size == rows * fields else None


def column(rows: Floats, place: int) -> tuple[Floats, Indices]:
    """Numbers of one field, with 0 and `Flag.OVER_RANGE` where the instrument says that it has none."""
    values = rows[:, place]
    if np.vdot(values, values) < _ALL_FINE:
        return values, np.zeros(len(values), dtype=np.intp)
    none = np.abs(values) >= NONE_FROM
    if not none.any():
        return values, np.zeros(len(values), dtype=np.intp)
    return np.where(none, 0.0, values), none * int(Flag.OVER_RANGE)


def bits(rows: Floats, place: int, meanings: Mapping[Flag, int]) -> Indices:
    """Flags, shape (readings,), from a status word of which these bits mean them."""
    status = rows[:, place].astype(np.int64)
    flags = np.zeros(len(status), dtype=np.intp)
    found = int(np.bitwise_or.reduce(status))
    for flag, mask in meanings.items():
        if found & mask:
            flags |= ((status & mask) != 0) * int(flag)
    return flags
