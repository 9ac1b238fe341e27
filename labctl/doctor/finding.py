"""What the doctor answers with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    what: str
    found: str
    todo: str = ""


def one_line(text: str) -> str:
    """A message of several lines as one."""
    return "; ".join(" ".join(line.split()) for line in text.splitlines())
