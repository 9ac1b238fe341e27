"""Pulses as what a generator plays and a scope captures: pure functions.

A *run* is one start of the generator. Reads on the same switches share one, as far as its table and the
scope's samples resolve each of them; a pulse that writes begins a run of its own, so that of a run that
fails no write but its first pulse can have been driven. A table holds the means of the voltage over its
steps, so that the volt-seconds of every edge are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from labctl.pulse import Floats, Pulse, Purpose

LEAST_POINTS = 128
"""Of a table that a pulse gets, at least; of the scope's samples it gets twice as many."""
MOST_REPEATS = 32
"""Of a pulse in one capture of 8192 samples."""
BINS = 32
"""Samples of a trace over one pulse, about: each is the mean of many samples of the scope."""
FEW_SEGMENTS, EDGE_BINS = 12, 3
_WRITES = (Purpose.PROGRAM, Purpose.RESET)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What one start of the generator drives: several pulses once each, or one pulse several times."""

    pulses: tuple[Pulse, ...]
    repeats: int
    """Of the one pulse; 1 where there are several."""
    more: bool = False
    """This pulse's repeats go on in the next run."""

    @property
    def period(self) -> float:
        """[s] of all pulses, once."""
        return float(sum(pulse.seconds[-1] for pulse in self.pulses))

    @property
    def starts(self) -> list[float]:
        """[s] at which each pulse begins."""
        ends = np.cumsum([pulse.seconds[-1] for pulse in self.pulses])
        return [0.0, *ends[:-1].tolist()]

    def corners(self, rows: int) -> tuple[Floats, Floats]:
        """[s] and [V], shape (corners,): of the rows' source over one period; jumps have two at one time."""
        starts = self.starts
        seconds = [start + pulse.seconds for start, pulse in zip(starts, self.pulses, strict=True)]
        return np.concatenate(seconds), np.concatenate([row_volts(pulse, rows) for pulse in self.pulses])

    def peak(self, rows: int) -> float:
        """[V] highest, of either sign."""
        return float(np.abs(self.corners(rows)[1]).max())


def row_volts(pulse: Pulse, rows: int) -> Floats:
    """[V], shape (corners,): of the source that all driven rows share; 0 where none is driven."""
    driven = np.flatnonzero(pulse.driven[:rows])
    return pulse.volts[:, driven[0]] if len(driven) else np.zeros(len(pulse.seconds))


def runs(pulses: Sequence[Pulse], points: int) -> Iterator[Run]:
    """The list as as few runs as a table of so many points resolves, in order."""
    waiting: list[Pulse] = []
    for pulse in pulses:
        if waiting and not _joins(waiting, pulse, points):
            yield Run(tuple(waiting), 1)
            waiting = []
        if pulse.repeats == 1:
            waiting.append(pulse)
            continue
        for done in range(0, pulse.repeats, MOST_REPEATS):
            left = pulse.repeats - done
            yield Run((pulse,), min(left, MOST_REPEATS), more=left > MOST_REPEATS)
    if waiting:
        yield Run(tuple(waiting), 1)


def _joins(waiting: Sequence[Pulse], pulse: Pulse, points: int) -> bool:
    """Whether the pulse can be driven in one go with those before it."""
    if pulse.repeats > 1 or pulse.purpose in _WRITES or pulse.driven.tobytes() != waiting[0].driven.tobytes():
        return False
    if Purpose.WAIT in (pulse.purpose, waiting[0].purpose):
        return False
    lengths = [float(one.seconds[-1]) for one in (*waiting, pulse)]
    return points * min(lengths) >= LEAST_POINTS * sum(lengths)


def table_of(seconds: Floats, volts: Floats, points: int) -> Floats:
    """[V], shape (points,): means over equal steps of straight lines between corners."""
    edges: Floats = np.linspace(0.0, float(seconds[-1]), points + 1)
    return np.diff(_integral(seconds, volts, edges)) / np.diff(edges)


def _integral(seconds: Floats, volts: Floats, at: Floats) -> Floats:
    """[V s], shape (times,): from 0 to each of these times."""
    lengths = np.diff(seconds)
    areas = np.concatenate([[0.0], np.cumsum(lengths * (volts[1:] + volts[:-1]) / 2)])
    place = np.clip(np.searchsorted(seconds, at, side="right") - 1, 0, len(seconds) - 2)
    since = at - seconds[place]
    slopes = np.divide(np.diff(volts), lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return areas[place] + volts[place] * since + slopes[place] * since**2 / 2


def edges_of(seconds: Floats) -> Floats:
    """[s], shape (bins + 1,): of the samples of a trace over one pulse, every corner among them."""
    few = len(seconds) <= FEW_SEGMENTS
    corners: list[float] = seconds.tolist()
    edges = list[float]()
    for begin, end in pairwise(corners):
        share = max(round(BINS * (end - begin) / corners[-1]), EDGE_BINS if few else 1)
        edges += [begin + part * (end - begin) / share for part in range(share)]
    return np.array([*edges, corners[-1]])


def means(step: float, values: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Means of equally spaced samples between these times, and the part of each that was captured.

    `step` [s] from sample to sample, the first at 0; shapes (samples,), (bins + 1,) -> (bins,) each. What
    was not captured at all has a mean of 0.
    """
    areas = np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2)]) * step
    captured = np.minimum(edges, (len(values) - 1) * step)
    widths = np.diff(captured)
    found = np.diff(np.interp(captured, np.arange(len(values)) * step, areas))
    heard = widths > 1e-9 * step
    return np.divide(found, widths, out=np.zeros_like(found), where=heard), widths / np.diff(edges)
