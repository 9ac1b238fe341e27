"""What the chips are like that a network is trained for: devices, lines, ends, and what varies.

One table of a file, checked when it is read. A part that is 0, or left out, is not there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from labctl.config import Count, Fraction, Ohms, PositiveOhms, Section

Levels = Annotated[int, Field(ge=2, le=65536)]


class Technology(Section):
    """The `[technology]` table: one kind of chip."""

    on: PositiveOhms = 10e3
    """Ron: least resistance that a device is programmed to."""
    off: PositiveOhms = 100e3
    """Roff: most."""
    source: Ohms = 0.0
    """Rs: between each source and its row."""
    neuron: Ohms = 0.0
    """Rn: input resistance of each neuron, at the end of its column."""
    wire: Ohms = 0.0
    """Of each segment of a row or column between two crossings."""
    weights: Literal["pairs", "reference"] = "pairs"
    """A weight is the difference of two devices on one row, or of one device and a column of references
    (all at mid-window) that the array has once."""
    variation: Fraction = 0.0
    """Sigma of the conductances from chip to chip: one draw for each device of each chip."""
    distribution: Literal["normal", "lognormal"] = "normal"
    programming_error: Fraction = 0.0
    """Sigma of what write-verify leaves, relative to the target."""
    levels: Levels | None = None
    """Conductances between off and on that a device can be programmed to, evenly spaced; None: any."""
    stuck_off: Fraction = 0.0
    """Part of the devices that stay at the lowest conductance."""
    stuck_on: Fraction = 0.0
    """Part that stay at the highest."""
    read_noise: Fraction = 0.0
    """Sigma of a device's conductance from read to read."""
    output_noise: Fraction = 0.0
    """Sigma of each output of an array (converter, amplifier), relative to what one device of Ron adds to it
    at the largest input of the vector."""
    tile: tuple[Count, Count] | None = None
    """Rows and columns of devices of the largest array there is; None: any layer fits into one."""

    @model_validator(mode="after")
    def _possible(self) -> Technology:
        if not self.on < self.off:
            raise ValueError(f"on = {self.on:g} ohm is not below off = {self.off:g} ohm; allowed: on < off")
        if not self.stuck_off + self.stuck_on <= 1:
            raise ValueError("stuck_off and stuck_on add up to more than all devices; allowed: 100 %")
        return self

    @property
    def window(self) -> tuple[float, float]:
        """[S] lowest and highest conductance."""
        return 1 / self.off, 1 / self.on
