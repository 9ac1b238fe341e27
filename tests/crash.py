"""kill -9 at random moments, at chosen bytes of a write, and of any command: a harness.

`nursery` forks one child after another, so that a trial costs milliseconds instead of the start of
a Python; it runs in a process of its own, which has no threads. Each child drives random lists
over a board that does nothing, resuming what the one before it left, and says through a pipe which
pulses were acknowledged. Then it is killed, and what it had said is compared with the journal.
"""

import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from labctl import session
from labctl.energy import Charge, Ledger
from labctl.journal import Journal
from labctl.plan import Plan
from labctl.pulse import Pulse, Purpose, Trace
from labctl.store import Store
from tests.boards import SPEC, NullBoard

LIVES = 20
"""Children that go on with a run, one killed after the other, before the next run is begun."""
KEEP_BYTES = 20_000
"""Used up on the way, so that kept and dropped waveforms are both there."""


def killed(command: Sequence[str], seconds: float) -> bool:
    """Start a command, kill -9 it (and what it started) after so long; False if it had ended by then."""
    child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return True
    return False


def random_lists(seed: int) -> Plan[None]:
    """Lists of 1 to 40 pulses, for ever; no two pulses of all trials are alike."""
    source = np.random.default_rng(seed)
    driven = np.array([True, True])
    while True:
        pulses: list[Pulse] = []
        for _ in range(int(source.integers(1, 41))):
            corners = int(source.integers(2, 9))
            volts = np.column_stack([source.uniform(-0.5, 0.5, corners), np.zeros(corners)])
            seconds = np.concatenate([[0.0], np.cumsum(source.uniform(1e-5, 1e-4, corners - 1))])
            pulses.append(Pulse(seconds, volts, driven, source.choice(list(Purpose))))
        yield pulses


def _child(base: Path, name: str, seed: int, pipe: int, most_bytes: int | None) -> None:
    """Drive until killed; each acknowledged pulse is said by its number."""
    if most_bytes is not None:  # the write that reaches this byte of a file is cut there, and kills
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with Store.resume(base, name) as store, NullBoard() as board:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

        def say(pulses: Sequence[Pulse], traces: Sequence[Trace], charges: Sequence[Charge]) -> None:
            os.write(pipe, b"%d\n" % store.acknowledged)

        session.run(random_lists(seed), board, ledger=Ledger(), store=store, observer=say)


def _trial(base: Path, name: str, seed: int, source: random.Random) -> dict[str, int]:
    """One child, killed; what it acknowledged and what the journal has."""
    most_bytes = source.randrange(500_000) if seed % 2 else None
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _child(base, name, seed, writing, most_bytes)
        finally:
            os._exit(3)
    os.close(writing)
    if most_bytes is None:
        if seed % 4:  # else also while the run is being opened
            select.select([reading], [], [])
        time.sleep(source.uniform(0, 0.04))
        os.kill(child, signal.SIGKILL)
    said = b""
    while select.select([reading], [], [])[0] and (chunk := os.read(reading, 65536)):
        said += chunk
    os.close(reading)
    _, status = os.waitpid(child, 0)
    acknowledged = [int(line) for line in said.split()]
    return {"acknowledged": max(acknowledged, default=0), "ended by": status}


def nursery(base: Path, trials: int, seed: int) -> None:
    """Print one line of JSON a trial: what was acknowledged, what is lost, what is unknown."""
    source = random.Random(seed)
    known: set[int] = set()
    for trial in range(trials):
        name = f"run-{trial // LIVES}"
        if trial % LIVES == 0:
            Store.create(base, name, SPEC, {}, keep_bytes=KEEP_BYTES).close()
            known = set()
        result = _trial(base, name, seed + trial, source)
        with Journal.open(base, name) as journal:
            new = [entry for entry in journal.unknown() if entry.id not in known]
            counts = journal.counts()
        known |= {entry.id for entry in new}
        result["unknown lists"] = len({entry.list for entry in new})
        result["intended"] = counts["intended"]
        result["lost"] = sum(number <= result["acknowledged"] for number in (entry.id for entry in new))
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    nursery(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
