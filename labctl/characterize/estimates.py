"""Estimates with their intervals, as columns of a table and figures of a summary."""

from __future__ import annotations

from labctl.characterize.procedure import Column
from labctl.estimates import Interval


def with_interval(name: str, interval: Interval) -> dict[str, float]:
    """`name`, `name_low` and `name_high`, as a summary carries them."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def interval_columns(name: str, unit: str, meaning: str) -> tuple[Column, Column, Column]:
    """The three columns that `with_interval` fills."""
    low, high = (Column(f"{name}_{end}", unit, f"{end} end of its 95 % interval") for end in ("low", "high"))
    return Column(name, unit, meaning), low, high
