"""What an emulated Analog Discovery is, what may be wrong with it, and the settings that it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from labctl.config import Farads, PositiveOhms, Section, Seed, Volts
from labctl.pulse import Floats
from sim_backend.emulators.discovery.board import KINDS
from sim_backend.settings import SimulatedSettings

BUFFER, TABLE, CLOCK = 8192, 4096, 100e6
"""Samples of a capture, points of a custom waveform, [Hz] of both converters."""
RANGES = (5.0, 50.0)
"""[V] peak to peak of a scope channel."""
LEVELS = 2**14
GENERATOR_VOLTS = 5.0
RAIL_VOLTS = 4.5
"""[V] Less than this on either rail, and the analogue switches do not conduct."""


class DiscoverySettings(Section):
    """What is plugged in: the options of `EmulatedDwf`."""

    serial: str = "210321E00001"
    board: Literal["v2", "v1", "v0"] = "v2"
    mode: Literal[1, 2] = 1
    dopant: str = "Cr"
    model: Literal["metastable", "sdc", "vteam", "yakopcic"] = "sdc"
    parameters: str | None = None
    series: PositiveOhms | None = None
    """Of each row; left out: as the board is shipped."""
    switch: PositiveOhms = 75.0
    sense: Farads = 180e-12
    load: PositiveOhms = 1e6
    """Of a scope input."""
    offsets: tuple[Volts, Volts, Volts] = (-1.16e-3, -40.96e-3, -20e-3)
    """Of scope 1, scope 2 and W1."""
    gains: tuple[float, float, float] = (1.002, 0.997, 1.001)
    noise: Volts = 0.3e-3
    """Of one sample of the scope [V rms]."""
    seed: Seed = 0
    device_to_device: bool = False
    cycle_to_cycle: bool = False
    read_noise: bool = False
    relaxation: bool = False
    real_time: bool = False
    memory: str | None = None
    witness: str | None = None
    """A file that says whether W1 drives, for other processes (`sim_backend.emulators.serving.witness`)."""

    def devices(self) -> SimulatedSettings:
        """The chip of one row."""
        kind = KINDS[self.board, self.mode]
        return SimulatedSettings(
            layout="selector",
            dopant=self.dopant,
            model=self.model,
            parameters=self.parameters,
            columns=kind.columns,
            series=self.series or kind.ohms,
            switch=self.switch,
            sense=self.sense,
            seed=self.seed,
            device_to_device=self.device_to_device,
            cycle_to_cycle=self.cycle_to_cycle,
            read_noise=self.read_noise,
            relaxation=self.relaxation,
            memory=self.memory,
        )


@dataclass
class Faults:
    """What goes wrong; set at any time."""

    never_done: bool = False
    """No capture ends."""
    stuck: dict[int, int] = field(default_factory=dict[int, int])
    """DIO pins that do not follow, and what they are."""
    fail: dict[str, str] = field(default_factory=dict[str, str])
    """Calls that fail, as "analogIn.status", and what the library says of it."""
    ignored: set[str] = field(default_factory=set[str])
    """Calls that succeed and change nothing."""
    gone_at: int | None = None
    """The device is unplugged at this call, counted from 1."""
    fail_at: int | None = None
    """This one call fails, and no other."""
    hang_at: int | None = None
    hang_seconds: float = 3600.0
    lost: float = 0.0
    """Part of the samples of a capture that do not arrive, the last ones."""
    amplitude: float = 1.0
    """What becomes of the generator's volts."""
    drift: float = 0.0
    """[V] that has come on top of the offset of both scope channels."""


@dataclass
class Generator:
    """Settings of one generator channel."""

    enabled: int = 0
    function: str = "DC"
    hertz: float = 1e3
    amplitude: float = 1.0
    offset: float = 0.0
    data: Floats = field(default_factory=lambda: np.zeros(0))
    run: float = 0.0
    wait: float = 0.0
    repeat: int = 0
    idle: str = "Disable"
    trigger: str = "None_"

    def idle_volts(self) -> float:
        """[V] commanded while it does not run."""
        if self.idle == "Disable" or not self.enabled:
            return 0.0
        return self.offset + self.amplitude * float(self.data[0]) if self.idle == "Initial" else self.offset

    def table(self) -> Floats:
        """[V] of one period at the ticks of the converter's clock, or of the table if those are fewer."""
        if self.function != "Custom" or not len(self.data):
            return np.full(2, self.offset)
        ticks = max(2, min(len(self.data), int(CLOCK / self.hertz)))
        return self.offset + self.amplitude * self.data[np.arange(ticks) * len(self.data) // ticks]


@dataclass
class Scope:
    """Settings of the scope."""

    hertz: float = CLOCK
    size: int = BUFFER
    position: float = 0.0
    mode: str = "Single"
    source: str = "None_"
    timeout: float = 0.0
    enabled: list[bool] = field(default_factory=lambda: [True, True])
    filters: list[str] = field(default_factory=lambda: ["Decimate", "Decimate"])
    ranges: list[float] = field(default_factory=lambda: [5.0, 5.0])
    offsets: list[float] = field(default_factory=lambda: [0.0, 0.0])
