"""Classes by import path, "module:Class": so there is no registry, and a stranger's is used as ours are."""

from __future__ import annotations

import importlib
from typing import Any

from labctl.errors import Unavailable
from labctl.quantity import printable


def named(path: str, told: str, form: str) -> Any:
    """What the path names. `told` begins every message; `form` is what is allowed. Raises `Unavailable`."""
    module, _, name = path.partition(":")
    if not (module and name):
        raise Unavailable(f"{told} does not name a class", allowed=form, todo="write both, and the colon")
    try:
        return getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything
        raise Unavailable(
            f"{told} cannot be had: {type(error).__name__}: {printable(str(error))}",
            allowed=form,
            todo="correct the name, install the package that it is in, or mend the module",
        ) from error
