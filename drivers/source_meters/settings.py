"""What a bench file says of a source-measure unit, and the board that it makes of it."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from drivers.source_meters.runs import Planner
from drivers.source_meters.source_meter import Reach
from drivers.switch_boxes.switchbox import SwitchSettings
from labctl.config import (
    Amps,
    Count,
    Ohms,
    PositiveFraction,
    PositiveSeconds,
    Quantity,
    Seconds,
    Section,
    Siemens,
)
from labctl.layouts import WINDOWS
from labctl.parts import Shapes, Site
from labctl.site_limits import SiteLimits
from labctl.spec import Spec

PositiveAmps = Annotated[float, Quantity("A", above=0)]


class SourceMeterSettings(Section):
    """The `[board]` table of a bench file for a source-measure unit."""

    address: str
    """tcp://host:port, serial:///dev/ttyUSB0?baud=57600, or a VISA resource name."""
    serial: str | None = None
    """Serial number that it must have; None: any."""
    dopant: str = "Cr"
    series: Ohms = 0.0
    """Resistor in the line from HI to the devices, leads included."""
    limits: SiteLimits = SiteLimits()
    compliance: PositiveAmps | None = None
    """Of the instrument, if it is to be less than the sites' limit."""
    window: tuple[Siemens, Siemens] | None = None
    """That the sites are to be programmed in; None: that of the dopant."""
    readings: Count = 10
    """In each level of a pulse that writes: what its energy is worked out from."""
    mains: Literal["50 Hz", "60 Hz"] = "50 Hz"
    """Line frequency: instruments of this kind count their aperture in its cycles."""
    switch: SwitchSettings | None = None
    """Box of relays between the instrument and the devices; None: one device."""
    switch_resistance: Ohms = 0.0
    """Of its relays and cables, from each device to LO."""
    noise: Amps | None = None
    """Standard deviation of one reading; None: as the data sheet has it."""
    noise_floor: Amps | None = None
    """Current that cannot be told from none; None: as the data sheet has it."""
    accuracy: PositiveFraction | None = None
    """Of readings; None: as the data sheet has it."""
    deadline: PositiveSeconds = 2.0
    """For the answer to one question."""
    link: Seconds = 1e-3
    """That one run takes on the way to the instrument and back: for estimates and the bill."""
    record: str | None = None
    """New file that gets all that is sent and received."""

    @property
    def columns(self) -> int:
        """Devices that can be reached."""
        return len(self.switch.channels) if self.switch else 1

    @property
    def line_hertz(self) -> float:
        """The same, as a number [Hz]."""
        return float(self.mains.removesuffix(" Hz"))


class KeithleySettings(SourceMeterSettings):
    """The same, for instruments with terminals at the front and at the rear."""

    terminals: Literal["front", "rear"] = "front"


def spec_of(settings: SourceMeterSettings, reach: Reach, settle_seconds: float) -> Spec:
    """One row at HI, a column for each device at LO; relays settle within `settle_seconds` [s]."""
    columns, limits = settings.columns, settings.limits.limits()
    return Spec(
        name=reach.name,
        rows=1,
        columns=columns,
        sites=tuple(Site(0, column, settings.dopant, f"M{column + 1}", limits) for column in range(columns)),
        series_ohms=(settings.series, *[settings.switch_resistance] * columns),
        source_volts=reach.volts_ranges[-1],
        shortest_pulse=reach.shortest_pulse,
        longest_pulse=reach.longest_step,
        shapes=Shapes.STEPS,
        edge_seconds=reach.edge_seconds,
        grounded=tuple(range(1, 1 + columns)),
        sensed=(0,),
        window=settings.window or WINDOWS.get(settings.dopant),
        noise_amps=reach.noise_amps if settings.noise is None else settings.noise,
        noise_floor_amps=reach.noise_floor_amps if settings.noise_floor is None else settings.noise_floor,
        settle_seconds=settle_seconds,
        link_seconds=settings.link,
        accuracy=settings.accuracy or reach.accuracy,
    )


def compliance_of(settings: SourceMeterSettings, spec: Spec) -> float:
    """[A] the least that any site may carry, or less where the bench file says so."""
    asked = math.inf if settings.compliance is None else settings.compliance
    return min(asked, *(site.limits.amps for site in spec.sites))


def planner_of(settings: SourceMeterSettings, spec: Spec, reach: Reach) -> Planner:
    """What turns pulses into runs on this board."""
    least = min(spec.series_ohms[1 + site.column] + site.limits.least_ohms for site in spec.sites)
    return Planner(reach, spec.series_ohms[0], least, compliance_of(settings, spec), settings.readings)
