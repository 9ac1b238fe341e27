"""What the channels of a scope and a generator are off by, found with the board's own switches.

With all switches open no current flows, so both scope channels see what W1 gives but for the known load of
their own inputs: their offsets, and their gains against W1. With memristors connected, the current, and so
the drop over the series resistor, is 0 where the voltage is: that tells W1's own offset, and on the way
which scope channel sees the drop, so in which mode the slide switch of a V2 board stands.

Devices are looked at with 25 mV, either sign for as long, below what they have been seen to need (Knowm puts
the erase threshold at .05 to .1 V), once, and no longer than the slowest node needs to settle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from drivers.discovery.analog_discovery import BUFFER, CLOCK, FULL_VOLTS, Capture, Listening, Wave
from drivers.discovery.circuits import Node, Wiring
from labctl.errors import BoardFault
from labctl.pulse import Floats

STEP_VOLTS = 2 * FULL_VOLTS / 2**14
"""[V] of the generator's converter: levels are whole numbers of it."""
SHORTEST_LEVEL, TIME_CONSTANTS = 40e-6, 15.0
"""[s] of a level, or so many time constants of the node if that is more."""
SETTLED = 0.6
"""Part of a level that is given to settling."""
ODD_GAIN = 0.05
"""Of a scope channel against W1: beyond it something conducts that is said to be open."""
SEEN = 2e-3
"""Part of the voltage by which it must drop for a memristor to be seen: 5 Mohm behind 10 kohm."""
TELLING = 5e-3
"""Part of the voltage by which it must drop for W1's offset to be known to a millivolt."""

Play = Callable[[Wave, Listening], Capture]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is seen for what is there, of scope channels 1 and 2 in one range, and of W1."""

    offsets: tuple[float, float]
    """[V] seen at 0 V."""
    gains: tuple[float, float]
    generator: float = 0.0
    """[V] of W1 when it is told 0 V."""

    def volts(self, channel: int, seen: Floats) -> Floats:
        """[V] that are there."""
        return (seen - self.offsets[channel]) / self.gains[channel]


class How(NamedTuple):
    """How the scope is made to look."""

    volts: float
    """[V] of the levels, either sign."""
    plays: int
    """Captures that are averaged."""


OPEN = How(164 * STEP_VOLTS, 4)
"""With all switches open: nothing is exposed."""
CLOSED = How(41 * STEP_VOLTS, 1)
"""With memristors connected."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What both channels see, on average, while W1 is at a level, at 0 V, and at the level's opposite.

    In this order what a device moves meanwhile is the same for both slopes, to first order.
    """

    volts: Floats
    """[V], shape (2, 3)."""
    level: float
    """[V]"""

    def zero(self, channel: int) -> float:
        """[V] seen at a level of 0 V."""
        return float(self.volts[channel, 1])

    def slope(self, channel: int) -> float:
        """[1] seen volts over W1's."""
        return float(self.volts[channel, 0] - self.volts[channel, 2]) / (2 * self.level)


def look(play: Play, range_volts: float, slowest: float, how: How, own: float) -> Looks:
    """What both channels see while W1 goes through the levels.

    `slowest` [s] time constant of a node; `own` [V] W1's offset as far as it is known.
    """
    levels = (how.volts, 0.0, -how.volts)
    each = max(SHORTEST_LEVEL, TIME_CONSTANTS * slowest)
    length = each * len(levels)
    wave = Wave(np.repeat(levels, 512) - own, length, 1, -own)
    divider = math.ceil(length * CLOCK / BUFFER)
    listening = Listening(divider, int(length * CLOCK / divider), range_volts)
    seen = np.zeros((2, len(levels)))
    for _ in range(how.plays):
        capture = play(wave, listening)
        for level in range(len(levels)):
            begin, end = (round((level + part) * each / capture.step) for part in (SETTLED, 0.99))
            if end > len(capture.volts[0]):
                raise BoardFault("Analog Discovery: a capture for calibration lost samples")
            seen[:, level] += [float(values[begin:end].mean()) / how.plays for values in capture.volts]
    return Looks(seen, how.volts)


def at_rest(wiring: Wiring, nodes: Sequence[Node], opened: Looks, own: float) -> Calibration:
    """From a look with all switches open, with `own` [V] for the offset of W1."""
    gains = list[float]()
    for channel in (0, 1):
        share = _share(wiring, nodes, channel)
        gains.append(opened.slope(channel) / share if share > 0.0 else 1.0)
        if not abs(gains[-1] - 1) <= ODD_GAIN:
            raise BoardFault(
                f"with all switches open scope {channel + 1} sees {opened.slope(channel):.3f} of W1's voltage"
                f" instead of {share:.3f}",
                todo="a switch that conducts, another board than the bench file says, or a loose wire",
            )
    return Calibration((opened.zero(0), opened.zero(1)), (gains[0], gains[1]), own)


def with_devices(before: Calibration, opened: Looks, closed: Looks) -> Calibration:
    """With W1's own offset, if the devices that were connected conduct well enough to tell it."""
    drops = [opened.slope(channel) - closed.slope(channel) for channel in (0, 1)]
    channel = int(np.argmax(np.abs(drops)))
    if abs(drops[channel]) < TELLING:
        return before
    more = (opened.zero(channel) - closed.zero(channel)) / drops[channel]
    offsets = [opened.zero(one) - opened.slope(one) * more for one in (0, 1)]
    return replace(before, offsets=(offsets[0], offsets[1]), generator=before.generator + more)


def mode_seen(opened: Looks, closed: Looks) -> int | None:
    """The mode of a V2 board, from a look with memristors 9 to 16 connected; None: none of them conducts.

    In mode 1 they pull down the node that scope 1 sees, and scope 2 stays at W1; in mode 2 they pull
    down bus B, which scope 2 sees, and scope 1 stays at bus A.
    """
    drops = [1 - closed.slope(channel) / opened.slope(channel) for channel in (0, 1)]
    if max(drops) < SEEN:
        return None
    return 1 if drops[0] > drops[1] else 2


def _share(wiring: Wiring, nodes: Sequence[Node], channel: int) -> float:
    """[1] of W1's volts that a channel is to see with all switches open."""
    if channel == wiring.source:
        return 1.0
    node = nodes[wiring.nodes.index(channel)]
    return node.divider * node.static(0.0)
