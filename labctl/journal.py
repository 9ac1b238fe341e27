"""What is written about a run, read back: its configuration, its pulses, what they did and cost.

A pulse has an intent, written before it was driven, and a result, written after. A pulse without a
result has an unknown outcome: it may have been driven or not. Reading takes no lock and leaves no
mark: it works while another process writes, and in a folder that is read-only. Every value that
is read is checked: what a damaged or forged file says is `BadRun` and nothing else.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Self, cast

from labctl.codec import decode_pulse, decode_trace, spec_from_json
from labctl.energy import Charge, Ledger, charges
from labctl.pulse import Flag, Pulse, Trace
from labctl.runfolder import run_folder
from labctl.spec import Spec
from labctl.tables import connect_to_read, inspect, reading, refuse_missing


class Outcome(StrEnum):
    """What is known of a pulse that was to be driven."""

    MEASURED = "measured"
    NOT_DRIVEN = "not driven"
    """The board refused its list."""
    UNKNOWN = "unknown"
    """The process or the board ended in the middle: driven or not, and never to be repeated."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One pulse of the journal and what came of it."""

    id: int
    list: int
    """Which `apply` it was part of."""
    pulse: Pulse
    outcome: Outcome
    charge: Charge | None = None
    """None unless measured."""
    flags: Flag = Flag.NONE
    trace: Trace | None = None
    """None unless measured, and None where the waveform was dropped: the charge has its integrals."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened to the run, and when."""

    time: str
    kind: str
    body: dict[str, Any]


class Journal:
    """A run's journal, for reading."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        """Raises `BadRun` unless it is a journal of this format."""
        self.folder = folder
        self._connection = connection
        with reading(folder):
            inspect(folder, connection)
            rows = connection.execute("SELECT key, value FROM meta").fetchall()
            self.meta: dict[str, Any] = {key: json.loads(value) for key, value in rows if key != "spec"}
            self.spec: Spec = spec_from_json(dict(rows)["spec"])

    @classmethod
    def open(cls, base: Path, name: str) -> Self:
        """Open a run to read it; raises `BadRun` where there is none, or none that can be read."""
        folder = run_folder(base, name)
        refuse_missing(folder)
        connection = connect_to_read(folder)
        try:
            return cls(folder, connection)
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def entries(self) -> Iterator[Stored]:
        """Every pulse in the order of its intent, with what came of it; read as one state of the run."""
        with reading(self.folder):
            yield from map(_stored, self._connection.execute(_ENTRIES))

    def unknown(self) -> list[Stored]:
        """Pulses whose outcome is unknown."""
        with reading(self.folder):
            return [_stored(row) for row in self._connection.execute(_UNKNOWN)]

    def notes(self) -> list[Note]:
        """What happened to the run, in order."""
        with reading(self.folder):
            rows = self._connection.execute("SELECT time, kind, body FROM note ORDER BY id")
            return [Note(time, kind, _table(body)) for time, kind, body in rows]

    @property
    def keep_bytes(self) -> int:
        """Most bytes of waveforms that the run keeps."""
        with reading(self.folder):
            found = self.meta["keep_bytes"]
            if type(found) is not int:
                raise TypeError(f"keep_bytes is {found!r}, which is no whole number")
            return found

    def counts(self) -> dict[str, int]:
        """How many pulses were intended, measured, not driven, and how many waveforms were dropped."""
        with reading(self.folder):
            return {name: int(self._connection.execute(sql).fetchone()[0]) for name, sql in _COUNTS.items()}


def recompute(journal: Journal, spec: Spec | None = None) -> Ledger:
    """The bill of a run from its journal: from the waveforms where kept, else from their integrals."""
    spec = spec or journal.spec
    ledger = Ledger()
    measured = (entry for entry in journal.entries() if entry.charge is not None)
    while batch := list(islice(measured, 1000)):
        kept = [(entry.pulse, entry.trace) for entry in batch if entry.trace is not None]
        ledger.charge(charges(spec, [pulse for pulse, _ in kept], [trace for _, trace in kept]))
        ledger.charge([entry.charge for entry in batch if entry.charge is not None and entry.trace is None])
    return ledger


# ---- rows -----------------------------------------------------------------------------------

_JOINED = "FROM pulse LEFT JOIN result ON result.id = pulse.id"
_ENTRIES = f"SELECT pulse.*, result.* {_JOINED} ORDER BY pulse.id"
_UNKNOWN = f"SELECT pulse.*, result.* {_JOINED} WHERE result.id IS NULL ORDER BY pulse.id"
_COUNTS = {
    "intended": "SELECT count(*) FROM pulse",
    "measured": "SELECT count(*) FROM result WHERE driven",
    "not driven": "SELECT count(*) FROM result WHERE NOT driven",
    "dropped": "SELECT count(*) FROM result WHERE driven AND waveform IS NULL",
}


def _table(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError(f"the body of a note is {text[:80]!r}, which is no JSON object")
    return cast("dict[str, Any]", found)


def _stored(row: tuple[Any, ...]) -> Stored:
    number, of_list, purpose, shape, result, driven, flags, site, estimated, *numbers, waveform = row
    pulse = decode_pulse(shape)
    if pulse.purpose != purpose:
        raise ValueError(f"pulse {number} is {pulse.purpose} and {purpose!r} at once")
    if result is None:
        return Stored(number, of_list, pulse, Outcome.UNKNOWN)
    if not driven:
        return Stored(number, of_list, pulse, Outcome.NOT_DRIVEN)
    delivered, device, series, *seconds = map(float, numbers)
    charge = Charge(
        pulse.purpose,
        None if site is None else int(site),
        bool(estimated),
        (delivered, device, series),
        (seconds[0], seconds[1], seconds[2], seconds[3]),
    )
    trace = None if waveform is None else decode_trace(waveform)
    return Stored(number, of_list, pulse, Outcome.MEASURED, charge, Flag(flags), trace)
