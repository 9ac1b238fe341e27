"""From recordings to what is compared with a model: one mean cycle of a repeated drive, or the whole.

A drive that repeats is folded: its cycles are laid on one grid and averaged without the first, which
comes from another state; a model is then compared in its own periodic state. The cycles' spread about
their mean is the best that any model without randomness can do. A cycle with a hole in it is left out
and said so. A drive that does not repeat is compared whole, from a state that the fit finds out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from labctl.fit.recording import Recording
from labctl.pulse import Floats, Indices

MOST_SAMPLES = 1000
"""Of a mean cycle."""
COARSER = 5
"""How many bins make one for a search."""
MOST_SINGLE = 20_000
"""Of a recording that is compared whole."""
MOMENT = 0.02
"""Part of a bin to which the moment of a jump is believed: for 200 bins a pulse, 1e-4 of it."""
FEWEST_BINS = 8
"""From which can be said what bins usually differ by."""
REPEATS = 0.02
"""Part of a period by which the lengths of cycles may differ."""


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """What a model has to predict."""

    name: str
    seconds: Floats
    """[s], shape (samples,)."""
    volts: Floats
    """[V], shape (samples,): of the source."""
    amps: Floats
    """[A], shape (samples,): measured."""
    series_ohms: float
    response_seconds: float = 0.0
    """[s] time constant of the node between resistor and device."""
    period: float = 0.0
    """[s] after which the drive repeats; 0: it does not."""
    weights: Floats | None = None
    """shape (samples,), adding up to 1; None: all the same."""
    bins: Indices | None = None
    """shape (bins,): the sample that each begins with; None: every sample is compared by itself."""
    trust: Floats | None = None
    """shape (bins,), up to 1: how much of what is left in a bin a fit may go by (`trusted`); None: all."""
    cycles: Floats | None = None
    """[A], shape (cycles, samples): what was averaged."""
    remarks: tuple[str, ...] = ()

    @property
    def share(self) -> Floats:
        """Shape (samples,): the weight of each sample; all add up to 1."""
        return np.full(len(self.amps), 1.0 / len(self.amps)) if self.weights is None else self.weights

    @property
    def square(self) -> float:
        """[A^2] mean square current: what a squared error is divided by."""
        return float(self.share @ self.amps**2)

    def left(self, amps: Floats) -> Floats:
        """What is left of predicted currents, shape (bins or samples,): its squares add up to the NMSE."""
        share, rest = self.share, amps - self.amps
        if self.bins is not None:
            share, rest = np.add.reduceat(share, self.bins), np.add.reduceat(share * rest, self.bins)
            rest = rest / share
        return rest * np.sqrt(share / self.square)

    def residual(self, amps: Floats) -> Floats:
        """What a fit makes small, shape (bins or samples,): what is left, as far as it is trusted."""
        return self.left(amps) if self.trust is None else self.left(amps) * self.trust

    @property
    def count(self) -> int:
        """How many residuals it gives."""
        return len(self.amps if self.bins is None else self.bins)

    def nmse(self, amps: Floats) -> float:
        """Normalized mean square error of predicted currents: 0 is perfect, 1 is no better than nothing."""
        left = self.left(amps)
        return float(left @ left)

    @property
    def scatter(self) -> float:
        """NMSE of single cycles against their mean; NaN where there is but one."""
        if self.cycles is None or len(self.cycles) < 2:
            return float("nan")
        return float(((self.cycles - self.amps) ** 2).mean()) / self.square

    def coarser(self, most: int) -> Excerpt:
        """The same with less detail, for a search: a mean cycle of at most `most` samples, wider bins.

        In wide bins the moment of a jump moves what is left smoothly: a search finds its way.
        """
        if self.bins is not None and most < MOST_SAMPLES:
            return _binned(self, self.bins[::COARSER])
        block = -(-len(self.amps) // most)
        if block <= 1 or not self.period:
            return self
        whole = len(self.amps) // block * block
        seconds, volts, amps = (
            a[:whole].reshape(-1, block).mean(axis=1) for a in (self.seconds, self.volts, self.amps)
        )
        return replace(self, seconds=seconds, volts=volts, amps=amps, weights=None, cycles=None)


def excerpt(recording: Recording) -> Excerpt:
    """What of a recording is compared."""
    period = recording.period or repetition(recording.seconds, recording.volts)
    length = float(recording.seconds[-1]) + float(np.median(np.diff(recording.seconds)))
    if period and length >= 1.98 * period and recording.weights is None:
        return _mean_cycle(recording, period, length)
    return _whole(recording)


def repetition(seconds: Floats, volts: Floats) -> float:
    """[s] after which the drive repeats, from its rising passages through the middle; 0: it does not."""
    middle, half = float(volts.max() + volts.min()) / 2, float(np.ptp(volts)) / 2
    if not half > 0:
        return 0.0
    level = np.where(volts > middle + 0.2 * half, 1, np.where(volts < middle - 0.2 * half, -1, 0))
    at = np.flatnonzero(level)
    falls = np.flatnonzero((level[at[:-1]] > 0) & (level[at[1:]] < 0))
    times = (seconds[at[falls]] + seconds[at[falls + 1]]) / 2
    if len(times) < 2:
        return 0.0
    gaps: Floats = np.diff(times)
    period = float(np.median(gaps))
    turns = np.rint((times - times[0]) / period)
    off: Floats = np.abs(gaps / period - np.rint(gaps / period))
    if float(np.median(off)) > REPEATS or float(np.mean(off > 2 * REPEATS)) > 0.2:
        return 0.0
    return _slope(turns, times) if len(times) > 2 else period


def _binned(part: Excerpt, bins: Indices | None) -> Excerpt:
    if bins is None:
        return part
    return replace(part, bins=bins, trust=trusted(part.amps, part.share, bins))


def trusted(amps: Floats, share: Floats, bins: Indices) -> Floats:
    """How much each bin counts, shape (bins,), because of the moments of jumps.

    A jump of the current in a bin tells its moment to as small a part of the bin as noise is of the jump,
    which no clock and no step of a simulator is good for. A moment is believed to `MOMENT` of a bin; what
    that may leave in a bin stands beside what neighbouring bins usually differ by from a straight line.
    """
    means = np.add.reduceat(share * amps, bins) / np.maximum(np.add.reduceat(share, bins), 1e-300)
    if len(means) < FEWEST_BINS:
        return np.ones(len(bins))
    bends = np.abs(means[2:] - 2 * means[1:-1] + means[:-2])
    usual = max(float(np.median(bends)), 1e-6 * float(np.abs(amps).max()), 1e-300)
    before, after = amps[np.maximum(bins - 1, 0)], amps[np.append(bins[1:], len(amps) - 1)]
    highest = np.maximum(np.maximum.reduceat(amps, bins), np.maximum(before, after))
    lowest = np.minimum(np.minimum.reduceat(amps, bins), np.minimum(before, after))
    return usual / np.hypot(usual, MOMENT * (highest - lowest))


def _slope(x: Floats, y: Floats) -> float:
    x = x - x.mean()
    return float(x @ (y - y.mean())) / float(x @ x)


def _mean_cycle(recording: Recording, period: float, length: float) -> Excerpt:
    seconds = recording.seconds
    step = float(np.median(np.diff(seconds)))
    count = round(period / step)
    if abs(period - count * step) < 2 * step * period / length:
        period = count * step  # the samples keep time with the drive: then the grid is theirs
    samples = min(count, MOST_SAMPLES)
    phases: Floats = np.arange(samples, dtype=np.float64) * (period / samples)
    turns = int(length / period + 0.02)
    kept = [turn for turn in range(turns) if _is_whole(seconds, turn * period, period, step)]
    remarks = recording.remarks
    if missing := [str(turn + 1) for turn in range(turns) if turn not in kept]:
        remarks += (f"cycle {', '.join(missing)} of {turns} has a hole and is left out",)
    used = kept[1:] if len(kept) >= 3 and kept[0] == 0 else kept
    if not used:
        return _whole(recording)
    volts, amps = (
        np.array([_at(seconds, values, turn * period + phases, period / samples) for turn in used])
        for values in (recording.volts, recording.amps)
    )
    return Excerpt(
        recording.name,
        phases,
        volts.mean(axis=0),
        amps.mean(axis=0),
        recording.series_ohms,
        recording.response_seconds,
        period,
        cycles=amps,
        remarks=remarks,
    )


def _is_whole(seconds: Floats, start: float, period: float, step: float) -> bool:
    """Whether no sample of this cycle is missing for longer than two steps or 2 % of the cycle."""
    inside = seconds[(seconds >= start - step) & (seconds <= start + period + step)]
    longest = max(2.5 * step, REPEATS * period)
    if len(inside) < 2:
        return False
    edges = inside[0] - start <= longest and start + period - inside[-1] <= longest
    return bool(edges and np.diff(inside).max() <= longest)


def _at(seconds: Floats, values: Floats, times: Floats, step: float) -> Floats:
    """Values on a grid: of the nearest sample where the grid is that of the samples, else averaged."""
    spacing = float(np.median(np.diff(seconds)))
    if step < 1.5 * spacing:
        return np.interp(times, seconds, values)
    edges = np.append(times - step / 2, times[-1] + step / 2)
    total = np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(seconds))])
    return np.diff(np.interp(edges, seconds, total)) / step


def _whole(recording: Recording) -> Excerpt:
    stride = 1 if recording.bins is not None else -(-len(recording.seconds) // MOST_SINGLE)
    seconds, volts, amps = (a[::stride] for a in (recording.seconds, recording.volts, recording.amps))
    weights = np.gradient(seconds) if recording.weights is None else recording.weights[::stride]
    remarks = recording.remarks
    if recording.weights is None:
        remarks += ("the drive does not repeat: compared whole, from a state that is fitted",)
    whole = Excerpt(
        recording.name,
        seconds,
        volts,
        amps,
        recording.series_ohms,
        recording.response_seconds,
        weights=weights / weights.sum(),
        remarks=remarks,
    )
    return _binned(whole, recording.bins)
