"""The devices of a parameter file, of any device model, as `labctl.programming.prediction.Response`.

What a pulse does to the typical device is an integral (`sim_backend.prediction_kernel`). How far
others differ from it follows from the spreads that its file states, each parameter moved by one
standard deviation: as volts of threshold, as scatter of ln G, and as scatter of where a pulse leads.
"""

from __future__ import annotations

from math import exp, isfinite, log

import numpy as np

from labctl.programming.prediction import Scatter, Threshold
from labctl.pulse import Floats
from sim_backend.devices import parameters
from sim_backend.devices.equations import current, prepared, rate
from sim_backend.devices.model import HEAD
from sim_backend.devices.parameters import Device
from sim_backend.prediction_kernel import (
    NUCLEUS,
    scattered,
    searched,
    seconds_between,
    siemens_after,
    state_of,
)

MOST_SHIFT = 3.0
"""[V] No device differs by more."""
STEP = 3.0
"""From one duration that is tried to the next."""
WORTH = 1.15
"""A duration that scatters this much more than the best will do, if it is shorter."""
TYPICAL_STATES = (0.02, 0.05, 0.1, 0.2)
TYPICAL_SECONDS = 5e-4
"""Where thresholds are compared: a state that e-folds within so long."""


class DeviceModel:
    """The devices of a parameter file, of any model, as `labctl.programming.prediction.Response`."""

    def __init__(self, device: str, read_volts: float = 0.1) -> None:
        """A dopant ("Cr") or a parameter file; raises `Unavailable` and `BadConfig` as loading does."""
        self.device = parameters.load(device)
        self._row = prepared(self.device.vector)
        self._read = read_volts
        self.scatter = _scatter(self.device)
        self._noise = _noise(self.device, read_volts)
        pulse, cycle = (_pairs(self.device, spreads) for spreads in (self.device.pulse, self.device.cycle))
        shape = -1, len(self._row)
        self._rising = np.array(pulse).reshape(shape)
        self._falling = np.array([*pulse, *cycle]).reshape(shape)
        self._known: dict[tuple[float, ...], tuple[float, float]] = {}

    def seconds(self, before: float, after: float, volts: float, ohms: float, shift: float = 0.0) -> float:
        """See `Response`."""
        return seconds_between(before, after, volts, ohms, shift, self._read, self._row)

    def siemens(self, before: float, seconds: float, volts: float, ohms: float, shift: float = 0.0) -> float:
        """See `Response`."""
        return siemens_after(before, seconds, volts, ohms, shift, self._read, self._row)

    def volts(
        self, before: float, after: float, seconds: float, ohms: float, most: float, shift: float = 0.0
    ) -> float:
        """See `Response`."""
        start, end = self._state(before, ohms), self._state(after, ohms)
        return searched(0.0, most, True, shift, start, end, seconds, ohms, self._row)

    def shift(self, before: float, after: float, seconds: float, volts: float, ohms: float) -> float:
        """See `Response`."""
        start, end = self._state(before, ohms), self._state(after, ohms)
        return searched(-MOST_SHIFT, MOST_SHIFT, False, volts, start, end, seconds, ohms, self._row)

    def noise(self, siemens: float) -> float:
        """See `Response`."""
        return float(np.interp(log(max(siemens, 1e-15)), *self._noise))

    def gentlest(
        self, before: float, after: float, ohms: float, most: float, shortest: float, longest: float
    ) -> tuple[float, float]:
        """See `Response`; worked out for round numbers, and remembered."""
        move = log(after / before)
        sign = 1.0 if move > 0 else -1.0
        key = round(2 * log(after)), round(2 * log(abs(move))), sign, ohms, most, shortest, longest
        if key not in self._known:
            self._known[key] = self._gentlest(exp(key[0] / 2), sign * exp(key[1] / 2), *key[3:])
        seconds, relative = self._known[key]
        return seconds, relative * abs(move)

    def _gentlest(
        self, after: float, move: float, ohms: float, most: float, shortest: float, longest: float
    ) -> tuple[float, float]:
        """The duration at which this movement scatters least, and by how much, relative to it."""
        start, end = self._state(after * exp(-move), ohms), self._state(after, ohms)
        read, tried = self._read / (1.0 + after * ohms), list[tuple[float, float]]()
        seconds = shortest
        while seconds <= longest * (1 + 1e-9):
            volts = searched(0.0, most, True, 0.0, start, end, seconds, ohms, self._row)
            if isfinite(volts):
                others = self._rising if move > 0 else self._falling
                tried.append((scattered(start, seconds, volts, ohms, read, self._row, others), seconds))
            seconds = seconds * STEP if seconds * STEP < longest or seconds == longest else longest
        if not tried:
            return longest, 1.0
        least = min(tried)[0] * WORTH
        scatter, seconds = next(one for one in tried if one[0] <= least)
        return seconds, scatter / abs(move)

    def _state(self, siemens: float, ohms: float) -> float:
        return state_of(siemens, self._read / (1.0 + siemens * ohms), self._row)


def _scatter(device: Device) -> Scatter:
    """The spreads of its parameters as volts of threshold."""
    kinds = (device.spread, device.cycle, device.pulse)
    rise, fall = (
        Threshold(*(_threshold(device, spreads, sign) for spreads in kinds)) for sign in (1.0, -1.0)
    )
    return Scatter(rise, fall, device.read_noise)


def _noise(device: Device, read_volts: float) -> tuple[list[float], list[float]]:
    """Logarithms of G of the states of a ladder, and what pulse-to-pulse spreads make of each: sd of ln G."""
    typical, raised = prepared(device.vector), _raised(device, device.pulse)
    sums, found = list[float](), list[float]()
    for x in np.geomspace(1e-3, 1.0, 13):
        here = current(read_volts, float(x), typical)
        drawn = [log(current(read_volts, float(x), row) / here) for row in raised]
        sums.append(log(here / read_volts))
        found.append(float(np.hypot.reduce([0.0, *drawn])))
    return sums, found


def _pairs(device: Device, spreads: dict[str, float]) -> list[Floats]:
    """Prepared rows, each with one parameter a standard deviation higher, then lower."""
    rows = list[Floats]()
    for place, one in enumerate(device.model.parameters, HEAD):
        for sigma in (spreads.get(one.name, 0.0), -spreads.get(one.name, 0.0)):
            if sigma:
                row = device.vector.copy()
                row[place] = row[place] + sigma if one.additive else row[place] * exp(sigma)
                rows.append(prepared(row))
    return rows


def _raised(device: Device, spreads: dict[str, float]) -> list[Floats]:
    """Of each pair the higher."""
    return _pairs(device, spreads)[::2]


def _threshold(device: Device, spreads: dict[str, float], sign: float) -> float:
    """[V] of shift that are worth what these spreads do to the rate, median over typical states."""
    typical = prepared(device.vector)
    found = list[float]()
    for x in TYPICAL_STATES:
        volts = _typical_volts(x, sign, typical)
        if not isfinite(volts):
            continue
        here = rate(volts, x, typical)
        steepness = log(rate(volts * (1 + 1e-3), x, typical) / here) / (1e-3 * abs(volts))
        drawn = [log(rate(volts, x, row) / here) / steepness for row in _raised(device, spreads)]
        found.append(float(np.hypot.reduce([0.0, *drawn])))
    return float(np.median(found)) if found else 0.0


def _typical_volts(x: float, sign: float, p: Floats) -> float:
    """[V] at which a state e-folds within `TYPICAL_SECONDS`; NaN: at none."""
    low, high = 0.0, sign * 3.0
    wanted = (x + NUCLEUS) / TYPICAL_SECONDS
    if not abs(rate(high, x, p)) > wanted:
        return float("nan")
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if abs(rate(middle, x, p)) > wanted else (middle, high)
    return high
