"""The spec of a Memristor Discovery board: what it promises follows from its resistor and its scope."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from drivers.discovery.circuits import Node, Wiring
from drivers.discovery.waves import BINS
from labctl.layouts import WINDOWS
from labctl.parts import Site
from labctl.spec import Spec

if TYPE_CHECKING:
    from drivers.discovery.settings import DiscoverySettings

SOURCE_VOLTS = 4.8
"""[V] W1 gives 5 V, of which some make up for its offset and for the divider of the scope."""
SHORTEST = 1e-6
"""[s] 100 samples of the scope, 100 steps of the generator."""
STEP_VOLTS = 5.0 / 2**14
"""[V] of a scope channel in the fine range."""
READ_SAMPLES = 2000
"""Of a read that lasts twelve time constants of 10 kohm and 180 pF."""
ACCURACY = 0.04
"""[1] Of the smallest reads, 12.5 mV: half a step of the generator is 2.4 % of it; W1's
offset is known to 0.1 mV, 0.8 %. Large ones are as good as the resistors and W1's gain: 1 % and 0.5 %."""
LINK_SECONDS = 2e-3
"""[s] for one list: a dozen USB transfers."""


def spec_of(settings: DiscoverySettings, wiring: Wiring, node: Node) -> Spec:
    """The board that a settings table describes."""
    limits, ohms = settings.limits.limits(), node.series_ohms
    sample = math.hypot(settings.scope_noise, STEP_VOLTS / math.sqrt(12)) * math.sqrt(2) / ohms
    places = [(row, column) for row in range(wiring.rows) for column in range(wiring.columns)]
    rows, columns = range(wiring.rows), range(wiring.rows, wiring.rows + wiring.columns)
    return Spec(
        name=f"discovery-{settings.board}-mode{settings.mode}",
        rows=wiring.rows,
        columns=wiring.columns,
        sites=tuple(
            Site(row, column, settings.dopant, f"M{row * wiring.columns + column + 1}", limits)
            for row, column in places
        ),
        series_ohms=(*[ohms] * wiring.rows, *[settings.switch] * wiring.columns),
        source_volts=SOURCE_VOLTS,
        shortest_pulse=SHORTEST,
        shared_sources=(tuple(rows),) if wiring.rows > 1 else (),
        grounded=tuple(columns),
        sensed=tuple(rows),
        window=settings.window or WINDOWS.get(settings.dopant),
        noise_amps=sample / math.sqrt(READ_SAMPLES / BINS),
        noise_floor_amps=3 * sample / math.sqrt(READ_SAMPLES / 4),
        settle_seconds=settings.settle,
        response_seconds=node.settling(0.0),
        link_seconds=LINK_SECONDS,
        accuracy=ACCURACY,
    )
