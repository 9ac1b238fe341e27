"""What stands behind the terminals of an emulated instrument: devices with state, or plain resistors.

The devices are those of the fast twin, in the same circuit: a series resistor, the capacitance of the sense
node, a device and its switch, one device a column. A source-measure unit holds levels (`hold`), a waveform
generator plays corners (`wave`); the states move as they do on a `CompactBoard` that is driven with the same
volts. `closed` are the columns that are switched through: a rig with a switch box sets it.

A source with a current limit gives less voltage when it limits. From the sample where the current first
exceeds the limit on, the device is stepped by `sim_backend.emulators.behind.limited`.
"""

from __future__ import annotations

import math

from labctl.pulse import Floats
from sim_backend.emulators.behind.load import Held, Load, PlainLoad, Resistors
from sim_backend.settings import SimulatedSettings
from sim_backend.simulated import Samples

__all__ = ["Held", "Resistors", "Terminals"]


class Terminals:
    """The two terminals of an instrument, and what they reach through the columns that are closed."""

    def __init__(self, behind: SimulatedSettings | Resistors) -> None:
        self._load: Load
        if isinstance(behind, Resistors):
            self._load = PlainLoad(behind)
        else:
            from sim_backend.emulators.behind.devices import DeviceLoad

            self._load = DeviceLoad(behind)
        self.closed: set[int] = {0}
        """Columns that are switched through; without a switch box the first."""

    @property
    def columns(self) -> int:
        """How many there are."""
        return self._load.columns

    def hold(
        self,
        volts: float,
        seconds: float,
        limit_amps: float = math.inf,
        at: tuple[float, float] | None = None,
    ) -> Held:
        """Hold `volts` [V] for `seconds` [s] with at most `limit_amps` [A]; the devices move.

        `at` is the window of the level, from and to [s], that amps and volts are the means of; None: all of
        it. 0 s: what would flow at once, and nothing moves. A current source of I with a voltage limit V
        is `hold(copysign(V, I), seconds, abs(I))`, and limits where this one does not.
        """
        closed = tuple(self.closed)
        if not closed:
            self._load.rest(seconds)
            return Held(0.0, volts, limited=False)
        if at is None:
            return self._load.hold(closed, volts, seconds, limit_amps)
        start, stop = at
        if start > 0:
            self._load.hold(closed, volts, start, limit_amps)
        held = self._load.hold(closed, volts, stop - start, limit_amps)
        if seconds > stop:
            self._load.hold(closed, volts, seconds - stop, limit_amps)
        return held

    def wave(self, seconds: Floats, volts: Floats) -> Samples:
        """Play straight lines between corners: `seconds` (corners,) [s] from 0 up, `volts` (corners,) [V].

        Samples of one line: seconds that each stands for, volts of the source, amps out of it, all
        (samples,). With several columns closed they share the source.
        """
        closed = tuple(self.closed)
        if not closed:
            self._load.rest(float(seconds[-1]))
        return self._load.wave(closed, seconds, volts)

    def rest(self, seconds: float) -> None:
        """The terminals are disconnected for so long [s]: nothing is driven, and time passes."""
        self._load.rest(seconds)

    def expect_several(self) -> None:
        """Several columns may be closed at once: what is slow the first time is done now; nothing moves."""
        self._load.expect_several()

    def siemens(self, volts: float = 0.1) -> list[float]:
        """[S] of each column by itself, what is in series included: for tests, nothing moves."""
        return self._load.siemens(volts)
