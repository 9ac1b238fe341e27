"""Is this machine ready: Python, libraries, rights, benches, guards, and the folder that runs are kept in.

Each check is a function that answers with findings; none but `freed` changes anything, and none raises:
what is wrong is the answer. What a board needs beyond Python (a simulator's library, its instrument and
whether that answers) only the board knows: it is asked, if it can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labctl.doctor.benches import benches, calibrations
from labctl.doctor.finding import Finding, Level
from labctl.doctor.folder import folder_of_runs
from labctl.doctor.freeing import freed
from labctl.doctor.guards import guards
from labctl.doctor.rights import rights
from labctl.doctor.software import PACKAGES, Package, package, python

__all__ = [
    "PACKAGES",
    "Finding",
    "Level",
    "Package",
    "benches",
    "calibrations",
    "examine",
    "folder_of_runs",
    "freed",
    "guards",
    "package",
    "python",
    "rights",
]


def examine(runs: Path, bench_files: Sequence[Path] = ()) -> list[Finding]:
    """Everything that is looked at, in the order in which one would repair it."""
    return [
        python(),
        *map(package, PACKAGES),
        *rights(bench_files),
        *benches(bench_files),
        *calibrations(bench_files),
        *guards(),
        *folder_of_runs(runs),
    ]
