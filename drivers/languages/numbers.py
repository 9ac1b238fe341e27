"""What instruments say, as numbers and names: strictly, since a wrong number is worse than none.

`float()` takes "nan", "infinity", "1_0" and the digits of other scripts; instruments say "9.9E37" for what
they could not measure. None of these passes for a number here. On the way out a number is written so that
it reads back as the same one: 100 nA goes out as `1e-07`, where `%f` would make it nothing at all.
"""

from __future__ import annotations

import math
import re
import struct
from typing import NamedTuple

from labctl.errors import BoardFault, Refused
from labctl.quantity import quoted

NONE_FROM = 1e20
"""What is as large as this is no volts, amps, ohms or seconds, but a sign: 9.9E37 (overflow), 9.91E37 (not a
number), 1E22 and its like (a test system's codes)."""
LONGEST = 64
"""Characters in the longest number that is looked at."""
_LONGEST_IDENTITY = 256

_NUMBER = re.compile(r" *([+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?) *")


class NoNumber(BoardFault):
    """The instrument said, in its way, that it has no value; `sentinel` is what it sent."""

    sentinel: float = math.nan


class Identity(NamedTuple):
    """Who an instrument says it is: the four fields of `*IDN?` (IEEE 488.2, 10.14)."""

    maker: str
    model: str
    serial: str
    firmware: str


def number(text: str) -> float:
    """The one finite number that `text` is.

    Raises `NoNumber` for a sign of overflow or of no value, and `BoardFault` for anything else.

    >>> number("+1.000000E-07")
    1e-07
    """
    match = _NUMBER.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        raise BoardFault(f"the instrument sent {quoted(text)}, which is no number")
    return _measured(float(match[1]), text)


def numbers(text: str, count: int | None = None, separator: str = ",") -> list[float]:
    """The numbers that `text` lists; `BoardFault` when they are not `count`, and as in `number`.

    >>> numbers("1.0,-2.5E-9", 2)
    [1.0, -2.5e-09]
    """
    fields = text.split(separator)
    if count is not None and len(fields) != count:
        raise BoardFault(
            f"the instrument sent {len(fields)} values: {quoted(text)}", allowed=f"{count} values"
        )
    return [number(field) for field in fields]


def reals(block: bytes, form: str = ">d", count: int | None = None) -> list[float]:
    """The numbers of a binary block; `form` is one number as `struct` has it (">d", "<f").

    Raises `BoardFault` and `NoNumber` as `numbers` does.
    """
    size = struct.calcsize(form)
    if len(block) % size or (count is not None and len(block) != count * size):
        wanted = f"{count} numbers of {size} bytes" if count is not None else f"a multiple of {size} bytes"
        raise BoardFault(f"the instrument sent a block of {len(block)} bytes", allowed=wanted)
    return [_measured(float(value), repr(value)) for (value,) in struct.iter_unpack(form, block)]


def wire(value: float) -> str:
    """`value` as it goes to an instrument: the shortest text that reads back as the same number.

    >>> wire(100e-9), wire(0.1), wire(-0.0)
    ('1e-07', '0.1', '0.0')
    """
    value = float(value) + 0.0  # no instrument needs a minus before nothing
    if not abs(value) < NONE_FROM:
        raise Refused(
            f"{value} cannot be sent to an instrument", allowed="a finite number that is measured in"
        )
    return repr(value)


def identity(reply: str) -> Identity:
    """The four fields of a reply to `*IDN?`; commas after the third belong to the firmware.

    >>> identity("KEITHLEY INSTRUMENTS,MODEL 2450,04419556,1.7.12b").model
    'MODEL 2450'
    """
    fields = [field.strip() for field in reply.split(",", 3)]
    fit = len(reply) <= _LONGEST_IDENTITY and reply.isascii() and reply.isprintable()
    if not fit or len(fields) < 4 or not (fields[0] and fields[1]):
        raise BoardFault(
            f"the instrument says that it is {quoted(reply)}",
            allowed="maker, model, serial number and firmware, with commas between",
            todo="see that the address is that of the instrument, and that it is not in another language",
        )
    return Identity(*fields)


def _measured(value: float, text: str) -> float:
    if abs(value) < NONE_FROM:
        return value
    error = NoNumber(f"the instrument sent {quoted(text)}: it has no value")
    error.sentinel = value
    raise error
