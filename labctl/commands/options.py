"""Arguments and options that several commands share, and what is asked before a real device is worn."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl import console
from labctl.errors import Refused

if TYPE_CHECKING:
    from labctl.bench import Bench

BenchFile = Annotated[Path, typer.Argument(metavar="BENCH", help="A bench file (TOML).")]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="The folder of runs.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="The name of a run, or the path of its folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before a real device is worn.")]
RUNS = Path("runs")


def place(run: str, runs: Path) -> tuple[Path, str]:
    """The folder of runs and the name: of a name, or of the path of a run's folder."""
    path = Path(run)
    return (path.parent, path.name) if os.sep in run else (runs, run)


def ask_before_wear(bench: Bench, what: str) -> None:
    """Refuse what wears a real board's devices unless whoever is at the terminal agrees; `what`: plural."""
    if bench.file.kind != "board":
        return
    question = f"{bench.source} is a real board, and {what} wear its devices. Drive them?"
    if not (console.is_terminal(sys.stdin) and typer.confirm(question, err=True)):
        raise Refused(
            f"{what} that wear a real device were not agreed to", allowed="an answer of yes, or --yes"
        )


def say(line: str, as_json: bool) -> None:
    """A line for a person; a program gets its one document alone."""
    if not as_json:
        console.say(line)
