"""One client's bytes, in and out: messages cut at terminators, replies that faults hold back."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator

from sim_backend.emulators.serving.faults import Chunk, Faults
from sim_backend.emulators.serving.instrument import Instrument

MOST_INPUT = 1 << 20
"""Bytes without a terminator that are kept."""
ROOM = 65536


class Client:
    """Whoever is at the other end of a non-blocking descriptor."""

    def __init__(self, fd: int, instrument: Instrument, faults: Faults | None) -> None:
        self.fd = fd
        self.gone = False
        self.watched = False
        """Whether the loop looks for room to write."""
        self.serve: Callable[[int], None] = lambda events: None
        self._instrument, self._faults = instrument, faults
        self._inbox = b""
        self._outbox = b""
        self._held = deque[tuple[Iterator[Chunk], bool]]()
        self._next: tuple[float, bytes] | None = None

    @property
    def due(self) -> float:
        """`time.monotonic()` at which `flush` has something to say."""
        return self._next[0] if self._next and not self._outbox else math.inf

    @property
    def wants_room(self) -> bool:
        """Whether more is to be sent than went through."""
        return bool(self._outbox)

    def take(self) -> bool:
        """What has come, into messages, and what the instrument has to say to them; whether anything had."""
        try:
            data = os.read(self.fd, ROOM)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.gone = True
            return False
        *messages, self._inbox = (self._inbox + data).split(self._instrument.terminator)
        if len(self._inbox) > MOST_INPUT:
            self._inbox = b""
            self._instrument.overrun()
        if self._faults is None:
            receive = self._instrument.receive
            for message in messages:
                self._outbox += receive(message)
            return True
        for message in messages:
            self._suffer(message, self._faults)
        return True

    def say(self, message: bytes, reply: bytes) -> None:
        """A reply that was put off, or that a fault may touch."""
        if not reply:
            return
        if self._faults is None:
            self._outbox += reply
        else:
            self._held.append(self._faults.sent(message, reply))

    def forget(self) -> None:
        """All that was to be read or said."""
        self._inbox = self._outbox = b""
        self._held.clear()
        self._next = None

    def flush(self) -> None:
        """Send what can be sent now."""
        while not self.gone:
            if not self._outbox and not self._ripe():
                return
            try:
                self._outbox = self._outbox[os.write(self.fd, self._outbox) :]
            except BlockingIOError:
                return
            except OSError:
                self.gone = True

    def _suffer(self, message: bytes, faults: Faults) -> None:
        fault = faults.met(message)
        match fault and fault.what:
            case "ignore":
                return
            case "hang-up":
                self.gone = True
                return
            case "echo":
                self.say(message, message + self._instrument.terminator)
                return
            case "power-cycle":
                self._instrument.power_cycle()
            case "local" if fault:
                self._instrument.receive(fault.amount.encode())
            case _:
                pass
        self.say(message, self._instrument.receive(message))

    def _ripe(self) -> bool:
        """Whether a chunk that was held back is to be sent now: it is in the outbox then."""
        while self._next is None and self._held:
            chunks, ends = self._held[0]
            chunk = next(chunks, None)
            if chunk is not None:
                self._next = time.monotonic() + chunk[0], chunk[1]
            else:
                self._held.popleft()
                self.gone = self.gone or ends
        if self.gone or self._next is None or self._next[0] > time.monotonic():
            return False
        self._outbox, self._next = self._next[1], None
        return bool(self._outbox) or self._ripe()
