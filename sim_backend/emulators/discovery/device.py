"""An Analog Discovery 2 with a Memristor Discovery board on it, neither of them there.

What happens in hardware when settings arrive: rails, DIO pins, a generator that plays a table of 4096
points, a scope with two channels of 14 bits and 8192 samples that a start of the generator triggers. Offsets
and gains are wrong by what a real one's are. Time is virtual: a waveform is over when it was started, unless
`real_time` is asked for; `rest` lets time pass for the devices.

Source: Digilent, "Analog Discovery 2 Reference Manual" (buffers, bits, ranges, supplies); the errors of its
channels: help pages of Knowm's Memristor Discovery software, which gives examples.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from labctl.errors import BadConfig
from labctl.pulse import Floats
from sim_backend.emulators.discovery.board import KINDS, DiscoveryBoard
from sim_backend.emulators.discovery.settings import (
    GENERATOR_VOLTS,
    LEVELS,
    RAIL_VOLTS,
    RANGES,
    DiscoverySettings,
    Faults,
    Generator,
    Scope,
)
from sim_backend.emulators.serving.witness import Witness


class AnalogDiscovery:
    """The hardware. It stays as it is whoever opens and closes it."""

    def __init__(self, settings: DiscoverySettings) -> None:
        if (settings.board, settings.mode) not in KINDS:
            raise BadConfig(f"mode {settings.mode} of a {settings.board} board", allowed="mode 1, or v2")
        self.settings, self.faults = settings, Faults()
        self.board = DiscoveryBoard(KINDS[settings.board, settings.mode], settings.devices(), settings.load)
        self.opened, self.calls = False, 0
        self.log: list[str] | None = None
        """What was called, if it is a list."""
        self._random = np.random.default_rng(settings.seed)
        self._witness = Witness(Path(settings.witness)) if settings.witness else None
        self.power_off()

    def power_off(self) -> None:
        """What is left when the device shuts down: no rails, pins that drive nothing, no generator."""
        self.pins_out = self.pins = 0
        self.rails = (0.0, 0.0)
        self.generating = Generator()
        self.generator_state = self.scope_state = "Ready"
        self.scope = Scope()
        self.captured: list[Floats] = [np.zeros(0), np.zeros(0)]
        self.valid, self._ends = 0, 0.0
        self._show(0.0)

    @property
    def gone(self) -> bool:
        """Whether it has been unplugged."""
        return self.faults.gone_at is not None and self.calls >= self.faults.gone_at

    # ---- pins and rails -------------------------------------------------------------------

    def pin_levels(self) -> int:
        """What the pins are, whoever drives them."""
        levels = self.pins & self.pins_out
        for bit, level in self.faults.stuck.items():
            levels = levels & ~(1 << bit) | level << bit
        return levels

    def conducting(self) -> int:
        """The bits of the switches that conduct."""
        powered = self.rails[0] >= RAIL_VOLTS and self.rails[1] <= -RAIL_VOLTS
        return self.pin_levels() if powered else 0

    # ---- generator and scope --------------------------------------------------------------

    def arm(self) -> None:
        """Start an acquisition; without a trigger it is over at once."""
        self.scope_state, self.valid = "Armed", 0
        if self.scope.source == "None_":
            self._acquire(np.array([0.0, 1.0]), np.zeros(2))

    def start(self) -> None:
        """Start the generator: the devices see the whole waveform, the scope what it was set to."""
        generator = self.generating
        if not generator.enabled:
            return
        period = 1 / generator.hertz
        length = (generator.run or period) * max(generator.repeat, 1)
        endless = generator.run == 0.0 or generator.repeat == 0
        seconds, volts = _wave(generator.table(), period, length)
        self._show(float(np.abs(volts).max()))
        self._acquire(seconds, volts)
        self.generator_state = "Running" if endless or self.settings.real_time else "Done"
        self._ends = float("inf") if endless else time.monotonic() + length
        if self.generator_state == "Done":
            self._show(generator.idle_volts())

    def stop(self) -> None:
        """Stop the generator."""
        self.generator_state = "Ready"
        self._show(self.generating.idle_volts())

    def catch_up(self) -> None:
        """In real time: whether the waveform is over by now."""
        if self.generator_state == "Running" and time.monotonic() >= self._ends:
            self.generator_state = "Done"
            self._show(self.generating.idle_volts())

    def rest(self, seconds: float) -> None:
        """Time passes."""
        self.board.rest(seconds)

    def _acquire(self, seconds: Floats, volts: Floats) -> None:
        """Play W1 (corners,) to the board, and keep what the scope sees of it if it waits for that."""
        scope, wanted = self.scope, ("AnalogOut1", "None_")
        listening = self.scope_state == "Armed" and scope.source in wanted
        size = scope.size if listening else 2
        start = scope.position - size / scope.hertz / 2
        at = np.maximum(start + np.arange(size) / scope.hertz, 0.0)
        idle = self.generating.idle_volts()
        end = max(float(at[-1]), float(seconds[-1])) + 1e-9
        seconds, volts = np.append(seconds, [seconds[-1] + 1e-9, end + 1e-9]), np.append(volts, [idle, idle])
        inputs = self.board.play(self.conducting(), seconds, self._w1(volts), at, float(self._w1(idle)))
        if listening:
            self.captured = [self._sampled(channel, wave) for channel, wave in enumerate(inputs)]
            self.valid = int(size * (1 - self.faults.lost))
            self.scope_state = "Armed" if self.faults.never_done else "Done"

    def _w1(self, volts: Floats | float) -> Floats:
        """[V] at W1 for what the generator is told: 14 bits, an offset and a gain of its own."""
        step = 2 * GENERATOR_VOLTS / LEVELS
        exact = np.round(np.clip(volts, -GENERATOR_VOLTS, GENERATOR_VOLTS) / step) * step
        gain = self.settings.gains[2] * self.faults.amplitude
        return np.asarray(self.settings.offsets[2] + gain * exact)

    def _sampled(self, channel: int, volts: Floats) -> Floats:
        """What a scope channel makes of its input: offset, gain, noise, 14 bits, and an end of its range."""
        reach, settings = self.scope.ranges[channel], self.settings
        noise = settings.noise * (reach / RANGES[0]) * self._random.standard_normal(len(volts))
        seen = settings.offsets[channel] + self.faults.drift + settings.gains[channel] * volts + noise
        step, middle = reach / LEVELS, self.scope.offsets[channel]
        codes = np.clip(np.round((seen - middle) / step), -LEVELS // 2, LEVELS // 2 - 1)
        return codes * step + middle

    def _show(self, volts: float) -> None:
        if self._witness is not None:
            self._witness.put("W1", volts)


def _wave(table: Floats, period: float, length: float) -> tuple[Floats, Floats]:
    """Corners [s], [V] of a table that is played over and over for `length` [s].

    Between the middles of its points the output is straight (what a filter makes of steps); points on a
    straight line are left out.
    """
    step = period / len(table)
    count = max(round(length / step), 1)
    values = np.resize(table, count)
    seconds = np.concatenate([[0.0], (np.arange(count) + 0.5) * step, [length]])
    volts = np.concatenate([values[:1], values, values[-1:]])
    bend = np.abs(np.diff(volts, 2)) > 1e-9
    bend[[0, -1]] = True  # the outer steps are half as long
    keep = np.concatenate([[True], bend, [True]])
    return seconds[keep], volts[keep]
