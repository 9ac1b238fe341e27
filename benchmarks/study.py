"""A study's chips a second: by one process, by two, and by a Dask cluster on this machine.

LABCTL_CHIPS says how many chips: 400 unless told, 10000 for the figure in the README.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from distributed import LocalCluster

from benchmarks.table import Table
from labctl.commands.study_progress import StudyProgress
from labctl.study.conditions import Study, expanded
from labctl.study.file import only, read_study
from labctl.study.record import StudyRecord
from labctl.study.workers import Cluster, Here, Processes, Workers
from labctl.study_run import run_study

ONCHIP = Path(__file__).resolve().parent.parent / "studies" / "onchip.toml"
CHIPS = int(os.environ.get("LABCTL_CHIPS", "400"))


def workers() -> Table:
    """The operating point of the study of arXiv:2408.14680, with its tests under noise."""
    study = expanded(only(read_study(ONCHIP), ("operating-point",)), ONCHIP.parent, chips=CHIPS)
    rows = list[tuple[str, ...]]()
    _timed(expanded(study.file, ONCHIP.parent, chips=10), Here)  # compiles, if nobody has
    one = 0.0
    for make in (Here, lambda: Processes(2), _cluster):
        name, seconds, fingerprint = _timed(study, make)
        one = one or seconds
        rows.append((name, f"{seconds:.1f} s", f"{CHIPS / seconds:.1f}", f"{one / seconds:.2f}", fingerprint))
    return Table(
        f"{CHIPS} chips trained and tested (Cr, 10 % conductance error, 15 % noise, 30 + 150 patterns)",
        ("workers", "all", "chips a second", "times faster", "fingerprint of all rows"),
        tuple(rows),
    )


def _cluster() -> Workers:
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    return Cluster(cluster.scheduler_address)


def _timed(study: Study, make: Callable[[], Workers]) -> tuple[str, float, str]:
    """Who did it, how long it took with everything that they need first, and what came of it."""
    with tempfile.TemporaryDirectory() as base:
        start = time.perf_counter()
        progress = StudyProgress(quiet=True)
        with StudyRecord.create(Path(base), "bench", study, str(ONCHIP)) as record:
            hands = make()
            run_study(record, hands, progress.told, progress.watch, lambda: False)
            return hands.name, time.perf_counter() - start, record.fingerprint()
