"""Numba if it is there, plain Python if it is not: the same functions, the same numbers.

The kernels of the fast twin are written as plain functions of floats and arrays. With the extra
`fast` installed they are compiled, and the machine code is cached in a folder named by the text of
every kernel file, because numba itself only notices a change in the file that holds the function
and would go on using old equations called from an unchanged one. numba unpickles what it finds in
its cache: whoever can write there can run code as this user.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def _cache_folder(named: str) -> Path:
    """In the folder that the user `named` for numba, or else in the user's cache, or else in one in /tmp."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    ours = Path(tempfile.gettempdir()) / f"labctl-{os.getuid()}"
    if named:
        found = _made(Path(named))
    else:
        found = _made(Path(home) / "labctl") or (_made(ours) if _is_private(ours) else None)
    return found or Path(tempfile.mkdtemp(prefix="labctl-"))


def _made(base: Path) -> Path | None:
    """The folder in `base`, if it can be written to."""
    folder = base / _name_of_kernels()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _is_private(folder: Path) -> bool:
    """Whether nobody else can put anything there. Its name can be guessed: somebody may have come first."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return mine and stat.S_IMODE(found.st_mode) == 0o700


def _name_of_kernels() -> str:
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    text = b"".join(text for text in texts if b"@kernel" in text)
    return f"kernels-{hashlib.sha256(text).hexdigest()[:16]}"


try:
    from numba import njit

    _settings: Any = import_module("numba.core.config")  # in this process only: others may have other kernels
    _settings.CACHE_DIR = str(_cache_folder(_settings.CACHE_DIR))  # was NUMBA_CACHE_DIR, if that is set
except ImportError:  # the extra `fast` is not installed
    njit = None

COMPILED = njit is not None
"""Whether kernels are machine code."""


def kernel(function: Function) -> Function:
    """Compile the function when it is first called, with the cache on disk; or leave it as it is."""
    if njit is None:
        return function
    compiled: Any = njit(cache=True, error_model="numpy", nogil=True)(function)
    return compiled


def inlined(function: Function) -> Function:
    """A `kernel` whose code goes to each place that calls it: for one that is small, and called in a few."""
    if njit is None:
        return function
    compiled: Any = njit(cache=True, error_model="numpy", nogil=True, forceinline=True)(function)
    return compiled
