"""Sneak paths: the most that a site can see where it shares its lines with others, whatever those are.

A line's resistor holds it only as well as the devices on it let it: through them, what drives one line
lifts another, and current finds its way round the resistors that were to limit it. What the devices are
nobody knows, only that each is passive and has at least its least resistance. The bounds here hold for
all of them, so also for curved ones and open ones [ours]:

* No line is higher than if it were fed by every site whose other line can be higher, through the least
  resistance, and drained by none. Lines bound each other in turn: begun with the highest source, each turn
  gives lower bounds that are as true, so that it matters not when one stops.
* The highest row is drained by every column, and the highest column fed by no row that another drains more:
  what feeds it comes through the resistor of that row as well.
* No more flows through a site, or down a line, than all sources together can give, or take.
* A site that draws a current lowers its row and lifts its column. The most that it can draw is where what
  is left between them is that current times its least resistance.

What a line rises to is the highest of a few straight lines in the current drawn from it, one for each number
of feeders, the highest first: nothing is searched for. Wires between crossings can part a site from the
source that would hold its line down, so a line that is lifted above its own source is bounded by all that
could ever flow down it; everywhere else they only help. Lowest voltages are the highest of the negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from labctl.pulse import Bools, Floats, Indices, Pulse

if TYPE_CHECKING:
    from labctl.spec import Spec

ROWS, COLUMNS = 0, 1
TURNS = 40
"""At most; each brings bounds closer to what devices could do."""
CLOSE = 1e-4
"""Of the spread of all sources: a turn that gains less is the last."""
DIGITS = 12
"""Corners that differ by a factor alone, to so many digits, are one: the highest counts."""
TOGETHER = 1 << 22
"""Numbers in a part of what is worked out at once: 32 MB."""


class Sneak:
    """Bounds for one pulse, over all its corners."""

    def __init__(self, spec: Spec, pulse: Pulse, sites: Indices) -> None:
        """`sites` are connected to both their lines; no others are."""
        places = [spec.sites[index] for index in map(int, sites)]
        self._rows = np.array([site.row for site in places], dtype=np.intp)
        self._columns = np.array([site.column for site in places], dtype=np.intp)
        self._least = np.array([site.limits.least_ohms for site in places])
        self._told = telling(np.where(pulse.driven, pulse.volts, 0.0))
        self._driven, self._ohms, self._wire = pulse.driven, spec.series(pulse.driven), spec.wire_ohms
        self._split = spec.rows
        self._all = _all_amps(self._told[:, pulse.driven], self._ohms[pulse.driven])
        self._up, self._down = self._sides(self._least)
        quiet = np.array([(site.limits.quiet_volts, site.limits.quiet_ohms) for site in places])
        if np.isfinite(quiet[:, 1]).any():
            low, high = self.across()
            still = (np.maximum(-low, high) <= quiet[:, 0]) & np.isfinite(quiet[:, 1])
            self._up, self._down = self._sides(np.where(still, quiet[:, 1], self._least))

    def across(self) -> tuple[Floats, Floats]:
        """[V] lowest and highest that each site can see, from row to column, shape (sites,)."""
        up, down = self._up.highest, self._down.highest
        low = -(down[ROWS][:, self._rows] + up[COLUMNS][:, self._columns]).max(axis=0)
        high = (up[ROWS][:, self._rows] + down[COLUMNS][:, self._columns]).max(axis=0)
        return low, high

    def amps(self, numbers: Indices) -> Floats:
        """[A] the most, of either sign, that can flow through these of the sites, shape (numbers,)."""
        each = len(self._told) * (len(self._driven) + 2)
        parts = np.array_split(numbers, max(1, len(numbers) * each // TOGETHER))
        return np.concatenate([self._amps(part) for part in parts])

    def _amps(self, numbers: Indices) -> Floats:
        rows, columns, least = self._rows[numbers], self._columns[numbers], self._least[numbers]
        found = np.zeros(len(numbers))
        for high, low in (self._up, self._down), (self._down, self._up):
            above = high.left(ROWS, rows, columns), high.still(ROWS, rows)
            below = low.left(COLUMNS, columns, rows), low.still(COLUMNS, columns)
            most = [_most(one, other, least) for one in above for other in below]
            found = np.maximum(found, np.min(most, axis=0))
        return np.minimum(found, self._all.max())

    def _sides(self, feeding: Floats) -> tuple[_Side, _Side]:
        """Bounds above and below, where sites feed others through so many ohms at least."""
        siemens = np.zeros((self._split, len(self._driven) - self._split))
        siemens[self._rows, self._columns] = 1 / feeding
        ends = np.split(self._driven, [self._split]), np.split(self._ohms, [self._split])
        lines = [_Lines(*each) for each in zip(*ends, (siemens, siemens.T), strict=True)]
        volts = np.split(self._told, [self._split], axis=1)
        up = _Side(lines, volts, self._all, self._wire)
        return up, _Side(lines, [-each for each in volts], self._all, self._wire)


class _Lines(NamedTuple):
    """All rows, or all columns."""

    held: Bools
    """(lines,) has a source."""
    ohms: Floats
    """[ohm] (lines,) between the source and the line."""
    siemens: Floats
    """[S] (lines, others) the most between one of these and one of the others."""


class _Fed(NamedTuple):
    """Running sums over what feeds lines, the highest first, from none to all: (corners, lines, sums)."""

    amps: Floats
    """[A] with the lines at 0 V."""
    siemens: Floats
    """[S]"""
    rank: Indices
    """(corners, others) how many are before each in these sums."""


class _Rise(NamedTuple):
    """A bound of a line is the highest of `volts - ohms * amps drawn`; shapes (corners, lines, pieces)."""

    volts: Floats
    ohms: Floats


class _Side:
    """The highest that all lines can be at; with sources turned round, the lowest, likewise turned."""

    def __init__(self, lines: Sequence[_Lines], volts: Sequence[Floats], most: Floats, wire: float) -> None:
        """Sources [V] of rows and columns, (corners, lines) each, of which `most` [A] (corners,) can flow."""
        self._lines, self._volts, self._wire = lines, volts, wire
        sources = [np.where(mine.held, each, -np.inf) for mine, each in zip(lines, volts, strict=True)]
        top = np.hstack(sources).max(axis=1)[:, None]
        with np.errstate(invalid="ignore"):  # 0 ohm and no end of current
            lifts = [(mine.ohms + wire) * most[:, None] for mine in lines]
        self.highest = [
            np.where(mine.held, np.fmin(each + lift, top), top)
            for mine, each, lift in zip(lines, volts, lifts, strict=True)
        ]
        """[V] (corners, lines) of rows and of columns; nothing is above the highest source."""
        if not wire:
            for half in ROWS, COLUMNS:
                self.highest[half] = np.fmin(self.highest[half], self._peak(half))
        spread, gain = float(np.ptp(np.hstack(volts), axis=1).max()), np.inf
        for _ in range(TURNS):
            if not gain > CLOSE * spread:
                break
            gain = max(self._turn(ROWS), self._turn(COLUMNS))
        self._fed = [_fed(lines[half].siemens, self.highest[1 - half]) for half in (ROWS, COLUMNS)]

    def left(self, half: int, mine: Indices, aparts: Indices) -> _Rise:
        """What each of `mine` is at by what is drawn at its crossing with `aparts`, which feeds nothing."""
        fed, whole = self._fed[half], self._lines[half].siemens
        own, height = whole[mine, aparts], self.highest[1 - half][:, aparts]
        before: Indices = np.arange(fed.siemens.shape[2], dtype=np.intp)
        after = before > fed.rank[:, aparts, None]
        siemens = fed.siemens[:, mine] - np.where(after, own[:, None], 0.0)
        siemens[siemens <= NONE * whole[mine].sum(axis=1)[:, None]] = 0.0
        amps = fed.amps[:, mine] - np.where(after, (own * height)[:, :, None], 0.0)
        return self._risen(half, mine, amps, siemens)

    def still(self, half: int, mine: Indices) -> _Rise:
        """What each of `mine` is at, whatever is drawn."""
        volts = self.highest[half][:, mine, None]
        return _Rise(volts, np.zeros_like(volts))

    def _turn(self, half: int) -> float:
        """[V] by which bounds of this half come down where those of the other half stand."""
        mine, before = self._lines[half], self.highest[half]
        fed = _fed(mine.siemens, self.highest[1 - half])
        rise = self._risen(half, np.arange(len(mine.held)), fed.amps, fed.siemens).volts.max(axis=2)
        self.highest[half] = np.where(np.isfinite(rise), np.fmin(rise, before), before)  # an open line, unfed
        return float((before - self.highest[half]).max())

    def _peak(self, half: int) -> Floats:
        """[V] (corners, 1) above which none of this half is: others feed it through their resistors too."""
        mine, others = self._lines[half], self._lines[1 - half]
        with np.errstate(divide="ignore"):
            siemens = others.held / (others.ohms + 1 / mine.siemens)
        fed = _fed(siemens, self._volts[1 - half])
        peak = self._risen(half, np.arange(len(mine.held)), fed.amps, fed.siemens).volts.max(axis=(1, 2))
        return np.where(np.isfinite(peak), peak, np.inf)[:, None]

    def _risen(self, half: int, mine: Indices, amps: Floats, siemens: Floats) -> _Rise:
        """Of these lines, by running sums of what feeds them."""
        lines, volts = self._lines[half], self._volts[half][:, mine, None]
        held = lines.held[mine, None]
        ohms = np.where(held, lines.ohms[mine, None], 1.0)
        weight = held + ohms * siemens
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = np.where(weight > 0, (held * volts + ohms * amps) / weight, -np.inf)
            lost = np.where(weight > 0, ohms / weight, 0.0)
        if self._wire:  # what flows into the source of a line that is lifted above it lifts its end further
            wire = np.where(held, self._wire / np.where(held, weight, 1.0), 0.0)
            lifted = np.where(held, rise + wire * (amps - siemens * volts), -np.inf)
            rise, lost = np.append(rise, lifted, axis=2), np.append(lost, lost + wire, axis=2)
        return _Rise(rise, lost)


NONE = 1e-12
"""Of a line's conductance: what is left of it where only rounding is."""


def _fed(siemens: Floats, height: Floats) -> _Fed:
    """Of lines, by `siemens` (lines, others) from others at these heights [V] (corners, others)."""
    order = np.argsort(-height, axis=1)
    joined = np.moveaxis(siemens[:, order], 0, 1)
    fed = np.take_along_axis(height, order, axis=1)[:, None, :]
    return _Fed(_sums(joined * fed), _sums(joined), np.argsort(order, axis=1))


def _sums(values: Floats) -> Floats:
    """Of none, the first, the first two and so on, along the last axis."""
    return np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)


def _all_amps(volts: Floats, ohms: Floats) -> Floats:
    """[A] (corners,) at most from all sources that give to all that take: no line is beyond their volts."""
    above, below = volts - volts.min(axis=1)[:, None], volts.max(axis=1)[:, None] - volts
    with np.errstate(divide="ignore", invalid="ignore"):
        given, taken = (np.nansum(each / ohms, axis=1) for each in (above, below))
    return np.minimum(given, taken)


def _most(high: _Rise, low: _Rise, ohms: Floats) -> Floats:
    """[A] (sites,) through so many ohms, between lines that sink and others that rise with the current.

    The highest of all (volts + volts) / (ohms + ohms + ohms), one piece of each: by Dinkelbach's method,
    whose steps only rise and end at the highest. What has not ended, or is no number, is no bound: inf.
    """
    amps = np.zeros(high.volts.shape[:2])
    for _ in range(high.volts.shape[2] + low.volts.shape[2]):
        volts, drop = (one + other for one, other in zip(_best(high, amps), _best(low, amps), strict=True))
        found = volts / (ohms + drop)
        if not (found > amps * (1 + NONE)).any():
            return np.where(np.isnan(found), np.inf, amps).max(axis=0)
        amps = np.fmax(found, amps)
    return np.full(len(ohms), np.inf)


def _best(rise: _Rise, amps: Floats) -> tuple[Floats, Floats]:
    """Volts and ohms of the highest piece while so much is drawn."""
    best = (rise.volts - rise.ohms * amps[:, :, None]).argmax(axis=2)[:, :, None]
    volts, ohms = (np.take_along_axis(each, best, axis=2)[:, :, 0] for each in rise)
    return volts, ohms


def telling(volts: Floats) -> Floats:
    """Corners that bound all others: of those that differ by a factor, the highest."""
    peaks = np.abs(volts).max(axis=1)
    falling = np.argsort(-peaks, kind="stable")[: max(1, int((peaks > 0).sum()))]
    parts = (volts[falling] / np.maximum(peaks[falling], 1e-300)[:, None]).round(DIGITS)
    return volts[falling[np.unique(parts, axis=0, return_index=True)[1]]]
