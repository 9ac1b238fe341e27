"""Crossbars of non-linear devices: Newton's method around their exact lines.

The unknowns are the voltages at both electrodes of every device; lines and linear solves are those of
`sim_backend.crossbar.wiring`. Devices are any function from volts (rows, columns), row against column, to
amps and slopes. With slopes of 0 or more there is one solution at most; a step that would not come closer
to it is halved. With exact solves the method is quadratic; how far it is from the end is taken from its last
two steps by that law, and from how rough the last linear solve was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from labctl.errors import NoConvergence, Refused
from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.ladders import Mismatch
from sim_backend.crossbar.solution import Solution, Watts
from sim_backend.crossbar.wiring import Nodes, Wiring

Current: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]
"""[V] of devices, shape (rows, columns) -> [A] through them and [S] their slopes, the same shape."""
MOST_STEPS, MOST_HALVINGS = 60, 40
PROGRESS = 0.01
"""Of what a step promises: less is no progress. Where a curve bends sharply, a fifth is usual."""


@dataclass(frozen=True, eq=False)
class NonlinearSolution(Solution):
    """The same of non-linear devices; conductances of its crossbar mean nothing, iterations are steps."""

    @cached_property
    def watts(self) -> Watts:
        """Where the power goes."""
        across = self.row_volts - self.column_volts
        return replace(super().watts, devices=np.einsum("vij,vij->v", across, self.device_amps))


def solve_nonlinear(
    crossbar: Crossbar, current: Current, volts: ArrayLike, *, tolerance: float = 1e-10
) -> NonlinearSolution:
    """The crossbar with `current` in the place of its conductances, and its sources at `volts` [V].

    volts: (rows,) or (vectors, rows). `current` takes the volts of all devices (rows, columns) to [A] and
    [S], each (rows, columns); where there is no device, both are 0. Node voltages are off by no more than
    `tolerance` of the highest source voltage, and what rounding does; `error` says what that makes of the
    outputs. Raises `NoConvergence` where there is no solution, or none so exact; `Refused` for other shapes.
    """
    vectors, wiring = crossbar.checked(volts), Wiring.of(crossbar)
    if not tolerance > 0:
        raise Refused(f"a tolerance of {tolerance:.6g}", allowed="more than 0")
    shape = crossbar.rows, crossbar.columns
    grounded = np.zeros(crossbar.columns)

    def checked(across: Floats) -> tuple[Floats, Floats]:
        amps, slopes = map(np.asarray, current(across))
        if amps.shape != shape or slopes.shape != shape:
            raise Refused(
                f"a current that answers with shapes {amps.shape} and {slopes.shape}",
                allowed=f"amps and slopes, {shape} each",
            )
        return amps, slopes

    found = [
        operating_point(wiring, checked, vector, grounded, tolerance * float(np.abs(vector).max()))
        for vector in vectors
    ]
    amps = np.array([one.amps for one in found])
    return NonlinearSolution(
        crossbar,
        vectors,
        amps.sum(axis=1),
        np.array([np.broadcast_to(one.nodes.rows, shape) for one in found]),
        np.array([np.broadcast_to(one.nodes.columns, shape) for one in found]),
        amps,
        max(_relative(one) for one in found),
        sum(one.steps for one in found),
    )


def _relative(found: Operating) -> float:
    """What an error of the node voltages can make of any output, as a share of the largest."""
    largest = float(np.abs(found.amps.sum(axis=0)).max())
    return 2 * found.error * float(found.slopes.sum(axis=0).max()) / largest if largest else 0.0


class Operating(NamedTuple):
    """Where a crossbar has come to rest."""

    nodes: Nodes
    amps: Floats
    """[A], shape (rows, columns): through each device."""
    slopes: Floats
    """[S], shape (rows, columns)."""
    error: float
    """[V] by which nodes are off: by the law of the last two steps, the last linear solve, and rounding."""
    steps: int


class _Point(NamedTuple):
    """Node voltages that were tried, what the devices take there, and what is wrong with that."""

    nodes: Nodes
    amps: Floats
    slopes: Floats
    wrong: tuple[Mismatch, Mismatch]


@dataclass(frozen=True, eq=False)
class _Search:
    """One crossbar, one set of terminal voltages."""

    wiring: Wiring
    current: Current
    volts: Floats
    sunk: Floats

    def at(self, nodes: Nodes) -> _Point:
        amps, slopes = self.current(nodes.rows - nodes.columns)
        return _Point(nodes, amps, slopes, self.wiring.mismatch(nodes, self.volts, self.sunk, amps))

    def taken(self, here: _Point, step: Nodes, tolerance: float) -> tuple[_Point, float]:
        """The point that the step, or a part of it, leads to, and that part; 0: none leads on."""
        dividers, part = self.wiring.dividers(here.slopes), 1.0
        before, enough = _size(here.wrong, dividers), step.largest <= tolerance
        for _ in range(MOST_HALVINGS):
            there = self.at(here.nodes.moved(step, part))
            if enough or _size(there.wrong, dividers) <= (1.0 - part * PROGRESS) * before:
                return there, part
            part /= 2
        return here, 0.0


def operating_point(
    wiring: Wiring,
    current: Current,
    volts: Floats,
    sunk: Floats,
    tolerance: float,
    start: Nodes | None = None,
) -> Operating:
    """Node voltages for source volts (rows,) and volts behind the sinks (columns,), to `tolerance` [V].

    Raises `NoConvergence` where no step leads on: a current that is no number, or falls with the voltage.
    """
    search = _Search(wiring, current, volts, sunk)
    point, last = search.at(wiring.at_rest(volts, sunk) if start is None else start), 0.0
    if _size(point.wrong, wiring.dividers(point.slopes)) == 0.0:
        return Operating(point.nodes, point.amps, point.slopes, 0.0, 0)
    for steps in range(1, MOST_STEPS + 1):
        if not np.isfinite(point.amps.sum() + point.slopes.sum()):
            break
        step, rough = wiring.correction(point.slopes, point.wrong)
        size = step.largest
        if not size < np.inf:
            break
        point, part = search.taken(point, step, tolerance)
        if not part > 0:
            break
        error = size * (_still_to_come(size / last) if last > 0 else 1.0) + rough
        if part == 1.0 and error <= tolerance:
            error += wiring.rounded(volts, sunk, point.amps)
            return Operating(point.nodes, point.amps, point.slopes, error, steps)
        last = size if part == 1.0 else 0.0
    raise NoConvergence(
        "no node voltages of the crossbar fit its devices",
        todo="check the devices: their current must be finite and rise with the voltage; "
        "and that wires and ends are not many decades from the devices",
    )


def _still_to_come(pace: float) -> float:
    """All further steps together, as a share of the last, which was `pace` of the one before.

    The next is the square of it, where the method is quadratic; at sharp bends, the same again and again.
    """
    return pace**2 / (1.0 - pace) if pace < 0.9 else 10.0


def _size(wrong: tuple[Mismatch, Mismatch], dividers: tuple[Floats, Floats]) -> float:
    """[V] A norm of what is wrong; NaN if a number in it is."""
    return max(one.size(divider) for one, divider in zip(wrong, dividers, strict=True))
