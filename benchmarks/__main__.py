"""Run all benchmarks, or those named on the command line, and print a table a benchmark."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable

from benchmarks import (
    aware,
    boards,
    calls,
    crossbar,
    deaths,
    journal,
    link,
    models,
    programming,
    recovery,
    session,
    study,
    wires,
)
from benchmarks.table import Table

ALL: dict[str, Callable[[], Table]] = {
    "ngspice": boards.against_bare_ngspice,
    "twin": boards.twin_against_ngspice,
    "models": models.models,
    "session": session.sessions,
    "journal": journal.journal,
    "programming": programming.programming,
    "trains": programming.trains,
    "recovery": recovery.recovery,
    "crossbar": crossbar.crossbar,
    "wires": wires.wires,
    "wire-times": wires.times,
    "aware": aware.steps,
    "study": study.workers,
    "deaths": deaths.deaths,
    "link": link.link,
    "first-byte": calls.first_byte,
    "lists": calls.lists,
}


def main(names: list[str]) -> int:
    """Print the tables."""
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are: {', '.join(ALL)}", file=sys.stderr)
        return 2
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in names or ALL:
        print()
        print(ALL[name]().text(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
