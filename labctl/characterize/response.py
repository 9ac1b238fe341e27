"""Potentiation and depression: what trains of equal pulses do, by amplitude and width.

For each amplitude and width, the device is restored to the other end of its range (by way of this
one), read, and given a train of equal pulses with a read after each: potentiation from the
high-resistance state, depression from the low. The last conductance of every train over amplitude
and width is the map that papers print; the trains themselves are the response curves (for example
S. Yu, Proc. IEEE 106, 260, 2018, whose non-linearity this is: the most by which a train is off the
straight line between its ends). One list a train: a train that was interrupted is driven again from
its restoration.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product, takewhile
from typing import Annotated

import numpy as np
from pydantic import Field

from labctl.characterize.probing import read, restored, siemens_or_nan, write
from labctl.characterize.procedure import Capped, Column, Figures, Procedure, Row
from labctl.characterize.tables import column
from labctl.config import Count, PositiveSeconds, PositiveVolts
from labctl.errors import Refused
from labctl.plan import Plan
from labctl.programming.write_verify import Reading
from labctl.pulse import Pulse, Trace
from labctl.spec import Spec

SET, RESET = "set", "reset"


class ResponseSettings(Capped):
    """Which trains, and how the device is restored before each."""

    set_volts: Annotated[tuple[PositiveVolts, ...], Field(max_length=50)] = (0.4, 0.6, 0.8, 1.0)
    """Amplitudes of potentiation; none: no potentiation."""
    reset_volts: Annotated[tuple[PositiveVolts, ...], Field(max_length=50)] = (0.3, 0.5, 0.7, 1.0)
    """Amplitudes of depression, as magnitudes; none: no depression."""
    widths: Annotated[tuple[PositiveSeconds, ...], Field(min_length=1, max_length=50)] = (1e-5, 1e-4, 1e-3)
    pulses: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Of each train."""
    cycles: Count = 1
    """Of all trains."""
    restore_set: PositiveVolts = 1.0
    """Before a train that depresses."""
    restore_reset: PositiveVolts = 2.0
    """Before a train that potentiates, as a magnitude."""
    restore_seconds: PositiveSeconds = 10e-3
    reading: Reading = Reading()


@dataclass(frozen=True, slots=True)
class Train:
    """Equal pulses, one after the other."""

    cycle: int
    direction: str
    volts: float
    """[V] of the source, with its sign."""
    width: float
    """[s]"""


class Response(Procedure[ResponseSettings]):
    """All trains, potentiation first."""

    name = "response"
    title = "Potentiation and depression by trains of pulses"
    wears = True
    Settings = ResponseSettings
    columns = (
        Column("cycle", "1", "from 1"),
        Column("direction", "", "set (potentiation) or reset (depression)"),
        Column("volts", "V", "amplitude at the source, with its sign"),
        Column("width", "s", "of each pulse"),
        Column("pulse", "1", "that the read comes after; 0: after the restoration"),
        Column("siemens", "S", "as read; NaN where the read says nothing of the device"),
    )
    figures = (
        Column("lowest", "S", "of all conductances read"),
        Column("highest", "S", "of all conductances read"),
        Column("ratio", "1", "highest over lowest"),
        Column("set_nonlinearity", "1", "of the potentiation of the widest range; 0 is a straight line"),
        Column("reset_nonlinearity", "1", "of the depression of the widest range"),
        Column("trains", "1", "driven"),
    )

    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """All kinds of pulses: there are few."""
        if not (self.settings.set_volts or self.settings.reset_volts):
            raise Refused("a response without amplitudes", allowed="set_volts, reset_volts or both")
        first = takewhile(lambda train: train.cycle == 1, self.trains())
        return [pulse for train in first for pulse in self.list_of(spec, site, train)[:4]]

    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """One list a train."""
        length = self.settings.pulses + 1
        for train in islice(self.trains(), len(rows) // length, None):
            del rows[len(rows) // length * length :]  # part of a train is no train
            pulses = self.list_of(spec, site, train)
            traces = yield pulses
            rows += _rows(spec, site, train, pulses[2::2], traces[2::2])

    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """The range, and how straight the widest trains are."""
        siemens = column(rows, "siemens")
        known = siemens[np.isfinite(siemens)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (math.nan, math.nan)
        length = self.settings.pulses + 1
        return {
            "lowest": low,
            "highest": high,
            "ratio": high / low if low > 0 else math.nan,
            "set_nonlinearity": _nonlinearity(rows, length, SET),
            "reset_nonlinearity": _nonlinearity(rows, length, RESET),
            "trains": float(len(rows) // length),
        }

    def trains(self) -> Iterator[Train]:
        """In the order in which they are driven."""
        how = self.settings
        for cycle in range(1, 1 + how.cycles):
            for volts, width in product(how.set_volts, how.widths):
                yield Train(cycle, SET, volts, width)
            for volts, width in product(how.reset_volts, how.widths):
                yield Train(cycle, RESET, -volts, width)

    def list_of(self, spec: Spec, site: int, train: Train) -> list[Pulse]:
        """Restoration, a read, then each pulse and its read."""
        how = self.settings
        ends = -how.restore_reset, how.restore_set
        end, other = ends if train.direction == SET else ends[::-1]
        before = restored(spec, site, end, other, how.restore_seconds)
        pulse, probe_read = write(spec, site, train.volts, train.width), read(spec, site, how.reading)
        return [*before, probe_read, *[pulse, probe_read] * how.pulses]


def _rows(
    spec: Spec, site: int, train: Train, reads: Sequence[Pulse], traces: Sequence[Trace]
) -> Iterator[Row]:
    for number, (pulse, trace) in enumerate(zip(reads, traces, strict=True)):
        yield {
            "cycle": float(train.cycle),
            "direction": train.direction,
            "volts": train.volts,
            "width": train.width,
            "pulse": float(number),
            "siemens": siemens_or_nan(spec, pulse, trace, site),
        }


def _nonlinearity(rows: Sequence[Row], length: int, direction: str) -> float:
    """Of the train with the widest range: the most it is off the straight line, over that range."""
    starts = range(0, len(rows) - length + 1, length)
    trains = [
        column(rows[start : start + length], "siemens")
        for start in starts
        if rows[start]["direction"] == direction
    ]
    trains = [train for train in trains if np.isfinite(train).all()]
    if not trains:
        return math.nan
    widest = max(trains, key=lambda train: abs(float(train[-1] - train[0])))
    extent = float(widest[-1] - widest[0])
    straight = widest[0] + extent * np.arange(len(widest)) / (len(widest) - 1)
    return float(np.abs(widest - straight).max()) / abs(extent) if extent else math.nan
