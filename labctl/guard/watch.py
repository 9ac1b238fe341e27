"""The guard's second thread: it sees that the client is gone, and that the board is made safe within a time.

The main thread drives the board and may be anywhere: in a pulse, waiting for a request, deep in a C
library. When the client ends, is not heard from for a lease, or somebody asks for a stop, this thread
interrupts it: a signal whose handler raises `Cut`, so that the board's own way out of a failure makes safe.
It does not interrupt what is making safe already. If the main thread does not come, this one makes safe in
its place, as a last resort; and if that hangs too, the process ends, which at least gives the link back.

How the client is seen to be gone: by the end of either socket; by its process (a child that it forked
may hold a copy of the sockets); by beats that stop. A machine that slept for longer than the lease has
stopped them too, whatever the ordinary clock says.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from labctl.board import Board
from labctl.errors import Outputs
from labctl.guard import wire
from labctl.guard.registry import Entry
from labctl.guard.wire import End

COME_SECONDS = 1.0
"""[s] that the main thread may take to notice that it was interrupted."""
SAFE_SECONDS = 5.0
"""[s] that it may then take to make safe."""
LAST_SECONDS = 15.0
"""[s] after which the process ends, whatever still hangs in it."""
AGAIN_SECONDS = (0.05, 0.1, 0.2, 0.4)
"""[s] between attempts to switch off what is not confirmed to be off."""
_SAFING = ("Board._outputs_after_safing", "Board._leave")
"""What is never interrupted: the end of these is what interrupting is for."""
NUDGE_SECONDS = 0.01
"""[s] to the second interruption; each later one waits twice as long."""


class Cut(BaseException):
    """The main thread is to stop driving. No driver may take it for an error of its board."""


def switch_off(board: Board) -> Outputs:
    """Make safe until it is confirmed, or a few times; the last that is known of the outputs."""
    outputs = board.make_safe()
    for seconds in AGAIN_SECONDS:
        if outputs is Outputs.OFF:
            break
        time.sleep(seconds)
        outputs = board.make_safe()
    return outputs


class Watch:
    """Begun by the main thread, which tells it when it may be interrupted and when all is safe."""

    def __init__(self, requests: socket.socket, beats: socket.socket, entry: Entry) -> None:
        self.why: End | None = None
        """Why the board is to be made safe; None: it is not."""
        self.board: Board | None = None
        """What is to be made safe: from the moment that it is being opened."""
        self._requests, self._beats, self._entry = requests, beats, entry
        self._main = threading.main_thread().ident or 0
        self._cuttable = self._come = False
        self._safe = threading.Event()
        self._askers = list[socket.socket]()
        self._poll = select.poll()
        self._seen: dict[int, Callable[[], None]] = {}
        signals, self._signals_in = socket.socketpair()
        for one in (signals, self._signals_in):
            one.setblocking(False)
        beats.setblocking(False)
        self._signals = signals
        signal.set_wakeup_fd(self._signals_in.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGUSR1, self._cut)
        signal.signal(signal.SIGTERM, _nothing)  # what it means comes through the socket, at once

    def begin(self, client: int, lease: float) -> None:
        """From now on the client is missed. `client` is its process; `lease` [s]."""
        self._lease = lease
        see = {
            self._requests.fileno(): (0, self._left),
            self._beats.fileno(): (select.POLLIN, self._heard),
            self._entry.door.fileno(): (select.POLLIN, self._asked),
            self._signals.fileno(): (select.POLLIN, self._signalled),
        }
        if (process := _process(client)) is not None:
            see[process] = (select.POLLIN, self._left)
        for number, (events, seen) in see.items():
            self._poll.register(number, events)
            self._seen[number] = seen
        if os.getppid() != client:  # it ended before it could be watched
            self._left()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    # ---- for the main thread ------------------------------------------------------------------

    def allow(self) -> None:
        """From now on `Cut` may be raised, anywhere; at once if it is due."""
        self._cuttable = True
        if self.why is not None:
            raise Cut

    def forbid(self) -> None:
        """No more, until it is allowed again."""
        self._cuttable = False

    def come(self) -> None:
        """The main thread sees to it now."""
        self._cuttable, self._come = False, True

    def settled(self, outputs: Outputs) -> None:
        """Write down and tell what is known of the outputs. Nothing drives any more."""
        self._entry.say(outputs)
        for link in self._askers:
            with link, suppress(OSError):
                link.sendall(outputs.value.encode())
        self._safe.set()

    # ---- the thread ---------------------------------------------------------------------------

    def _watch(self) -> None:
        try:
            self._look_out()
        except Exception:  # noqa: BLE001 - a watch that cannot see is as bad as a client that is gone
            traceback.print_exc()
            self.why = self.why or End.LEFT
        if not self._safe.is_set():
            self._see_to_it()

    def _look_out(self) -> None:
        """Until there is a reason to make safe."""
        last, slept = time.monotonic(), _asleep()
        while self.why is None:
            left = last + self._lease - time.monotonic()
            numbers = [number for number, _ in self._poll.poll(max(left, 0.0) * 1e3)]
            if self._beats.fileno() in numbers:
                last = time.monotonic()
            for number in numbers:
                self._seen[number]()
            if time.monotonic() - last >= self._lease or _asleep() - slept >= self._lease:
                self._trouble(End.LEASE)
            slept = _asleep()

    def _see_to_it(self) -> None:
        """Interrupt the main thread; do its work if it does not come."""
        faulthandler.dump_traceback_later(LAST_SECONDS, exit=True)
        began, pause = time.monotonic(), NUDGE_SECONDS
        while not self._safe.wait(pause):
            if time.monotonic() - began > (SAFE_SECONDS if self._come else COME_SECONDS):
                self._last_resort()
            # Again and again: a signal just before a call that blocks is handled only after that call.
            signal.pthread_kill(self._main, signal.SIGUSR1)
            pause = min(2 * pause, 0.2)

    def _last_resort(self) -> NoReturn:
        sys.stderr.write("the main thread did not make safe in time: the watch does\n")
        outputs = switch_off(self.board) if self.board is not None else Outputs.UNKNOWN
        self.settled(outputs)
        self._entry.leave(outputs)
        sys.stderr.flush()
        os._exit(wire.code_of(self.why or End.LEFT, outputs))

    def _trouble(self, why: End) -> None:
        if self.why is None:
            self.why = why
            signal.pthread_kill(self._main, signal.SIGUSR1)

    def _cut(self, number: int, frame: FrameType | None) -> None:
        """In the main thread: the handler of the signal."""
        while frame is not None:
            if frame.f_code.co_qualname in _SAFING:
                self._come = True
                return
            frame = frame.f_back
        if self._cuttable and self.why is not None:
            self._cuttable, self._come = False, True
            raise Cut

    # ---- what it sees -------------------------------------------------------------------------

    def _left(self) -> None:
        self._trouble(End.LEFT)

    def _heard(self) -> None:
        try:
            if self._beats.recv(4096):
                self._beats.send(b".")  # so that the client, too, hears that somebody is there
            else:
                self._left()
        except BlockingIOError:
            pass
        except OSError:
            self._left()

    def _asked(self) -> None:
        with suppress(OSError):
            link, _ = self._entry.door.accept()
            link.settimeout(1.0)
            self._askers.append(link)
            self._trouble(End.STOPPED)

    def _signalled(self) -> None:
        with suppress(OSError):
            if signal.SIGTERM in self._signals.recv(4096):
                self._trouble(End.TERMINATED)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Not the end of the process."""


def _process(client: int) -> int | None:
    """Something to wait for the end of a process with, where the system has it."""
    if not hasattr(os, "pidfd_open"):
        return None
    with suppress(OSError):
        return os.pidfd_open(client)
    return None


def _asleep() -> float:
    """[s] that the machine has slept; 0 where the system does not tell."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
