"""The SPICE text of the equations, worked out by a small reader of such text, against the equations."""

import ast
import math
import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from sim_backend.devices import models, parameters, spice
from sim_backend.devices.metastable import metastable_current
from sim_backend.devices.spice import LTSPICE, XYCE, Named, expression, number
from sim_backend.jit import kernel

OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
    ast.USub: lambda a: -a,
}
FUNCTIONS = {
    "exp": math.exp,
    "tanh": math.tanh,
    "sinh": math.sinh,
    "min": min,
    "max": max,
    "abs": abs,
    "ln": math.log,
}


def worth(text: str, voltages: Mapping[str, float]) -> float:
    """What a SPICE expression is worth where `v(name)` is `voltages[name]`."""

    def of(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=value) if isinstance(value, int | float):
                return float(value)
            case ast.BinOp(left=left, op=op, right=right):
                return OPERATORS[type(op)](of(left), of(right))
            case ast.UnaryOp(op=op, operand=operand):
                return OPERATORS[type(op)](of(operand))
            case ast.IfExp(test=ast.Compare(left=side), body=body, orelse=orelse):
                return of(body if of(side) > 0 else orelse)
            case ast.Call(func=ast.Name(id="v"), args=[ast.Name(id=name)]):
                return voltages[name]
            case ast.Call(func=ast.Name(id=name), args=args):
                return float(FUNCTIONS[name](*map(of, args)))
            case _:
                raise AssertionError(f"not SPICE: {ast.unparse(node)}")

    return of(ast.parse(pythonic(text), mode="eval").body)


def pythonic(text: str) -> str:
    """With Python's conditional, innermost first."""
    while found := re.search(r"\(([^()?]*(?:\([^()]*\))?[^()?]*) > 0 \? ", text):
        text = _turned(text, found)
    return text


def _turned(text: str, found: re.Match[str]) -> str:
    depth, colon = 1, 0
    for place in range(found.end(), len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if text.startswith(" : ", place) and depth == 1:
            colon = place
        if depth == 0:
            body, otherwise = text[found.end() : colon], text[colon + 3 : place]
            return f"{text[: found.start()]}({body} if {found[1]} > 0 else {otherwise}){text[place + 1 :]}"
    raise AssertionError(f"not closed: {text}")


ROWS = {name: parameters.load(name, "metastable").vector for name in ("W", "Sn", "Cr", "C")}
ROWS["Schottky"] = np.array(
    [0.0, 1.0, 1.0, 0.0, 800.0, 5e4, 0.2, 0.1, 1e-3, 0.0257, 0.85, 2e-7, 4.0, 3e-7, 3.0, 1.0]
)
ROWS["published"] = ROWS["Cr"] * ([1.0] * 15 + [0.0])


for model in ("sdc", "vteam", "yakopcic"):
    ROWS |= {f"{model}-{name}": parameters.load(name, model).vector for name in ("W", "Sn", "Cr", "C")}


@pytest.mark.parametrize("which", ["current", "rate"])
@pytest.mark.parametrize("name", ROWS)
def test_the_text_is_worth_what_the_function_returns(name: str, which: str) -> None:
    function: Callable[..., float] = getattr(models.of(ROWS[name]), which)
    known = models.arguments(ROWS[name])
    text = expression(function, known | {"v": "v(d)", "x": "v(s)"})
    taken = spice.names(function)
    points = np.random.default_rng(7).uniform([-2.0, 0.0], [2.0, 1.0], (200, 2))
    for v, x in points.tolist():
        by_function = function(**{key: (known | {"v": v, "x": x})[key] for key in taken})
        assert worth(text, {"d": v, "s": x}) == pytest.approx(by_function, rel=1e-9, abs=1e-10)


def test_what_is_known_is_worked_out_before() -> None:
    text = expression(metastable_current, models.arguments(ROWS["Cr"]) | {"v": "v(d)", "x": "v(s)"})
    assert "exp" not in text  # phi is 1: no Schottky branch
    assert "/" not in text
    assert float(expression(metastable_current, models.arguments(ROWS["Cr"]) | {"v": 0.1, "x": 1.0})) == (
        pytest.approx(0.1 / 381)
    )


@kernel
def helped(a: float) -> float:
    return a + 1.0


@kernel
def speaks(a: float, b: float) -> float:
    """Every word of the language."""
    c = -a * 2.0 + b
    d = helped(c) / (b + 3.0) - 1.0 / b
    e = max(min(abs(a), b), 0.25) ** 2.0
    return exp(0.1 * d) + sinh(e) * tanh(c) if b == 0.0 else d - e + (a - b) * (a + b)  # noqa: F821


def test_every_word_of_the_language_is_understood() -> None:
    text = expression(speaks, {"a": "v(a)", "b": 1.5})
    for a in (-2.0, 0.1, 3.0):
        c = -2 * a + 1.5
        d, e = (c + 1) / 4.5 - 1 / 1.5, max(min(abs(a), 1.5), 0.25) ** 2
        assert worth(text, {"a": a}) == pytest.approx(d - e + (a - 1.5) * (a + 1.5), rel=1e-12)


def raised(a: float, b: float) -> float:
    return a**b


def sided(a: float, b: float) -> float:
    return b * a if a > 0.0 else -exp(a)  # noqa: F821


def settled(a: float, p: float) -> float:
    return a if p == 0.0 else a / p


def test_a_choice_by_sign_is_left_to_the_simulator_unless_it_is_known() -> None:
    text = expression(sided, {"a": "v(a)", "b": 3.0})
    assert text == "(v(a) > 0 ? (3.0*v(a)) : (-1.0*exp(v(a))))"
    assert expression(sided, {"a": "v(a)", "b": 3.0}, LTSPICE) == "if(v(a)>0,(3.0*v(a)),(-1.0*exp(v(a))))"
    assert expression(sided, {"a": 2.0, "b": "v(b)"}) == "(2.0*v(b))"
    assert worth(text, {"a": 0.5}) == 1.5
    assert worth(text, {"a": -0.5}) == -math.exp(-0.5)


def test_a_named_parameter_keeps_its_name_and_settles_what_hinges_on_it() -> None:
    assert expression(settled, {"a": "v(a)", "p": Named("p", 2.0)}) == "(v(a)/({p}))"
    assert expression(settled, {"a": "v(a)", "p": Named("p", 2.0)}, XYCE) == "(v(a)/p_p)"
    assert expression(settled, {"a": "v(a)", "p": Named("p", 0.0)}) == "v(a)"


def loops(a: float) -> float:
    for _ in range(3):
        a = a * a
    return a


def compares(a: float) -> float:
    return a if a > 1.0 else -a


def indexes(a: float) -> float:
    return (a, a)[0]


def floors(a: float) -> float:
    return a // 2.0


def returns_nothing(a: float) -> float:  # type: ignore[return]
    b = a  # noqa: F841


def keyword(a: float) -> float:
    return helped(a=a)


def boolean(a: float) -> float:
    return a + True


def decides(a: float) -> float:
    return 1.0 if a == 0.0 else a


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (loops, "language"),
        (compares, "language"),
        (indexes, "language"),
        (floors, "language"),
        (keyword, "language"),
        (boolean, "language"),
        (returns_nothing, "without a return"),
        (decides, "not known beforehand"),
    ],
)
def test_what_is_not_of_the_language_is_refused(function: Callable[..., float], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        expression(function, {"a": "v(a)"})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_netlist_holds_what_is_no_number(value: float) -> None:
    with pytest.raises(ValueError, match="cannot stand in a netlist"):
        number(value)
    with pytest.raises(ValueError, match="cannot stand in a netlist"):
        expression(helped, {"a": value})


@pytest.mark.parametrize("value", [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -2.0])
def test_a_number_keeps_every_digit(value: float) -> None:
    assert float(number(value)) == value
