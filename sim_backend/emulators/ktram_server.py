"""A kT-RAM server that is not there: the end points of Knowm's Raspberry Pi server before a simulated array.

Over plain HTTP on loopback, with basic authentication (`ktram_http`). As the documentation has it: floats in
single precision, errors as ``{"code": 500, "message": …}``, reads only where there is a calibration profile,
limits of the array that its keeper sets. `fault` is what goes wrong with the next answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from labctl.addressing import level, select
from labctl.config import Section, Volts
from labctl.errors import LabError
from labctl.pulse import Purpose
from sim_backend.compact import CompactBoard
from sim_backend.simulated import SimulatedSettings

SERIAL = 12654230


class KtRamSettings(Section):
    """The array, and what its keeper has set."""

    lowest: Volts = -1.0
    highest: Volts = 0.75
    least_series: float = 20e3
    profiles: tuple[tuple[float, float, float, float], ...] | None = None
    """V, us, ohm and gain of each calibration profile; None: one for every read."""
    devices: SimulatedSettings = SimulatedSettings(
        layout="crossbar", dopant="W", rows=8, columns=8, series=20e3, switch=1e-3, sense=0.0
    )


class Refusal(Exception):
    """An error that the server tells."""


class KtRam:
    """What the server knows and does; one request at a time."""

    def __init__(self, settings: KtRamSettings | None = None) -> None:
        self.settings = settings or KtRamSettings()
        self._boards: dict[float, _Array] = {}
        self._states: Any = None
        self.active: set[tuple[int, ...]] = set()
        self.writes = 0
        """Pulses that wrote."""
        self.fault = ""
        self.heard: list[str] = []
        """Paths, in order."""

    def answer(self, path: str, body: Any) -> Any:
        """What a request is answered by."""
        name, *words = path.strip("/").split("/")
        match name, words:
            case "get-module-info", [module]:
                return _product("Memristor Crossbar Module", "8x8x4 W+SDC", SERIAL) if module == "1" else None
            case "get-driver-info" | "get-board-info", []:
                return _product("kT-RAM Server", None, 12632640)
            case "clear" | "set", _:
                return self._select(words)
            case "pulse-read", [*how, "RESISTANCE"] if len(how) == 5:
                return self._read(self._one_active(), *map(float, how))
            case "pulse-write", [*how] if len(how) == 4:
                return self._write(self._one_active(), *map(float, how))
            case "pulse-read-activations", [*how, "RESISTANCE", "false"] if len(how) == 5:
                return [self._read(_place(one), *map(float, how)) for one in body]
            case "pulse-write-activations", [*how, "false"] if len(how) == 4:
                return all(self._write(_place(one), *map(float, how)) for one in body)
            case _:
                raise Refusal("HTTP 404 Not Found")

    def _select(self, words: list[str]) -> bool:
        """Without words, nothing."""
        if not words:
            self.active.clear()
            return True
        *head, columns, rows = ([int(one) for one in text.split(",")] for text in words)
        place = tuple(one for (one,) in head)
        self.active |= {(*place, column, row) for column in columns for row in rows}
        return True

    def _one_active(self) -> tuple[int, ...]:
        if len(self.active) != 1:
            raise Refusal("Only one active row is allowed from each set: [0-7], [8-15], [16-23], [24-32]")
        return next(iter(self.active))

    def _read(
        self, place: tuple[int, ...], volts: float, micro: float, series: float, gain: float, count: float
    ) -> list[float]:
        profiles = self.settings.profiles
        if profiles is not None and (volts, micro, series, gain) not in profiles:
            raise Refusal(f"No calibration profile for {volts} V, {micro} us, {series} ohm, gain {gain}")
        if not 1 <= gain <= 50:
            raise Refusal("gain out of range")
        amps = [self._pulse(place, volts, micro, series, Purpose.READ) for _ in range(int(count))]
        return [float(f"{volts / one - series:.8g}") if one else 1e9 for one in amps]

    def _write(self, place: tuple[int, ...], volts: float, micro: float, series: float, count: float) -> bool:
        for _ in range(int(count)):
            self._pulse(place, volts, micro, series, Purpose.PROGRAM)
            self.writes += 1
        return True

    def _pulse(
        self, place: tuple[int, ...], volts: float, micro: float, series: float, purpose: Purpose
    ) -> float:
        how = self.settings
        if not (how.lowest <= volts <= how.highest and series >= how.least_series):
            raise Refusal(f"{volts} V through {series} ohm is not permitted for this array")
        if not (2.5 <= micro <= 500 and series <= 50e3):
            raise Refusal("pulse width or series resistance out of range")
        array = self._array(series)
        try:
            site = array.spec.site_at(place[3], place[4])
            wave = level(array.spec, volts, 1e-6 * micro, 1e-8)
            (trace,) = array.apply([select(array.spec, site, wave, purpose)])
        except LabError as error:
            raise Refusal(error.wrong) from error
        self._states = array.states
        return float(trace.amps[np.abs(trace.volts[:, place[3]]).argmax(), place[3]])

    def _array(self, series: float) -> _Array:
        if series not in self._boards:
            devices = self.settings.devices.model_copy(update={"series": series})
            self._boards[series] = _Array(devices)
            self._boards[series].__enter__()
        if self._states is not None:
            self._boards[series].states = self._states
        return self._boards[series]


class _Array(CompactBoard):
    """The same devices behind whatever resistor is switched in."""

    @property
    def states(self) -> Any:
        """A copy of x, shape (sites,)."""
        return self._chip.x.copy()

    @states.setter
    def states(self, x: Any) -> None:
        self._chip.x[:] = x


def _place(one: dict[str, int]) -> tuple[int, ...]:
    return one["module"], one["unit"], one["array"], one["column"], one["row"]


def _product(name: str, varient: str | None, serial: int) -> dict[str, object]:
    return {
        "name": name,
        "version": 1,
        "varient": varient,
        "dateOfManufacture": 1597721365192,
        "description": "An emulation of the kT-RAM server.",
        "serialNumber": serial,
    }
