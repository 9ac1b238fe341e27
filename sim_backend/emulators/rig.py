"""A rig: devices, and emulated instruments that share their terminals, as a file or a command describes it.

::

    [device]                  # as the [board] table of a simulated selector; or [resistors]
    dopant = "Cr"
    columns = 16

    [[instrument]]
    kind = "keithley2450"
    port = 5025

    [[instrument]]            # a switch box: which of the columns are reached
    kind = "keysight-34970a"
    link = "pty"

Where a rig has a switch box, nothing is connected until it closes something; without one the first column is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from labctl import tomlfile
from labctl.config import Ohms, PositiveOhms, Section, Seed, build
from labctl.errors import BadConfig
from sim_backend.emulators.behind.terminals import Resistors, Terminals
from sim_backend.emulators.catalogue import SWITCH_BOXES, known, make
from sim_backend.emulators.serving.instrument import Instrument
from sim_backend.emulators.serving.loop import Loop
from sim_backend.emulators.serving.server import Link, PtyLink, TcpLink
from sim_backend.emulators.serving.witness import Witness
from sim_backend.settings import SimulatedSettings


class PlainResistors(Section):
    """In place of devices."""

    ohms: tuple[PositiveOhms, ...]
    series: Ohms = 0.0


class InstrumentSettings(Section):
    """One instrument, and its link."""

    kind: str
    link: Literal["tcp", "pty"] = "tcp"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0: any that is free."""
    waiting: bool = False
    """A second client waits; otherwise it is turned away."""
    realtime: bool = False
    """What takes long takes it."""
    seed: Seed = 0
    """Of its noise."""
    fault: str = ""
    """A fault script, as `sim_backend.emulators.serving.faults` describes it."""


class RigSettings(Section):
    """A rig file."""

    device: SimulatedSettings | None = None
    resistors: PlainResistors | None = None
    instrument: tuple[InstrumentSettings, ...]


def read(path: Path) -> RigSettings:
    """The rig of a file; `BadConfig` for one that describes none."""
    return settings_of(tomlfile.load(path), str(path))


def settings_of(tables: Mapping[str, Any], source: str) -> RigSettings:
    """The rig of tables; a device is a selector unless it says otherwise."""
    found = dict(tables)
    if isinstance(device := found.get("device"), dict):
        found["device"] = {"layout": "selector", **device}
    settings = build(found, RigSettings, source)
    if (settings.device is None) == (settings.resistors is None):
        often = "twice" if settings.device else "nowhere"
        raise BadConfig(
            f"{source} says {often} what is behind the terminals", allowed="[device] or [resistors]"
        )
    if not settings.instrument:
        raise BadConfig(f"{source} has no instrument", allowed="one [[instrument]] or more")
    for one in settings.instrument:
        known(one.kind)
    return settings


class Rig:
    """The instruments, made; `open` gives them their links."""

    def __init__(self, settings: RigSettings, witness: Witness | None = None) -> None:
        plain = settings.resistors
        behind = Resistors(plain.ohms, plain.series) if plain else settings.device
        assert behind is not None
        self.settings, self.terminals = settings, Terminals(behind)
        if any(one.kind in SWITCH_BOXES for one in settings.instrument):
            self.terminals.closed = set()
            self.terminals.expect_several()
        self.instruments: list[Instrument] = [
            make(one.kind, self.terminals, witness, realtime=one.realtime, seed=one.seed)
            for one in settings.instrument
        ]

    def links(self) -> list[Link]:
        """A link of each, opened; none is left open if one cannot be."""
        links = list[Link]()
        with contextlib.ExitStack() as opened:
            for one, instrument in zip(self.settings.instrument, self.instruments, strict=True):
                link = _link(one, instrument)
                opened.callback(link.close)
                links.append(link)
            opened.pop_all()
        return links


def serve(links: list[Link]) -> None:
    """Until Ctrl-C, in this thread; the links are closed then."""
    loop = Loop(links)
    try:
        loop.run()
    finally:
        loop.close()


def _link(one: InstrumentSettings, instrument: Instrument) -> Link:
    if one.link == "pty":
        return PtyLink(instrument, one.fault)
    return TcpLink(instrument, one.fault, one.port, one.waiting)
