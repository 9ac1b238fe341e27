"""A board that does nothing (1 x 1, its memristor a resistor that never changes), and all that do."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from labctl.board import Board
from labctl.limits import Limits
from labctl.parts import Site
from labctl.pulse import Pulse, Trace
from labctl.spec import Spec

OHMS = 10_000.0
SPEC = Spec("null", rows=1, columns=1, sites=(Site(0, 0, "W"),), series_ohms=(5_000.0, 50.0))


def spec_with(**limits: float) -> Spec:
    """The spec of the board with other limits of its site."""
    return Spec("null", 1, 1, (Site(0, 0, "W", "x", Limits(**limits)),), SPEC.series_ohms)


class NullBoard(Board):
    """Answers each pulse with its own mid-points, as if the site were `OHMS` behind its series resistors."""

    def __init__(self, spec: Spec = SPEC) -> None:
        self.spec = spec
        self._siemens = 1 / (OHMS + sum(spec.series_ohms))
        self.driven = 0

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for pulse in pulses:
            self.driven += 1
            seconds = (pulse.seconds[1:] - pulse.seconds[:-1]) * pulse.repeats
            volts = (pulse.volts[1:] + pulse.volts[:-1]) / 2
            amps = np.empty_like(volts)
            np.multiply(volts[:, 0] - volts[:, 1], self._siemens, out=amps[:, 0])
            np.negative(amps[:, 0], out=amps[:, 1])
            yield Trace(seconds, volts, amps)


# ---- the boards that keep every law ----------------------------------------------------------

CIRCUITS: dict[str, dict[str, Any]] = {
    "selector-1x1": {"layout": "selector", "columns": 1},
    "selector-1x16": {"layout": "selector", "columns": 16},
    "crossbar-4x4": {"layout": "crossbar", "rows": 4, "columns": 4, "wire": "10 ohm", "series": "2 kohm"},
    "tile-4x3": {
        "layout": "crossbar",
        "switched": True,
        "dopant": "W",
        "rows": 4,
        "columns": 3,
        "series": "50 ohm",
        "switch": "50 ohm",
        "wire": "1 ohm",
    },
    "network": {"layout": "network"},
}
CROSSBARS = ("crossbar-4x4", "tile-4x3")


def compact(circuit: str, **settings: Any) -> Board:
    """The fast twin of one of `CIRCUITS`."""
    from labctl.config import build
    from sim_backend.compact import CompactBoard

    return CompactBoard(build(CIRCUITS[circuit] | settings, CompactBoard.Settings, "test"))


def ngspice(circuit: str, **settings: Any) -> Board:
    """The ngspice board of one of `CIRCUITS`."""
    from labctl.config import build
    from sim_backend.ngspice import NgspiceBoard

    return NgspiceBoard(build(CIRCUITS[circuit] | settings, NgspiceBoard.Settings, "test"))


def large(circuit: str, **settings: Any) -> Board:
    """One of `CROSSBARS`, solved as large ones are."""
    from labctl.config import build
    from sim_backend.crossbar_board import CrossbarBoard

    return CrossbarBoard(build(CIRCUITS[circuit] | settings, CrossbarBoard.Settings, "test"))


def selectors(columns: int, count: int, engine: str = "compact:CompactBoard", **settings: Any) -> list[Any]:
    """Parts of a stack: selectors, as its file names them."""
    table = {"layout": "selector", "columns": columns, **settings}
    kind = f"sim_backend.{engine}"
    return [{"class": kind, "board": table | {"seed": seed}} for seed in range(count)]


STACKS: dict[str, dict[str, Any]] = {
    "2x16": {"parts": selectors(16, 2)},
    "1x30": {"parts": selectors(30, 1), "together": True},
    "ngspice": {"parts": selectors(3, 2, "ngspice:NgspiceBoard"), "sizes": [2, 2, 1]},
}


def stacked(stack: str, **settings: Any) -> Board:
    """One of `STACKS`."""
    from labctl.config import build
    from labctl.stacked import StackedBoard

    return StackedBoard(build(STACKS[stack] | settings, StackedBoard.Settings, "test"))


BOARDS: dict[str, Callable[[], Board]] = {
    f"{make.__name__}-{circuit}": partial(make, circuit)
    for make, circuits in ((compact, CIRCUITS), (ngspice, CIRCUITS), (large, CROSSBARS), (stacked, STACKS))
    for circuit in circuits
}
"""Every board that there is, by name, each made anew: a new backend is one line here."""
