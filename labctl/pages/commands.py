"""The commands that an answer suggests: what one would do next."""

from __future__ import annotations

import shlex
from pathlib import Path


def command(folder: Path, *words: str) -> str:
    """These words of labctl on what is in this folder, shortly where it is in the usual folder of runs."""
    named = folder.name if folder.parent == Path("runs") else str(folder)
    return f"`{shlex.join(['labctl', *words, named])}`"
