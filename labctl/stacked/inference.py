"""A forward pass on boards without neurons: what neurons would do is computed from measured currents.

For each neuron of a layer, the sites that see the same voltage are closed side by side behind their
part's series resistor, and one pulse of that voltage is driven. From the current follows what the
set conducts, I / V at its node, and from that the current into a virtual ground: G_set times the
voltage that was meant. The neuron's formula says what it puts out, and the outputs of a layer are
driven in the same way onto the sites of the next. What is 0 V is not driven, and a current below the
part's noise floor is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from labctl.errors import BoardFault
from labctl.parts import Neuron
from labctl.pulse import Flag, Floats, Pulse, Trace
from labctl.reading import settled
from labctl.spec import Spec
from labctl.stacked.layout import Seat

Apply = Callable[[int, Sequence[Pulse]], Sequence[Trace]]
"""Drives pulses on one part."""


@dataclass(frozen=True, slots=True, eq=False)
class Set:
    """Sites of one neuron that share a source and see the same voltage: one pulse measures them all."""

    neuron: Neuron
    rows: tuple[int, ...]
    """Lines of the network."""
    part: int
    row: int
    """Line of the part, as are"""
    columns: tuple[int, ...]
    wave: Floats
    """[V], shape (corners,)."""


@dataclass(slots=True)
class Pass:
    """One forward pass while it is computed: what a network board would measure, corner by corner."""

    volts: Floats
    """[V], shape (corners, lines)."""
    amps: Floats
    """[A], shape (corners, lines)."""
    driven_seconds: float = 0.0
    settle_seconds: float = 0.0
    link_seconds: float = 0.0
    flags: Flag = Flag.NONE
    estimated: bool = False


class Computed:
    """The neurons of a stack."""

    def __init__(
        self, spec: Spec, parts: Sequence[Spec], seats: Sequence[Seat], *, together: bool, apply: Apply
    ) -> None:
        self._spec, self._parts, self._seats = spec, parts, seats
        self._together, self._apply = together, apply
        self._layers = [list(layer) for _, layer in groupby(spec.neurons, key=lambda neuron: neuron.inputs)]

    def trace(self, pulse: Pulse) -> Trace:
        """What the neurons put out for the voltages of this pulse, layer by layer."""
        done = Pass(pulse.volts * pulse.driven, np.zeros_like(pulse.volts))
        for layer in self._layers:
            self._forward(pulse, layer, done)
        seconds = np.diff(pulse.seconds) * pulse.repeats
        longer = max(done.driven_seconds - pulse.duration, 0.0) if done.driven_seconds else 0.0
        return Trace(
            seconds,
            (done.volts[1:] + done.volts[:-1]) / 2,
            (done.amps[1:] + done.amps[:-1]) / 2,
            flags=done.flags,
            estimated=done.estimated,
            settle_seconds=done.settle_seconds + longer,
            link_seconds=done.link_seconds,
        )

    def _forward(self, pulse: Pulse, layer: Sequence[Neuron], done: Pass) -> None:
        """What the neurons of one layer answer to the voltages that are known so far."""
        currents = {neuron.column: np.zeros(len(pulse.seconds)) for neuron in layer}
        sets = [one for neuron in layer for one in self._sets(neuron, done.volts)]
        for part, of_part in groupby(sorted(sets, key=lambda one: one.part), key=lambda one: one.part):
            own = list(of_part)
            pulses = [self._pulse(one, pulse) for one in own]
            for one, asked, trace in zip(own, pulses, self._apply(part, pulses), strict=True):
                currents[one.neuron.column] += self._siemens(one, asked, trace) * one.wave
                self._book(one, asked, trace, done)
        for neuron in layer:
            amps = currents[neuron.column]
            done.amps[:, neuron.column] = -amps
            wanted = amps - neuron.reference_siemens * done.volts[:, list(neuron.inputs)].sum(axis=1)
            answer = -neuron.feedback_ohms * wanted + 0.0  # of nothing: 0 V, not minus 0 V
            done.volts[:, neuron.output] = np.clip(answer, neuron.low_volts, neuron.high_volts)

    def _sets(self, neuron: Neuron, volts: Floats) -> list[Set]:
        """The pulses that tell this neuron's current; none for what sees no voltage."""
        found = dict[tuple[object, ...], list[tuple[int, Seat]]]()
        for number, (site, seat) in enumerate(zip(self._spec.sites, self._seats, strict=True)):
            if self._spec.rows + site.column == neuron.column and volts[:, site.row].any():
                alone = None if self._together else number
                key = seat.part, seat.row, volts[:, site.row].tobytes(), alone
                found.setdefault(key, []).append((site.row, seat))
        return [_set(neuron, members, volts) for members in found.values()]

    def _pulse(self, one: Set, asked: Pulse) -> Pulse:
        """The row of the set driven, its columns at 0 V."""
        lines = self._parts[one.part].lines
        volts, driven = np.zeros((len(one.wave), lines)), np.zeros(lines, dtype=np.bool_)
        volts[:, one.row] = one.wave
        driven[[one.row, *one.columns]] = True
        return Pulse(asked.seconds, volts, driven, asked.purpose, asked.repeats)

    def _siemens(self, one: Set, pulse: Pulse, trace: Trace) -> float:
        """[S] of a set side by side, by least squares over the settled end of the pulse.

        The drop over the series resistor is taken off, and that over the switches as if all conducted alike.
        """
        part, columns = self._parts[one.part], list(one.columns)
        top = settled(trace, one.row, pulse.repeats)
        weights, amps = trace.seconds[top], _into(part, one, trace)[top]
        if abs(float(weights @ amps)) < part.noise_floor_amps * float(weights.sum()):
            return 0.0
        across = trace.volts[top, one.row] - trace.volts[top][:, columns].mean(axis=1)
        volts = across - amps * part.series_ohms[one.row]
        power = float(weights @ volts**2)
        each = float(weights @ (volts * amps)) / power / len(columns) if power > 0 else -1.0
        left = 1 - each * float(np.mean([part.series_ohms[column] for column in columns]))
        if not (each > 0 and left > 0):
            raise BoardFault(
                f"{part.name}: {each:.4g} S for each site of a set is no conductance",
                todo="look for a short, or for series resistances that are not those of the spec",
            )
        return len(columns) * each / left

    def _book(self, one: Set, pulse: Pulse, trace: Trace, done: Pass) -> None:
        """What it cost: the energy split among the lit rows, the time on top of the pulse's own."""
        seconds, middles = np.diff(pulse.seconds) * pulse.repeats, (one.wave[1:] + one.wave[:-1]) / 2
        into = _into(self._parts[one.part], one, trace)
        joules = float(trace.seconds @ (trace.volts[:, one.row] * into))
        share = joules / float(seconds @ middles**2) / len(one.rows)
        for row in one.rows:
            done.amps[:, row] += share * one.wave
        done.driven_seconds += pulse.duration
        done.settle_seconds += trace.settle_seconds
        done.link_seconds += trace.link_seconds
        done.flags |= trace.flags
        done.estimated |= trace.estimated


def _set(neuron: Neuron, members: Sequence[tuple[int, Seat]], volts: Floats) -> Set:
    rows, seats = [row for row, _ in members], [seat for _, seat in members]
    columns = tuple(seat.column for seat in seats)
    return Set(neuron, tuple(rows), seats[0].part, seats[0].row, columns, volts[:, rows[0]].copy())


def _into(part: Spec, one: Set, trace: Trace) -> Floats:
    """[A], shape (samples,), into the row; out of the columns where only they are sensed."""
    if part.sensed is None or one.row in part.sensed:
        return trace.amps[:, one.row]
    return -trace.amps[:, list(one.columns)].sum(axis=1)
