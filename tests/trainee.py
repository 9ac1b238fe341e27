"""Training sessions that are killed or interrupted, at random moments: a harness.

`nursery` forks one `labctl` after another, so that a trial costs a session instead of the start of a
Python; it runs in a process of its own. In each child `Store.record` says, when it has returned,
which pulses are acknowledged. Then the signal comes, and the next child goes on with the run.
"""

import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from labctl import cli
from labctl.errors import BadRun
from labctl.journal import Journal
from labctl.store import Store

ROOT = Path(__file__).resolve().parent.parent
SESSION = [str(ROOT / "examples/letters.toml"), "--bench", str(ROOT / "benches/network-cr-twin.toml")]


def _child(arguments: Sequence[str], pipe: int, complaints: int) -> None:
    """`labctl` with these arguments, in this process; ends it with the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(complaints, 2)
    sys.modules["labctl.report.pictures"] = None  # type: ignore[assignment]  # no pictures: they take longer
    record = Store.record

    def and_say(store: Store, *rest: Any) -> None:
        record(store, *rest)
        os.write(pipe, b"%d\n" % store.acknowledged)

    Store.record = and_say  # type: ignore[method-assign]
    os._exit(cli.run(arguments))


def life(arguments: Sequence[str], number: int = 0, after: float = 0.0) -> dict[str, Any]:
    """One `labctl`; sent the signal of that number after so long, unless it is 0."""
    reading, writing = os.pipe()
    complaints = TemporaryFile()  # noqa: SIM115 -- closed below, when the child has written its last
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _child(arguments, writing, complaints.fileno())
        finally:
            os._exit(99)
    os.close(writing)
    said, trained = b"", 0.0
    waiting: float | None = after if number else None
    while True:
        if waiting is not None and (left := began + waiting - time.monotonic()) <= 0:
            os.kill(child, number)
            waiting = None
        elif select.select([reading], [], [], None if waiting is None else left)[0]:
            if not (chunk := os.read(reading, 65536)):
                break
            said += chunk
            trained = time.monotonic() - began
    os.close(reading)
    _, status = os.waitpid(child, 0)
    acknowledged = max(map(int, said.split()), default=0)
    with complaints:
        complaints.seek(0)
        complained = complaints.read().decode()
    return {
        "complained": complained,
        "acknowledged": acknowledged,
        "code": os.waitstatus_to_exitcode(status),
        "seconds": trained,
    }


def intended(base: Path, name: str) -> int | None:
    """Pulses intended so far; None where there is no run yet."""
    try:
        with Journal.open(base, name) as journal:
            return journal.counts()["intended"]
    except BadRun:
        return None


def trial(
    base: Path, name: str, session: Sequence[str], number: int, source: random.Random, seconds: float
) -> dict[str, Any]:
    """A run that is begun, and gone on with, until it comes to its end; hit by two signals on the way.

    A session that ends before its journal is whole has driven nothing: the next begins under a new name.
    """
    lives: list[dict[str, Any]] = []
    for after in (source.uniform(0, seconds), source.uniform(0, seconds), None):
        before = intended(base, name)
        if before is None and (base / name).exists():
            name += "-again"
        command = ["resume", name] if before is not None else ["train", *session, "--name", name]
        ended = life([*command, "--runs", str(base)], number if after is not None else 0, after or 0.0)
        lives.append({**ended, "before": before, "resumed": before is not None, "hit": after is not None})
        if ended["code"] == 0 or is_finished(base, name):
            break
    return {"name": name, "lives": lives}


def is_finished(base: Path, name: str) -> bool:
    """True where the result was written down before the signal came."""
    if intended(base, name) is None:
        return False
    with Journal.open(base, name) as journal:
        return any(note.kind == "result" for note in journal.notes())


def nursery(base: Path, session: Sequence[str], trials: int, number: int, seed: int) -> None:
    """Print one line of JSON a trial of this experiment (and `--bench`, and a bench)."""
    source = random.Random(seed)
    whole = ["train", *session, "--runs", str(base), "--name"]
    life([*whole, "first"])  # compiles, where the cache is cold
    seconds = min(life([*whole, name])["seconds"] for name in ("second", "third", "fourth"))
    for index in range(trials):
        sys.stdout.write(json.dumps(trial(base, f"run-{index}", session, number, source, seconds)) + "\n")
        sys.stdout.flush()


def warm() -> None:
    """Import what a session imports, so that a child starts with it."""
    from labctl import training_run  # noqa: F401
    from labctl.commands import progress  # noqa: F401
    from labctl.pages import run  # noqa: F401
    from sim_backend import compact  # noqa: F401


if __name__ == "__main__":
    warm()
    nursery(
        Path(sys.argv[1]),
        sys.argv[5:] or SESSION,
        int(sys.argv[2]),
        int(getattr(signal, sys.argv[3])),
        int(sys.argv[4]),
    )
