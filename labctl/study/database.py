"""The SQLite file of a study: its tables, how it is made, and how it is opened to read or to write.

A file that comes from elsewhere is not trusted (https://sqlite.org/security.html): it is inspected
before anything is made of it, and only tables that read exactly as those below are accepted, so there
are no views or triggers that could run.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from labctl.errors import BadRun
from labctl.runfolder import LOCK, OWNER, STUDY
from labctl.study.conditions import Condition

APPLICATION = 0x6C616273
"""SQLite's application_id: "labs"."""
FORMAT = 2
"""SQLite's user_version: counted up with every change of the tables, and of what a row holds."""
NEW = f"{STUDY}.new"
"""Its name until it is whole."""
_REMNANTS = frozenset({LOCK, OWNER, NEW, f"{NEW}-journal"})

TABLES = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "condition": "CREATE TABLE condition (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "weights": "CREATE TABLE weights (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "chip": (
        "CREATE TABLE chip (condition TEXT NOT NULL, chip INTEGER NOT NULL, body TEXT NOT NULL,"
        " PRIMARY KEY (condition, chip)) STRICT, WITHOUT ROWID"
    ),
    "spell": (
        "CREATE TABLE spell (id INTEGER PRIMARY KEY, began TEXT NOT NULL, workers TEXT NOT NULL,"
        " chips INTEGER NOT NULL, seconds REAL NOT NULL) STRICT"
    ),
}


def is_remnant(folder: Path) -> bool:
    """Whether the folder holds nothing but what is left of a study that was ended while it was made."""
    try:
        return all(path.name in _REMNANTS for path in folder.iterdir())
    except OSError:
        return False


def make(folder: Path, meta: Mapping[str, Any], conditions: Mapping[str, Condition]) -> None:
    """A new file, in place as a whole or not at all. Raises what the disk says."""
    new = folder / NEW
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new, isolation_level=None)) as connection:
        _write(connection, meta, conditions)
    new.replace(folder / STUDY)  # at once: a file that is there is whole


def _write(
    connection: sqlite3.Connection, meta: Mapping[str, Any], conditions: Mapping[str, Condition]
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for sql in TABLES.values():
        connection.execute(sql)
    told = {**meta, "order": list(conditions)}
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)", [(key, json.dumps(value)) for key, value in told.items()]
    )
    connection.executemany(
        "INSERT INTO condition VALUES (?, ?)",
        [(key, json.dumps(asdict(condition))) for key, condition in conditions.items()],
    )
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def connect_to_read(folder: Path) -> sqlite3.Connection:
    """The file of a study that is what it says it is; raises `BadRun`, and what SQLite says of damage."""
    path = folder / STUDY
    if not path.is_file():
        remnant = folder.is_dir() and is_remnant(folder)
        ended = "it was ended while it was made, and nothing was done: begin it anew, under the same name"
        raise BadRun(
            f"{folder} is no study: it has no {STUDY}",
            todo=ended if remnant else "`labctl runs` lists what there is",
        )
    return _connect(folder, "ro")


def connect_to_write(folder: Path) -> sqlite3.Connection:
    """The same, to append to: every page of it is in order."""
    connection = _connect(folder, "rw")
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise BadRun(f"{folder / STUDY} is damaged: {found}", todo="restore it from a copy")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def leave_one_file(connection: sqlite3.Connection) -> None:
    """Fold the log in, so that the file can be copied, and be read where nobody may write."""
    connection.execute("PRAGMA journal_mode = DELETE")


def inode(folder: Path) -> tuple[int, int] | None:
    """Which file is behind the name now."""
    try:
        found = os.stat(folder / STUDY)  # noqa: PTH116 -- as in labctl.store
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(folder: Path, mode: str) -> sqlite3.Connection:
    address = f"file:{quote(str((folder / STUDY).resolve()))}?mode={mode}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        _inspect(folder, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _inspect(folder: Path, connection: sqlite3.Connection) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchmany(len(TABLES) + 1))
    if application != APPLICATION or tables != TABLES:
        raise BadRun(f"{folder / STUDY} is not the record of a study", todo="name the folder of a study")
    if version != FORMAT:
        raise BadRun(
            f"{folder} was written in format {version} by another version of labctl",
            allowed=f"format {FORMAT}",
            todo="use the labctl that wrote it",
        )
