"""What every emulated instrument is: messages in, replies out, and a virtual clock. No links, no threads.

A message is what came before one terminator. A reply has its terminator already. Time inside is virtual: a
level that is held for a second changes the device by a second, and the reply comes at once. With a `Clock`
that is `real`, what takes long really takes it: a message that must wait (a reading, ``*OPC?``) is put off
by raising `Blocked`, the server asks again at `due`, and meanwhile what switches off is heard.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol


class Instrument(Protocol):
    """One emulated instrument, for one thread at a time."""

    terminator: bytes
    """Ends a message from the client."""
    due: float
    """`time.monotonic()` at which `poll` has something to say; infinity: nothing is put off."""

    def receive(self, message: bytes) -> bytes:
        """One message, without its terminator; the reply, with it, or nothing."""
        ...

    def poll(self) -> bytes:
        """What was put off and is ready now."""
        ...

    def power_cycle(self) -> None:
        """Off and on again at the mains: outputs off, settings as it wakes up with, queues empty."""
        ...

    def overrun(self) -> None:
        """More came without a terminator than there is room for; it is lost."""
        ...

    def suffer(self, fault: str, amount: str) -> bool:
        """Have one of `faults.STATES` from now on; False: this instrument cannot."""
        ...


class Blocked(Exception):
    """What was asked for is ready at `due` (`time.monotonic()`), and must be asked for again then."""

    def __init__(self, due: float) -> None:
        super().__init__(f"not before {due}")
        self.due = due


class Emulated:
    """An instrument that puts nothing off; others derive from it or do the same."""

    terminator = b"\n"
    due = math.inf

    def receive(self, message: bytes) -> bytes:
        """To be written."""
        raise NotImplementedError

    def poll(self) -> bytes:
        """Nothing was put off."""
        return b""

    def power_cycle(self) -> None:
        """To be written."""
        raise NotImplementedError

    def overrun(self) -> None:
        """It is lost, and nobody says so."""

    def suffer(self, fault: str, amount: str) -> bool:
        """None of them."""
        return False


@dataclass(slots=True)
class Clock:
    """Seconds since the instrument was switched on: virtual, or `real` too."""

    real: bool = False
    seconds: float = 0.0
    """[s] up to which the instrument has lived."""
    _zero: float = 0.0

    def __post_init__(self) -> None:
        """A real clock starts now."""
        self._zero = time.monotonic()

    def now(self) -> float:
        """[s] that it could have lived until: on a real clock, what has really passed."""
        return max(self.seconds, time.monotonic() - self._zero) if self.real else self.seconds

    def due(self, seconds: float) -> float:
        """`time.monotonic()` at `seconds` of this clock."""
        return self._zero + seconds
