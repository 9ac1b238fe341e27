"""What is driven on one array: its devices programmed and read back, vectors multiplied. No torch, no I/O.

A board's columns end at row 0, a layer's below its last row, so a piece is put on upside down: its last
row at row 0, its first column at column 0. Rows and columns that it does not need stay open, and so do
their switches. A device is read through the wires between it and both ends, which look like a part of it: it
is programmed to what it is to read there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labctl.addressing import drive, level
from labctl.config import Count, PositiveVolts, Section
from labctl.errors import BoardFault, Refused
from labctl.plan import Plan
from labctl.programming.write_verify import (
    NOTHING,
    TIME_CONSTANTS,
    Ending,
    Outcome,
    Programming,
    Reading,
    Spent,
    write_verify,
)
from labctl.pulse import Floats, Indices, Pulse, Purpose, Trace
from labctl.reading import UNUSABLE, settled
from labctl.spec import Spec
from labctl.together import side_by_side
from labctl.training.learning.forward_pass import examine

Told = Callable[[int], None]
"""Told how many devices, or vectors, were done just now."""


class Deploying(Section):
    """How a network is put on arrays, and asked."""

    programming: Programming = Programming(visits="in rounds", tolerance=0.01)
    reading: Reading = Reading(volts=0.05)
    read_volts: PositiveVolts = 0.05
    """On a row, for a pixel of 1 and a full scale of later layers: low enough for devices to be linear."""
    abreast: Count = 256
    """Devices that get a pulse and a read in turn, in one list."""
    vectors: Count = 50
    """Pictures in a list."""


@dataclass(frozen=True, eq=False)
class Placed:
    """The devices of a piece on a board."""

    rows: tuple[int, ...]
    """Lines of the board, in the order of the piece's rows;"""
    columns: tuple[int, ...]
    """of its columns, counted as lines."""
    sites: Indices
    """Shape (rows, columns): numbers of the board's sites."""
    wires: Floats
    """Shape (rows, columns): segments of wire between a device and both ends of its lines."""

    @property
    def every(self) -> list[int]:
        """All sites, row by row."""
        return [int(site) for site in self.sites.ravel()]


@dataclass(frozen=True, eq=False)
class Programmed:
    """What became of the devices of a piece."""

    siemens: Floats
    """[S], shape (rows, columns): as read back, wires taken off; NaN where a device could not be read."""
    missed: tuple[Outcome, ...]
    """Devices that did not get within the tolerance."""


def placed(spec: Spec, shape: tuple[int, int]) -> Placed:
    """Where a piece of this shape is on the board; `Refused` where it is not, or cannot be programmed."""
    rows, columns = shape
    if not spec.isolating or spec.neurons:
        raise Refused(
            f"{spec.name} has no switch at every crossing, or neurons of its own",
            allowed="a crossbar of switched devices: one is programmed while its neighbours are not",
        )
    if rows > spec.rows or columns > spec.columns:
        raise Refused(
            f"an array of {spec.rows} x {spec.columns} devices for a piece of {rows} x {columns}",
            allowed="pieces that are no larger than the board",
            todo=f"tile = [{spec.rows}, {spec.columns}] in [technology]",
        )
    down, across = range(rows - 1, -1, -1), range(columns)
    sites = np.array([[spec.site_at(row, column) for column in across] for row in down], dtype=np.intp)
    wires = np.add.outer(np.array(down, dtype=np.float64), np.array(across, dtype=np.float64))
    return Placed(tuple(down), tuple(spec.rows + column for column in across), sites, wires)


def refuse_window(spec: Spec, window: tuple[float, float]) -> None:
    """Raise `Refused` where devices of the board cannot have all that weights are mapped to: `window` [S]."""
    if spec.window is None:
        return
    (low, high), (least, most) = window, spec.window
    if not (least * (1 - 1e-9) <= low and high <= most * (1 + 1e-9)):
        raise Refused(
            f"a window that cannot hold the weights: {low:.4g} S to {high:.4g} S on {spec.name}",
            allowed=f"{least:.4g} S to {most:.4g} S: {1 / most:.5g} ohm to {1 / least:.5g} ohm",
            todo="train for a technology whose window lies inside that of the bench",
        )


def through_wires(siemens: Floats, ohms: Floats) -> Floats:
    """[S] that devices read as behind so many ohms; negative ohms take them off again."""
    return siemens / (1 + siemens * ohms)


def foreseen(spec: Spec, place: Placed, how: Deploying) -> list[Pulse]:
    """The hardest pulses that are known before anything is driven."""
    return [_vector(spec, place, np.full(len(place.rows), how.read_volts), how)]


def program(
    spec: Spec,
    place: Placed,
    targets: Floats,
    wire: float,
    how: Deploying,
    spent: Mapping[int, Spent],
    told: Told,
) -> Plan[Programmed]:
    """Bring the devices to their targets [S] (rows, columns), and read them all again.

    Devices are read first: what is there already gets no pulse. `wire` [ohm] is that of a segment; caps hold
    for what sites have `spent` before as well.
    """
    sites, goal = place.every, through_wires(targets, place.wires * wire).ravel().tolist()
    aims, missed, found = dict(zip(sites, goal, strict=True)), list[Outcome](), dict[int, float]()
    for some in _parts(sites, how.abreast):
        present = yield from examine(spec, some, how.reading)
        outcomes = yield from side_by_side([
            write_verify(
                spec, site, aims[site], present[site], how.programming, how.reading, spent.get(site, NOTHING)
            )
            for site in some
        ])  # fmt: skip
        missed += [one for one in outcomes if one.ending is not Ending.DONE]
        told(len(some))
    for some in _parts(sites, how.abreast):
        found |= yield from examine(spec, some, how.reading)
    read = np.array([found[site] for site in sites]).reshape(targets.shape)
    return Programmed(through_wires(read, -place.wires * wire), tuple(missed))


def multiply(spec: Spec, place: Placed, volts: Floats, how: Deploying, told: Told) -> Plan[Floats]:
    """[A] (vectors, columns) out of the columns, for volts [V] (vectors, rows) on the rows, all at once."""
    found = np.empty((len(volts), len(place.columns)))
    for some in _parts(range(len(volts)), how.vectors):
        pulses = [_vector(spec, place, volts[number], how) for number in some]
        traces = yield pulses
        for number, pulse, trace in zip(some, pulses, traces, strict=True):
            found[number] = _out(spec, place, pulse, trace)
        told(len(some))
    return found


def _vector(spec: Spec, place: Placed, volts: Floats, how: Deploying) -> Pulse:
    """Rows at these volts (rows,), columns at 0 V, all else open; as short as the board settles."""
    seconds = max(TIME_CONSTANTS * spec.response_seconds, spec.shortest_pulse)
    lines = dict(zip(place.rows, map(float, volts), strict=True)) | dict.fromkeys(place.columns, 0.0)
    return drive(spec, lines, level(spec, 1.0, seconds), Purpose.INFER)


def _out(spec: Spec, place: Placed, pulse: Pulse, trace: Trace) -> Floats:
    """[A], shape (columns,): out of the piece's columns, means over the settled end of the pulse."""
    if wrong := trace.flags & UNUSABLE:
        raise BoardFault(f"{spec.name}: currents that say nothing of a vector: {wrong.name}")
    top = settled(trace, int(np.argmax(np.abs(pulse.volts).max(axis=0))), pulse.repeats)
    weights = trace.seconds[top]
    return -(weights @ trace.amps[top][:, place.columns]) / weights.sum()


def _parts(items: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    return (items[start : start + most] for start in range(0, len(items), most))
