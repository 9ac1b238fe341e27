"""Trains of triggers of an emulated Keysight B2900, and the levels of its sweeps: pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from sim_backend.emulators.scpi.values import ScpiError

SHORTEST_PULSE = 5e-5
SLACK = 1e-12
"""[s] for rounding."""


@dataclass(slots=True)
class Train:
    """When triggers of one kind come."""

    count: int = 1
    delay: float = 0.0
    source: str = "AINT"
    timer: float = 1e-5
    arms: int = 1
    arm_delay: float = 0.0


@dataclass(slots=True)
class Source:
    """What one quantity does at triggers."""

    mode: str = "FIX"
    triggered: float | None = None
    """None: as the immediate level."""
    start: float = 0.0
    stop: float = 0.0
    listed: tuple[float, ...] = (0.0,)


def times(train: Train, each: float, busy: float) -> list[float]:
    """[s] when the triggers of a train act, their delays included."""
    period = each if train.source == "AINT" else train.timer
    if train.source != "AINT" and train.timer < busy - SLACK and train.count > 1:
        raise ScpiError(-221)
    first = train.arm_delay + train.delay
    return [first + period * place for place in range(train.count * train.arms)]


def overlapping(changes: list[float], taken: list[float], aperture: float) -> bool:
    """Whether the source changes within an aperture; both lists in order."""
    place, ordered = 0, sorted(changes)
    for when in taken:
        while place < len(ordered) and ordered[place] <= when + SLACK:
            place += 1
        if place < len(ordered) and ordered[place] < when + aperture - SLACK:
            return True
    return False
