"""A board that lives in a guard, as its user sees it: a `Board` like any other.

It never touches the instrument. It has the spec of the real board, sends pulses to the guard and gets
traces or errors back. When the guard says nothing more, the code that its process ended with says why, and
what is known of the outputs; when it was killed or crashed, a second one is started only to open the
board, make it safe and close it again.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.board import Board
from labctl.codec import spec_to_json
from labctl.errors import BoardFault, BoardGone, BoardHung, LabError, Misbehaved, Outputs, Refused
from labctl.guard import registry, wire
from labctl.guard.process import PATIENCE_SECONDS, Process
from labctl.guard.wire import End, Kind
from labctl.making import Ready
from labctl.pulse import Pulse, Trace

LEASE_SECONDS = 1.0
IDLE_SECONDS = 60.0
_RESCUE_SECONDS = (0.0, 0.2, 0.5)
"""[s] before each attempt to open a board again whose guard died: the instrument may not have noticed yet."""
_OPEN_ANEW = "open the board again; what was being driven has no trace"
_WHY = {
    End.LEFT: "the guard of {board} was left, and ended",
    End.LEASE: "lease lost: the guard of {board} had not heard from this program for {lease:g} s",
    End.STOPPED: "{board} was stopped by `labctl stop`",
    End.TERMINATED: "the guard of {board} was told to end (SIGTERM)",
}


@dataclass(frozen=True, slots=True)
class Guarding:
    """What a guard is told: which board, and how patient to be."""

    path: str
    """Import path of the board's class."""
    table: Mapping[str, Any]
    """Its settings, as a bench file has them."""
    source: str
    """For messages about these."""
    bench: str = ""
    """The bench file."""
    lease: float = LEASE_SECONDS
    """[s] without a beat of the client, after which the guard makes safe."""
    idle: float = IDLE_SECONDS
    """[s] without a request, after which it switches off until the next one."""


class Guarded(Board):
    """Stands for `board`, which was made here and is never opened here: the guard makes its own."""

    def __init__(self, board: Board, guarding: Guarding) -> None:
        self.spec = board.spec
        self._guarding = guarding
        self._guard: Process | None = None
        self._entry, self._opened, self._told = "", False, ""
        self._end: BoardGone | BoardHung | None = None
        """How the guard ended, if it did before it was left."""
        self._known: Outputs | None = None
        """What is known of the outputs while there is no guard; None: it is not open, so nobody asked."""
        if isinstance(board, Ready):
            self.ready = self._ready

    def _open(self) -> None:
        self._end, self._known, self._opened = None, Outputs.UNKNOWN, False
        self._guard = Process(self._guarding.lease)
        self._entry = self._hello(self._ask)
        self._opened = True
        self._told = self._ask(wire.frame(Kind.OPEN))[0].decode()

    def identity(self) -> str:
        """What the board told of its instrument when it was opened."""
        return self._told

    def _close(self) -> None:
        self._known = None
        guard, self._guard = self._guard, None
        if guard is None or guard.forked:
            return
        try:
            outputs = _outputs(_done(guard.ask(wire.frame(Kind.CLOSE))))
        except (EOFError, OSError):
            outputs = self._ended(guard).outputs or Outputs.UNKNOWN
            self._known = None
        finally:
            guard.end()
            guard.close()
        if outputs is not Outputs.OFF and sys.exc_info()[0] is None:  # another error is not to be hidden
            raise BoardFault(
                f"{self.spec.name} was left, and its outputs are not confirmed to be off",
                outputs=outputs,
                todo="switch off by hand, then look at the instrument",
            )

    def _left(self, outputs: Outputs) -> None:
        """It has been told: by the guard when it was left, or by the error with which the guard ended."""

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        kind, parts = self._exchange(wire.asked(pulses), PATIENCE_SECONDS + self._most_seconds(pulses))
        if kind == Kind.DONE:
            yield from wire.traces_of(parts)
            return
        error = wire.error_of(parts)
        if isinstance(error, Misbehaved):
            yield from error.traces
        raise error

    def _make_safe(self) -> Outputs:
        if self._guard is not None:
            if self._guard.forked:
                return Outputs.UNKNOWN
            try:
                return _outputs(self._ask(wire.frame(Kind.MAKE_SAFE)))
            except Misbehaved as error:
                return error.outputs or Outputs.UNKNOWN
        return self._made_safe() if self._known is None else self._known

    def _ready(self) -> str:
        """What the board says that it found; the guard looks for it, and ends."""
        if self._guard is not None:
            return self._ask(wire.frame(Kind.READY))[0].decode()
        guard = self._guard = Process(self._guarding.lease)
        self._opened = False
        try:
            self._hello(self._ask)
            return self._ask(wire.frame(Kind.READY))[0].decode()
        finally:
            self._guard = None
            guard.end()
            guard.close()

    # ---- the guard ------------------------------------------------------------------------------

    def _hello(self, ask: Callable[[bytes], list[bytes]]) -> str:
        """Have the guard make its board; the name of its note. Raises what making it raised."""
        told = self._guarding
        hello = {"class": told.path, "table": {**told.table}, "source": told.source, "bench": told.bench}
        patience = {"lease": told.lease, "idle": told.idle, "client": os.getpid()}
        try:
            request = wire.packed(hello | patience)
        except (TypeError, ValueError) as error:
            raise Refused(f"{told.source} cannot be told to a guard: {error}") from error
        name, spec = ask(wire.frame(Kind.HELLO, [request]))
        if spec.decode() != spec_to_json(self.spec):
            raise BoardFault(
                f"the guard made another {self.spec.name} than this program, with other limits or sites",
                outputs=Outputs.OFF,
                todo="this is a fault of the board's driver: its spec must follow from its settings alone",
            )
        return name.decode()

    def _ask(self, request: bytes) -> list[bytes]:
        return _done(self._exchange(request))

    def _most_seconds(self, pulses: Sequence[Pulse]) -> float:
        """[s] that a list may take: ten times what the board says, and a tenth of a second a pulse."""
        pulse = self.spec.settle_seconds + self.spec.link_seconds
        return 10 * (sum(each.duration for each in pulses) + len(pulses) * pulse) + 0.1 * len(pulses)

    def _exchange(self, request: bytes, patience: float = PATIENCE_SECONDS) -> wire.Frame:
        """The guard's answer. What interrupts it, such as Ctrl-C, is the end of the guard: it makes safe."""
        guard = self._guard
        if guard is None:
            raise self._gone_already()
        if guard.forked:
            raise Refused(f"{self.spec.name} was opened by another process, which this one was forked from")
        try:
            return guard.ask(request, patience)
        except TimeoutError:
            guard.kill()
            raise self._ended(guard, BoardHung) from None
        except (EOFError, OSError):
            raise self._ended(guard) from None
        except BaseException:
            self._ended(guard)
            raise

    def _gone_already(self) -> LabError:
        if self._end is None:
            return Refused(f"{self.spec.name} is not open", allowed="`with board:` around what drives it")
        end = self._end
        return type(end)(end.wrong, outputs=end.outputs or Outputs.UNKNOWN, todo=end.todo)

    def _ended(self, guard: Process, kind: type[BoardGone | BoardHung] = BoardGone) -> BoardGone | BoardHung:
        """It ended, or is to: how it went, as an error. What nobody made safe is made safe here."""
        code = guard.end()
        self._guard, last = None, guard.close()
        word = wire.last_word(code)
        if word is not None:
            wrong = _WHY[word[0]].format(board=self.spec.name, lease=self._guarding.lease)
            outputs = word[1]
        else:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
            wrong = f"the guard of {self.spec.name} {how}"
            outputs = self._made_safe() if self._opened else Outputs.UNKNOWN
            if outputs is Outputs.OFF:
                registry.forget(self._entry)
        self._known = outputs
        self._end = kind(f"{wrong}:\n{last}" if last else wrong, outputs=outputs, todo=_OPEN_ANEW)
        return self._end

    def _made_safe(self) -> Outputs:
        """Have another guard open the board, make it safe and close it; what is known of the outputs then."""
        for seconds in _RESCUE_SECONDS:
            time.sleep(seconds)
            guard = Process(self._guarding.lease)
            try:
                self._hello(lambda request, guard=guard: _done(guard.ask(request)))
                _done(guard.ask(wire.frame(Kind.OPEN)))
                return _outputs(_done(guard.ask(wire.frame(Kind.CLOSE))))
            except (LabError, EOFError, OSError):
                continue
            finally:
                guard.end()
                guard.close()
        return Outputs.UNKNOWN


def _done(answer: wire.Frame) -> list[bytes]:
    """The parts of the answer; raises what it says that went wrong."""
    kind, parts = answer
    if kind == Kind.FAILED:
        raise wire.error_of(parts)
    return parts


def _outputs(parts: Sequence[bytes]) -> Outputs:
    return Outputs(parts[0].decode())
