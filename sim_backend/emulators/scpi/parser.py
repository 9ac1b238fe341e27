"""A strict SCPI parser: headers in short and long form, compound messages, an error queue, status bytes.

An instrument is a class whose commands are methods under `@command` and whose settings are `Setting`s::

    class Meter(Scpi):
        settings = (Setting("[:SENSe[1]]:CURRent[:DC]:NPLCycles", Number(0.01, 10, 1), "nplc"),)

        @command(":READ?")
        def read(self, arguments: list[str]) -> str: ...

A pattern is written as manuals do: capitals are the short form, `[:NODE]` may be left out, `[1]` is a suffix
that may be left out, `[c]` one that is handed to the method as `channel`. A header is looked up in all
patterns once and remembered, so that the next such message costs a few microseconds.

After the first mistake of a message the rest of it is not executed (Keithley 2400 and 2450 manuals). -410 and
-420 are not here: they need a bus that knows who talks. The commands that every instrument has are in
`sim_backend.emulators.scpi.common`.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple, TypeAlias

from sim_backend.emulators.scpi.headers import (
    POWER_ON,
    Setting,
    command,
    event_of,
    expression,
    joined,
    none,
    only,
    well_formed,
)
from sim_backend.emulators.scpi.values import STANDARD, ScpiError, split
from sim_backend.emulators.serving.instrument import Blocked, Clock, Emulated

__all__ = ["Scpi", "Setting", "command", "none", "only"]
Action: TypeAlias = Callable[[str], str | None]
_KNOWN = 4096
"""Headers that are remembered."""
_SUFFIXES = {"c": "channel", "n": "number"}
"""What the methods call the suffixes of patterns."""


class _Waiting(NamedTuple):
    """A message that is put off: its units to come, and what the ones before replied."""

    units: deque[str]
    replies: list[str]
    path: str


class Scpi(Emulated):
    """The front of an instrument: from messages to methods and settings."""

    settings: ClassVar[tuple[Setting, ...]] = ()
    most_errors = 10
    urgent = ("ABOR", "OUTP", "*RST")
    """What is heard while an earlier message still waits."""
    _table: ClassVar[list[tuple[re.Pattern[str], str | Setting]]]

    def __init_subclass__(cls) -> None:
        """Collect the commands, once a class; a derived class's come first."""
        names = dict.fromkeys(name for base in cls.__mro__ for name in vars(base))
        cls._table = [
            (expression(pattern), name)
            for name in names
            for pattern in getattr(getattr(cls, name), "scpi_patterns", ())
        ]
        for one in cls.settings:
            cls._table += [(expression(one.pattern), one), (expression(one.pattern + "?"), one)]

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.errors = deque[tuple[int, str]]()
        self.events = POWER_ON
        """The standard event status register."""
        self._known: dict[str, Action] = {}
        self._waiting = deque[_Waiting]()

    # ---- to be written by an instrument -------------------------------------------------------

    def target(self, channel: int) -> Any:
        """Whose attributes the settings are. Raises `ScpiError` for a channel that is not there."""
        return self

    def form(self, value: float) -> str:
        """How a number is written in the reply to a query of a setting."""
        return f"{value:.6E}"

    def advance(self) -> None:
        """What is under way goes on, up to now."""

    def translate(self, error: Exception) -> ScpiError | None:
        """The code of an error of what stands behind; None: it is none, and is raised."""
        return None

    # ---- messages -----------------------------------------------------------------------------

    def receive(self, message: bytes) -> bytes:
        """One message; the replies of its queries, joined by semicolons."""
        self.advance()
        try:
            text = message.decode("ascii").replace("\t", " ").strip()
            if not self._waiting and ";" not in text:
                return self._one(text) if text else b""
            units = deque(split(text, ";"))
        except UnicodeDecodeError:
            return self.complain(ScpiError(-101))
        except ScpiError as error:
            return self.complain(error)
        if self._waiting:
            if not any(word in text.upper() for word in self.urgent):
                self._waiting.append(_Waiting(units, [], ""))
                return b""
            self._waiting.clear()
            self.due = math.inf
        return self._go_on(_Waiting(units, [], ""))

    def poll(self) -> bytes:
        """Go on with messages that waited."""
        self.due = math.inf
        self.advance()
        replies = b""
        while self._waiting and self.due == math.inf:
            replies += self._go_on(self._waiting.popleft())
        return replies

    def overrun(self) -> None:
        """More came without a terminator than there is room for."""
        self.complain(ScpiError(-363))

    def complain(self, error: Exception) -> bytes:
        """Into the queue with it, if it is an error that a client could make; replies nothing."""
        found = error if isinstance(error, ScpiError) else self.translate(error)
        if found is None:
            raise error
        self.events |= event_of(found.code)
        if len(self.errors) < self.most_errors:
            self.errors.append((found.code, found.text))
        else:
            self.errors[-1] = (-350, STANDARD[-350])
        return b""

    def _one(self, text: str) -> bytes:
        """A message of one unit: the usual one, so the short way."""
        header, _, rest = text.partition(" ")
        try:
            reply = (self._known.get(header) or self._find(header, header))(rest)
        except Blocked as blocked:
            return self._put_off(_Waiting(deque([text]), [], ""), blocked)
        except Exception as error:  # noqa: BLE001 - those that no client could make are raised again
            return self.complain(error)
        return b"" if reply is None else reply.encode() + self.terminator

    def _go_on(self, message: _Waiting) -> bytes:
        units, replies, path = message
        while units:
            header, _, rest = units[0].partition(" ")
            try:
                if header:
                    full, path = joined(header, path)
                    reply = (self._known.get(full) or self._find(full, header))(rest)
                    replies += [] if reply is None else [reply]
            except Blocked as blocked:
                return self._put_off(_Waiting(units, replies, path), blocked)
            except Exception as error:  # noqa: BLE001 - as above
                self.complain(error)
                break
            units.popleft()
        return ";".join(replies).encode() + self.terminator if replies else b""

    def _put_off(self, message: _Waiting, blocked: Blocked) -> bytes:
        self._waiting.appendleft(message)
        self.due = blocked.due
        return b""

    # ---- headers ------------------------------------------------------------------------------

    def _find(self, header: str, typed: str) -> Action:
        """What a header that was not met before does."""
        well_formed(typed)
        upper = header.upper() if header[0] in ":*" else f":{header.upper()}"
        for pattern, means in self._table:
            if match := pattern.fullmatch(upper):
                suffixes = {name: int(text[:9]) if text else 1 for name, text in match.groupdict().items()}
                if len(self._known) >= _KNOWN:
                    self._known.clear()
                self._known[header] = self._meant(means, upper.endswith("?"), suffixes)
                return self._known[header]
        raise ScpiError(-113)

    def _meant(
        self, means: str | Setting, query: bool, suffixes: dict[str, int]
    ) -> Callable[[str], str | None]:
        if isinstance(means, Setting):
            return partial(self._ask if query else self.set_to, means, suffixes.get("c", 1))
        method: Callable[..., str | None] = getattr(self, means)
        named = {_SUFFIXES.get(name, name): value for name, value in suffixes.items()}

        def call(rest: str) -> str | None:
            rest = rest.strip()
            return method(split(rest, ",") if rest else [], **named)

        return call

    def _ask(self, setting: Setting, channel: int, rest: str) -> str:
        target = self if setting.own else self.target(channel)
        value = setting.kind.read(rest.strip()) if rest else setting.of(target)
        return setting.kind.write(value, self.form)

    def set_to(self, setting: Setting, channel: int, rest: str) -> None:
        """What a setting's header does with the rest of its unit."""
        rest = rest.strip()
        if not rest:
            raise ScpiError(-109)
        if "," in rest and len(split(rest, ",")) > 1:
            raise ScpiError(-108)
        setting.to(self if setting.own else self.target(channel), setting.kind.read(rest))
