"""The folder of a run: its name, its lock, and whether a journal is safe there.

Names come from people and from files, so they are chosen from an allow-list and never leave the
folder of runs. A journal needs a file system whose locks and shared memory work, which those of
the network do not promise (https://sqlite.org/wal.html, section 1), and room to write. The lock
belongs to the process: it is free again the moment the process ends, however it ends.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from labctl.errors import BadRun

JOURNAL = "journal.sqlite"
STUDY = "study.sqlite"
"""In the folder of a study, which holds many chips and no pulses."""
AWARE = "aware.sqlite"
"""In the folder of networks that were trained for a crossbar."""
LOCK = "lock"
OWNER = "owner"
RESERVE = "reserve"

_OURS = frozenset({LOCK, OWNER, RESERVE, *(JOURNAL + end for end in ("", "-wal", "-shm", "-journal"))})

RESERVE_BYTES = 4 * 2**20
"""Room given back when the disk is full, so that what was just measured can still be written."""
LEAST_FREE = 32 * 2**20
"""[bytes] free besides the waveforms before a run may start: intents, integrals and the reserve."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_NETWORK = frozenset(
    {"9p", "afs", "ceph", "cifs", "coda", "davfs", "lustre", "ncpfs", "nfs", "nfs4", "smb2", "smb3", "smbfs"}
    | {f"fuse.{name}" for name in ("davfs", "glusterfs", "rclone", "s3fs", "sshfs")}
)


def run_folder(base: Path, name: str) -> Path:
    """Where the run of that name is or would be; raises `BadRun` for a name that could lead elsewhere."""
    fits = _NAME.fullmatch(name) and not _DEVICES.fullmatch(name) and not name.endswith(".")
    folder = base / name if fits else base
    if not fits or folder.is_symlink() or not folder.resolve().is_relative_to(base.resolve()):
        raise BadRun(
            f"{name[:80]!r} is no name of a run",
            allowed="1 to 64 of A-Z a-z 0-9 . _ -, not starting with a dot, inside the folder of runs",
        )
    return folder


def refuse_network(folder: Path, mounts: str | None = None) -> None:
    """Raise `BadRun` where the folder is on a network file system; `mounts` as in /proc/self/mountinfo."""
    kind = file_system(folder, _mounts() if mounts is None else mounts)
    if kind in _NETWORK:
        raise BadRun(
            f"{folder} is on a network file system ({kind}), where a journal can be damaged",
            allowed="a folder on a local disk",
            todo="keep runs on a local disk and copy the folder when the run has ended",
        )


def file_system(folder: Path, mounts: str) -> str:
    """The kind of file system that holds the folder; empty where the system does not say."""
    where, kind = folder.resolve(), ""
    depth = -1
    for row in mounts.splitlines():
        left, _, right = row.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        point = Path(fields[4].replace("\\040", " "))
        if where.is_relative_to(point) and len(point.parts) >= depth:
            depth, kind = len(point.parts), right.split()[0]
    return kind


def _mounts() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(errors="replace")
    except OSError:
        return ""


def refuse_full(folder: Path, wanted: int) -> None:
    """Raise `BadRun` unless `wanted` bytes and a margin are free, before anything is driven."""
    free = shutil.disk_usage(folder).free
    if not free >= wanted + LEAST_FREE:
        raise BadRun(
            f"{free / 1e6:.0f} MB are free at {folder}, too few for this run",
            allowed=f"{(wanted + LEAST_FREE) / 1e6:.0f} MB: {wanted / 1e6:.0f} MB of waveforms and a margin",
            todo="free some space, choose another folder, or keep fewer waveforms",
        )


class Lock:
    """One process writes to a run; the others are told which."""

    def __init__(self, folder: Path) -> None:
        """Take the lock; raises `BadRun` that says who holds it, or why there can be none."""
        from filelock import FileLock, Timeout

        self._folder = folder
        self._lock = FileLock(folder / LOCK, timeout=0)
        try:
            self._lock.acquire()
            (folder / OWNER).write_text(_myself())
        except Timeout:
            raise BadRun(
                f"{folder} is in use by {self._owner()}",
                allowed="one writer to a run; reading is free (labctl show)",
                todo="wait for it to end, or stop it with Ctrl-C",
            ) from None
        except OSError as error:
            self._lock.release()
            raise BadRun(
                f"{folder} cannot be written to: {error.strerror or error}",
                todo="give yourself permission to write there, or copy the folder to where you have it",
            ) from error

    def release(self) -> None:
        """Let others write. Harmless when released already."""
        if self._lock.is_locked:
            with suppress(OSError):
                (self._folder / OWNER).unlink()
            self._lock.release()

    def _owner(self) -> str:
        try:
            return (self._folder / OWNER).read_text(errors="replace")[:200] or "another process"
        except OSError:
            return "another process"


def _myself() -> str:
    return f"process {os.getpid()} on {socket.gethostname()} since {now()}"


def now() -> str:
    """Wall time with its offset from UTC: for people; durations never come from it."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def set_aside(folder: Path) -> None:
    """Put the reserve on the disk, as real blocks."""
    with (folder / RESERVE).open("wb") as file:
        file.write(bytes(RESERVE_BYTES))


def give_back(folder: Path) -> bool:
    """Free the reserve; False when there is none any more."""
    try:
        (folder / RESERVE).unlink()
    except OSError:
        return False
    return True


def is_remnant(folder: Path) -> bool:
    """Whether the folder holds nothing but what a run leaves that was ended while it was made."""
    try:
        return all(path.name in _OURS for path in folder.iterdir())
    except OSError:
        return False


def names_of_runs(base: Path) -> list[str]:
    """Every run in the folder of runs, sorted by name; none where there is no such folder."""
    return sorted(path.parent.name for path in base.glob(f"*/{JOURNAL}"))


def names_of_studies(base: Path) -> list[str]:
    """Every study in the folder of runs, sorted by name."""
    return sorted(path.parent.name for path in base.glob(f"*/{STUDY}"))


def names_of_aware(base: Path) -> list[str]:
    """Every training for a crossbar, and every sweep of them, in the folder of runs, sorted by name."""
    return sorted(path.parent.name for path in base.glob(f"*/{AWARE}"))


@contextmanager
def writable(folder: Path) -> Generator[None]:
    """Before anything is driven, a folder that cannot be written to is `BadRun`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise BadRun(
            f"{folder} cannot be written to ({error})",
            allowed="a folder on a local disk in which you may write",
            todo="choose another folder, or see to its permissions and the room on its disk",
        ) from error
