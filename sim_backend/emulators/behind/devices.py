"""Simulated devices behind terminals: a `CompactBoard` whose pulses have no beginning and no end.

A board starts each list of pulses with its sense node at 0 V, and knows limits; the terminals of an
instrument hold one level after the other, whatever that does to the device. The chip, the circuit and the
kernel are the board's own. What the samples of a current would have of noise is left to the instrument.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from labctl.errors import BadConfig
from labctl.pulse import Bools, Floats, Indices, Pulse, Purpose
from sim_backend import path_kernel
from sim_backend.compact import TOLERANCE, Chain, CompactBoard
from sim_backend.devices.equations import prepared
from sim_backend.emulators.behind.limited import LimitedDevice
from sim_backend.emulators.behind.load import Held, Load
from sim_backend.settings import SimulatedSettings
from sim_backend.simulated import Samples

READ_VOLTS = 0.12
"""[V] Up to this a level reads: what is drawn for each writing pulse is not drawn for it."""
MARGIN = 1 + 1e-9
"""Of a limit, for rounding."""
SHORTEST = 1e-6
"""Of a level, that it is cut to at least: where the limit is met at once."""
MOMENT = 1e-12
"""[s] In which no device moves."""


class DeviceLoad(Load):
    """Columns of simulated devices."""

    def __init__(self, settings: SimulatedSettings) -> None:
        if settings.layout != "selector":
            raise BadConfig(
                f"a {settings.layout} has more than two terminals",
                allowed='layout = "selector": an instrument has two, and switches reach one device at a time',
            )
        self._board = _Behind(settings)
        self._board.warm_up()
        self.columns = settings.columns

    def hold(self, closed: Sequence[int], volts: float, seconds: float, limit: float) -> Held:
        """One column as exactly as the board does it; several share the source, with a limit by trial."""
        if len(closed) > 1:
            return self._board.hold_together(closed, volts, seconds, limit)
        if seconds == 0.0:
            return self._board.look(closed[0], volts, limit)
        return self._board.hold(closed[0], volts, seconds, limit)

    def wave(self, closed: Sequence[int], seconds: Floats, volts: Floats) -> Samples:
        if not closed:
            return Samples(np.append(np.diff(seconds), 0.0), volts, np.zeros_like(volts))
        if len(closed) > 1:
            return self._board.together(closed, seconds, volts)
        return self._board.wave(closed[0], seconds, volts)

    def siemens(self, volts: float) -> list[float]:
        return [self._board.look(column, volts, math.inf).amps / volts for column in range(self.columns)]

    def rest(self, seconds: float) -> None:
        self._board.rest(seconds)

    def expect_several(self) -> None:
        if self.columns > 1:
            self._board.warm_up_together()


class _Behind(CompactBoard):
    """The board, held level by level; its sense node keeps its voltage from one to the next."""

    def __init__(self, settings: SimulatedSettings) -> None:
        super().__init__(settings)
        self._open()
        self._sense, self._last = 0.0, -1
        self._circuits = [self._circuit(column) for column in range(settings.columns)]
        self._step_tolerance = TOLERANCE * self._tolerance
        self._ramp, self._level = np.zeros(2), np.zeros((2, 2))
        self._state, self._ends = np.zeros(2), np.zeros(1, dtype=np.intp)

    def warm_up(self) -> None:
        """Have the kernels compiled or loaded before somebody waits for a reply; nothing moves."""
        state, out, counts = np.zeros(2), np.empty((256, 5)), np.zeros(1, dtype=np.intp)
        rows, ends = self._chip.parameters[:1], np.ones(1, dtype=np.intp)
        chain = Chain(np.array([0.0, 1e-9]), np.zeros((2, 2)), ends, rows)
        path_kernel.integrate(*chain, state, self._circuits[0], self._step_tolerance, out, counts)
        self._limited(0, self._chip.parameters[0], 0.1, 1e-12).slope(0.5)
        self.look(0, 0.1, math.inf)

    def warm_up_together(self) -> None:
        """The same for several: where nobody has compiled it before, that takes some ten seconds."""
        x, sites = self._chip.x.copy(), [0, 1]
        pulse = self._pulse(sites, np.array([0.0, MOMENT]), np.zeros(2))
        for _ in self._solve_array([pulse], sites, self._chip.parameters[None, sites]):
            pass
        self._chip.x[:] = x

    def _circuit(self, column: int) -> path_kernel.Circuit:
        series, switch = self.spec.series_ohms[0], self.spec.series_ohms[1 + column]
        return path_kernel.Circuit(series, switch, self._parasitics.sense_farads if series else 0.0)

    def rest(self, seconds: float) -> None:
        self._chip.pass_time(seconds)
        self._sense = 0.0

    def look(self, column: int, volts: float, limit: float) -> Held:
        """What flows at once, the sense node settled; nothing moves and nothing is drawn."""
        device = self._limited(column, self._chip.parameters[column], volts, limit)
        x = float(self._chip.x[column])
        amps = device.unlimited_amps(x)
        if abs(amps) <= limit * MARGIN:
            return Held(amps, volts, limited=False)
        return Held(math.copysign(limit, amps), device.terminal_volts(x), limited=True)

    def hold(self, column: int, volts: float, seconds: float, limit: float) -> Held:
        """One level: free while the current is below the limit, then under limit, and so on to its end."""
        rows, circuit = self._row(column, volts, seconds), self._circuits[column]
        self._chip.pass_time(seconds)
        if abs(volts) <= limit * (circuit.series + circuit.switch):  # even into a short
            charge, _ = self._free(column, rows, volts, seconds, math.inf)
            return Held(charge / seconds, volts, limited=False)
        device = self._limited(column, rows[0], volts, limit)
        coulombs, area, left, limited = 0.0, 0.0, seconds, False
        while left > 0.0:
            if abs(device.unlimited_amps(float(self._chip.x[column]))) > limit * MARGIN:
                crept = device.creep(float(self._chip.x[column]), left)
                self._chip.x[column] = crept.x
                drop = math.copysign(limit * circuit.series, volts)
                self._sense = crept.volt_seconds / crept.seconds - drop
                coulombs += math.copysign(limit, volts) * crept.seconds
                area, left, limited = area + crept.volt_seconds, left - crept.seconds, True
            else:
                charge, took = self._free(column, rows, volts, left, limit * MARGIN)
                coulombs, area, left = coulombs + charge, area + volts * took, left - took
        return Held(coulombs / seconds, area / seconds, limited)

    def _free(
        self, column: int, rows: Floats, volts: float, seconds: float, limit: float
    ) -> tuple[float, float]:
        """[C] and [s] of a level without limit, up to where the current of the device exceeds it."""
        before, took, corners = (float(self._chip.x[column]), self._sense), seconds, self._level
        corners[:, 0] = volts
        while True:
            self._ramp[1] = took
            out = self._followed(column, rows, self._ramp, corners)
            beyond = limit < math.inf and np.abs(out[:, 4]) > limit
            if not np.any(beyond) or took < SHORTEST * seconds:
                return float(out[:, 0] @ out[:, 3]), took
            self._chip.x[column], self._sense = before
            took = min(float(out[: int(np.argmax(beyond)), 0].sum()), took / 2)

    def wave(self, column: int, seconds: Floats, volts: Floats) -> Samples:
        """Straight lines between corners."""
        corners = np.stack([volts, np.zeros_like(volts)], axis=1)
        rows = self._rows([self._pulse([column], seconds, volts)], [column])[:, 0]
        out = self._followed(column, rows, seconds, corners)
        self._chip.pass_time(float(seconds[-1]))
        return Samples(out[:, 0].copy(), out[:, 1].copy(), out[:, 3].copy())

    def _followed(self, column: int, rows: Floats, seconds: Floats, corners: Floats) -> Floats:
        """The kernel from the present state on, corners (n, 2) [V]: samples (n, 5), the state moved."""
        state, ends = self._state, self._ends
        state[0], state[1] = self._chip.x[column], self._sense if column == self._last else 0.0
        ends[0] = len(seconds) - 1
        circuit, chain = self._circuits[column], Chain(seconds, corners, ends, rows)

        def run(state: Floats, out: Floats, counts: Indices) -> int:
            return path_kernel.integrate(*chain, state, circuit, self._step_tolerance, out, counts)

        out, _ = self._grown(run, state, 5, chain)
        self._chip.x[column], self._sense, self._last = state[0], float(state[1]), column
        return out

    def hold_together(self, columns: Sequence[int], volts: float, seconds: float, limit: float) -> Held:
        """Several at one source: less voltage until the highest current is within the limit."""
        x, length, level = self._chip.x.copy(), seconds or MOMENT, volts
        while True:
            samples = self.together(columns, np.array([0.0, length]), np.array([level, level]))
            peak = float(np.abs(samples.amps).max())
            if peak <= limit * 1.001:
                break
            self._chip.x[:] = x
            level *= limit / peak
        if seconds == 0.0:
            self._chip.x[:] = x
        return Held(float(samples.seconds @ samples.amps) / length, level, limited=level != volts)

    def together(self, columns: Sequence[int], seconds: Floats, volts: Floats) -> Samples:
        pulse, sites = self._pulse(columns, seconds, volts), list(columns)
        (samples,) = self._solve_array([pulse], sites, self._rows([pulse], sites))
        self._chip.pass_time(float(seconds[-1]))
        return Samples(samples.seconds, samples.volts[:, 0].copy(), samples.amps[:, 0].copy())

    def _row(self, column: int, volts: float, seconds: float) -> Floats:
        """What the device is to a level: (1, parameters)."""
        if self._chip.steady:
            return self._chip.parameters[column : column + 1]
        pulse = self._pulse([column], np.array([0.0, seconds]), np.array([volts, volts]))
        return self._rows([pulse], [column])[:, 0]

    def _pulse(self, columns: Sequence[int], seconds: Floats, volts: Floats) -> Pulse:
        lines, driven = np.zeros((len(seconds), self.spec.lines)), self._driven(columns)
        lines[:, 0] = volts
        writes = float(np.abs(volts).max()) > READ_VOLTS
        return Pulse(seconds, lines, driven, Purpose.PROGRAM if writes else Purpose.READ)

    def _driven(self, columns: Sequence[int]) -> Bools:
        driven = np.zeros(self.spec.lines, dtype=np.bool_)
        driven[[0, *(1 + column for column in columns)]] = True
        return driven

    def _limited(self, column: int, row: Floats, volts: float, limit: float) -> LimitedDevice:
        circuit = self._circuits[column]
        return LimitedDevice(prepared(row), circuit.series + circuit.switch, volts, limit)
