"""Current-voltage loops: the pinched hysteresis by which a memristor is known.

Each cycle is one pulse: 0 V, up to `amplitude`, through 0 V down to the negative amplitude, and back,
as a triangle or a sine (L. Chua and S. Kang, Proc. IEEE 64, 209, 1976, drive sines; curve tracers
drive staircases, and boards whose sources only make levels get one). A loop is quasi-static when half
the frequency gives the same one: thresholds of these devices rise by 40 to 70 mV a decade. One row a
cycle, so that the scatter from cycle to cycle is in the table; how its figures are defined is said in
`labctl.characterize.loops`. The current is bounded by the limits of the site and by the series
resistor: an amplitude with which they could be exceeded is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from labctl.addressing import edge
from labctl.characterize.loops import figures_of
from labctl.characterize.probing import curve, probe
from labctl.characterize.procedure import Capped, Column, Figures, Procedure, Row
from labctl.characterize.tables import median_and_spread
from labctl.config import Count, PositiveVolts, Quantity
from labctl.errors import Refused
from labctl.parts import Shapes
from labctl.plan import Plan
from labctl.pulse import Floats, Pulse, Purpose
from labctl.shapes import Wave, samples, staircase
from labctl.spec import Spec

SETTLED = 20.0
"""Time constants of the board's slowest node that a quarter of a period must have."""


class IVSettings(Capped):
    """The drive, and where the states are read."""

    shape: Literal["triangle", "sine", "staircase"] | None = None
    """Left out: a triangle, and a staircase where sources only make levels."""
    amplitude: PositiveVolts = 1.0
    """Of the source, positive half."""
    negative: PositiveVolts | None = None
    """Of the negative half, as a magnitude; left out: the same."""
    frequency: Annotated[float, Quantity("Hz", above=0)] = 10.0
    cycles: Count = 10
    points: Annotated[int, Field(ge=16, le=100_000)] = 400
    """Corners, or levels, of one cycle."""
    read_volts: PositiveVolts = 0.1
    """Across the device: where HRS and LRS are read on the loop."""


_OF_CYCLES = (
    Column("vset", "V", "device voltage of the set threshold"),
    Column("vreset", "V", "device voltage of the reset threshold"),
    Column("hrs", "ohm", "at the read voltage, on the way up"),
    Column("lrs", "ohm", "at the read voltage, on the way back"),
    Column("imax", "A", "highest current"),
    Column("imin", "A", "lowest current"),
    Column("area", "W", "enclosed by both lobes: integral of I dV"),
    Column("energy", "J", "into the device, series resistors not counted"),
)


class IV(Procedure[IVSettings]):
    """One loop after the other."""

    name = "iv"
    title = "Current-voltage loops"
    wears = True
    Settings = IVSettings
    columns = (Column("cycle", "1", "from 1"), *_OF_CYCLES)
    figures = (
        *(Column(one.name, one.unit, f"{one.meaning}; median of the cycles") for one in _OF_CYCLES),
        *(Column(f"{one.name}_sd", one.unit, f"{one.name}: from cycle to cycle") for one in _OF_CYCLES),
        Column("cycles", "1", "measured"),
    )

    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """One cycle; the others are the same."""
        how = self.settings
        if not 0.25 / how.frequency >= SETTLED * spec.response_seconds:
            raise Refused(
                f"{how.frequency:g} Hz is too fast for {spec.name}, whose slowest node takes"
                f" {spec.response_seconds:.3g} s",
                allowed=f"up to {0.25 / (SETTLED * spec.response_seconds):.3g} Hz",
            )
        if spec.shapes is Shapes.STEPS and how.shape not in (None, "staircase"):
            raise Refused(f"{spec.name} only makes levels, no {how.shape}", allowed='shape = "staircase"')
        return [self.cycle(spec, site)]

    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """One list a cycle."""
        pulse = self.cycle(spec, site)
        for number in range(len(rows), self.settings.cycles):
            (trace,) = yield [pulse]
            loop = figures_of(curve(spec, pulse, trace, site), self.settings.read_volts)
            rows.append({"cycle": float(number + 1), **asdict(loop)})

    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """Medians, and standard deviations from cycle to cycle."""
        found: dict[str, float | str] = {}
        for column in _OF_CYCLES:
            found[column.name], found[f"{column.name}_sd"] = median_and_spread(rows, column.name)
        return {**found, "cycles": float(len(rows))}

    def cycle(self, spec: Spec, site: int) -> Pulse:
        """The drive of one cycle."""
        return probe(spec, site, wave(self.settings, spec), Purpose.PROGRAM)


def shape_of(how: IVSettings, spec: Spec) -> str:
    """What is driven on this board."""
    return how.shape or ("staircase" if spec.shapes is Shapes.STEPS else "triangle")


def wave(how: IVSettings, spec: Spec) -> Wave:
    """One period of the source's voltage on this board."""
    levels = _levels(how)
    period = 1 / how.frequency
    if shape_of(how, spec) == "staircase":
        step = period / (len(levels) - 2)  # every level but the 0 V at both ends, which the edges meet
        return staircase(levels[1:-1].tolist(), step, edge(spec, step))
    return samples(levels.tolist(), period / (len(levels) - 1))


def _levels(how: IVSettings) -> Floats:
    """[V], shape (points + 1,): evenly spaced in time, both peaks and every 0 V exact."""
    quarter = np.linspace(0.0, 1.0, math.ceil(how.points / 4) + 1)
    rise = np.sin(quarter * (math.pi / 2)) if how.shape == "sine" else quarter
    half = np.concatenate([rise, rise[-2::-1]])
    negative = how.amplitude if how.negative is None else how.negative
    return np.concatenate([how.amplitude * half, -negative * half[1:]])
