"""A TOML file from somebody's editor, as tables, or one clear refusal.

It is checked from the outside in: is it a regular file of at most 1 MiB, is it UTF-8 text without a
byte-order mark, is it TOML. TOML is chosen because it refuses a key given twice, where YAML and
JSON silently take the last. What the tables say is the business of `labctl.config`.
"""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

from labctl.errors import BadConfig
from labctl.quantity import printable

LARGEST = 1 << 20
"""Bytes in the largest file that is read."""
MOST_POINTS = 1000
"""Points in one line; `tomllib` takes quadratic time over a dotted key (5 s for 16,000 points)."""


def load(path: Path) -> dict[str, Any]:
    """The tables of the TOML file at `path`. Raises `BadConfig`, and nothing else."""
    source = printable(str(path))
    text = _decoded(_contents(path, source), source)
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MOST_POINTS:
            raise BadConfig(f"{source} has more than {MOST_POINTS} points in line {number}")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise BadConfig(f"{source} is nested too deeply") from None
    except ValueError as error:  # also what an integer of 5,000 digits raises
        wrong = str(error).split(";")[0].replace("Cannot overwrite a value", "A key is given twice")
        raise BadConfig(f"{source} is not TOML: {printable(wrong)[:300]}") from error


def _contents(path: Path, source: str) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadConfig(f"{source} is not a file", todo="name a TOML file")
        with path.open("rb") as file:
            contents = file.read(LARGEST + 1)
    except OSError as error:
        raise BadConfig(f"{source} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a NUL or half a surrogate pair in the path
        raise BadConfig(f"{source} is no path") from error
    if len(contents) > LARGEST:
        raise BadConfig(f"{source} is larger than {LARGEST} bytes", todo="name a TOML file")
    return contents


def _decoded(contents: bytes, source: str) -> str:
    todo = "save it as UTF-8, without a byte-order mark"
    if contents.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadConfig(f"{source} is UTF-16", todo=todo)
    if contents.startswith(b"\xef\xbb\xbf"):
        raise BadConfig(f"{source} begins with a byte-order mark", todo=todo)
    if b"\0" in contents:
        raise BadConfig(f"{source} has a NUL byte: it is UTF-16 or no text at all", todo=todo)
    try:
        return contents.decode("utf-8")
    except UnicodeDecodeError as error:
        line = contents.count(b"\n", 0, error.start) + 1
        wrong = f"{source} is not UTF-8: byte 0x{contents[error.start]:02x} in line {line}"
        raise BadConfig(wrong, todo=todo) from error
