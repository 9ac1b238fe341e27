"""Functions of Lua 5.0 that scripts for instruments use: `math`, `string`, `table`, and what stands alone."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable

from sim_backend.emulators.lua.operators import LONGEST, power
from sim_backend.emulators.lua.values import (
    Builtin,
    LuaError,
    Part,
    Table,
    Value,
    argument,
    kind,
    number,
    shown,
    text,
    whole,
)

_FORMAT = re.compile(r"%([-+ 0#]?[0-9]{0,2}(?:\.[0-9]{1,2})?)([dixXeEfgGcs%])")


def library() -> dict[str, Value]:
    """Names and values, new for each interpreter."""
    chance = random.Random(0)
    return {
        "tonumber": _tonumber,
        "tostring": lambda given: [shown(argument(given, 0))],
        "type": lambda given: [kind(argument(given, 0))],
        "pairs": lambda given: [_next, argument(given, 0), None],
        "ipairs": lambda given: [_next_place, argument(given, 0), 0.0],
        "math": Part("math", _mathematics(chance)),
        "string": Part("string", _STRING),
        "table": Part("table", _TABLE),
        "bit": Part("bit", _BIT),
    }


def _real(function: Callable[[float], float]) -> Builtin:
    def call(given: list[Value]) -> list[Value]:
        try:
            return [float(function(number(argument(given, 0), "bad argument #1")))]
        except (ValueError, OverflowError):
            return [math.nan]

    return call


def _mathematics(chance: random.Random) -> dict[str, Value]:
    reals: dict[str, Callable[[float], float]] = {
        "abs": abs,
        "ceil": math.ceil,
        "floor": math.floor,
        "sqrt": math.sqrt,
        "exp": math.exp,
        "log": math.log,
        "log10": math.log10,
        "sin": math.sin,
        "cos": math.cos,
        "tan": math.tan,
    }
    found: dict[str, Value] = {name: _real(function) for name, function in reals.items()}
    found["pi"] = math.pi
    found["max"] = lambda given: [max(number(value) for value in _some(given))]
    found["min"] = lambda given: [min(number(value) for value in _some(given))]
    found["pow"] = lambda given: [power(number(argument(given, 0)), number(argument(given, 1)))]
    found["random"] = lambda given: _random(chance, given)
    return found


def _some(given: list[Value]) -> list[Value]:
    if not given:
        raise LuaError("bad argument #1: number expected, got no value")
    return given


def _random(chance: random.Random, given: list[Value]) -> list[Value]:
    if not given:
        return [chance.random()]
    low, high = (1, whole(given[0])) if len(given) == 1 else (whole(given[0]), whole(given[1]))
    if low > high:
        raise LuaError("bad argument: interval is empty")
    return [float(chance.randint(low, high))]


def _tonumber(given: list[Value]) -> list[Value]:
    try:
        return [number(argument(given, 0))]
    except LuaError:
        return [None]


def _table(given: list[Value]) -> Table:
    found = argument(given, 0)
    if not isinstance(found, Table):
        raise LuaError(f"bad argument #1: table expected, got {kind(found)}")
    return found


def _next(given: list[Value]) -> list[Value]:
    keys = list(_table(given).items)
    last = argument(given, 1)
    place = 0 if last is None else next((at + 1 for at, key in enumerate(keys) if key == last), len(keys))
    return [keys[place], _table(given).get(keys[place])] if place < len(keys) else [None]


def _next_place(given: list[Value]) -> list[Value]:
    place = number(argument(given, 1)) + 1.0
    value = _table(given).get(place)
    return [None] if value is None else [place, value]


def _insert(given: list[Value]) -> list[Value]:
    table, items = _table(given), _table(given).sequence()
    place = whole(argument(given, 1)) if len(given) > 2 else len(items) + 1
    items.insert(place - 1, given[-1])
    if len(given) == 2:
        table.put(float(place), given[-1])  # the usual one, without moving the rest
    else:
        table.items.update({float(at): item for at, item in enumerate(items, 1)})
    return []


def _remove(given: list[Value]) -> list[Value]:
    table, items = _table(given), _table(given).sequence()
    place = whole(argument(given, 1)) if len(given) > 1 else len(items)
    if not 1 <= place <= len(items):
        return [None]
    gone = items.pop(place - 1)
    table.items.update({float(at): item for at, item in enumerate(items, 1)})
    table.put(float(len(items) + 1), None)
    return [gone]


def _concat(given: list[Value]) -> list[Value]:
    separator = text(argument(given, 1)) if len(given) > 1 else ""
    return [separator.join(text(item) for item in _table(given).sequence())[:LONGEST]]


def _format(given: list[Value]) -> list[Value]:
    left = list(given[1:])

    def one(match: re.Match[str]) -> str:
        if match[2] == "%":
            return "%"
        if not left:
            raise LuaError("bad argument to `format': no value")
        value, sign = left.pop(0), match[2]
        if sign in "dixXc":
            return f"%{match[1]}{sign}" % (whole(value) % 256 if sign == "c" else whole(value))
        return f"%{match[1]}{sign}" % (shown(value) if sign == "s" else number(value))

    return [_FORMAT.sub(one, text(argument(given, 0)))]


def _sub(given: list[Value]) -> list[Value]:
    of, start = text(argument(given, 0)), whole(argument(given, 1))
    stop = whole(given[2]) if len(given) > 2 else -1
    start = max(start if start >= 0 else len(of) + start + 1, 1)
    stop = stop if stop >= 0 else len(of) + stop + 1
    return [of[start - 1 : stop]]


def _bits(given: list[Value]) -> tuple[int, int]:
    return whole(argument(given, 0)), whole(argument(given, 1))


_STRING: dict[str, Value] = {
    "format": _format,
    "len": lambda given: [float(len(text(argument(given, 0))))],
    "lower": lambda given: [text(argument(given, 0)).lower()],
    "upper": lambda given: [text(argument(given, 0)).upper()],
    "sub": _sub,
}
_TABLE: dict[str, Value] = {
    "getn": lambda given: [float(len(_table(given).sequence()))],
    "insert": _insert,
    "remove": _remove,
    "concat": _concat,
}
_BIT: dict[str, Value] = {
    "bitand": lambda given: [float(_bits(given)[0] & _bits(given)[1])],
    "bitor": lambda given: [float(_bits(given)[0] | _bits(given)[1])],
    "bitxor": lambda given: [float(_bits(given)[0] ^ _bits(given)[1])],
    "test": lambda given: [bool(_bits(given)[0] >> max(0, min(64, _bits(given)[1] - 1)) & 1)],
}
