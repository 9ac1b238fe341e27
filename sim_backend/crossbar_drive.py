"""All connected devices of a large crossbar through a pulse: exact lines, and states that move.

For given states the circuit is solved by `sim_backend.crossbar.newton`; what is left is dx/dt of every
device. A segment of a pulse in which no device would move by more than `STILL` is not integrated: its
currents are those of the states as they are, at its ends and its middle, and the states follow by
Simpson's rule.
So a read costs one solve at its level and one halfway up its edges. Otherwise the method is that of
`sim_backend.array_kernel`: the explicit pair of Bogacki and Shampine, two samples a step.

A board's columns end above row 0, those of a `Crossbar` below the last row: rows are counted from the
other side here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from labctl.errors import NoConvergence
from labctl.pulse import Bools, Floats, Indices, Pulse
from labctl.spec import Spec
from sim_backend.array_kernel import LEAK, SHORTEST_STEP
from sim_backend.crossbar.ladders import Ladders
from sim_backend.crossbar.newton import Nodes, Wiring, operating_point
from sim_backend.devices.equations import prepared, rate, tangent
from sim_backend.jit import kernel

STILL = 1e-5
"""[1] Change of x in a segment that is not integrated step by step."""
STEP_ERROR = 1e-6
"""[1] Error of x in each step of one that is."""
MOST_LOOKS = 32
"""That are kept: a pulse has a few, which its repeats share."""
NEAR = 1e-8
"""[1] Error of node voltages, of the highest voltage on a line."""


@kernel
def prepare(rows: Floats) -> Floats:
    """Rows of parameters (sites, parameters) as the equations take them."""
    found = np.empty((len(rows), len(prepared(rows[0]))))
    for site in range(len(rows)):
        found[site] = prepared(rows[site])
    return found


@kernel
def tangents(volts: Floats, x: Floats, p: Floats, amps: Floats, slopes: Floats) -> None:
    """[A] and [S] of devices, all arrays (sites,) but p (sites, prepared)."""
    for site in range(len(x)):
        amps[site], slopes[site] = tangent(volts[site], x[site], p[site])


@kernel
def rates(volts: Floats, x: Floats, p: Floats) -> Floats:
    """dx/dt of devices [1/s], shape (sites,)."""
    found = np.empty(len(x))
    for site in range(len(x)):
        found[site] = rate(volts[site], x[site], p[site])
    return found


class Look(NamedTuple):
    """A crossbar at one moment."""

    rates: Floats
    """[1/s], shape (sites,)."""
    volts: Floats
    """[V], shape (lines,)."""
    amps: Floats
    """[A], shape (lines,): into each line."""


class Moment(NamedTuple):
    """A sample, and how long it stands for."""

    seconds: float
    look: Look


def places_of(spec: Spec) -> Indices:
    """Shape (sites,): where each site is in a flat (rows, columns) array, the last row first."""
    return np.array(
        [(spec.rows - 1 - place.row) * spec.columns + place.column for place in spec.sites], dtype=np.intp
    )


class Circuit:
    """The lines of a board while some of them are driven, and which of its sites are connected."""

    def __init__(self, spec: Spec, wire: float, driven: Bools, places: Indices) -> None:
        self.rows, self.columns = spec.rows, spec.columns
        self.driven = driven
        self.floating = np.flatnonzero(~driven) if not spec.isolating else np.zeros(0, dtype=np.intp)
        self.places = places
        """shape (sites,): of each connected one, see `places_of`."""
        ohms = np.array(spec.series_ohms)
        ohms[self.floating] = 1.0 / LEAK
        self.wiring = Wiring(
            Ladders(ohms[: spec.rows][::-1], None, wire, spec.columns),
            Ladders(ohms[spec.rows :], None, wire, spec.rows),
        )

    def across(self, nodes: Nodes) -> Floats:
        """[V], shape (sites,): of each device."""
        return (nodes.rows - nodes.columns).ravel()[self.places]

    def spread(self, values: Floats) -> Floats:
        """Values of sites (sites,) at the crossings (rows, columns), 0 where none is connected."""
        found = np.zeros(self.rows * self.columns)
        found[self.places] = values
        return found.reshape(self.rows, self.columns)

    def seen(self, volts: Floats, nodes: Nodes, amps: Floats) -> tuple[Floats, Floats]:
        """[V] and [A] of the lines (lines,) for device currents (rows, columns)."""
        shown = volts.copy()
        ends = np.concatenate([nodes.rows[::-1, 0], nodes.columns[-1]])
        shown[self.floating] = ends[self.floating]
        into = np.concatenate([amps.sum(axis=1)[::-1], -amps.sum(axis=0)])
        return shown, into * self.driven


@dataclass
class Drive:
    """Devices in states `x` (sites,), changed in place, with prepared parameters, in a circuit."""

    circuit: Circuit
    x: Floats
    p: Floats
    _looks: dict[bytes, Look] = field(default_factory=dict[bytes, Look])
    _moved: float = 0.0
    """[1] By how much x may have changed since the looks were taken."""
    _last: tuple[Floats, Nodes] | None = None

    def through(self, pulse: Pulse) -> list[Moment]:
        """The samples of a pulse, its repeats one after the other."""
        found = list[Moment]()
        for _ in range(pulse.repeats):
            found.append(Moment(0.0, self._look(pulse.volts[0])))
            for step in range(1, len(pulse.seconds)):
                length = float(pulse.seconds[step] - pulse.seconds[step - 1])
                for moment in self._segment(pulse.volts[step - 1], pulse.volts[step], length):
                    if moment.look is found[-1].look:  # the end of one step is the beginning of the next
                        moment = Moment(found.pop().seconds + moment.seconds, moment.look)
                    found.append(moment)
        return found

    def _segment(self, start: Floats, end: Floats, length: float) -> list[Moment]:
        looks = self._look(start), self._look((start + end) / 2), self._look(end)
        first, middle, last = (look.rates for look in looks)
        fastest = max(float(np.abs(look.rates).max()) for look in looks)
        if not fastest * length <= STILL:
            return self._integrated(start, end, length)
        self.x += length / 6 * (first + 4 * middle + last)
        self._moved += fastest * length
        weights = length / 6, length * 2 / 3, length / 6
        return [Moment(weight, look) for weight, look in zip(weights, looks, strict=True)]

    def _integrated(self, start: Floats, end: Floats, length: float) -> list[Moment]:
        """Step by step, until the end."""
        found, t, slope = list[Moment](), 0.0, (end - start) / length
        now, h = self._look(start), length
        while t < length:
            left = length - t
            h = left if h >= 0.999 * left else min(h, 0.5 * left)
            x, last, error = self._attempt(start, slope, t, h, now)
            if not error <= STEP_ERROR:
                h *= max(0.1, 0.9 * (error / STEP_ERROR) ** (-1 / 3)) if error < np.inf else 0.1
                if h < SHORTEST_STEP:
                    raise _too_stiff()
                continue
            halfway = 0.5 * (self.x + x) + 0.125 * h * (now.rates - last.rates)
            middle = self._solved(start + slope * (t + 0.5 * h), halfway)
            found += [Moment(h / 6, now), Moment(h * 2 / 3, middle), Moment(h / 6, last)]
            self.x[:], now = x, last
            t = t + h if h < left else length
            h *= min(5.0, max(0.2, 0.9 * (error / STEP_ERROR + 1e-12) ** (-1 / 3)))
        self._looks.clear()
        self._moved = 0.0
        return found

    def _attempt(
        self, start: Floats, slope: Floats, t: float, h: float, now: Look
    ) -> tuple[Floats, Look, float]:
        """One step of Bogacki and Shampine: the new states (sites,), the look there, and their error."""
        half = self._solved(start + slope * (t + 0.5 * h), self.x + 0.5 * h * now.rates)
        late = self._solved(start + slope * (t + 0.75 * h), self.x + 0.75 * h * half.rates)
        x = self.x + h * (2 / 9 * now.rates + 1 / 3 * half.rates + 4 / 9 * late.rates)
        last = self._solved(start + slope * (t + h), x)
        error = h * (-5 / 72 * now.rates + half.rates / 12 + late.rates / 9 - last.rates / 8)
        return x, last, float(np.abs(error).max())

    def _look(self, volts: Floats) -> Look:
        """The crossbar with these volts on its lines (lines,), in the present states."""
        if self._moved > STILL or len(self._looks) >= MOST_LOOKS:
            self._looks.clear()
            self._moved = 0.0
        key = volts.tobytes()
        if key not in self._looks:
            self._looks[key] = self._solved(volts, self.x)
        return self._looks[key]

    def _solved(self, volts: Floats, x: Floats) -> Look:
        circuit, count = self.circuit, len(self.x)

        def current(across: Floats) -> tuple[Floats, Floats]:
            amps, slopes = np.empty(count), np.empty(count)
            tangents(across.ravel()[circuit.places], x, self.p, amps, slopes)
            return circuit.spread(amps), circuit.spread(slopes)

        above, below = volts[: circuit.rows][::-1], volts[circuit.rows :]
        near = NEAR * float(np.abs(volts).max()) + 1e-15
        found = operating_point(circuit.wiring, current, above, below, near, self._start(volts))
        self._last = volts, found.nodes
        shown, into = circuit.seen(volts, found.nodes, found.amps)
        return Look(rates(circuit.across(found.nodes), x, self.p), shown, into)

    def _start(self, volts: Floats) -> Nodes | None:
        """The last solution, scaled, if these are the same volts but for a factor; else none."""
        if self._last is None:
            return None
        before, nodes = self._last
        power = float(before @ before)
        if not power > 0:
            return None
        factor = float(volts @ before) / power
        near = np.abs(volts - factor * before).max() <= 1e-6 * np.abs(before).max()
        return Nodes(factor * nodes.rows, factor * nodes.columns) if near else None


def _too_stiff() -> NoConvergence:
    return NoConvergence(
        "no step was short enough for the tolerance",
        todo="check the device parameters: a rate or a conductance is not a finite number",
    )
