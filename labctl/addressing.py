"""From "program site (2, 3)" and "read row 2" to a `Pulse`: pure functions, the same for every board."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from labctl.errors import Refused
from labctl.pulse import Floats, Pulse, Purpose
from labctl.shapes import Wave, square
from labctl.spec import Spec


def level(spec: Spec, volts: float, seconds: float, longest_edge: float = math.inf) -> Wave:
    """One level with edges that this board can make, a hundredth of it or less."""
    return square(volts, seconds, min(edge(spec, seconds), longest_edge))


def edge(spec: Spec, seconds: float) -> float:
    """[s] of an edge of a level that long; a little less than the longest, which rounding could exceed."""
    return min(seconds / 100, 0.99 * spec.edge_seconds)


def select(spec: Spec, site: int, wave: Wave, purpose: Purpose) -> Pulse:
    """`wave` on one site: its row driven, its column at 0 V, all else open."""
    place = spec.sites[site]
    volts = np.zeros((len(wave.seconds), spec.lines))
    volts[:, place.row] = wave.volts
    driven = np.zeros(spec.lines, dtype=np.bool_)
    driven[place.row] = driven[spec.rows + place.column] = True
    return Pulse(wave.seconds, volts, driven, purpose)


def drive(spec: Spec, lines: Mapping[int, float], shape: Wave, purpose: Purpose) -> Pulse:
    """`shape` scaled to the given volts on each of these lines, all others open."""
    volts = np.zeros((len(shape.seconds), spec.lines))
    driven = np.zeros(spec.lines, dtype=np.bool_)
    for line, level in lines.items():
        volts[:, line] = level * shape.volts
        driven[line] = True
    return Pulse(shape.seconds, volts, driven, purpose)


def read_row(spec: Spec, row: int, volts: float, seconds: float) -> Pulse:
    """One row driven, every other line at 0 V: each column carries the current of its own site alone.

    Half-select patterns add the neighbours' currents; this one does not, so long as columns are held.
    """
    lines = dict.fromkeys(range(spec.lines), 0.0) | {row: volts}
    return drive(spec, lines, level(spec, 1.0, seconds), Purpose.READ)


def multiply(spec: Spec, volts: Floats, seconds: float) -> Pulse:
    """All rows driven with `volts` (rows,) [V], all columns at 0 V: column currents are the products."""
    if volts.shape != (spec.rows,):
        raise Refused(f"{volts.shape} voltages for {spec.rows} rows", allowed=f"shape ({spec.rows},)")
    lines = dict.fromkeys(range(spec.lines), 0.0) | {row: float(volts[row]) for row in range(spec.rows)}
    return drive(spec, lines, level(spec, 1.0, seconds), Purpose.INFER)


def infer(spec: Spec, volts: Floats, seconds: float) -> Pulse:
    """Rows that no neuron drives get `volts` (inputs,) [V]; columns are left to the neurons."""
    outputs = {neuron.output for neuron in spec.neurons}
    rows = [row for row in range(spec.rows) if row not in outputs]
    if volts.shape != (len(rows),) or not spec.neurons:
        raise Refused(
            f"{volts.shape} voltages for {len(rows)} inputs and {len(spec.neurons)} neurons",
            allowed=f"shape ({len(rows)},) on a board with neurons",
        )
    lines = {row: float(level) for row, level in zip(rows, volts, strict=True)}
    return drive(spec, lines, level(spec, 1.0, seconds), Purpose.INFER)


def wait(spec: Spec, seconds: float) -> Pulse:
    """Nothing driven for a while."""
    none = np.zeros(spec.lines, dtype=np.bool_)
    return Pulse(np.array([0.0, seconds]), np.zeros((2, spec.lines)), none, Purpose.WAIT)
