"""Scripted characterization of memristors: one module a procedure, all behind one small interface.

A procedure is found by its name in `PROCEDURES`; how one is written is told in
`labctl.characterize.procedure`, and `labctl.characterize.first_use` is a short example. A protocol
(`labctl.characterize.protocol`) does several of them one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.characterize.endurance import Endurance
from labctl.characterize.first_use import FirstUse
from labctl.characterize.iv import IV
from labctl.characterize.lines import Lines
from labctl.characterize.noise import Noise
from labctl.characterize.procedure import AnyProcedure, Capped
from labctl.characterize.programming import ClosedLoop
from labctl.characterize.protocol import Protocol, Step
from labctl.characterize.report import NAME, TITLE, ReportSettings, report_of
from labctl.characterize.resistance import Resistance
from labctl.characterize.response import Response
from labctl.characterize.retention import Retention
from labctl.characterize.statistics import WriteVerify
from labctl.characterize.threshold import Threshold
from labctl.config import build
from labctl.errors import Refused
from labctl.quantity import printable

_ALL: tuple[type[AnyProcedure], ...] = (
    FirstUse,
    IV,
    Threshold,
    Response,
    WriteVerify,
    ClosedLoop,
    Endurance,
    Retention,
    Noise,
    Resistance,
    Lines,
)

PROCEDURES: dict[str, type[AnyProcedure]] = {one.name: one for one in _ALL}
"""Every procedure that there is, by name: a new one is a module and one word above."""

TITLES: dict[str, str] = {name: one.title for name, one in PROCEDURES.items()} | {NAME: TITLE}
"""What can be asked for, and what it is."""


def settings_of(name: str) -> type[Capped]:
    """What the settings file of a procedure, or of the report, may hold."""
    return ReportSettings if name == NAME else PROCEDURES[name].Settings


def protocol_of(name: str, settings: Mapping[str, Any], source: str) -> Protocol:
    """The protocol of that name with these settings, as a file gives them; `source` names it in messages.

    Raises `Refused` for a name that is none, `BadConfig` for settings that are not its own.
    """
    if name == NAME:
        return report_of(build(settings, ReportSettings, source))
    if name not in PROCEDURES:
        raise Refused(f"there is no procedure {printable(name[:40])!r}", allowed=", ".join(TITLES))
    made = PROCEDURES[name]
    procedure = made(build(settings, made.Settings, source))
    return Protocol(name, made.title, procedure.settings, (Step(name, procedure),))
