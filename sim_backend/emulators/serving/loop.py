"""Whose turn it is: one thread that watches file descriptors, and wakes what is due."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Protocol

_AWAY = 1.0
"""[s] after which the loop looks whether it is to stop, if nobody woke it."""


class Watched(Protocol):
    """What a loop looks after."""

    @property
    def due(self) -> float:
        """`time.monotonic()` at which `tick` has something to do."""
        ...

    def start(self, loop: Loop) -> None:
        """Watch descriptors."""
        ...

    def tick(self) -> None:
        """Do what is due."""
        ...

    def close(self) -> None:
        """End."""
        ...


class Loop:
    """Some links, until it is told to stop."""

    def __init__(self, links: Sequence[Watched]) -> None:
        self._links = tuple(links)
        self._poll = select.poll()
        self._owners: dict[int, Callable[[int], None]] = {}
        self._bell, self._ringer = socket.socketpair()
        self._stopped = False
        self.watch(self._bell.fileno(), self._stop)

    def watch(self, fd: int, owner: Callable[[int], None], writing: bool = False) -> None:
        """Call `owner` with the events of `fd`: when it can be read, or written to as well."""
        self._owners[fd] = owner
        self._poll.register(fd, select.POLLIN | (select.POLLOUT if writing else 0))

    def unwatch(self, fd: int) -> None:
        """Do not, any more."""
        if self._owners.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def run(self) -> None:
        """Until `stop`, from whichever thread."""
        for link in self._links:
            link.start(self)
        while not self._stopped:
            due = min(link.due for link in self._links)
            wait = _AWAY if due == math.inf else min(max(due - time.monotonic(), 0.0), _AWAY)
            for fd, events in self._poll.poll(math.ceil(wait * 1000)):
                if owner := self._owners.get(fd):
                    owner(events)
            if due != math.inf:
                for link in self._links:
                    link.tick()

    def stop(self) -> None:
        """End `run`."""
        with contextlib.suppress(OSError):  # closed: it has ended
            self._ringer.send(b"!")

    def close(self) -> None:
        """Close the links and the bell."""
        for link in self._links:
            link.close()
        self._bell.close()
        self._ringer.close()

    def _stop(self, events: int) -> None:
        self._stopped = True
