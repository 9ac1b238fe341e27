"""A session at the bench, kept as a text that people read and tests replay.

One line for each thing that was sent or received, in order::

    # labctl session, format 1: tcp://192.168.0.7:5025, 2026-05-04T10:11:12.000+02:00
    > :SOUR:VOLT 1e-07
    > :SOUR:VOLT?
    < 1.000000E-07
    > :READ?
    !< hung tcp://192.168.0.7:5025 did not answer within 2 s

What does not print is escaped as Python does it, and so is the backslash. A line stands for its bytes and a
line feed; one that ends in a single backslash, for its bytes alone. `!>` and `!<` tell how sending and
receiving failed. In a replay every byte that is sent must be the recorded one: the first that differs fails
it, and every call after that fails as well.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, NoReturn

from drivers.links.transcript import FAILURES, HEAD, Line, escaped
from drivers.links.transcript import read as read_transcript
from drivers.links.transport import MOST_BYTES, Transport
from labctl.errors import BoardFault, BoardGone, BoardHung, LabError, Refused, StorageFault, Unavailable
from labctl.quantity import printable, quoted

MOST_FILES = 1000
"""Recordings by one name."""
_KINDS: dict[str, type[LabError]] = dict(
    zip(FAILURES, (BoardHung, BoardGone, BoardFault, Unavailable), strict=True)
)


class Recorder:
    """A link that also writes down what goes over `link`, into a new file: `file`, or the first of
    `session-2.txt`, `session-3.txt` … that is not there yet. A bench that is opened again, be it to switch
    off after its program died, neither writes over what there is nor stays shut because of it.

    A disk that is full must not keep anybody from switching off: what cannot be written down is a
    `StorageFault` once, after what was sent has been sent, and from then on nothing is recorded.
    """

    def __init__(self, link: Transport, file: Path) -> None:
        """Raises `Refused` when no file can be made."""
        self.address = link.address
        self._file: IO[bytes] | None = None
        self._broken = False
        now = datetime.now().astimezone().isoformat("T", "milliseconds")
        head = f"{HEAD}{printable(link.address)}, {now}\n".encode("ascii", "backslashreplace")
        self._link, self._path = link, _made(file, head)

    def open(self) -> None:
        """Open the link."""
        self._link.open()

    def close(self) -> None:
        """Close the link, and the file until there is more."""
        self._link.close()
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def write(self, data: bytes) -> None:
        """Send, and write it down."""
        with self._told_of_failure(">", data):
            self._link.write(data)
        self._note((">", data))

    def read(self, end: bytes = b"\n", *, seconds: float | None = None, most: int = MOST_BYTES) -> bytes:
        """Receive, and write it down with its end."""
        with self._told_of_failure("<"):
            reply = self._link.read(end, seconds=seconds, most=most)
        self._note(("<", reply + end))
        return reply

    def read_exactly(self, count: int, *, seconds: float | None = None) -> bytes:
        """Receive so many bytes, and write them down."""
        with self._told_of_failure("<"):
            reply = self._link.read_exactly(count, seconds=seconds)
        self._note(("<", reply))
        return reply

    def ask(
        self, data: bytes, end: bytes = b"\n", *, seconds: float | None = None, most: int = MOST_BYTES
    ) -> bytes:
        """Send and receive, and write down both."""
        with self._told_of_failure("<", data):
            reply = self._link.ask(data, end, seconds=seconds, most=most)
        self._note((">", data), ("<", reply + end))
        return reply

    @contextmanager
    def _told_of_failure(self, way: str, data: bytes | None = None) -> Generator[None]:
        try:
            yield
        except LabError as error:
            kind = next((name for name, kind in _KINDS.items() if isinstance(error, kind)), "refused")
            said = f"{kind} {error.wrong}\n".encode("ascii", "backslashreplace")
            with suppress(StorageFault):  # the error of the link says more
                self._note(*([(">", data)] if data is not None else []), (f"!{way}", said))
            raise

    def _note(self, *lines: tuple[str, bytes]) -> None:
        if self._broken:
            return
        try:
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            self._file.write(b"".join(f"{mark} {escaped(data)}\n".encode("ascii") for mark, data in lines))
        except OSError as error:
            self._broken = True
            raise StorageFault(
                f"{self._path}: the recording ends here: {error.strerror or error}",
                saved="what was recorded before",
                todo="see to the room on its disk",
            ) from error


class Replay:
    """A link that answers as `file` says, to who sends what `file` says."""

    def __init__(self, file: Path) -> None:
        """Raises `Unavailable` where there is no such file, and `BadData` when it is no recording."""
        self.address = f"replay:{file}"
        self._lines = read_transcript(file)
        self._next = 0
        self._sent = 0
        self._heard = bytearray()
        self._failure: LabError | None = None

    @property
    def left(self) -> int:
        """Lines that have not been replayed."""
        return len(self._lines) - self._next

    def open(self) -> None:
        """Nothing is opened."""

    def close(self) -> None:
        """Nothing is closed: the next call goes on where the last one ended."""

    def finish(self) -> None:
        """Raises `BoardFault` unless everything has been replayed."""
        if self._failure is not None:
            raise self._failure
        if self.left or self._heard:
            self._differ("the session ends here", f"{self.left} lines of the recording are left")

    def write(self, data: bytes) -> None:
        """Raises `BoardFault`, which names the first byte that is not the recorded one."""
        line = self._line(f"{_shown(data)} is sent")
        if self._heard or line.mark != ">":
            self._differ(
                f"{_shown(data)} is sent", f"there was {_shown(self._heard or line.data)} to read first"
            )
        if data != line.data:
            self._differ_in_a_byte(line, data)
        self._next += 1
        self._sent += len(data)
        self._fail_as_recorded("!>")

    def read(self, end: bytes = b"\n", *, seconds: float | None = None, most: int = MOST_BYTES) -> bytes:
        """The recorded reply."""
        while end not in self._heard:
            self._hear()
        reply, _, rest = bytes(self._heard).partition(end)
        if len(reply) > most:
            self._differ(f"at most {most} bytes are read", f"the reply has {len(reply)}")
        self._heard = bytearray(rest)
        return reply

    def read_exactly(self, count: int, *, seconds: float | None = None) -> bytes:
        """The recorded bytes."""
        while len(self._heard) < count:
            self._hear()
        taken = bytes(self._heard[:count])
        del self._heard[:count]
        return taken

    def ask(
        self, data: bytes, end: bytes = b"\n", *, seconds: float | None = None, most: int = MOST_BYTES
    ) -> bytes:
        """The recorded reply to what must be the recorded question."""
        self.write(data)
        return self.read(end, seconds=seconds, most=most)

    def _hear(self) -> None:
        line = self._line("a reply is waited for")
        self._fail_as_recorded("!<")
        if line.mark != "<":
            self._differ("a reply is waited for", f"{_shown(line.data)} was sent")
        self._next += 1
        self._heard += line.data

    def _line(self, what: str) -> Line:
        if self._failure is not None:
            raise self._failure
        if not self.left:
            self._differ(what, "the recording ends")
        return self._lines[self._next]

    def _fail_as_recorded(self, mark: str) -> None:
        if self.left and self._lines[self._next].mark == mark:
            kind, _, wrong = self._lines[self._next].data.decode("latin-1").rstrip("\n").partition(" ")
            self._next += 1
            self._heard.clear()
            raise _KINDS[kind](printable(wrong))

    def _differ_in_a_byte(self, line: Line, data: bytes) -> NoReturn:
        pairs = zip(data, line.data, strict=False)
        at = next(
            (at for at, (one, other) in enumerate(pairs) if one != other), min(len(data), len(line.data))
        )
        self._differ(
            f"byte {at + 1} of {_shown(data)} is {_byte(data, at)}",
            f"it is {_byte(line.data, at)} in {_shown(line.data)}, byte {self._sent + at + 1} of all sent",
        )

    def _differ(self, now: str, then: str) -> NoReturn:
        number = self._lines[self._next].number if self.left else len(self._lines) + 1
        self._failure = BoardFault(f"{self.address}, line {number}: {now}; in the recording {then}")
        raise self._failure


def _made(file: Path, head: bytes) -> Path:
    """A new file with this head, by the first free name."""
    names = (file, *(file.with_name(f"{file.stem}-{number}{file.suffix}") for number in range(2, MOST_FILES)))
    free = (name for name in names if not name.exists())
    path = file if file.is_dir() else next(free, file)
    try:
        with path.open("xb") as new:
            new.write(head)
    except OSError as error:
        raise Refused(
            f"{file} cannot be made to record into: {error.strerror or error}",
            allowed="a new file: no recording is written over",
        ) from error
    return path


def _shown(data: bytes | bytearray) -> str:
    return quoted(data.decode("latin-1"))


def _byte(data: bytes, at: int) -> str:
    return f"{data[at : at + 1]!r} (0x{data[at]:02x})" if at < len(data) else "the end"
