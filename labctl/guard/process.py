"""A guard as its client sees it: a process, a socket to ask it on, and the beats that keep its lease.

The only module of the guard that starts processes. The process has a session of its own, so that Ctrl-C
at the terminal does not reach it. A thread beats for as long as there is somebody who could still ask: it
knows this object only weakly, and when the object is dropped, however that came about, both sockets are
closed, and the guard makes safe. A program that hangs with Python's lock held, or that is stopped, beats
no more; nor does a child that it forked.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from typing import IO

from labctl.guard import wire

BEATS = 4
"""In each lease: some may come late."""
END_SECONDS = 20.0
"""[s] after which a guard that was told to end is killed; it gives itself less."""
SILENT_SECONDS = 30.0
"""[s] after which a guard that answers no beat is taken to hang."""
PATIENCE_SECONDS = 300.0
"""[s] after which a driver that does not come back, while its guard still answers beats, is taken to hang."""
_LOOK_SECONDS = 1
"""[s] between looks whether it is still there, while an answer is waited for."""
_LAST_BYTES = 2000
"""Of what it said on stderr."""
_PROGRAM = "import sys; sys.path[:] = sys.argv[3:]; from labctl.guard.child import main; main()"


class Process:
    """Started when it is made. For one thread at a time."""

    def __init__(self, lease: float) -> None:
        self._link, theirs = socket.socketpair()
        with theirs:
            beats, heard = socket.socketpair()
            with heard:
                stderr = tempfile.TemporaryFile()  # without a name: nothing to leave behind  # noqa: SIM115
                self._stderr = stderr
                self._beats = _Beats(beats)
                self._child = _started(theirs, heard, stderr)
        # Whatever interrupts this before the next line: sockets that nobody holds are closed, an end too.
        self._let_go = weakref.finalize(self, _let_go, self._child, self._link, self._beats, stderr)
        self._client = os.getpid()
        self._busy = False
        for direction, seconds in ((socket.SO_RCVTIMEO, _LOOK_SECONDS), (socket.SO_SNDTIMEO, SILENT_SECONDS)):
            self._link.setsockopt(socket.SOL_SOCKET, direction, struct.pack("@ll", int(seconds), 0))
        beat = (weakref.ref(self._beats), lease / BEATS)
        threading.Thread(target=_beat, args=beat, name="beats", daemon=True).start()

    def ask(self, request: bytes, patience: float = PATIENCE_SECONDS) -> wire.Frame:
        """The answer. `EOFError` or `OSError` if there is none and will be none; `TimeoutError` if it hangs.

        It hangs if no beat is answered, or if a request takes longer than its `patience` [s]. An exchange
        that anything interrupted cannot be taken up again: after that there are no answers.
        """
        if self._busy:
            raise EOFError
        self._busy = True
        try:
            self._link.sendall(request)
        except BlockingIOError:
            raise TimeoutError from None
        deadline = time.monotonic() + patience
        answer = wire.receive(self._link, lambda: self._look(deadline))
        self._busy = False
        return answer

    @property
    def forked(self) -> bool:
        """In a child that the client forked: it has copies of the sockets, and no business with the guard."""
        return self._client != os.getpid()

    def end(self) -> int:
        """Leave it: it makes safe, and this waits. The code that it ended with; of a signal, less than 0."""
        self._link.close()
        self._beats.close()
        code = _code(self._child, END_SECONDS)
        return self.kill() if code is None else code

    def kill(self) -> int:
        """For one that hangs: it cannot make safe any more."""
        self._child.kill()
        return _code(self._child, END_SECONDS) or -signal.SIGKILL

    def close(self) -> str:
        """Close everything after the end; the last that it said."""
        if not self._let_go.alive:
            return ""
        self._stderr.seek(max(self._stderr.seek(0, os.SEEK_END) - _LAST_BYTES, 0))
        last = self._stderr.read().decode(errors="replace").strip()
        self._let_go()
        return last

    def _look(self, deadline: float) -> None:
        now = time.monotonic()
        if now - self._beats.answered > SILENT_SECONDS or now > deadline:
            raise TimeoutError


class _Beats:
    """One byte each now and then; a guard that runs sends one back."""

    def __init__(self, link: socket.socket) -> None:
        link.setblocking(False)
        self._link = link
        self._lock = threading.Lock()  # so that nobody beats on what was closed and is another's by now
        self.answered = time.monotonic()

    def beat(self) -> bool:
        """False when there is nobody to beat for any more."""
        with self._lock:
            try:
                self._link.send(b".")
                if self._link.recv(4096):
                    self.answered = time.monotonic()
            except BlockingIOError:
                pass
            except OSError:
                return False
        return True

    def close(self) -> None:
        self._lock.acquire(timeout=1.0)  # in a forked child, a thread that is not there may hold it for ever
        self._link.close()
        self._lock.release()


def _beat(found: weakref.ref[_Beats], every: float) -> None:
    while (beats := found()) is not None and beats.beat():
        del beats
        time.sleep(every)


def _started(requests: socket.socket, beats: socket.socket, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    numbers = requests.fileno(), beats.fileno()
    return subprocess.Popen(
        # It finds what this process finds, and puts no folder of its own before that.
        [sys.executable, "-P", "-c", _PROGRAM, *map(str, numbers), *sys.path],
        stdin=subprocess.DEVNULL,
        stdout=stderr,
        stderr=stderr,
        pass_fds=numbers,
        start_new_session=True,  # Ctrl-C at the terminal is for the client alone
    )


def _let_go(child: subprocess.Popen[bytes], link: socket.socket, beats: _Beats, stderr: IO[bytes]) -> None:
    """When nobody holds a guard any more: it is left, and its end waited for, so that no zombie stays."""
    link.close()
    beats.close()
    _code(child, END_SECONDS)
    stderr.close()


def _code(child: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Wait for its end; None: it has not come within so long.

    Not by `Popen.wait`: that keeps its lock for ever when Ctrl-C comes at the wrong moment.
    """
    deadline, pause = time.monotonic() + seconds, 5e-4
    while child.returncode is None:
        try:
            pid, status = os.waitpid(child.pid, os.WNOHANG)
        except ChildProcessError:  # somebody has waited for it, and not kept what it said
            pid, status = child.pid, 0
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
        elif time.monotonic() > deadline:
            return None
        else:
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
    return child.returncode
