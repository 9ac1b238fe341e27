"""The folder of a training or of a sweep: what was asked, every trained network, every chip that was tried.

A network has a row when it is trained, a chip when it is evaluated, and both never change; between two
epochs what is needed to go on is kept too. So what is killed loses an epoch or a chip at most, and what
it gives in the end is the same, bit for bit: `fingerprint` says so in sixteen digits. Weights are kept
as plain arrays (npz without pickle), so a folder that comes from elsewhere can run nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from labctl.aware.file import AwareFile
from labctl.config import build, dump
from labctl.recordfile import META, Kind
from labctl.recordfolder import Record
from labctl.runfolder import AWARE, now, run_folder
from labctl.store import circumstances

Row: TypeAlias = "dict[str, Any]"
State: TypeAlias = "Mapping[str, NDArray[Any]]"
"""Arrays by name: the parameters of a network, or all that its training needs to go on."""
What: TypeAlias = Literal["training", "sweep"]

NETWORK_BYTES = 40_000_000
"""[bytes] that a trained network, and the state of one in training, take at most together."""


class AwareRecord(Record):
    """What a training or a sweep keeps."""

    kind = Kind(
        file=AWARE,
        what="training or sweep for a crossbar",
        application=0x6C616277,
        format=1,
        tables={
            "meta": META,
            "network": (
                "CREATE TABLE network (key TEXT PRIMARY KEY, body TEXT NOT NULL, state BLOB)"
                " STRICT, WITHOUT ROWID"
            ),
            "epoch": (
                "CREATE TABLE epoch (key TEXT PRIMARY KEY, epoch INTEGER NOT NULL, body TEXT NOT NULL,"
                " state BLOB NOT NULL) STRICT, WITHOUT ROWID"
            ),
            "chip": (
                "CREATE TABLE chip (key TEXT NOT NULL, chip INTEGER NOT NULL, body TEXT NOT NULL,"
                " PRIMARY KEY (key, chip)) STRICT, WITHOUT ROWID"
            ),
            "spell": (
                "CREATE TABLE spell (id INTEGER PRIMARY KEY, began TEXT NOT NULL, steps INTEGER NOT NULL,"
                " seconds REAL NOT NULL) STRICT"
            ),
        },
    )

    @classmethod
    def create(cls, base: Path, name: str, file: AwareFile, path: Path, what: What, data: str) -> Self:
        """Begin one of that name in the folder of runs; raises `BadRun` where it cannot be.

        `path` is where the file was read, and `data` the digest of its pictures.
        """
        meta = {
            **circumstances("torch"),
            "file": dump(file),
            "relative_to": str(path.parent.resolve()),
            "source": str(path),
            "what": what,
            "data": data,
        }
        return cls.made(base, name, meta, lambda _: None, NETWORK_BYTES)

    # ---- what was asked --------------------------------------------------------------------

    @property
    def file(self) -> AwareFile:
        """The file as it was read when this was begun, whatever became of it."""
        return build(self.meta["file"], AwareFile, f"{self.folder}: the file")

    @property
    def relative_to(self) -> Path:
        """What paths in the file are relative to."""
        return Path(self.meta["relative_to"])

    @property
    def what(self) -> What:
        """What was asked for."""
        return "sweep" if self.meta["what"] == "sweep" else "training"

    def check(self) -> None:
        """Raise where the file that was asked for cannot be read."""
        _ = self.file

    # ---- networks --------------------------------------------------------------------------

    def network(self, key: str) -> Row | None:
        """What became of a network that is trained; None where it is not yet."""
        return self._body("SELECT body FROM network WHERE key = ?", key)

    def networks(self) -> dict[str, Row]:
        """All that are trained."""
        rows = self._connection.execute("SELECT key, body FROM network ORDER BY key")
        return {key: json.loads(body) for key, body in rows}

    def weights(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Parameters of a trained network; None where they are not there (any more)."""
        found = self._connection.execute("SELECT state FROM network WHERE key = ?", (key,)).fetchone()
        return unpacked(found[0]) if found and found[0] is not None else None

    def keep_network(self, key: str, body: Row, weights: State) -> None:
        """A network is trained: its figures and its parameters."""
        told = {**body, "weights": digest_of(weights)}
        self.append(
            ("INSERT INTO network VALUES (?, ?, ?)", [(key, _text(told), packed(weights))]),
            ("DELETE FROM epoch WHERE key = ?", [(key,)]),
        )

    def let_go(self, key: str) -> None:
        """Nobody needs the parameters of this network any more; its figures stay."""
        self.append(("UPDATE network SET state = NULL WHERE key = ?", [(key,)]))

    # ---- a network in training -------------------------------------------------------------

    def epoch(self, key: str) -> tuple[int, list[Row], dict[str, NDArray[Any]]] | None:
        """Epochs that are done, the figures of each, and the state to go on from; None if none is."""
        sql = "SELECT epoch, body, state FROM epoch WHERE key = ?"
        found = self._connection.execute(sql, (key,)).fetchone()
        return (int(found[0]), json.loads(found[1]), unpacked(found[2])) if found else None

    def keep_epoch(self, key: str, figures: list[Row], state: State) -> None:
        """So many epochs are done; the state of the one before is not needed any more."""
        row = (key, len(figures), _text(figures), packed(state))
        self.append(("INSERT OR REPLACE INTO epoch VALUES (?, ?, ?, ?)", [row]))

    # ---- chips -----------------------------------------------------------------------------

    def chips(self, key: str) -> dict[int, Row]:
        """What came of the chips of a network under a condition, by number."""
        sql = "SELECT chip, body FROM chip WHERE key = ? ORDER BY chip"
        return {int(chip): json.loads(body) for chip, body in self._connection.execute(sql, (key,))}

    def keep_chip(self, key: str, chip: int, body: Row) -> None:
        """A chip was evaluated."""
        self.append(("INSERT INTO chip VALUES (?, ?, ?)", [(key, chip, _text(body))]))

    # ---- all of it -------------------------------------------------------------------------

    def counts(self) -> tuple[int, int]:
        """Networks that are trained and chips that are evaluated."""
        return self.count("network"), self.count("chip")

    def keep_spell(self, steps: int, seconds: float) -> None:
        """That so many epochs and chips were done in so many seconds; nothing is said of none."""
        if steps:
            sql = "INSERT INTO spell (began, steps, seconds) VALUES (?, ?, ?)"
            self.append((sql, [(now(), steps, seconds)]))

    def spells(self) -> list[tuple[str, int, float]]:
        """Each time that was worked on it: until when, steps, seconds."""
        return list(self._connection.execute("SELECT began, steps, seconds FROM spell ORDER BY id"))

    def fingerprint(self) -> str:
        """Of all rows: the same for the same numbers, bit for bit."""
        return self.digest(
            "SELECT key, body FROM network ORDER BY 1",
            "SELECT key, chip, body FROM chip ORDER BY 1, 2",
            beginning=str(self.meta["data"]),
        )

    def saved(self) -> str:
        return f"every network and chip that was counted as done, in {self.folder}"

    def _body(self, sql: str, key: str) -> Row | None:
        found = self._connection.execute(sql, (key,)).fetchone()
        return json.loads(found[0]) if found else None


def is_aware(base: Path, name: str) -> bool:
    """Whether the folder of that name holds networks trained for a crossbar."""
    return AwareRecord.kind.is_in(run_folder(base, name))


def packed(state: State) -> bytes:
    """Arrays as npz, which holds nothing but numbers."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(state))
    return buffer.getvalue()


def unpacked(blob: bytes) -> dict[str, NDArray[Any]]:
    """The arrays again; raises `ValueError` and its kin where they are damaged."""
    with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def digest_of(state: State) -> str:
    """Sixteen digits for arrays: the same for the same numbers, bit for bit."""
    digest = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def _text(body: Any) -> str:
    return json.dumps(body, sort_keys=True, allow_nan=False)
