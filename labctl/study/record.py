"""The folder of a study: what was asked, and a row for every chip that is done.

Rows are appended as they come, a transaction for each block of chips, so that a study that is killed
goes on with the chips that have none. A row never changes. What is written depends on condition and
chip alone, so two studies that were asked the same hold the same rows, in whatever order they came:
`fingerprint` says so in sixteen digits.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from labctl.config import build, dump
from labctl.errors import BadRun, StorageFault
from labctl.runfolder import JOURNAL, STUDY, Lock, now, refuse_full, refuse_network, run_folder
from labctl.store import circumstances
from labctl.study.chips import Row
from labctl.study.conditions import Asked, Condition, Place, Study
from labctl.study.file import StudyFile, checked

APPLICATION = 0x6C616273
"""SQLite's application_id: "labs"."""
FORMAT = 1
BYTES_PER_CHIP = 1500

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


class StudyRecord:
    """A study's folder, open to read, or to append where `lock` is held."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: Lock | None) -> None:
        self.folder = folder
        self._connection = connection
        self._lock = lock
        self.meta: dict[str, Any] = {
            key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")
        }

    @classmethod
    def create(cls, base: Path, name: str, study: Study, source: str) -> Self:
        """Begin a study of that name in the folder of runs; raises `BadRun` where it cannot be."""
        folder = run_folder(base, name)
        if folder.exists():
            raise BadRun(
                f"{folder} is there already",
                allowed="a new name",
                todo=f"choose another name, or go on with `labctl resume {name}`",
            )
        folder.mkdir(parents=True)
        refuse_network(folder)
        refuse_full(folder, BYTES_PER_CHIP * sum(one.chips for one in study.conditions.values()))
        lock = Lock(folder)
        meta = {
            **circumstances(),
            "study": dump(study.file),
            "source": source,
            "asked": [[asdict(place) for place in asked.places] for asked in study.asked],
        }
        new = folder / f"{STUDY}.new"
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            _write_tables(connection, meta, study.conditions)
        new.replace(folder / STUDY)  # at once: a file that is there is whole
        return cls(folder, _connect(folder, "rw"), lock)

    @classmethod
    def open(cls, base: Path, name: str) -> Self:
        """A study to read; raises `BadRun` where there is none."""
        folder = run_folder(base, name)
        return cls(folder, _connect(folder, "ro"), None)

    @classmethod
    def resume(cls, base: Path, name: str) -> Self:
        """A study to go on with; raises `BadRun` where another process is at it."""
        folder = run_folder(base, name)
        _connect(folder, "ro").close()
        lock = Lock(folder)
        try:
            return cls(folder, _connect(folder, "rw"), lock)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others write. May be called twice."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    # ---- what was asked --------------------------------------------------------------------

    @property
    def file(self) -> StudyFile:
        """The study as it was begun, whatever became of its file."""
        source = f"{self.folder}: the study"
        return checked(build(self.meta["study"], StudyFile, source), source)

    def study(self) -> Study:
        """All that was asked."""
        found = dict(self._connection.execute("SELECT key, body FROM condition").fetchall())
        conditions = {key: Condition(**json.loads(found[key])) for key in self.meta["order"]}
        asked = tuple(
            Asked(question, tuple(Place(**place) for place in places))
            for question, places in zip(self.file.question, self.meta["asked"], strict=True)
        )
        return Study(self.file, conditions, asked)

    # ---- what came of it -------------------------------------------------------------------

    def done(self, condition: str) -> frozenset[int]:
        """Numbers of the chips of a condition that have a row."""
        rows = self._connection.execute("SELECT chip FROM chip WHERE condition = ?", (condition,))
        return frozenset(int(chip) for (chip,) in rows)

    def rows(self, condition: str) -> dict[int, Row]:
        """What came of the chips of a condition, by number."""
        rows = self._connection.execute(
            "SELECT chip, body FROM chip WHERE condition = ? ORDER BY chip", (condition,)
        )
        return {int(chip): json.loads(body) for chip, body in rows}

    def counts(self) -> tuple[int, int]:
        """How many chips are done, and how many there will be."""
        done = int(self._connection.execute("SELECT count(*) FROM chip").fetchone()[0])
        return done, sum(condition.chips for condition in self.study().conditions.values())

    def spells(self) -> list[tuple[str, str, int, float]]:
        """Each time that was worked on it: when, by whom, chips, seconds."""
        return list(self._connection.execute("SELECT began, workers, chips, seconds FROM spell"))

    def fingerprint(self) -> str:
        """Of all rows: the same for the same numbers, bit for bit."""
        digest = hashlib.sha256()
        for row in self._connection.execute("SELECT condition, chip, body FROM chip ORDER BY 1, 2"):
            digest.update(repr(row).encode())
        return digest.hexdigest()[:16]

    # ---- appending -------------------------------------------------------------------------

    def keep(self, condition: str, chips: Sequence[int], rows: Sequence[Row]) -> None:
        """These rows, as one transaction; raises `StorageFault` where the disk does not take them."""
        bodies = [json.dumps(row, sort_keys=True) for row in rows]
        values = [(condition, chip, body) for chip, body in zip(chips, bodies, strict=True)]
        self._append("INSERT INTO chip VALUES (?, ?, ?)", values)

    def keep_spell(self, workers: str, chips: int, seconds: float) -> None:
        """That so many chips were done in so many seconds."""
        values = [(now(), workers, chips, seconds)]
        self._append("INSERT INTO spell (began, workers, chips, seconds) VALUES (?, ?, ?, ?)", values)

    def weights(self) -> dict[str, tuple[Any, ...]]:
        """Target weights by what they were trained for."""
        rows = self._connection.execute("SELECT key, body FROM weights")
        return {key: tuple(json.loads(body)) for key, body in rows}

    def keep_weights(self, key: str, layers: tuple[Any, ...]) -> None:
        """Target weights, so that a study goes on with the very same."""
        self._append("INSERT INTO weights VALUES (?, ?)", [(key, json.dumps(layers))])

    def _append(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise StorageFault(
                f"{self.folder / STUDY} can no longer be written: {error}",
                saved=self.saved(),
                todo="see to the disk, then `labctl resume`",
            ) from error

    def saved(self) -> str:
        """For whoever waits for it: what is safe by now."""
        return f"every chip that was counted as done, in {self.folder}"


def is_study(base: Path, name: str) -> bool:
    """Whether the folder of that name holds a study."""
    folder = run_folder(base, name)
    return (folder / STUDY).is_file() and not (folder / JOURNAL).exists()


def _write_tables(
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


def _connect(folder: Path, mode: str) -> sqlite3.Connection:
    """The file of a study that is what it says it is."""
    path = folder / STUDY
    if not path.is_file():
        raise BadRun(f"{folder} is no study: it has no {STUDY}", todo="`labctl runs` lists what there is")
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode={mode}", uri=True)
        connection.isolation_level = None
        connection.execute("PRAGMA trusted_schema = OFF")
        _inspect(folder, connection)
        if mode == "rw":
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error as error:
        raise BadRun(
            f"{path} cannot be read ({error})", todo="if it is damaged, restore it from a copy"
        ) from error
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
