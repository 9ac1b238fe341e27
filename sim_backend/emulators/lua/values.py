"""What variables of a script hold: nil, truth, numbers, text, tables, functions, and host objects.

A host object is a part of the instrument (`smua.source`): its attributes are read and set by functions of the
emulator, and one that it does not have is an error, as a misspelt setting must be.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)


class LuaError(Exception):
    """What a script did wrong while it ran; `code` as the error queue of TSP has it."""

    def __init__(self, wrong: str, code: int = -286) -> None:
        super().__init__(wrong)
        self.code = code


Builtin: TypeAlias = Callable[["list[Value]"], "list[Value]"]
"""A function of the emulator: values in, values out."""


class Host(ABC):
    """What has keys: a table, or a part of an instrument."""

    @abstractmethod
    def get(self, key: Value) -> Value:
        """Raises `LuaError` for what it does not have."""

    @abstractmethod
    def put(self, key: Value, value: Value) -> None:
        """Raises `LuaError` for what it does not have, or does not take."""


class Table(Host):
    """A Lua table; keys are numbers, text and truth values."""

    def __init__(self, sequence: Iterable[Value] = ()) -> None:
        self.items: dict[float | str | bool, Value] = {
            float(place): item for place, item in enumerate(sequence, 1)
        }

    def get(self, key: Value) -> Value:
        """What is there, or nil."""
        return self.items.get(key) if isinstance(key, float | str | bool) else None

    def put(self, key: Value, value: Value) -> None:
        """Nil takes it away."""
        if not isinstance(key, float | str | bool):
            raise LuaError("index is nil" if key is None else "a key of a table is a number or text")
        if value is None:
            self.items.pop(key, None)
        else:
            self.items[key] = value

    def sequence(self) -> list[Value]:
        """Items 1, 2, 3… up to the first that is missing."""
        found: list[Value] = []
        while (value := self.items.get(len(found) + 1.0)) is not None:
            found.append(value)
        return found


class Attribute(NamedTuple):
    """How one attribute is read and set; without `put` it cannot be set."""

    get: Callable[[], Value]
    put: Callable[[Value], None] | None = None


class Part(Host):
    """A host object with a fixed set of attributes; `name` is what messages call it."""

    def __init__(self, name: str, attributes: Mapping[str, Attribute | Value]) -> None:
        self.name = name
        self._attributes = dict(attributes)

    def get(self, key: Value) -> Value:
        """A constant, a function, or what an attribute says now."""
        found = self._find(key)
        return found.get() if isinstance(found, Attribute) else found

    def put(self, key: Value, value: Value) -> None:
        """Set an attribute."""
        found = self._find(key)
        if not isinstance(found, Attribute) or found.put is None:
            raise LuaError(f"cannot modify read-only attribute `{self.name}.{key}'")
        found.put(value)

    def _find(self, key: Value) -> Attribute | Value:
        if not isinstance(key, str) or key not in self._attributes:
            raise LuaError(f"`{self.name}' has no attribute `{shown(key)}'")
        return self._attributes[key]


Value: TypeAlias = bool | float | str | Host | Builtin | None


def is_true(value: Value) -> bool:
    """All but nil and false."""
    return value is not None and value is not False


def kind(value: Value) -> str:
    """What Lua calls it."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Table):
        return "table"
    return "function" if callable(value) else "userdata"


def shown(value: Value) -> str:
    """As `tostring` writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.14g}"
    return value if isinstance(value, str) else kind(value)


def number(value: Value, what: str = "a parameter") -> float:
    """A number, or text that is one; anything else is a `LuaError`."""
    if isinstance(value, bool):
        raise LuaError(f"{what}: number expected, got boolean")
    if isinstance(value, float):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    raise LuaError(f"{what}: number expected, got {kind(value)}")


def whole(value: Value, what: str = "a parameter") -> int:
    """A whole number."""
    found = number(value, what)
    if not abs(found) < 2**53 or found != int(found):
        raise LuaError(f"{what}: whole number expected, got {shown(found)}")
    return int(found)


def text(value: Value, what: str = "a parameter") -> str:
    """Text; a number passes for it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return shown(value)
    raise LuaError(f"{what}: string expected, got {kind(value)}")


def numbers(value: Value, what: str = "a parameter") -> list[float]:
    """The numbers of a table, in order."""
    if not isinstance(value, Table):
        raise LuaError(f"{what}: table expected, got {kind(value)}")
    return [number(item, what) for item in value.sequence()]


def argument(given: list[Value], place: int) -> Value:
    """The argument at that place, nil if there is none."""
    return given[place] if place < len(given) else None


def action(act: Callable[[], None]) -> Builtin:
    """A function of a script that takes and gives nothing."""

    def call(given: list[Value]) -> list[Value]:
        if given:
            raise LuaError("too many parameters")
        act()
        return []

    return call
