"""A folder with one SQLite file to which rows are appended: made whole or not at all, killed without harm.

What a record holds is its own affair: a `Kind` says which tables, under which name. A file that comes
from elsewhere is not trusted (https://sqlite.org/security.html): it is inspected before anything is
made of it, and only tables that read exactly as those of its kind are accepted, so there are no views
or triggers that could run. Every record has a table `meta` (key, value): what was written down once.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import quote

from labctl.errors import BadConfig, BadRun, Outputs, StorageFault
from labctl.quantity import printable
from labctl.runfolder import LOCK, OWNER, Lock, refuse_full, refuse_network, run_folder, writable

META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"
Fill = Callable[[sqlite3.Connection], None]
"""Writes the first rows of a new file."""


@dataclass(frozen=True)
class Kind:
    """What makes a file the record that it says it is."""

    file: str
    """Its name in the folder."""
    what: str
    """In messages: "a study"."""
    application: int
    """SQLite's application_id."""
    format: int
    """SQLite's user_version: counted up with every change of the tables, and of what a row holds."""
    tables: Mapping[str, str]
    """By name, with the text that makes each; `meta` is one of them."""

    @property
    def new(self) -> str:
        """Its name until it is whole."""
        return f"{self.file}.new"

    def is_remnant(self, folder: Path) -> bool:
        """Whether the folder holds nothing but what is left of a record that was ended while it was made."""
        left = {LOCK, OWNER, self.new, f"{self.new}-journal"}
        try:
            return all(path.name in left for path in folder.iterdir())
        except OSError:
            return False

    def make(self, folder: Path, meta: Mapping[str, Any], fill: Fill) -> None:
        """A new file, in place as a whole or not at all. Raises what the disk says."""
        new = folder / self.new
        new.unlink(missing_ok=True)
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for sql in self.tables.values():
                connection.execute(sql)
            told = [(key, json.dumps(value)) for key, value in meta.items()]
            connection.executemany("INSERT INTO meta VALUES (?, ?)", told)
            fill(connection)
            connection.execute(f"PRAGMA application_id = {self.application}")
            connection.execute(f"PRAGMA user_version = {self.format}")
            connection.execute("COMMIT")
        new.replace(folder / self.file)  # at once: a file that is there is whole

    def to_read(self, folder: Path) -> sqlite3.Connection:
        """The file, if it is what it says it is; raises `BadRun`, and what SQLite says of damage."""
        if not (folder / self.file).is_file():
            ended = "it was ended while it was made, and nothing was done: begin it anew, under the same name"
            remnant = folder.is_dir() and self.is_remnant(folder)
            raise BadRun(
                f"{folder} is not {self.what}: it has no {self.file}",
                todo=ended if remnant else "`labctl runs` lists what there is",
            )
        return self._connected(folder, "ro")

    def to_write(self, folder: Path) -> sqlite3.Connection:
        """The same, to append to: every page of it is in order."""
        connection = self._connected(folder, "rw")
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise BadRun(f"{folder / self.file} is damaged: {found}", todo="restore it from a copy")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def inode(self, folder: Path) -> tuple[int, int] | None:
        """Which file is behind the name now."""
        try:
            found = os.stat(folder / self.file)  # noqa: PTH116 -- as in labctl.store
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @contextmanager
    def guarded(self, folder: Path) -> Generator[None]:
        """What is read inside from the record in `folder` is whole, or `BadRun` says that it is not."""
        try:
            yield
        except (
            sqlite3.Error,
            BadConfig,
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise BadRun(
                f"{folder / self.file} cannot be read"
                f" ({type(error).__name__}: {printable(str(error))[:200]})",
                todo="if it is damaged, restore it from a copy",
            ) from error

    def _connected(self, folder: Path, mode: str) -> sqlite3.Connection:
        address = f"file:{quote(str((folder / self.file).resolve()))}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            self._inspect(folder, connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _inspect(self, folder: Path, connection: sqlite3.Connection) -> None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        rows = connection.execute("SELECT name, sql FROM sqlite_master").fetchmany(len(self.tables) + 1)
        if application != self.application or dict(rows) != dict(self.tables):
            raise BadRun(
                f"{folder / self.file} is not the record of {self.what}",
                todo=f"name the folder of {self.what}",
            )
        if version != self.format:
            raise BadRun(
                f"{folder} was written in format {version} by another version of labctl",
                allowed=f"format {self.format}",
                todo="use the labctl that wrote it",
            )


class Record:
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

    def check(self) -> None:
        """Raise where what was asked cannot be read; whatever it raises is told as damage."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave one plain file, and let others write. May be called twice."""
        if self._lock is not None:
            with suppress(sqlite3.Error):  # a reader may be at it, or the disk be full: then the log stays
                self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def saved(self) -> str:
        """For whoever waits for it: what is safe by now."""
        return f"all that was counted as done, in {self.folder}"

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
