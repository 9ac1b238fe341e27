"""Sneak paths: the most that a site can see where it shares its lines with others, whatever those are.

A line's resistor holds it only as well as the devices on it let it: through them, what drives one line
lifts another, and current finds its way round the resistors that were to limit it. What the devices are
nobody knows, only that each is passive and has at least its least resistance. The bounds here hold for
all of them, so also for curved ones and open ones [ours]:

* No line is higher than if it were fed by every site whose other line can be higher, through the least
  resistance, and drained by none. Lines bound each other in turn: begun with the highest source, each turn
  gives lower bounds that are as true, so that it matters not when one stops.
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

TURNS = 40
"""At most; each brings bounds closer to what devices could do."""
CLOSE = 1e-4
"""Of the spread of all sources: a turn that gains less is the last."""
DIGITS = 12
"""Corners that differ by a factor alone, to so many digits, are one: the highest counts."""


class Sneak:
    """Bounds for one pulse, over all its corners."""

    def __init__(self, spec: Spec, pulse: Pulse, sites: Indices) -> None:
        """`sites` are connected to both their lines; no others are."""
        places = [spec.sites[index] for index in map(int, sites)]
        self._least = np.array([site.limits.least_ohms for site in places])
        self._rows = np.array([site.row for site in places], dtype=np.intp)
        self._columns = np.array([site.column for site in places], dtype=np.intp)
        siemens = np.zeros((spec.rows, spec.columns))
        siemens[self._rows, self._columns] = [1 / site.limits.feeding_ohms for site in places]
        halves = np.split(pulse.driven, [spec.rows]), np.split(spec.series(pulse.driven), [spec.rows])
        lines = [_Lines(*each) for each in zip(*halves, (siemens, siemens.T), strict=True)]
        told = _telling(np.where(pulse.driven, pulse.volts, 0.0))
        self._all = _all_amps(told[:, pulse.driven], spec.series(pulse.driven)[pulse.driven])
        volts = np.split(told, [spec.rows], axis=1)
        self._up = _Side(lines, volts, self._all, spec.wire_ohms)
        self._down = _Side(lines, [-each for each in volts], self._all, spec.wire_ohms)

    def across(self) -> tuple[Floats, Floats]:
        """[V] lowest and highest that each site can see, from row to column, shape (sites,)."""
        up, down = self._up.highest, self._down.highest
        low = -(down[ROWS][:, self._rows] + up[COLUMNS][:, self._columns]).max(axis=0)
        high = (up[ROWS][:, self._rows] + down[COLUMNS][:, self._columns]).max(axis=0)
        return low, high

    def amps(self, number: int) -> float:
        """[A] the most, of either sign, that can flow through this one of the sites."""
        row, column, least = int(self._rows[number]), int(self._columns[number]), float(self._least[number])
        found = 0.0
        for high, low in (self._up, self._down), (self._down, self._up):
            most = _most(high.left(ROWS, row, column), low.left(COLUMNS, column, row), least)
            across = float((high.highest[ROWS][:, row] + low.highest[COLUMNS][:, column]).max())
            found = max(found, min(most, across / least))
        return min(found, float(self._all.max()))


ROWS, COLUMNS = 0, 1


class _Lines(NamedTuple):
    """All rows, or all columns."""

    held: Bools
    """(lines,) has a source."""
    ohms: Floats
    """[ohm] (lines,) between the source and the line."""
    siemens: Floats
    """[S] (lines, others) the most between one of these and one of the others."""


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
        spread, gain = float(np.ptp(np.hstack(volts), axis=1).max()), np.inf
        for _ in range(TURNS):
            if not gain > CLOSE * spread:
                break
            gain = max(self._turn(ROWS), self._turn(COLUMNS))

    def left(self, half: int, line: int, apart: int) -> _Rise:
        """What a line is at while something is drawn from it at its crossing with `apart`."""
        others = np.arange(len(self._lines[1 - half].held))
        return self._rise(half, np.array([line]), others[others != apart])

    def _turn(self, half: int) -> float:
        """[V] by which bounds of this half come down where those of the other half stand."""
        everything = (np.arange(len(self._lines[which].held)) for which in (half, 1 - half))
        before = self.highest[half]
        self.highest[half] = np.fmin(self._rise(half, *everything).volts.max(axis=2), before)
        return float((before - self.highest[half]).max())

    def _rise(self, half: int, mine: Indices, others: Indices) -> _Rise:
        """Of these lines, fed by these others as far as they can be higher."""
        lines, feeding = self._lines[half], self.highest[1 - half][:, others]
        order = np.argsort(-feeding, axis=1)
        fed = np.take_along_axis(feeding, order, axis=1)[:, None, :]
        siemens = np.moveaxis(lines.siemens[np.ix_(mine, others)][:, order], 0, 1)
        held = lines.held[mine, None]
        ohms, volts = np.where(held, lines.ohms[mine, None], 1.0), self._volts[half][:, mine, None]
        fed_amps, joined = _sums(siemens * fed), _sums(siemens)
        weight = held + ohms * joined
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = np.where(weight > 0, (held * volts + ohms * fed_amps) / weight, -np.inf)
            lost = np.where(weight > 0, ohms / weight, 0.0)
        if self._wire:  # what flows into the source of a line that is lifted above it lifts its end further
            wire = np.where(held, self._wire / np.where(held, weight, 1.0), 0.0)
            lifted = np.where(held, rise + wire * (fed_amps - joined * volts), -np.inf)
            rise, lost = np.append(rise, lifted, axis=2), np.append(lost, lost + wire, axis=2)
        return _Rise(rise, lost)


def _all_amps(volts: Floats, ohms: Floats) -> Floats:
    """[A] (corners,) at most from all sources that give to all that take: no line is beyond their volts."""
    above, below = volts - volts.min(axis=1)[:, None], volts.max(axis=1)[:, None] - volts
    with np.errstate(divide="ignore", invalid="ignore"):
        given, taken = (np.nansum(each / ohms, axis=1) for each in (above, below))
    return np.minimum(given, taken)


def _sums(values: Floats) -> Floats:
    """Of none, the first, the first two and so on, along the last axis."""
    return np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)


def _most(high: _Rise, low: _Rise, ohms: float) -> float:
    """[A] through so many ohms, between one line that sinks and another that rises with the current."""
    volts = high.volts[:, 0, :, None] + low.volts[:, 0, None, :]
    drop = high.ohms[:, 0, :, None] + low.ohms[:, 0, None, :]
    return max(0.0, float((volts / (ohms + drop)).max()))


def _telling(volts: Floats) -> Floats:
    """Corners that bound all others: of those that differ by a factor, the highest."""
    peaks = np.abs(volts).max(axis=1)
    falling = np.argsort(-peaks, kind="stable")[: max(1, int((peaks > 0).sum()))]
    parts = (volts[falling] / np.maximum(peaks[falling], 1e-300)[:, None]).round(DIGITS)
    return volts[falling[np.unique(parts, axis=0, return_index=True)[1]]]
