"""What outputs do when a crossbar changes: the adjoint of the linear solve.

A crossbar of resistors is reciprocal. So the adjoint of its solve is a solve of the same crossbar driven from
its neurons' ends: each neuron at the weight of its output as a voltage, each source at 0 V. With v and v'
the voltages across a device in both, and i and i' the currents through a resistor, Tellegen's theorem gives

    d(outputs . upstream)/dG = -v v'          d(outputs . upstream)/dR = i i'

and for a source voltage the current that its row then drives out of it. Two solves in all, for any number
of parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from labctl.errors import Refused
from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar, numbers
from sim_backend.crossbar.ladders import Ladders
from sim_backend.crossbar.solve import solve


@dataclass(frozen=True, eq=False)
class Gradients:
    """Derivatives of the sum of outputs [A] times their weights [1], over all vectors."""

    siemens: Floats
    """[V] = [A/S], shape (rows, columns); also where there is no device."""
    source_ohms: Floats
    """[A/ohm], shape (rows,)."""
    sink_ohms: Floats
    """[A/ohm], shape (columns,)."""
    row_wire_ohms: float
    """[A/ohm] of all segments of rows together."""
    column_wire_ohms: float
    far_source_ohms: Floats | None
    """[A/ohm], shape (rows,); None where there are none."""
    far_sink_ohms: Floats | None
    volts: Floats
    """[S] = [A/V], shape (vectors, rows)."""


def gradients(
    crossbar: Crossbar, volts: ArrayLike, upstream: ArrayLike, *, tolerance: float = 1e-10
) -> Gradients:
    """How the sum of outputs times `upstream` changes with everything that the crossbar is.

    volts: [V], (rows,) or (vectors, rows); upstream: [1], (columns,) or (vectors, columns), the derivative of
    whatever follows by each output. `tolerance` and errors: as for `solve`.
    """
    turned, forward = _turned(crossbar), crossbar.checked(volts)
    back = np.atleast_2d(numbers(upstream, "weights of outputs"))[:, ::-1]
    shape = len(forward), crossbar.columns
    if back.shape != shape or not np.isfinite(back).all():
        raise Refused(f"weights of outputs of shape {back.shape}", allowed=f"finite numbers, {shape}")
    there, here = solve(crossbar, forward, tolerance=tolerance), solve(turned, back, tolerance=tolerance)
    across = there.row_volts - there.column_volts
    weighed = _turned_back(here.row_volts - here.column_volts)
    amps, led = there.device_amps, -_turned_back(here.device_amps)
    ends = crossbar.far_source_ohms, crossbar.far_sink_ohms
    rows = Ladders(crossbar.source_ohms, ends[0], crossbar.row_wire_ohms, crossbar.columns)
    columns = Ladders(crossbar.sink_ohms, ends[1], crossbar.column_wire_ohms, crossbar.rows)
    source, far_source, row_wire = _of_lines(rows, amps, led)
    sink, far_sink, column_wire = _of_lines(columns, _from_sinks(amps), _from_sinks(led))
    return Gradients(
        siemens=np.add.reduce(across * weighed, axis=0),
        source_ohms=source,
        sink_ohms=sink,
        row_wire_ohms=row_wire,
        column_wire_ohms=column_wire,
        far_source_ohms=None if ends[0] is None else far_source,
        far_sink_ohms=None if ends[1] is None else far_sink,
        volts=here.outputs[:, ::-1],
    )


def _of_lines(ladders: Ladders, amps: Floats, led: Floats) -> tuple[Floats, Floats, float]:
    """[A/ohm] by near ends, far ends and wires; device currents (vectors, lines, nodes) of both solves."""
    near, far, wire = np.zeros(amps.shape[1]), np.zeros(amps.shape[1]), 0.0
    for one, other in zip(amps, led, strict=True):
        first, other_first = ladders.near_amps(one), ladders.near_amps(other)
        passing = first[:, None] - one.cumsum(axis=1)
        other_passing = other_first[:, None] - other.cumsum(axis=1)
        near += first * other_first
        far += passing[:, -1] * other_passing[:, -1]
        wire += float((passing[:, :-1] * other_passing[:, :-1]).sum())
    return near, far, wire


def _turned(crossbar: Crossbar) -> Crossbar:
    """The same circuit with its neurons' ends as sources, and its sources' as neurons."""
    ends = (crossbar.sink_ohms, crossbar.source_ohms, crossbar.far_sink_ohms, crossbar.far_source_ohms)
    sources, sinks, far_sources, far_sinks = (None if end is None else end[::-1] for end in ends)
    return Crossbar(
        _turned_back(crossbar.siemens),
        0.0 if sources is None else sources,
        0.0 if sinks is None else sinks,
        crossbar.column_wire_ohms,
        crossbar.row_wire_ohms,
        far_sources,
        far_sinks,
    )


def _turned_back(values: Floats) -> Floats:
    """(..., columns, rows) of the one as (..., rows, columns) of the other, each from its driven ends on."""
    return np.swapaxes(values, -1, -2)[..., ::-1, ::-1]


def _from_sinks(amps: Floats) -> Floats:
    """Device currents (vectors, rows, columns) from the sinks on: (vectors, columns, rows)."""
    return np.swapaxes(amps[:, ::-1], 1, 2)
