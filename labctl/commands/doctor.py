"""`labctl doctor`: is this machine ready, and what has to be done about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labctl import console
from labctl.commands.options import RUNS, Json, Runs
from labctl.console import Exit
from labctl.errors import Refused

BENCHES = Path("benches")


def doctor(
    bench: Annotated[
        list[Path] | None, typer.Argument(metavar="BENCH", help="Bench files (TOML); else those in benches/.")
    ] = None,
    runs: Runs = RUNS,
    free: Annotated[
        bool, typer.Option("--free", help="End every connection to the instruments of these BENCHes first.")
    ] = False,
    as_json: Json = False,
) -> int:
    """See whether this machine is ready: libraries, what benches need, the folder of runs."""
    from labctl import doctor as practice
    from labctl.pages.run import findings_page

    if free and not bench:
        raise Refused("--free without a bench file", allowed="the bench files of what is to be freed")
    findings = practice.freed(bench or []) if free else []
    findings += practice.examine(runs, bench or sorted(BENCHES.glob("*.toml")))
    console.show(findings_page(findings), as_json)
    return Exit.NO if any(one.level is practice.Level.PROBLEM for one in findings) else Exit.DONE
