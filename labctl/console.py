"""How answers and errors reach a person or a program, and what the process says when it ends.

A command answers with one `Page`: its `data` is printed as one JSON document with ``--json``, its
`parts` otherwise, on a terminal with rich and as plain lines where the output goes into a file or
another program. Names and messages come from files and instruments: control characters are spelt
out, so that nobody's file name can write on somebody's terminal.
"""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TextIO, cast

from labctl.errors import LabError, Misbehaved, Stopped, StorageFault
from labctl.quantity import printable
from labctl.reality import COLOURS

if TYPE_CHECKING:
    from rich.text import Text


class Exit(IntEnum):
    """What the process says when it ends; docs/reference/exit-codes.md explains each."""

    DONE = 0
    NO = 1
    REFUSED = 2
    MISBEHAVED = 3
    STORAGE = 4
    CRASHED = 70
    STOPPED = 75
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under their headers; columns of numbers stand to the right."""

    headers: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Page:
    """One answer, for a program and for a person."""

    data: Mapping[str, Any]
    parts: Sequence[str | Table]


def show(page: Page, as_json: bool) -> None:
    """The one answer of a command, on stdout."""
    if as_json:
        _say_json(page.data)
        return
    for part in page.parts:
        _show_part(part)
    sys.stdout.flush()


def say(line: str) -> None:
    """A line on stdout, at once."""
    _show_part(printable(line))
    sys.stdout.flush()


# ---- errors ---------------------------------------------------------------------------------


def exit_of(error: LabError) -> Exit:
    """The exit code of an error."""
    match error:
        case Stopped():
            return Exit.STOPPED
        case StorageFault():
            return Exit.STORAGE
        case Misbehaved():
            return Exit.MISBEHAVED
        case _:
            return Exit.REFUSED


def tell(error: LabError, as_json: bool) -> Exit:
    """An error and its five answers: on stderr, or as the one JSON document."""
    code = exit_of(error)
    if as_json:
        outputs = error.outputs.value if error.outputs else ""
        _say_error(type(error).__name__, error.wrong, code, error.allowed, outputs, error.saved, error.todo)
        return code
    first, *others = str(error).split("\n")
    lead = "stopped:" if isinstance(error, Stopped) else "error:"
    _complain([f"{lead} {first.removeprefix('stopped ')}", *others])
    return code


def warn(error: LabError) -> None:
    """Something went wrong that does not spoil the answer."""
    _complain([f"warning: {str(error).replace(chr(10), ';')}"])


def tell_refusal(wrong: str, as_json: bool) -> Exit:
    """A mistake in the command itself."""
    return tell(LabError(wrong, todo="labctl --help, or labctl COMMAND --help"), as_json)


def tell_interrupt(as_json: bool) -> Exit:
    """The second Ctrl-C, or the first where nothing is to be saved."""
    wrong = "interrupted at once"
    todo = "if a run was under way, `labctl resume` reads its sites again and goes on"
    if as_json:
        _say_error("KeyboardInterrupt", wrong, Exit.INTERRUPTED, todo=todo)
    else:
        _complain([wrong, f"  what to do: {todo}"])
    return Exit.INTERRUPTED


def tell_crash(error: BaseException, as_json: bool) -> Exit:
    """What nobody foresaw is not hidden: the traceback, all of it."""
    traceback.print_exception(error)
    _complain(["this is a mistake in labctl or in a board's driver: please report it with the lines above"])
    if as_json:
        _say_error(type(error).__name__, str(error), Exit.CRASHED)
    return Exit.CRASHED


def _say_error(
    kind: str, wrong: str, code: Exit, allowed: str = "", outputs: str = "", saved: str = "", todo: str = ""
) -> None:
    answers = {"type": kind, "wrong": wrong, "allowed": allowed, "outputs": outputs, "saved": saved}
    _say_json({"error": {**answers, "what_to_do": todo, "exit_code": int(code)}})


def _complain(lines: Sequence[str]) -> None:
    sys.stdout.flush()  # what was said before comes before
    sys.stderr.write("".join(printable(line) + "\n" for line in lines))


# ---- how it is printed ----------------------------------------------------------------------


def is_terminal(stream: TextIO) -> bool:
    """True where somebody is looking."""
    return stream.isatty()


def _say_json(data: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(finite(data), indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): finite(one) for key, one in cast("Mapping[Any, Any]", value).items()}
        case list() | tuple():
            return [finite(one) for one in cast("Sequence[Any]", value)]
        case _:
            return value


def _show_part(part: str | Table) -> None:
    if is_terminal(sys.stdout):
        _show_rich(part)
    elif isinstance(part, str):
        sys.stdout.write(_clean(part) + "\n")
    else:
        sys.stdout.writelines(line + "\n" for line in _plain(part))


def _show_rich(part: str | Table) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    screen = Console(file=sys.stdout, highlight=False)
    if isinstance(part, str):
        screen.print(_coloured(Text(_clean(part))))
        return
    drawn = RichTable(box=None, header_style="bold", pad_edge=False, show_header=any(part.headers))
    for index, header in enumerate(part.headers):
        drawn.add_column(Text(header), justify="right" if _numeric(part, index) else "left")
    for row in part.rows:
        drawn.add_row(*(Text(printable(cell), style=COLOURS.get(cell, "")) for cell in row))
    screen.print(drawn)


def _coloured(text: Text) -> Text:
    """What is real, and what is not, stands out: "(real)", "(simulated)"."""
    for word, colour in COLOURS.items():
        text.highlight_words([f"({word})"], colour)
    return text


def _plain(table: Table) -> list[str]:
    """The table as lines, columns two spaces apart."""
    headers = [table.headers] if any(table.headers) else []
    cells = headers + [tuple(printable(cell) for cell in row) for row in table.rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [_numeric(table, index) for index in range(len(widths))]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]


def _numeric(table: Table, index: int) -> bool:
    cells = [row[index] for row in table.rows if row[index]]
    return bool(cells) and all(cell[0] in "0123456789+-–" for cell in cells)


def _clean(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))
