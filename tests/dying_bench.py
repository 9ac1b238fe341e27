"""Programs that die while an emulated Keithley 2450 drives: when does its source go off?

As `tests.dying`, but with everything in between: the program's guard, the driver, a TCP link, and an
instrument that takes real time for a level and whose witness says when nothing was driven any more.
`python -m tests.dying_bench TRIALS WAY...` prints a line of JSON a trial.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from labctl.addressing import select
from labctl.guard import Guarded, Guarding
from labctl.guard.client import LEASE_SECONDS
from labctl.making import board_class, board_of
from labctl.pulse import Purpose
from labctl.shapes import square
from sim_backend.emulators.serving.witness import Witness
from tests.dying import HANGING, _until, ended_by, notes

METER = "drivers.keithley2450:Keithley2450"
WAYS = ("exception", "SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "segfault", "SIGSTOP")
LEVEL, LONG_LEVEL = 0.2, 3.0
"""[s] that it stands at 1 V in each pulse; of a program that hangs, longer than its lease."""


def bench(address: str, lease: float = LEASE_SECONDS) -> Guarded:
    """A 2450 with a resistor of 10 kohm, in a guard."""
    table = {"address": address, "dopant": "W", "series": "10 kohm", "limits": {"longest_pulse": "5 s"}}
    told = Guarding(METER, table, "test", "test", lease, 60.0)
    return Guarded(board_of(board_class(METER, "test"), table, "test"), told)


def _program(way: str, address: str, eye: Witness, seconds: float) -> None:
    """Drive until it is over."""
    with bench(address) as board:
        level = LONG_LEVEL if way in HANGING else LEVEL
        wave = square(1.0, level, min(1e-3, 0.9 * board.spec.edge_seconds))
        pulse = select(board.spec, 0, wave, Purpose.PROGRAM)
        with ended_by(way, lambda: eye.look().live > 0, seconds):
            for number in range(100):
                if way == "exception" and number:
                    raise RuntimeError("what now?")
                board.apply([pulse])


def trial(way: str, address: str, eye: Witness, source: random.Random) -> dict[str, Any]:
    """One program, dead; whether the source is off, and how long [s] after the signal it went off."""
    seconds, before = source.uniform(0.0, 0.1), eye.look().changes
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            _program(way, address, eye, seconds)
        finally:
            os._exit(1)
    lit = _until(lambda: eye.look().changes > before, 30.0)
    at = time.monotonic()
    if way.startswith("SIG"):
        time.sleep(seconds)
        at = time.monotonic()
        os.kill(child, signal.Signals[way])
    if way not in HANGING:
        os.waitpid(child, 0)
    over = _until(lambda: not notes(), 10.0)  # the guard has ended, and says that outputs are off
    seen = eye.look()
    if way in HANGING:
        os.kill(child, signal.SIGCONT)
        os.waitpid(child, 0)
    return {"way": way, "lit": lit, "off": over and seen.live == 0, "seconds": max(seen.off_at - at, 0.0)}


def main(trials: int, ways: list[str]) -> None:
    source = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "witness"
        command = [sys.executable, "-m", "labctl", "emulate", "keithley2450", "--realtime", "--json"]
        behind = ["--resistor", "10 kohm", "--series", "10 kohm", "--witness", str(file)]
        with subprocess.Popen([*command, *behind], stdout=subprocess.PIPE, text=True) as emulator:
            try:
                assert emulator.stdout is not None
                address = json.loads(emulator.stdout.readline())["instruments"][0]["address"]
                with Witness.of(file) as eye:
                    for _ in range(trials):
                        for way in ways:
                            sys.stdout.write(json.dumps(trial(way, address, eye, source)) + "\n")
                            sys.stdout.flush()
            finally:
                emulator.kill()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:] or list(WAYS))
