"""What goes down through the seam and what comes up: a `Pulse` and its `Trace`.

A *line* is one wire of the board, rows first, then columns. A pulse says what every line does for
a time: either a piecewise-linear voltage between corners that all lines share, or nothing at all
(the line is left open). A wait is a pulse of 0 V. A trace says what that pulse did: volts at and
amps into every line, and how many seconds each sample stands for, so that the energy that went in
is one sum whatever measured it.

Both are values: built once, never changed. They are not checked here but at the seam, where a
whole list is checked at once (`Spec.check`), so nothing unchecked can be driven.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntFlag, StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.intp]


class Purpose(StrEnum):
    """What a pulse is for: the first column of the bill."""

    READ = "read"
    PROGRAM = "program"
    RESET = "reset"
    INFER = "infer"
    WAIT = "wait"


class Flag(IntFlag):
    """What was wrong with a trace; no flag, no complaint."""

    NONE = 0
    COMPLIANCE = 1
    OVER_RANGE = 2
    SATURATED = 4
    OPEN = 8
    SHORT = 16
    INTERLOCK = 32
    LOWER_BOUND = 64
    """Samples are missing: the energy is at least what is booked."""


@dataclass(frozen=True, slots=True, eq=False)
class Pulse:
    """What every line of the board does for a time, how often, and what for."""

    seconds: Floats
    """[s], shape (corners,): 0 at the first corner, then increasing."""
    volts: Floats
    """[V], shape (corners, lines): straight between corners; without meaning where the line is open."""
    driven: Bools
    """shape (lines,): True where a source holds the line, False where it is left open."""
    purpose: Purpose
    repeats: int = 1

    def __post_init__(self) -> None:
        """Freeze the arrays: a pulse is a value."""
        self.seconds.setflags(write=False)
        self.volts.setflags(write=False)
        self.driven.setflags(write=False)

    @property
    def duration(self) -> float:
        """[s] of all repeats together."""
        return float(self.seconds[-1]) * self.repeats

    def repeated(self, repeats: int) -> Pulse:
        """The same pulse, `repeats` times in a row."""
        return replace(self, repeats=repeats)

    def same_as(self, other: Pulse) -> bool:
        """Equal in every number: what a stored pulse must be to the one that was sent."""
        return (
            self.purpose is other.purpose
            and self.repeats == other.repeats
            and np.array_equal(self.seconds, other.seconds)
            and np.array_equal(self.volts, other.volts)
            and np.array_equal(self.driven, other.driven)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What a pulse did to every line, sample by sample."""

    seconds: Floats
    """[s], shape (samples,): how long each sample stands for; they add up to the pulse."""
    volts: Floats
    """[V], shape (samples, lines): at the terminal of the source, or of the neuron, that drives the line."""
    amps: Floats
    """[A], shape (samples, lines): into the line from whatever drives it; 0 on an open line."""
    flags: Flag = Flag.NONE
    estimated: bool = False
    """True where the board senses too little to know; booked apart from what was measured."""
    settle_seconds: float = 0.0
    """[s] waited for switches and amplifiers, before and after the pulse."""
    link_seconds: float = 0.0
    """[s] spent on the way to the instrument and back."""

    def __post_init__(self) -> None:
        """Freeze the arrays: a trace is a value."""
        self.seconds.setflags(write=False)
        self.volts.setflags(write=False)
        self.amps.setflags(write=False)


def all_whole(traces: Sequence[Trace], lines: int) -> bool:
    """Whether each has samples of so many lines, all finite, that stand for no negative time."""
    for trace in traces:
        if not isinstance(trace, Trace):  # pyright: ignore[reportUnnecessaryIsInstance] - a driver may err
            return False
        shape = (len(trace.seconds), lines)
        if shape[0] == 0 or trace.volts.shape != shape or trace.amps.shape != shape:
            return False
    if not traces:
        return True
    many = len(traces) > 1
    seconds = np.concatenate([trace.seconds for trace in traces]) if many else traces[0].seconds
    volts = np.concatenate([trace.volts for trace in traces]) if many else traces[0].volts
    amps = np.concatenate([trace.amps for trace in traces]) if many else traces[0].amps
    return finite(volts) and finite(amps) and finite(seconds) and float(np.minimum.reduce(seconds)) >= 0.0


def finite(array: Floats) -> bool:
    """Whether all of it is.

    Of a small array a product with itself says so at a fifth of the price. That of a large one would be
    shared between threads, which on a busy machine wait for each other for milliseconds.
    """
    return math.isfinite(np.vdot(array, array)) if array.size < 4096 else bool(np.isfinite(array).all())
