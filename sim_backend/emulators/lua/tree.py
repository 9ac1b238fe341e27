"""What Lua text means, as a tree: `lua_parser` makes it and `lua` runs it (Lua 5.0 manual, section 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(slots=True)
class Constant:
    """nil, a truth value, a number or a string."""

    value: bool | float | str | None


@dataclass(slots=True)
class Name:
    """A variable."""

    name: str


@dataclass(slots=True)
class Index:
    """`of[key]`, or `of.key`."""

    of: Expression
    key: Expression


@dataclass(slots=True)
class Call:
    """`function(arguments)`."""

    function: Expression
    arguments: list[Expression]


@dataclass(slots=True)
class Single:
    """`(expression)`: of several values the first."""

    expression: Expression


@dataclass(slots=True)
class Unary:
    """`- x` or `not x`."""

    operator: str
    x: Expression


@dataclass(slots=True)
class Binary:
    """Anything between two, `and` and `or` too."""

    operator: str
    left: Expression
    right: Expression


@dataclass(slots=True)
class TableOf:
    """`{...}`: keys and values; None for a key: the next number."""

    fields: list[tuple[Expression | None, Expression]]


@dataclass(slots=True)
class Function:
    """`function (parameters) body end`."""

    parameters: list[str]
    body: Block


Expression: TypeAlias = Constant | Name | Index | Call | Single | Unary | Binary | TableOf | Function


@dataclass(slots=True)
class Local:
    """`local names = values`."""

    names: list[str]
    values: list[Expression]


@dataclass(slots=True)
class Assign:
    """`targets = values`."""

    targets: list[Name | Index]
    values: list[Expression]


@dataclass(slots=True)
class Do:
    """A call for its effect."""

    call: Call


@dataclass(slots=True)
class If:
    """Conditions with their blocks; the last may be `true`, for `else`."""

    branches: list[tuple[Expression, Block]]


@dataclass(slots=True)
class Loop:
    """`while`, with the condition before; `repeat`, with its opposite behind."""

    condition: Expression
    body: Block
    first: bool
    """Whether the condition is looked at before the body."""


@dataclass(slots=True)
class Count:
    """`for name = start, stop, step do body end`."""

    name: str
    bounds: list[Expression]
    body: Block


@dataclass(slots=True)
class Each:
    """`for names in values do body end`."""

    names: list[str]
    values: list[Expression]
    body: Block


@dataclass(slots=True)
class Scope:
    """`do body end`."""

    body: Block


@dataclass(slots=True)
class Return:
    """`return values`."""

    values: list[Expression]


@dataclass(slots=True)
class Break:
    """`break`."""


Statement: TypeAlias = Local | Assign | Do | If | Loop | Count | Each | Scope | Return | Break
Block: TypeAlias = list[Statement]
