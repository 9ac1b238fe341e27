"""Instruments that a dead client still holds, made to forget it: only on request, and by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labctl.bench import Bench
from labctl.doctor.finding import Finding, Level, one_line
from labctl.errors import LabError
from labctl.making import Freeing

FREED = "freed"


def freed(paths: Sequence[Path]) -> list[Finding]:
    """End every link to the instruments of these benches. Nothing is driven, and outputs stay as they are."""
    return [_freed(path) for path in paths]


def _freed(path: Path) -> Finding:
    try:
        board = Bench.read(path).unguarded(Path())
        if isinstance(board, Freeing):
            todo = f"`labctl check {path}` opens it, which switches its output off"
            return Finding(Level.OK, FREED, f"{path.stem}: {board.free()}", todo)
    except LabError as error:
        todo = one_line(error.todo or error.allowed)
        return Finding(Level.PROBLEM, FREED, f"{path.stem}: {one_line(error.wrong)}", todo)
    todo = "switch its instrument off and on, or unplug it"
    return Finding(Level.PROBLEM, FREED, f"{path.stem}: its board has no way to free it", todo)
