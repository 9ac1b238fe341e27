"""OpenMENA: an open 8 x 8 crossbar board on an Arduino Due, over serial. Tried on emulators only.

Follows the public firmware (`openmena_parts.firmware`) and arXiv:2511.03747; the schematic of the sense
amplifiers was not read, so what they make of a current is a setting that is to be measured (`sense`: the
volts at the converter of a known resistor, by its current).

What the board can do, and therefore what this one promises:

- Rows are driven from 0 to 1.5 V and columns stand at the virtual ground of 0.75 V, which is 0 V here.
- Reading takes 0.9 s, in 45 ms with the switches closed and 5 ms open; every row and every column is held,
  those too that a pulse leaves open. What the neighbours take then shows in the current of the row.
- Only what flows *out of a column* is measured: a current into one is below the converter's zero, and is
  flagged as saturated. With one row driven its current is the sum of the columns; with several it is
  estimated from the conductances that were last read.
- Programming is not measured at all: its energy is estimated from the conductance that was last read, or
  from the least resistance the device could have.
- The board has no identity. Two of them are told apart by their port alone.

`Outputs.OFF` means that the firmware said that it set every output to virtual ground, after which it leaves
every switch open. It cannot be asked more than that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import numpy as np

from drivers.links import connect
from drivers.openmena_parts.firmware import (
    ADC_CODES,
    ADC_VOLTS,
    LINES,
    MOST_LOOKS,
    SETTLE_SECONDS,
    Codes,
    Firmware,
)
from drivers.openmena_parts.settings import OpenMenaSettings, refuse_out_of_reach, spec_of
from drivers.openmena_parts.steps import Looks, Rest, Step, Train, held, steps, volts_of
from labctl.board import Board
from labctl.errors import BoardFault, LabError, Outputs, Unavailable
from labctl.ownership import Holding
from labctl.pulse import Flag, Floats, Pulse, Trace

_RESTS = 2
"""Times that it is told to rest: what a refused command still had to say may stand before the answer."""


class OpenMenaBoard(Board):
    """Eight rows, eight columns, no switches between the sites."""

    Settings = OpenMenaSettings

    def __init__(self, settings: OpenMenaSettings) -> None:
        self._settings = settings
        self._codes = Codes(settings.virtual_ground)
        self.spec = spec_of(settings)
        refuse_out_of_reach(self.spec, self._codes)
        self._amps_per_code = ADC_VOLTS / ADC_CODES / settings.sense
        self._zero_code = settings.zero * ADC_CODES / ADC_VOLTS
        least = [site.limits.least_ohms for site in self.spec.sites]
        self._siemens = 1 / np.array(least).reshape(LINES, LINES)
        """[S], shape (rows, columns): as last read; before that, the most that it could be."""
        self._holding = Holding(settings.address, what=self.spec.name)
        self._firmware = Firmware(connect(settings.address), self._codes)
        self._is_open = False

    def ready(self) -> str:
        """Whether the port is there; it is not opened, for that would restart the board."""
        port = self._settings.address.removeprefix("serial://").partition("?")[0]
        if self._settings.address.startswith("serial:///") and not os.access(port, os.R_OK | os.W_OK):
            there = os.path.exists(port)  # noqa: PTH110 - beside os.access
            raise Unavailable(
                f"{port} {'may not be opened by you' if there else 'is not there'}",
                todo="add yourself to the group dialout" if there else "plug the board in, or name its port",
            )
        return f"{self._settings.address} can be opened; asking it would restart the board"

    def addresses(self) -> list[str]:
        """Of its port."""
        return [self._settings.address]

    # ---- the seam ---------------------------------------------------------------------------

    def _open(self) -> None:
        self._holding.take()
        self._is_open = True
        self._firmware.rest()

    def _close(self) -> None:
        self._is_open = False
        self._firmware.close()
        self._holding.release()

    def _make_safe(self) -> Outputs:
        if not self._is_open:
            return Outputs.UNKNOWN if self._closed_for_others() else Outputs.OFF
        for _ in range(_RESTS):
            try:
                self._firmware.rest()
            except BoardFault:
                continue
            except LabError:
                break
            return Outputs.OFF
        return Outputs.UNKNOWN

    def _closed_for_others(self) -> bool:
        """Open just to switch off; True where that was not confirmed."""
        try:
            self._holding.take()
            self._firmware.rest()
        except LabError:
            return True
        finally:
            self._firmware.close()
            self._holding.release()
        return False

    def _refuse(self, pulses: Sequence[Pulse]) -> None:
        for pulse in pulses:
            steps(pulse, self._codes)
        self.spec.check([held(pulse, self._codes) for pulse in pulses])

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        planned = [steps(pulse, self._codes) for pulse in pulses]
        for pulse, plan in zip(pulses, planned, strict=True):
            parts = [self._done(step, pulse) for step in plan]
            yield _joined(parts)

    # ---- steps ------------------------------------------------------------------------------

    def _done(self, step: Step, pulse: Pulse) -> Trace:
        match step:
            case Rest():
                time.sleep(step.seconds)
                none = np.zeros((1, self.spec.lines))
                return Trace(np.array([step.seconds]), none, none.copy())
            case Looks():
                return self._looked(step, pulse)
            case Train():
                return self._trained(step, pulse)

    def _looked(self, step: Looks, pulse: Pulse) -> Trace:
        batches = [min(MOST_LOOKS, step.count - done) for done in range(0, step.count, MOST_LOOKS)]
        found = np.vstack([self._firmware.look([step.codes] * count) for count in batches])
        rows = volts_of(step, self._codes)
        out = (found - self._zero_code) * self._amps_per_code
        amps, estimated = self._row_amps(rows, out)
        volts = np.tile(np.append(rows, np.zeros(LINES)), (step.count, 1))
        return Trace(
            np.full(step.count, step.seconds / step.count),
            volts * pulse.driven,
            np.hstack([amps, -out]) * pulse.driven,
            flags=_saturated(found, rows),
            estimated=estimated,
            settle_seconds=step.count * SETTLE_SECONDS,
        )

    def _row_amps(self, rows: Floats, out: Floats) -> tuple[Floats, bool]:
        """[A], shape (looks, rows), into the rows, and whether that is an estimate."""
        amps = np.zeros((len(out), LINES))
        active = np.flatnonzero(np.abs(rows) > self._codes.row_volts(1) - self._codes.row_volts(0))
        if len(active) == 1:
            amps[:, active[0]] = out.sum(axis=1)
            self._learn(int(active[0]), float(rows[active[0]]), out.mean(axis=0))
        elif len(active) > 1:
            loops = 1 / (1 / self._siemens + self._settings.series)
            amps[:] = rows * loops.sum(axis=1)
        return amps, len(active) > 1

    def _learn(self, row: int, volts: float, out: Floats) -> None:
        """Conductances of one row, for what is estimated later."""
        across = volts - out.sum() * self._settings.series
        if abs(across) > 0.1 * abs(volts):
            self._siemens[row] = np.clip(out / across, 1e-9, None)

    def _trained(self, step: Train, pulse: Pulse) -> Trace:
        self._firmware.train(step.row, step.column, step.codes, step.micro, step.count)
        above, below = step.driven
        volts = np.zeros((1, self.spec.lines))
        volts[0, step.row], volts[0, LINES + step.column] = above, below
        loops = 1 / (1 / self._siemens[step.row] + self._settings.series)
        down = (above - volts[0, LINES:]) * loops * pulse.driven[LINES:]
        amps = np.append(np.zeros(LINES), -down)[None]
        amps[0, step.row] = down.sum()
        off = step.seconds if step.count > 1 else 0.0
        return Trace(np.array([step.seconds]), volts, amps, estimated=True, settle_seconds=off)


def _saturated(found: Floats, rows: Floats) -> Flag:
    """Currents the wrong way round are not measured; neither are those beyond the converter."""
    backwards = bool((rows < -1e-3).any() and (found <= 0).any())
    return Flag.SATURATED if backwards or bool((found >= ADC_CODES).any()) else Flag.NONE


def _joined(parts: Sequence[Trace]) -> Trace:
    """One trace of what was done for one pulse."""
    flags = Flag.NONE
    for part in parts:
        flags |= part.flags
    return Trace(
        np.concatenate([part.seconds for part in parts]),
        np.vstack([part.volts for part in parts]),
        np.vstack([part.amps for part in parts]),
        flags=flags,
        estimated=any(part.estimated for part in parts),
        settle_seconds=sum(part.settle_seconds for part in parts),
    )
