"""Bytes to an instrument and back: what every link to one promises.

Every call has one deadline for all that it does, not one for each piece; a reply has a length that it may
not exceed. After a time-out the answer may still come, and would be taken for that of the next question:
so a link that timed out is closed, and the next call opens it afresh. What goes wrong is one of three:
`BoardHung` (no answer in time), `BoardGone` (the link ended) and `BoardFault` (an answer that is none).
Whether outputs are off, a link does not know: its errors say UNKNOWN, and the board that owns it finds out.
"""

from __future__ import annotations

from typing import Protocol

MOST_BYTES = 2**20
"""A reply that is longer is no reply, unless a driver asks for more."""


class Transport(Protocol):
    """One link to one instrument, for one thread at a time."""

    address: str
    """As the bench file names it: for messages."""

    def open(self) -> None:
        """Open the link, or do nothing if it is open. Every other call does it if need be."""
        ...

    def close(self) -> None:
        """Close it, whatever state it is in. Harmless twice; raises nothing."""
        ...

    def write(self, data: bytes) -> None:
        """Send all of it, terminator included, within the deadline."""
        ...

    def read(self, end: bytes = b"\n", *, seconds: float | None = None, most: int = MOST_BYTES) -> bytes:
        """A reply up to `end`, without it; `seconds` in place of the link's own deadline."""
        ...

    def read_exactly(self, count: int, *, seconds: float | None = None) -> bytes:
        """So many bytes, whatever they are: a binary block."""
        ...

    def ask(
        self, data: bytes, end: bytes = b"\n", *, seconds: float | None = None, most: int = MOST_BYTES
    ) -> bytes:
        """Send, and wait for the reply: one deadline for both."""
        ...
