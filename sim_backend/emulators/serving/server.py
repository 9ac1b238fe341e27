"""Emulated instruments on real links: loopback TCP, and pseudo-terminals that serial libraries open.

One loop in one thread serves any number of links; instruments that share devices share a loop. A TCP link has
one client at a time, as a raw socket of an instrument has: a second is turned away, or waits until the first
has gone. Nothing is switched off when a client goes: no real instrument knows that it was the last.

::

    with on_tcp(instrument) as address:  # "tcp://127.0.0.1:40123"
        ...
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import struct
import threading
import time
import tty
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence

from labctl.errors import Unavailable
from sim_backend.emulators.serving.client import Client
from sim_backend.emulators.serving.faults import Faults
from sim_backend.emulators.serving.instrument import Instrument
from sim_backend.emulators.serving.loop import Loop

HOST = "127.0.0.1"
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of a link that ends at once."""


class Link(ABC):
    """One instrument's place in the world; `address` in the grammar of `drivers.links`."""

    address: str

    def __init__(self, instrument: Instrument, faults: str | None) -> None:
        self._instrument = instrument
        self._faults = Faults(faults, instrument) if faults else None
        self._client: Client | None = None
        self._loop: Loop | None = None

    @property
    def due(self) -> float:
        """`time.monotonic()` at which `tick` has something to do."""
        return min(self._instrument.due, self._client.due if self._client else math.inf)

    def start(self, loop: Loop) -> None:
        """Watch for clients."""
        self._loop = loop
        self._begin(loop)

    def tick(self) -> None:
        """Say what was put off, and what a fault keeps back."""
        now = time.monotonic()
        if self._instrument.due <= now:
            reply = self._instrument.poll()
            if self._client:
                self._client.say(b"", reply)
        if self._client:
            self._client.flush()
            self._look_after(self._client)

    def close(self) -> None:
        """End the link."""
        if self._client:
            self._gone(self._client)

    @abstractmethod
    def _begin(self, loop: Loop) -> None:
        """Watch for the first client."""

    @abstractmethod
    def _gone(self, client: Client) -> None:
        """The client has gone."""

    def _took(self, fd: int) -> None:
        """There is a client at this descriptor."""
        self._client = client = Client(fd, self._instrument, self._faults)

        def serve(events: int) -> None:
            if events & select.POLLIN:
                client.take()
            elif events & (select.POLLHUP | select.POLLERR):
                client.gone = True
            client.flush()
            self._look_after(client)

        assert self._loop is not None
        self._loop.watch(fd, serve)
        client.serve = serve

    def _look_after(self, client: Client) -> None:
        assert self._loop is not None
        if client.gone:
            self._gone(client)
        elif client.wants_room != client.watched:
            client.watched = client.wants_room
            self._loop.watch(client.fd, client.serve, client.wants_room)


class TcpLink(Link):
    """A port of this machine, for programs on this machine."""

    def __init__(
        self, instrument: Instrument, faults: str | None = None, port: int = 0, waiting: bool = False
    ) -> None:
        super().__init__(instrument, faults)
        self._waiting = waiting
        self._listener = socket.socket()
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((HOST, port))
            self._listener.listen(8)
        except (OSError, OverflowError) as error:
            self._listener.close()
            reason = error.strerror or error if isinstance(error, OSError) else error
            raise Unavailable(
                f"port {port} of this machine cannot be had: {reason}",
                allowed="a port from 1024 to 65535 that nobody has, or 0 for any",
                todo="name another port",
            ) from error
        self._listener.setblocking(False)
        self._socket: socket.socket | None = None
        self.address = f"tcp://{HOST}:{self._listener.getsockname()[1]}"

    def _begin(self, loop: Loop) -> None:
        loop.watch(self._listener.fileno(), self._knocked)

    def _knocked(self, events: int) -> None:
        assert self._loop is not None
        try:
            client, _ = self._listener.accept()
        except OSError:  # it went away again
            return
        while self._client and self._client.take():  # the one before may have gone already
            self._client.flush()
        if self._client and self._client.gone:
            self._gone(self._client)
        if self._socket is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setblocking(False)
        self._socket = client
        if self._waiting:
            self._loop.unwatch(self._listener.fileno())
        self._took(client.fileno())

    def _gone(self, client: Client) -> None:
        assert self._loop is not None
        self._loop.unwatch(client.fd)
        self._client = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._loop.watch(self._listener.fileno(), self._knocked)

    def close(self) -> None:
        """The client too."""
        super().close()
        if self._loop:
            self._loop.unwatch(self._listener.fileno())
        self._listener.close()


class PtyLink(Link):
    """A pseudo-terminal: its far end is a serial port for whoever opens it, with no end of its own."""

    def __init__(self, instrument: Instrument, faults: str | None = None) -> None:
        super().__init__(instrument, faults)
        self._near, far = os.openpty()
        self._ends: tuple[int, ...] = (self._near, far)
        tty.setraw(far)
        os.set_blocking(self._near, False)
        self.address = f"serial://{os.ttyname(far)}"

    def _begin(self, loop: Loop) -> None:
        self._took(self._near)

    def _gone(self, client: Client) -> None:
        """A port has no clients that go: a fault that ends the link makes it forget what it had."""
        client.gone = False
        client.forget()

    def close(self) -> None:
        """Both ends."""
        for end in self._ends:
            os.close(end)
        self._ends = ()


@contextlib.contextmanager
def running(links: Sequence[Link]) -> Generator[list[str]]:
    """A thread that serves these; their addresses. What fails in it is raised when it is left."""
    loop, failed = Loop(links), list[BaseException]()

    def run() -> None:
        try:
            loop.run()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for it
            failed.append(error)
            loop.close()

    thread = threading.Thread(target=run, name="emulators", daemon=True)
    thread.start()
    try:
        yield [link.address for link in links]
    finally:
        loop.stop()
        thread.join()
        loop.close()
        if failed:
            raise failed[0]


@contextlib.contextmanager
def on_tcp(
    instrument: Instrument, faults: str | None = None, port: int = 0, waiting: bool = False
) -> Generator[str]:
    """The instrument on a port of this machine; its address. `waiting`: a second client waits."""
    with running([TcpLink(instrument, faults, port, waiting)]) as (address,):
        yield address


@contextlib.contextmanager
def on_pty(instrument: Instrument, faults: str | None = None) -> Generator[str]:
    """The instrument on a pseudo-terminal; its address."""
    with running([PtyLink(instrument, faults)]) as (address,):
        yield address
