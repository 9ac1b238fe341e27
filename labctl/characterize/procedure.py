"""What a procedure is: a plan for one site that fills a table, and the figures that the table gives.

A procedure knows no board, no run folder and no clock. Its `plan` drives one site and appends a row
as soon as the row is known; whoever drives the plan writes new rows down after each list of pulses.
So a run that died goes on from its rows: `plan` is given those that there are, and measures the
others. `summary` is worked out from rows alone, so that it is the same whenever it is asked for.

Devices wear, and a plan may have no end. Every procedure has caps in its settings (`Capped`): of
pulses that write, of joules in them, of time. Whoever drives the plan keeps to them before each list
(`labctl.characterize.dose`); what they end says so in its summary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from labctl.characterize.probing import refuse_unreachable
from labctl.config import Count, Joules, PositiveSeconds, Section
from labctl.plan import Plan
from labctl.pulse import Pulse
from labctl.spec import Spec

Row: TypeAlias = Mapping[str, float | str]
"""One line of a table, by the names of its columns; SI, NaN for what could not be known."""

Figures: TypeAlias = Mapping[str, float | str]
"""What a table comes to, by name; SI, NaN for what the rows do not say."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, or a figure of a summary."""

    name: str
    unit: str
    """SI: V, A, s, ohm, S, J, Hz; "1" for a plain number; "" for text."""
    meaning: str


class Capped(Section):
    """What the settings of every procedure begin with: what one site may be given at most."""

    most_pulses: Count = 10_000
    """Pulses that program or reset, repeats counted."""
    most_energy: Joules = 1e-2
    """Delivered to these pulses."""
    most_time: PositiveSeconds = 86_400.0
    """Of all pulses and waits together."""


SettingsT = TypeVar("SettingsT", bound=Capped)


class Procedure(ABC, Generic[SettingsT]):
    """One kind of measurement of one device, with its settings."""

    name: ClassVar[str]
    """As it is called in commands and files."""
    title: ClassVar[str]
    """What it is, in a few words, for a person."""
    columns: ClassVar[tuple[Column, ...]]
    """Of its table."""
    figures: ClassVar[tuple[Column, ...]]
    """Of its summary."""
    wears: ClassVar[bool]
    """Whether it moves the device's state."""
    Settings: ClassVar[type[Capped]]
    """What its settings file may hold; the `SettingsT` of the class."""

    def __init__(self, settings: SettingsT) -> None:
        self.settings = settings

    @abstractmethod
    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """The hardest pulses that the plan can come to, so that they are checked before any is driven.

        Raises `Refused` where settings and board do not fit each other.
        """

    @abstractmethod
    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """Measure the rows that are not there yet, and append each as soon as it is known."""

    @abstractmethod
    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """The figures that these rows give: pure, and NaN where they do not say."""

    def obstacle(self, figures: Figures) -> str:
        """Why nothing else must be sent to a device with these figures; empty: it may."""
        return ""

    def text(self, spec: Spec, figures: Figures) -> str:
        """The figures as a file of TOML that other commands read; empty: there is none."""
        return ""

    def check(self, spec: Spec, site: int) -> None:
        """Raise `Refused` if this site cannot be measured so, before anything is driven."""
        refuse_unreachable(spec, site)
        spec.check(self.foreseen(spec, site))


AnyProcedure: TypeAlias = Procedure[Any]
"""A procedure whose settings are of no matter."""
