"""`labctl emulate`: an instrument that is not there, on a port or a pseudo-terminal, for anybody's software.

The instruments are `sim_backend`'s, which this package does not import: they are found by name, as boards.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from labctl import console
from labctl.commands.options import Json
from labctl.console import Exit
from labctl.errors import Refused

RIG = "sim_backend.emulators.rig"
WITNESS = "sim_backend.emulators.serving.witness:Witness"
FORM = "an installed sim_backend"
KINDS = "sim_backend.emulators.catalogue:KINDS"

Kind = Annotated[
    str | None, typer.Argument(metavar="[KIND]", help="keithley2450, keysight-b2900, …; none: what there is.")
]


def emulate(
    kind: Kind = None,
    port: Annotated[int, typer.Option(help="Of this machine; 0: any that is free.")] = 0,
    pty: Annotated[bool, typer.Option("--pty", help="A pseudo-terminal in place of a port.")] = False,
    dopant: Annotated[str, typer.Option(help="Of the devices behind it: W, Sn, Cr or C.")] = "Cr",
    series: Annotated[str, typer.Option(help="Resistance in series with them.")] = "10 kohm",
    columns: Annotated[int, typer.Option(help="How many devices.")] = 16,
    resistor: Annotated[
        list[str] | None, typer.Option(help='In place of devices, such as "10 kohm"; one a column.')
    ] = None,
    rig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Several instruments that share devices (TOML).")
    ] = None,
    fault: Annotated[str, typer.Option(metavar="SCRIPT", help='Such as "late 1.5 at 3; drop 7 at 9".')] = "",
    witness: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write whether an output is on.")
    ] = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="What takes long takes it.")] = False,
    as_json: Json = False,
) -> int:
    """Be an instrument, with simulated devices behind its terminals, until Ctrl-C."""
    from labctl.importing import named

    if kind is None and rig is None:
        kinds = list[str](named(KINDS, "the catalogue of emulators", FORM))
        console.show(console.Page({"kinds": kinds}, ["Emulated instruments:", *kinds]), as_json)
        return Exit.DONE
    if kind is not None and rig is not None:
        raise Refused("a kind and a rig file are two rigs", allowed="one of both")
    settings = (
        named(f"{RIG}:read", "rig files", FORM)(rig)
        if rig is not None
        else _one(kind, port, pty, _behind(resistor, series, dopant, columns), fault, realtime)
    )
    if not as_json:
        console.say("making ready; where the simulation has not been compiled yet, this takes half a minute")
    with ExitStack() as held:
        seen = held.enter_context(_witness(witness)) if witness else None
        _serve(named(f"{RIG}:Rig", "rigs", FORM)(settings, seen), as_json)
    return Exit.DONE


def _witness(path: Path) -> Any:
    from labctl.importing import named

    kind = named(WITNESS, "witnesses", FORM)
    try:
        return kind(path)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror or error}") from error


def _behind(resistor: list[str] | None, series: str, dopant: str, columns: int) -> dict[str, Any]:
    """What stands behind the terminals, as a rig file would say it."""
    if resistor:
        return {"resistors": {"ohms": resistor, "series": series}}
    return {"device": {"dopant": dopant, "series": series, "columns": columns}}


def _one(kind: str | None, port: int, pty: bool, behind: dict[str, Any], fault: str, realtime: bool) -> Any:
    """The rig of a single instrument."""
    from labctl.importing import named

    link = {"kind": kind, "link": "pty" if pty else "tcp", "port": port, "fault": fault, "realtime": realtime}
    made = named(f"{RIG}:settings_of", "rigs", FORM)
    return made({**behind, "instrument": [link]}, "the command")


def _serve(rig: Any, as_json: bool) -> None:
    """Say where, and serve until Ctrl-C, which is how this ends."""
    from labctl.importing import named

    serve = named(f"{RIG}:serve", "rigs", FORM)
    links = rig.links()
    places = [
        {"kind": one.kind, "address": link.address}
        for one, link in zip(rig.settings.instrument, links, strict=True)
    ]
    if as_json:  # one line, so that whoever started this can read it and go on
        sys.stdout.write(json.dumps({"ready": True, "instruments": places}) + "\n")
        sys.stdout.flush()
    else:
        for place in places:
            console.say(f"{place['kind']} at {place['address']}")
        console.say("ready; Ctrl-C ends it")
    try:
        serve(links)
    except KeyboardInterrupt:
        if not as_json:
            console.say("ended")
