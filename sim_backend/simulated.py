"""What ngspice and its fast twin share: everything but the solution of the circuit.

A list of pulses is cut into runs that drive the same lines, because changing the lines means
throwing switches. For each run the board says which part of the circuit is connected: nothing, one
selected device (`_solve_path`), or several at once (`_solve_array`: a grid, or the neurons' layers).
Both subclasses answer with samples and change the states of the chip in place.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import ValidationInfo, field_validator

from labctl.board import Board
from labctl.config import (
    Amps,
    Count,
    Farads,
    Joules,
    Ohms,
    PositiveOhms,
    PositiveSeconds,
    Section,
    Seed,
    Siemens,
    Volts,
)
from labctl.limits import Limits
from labctl.network import Window
from labctl.pulse import Floats, Pulse, Trace
from labctl.spec import Spec
from sim_backend.chip import Chip, Variability
from sim_backend.devices import parameters
from sim_backend.devices.parameters import Device
from sim_backend.layouts import Circuit, Parasitics, crossbar, network, selector


class SiteLimits(Section):
    """Limits of every site, inside the absolute maximum of its dopant."""

    low: Volts = -2.5
    high: Volts = 2.5
    current: Amps | None = None
    longest_pulse: PositiveSeconds = 0.2
    energy: Joules = 1e-3


_USED_BY = {
    "rows": ("crossbar",),
    "columns": ("selector", "crossbar"),
    "wire": ("crossbar",),
    "window": ("network",),
}
"""Settings that only some layouts have."""


class SimulatedSettings(Section):
    """The `[board]` table of a bench file for a simulated board."""

    layout: Literal["selector", "crossbar", "network"]
    dopant: str = "Cr"
    parameters: str | None = None
    """A parameter file of one's own, in place of the dopant's."""
    rows: Count = 1
    columns: Count = 16
    series: Ohms = 10e3
    switch: PositiveOhms = 75.0
    sense: Farads = 180e-12
    wire: Ohms = 0.0
    window: tuple[Siemens, Siemens] | None = None
    seed: Seed = 0
    device_to_device: bool = False
    cycle_to_cycle: bool = False
    read_noise: bool = False
    memory: str | None = None
    """File that the chip keeps its state in; none: a new chip each time."""
    limits: SiteLimits = SiteLimits()

    @field_validator(*_USED_BY)
    @classmethod
    def _used(cls, value: object, info: ValidationInfo) -> object:
        """What the layout has no use for would be ignored on the quiet."""
        layouts, layout = _USED_BY[str(info.field_name)], info.data.get("layout")
        if layout is not None and layout not in layouts:
            raise ValueError(f"a {layout} has none of its own; allowed: with layout {' or '.join(layouts)}")
        return value


class Samples(NamedTuple):
    """One pulse as it was solved: seconds (samples,), volts and amps (samples, lines)."""

    seconds: Floats
    volts: Floats
    amps: Floats


class SimulatedBoard(Board):
    """A board that is not there. Subclasses solve circuits; nothing else."""

    def __init__(self, settings: SimulatedSettings) -> None:
        self._parasitics = Parasitics(sense_farads=settings.sense, wire_ohms=settings.wire)
        variability = Variability(settings.device_to_device, settings.cycle_to_cycle, settings.read_noise)
        device = parameters.load(settings.parameters or settings.dopant)
        self.spec = _as_repeatable_as(device, variability, spec_of(settings))
        self._chip = Chip(device, len(self.spec.sites), variability, settings.seed)
        self._memory = Path(settings.memory) if settings.memory else None

    @abstractmethod
    def _solve_path(self, pulses: Sequence[Pulse], site: int, row: Floats) -> Iterator[Samples]:
        """Pulses that select one device, whose parameters are `row`."""

    @abstractmethod
    def _solve_array(self, pulses: Sequence[Pulse], sites: Sequence[int], rows: Floats) -> Iterator[Samples]:
        """Pulses that connect several `sites`, whose parameters are `rows` (sites, parameters)."""

    def _open(self) -> None:
        if self._memory is not None:
            self._chip.remember_in(self._memory)
            self._memory = None

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        link = self.spec.link_seconds
        for _, group in groupby(pulses, key=lambda pulse: pulse.driven.tobytes()):
            settle = self.spec.settle_seconds
            for samples in self._solve(list(group)):
                yield Trace(*samples, settle_seconds=settle, link_seconds=link)
                link = settle = 0.0

    def _solve(self, pulses: Sequence[Pulse]) -> Iterator[Samples]:
        driven = pulses[0].driven
        sites = range(len(self.spec.sites)) if self._all_connected(pulses[0]) else self.spec.connected(driven)
        runs = [pulses] if self._chip.steady else [[pulse] for pulse in pulses]
        for run in runs:
            if len(sites) == 0:
                yield from map(self._nothing, run)
                continue
            rows = np.array([self._chip.before(site, self._erases(run[0], site)) for site in map(int, sites)])
            if len(sites) == 1 and not self.spec.computing(driven) and self.spec.isolating:
                yield from self._solve_path(run, int(sites[0]), rows[0])
            else:
                yield from self._solve_array(run, [int(site) for site in sites], rows)

    def _all_connected(self, pulse: Pulse) -> bool:
        return not self.spec.isolating and bool(pulse.driven.any())

    def _erases(self, pulse: Pulse, site: int) -> bool:
        """Whether the pulse begins a new cycle of this site; nobody needs to know where none is drawn."""
        if self._chip.steady:
            return False
        place = self.spec.sites[site]
        across = pulse.volts[:, place.row] - pulse.volts[:, self.spec.rows + place.column]
        return bool(across.min() < 0 and -across.min() > across.max())

    def _nothing(self, pulse: Pulse) -> Samples:
        """No device is connected: the voltages that were asked for, and no current."""
        weights = np.zeros(len(pulse.seconds))
        halves = np.diff(pulse.seconds) * (pulse.repeats / 2)
        weights[1:] += halves
        weights[:-1] += halves
        return Samples(weights, pulse.volts * pulse.driven, np.zeros_like(pulse.volts))


def _as_repeatable_as(device: Device, variability: Variability, spec: Spec) -> Spec:
    """What a chip with noise may promise: reads within five sigma, programming within a decade."""
    if variability.read_noise:
        spec = replace(spec, accuracy=spec.accuracy + 5 * device.read_noise)
    if variability.cycle_to_cycle:
        spec = replace(spec, spread=10.0)
    return spec


def spec_of(settings: SimulatedSettings) -> Spec:
    """The board that a settings table describes."""
    limits = settings.limits
    circuit = Circuit(
        dopant=settings.dopant,
        series_ohms=settings.series,
        switch_ohms=settings.switch,
        sense_farads=settings.sense,
        limits=Limits(
            low_volts=limits.low,
            high_volts=limits.high,
            amps=float("inf") if limits.current is None else limits.current,
            seconds=limits.longest_pulse,
            joules=limits.energy,
        ),
    )
    match settings.layout:
        case "selector":
            return selector(settings.columns, circuit)
        case "crossbar":
            return crossbar(settings.rows, settings.columns, circuit)
        case "network":
            window = Window(*settings.window) if settings.window else None
            return network(circuit, window=window)
