"""Expressions of Lua 5.0, read by recursive descent: one method a rule of the grammar."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sim_backend.emulators.lua.tree import (
    Binary,
    Block,
    Call,
    Constant,
    Expression,
    Function,
    Index,
    Name,
    Single,
    TableOf,
    Unary,
)
from sim_backend.emulators.lua.words import LuaSyntaxError, Token, plain

_LEVELS = (("or",), ("and",), ("<", ">", "<=", ">=", "~=", "=="), ("..",), ("+", "-"), ("*", "/"))
"""Loosest first. `..` is read from the left, which for text makes no difference."""
_DEEPEST = 60
"""Of expressions and blocks inside each other: more is no script."""


class ExpressionParser(ABC):
    """Reads words from the first on; statements are a subclass's."""

    def __init__(self, words: list[Token]) -> None:
        self._words = words
        self._at = 0
        self._depth = 0

    @abstractmethod
    def _body(self) -> Block:
        """The statements of a function, up to its `end`."""

    # ------------------------------------------------------------------------------------- words

    def _next(self) -> Token:
        word = self._words[self._at]
        self._at += 1
        return word

    def _seen(self, *kinds: str) -> bool:
        return self._words[self._at].kind in kinds

    def _taken(self, kind: str) -> bool:
        if self._seen(kind):
            self._at += 1
            return True
        return False

    def _take(self, kind: str) -> str:
        if not self._seen(kind):
            raise self._wrong(f"`{kind}' expected")
        return self._next().text

    def _wrong(self, wrong: str = "unexpected symbol") -> LuaSyntaxError:
        word = self._words[self._at]
        return LuaSyntaxError(word.line, f"{wrong} near `{word.text}'")

    # ------------------------------------------------------------------------------- expressions

    def _expressions(self) -> list[Expression]:
        found = [self._expression()]
        while self._taken(","):
            found.append(self._expression())
        return found

    def _names(self) -> list[str]:
        names = [self._take("name")]
        while self._taken(","):
            names.append(self._take("name"))
        return names

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("nested too deeply")

    def _expression(self) -> Expression:
        self._deeper()
        found = self._binary(0)
        self._depth -= 1
        return found

    def _binary(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self._seen(*_LEVELS[level]):
            left = Binary(self._next().kind, left, self._binary(level + 1))
        return left

    def _unary(self) -> Expression:
        if self._seen("-", "not"):
            self._deeper()
            operator = self._next().kind
            found = Unary(operator, self._unary())
            self._depth -= 1
            return found
        base = self._simple()
        if self._taken("^"):
            return Binary("^", base, self._unary())
        return base

    def _simple(self) -> Expression:
        if self._seen("nil", "true", "false"):
            return Constant({"nil": None, "true": True, "false": False}[self._next().kind])
        if self._seen("number"):
            return Constant(float(self._next().text))
        if self._seen("string"):
            return Constant(plain(self._next().text))
        if self._seen("{"):
            return self._table()
        if self._taken("function"):
            return self._function()
        return self._suffixed()

    def _suffixed(self) -> Expression:
        found: Expression
        if self._taken("("):
            found = Single(self._expression())
            self._take(")")
        else:
            found = Name(self._take("name"))
        while True:
            if self._taken("."):
                found = Index(found, Constant(self._take("name")))
            elif self._taken("["):
                found = Index(found, self._expression())
                self._take("]")
            elif self._seen("(", "string", "{"):
                found = Call(found, self._arguments())
            else:
                return found

    def _arguments(self) -> list[Expression]:
        if self._seen("string", "{"):
            return [self._simple()]
        self._take("(")
        if self._taken(")"):
            return []
        found = self._expressions()
        self._take(")")
        return found

    def _table(self) -> Expression:
        self._take("{")
        fields: list[tuple[Expression | None, Expression]] = []
        while not self._seen("}"):
            fields.append(self._field())
            if not (self._taken(",") or self._taken(";")):
                break
        self._take("}")
        return TableOf(fields)

    def _field(self) -> tuple[Expression | None, Expression]:
        key: Expression | None = None
        if self._taken("["):
            key = self._expression()
            self._take("]")
            self._take("=")
        elif self._seen("name") and self._words[self._at + 1].kind == "=":
            key = Constant(self._take("name"))
            self._take("=")
        return key, self._expression()

    def _function(self) -> Function:
        self._take("(")
        parameters = self._names() if self._seen("name") else []
        self._take(")")
        return Function(parameters, self._body())
