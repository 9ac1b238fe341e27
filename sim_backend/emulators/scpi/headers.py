"""SCPI headers: patterns as manuals write them, what they match, and what a message says of them.

Capitals are the short form, `[:NODE]` may be left out, `[1]` is a suffix that may be left out, `[c]` one that
is handed on: to a method as `channel`, to a setting as the channel it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeVar

from sim_backend.emulators.scpi.values import Kind, ScpiError, short

Method = TypeVar("Method", bound=Callable[..., Any])
_NODE = re.compile(r"(\[?)([:*][A-Za-z]+)(?:\[([a-z0-9]+)\])?|(\])|(\[)|(\?)")
_HEADER = re.compile(r":?[A-Za-z][A-Za-z0-9_]*(:[A-Za-z][A-Za-z0-9_]*)*\??|\*[A-Za-z]+\??")
_LONGEST_NODE = 12
OPERATION_COMPLETE, QUERY_ERROR, DEVICE_ERROR, EXECUTION_ERROR, COMMAND_ERROR, POWER_ON = 1, 4, 8, 16, 32, 128
"""Bits of the standard event status register (IEEE 488.2)."""
_EVENTS = {1: COMMAND_ERROR, 2: EXECUTION_ERROR, 4: QUERY_ERROR}


def command(*patterns: str) -> Callable[[Method], Method]:
    """The method answers these headers; one that ends in ``?`` is a query."""

    def mark(method: Method) -> Method:
        method.__dict__["scpi_patterns"] = patterns
        return method

    return mark


def expression(pattern: str) -> re.Pattern[str]:
    """What a pattern of a manual matches, in capitals: ``[:SOURce[c]]:VOLTage``."""
    text = ""
    for optional, node, suffix, close, opening, query in _NODE.findall(pattern):
        if node:
            word = node[1:]
            forms = dict.fromkeys((word.upper(), short(word)))
            text += "(?:" * bool(optional) + re.escape(node[0]) + f"(?:{'|'.join(forms)})"
            text += "" if not suffix else f"(?:{suffix})?" if suffix.isdigit() else f"(?P<{suffix}>[0-9]*)"
        text += ")?" * bool(close) + "(?:" * bool(opening) + r"\?" * bool(query)
    return re.compile(text)


@dataclass(frozen=True, slots=True)
class Setting:
    """A header that sets `name` of what `Scpi.target` gives for its channel, and whose query reads it.

    With a `key` the target has methods in place of the attribute: `name(key)` and `set_name(key, value)`. A
    setting of the instrument's `own` belongs to no channel. `name` may have points in it.
    """

    pattern: str
    kind: Kind
    name: str
    key: str | None = None
    own: bool = False

    def of(self, target: Any) -> Any:
        """Its value."""
        found = attrgetter(self.name)(target)
        return found if self.key is None else found(self.key)

    def to(self, target: Any, value: Any) -> None:
        """Give it a value."""
        owner, _, name = self.name.rpartition(".")
        owned = attrgetter(owner)(target) if owner else target
        if self.key is None:
            setattr(owned, name, value)
        else:
            getattr(owned, f"set_{name}")(self.key, value)


def well_formed(header: str) -> None:
    """Raise `ScpiError` for what can be no header."""
    if not _HEADER.fullmatch(header):
        raise ScpiError(-102)
    if any(len(node) > _LONGEST_NODE for node in header.rstrip("?").split(":")):
        raise ScpiError(-112)


def joined(header: str, path: str) -> tuple[str, str]:
    """A header of a compound message in full, and the path that the next one is relative to."""
    if header[0] == "*":
        return header, path
    full = header if header[0] == ":" else f"{path}:{header}"
    return full, full[: full.rindex(":")]


def event_of(code: int) -> int:
    """The bit of the standard event status register that an error of this code sets."""
    return _EVENTS.get(-code // 100, DEVICE_ERROR)


def none(arguments: list[str]) -> None:
    """A command that has no parameters got none."""
    if arguments:
        raise ScpiError(-108)


def only(arguments: list[str]) -> str:
    """The one parameter of a command that has one."""
    if not arguments or not arguments[0]:
        raise ScpiError(-109)
    if len(arguments) > 1:
        raise ScpiError(-108)
    return arguments[0]
