"""Is this machine ready: Python, libraries, benches, and the folder that runs are kept in.

Each check is a function that answers with findings; none changes anything, and none raises: what
is wrong is the answer. What a board needs beyond Python (a simulator's library, the right to use a
USB port) only the board knows: it is asked, if it can tell.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol, runtime_checkable

from labctl.bench import Bench
from labctl.errors import BadRun, LabError
from labctl.runfolder import refuse_full, refuse_network

OLDEST_PYTHON = (3, 11)
WAVEFORM_BYTES = 64 * 2**20
"""Room that a run of the default size wants."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    what: str
    found: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A Python package, and what is missing without it."""

    name: str
    needed: bool
    use: str


PACKAGES = (
    Package("numpy", True, "everything that computes"),
    Package("scipy", False, "the independent solutions in the tests"),
    Package("pydantic", True, "bench and experiment files"),
    Package("PySpice", True, "boards on ngspice"),
    Package("pyvisa", False, "drivers of instruments on GPIB, USB and Ethernet"),
    Package("pyserial", False, "drivers of boards on a serial port"),
    Package("numba", False, "the fast twin, which runs without it, a hundred times slower"),
    Package("matplotlib", False, "pictures"),
)


def examine(runs: Path, bench_files: Sequence[Path] = ()) -> list[Finding]:
    """Everything that is looked at, in the order in which one would repair it."""
    return [python(), *map(package, PACKAGES), *benches(bench_files), *folder_of_runs(runs)]


def python(found: Sequence[int] = sys.version_info[:3]) -> Finding:
    """Python itself."""
    text = ".".join(map(str, found))
    if tuple(found[:2]) < OLDEST_PYTHON:
        todo = f"install Python {'.'.join(map(str, OLDEST_PYTHON))} or newer, then `make` again"
        return Finding(Level.PROBLEM, "Python", text, todo)
    return Finding(Level.OK, "Python", f"{text} on {platform.system()} {platform.machine()}")


def package(one: Package) -> Finding:
    """A package that is installed, or what to do without it."""
    try:
        return Finding(Level.OK, one.name, version(one.name))
    except PackageNotFoundError:
        level = Level.PROBLEM if one.needed else Level.WARNING
        return Finding(level, one.name, f"not installed; it is for {one.use}", f"pip install {one.name}")


# ---- benches --------------------------------------------------------------------------------


@runtime_checkable
class Ready(Protocol):
    """A board that can say what it found of what it needs. No board has to."""

    def ready(self) -> str:
        """What was found, in a few words; `Unavailable` for what is missing. Drives nothing."""
        ...


def benches(paths: Sequence[Path]) -> list[Finding]:
    """Whether there is what these benches need; those with the same answer share a finding."""
    answers: dict[tuple[Level, str, str], list[str]] = {}
    for path in paths:
        answers.setdefault(_asked(path), []).append(path.stem)
    return [
        Finding(level, "benches", f"{', '.join(names)}: {found}", todo)
        for (level, found, todo), names in answers.items()
    ]


def _asked(path: Path) -> tuple[Level, str, str]:
    try:
        board = Bench.read(path).board(Path())
        return Level.OK, board.ready() if isinstance(board, Ready) else "nothing else is needed", ""
    except LabError as error:
        return Level.PROBLEM, _line(error.wrong), _line(error.todo or error.allowed)
    except Exception as error:  # noqa: BLE001  whatever a driver raises, the other benches are asked too
        return (
            Level.PROBLEM,
            _line(f"{type(error).__name__}: {error}"),
            "this is a fault of the board's driver",
        )


def _line(text: str) -> str:
    return "; ".join(" ".join(line.split()) for line in text.splitlines())


# ---- the folder of runs ---------------------------------------------------------------------


def folder_of_runs(runs: Path) -> list[Finding]:
    """Where runs are, or will be made: can be written, is on a local disk, has room."""
    here = next((path for path in (runs, *runs.resolve().parents) if path.exists()), runs)
    return [_writable(runs, here), _local(here), _room(here)]


def _writable(runs: Path, here: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=here) as file:
            file.write(b"x")
    except OSError as error:
        found = f"{runs} cannot be written to: {error.strerror or error}"
        return Finding(
            Level.PROBLEM, "folder of runs", found, "give yourself permission, or choose another: --runs"
        )
    will = "" if here == runs else ", made by the first run"
    return Finding(Level.OK, "folder of runs", f"{runs}{will}")


def _local(here: Path) -> Finding:
    try:
        refuse_network(here)
    except BadRun as error:
        return Finding(Level.PROBLEM, "file system", error.wrong, error.todo)
    return Finding(Level.OK, "file system", "local")


def _room(here: Path) -> Finding:
    try:
        refuse_full(here, WAVEFORM_BYTES)
        free = shutil.disk_usage(here).free
    except BadRun as error:
        return Finding(Level.PROBLEM, "free disk", error.wrong, error.todo)
    except OSError as error:
        return Finding(Level.PROBLEM, "free disk", error.strerror or str(error), "see to the disk")
    return Finding(Level.OK, "free disk", f"{free / 1e9:.1f} GB")
