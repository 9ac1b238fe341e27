"""A link made of bytes in a row, from three things that each kind of link knows how to do.

What a link promises (`drivers.links.transport`) is kept here once: one deadline for a whole call, a reply
no longer than agreed, everything sent or nothing believed, and a link that is dropped after anything went
wrong, a Ctrl-C included, so that the answer to one question is never taken for that of another. A kind of
link adds how it is opened, how some bytes go out, and how some come in; what these raise is `OSError`
(`TimeoutError` when the time is up), and is turned into the errors of this house here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import final

from drivers.links.transport import MOST_BYTES
from labctl.errors import BoardFault, BoardGone, BoardHung, Refused, Unavailable
from labctl.quantity import format_quantity, printable, quoted

CHUNK = 2**16
"""Bytes that are taken at once: what is held in memory never exceeds a reply's cap by more than this."""


class StreamLink(ABC):
    """One link to one instrument, for one thread at a time."""

    late_replies_survive = False
    """Whether an answer that comes too late is still there after the link was closed and opened again."""

    def __init__(self, address: str, seconds: float) -> None:
        if not seconds > 0:
            raise Refused(f"a deadline of {seconds} s", allowed="a time above zero")
        self.address = address
        self.seconds = float(seconds)
        self._held = bytearray()
        self._is_open = False
        self._was_open = False
        self._midway = False
        self._doubtful = False

    # ------------------------------------------------------------------ what a kind of link knows

    @abstractmethod
    def _connect(self, seconds: float) -> None:
        """Open, or raise `OSError`, or `Refused` with better words."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Close what is open of it; also after half an opening."""

    @abstractmethod
    def _send(self, data: memoryview, seconds: float) -> int:
        """Send some of the data, and say how many bytes."""

    @abstractmethod
    def _receive(self, seconds: float) -> bytes:
        """At most `CHUNK` bytes, as soon as there are any; none when there are none for a while."""

    def _waiting(self) -> bool:
        """Whether `_receive` would return, or find the link ended, at once; False where nobody knows."""
        return False

    # --------------------------------------------------------------------------- what is promised

    @final
    def open(self) -> None:
        """Open, or do nothing if it is. Raises `Unavailable` where nothing can be opened."""
        with self._call(None) as until:
            self._forget_late_replies(until)

    @final
    def close(self) -> None:
        """Close, whatever state it is in."""
        self._drop()
        self._was_open = False

    def write(self, data: bytes) -> None:
        """Send all of it, at once, whatever may still come of what was asked before. A link that is found to
        have ended is `BoardGone`, before anything is sent.
        """
        with self._call(None) as until:
            if self._waiting():  # an answer for the next `read`, or the end of the link
                self._hear(until)
                self._refuse_more_than(MOST_BYTES)
            self._send_all(data, until)

    @final
    def read(self, end: bytes = b"\n", *, seconds: float | None = None, most: int = MOST_BYTES) -> bytes:
        """A reply up to `end`, without it. After a time-out, `BoardHung` once where late replies survive:
        what comes may be one, unless it was asked for by `ask` or after `open`.
        """
        with self._call(seconds) as until:
            self._refuse_late_replies(until)
            return self._take(end, until, most)

    @final
    def read_exactly(self, count: int, *, seconds: float | None = None) -> bytes:
        """So many bytes. Room for them is made as they come, whatever an instrument says will come."""
        with self._call(seconds) as until:
            self._refuse_late_replies(until)
            while len(self._held) < count:
                self._hear(until)
            taken = bytes(self._held[:count])
            del self._held[:count]
            return taken

    def ask(
        self, data: bytes, end: bytes = b"\n", *, seconds: float | None = None, most: int = MOST_BYTES
    ) -> bytes:
        """Send, and wait for the reply. What came unasked before is `BoardFault`: it would be the answer."""
        with self._call(seconds) as until:
            self._forget_late_replies(until)
            if not self._held and self._waiting():
                self._hear(until)
            if self._held:
                raise BoardFault(
                    f"{self.address} sent {self._shown()}, which nobody asked for",
                    todo="see that no other program speaks to it, and that it sends no prompts",
                )
            self._send_all(data, until)
            return self._take(end, until, most)

    # ---------------------------------------------------------------------------------- the pieces

    @contextmanager
    def _call(self, seconds: float | None) -> Generator[float]:
        """One call, with its deadline; whatever goes wrong in it, the link is dropped, then or, where even
        that is interrupted, by the next call.
        """
        seconds = self.seconds if seconds is None else seconds
        until = monotonic() + seconds
        if self._midway:
            self._spoilt()
        self._midway = True
        try:
            if not self._is_open:
                self._begin(until)
            yield until
            self._midway = False
        except OSError as error:
            raise self._failure(error, seconds) from error
        except BaseException:
            self._spoilt()
            raise

    def _failure(self, error: OSError, seconds: float) -> BoardHung | BoardGone:
        """Drop the link, and say what is to be raised in place of the error."""
        failure = self._hung(seconds) if isinstance(error, TimeoutError) else self._gone(error)
        self._spoilt()
        return failure

    def _begin(self, until: float) -> None:
        try:
            self._connect(self._left(until))
        except (OSError, Refused) as error:
            if self._was_open and isinstance(error, TimeoutError):
                raise
            if self._was_open:
                again = f"{self.address} cannot be opened again: {why(error)}"
                raise BoardGone(again, todo="it was there before: see to its power and its cable") from error
            if isinstance(error, Refused):
                raise
            wrong = f"{self.address} cannot be opened: {why(error)}"
            raise Unavailable(wrong, todo="see to its power, its cable and the address") from error
        self._is_open = self._was_open = True

    def _spoilt(self) -> None:
        """Drop a link on which something may still come that belongs to what was asked before."""
        self._doubtful = self._doubtful or self._is_open
        self._drop()

    def _drop(self) -> None:
        self._is_open = False
        self._held.clear()
        with suppress(Exception):  # there is nothing to be done about a link that cannot be closed
            self._disconnect()
        self._midway = False

    def _forget_late_replies(self, until: float) -> None:
        """Where closing does not end them: listen for half the time there is, and believe nothing."""
        if self._doubtful and self.late_replies_survive:
            enough = monotonic() + self._left(until) / 2
            with suppress(TimeoutError):
                while True:
                    self._receive(self._left(enough))
            self._held.clear()
        self._doubtful = False

    def _refuse_late_replies(self, until: float) -> None:
        if self._doubtful and self.late_replies_survive:
            self._forget_late_replies(until)
            raise TimeoutError

    def _send_all(self, data: bytes, until: float) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._send(rest, self._left(until)) :]

    def _take(self, end: bytes, until: float, most: int) -> bytes:
        held, seen = self._held, 0
        while (at := held.find(end, seen)) < 0 and len(held) <= most:
            seen = max(0, len(held) - len(end) + 1)
            self._hear(until)
        self._refuse_more_than(most, at)
        reply = bytes(held[:at])
        del held[: at + len(end)]
        return reply

    def _refuse_more_than(self, most: int, size: int = -1) -> None:
        """`size` is that of a reply whose end has come; without one, it is all that is held."""
        if not (len(self._held) if size < 0 else size) <= most:
            raise BoardFault(
                f"{self.address} sent more than {most} bytes and no end of a reply: {self._shown()}",
                allowed=f"{most} bytes",
            )

    def _hear(self, until: float) -> None:
        self._held += self._receive(self._left(until))

    @staticmethod
    def _left(until: float) -> float:
        """[s] to the deadline; `TimeoutError` when there are none."""
        left = until - monotonic()
        if not left > 0:
            raise TimeoutError
        return left

    def _shown(self) -> str:
        return quoted(self._held[:61].decode("latin-1"))

    def _hung(self, seconds: float) -> BoardHung:
        came = f"; {len(self._held)} bytes came: {self._shown()}" if self._held else ""
        return BoardHung(
            f"{self.address} did not answer within {format_quantity(seconds, 's')}{came}",
            todo="see that it is on and not in a menu, and that it can answer in that time",
        )

    def _gone(self, error: OSError) -> BoardGone:
        return BoardGone(f"{self.address} ended: {why(error)}", todo="see to its power and its cable")


def why(error: BaseException) -> str:
    """What another's error says, fit for a message."""
    said = error.strerror if isinstance(error, OSError) else getattr(error, "wrong", None)
    return printable(str(said or error) or type(error).__name__)[:200]
