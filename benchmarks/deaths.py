"""How long a source stays on after its program is dead, or hangs: kill -9 and SIGSTOP, many times over.

The source is the lamp of the tests, which says itself when it went out. Each program is forked from a
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


def deaths(trials: int = TRIALS, hangs: int = HANGS) -> Table:
    """From the signal to the light that is out; the lease is the time from a stopped program's last beat."""
    rows = [_row("SIGKILL", trials, "50 ms"), _row("SIGSTOP", hangs, told(LEASE_SECONDS + 0.02))]
    head = ("signal", "trials", "left on", "median", "p99.9", "worst", "allowed")
    return Table(
        f"from the death of a program to off, in its guard (lease {told(LEASE_SECONDS)})", head, tuple(rows)
    )


def _row(way: str, trials: int, allowed: str) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.dying", str(trials), str(LEASE_SECONDS), way],
            env={**os.environ, SHARED_VARIABLE: folder},  # nobody else's guards
            capture_output=True,
            text=True,
            check=True,
        )
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    left_on = sum(not (row["off"] and row["still off"]) for row in found)
    return (
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
