"""From pulses to transients and back: where a list is cut, and which samples belong to which pulse.

ngspice starts a transient quickly and walks a long waveform slowly, so pulses are run together, but
not too many. It makes no step across a corner, so pulses begin and end at samples; where one does
not, a sample is put in between. A `Stretch` is what one transient runs through: parts of pulses that
meet without a jump and are about equally long, because the step is a fraction of the shortest.
What the circuit remembers is carried over a cut by whoever runs the stretches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats, Pulse

MOST_PARTS = 100
MOST_CORNERS = 400
"""Of one transient: 0.3 ms a pulse up to here, twice that at a thousand pulses."""
ALIKE = 4.0
"""How many times longer than the shortest part the longest may be."""


class Part(NamedTuple):
    """One turn of a pulse, or a piece of it: seconds (corners,) from 0, volts (corners, lines)."""

    seconds: Floats
    volts: Floats
    ends: bool
    """The last part of its pulse."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one transient runs through."""

    seconds: Floats
    """[s], shape (corners,): from 0, increasing."""
    volts: Floats
    """[V], shape (corners, lines)."""
    ends: Floats
    """[s], shape (parts,): when each part is over."""
    complete: tuple[bool, ...]
    """For each part, whether its pulse is over with it."""
    shortest: float
    """[s] of the shortest part."""


def stretches(pulses: Sequence[Pulse]) -> Iterator[Stretch]:
    """The transients for a list of pulses, repeats unrolled, in order."""
    parts: list[Part] = []
    corners, shortest, longest = 0, 0.0, 0.0
    for part in _parts(pulses):
        length = float(part.seconds[-1])
        if parts:
            shortest, longest, corners = (
                min(shortest, length),
                max(longest, length),
                corners + len(part.seconds),
            )
            full = len(parts) == MOST_PARTS or corners > MOST_CORNERS or longest > ALIKE * shortest
            if full or not np.array_equal(parts[-1].volts[-1], part.volts[0]):
                yield _joined(parts)
                parts = []
        if not parts:
            shortest, longest, corners = length, length, len(part.seconds)
        parts.append(part)
    if parts:
        yield _joined(parts)


def _parts(pulses: Sequence[Pulse]) -> Iterator[Part]:
    for pulse in pulses:
        pieces = list(_pieces(pulse))
        for turn in range(pulse.repeats):
            last = turn == pulse.repeats - 1
            for place, (seconds, volts) in enumerate(pieces):
                yield Part(seconds, volts, last and place == len(pieces) - 1)


def _pieces(pulse: Pulse) -> Iterator[tuple[Floats, Floats]]:
    seconds, volts = pulse.seconds, pulse.volts
    if len(seconds) <= MOST_CORNERS:
        yield seconds, volts
        return
    for first in range(0, len(seconds) - 1, MOST_CORNERS - 1):
        last = first + MOST_CORNERS
        yield seconds[first:last] - seconds[first], volts[first:last]


def _joined(parts: Sequence[Part]) -> Stretch:
    if len(parts) == 1:  # most calls have one pulse, and wait for it
        seconds, volts, ends = parts[0]
        return Stretch(seconds, volts, seconds[-1:], (ends,), float(seconds[-1]))
    lengths = np.array([part.seconds[-1] for part in parts])
    ends = np.cumsum(lengths)
    seconds, volts = [parts[0].seconds], [parts[0].volts]
    for start, part in zip(ends[:-1], parts[1:], strict=True):
        seconds.append(start + part.seconds[1:])
        volts.append(part.volts[1:])
    return Stretch(
        np.concatenate(seconds),
        np.concatenate(volts),
        ends,
        tuple(part.ends for part in parts),
        float(lengths.min()),
    )


# ---- and back ------------------------------------------------------------------------------------


def with_samples_at(ends: Floats, seconds: Floats, values: Floats) -> tuple[Floats, Floats, list[int]]:
    """The samples, times exact where parts end, and the index of the sample at each end.

    seconds (samples,) [s]; values (vectors, samples). An end without a sample gets one by interpolation.
    """
    near = 1e-9 * float(ends[0])
    found = seconds.searchsorted(ends - near).tolist()
    missing = [
        k for k, index in enumerate(found) if abs(seconds[min(index, len(seconds) - 1)] - ends[k]) > near
    ]
    if missing:
        rows: list[Floats] = [np.interp(ends[missing], seconds, row) for row in values]
        between: Floats = np.array(rows)
        order = np.argsort(np.append(seconds, ends[missing]), kind="stable")
        seconds = np.append(seconds, ends[missing])[order]
        values = np.append(values, between, axis=1)[:, order]
        found = seconds.searchsorted(ends - near).tolist()
    exact = seconds.copy()
    exact[found] = ends
    return exact, values, found


def weighted(seconds: Floats, ends: Sequence[int]) -> Iterator[tuple[slice, Floats]]:
    """For each part its samples and how many seconds each stands for: the trapezoid rule.

    ngspice keeps no sample at 0, so the first stands for what was before it, too.
    """
    before, after = np.empty(len(seconds)), np.zeros(len(seconds))
    before[0] = seconds[0]
    after[:-1] = before[1:] = (seconds[1:] - seconds[:-1]) / 2
    both, first = before + after, 0
    for part, last in enumerate(ends):
        weights = both[first : last + 1].copy()
        if part:
            weights[0] = after[first]
        weights[-1] = before[last]
        yield slice(first, last + 1), weights
        first = last
