"""How long a source stays on after its program is dead, or hangs: kill -9 and SIGSTOP, many times over.

The source is the lamp of the tests, which says itself when it went out, and an emulated instrument in a
process of its own, with the driver and a TCP link in between. Each program is forked from a
warm process, starts a guard, and is driving when it is met.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import numpy as np

from benchmarks.table import Table, told
from labctl.guard.client import LEASE_SECONDS
from labctl.places import SHARED_VARIABLE

TRIALS = 1000
HANGS = 50
"""Each takes a lease."""
METER = "emulated 2450, TCP"


def deaths(trials: int = TRIALS, hangs: int = HANGS) -> Table:
    """From the signal to the light that is out; the lease is the time from a stopped program's last beat."""
    hung = told(LEASE_SECONDS + 0.02)
    rows = [_row("a lamp", "SIGKILL", trials, "50 ms"), _row("a lamp", "SIGSTOP", hangs, hung)]
    rows += [_row(METER, "SIGKILL", trials, "50 ms"), _row(METER, "SIGSTOP", hangs, hung)]
    head = ("source", "signal", "trials", "left on", "median", "p99.9", "worst", "allowed")
    return Table(
        f"from the death of a program to off, in its guard (lease {told(LEASE_SECONDS)})", head, tuple(rows)
    )


def _row(source: str, way: str, trials: int, allowed: str) -> tuple[str, ...]:
    program = ["tests.dying_bench", str(trials)] if source == METER else None
    program = program or ["tests.dying", str(trials), str(LEASE_SECONDS)]
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            [sys.executable, "-m", *program, way],
            env={**os.environ, SHARED_VARIABLE: folder},  # nobody else's guards
            capture_output=True,
            text=True,
            check=True,
        )
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    left_on = sum(not (row["off"] and row.get("still off", True)) for row in found)
    return (
        source,
        way,
        f"{trials}",
        f"{left_on}",
        *map(told, _quantiles([row["seconds"] for row in found])),
        allowed,
    )


def _quantiles(seconds: Sequence[float]) -> tuple[float, float, float]:
    """[s] median, p99.9 and worst."""
    median, high, worst = np.quantile(seconds, [0.5, 0.999, 1.0], method="higher")
    return float(median), float(high), float(worst)
