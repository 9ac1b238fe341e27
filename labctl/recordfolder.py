"""The folder of a record, to whose one SQLite file rows are appended: killed without harm, gone on with.

It is made as a whole or not at all. One process appends at a time, under a lock; any may read meanwhile.
Rows that are appended together are one transaction, so what was kept is there whatever happens next.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any, ClassVar, Self

from labctl.errors import BadRun, Outputs, StorageFault
from labctl.recordfile import Fill, Kind
from labctl.runfolder import Lock, refuse_full, refuse_network, run_folder, writable


class Record(ABC):
    """The folder of a record, open to read, or to append where `lock` is held."""

    kind: ClassVar[Kind]

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: Lock | None) -> None:
        self.folder = folder
        self._connection = connection
        self._lock = lock
        self._inode = self.kind.inode(folder)
        self.meta: dict[str, Any] = {
            key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")
        }

    @classmethod
    def made(cls, base: Path, name: str, meta: Mapping[str, Any], fill: Fill, wanted: int) -> Self:
        """A new one of that name in the folder of runs, which will need `wanted` bytes.

        What is left of one that was ended while it was made is made anew. Raises `BadRun`.
        """
        folder = run_folder(base, name)
        cls._refuse_taken(folder)
        with writable(folder), ExitStack() as undo:
            folder.mkdir(parents=True, exist_ok=True)
            lock = Lock(folder)
            undo.callback(lock.release)
            cls._refuse_taken(folder)  # now that nobody else makes one there
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            refuse_network(folder)
            refuse_full(folder, wanted)
            cls.kind.make(folder, meta, fill)
            record = cls(folder, cls.kind.to_write(folder), lock)
            undo.pop_all()
            return record

    @classmethod
    def open(cls, base: Path, name: str) -> Self:
        """One to read; raises `BadRun` where there is none, or none that can be read."""
        folder = run_folder(base, name)
        with cls.kind.guarded(folder):
            return cls(folder, cls.kind.to_read(folder), None)

    @classmethod
    def resume(cls, base: Path, name: str) -> Self:
        """One to go on with; raises `BadRun` where another process is at it, or it is damaged."""
        folder = run_folder(base, name)
        with cls.kind.guarded(folder), ExitStack() as undo:
            cls.kind.to_read(folder).close()
            lock = Lock(folder)
            undo.callback(lock.release)
            refuse_full(folder, 0)
            record = cls(folder, cls.kind.to_write(folder), lock)
            undo.callback(record.close)
            record.check()
            undo.pop_all()
            return record

    @abstractmethod
    def check(self) -> None:
        """Raise where what was asked cannot be read; whatever it raises is told as damage."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Of all rows that came of it: the same for the same numbers, bit for bit."""

    @abstractmethod
    def saved(self) -> str:
        """For whoever waits for it: what is safe by now."""

    def guarded(self) -> AbstractContextManager[None]:
        """What is read inside is whole, or `BadRun` says that it is not."""
        return self.kind.guarded(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave one plain file, which can be copied, and let others write. May be called twice."""
        if self._lock is not None:
            with suppress(sqlite3.Error):  # a reader may be at it, or the disk be full: then the log stays
                self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def count(self, table: str) -> int:
        """Rows of one of its tables."""
        return int(self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def digest(self, *queries: str, beginning: str = "") -> str:
        """Sixteen digits for the rows of these queries: the same for the same rows, bit for bit."""
        digest = hashlib.sha256(beginning.encode())
        for sql in queries:
            for row in self._connection.execute(sql):
                digest.update(repr(row).encode())
        return digest.hexdigest()[:16]

    def append(self, *changes: tuple[str, Iterable[tuple[Any, ...]]]) -> None:
        """SQL with its rows, all as one transaction; raises `StorageFault` where the disk takes none."""
        if self.kind.inode(self.folder) != self._inode:
            raise self._failed("it was moved or deleted meanwhile")  # SQLite would write on, to no file
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                for sql, rows in changes:
                    self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise self._failed(str(error)) from error

    def _failed(self, why: str) -> StorageFault:
        return StorageFault(
            f"{self.folder / self.kind.file} can no longer be written: {why}",
            outputs=Outputs.OFF,
            saved=self.saved() if self.kind.inode(self.folder) == self._inode else "",
            todo="see to the disk, then `labctl resume`",
        )

    @classmethod
    def _refuse_taken(cls, folder: Path) -> None:
        """A folder of that name is there; an empty one, or what is left of making one, is none."""
        if folder.exists() and not cls.kind.is_remnant(folder):
            ours = (folder / cls.kind.file).is_file()
            other = f", or go on with `labctl resume {folder.name}`" if ours else ""
            raise BadRun(
                f"{folder} is there already", allowed="a new name", todo=f"choose another name{other}"
            )
