"""The commands that make what a report shows again."""

from __future__ import annotations

import shlex
from pathlib import Path

from labctl.study.conditions import Asked, Study
from labctl.study.record import StudyRecord

RUNS = Path("runs")


def again(record: StudyRecord, study: Study, asked: Asked, name: str = "again") -> str:
    """Ask one question anew, and draw it."""
    return f"{question(record, study, asked)} --name {name} && labctl report {name}"


def question(record: StudyRecord, study: Study, asked: Asked) -> str:
    """Ask one question anew, of as many chips."""
    words = ["labctl", "study", source_of(record), "--question", asked.question.name]
    there = {one.chips for one in study.conditions.values() if one.simulated}
    if len(there) == 1 and there != {asked.question.chips or study.file.chips}:  # --chips made them so
        words += ["--chips", str(there.pop())]
    if Path(study.file.bench).is_absolute():
        words += ["--bench", study.file.bench]
    return shlex.join(words)


def source_of(record: StudyRecord) -> str:
    """The study as the command line names it: shortly where it is one of the checkout's."""
    path = Path(str(record.meta.get("source", "")))
    return path.stem if path.parent == Path("studies") and path.suffix == ".toml" else str(path)


def resume(record: StudyRecord) -> str:
    """Go on with it."""
    return resume_in(record.folder)


def resume_in(folder: Path) -> str:
    """Go on with what is in this folder."""
    return _in(folder, "resume")


def report(folder: Path) -> str:
    """Make the report of this run or study."""
    return _in(folder, "report")


def _in(folder: Path, what: str) -> str:
    runs = [] if folder.parent == RUNS else ["--runs", str(folder.parent)]
    return shlex.join(["labctl", what, folder.name, *runs])


def bill(folder: Path) -> str:
    """Work out the bill of this run again."""
    return _in(folder, "bill")
