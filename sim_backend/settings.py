"""What a bench file says of a simulated board, and the spec and the devices that follow from it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from labctl.config import (
    Count,
    Farads,
    Fraction,
    Ohms,
    PositiveFraction,
    PositiveOhms,
    PositiveSeconds,
    PositiveVolts,
    Quantity,
    Seconds,
    Section,
    Seed,
    Siemens,
)
from labctl.errors import BadConfig
from labctl.layouts import Circuit, crossbar, network, selector
from labctl.network import Window
from labctl.parts import Shapes
from labctl.site_limits import SiteLimits
from labctl.spec import Spec
from sim_backend.devices import parameters
from sim_backend.devices.parameters import Device
from sim_backend.unrest import Kinds
from sim_backend.variation import Faults, Variability

SiteNumber = Annotated[int, Field(ge=0)]
NoiseAmps = Annotated[float, Quantity("A", least=0)]
OffsetVolts = Annotated[float, Quantity("V", least=0)]


class FaultyDevices(Section):
    """Devices that do not work: by number of their site, so many others, and a part of the rest."""

    low: tuple[SiteNumber, ...] = ()
    """Stuck at low conductance, the high-resistance state."""
    high: tuple[SiteNumber, ...] = ()
    """Stuck at high conductance, the low-resistance state."""
    open: tuple[SiteNumber, ...] = ()
    short: tuple[SiteNumber, ...] = ()
    low_part: Fraction = 0.0
    high_part: Fraction = 0.0
    open_part: Fraction = 0.0
    short_part: Fraction = 0.0
    low_count: SiteNumber = 0
    """So many devices, at random places."""
    high_count: SiteNumber = 0
    open_count: SiteNumber = 0
    short_count: SiteNumber = 0


_USED_BY = {
    "rows": ("crossbar",),
    "columns": ("selector", "crossbar"),
    "wire": ("crossbar",),
    "switched": ("crossbar",),
    "window": ("network",),
    "pixel": ("network",),
    "neuron_offset": ("network",),
}
"""Settings that only some layouts have."""


class SimulatedSettings(Section):
    """The `[board]` table of a bench file for a simulated board."""

    layout: Literal["selector", "crossbar", "network"]
    dopant: str = "Cr"
    model: Literal["metastable", "sdc", "vteam", "yakopcic"] = "sdc"
    """Of the device; a parameter file of one's own says its model itself."""
    parameters: str | None = None
    """A parameter file of one's own, in place of the dopant's."""
    rows: Count = 1
    columns: Count = 16
    series: Ohms = 10e3
    switch: PositiveOhms = 75.0
    sense: Farads = 180e-12
    wire: Ohms = 0.0
    """Of each segment of a row or column between two crossings."""
    switched: bool = False
    """Every crossing has a switch (1T1R), closed while both of its lines are driven; without: a bare one."""
    settle: Seconds = 20e-6
    """Before a pulse that other lines are driven for than before."""
    link: Seconds = 125e-6
    """Of each call: a microframe of USB 2."""
    shortest_pulse: PositiveSeconds = 1e-6
    edge: PositiveSeconds | None = None
    """Longest between two levels: the sources make nothing else. None: any shape."""
    noise_floor: NoiseAmps = 1e-9
    accuracy: PositiveFraction = 0.01
    """That the spec promises; what is simulated is as accurate as it is."""
    window: tuple[Siemens, Siemens] | None = None
    pixel: PositiveVolts = 0.1
    """Of a lit pixel, and the rails of the neurons."""
    seed: Seed = 0
    device_to_device: bool = False
    variation: Fraction | None = None
    """One spread of all parameters between devices, in place of those of the file."""
    cycle_to_cycle: bool = False
    read_noise: bool = False
    """White, from pulse to pulse."""
    flicker: bool = False
    """1/f noise of the conductance, which remembers."""
    telegraph: bool = False
    thermal_noise: bool = False
    """Thermal and shot noise of the currents."""
    sense_noise: NoiseAmps = 0.0
    """What measuring adds to each sample of a current [A rms]."""
    relaxation: bool = False
    """A filament that was just grown loses a part within a second of rest."""
    retention: bool = False
    """Written states drift, and some jump to high resistance."""
    wear: bool = False
    """Cycles raise a leak, and in the end a device is stuck."""
    neuron_offset: OffsetVolts = 0.0
    """Input offset of the neurons' op-amps [V rms], drawn once for a chip."""
    faults: FaultyDevices = FaultyDevices()
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

    @field_validator("variation")
    @classmethod
    def _alone(cls, value: float | None, info: ValidationInfo) -> float | None:
        """Two spreads between devices would be one too many."""
        if value is not None and info.data.get("device_to_device"):
            raise ValueError("device_to_device draws the spreads of the parameter file; allowed: one of both")
        return value


def variability_of(settings: SimulatedSettings) -> Variability:
    """What is drawn."""
    return Variability(
        settings.device_to_device,
        settings.cycle_to_cycle,
        settings.read_noise,
        Kinds(
            flicker=settings.flicker,
            telegraph=settings.telegraph,
            relaxation=settings.relaxation,
            retention=settings.retention,
            wear=settings.wear,
        ),
        settings.variation,
        settings.neuron_offset,
    )


def faults_of(settings: SimulatedSettings, sites: int) -> Faults:
    """Which of so many sites do not work; `BadConfig` for one that is not there, or is broken twice."""
    faults = Faults(**settings.faults.model_dump())
    for site in faults.named:
        if site >= sites or faults.named.count(site) > 1:
            raise BadConfig(
                f"board.faults names site {site}" + (" twice" if site < sites else ""),
                allowed=f"sites from 0 to {sites - 1}, each once",
            )
    if not faults.low_part + faults.high_part + faults.open_part + faults.short_part <= 1.0:
        raise BadConfig("board.faults: the parts of faulty devices add up to more than all", allowed="100 %")
    drawn, others = sum(faults.counts.values()), sites - len(faults.named)
    if drawn > others:
        raise BadConfig(
            f"board.faults: {drawn} faulty devices are to be drawn from {others}",
            allowed=f"counts that add up to {others}: the {sites} sites less those that are named",
        )
    return faults


def device_of(settings: SimulatedSettings) -> Device:
    """The devices of a board; `BadConfig` where its file is for another model than the board asks for."""
    device = parameters.load(settings.parameters or settings.dopant, settings.model)
    if "model" in settings.model_fields_set and device.model.name != settings.model:
        raise BadConfig(
            f"board.model is {settings.model!r}, but {settings.parameters} is for {device.model.name!r}",
            allowed=f"the model of the file: {device.model.name!r}",
            todo="leave board.model out",
        )
    return device


def as_repeatable_as(device: Device, variability: Variability, spec: Spec, sense_amps: float) -> Spec:
    """What a chip with noise may promise: reads within five sigma, programming within a decade."""
    unrest, drawn = device.unrest, variability.unrest
    reads = 5 * device.read_noise * variability.read_noise + 5 * unrest.flicker.rms * drawn.flicker
    spec = replace(spec, accuracy=spec.accuracy + reads + unrest.telegraph.amplitude * drawn.telegraph)
    spec = replace(spec, noise_amps=spec.noise_amps + sense_amps)
    return replace(spec, spread=10.0) if variability.cycle_to_cycle else spec


def spec_of(settings: SimulatedSettings) -> Spec:
    """The board that a settings table describes."""
    circuit = Circuit(
        dopant=settings.dopant,
        series_ohms=settings.series,
        switch_ohms=settings.switch,
        sense_farads=settings.sense,
        settle_seconds=settings.settle,
        link_seconds=settings.link,
        noise_floor_amps=settings.noise_floor,
        limits=settings.limits.limits(),
    )
    return replace(
        _layout_of(settings, circuit),
        wire_ohms=settings.wire * (max(settings.rows, settings.columns) - 1),
        shortest_pulse=settings.shortest_pulse,
        accuracy=settings.accuracy,
        shapes=Shapes.ANY if settings.edge is None else Shapes.STEPS,
        edge_seconds=math.inf if settings.edge is None else settings.edge,
    )


def _layout_of(settings: SimulatedSettings, circuit: Circuit) -> Spec:
    match settings.layout:
        case "selector":
            return selector(settings.columns, circuit)
        case "crossbar":
            return crossbar(settings.rows, settings.columns, circuit, switched=settings.switched)
        case "network":
            window = Window(*settings.window) if settings.window else None
            return network(circuit, window=window, read_volts=settings.pixel)
