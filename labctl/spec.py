"""What a board is, and what must never be asked of it.

A `Spec` is all that the rest of the house knows of a board: its lines, its sites, its resistors
and its limits. `Spec.check` is the one gate that every pulse passes: a whole list at a time, first
a screening of the extremes over the list, and only if that is not enough, site by site.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from labctl.errors import LimitExceeded, Refused
from labctl.objections import objections
from labctl.parts import Neuron, Shapes, Site
from labctl.pulse import Bools, Floats, Indices, Pulse
from labctl.screening import suspects

TWO_ENDS = 2
"""Sources of a single current."""


@dataclass(frozen=True)
class Spec:
    """What a board is. Lines are counted rows first, then columns."""

    name: str
    rows: int
    columns: int
    sites: tuple[Site, ...]
    series_ohms: tuple[float, ...]
    """[ohm], one a line: series resistor and switches between its source and the sites."""
    wire_ohms: float = 0.0
    """[ohm] at most between two crossings of one line."""
    source_volts: float = 10.0
    """[V] highest voltage, of either sign, that any line may have against ground."""
    shortest_pulse: float = 1e-6
    """[s]"""
    longest_pulse: float = 100.0
    """[s]"""
    shapes: Shapes = Shapes.ANY
    edge_seconds: float = math.inf
    """[s] longest edge between two levels, for sources that only make levels."""
    isolating: bool = True
    """Every site has its switch: what is on an open line sees no voltage."""
    shared_sources: tuple[tuple[int, ...], ...] = ()
    """Lines that can only be driven with one and the same voltage at a time."""
    grounded: tuple[int, ...] = ()
    """Lines that can be held at 0 V or left open, nothing else."""
    sensed: tuple[int, ...] | None = None
    """Lines whose current is measured; None: all."""
    reads_forward_only: bool = False
    """A negative voltage across a site gives no current that could be measured."""
    neurons: tuple[Neuron, ...] = ()
    """First layer first."""
    window: tuple[float, float] | None = None
    """[S] lowest and highest conductance that its sites are to be programmed to."""
    noise_amps: float = 0.0
    """[A] standard deviation of one current sample that stands for `noise_seconds`."""
    noise_floor_amps: float = 1e-9
    """[A] a current below this cannot be told from none."""
    settle_seconds: float = 0.0
    """[s] waited for switches before a pulse."""
    response_seconds: float = 0.0
    """[s] time constant of its slowest node: what is read within a few of these is not settled."""
    link_seconds: float = 0.0
    """[s] spent for one call on the way to the instrument and back."""
    samples: int = 1
    """Fewest samples that a trace of one pulse has."""
    accuracy: float = 0.01
    """[1] Most by which a mean voltage, or the current of a steady device, may be off."""
    spread: float = 0.05
    """[1] Most by which the conductances, or the energies, of two equal programmings may differ."""

    def __post_init__(self) -> None:
        """Refuse a board that contradicts itself."""
        if len(self.series_ohms) != self.lines:
            raise Refused(f"{self.name}: {len(self.series_ohms)} series resistances for {self.lines} lines")
        if not all(0 <= ohms < math.inf for ohms in self.series_ohms):
            raise Refused(f"{self.name}: series resistances of {self.series_ohms} ohm", allowed="0 or more")
        if not 0 <= self.wire_ohms < math.inf:
            raise Refused(f"{self.name}: wires of {self.wire_ohms} ohm", allowed="0 or more")
        for site in self.sites:
            if not (0 <= site.row < self.rows and 0 <= site.column < self.columns):
                raise Refused(f"{self.name}: site ({site.row}, {site.column}) is on no line of this board")
        if len({(site.row, site.column) for site in self.sites}) != len(self.sites):
            raise Refused(f"{self.name}: two sites at one crossing")

    @property
    def lines(self) -> int:
        """Rows and columns together."""
        return self.rows + self.columns

    def site_at(self, row: int, column: int) -> int:
        """Index in `sites` of the memristor at that crossing."""
        try:
            return self._index[row, column]
        except KeyError:
            raise Refused(
                f"{self.name} has no site at row {row}, column {column}",
                allowed=f"rows 0..{self.rows - 1} and columns 0..{self.columns - 1}, where there is one",
            ) from None

    def label(self, site: int) -> str:
        """What to call a site in front of a person."""
        found = self.sites[site]
        return found.label or f"({found.row}, {found.column})"

    @property
    def neurons_told(self) -> str:
        """Whose answers they are, for a person."""
        computed = any(neuron.computed for neuron in self.neurons)
        return "by neurons computed from its currents" if computed else "on the chip's own neurons"

    def computing(self, driven: Bools) -> bool:
        """True where the pulse drives rows and leaves all columns to the neurons: inference."""
        if not self.neurons:
            return False
        key = driven.tobytes()
        if key not in self._computing:
            self._computing[key] = bool(driven.any()) and not driven[self.rows :].any()
        return self._computing[key]

    def series(self, driven: Bools) -> Floats:
        """[ohm], shape (lines,): between sources and sites while these lines are driven."""
        return self._none if self.computing(driven) else self._series

    def connected(self, driven: Bools) -> Indices:
        """Indices of the sites that have both lines driven, or that the neurons read."""
        key = driven.tobytes()
        if key not in self._connected:
            rows, columns = self._rows_and_columns
            both = np.flatnonzero(driven[rows] & driven[columns])
            self._connected[key] = np.arange(len(self.sites)) if self.computing(driven) else both
        return self._connected[key]

    def target(self, pulse: Pulse) -> int | None:
        """The one site that sees the highest voltage, which the pulse is therefore for; None: several."""
        connected = self.connected(pulse.driven)
        if len(connected) == 1:
            return int(connected[0])
        if len(connected) == 0 or self.computing(pulse.driven):
            return None
        peaks = np.abs(self.across(pulse, connected)).max(axis=0)
        highest = np.flatnonzero(peaks == peaks.max())
        return int(connected[highest[0]]) if len(highest) == 1 else None

    def worst_joules(self, pulse: Pulse) -> float:
        """[J] the sources could deliver to this pulse if every site that sees it had its least resistance."""
        exposed = self.exposed(pulse)
        if len(exposed) == 0:
            return 0.0
        volts = np.abs(self.across(pulse, exposed))
        steps = np.diff(pulse.seconds)[:, None]
        squares = (volts[:-1] ** 2 + volts[:-1] * volts[1:] + volts[1:] ** 2) / 3
        ohms = self.loop_ohms(pulse.driven, exposed)
        return float(np.sum(steps * squares / ohms)) * pulse.repeats

    def most_joules(self, pulse: Pulse) -> float:
        """[J] at least `worst_joules`, at a fraction of its price: the highest voltage all the time."""
        if self.computing(pulse.driven):
            return self.worst_joules(pulse)
        key = pulse.driven.tobytes()
        if key not in self._siemens:
            exposed = self.exposed(pulse)
            self._siemens[key] = float(np.sum(1 / self.loop_ohms(pulse.driven, exposed)))
        highest = float(np.maximum.reduce(pulse.volts, axis=None, initial=0.0))
        lowest = float(np.minimum.reduce(pulse.volts, axis=None, initial=0.0))
        return (highest - lowest) ** 2 * self._siemens[key] * pulse.duration

    # ---- the gate -------------------------------------------------------------------------

    def check(self, pulses: Sequence[Pulse]) -> None:
        """Refuse the whole list if any of its pulses must not be driven (`LimitExceeded`)."""
        for index in suspects(self, pulses):
            with np.errstate(all="ignore"):  # what overflows fails a comparison
                wrong, allowed = next(objections(self, pulses[index]), ("", ""))
            if wrong:
                raise LimitExceeded(
                    f"pulse {index + 1} of {len(pulses)} ({pulses[index].purpose}) on {self.name}: {wrong}",
                    allowed=allowed,
                    saved="all that was measured before",
                    todo="change the pulse: nothing of the list was driven, and software raises no limits",
                )

    def exposed(self, pulse: Pulse) -> Indices:
        """Sites that see a voltage: the connected ones, and all of them where nothing isolates."""
        if self.isolating or not pulse.driven.any():
            return self.connected(pulse.driven)
        return np.arange(len(self.sites))

    def loose(self, driven: Bools, sites: Indices) -> Bools:
        """Shape (sites,): those with a line that nobody holds; what they see may have either sign."""
        rows, columns = (index[sites] for index in self._rows_and_columns)
        return np.logical_not(driven[rows] & driven[columns] | self.computing(driven))

    def shared(self, driven: Bools) -> bool:
        """Whether several currents flow: then one can go round the resistors that are to limit another."""
        return int(np.count_nonzero(driven)) > TWO_ENDS and not self.computing(driven)

    def rails(self, driven: Bools, site: int) -> tuple[float, float]:
        """[V] lowest and highest that a neuron can put on this site's row; 0 where none drives it."""
        if not self.computing(driven):
            return 0.0, 0.0
        driving = (neuron for neuron in self.neurons if neuron.output == self.sites[site].row)
        return next(((neuron.low_volts, neuron.high_volts) for neuron in driving), (0.0, 0.0))

    def across(self, pulse: Pulse, sites: Indices) -> Floats:
        """[V], shape (corners, sites): from row to column, series resistors included.

        A site with a line that nobody holds can, through its neighbours, see no more than the spread
        of the driven lines; where neurons hold the columns, the columns are at 0 V and the lines that
        neurons drive at their rails.
        """
        rows, columns = (index[sites] for index in self._rows_and_columns)
        volts = pulse.volts
        if self.computing(pulse.driven):
            volts = volts.copy()
            for neuron in self.neurons:
                volts[:, neuron.output] = max(neuron.high_volts, neuron.low_volts, key=abs)
            return volts[:, rows]
        across = volts[:, rows] - volts[:, columns]
        loose = self.loose(pulse.driven, sites)
        if loose.any():
            held = volts[:, pulse.driven]
            across[:, loose] = (held.max(axis=1) - held.min(axis=1))[:, None]
        return across

    def loop_ohms(self, driven: Bools, sites: Indices) -> Floats:
        """[ohm], shape (sites,): what is surely between the sources of a site: its least resistance.

        Between two sources there is but one current, of which no site gets more than all, so their
        resistors count too, for every site between them. Other currents may go round theirs (`labctl.sneak`).
        """
        least = np.array([self.sites[index].limits.least_ohms for index in map(int, sites)])
        return least if self.shared(driven) else least + self.series(driven)[driven].sum()

    # ---- looked up often, worked out once ---------------------------------------------------

    @cached_property
    def _index(self) -> dict[tuple[int, int], int]:
        return {(site.row, site.column): index for index, site in enumerate(self.sites)}

    @cached_property
    def most_siemens(self) -> float:
        """[S] of all sites side by side, each with its least resistance, no series resistors."""
        return sum(1 / site.limits.least_ohms for site in self.sites)

    @cached_property
    def highest_rail(self) -> float:
        """[V] the highest, of either sign, that a neuron can put on a row."""
        return max((max(abs(n.low_volts), abs(n.high_volts)) for n in self.neurons), default=0.0)

    @cached_property
    def _computing(self) -> dict[bytes, bool]:
        return {}

    @cached_property
    def _siemens(self) -> dict[bytes, float]:
        return {}

    @cached_property
    def _none(self) -> Floats:
        return np.zeros(self.lines)

    @cached_property
    def _connected(self) -> dict[bytes, Indices]:
        return {}

    @cached_property
    def clearances(self) -> dict[bytes, tuple[float, float]]:
        """What `labctl.screening` has worked out for these driven lines."""
        return {}

    @cached_property
    def _series(self) -> Floats:
        return np.array(self.series_ohms)

    @cached_property
    def _rows_and_columns(self) -> tuple[Indices, Indices]:
        rows = np.array([site.row for site in self.sites], dtype=np.intp)
        columns = np.array([self.rows + site.column for site in self.sites], dtype=np.intp)
        return rows, columns
