"""Runs the tree of `lua_parser`: a script of an instrument, with a bound on how much it may do.

Statements run one after the other in a generator. One that must wait (`Blocked`, from a function of the
instrument) hands on what it waits for and is tried again afterwards, so it must not have done anything yet;
an instrument can meanwhile hear what else is sent. Inside a function of the script itself there is no way to
wait: time is skipped there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

from sim_backend.emulators.lua import tree
from sim_backend.emulators.lua.operators import named, operate
from sim_backend.emulators.lua.values import Host, LuaError, Table, Value, is_true, kind, number
from sim_backend.emulators.serving.instrument import Blocked

MOST_STATEMENTS = 1_000_000
"""In one chunk: more is a loop without an end."""
DEEPEST = 50
"""Functions of a script inside each other."""

Run: TypeAlias = Generator[Blocked, None, "list[Value] | None"]
"""What a block yields while it waits; what it returns, None without a `return`."""


class _Break(Exception):
    """Leaves the innermost loop."""


class Scope:
    """Local variables of a block; `outer` is None for what is global."""

    __slots__ = ("names", "outer")

    def __init__(self, outer: Scope | None, names: dict[str, Value] | None = None) -> None:
        self.outer = outer
        self.names: dict[str, Value] = {} if names is None else names

    def holder(self, name: str) -> dict[str, Value]:
        """Where that name lives: in the nearest scope that has it, else among the globals."""
        scope = self
        while name not in scope.names and scope.outer is not None:
            scope = scope.outer
        return scope.names


class Lua:
    """One interpreter; `skip` is told what a function of the script could not wait for."""

    def __init__(self, names: dict[str, Value], skip: Callable[[Blocked], None]) -> None:
        self.globals = Scope(None, names)
        self._skip = skip
        self._left = 0
        self._depth = 0

    def run(self, block: tree.Block) -> Run:
        """A chunk. Raises `LuaError` from whichever step it does something wrong in."""
        self._left, self._depth = MOST_STATEMENTS, 0
        try:
            return (yield from self._block(block, Scope(self.globals)))
        except _Break:
            raise LuaError("no loop to break") from None
        except RecursionError:
            raise LuaError("stack overflow") from None

    def call(self, function: Value, arguments: list[Value], name: str = "?") -> list[Value]:
        """What a function gives."""
        if not callable(function):
            raise LuaError(f"attempt to call `{name}' (a {kind(function)} value)")
        return function(arguments)

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise LuaError(f"more than {MOST_STATEMENTS} statements: a loop without an end")

    # -------------------------------------------------------------------------------- statements

    def _block(self, block: tree.Block, scope: Scope) -> Run:
        for statement in block:
            self._spend()
            found = yield from self._statement(statement, scope)
            if found is not None:
                return found
        return None

    def _statement(self, statement: tree.Statement, scope: Scope) -> Run:
        match statement:
            case tree.If():
                return (yield from self._if(statement, scope))
            case tree.Loop():
                return (yield from self._loop(statement, scope))
            case tree.Count():
                return (yield from self._count(statement, scope))
            case tree.Each():
                return (yield from self._each(statement, scope))
            case tree.Scope(body):
                return (yield from self._block(body, Scope(scope)))
            case tree.Break():
                raise _Break
            case _:
                return (yield from self._patiently(lambda: self._simple(statement, scope)))

    def _patiently(self, act: Callable[[], list[Value] | None]) -> Run:
        while True:
            try:
                return act()
            except Blocked as blocked:
                yield blocked

    def _simple(self, statement: tree.Statement, scope: Scope) -> list[Value] | None:
        match statement:
            case tree.Do(call):
                self._values(call, scope)
            case tree.Local(names, values):
                found = _padded(self._all(values, scope), len(names))
                scope.names.update(zip(names, found, strict=True))
            case tree.Assign(targets, values):
                found = _padded(self._all(values, scope), len(targets))
                for target, value in zip(targets, found, strict=True):
                    self._assign(target, value, scope)
            case tree.Return(values):
                return self._all(values, scope)
            case _:
                raise AssertionError(statement)
        return None

    def _assign(self, target: tree.Name | tree.Index, value: Value, scope: Scope) -> None:
        if isinstance(target, tree.Name):
            scope.holder(target.name)[target.name] = value
        else:
            self._host(target.of, scope).put(self._value(target.key, scope), value)

    def _if(self, statement: tree.If, scope: Scope) -> Run:
        for condition, block in statement.branches:
            if is_true(self._value(condition, scope)):
                return (yield from self._block(block, Scope(scope)))
        return None

    def _turn(
        self, body: tree.Block, scope: Scope
    ) -> Generator[Blocked, None, tuple[bool, list[Value] | None]]:
        """One time round a loop: whether to go on, and what was returned."""
        self._spend()
        try:
            found = yield from self._block(body, scope)
        except _Break:
            return False, None
        return found is None, found

    def _loop(self, statement: tree.Loop, scope: Scope) -> Run:
        going, found = not statement.first or is_true(self._value(statement.condition, scope)), None
        while going:
            inner = Scope(scope)
            going, found = yield from self._turn(statement.body, inner)
            going = going and is_true(self._value(statement.condition, inner))
        return found

    def _count(self, statement: tree.Count, scope: Scope) -> Run:
        bounds = [number(self._value(bound, scope), "`for'") for bound in statement.bounds]
        value, stop, step = (*bounds, 1.0)[:3]
        going, found = True, None
        while going and (value <= stop if step > 0 else value >= stop):
            going, found = yield from self._turn(statement.body, Scope(scope, {statement.name: value}))
            value += step
        return found

    def _each(self, statement: tree.Each, scope: Scope) -> Run:
        step, state, last = _padded(self._all(statement.values, scope), 3)
        going, found = True, None
        while going:
            values = _padded(self.call(step, [state, last]), len(statement.names))
            if (last := values[0]) is None:
                break
            names = dict(zip(statement.names, values, strict=True))
            going, found = yield from self._turn(statement.body, Scope(scope, names))
        return found

    # ------------------------------------------------------------------------------- expressions

    def _all(self, expressions: Sequence[tree.Expression], scope: Scope) -> list[Value]:
        """One value each; of the last all that it has."""
        if not expressions:
            return []
        return [
            *(self._value(one, scope) for one in expressions[:-1]),
            *self._values(expressions[-1], scope),
        ]

    def _values(self, expression: tree.Expression, scope: Scope) -> list[Value]:
        if not isinstance(expression, tree.Call):
            return [self._value(expression, scope)]
        function = self._value(expression.function, scope)
        return self.call(function, self._all(expression.arguments, scope), named(expression.function))

    def _value(self, expression: tree.Expression, scope: Scope) -> Value:
        match expression:
            case tree.Constant(value):
                found = value
            case tree.Name(name):
                found = scope.holder(name).get(name)
            case tree.Index(of, key):
                found = self._host(of, scope).get(self._value(key, scope))
            case tree.Call():
                found = next(iter(self._values(expression, scope)), None)
            case tree.Single(inner):
                found = self._value(inner, scope)
            case tree.Unary(sign, x):
                value = self._value(x, scope)
                found = not is_true(value) if sign == "not" else -number(value, "arithmetic")
            case tree.Binary():
                found = self._binary(expression, scope)
            case tree.TableOf(fields):
                found = self._table(fields, scope)
            case tree.Function(parameters, body):
                found = self._function(parameters, body, scope)
        return found

    def _host(self, expression: tree.Expression, scope: Scope) -> Host:
        of = self._value(expression, scope)
        if not isinstance(of, Host):
            raise LuaError(f"attempt to index `{named(expression)}' (a {kind(of)} value)")
        return of

    def _binary(self, expression: tree.Binary, scope: Scope) -> Value:
        left = self._value(expression.left, scope)
        if expression.operator == "and":
            return self._value(expression.right, scope) if is_true(left) else left
        if expression.operator == "or":
            return left if is_true(left) else self._value(expression.right, scope)
        return operate(expression.operator, left, self._value(expression.right, scope))

    def _table(self, fields: list[tuple[tree.Expression | None, tree.Expression]], scope: Scope) -> Table:
        table, count = Table(), 0
        for place, (key, expression) in enumerate(fields):
            if key is not None:
                table.put(self._value(key, scope), self._value(expression, scope))
                continue
            last = place == len(fields) - 1
            for value in self._values(expression, scope) if last else [self._value(expression, scope)]:
                count += 1
                table.put(float(count), value)
        return table

    def _function(self, parameters: list[str], body: tree.Block, scope: Scope) -> Value:
        def function(arguments: list[Value]) -> list[Value]:
            if self._depth >= DEEPEST:
                raise LuaError("stack overflow")
            self._depth += 1
            names = dict(zip(parameters, _padded(arguments, len(parameters)), strict=True))
            run = self._block(body, Scope(scope, names))
            try:
                while True:
                    self._skip(next(run))
            except StopIteration as ended:
                return ended.value or []
            except _Break:
                raise LuaError("no loop to break") from None
            finally:
                self._depth -= 1

        return function


def _padded(values: list[Value], count: int) -> list[Value]:
    """So many, filled up with nil."""
    return [*values, *[None] * (count - len(values))][:count]
