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


def bill_of(arrays: Sequence[Array], pictures: int) -> Bill:
    """From the ledgers of all arrays. Pictures that a run asked before it died are in the sums."""
    programming = _cost(array.ledger.total(purpose=one) for array in arrays for one in PROGRAMMING)
    asked = [array.ledger.total(purpose=Purpose.INFER) for array in arrays]
    inference, layers = _cost(asked), dict[int, float]()
    for array, entry in zip(arrays, asked, strict=True):
        each = float(entry.seconds[1] + entry.seconds[2]) / max(entry.pulses, 1)
        layers[array.piece.layer] = max(layers.get(array.piece.layer, 0.0), each)
    rounds = max((entry.pulses for entry in asked), default=0) / pictures
    joules = inference.joules / pictures / max(rounds, 1.0)
    return Bill(programming, inference, joules, sum(layers.values()))


def _cost(entries: Iterable[Entry]) -> Cost:
    found = list(entries)
    return Cost(
        sum(entry.pulses for entry in found),
        sum(float(entry.joules[0]) for entry in found),
        sum(float(entry.seconds.sum()) for entry in found),
    )
