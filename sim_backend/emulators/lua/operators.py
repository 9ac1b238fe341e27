"""What Lua's signs do to values, and what a message calls an expression."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from sim_backend.emulators.lua import tree
from sim_backend.emulators.lua.values import LuaError, Value, kind, number, text

LONGEST = 2**20
"""Characters in a text that a script puts together."""


def operate(sign: str, left: Value, right: Value) -> Value:
    """Arithmetic, comparison, or joined text. Raises `LuaError` for what does not go together."""
    if sign in ("==", "~="):
        return (kind(left) == kind(right) and left == right) is (sign == "==")
    if sign in _COMPARISONS:
        return _compared(sign, left, right)
    if sign == "..":
        joined = text(left, "`..'") + text(right, "`..'")
        if len(joined) > LONGEST:
            raise LuaError("not enough memory")
        return joined
    return _ARITHMETIC[sign](number(left, "arithmetic"), number(right, "arithmetic"))


def named(expression: tree.Expression) -> str:
    """As the script wrote it, where it is a name or a part of one."""
    match expression:
        case tree.Name(name):
            return name
        case tree.Index(of, tree.Constant(str() as key)):
            return f"{named(of)}.{key}"
        case _:
            return "?"


def _compared(sign: str, left: Value, right: Value) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return _COMPARISONS[sign](left, right)
    numbers = isinstance(left, float) and isinstance(right, float)
    if not numbers or isinstance(left, bool) or isinstance(right, bool):
        raise LuaError(f"attempt to compare {kind(left)} with {kind(right)}")
    return _COMPARISONS[sign](left, right)


def _divided(left: float, right: float) -> float:
    """As IEEE 754 has it: nothing is wrong with a division by 0."""
    if right != 0.0:
        return left / right
    return (
        math.nan
        if left == 0.0 or math.isnan(left)
        else math.copysign(math.inf, left) * math.copysign(1, right)
    )


def power(left: float, right: float) -> float:
    """As IEEE 754 has it, but not a number for what is no real one."""
    try:
        found = left**right
    except OverflowError:
        return math.inf
    except ZeroDivisionError:
        return math.inf
    return found if isinstance(found, float) else math.nan


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "^": power,
}
