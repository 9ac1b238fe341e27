"""`labctl characterize`: measure devices by a procedure, on a bench, and keep a run of it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from labctl import console
from labctl.commands.follow import follow
from labctl.commands.hardware import Hardware, confirm
from labctl.commands.options import RUNS, Json, Runs, Yes, ask_before_wear, say
from labctl.console import Exit
from labctl.errors import BadConfig, Refused
from labctl.quantity import quoted
from labctl.reality import reality

if TYPE_CHECKING:
    from labctl.characterization_record import Characterization

ProcedureName = Annotated[
    str | None, typer.Argument(metavar="PROCEDURE", help="What to measure; --list says what there is.")
]
BenchFile = Annotated[Path | None, typer.Argument(metavar="BENCH", help="A bench file (TOML).")]
Sites = Annotated[
    list[str] | None,
    typer.Option("--site", metavar="LABEL|NUMBER", help="Which site; again for more. Else the first."),
]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="Settings of the procedure (TOML).")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help='One setting, as "amplitude=0.5 V"; again for more.'),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Measure a simulated stand-in: what it costs.")]
List = Annotated[bool, typer.Option("--list", help="Say which procedures there are.")]
RunName = Annotated[str | None, typer.Option("--name", help="Of the run; else PROCEDURE-DATE-TIME.")]


def characterize(
    procedure: ProcedureName = None,
    bench: BenchFile = None,
    site: Sites = None,
    settings: SettingsFile = None,
    change: Changes = None,
    dry_run: DryRun = False,
    list_all: List = False,
    runs: Runs = RUNS,
    name: RunName = None,
    yes: Yes = False,
    hardware: Hardware = False,
    as_json: Json = False,
) -> int:
    """Measure devices of a bench by a procedure, one site after the other, and keep a run of it."""
    from labctl.pages.characterization import procedures_page

    if list_all:
        console.show(procedures_page(), as_json)
        return Exit.DONE
    if procedure is None or bench is None:
        raise Refused("nothing to measure, or nowhere", allowed="PROCEDURE and BENCH, or --list")
    what = asked_for(procedure, bench, site or [], settings, change or [])
    if dry_run:
        return _rehearse(what, as_json)
    confirm(what.bench, hardware)
    if what.protocol.wears and not yes:
        ask_before_wear(what.bench, "these pulses")
    return _begin(what, runs, name, as_json)


def _rehearse(what: Characterization, as_json: bool) -> int:
    from labctl.characterization_run import rehearse
    from labctl.commands.progress import Progress
    from labctl.pages.characterization import forecast_page

    with Progress(quiet=as_json) as progress:
        forecast = rehearse(what, progress.steps)
    console.show(forecast_page(forecast), as_json)
    return Exit.DONE


def _begin(what: Characterization, runs: Path, name: str | None, as_json: bool) -> int:
    from datetime import UTC, datetime

    from labctl.characterization_run import begin
    from labctl.running import new_name

    what.protocol.check(what.bench.board(Path()).spec, what.sites)  # refused before anything is said or made
    new = name or new_name(what.protocol.name, runs, datetime.now(UTC))
    say(f"{new}: {what.protocol.name} on {what.bench.name} ({reality(what.bench.file.kind)})", as_json)
    return follow(lambda progress, stop: begin(what, runs, new, progress.steps, stop), runs, new, as_json)


# ---- what is asked for ------------------------------------------------------------------------


def asked_for(
    procedure: str, bench: Path, sites: Sequence[str], settings: Path | None, changes: Sequence[str]
) -> Characterization:
    """What these arguments mean, read and checked; raises `Refused` for what is wrong with any of them."""
    from labctl.bench import Bench
    from labctl.characterization_record import Characterization, sites_of
    from labctl.characterize import protocol_of
    from labctl.tomlfile import load

    tables: dict[str, Any] = load(settings) if settings is not None else {}
    for change in changes:
        tables = _merged(tables, changed(change))
    source = str(settings) if settings is not None else f"the settings of {procedure}"
    protocol = protocol_of(procedure, tables, source)
    found = Bench.read(bench)
    return Characterization(protocol, sites_of(found.board(Path()).spec, sites), found)


def changed(text: str) -> dict[str, Any]:
    """``reading.volts=0.1 V`` as tables; a value that is no TOML is text.

    >>> changed("reading.volts=0.1 V"), changed("cycles=3")
    ({'reading': {'volts': '0.1 V'}}, {'cycles': 3})
    """
    key, equals, value = text.partition("=")
    names = [name.strip() for name in key.split(".")]
    if not equals or not all(names):
        raise BadConfig(f"{quoted(text)} changes no setting", allowed='KEY=VALUE, such as "cycles=3"')
    found: Any = _value(value.strip())
    for name in reversed(names):
        found = {name: found}
    return found


def _value(text: str) -> object:
    try:
        tables = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return tables["value"] if len(tables) == 1 else text


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """`other` wins, key by key, tables inside tables too."""
    merged = dict(one)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], cast("dict[str, Any]", value)) if both else value
    return merged
