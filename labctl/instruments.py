"""What is connected to this machine, and who holds it: asked of the system's libraries, never driven.

What the system sees, the drivers know how to look for (`LOOKS`, found by name as boards are); the instruments
of bench files are asked through their boards whether they are ready. A library that is missing, or that
fails, is told in place of what it would have found. What instruments say of themselves is foreign text, and
is shown as such.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from labctl.bench import Bench
from labctl.board import Board
from labctl.errors import LabError
from labctl.importing import named
from labctl.making import Ready, Wired
from labctl.ownership import holder
from labctl.reality import reality

LOOKS = "drivers.connected"
"""Has `QUICK` and `SLOW`: looks by what they look for, each yielding addresses and what is said of them."""
Look: TypeAlias = Callable[[], Iterator[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Connected:
    """Something that the system sees."""

    what: str
    """"serial port", "VISA resource" or "Analog Discovery"."""
    address: str
    """As a bench file would name it; empty where nothing was found."""
    told: str
    """What it says it is, or why nothing was found."""


@dataclass(frozen=True, slots=True)
class Described:
    """The instrument of a bench file."""

    bench: str
    reality: str
    driver: str
    addresses: tuple[str, ...]
    answer: str
    """What the board found when it was asked whether it is ready, or what it missed."""
    answers: bool
    held: str
    """By whom; empty: by nobody."""


def connected(visa: bool = False) -> list[Connected]:
    """What the system sees. VISA resources only on request: looking for them takes seconds."""
    looks: dict[str, Look] = named(f"{LOOKS}:QUICK", "what could be connected", "installed drivers")
    if visa:
        looks = looks | named(f"{LOOKS}:SLOW", "what could be connected", "installed drivers")
    return [found for what, look in looks.items() for found in _looked(what, look)]


def described(paths: Sequence[Path], ask: bool = True) -> list[Described]:
    """The instruments of these bench files; simulations and recordings have none, and are left out.

    With `ask`, each board is asked whether it is ready: it may connect, and drives nothing.
    """
    return [one for path in paths if (one := _described(path, ask)) is not None]


# ---- what the system sees -------------------------------------------------------------------


def _looked(what: str, look: Look) -> list[Connected]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a library would like to have, too
            found = [Connected(what, address, told) for address, told in look()]
    except Exception as error:  # noqa: BLE001 - whatever a vendor's library raises is an answer
        first = str(error).strip().partition("\n")[0]
        return [Connected(what, "", f"cannot be looked for: {type(error).__name__}: {first}")]
    return found or [Connected(what, "", "none")]


# ---- what bench files say -------------------------------------------------------------------


def _described(path: Path, ask: bool) -> Described | None:
    try:
        bench = Bench.read(path)
        kind, driver = bench.file.kind, bench.file.board_class
        if kind not in ("board", "emulator"):
            return None
        with TemporaryDirectory() as nowhere:  # an emulator may keep the state of its devices there
            here = Path(nowhere)
            board = bench.unguarded(here)
            addresses = tuple(board.addresses()) if isinstance(board, Wired) else ()
            told, answers = _asked(bench.board(here)) if ask else ("not asked", False)
        held = "; ".join(who for address in addresses if (who := holder(address)))
        return Described(path.stem, reality(kind), driver, addresses, told, answers, held)
    except LabError as error:
        return Described(path.stem, "", "", (), error.wrong.partition("\n")[0], answers=False, held="")


def _asked(board: Board) -> tuple[str, bool]:
    try:
        return (board.ready(), True) if isinstance(board, Ready) else ("has no way to ask it", False)
    except LabError as error:
        return error.wrong.partition("\n")[0], False
    except Exception as error:  # noqa: BLE001 - whatever a driver raises, the other benches are asked too
        return f"{type(error).__name__}: {error}".partition("\n")[0], False
