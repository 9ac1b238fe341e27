"""Lua text as words and signs (Lua 5.0 manual, section 2.1)."""

from __future__ import annotations

import re
from typing import NamedTuple


class LuaSyntaxError(Exception):
    """Text that is no Lua; the line counts from 1."""

    def __init__(self, line: int, wrong: str) -> None:
        super().__init__(f"at line {line}: {wrong}")


_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+|--\[\[.*?\]\]|--[^\n]*)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"""|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\[\[.*?\]\])"""
    r"|(?P<symbol>==|~=|<=|>=|\.\.|[-+*/^<>=(){}\[\];:,.])",
    re.DOTALL,
)
_LOGIC = ("and", "false", "nil", "not", "or", "true")
_CONTROL = ("break", "do", "else", "elseif", "end", "for", "if", "in", "repeat", "then", "until", "while")
_WORDS = frozenset([*_LOGIC, *_CONTROL, "function", "local", "return"])
_ESCAPE = re.compile(r"\\([0-9]{1,3}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Token(NamedTuple):
    """One word."""

    kind: str
    text: str
    line: int


def tokens(text: str) -> list[Token]:
    """Words and signs; the last is the end."""
    found: list[Token] = []
    line, at = 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise LuaSyntaxError(line, f"unexpected symbol near `{text[at]}'")
        kind, word = str(match.lastgroup), match[0]
        if kind != "space":
            found.append(Token(word if kind == "symbol" or word in _WORDS else kind, word, line))
        line, at = line + word.count("\n"), match.end()
    return [*found, Token("end of text", "<eof>", line)]


def plain(text: str) -> str:
    """What a quoted string stands for."""
    if text.startswith("[["):
        return text[2:-2].removeprefix("\n")

    def one(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code) % 256) if code.isdigit() else _ESCAPES.get(code, code)

    return _ESCAPE.sub(one, text[1:-1])
