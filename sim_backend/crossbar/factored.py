"""What a crossbar computes, as one matrix: for many input vectors against the same devices.

`Factored` finds the exact matrix from input voltages to output currents: in closed form without wires, else
by merging the crossbar from blocks (`merging.py`), in about 81 N^3 operations for N x N and memory that
grows as the grid. From then on a vector costs a product with a matrix; for a few vectors, `solve` is quicker.
Changed devices are worked in at low rank (`updates.py`) where that is cheaper than to begin again.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labctl.errors import NoConvergence, Refused
from labctl.pulse import Floats
from sim_backend.crossbar import closed
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.merging import BOTTOM, LEFT, RIGHT, TOP, Block, Seam
from sim_backend.crossbar.regions import Region, everything, merged
from sim_backend.crossbar.solve import solve
from sim_backend.crossbar.tiles import Tiling
from sim_backend.crossbar.updates import Disturbance, disturbance

FEW_TILES, FEW_DEVICES = 1 / 2, 1 / 4
"""Shares of all tiles, and of rows + columns, up to which an update is quicker than starting over."""

CHECKED = 3
"""Random vectors by which `Factored.error` is told."""

SAFE, WORST = 1e-11, 1e-9
"""Of the largest output: an estimated error that is not looked into, and the largest that is let pass."""


class Factored:
    """A linear crossbar as one matrix. Nothing in it changes: what is updated is another."""

    def __init__(self, crossbar: Crossbar, *, keep: bool = False) -> None:
        """With `keep`, what updates need is kept: .4 to .8 kB a crossing; without, the first factors again.

        Raises `Refused` where the values are so far apart that double precision does not hold the matrix:
        where the outputs could be off by more than 1e-9 of the largest.
        """
        self.crossbar = crossbar
        self._base = _Base(crossbar, keep) if crossbar.wired else None
        self.effective = self._base.effective if self._base else _frozen(closed.effective(crossbar))
        """[S], (rows, columns): what 1 V at each source sends into each neuron, near and far ends added."""
        self._refuse_if_lost()

    def outputs(self, volts: ArrayLike) -> Floats:
        """[A], (vectors, columns): into the neurons, for source voltages [V], (rows,) or (vectors, rows)."""
        return self.crossbar.checked(volts) @ self.effective

    @cached_property
    def error(self) -> float:
        """Bound of the outputs' relative error, as a share of a vector's largest: measured when first asked.

        Three random vectors go through `solve`, which has nothing in common with the merging of blocks, and
        its own bound is added. Raises `NoConvergence` as `solve` does.
        """
        volts = np.random.default_rng(0).standard_normal((CHECKED, self.crossbar.rows))
        solution = solve(self.crossbar, volts, tolerance=1e-10)
        largest = np.abs(solution.outputs).max(axis=1, keepdims=True)
        off = np.abs(self.outputs(volts) - solution.outputs) / np.where(largest > 0, largest, 1.0)
        return float(off.max()) + solution.error

    def updated(self, sites: ArrayLike, siemens: ArrayLike) -> Factored:
        """The same crossbar with devices at `sites` (k, 2), (row, column), of `siemens` (k,) [S].

        Where no wire has a resistance, or devices in more than half of the tiles (of 32 x 32), or more than
        a quarter as many as there are lines, differ from what was last factored, it factors afresh.
        Raises `Refused` for sites that are not there or are named twice.
        """
        return self.with_devices(_devices(self.crossbar, sites, siemens))

    def with_devices(self, siemens: ArrayLike) -> Factored:
        """The same crossbar with other devices [S], (rows, columns), by the quicker way."""
        crossbar = self.crossbar.with_devices(siemens)
        base = self._base
        if base is None:
            return Factored(crossbar)
        if not (base.kept and _few(base.crossbar, crossbar)):
            return Factored(crossbar, keep=True)
        found = object.__new__(Factored)
        found.crossbar, found._base = crossbar, base
        found.effective = base.with_devices(crossbar)
        found._refuse_if_lost()
        return found

    def _refuse_if_lost(self) -> None:
        """Measure the error where resistances are so far from those of the devices that digits are lost."""
        if self._base is None or _lost(self.crossbar) <= SAFE:
            return
        try:
            error = self.error
        except NoConvergence:
            error = math.inf
        if not error <= WORST:
            raise Refused(
                f"a crossbar whose matrix double precision would hold to {error:.1e} only",
                allowed=f"{WORST:g}: ends and wires within some 6 decades of the devices of a line together",
                todo="use solve()",
            )


class _Base:
    """A factored crossbar, with the seams that updates are carried across if they are kept."""

    def __init__(self, crossbar: Crossbar, keep: bool) -> None:
        self.crossbar, self.kept = crossbar, keep
        self._region = everything(Tiling(crossbar))
        self._seams = dict[Region, Seam]()
        with np.errstate(over="ignore", invalid="ignore"):
            block = merged(Tiling(crossbar), self._region, self._seams if keep else None)
            self.effective = _frozen(_closed(crossbar, block))
        self._block = block if keep else None

    def with_devices(self, crossbar: Crossbar) -> Floats:
        """[S] the effective matrix with other devices."""
        change = disturbance(self.crossbar, crossbar, self._region, self._seams)
        if change is None or self._block is None:
            return self.effective
        rows, columns = self.effective.shape
        both = _closed(crossbar, _disturbed(self._block, change))
        senses, pushes, mutual = both[:rows, columns:], both[rows:, :columns], both[rows:, columns:]
        return _frozen(self.effective + senses @ np.linalg.solve(np.eye(change.rank) - mutual, pushes))


def _lost(bar: Crossbar) -> float:
    """Of the outputs: what rounding makes of voltages that nearly cancel the drops over ends and wires."""
    lines = (
        (bar.source_ohms, bar.far_source_ohms, bar.row_wire_ohms, 1),
        (bar.sink_ohms, bar.far_sink_ohms, bar.column_wire_ohms, 0),
    )
    found = 0.0
    for near, far, wire, axis in lines:
        ohms = near + (0.0 if far is None else far) + wire * (bar.siemens.shape[axis] - 1)
        found = max(found, float((ohms * bar.siemens.sum(axis=axis)).max()))
    return found * float(np.finfo(float).eps)


def _few(old: Crossbar, new: Crossbar) -> bool:
    """Whether so few devices differ that an update is quicker than a fresh factoring."""
    changed, tiling = np.argwhere(old.siemens != new.siemens), Tiling(old)
    tiles = len(np.unique(changed // tiling.size, axis=0))
    lines = old.rows + old.columns
    return tiles <= FEW_TILES * math.prod(tiling.shape) and len(changed) <= FEW_DEVICES * lines


def _disturbed(block: Block, change: Disturbance) -> Block:
    """The block with what is sensed after its outputs below, what is pushed after its inputs at the left."""
    inputs, *others = block.givens
    pushes = np.vstack([change.pushes, change.mutual])
    given = np.vstack([block.matrix, change.senses])
    matrix = np.hstack([given[:, :inputs], pushes, given[:, inputs:]])
    *sides, outputs = block.answers
    return Block(matrix, (*sides, outputs + change.rank), (inputs + change.rank, *others))


def _closed(crossbar: Crossbar, block: Block) -> Floats:
    """(inputs, outputs) of the whole crossbar, its far ends held by their sources at V and neurons at 0 V."""
    near = block.part(BOTTOM, LEFT)
    if not (block.givens[RIGHT] or block.givens[TOP]):
        return near.T
    inputs, outputs = block.givens[LEFT], block.answers[BOTTOM]
    ports = _carrying(crossbar)
    held = -block.matrix[:-outputs, :inputs]
    rows = np.arange(block.answers[RIGHT])
    held[rows, rows] += 1
    into = block.matrix[-outputs:, inputs:].copy()
    columns = np.arange(block.answers[TOP])
    into[columns, len(rows) + columns] -= 1
    amps = np.linalg.solve(block.matrix[:-outputs, inputs:][np.ix_(ports, ports)], held[ports])
    return (near + into[:, ports] @ amps).T


def _carrying(crossbar: Crossbar) -> NDArray[np.intp]:
    """Far ends that carry a current: a line without any resistance gets all of it from its near end."""
    found = list[Floats]()
    if crossbar.far_source_ohms is not None:
        wires = crossbar.row_wire_ohms * (crossbar.columns - 1)
        found.append(crossbar.source_ohms + crossbar.far_source_ohms + wires)
    if crossbar.far_sink_ohms is not None:
        wires = crossbar.column_wire_ohms * (crossbar.rows - 1)
        found.append(crossbar.sink_ohms + crossbar.far_sink_ohms + wires)
    return np.flatnonzero(np.concatenate(found) > 0)


def _frozen(effective: Floats) -> Floats:
    if not np.isfinite(effective).all():
        raise Refused(
            "a crossbar whose matrix is beyond double precision",
            allowed="resistances and conductances within some 30 decades of each other",
        )
    effective.setflags(write=False)
    return effective


def _devices(crossbar: Crossbar, sites: ArrayLike, siemens: ArrayLike) -> Floats:
    """All devices, those at the sites exchanged."""
    try:
        places, values = np.asarray(sites), np.asarray(siemens, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Refused(
            f"sites or conductances that are no numbers: {error}", allowed="(k, 2) and (k,)"
        ) from error
    shape = crossbar.siemens.shape
    if places.ndim != 2 or places.shape[1] != 2 or values.shape != places.shape[:1]:
        raise Refused(
            f"sites of shape {places.shape} with conductances of shape {values.shape}",
            allowed="(k, 2) and (k,)",
        )
    if places.dtype.kind not in "iu" or not ((places >= 0) & (places < shape)).all():
        raise Refused("sites that are not there", allowed=f"whole (row, column) from (0, 0) below {shape}")
    if len(np.unique(places, axis=0)) < len(places):
        raise Refused("a site named twice", allowed="each site once")
    devices = crossbar.siemens.copy()
    devices[tuple(places.T)] = values
    return devices
