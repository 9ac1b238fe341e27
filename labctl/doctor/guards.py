"""The guards of this machine: who is guarded, and what those that ended have last said."""

from __future__ import annotations

from pathlib import Path

from labctl.doctor.finding import Finding, Level, one_line
from labctl.errors import Outputs
from labctl.guard import registry


def guards() -> list[Finding]:
    """One finding a guard; nothing where there is none."""
    try:
        notes = registry.notes()
    except OSError as error:
        found = f"the notes of guards cannot be read: {error.strerror or error}"
        return [Finding(Level.PROBLEM, "guards", found, "LABCTL_SHARED names another folder")]
    return [_told(note) for note in notes]


def _told(note: registry.Note) -> Finding:
    bench = one_line(Path(note.bench).stem)
    who = f"{bench}: {one_line(note.board)}, by {one_line(note.user)} since {one_line(note.since)}"
    if registry.alive(note):
        return Finding(Level.OK, "guards", f"{who}; its guard is process {note.pid}")
    last = note.outputs or Outputs.UNKNOWN
    return Finding(
        Level.PROBLEM,
        "guards",
        f"{who}; its guard has ended, and its last word on the outputs is {last}",
        f"look at the instrument, then `labctl stop {one_line(note.bench)}`",
    )
