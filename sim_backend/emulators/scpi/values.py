"""What may stand behind a SCPI header: numbers, words, switches, strings, lists; read and written.

Each kind reads text or raises `ScpiError` with the code that the standard has for it (SCPI 1999.0, volume 2,
chapter 21), and writes what a query replies. Nothing is converted on the quiet: a number has digits 0 to 9
and at most the unit that its kind has, a word is its short form or its long form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

STANDARD = {
    0: "No error",
    -101: "Invalid character",
    -102: "Syntax error",
    -103: "Invalid separator",
    -104: "Data type error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -112: "Program mnemonic too long",
    -113: "Undefined header",
    -114: "Header suffix out of range",
    -120: "Numeric data error",
    -131: "Invalid suffix",
    -138: "Suffix not allowed",
    -141: "Invalid character data",
    -151: "Invalid string data",
    -211: "Trigger ignored",
    -213: "Init ignored",
    -221: "Settings conflict",
    -222: "Parameter data out of range",
    -223: "Too much data",
    -224: "Illegal parameter value",
    -225: "Out of memory",
    -230: "Data corrupt or stale",
    -285: "Program syntax error",
    -350: "Queue overflow",
    -363: "Input buffer overrun",
    -410: "Query interrupted",
    -420: "Query unterminated",
}
"""Codes of the standard and their texts."""


class ScpiError(Exception):
    """A command that is refused: its code, and its text."""

    def __init__(self, code: int, text: str | None = None) -> None:
        self.code = code
        self.text = STANDARD[code] if text is None else text
        super().__init__(f"{code},{self.text}")


_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?) *([A-Za-z]*)")
_PREFIXES = {"": 1.0, "N": 1e-9, "U": 1e-6, "M": 1e-3, "K": 1e3}
_CHANNELS = re.compile(r"\( *@ *([0-9]+(?: *[:,] *[0-9]+)*) *\)")


def number(text: str, unit: str = "") -> float:
    """A decimal number, with or without its `unit` and a prefix."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ScpiError(-120 if text[:1].isdigit() or text[:1] in "+-." else -104)
    digits, suffix = match.groups()
    value = float(digits)
    if not suffix:
        return value
    if not unit:
        raise ScpiError(-138)
    if not suffix.upper().endswith(unit) or suffix.upper().removesuffix(unit) not in _PREFIXES:
        raise ScpiError(-131)
    return value * _PREFIXES[suffix.upper().removesuffix(unit)]


def short(word: str) -> str:
    """The short form of a mnemonic in which it is in capitals: VOLT of VOLTage."""
    return "".join(letter for letter in word if not letter.islower())


def quoted(text: str) -> str:
    """What stands between quotes."""
    if len(text) < 2 or text[0] not in "\"'" or text[-1] != text[0]:
        raise ScpiError(-104 if text[:1] not in ('"', "'") else -151)
    return text[1:-1].replace(text[0] * 2, text[0])


def channels(text: str) -> list[int]:
    """The channels of a list such as (@1,2) or (@1:2)."""
    match = _CHANNELS.fullmatch(text)
    if match is None:
        raise ScpiError(-104)
    found = list[int]()
    for part in match.group(1).split(","):
        first, _, last = part.partition(":")
        found += range(int(first), min(int(last or first), int(first) + 1000) + 1)
    return found


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that stand in no quotes and no brackets, without space around them."""
    if '"' not in text and "'" not in text and "(" not in text:
        return [part.strip() for part in text.split(separator)]
    if "'" not in text and "(" not in text:  # what stands in double quotes is every other piece
        pieces = text.split('"')
        if len(pieces) % 2 and separator not in "".join(pieces[1::2]):
            return [part.strip() for part in text.split(separator)]
    parts, start, quote, depth = list[str](), 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == separator and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    if quote:
        raise ScpiError(-151)
    return [*parts, text[start:].strip()]


class Kind(Protocol):
    """How one parameter is read and written."""

    def read(self, text: str) -> Any:
        """The value of a text; raises `ScpiError`."""
        ...

    def write(self, value: Any, form: Callable[[float], str]) -> str:
        """What a query replies; `form` writes numbers."""
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """From `low` to `high`; MIN, MAX and DEF are taken too."""

    low: float
    high: float
    default: float
    unit: str = ""
    whole: bool = False

    def read(self, text: str) -> float:
        value = self._named(text) if text[:1].isalpha() else number(text, self.unit)
        if not self.low <= value <= self.high:
            raise ScpiError(-222)
        return round(value) if self.whole else value

    def _named(self, text: str) -> float:
        match text.upper():
            case "MIN" | "MINIMUM":
                return self.low
            case "MAX" | "MAXIMUM":
                return self.high
            case "DEF" | "DEFAULT":
                return self.default
            case _:
                raise ScpiError(-104)

    def write(self, value: Any, form: Callable[[float], str]) -> str:
        return str(int(value)) if self.whole else form(value)


@dataclass(frozen=True, slots=True)
class Switch:
    """ON, OFF, 1 or 0."""

    def read(self, text: str) -> bool:
        match text.upper():
            case "1" | "ON":
                return True
            case "0" | "OFF":
                return False
            case _:
                raise ScpiError(-104 if text[:1] in "\"'(" else -224)

    def write(self, value: Any, form: Callable[[float], str]) -> str:
        return "1" if value else "0"


@dataclass(frozen=True, slots=True)
class Words:
    """One of a few words: long forms with the short form in capitals, and what each means."""

    meanings: Mapping[str, Any]
    _read: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Both forms, in capitals."""
        both = {form: value for word, value in self.meanings.items() for form in (short(word), word.upper())}
        object.__setattr__(self, "_read", both)

    def read(self, text: str) -> Any:
        if text.upper() not in self._read:
            raise ScpiError(-104 if text[:1] in "\"'(" else -224)
        return self._read[text.upper()]

    def write(self, value: Any, form: Callable[[float], str]) -> str:
        return short(next(word for word, meaning in self.meanings.items() if meaning == value))


def words(*names: str) -> Words:
    """Words that mean their own short forms."""
    return Words({name: short(name) for name in names})


@dataclass(frozen=True, slots=True)
class Text:
    """A string in quotes."""

    longest: int = 64

    def read(self, text: str) -> str:
        found = quoted(text)
        if len(found) > self.longest:
            raise ScpiError(-223)
        return found

    def write(self, value: Any, form: Callable[[float], str]) -> str:
        return f'"{value}"'


def numbers(arguments: Sequence[str], kind: Number, most: int) -> list[float]:
    """All arguments as numbers, `most` of them at most."""
    if not arguments:
        raise ScpiError(-109)
    if len(arguments) > most:
        raise ScpiError(-223)
    return [kind.read(text) for text in arguments]
