"""Whatever a damaged record of a study makes of itself, said as one error."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from labctl.errors import BadConfig, BadRun
from labctl.quantity import printable
from labctl.runfolder import STUDY


@contextmanager
def guarded(folder: Path) -> Generator[None]:
    """What is read inside from the study in `folder` is whole, or `BadRun` says that it is not."""
    try:
        yield
    except (
        sqlite3.Error,
        BadConfig,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise BadRun(
            f"{folder / STUDY} cannot be read ({type(error).__name__}: {printable(str(error))[:200]})",
            todo="if it is damaged, restore it from a copy",
        ) from error
