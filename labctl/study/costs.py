"""What the chips of a condition cost, by purpose, and which of them failed and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from labctl.pulse import Floats, Purpose
from labctl.study.rows import Row

TOTAL = "total"


@dataclass(frozen=True)
class Cost:
    """Medians over chips: each figure for itself, so they need not add up."""

    pulses: float
    joules: Floats
    """Delivered, in devices, in series resistors and switches; shape (3,)."""
    seconds: Floats
    """Pulses, reads, settling, link; shape (4,)."""


def costs(rows: Mapping[int, Row]) -> dict[str, Cost]:
    """By purpose, those alone that occur; the last one is the total. Failed chips are left out."""
    bills = [row["bill"] for row in rows.values() if "error" not in row]
    if not bills:
        return {}
    nothing = [0.0] * 8
    by_purpose = {
        str(purpose): np.array([bill.get(purpose, nothing) for bill in bills], dtype=np.float64)
        for purpose in Purpose
        if any(purpose in bill for bill in bills)
    }
    if by_purpose:
        by_purpose[TOTAL] = np.sum(list(by_purpose.values()), axis=0)
    return {purpose: _median(table) for purpose, table in by_purpose.items()}


def _median(table: Floats) -> Cost:
    middle = np.median(table, axis=0)
    return Cost(float(middle[0]), middle[1:4], middle[4:8])


@dataclass(frozen=True)
class Failure:
    """Chips that failed alike."""

    chips: tuple[int, ...]
    error: str
    wrong: str


def failures(rows: Mapping[int, Row]) -> list[Failure]:
    """Errors with the chips that they stopped, the most frequent first."""
    found = dict[tuple[str, str], list[int]]()
    for chip, row in rows.items():
        if "error" in row:
            found.setdefault((str(row["error"]), str(row.get("wrong", ""))), []).append(chip)
    alike = [Failure(tuple(chips), *what) for what, chips in found.items()]
    return sorted(alike, key=lambda one: -len(one.chips))
