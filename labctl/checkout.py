"""Which commit of labctl this is, read from the files of its checkout: no git is started.

What git keeps there is told in https://git-scm.com/docs/gitrepository-layout. Whether files were
changed since the commit, only git could say.
"""

from __future__ import annotations

import re
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


_CHECKOUT = Path(__file__).resolve().parents[1]


def commit(checkout: Path = _CHECKOUT) -> str:
    """The hash of the commit that is checked out; empty where it cannot be told."""
    try:
        return _commit(_folder(checkout))
    except (OSError, ValueError):  # no checkout, or text that is none
        return ""


def _folder(checkout: Path) -> Path:
    """Where git keeps what it knows: in a second working tree, a file says where."""
    found = checkout / ".git"
    if found.is_file():
        return checkout / found.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    return found


def _commit(git: Path) -> str:
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref:"):
        return head if _HASH.fullmatch(head) else ""
    name = head.removeprefix("ref:").strip()
    common = git / "commondir"
    shared = git / common.read_text(encoding="utf-8").strip() if common.is_file() else git
    if (shared / name).is_file():
        found = (shared / name).read_text(encoding="utf-8").strip()
        return found if _HASH.fullmatch(found) else ""
    return _packed(shared, name)


def _packed(shared: Path, name: str) -> str:
    for line in (shared / "packed-refs").read_text(encoding="utf-8").splitlines():
        found, _, called = line.partition(" ")
        if called == name and _HASH.fullmatch(found):
            return found
    return ""
