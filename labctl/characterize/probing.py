"""Voltage on one site and the current through it, on any board.

Where every site has its switch, the site's row is driven, its column is at 0 V, and the current of
either is the device's own. A bare crossbar has sneak paths: there all other lines are held at 0 V as
well, so that the site's column carries the current of its own crossing alone (the pattern of
`labctl.addressing.read_row`). The price is that all sites of the row see the same voltage: what
writes one of them writes the row, and whoever asks for it is told (`neighbours`).

The voltage across the device is what is left after the series resistors; wires are not corrected for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from labctl.addressing import drive, level, select
from labctl.errors import BoardFault, Refused
from labctl.programming.write_verify import TIME_CONSTANTS, Reading
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.reading import conductance, row_conductances, settled
from labctl.shapes import Wave
from labctl.spec import Spec


def probe(spec: Spec, site: int, wave: Wave, purpose: Purpose) -> Pulse:
    """`wave` [V] from row to column of this site, so that the current of this site alone is measured."""
    if spec.isolating:
        return select(spec, site, wave, purpose)
    others = dict.fromkeys(range(spec.lines), 0.0)
    return drive(spec, others | {spec.sites[site].row: 1.0}, wave, purpose)


def neighbours(spec: Spec, site: int) -> list[int]:
    """The other sites that see what this one sees: its row, where no switch keeps it apart."""
    if spec.isolating:
        return []
    row = spec.sites[site].row
    return [other for other, place in enumerate(spec.sites) if place.row == row and other != site]


def refuse_unreachable(spec: Spec, site: int) -> None:
    """Raise `Refused` where the site is not there, or its current cannot be told from its neighbours'."""
    if not 0 <= site < len(spec.sites):
        raise Refused(f"{spec.name} has no site {site}", allowed=f"0 to {len(spec.sites) - 1}")
    column = spec.rows + spec.sites[site].column
    if not spec.isolating and spec.sensed is not None and column not in spec.sensed:
        raise Refused(
            f"{spec.name} does not measure the current of the column of site {spec.label(site)}",
            allowed="a column whose current is measured: without switches only it tells one site from others",
        )


def write(spec: Spec, site: int, volts: float, seconds: float) -> Pulse:
    """One level that programs (a positive voltage) or resets (a negative one) this site."""
    purpose = Purpose.PROGRAM if volts > 0 else Purpose.RESET
    return probe(spec, site, level(spec, volts, seconds), purpose)


def restored(spec: Spec, site: int, volts: float, opposite: float, seconds: float) -> list[Pulse]:
    """To one end of the range by way of the other, so that what came before matters as little as can be."""
    return [write(spec, site, opposite, seconds), write(spec, site, volts, seconds)]


def read(spec: Spec, site: int, how: Reading) -> Pulse:
    """The pulse that reads this site, long enough for the board's slowest node to settle."""
    seconds = max(how.seconds, TIME_CONSTANTS * spec.response_seconds, spec.shortest_pulse)
    return probe(spec, site, level(spec, how.volts, seconds), Purpose.READ)


def siemens(spec: Spec, pulse: Pulse, trace: Trace, site: int) -> float:
    """[S] of the site that `read` reads; 0 when open. Raises `BoardFault` for a trace that says nothing."""
    if spec.isolating:
        return conductance(spec, pulse, trace, site)
    return float(row_conductances(spec, pulse, trace)[spec.sites[site].column])


def siemens_or_nan(spec: Spec, pulse: Pulse, trace: Trace, site: int) -> float:
    """The same, and NaN where the trace says nothing of the device."""
    try:
        return siemens(spec, pulse, trace, site)
    except BoardFault:
        return math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A device's own voltage and current over time, all shape (samples,)."""

    seconds: Floats
    """[s] that each sample stands for."""
    source: Floats
    """[V] between the terminals of the two sources."""
    volts: Floats
    """[V] across the device: the source's less the drop over the series resistors."""
    amps: Floats
    """[A] from row to column."""


def curve(spec: Spec, pulse: Pulse, trace: Trace, site: int) -> Curve:
    """What `probe` measured of its site."""
    row, column = spec.sites[site].row, spec.rows + spec.sites[site].column
    series, own = spec.series(pulse.driven), -trace.amps[:, column]
    row_sensed = spec.sensed is None or row in spec.sensed
    amps = trace.amps[:, row] if spec.isolating and row_sensed else own
    into_row = trace.amps[:, row] if row_sensed else -trace.amps[:, spec.rows :].sum(axis=1)
    source = trace.volts[:, row] - trace.volts[:, column]
    volts = source - into_row * series[row] - amps * series[column]
    return Curve(trace.seconds, source, volts, amps)


def steady(spec: Spec, pulse: Pulse, trace: Trace, site: int) -> tuple[float, float]:
    """[V] across the device and [A] through it, means over the settled end of a level."""
    found, row = curve(spec, pulse, trace, site), spec.sites[site].row
    top = settled(trace, row, pulse.repeats)
    weights = found.seconds[top]
    total = float(weights.sum())
    if not total > 0:
        raise BoardFault(f"{spec.name}: no sample at the end of a level on site {spec.label(site)}")
    return float(weights @ found.volts[top]) / total, float(weights @ found.amps[top]) / total
