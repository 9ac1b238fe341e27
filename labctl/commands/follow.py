"""A run followed to its end by a command: a progress bar, a safe stop on Ctrl-C, pictures, the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from labctl import console
from labctl.commands.options import RUNS
from labctl.console import Exit
from labctl.errors import LabError, Stopped

if TYPE_CHECKING:
    from labctl.commands.progress import Progress
    from labctl.journal import Journal

Work: TypeAlias = "Callable[[Progress, Callable[[], bool]], object]"
"""Begins a run, or goes on with it: under this progress bar, until this says stop."""


def follow(work: Work, base: Path, name: str, as_json: bool) -> int:
    """Do the work of the run of that name, stop at a safe point when asked, and say what came of it."""
    from labctl.commands.progress import Progress
    from labctl.journal import Journal
    from labctl.pages.run import run_page
    from labctl.session import stop_on_interrupt

    began = time.monotonic()
    with stop_on_interrupt() as stop:  # also while the result is shown: one Ctrl-C too late harms nothing
        with resumable(base, name), Progress(quiet=as_json) as progress:
            work(progress, stop)
        seconds = time.monotonic() - began
        with Journal.open(base, name) as journal:
            console.show(run_page(journal, seconds, _pictures(journal)), as_json)
    return Exit.DONE


@contextmanager
def resumable(base: Path, name: str) -> Generator[None]:
    """Work that is stopped inside says which command goes on with it."""
    try:
        yield
    except Stopped as stopped:
        where = "" if base == RUNS else f" --runs {base}"
        stopped.todo = f"`labctl resume {name}{where}` goes on from here"
        raise


def _pictures(journal: Journal) -> list[Path]:
    """Drawn if there is what draws them: a run is whole without."""
    try:
        pictures: Any = import_module("labctl.report.pictures")
    except ModuleNotFoundError as missing:
        if missing.name not in ("labctl.report", "labctl.report.pictures", "matplotlib"):
            raise
        return []
    try:
        return list(pictures.draw(journal))
    except LabError as error:
        console.warn(error)
        return []
