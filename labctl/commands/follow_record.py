"""A study or a training for a crossbar, followed to its end by a command: progress, safe stop, answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from labctl import console
from labctl.commands.follow import resumable
from labctl.commands.study_progress import StudyProgress
from labctl.console import Exit, Page
from labctl.recordfolder import Record
from labctl.session import stop_on_interrupt

RecordT = TypeVar("RecordT", bound=Record)


def follow_record(
    record: type[RecordT],
    base: Path,
    name: str,
    work: Callable[[RecordT, StudyProgress, Callable[[], bool]], float],
    page: Callable[[RecordT, float], Page],
    as_json: bool,
    things: str = "chips",
) -> int:
    """Do what is left of the record of that name, stop at a safe point when asked, and say what came of it.

    `work` is given the record, what it tells that so many `things` are done, and what says stop, and
    returns how long it took [s], which `page` is given.
    """
    with record.resume(base, name) as found, stop_on_interrupt() as stop:
        with resumable(base, name), StudyProgress(quiet=as_json, things=things) as progress:
            seconds = work(found, progress, stop)
        with found.guarded():
            answer = page(found, seconds)
        console.show(answer, as_json)
    return Exit.DONE
