"""The guard's own process: it makes the board, opens it, drives it, and switches it off.

The main thread answers requests, one at a time; `labctl.guard.watch` sees that there is somebody who asks.
Whatever ends the service ends it the same way: switch off first, confirm, say so, and only then close. The
terminal's signals are not for this process: Ctrl-C is for the client, and SIGTERM means make safe and end.

Started by `labctl.guard.process`, which says what with its first request; it needs nothing of the client
but two sockets.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from labctl.codec import spec_to_json
from labctl.errors import Outputs, Unavailable
from labctl.guard import wire
from labctl.guard.registry import Entry
from labctl.guard.watch import Cut, Watch, switch_off
from labctl.guard.wire import End, Kind
from labctl.making import Identified, Ready, board_class, board_of

_LEFT_TO_THE_CLIENT = ("SIGINT", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGPIPE")
_SAFING = (Kind.MAKE_SAFE, Kind.CLOSE)
_END_SECONDS = 1.0
"""[s] that Python may take to end after all is done."""


class _Guard:
    """A board, the socket on which it is asked for, and who watches over both."""

    def __init__(self, told: Mapping[str, Any], requests: socket.socket, watch: Watch, entry: Entry) -> None:
        self._told, self._requests, self._watch, self._entry = told, requests, watch, entry
        self._outputs = Outputs.UNKNOWN
        self._quiet = True
        """Nothing was driven since the outputs were last switched off."""

    def serve(self) -> int:
        """Answer until there is nobody to answer; the code that the process ends with."""
        with suppress(Cut):  # it may come as late as that, and comes once
            try:
                going_on = self._make()
                while going_on:
                    going_on = self._one()
            except (Cut, EOFError, OSError):
                pass
            except BaseException:  # noqa: BLE001 - a mistake in the guard must not leave anything on
                traceback.print_exc()
            self._watch.come()
        return self._end()

    def _make(self) -> bool:
        """Make the board, and say which; nothing is opened."""
        self._watch.allow()
        source = self._told["source"]
        try:
            self._board = board_of(board_class(self._told["class"], source), self._told["table"], source)
            told = [self._entry.name.encode(), spec_to_json(self._board.spec).encode()]
            answer, made = wire.frame(Kind.DONE, told), True
        except BaseException as error:  # noqa: BLE001 - a stranger's module may raise anything
            answer, made = _failure(error), False
        self._requests.sendall(answer)
        return made

    def _one(self) -> bool:
        """One request, answered; False after the last one."""
        self._watch.allow()
        kind, parts = wire.receive(self._requests, self._idle)
        try:
            answer = self._off(kind) if kind in _SAFING else self._work(kind, parts)
        except BaseException as error:  # noqa: BLE001 - a stranger's driver may raise anything
            answer = _failure(error)
        self._requests.sendall(answer)
        return kind != Kind.CLOSE

    def _work(self, kind: int, parts: Sequence[bytes]) -> bytes:
        match kind:
            case Kind.APPLY:
                self._quiet = False
                return wire.answered(self._board.apply(wire.pulses_of(parts)))
            case Kind.OPEN:
                return self._open()
            case Kind.READY:
                board = self._board
                return wire.frame(Kind.DONE, [board.ready().encode() if isinstance(board, Ready) else b""])
            case _:
                raise EOFError

    def _open(self) -> bytes:
        told = self._told
        self._entry.open(told["bench"], self._board.spec.name, told["client"])
        self._watch.board = self._board
        try:
            self._board.__enter__()
        except Exception:
            self._watch.board = None  # what fails to open has closed itself
            self._entry.retract()
            raise
        board = self._board
        return wire.frame(Kind.DONE, [board.identity().encode() if isinstance(board, Identified) else b""])

    def _off(self, kind: int) -> bytes:
        """Make safe, or make safe and close; the answer says what is known of the outputs."""
        self._watch.forbid()  # it is what interrupting is for
        if kind == Kind.CLOSE:
            self._leave()
        else:
            self._outputs = self._board.make_safe()
            self._quiet = self._outputs is Outputs.OFF
        return wire.frame(Kind.DONE, [self._outputs.value.encode()])

    def _idle(self) -> None:
        """Nobody has asked for a while: nothing need stay on between two lists that far apart."""
        if not self._quiet and self._watch.board is not None:
            self._quiet = self._board.make_safe() is Outputs.OFF

    # ---- the end ------------------------------------------------------------------------------

    def _end(self) -> int:
        """Whatever it was that ended the service."""
        try:
            self._leave()
        except BaseException:  # noqa: BLE001 - off or not is known by now; the rest is for the log
            traceback.print_exc()
        self._entry.leave(self._outputs)
        return wire.code_of(self._watch.why or End.LEFT, self._outputs)

    def _leave(self) -> None:
        """Off first, then said, then closed."""
        if self._watch.board is not None:
            self._outputs = switch_off(self._watch.board)
        self._watch.settled(self._outputs)
        board, self._watch.board = self._watch.board, None
        if board is not None:
            board.__exit__(Cut, Cut(), None)  # what is known of its outputs is said by this guard


def _failure(error: BaseException) -> bytes:
    """The answer to what went wrong; `Cut` is none of the board's errors, and goes on."""
    if isinstance(error, Cut):
        raise error
    return wire.failed(error)


def _nothing() -> None:
    """Wait on."""


def _serve(requests: socket.socket, beats: socket.socket) -> int:
    """Read the first request (what to guard, for whom, how patiently), and serve."""
    try:
        _, parts = wire.receive(requests, _nothing)
        told = wire.unpacked(parts[0])
    except (EOFError, OSError):
        return wire.code_of(End.LEFT, Outputs.UNKNOWN)
    try:
        entry = Entry()
    except Unavailable as error:
        requests.sendall(wire.failed(error))
        return wire.code_of(End.LEFT, Outputs.UNKNOWN)
    seconds, rest = divmod(told["idle"], 1.0)
    timeval = struct.pack("@ll", int(seconds), int(rest * 1e6))
    requests.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    watch = Watch(requests, beats, entry)
    watch.begin(told["client"], told["lease"])
    return _Guard(told, requests, watch, entry).serve()


def main() -> None:
    """The process: `labctl.guard.process` names the two sockets in its arguments."""
    for name in _LEFT_TO_THE_CLIENT:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    requests, beats = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    code = _serve(requests, beats)
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # Python, ending, would put back what ends a process at once
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, _END_SECONDS)  # a driver's library may hang where Python ends
    sys.exit(code)
