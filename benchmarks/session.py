"""A whole training session: on ngspice and on the twin, its simulated bench time against wall time."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.table import Table, told
from labctl.bench import Bench
from labctl.experiment import images_of, read_experiment
from labctl.training_run import Finished, Session, begin

ROOT = Path(__file__).resolve().parent.parent


def sessions() -> Table:
    """Examine, program, read back and classify, with limits, bill and journal."""
    rows = list[tuple[str, ...]]()
    for dopant in ("cr", "w", "c", "sn"):
        slow, fast = _timed(f"network-{dopant}-ngspice"), _timed(f"network-{dopant}-twin")
        spent = fast[1].ledger.total()
        rows.append(
            (
                dopant.capitalize(),
                f"{spent.pulses}",
                told(float(spent.seconds.sum())),
                told(slow[0]),
                told(fast[0]),
                f"{slow[0] / fast[0]:.0f}",
                f"{slow[1].trained.right}, {fast[1].trained.right} of 30",
            )
        )
    return Table(
        "one training session of the 9-3-1 network (letter z), software training included",
        ("dopant", "pulses", "bench time", "ngspice", "twin", "times faster", "right (ngspice, twin)"),
        tuple(rows),
    )


def _timed(bench: str) -> tuple[float, Finished]:
    """[s] of the median of three sessions, after one that warms up, and what the last came to."""
    runs = [_session(bench) for _ in range(4)][1:]
    return sorted(runs, key=lambda run: run[0])[1]


def _session(bench: str) -> tuple[float, Finished]:
    path = ROOT / "examples" / "letters.toml"
    experiment = read_experiment(path)
    session = Session(
        experiment, images_of(experiment, path.parent), Bench.read(ROOT / "benches" / f"{bench}.toml")
    )
    with tempfile.TemporaryDirectory() as base:
        start = time.perf_counter()
        finished = begin(session, Path(base), "bench", lambda *_: lambda *_: None)
        return time.perf_counter() - start, finished
