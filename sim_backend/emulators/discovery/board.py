"""A Memristor Discovery board that is not there: devices, switches, series resistors, the node between them.

Each row of the board is a chip of the fast twin behind its resistor. The load of the scope input (1 Mohm)
is taken into the source by Thevenin, so that the devices are integrated exactly; the node's voltage at the
scope's samples then follows from their conductance over time and one linear equation with the 180 pF. On
V1 and V0 the resistor is on the other side of the memristor: the same circuit, driven from its column.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats, Pulse, Purpose
from sim_backend.compact import CompactBoard
from sim_backend.jit import kernel
from sim_backend.settings import SimulatedSettings

READ_VOLTS = 0.12
"""[V] Up to this a waveform reads: what is drawn for each writing pulse is not drawn for it."""
FAINT = 1e-3
"""Part of the highest voltage below which a conductance is not taken from a sample."""


class Kind(NamedTuple):
    """One of the boards."""

    rows: int
    columns: int
    scopes: tuple[int, ...]
    """What channels 1 and 2 look at: the node of that row, or -1: W1."""
    grounded: bool
    """The series resistor stands between memristor and ground."""
    sign: int
    """Volts from row to column of a device that conducts better for it, over volts of W1."""
    multiplexers: int
    """DIO bits that must stand so for W1 and the scope to be connected; they are not switches."""
    ohms: float


KINDS: dict[tuple[str, int], Kind] = {
    ("v2", 1): Kind(1, 16, (0, -1), False, -1, 0, 10e3),
    ("v2", 2): Kind(2, 8, (0, 1), False, -1, 0, 20e3),
    ("v1", 1): Kind(1, 8, (-1, 0), True, +1, 0x1D00, 1e3),
    ("v0", 1): Kind(1, 8, (-1, 0), True, +1, 0, 10e3),
}


class Row(CompactBoard):
    """The memristors of one row and the node that they hang on."""

    def __init__(self, settings: SimulatedSettings, grounded: bool, load_ohms: float) -> None:
        thevenin = 1 / (1 / settings.series + 1 / load_ohms)
        super().__init__(settings.model_copy(update={"series": thevenin}))
        self._open()
        self._grounded = grounded
        self._divided = 1.0 if grounded else thevenin / settings.series
        self._thevenin = thevenin

    def play(self, closed: Sequence[int], seconds: Floats, source: Floats, at: Floats, idle: float) -> Floats:
        """[V], shape (times,): of the node at these times, while the source follows its corners.

        `source` (corners,) [V], straight between `seconds` (corners,) [s] from 0, after it stood at
        `idle` [V]. States move.
        """
        siemens = np.zeros_like(at)
        if closed:
            times, conductance = self._conductance(closed, seconds, source)
            siemens = np.interp(at, times, conductance)
        else:
            self._chip.pass_time(float(seconds[-1]))
        level = self._divided * np.interp(at, seconds, source)
        node = np.empty_like(at)
        farads = self._parasitics.sense_farads
        before = self._divided * idle
        follow(at, level, siemens, 1 / self._thevenin, farads, self._grounded, before, node)
        return node

    def rest(self, seconds: float) -> None:
        """Nothing is connected for so long."""
        self._chip.pass_time(seconds)

    def states(self) -> Floats:
        """The devices' states, shape (columns,): for tests and for a look from outside."""
        return self._chip.x.copy()

    def _conductance(self, closed: Sequence[int], seconds: Floats, source: Floats) -> tuple[Floats, Floats]:
        """[s] and [S], shape (samples,): of all connected devices and their switches together."""
        volts, driven = np.zeros((len(seconds), self.spec.lines)), np.zeros(self.spec.lines, dtype=np.bool_)
        lines = [1 + column for column in closed]
        driven[[0, *lines]] = True
        if self._grounded:
            volts[:, lines] = -source[:, None]
        else:
            volts[:, 0] = self._divided * source
        writes = float(np.abs(source).max()) > READ_VOLTS
        pulse = Pulse(seconds, volts, driven, Purpose.PROGRAM if writes else Purpose.READ)
        (trace,) = self._drive([pulse])
        node = trace.volts[:, 0] - trace.amps[:, 0] * self._thevenin
        across, amps = node - trace.volts[:, lines[0]], -trace.amps[:, lines].sum(axis=1)
        clear = np.abs(across) > FAINT * max(float(np.abs(across).max()), 1e-9)
        if not clear.any():
            return seconds[:1], np.zeros(1)
        return _times(trace.seconds)[clear], amps[clear] / across[clear]


class DiscoveryBoard:
    """All rows of a board, their one source W1, and what the two scope channels see."""

    def __init__(self, kind: Kind, settings: SimulatedSettings, load_ohms: float) -> None:
        self.kind = kind
        self.rows = [Row(_part(settings, kind, row), kind.grounded, load_ohms) for row in range(kind.rows)]

    def play(self, bits: int, seconds: Floats, w1: Floats, at: Floats, idle: float) -> list[Floats]:
        """[V] of both scope inputs at these times; W1 (corners,) [V] is straight between `seconds`."""
        kind = self.kind
        joined = bits & 0xFF00 == kind.multiplexers if kind.multiplexers else True
        source = kind.sign * joined * w1
        nodes = [
            row.play(self._closed(bits, index), seconds, source, at, kind.sign * joined * idle)
            for index, row in enumerate(self.rows)
        ]
        inputs = {-1: np.interp(at, seconds, source), **dict(enumerate(nodes))}
        return [kind.sign * inputs[scope] for scope in kind.scopes]

    def rest(self, seconds: float) -> None:
        """Nothing is driven for so long."""
        for row in self.rows:
            row.rest(seconds)

    def states(self) -> Floats:
        """The devices' states, shape (sites,), row after row."""
        return np.concatenate([row.states() for row in self.rows])

    def _closed(self, bits: int, row: int) -> list[int]:
        first = row * self.kind.columns
        return [column for column in range(self.kind.columns) if bits >> (first + column) & 1]


@kernel
def follow(
    at: Floats, level: Floats, siemens: Floats, series: float, farads: float, grounded: bool, idle: float,
    out: Floats,
) -> None:  # fmt: skip
    """The node's voltage at times `at` [s] for Thevenin volts `level` and device conductance: exact steps.

    Between two times the settled voltage is taken as straight and the sum of conductances as constant.
    At the first the node is where `idle` volts had left it.
    """
    drive = siemens[0] if grounded else series
    total = siemens[0] + series
    settled, now = level[0] * drive / total, idle * drive / total
    out[0] = now
    for k in range(1, len(at)):
        drive = siemens[k] if grounded else series
        total = siemens[k] + series
        later = level[k] * drive / total
        if farads > 0.0:
            steps = (at[k] - at[k - 1]) * total / farads
            decay = exp(-steps)
            lag = (later - settled) * (1.0 - decay) / steps if steps > 1e-9 else 0.0
            now = later + (now - settled) * decay - lag
        else:
            now = later
        settled = later
        out[k] = now


def _times(weights: Floats) -> Floats:
    """[s] of each sample of a solved pulse: weights are Simpson's, one step after the other."""
    lengths = 1.5 * weights[1::2]
    ends = np.cumsum(lengths)
    times = np.zeros(len(weights))
    times[1::2], times[2::2] = ends - lengths / 2, ends
    return times


def _part(settings: SimulatedSettings, kind: Kind, row: int) -> SimulatedSettings:
    """Settings of the chip of one row: each its own draw and its own memory."""
    memory = settings.memory
    if memory is not None and kind.rows > 1:
        memory = str(Path(f"{memory}-{'ab'[row]}"))
    return settings.model_copy(
        update={"columns": kind.columns, "seed": settings.seed + row, "memory": memory}
    )
