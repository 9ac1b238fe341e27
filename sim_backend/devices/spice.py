"""From the equations' own text to a SPICE expression: one statement, two readers.

`expression(function, …)` reads the source of a function of `sim_backend.devices.equations`, puts
numbers in the place of parameters and SPICE texts such as `v(d)` in the place of variables, works
out what is constant, and returns one expression for a behavioural source. ngspice evaluates what it
is given as it stands, and a derivative of it for each variable, at every step; so numbers that add
or multiply are gathered (`Affine`), and nothing is divided by a number. Only the small language
named there is understood; anything else is an error here and not a surprise in the simulator.
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Affine:
    """offset + factor * text: a SPICE text and the numbers around it."""

    text: str
    factor: float = 1.0
    offset: float = 0.0

    @property
    def scaled(self) -> str:
        """The text of factor * text."""
        return self.text if self.factor == 1.0 else f"({number(self.factor)}*{self.text})"

    def __str__(self) -> str:
        """The SPICE text of the whole."""
        return self.scaled if self.offset == 0.0 else _added(number(self.offset), self)


Value: TypeAlias = float | Affine
"""A number that is known, or what is not."""

_NUMERIC: dict[str, Callable[..., Any]] = {
    "exp": math.exp,
    "sinh": math.sinh,
    "tanh": math.tanh,
    "min": min,
    "max": max,
    "abs": abs,
}


def expression(function: Callable[..., float], arguments: Mapping[str, float | str]) -> str:
    """The SPICE text of what `function` returns; `arguments` by name, more than it takes are passed over."""
    given = {name: arguments[name] for name in _names(function)}
    known = {name: Affine(value) if isinstance(value, str) else value for name, value in given.items()}
    return _text(_call(function, known))


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
        case ast.Constant(value=float() | int() as value) if not isinstance(value, bool):
            return float(value)
        case ast.Name(id=name):
            return known[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _product(-1.0, _fold(operand, known, home))
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(op, _fold(left, known, home), _fold(right, known, home))
        case ast.IfExp(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            sides = _fold(left, known, home), _fold(right, known, home)
            if not all(isinstance(side, float) for side in sides):
                raise TypeError(f"{ast.unparse(node.test)!r} asks for what is not known beforehand")
            return _fold(node.body if sides[0] == sides[1] else node.orelse, known, home)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _apply(name, [_fold(arg, known, home) for arg in args], home)
        case _:
            raise TypeError(f"{ast.unparse(node)!r} is not of the language of the device equations")


def _binary(op: ast.operator, left: Value, right: Value) -> Value:
    match op:
        case ast.Add():
            return _sum(left, right)
        case ast.Sub():
            return _sum(left, _product(-1.0, right))
        case ast.Mult():
            return _product(left, right)
        case ast.Div():
            return _product(left, 1.0 / right if isinstance(right, float) else Affine(f"(1/{right})"))
        case ast.Pow():
            if isinstance(left, float) and isinstance(right, float):
                return math.pow(left, right)
            return Affine(f"({_text(left)}**{_text(right)})")
        case _:
            raise TypeError(f"{type(op).__name__} is not of the language of the device equations")


def _sum(left: Value, right: Value) -> Value:
    match left, right:
        case float(), float():
            return left + right
        case Affine(), Affine():
            return Affine(_added(left.scaled, right), offset=left.offset + right.offset)
        case Affine(), float():
            return Affine(left.text, left.factor, left.offset + right)
        case _:
            return _sum(right, left)


def _added(text: str, term: Affine) -> str:
    """The text of the sum of `text` and the scaled part of `term`."""
    if term.factor < 0.0:
        return f"({text}-{Affine(term.text, -term.factor).scaled})"
    return f"({text}+{term.scaled})"


def _product(left: Value, right: Value) -> Value:
    match left, right:
        case float(), float():
            return left * right
        case Affine(), Affine():
            if left.offset == right.offset == 0.0:
                return Affine(f"({left.text}*{right.text})", left.factor * right.factor)
            return Affine(f"({left}*{right})")
        case float(), Affine():
            return Affine(right.text, left * right.factor, left * right.offset) if left else 0.0
        case _:
            return _product(right, left)


def _apply(name: str, values: list[Value], home: Mapping[str, Any]) -> Value:
    if name not in _NUMERIC:
        function = home[name]
        return _call(function, dict(zip(_names(function), values, strict=True)))
    numbers = [value for value in values if isinstance(value, float)]
    if len(numbers) == len(values):
        return float(_NUMERIC[name](*numbers))
    return Affine(f"{name}({','.join(_text(value) for value in values)})")


def _text(value: Value) -> str:
    return number(value) if isinstance(value, float) else str(value)
