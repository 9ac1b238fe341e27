"""What a deployment cost: joules and seconds of programming and of inference, over all arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labctl.aware.tiles_on_boards import Array
from labctl.energy import Entry
from labctl.pulse import Purpose

PROGRAMMING = (Purpose.READ, Purpose.PROGRAM, Purpose.RESET, Purpose.WAIT)
"""Reads too: all of them verify."""


@dataclass(frozen=True)
class Cost:
    """Of some pulses."""

    pulses: int
    joules: float
    """[J] delivered by the sources."""
    seconds: float
    """[s] of the bench, settling and link included, one array after the other."""


@dataclass(frozen=True)
class Bill:
    """Of a deployment."""

    programming: Cost
    """Verification included."""
    inference: Cost
    picture_joules: float
    """[J] of inference for one picture."""
    picture_seconds: float
    """[s] for one picture, with all arrays of a layer at once; link not counted."""


def bill_of(arrays: Sequence[Array], vectors: Sequence[int]) -> Bill:
    """From the ledgers of all arrays. Pictures that were asked before a run died are in the sums.

    A picture is so many `vectors` on every array of a layer, one after the other, each of the array's mean.
    """
    programming = _cost(array.ledger.total(purpose=one) for array in arrays for one in PROGRAMMING)
    asked = [array.ledger.total(purpose=Purpose.INFER) for array in arrays]
    joules, layers = 0.0, dict[int, float]()
    for array, entry in zip(arrays, asked, strict=True):
        share = vectors[array.piece.layer] / max(entry.pulses, 1)
        joules += float(entry.joules[0]) * share
        each = float(entry.seconds[1] + entry.seconds[2]) * share
        layers[array.piece.layer] = max(layers.get(array.piece.layer, 0.0), each)
    return Bill(programming, _cost(asked), joules, sum(layers.values()))


def _cost(entries: Iterable[Entry]) -> Cost:
    found = list(entries)
    return Cost(
        sum(entry.pulses for entry in found),
        sum(float(entry.joules[0]) for entry in found),
        sum(float(entry.seconds.sum()) for entry in found),
    )
