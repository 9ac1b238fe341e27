"""The SQLite file of a record: how it is made, and how it is opened to read or to write.

What a record holds is its own affair: a `Kind` says which tables, under which name. A file that comes
from elsewhere is not trusted (https://sqlite.org/security.html): it is inspected before anything is
made of it, and only tables that read exactly as those of its kind are accepted, so there are no views
or triggers that could run. Every record has a table `meta` (key, value): what was written down once.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from labctl.errors import BadConfig, BadRun
from labctl.quantity import printable
from labctl.runfolder import JOURNAL, LOCK, OWNER

META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"
Fill = Callable[[sqlite3.Connection], None]
"""Writes the first rows of a new file."""


@dataclass(frozen=True)
class Kind:
    """What makes a file the record that it says it is."""

    file: str
    """Its name in the folder."""
    what: str
    """In messages, without its article: "study"."""
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

    def is_in(self, folder: Path) -> bool:
        """Whether the folder is one of a record of this kind."""
        return (folder / self.file).is_file() and not (folder / JOURNAL).exists()

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
                f"{folder} is no {self.what}: it has no {self.file}",
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
                f"{folder / self.file} is not the record of a {self.what}",
                todo=f"name the folder of a {self.what}",
            )
        if version != self.format:
            raise BadRun(
                f"{folder} was written in format {version} by another version of labctl",
                allowed=f"format {self.format}",
                todo="use the labctl that wrote it",
            )
