"""A fault script: what goes wrong between an emulated instrument and its client, and when.

A script is faults, one a line or with semicolons between them, each ``WHAT [AMOUNT] [WHEN]``::

    drop 7 at 3              the link ends after 7 bytes of the third reply
    dribble 0.2 on READ      replies to messages with READ in them come a byte each 0.2 s
    late 1.5 at 4            the fourth reply comes after 1.5 s (and every other in time)
    ignore on ILIM           messages with ILIM in them are taken, and do nothing

WHEN is ``at N`` (the N-th reply; of what touches messages, the N-th message), ``from N``, ``on TEXT``
(whatever the case), or nothing: always. What there is, is in `REPLIES`, `MESSAGES` and `STATES`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from labctl.errors import BadConfig
from sim_backend.emulators.serving.instrument import Instrument

CHUNK = 65536
Chunk = tuple[float, bytes]
"""[s] to wait, and bytes to send then."""


class Fault(NamedTuple):
    """One line of a script."""

    what: str
    amount: str
    when: str = ""
    """"at", "from", "on" or nothing."""
    mark: str = ""

    def hits(self, count: int, message: bytes) -> bool:
        """Whether it is meant for this one, the `count`-th."""
        match self.when:
            case "at":
                return count == int(self.mark)
            case "from":
                return count >= int(self.mark)
            case "on":
                return self.mark.upper().encode() in message.upper()
            case _:
                return True


def _dribble(reply: bytes, amount: str) -> Iterator[Chunk]:
    for byte in reply:
        yield float(amount or 0.2), bytes([byte])


def _flood(reply: bytes, amount: str) -> Iterator[Chunk]:
    left = int(float(amount or 1e6))
    while left > 0:
        yield 0.0, b"9" * min(left, CHUNK)
        left -= CHUNK


def _garbage(reply: bytes, amount: str) -> Iterator[Chunk]:
    yield 0.0, random.Random(reply).randbytes(int(amount or 20)).replace(b"\n", b"\xff") + reply[-1:]


def _late(reply: bytes, amount: str) -> Iterator[Chunk]:
    yield float(amount or 1.0), reply


def _silence(reply: bytes, amount: str) -> Iterator[Chunk]:
    return iter(())


def _say(reply: bytes, amount: str) -> Iterator[Chunk]:
    yield 0.0, amount.encode() + reply[-1:]


def _twice(reply: bytes, amount: str) -> Iterator[Chunk]:
    yield 0.0, reply + reply


def _short(reply: bytes, amount: str) -> Iterator[Chunk]:
    yield 0.0, reply.rpartition(b",")[0] + reply[-1:]


def _unended(reply: bytes, amount: str) -> Iterator[Chunk]:
    yield 0.0, reply[:-1]


def _drop(reply: bytes, amount: str) -> Iterator[Chunk]:
    yield 0.0, reply[: int(amount or 0)]


REPLIES: dict[str, Callable[[bytes, str], Iterator[Chunk]]] = {
    "drop": _drop,  # BYTES of the reply, then the link ends (on a pty: silence)
    "dribble": _dribble,  # SECONDS for each byte
    "flood": _flood,  # BYTES without a terminator
    "garbage": _garbage,  # BYTES of anything
    "late": _late,  # SECONDS
    "silence": _silence,
    "say": _say,  # TEXT in place of the reply
    "twice": _twice,
    "short": _short,  # the last field is missing
    "unended": _unended,  # no terminator
}
RELAY_STATES = ("left-closed", "stuck-open", "stuck-closed", "welded")
"""Of a channel of a switch box: `stuck-open 102`."""
MESSAGES = ("ignore", "power-cycle", "local", "echo", "hang-up")
"""What happens to a message: taken, not done; done after a power cycle, or after the command AMOUNT was done
as if at the front panel; sent back; the link ends first."""
STATES = ("errors", "starts-on", "interlock-open", "busy", *RELAY_STATES)
"""What an instrument is from the beginning, if it can be: see `suffer` of each."""
NUMBERED = ("drop", "dribble", "flood", "garbage", "late", "starts-on")
"""Their amount is a number, or is left out."""
_WHEN = re.compile(r"(.*?)(?:\s+(?:(at|from)\s+([0-9]+)|(on)\s+(.+)))?", re.DOTALL)
_NUMBER = re.compile(r"[0-9.]+(e[0-9]+)?|")


def parse(script: str) -> list[Fault]:
    """The faults of a script; `BadConfig` for what is none."""
    faults, kinds = list[Fault](), (*REPLIES, *MESSAGES, *STATES)
    for line in filter(None, map(str.strip, re.split(r"[;\n]", script))):
        what, _, tail = line.partition(" ")
        match = _WHEN.fullmatch(f" {tail.strip()}" if tail.strip() else "")
        amount, counted, count, named, text = match.groups() if match else ("", "", "", "", "")
        amount = amount.strip()
        if what not in kinds or (what in NUMBERED and not _NUMBER.fullmatch(amount)):
            raise BadConfig(
                f'"{line}" is no fault',
                allowed=f"WHAT [AMOUNT] [at N, from N or on TEXT]; WHAT: {', '.join(kinds)}",
            )
        faults.append(Fault(what, amount, counted or named or "", count or text or ""))
    return faults


class Faults:
    """A script at work on one instrument."""

    def __init__(self, script: str, instrument: Instrument) -> None:
        self._faults = parse(script)
        self._messages = self._replies = 0
        for fault in self._faults:
            if fault.what in STATES and not instrument.suffer(fault.what, fault.amount):
                raise BadConfig(f'this instrument cannot suffer "{fault.what}"')

    def met(self, message: bytes) -> Fault | None:
        """What happens to this message: one of `MESSAGES`, or nothing."""
        self._messages += 1
        hits = (one for one in self._faults if one.what in MESSAGES and one.hits(self._messages, message))
        return next(hits, None)

    def sent(self, message: bytes, reply: bytes) -> tuple[Iterator[Chunk], bool]:
        """The reply in chunks, and whether the link ends after them."""
        self._replies += 1
        for fault in self._faults:
            if fault.what in REPLIES and fault.hits(self._replies, message):
                return REPLIES[fault.what](reply, fault.amount), fault.what == "drop"
        return iter([(0.0, reply)]), False
