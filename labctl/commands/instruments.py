"""`labctl instruments`: what is connected, what it says it is, which bench names it, and who holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labctl import console
from labctl.commands.options import Json
from labctl.console import Exit

BENCHES = Path("benches")
BenchFiles = Annotated[
    list[Path] | None, typer.Argument(metavar="BENCH", help="Bench files (TOML); else those in benches/.")
]
Visa = Annotated[bool, typer.Option("--visa", help="Look for VISA resources too, which takes seconds.")]
Quick = Annotated[bool, typer.Option("--quick", help="Do not ask the instruments of benches.")]


def instruments(
    bench: BenchFiles = None, visa: Visa = False, quick: Quick = False, as_json: Json = False
) -> int:
    """Say what is connected, what the instruments of benches answer, and who holds them. Drives nothing."""
    from labctl.instruments import connected, described
    from labctl.pages.instruments import instruments_page

    found = described(bench or sorted(BENCHES.glob("*.toml")), ask=not quick)
    console.show(instruments_page(connected(visa), found), as_json)
    return Exit.DONE
