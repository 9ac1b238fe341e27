"""The folder of a study: what was asked, and a row for every chip that is done.

Rows are appended as they come, a transaction for each block of chips, so that a study that is killed
goes on with the chips that have none. A row never changes. What is written depends on condition and
chip alone, so two studies that were asked the same hold the same rows, in whatever order they came:
`fingerprint` says so in sixteen digits.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from labctl.config import build, dump
from labctl.recordfile import META, Kind
from labctl.recordfolder import Record
from labctl.runfolder import STUDY, now, run_folder
from labctl.store import circumstances
from labctl.study.conditions import Asked, Condition, Place, Study
from labctl.study.file import StudyFile, checked
from labctl.study.rows import Row

BYTES_PER_CHIP = 1500


class StudyRecord(Record):
    """What a study keeps."""

    kind = Kind(
        file=STUDY,
        what="study",
        application=0x6C616273,  # "labs"
        format=2,
        tables={
            "meta": META,
            "condition": (
                "CREATE TABLE condition (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID"
            ),
            "weights": (
                "CREATE TABLE weights (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID"
            ),
            "chip": (
                "CREATE TABLE chip (condition TEXT NOT NULL, chip INTEGER NOT NULL, body TEXT NOT NULL,"
                " PRIMARY KEY (condition, chip)) STRICT, WITHOUT ROWID"
            ),
            "spell": (
                "CREATE TABLE spell (id INTEGER PRIMARY KEY, began TEXT NOT NULL, workers TEXT NOT NULL,"
                " chips INTEGER NOT NULL, seconds REAL NOT NULL) STRICT"
            ),
        },
    )

    @classmethod
    def create(cls, base: Path, name: str, study: Study, source: str) -> Self:
        """Begin a study of that name in the folder of runs; raises `BadRun` where it cannot be."""

        def fill(connection: sqlite3.Connection) -> None:
            rows = [(key, json.dumps(asdict(condition))) for key, condition in study.conditions.items()]
            connection.executemany("INSERT INTO condition VALUES (?, ?)", rows)

        wanted = BYTES_PER_CHIP * sum(one.chips for one in study.conditions.values())
        return cls.made(base, name, _meta(study, source), fill, wanted)

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

    def check(self) -> None:
        """Raise where what was asked cannot be read."""
        self.study()

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
        return self.count("chip"), sum(condition.chips for condition in self.study().conditions.values())

    def spells(self) -> list[tuple[str, str, int, float]]:
        """Each time that was worked on it: when, by whom, chips, seconds."""
        return list(self._connection.execute("SELECT began, workers, chips, seconds FROM spell"))

    def fingerprint(self) -> str:
        """Of all rows: the same for the same numbers, bit for bit."""
        return self.digest("SELECT condition, chip, body FROM chip ORDER BY 1, 2")

    # ---- appending -------------------------------------------------------------------------

    def keep(self, condition: str, rows: Mapping[int, Row]) -> None:
        """These rows by chip, as one transaction; raises `StorageFault` where the disk does not take them."""
        values = [(condition, chip, json.dumps(row, sort_keys=True)) for chip, row in rows.items()]
        self.append(("INSERT INTO chip VALUES (?, ?, ?)", values))

    def keep_spell(self, workers: str, chips: int, seconds: float) -> None:
        """That so many chips were done in so many seconds; nothing is said of none."""
        if not chips:
            return
        sql = "INSERT INTO spell (began, workers, chips, seconds) VALUES (?, ?, ?, ?)"
        self.append((sql, [(now(), workers, chips, seconds)]))

    def weights(self) -> dict[str, tuple[Any, ...]]:
        """Target weights by what they were trained for."""
        rows = self._connection.execute("SELECT key, body FROM weights")
        return {key: tuple(json.loads(body)) for key, body in rows}

    def keep_weights(self, key: str, layers: tuple[Any, ...]) -> None:
        """Target weights, so that a study goes on with the very same."""
        self.append(("INSERT INTO weights VALUES (?, ?)", [(key, json.dumps(layers))]))

    def saved(self) -> str:
        return f"every chip that was counted as done, in {self.folder}"


def is_study(base: Path, name: str) -> bool:
    """Whether the folder of that name holds a study."""
    return StudyRecord.kind.is_in(run_folder(base, name))


def _meta(study: Study, source: str) -> dict[str, Any]:
    """What is written down once."""
    return {
        **circumstances(),
        "study": dump(study.file),
        "source": source,
        "asked": [[asdict(place) for place in asked.places] for asked in study.asked],
        "order": list(study.conditions),
    }
