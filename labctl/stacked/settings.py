"""What a bench file says of a stack: its parts in order, and which of their sites hold which synapse."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Field, ValidationInfo, field_validator

from labctl.config import Count, PositiveVolts, Section, Siemens

SiteNumber = Annotated[int, Field(ge=0)]
Place: TypeAlias = tuple[SiteNumber, SiteNumber]
"""Part and site of it, both from 0."""


class PartTable(Section):
    """One board of the stack, as a bench file of its own would name it."""

    board_class: str = Field(alias="class")
    board: dict[str, Any] = Field(default_factory=dict)
    """The settings of that class."""


class StackedSettings(Section):
    """The `[board]` table of a bench file for a stack."""

    parts: Annotated[tuple[PartTable, ...], Field(min_length=1)]
    sizes: Annotated[tuple[Count, ...], Field(min_length=2)] = (9, 3, 1)
    """Inputs, and the neurons of each layer."""
    window: tuple[Siemens, Siemens] | None = None
    """None: that of the dopant."""
    pixel: PositiveVolts = 0.1
    """Of a lit pixel, and the rails of the neurons."""
    together: bool = False
    """Sites of a neuron that see the same voltage are measured side by side: fewer pulses, more error."""
    unused: tuple[Place, ...] = ()
    """Sites that are left out."""
    order: tuple[Place, ...] = ()
    """Sites that hold the synapses, in their order; none: all in turn but the unused ones."""

    @field_validator("order")
    @classmethod
    def _alone(cls, order: tuple[Place, ...], info: ValidationInfo) -> tuple[Place, ...]:
        """An order says what is used, so what is not is said already."""
        if order and info.data.get("unused"):
            raise ValueError("says which sites are used, and so does unused; allowed: one of both")
        if len(set(order)) != len(order):
            raise ValueError("names a site twice; allowed: each once")
        return order
