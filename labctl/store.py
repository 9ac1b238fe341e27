"""The run folder, for the one process that writes it: intent before a pulse, result after.

`intend` returns when the intent is on the disk and would survive a power cut (write-ahead log,
synchronous = FULL); `record` returns when the result would survive the end of the process, however
it ends (synchronous = NORMAL: the next intent puts it on the disk as well). A pulse is acknowledged
when `record` has returned. A list is one transaction, so it is there as a whole or not at all.

Waveforms are kept until their budget is used up; later ones leave their integrals only, so that
the bill can always be worked out again. When something fails, nothing more is written and nothing
is tried twice: after a failed write nobody knows what the disk holds. The one exception is a full
disk, which is known to have written nothing: there, a reserve is given up for the last result.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from labctl.checkout import commit
from labctl.codec import encode_pulse, encode_trace, spec_to_json
from labctl.energy import Charge
from labctl.errors import BadRun, StorageFault
from labctl.journal import Journal
from labctl.pulse import Pulse, Trace
from labctl.runfolder import (
    JOURNAL,
    Lock,
    give_back,
    is_remnant,
    now,
    refuse_full,
    refuse_network,
    run_folder,
    set_aside,
    writable,
)
from labctl.spec import Spec
from labctl.tables import connect_to_write, refuse_damaged, write_tables

KEEP_BYTES = 64 * 2**20
"""Waveforms kept in a run unless told otherwise."""

_INTENT = "INSERT INTO pulse VALUES (?, ?, ?, ?)"
_RESULT = "INSERT INTO result VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NOTE = "INSERT INTO note (time, kind, body) VALUES (?, ?, ?)"
_NOT_DRIVEN = (0, 0, None, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None)


class Store:
    """Append to a run; read it through `journal`. Made by `create` or `resume`."""

    def __init__(self, lock: Lock, connection: sqlite3.Connection, journal: Journal) -> None:
        self.journal = journal
        self.folder = journal.folder
        self._lock = lock
        self._connection = connection
        self._fault: StorageFault | None = None
        self._inode = _inode(self.folder / JOURNAL)
        self._keep_bytes = journal.keep_bytes
        self._kept_bytes = _number(connection, "SELECT sum(length(waveform)) FROM result")
        self._next_id = 1 + _number(connection, "SELECT max(id) FROM pulse")
        self._next_list = 1 + _number(connection, "SELECT max(list) FROM pulse")
        self.acknowledged = _number(connection, "SELECT max(id) FROM result")
        """Number of the last pulse whose result is in the journal."""

    @classmethod
    def create(
        cls, base: Path, name: str, spec: Spec, about: Mapping[str, Any], *, keep_bytes: int = KEEP_BYTES
    ) -> Self:
        """Begin a run. `about`: configuration, seeds, limits: whatever JSON can hold.

        Raises `BadRun` where a run cannot be: a name that exists, a network disk, no room.
        """
        folder = run_folder(base, name)
        if not keep_bytes >= 0:
            raise BadRun(f"{keep_bytes} bytes of waveforms cannot be kept", allowed="0 bytes or more")
        _make(folder)
        try:
            refuse_network(folder)
            refuse_full(folder, keep_bytes)
            lock = Lock(folder)
            meta = {**about, **circumstances(), "keep_bytes": keep_bytes}
            rows = {key: json.dumps(value) for key, value in meta.items()} | {"spec": spec_to_json(spec)}
            return cls._opened(folder, lock, rows)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # nothing was driven: leave no half of a run
            raise

    @classmethod
    def resume(cls, base: Path, name: str) -> Self:
        """Go on with a run. Raises `BadRun` where it is missing, damaged, in use or not to be written."""
        Journal.open(base, name).close()
        folder = run_folder(base, name)
        refuse_network(folder)
        refuse_full(folder, 0)
        return cls._opened(folder, Lock(folder), None)

    @classmethod
    def _opened(cls, folder: Path, lock: Lock, new: Mapping[str, str] | None) -> Self:
        """Open under the lock, after writing the tables of a new run; what fails half way is closed again."""
        with ExitStack() as undo, writable(folder):
            undo.callback(lock.release)
            set_aside(folder)
            if new is not None:
                write_tables(folder, new)
            connection = connect_to_write(folder)
            undo.callback(connection.close)
            refuse_damaged(folder, connection)
            store = cls(lock, connection, Journal(folder, connection))
            undo.pop_all()
            return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave one plain file, without a log beside it, and let others write. May be called twice."""
        with suppress(sqlite3.Error):  # a reader may be at it, or the disk be full: then the log stays
            self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        give_back(self.folder)
        self._lock.release()

    # ---- what the loop calls ----------------------------------------------------------------

    def intend(self, pulses: Sequence[Pulse]) -> int:
        """Write down what is about to be driven; returns the number of the first pulse."""
        first, of_list = self._next_id, self._next_list
        rows = [
            (number, of_list, pulse.purpose, encode_pulse(pulse))
            for number, pulse in enumerate(pulses, first)
        ]
        self._append(_INTENT, rows, level="FULL")
        self._next_id += len(rows)
        self._next_list += 1
        return first

    def record(
        self, first: int, pulses: Sequence[Pulse], traces: Sequence[Trace], charges: Sequence[Charge]
    ) -> None:
        """Write down what came of the first pulses of a list: as many as there are traces."""
        if not len(traces) == len(charges) <= len(pulses):
            raise ValueError(f"{len(traces)} traces, {len(charges)} charges, {len(pulses)} pulses")
        self._append(_RESULT, list(self._results(first, traces, charges)), level="NORMAL")
        self.acknowledged = first + len(traces) - 1

    def not_driven(self, first: int, count: int) -> None:
        """Write down that the board refused this list: its outcome is known, nothing happened."""
        self._append(
            _RESULT, [(number, *_NOT_DRIVEN) for number in range(first, first + count)], level="NORMAL"
        )

    def note(self, kind: str, body: Mapping[str, Any] | None = None) -> None:
        """Write down something else, as JSON: an assignment, an interruption, a result."""
        self._append(_NOTE, [(now(), kind, json.dumps(body or {}))], level="FULL")

    def saved(self) -> str:
        """For the person at the bench: what is safe by now."""
        return f"everything up to pulse {self.acknowledged} in {self.folder}"

    # ---- how it is written ------------------------------------------------------------------

    def _results(
        self, first: int, traces: Sequence[Trace], charges: Sequence[Charge]
    ) -> Iterator[tuple[Any, ...]]:
        for number, (trace, charge) in enumerate(zip(traces, charges, strict=True), first):
            waveform: bytes | None = encode_trace(trace)
            self._kept_bytes += len(waveform)
            if self._kept_bytes > self._keep_bytes:
                self._kept_bytes -= len(waveform)
                waveform = None
            estimated = 1 if charge.estimated else 0
            yield (
                number,
                1,
                int(trace.flags),
                charge.site,
                estimated,
                *charge.joules,
                *charge.seconds,
                waveform,
            )

    def _append(self, sql: str, rows: Sequence[tuple[Any, ...]], *, level: str) -> None:
        if self._fault is not None:
            raise self._fault
        if _inode(self.folder / JOURNAL) != self._inode:
            raise self._failed("it was moved or deleted during the run", None)
        try:
            self._commit(sql, rows, level)
        except sqlite3.Error as error:
            if _is_full(error) and sql is not _INTENT and give_back(self.folder):
                with suppress(sqlite3.Error):
                    self._commit(sql, rows, level)
                    self.acknowledged = max(self.acknowledged, _last(sql, rows))
            raise self._failed(str(error), error) from error

    def _commit(self, sql: str, rows: Iterable[tuple[Any, ...]], level: str) -> None:
        connection = self._connection
        connection.execute(f"PRAGMA synchronous = {level}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(sql, rows)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _failed(self, why: str, error: Exception | None) -> StorageFault:
        """The fault that ends the writing; every later write meets it again."""
        self._fault = StorageFault(
            f"{self.folder / JOURNAL} can no longer be written: {why}",
            saved=self.saved(),
            todo=f"{'free some space' if _is_full(error) else 'see to the disk'}, then `labctl resume`",
        )
        return self._fault


def _is_full(error: Exception | None) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _last(sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
    return int(rows[-1][0]) if sql is _RESULT and rows else 0


def _number(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0] or 0)


def _inode(path: Path) -> tuple[int, int] | None:
    """Which file is behind the path now."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- Path.stat is twice as slow, and this is done for each list
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make(folder: Path) -> None:
    if folder.exists():
        other = ""
        if (folder / JOURNAL).exists():
            other = f", or go on with `labctl resume {folder.name}`"
        elif is_remnant(folder):
            other = ", or remove the folder: nothing was driven"
        raise BadRun(f"{folder} is there already", allowed="a new name", todo=f"choose another name{other}")
    with writable(folder):
        folder.mkdir(parents=True)


def circumstances(*also: str) -> dict[str, str | dict[str, str]]:
    """When and with what, these packages `also`: what one needs to know to do it again."""
    packages = {name: _version(name) for name in ("labctl", "numpy", "scipy", "numba", "PySpice", *also)}
    return {
        "created": now(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "packages": packages,
        "commit": commit(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
