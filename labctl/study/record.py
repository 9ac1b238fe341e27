"""The folder of a study: what was asked, and a row for every chip that is done.

Rows are appended as they come, a transaction for each block of chips, so that a study that is killed
goes on with the chips that have none. A row never changes. What is written depends on condition and
chip alone, so two studies that were asked the same hold the same rows, in whatever order they came:
`fingerprint` says so in sixteen digits.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from labctl.config import build, dump
from labctl.errors import BadRun, Outputs, StorageFault
from labctl.runfolder import JOURNAL, STUDY, Lock, now, refuse_full, refuse_network, run_folder, writable
from labctl.store import circumstances
from labctl.study.conditions import Asked, Condition, Place, Study
from labctl.study.database import connect_to_read, connect_to_write, inode, is_remnant, leave_one_file, make
from labctl.study.file import StudyFile, checked
from labctl.study.guarded import guarded
from labctl.study.rows import Row

BYTES_PER_CHIP = 1500


class StudyRecord:
    """A study's folder, open to read, or to append where `lock` is held."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: Lock | None) -> None:
        self.folder = folder
        self._connection = connection
        self._lock = lock
        self._inode = inode(folder)
        self.meta: dict[str, Any] = {
            key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")
        }

    @classmethod
    def create(cls, base: Path, name: str, study: Study, source: str) -> Self:
        """Begin a study of that name in the folder of runs; raises `BadRun` where it cannot be.

        What is left of one that was ended while it was made is made anew.
        """
        folder = run_folder(base, name)
        _refuse_taken(folder)
        with writable(folder), ExitStack() as undo:
            folder.mkdir(parents=True, exist_ok=True)
            lock = Lock(folder)
            undo.callback(lock.release)
            _refuse_taken(folder)  # now that nobody else makes one there
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            refuse_network(folder)
            refuse_full(folder, BYTES_PER_CHIP * sum(one.chips for one in study.conditions.values()))
            make(folder, _meta(study, source), study.conditions)
            record = cls(folder, connect_to_write(folder), lock)
            undo.pop_all()
            return record

    @classmethod
    def open(cls, base: Path, name: str) -> Self:
        """A study to read; raises `BadRun` where there is none, or none that can be read."""
        folder = run_folder(base, name)
        with guarded(folder):
            return cls(folder, connect_to_read(folder), None)

    @classmethod
    def resume(cls, base: Path, name: str) -> Self:
        """A study to go on with; raises `BadRun` where another process is at it, or it is damaged."""
        folder = run_folder(base, name)
        with guarded(folder), ExitStack() as undo:
            connect_to_read(folder).close()
            lock = Lock(folder)
            undo.callback(lock.release)
            refuse_full(folder, 0)
            record = cls(folder, connect_to_write(folder), lock)
            undo.callback(record.close)
            record.study()
            undo.pop_all()
            return record

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave one plain file, and let others write. May be called twice."""
        if self._lock is not None:
            with suppress(sqlite3.Error):  # a reader may be at it, or the disk be full: then the log stays
                leave_one_file(self._connection)
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

    def keep(self, condition: str, rows: Mapping[int, Row]) -> None:
        """These rows by chip, as one transaction; raises `StorageFault` where the disk does not take them."""
        values = [(condition, chip, json.dumps(row, sort_keys=True)) for chip, row in rows.items()]
        self._append("INSERT INTO chip VALUES (?, ?, ?)", values)

    def keep_spell(self, workers: str, chips: int, seconds: float) -> None:
        """That so many chips were done in so many seconds; nothing is said of none."""
        if not chips:
            return
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
        if inode(self.folder) != self._inode:  # SQLite would go on writing to a file that nobody can find
            raise self._failed("it was moved or deleted meanwhile")
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise self._failed(str(error)) from error

    def _failed(self, why: str) -> StorageFault:
        return StorageFault(
            f"{self.folder / STUDY} can no longer be written: {why}",
            outputs=Outputs.OFF,
            saved=self.saved() if inode(self.folder) == self._inode else "",
            todo="see to the disk, then `labctl resume`",
        )

    def saved(self) -> str:
        """For whoever waits for it: what is safe by now."""
        return f"every chip that was counted as done, in {self.folder}"


def is_study(base: Path, name: str) -> bool:
    """Whether the folder of that name holds a study."""
    folder = run_folder(base, name)
    return (folder / STUDY).is_file() and not (folder / JOURNAL).exists()


def _meta(study: Study, source: str) -> dict[str, Any]:
    """What is written down once."""
    return {
        **circumstances(),
        "study": dump(study.file),
        "source": source,
        "asked": [[asdict(place) for place in asked.places] for asked in study.asked],
    }


def _refuse_taken(folder: Path) -> None:
    """A folder of that name is there; an empty one, or what is left of making one, is none."""
    if folder.exists() and not is_remnant(folder):
        other = f", or go on with `labctl resume {folder.name}`" if (folder / STUDY).is_file() else ""
        raise BadRun(f"{folder} is there already", allowed="a new name", todo=f"choose another name{other}")
