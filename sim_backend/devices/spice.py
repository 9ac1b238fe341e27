"""From the equations' own text to a SPICE expression: one statement, two readers.

`expression(function, …)` reads the source of a function of `sim_backend.devices.equations`, puts
numbers in the place of parameters and SPICE texts such as `V(d)` in the place of variables, works
out what is constant, and returns one expression for a behavioural source. Only the small language
named there is understood; anything else is an error here and not a surprise in the simulator.
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

Value: TypeAlias = float | str
"""A number that is known, or the SPICE text of one that is not."""

_NUMERIC: dict[str, Callable[..., float]] = {
    "exp": math.exp,
    "sinh": math.sinh,
    "tanh": math.tanh,
    "min": min,
    "max": max,
    "abs": abs,
}
_SYMBOLS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}


def expression(function: Callable[..., float], arguments: Mapping[str, Value]) -> str:
    """The SPICE text of what `function` returns; `arguments` by name, more than it takes are passed over."""
    return _text(_call(function, {name: arguments[name] for name in _names(function)}))


def number(value: float) -> str:
    """A number as a netlist may have it: every digit of it, and never NaN or infinity."""
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot stand in a netlist")
    return repr(float(value))


def _call(function: Callable[..., float], arguments: Mapping[str, Value]) -> Value:
    known = dict(arguments)
    body, home = _parsed(function)
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            known[statement.targets[0].id] = _fold(statement.value, known, home)
        elif isinstance(statement, ast.Return) and statement.value is not None:
            return _fold(statement.value, known, home)
        else:
            raise TypeError(f"{ast.unparse(statement)!r} is not of the language of the device equations")
    raise TypeError("an equation without a return")


def _names(function: Callable[..., float]) -> list[str]:
    return list(inspect.signature(getattr(function, "py_func", function)).parameters)


@cache
def _parsed(function: Callable[..., float]) -> tuple[list[ast.stmt], dict[str, Any]]:
    plain: Any = getattr(function, "py_func", function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(plain)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    return [s for s in definition.body if not isinstance(s, ast.Expr)], plain.__globals__


def _fold(node: ast.expr, known: Mapping[str, Value], home: Mapping[str, Any]) -> Value:
    match node:
        case ast.Constant(value=float() | int() as value):
            return float(value)
        case ast.Name(id=name):
            return known[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _fold(operand, known, home)
            return -value if isinstance(value, float) else f"(-{value})"
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(_SYMBOLS[type(op)], _fold(left, known, home), _fold(right, known, home))
        case ast.IfExp(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            same = _fold(left, known, home) == _fold(right, known, home)
            return _fold(node.body if same else node.orelse, known, home)
        case ast.Call(func=ast.Name(id=name), args=args):
            return _apply(name, [_fold(arg, known, home) for arg in args], home)
        case _:
            raise TypeError(f"{ast.unparse(node)!r} is not of the language of the device equations")


def _binary(symbol: str, left: Value, right: Value) -> Value:
    if isinstance(left, float) and isinstance(right, float):
        return _arithmetic(symbol, left, right)
    if symbol == "*" and 0.0 in (left, right):
        return 0.0
    if (symbol in "+-" and right == 0.0) or (symbol in "*/" and right == 1.0):
        return left
    if (symbol == "+" and left == 0.0) or (symbol == "*" and left == 1.0):
        return right
    return f"({_text(left)}{symbol}{_text(right)})"


def _arithmetic(symbol: str, left: float, right: float) -> float:
    match symbol:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case _:
            return left**right


def _apply(name: str, values: list[Value], home: Mapping[str, Any]) -> Value:
    if name not in _NUMERIC:
        function = home[name]
        return _call(function, dict(zip(_names(function), values, strict=True)))
    numbers = [value for value in values if isinstance(value, float)]
    if len(numbers) == len(values):
        return _NUMERIC[name](*numbers)
    return f"{name}({','.join(_text(value) for value in values)})"


def _text(value: Value) -> str:
    if isinstance(value, float):
        return number(value) if value >= 0 else f"({number(value)})"
    return value
