"""The bill: joules by purpose, by site and by sink; seconds by kind.

What the sources deliver is one sum over samples and lines, `seconds * volts * amps`, for any board
that answers with traces. `series` is what series resistors and switches turn into heat,
`seconds * ohms * amps**2`; `device` is the rest: the memristors and the wires between them. While
neurons hold the columns, the line currents include what neurons deliver, so that the sum is the
array's dissipation again. Amplifiers, converters and the controller are periphery: a tariff with a
name of its own (`Tariff`), added up apart and never mixed in.

A charge is booked under the site that saw the highest voltage, or under None where several did.
What a board could only estimate is kept in rows of its own. A ledger only grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.spec import Spec

SINKS = ("delivered", "device", "series")
KINDS = ("pulse", "read", "settle", "link")

_KIND_OF = {
    Purpose.PROGRAM: 0,
    Purpose.RESET: 0,
    Purpose.READ: 1,
    Purpose.INFER: 1,
    Purpose.WAIT: 2,
}
_PROGRAMS = (Purpose.PROGRAM, Purpose.RESET)

FEW = 8
"""Traces up to which one after the other is quicker than all together."""


class Charge(NamedTuple):
    """What one pulse cost: joules by sink, seconds by kind, and where to book it."""

    purpose: Purpose
    site: int | None
    estimated: bool
    joules: tuple[float, float, float]
    """[J] delivered, device, series (`SINKS`)."""
    seconds: tuple[float, float, float, float]
    """[s] pulse, read, settle, link (`KINDS`)."""


def charges(spec: Spec, pulses: Sequence[Pulse], traces: Sequence[Trace]) -> list[Charge]:
    """What each pulse of a list cost, from its trace alone; lists are worked out in one go."""
    sums = _one_by_one if len(traces) <= FEW else _together
    delivered, series, lengths = sums(spec, pulses[: len(traces)], traces)
    rows = zip(pulses, traces, delivered, series, lengths, strict=False)
    return [_charge(spec, pulse, trace, *numbers) for pulse, trace, *numbers in rows]


Sums = tuple[list[float], list[float], list[float]]
"""Of each pulse: joules delivered, joules in series resistors, seconds."""


def _one_by_one(spec: Spec, pulses: Sequence[Pulse], traces: Sequence[Trace]) -> Sums:
    delivered, series, lengths = list[float](), list[float](), list[float]()
    for pulse, trace in zip(pulses, traces, strict=True):
        seconds, amps = trace.seconds, trace.amps
        delivered.append(float(np.add.reduce(seconds @ (trace.volts * amps))))
        series.append(float((seconds @ (amps * amps)) @ spec.series(pulse.driven)))
        lengths.append(float(np.add.reduce(seconds)))
    return delivered, series, lengths


def _together(spec: Spec, pulses: Sequence[Pulse], traces: Sequence[Trace]) -> Sums:
    counts = np.array([len(trace.seconds) for trace in traces])
    starts = np.cumsum(counts) - counts
    seconds = np.concatenate([trace.seconds for trace in traces])
    volts = np.concatenate([trace.volts for trace in traces])
    amps = np.concatenate([trace.amps for trace in traces])
    ohms = np.array([spec.series(pulse.driven) for pulse in pulses])
    delivered = np.add.reduceat(seconds * np.einsum("sl,sl->s", volts, amps), starts)
    squares = np.add.reduceat(seconds[:, None] * amps**2, starts, axis=0)
    series = np.einsum("pl,pl->p", squares, ohms)
    lengths = np.add.reduceat(seconds, starts)
    return delivered.tolist(), series.tolist(), lengths.tolist()


def _charge(spec: Spec, pulse: Pulse, trace: Trace, delivered: float, series: float, length: float) -> Charge:
    kind = _KIND_OF[pulse.purpose]
    seconds = [0.0, 0.0, trace.settle_seconds, trace.link_seconds]
    seconds[kind] += length
    return Charge(
        pulse.purpose,
        spec.target(pulse),
        trace.estimated,
        (delivered, delivered - series, series),
        (seconds[0], seconds[1], seconds[2], seconds[3]),
    )


@dataclass(frozen=True, slots=True)
class Tariff:
    """What the electronics around the array take while it works: a stated price, not a measurement."""

    name: str = "none"
    watts: float = 0.0
    """[W] for every second of the bill."""
    joules_per_pulse: float = 0.0
    """[J] for every pulse: conversions, the controller's work."""


@dataclass(slots=True)
class Entry:
    """One row of the bill."""

    pulses: int = 0
    joules: Floats = field(default_factory=lambda: np.zeros(len(SINKS)))
    seconds: Floats = field(default_factory=lambda: np.zeros(len(KINDS)))


class Ledger:
    """Joules and seconds by purpose, site and whether they were estimated. It only grows."""

    def __init__(self) -> None:
        self._entries: dict[tuple[Purpose, int | None, bool], list[float]] = {}
        self._delivered: dict[int | None, float] = {}
        self._programmed: dict[int | None, float] = {}

    def charge(self, charges: Sequence[Charge]) -> None:
        """Book what `charges` has worked out."""
        for purpose, site, estimated, joules, seconds in charges:
            row = self._entries.setdefault((purpose, site, estimated), [0.0] * (1 + len(SINKS) + len(KINDS)))
            row[0] += 1
            row[1] += joules[0]
            row[2] += joules[1]
            row[3] += joules[2]
            row[4] += seconds[0]
            row[5] += seconds[1]
            row[6] += seconds[2]
            row[7] += seconds[3]
            self._delivered[site] = self._delivered.get(site, 0.0) + joules[0]
            if purpose in _PROGRAMS:
                self._programmed[site] = self._programmed.get(site, 0.0) + joules[0]

    def rows(self) -> Iterator[tuple[Purpose, int | None, bool, Entry]]:
        """Purpose, site (None: several at once), estimated, and what was booked, in order of first use."""
        for (purpose, site, estimated), row in self._entries.items():
            yield purpose, site, estimated, _entry(row)

    def total(
        self, *, purpose: Purpose | None = None, site: int | None = None, estimated: bool | None = None
    ) -> Entry:
        """The sum of the rows that match what is given."""
        asked = (purpose, site, estimated)
        picked = [
            row
            for key, row in self._entries.items()
            if all(want in (None, its) for want, its in zip(asked, key, strict=True))
        ]
        return _entry([sum(column) for column in zip(*picked, strict=True)]) if picked else Entry()

    def delivered(self, site: int) -> float:
        """[J] delivered so far to pulses that were for this site, whatever their purpose."""
        return self._delivered.get(site, 0.0)

    def programmed_joules(self, site: int | None) -> float:
        """[J] delivered so far to pulses that programmed or reset this site; None: several at once."""
        return self._programmed.get(site, 0.0)

    def periphery(self, tariff: Tariff) -> float:
        """[J] of the electronics around the array at this tariff; apart from every other row."""
        total = self.total()
        return tariff.watts * float(total.seconds.sum()) + tariff.joules_per_pulse * total.pulses


def _entry(row: Sequence[float]) -> Entry:
    return Entry(int(row[0]), np.array(row[1:4]), np.array(row[4:8]))
