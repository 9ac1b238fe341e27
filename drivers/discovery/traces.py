"""What a capture says of the pulses of a run: volts at the source, amps into each row, and what was wrong.

Pure. The current is the drop over the series resistor, without the scope's own. What charges the node's
180 pF is delivered by the source, and stays in the current of the row; the current that leaves by the
columns is that of the memristors alone, without it (the closed form of `Node`). Several columns that are
closed at once share one current, of which nobody knows the parts: each is given as much.

In mode 2 no scope channel is at W1. While one row is driven, the node of the other follows W1 through its
resistor, and tells it; while both are, W1 is taken to be what it was told, and the trace is *estimated*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from drivers.discovery.analog_discovery import Capture
from drivers.discovery.calibration import Calibration
from drivers.discovery.circuits import Node, Wiring
from drivers.discovery.waves import Run, edges_of, means, row_volts
from labctl.pulse import Bools, Flag, Floats, Pulse, Trace

CLIPPED = 0.999
"""Of the end of a range: nearer to it nothing can be told."""
FLAT, SETTLED = 0.99, 0.75
"""Part of the peak, and of the time on it, above which the node has settled (as in `labctl.reading`)."""
SCATTER = 2e-4
"""[1] of the end of a range: what a straight part of the source scatters by less is the scope's own noise."""
ASKED, LEAST_ASKED = 0.05, 0.02
"""Part of its peak, and [V], by which the source may be elsewhere than it was told to be."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a capture is worked out with."""

    wiring: Wiring
    nodes: tuple[Node, ...]
    calibration: Calibration


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """One capture: both channels in volts of the lines, and what is known of W1 otherwise."""

    step: float
    channels: tuple[Floats, Floats]
    """[V], each of shape (samples,)."""
    clipped: Bools
    """shape (samples,)."""
    scatter: float
    """[V] that says nothing of the source."""


def heard(bench: Bench, capture: Capture) -> Heard:
    """The capture in volts of the lines."""
    sign, seen = bench.wiring.sign, capture.volts
    clipped = [np.abs(volts) >= CLIPPED * reach for volts, reach in zip(seen, capture.reach, strict=True)]
    volts = [sign * bench.calibration.volts(channel, one) for channel, one in enumerate(seen)]
    return Heard(capture.step, (volts[0], volts[1]), np.logical_or(*clipped), SCATTER * max(capture.reach))


def traces_of(bench: Bench, run: Run, capture: Capture) -> Iterator[Trace]:
    """One trace for each pulse of the run, its repeats together."""
    wiring, sound = bench.wiring, heard(bench, capture)
    rows = np.flatnonzero(run.pulses[0].driven[: wiring.rows]).tolist()
    closed = np.flatnonzero(run.pulses[0].driven[wiring.rows :]) + wiring.rows
    cuts, edges = _edges(run)
    seconds, lines = np.diff(edges), wiring.rows + wiring.columns
    volts, amps = np.zeros((len(seconds), lines)), np.zeros((len(seconds), lines))
    drive = _whole(run, wiring.rows)
    source, part = _source(bench, drive, sound, rows, edges)
    for row in rows:
        node, _ = means(sound.step, sound.channels[wiring.nodes[row]], edges)
        volts[:, row] = source
        amps[:, row], through = _currents(bench.nodes[row], drive, source, node, edges)
        amps[:, closed] -= through[:, None] / max(len(closed), 1)
    amps *= (part > 0)[:, None]
    assumed = wiring.source is None and len(rows) != 1
    for first, last in pairwise(cuts):
        flags = _flags(sound, edges[first : last + 1], part[first:last])
        yield Trace(
            seconds[first:last], volts[first:last].copy(), amps[first:last].copy(), flags, estimated=assumed
        )


def _edges(run: Run) -> tuple[list[int], Floats]:
    """Where in its samples each pulse of the run begins, and the end; and all edges [s] of the samples."""
    cuts, edges = [0], list[Floats]()
    for pulse, start in zip(run.pulses, run.starts, strict=True):
        turns = start + float(pulse.seconds[-1]) * np.arange(run.repeats)
        edges.append((turns[:, None] + edges_of(pulse.seconds)[:-1]).ravel())
        cuts.append(cuts[-1] + len(edges[-1]))
    return cuts, np.append(np.concatenate(edges), run.period * run.repeats)


def as_asked(bench: Bench, pulse: Pulse, trace: Trace) -> bool:
    """Whether the source was, on the settled part of its highest level, where it was told to be."""
    rows = bench.wiring.rows
    asked = float(np.abs(row_volts(pulse, rows)).max())
    driven = np.flatnonzero(pulse.driven[:rows])
    if len(driven) == 0:
        return True
    found = float(np.abs(trace.volts[:, driven[0]]).max(initial=0.0))
    return abs(found - asked) <= ASKED * asked + LEAST_ASKED


def _whole(run: Run, rows: int) -> tuple[Floats, Floats]:
    """[s] and [V], shape (corners,): of the rows' source over all repeats of the run."""
    corners, told = run.corners(rows)
    turns = np.arange(run.repeats)[:, None] * run.period
    return (turns + corners).ravel(), np.tile(told, run.repeats)


def _source(
    bench: Bench, drive: tuple[Floats, Floats], sound: Heard, rows: Sequence[int], edges: Floats
) -> tuple[Floats, Floats]:
    """[V], shape (bins,): of the rows' source, and the part of each bin that was captured.

    What it was told, and how far it was from that: where the difference only scatters, its mean over each
    straight part.
    """
    wiring, (corners, told) = bench.wiring, drive
    asked = _told(corners, told, edges)
    if wiring.source is not None:
        found, part = means(sound.step, sound.channels[wiring.source] * bench.nodes[0].divider, edges)
        return asked + _smooth(found - asked, corners, edges, sound.scatter) * (part > 0), part
    if len(rows) != 1:
        return asked, means(sound.step, sound.channels[0], edges)[1]
    idle = 1 - rows[0]
    node = bench.nodes[idle]
    times = np.arange(len(sound.clipped), dtype=np.float64) * sound.step
    expected = node.volts(times, corners, told, 0.0)
    beyond, part = means(sound.step, sound.channels[wiring.nodes[idle]] - expected, edges)
    return asked + _smooth(beyond, corners, edges, sound.scatter), part


def _smooth(values: Floats, corners: Floats, edges: Floats, scatter: float) -> Floats:
    """The same with the mean over each straight part in which they scatter by less than this."""
    widths = np.diff(edges)
    places = np.searchsorted(corners, edges[:-1] + widths / 2)
    times = np.bincount(places, widths) + 1e-300
    mean = np.bincount(places, widths * values) / times
    spread = np.sqrt(np.bincount(places, widths * (values - mean[places]) ** 2) / times)
    return np.where(spread[places] <= scatter, mean[places], values)


def _told(corners: Floats, told: Floats, edges: Floats) -> Floats:
    """[V], shape (bins,): means of what W1 was told; every corner is an edge."""
    middles = (edges[1:] + edges[:-1]) / 2
    return np.interp(middles, corners, told)


def _currents(
    node: Node, drive: tuple[Floats, Floats], source: Floats, volts: Floats, edges: Floats
) -> tuple[Floats, Floats]:
    """[A], each of shape (bins,): out of the source, and through the memristors alone."""
    amps = node.source_amps(source, volts)
    top = _settled(source, np.diff(edges))
    siemens = node.conductance(source[top], volts[top], amps[top])
    charging = node.charging_amps(edges, *drive, siemens)
    return (amps + charging, amps + charging) if node.grounded else (amps, amps - charging)


def _settled(volts: Floats, seconds: Floats) -> Bools:
    """Where the level is highest, in the last quarter of that time."""
    heights = np.abs(volts)
    top = heights >= FLAT * heights.max()
    spent = np.cumsum(seconds * top)
    return top & (spent > SETTLED * spent[-1])


def _flags(sound: Heard, edges: Floats, part: Floats) -> Flag:
    flags = Flag.NONE
    first, last = int(edges[0] / sound.step), int(np.ceil(edges[-1] / sound.step))
    if sound.clipped[first : last + 1].any():
        flags |= Flag.SATURATED
    if part[-1] < 0.5 or not part.all():  # the last bin may end between two samples
        flags |= Flag.LOWER_BOUND
    return flags
