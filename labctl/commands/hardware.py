"""Asked before a real board is driven for the first time by this person, and never passed over in silence."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from labctl import console
from labctl.errors import Refused

if TYPE_CHECKING:
    from labctl.bench import Bench

Hardware = Annotated[
    bool,
    typer.Option("--hardware", help="It is the real board that I mean: do not ask before its first time."),
]


def confirm(bench: Bench, hardware: bool) -> None:
    """Refuse a real board that this person has not agreed to, unless told by `hardware` or at the terminal.

    Simulations, emulators and replays pass. What was agreed to is remembered.
    """
    if bench.file.kind != "board":
        return
    from labctl import confirmation

    if confirmation.confirmed(bench):
        return
    if not hardware:
        _ask(confirmation.described(bench))
    confirmation.remember(bench)


def _ask(lines: list[str]) -> None:
    if console.is_terminal(sys.stdin):
        for line in lines:
            typer.echo(line, err=True)
        if typer.confirm("You have not driven it before. Is this what is connected?", err=True):
            return
    raise Refused(
        f"{lines[0]}; you have not driven it before, and did not agree to",
        allowed="an answer of yes at a terminal, or --hardware",
        todo="see that the file says what is connected, which port and which limits",
    )
