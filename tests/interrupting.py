"""Ctrl-C at one bytecode after the other of opening, driving and leaving a guarded lamp: is it ever left on?

As a program: `python -m tests.interrupting FIRST STEP [LAST]` prints a line of JSON for each position that it
tried, until there is none any more. All Python code counts that runs in the thread that drives: ours, and the
standard library's below it.
"""

import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from labctl.board import Board
from tests.dying import guarded, notes
from tests.lamp import PULSE, Light


def _drive(board: Board) -> None:
    with board:
        board.apply([PULSE])


def positions(work: Callable[[], None], at: int) -> tuple[int, bool]:
    """How many bytecodes ran, and whether the interrupt at number `at`, the only one, was raised."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        if event == "opcode":
            count += 1
            if count == at:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        work()
    except (KeyboardInterrupt, RuntimeError):  # a lock of Python's own may be in between when it comes
        return count, True
    finally:
        sys.settrace(None)
    return count, False


def trial(light: Path, at: int) -> dict[str, Any]:
    """One position: whether the lamp is off when the board is dropped, and soon after at the latest."""
    lamp = Light(light)
    count, raised = positions(partial(_drive, guarded(light, lease=0.5)), at)
    gc.collect()
    off_at_once = not lamp.on
    deadline = time.monotonic() + 5.0
    while (lamp.on or notes()) and time.monotonic() < deadline:
        time.sleep(0.001)
    found = {"at": at, "raised": raised, "count": count, "off at once": off_at_once}
    found |= {"off": not lamp.on, "driven": lamp.times_off > 0, "left": notes()}
    lamp.close()
    return found


def main(first: int, step: int, last: int) -> None:
    """Every `step`-th position from `first` on."""
    with tempfile.TemporaryDirectory() as folder:
        for at in range(first, last, step):
            found = trial(Path(folder) / f"light-{at}", at)
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
            if not found["raised"]:
                return


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else sys.maxsize)
