"""How far a study is: chips done, how fast, and how long the rest will take.

Chips of different conditions cost different times, so what is left is told from the pace of the last
minute. On a terminal it is a bar; elsewhere a plain line for each twentieth of the work. All of it
goes to stderr.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from labctl.commands.progress import BAR_SECONDS, rich_bar
from labctl.console import is_terminal

if TYPE_CHECKING:
    from labctl.energy import Charge, Ledger
    from labctl.pulse import Pulse, Trace
    from labctl.session import Observer
    from labctl.spec import Spec
    from labctl.training.assignment import Assignment

PACE_SECONDS = 60.0
"""[s] over which the pace is taken."""
LINE_SHARE = 0.05
"""Of the work, between two plain lines."""


class StudyProgress:
    """Told how many chips, or other `things`, are done; entered around the work."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None, things: str = "chips") -> None:
        self._stream = stream or sys.stderr
        self._things = things
        self._quiet = quiet
        self._bar: Any = None
        self._next = 0.0
        self._line_at = 0.0
        self._seen = deque[tuple[float, int]]()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def told(self, done: int, total: int) -> None:
        """So many chips of so many are done."""
        now = time.monotonic()
        self._seen.append((now, done))
        while self._seen[0][0] < now - PACE_SECONDS and len(self._seen) > 2:
            self._seen.popleft()
        if not self._quiet:
            with suppress(OSError, ValueError):  # nobody is looking any more
                self._draw(now, done, total)

    def watch(self, assignment: Assignment, spec: Spec, ledger: Ledger) -> Observer:
        """For a run on a board that is there: its pulses are not told, its end is."""

        def unseen(pulses: Sequence[Pulse], traces: Sequence[Trace], charges: Sequence[Charge]) -> None:
            return

        return unseen

    def line(self, done: int, total: int) -> str:
        """All that is known, in one line."""
        (first, before), (last, _) = self._seen[0], self._seen[-1]
        pace = (done - before) / (last - first) if last > first else 0.0
        left = f"{_clock((total - done) / pace)} left" if pace > 0 and done < total else ""
        rate = f"{pace:.1f}/s" if pace > 0 else ""
        return "; ".join(part for part in (f"{done} of {total} {self._things}", rate, left) if part)

    def _draw(self, now: float, done: int, total: int) -> None:
        if is_terminal(self._stream):
            if self._bar is None:
                self._bar = rich_bar(self._stream, total)
            if now >= self._next or done == total:
                self._next = now + BAR_SECONDS
                self._bar.update(0, completed=done, description=self.line(done, total), refresh=True)
        elif done >= self._line_at:
            self._line_at = done + max(1.0, LINE_SHARE * total)
            self._stream.write(self.line(done, total) + "\n")
            self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
