"""Crossbars with wires: ours, badcrossbar, ngspice and neospice on the same arrays, each in a fresh process.

badcrossbar has one resistance for everything, so that where it is compared all are 1 ohm; the other rows have
sources and neurons of 100 ohm on wires of 1 ohm. An error is the largest of any output, as a share of its
vector's largest, against the sparse direct solve; where that does not fit, against `solve`. Memory is what
the process held at most, beyond what it held before (ngspice has a process of its own). On a busy machine,
set OPENBLAS_NUM_THREADS=1: threads that wait for each other distort everything that multiplies matrices.
"""

from __future__ import annotations

import math
import multiprocessing
import resource
import statistics
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.circuits import SOLVERS, Case, missing
from benchmarks.table import Table, told
from labctl.pulse import Floats

LONGEST = 120.0
"""[s] for a solver's process; what takes longer has not finished."""
PATIENCE = 2.0
"""[s] for the runs after the first, of which the median is told; without any, the first is."""
RUNS = 15

DIRECT = "sparse direct"
HEAD = ("rows x columns", "vectors", "ends", "solver", "time", "badcrossbar / it", "memory", "error")


@dataclass(frozen=True)
class Result:
    """What one solver did to one case."""

    seconds: float
    bytes: int
    outputs: Floats


def crossbar() -> Table:
    """All of it."""
    groups = list[_Group]()
    for size in (16, 32, 64):
        groups.append(_group(Case(size, size), DIRECT, "solve", "badcrossbar", "ngspice", "neospice"))
    groups.append(_group(Case(128, 128), DIRECT, "solve", "badcrossbar", "neospice"))
    groups += [_group(Case(size, size), DIRECT, "solve", "badcrossbar") for size in (256, 512)]
    for size in (128, 256):
        ours = "Factored", "Factored, further", "Factored, 10 updated"
        groups.append(_group(Case(size, size, vectors=100), DIRECT, *ours, "badcrossbar"))
    squares = [_group(Case(size, size, 100.0), DIRECT, "solve") for size in (64, 128, 256, 512)]
    for shape in ((1024, 1024), (784, 500), (4096, 512)):
        squares.append(_group(Case(*shape, 100.0), "solve", "Factored"))
        squares.append(_group(Case(*shape, 100.0, 100), "Factored, further"))
    times = {
        group.case.rows: group.seconds("solve")
        for group in squares
        if group.case.rows == group.case.columns and "solve" in group.found
    }
    title = f"crossbars with wires; `solve` grows as N^{_exponent(times):.2f} to {max(times)} x {max(times)}"
    return Table(title, HEAD, tuple(row for group in groups + squares for row in group.rows()))


@dataclass(frozen=True)
class _Group:
    """What several solvers did to one case."""

    case: Case
    found: dict[str, Result | str]

    def rows(self) -> list[tuple[str, ...]]:
        """One a solver."""
        return [(*self._named(solver), *self._cells(result)) for solver, result in self.found.items()]

    def seconds(self, solver: str) -> float:
        """[s]; NaN where there is no result."""
        result = self.found.get(solver, "")
        return math.nan if isinstance(result, str) else result.seconds

    def _named(self, solver: str) -> tuple[str, ...]:
        case = self.case
        return f"{case.rows} x {case.columns}", str(case.vectors), f"{case.end_ohms:g} ohm", solver

    def _cells(self, result: Result | str) -> tuple[str, ...]:
        if isinstance(result, str):
            return result, "", "", ""
        faster = self.seconds("badcrossbar") / result.seconds
        reference = self.found.get(DIRECT, self.found.get("solve", ""))
        error = "" if isinstance(reference, str) else _error(result, reference)
        told_faster = "" if math.isnan(faster) else f"{faster:.3g}"
        memory = "" if result is self.found.get("ngspice") else f"{result.bytes / 1e6:.0f} MB"
        return told(result.seconds), told_faster, memory, error


def _group(case: Case, *solvers: str) -> _Group:
    return _Group(case, {solver: measured(case, solver) for solver in solvers})


def measured(case: Case, solver: str) -> Result | str:
    """A solver in a process of its own, or why there is no result."""
    if why := missing(solver, case):
        return why
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(its, case, solver), daemon=True)
    process.start()
    its.close()
    try:
        return ours.recv() if ours.poll(LONGEST) else f"not finished in {told(LONGEST)}"
    except EOFError:
        return "its process ended"
    finally:
        process.kill()
        process.join()


def _measure(answer: Connection, case: Case, solver: str) -> None:
    try:
        answer.send(_measured(case, solver))
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is what its row says
        answer.send(f"{type(error).__name__}: {error}".splitlines()[0][:60])


def _measured(case: Case, solver: str) -> Result:
    work = SOLVERS[solver](case)
    before = _memory("VmRSS")
    start = time.perf_counter()
    outputs = work()
    first = time.perf_counter() - start
    held = _memory("VmHWM") - before
    end, taken = time.perf_counter() + PATIENCE, list[float]()
    while len(taken) < RUNS and time.perf_counter() + first < end:
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return Result(statistics.median(taken or [first]), held, outputs)


def _memory(what: str) -> int:
    """[bytes] that this process holds (VmRSS) or has held at most (VmHWM); without Linux, always the latter.

    Linux has a new process's `ru_maxrss` begin with what its parent held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith(what))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _error(result: Result, reference: Result) -> str:
    if result is reference:
        return "reference"
    largest = np.abs(reference.outputs).max(axis=1, keepdims=True)
    return f"{(np.abs(result.outputs - reference.outputs) / largest).max():.1e}"


def _exponent(times: dict[int, float]) -> float:
    """The slope of the line through the logarithms."""
    sizes, seconds = [math.log(size) for size in times], [math.log(one) for one in times.values()]
    return statistics.linear_regression(sizes, seconds).slope
