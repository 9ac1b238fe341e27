"""What an instrument with TSP prints: numbers as text or binary, readings of buffers (`format`, `print`)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable

from sim_backend.emulators.lua.values import (
    Attribute,
    Host,
    LuaError,
    Part,
    Value,
    argument,
    number,
    shown,
    whole,
)

ASCII, REAL32, REAL64 = 1, 2, 3
PARAMETER = 1101
"""[not verified] Of a parameter that is out of range."""
_CONSTANTS = {
    "ASCII": 1.0,
    "SREAL": 2.0,
    "REAL32": 2.0,
    "REAL": 3.0,
    "REAL64": 3.0,
    "DREAL": 3.0,
    "NORMAL": 0.0,
    "NETWORK": 0.0,
    "BIGENDIAN": 0.0,
    "SWAPPED": 1.0,
    "LITTLEENDIAN": 1.0,
}
_SETTINGS = {"data": (1, 3, 1), "asciiprecision": (1, 16, 6), "byteorder": (0, 1, 1)}
"""Least, most, and as delivered."""


class Column(Host):
    """Readings by number, from 1: `buffer.readings`."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def get(self, key: Value) -> Value:
        """One reading, or nil."""
        place = whole(key, "index")
        return self.values[place - 1] if 1 <= place <= len(self.values) else None

    def put(self, key: Value, value: Value) -> None:
        """No."""
        raise LuaError("a reading cannot be changed")


class Output:
    """What was printed and not yet sent, and how numbers are printed."""

    def __init__(self) -> None:
        self._said = bytearray()
        self._settings: dict[str, int] = {}
        self.deliver()

    def deliver(self) -> None:
        """Settings as delivered."""
        self._settings = {key: delivered for key, (_, _, delivered) in _SETTINGS.items()}

    def taken(self) -> bytes:
        """All of it, once."""
        said, self._said = bytes(self._said), bytearray()
        return said

    def say(self, line: str) -> None:
        """A line."""
        self._said += line.encode("latin-1", "replace") + b"\n"

    def names(self) -> dict[str, Value]:
        """Globals of Lua."""
        settings = {key: Attribute(self._getter(key), self._setter(key)) for key in _SETTINGS}
        return {
            "print": self._print,
            "printnumber": lambda given: self._numbers([number(value) for value in given]),
            "printbuffer": self._buffer,
            "format": Part("format", {**settings, **_CONSTANTS}),
        }

    def _getter(self, key: str) -> Callable[[], Value]:
        return lambda: float(self._settings[key])

    def _setter(self, key: str) -> Callable[[Value], None]:
        least, most, _ = _SETTINGS[key]

        def put(value: Value) -> None:
            found = whole(value, f"format.{key}")
            if not least <= found <= most:
                raise LuaError(f"Parameter, format.{key}, out of range", PARAMETER)
            self._settings[key] = found

        return put

    def _number(self, value: float) -> str:
        return f"{value:.{self._settings['asciiprecision'] - 1}e}"

    def _print(self, given: list[Value]) -> list[Value]:
        numeric = [isinstance(value, float) for value in given]
        words = [
            self._number(number(value)) if is_number else shown(value)
            for value, is_number in zip(given, numeric, strict=True)
        ]
        self.say("\t".join(words))
        return []

    def _numbers(self, values: Iterable[float]) -> list[Value]:
        data = self._settings["data"]
        if data == ASCII:
            self.say(", ".join(map(self._number, values)))
        else:
            form = f"{'<' if self._settings['byteorder'] else '>'}{'f' if data == REAL32 else 'd'}"
            self._said += b"#0" + b"".join(_packed(form, value) for value in values) + b"\n"
        return []

    def _buffer(self, given: list[Value]) -> list[Value]:
        start, stop = whole(argument(given, 0)), whole(argument(given, 1))
        columns = [_column(one) for one in given[2:]]
        if not columns or not 1 <= start <= stop <= min(map(len, columns)):
            raise LuaError("Parameter, index, out of range of the buffer", PARAMETER)
        return self._numbers(column[place] for place in range(start - 1, stop) for column in columns)


def _packed(form: str, value: float) -> bytes:
    """A number in binary; what is too large for its form is infinite."""
    try:
        return struct.pack(form, value)
    except OverflowError:
        return struct.pack(form, math.copysign(math.inf, value))


def _column(found: Value) -> list[float]:
    """A column, or a buffer, which stands for its readings."""
    if isinstance(found, Host) and not isinstance(found, Column):
        found = found.get("readings")
    if not isinstance(found, Column):
        raise LuaError(f"printbuffer: a buffer expected, got `{shown(found)}'")
    return found.values
