"""Which guards are alive on this machine, and how anybody on it may tell them to make safe.

A guard that has opened its board leaves two things in `labctl.places.shared()`: a note (JSON) that says
whose it is and what it guards, and a unix socket. Whoever connects to the socket asks it to stop, and is
told what is known of the outputs. The note goes when the outputs are known to be off; one whose guard is
gone therefore says that nobody has confirmed it.

Everybody on the machine may stop a bench: that is what an emergency stop is for.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import Outputs, Unavailable
from labctl.places import shared

if TYPE_CHECKING:
    from collections.abc import Generator

ANSWER_SECONDS = 20.0
"""[s] that a guard may take to make safe when it was asked to; it gives itself less."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a guard says of itself."""

    name: str
    """Of its files, without ending."""
    bench: str
    """The bench file that its board is of."""
    board: str
    pid: int
    client: int
    user: str
    host: str
    since: str
    outputs: str = ""
    """Nothing as long as it guards; then what it found."""


class Entry:
    """A guard's own place in the registry: a socket at once, a note when there is something to guard."""

    def __init__(self) -> None:
        self.name = f"guard-{os.getpid()}-{secrets.token_hex(3)}"
        self.door = socket.socket(socket.AF_UNIX)
        self._note: Note | None = None
        try:
            self._folder = shared()
            with _short(self._folder) as folder:
                self.door.bind(f"{folder}/{self.name}.sock")
            self._path("sock").chmod(0o666)
            self.door.listen()
        except OSError as error:
            self.door.close()
            raise Unavailable(
                f"a guard cannot leave its note: {error}",
                allowed="a folder in which everybody may write; LABCTL_SHARED names another",
            ) from error
        self.door.setblocking(False)

    def open(self, bench: str, board: str, client: int) -> None:
        """From now on there is something to guard."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        who = _user(), socket.gethostname()
        self._write(Note(self.name, bench, board, os.getpid(), client, *who, since))

    def retract(self) -> None:
        """It could not be opened after all."""
        self._note = None
        self._path("json").unlink(missing_ok=True)

    def say(self, outputs: Outputs) -> None:
        """What is known of the outputs, now that nobody drives them any more."""
        if self._note is not None:
            with suppress(OSError):  # a full disk must not keep a guard from its work
                self._write(replace(self._note, outputs=outputs.value))

    def leave(self, outputs: Outputs) -> None:
        """The end. The note goes only if the outputs are off; so do then those of guards that died."""
        self.door.close()
        with suppress(OSError):
            self._path("sock").unlink(missing_ok=True)
            if self._note is None or outputs is not Outputs.OFF:
                return
            self._path("json").unlink(missing_ok=True)
            same = (self._note.bench, self._note.board)
            for note in notes():
                if (note.bench, note.board) == same and not alive(note):
                    forget(note.name)

    def _write(self, note: Note) -> None:
        self._note = note
        fresh = self._path("new")
        fresh.write_text(json.dumps(asdict(note)), encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(self._path("json"))

    def _path(self, ending: str) -> Path:
        return self._folder / f"{self.name}.{ending}"


# ---- for everybody else ---------------------------------------------------------------------


def notes() -> list[Note]:
    """All that can be read, the oldest first; a note that somebody forged badly is no note."""
    found = [_read(path) for path in shared().glob("guard-*.json")]
    return sorted((note for note in found if note), key=lambda note: (note.since, note.name))


def alive(note: Note) -> bool:
    """Whether its guard still listens."""
    try:
        os.kill(note.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, and alive
        return True
    return (shared() / f"{note.name}.sock").exists()


def knock(note: Note) -> socket.socket | None:
    """Ask a guard to make safe and end; None: it is gone. `answer` has what came of it."""
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(ANSWER_SECONDS)
    try:
        with _short(shared()) as folder:
            link.connect(f"{folder}/{note.name}.sock")
    except OSError:
        link.close()
        return None
    return link


def answer(note: Note, link: socket.socket) -> Outputs:
    """What a guard that was asked found; closes the link. Without an answer, what its note says."""
    told = b""
    with link, suppress(OSError):
        while chunk := link.recv(64):
            told += chunk
    with suppress(ValueError):
        return Outputs(told.decode("ascii", "replace"))
    if alive(note):
        return Outputs.UNKNOWN
    left = _read(shared() / f"{note.name}.json")  # it ended just now: a note that is gone says off
    return Outputs.OFF if left is None else Outputs(left.outputs or Outputs.UNKNOWN)


def forget(name: str) -> None:
    """Take away what a guard that died left behind, when its outputs are known to be off."""
    for ending in ("json", "sock", "new"):
        with suppress(OSError):  # somebody else's, in a folder where that matters
            (shared() / f"{name}.{ending}").unlink(missing_ok=True)


def _read(path: Path) -> Note | None:
    try:
        told: Mapping[str, object] = json.loads(path.read_text(encoding="utf-8"))
        note = Note(**told)  # pyright: ignore[reportArgumentType] - looked at just below
    except (OSError, ValueError, TypeError):
        return None
    whole = all(isinstance(getattr(note, name), int) for name in ("pid", "client"))
    known = note.outputs in ("", *Outputs)
    return note if whole and known and note.name == path.stem and note.pid > 0 else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a process may have no name to go with its number
        return str(os.getuid())


@contextmanager
def _short(folder: Path) -> Generator[str]:
    """The folder by a short name: the address of a unix socket has room for a hundred letters."""
    through = Path("/proc/self/fd")
    if not through.exists():
        yield str(folder)
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"{through}/{number}"
    finally:
        os.close(number)
