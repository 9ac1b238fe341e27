"""An emulated Keithley 2450 in a process of its own, a board that drives it, and whose the CPU time is.

The instrument keeps virtual time: it answers at once, where a real one takes milliseconds. So what is left is
what the software takes, on both sides of the link.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labctl.addressing import select
from labctl.bench import Bench, BenchFile
from labctl.board import Board
from labctl.places import SHARED_VARIABLE
from labctl.pulse import Pulse, Purpose
from labctl.shapes import square

KIND = "keithley2450"
SERIES = "10 kohm"
LOWEST, HIGHEST = 0.05, 0.1
"""[V] of what reads: within one range, each pulse of a list at another voltage."""
SHORTEST = 1.6e-3
"""[s] of a level, about the shortest that a 2450 measures in."""
LIST = 100
"""Pulses in a list."""


@dataclass(frozen=True, slots=True)
class Emulated:
    """An instrument that answers."""

    address: str
    pid: int

    @property
    def port(self) -> int:
        """Of this machine."""
        return int(self.address.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class Going:
    """A way to make pairs that is open."""

    go: Callable[[], object]
    pairs: int = 1
    """That one `go` makes."""
    guard: int | None = None
    """The process of its guard."""


@contextlib.contextmanager
def emulated(*behind: str) -> Generator[Emulated]:
    """One with this behind its terminals, as `labctl emulate` is told, and guards that are nobody else's."""
    before = os.environ.get(SHARED_VARIABLE)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[SHARED_VARIABLE] = folder
        try:
            with _started(*behind) as found:
                yield found
        finally:
            del os.environ[SHARED_VARIABLE]
            if before is not None:
                os.environ[SHARED_VARIABLE] = before


@contextlib.contextmanager
def _started(*behind: str) -> Generator[Emulated]:
    command = [sys.executable, "-m", "labctl", "emulate", KIND, *behind, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Emulated(told["instruments"][0]["address"], process.pid)
        finally:
            process.terminate()


def board_at(address: str, *, guarded: bool) -> Board:
    """A board that is not open yet: in its guard, as a bench file has it by default, or bare."""
    told = {
        "class": "drivers.keithley2450:Keithley2450",
        "kind": "emulator",
        "board": {"address": address, "dopant": "Sn", "series": SERIES},
        "guard": {"enabled": guarded},
    }
    return Bench(BenchFile.model_validate(told), "the benchmark", Path()).board(Path())


def levels(count: int) -> list[float]:
    """[V] so many different ones."""
    return np.linspace(LOWEST, HIGHEST, count).tolist()


def reads(board: Board, count: int) -> list[Pulse]:
    """Small pulses that read the one device, each at another voltage: the source is set for each anew."""
    return [_pulse(board, volts, Purpose.READ) for volts in levels(count)]


def writes(board: Board, count: int, volts: float) -> list[Pulse]:
    """Programming pulses, up and down in turn, of about the shortest width that there is."""
    return [_pulse(board, volts * (-1) ** turn, Purpose.PROGRAM) for turn in range(count)]


def _pulse(board: Board, volts: float, purpose: Purpose) -> Pulse:
    return select(board.spec, 0, square(volts, 1.02 * SHORTEST, SHORTEST / 100), purpose)


def cpu_seconds(pid: int) -> float:
    """[s] that all threads of a process have run for, ever; NaN where the system does not say (not Linux)."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) * 1e-9
    except OSError:
        return float("nan")


def guard_of(board: Board) -> int | None:
    """The process in which an open board lives, by its parent; None: it lives in this one."""
    from labctl.guard import Guarded

    if not isinstance(board, Guarded):
        return None
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    try:
        found = [int(pid) for pid in children.read_text().split()]
        return next(pid for pid in found if b"labctl.guard" in Path(f"/proc/{pid}/cmdline").read_bytes())
    except (OSError, StopIteration):
        return None
