"""The Lua that instruments with TSP run (5.0, the parts that scripts for instruments use), read into a tree.

A recursive-descent parser: one method a rule of the grammar in the Lua 5.0 reference manual, section 8. There
are no metatables, no coroutines and no `...`; `#` and `%` came later than 5.0 and are mistakes here, as they
are on the instrument. Nothing is run, and nothing is Python's.
"""

from __future__ import annotations

from collections.abc import Callable

from sim_backend.emulators.lua.expressions import ExpressionParser
from sim_backend.emulators.lua.tree import (
    Assign,
    Block,
    Break,
    Call,
    Constant,
    Count,
    Do,
    Each,
    Expression,
    If,
    Index,
    Local,
    Loop,
    Name,
    Return,
    Scope,
    Statement,
    Unary,
)
from sim_backend.emulators.lua.words import Token, tokens


def parse(text: str) -> Block:
    """The statements of a chunk. Raises `LuaSyntaxError`."""
    return _Parser(tokens(text)).chunk()


class _Parser(ExpressionParser):
    def __init__(self, words: list[Token]) -> None:
        super().__init__(words)
        self._statements: dict[str, Callable[[], Statement]] = {
            "if": self._if,
            "while": self._while,
            "repeat": self._repeat,
            "for": self._for,
            "function": self._named_function,
            "local": self._local,
            "do": lambda: Scope(self._body()),
        }

    def chunk(self) -> Block:
        """Everything, up to the end."""
        block = self._block()
        if not self._seen("end of text"):
            raise self._wrong()
        return block

    def _block(self) -> Block:
        self._deeper()
        found: Block = []
        while not self._seen("end", "else", "elseif", "until", "end of text"):
            last = self._seen("return", "break")
            found.append(self._last() if last else self._statement())
            self._taken(";")
            if last:
                break
        self._depth -= 1
        return found

    def _body(self) -> Block:
        block = self._block()
        self._take("end")
        return block

    def _last(self) -> Statement:
        if self._next().kind == "break":
            return Break()
        nothing = self._seen("end", "else", "elseif", "until", "end of text", ";")
        return Return([] if nothing else self._expressions())

    def _statement(self) -> Statement:
        rule = self._statements.get(self._words[self._at].kind)
        if rule is not None:
            self._at += 1
            return rule()
        first = self._suffixed()
        if isinstance(first, Call):
            return Do(first)
        targets = [self._target(first)]
        while self._taken(","):
            targets.append(self._target(self._suffixed()))
        self._take("=")
        return Assign(targets, self._expressions())

    def _target(self, found: Expression) -> Name | Index:
        if not isinstance(found, Name | Index):
            raise self._wrong()
        return found

    def _if(self) -> Statement:
        branches = [self._branch()]
        while self._taken("elseif"):
            branches.append(self._branch())
        if self._taken("else"):
            branches.append((Constant(True), self._block()))
        self._take("end")
        return If(branches)

    def _branch(self) -> tuple[Expression, Block]:
        condition = self._expression()
        self._take("then")
        return condition, self._block()

    def _while(self) -> Statement:
        condition = self._expression()
        self._take("do")
        return Loop(condition, self._body(), first=True)

    def _repeat(self) -> Statement:
        body = self._block()
        self._take("until")
        return Loop(Unary("not", self._expression()), body, first=False)

    def _for(self) -> Statement:
        names = self._names()
        if len(names) == 1 and self._taken("="):
            bounds = self._expressions()
            if not 2 <= len(bounds) <= 3:
                raise self._wrong("`for' wants a start and an end")
            self._take("do")
            return Count(names[0], bounds, self._body())
        self._take("in")
        values = self._expressions()
        self._take("do")
        return Each(names, values, self._body())

    def _named_function(self) -> Statement:
        target: Name | Index = Name(self._take("name"))
        while self._taken("."):
            target = Index(target, Constant(self._take("name")))
        return Assign([target], [self._function()])

    def _local(self) -> Statement:
        if self._taken("function"):
            name = self._take("name")
            return Local([name], [self._function()])
        names = self._names()
        return Local(names, self._expressions() if self._taken("=") else [])
