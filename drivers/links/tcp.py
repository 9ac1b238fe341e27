"""A raw TCP socket to an instrument: quick, and with time-outs that hold.

`TCP_NODELAY`, since an instrument's messages are short and each is waited for. `SO_KEEPALIVE` and
`TCP_USER_TIMEOUT`, since a cable that was pulled says nothing. The first write after the other side has
closed succeeds: so what matters is asked for afterwards, and before each write it is seen whether the link
has ended. In the common case, when the reply comes whole and ends where it should, a question costs one
such look, one `send` and one `recv`; everything else goes the long way of `drivers.links.stream`.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from drivers.links.stream import CHUNK, StreamLink
from drivers.links.transport import MOST_BYTES

DEAD_SECONDS = 10
"""After so long without a sign from the other side's kernel, a link has ended."""
_BRISK = 1e-3
"""[s] A send that took longer has eaten into the time for the reply."""


class TcpLink(StreamLink):
    """A link to `host`:`port`; every call within `seconds`."""

    def __init__(self, address: str, host: str, port: int, seconds: float = 2.0) -> None:
        super().__init__(address, seconds)
        self._host, self._port = host, port
        self._socket: socket.socket | None = None
        self._armed: float | None = None
        self._ready: Callable[[], bool] = _never

    def write(self, data: bytes) -> None:
        """Send all of it: at once, if the kernel takes it whole."""
        line = self._socket
        if line is None or self._midway or self._ready():
            super().write(data)
            return
        self._midway, until = True, monotonic() + self.seconds
        try:
            self._arm(line, self.seconds)
            sent = line.send(data)
            if sent < len(data):
                self._send_all(data[sent:], until)
            self._midway = False
        except OSError as error:
            raise self._failure(error, self.seconds) from error
        except BaseException:
            self._spoilt()
            raise

    def ask(
        self, data: bytes, end: bytes = b"\n", *, seconds: float | None = None, most: int = MOST_BYTES
    ) -> bytes:
        """Send, and wait for the reply."""
        line = self._socket
        if line is None or self._midway or self._held or self._ready():
            return super().ask(data, end, seconds=seconds, most=most)
        allowed = self.seconds if seconds is None else seconds
        self._midway, until = True, monotonic() + allowed
        try:
            self._arm(line, allowed)
            sent = line.send(data)
            if sent == len(data) and monotonic() < until - allowed + _BRISK:
                came = line.recv(CHUNK)
                size = len(came) - len(end)
                if came.endswith(end) and came.find(end) == size <= most:
                    self._midway = False
                    return came[:size]
                self._held += came or _ended()
            else:
                self._send_all(data[sent:], until)
            reply = self._take(end, until, most)
            self._midway = False
            return reply
        except OSError as error:
            raise self._failure(error, allowed) from error
        except BaseException:
            self._spoilt()
            raise

    def _connect(self, seconds: float) -> None:
        until = monotonic() + seconds
        failure: OSError = OSError(f"no address is known of {self._host}")
        for family, kind, protocol, _, where in _addresses(self._host, self._port, seconds):
            line = socket.socket(family, kind, protocol)
            try:
                line.settimeout(self._left(until))
                line.connect(where)
                if line.getsockname() == line.getpeername():  # the kernel may join a port to itself
                    raise ConnectionRefusedError("nothing listens there")
                _prepare(line)
            except OSError as error:
                line.close()
                failure = error
            except BaseException:
                line.close()
                raise
            else:
                self._socket, self._armed, self._ready = line, None, _looker(line)
                return
        raise failure

    def _disconnect(self) -> None:
        line, self._socket, self._ready = self._socket, None, _never
        if line is not None:
            line.close()

    def _send(self, data: memoryview, seconds: float) -> int:
        line = self._line()
        self._arm(line, seconds)
        return line.send(data)

    def _receive(self, seconds: float) -> bytes:
        line = self._line()
        self._arm(line, seconds)
        return line.recv(CHUNK) or _ended()

    def _waiting(self) -> bool:
        return self._ready()

    def _line(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionError("the link is closed")
        return self._socket

    def _arm(self, line: socket.socket, seconds: float) -> None:
        """The time-out of what comes next; set only when it is another, since that costs a call."""
        if self._armed != seconds:
            line.settimeout(seconds)
            self._armed = seconds


def _ended() -> bytes:
    raise ConnectionResetError("the other side closed the link")


def _never() -> bool:
    return False


def _looker(line: socket.socket) -> Callable[[], bool]:
    """What tells at once whether anything, the end included, has come."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(line, select.POLLIN)
        return lambda: bool(poll.poll(0))
    return lambda: bool(select.select([line], [], [], 0)[0])


def _prepare(line: socket.socket) -> None:
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", DEAD_SECONDS // 2),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", DEAD_SECONDS // 2),
        ("TCP_USER_TIMEOUT", 1000 * DEAD_SECONDS),
    ):
        if hasattr(socket, name):  # not every system has all of them
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _addresses(host: str, port: int, seconds: float) -> list[Any]:
    """What `getaddrinfo` says. It knows no deadline, so it is asked in a thread that may be left behind."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise TimeoutError(f"the name {host} was not resolved in time")
    if isinstance(found[0], Exception):
        raise OSError(f"the name {host} is not known: {found[0]}")
    return found[0]
