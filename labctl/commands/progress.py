"""What a run says while it works: sites or steps done, rate, joules so far, time left.

It watches the one loop from outside and must cost it nothing: a list of pulses is counted in under
a microsecond, and drawn only when it is time to. On a terminal it is a bar that changes ten times
a second; elsewhere a plain line for each tenth of the work, at most one a second. All of it goes to
stderr, so that stdout holds answers alone. A terminal that goes away does not end the session.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from labctl.console import is_terminal
from labctl.pulse import Purpose
from labctl.quantity import format_quantity, printable

if TYPE_CHECKING:
    from labctl.characterization_run import Advance
    from labctl.energy import Charge, Ledger
    from labctl.pulse import Pulse, Trace
    from labctl.session import Observer
    from labctl.spec import Spec
    from labctl.training.assignment import Assignment

BAR_SECONDS = 0.1
"""[s] between two pictures of the bar."""
LINE_SECONDS = 1.0
"""[s] between two plain lines, at least."""
LINE_SHARE = 0.1
"""Of the sites, between two plain lines, at least."""


ALONE = 2
"""Pulses in a list that writes to one site: it and the read after it. A round of several has more."""


class _Sites:
    """How far a training session has come: the site that it programs now, or those not in the round any more.

    Once the chip has answered, its sites are done; what is programmed then, it learns.
    """

    things = "sites"

    def __init__(self, assignment: Assignment, spec: Spec) -> None:
        order = [int(site) for site in assignment.placement.order()]
        self._order = {site: index for index, site in enumerate(order)}
        self._spec = spec
        self.total, self.done, self.doing = len(order), 0, "starting"
        self._round = 0
        """Sites in the last round; 0 where sites are visited one by one."""
        self._answered = False

    def see(self, charges: Sequence[Charge]) -> None:
        purpose, site = charges[0][:2]
        if purpose is Purpose.INFER:
            self.done, self._answered = self.total, True
        elif purpose is Purpose.PROGRAM and site is not None and not self._answered:
            if len(charges) > ALONE:
                self._round = sum(charge[0] is Purpose.PROGRAM for charge in charges)
            now = self.total - self._round if self._round else self._order.get(site, 0)
            self.done = max(self.done, now)

    def look(self, charges: Sequence[Charge]) -> None:
        """Say what it is doing: only when it is to be shown."""
        purpose, site = charges[0][:2]
        if purpose is Purpose.INFER or not self._answered:
            programmed = f"round of {self._round}" if self._round else self._spec.label(site or 0)
            self.doing = programmed if purpose is Purpose.PROGRAM else str(purpose)
        else:
            self.doing = "learning"


class _Steps:
    """How far a characterization has come: the step that it is in, as it says itself."""

    things = "steps"

    def __init__(self, advance: Advance, spec: Spec) -> None:
        self._advance, self._spec = advance, spec
        self.total, self.done, self.doing = advance.total, advance.done, "starting"

    def see(self, charges: Sequence[Charge]) -> None:
        self.done = self._advance.done

    def look(self, charges: Sequence[Charge]) -> None:
        """Say what it is doing: only when it is to be shown."""
        advance = self._advance
        self.doing = f"{advance.doing} on {self._spec.label(advance.site)}, {advance.rows} rows"


class Progress:
    """A `Watch` for `training_run`; its `steps` is one for `characterization_run`. Entered around the run."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._bar: Any = None
        self._every = BAR_SECONDS if is_terminal(self._stream) else LINE_SECONDS
        self._pulses = 0
        self._told = 0
        """Sites or steps done at the last plain line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, assignment: Assignment, spec: Spec, ledger: Ledger) -> Observer:
        """Begin to watch a training session."""
        return self._watch(_Sites(assignment, spec), ledger)

    def steps(self, advance: Advance, spec: Spec, ledger: Ledger) -> Observer:
        """Begin to watch a characterization."""
        return self._watch(_Steps(advance, spec), ledger)

    def _watch(self, work: _Sites | _Steps, ledger: Ledger) -> Observer:
        self._work, self._ledger = work, ledger
        self._began = time.monotonic()
        self._next = float("inf") if self._quiet else self._began + self._every
        if not self._quiet and is_terminal(self._stream):
            self._bar = rich_bar(self._stream, work.total)
        return self._observe

    def _observe(self, pulses: Sequence[Pulse], traces: Sequence[Trace], charges: Sequence[Charge]) -> None:
        if not charges:
            return
        self._pulses += len(charges)
        self._work.see(charges)
        if (now := time.monotonic()) >= self._next:
            self._next = now + self._every
            self._work.look(charges)
            with suppress(OSError, ValueError):  # nobody is looking any more
                self._draw(now)

    def _draw(self, now: float) -> None:
        if self._bar is not None:
            self._bar.update(
                0, completed=self._work.done, description=printable(self.line(now)), refresh=True
            )
        elif self._work.done >= self._told + LINE_SHARE * self._work.total:
            self._told = self._work.done
            self._stream.write(printable(self.line(now)) + "\n")
            self._stream.flush()

    def line(self, now: float) -> str:
        """All that is known, in one line."""
        elapsed = max(now - self._began, 1e-9)
        joules = format_quantity(float(self._ledger.total().joules[0]), "J", 3)
        done, total = self._work.done, self._work.total
        left = f"{elapsed / done * (total - done):.0f} s left" if 0 < done < total else ""
        parts = [
            f"{done} of {total} {self._work.things}, {self._work.doing}",
            f"{self._pulses} pulses",
            f"{self._pulses / elapsed:.0f}/s",
            joules,
            left,
        ]
        return "; ".join(part for part in parts if part)


def rich_bar(stream: TextIO, total: int) -> Any:
    """A bar on a terminal, drawn when it is told to."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    columns = (BarColumn(bar_width=30), TextColumn("{task.description}", markup=False))
    bar = RichProgress(
        *columns,
        console=Console(file=stream),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.start()
    bar.add_task("starting", total=total)
    return bar
