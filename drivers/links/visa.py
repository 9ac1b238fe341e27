"""A VISA resource, through pyvisa: GPIB, USB, VXI-11, HiSLIP, and what else a backend reaches.

The backend is pyvisa-py, which needs no driver, or with `@ivi` behind the name the vendor's library. What
VISA calls a time-out is one for each piece: bytes are taken in pieces here, under a deadline and a cap of
our own. Where pyvisa-py talks to a raw socket, that socket is looked at before it is touched: pyvisa-py
itself would wait for more than has come, wait for ever to send, and say that a closed port is open. After a
time-out an instrument is cleared (`viClear`), where its interface knows how.
"""

from __future__ import annotations

import os
import select
import socket
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from math import ceil
from typing import TYPE_CHECKING, Any, cast

from drivers.links.stream import CHUNK, StreamLink, why
from labctl.errors import BadConfig, InUse, Refused, Unavailable
from labctl.quantity import quoted

if TYPE_CHECKING:
    from pyvisa.resources import MessageBasedResource, SerialInstrument

BACKENDS = ("py", "ivi")
_PIECE = 4096
"""Bytes that pyvisa-py sends or takes at once on a socket."""


class VisaLink(StreamLink):
    """A link to the VISA resource that `address` names, with `@py` (the same as without) or `@ivi` behind."""

    def __init__(self, address: str, seconds: float = 2.0) -> None:
        """Raises `BadConfig` for what is no name of a resource, `Unavailable` without pyvisa."""
        super().__init__(address, seconds)
        self._name, self._backend = _parsed(address)
        self._is_serial = self._name.upper().startswith("ASRL")
        self._has_messages = not (self._is_serial or self._name.upper().endswith("SOCKET"))
        self.late_replies_survive = self._is_serial or self._has_messages
        self._resource: MessageBasedResource | None = None
        self._line: socket.socket | None = None
        self._armed = 0

    def _connect(self, seconds: float) -> None:
        manager = _manager(self._backend)
        try:
            resource = manager.open_resource(self._name, open_timeout=_milliseconds(seconds))
        except Exception as error:  # backends raise what they like, pyvisa-py a bare Exception
            raise self._refusal(error) from error
        self._resource, self._line, self._armed = resource, _raw_socket(resource), 0
        if self._line is not None:
            _prepare(self._line)
        if self._doubtful and self._has_messages:
            with (
                suppress(OSError),
                _as_os_errors(),
            ):  # where it cannot be cleared, late replies are waited for
                self._arm(resource, seconds)
                resource.clear()
                self._doubtful = False

    def _disconnect(self) -> None:
        resource, self._resource, self._line = self._resource, None, None
        if resource is not None:
            resource.close()

    def _send(self, data: memoryview, seconds: float) -> int:
        resource, line, piece = self._opened(), self._line, bytes(data)
        if line is not None:
            piece = piece[:_PIECE]
            line.settimeout(seconds)
            if not select.select([], [line], [], seconds)[1]:
                raise TimeoutError
        with _as_os_errors():
            self._arm(resource, seconds)
            return resource.visalib.write(resource.session, piece)[0]

    def _receive(self, seconds: float) -> bytes:
        from pyvisa.constants import StatusCode

        resource, count = self._opened(), CHUNK
        if self._line is not None:
            count = _size_of_what_came(self._line, seconds)
        library: Any = resource.visalib
        with _as_os_errors(), library.ignore_warning(resource.session, StatusCode.success_max_count_read):
            if self._is_serial:  # what came before a time-out would be lost with it
                count = min(max(1, cast("SerialInstrument", resource).bytes_in_buffer), CHUNK)
            self._arm(resource, seconds)
            return bytes(library.read(resource.session, count)[0])

    def _waiting(self) -> bool:
        if self._line is not None:
            return bool(select.select([self._line], [], [], 0)[0])
        if not self._is_serial:
            return False
        with _as_os_errors():
            return cast("SerialInstrument", self._opened()).bytes_in_buffer > 0

    def _arm(self, resource: MessageBasedResource, seconds: float) -> None:
        if self._armed != (milliseconds := _milliseconds(seconds)):
            resource.timeout = self._armed = milliseconds

    def _opened(self) -> MessageBasedResource:
        if self._resource is None:
            raise ConnectionError("the session is closed")
        return self._resource

    def _refusal(self, error: Exception) -> Refused:
        from pyvisa.constants import StatusCode

        code = getattr(error, "error_code", None)
        if code in (StatusCode.error_resource_busy, StatusCode.error_resource_locked):
            return InUse(f"{self.address} is in use by another program", todo="close the other program")
        return Unavailable(
            f"{self.address} cannot be opened: {why(error)}",
            todo="see to its power, its cable and its name; `pyvisa-info` says what the backend can reach",
        )


def _parsed(address: str) -> tuple[str, str]:
    """The name of the resource, and the backend."""
    try:
        from pyvisa.rname import InvalidResourceName, parse_resource_name
    except ImportError as error:
        raise Unavailable(
            f"pyvisa cannot be had: {why(error)}", todo="pip install pyvisa pyvisa-py"
        ) from error
    name, _, backend = address.partition("@")
    if (backend or "py") not in BACKENDS:
        raise BadConfig(f"{quoted(address)} names no backend of VISA", allowed="@py, @ivi, or nothing")
    try:
        parse_resource_name(name)
    except (InvalidResourceName, ValueError) as error:
        raise BadConfig(
            f"{quoted(address)} is no address: {why(error)}",
            allowed="tcp://HOST:PORT, serial://PORT, replay:FILE, or a name of VISA: GPIB0::24::INSTR",
        ) from error
    return name, backend or "py"


def _manager(backend: str) -> Any:
    """The one manager of a backend, which pyvisa hands out to all: asked for again, if somebody closed it."""
    import pyvisa

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pyvisa-py tells what else could be installed
            return pyvisa.ResourceManager(f"@{backend}")
    except Exception as error:
        raise Unavailable(
            f"VISA has no backend @{backend}: {why(error)}",
            todo="pip install pyvisa-py, or install the vendor's VISA library for @ivi",
        ) from error


@contextmanager
def _as_os_errors() -> Generator[None]:
    """What backends raise, as the two kinds that `drivers.links.stream` tells apart."""
    from pyvisa.constants import StatusCode

    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if getattr(error, "error_code", None) == StatusCode.error_timeout:
            raise TimeoutError from error
        raise ConnectionError(why(error)) from error


def _milliseconds(seconds: float) -> int:
    return max(1, ceil(1000 * seconds))


def _raw_socket(resource: MessageBasedResource) -> socket.socket | None:
    """The socket itself, where pyvisa-py has one; the vendors' libraries show none."""
    sessions: Any = getattr(resource.visalib, "sessions", {})
    line = getattr(sessions.get(resource.session), "interface", None)
    return line if isinstance(line, socket.socket) else None


def _prepare(line: socket.socket) -> None:
    if number := line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(number, os.strerror(number))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _size_of_what_came(line: socket.socket, seconds: float) -> int:
    line.settimeout(seconds)
    size = len(line.recv(_PIECE, socket.MSG_PEEK))
    if not size:
        raise ConnectionResetError("the other side closed the link")
    return size
