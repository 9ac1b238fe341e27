"""The path of every site, from the stored waveforms of its reads.

A conductance is counted by the programming pulses that the site had got when it was read, reset
pulses included. Two reads at one number are two reads of one state: how far they lie apart is read
noise and drift. What a journal cannot say is not guessed: a read whose waveform was dropped is
missing, a pulse of unknown outcome counts because it may have been driven, and after either of them
the present conductance is unknown until the site is read again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from labctl.errors import BoardFault
from labctl.journal import Journal, Outcome, Stored
from labctl.pulse import Floats, Indices, Purpose
from labctl.reading import conductance
from labctl.spec import Spec

MOVES = (Purpose.PROGRAM, Purpose.RESET)
"""Purposes of the pulses that are meant to change a conductance."""


@dataclass(frozen=True, slots=True, eq=False)
class SitePath:
    """What one site read, in the order of its reads."""

    pulses: Indices
    """shape (reads,): pulses that the site had got before each read."""
    siemens: Floats
    """[S], shape (reads,)."""
    resets: tuple[int, ...]
    """Which of its pulses were resets, counted from 1."""
    total: int
    """Pulses that it got in all."""

    @property
    def before(self) -> float:
        """[S] as first read, before any pulse; NaN where that read is not kept."""
        return float(self.siemens[0]) if len(self.pulses) and self.pulses[0] == 0 else math.nan

    @property
    def present(self) -> float:
        """[S] as last read; NaN where that is not kept, or a pulse came after it."""
        current = len(self.pulses) > 0 and self.pulses[-1] == self.total
        return float(self.siemens[-1]) if current else math.nan


@dataclass(frozen=True, slots=True)
class History:
    """The paths of all sites that a run has touched one at a time."""

    paths: Mapping[int, SitePath]
    dropped: int = 0
    """Reads whose waveform was not kept."""
    useless: int = 0
    """Reads that said nothing of the device."""
    unknown: int = 0
    """Programming and reset pulses of unknown outcome."""

    def before(self, sites: int) -> Floats:
        """[S], shape (sites,): as first read; NaN where unknown."""
        return self._by_site({site: path.before for site, path in self.paths.items()}, sites)

    def present(self, sites: int) -> Floats:
        """[S], shape (sites,): as last read; NaN where unknown."""
        return self._by_site({site: path.present for site, path in self.paths.items()}, sites)

    @staticmethod
    def _by_site(values: Mapping[int, float], sites: int) -> Floats:
        return np.array([values.get(site, math.nan) for site in range(sites)])


def history(journal: Journal) -> History:
    """The paths of all sites of this run, finished or not. Raises `BadRun` for a damaged journal."""
    return trace_paths(journal.spec, journal.entries())


def trace_paths(spec: Spec, entries: Iterable[Stored]) -> History:
    """The same from entries of a journal of this board, in their order."""
    open_paths: dict[int, _Path] = {}
    counts = {"dropped": 0, "useless": 0, "unknown": 0}
    for entry in entries:
        site = None if entry.outcome is Outcome.NOT_DRIVEN else spec.target(entry.pulse)
        if site is None:
            continue
        path = open_paths.setdefault(site, _Path())
        if entry.pulse.purpose in MOVES:
            path.move(entry)
            counts["unknown"] += entry.outcome is Outcome.UNKNOWN
        elif entry.pulse.purpose is Purpose.READ and entry.outcome is Outcome.MEASURED:
            siemens = _siemens(spec, entry, site)
            path.read(siemens)
            if siemens is None:
                counts["dropped" if entry.trace is None else "useless"] += 1
    return History({site: path.closed() for site, path in sorted(open_paths.items())}, **counts)


def _siemens(spec: Spec, entry: Stored, site: int) -> float | None:
    """[S] that this read gives; None where it gives none."""
    if entry.trace is None:
        return None
    try:
        return conductance(spec, entry.pulse, entry.trace, site)
    except BoardFault:  # the run met the same fault and went on with the next site
        return None


@dataclass(slots=True)
class _Path:
    """A `SitePath` that still grows."""

    total: int = 0
    pulses: list[int] = field(default_factory=list[int])
    siemens: list[float] = field(default_factory=list[float])
    resets: list[int] = field(default_factory=list[int])

    def move(self, entry: Stored) -> None:
        self.total += entry.pulse.repeats
        if entry.pulse.purpose is Purpose.RESET:
            self.resets.append(self.total)

    def read(self, siemens: float | None) -> None:
        if siemens is not None:
            self.pulses.append(self.total)
            self.siemens.append(siemens)

    def closed(self) -> SitePath:
        return SitePath(
            np.array(self.pulses, dtype=np.intp),
            np.array(self.siemens, dtype=np.float64),
            tuple(self.resets),
            self.total,
        )
