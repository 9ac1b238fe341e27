"""A titled table of text, and the one way in which times are taken here: the median of several runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A title, a head and rows of text."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Columns as wide as their widest cell."""
        lines = (self.head, *self.rows)
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        told = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        ]
        return "\n".join([self.title, "-" * len(self.title), *(line.rstrip() for line in told)])


def seconds(work: Callable[[], object], runs: int = 15) -> float:
    """[s] median of `runs`, after one that is not counted."""
    work()
    return statistics.median(_once(work) for _ in range(runs))


def ratio(
    work: Callable[[], object], other: Callable[[], object], runs: int = 15
) -> tuple[float, float, float]:
    """[s] of both, taken in turn so that a drifting machine meets both alike, and the median ratio."""
    work()
    other()
    pairs = [(_once(work), _once(other)) for _ in range(runs)]
    return (
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
        statistics.median(pair[0] / pair[1] for pair in pairs),
    )


def told(value: float) -> str:
    """A time with three digits and its prefix."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def _once(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
