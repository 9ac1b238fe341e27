"""From the equations' own text to the expression of a circuit simulator: one statement, many readers.

`expression(function, …)` reads the source of a kernel of a device model, puts numbers in the place
of parameters and texts such as `v(d)` in the place of variables, works out what is constant, and
returns one expression for a behavioural source in the `Dialect` of ngspice, LTspice, Xyce or Verilog-A.
ngspice evaluates what it is given as it stands, and a derivative of it for each variable, at every
step; so numbers that add or multiply are gathered (`Affine`), and nothing is divided by a number.

The kernels hold to a small language: assignments of one expression each and a return; + - * / **,
`exp`, `log`, `sinh`, `tanh`, `min`, `max`, `abs`, other kernels; `a if p == number else b` for a
parameter p, settled beforehand; and `a if v > 0.0 else b`, of which a simulator works out one side only:
both must be equal where v is 0. Anything else is an error here and not a surprise in the simulator.
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Dialect:
    """How a simulator writes what Python writes otherwise; `{0}`, `{1}` … stand for the operands."""

    power: str = "({0}**{1})"
    choice: str = "({0} > 0 ? {1} : {2})"
    parameter: str = "{0}"
    functions: Mapping[str, str] = field(default_factory=lambda: {"log": "ln"})


NGSPICE = Dialect(parameter="({{{0}}})")
LTSPICE = Dialect(parameter="({{{0}}})", choice="if({0}>0,{1},{2})")
XYCE = Dialect(parameter="p_{0}")
VERILOG_A = Dialect(power="pow({0},{1})")


@dataclass(frozen=True, slots=True)
class Affine:
    """offset + factor * text: a text and the numbers around it."""

    text: str
    factor: float = 1.0
    offset: float = 0.0

    @property
    def scaled(self) -> str:
        """The text of factor * text."""
        return self.text if self.factor == 1.0 else f"({number(self.factor)}*{self.text})"

    def __str__(self) -> str:
        """The text of the whole."""
        return self.scaled if self.offset == 0.0 else _added(number(self.offset), self)


@dataclass(frozen=True, slots=True)
class Named:
    """A parameter that keeps its name in the text; what hinges on it is settled by what it is worth."""

    name: str
    worth: float


Value: TypeAlias = float | Affine
"""A number that is known, or what is not."""

_NUMERIC: dict[str, Callable[..., Any]] = {
    "exp": math.exp,
    "log": math.log,
    "sinh": math.sinh,
    "tanh": math.tanh,
    "min": min,
    "max": max,
    "abs": abs,
}


def expression(
    function: Callable[..., float], arguments: Mapping[str, Value | str | Named], dialect: Dialect = NGSPICE
) -> str:
    """The text of what `function` returns; `arguments` by name, more than it takes are passed over."""
    return _text(value(function, arguments, dialect))


def value(
    function: Callable[..., float], arguments: Mapping[str, Value | str | Named], dialect: Dialect = NGSPICE
) -> Value:
    """What `function` returns, as an argument of another."""
    reader = _Reader(dialect)
    return reader.call(function, {name: reader.known(arguments[name]) for name in names(function)})


def number(value: float) -> str:
    """A number as a netlist may have it: every digit of it, and never NaN or infinity."""
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot stand in a netlist")
    return repr(float(value))


class _Reader:
    """Reads kernels for one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._worth: dict[str, float] = {}

    def known(self, argument: Value | str | Named) -> Value:
        """What stands in the place of an argument."""
        if isinstance(argument, Named):
            text = self._dialect.parameter.format(argument.name)
            self._worth[text] = argument.worth
            return Affine(text)
        return Affine(argument) if isinstance(argument, str) else argument

    def call(self, function: Callable[..., float], arguments: Mapping[str, Value]) -> Value:
        """What the function returns for these."""
        known = dict(arguments)
        body, home = _parsed(function)
        for statement in body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                known[statement.targets[0].id] = self._fold(statement.value, known, home)
            elif isinstance(statement, ast.Return) and statement.value is not None:
                return self._fold(statement.value, known, home)
            else:
                raise TypeError(f"{ast.unparse(statement)!r} is not of the language of the device equations")
        raise TypeError("an equation without a return")

    def _fold(self, node: ast.expr, known: Mapping[str, Value], home: Mapping[str, Any]) -> Value:
        match node:
            case ast.Constant(value=float() | int() as value) if not isinstance(value, bool):
                return float(value)
            case ast.Name(id=name):
                return known[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _product(-1.0, self._fold(operand, known, home))
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self._fold(left, known, home), self._fold(right, known, home))
            case ast.IfExp(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
                sides = [self._settled(self._fold(side, known, home), node.test) for side in (left, right)]
                return self._fold(node.body if sides[0] == sides[1] else node.orelse, known, home)
            case ast.IfExp(test=ast.Compare(left, [ast.Gt()], [ast.Constant(value=0.0)])):
                return self._chosen(self._fold(left, known, home), node, known, home)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._apply(name, [self._fold(arg, known, home) for arg in args], home)
            case _:
                raise TypeError(f"{ast.unparse(node)!r} is not of the language of the device equations")

    def _settled(self, side: Value, test: ast.expr) -> float:
        if isinstance(side, Affine) and side == Affine(side.text) and side.text in self._worth:
            return self._worth[side.text]
        if isinstance(side, Affine):
            raise TypeError(f"{ast.unparse(test)!r} asks for what is not known beforehand")
        return side

    def _chosen(
        self, side: Value, node: ast.IfExp, known: Mapping[str, Value], home: Mapping[str, Any]
    ) -> Value:
        if isinstance(side, float):
            return self._fold(node.body if side > 0.0 else node.orelse, known, home)
        both = (_text(self._fold(one, known, home)) for one in (node.body, node.orelse))
        return Affine(self._dialect.choice.format(side, *both))

    def _binary(self, op: ast.operator, left: Value, right: Value) -> Value:
        match op:
            case ast.Add():
                return _sum(left, right)
            case ast.Sub():
                return _sum(left, _product(-1.0, right))
            case ast.Mult():
                return _product(left, right)
            case ast.Div():
                return _quotient(left, right) if isinstance(right, Affine) else _product(left, 1.0 / right)
            case ast.Pow():
                if isinstance(left, float) and isinstance(right, float):
                    return math.pow(left, right)
                return Affine(self._dialect.power.format(_text(left), _text(right)))
            case _:
                raise TypeError(f"{type(op).__name__} is not of the language of the device equations")

    def _apply(self, name: str, values: list[Value], home: Mapping[str, Any]) -> Value:
        if name not in _NUMERIC:
            function = home[name]
            return self.call(function, dict(zip(names(function), values, strict=True)))
        numbers = [value for value in values if isinstance(value, float)]
        if len(numbers) == len(values):
            return float(_NUMERIC[name](*numbers))
        written = self._dialect.functions.get(name, name)
        return Affine(f"{written}({','.join(_text(value) for value in values)})")


def names(function: Callable[..., float]) -> list[str]:
    """What a kernel takes."""
    return list(inspect.signature(getattr(function, "py_func", function)).parameters)


@cache
def _parsed(function: Callable[..., float]) -> tuple[list[ast.stmt], dict[str, Any]]:
    plain: Any = getattr(function, "py_func", function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(plain)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    return [s for s in definition.body if not isinstance(s, ast.Expr)], plain.__globals__


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


def _quotient(left: Value, right: Affine) -> Affine:
    """Numbers that multiply are taken out of both."""
    factor, below = (right.factor, right.text) if right.offset == 0.0 else (1.0, str(right))
    if not isinstance(left, Affine):
        return Affine(f"(1/{below})", left / factor)
    above, before = (left.text, left.factor) if left.offset == 0.0 else (str(left), 1.0)
    return Affine(f"({above}/{below})", before / factor)


def _text(value: Value) -> str:
    return number(value) if isinstance(value, float) else str(value)
