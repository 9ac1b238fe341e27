"""Numba if it is there, plain Python if it is not: the same functions, the same numbers.

The kernels of the fast twin are written as plain functions of floats and arrays. With the extra
`fast` installed they are compiled, and the machine code is cached in a folder named by the text of
every kernel file, because numba itself only notices a change in the file that holds the function
and would go on using old equations called from an unchanged one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def _cache_folder() -> Path:
    here = Path(__file__).parent
    texts = [path.read_bytes() for path in sorted(here.rglob("*.py"))]
    text = b"".join(text for text in texts if b"@kernel" in text)
    name = f"kernels-{hashlib.sha256(text).hexdigest()[:16]}"
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    for base in (Path(home) / "labctl", Path(tempfile.gettempdir()) / f"labctl-{os.getuid()}"):
        folder = base / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="labctl-"))


try:
    os.environ["NUMBA_CACHE_DIR"] = str(_cache_folder())  # numba reads it when it is imported
    from numba import njit
except ImportError:  # the extra `fast` is not installed
    njit = None

COMPILED = njit is not None
"""Whether kernels are machine code."""


def kernel(function: Function) -> Function:
    """Compile the function when it is first called, with the cache on disk; or leave it as it is."""
    if njit is None:
        return function
    compiled: Any = njit(cache=True, error_model="numpy")(function)
    return compiled
