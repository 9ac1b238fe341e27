"""`labctl stop`: from another shell, every guarded board is made safe, and benches that nobody holds too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl import console
from labctl.commands.options import Json
from labctl.console import Exit, Page, Table
from labctl.errors import LabError, Outputs

if TYPE_CHECKING:
    import socket

    from labctl.guard.registry import Note

Benches = Annotated[
    list[Path] | None,
    typer.Argument(metavar="BENCH", help="Bench files (TOML) to make safe as well, if nobody holds them."),
]
_HEAD = ("bench", "board", "held by", "outputs")


def stop(benches: Benches = None, as_json: Json = False) -> int:
    """Switch off every board that a program holds, and the benches named, and say what is confirmed."""
    from labctl.guard import registry

    asked = [(note, registry.knock(note)) for note in registry.notes()]  # all at once, and only then wait
    rows = [_told(note, link) for note, link in asked]
    held = {note.bench for note, link in asked if link is not None}
    rows += [_made_safe(path) for path in benches or () if str(path.resolve()) not in held]
    named = {str(path.resolve()) for path in benches or ()}
    rows = [row for row in rows if not (row["left behind"] and row["bench"] in named)]
    console.show(_page(rows), as_json)
    return Exit.DONE if all(row["outputs"] == Outputs.OFF for row in rows) else Exit.NO


def _told(note: Note, link: socket.socket | None) -> dict[str, Any]:
    """A row of what the guard of this note found, or of what its note says when it is gone."""
    from labctl.guard import registry

    holder = f"{note.user}@{note.host}, process {note.client}, since {note.since}"
    if link is None:
        outputs, why = Outputs.UNKNOWN, f"the guard of {holder} is gone; `labctl stop BENCH` opens it again"
    else:
        outputs, why = registry.answer(note, link), holder
    row = {"bench": note.bench, "board": note.board, "held by": why, "outputs": outputs.value}
    return {**row, "left behind": link is None}


def _made_safe(path: Path) -> dict[str, Any]:
    """A row of a bench that no guard holds: it is opened only to be made safe."""
    from tempfile import TemporaryDirectory

    from labctl.bench import Bench

    row = {"bench": str(path.resolve()), "board": "", "held by": "nobody", "left behind": False}
    try:
        bench = Bench.read(path)
        with TemporaryDirectory() as nowhere:
            board = bench.board(Path(nowhere))
            row["board"] = board.spec.name
            with board:
                outputs = board.make_safe()
    except LabError as error:
        known = error.outputs or Outputs.UNKNOWN  # an opening that failed has been made safe
        return {**row, "held by": error.wrong, "outputs": known.value}
    return {**row, "outputs": outputs.value}


def _page(rows: list[dict[str, Any]]) -> Page:
    shown = [{name: row[name] for name in _HEAD} for row in rows]
    if not rows:
        return Page({"stopped": shown}, ["no board is held by a guard"])
    cells = [(Path(row["bench"]).stem, *(row[name] for name in _HEAD[1:])) for row in rows]
    return Page({"stopped": shown}, [Table(_HEAD, cells)])
