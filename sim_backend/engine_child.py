"""The process in which ngspice runs. It does what `sim_backend.engine` asks and knows nothing else.

Started without a socket it prints the library that it would load, and fails if there is none: so
`tools/setup.sh`, too, has the answer that the engine will have. Needs nothing but Python for that.

libngspice is a C library with global state: a bad circuit can crash it, hang it or make it end its
process. So it has this one to itself, and PySpice with it. Requests and replies are frames on one
socket: two lengths, a small JSON head, and raw bytes (a circuit's text one way, float64 samples the
other). Circuits are numbered by the parent, who says which to drop; one without alterations is dropped
as soon as it was used.

ngspice reads `.spiceinit` from the working folder or else from the home folder, and a system-wide
`spinit`. What is in those must not change a result, so it starts in an empty folder with an empty
`.spiceinit`, and that folder is gone before the first circuit is: nothing to leave behind.
The process ends when the parent's end of the socket closes, however busy it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import faulthandler
import json
import logging
import os
import select
import socket
import struct
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

Head = dict[str, Any]

_LENGTHS = struct.Struct(">IQ")
_LARGEST_HEAD = 1 << 20
LIBRARY_VARIABLE = "LABCTL_NGSPICE"
"""Environment variable that names the library."""
_LIBRARIES = (
    str(Path(sys.base_prefix) / "lib" / "libngspice.so"),  # conda's, next to conda's Python
    str(Path(sys.base_prefix) / "lib" / "libngspice.dylib"),
    "libngspice.so.0",
    "libngspice.so",
    "/opt/homebrew/lib/libngspice.dylib",
    "/usr/local/lib/libngspice.dylib",
)
_HARMLESS = ("note:", "using ", "no compatibility mode")


class CircuitError(Exception):
    """ngspice did not accept the circuit, or an alteration of it."""


class RunError(Exception):
    """The transient was not solved, or a vector that was asked for is not in it."""


# ---------------------------------------------------------------------------------------- frames


def frame(head: Head, body: bytes = b"") -> bytes:
    """One message, ready to send."""
    text = json.dumps(head).encode()
    return _LENGTHS.pack(len(text), len(body)) + text + body


def lengths(prefix: bytes | bytearray) -> tuple[int, int]:
    """Bytes of the head and of the body that follow this prefix; `ValueError` if it cannot be one."""
    head, body = _LENGTHS.unpack(prefix)
    if not 0 < head <= _LARGEST_HEAD:
        raise ValueError(f"a head of {head} bytes")
    return head, body


PREFIX_BYTES = _LENGTHS.size


def _receive(link: socket.socket) -> tuple[Head, bytes] | None:
    """The next request, or None when the parent is gone."""
    prefix = link.recv(PREFIX_BYTES, socket.MSG_WAITALL)
    if len(prefix) < PREFIX_BYTES:
        return None
    head, body = lengths(prefix)
    text = link.recv(head + body, socket.MSG_WAITALL)
    return (json.loads(text[:head]), text[head:]) if len(text) == head + body else None


# --------------------------------------------------------------------------------------- ngspice


def find_library(named: str | None) -> str | None:
    """The library that `named` names, or else the first in the usual places that loads."""
    for name in (named,) if named else _LIBRARIES:
        if _loads(name):
            return name
    found = None if named else ctypes.util.find_library("ngspice")  # last: it may start a compiler
    return found if found and _loads(found) else None


def _loads(name: str) -> bool:
    try:
        return hasattr(ctypes.CDLL(name), "ngSpice_Init")
    except OSError:
        return False


class Simulator:
    """`NgSpiceShared`, and the circuits that are loaded in it, newest first as ngspice numbers them."""

    def __init__(self, library: str) -> None:
        # Slow to import, and GPL: in this process only.
        from PySpice.Spice.NgSpice import Shared  # pyright: ignore[reportMissingImports]

        logging.disable(logging.CRITICAL)  # "Unsupported Ngspice version 39", and the missing spinit
        shared: Any = Shared
        shared.NgSpiceShared.LIBRARY_PATH = library.replace("{", "{{").replace("}", "}}")
        with _nobodys_settings():
            self._ngspice: Any = shared.NgSpiceShared.new_instance()
        self._ffi: Any = shared.ffi
        self._shared: Any = self._ngspice._ngspice_shared  # noqa: SLF001  `plot()` takes a unit for each sample
        self._loaded: list[int] = []
        self._current: int | None = None
        self.version: int | None = self._ngspice.ngspice_version

    def answer(self, head: Head, circuit: bytes) -> bytes:
        """The reply to one request: samples, or what went wrong."""
        try:
            for number in head["drop"]:
                self._drop(number)
            if circuit:
                self._load(head["circuit"], circuit.decode())
            samples, body = self._transient(head)
            if not head["alter"]:
                self._drop(head["circuit"])
        except CircuitError as error:
            return frame({"error": "circuit", "text": str(error)})
        except RunError as error:
            return frame({"error": "run", "text": str(error)})
        return frame({"samples": samples}, body)

    def _load(self, number: int, circuit: str) -> None:
        try:
            self._ngspice.load_circuit(circuit)
        except NameError:  # what PySpice's two errors are
            refused = True
        else:
            refused = False
        if refused or self._complaints():
            raise CircuitError(self._said())
        self._loaded.insert(0, number)
        self._current = number

    def _drop(self, number: int) -> None:
        self._select(number)
        self._command("remcirc", CircuitError)
        self._loaded.remove(number)
        self._current = None

    def _select(self, number: int) -> None:
        if number != self._current:
            self._command(f"setcirc {self._loaded.index(number) + 1}", CircuitError)
            self._current = number

    def _transient(self, head: Head) -> tuple[int, bytes]:
        self._select(head["circuit"])
        for assignment in head["alter"]:
            self._command(f"alter {assignment}", CircuitError)
        step, stop = head["max_step"], head["stop"]
        self._command(f"tran {step!r} {stop!r} 0 {step!r} uic", RunError)
        columns = [self._vector(name) for name in ("time", *head["vectors"])]
        self._command("destroy all", RunError)
        if len({len(column) for column in columns}) != 1:  # a constant of ngspice's, such as `c`
            raise RunError(f"some of these are no waveforms: {', '.join(head['vectors'])}")
        return len(columns[0]) // 8, b"".join(columns)

    def _vector(self, name: str) -> bytes:
        info = self._shared.ngGet_Vec_Info(name.encode())
        if not (info and info.v_realdata and info.v_length):
            raise RunError(f"no such vector: {name}\n{self._said()}")
        return bytes(self._ffi.buffer(info.v_realdata, info.v_length * 8))

    def _command(self, text: str, error: type[Exception]) -> None:
        try:
            self._ngspice.exec_command(text)
        except NameError:
            refused = not self._ngspice.stderr
        else:
            refused = False
        if refused or self._complaints():
            raise error(f"{text[:200]}\n{self._said()}")

    def _complaints(self) -> list[str]:
        """What ngspice wrote to stderr that is not known to be harmless."""
        lines = self._ngspice.stderr.splitlines()
        return [line for line in lines if line.strip() and not line.lower().startswith(_HARMLESS)]

    def _said(self) -> str:
        """The last that ngspice said: complaints if there are any."""
        return "\n".join((self._complaints() or self._ngspice.stdout.splitlines())[-12:])


@contextlib.contextmanager
def _nobodys_settings() -> Any:
    """An empty folder to start ngspice in, and no other place where it might find settings."""
    with tempfile.TemporaryDirectory(prefix="labctl-ngspice-") as folder:
        (Path(folder) / ".spiceinit").write_text("* empty\n")
        for name in [name for name in os.environ if name.startswith(("SPICE", "NGSPICE"))]:
            del os.environ[name]
        os.environ["SPICE_LIB_DIR"] = os.environ["SPICE_SCRIPTS"] = os.environ["HOME"] = folder
        os.chdir(folder)
        yield


# ------------------------------------------------------------------------------------ the process


def _end_with_parent(link: socket.socket) -> None:
    """Wait for the other end to close, and end the process, in the middle of a transient if need be."""
    watch = select.poll()
    watch.register(link.fileno(), 0)  # a hang-up is always reported
    watch.poll()
    os._exit(0)


def serve(link: socket.socket) -> None:
    """Start ngspice with the library that the first request names, then answer until the parent is gone."""
    request = _receive(link)
    library = request and find_library(request[0]["library"])
    if not library:
        link.sendall(frame({"error": "missing"}))
        return
    simulator = Simulator(library)
    link.sendall(frame({"version": simulator.version, "library": library}))
    threading.Thread(target=_end_with_parent, args=(link,), daemon=True).start()
    while (request := _receive(link)) is not None:
        link.sendall(simulator.answer(*request))


def print_library() -> int:
    """The library that an engine would find; the exit code."""
    library = find_library(os.environ.get(LIBRARY_VARIABLE) or None)
    sys.stdout.write(f"{library}\n" if library else "")
    return 0 if library else 1


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(print_library())
    faulthandler.enable()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the parent is gone
        serve(socket.socket(fileno=int(sys.argv[1])))
