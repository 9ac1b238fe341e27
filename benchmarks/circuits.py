"""Crossbars to be solved, and everything that solves them: ours, and peers where they are installed.

A solver is prepared with a crossbar and input voltages, and is then a function of nothing that returns output
currents (vectors, columns). What is prepared is not timed: importing, writing a netlist as text, and
inverting conductances. badcrossbar and both SPICEs are called as their manuals have it, for outputs only.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.factored import Factored
from sim_backend.crossbar.solve import solve
from sim_backend.engine import Engine, Job

Work: TypeAlias = Callable[[], Floats]


@dataclass(frozen=True)
class Case:
    """A crossbar of 10 to 100 uS, uniformly drawn, and input vectors of up to 1 V."""

    rows: int
    columns: int
    end_ohms: float = 1.0
    vectors: int = 1
    wire_ohms: float = 1.0

    @cached_property
    def crossbar(self) -> Crossbar:
        """The same for any number of vectors."""
        siemens = np.random.default_rng(1).uniform(1e-5, 1e-4, (self.rows, self.columns))
        return Crossbar(siemens, self.end_ohms, self.end_ohms, self.wire_ohms, self.wire_ohms)

    @cached_property
    def volts(self) -> Floats:
        """(vectors, rows)."""
        return np.random.default_rng(2).uniform(0.0, 1.0, (self.vectors, self.rows))


def grid_solver(case: Case) -> Work:
    """Ours, for one vector at a time, with every node voltage and device current."""
    crossbar, volts = case.crossbar, case.volts
    return lambda: solve(crossbar, volts).outputs


def factored(case: Case) -> Work:
    """Ours, with the factoring."""
    crossbar, volts = case.crossbar, case.volts
    return lambda: Factored(crossbar).outputs(volts)


def factored_before(case: Case) -> Work:
    """Ours, a further batch on the same devices."""
    already, volts = Factored(case.crossbar), case.volts
    return lambda: already.outputs(volts)


def updated(case: Case) -> Work:
    """Ours, when 10 devices were others before."""
    wanted, volts = case.crossbar.siemens, case.volts
    places = np.random.default_rng(3).choice(wanted.size, 10, replace=False)
    before = wanted.copy()
    before.flat[places] = 5e-5
    already = Factored(case.crossbar.with_devices(before), keep=True)
    sites = np.column_stack(np.unravel_index(places, wanted.shape))
    return lambda: already.updated(sites, wanted.flat[places]).outputs(volts)


def badcrossbar(case: Case) -> Work:
    """One resistance for all segments, which are also its sources and sinks."""
    import logging
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its pictures may lack pycairo
        found: Any = importlib.import_module("badcrossbar.compute")
    logging.disable(logging.CRITICAL)
    volts, ohms = case.volts.T, 1 / case.crossbar.siemens
    return lambda: np.atleast_2d(
        found.compute(volts, ohms, case.wire_ohms, node_voltages=False, all_currents=False).currents.output
    )


def direct(case: Case) -> Work:
    """The reference: the nodal matrix, factored by SuperLU."""
    crossbar, volts = case.crossbar, case.volts

    def work() -> Floats:
        matrix, drive, sense = nodal(crossbar)
        factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        return (sense @ factors.solve(drive @ volts.T)).T

    return work


def nodal(crossbar: Crossbar) -> tuple[Any, Any, Any]:
    """The sparse nodal matrix, the currents into its nodes by source voltage, the outputs by node."""
    rows, columns = crossbar.siemens.shape
    row = np.arange(rows * columns).reshape(rows, columns)
    column = row + rows * columns
    a = np.concatenate([row.ravel(), row[:, :-1].ravel(), column[:-1].ravel()])
    b = np.concatenate([column.ravel(), row[:, 1:].ravel(), column[1:].ravel()])
    along, down = rows * (columns - 1), (rows - 1) * columns
    wires = np.full(along, 1 / crossbar.row_wire_ohms), np.full(down, 1 / crossbar.column_wire_ohms)
    between = np.concatenate([crossbar.siemens.ravel(), *wires])
    size = 2 * rows * columns
    matrix = sparse.coo_array((-between, (a, b)), (size, size)).tocsc()
    drive = sparse.coo_array((1 / crossbar.source_ohms, (row[:, 0], np.arange(rows))), (size, rows)).tocsc()
    sense = sparse.coo_array(
        (1 / crossbar.sink_ohms, (np.arange(columns), column[-1])), (columns, size)
    ).tocsr()
    matrix = matrix + matrix.T
    whole = drive.sum(axis=1) + sense.sum(axis=0) - matrix.sum(axis=0)
    return (matrix + sparse.diags_array(whole)).tocsc(), drive, sense


def ngspice(case: Case) -> Work:
    """As this project's boards run it: circuit loaded, one step solved, outputs brought back."""
    engine, job = Engine(deadline=600.0), spice_job(case)
    engine.transient(Job("* start\nv1 a 0 1\nr1 a 0 1\n.save v(a)\n.end", 1e-9, 1e-9, ("a",)))
    return lambda: engine.transient(job).values[:, -1][None] / case.end_ohms


def spice_job(case: Case) -> Job:
    """For the voltages over the neurons by the first vector."""
    names = tuple(f"d{case.rows - 1}_{j}" for j in range(case.columns))
    saved = " ".join(f"v({name})" for name in names)
    return Job(f"* crossbar\n{_elements(case)}.save {saved}\n.end", 1e-9, 1e-9, names)


def neospice(case: Case) -> Work:
    """Its one call from netlist to operating point."""
    found: Any = importlib.import_module("neospice")
    circuit = f"* crossbar\n{_elements(case)}.op\n.end\n"

    def work() -> Floats:
        point = found.dc(circuit)
        last = case.rows - 1
        volts = [point.voltage(f"d{last}_{j}") for j in range(case.columns)]
        return np.array([volts]) / case.end_ohms

    return work


def _elements(case: Case) -> str:
    """Rows' nodes are u{i}_{j}, columns' d{i}_{j}."""
    bar, lines = case.crossbar, list[str]()
    sources, sinks, volts = (values.tolist() for values in (bar.source_ohms, bar.sink_ohms, case.volts[0]))
    ohms = (1 / bar.siemens).tolist()
    for i in range(case.rows):
        lines.append(f"v{i} s{i} 0 {volts[i]!r}")
        lines.append(f"rs{i} s{i} u{i}_0 {sources[i]!r}")
        for j in range(case.columns):
            lines.append(f"rg{i}_{j} u{i}_{j} d{i}_{j} {ohms[i][j]!r}")
            if j:
                lines.append(f"rw{i}_{j} u{i}_{j - 1} u{i}_{j} {bar.row_wire_ohms!r}")
            if i:
                lines.append(f"rc{i}_{j} d{i - 1}_{j} d{i}_{j} {bar.column_wire_ohms!r}")
    lines += [f"rn{j} d{case.rows - 1}_{j} 0 {sinks[j]!r}" for j in range(case.columns)]
    return "".join(f"{line}\n" for line in lines)


SOLVERS: dict[str, Callable[[Case], Work]] = {
    "solve": grid_solver,
    "Factored": factored,
    "Factored, further": factored_before,
    "Factored, 10 updated": updated,
    "badcrossbar": badcrossbar,
    "ngspice": ngspice,
    "neospice": neospice,
    "sparse direct": direct,
}


def missing(solver: str, case: Case) -> str:
    """Why a solver cannot be run on this case; nothing where it can."""
    if solver in {"badcrossbar", "neospice"} and importlib.util.find_spec(solver) is None:
        return "not installed: sh tools/peers.sh"
    if solver == "badcrossbar" and case.end_ohms != case.wire_ohms:
        return "has one resistance for wires and ends"
    return ""
