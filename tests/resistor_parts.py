"""A selector whose devices are resistors, which remembers what it was told and fails where it is told to."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field

from labctl.board import Board
from labctl.config import Section
from labctl.errors import BoardGone, LimitExceeded, Outputs
from labctl.layouts import Circuit, crossbar, selector
from labctl.pulse import Flag, Pulse, Trace


class ResistorSettings(Section):
    """What the test makes of a part."""

    siemens: tuple[float, ...]
    changes: dict[str, Any] = Field(default_factory=dict)
    """Of its spec."""
    refuses: bool = False
    fails_at: int = -1
    """Pulse, counted over all lists, that it fails at."""
    opens: bool = True
    safe: str = "off"
    flags: int = 0
    layout: str = "selector"
    wired: str = "right"


class Resistors(Board):
    """A selector whose devices are resistors, which remembers what it was told."""

    Settings = ResistorSettings

    def __init__(self, settings: ResistorSettings) -> None:
        count = len(settings.siemens)
        made = selector(count, Circuit()) if settings.layout == "selector" else crossbar(1, count, Circuit())
        self.spec = replace(made, **settings.changes)
        self._settings = settings
        self.pulses, self.traces = list[Pulse](), list[Trace]()
        self.lists = 0
        self.open = False

    def _open(self) -> None:
        if not self._settings.opens:
            raise BoardGone("nobody at that address")
        self.open = True

    def _close(self) -> None:
        self.open = False

    def _make_safe(self) -> Outputs:
        return Outputs(self._settings.safe)

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        if self._settings.refuses:
            raise LimitExceeded("it does not like the pulse")
        self.lists += 1
        for pulse in pulses:
            if len(self.pulses) == self._settings.fails_at:
                raise BoardGone("the plug was pulled")
            trace = self._measured(pulse)
            self.pulses.append(pulse)
            self.traces.append(trace)
            yield trace

    def _measured(self, pulse: Pulse) -> Trace:
        """Ohm's law behind the series resistor, each device behind its switch."""
        volts = (pulse.volts[1:] + pulse.volts[:-1]) / 2
        closed = pulse.driven[1:] & pulse.driven[0]
        series, switches = self.spec.series_ohms[0], np.array(self.spec.series_ohms[1:])
        ohms = 1 / np.maximum(self._settings.siemens, 1e-12) + switches
        node = volts[:, :1] / (1 + series * (closed / ohms).sum())
        out = node * closed / ohms
        amps = np.column_stack([out.sum(axis=1), -out])
        if self.spec.sensed is not None:
            amps[:, [line for line in range(self.spec.lines) if line not in self.spec.sensed]] = 0.0
        amps *= -1 if self._settings.wired == "backwards" else 1
        seconds = np.diff(pulse.seconds) * pulse.repeats
        return Trace(seconds, volts, amps, Flag(self._settings.flags), settle_seconds=1e-5, link_seconds=1e-4)
