"""One process to an instrument, whoever started it and by whatever name it calls the port.

The lock goes with its process: the kernel frees it when the process ends, in whatever way, and a forked
child does not keep it. A note beside it says who has it, for people; the lock alone decides, so the note of
a process that was killed is not believed.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from labctl.errors import InUse, Unavailable
from labctl.places import shared
from labctl.quantity import printable, quoted

if TYPE_CHECKING:
    from filelock import BaseFileLock

PATIENCE = 0.1
"""[s] How long a lock is tried for: somebody who only looks has it for less."""
_LONGEST_NOTE = 4096
_TCP = re.compile(r"tcp://(.+):([0-9]{1,5})")
_SERIAL = re.compile(r"serial://([^?]+)(?:\?.*)?")


class Holding:
    """This process's hold on the instrument called `identity`: an address, or maker, model and serial number.

    `what` says for what it is held, for those who are refused. It is held as long as this object is kept.
    """

    def __init__(self, identity: str, what: str = "") -> None:
        self.identity, self._what = identity, what
        self._lock: BaseFileLock | None = None
        self._process = os.getpid()

    def take(self) -> Self:
        """Take it, or do nothing when it is taken. Raises `InUse`, which says who has it, and `Unavailable`
        where there can be no lock.
        """
        from filelock import Timeout

        if self._lock is not None and self._process == os.getpid():
            return self
        try:
            place = _place(self.identity)
            lock = _lock(place, PATIENCE)
            lock.acquire()
        except Timeout:
            raise InUse(
                f"{quoted(self.identity)} is in use by {_words(_place(self.identity))}",
                allowed="one process to an instrument",
                todo="wait for it to end, or stop it (labctl stop)",
            ) from None
        except OSError as error:
            raise _no_lock(self.identity, error) from error
        self._lock, self._process = lock, os.getpid()
        with suppress(OSError):  # without a note, the others are refused with fewer words
            _write_note(place, self.identity, self._what)
        return self

    def release(self) -> None:
        """Give it back. Harmless when it is not held, and in a child of the process that holds it."""
        lock, self._lock = self._lock, None
        if lock is None or self._process != os.getpid():
            return
        with suppress(OSError):
            _note(_place(self.identity)).unlink()
        lock.release()

    def __enter__(self) -> Self:
        return self.take()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder(identity: str) -> str | None:
    """Who has the instrument, in words; None when nobody has. Raises `Unavailable` where nobody can know."""
    from filelock import Timeout

    try:
        place = _place(identity)
        if place.exists():
            _lock(place, 0).acquire().lock.release()
    except Timeout:
        return _words(_place(identity))
    except OSError as error:
        raise _no_lock(identity, error) from error
    return None


def _place(identity: str) -> Path:
    """Its lock file. The name is for people; what tells two identities apart is the digest in it."""
    identity = _one_name(identity)
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", identity)[:40].strip("-.")
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return shared() / f"{name or 'instrument'}-{digest}.lock"


def _one_name(identity: str) -> str:
    """The same for an address however it is written: not every instrument has a serial number."""
    if tcp := _TCP.fullmatch(identity):
        with suppress(OSError, UnicodeError):  # a name that nobody knows is as good as another
            found = socket.getaddrinfo(tcp[1].strip("[]"), int(tcp[2]), type=socket.SOCK_STREAM)
            return f"tcp://{min(str(one[4][0]) for one in found)}:{int(tcp[2])}"
    if port := _SERIAL.fullmatch(identity):
        return f"serial://{os.path.realpath(port[1])}"
    return re.sub(r"^([A-Z]+)::", r"\g<1>0::", identity.upper()) if "::" in identity else identity


def _lock(place: Path, seconds: float) -> BaseFileLock:
    """Everybody may take it; it belongs to the process, whatever thread gives it back."""
    from filelock import FileLock

    return FileLock(place, timeout=seconds, mode=0o666, thread_local=False, poll_interval=0.005)


def _note(place: Path) -> Path:
    """Where this user says who has it: in a shared folder nobody can write over another's file."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    return place.with_suffix(f".{user}.json")


def _write_note(place: Path, identity: str, what: str) -> None:
    note = {
        "process": os.getpid(),
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        "what": what,
        "identity": identity,
    }
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(_note(place), flags, 0o644), "w", encoding="ascii") as file:
        json.dump(note, file)


def _words(place: Path) -> str:
    """What the last note says, if the process that it names is alive."""
    try:
        notes = list(place.parent.glob(f"{place.stem}.*.json"))
        last = max(notes, key=lambda path: path.stat().st_mtime)
        with last.open("rb") as file:
            note = cast("dict[str, Any]", json.loads(file.read(_LONGEST_NOTE)))
        process, host = int(note["process"]), str(note["host"])
        words = f"process {process} of {note['user']} on {host} since {note['since']}"
        words += f" ({note['what']})" if note["what"] else ""
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
        return "another process"
    dead = host == socket.gethostname() and not _is_alive(process)
    return "another process" if dead else printable(words)[:400]


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True  # there, signal 0 is no question
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _no_lock(identity: str, error: OSError) -> Unavailable:
    return Unavailable(
        f"whether {quoted(identity)} is in use cannot be known: {error.strerror or error}",
        allowed="a folder for locks that everybody may write to",
        todo="see to its permissions, or name another folder in LABCTL_SHARED",
    )
