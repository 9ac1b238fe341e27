"""A switched crossbar of resistors that pulses move, by one dense nodal matrix: a witness and a fast fake."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from labctl.board import Board
from labctl.config import Count, Ohms, Section, Siemens
from labctl.parts import Site
from labctl.pulse import Floats, Indices, Pulse, Purpose, Trace
from labctl.spec import Spec

RATE = 1e5
"""[1/s] of ln G under 0 V and above; e times as fast for each `E_FOLD` more."""
E_FOLD = 0.05


class SwitchedSettings(Section):
    """Of the fake."""

    rows: Count = 8
    columns: Count = 8
    series: Ohms = 50.0
    switch: Ohms = 75.0
    wire: Ohms = 2.0
    window: tuple[Siemens, Siemens] | None = (1e-5, 1e-4)
    read_noise: float = 0.0
    seed: int = 0
    memory: str | None = None


class SwitchedBoard(Board):
    """Rows driven at column 0 behind `series`, columns at 0 V at row 0 behind `switch`."""

    Settings = SwitchedSettings

    def __init__(self, settings: SwitchedSettings) -> None:
        self._settings, rows, columns = settings, settings.rows, settings.columns
        self.spec = Spec(
            "switched",
            rows,
            columns,
            tuple(Site(row, column, "W") for row in range(rows) for column in range(columns)),
            (settings.series,) * rows + (settings.switch,) * columns,
            window=settings.window,
            noise_floor_amps=1e-12,
        )
        self._draw = np.random.default_rng(settings.seed)
        low, high = settings.window or (1e-5, 1e-4)
        self.siemens = self._draw.uniform(low, high, (rows, columns))
        self._memory = Path(settings.memory) if settings.memory else None

    def _open(self) -> None:
        if self._memory is not None and self._memory.exists():
            self.siemens = np.load(self._memory)

    def _close(self) -> None:
        if self._memory is not None:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            with self._memory.open("wb") as file:
                np.save(file, self.siemens)

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for pulse in pulses:
            seconds = np.diff(pulse.seconds) * pulse.repeats
            volts = (pulse.volts[1:] + pulse.volts[:-1]) / 2 * pulse.driven
            if pulse.purpose in (Purpose.PROGRAM, Purpose.RESET):
                self._move(pulse, seconds, volts)
            noise = 1 + self._settings.read_noise * self._draw.standard_normal(self.siemens.shape)
            yield Trace(seconds, volts, volts @ self._response(pulse, self.siemens * noise).T)

    def _move(self, pulse: Pulse, seconds: Floats, volts: Floats) -> None:
        place = self.spec.sites[self.spec.target(pulse) or 0]
        across = volts[:, place.row] - volts[:, self.spec.rows + place.column]
        rates = np.sign(across) * RATE * (np.exp(np.abs(across) / E_FOLD) - 1) * 1e-3
        self.siemens[place.row, place.column] *= float(np.exp(np.clip(seconds @ rates, -3, 3)))

    def _response(self, pulse: Pulse, siemens: Floats) -> Floats:
        """[S], shape (lines, lines): current into each line for 1 V on each, by a dense nodal matrix."""
        if len(one := self.spec.connected(pulse.driven)) == 1:
            return self._path(int(one[0]), siemens)
        spec, nodes = self.spec, self._wires.copy()
        tops, bottoms = _nodes(spec.rows, spec.columns)
        rows, columns = pulse.driven[: spec.rows], pulse.driven[spec.rows :]
        on = np.outer(rows, columns)
        _join(nodes, tops[on], bottoms[on], siemens[on])
        inner = np.concatenate([tops[rows].ravel(), bottoms[:, columns].ravel()])  # all others float
        outer = 2 * tops.size + np.flatnonzero(pulse.driven)
        through = np.linalg.solve(nodes[np.ix_(inner, inner)], nodes[np.ix_(inner, outer)])
        found = np.zeros((spec.lines, spec.lines))
        found[np.ix_(pulse.driven, pulse.driven)] = (
            nodes[np.ix_(outer, outer)] - nodes[np.ix_(outer, inner)] @ through
        )
        return found

    def _path(self, site: int, siemens: Floats) -> Floats:
        """The same for one device: a sum of resistances, and no matrix."""
        how, place = self._settings, self.spec.sites[site]
        ohms = how.series + how.switch + how.wire * (place.row + place.column)
        found = np.zeros((self.spec.lines, self.spec.lines))
        ends = np.ix_([place.row, self.spec.rows + place.column], [place.row, self.spec.rows + place.column])
        found[ends] = np.array([[1, -1], [-1, 1]]) / (ohms + 1 / siemens[place.row, place.column])
        return found

    @cached_property
    def _wires(self) -> Floats:
        """All but the devices: nodes of rows, nodes of columns, ends of lines."""
        how, (rows, columns) = self._settings, (self.spec.rows, self.spec.columns)
        tops, bottoms = _nodes(rows, columns)
        ends = 2 * rows * columns + np.arange(rows + columns)
        nodes = np.zeros((2 * rows * columns + rows + columns,) * 2)
        for a, b, ohms in (
            (ends[:rows], tops[:, 0], how.series),
            (ends[rows:], bottoms[0], how.switch),
            (tops[:, :-1], tops[:, 1:], how.wire),
            (bottoms[:-1], bottoms[1:], how.wire),
        ):
            _join(nodes, a.ravel(), b.ravel(), 1 / max(ohms, 1e-3))
        return nodes


def _nodes(rows: int, columns: int) -> tuple[Indices, Indices]:
    numbers = np.arange(2 * rows * columns).reshape(2, rows, columns)
    return numbers[0], numbers[1]


def _join(nodes: Floats, a: Indices, b: Indices, siemens: Floats | float) -> None:
    for one, other, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
        np.add.at(nodes, (one, other), sign * siemens)
