"""Python and the packages, and what is missing without them."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from labctl.doctor.finding import Finding, Level

OLDEST_PYTHON = (3, 11)


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
    Package("pyvisa-py", False, "VISA without the library of a vendor"),
    Package("pyserial", False, "drivers of boards on a serial port"),
    Package("pydwf", False, "Analog Discoveries, beside Digilent's WaveForms, which has the library"),
    Package("numba", False, "the fast twin, which runs without it, a hundred times slower"),
    Package("matplotlib", False, "pictures"),
)


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
