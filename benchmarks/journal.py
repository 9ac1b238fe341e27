"""How fast the chain is that every pulse goes through, on a board that does nothing.

Plan, limits, intent on the disk, board, bill, result in the journal: points per second in lists
and one by one, beside a program that appends the same points to a CSV file and flushes each line.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.table import Table
from labctl import session
from labctl.board import Board
from labctl.energy import Ledger
from labctl.limits import Limits
from labctl.parts import Site
from labctl.plan import Plan
from labctl.pulse import Pulse, Purpose, Trace
from labctl.spec import Spec
from labctl.store import Store


class Nothing(Board):
    """A 1 x 1 board that answers at once: one reading for each pulse, as a source-measure unit would."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        amps = np.array([[1e-5, -1e-5]])
        for pulse in pulses:
            yield Trace(pulse.seconds[-1:], pulse.volts[1:2], amps)


def points(count: int, length: int) -> Plan[int]:
    """`count` different read and program pulses in lists of `length`."""
    seconds, driven = np.array([0.0, 1e-6, 99e-6, 100e-6]), np.array([True, True])
    volts = np.zeros((count, 4, 2))
    volts[:, 1, 0] = volts[:, 2, 0] = np.linspace(0.01, 0.5, count)
    for start in range(0, count, length):
        yield [
            Pulse(seconds, volts[index], driven, Purpose.PROGRAM if index % 2 else Purpose.READ)
            for index in range(start, min(start + length, count))
        ]
    return count


def points_per_second(count: int, length: int, folder: Path | None = None, joules: float = 1.0) -> float:
    """All of it, in lists of `length`; `folder` is where the run is written, a temporary one by default."""
    site = Site(0, 0, "W", limits=Limits(joules=joules))
    spec = Spec("nothing", 1, 1, (site,), (5_000.0, 50.0))
    with (
        tempfile.TemporaryDirectory(dir=folder) as base,
        Store.create(Path(base), "points", spec, {}) as store,
        Nothing(spec) as board,
    ):
        start = time.perf_counter()
        session.run(points(count, length), board, store=store, ledger=Ledger())
        return count / (time.perf_counter() - start)


def csv_points_per_second(count: int, folder: Path | None = None) -> float:
    """The same points to a CSV file, flushed after each: no limits, no bill, not safe from a power cut."""
    with tempfile.TemporaryDirectory(dir=folder) as base, (Path(base) / "points.csv").open("w") as file:
        writer = csv.writer(file)
        start = time.perf_counter()
        for (pulse,) in points(count, 1):
            writer.writerow([pulse.purpose, pulse.volts[1, 0], pulse.seconds[-1], 1e-5])
            file.flush()
        return count / (time.perf_counter() - start)


def journal() -> Table:
    """Points per second, in lists, one by one, and of a CSV file."""
    rates = {
        "labctl, lists of 1,000": points_per_second(50_000, 1_000),
        "labctl, one by one": points_per_second(2_000, 1),
        "flushed CSV": csv_points_per_second(50_000),
    }
    rows = tuple((name, f"{rate:,.0f}") for name, rate in rates.items())
    return Table(
        "points through plan, limits, bill and durable journal, on a board that does nothing",
        ("how", "points per second"),
        rows,
    )
