"""ngspice as a function: a job (a circuit, what to alter in it, until when) goes in, waves come out.

The engine runs ngspice in a process of its own (`sim_backend.engine_child`), because libngspice may
crash, hang or end the process that loaded it. Whatever goes wrong there, that process is killed, an
error says what happened, and the next job gets a fresh one: nothing that matters lives in it. The
state of every device comes with the job as initial conditions, and goes back as samples.

A circuit in which a job alters something stays loaded, the least recently used one going first, so
that the next such job costs only its alterations; one that is complete in itself is used once. What
is altered stays altered in ngspice, so a circuit is shared only between jobs that alter the same
things: the answer to a job never depends on the jobs before it.

Nothing is silently wrong: whatever ngspice complains about is an error, and so are waves that are
not the whole answer. A library is refused if it is too old, or if it cannot charge a capacitor.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from types import TracebackType
from typing import Self

from labctl.errors import BoardFault, BoardGone, BoardHung, Outputs, Refused, Unavailable
from sim_backend import engine_child
from sim_backend.engine_child import Head
from sim_backend.transient import Job, Waves, waves

__all__ = ["Engine", "Job", "Waves"]

OLDEST = 30
"""The oldest ngspice that is taken on; newer ones must only pass the self-test."""
LOADED = 64
"""Circuits that stay loaded; one of a single device takes about 26 kB."""
START_SECONDS = 60.0
"""What a start may take at most: Python, PySpice and libngspice, on a busy machine."""

_INSTALL = """install ngspice's shared library, or name its file in the environment variable LABCTL_NGSPICE
    Debian, Ubuntu   apt-get install libngspice0
    Fedora           dnf install libngspice
    macOS            brew install libngspice
    conda            conda install -c conda-forge ngspice-lib"""


class Engine:
    """ngspice in a process of its own, started with the first job; for one thread at a time.

    `library` is the file of libngspice; without it, that of the environment variable LABCTL_NGSPICE,
    and without that the system's. `deadline` [s] is for each job.
    """

    def __init__(self, library: str | None = None, deadline: float = 60.0) -> None:
        if not 0 < deadline < math.inf:
            raise Refused(f"a deadline of {deadline} s", allowed="a finite time above zero")
        self._named = library or os.environ.get(engine_child.LIBRARY_VARIABLE) or None
        self._deadline = deadline
        self._process: _Process | None = None
        self._loaded: OrderedDict[tuple[str, tuple[str, ...]], int] = OrderedDict()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def version(self) -> int:
        """The version of ngspice, such as 39. Starts it if need be."""
        return self._started().version

    @property
    def library(self) -> str:
        """The library's file, as it was found. Starts ngspice if need be."""
        return self._started().library

    def transient(self, job: Job) -> Waves:
        """Do a job. Nothing of it stays in ngspice but the loaded circuit.

        `Refused` for what is no job, `Unavailable` without a usable library, `BoardFault` for a circuit
        or an alteration that ngspice does not take, `NoConvergence` for one that it cannot solve,
        `BoardGone` and `BoardHung` if ngspice ended or did not answer in time.
        """
        job.check()
        key = (job.circuit, job.altered())
        process = self._started()
        try:
            return waves(job, *process.ask(*self._request(job, key), self._deadline))
        except BaseException:  # a KeyboardInterrupt too: an answer half read would spoil the next
            self.close()
            raise

    def close(self) -> None:
        """End the process, if there is one; the next job starts another."""
        process, self._process = self._process, None
        self._loaded.clear()
        if process is not None:
            process.kill()

    def _started(self) -> _Process:
        if self._process is None:
            self._process = _Process(self._named)
            self._self_test()
        return self._process

    def _request(self, job: Job, key: tuple[str, tuple[str, ...]]) -> tuple[Head, bytes]:
        known = key in self._loaded
        if not known:
            self._count += 1
        number = self._loaded.get(key, self._count)
        if job.alter:
            self._loaded[key] = number
            self._loaded.move_to_end(key)
        head: Head = {
            "circuit": number,
            "drop": [self._loaded.popitem(last=False)[1] for _ in range(len(self._loaded) - LOADED)],
            "alter": job.alter,
            "stop": float(job.stop),
            "max_step": float(job.max_step),
            "vectors": job.vectors,
        }
        return head, b"" if known else job.circuit.encode("ascii")

    def _self_test(self) -> None:
        """Charge a capacitor in two circuits by turns, through everything that the engine makes use of."""
        try:
            wrong = max(self._charging_error(ohms) for ohms in (1e3, 2e3, 1e3))
        except BoardFault as error:
            raise Unavailable(f"this ngspice fails its self-test: {error.wrong}", todo=_INSTALL) from error
        if not wrong < 1e-3:
            self.close()
            raise Unavailable(
                f"this ngspice charges a capacitor to a voltage {wrong:g} V wrong", todo=_INSTALL
            )

    def _charging_error(self, ohms: float) -> float:
        """|V - V exact| [V] after 1 us, from 0.25 V towards 1 V through `ohms` into 1 nF."""
        circuit = f"* self-test\nvs s 0 0\nrs s a {ohms!r}\nca a 0 1e-9\n.save v(a)\n.end"
        job = Job(circuit, 1e-6, 1e-8, ("a",), ("@vs[pwl] = [ 0 1 1e-6 1 ]", "ca ic = 0.25"))
        return abs(self.transient(job).values[0, -1] - (1 - 0.75 * math.exp(-1e3 / ohms)))


class _Process:
    """The process and the socket to it. It ends when the socket closes, or when it is killed."""

    def __init__(self, named: str | None) -> None:
        self._link, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # without a name: nothing to leave behind  # noqa: SIM115
        # By its path, and with no folder put before the others: it needs nothing of this package.
        command = [sys.executable, "-P", engine_child.__file__, str(theirs.fileno())]
        with theirs:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C at the terminal is for the controller alone
            )
        try:
            self.library, self.version = self._greet(named)
        except BaseException:
            self.kill()
            raise

    def _greet(self, named: str | None) -> tuple[str, int]:
        head, _ = self.ask({"library": named}, b"", START_SECONDS)
        if "error" in head:
            where = f"{named} is not a library of ngspice" if named else "ngspice's shared library is missing"
            raise Unavailable(where, todo=_INSTALL)
        if head["version"] is None or head["version"] < OLDEST:
            found = head["version"] or "an unknown version"
            raise Unavailable(
                f"{head['library']} is ngspice {found}", allowed=f"{OLDEST} or newer", todo=_INSTALL
            )
        return head["library"], head["version"]

    def ask(self, head: Head, body: bytes, seconds: float) -> tuple[Head, bytearray]:
        """The answer to a request, all of it within `seconds` [s]."""
        deadline = time.monotonic() + seconds
        try:
            self._allow(socket.SO_SNDTIMEO, deadline)
            self._link.sendall(engine_child.frame(head, body))
            return self._receive(deadline)
        except (BlockingIOError, TimeoutError):
            raise self._hung() from None
        except (OSError, EOFError):
            raise self._gone() from None

    def kill(self) -> None:
        """End it at once, and leave nothing: no process, no zombie, no open file."""
        self._child.kill()
        self._child.wait()
        self._link.close()
        self._stderr.close()

    def _receive(self, deadline: float) -> tuple[Head, bytearray]:
        head, body = engine_child.lengths(self._read(engine_child.PREFIX_BYTES, deadline))
        data = self._read(head + body, deadline)
        return json.loads(data[:head]), data[head:]

    def _read(self, size: int, deadline: float) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            self._allow(socket.SO_RCVTIMEO, deadline)
            count = self._link.recv_into(view, 0, socket.MSG_WAITALL)
            if not count:
                raise EOFError
            view = view[count:]
        return data

    def _allow(self, direction: int, deadline: float) -> None:
        """Let the kernel watch the clock: Python's own time-outs cost 40 us more on each call."""
        seconds = max(deadline - time.monotonic(), 1e-3)
        timeval = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
        self._link.setsockopt(socket.SOL_SOCKET, direction, timeval)

    def _hung(self) -> BoardHung:
        return BoardHung(
            "ngspice did not answer within its deadline, and was stopped",
            outputs=Outputs.OFF,
            todo="give it a longer deadline, or fewer pulses at a time; the next call starts it afresh",
        )

    def _gone(self) -> BoardGone:
        self._child.kill()  # it has closed the socket: if it has not ended yet, it will
        code = self._child.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self._stderr.seek(max(self._stderr.seek(0, os.SEEK_END) - 2000, 0))
        last = self._stderr.read().decode(errors="replace").strip()
        return BoardGone(
            f"the process of ngspice {how}" + (f":\n{last}" if last else ""),
            outputs=Outputs.OFF,
            todo="apply the pulses again: the next call starts a fresh one from the states before this call",
        )
