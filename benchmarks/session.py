"""A whole training session: on ngspice and on the twin, its simulated bench time against wall time."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.table import Table, told
from labctl.bench import Bench
from labctl.energy import Ledger
from labctl.experiment import images_of, read_experiment
from labctl.session import run
from labctl.training.assignment import assign
from labctl.training.controller import train
from labctl.training_run import Finished, begin
from labctl.training_session import Session

ROOT = Path(__file__).resolve().parent.parent
LETTERS = ROOT / "examples" / "letters.toml"


def sessions() -> Table:
    """The controller with limits and bill; and all of it, with journal and software training."""
    rows = list[tuple[str, ...]]()
    for dopant in ("cr", "w", "c", "sn"):
        benches = [
            Bench.read(ROOT / "benches" / f"network-{dopant}-{kind}.toml") for kind in ("ngspice", "twin")
        ]
        slow, fast = (_controller(bench) for bench in benches)
        (slow_all, spice), (fast_all, twin) = (_everything(bench) for bench in benches)
        spent = twin.ledger.total()
        bench_time = float(spent.seconds.sum())
        rows.append(
            (
                dopant.capitalize(),
                f"{spent.pulses}",
                told(bench_time),
                told(slow),
                told(fast),
                f"{slow / fast:.0f}",
                told(slow_all),
                told(fast_all),
                f"{fast_all / bench_time:.1f}",
                f"{spice.trained.right}, {twin.trained.right}",
            )
        )
    head = ("dopant", "pulses", "bench time", "ngspice", "twin", "times faster", "ngspice, all", "twin, all")
    return Table(
        "one training session (letter z): controller, limits, bill; all: with software training and journal",
        (*head, "twin, all / bench time", "right of 30"),
        tuple(rows),
    )


def _controller(bench: Bench) -> float:
    """[s] from the first read to the last answer, nothing written down; the median of five."""
    experiment = read_experiment(LETTERS)
    images = images_of(experiment, LETTERS.parent)
    times = list[float]()
    for _ in range(6):
        with tempfile.TemporaryDirectory() as folder, bench.board(Path(folder)) as board:
            assignment = assign(images, board.spec, experiment.training.software)
            plan = train(assignment, board.spec, experiment.training)
            start = time.perf_counter()
            run(plan, board, ledger=Ledger())
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _everything(bench: Bench) -> tuple[float, Finished]:
    """[s] of the median of three sessions, after one that warms up, and what that one came to."""
    experiment = read_experiment(LETTERS)
    session = Session(experiment, images_of(experiment, LETTERS.parent), bench)
    runs = list[tuple[float, Finished]]()
    for _ in range(4):
        with tempfile.TemporaryDirectory() as base:
            start = time.perf_counter()
            finished = begin(session, Path(base), "bench", lambda *_: lambda *_: None)
            runs.append((time.perf_counter() - start, finished))
    return sorted(runs[1:], key=lambda one: one[0])[1]
