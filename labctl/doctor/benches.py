"""What each bench needs, whether its instrument answers, and how old its calibration is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from labctl.bench import Bench, CalibrationTable, days_since, too_old
from labctl.doctor.finding import Finding, Level, one_line
from labctl.errors import LabError
from labctl.making import Ready


def benches(paths: Sequence[Path]) -> list[Finding]:
    """Whether there is what these benches need; those with the same answer share a finding."""
    answers: dict[tuple[Level, str, str], list[str]] = {}
    for path in paths:
        answers.setdefault(_asked(path), []).append(path.stem)
    return [
        Finding(level, "benches", f"{', '.join(names)}: {found}", todo)
        for (level, found, todo), names in answers.items()
    ]


def _asked(path: Path) -> tuple[Level, str, str]:
    try:
        with TemporaryDirectory() as nowhere:  # an emulator may keep the state of its devices there
            board = Bench.read(path).board(Path(nowhere))
            return Level.OK, board.ready() if isinstance(board, Ready) else "nothing else is needed", ""
    except LabError as error:
        level, todo = _missed(path, error)
        return level, one_line(error.wrong), one_line(todo)
    except Exception as error:  # noqa: BLE001  whatever a driver raises, the other benches are asked too
        return (
            Level.PROBLEM,
            one_line(f"{type(error).__name__}: {error}"),
            "this is a fault of the board's driver",
        )


def _missed(path: Path, error: LabError) -> tuple[Level, str]:
    """An emulator that does not answer was only not started; an instrument that does not is missed."""
    try:
        emulated = Bench.read(path).file.kind == "emulator"
    except LabError:
        emulated = False
    if emulated:
        return Level.WARNING, "start its emulator, as its file says, before it is used"
    return Level.PROBLEM, error.todo or error.allowed


def calibrations(paths: Sequence[Path], today: date | None = None) -> list[Finding]:
    """Of the benches that state one: how old it is, and whether that is too old."""
    now = today or datetime.now(UTC).date()
    stated = ((path.stem, _calibration(path)) for path in paths)
    return [_aged(name, table, now) for name, table in stated if table is not None]


def _calibration(path: Path) -> CalibrationTable | None:
    try:
        return Bench.read(path).file.calibration
    except LabError:  # told above
        return None


def _aged(name: str, table: CalibrationTable, now: date) -> Finding:
    days = days_since(table, now)
    if days < 0:
        found = f"{name}: calibrated on {table.date}, which is still to come"
        todo = "correct the date in its bench file, or the clock of this machine"
        return Finding(Level.PROBLEM, "calibration", found, todo)
    note = f" ({one_line(table.note)})" if table.note else ""
    found = f"{name}: calibrated {days} days ago, on {table.date}{note}"
    if too_old(table, now):
        todo = f"calibrate it, and write the date into its bench file: it allows {table.older_than}"
        return Finding(Level.WARNING, "calibration", found, todo)
    return Finding(Level.OK, "calibration", found)
