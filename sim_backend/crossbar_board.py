"""Crossbars of any size on the fast twin: one device or all of them, through exact wires.

With a switch at every crossing (1T1R, `switched = true`) a selected device is one path, integrated by the
kernel of all selectors. Whatever drives several lines connects every device between them: the crossbar
package solves that, at 128 x 128 as at 4 x 4, where the dense kernel of `CompactBoard` ends at about 16 x 16.
Bare crossbars are connected at every pulse. Nothing else differs from the other simulated boards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from labctl.pulse import Floats, Pulse
from sim_backend.compact import CompactBoard
from sim_backend.crossbar_drive import Circuit, Drive, Moment, places_of, prepare
from sim_backend.settings import SimulatedSettings
from sim_backend.simulated import Samples


class CrossbarSettings(SimulatedSettings):
    """The `[board]` table of a bench file for a large crossbar."""

    layout: Literal["crossbar"] = "crossbar"  # pyright: ignore[reportIncompatibleVariableOverride] - narrower


class CrossbarBoard(CompactBoard):
    """A crossbar, however large."""

    Settings = CrossbarSettings

    def __init__(self, settings: CrossbarSettings) -> None:
        super().__init__(settings)
        self._circuits: dict[bytes, Circuit] = {}
        self._prepared: tuple[Floats, Floats] | None = None
        self._places = places_of(self.spec)

    def _solve_array(self, pulses: Sequence[Pulse], sites: Sequence[int], rows: Floats) -> Iterator[Samples]:
        circuit, places = self._circuit(pulses[0], sites), np.asarray(sites, dtype=np.intp)
        x = self._chip.x[places]
        drives = [Drive(circuit, x, self._ready(row)) for row in rows]
        for index, pulse in enumerate(pulses):
            moments = drives[min(index, len(drives) - 1)].through(pulse)
            self._chip.x[places] = x
            yield _samples(moments)

    def _ready(self, rows: Floats) -> Floats:
        """Parameters (sites, parameters) for the equations; a steady chip's are the same at every pulse."""
        if self._prepared is None or not np.array_equal(self._prepared[0], rows):
            self._prepared = rows, prepare(rows)
        return self._prepared[1]

    def _circuit(self, pulse: Pulse, sites: Sequence[int]) -> Circuit:
        key = pulse.driven.tobytes()
        if key not in self._circuits:
            if len(self._circuits) >= MOST_CIRCUITS:
                self._circuits.clear()
            connected = self._places[np.asarray(sites, dtype=np.intp)]
            self._circuits[key] = Circuit(self.spec, self._parasitics.wire_ohms, pulse.driven, connected)
        return self._circuits[key]


MOST_CIRCUITS = 16
"""That are kept: a bare crossbar has one for each site that is selected."""


def _samples(moments: Sequence[Moment]) -> Samples:
    seconds = np.array([moment.seconds for moment in moments])
    volts = np.array([moment.look.volts for moment in moments])
    amps = np.array([moment.look.amps for moment in moments])
    return Samples(seconds, volts, amps)
