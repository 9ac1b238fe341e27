"""Programs that die, one way or another, while a guarded lamp is on: when does the light go out?

Each dying program is forked from a warm process, so that a trial costs the start of a guard and no more.
As a program, this is that warm process: `python -m tests.dying TRIALS WAY...` prints a line of JSON a trial.
"""

import ctypes
import faulthandler
import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labctl.errors import BoardGone, Outputs
from labctl.guard import Guarded, Guarding
from labctl.guard.client import LEASE_SECONDS
from labctl.making import board_of
from labctl.places import shared
from tests.lamp import PULSE, Lamp, Light

HOLD = 0.002
"""[s] that a pulse takes; a list has fifty."""
WAYS = ("exception", "SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "forked", "segfault", "exit", "hog", "SIGSTOP")
HANGING = ("hog", "SIGSTOP")
"""Ways that end nothing: only the lease sees them."""
GONE = 3
"""What a program that came back from hanging ends with when all was as it should be."""


def guarded(light: Path, *, lease: float = LEASE_SECONDS, idle: float = 60.0, **settings: Any) -> Guarded:
    table = {"light": str(light), **settings}
    guarding = Guarding("tests.lamp:Lamp", table, "test", str(light), lease, idle)
    return Guarded(board_of(Lamp, table, "test"), guarding)


def _die(way: str, driving: Callable[[], bool], seconds: float) -> None:
    """Some time after it was lit, in a thread of its own: nothing of the interpreter is asked to agree."""
    _until(driving, 30.0)
    time.sleep(seconds)
    match way:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(1)
        case "forked":  # while another process has copies of all that it had open
            if os.fork() == 0:
                time.sleep(1.0)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
        case "hog":
            ctypes.PyDLL(None).usleep(1_500_000)  # in C, with Python's lock held
        case _:
            pass


def _mortal() -> None:
    """As a program begins: who runs the tests may have set signals aside (`nohup`, a shell's background)."""
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def ended_by(way: str, driving: Callable[[], bool], seconds: float) -> Iterator[None]:
    """What is inside ends this way, so long after it drives; a signal comes from outside."""
    _mortal()
    threading.Thread(target=_die, args=(way, driving, seconds), daemon=True).start()
    yield


def _program(way: str, light: Path, seconds: float, lease: float) -> int:
    """Drive until it is over."""
    _mortal()
    with guarded(light, lease=lease, hold=f"{HOLD} s") as board:
        lamp = Light(light)
        threading.Thread(target=_die, args=(way, lambda: lamp.on, seconds), daemon=True).start()
        until = time.monotonic() + (seconds if way == "exception" else 60.0)
        while time.monotonic() < until:
            try:
                board.apply([PULSE] * 50)
            except BoardGone as gone:
                return GONE if "lease lost" in gone.wrong and gone.outputs is Outputs.OFF else 4
        raise RuntimeError("what now?")


def trial(way: str, light: Path, source: random.Random, lease: float = LEASE_SECONDS) -> dict[str, Any]:
    """One program, dead; whether the light is off, and how long [s] after a signal it went off."""
    seconds = source.uniform(0.0, 0.08)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, 2)
            code = _program(way, light, seconds, lease)
        finally:
            os._exit(code)
    lamp = Light(light)
    try:
        _until(lambda: lamp.on or lamp.times_off > 0, 30.0)  # it may have been quick
        if way.startswith("SIG"):
            time.sleep(seconds)
        at = time.monotonic()
        if way.startswith("SIG"):
            os.kill(child, signal.Signals[way])
        off = _until(lambda: lamp.times_off > 0, 10.0) and not lamp.on
        result = {"way": way, "off": off, "seconds": lamp.off_at - at}
        if way == "SIGSTOP":
            os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, 0)
        result["ended"] = status
        result["left"] = [] if _until(lambda: not notes(), 5.0) else notes()
        result["still off"] = not lamp.on
        return result
    finally:
        lamp.close()


def notes() -> list[str]:
    """What guards have left behind."""
    return [path.name for path in shared().glob("guard-*")]


def _until(condition: Any, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.0005)
    return True


def main(trials: int, ways: list[str], lease: float) -> None:
    source = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(trials):
            for way in ways:
                found = trial(way, Path(folder) / f"light-{number}-{way}", source, lease)
                sys.stdout.write(json.dumps(found) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[3:] or list(WAYS), float(sys.argv[2]))
