"""The other side of a link, played by a thread: a TCP server or the master of a pty, and what it answers."""

import os
import select
import socket
import threading
import tty
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import pytest


class Pty:
    """The master of a pty, with the methods of a socket that the handlers use."""

    def __init__(self, master: int) -> None:
        self.master = master
        self.unplugged = threading.Event()

    def recv(self, size: int) -> bytes:
        try:
            return os.read(self.master, size)
        except OSError:  # the slave is closed, for now
            return b""

    def sendall(self, data: bytes) -> None:
        os.set_blocking(self.master, False)
        while data:
            with suppress(BlockingIOError):
                data = data[os.write(self.master, data) :]
            if data and self.unplugged.wait(0.001):
                raise BrokenPipeError
        os.set_blocking(self.master, True)

    def close(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


Line = socket.socket | Pty
Handler = Callable[[Line], object]


@contextmanager
def over_tcp(handler: Handler) -> Generator[int]:
    """A server on loopback that gives each connection to `handler`, one after the other: its port."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(30)
    done = threading.Event()
    current: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while not done.is_set():
                line, _ = server.accept()
                current[:] = [line]
                with line, suppress(OSError):
                    line.settimeout(30)
                    if not done.is_set():
                        handler(line)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        done.set()
        with suppress(OSError, IndexError):
            current[0].shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            socket.create_connection(server.getsockname(), timeout=1).close()
        server.close()
        thread.join(30)


@contextmanager
def over_pty(handler: Handler) -> Generator[str]:
    """A pty whose master is given to `handler`, once: the path of the slave."""
    master, slave = os.openpty()
    tty.setraw(slave)
    line = Pty(master)

    def serve() -> None:
        with suppress(OSError):
            handler(line)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        line.unplugged.set()
        os.close(slave)
        thread.join(30)
        line.close()


@contextmanager
def peer(kind: str, handler: Handler) -> Generator[str]:
    """An address of this kind (tcp, visa, serial, visa-serial) at which `handler` answers."""
    if kind in ("tcp", "visa"):
        with over_tcp(handler) as port:
            yield f"tcp://127.0.0.1:{port}" if kind == "tcp" else f"TCPIP0::127.0.0.1::{port}::SOCKET"
    else:
        with over_pty(handler) as path:
            yield f"serial://{path}?baud=115200" if kind == "serial" else f"ASRL{path}::INSTR"


def wait_readable(line: socket.socket, seconds: float = 10) -> None:
    """Until something, the end included, has come."""
    if not select.select([line], [], [], seconds)[0]:
        pytest.fail("nothing came")


def lines(line: Line) -> Generator[bytes]:
    """What is asked, line by line, until the other side has closed."""
    held = b""
    while piece := line.recv(65536):
        *whole, held = (held + piece).split(b"\n")
        yield from whole
