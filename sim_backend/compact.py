"""The fast twin: the same circuit and the same equations as ngspice, integrated by kernels of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, islice
from typing import NamedTuple, TypeAlias

import numpy as np

from labctl.errors import NoConvergence
from labctl.pulse import Floats, Indices, Pulse
from sim_backend import array_kernel, path_kernel
from sim_backend.array_kernel import Network
from sim_backend.devices import models
from sim_backend.grid import network_of
from sim_backend.simulated import Samples, SimulatedBoard, SimulatedSettings

Integrator: TypeAlias = Callable[[Floats, Floats, Indices], int]
"""A kernel with its circuit: state (changed in place), out, counts -> samples written, or below 0."""


class Chain(NamedTuple):
    """What a kernel drives: pulses one after the other."""

    seconds: Floats
    """[s], shape (corners,): each pulse from 0."""
    volts: Floats
    """[V], shape (corners, lines)."""
    ends: Indices
    """shape (pulses,): last corner of each."""
    rows: Floats
    """shape (1 or pulses, ..., parameters): of the devices in each."""


TOLERANCE = 1e-3
"""Of each step of one device. Over 600 random pulses (four dopants, 2 us to 0.1 s, -2.5 to 2 V) this left at
worst 1.1e-3 in the conductance and 6e-3 in the energy; in 99 of 100, 4e-4 and 3e-3."""
ARRAY_TOLERANCE = 1e-6
"""[1] Error of x in each step of an array."""


class CompactBoard(SimulatedBoard):
    """Selectors, crossbars and the network board, about a hundred times faster than ngspice."""

    Settings = SimulatedSettings

    def __init__(self, settings: SimulatedSettings) -> None:
        super().__init__(settings)
        self._networks: dict[bytes, Network] = {}
        self._scratch = np.empty((0, 5))
        self._tolerance = models.of(self._chip.parameters[0]).tolerance

    def _solve_path(self, pulses: Sequence[Pulse], site: int, rows: Floats) -> Iterator[Samples]:
        place = self.spec.sites[site]
        top, bottom = place.row, self.spec.rows + place.column
        chain = _chained(pulses, rows, [top, bottom])
        series, switch = self._path_ohms(site)
        circuit = path_kernel.Circuit(series, switch, self._parasitics.sense_farads if series else 0.0)
        state, tolerance = np.array([self._chip.x[site], 0.0]), TOLERANCE * self._tolerance

        def run(state: Floats, out: Floats, counts: Indices) -> int:
            return path_kernel.integrate(*chain, state, circuit, tolerance, out, counts)

        out, counts = self._grown(run, state, 5, chain)
        self._chip.x[site] = state[0]
        lines = np.zeros((2, len(out), self.spec.lines))
        lines[0, :, top], lines[0, :, bottom] = out[:, 1], out[:, 2]
        lines[1, :, top], lines[1, :, bottom] = out[:, 3], -out[:, 4]
        return _cut(out[:, 0].copy(), lines[0], lines[1], counts, pulses)

    def _solve_array(self, pulses: Sequence[Pulse], sites: Sequence[int], rows: Floats) -> Iterator[Samples]:
        chain, driven = _chained(pulses, rows), pulses[0].driven
        key = driven.tobytes()
        if key not in self._networks:
            self._networks[key] = network_of(self.spec, self._parasitics, driven, sites)
        net = self._networks[key]
        x = self._chip.x[list(sites)]

        def run(x: Floats, out: Floats, counts: Indices) -> int:
            return array_kernel.integrate(*chain, x, net, ARRAY_TOLERANCE, out, counts)

        lines = self.spec.lines
        out, counts = self._grown(run, x, 1 + 2 * lines, chain)
        self._chip.x[list(sites)] = x
        both = out[:, 1:].copy()
        return _cut(out[:, 0].copy(), both[:, :lines], both[:, lines:], counts, pulses)

    def _grown(self, run: Integrator, state: Floats, width: int, chain: Chain) -> tuple[Floats, Indices]:
        """Samples and their number for each pulse, in scratch space that grows until they fit."""
        counts = np.zeros(len(chain.ends), dtype=np.intp)
        before, room = state.copy(), 32 * len(chain.seconds)
        while True:
            if self._scratch.shape[1] != width or len(self._scratch) < room:
                self._scratch = np.empty((room, width))
            used = run(state, self._scratch, counts)
            if used >= 0:
                return self._scratch[:used], counts
            if used == path_kernel.TOO_STIFF:
                raise NoConvergence(
                    f"{self.spec.name}: no step was short enough for the tolerance",
                    todo="check the device parameters: a rate or a conductance is not a finite number",
                )
            state[:] = before
            room = 2 * len(self._scratch)


def _chained(pulses: Sequence[Pulse], rows: Floats, lines: Sequence[int] | None = None) -> Chain:
    """All pulses one after the other, repeats unrolled; of these lines, or of all."""
    unrolled = [pulse for pulse in pulses for _ in range(pulse.repeats)]
    if len(rows) > 1 and len(unrolled) > len(pulses):
        rows = np.repeat(rows, [pulse.repeats for pulse in pulses], axis=0)
    ends = np.array(list(accumulate([len(pulse.seconds) for pulse in unrolled])), dtype=np.intp) - 1
    many = len(unrolled) > 1
    seconds = np.concatenate([pulse.seconds for pulse in unrolled]) if many else unrolled[0].seconds
    volts = np.concatenate([pulse.volts for pulse in unrolled]) if many else unrolled[0].volts
    return Chain(seconds, volts if lines is None else volts.take(lines, axis=1), ends, rows)


def _cut(
    seconds: Floats, volts: Floats, amps: Floats, counts: Indices, pulses: Sequence[Pulse]
) -> Iterator[Samples]:
    """One `Samples` for each pulse, its repeats together."""
    start, each = 0, iter(counts.tolist())
    for pulse in pulses:
        stop = start + sum(islice(each, pulse.repeats))
        yield Samples(seconds[start:stop], volts[start:stop], amps[start:stop])
        start = stop
