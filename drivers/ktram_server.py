"""Knowm's kT-RAM Raspberry Pi server: one array of one of its modules, over HTTPS. Tried on emulators only.

Follows `documentation/EndPoints.md` and `Introduction.md` of github.com/knowm/kt-ram-client (V1.x driver). Of
its end points these are used: ``get-module-info``, ``clear``, ``pulse-read-activations`` and
``pulse-write-activations``, the last two with the device in the message itself, since the server's "active
set" is anybody's. Replies are read as documented there and in the client that it quotes: a list of one list
of numbers, and ``true``. Not documented, and so not relied on: the time between the pulses of one call, the
resolution of widths and amplitudes, what the resistance of an open device is given as, and more than one
device at a time.

The server's column is the top electrode, where a positive voltage raises the conductance: it is a *row*
here, and its row is a column. There is one pulse source, 2.5 to 500 us at -5 to +5 V, with 100 ohm to 50
kohm in series; nobody holds the lines that are not selected, so neighbours are in the circuit.

A read asks for RESISTANCE, which the server works out with the calibration profile of exactly that
amplitude, width, resistor and gain, and refuses where its keeper has made none; the current is that of the
resistor and the device in series. A write is not measured: its energy is estimated from the last read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from drivers.ktram_parts.settings import LONGEST, SHORTEST, KtRamServerSettings, spec_of
from drivers.ktram_parts.web import Web
from drivers.levels import Level, levels
from labctl.board import Board
from labctl.errors import BoardFault, LabError, Outputs, Refused, Unavailable
from labctl.ownership import Holding
from labctl.pulse import Pulse, Purpose, Trace
from labctl.quantity import quoted


class KtRamServerBoard(Board):
    """The devices of one array, one at a time."""

    Settings = KtRamServerSettings

    def __init__(self, settings: KtRamServerSettings) -> None:
        self.spec = spec_of(settings)
        self._settings = settings
        self._web = Web(settings.address, settings.login, settings.certificate, settings.deadline)
        self._siemens = [1 / site.limits.least_ohms for site in self.spec.sites]
        """[S]: as last read; before that, the most that it could be."""
        array = f"module {settings.module} unit {settings.unit} array {settings.array}"
        self._where = f"{settings.address} {array}"
        self._holding = Holding(self._where, what=self.spec.name)
        self._told = ""

    def ready(self) -> str:
        """The module that the server names; drives nothing."""
        return _named(self._info())

    def identity(self) -> str:
        """The module that the server named when it was opened; it tells no firmware."""
        return self._told

    def addresses(self) -> list[str]:
        """Of the array in the server."""
        return [self._where]

    # ---- the seam ---------------------------------------------------------------------------

    def _open(self) -> None:
        self._holding.take()
        self._told = _named(self._info())
        self._clear()

    def _close(self) -> None:
        self._holding.release()

    def _make_safe(self) -> Outputs:
        """Pulses end by themselves; no device stays selected."""
        try:
            self._clear()
        except LabError:
            return Outputs.UNKNOWN
        return Outputs.OFF

    def _refuse(self, pulses: Sequence[Pulse]) -> None:
        for pulse in pulses:
            self._plan(pulse)

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        planned = [self._plan(pulse) for pulse in pulses]
        for pulse, (site, plan) in zip(pulses, planned, strict=True):
            yield self._done(pulse, site, plan)

    # ---- pulses -----------------------------------------------------------------------------

    def _plan(self, pulse: Pulse) -> tuple[int, list[tuple[Level, int]]]:
        """The site, and levels with how often each; `Refused` for what the server does not make."""
        if not pulse.driven.any():
            return -1, [(Level(pulse.duration, np.zeros(self.spec.lines)), 1)]
        lines = np.flatnonzero(pulse.driven)
        if not (len(lines) == 2 and lines[0] < self.spec.rows <= lines[1]):
            raise Refused(
                "a pulse that drives other lines than one row and one column",
                allowed="one device at a time: more is not documented",
                todo="nothing of the list was driven",
            )
        made = levels(pulse)
        lit = [level for level in made if level.volts.any()]
        for level in lit:
            if not SHORTEST <= level.seconds <= LONGEST:
                raise Refused(f"a level of {level.seconds:.6g} s", allowed=f"{SHORTEST:g} s to {LONGEST:g} s")
        site = self.spec.site_at(int(lines[0]), int(lines[1]) - self.spec.rows)
        if len(lit) == 1:
            return site, [(level, pulse.repeats) for level in made]
        return site, [(level, 1) for level in made] * pulse.repeats

    def _done(self, pulse: Pulse, site: int, plan: Sequence[tuple[Level, int]]) -> Trace:
        began = time.monotonic()
        reads = pulse.purpose in (Purpose.READ, Purpose.INFER)
        samples, seconds = list[tuple[float, float]](), [level.seconds * count for level, count in plan]
        for level, count in plan:
            volts = float(level.volts[self.spec.sites[site].row]) if site >= 0 else 0.0
            if volts == 0.0:
                time.sleep(level.seconds * count if site < 0 else 0.0)
                samples.append((0.0, 0.0))
            else:
                asked = self._read if reads else self._write
                samples.append((volts, asked(site, volts, level.seconds, count)))
        volts_amps = np.zeros((2, len(samples), self.spec.lines))
        if site >= 0:
            place, found = self.spec.sites[site], np.array(samples).T
            volts_amps[:, :, place.row] = found
            volts_amps[1, :, self.spec.rows + place.column] = -found[1]
        return Trace(
            np.array(seconds),
            volts_amps[0],
            volts_amps[1],
            estimated=site >= 0 and not reads,
            link_seconds=max(time.monotonic() - began - sum(seconds), 0.0) if site >= 0 else 0.0,
        )

    # ---- end points -------------------------------------------------------------------------

    def _read(self, site: int, volts: float, seconds: float, count: int) -> float:
        """[A] through the device, mean over the pulses."""
        how = self._settings
        path = f"pulse-read-activations/{_text(volts)}/{_text(1e6 * seconds)}/{_text(how.series)}"
        path += f"/{_text(how.gain)}/{count}/RESISTANCE/false"
        found = self._web.ask(path, [self._activation(site)])
        ohms = _numbers(found, count)
        amps = float(np.mean(volts / (np.array(ohms) + how.series)))
        self._siemens[site] = 1 / float(np.mean(ohms))
        return amps

    def _write(self, site: int, volts: float, seconds: float, count: int) -> float:
        """[A] that the conductance that was last read would take."""
        series = _text(self._settings.series)
        path = f"pulse-write-activations/{_text(volts)}/{_text(1e6 * seconds)}/{series}/{count}/false"
        _refuse_untrue(self._web.ask(path, [self._activation(site)]), "a write")
        return volts / (1 / self._siemens[site] + self._settings.series)

    def _clear(self) -> None:
        _refuse_untrue(self._web.ask("clear"), "clear")

    def _info(self) -> dict[str, Any]:
        """What the module says of itself, checked against the bench file."""
        found = self._web.ask(f"get-module-info/{self._settings.module}")
        if not isinstance(found, dict):
            raise BoardFault(f"the server has no module {self._settings.module}")
        info, wanted = cast("dict[str, Any]", found), self._settings.serial
        has = info.get("serialNumber")
        if wanted is not None and has != wanted:
            raise Unavailable(
                f"module {self._settings.module} has the serial number {quoted(str(has))}",
                allowed=f"{wanted}, as the bench file says",
                todo="see in which slot the module is now, or correct the file",
            )
        return info

    def _activation(self, site: int) -> dict[str, int]:
        how, place = self._settings, self.spec.sites[site]
        return {
            "module": how.module,
            "unit": how.unit,
            "array": how.array,
            "column": place.row,
            "row": place.column,
        }


def _text(value: float) -> str:
    """A number as a part of a path: plain, and the same float again."""
    return np.format_float_positional(float(f"{value:.9g}"), trim="-")


def _named(info: dict[str, Any]) -> str:
    return f"{info.get('varient')}, serial number {info.get('serialNumber')}"


def _numbers(found: object, count: int) -> list[float]:
    """One list of so many resistances, in a list."""
    rows = cast("list[Any]", found) if isinstance(found, list) else list[Any]()
    row = cast("list[Any]", rows[0]) if len(rows) == 1 and isinstance(rows[0], list) else list[Any]()
    if len(row) != count or not all(type(one) in (int, float) and 0 < one < math.inf for one in row):
        raise BoardFault(
            f"a read was answered by {quoted(str(cast('object', found)))}",
            allowed=f"one list of {count} resistances above zero, in a list",
            todo="look for an open device, or for a calibration profile that does not suit it",
        )
    return [float(one) for one in row]


def _refuse_untrue(found: object, what: str) -> None:
    if found is not True:
        raise BoardFault(f"{what} was answered by {quoted(str(found))}", allowed="true")
