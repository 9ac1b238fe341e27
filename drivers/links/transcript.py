"""The text of a recorded session: how bytes are written for people, and read again.

Format 1: see `drivers.links.recording`. Anything that it does not know is `BadData`, with its line: a
recording that was edited by hand, or passed through a program that changes line ends, is not guessed at.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from labctl.errors import BadData, Unavailable
from labctl.quantity import quoted

HEAD = "# labctl session, format 1: "
"""How a recording begins; the address and the date follow."""
FAILURES = ("hung", "gone", "fault", "refused")
"""How a call may have failed; what was told of it follows."""
LARGEST = 2**28
"""Bytes in the largest file that is taken for a recording."""
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
_CHARACTERS = {escape: character for character, escape in _NAMED.items()}
_LINE = re.compile(r"(>|<|!>|!<)(?: ((?:[ -\[\]-~]|\\[nrt\\]|\\x[0-9a-f]{2})*(\\?)))?")
_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|.)")


class Line(NamedTuple):
    """One thing that was sent (`>`) or received (`<`), or how that failed (`!>`, `!<`)."""

    number: int
    mark: str
    data: bytes


def escaped(data: bytes) -> str:
    r"""Bytes as a line of a recording has them.

    >>> print(escaped(b"+1.0E-07\n"), escaped(b"\xff\t1\\"))
    +1.0E-07 \xff\t1\\\
    """
    text, last = (data[:-1], "") if data.endswith(b"\n") else (data, "\\")
    return "".join(map(_character, text.decode("latin-1"))) + last


def read(file: Path) -> list[Line]:
    """The lines of a recording. Raises `Unavailable` where there is none, and `BadData` when it is none."""
    try:
        if file.stat().st_size > LARGEST:
            raise BadData(f"{file} is too large for a recording", allowed=f"{LARGEST} bytes")
        rows = file.read_bytes().decode("latin-1").split("\n")
    except OSError as error:
        raise Unavailable(f"{file} cannot be read: {error.strerror or error}") from error
    if not rows[0].startswith(HEAD):
        raise BadData(
            f"{file} begins with {quoted(rows[0])}", allowed=f'a recording, which begins with "{HEAD}"'
        )
    if rows[-1]:
        raise BadData(
            f"{file} ends in the middle of line {len(rows)}", todo="take the whole file, or cut that line"
        )
    return [_line(file, number, row) for number, row in enumerate(rows[1:-1], start=2)]


def _line(file: Path, number: int, row: str) -> Line:
    match = _LINE.fullmatch(row)
    if match is None or ("!" in match[1] and (match[2] or "").partition(" ")[0] not in FAILURES):
        raise BadData(
            f"{file}, line {number} is {quoted(row)}", allowed="> or <, a space, and printable ASCII"
        )
    text, open_ended = match[2] or "", bool(match[3])
    bare = text[:-1] if open_ended else text
    data = _ESCAPE.sub(lambda escape: _unescaped(escape[0]), bare).encode("latin-1")
    return Line(number, match[1], data if open_ended else data + b"\n")


def _character(character: str) -> str:
    plain = " " <= character <= "~"
    return _NAMED.get(character) or (character if plain else f"\\x{ord(character):02x}")


def _unescaped(escape: str) -> str:
    return _CHARACTERS.get(escape) or chr(int(escape.removeprefix("\\x"), base=16))
