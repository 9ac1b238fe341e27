"""The ngspice board: what is connected as a netlist, a list of pulses as one transient.

The state of every device is kept by the chip, not by ngspice: each transient starts from the states
that the last one ended in, so an engine that dies loses nothing but the pulses that were under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np

from labctl.config import PositiveSeconds
from labctl.pulse import Floats, Pulse
from sim_backend.engine import LOADED, Engine
from sim_backend.netlist import Netlist, job, path
from sim_backend.netlist_array import array
from sim_backend.simulated import Samples, SimulatedBoard, SimulatedSettings
from sim_backend.stretches import stretches, weighted, with_samples_at


class NgspiceSettings(SimulatedSettings):
    """The `[board]` table of a bench file for the ngspice board."""

    library: str | None = None
    """The file of libngspice; none: that of the environment variable LABCTL_NGSPICE, or the system's."""
    deadline: PositiveSeconds = 60.0
    """For one transient."""


class NgspiceBoard(SimulatedBoard):
    """Selectors, crossbars and the network board, solved by ngspice in a process of its own."""

    Settings = NgspiceSettings

    def __init__(self, settings: NgspiceSettings) -> None:
        super().__init__(settings)
        self._engine = Engine(settings.library, settings.deadline)
        # A netlist takes longer to write than to look up, and most pulses go where the last one went.
        self._path_netlist = lru_cache(maxsize=LOADED)(self._path_netlist)
        self._array_netlist = lru_cache(maxsize=LOADED)(self._array_netlist)

    def ready(self) -> str:
        """What `labctl doctor` says of it; starts ngspice, and ends it. `Unavailable` if there is none."""
        with self._engine as engine:
            return f"ngspice {engine.version} ({engine.library})"

    def _open(self) -> None:
        super()._open()
        _ = self._engine.version  # a library that is missing is missed now, not at the first pulse

    def _close(self) -> None:
        self._engine.close()

    def _solve_path(self, pulses: Sequence[Pulse], site: int, rows: Floats) -> Iterator[Samples]:
        netlists = (self._path_netlist(site, row.tobytes()) for row in rows)
        return self._run(netlists, [pulses] if len(rows) == 1 else [[pulse] for pulse in pulses], [site])

    def _solve_array(self, pulses: Sequence[Pulse], sites: Sequence[int], rows: Floats) -> Iterator[Samples]:
        driven, places = pulses[0].driven.tobytes(), tuple(sites)
        netlists = (self._array_netlist(driven, places, each.tobytes()) for each in rows)
        return self._run(netlists, [pulses] if len(rows) == 1 else [[pulse] for pulse in pulses], sites)

    def _path_netlist(self, site: int, row: bytes) -> Netlist:
        place = self.spec.sites[site]
        lines = place.row, self.spec.rows + place.column
        return path(lines, self._path_ohms(site), self._parasitics.sense_farads, np.frombuffer(row))

    def _array_netlist(self, driven: bytes, sites: tuple[int, ...], rows: bytes) -> Netlist:
        parameters = np.frombuffer(rows).reshape(len(sites), -1)
        return array(self.spec, self._parasitics, np.frombuffer(driven, np.bool_), sites, parameters)

    def _run(
        self, netlists: Iterable[Netlist], parts: Sequence[Sequence[Pulse]], sites: Sequence[int]
    ) -> Iterator[Samples]:
        """Each part of the pulses on its circuit; it begins as the one before it ended."""
        states = np.empty(0)
        for netlist, part in zip(netlists, parts, strict=True):
            if not len(states):
                states = np.zeros(len(netlist.states))
                states[: len(sites)] = self._chip.x[list(sites)]
            yield from self._transients(netlist, part, sites, states)

    def _transients(
        self, netlist: Netlist, pulses: Sequence[Pulse], sites: Sequence[int], states: Floats
    ) -> Iterator[Samples]:
        """Transient after transient; `states` (in place) and the chip's follow what has been solved."""
        pieces: list[Samples] = []
        for stretch in stretches(pulses):
            waves = self._engine.transient(job(netlist, stretch, states))
            states[:] = waves.values[: len(states), -1]
            self._chip.x[list(sites)] = states[: len(sites)]
            seconds, values, ends = with_samples_at(stretch.ends, waves.seconds, waves.values)
            volts, amps = self._on_lines(netlist, values)
            for complete, (part, weights) in zip(stretch.complete, weighted(seconds, ends), strict=True):
                pieces.append(Samples(weights, volts[part], amps[part]))
                if complete:
                    yield _joined(pieces)
                    pieces = []

    def _on_lines(self, netlist: Netlist, values: Floats) -> tuple[Floats, Floats]:
        """Volts and amps (samples, lines) from the vectors of the netlist (vectors, samples)."""
        found = dict(zip(netlist.vectors, values, strict=True))
        volts, amps = np.zeros((2, values.shape[1], self.spec.lines))
        for line, node, branch in netlist.probes:
            volts[:, line] = found[node]
            if branch is not None:
                amps[:, line] = -found[f"{branch}#branch"]
        return volts, amps


def _joined(pieces: Sequence[Samples]) -> Samples:
    if len(pieces) == 1:
        return pieces[0]
    return Samples(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))
