"""Where this machine keeps what belongs to no run: who holds which instrument, which guards are alive.

A lock on an instrument must be seen by everybody who could reach it, so it lies where all users of the
machine may write, and goes when the machine restarts. What one person has agreed to is that person's.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

SHARED_VARIABLE = "LABCTL_SHARED"
"""Names another folder for locks and guards: a machine with several benches that must not meet, or a test."""
STATE_VARIABLE = "LABCTL_STATE"
"""Names another folder for what a person has agreed to."""


def shared() -> Path:
    """The folder of locks and guards, made if there is none; everybody may write there."""
    named = os.environ.get(SHARED_VARIABLE)
    folder = Path(named) if named else _common() / "labctl-shared"
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o1777)  # as /tmp is: all may add, nobody may take away what is another's
    return folder


def _common() -> Path:
    """The folder of temporary files that all users and shells share, whatever TMPDIR says in one of them."""
    common = Path("/tmp")
    return common if os.name == "posix" and common.is_dir() else Path(tempfile.gettempdir())


def own() -> Path:
    """The folder of what this person has agreed to, made if there is none (XDG base directories)."""
    named = os.environ.get(STATE_VARIABLE)
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = Path(named) if named else state / "labctl"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
