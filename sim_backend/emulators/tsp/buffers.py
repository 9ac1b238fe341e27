"""Buffers of readings of an instrument with TSP: `smua.nvbuffer1`, and those that `makebuffer` makes."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim_backend.emulators.lua.values import Attribute, Host, LuaError, Part, Value, action, is_true, number
from sim_backend.emulators.tsp.output import PARAMETER, Column

FULL = 5042
"""[not verified] Of a buffer that has no room left."""


@dataclass(slots=True)
class Rows:
    """Readings, a list a column."""

    readings: list[float] = field(default_factory=list[float])
    timestamps: list[float] = field(default_factory=list[float])
    statuses: list[float] = field(default_factory=list[float])
    sourcevalues: list[float] = field(default_factory=list[float])


class Buffer(Host):
    """One buffer; what it collects can be changed while it is empty."""

    def __init__(self, name: str, capacity: int) -> None:
        self.rows = Rows()
        self._capacity = capacity
        self._base = 0.0
        self._appends, self._stamps, self._sources, self._resolution = False, True, False, 1e-6
        attributes: dict[str, Attribute | Value] = {
            "n": Attribute(lambda: float(len(self.rows.readings))),
            "capacity": float(capacity),
            "basetimestamp": Attribute(lambda: self._base),
            "readings": Attribute(lambda: Column(self.rows.readings)),
            "timestamps": Attribute(lambda: self._column(self._stamps, "timestamps")),
            "statuses": Attribute(lambda: Column(self.rows.statuses)),
            "sourcevalues": Attribute(lambda: self._column(self._sources, "sourcevalues")),
            "appendmode": Attribute(lambda: float(self._appends), self._set_appends),
            "collecttimestamps": Attribute(lambda: float(self._stamps), self._set_stamps),
            "collectsourcevalues": Attribute(lambda: float(self._sources), self._set_sources),
            "timestampresolution": Attribute(lambda: self._resolution, self._set_resolution),
            "clear": action(self.clear),
        }
        self._part = Part(name, attributes)

    def get(self, key: Value) -> Value:
        """An attribute, or a reading by number."""
        return Column(self.rows.readings).get(key) if isinstance(key, float) else self._part.get(key)

    def put(self, key: Value, value: Value) -> None:
        """An attribute."""
        self._part.put(key, value)

    def clear(self) -> None:
        """Without readings."""
        self.rows = Rows()

    def begin(self) -> None:
        """A measurement starts: what is there goes, unless it appends."""
        if not self._appends:
            self.clear()

    def add(self, reading: float, seconds: float, status: int, source: float) -> None:
        """One more. Raises `LuaError` when it is full."""
        if len(self.rows.readings) >= self._capacity:
            raise LuaError("Buffer is full", FULL)
        if not self.rows.readings:
            self._base = seconds
        ticks = round((seconds - self._base) / self._resolution)
        self.rows.readings.append(reading)
        self.rows.timestamps.append(ticks * self._resolution)
        self.rows.statuses.append(float(status))
        self.rows.sourcevalues.append(source)

    def _column(self, collects: bool, name: str) -> Value:
        if not collects:
            raise LuaError(f"{name} are not collected", PARAMETER)
        return Column(getattr(self.rows, name))

    def _set_appends(self, value: Value) -> None:
        self._appends = is_true(value) and value != 0.0

    def _set_stamps(self, value: Value) -> None:
        self._empty()
        self._stamps = is_true(value) and value != 0.0

    def _set_sources(self, value: Value) -> None:
        self._empty()
        self._sources = is_true(value) and value != 0.0

    def _set_resolution(self, value: Value) -> None:
        self._empty()
        seconds = number(value, "timestampresolution")
        if not 1e-6 <= seconds <= 1e3:
            raise LuaError("Parameter, timestampresolution, out of range", PARAMETER)
        self._resolution = seconds

    def _empty(self) -> None:
        if self.rows.readings:
            raise LuaError("Cannot be changed while the buffer holds readings", PARAMETER)
