"""What a source-measure unit does by itself: sweeps, lists, pulses, trigger models, action by action.

A run is an iterator of actions that a front writes in the order in which its instrument does them. In virtual
time a run ends before the reply to the command that began it; one that has no end goes on by `SLICE` for each
message that comes. On a real clock it goes on as time does, and can be cut at any instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from sim_backend.emulators.serving.instrument import Blocked
from sim_backend.emulators.smu.core import Smu
from sim_backend.emulators.smu.model import Reading

SLICE = 0.01
"""[s] that a run without an end goes on by for each message, in virtual time."""
MOST_ACTIONS = 10_000_000
"""After so many in one go a run is taken for one without an end."""


class Wait(NamedTuple):
    """Hold what is there for so long [s]."""

    seconds: float


class Measure(NamedTuple):
    """One reading, and who gets it."""

    take: Callable[[Reading], None]


class Do(NamedTuple):
    """Anything that takes no time: a level, the output, a count."""

    act: Callable[[], None]


Action: TypeAlias = Wait | Measure | Do


class Runner:
    """At most one run at a time of one channel."""

    def __init__(self, smu: Smu) -> None:
        self._smu = smu
        self._actions: Iterator[Action] | None = None
        self._endless = False
        self._left: Action | None = None

    @property
    def active(self) -> bool:
        """Whether a run is under way."""
        return self._actions is not None

    def start(self, actions: Iterator[Action], endless: bool = False) -> None:
        """Begin a run, and go on with it as far as time allows."""
        self._actions, self._endless, self._left = actions, endless, None
        self.advance()

    def stop(self) -> None:
        """Cut it here: what has happened stays, nothing else does."""
        self._actions = self._left = None

    def wait(self) -> None:
        """Nothing if no run is under way; otherwise `Blocked` until its next action is due, or its end."""
        self.advance()
        if self._actions is not None:
            clock = self._smu.clock
            step = self._seconds(self._left) if self._left else 0.0
            raise Blocked(clock.due(clock.seconds + step) if clock.real else float("inf"))

    def advance(self) -> None:
        """Go on: on a real clock up to now, otherwise to the end."""
        clock = self._smu.clock
        if self._actions is None:
            if clock.real and (idle := clock.now() - clock.seconds) > 0:
                self._smu.hold(idle)
            return
        until = clock.now() if clock.real else clock.seconds + SLICE if self._endless else float("inf")
        for _ in range(MOST_ACTIONS):
            action = self._left or next(self._actions, None)
            self._left = None
            if action is None:
                self._actions = None
                return
            if not self._performed(action, until):
                return
            if not self.active:  # an action stopped the run
                return
        self._endless = True

    def _performed(self, action: Action, until: float) -> bool:
        """Whether it is done; what is left of it is kept."""
        smu, now = self._smu, self._smu.clock.seconds
        match action:
            case Do():
                action.act()
            case Wait():
                part = min(action.seconds, until - now)
                if part > 0:
                    smu.hold(part)
                if part < action.seconds:
                    self._left = Wait(action.seconds - max(part, 0.0))
                    return False
            case Measure():
                if now + self._seconds(action) > until:
                    self._left = action
                    return False
                action.take(smu.measure())
        return True

    def _seconds(self, action: Action) -> float:
        match action:
            case Wait():
                return action.seconds
            case Measure():
                return max(map(self._smu.aperture, self._smu.modes.sensed), default=0.0)
            case Do():
                return 0.0
