"""The core of every emulated source-measure unit, without a language: source, limit, measure, virtual time.

The source acts on the devices behind the terminals: a limit really lowers the voltage. A reading has noise,
is quantised by its range, and says what was the matter with it. Settings stay until `reset`, whoever talks to
the instrument. Fronts give these methods words; what runs by itself (sweeps, pulses, trigger models) is in
`sim_backend.emulators.smu.run`.
"""

from __future__ import annotations

import math
import random

from sim_backend.emulators.behind.terminals import Held, Terminals
from sim_backend.emulators.serving.instrument import Clock
from sim_backend.emulators.serving.witness import Witness
from sim_backend.emulators.smu.model import OTHER, Quantity, Reading, Seen, SmuModel, Unfit, Wrong
from sim_backend.emulators.smu.settings import EPS, SmuSettings


class Smu(SmuSettings):
    """One channel."""

    def __init__(
        self,
        model: SmuModel,
        terminals: Terminals | None,
        clock: Clock,
        witness: Witness | None = None,
        seed: int = 0,
    ) -> None:
        self.clock = clock
        self.interlock_closed = True
        self._terminals, self._witness = terminals, witness
        self._gauss = random.Random(seed).gauss
        self._on = self._tripped = False
        super().__init__(model)

    def reset(self) -> None:
        """Output off, everything as it was delivered."""
        self._on = self._tripped = False
        self.deliver()
        self.tell()

    # ---- the output ---------------------------------------------------------------------------

    @property
    def function(self) -> Quantity:
        """What is sourced."""
        return self.modes.function

    @function.setter
    def function(self, function: Quantity) -> None:
        if function != self.modes.function:
            self.output = False
        self.modes.function = function

    @property
    def output(self) -> bool:
        """Whether the source drives the terminals."""
        return self._on

    @output.setter
    def output(self, on: bool) -> None:
        if on:
            source = self._sides[self.function]
            self._on, self._tripped = True, False
            try:
                self.check(self.function, source.level, self._sides[OTHER[self.function]].limit)
                if not self.interlock_closed and self.model.interlock_volts == 0.0:
                    raise Unfit(Wrong.INTERLOCK)
            except Unfit:
                self._on = False
                raise
        self._on = on
        self.tell()

    def open_interlock(self) -> None:
        """The lid is open: what is no longer allowed goes off at once."""
        self.interlock_closed = False
        if self._on and not self._harmless(self.level(self.function)):
            self.output = False

    def tell(self) -> None:
        """Let the witness know what is driven."""
        if self._witness is not None:
            self._witness.put(self, self._sides[self.modes.function].level if self._on else 0.0)

    def check(self, quantity: Quantity, level: float, limit: float) -> None:
        """Both together, if it is what is sourced."""
        if quantity != self.modes.function:
            return
        if not (self.model.allows(level, limit) if quantity == "volts" else self.model.allows(limit, level)):
            raise Unfit(Wrong.POWER)
        if not abs(level if quantity == "volts" else limit) <= self.modes.most_volts * EPS:
            raise Unfit(Wrong.RANGE)
        if self._on and not self.interlock_closed and not self._harmless(level):
            raise Unfit(Wrong.INTERLOCK)

    def _harmless(self, level: float) -> bool:
        volts = level if self.function == "volts" else self.limit("volts")
        return self.model.interlock_volts > 0.0 and abs(volts) <= self.model.interlock_volts * EPS

    # ---- what it does -------------------------------------------------------------------------

    def hold(self, seconds: float) -> Held:
        """The present level for so long, or nothing while the output is off; 0 s: a look."""
        self.clock.seconds += seconds
        if not self._on or self._terminals is None:
            if self._terminals is not None and seconds > 0:
                self._terminals.rest(seconds)
            return Held(
                0.0, self.level("volts") if self._on and self.function == "volts" else 0.0, limited=False
            )
        level, limit = self._sides[self.modes.function].level, self.effective_limit()
        if self.modes.function == "volts":
            held = self._terminals.hold(level, seconds, limit)
        elif level == 0.0:
            return self._terminals.hold(0.0, seconds)
        else:
            amps, volts, limited = self._terminals.hold(math.copysign(limit, level), seconds, abs(level))
            held = Held(amps, volts, not limited)
        if held.limited and self.modes.trips_off and seconds > 0:
            self.output, self._tripped = False, True
        return held

    def effective_limit(self) -> float:
        """[A or V] that is in force: the user's, or that of a fixed measure range."""
        quantity = OTHER[self.modes.function]
        side = self._sides[quantity]
        if self.model.range_limits and not side.sense_auto:
            return min(side.limit, side.sense_range * self.model.scale(quantity).over)
        return side.limit

    def tripped(self) -> bool:
        """Whether the limit is in force now, or switched the output off [not verified: that it is told]."""
        return self._tripped or (self._on and self.hold(0.0).limited)

    def measure(self) -> Reading:
        """One reading: the aperture of what is measured longest, noise, range, resolution."""
        sides, modes = self._sides, self.modes
        start = self.clock.seconds
        source = sides[modes.function].level
        aperture = max([sides[quantity].cycles for quantity in modes.sensed], default=0.0)
        held = self.hold(aperture / self.model.line_hertz)
        seen = Seen.FINE
        if held.limited:
            by_user = self.effective_limit() >= sides[OTHER[modes.function]].limit
            seen = Seen.COMPLIANCE if by_user else Seen.RANGE_COMPLIANCE
        volts, too_high = self._read("volts", held.volts)
        amps, too_much = self._read("amps", held.amps)
        return Reading(
            volts, amps, source, start, seen | Seen.VOLTS_OVER * too_high | Seen.AMPS_OVER * too_much
        )

    def _read(self, quantity: Quantity, value: float) -> tuple[float, bool]:
        side, scale = self._sides[quantity], self.model.scale(quantity)
        if side.sense_auto:
            full = next((full for full in scale.ranges if abs(value) <= full * scale.over), scale.ranges[-1])
            side.sense_range = full
        else:
            full = side.sense_range
        step = full * scale.measure_step
        noisy = value + self._gauss(0.0, full * scale.noise / math.sqrt(side.cycles))
        return round(noisy / step) * step, abs(value) > full * scale.over * EPS
