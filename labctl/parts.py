"""The parts that a board is made of: memristors at crossings, neurons between lines, kinds of source."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from labctl.limits import Limits, allowed_for


class Shapes(StrEnum):
    """What voltage over time the sources can make."""

    ANY = "any"
    """Any straight lines between corners."""
    STEPS = "steps"
    """Levels only: what is not flat lasts at most `edge_seconds`."""


@dataclass(frozen=True, slots=True)
class Site:
    """One memristor: where it is, what it is, and what it may see."""

    row: int
    column: int
    """Counted among the columns, from 0."""
    dopant: str
    label: str = ""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Narrow the limits to the absolute maximum of the dopant; nothing raises them again."""
        object.__setattr__(self, "limits", allowed_for(self.dopant, self.limits))


@dataclass(frozen=True, slots=True)
class Neuron:
    """An op-amp between a column and a row of the board, which inverts and saturates.

    While no column is driven, output = clip(-feedback_ohms * (I_column - I_reference), low, high),
    where I_reference is `reference_siemens` times the sum of the voltages of the `inputs` lines.
    """

    column: int
    """Line that it holds at virtual ground."""
    output: int
    """Line that it drives."""
    inputs: tuple[int, ...]
    """Lines whose sum feeds the reference resistor."""
    feedback_ohms: float
    reference_siemens: float
    low_volts: float
    high_volts: float
    computed: bool = False
    """No amplifier is there: what it would answer is worked out from measured currents."""
