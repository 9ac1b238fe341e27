"""What ngspice and its fast twin share: everything but the solution of the circuit.

A list of pulses is cut into runs that drive the same lines, because changing the lines means
throwing switches. For each run the board says which part of the circuit is connected: nothing, one
selected device (`_solve_path`), or several at once (`_solve_array`: a grid, or the neurons' layers).
Both subclasses answer with samples and change the states of the chip in place.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labctl.board import Board
from labctl.pulse import Bools, Floats, Pulse, Purpose, Trace
from sim_backend.chip import Chip
from sim_backend.devices.equations import current, prepared
from sim_backend.devices.fluctuations import current_noise
from sim_backend.parasitics import Parasitics
from sim_backend.settings import (
    SimulatedSettings,
    as_repeatable_as,
    device_of,
    faults_of,
    spec_of,
    variability_of,
)
from sim_backend.unrest import Coming

__all__ = ["Samples", "SimulatedBoard", "SimulatedSettings"]
_WRITES = (Purpose.PROGRAM, Purpose.RESET)
SMALL_VOLTS = 1e-3
"""Where a device's conductance is taken for its thermal noise."""


class Samples(NamedTuple):
    """One pulse as it was solved: seconds (samples,), volts and amps (samples, lines)."""

    seconds: Floats
    volts: Floats
    amps: Floats


class SimulatedBoard(Board):
    """A board that is not there. Subclasses solve circuits; nothing else."""

    def __init__(self, settings: SimulatedSettings) -> None:
        variability, device, spec = variability_of(settings), device_of(settings), spec_of(settings)
        self.spec = as_repeatable_as(device, variability, spec, settings.sense_noise)
        faults = faults_of(settings, len(spec.sites))
        self._chip = Chip(device, len(spec.sites), variability, settings.seed, faults)
        offsets = self._chip.offsets(len(self.spec.neurons)) if settings.neuron_offset else ()
        self._parasitics = Parasitics(
            sense_farads=settings.sense,
            wire_ohms=settings.wire,
            amplifier_offsets=tuple(map(float, offsets)),
        )
        self._noisy = settings.thermal_noise or settings.sense_noise > 0
        self._noise = settings.thermal_noise, settings.sense_noise
        self._series = np.array(self.spec.series_ohms)
        self._memory = Path(settings.memory) if settings.memory else None

    @abstractmethod
    def _solve_path(self, pulses: Sequence[Pulse], site: int, rows: Floats) -> Iterator[Samples]:
        """Pulses that select one device, whose parameters are `rows`: (1 or pulses, parameters)."""

    @abstractmethod
    def _solve_array(self, pulses: Sequence[Pulse], sites: Sequence[int], rows: Floats) -> Iterator[Samples]:
        """Pulses that connect several `sites`; their parameters: `rows` (1 or pulses, sites, parameters)."""

    def _open(self) -> None:
        if self._memory is not None:
            self._chip.remember_in(self._memory)
            self._memory = None

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        link = self.spec.link_seconds
        for _, group in groupby(pulses, key=lambda pulse: pulse.driven.tobytes()):
            settle, run = self.spec.settle_seconds, list(group)
            for pulse, samples in zip(run, self._solve(run), strict=True):
                self._chip.pass_time(pulse.duration + settle)
                yield Trace(*samples, settle_seconds=settle, link_seconds=link)
                link = settle = 0.0

    def _solve(self, pulses: Sequence[Pulse]) -> Iterator[Samples]:
        driven = pulses[0].driven
        all_of_them = range(len(self.spec.sites))
        sites = all_of_them if self._all_connected(pulses[0]) else self.spec.connected(driven).tolist()
        if len(sites) == 0:
            yield from map(self._nothing, pulses)
            return
        single = len(sites) == 1 and not self.spec.computing(driven) and self.spec.isolating
        whole = self._chip.foreseeable and not self._noisy
        for run in [pulses] if whole else [[pulse] for pulse in pulses]:
            rows = self._rows(run, sites)
            solved = (
                self._solve_path(run, sites[0], rows[:, 0]) if single else self._solve_array(run, sites, rows)
            )
            for samples in solved:
                yield self._heard(samples, driven, sites, rows[0]) if self._noisy else samples

    def _rows(self, pulses: Sequence[Pulse], sites: Sequence[int]) -> Floats:
        """What these sites are to each pulse, shape (pulses, sites, parameters); (1, …): to all of them."""
        if self._chip.steady:
            return self._chip.all_before(sites, self._coming(pulses[0], sites))[None]
        return np.array([self._chip.all_before(sites, self._coming(pulse, sites)) for pulse in pulses])

    def _heard(self, samples: Samples, driven: Bools, sites: Sequence[int], rows: Floats) -> Samples:
        """The samples with the noise of each device's current, and of what measures the lines' currents."""
        (thermal, sense), draw, amps = self._noise, self._chip.sampling(), samples.amps.copy()
        for site, row in zip(sites, rows, strict=True) if thermal else ():
            place = self.spec.sites[site]
            column = self.spec.rows + place.column
            small = abs(current(SMALL_VOLTS, float(self._chip.x[site]), prepared(row)))
            ohms = SMALL_VOLTS / max(small, 1e-15) + float(self._series[[place.row, column]].sum())
            through = (samples.volts[:, place.row] - samples.volts[:, column]) / ohms
            normals = draw.standard_normal(len(amps))
            noise = current_noise(through, ohms, samples.seconds, self.spec.response_seconds, normals)
            amps[:, place.row] += noise
            amps[:, column] -= noise
        amps += sense * driven * draw.standard_normal(amps.shape)
        return Samples(samples.seconds, samples.volts, amps)

    def _path_ohms(self, site: int) -> tuple[float, float]:
        """[ohm] before and behind the sense node of one selected device; the wires on its way are behind."""
        place, ohms = self.spec.sites[site], self.spec.series_ohms
        series, switch = ohms[place.row], ohms[self.spec.rows + place.column]
        return series, switch + self._parasitics.wire_ohms * (place.row + place.column)

    def _all_connected(self, pulse: Pulse) -> bool:
        return not self.spec.isolating and bool(pulse.driven.any())

    def _coming(self, pulse: Pulse, sites: Sequence[int]) -> list[Coming]:
        """What the pulse is to each of these; whether it erases matters only where something is drawn."""
        if self._chip.steady or pulse.purpose not in _WRITES:
            return [Coming(pulse.duration, pulse.repeats)] * len(sites)
        coming = list[Coming]()
        for site in sites:
            place = self.spec.sites[site]
            column = self.spec.rows + place.column
            across = (pulse.volts[:, place.row] - pulse.volts[:, column]).tolist()
            low, high = min(across), max(across)
            coming.append(Coming(pulse.duration, pulse.repeats, True, low < 0.0 and -low >= high))
        return coming

    def _nothing(self, pulse: Pulse) -> Samples:
        """No device is connected: the voltages that were asked for, and no current."""
        weights = np.zeros(len(pulse.seconds))
        halves = np.diff(pulse.seconds) * (pulse.repeats / 2)
        weights[1:] += halves
        weights[:-1] += halves
        return Samples(weights, pulse.volts * pulse.driven, np.zeros_like(pulse.volts))
