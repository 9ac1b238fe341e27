"""Text with a unit, in and out: ``"20 kohm"`` and 20000.0 ohm.

Inside, every number is an SI float named by its unit; text with units lives only at the edge, and
passes through this one parser. It is strict because a general one guesses: a decimal comma turns
"1,2 V" into 12 V, `float()` takes "1_0", "nan" and foreign digits, and a wrong prefix is a factor
of a thousand on a device that dies at 2 V. The grammar is one number, one space or none, and one
unit::

    number  [+-] digits [. digits] [e [+-] digits]        "20"  "0.5"  "-1.5e-6"
    unit    a prefix f p n u µ m k M G, or none, before V A s ohm Ω S J F Hz W K;
            or one of  %  min  h, which take no prefix

Case matters: m and M, s and S, k and K differ. A fraction is written in percent ("15 %" is 0.15)
and is wanted as "%" or as "1". Decimal shifts are made in the text before it becomes a float, so
that "0.1 mV" is exactly the float 1e-4, and text written with `digits=None` reads back as the
same float.
"""

from __future__ import annotations

import difflib
import math
import re
from decimal import Decimal
from typing import NamedTuple

from labctl.errors import BadQuantity

LONGEST = 64
"""Characters in the longest quantity that is looked at; no honest one comes near."""


class Dimension(NamedTuple):
    """A kind of quantity, in the words that messages use."""

    symbol: str
    kind: str
    plural: str
    example: str
    largest: int = 9
    """The greatest power of ten that is written as a prefix: nobody says 3.6 ks."""
    smallest: int = -15


class _Unit(NamedTuple):
    dimension: Dimension
    power: int = 0
    factor: float = 1.0


_DIMENSIONS = (
    Dimension("V", "a voltage", "volts", "0.5 V"),
    Dimension("A", "a current", "amps", "100 uA"),
    Dimension("s", "a time", "seconds", "50 us", largest=0),
    Dimension("ohm", "a resistance", "ohms", "20 kohm"),
    Dimension("S", "a conductance", "siemens", "100 uS"),
    Dimension("J", "an energy", "joules", "1 nJ"),
    Dimension("F", "a capacitance", "farads", "180 pF"),
    Dimension("Hz", "a frequency", "hertz", "10 kHz"),
    Dimension("W", "a power", "watts", "1 mW"),
    Dimension("K", "a temperature", "kelvins", "300 K", largest=0),
    Dimension("%", "a fraction", "percentages", "15 %", largest=0, smallest=0),
)
_BY_SYMBOL = {dimension.symbol: dimension for dimension in _DIMENSIONS}
_WANTED = {**_BY_SYMBOL, "1": _BY_SYMBOL["%"], "Ω": _BY_SYMBOL["ohm"]}

_PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_PREFIX_OF = {power: prefix for prefix, power in _PREFIXES.items()}
_READ_PREFIXES = {**_PREFIXES, "\u00b5": -6, "\u03bc": -6}  # micro sign and Greek mu look alike
_NEAREST_PREFIX = dict(zip("yzacdhTPEK", "fffmmkGGGk", strict=True))
_OHM_SIGNS = ("\u03a9", "\u2126")  # Greek capital omega and the ohm sign, which look alike too

_UNITS = {
    prefix + symbol: _Unit(dimension, power)
    for dimension in _DIMENSIONS
    if dimension.symbol != "%"
    for symbol in (dimension.symbol, *(_OHM_SIGNS if dimension.symbol == "ohm" else ()))
    for prefix, power in _READ_PREFIXES.items()
} | {
    "%": _Unit(_BY_SYMBOL["%"], power=-2),
    "min": _Unit(_BY_SYMBOL["s"], factor=60.0),
    "h": _Unit(_BY_SYMBOL["s"], factor=3600.0),
}

_QUANTITY = re.compile(r"([+-]?[0-9]+(?:\.[0-9]*)?)(?:[eE]([+-]?[0-9]{1,3}))? ?([^\W\d_]+|%)?")
_DIAGNOSES = (
    (r"^\s*$", "is empty"),
    (r",", "has a comma; decimals follow a point, and nothing parts the thousands"),
    (r"(?i)^\s*[+-]?\s*(nan|inf)", "is not a finite number"),
    (r"^\s*[+-]?0[xXbBoO]", "is not a decimal number"),
    (r"_", "has an underscore"),
    (r"(?![0-9])\d", "has digits other than 0 to 9"),
    (r"[\u2010-\u2015\u2212]", "has a dash that is not the minus sign -"),
    (r"^\s*[+-]?\.", "has no digit before the point"),
    (r"[0-9].*[^0-9.eE+-].*[0-9]|[0-9][+-][0-9]", "has more than one number"),
    (r"^\s|\s$|\s\s|[^\S ]", "has more space than the one between number and unit"),
    (r"^[^0-9]*$", "has no number"),
)


def parse(text: str, unit: str) -> float:
    """The SI value of `text`, which must be a quantity of the dimension of `unit` (one of V A s
    ohm S J F Hz W K, or % or 1 for a fraction). Raises `BadQuantity`, and nothing else, for text
    that is not.

    >>> parse("20 kohm", "ohm")
    20000.0
    >>> parse("15 %", "1")
    0.15
    """
    wanted = _WANTED[unit]
    if len(text) > LONGEST:
        raise _refusal(f"{quoted(text)} has {len(text)} characters, more than {LONGEST}", wanted)
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise _refusal(f"{quoted(text)} {_diagnosis(text)}", wanted)
    mantissa, exponent, word = match.groups()
    power = int(exponent or 0)
    if word is None:
        raise BadQuantity(f'{text} has no unit: write "{_with_unit(mantissa, power, wanted)}"')
    return _value(text, mantissa, power, _unit_of(word, text, wanted))


def format_quantity(value: float, unit: str, digits: int | None = 4) -> str:
    """`value`, in SI, as text with the prefix that suits it and at most `digits` digits; None
    writes as many as it takes for `parse` to give the same float back. A value that is not
    finite is written as it is ("nan V"): messages must be able to show one, and `parse` refuses it.

    >>> format_quantity(20e3, "ohm"), format_quantity(0.15, "%"), format_quantity(4.7e-5, "s")
    ('20 kohm', '15 %', '47 us')
    """
    wanted, value = _WANTED[unit], float(value)  # a numpy scalar's repr is not a number
    if value == 0 or not math.isfinite(value):
        return f"{value + 0.0:g} {wanted.symbol}"  # -0.0 + 0.0 is 0.0
    number = Decimal(repr(value) if digits is None else f"{value:.{digits - 1}e}")
    if wanted.symbol == "%":
        number = number.scaleb(2)
    power = min(max(number.adjusted() // 3 * 3, wanted.smallest), wanted.largest)
    number = number.scaleb(-power).normalize()
    plain = -4 <= number.adjusted() < 9
    return f"{number:{'f' if plain else 'e'}} {_PREFIX_OF[power]}{wanted.symbol}"


def describe(unit: str) -> str:
    """What is wanted, for a message: ``a time, for example "50 us"``."""
    wanted = _WANTED[unit]
    return f'{wanted.kind}, for example "{wanted.example}"'


def quoted(text: str, longest: int = 60) -> str:
    """Foreign text made fit for a message: quoted, cut to `longest`, and whatever does not print
    (control characters, escape sequences, right-to-left marks) spelt out."""
    return f'"{printable(text[:longest])}{"…" * (len(text) > longest)}"'


def printable(text: str) -> str:
    """`text` with every character that does not print spelt out as Python would escape it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _value(text: str, mantissa: str, power: int, unit: _Unit) -> float:
    value = float(f"{mantissa}e{power + unit.power}") * unit.factor
    if not math.isfinite(value):
        raise _refusal(f"{text} is too large for a number", unit.dimension)
    if value == 0 and mantissa.strip("+-0."):
        raise _refusal(f"{text} is too small for a number", unit.dimension)
    return value


def _unit_of(word: str, text: str, wanted: Dimension) -> _Unit:
    unit = _UNITS.get(word)
    if unit is None:
        nearest = " or ".join(f'"{known}"' for known in _nearest(word, wanted))
        question = f"; did you mean {nearest}?" if nearest else ""
        raise _refusal(f"{quoted(text)}: {quoted(word)} is not a unit{question}", wanted)
    if unit.dimension is not wanted:
        prefix = "" if wanted.symbol == "%" else _PREFIX_OF.get(unit.power, "")
        example = f"{text[: -len(word)].strip()} {prefix}{wanted.symbol}"
        raise BadQuantity(
            f'{text} is {unit.dimension.kind}; {wanted.plural} are wanted, for example "{example}"'
        )
    return unit


def _nearest(word: str, wanted: Dimension) -> list[str]:
    """The units that `word` was most likely meant for: same letters in another case, a prefix
    without its unit, a prefix that is not taken here, or a similar spelling."""
    known = [name for name, unit in _UNITS.items() if unit.dimension is wanted and name.isascii()]
    if same := [name for name in known if name.lower() == word.lower()]:
        return same
    if word + wanted.symbol in known:
        return [word + wanted.symbol]
    if (other := _NEAREST_PREFIX.get(word[0], "") + word[1:]) in known:
        return [other]
    spellings = {name: name for name in known} | {wanted.plural: wanted.symbol}
    return [spellings[near] for near in difflib.get_close_matches(word, spellings, n=1, cutoff=0.5)]


def _with_unit(mantissa: str, power: int, wanted: Dimension) -> str:
    shift = power + 2 * (wanted.symbol == "%")
    number = Decimal(mantissa).scaleb(shift)
    return f"{number:{'f' if abs(shift) < 9 else 'e'}} {wanted.symbol}"


def _diagnosis(text: str) -> str:
    reasons = (reason for pattern, reason in _DIAGNOSES if re.search(pattern, text))
    return next(reasons, "is not one number and one unit")


def _refusal(wrong: str, wanted: Dimension) -> BadQuantity:
    words = {"%": "%", "s": "s, min or h"}.get(wanted.symbol, wanted.symbol)
    prefixes = "" if wanted.symbol == "%" else f"; before {wanted.symbol} may stand one of f p n u m k M G"
    return BadQuantity(wrong, allowed=f'one number and {words}, for example "{wanted.example}"{prefixes}')
