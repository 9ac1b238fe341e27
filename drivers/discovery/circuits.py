"""The circuits of Knowm's Memristor Discovery boards: what is wired to what, and what a scope reading means.

Pure: numbers in, numbers out. All boards have one series resistor behind each driven row; where they
differ is on which side of the memristor it stands, and what the two scope channels see::

    V2, mode 1   W1 ──(scope 2)──[Ra||Rb]──(scope 1)──┬──switch k──[M k]── ground     k = 1..16
    V2, mode 2   W1 ──[Ra]──(scope 1)──┬──switches 1..8 ───[M 1..8]─── ground
                 W1 ──[Rb]──(scope 2)──┬──switches 9..16───[M 9..16]── ground
    V1, V0       W1 ──(scope 1)──switch k──[M k]──┬──(scope 2)──[Rs]── ground         k = 1..8

At the node between resistor and memristors are 180 pF and the 1 Mohm of a scope input. By Thevenin the scope
is a part of the source: a row's voltage is W1's after the divider of both resistors, its series resistor is
both in parallel, and no current of the scope's is in what a row delivers. V2 grounds the anodes: a negative
W1 raises conductances there, so W1 is driven with the opposite sign of a row's voltage.

Source: Knowm's Memristor Discovery software and its help pages (circuits, signs, parasitics, bit order).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from labctl.errors import Refused
from labctl.pulse import Floats

BoardName = Literal["v2", "v1", "v0"]
LOAD_OHMS = 1e6
"""[ohm] of a scope input."""
SENSE_FARADS = 180e-12
"""[F] at the node, cables and scope input included."""
MULTIPLEXERS = 0x1D00
"""What joins W1 and scope 1 to node A, and scope 2 to node B, on a V1 board: two bits each."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """Which of the boards it is, in all that the driver must know."""

    rows: int
    columns: int
    sign: int
    """W1 is driven with this times the voltage of the row."""
    nodes: tuple[int, ...]
    """Scope channel at the node of each row."""
    source: int | None
    """Scope channel at W1; None: none is."""
    grounded: bool
    """The series resistor stands between the memristors and ground, not between W1 and the memristors."""
    ohms: float
    """[ohm] of the series resistor as shipped."""
    rest: int = 0
    """DIO bits while all switches are open and the board is in use."""

    @property
    def switches(self) -> int:
        """DIO bits that are switches, all of them set."""
        return (1 << self.rows * self.columns) - 1

    def bits(self, places: list[tuple[int, int]]) -> int:
        """DIO bits while the memristors at these (row, column) are connected."""
        return self.rest | sum(1 << (row * self.columns + column) for row, column in places)


_SINGLE = Wiring(1, 8, sign=+1, nodes=(1,), source=0, grounded=True, ohms=10e3)
WIRINGS: dict[tuple[BoardName, int], Wiring] = {
    ("v2", 1): Wiring(1, 16, sign=-1, nodes=(0,), source=1, grounded=False, ohms=10e3),
    ("v2", 2): Wiring(2, 8, sign=-1, nodes=(0, 1), source=None, grounded=False, ohms=20e3),
    ("v1", 1): Wiring(1, 8, +1, nodes=(1,), source=0, grounded=True, ohms=1e3, rest=MULTIPLEXERS),
    ("v0", 1): _SINGLE,
}


def wiring(board: BoardName, mode: int) -> Wiring:
    """The wiring of a board in a mode; `Refused` for a mode that it does not have."""
    try:
        return WIRINGS[board, mode]
    except KeyError:
        raise Refused(
            f"mode {mode} of a {board} board", allowed="modes 1 and 2 of v2; v1 and v0 have mode 1"
        ) from None


@dataclass(frozen=True, slots=True)
class Node:
    """The node of one row: what stands around the memristors that hang on it."""

    resistor_ohms: float
    """[ohm] on the board."""
    grounded: bool
    """It stands on the side of the ground."""
    farads: float = SENSE_FARADS
    load_ohms: float = LOAD_OHMS

    @property
    def series_ohms(self) -> float:
        """[ohm] of the row: the resistor with the scope in parallel."""
        return 1 / (1 / self.resistor_ohms + 1 / self.load_ohms)

    @property
    def divider(self) -> float:
        """[1] the row's volts over W1's."""
        return 1.0 if self.grounded else self.load_ohms / (self.resistor_ohms + self.load_ohms)

    def static(self, siemens: float) -> float:
        """[1] node volts over the row's, once settled, with memristors of `siemens` altogether."""
        series = 1 / self.series_ohms
        return (siemens if self.grounded else series) / (siemens + series)

    def settling(self, siemens: float) -> float:
        """[s] its time constant; longest with no memristor connected."""
        return self.farads / (siemens + 1 / self.series_ohms)

    def volts(self, at: Floats, seconds: Floats, source: Floats, siemens: float) -> Floats:
        """[V], shape (times,): of the node at these times, by the closed form for an uncharged node.

        The source is straight between its corners (`seconds`, `source`) and ends at the last of them.
        """
        gain, tau = self.static(siemens), self.settling(siemens)
        found = np.zeros_like(at)
        begin, last = 0, len(seconds) - 2
        left = -gain * float(source[0])  # how far it is from settled, at the beginning of a segment
        for index in range(last + 1):
            start, length = float(seconds[index]), float(seconds[index + 1] - seconds[index])
            step = gain * float(source[index + 1] - source[index])
            if length == 0.0:
                left -= step
                continue
            lag = step / length * tau  # behind a slope, once the beginning is forgotten
            end = len(at) if index == last else int(np.count_nonzero(at <= seconds[index + 1]))
            since = at[begin:end] - start
            settled = gain * source[index] + lag / tau * since
            found[begin:end] = settled - lag + (left + lag) * np.exp(-since / tau)
            left = (left + lag) * math.exp(-length / tau) - lag
            begin = end
        return found

    def charging_amps(self, edges: Floats, seconds: Floats, source: Floats, siemens: float) -> Floats:
        """[A], shape (edges - 1,): into the capacitor, mean between these times, by the closed form."""
        volts = self.volts(edges, seconds, source, siemens)
        return self.farads * np.diff(volts) / np.diff(edges)

    def source_amps(self, source: Floats, node: Floats) -> Floats:
        """[A] out of the row's source, of volts `source`, with the node at `node`.

        With the resistor on the ground side, what charges the capacitor comes on top.
        """
        return (node if self.grounded else source - node) / self.series_ohms

    def conductance(self, source: Floats, node: Floats, amps: Floats) -> float:
        """[S] of the memristors, by least squares over settled samples; 0 where they say nothing."""
        across = source - node if self.grounded else node
        power = float(across @ across)
        return max(float(across @ amps) / power, 0.0) if power > 0.0 else 0.0
