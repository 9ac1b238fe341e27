"""The folder of runs: can be written to, is on a local disk, has room."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from labctl.doctor.finding import Finding, Level
from labctl.errors import BadRun
from labctl.runfolder import refuse_full, refuse_network

WAVEFORM_BYTES = 64 * 2**20
"""Room that a run of the default size wants."""


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
