"""Is this machine ready: Python, libraries, ngspice, and the folder that runs are kept in.

Each check is a function that answers with findings; none changes anything, and none raises: what
is wrong is the answer. The ngspice library is looked for the way the simulator's engine does it,
by its environment variable and then by its name, and asked for its version through its C
interface (ngspice manual, chapter 19), because this package knows no simulator.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from labctl.errors import BadRun
from labctl.runfolder import refuse_full, refuse_network

LIBRARY_VARIABLE = "LABCTL_NGSPICE"
OLDEST_PYTHON = (3, 11)
OLDEST_NGSPICE = 30
"""The oldest that the engine takes (a test compares the two)."""
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
    Package("scipy", True, "crossbars with line resistance"),
    Package("pydantic", True, "bench and experiment files"),
    Package("PySpice", True, "boards on ngspice"),
    Package("pyvisa", False, "instruments on GPIB, USB and Ethernet"),
    Package("pyserial", False, "boards on a serial port"),
    Package("numba", False, "the fast twin, which runs without it, a hundred times slower"),
    Package("matplotlib", False, "pictures"),
)


def examine(runs: Path) -> list[Finding]:
    """Everything that is looked at, in the order in which one would repair it."""
    return [python(), *map(package, PACKAGES), ngspice(), *folder_of_runs(runs)]


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


# ---- ngspice --------------------------------------------------------------------------------


def ngspice() -> Finding:
    """The shared library of ngspice and its version."""
    named = os.environ.get(LIBRARY_VARIABLE)
    name = named or ctypes.util.find_library("ngspice")
    if name is None:
        return _no_ngspice("not found", "apt-get install libngspice0 (elsewhere: see README)")
    try:
        library = ctypes.CDLL(name)
        found = ngspice_version(library)
    except (OSError, AttributeError) as error:
        todo = f"set {LIBRARY_VARIABLE} to the ngspice library" if named else "install libngspice0 again"
        return _no_ngspice(f"{name} cannot be used: {error}", todo)
    if found is None:
        return Finding(
            Level.WARNING, "ngspice", f"{name} does not tell its version", "`labctl check` a bench on it"
        )
    if found < OLDEST_NGSPICE:
        return _no_ngspice(f"version {found} ({name})", f"install version {OLDEST_NGSPICE} or newer")
    return Finding(Level.OK, "ngspice", f"version {found} ({name})")


def _no_ngspice(found: str, todo: str) -> Finding:
    return Finding(Level.PROBLEM, "ngspice", found, f"{todo}; benches on the fast twin run without it")


_SEND_CHAR = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p)
_EXIT = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.c_bool, ctypes.c_bool, ctypes.c_int, ctypes.c_void_p
)
_said: list[str] = []


@_SEND_CHAR
def _listen(text: bytes, number: int, user: int) -> int:
    _said.append(text.decode(errors="replace"))
    return 0


@_EXIT
def _ended(status: int, unload: bool, quit_: bool, number: int, user: int) -> int:
    return 0


def ngspice_version(library: ctypes.CDLL) -> int | None:
    """What the library answers to `version`; None if it does not say. Raises `AttributeError` for a stranger.

    The callbacks belong to this module, because the library keeps them as long as the process lives.
    """
    _said.clear()
    library.ngSpice_Init(_listen, None, _ended, None, None, None, None)
    library.ngSpice_Command(b"version")
    match = re.search(r"ngspice-(\d+)", "\n".join(_said))
    return int(match[1]) if match else None


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
