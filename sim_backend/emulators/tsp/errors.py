"""The error queue of an instrument with TSP: code, message, severity and node of each entry."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from sim_backend.emulators.lua.values import Attribute, Part, Value, action

MOST_ERRORS = 100
"""[not verified] That it holds."""
OVERFLOW = -350.0
SERIOUS = 20.0


class Entry(NamedTuple):
    """One error, as `errorqueue.next()` gives it."""

    code: float
    message: str
    severity: float = SERIOUS
    node: float = 1.0


EMPTY = Entry(0.0, "Queue Is Empty", 0.0)
ENDLESS = Entry(-285.0, "TSP Syntax error at line 1: unexpected symbol near `*'")


class ErrorQueue:
    """Oldest first; with `endless` there is always one more."""

    def __init__(self) -> None:
        self.endless = False
        self._entries = deque[Entry]()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, code: float, message: str) -> None:
        """Into it; when it is full, the last entry says so."""
        if len(self._entries) >= MOST_ERRORS:
            self._entries[-1] = Entry(OVERFLOW, "Queue overflow")
        else:
            self._entries.append(Entry(float(code), message))

    def clear(self) -> None:
        """All of them."""
        self._entries.clear()

    def next(self) -> Entry:
        """The oldest, taken out."""
        if self.endless:
            return ENDLESS
        return self._entries.popleft() if self._entries else EMPTY

    def part(self) -> Part:
        """`errorqueue` of Lua."""
        attributes: dict[str, Attribute | Value] = {
            "count": Attribute(lambda: float(len(self._entries) or self.endless)),
            "next": lambda given: list(self.next()),
            "clear": action(self.clear),
        }
        return Part("errorqueue", attributes)
