"""A crossbar as a circuit: what its devices, wires, sources and neurons conduct and resist.

Rows are driven at their left end, before column 0, each through `source_ohms`; columns end below the
last row in neurons of input resistance `sink_ohms`, whose other side is at 0 V. With the far ends given as
well, rows are also driven from the right, and columns also sunk above row 0. A wire is one segment
between two crossings; what lies between a source and the first crossing is part of `source_ohms`::

              column 0      column 1
    V0 -Rs--+----rw-----+-- (far source)
            | G00       | G01            each device joins its row's node to its column's
    V1 -Rs--+----rw-----+--
            | G10       | G11            cw: a segment of a column between two rows
            Rn          Rn
           0 V         0 V
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labctl.errors import Refused
from labctl.pulse import Floats

LEAST, MOST = 1e-100, 1e100
"""[S], [ohm] and [V]: what differs from 0 lies between these, and its square is a number."""
OPEN = "for a line that nothing drives or holds, give its end 1e12 ohm"


@dataclass(frozen=True, eq=False)
class Crossbar:
    """A linear crossbar. Arrays are frozen; resistances given as one number hold for every line."""

    siemens: Floats
    """[S], shape (rows, columns): each device; 0 where there is none."""
    source_ohms: Floats
    """[ohm], shape (rows,): Rs, at the left end."""
    sink_ohms: Floats
    """[ohm], shape (columns,): Rn, below the last row."""
    row_wire_ohms: float = 0.0
    """[ohm] of a segment of a row between two columns."""
    column_wire_ohms: float = 0.0
    """[ohm] of a segment of a column between two rows."""
    far_source_ohms: Floats | None = None
    """[ohm], shape (rows,): of a second source of the same voltage at the right end; None: not driven."""
    far_sink_ohms: Floats | None = None
    """[ohm], shape (columns,): of a second neuron above row 0, whose current is added; None: none."""

    def __init__(
        self,
        siemens: ArrayLike,
        source_ohms: ArrayLike = 0.0,
        sink_ohms: ArrayLike = 0.0,
        row_wire_ohms: float = 0.0,
        column_wire_ohms: float = 0.0,
        far_source_ohms: ArrayLike | None = None,
        far_sink_ohms: ArrayLike | None = None,
    ) -> None:
        """Raises `Refused` for what is no circuit: shapes, NaN, anything negative or infinite.

        An open row or column is one whose end has 1e12 ohm.
        """
        devices = _frozen(siemens, "conductances", "S")
        if devices.ndim != 2 or 0 in devices.shape:
            raise Refused(
                f"conductances of shape {devices.shape}", allowed="shape (rows, columns), at least 1 x 1"
            )
        rows, columns = devices.shape
        put = object.__setattr__
        put(self, "siemens", devices)
        put(self, "source_ohms", _line(source_ohms, rows, "source resistances", "rows"))
        put(self, "sink_ohms", _line(sink_ohms, columns, "sink resistances", "columns"))
        put(self, "row_wire_ohms", float(_line(row_wire_ohms, 1, "row wires", "crossbar")[0]))
        put(self, "column_wire_ohms", float(_line(column_wire_ohms, 1, "column wires", "crossbar")[0]))
        put(self, "far_source_ohms", _far(far_source_ohms, rows, "far source resistances", "rows"))
        put(self, "far_sink_ohms", _far(far_sink_ohms, columns, "far sink resistances", "columns"))

    @property
    def rows(self) -> int:
        """How many rows."""
        return self.siemens.shape[0]

    @property
    def columns(self) -> int:
        """How many columns."""
        return self.siemens.shape[1]

    @property
    def wired(self) -> bool:
        """Whether any segment has a resistance; without, every line is one node."""
        return self.row_wire_ohms > 0 or self.column_wire_ohms > 0

    def with_devices(self, siemens: ArrayLike) -> Crossbar:
        """The same lines and ends with other devices [S], shape (rows, columns)."""
        found = replace_devices(self, siemens)
        if found.siemens.shape != self.siemens.shape:
            raise Refused(
                f"conductances of shape {found.siemens.shape} for a crossbar of {self.siemens.shape}",
                allowed=f"shape {self.siemens.shape}",
            )
        return found

    def checked(self, volts: ArrayLike) -> Floats:
        """Input voltages [V] as (vectors, rows), from (rows,) or (vectors, rows); `Refused` for others."""
        found = numbers(volts, "input voltages")
        if found.ndim not in {1, 2} or found.shape[-1] != self.rows or 0 in found.shape:
            raise Refused(
                f"input voltages of shape {found.shape}",
                allowed=f"({self.rows},), or (vectors, {self.rows}) with one vector or more",
            )
        if not np.isfinite(found).all():
            raise Refused("input voltages that are no finite numbers", allowed="finite volts")
        found = np.atleast_2d(found)
        highest = np.abs(found).max(axis=1)
        if not _held(highest).all():
            raise Refused(
                f"an input vector whose highest voltage is {highest[~_held(highest)][0]:.6g} V",
                allowed=f"0 V, or {LEAST:g} V to {MOST:g} V: its power must be a number",
            )
        return found


def replace_devices(crossbar: Crossbar, siemens: ArrayLike) -> Crossbar:
    """The crossbar's ends and wires around other devices."""
    return replace(crossbar, siemens=siemens)  # pyright: ignore[reportArgumentType] - __init__ takes any array


def numbers(values: ArrayLike, what: str) -> Floats:
    """A copy as real numbers, contiguous: solvers take slices of the memory. `Refused` for anything else."""
    try:
        found = np.array(values, order="C")
    except (TypeError, ValueError) as error:
        raise Refused(f"{what} that are no numbers: {error}", allowed="real numbers") from error
    if found.dtype.kind not in "biuf":
        raise Refused(f"{what} that are no numbers, but {found.dtype}", allowed="real numbers")
    return found.astype(np.float64, copy=False)


def _held(values: Floats) -> NDArray[np.bool_]:
    """Which are 0, or can be squared, divided by and added up within double precision."""
    return (values == 0) | (values >= LEAST) & (values <= MOST)


def _frozen(values: ArrayLike, what: str, unit: str) -> NDArray[np.float64]:
    found = numbers(values, what)
    if not _held(found).all():
        wrong = found[~_held(found)].flat[0]
        raise Refused(
            f"{what} of {wrong:.6g} {unit}",
            allowed=f"0 {unit}, or {LEAST:g} {unit} to {MOST:g} {unit}",
            todo=OPEN if wrong > MOST and unit == "ohm" else "",
        )
    found.setflags(write=False)
    return found


def _line(values: ArrayLike, count: int, what: str, of: str) -> Floats:
    found = _frozen(values, what, "ohm")
    if found.ndim == 0:
        found = np.full(count, float(found))
        found.setflags(write=False)
    if found.shape != (count,):
        raise Refused(f"{what} of shape {found.shape} for {count} {of}", allowed=f"one number, or ({count},)")
    return found


def _far(values: ArrayLike | None, count: int, what: str, of: str) -> Floats | None:
    return None if values is None else _line(values, count, what, of)
