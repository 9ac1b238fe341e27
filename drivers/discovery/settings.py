"""What a bench file says of a Memristor Discovery board."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from labctl.config import PositiveOhms, Seconds, Section, Siemens, Volts
from labctl.site_limits import SiteLimits

PYDWF = "pydwf:DwfLibrary"
"""The library itself: what it finds is plugged in."""


class DiscoverySettings(Section):
    """The `[board]` table of a bench file."""

    board: Literal["v2", "v1", "v0"] = "v2"
    mode: Literal[1, 2] = 1
    """Where the slide switch of a V2 board stands."""
    serial: str | None = None
    """Of the Analog Discovery; needed where several are plugged in."""
    dopant: str
    series: PositiveOhms | None = None
    """Between W1 and a row (V1, V0: between memristors and ground); left out: as shipped."""
    switch: PositiveOhms = 75.0
    window: tuple[Siemens, Siemens] | None = None
    limits: SiteLimits = SiteLimits(low=-2.5, high=2.5, longest_pulse=0.2)
    settle: Seconds = 1e-3
    """Waited after switches were thrown."""
    scope_noise: Volts = 0.3e-3
    """Of one sample in the 5 V range [rms]; what the board promises follows from it."""
    assume_mode: bool = False
    """Open also if no memristor conducts, so that the mode cannot be told."""
    dwf: str = PYDWF
    """Import path of the library's class."""
    dwf_options: dict[str, Any] = Field(default_factory=dict)
    """What it is made with."""
