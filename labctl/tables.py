"""The SQLite file of a run: its tables, and how it is opened to read or to write.

Four tables, each row appended and never changed: `meta` (what the run is), `pulse` (the intent,
there before anything is driven), `result` (what came of it) and `note` (what else happened).

A file that comes from elsewhere is not trusted (https://sqlite.org/security.html): it is first
opened read-only, and only tables that read exactly as those below are accepted, so there are no
views or triggers that could run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from labctl.errors import BadRun, Refused
from labctl.runfolder import JOURNAL, is_remnant

APPLICATION = 0x6C616263
"""SQLite's application_id: "labc"."""
FORMAT = 1
"""SQLite's user_version: counted up with every change of the tables."""

TABLES = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "pulse": (
        "CREATE TABLE pulse (id INTEGER PRIMARY KEY, list INTEGER NOT NULL,"
        " purpose TEXT NOT NULL, shape BLOB NOT NULL) STRICT"
    ),
    "result": (
        "CREATE TABLE result (id INTEGER PRIMARY KEY, driven INTEGER NOT NULL, flags INTEGER NOT NULL,"
        " site INTEGER, estimated INTEGER NOT NULL, delivered_joules REAL NOT NULL,"
        " device_joules REAL NOT NULL, series_joules REAL NOT NULL, pulse_seconds REAL NOT NULL,"
        " read_seconds REAL NOT NULL, settle_seconds REAL NOT NULL, link_seconds REAL NOT NULL,"
        " waveform BLOB) STRICT"
    ),
    "note": (
        "CREATE TABLE note (id INTEGER PRIMARY KEY, time TEXT NOT NULL,"
        " kind TEXT NOT NULL, body TEXT NOT NULL) STRICT"
    ),
}


# ---- to read --------------------------------------------------------------------------------


def refuse_missing(folder: Path) -> None:
    """Raise `BadRun` where there is no folder, or no journal in it."""
    if not (folder / JOURNAL).is_file():
        if folder.is_dir():
            remnant = "it was ended while it was made, and nothing was driven: remove the folder"
            todo = remnant if is_remnant(folder) else "name the folder of a run"
            raise BadRun(f"{folder} is no run: it has no {JOURNAL}", todo=todo)
        raise BadRun(f"there is no run {folder}", todo="`labctl runs` lists the runs that there are")


def _harden(connection: sqlite3.Connection) -> None:
    """Trust nothing that the file says of itself."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")


def connect_to_read(folder: Path) -> sqlite3.Connection:
    """Open the journal to read it; takes no lock that a writer would notice.

    SQLite cannot open a file that was made with a write-ahead log in a read-only folder, unless it
    is told that nobody writes: without a log beside it, nobody does.
    """
    path = folder / JOURNAL
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    with reading(folder):
        try:
            return _connect(address)
        except sqlite3.OperationalError:
            if path.with_name(JOURNAL + "-wal").exists():
                raise
            return _connect(address + "&immutable=1")


def _connect(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        _harden(connection)
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def inspect(folder: Path, connection: sqlite3.Connection) -> None:
    """Raise `BadRun` unless it is a journal of this format, and nothing else."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION:
        raise BadRun(f"{folder / JOURNAL} is not the journal of a run", todo="name the folder of a run")
    if version != FORMAT:
        raise BadRun(
            f"{folder} was written in format {version} by another version of labctl",
            allowed=f"format {FORMAT}",
            todo="use the labctl that wrote it, or a newer one; nothing was changed",
        )
    rows = connection.execute("SELECT name, sql FROM sqlite_master").fetchmany(len(TABLES) + 1)
    if dict(rows) != TABLES:
        raise BadRun(
            f"{folder / JOURNAL} has other tables than the journal of a run",
            todo="do not use this file: it was not written by labctl, or not by it alone",
        )


@contextmanager
def reading(folder: Path) -> Generator[None]:
    """Whatever a damaged file makes of itself, say it as `BadRun`."""
    try:
        yield
    except BadRun:
        raise
    except (sqlite3.Error, Refused, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise BadRun(
            f"{folder / JOURNAL} cannot be read ({error})",
            todo="if the folder is read-only, copy it to where you may write and read the copy;"
            " if it is damaged, restore it from a copy",
        ) from error


# ---- to write -------------------------------------------------------------------------------


def connect_to_write(folder: Path) -> sqlite3.Connection:
    """Open the journal with a write-ahead log; the file must be new, or inspected already."""
    connection = _connect(f"file:{quote(str((folder / JOURNAL).resolve()))}")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages: 16 MB, then the log is folded in
    except BaseException:
        connection.close()
        raise
    return connection


def write_tables(folder: Path, meta: Mapping[str, str]) -> None:
    """Make a new journal, as a whole or not at all."""
    with closing(connect_to_write(folder)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for sql in TABLES.values():
            connection.execute(sql)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")


def refuse_damaged(folder: Path, connection: sqlite3.Connection) -> None:
    """Raise `BadRun` unless every page of the file is in order."""
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise BadRun(f"{folder / JOURNAL} is damaged: {found}", todo="restore the run folder from a copy")
