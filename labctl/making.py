"""A board from what a file says of it: the import path of its class, and a table of settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from labctl.board import Board
from labctl.config import Section, build
from labctl.errors import Unavailable
from labctl.importing import named
from labctl.quantity import printable

_FORM = '"module:Class" of a board, such as "sim_backend.compact:CompactBoard"'


@runtime_checkable
class Ready(Protocol):
    """A board that can say what it found of what it needs. No board has to."""

    def ready(self) -> str:
        """What was found, in a few words; `Unavailable` for what is missing. Drives nothing."""
        ...


@runtime_checkable
class Identified(Protocol):
    """A board that knows which instrument it is open on. No board has to."""

    def identity(self) -> str:
        """Model, serial number and firmware, as they were told when it was opened; empty: nobody has told.

        Nothing is asked: it may be called between two lists of pulses.
        """
        ...


@runtime_checkable
class Freeing(Protocol):
    """A board whose instrument can be made to forget a client that died. No board has to."""

    def free(self) -> str:
        """End every link to the instrument, and say what was done; `Refused` where there is no way to.

        For a board that is not open; `InUse` where a living program of this machine has it.
        """
        ...


@runtime_checkable
class Wired(Protocol):
    """A board that speaks to something outside its program. A simulated one has no business with it."""

    def addresses(self) -> Sequence[str]:
        """Of all that it speaks to, as its settings name it; none: it is simulated after all.

        A recording is `replay:FILE`, and `emulated:` begins what is emulated in this program.
        """
        ...


REPLAY, EMULATED = "replay:", "emulated:"


def board_class(path: str, source: str) -> type[Board]:
    """The class that this path names; raises `Unavailable` for what is no board. `source` is for messages."""
    told = f'{source}: class = "{printable(path)}"'
    found = named(path, told, _FORM)
    if not (isinstance(found, type) and issubclass(found, Board)):
        raise Unavailable(f"{told} is no Board", allowed="a subclass of labctl.board.Board")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise Unavailable(f"{told} is abstract: it has no {missing}", allowed="a class that has them")
    return found


def board_of(kind: type[Board], table: Mapping[str, Any], source: str) -> Board:
    """A new board of this class, not open yet, with these settings. Raises `BadConfig`."""
    settings: type[Section] = getattr(kind, "Settings", Section)
    made: Any = kind
    return made(build(table, settings, source))
