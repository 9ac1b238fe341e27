"""One channel of an emulated Keysight B2900: what it sources at each trigger, when it measures, its readings.

Follows "Keysight B2900A Series SCPI Command Reference", B2910-90030 (SOURce, TRIGger, ARM). Transient and
acquisition are two trains of triggers that begin together. At a transient trigger the source goes to the next
level; in pulse shape it comes back after the width. After a run it goes back to its immediate level unless
`FUNC:TRIG:CONT` is on. An aperture in which the source would change is refused: the real one measures both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sim_backend.emulators.b2900.trains import (
    SHORTEST_PULSE,
    SLACK,
    Source,
    Train,
    overlapping,
    times,
)
from sim_backend.emulators.scpi.values import ScpiError
from sim_backend.emulators.smu.core import Smu
from sim_backend.emulators.smu.model import Quantity, Reading
from sim_backend.emulators.smu.run import Action, Do, Measure, Runner, Wait
from sim_backend.emulators.smu.settings import OffMode


class Channel:
    """A channel, its settings beside those of the core, and its runs."""

    def __init__(self, smu: Smu, runner: Runner | None = None) -> None:
        self.smu, self.runner = smu, runner or Runner(smu)
        self.stored: Callable[[Reading], None] = nowhere
        self.reset()

    def reset(self) -> None:
        """As delivered."""
        self.runner.stop()
        self.smu.reset()
        self.smu.modes.sensed = ("amps",)
        self.volts, self.amps = Source(), Source()
        self.transient, self.acquire = Train(), Train()
        self.shape, self.width, self.pulse_delay = "DC", SHORTEST_PULSE, 0.0
        self.continuous = False
        self.auto_on, self.auto_off = True, False
        self.points, self.spacing, self.direction, self.stairs = 1, "LIN", "UP", "SING"
        self._capacitive, self._low = False, "GRO"
        self.readings: list[Reading] = []
        self.begun = False
        self.source_waits = self.sense_waits = True

    # ---- settings -----------------------------------------------------------------------------

    @property
    def output(self) -> bool:
        """Whether the source is on."""
        return self.smu.output

    @output.setter
    def output(self, on: bool) -> None:
        if not on:
            self.halt()
        self.smu.output = on

    @property
    def capacitive(self) -> bool:
        """High capacitance mode; not to be changed while the output is on."""
        return self._capacitive

    @capacitive.setter
    def capacitive(self, on: bool) -> None:
        self._unless_on()
        self._capacitive = on

    @property
    def low(self) -> str:
        """FLO or GRO; not to be changed while the output is on."""
        return self._low

    @low.setter
    def low(self, word: str) -> None:
        self._unless_on()
        self._low = word

    @property
    def off_mode(self) -> str:
        """The state of the output while it is off; not to be changed while it is on."""
        return self.smu.modes.off_mode

    @off_mode.setter
    def off_mode(self, mode: OffMode) -> None:
        self._unless_on()
        self.smu.modes.off_mode = mode

    def set_listed(self, quantity: Quantity, levels: Sequence[float]) -> None:
        """[V or A] of a list."""
        self._source(quantity).listed = tuple(levels)

    def listed(self, quantity: Quantity) -> tuple[float, ...]:
        """[V or A] of a list."""
        return self._source(quantity).listed

    def triggered(self, quantity: Quantity) -> float:
        """[V or A] at a trigger in FIX mode: the peak of a pulse."""
        found = self._source(quantity).triggered
        return self.smu.level(quantity) if found is None else found

    def set_triggered(self, quantity: Quantity, value: float) -> None:
        """Refused where the immediate level would be."""
        self.smu.check_level(quantity, value)
        self._source(quantity).triggered = value

    @property
    def count(self) -> int:
        """Of both trains."""
        return self.transient.count

    @count.setter
    def count(self, count: int) -> None:
        self.transient.count = self.acquire.count = count

    @property
    def delay(self) -> float:
        """[s] of both trains."""
        return self.transient.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self.transient.delay = self.acquire.delay = seconds

    @property
    def trigger(self) -> str:
        """Of both trains: AINT or TIM."""
        return self.transient.source

    @trigger.setter
    def trigger(self, source: str) -> None:
        self.transient.source = self.acquire.source = source

    @property
    def timer(self) -> float:
        """[s] of both trains."""
        return self.transient.timer

    @timer.setter
    def timer(self, seconds: float) -> None:
        self.transient.timer = self.acquire.timer = seconds

    def _source(self, quantity: Quantity) -> Source:
        return self.volts if quantity == "volts" else self.amps

    def _unless_on(self) -> None:
        if self.smu.output:
            raise ScpiError(-221)

    # ---- runs ---------------------------------------------------------------------------------

    def halt(self) -> None:
        """What is under way ends here."""
        self.runner.stop()
        self.begun = False

    def initiate(self, transient: bool = True, acquire: bool = True) -> None:
        """Both trains, or one of them."""
        if self.runner.active:
            raise ScpiError(-213)
        base = self.smu.level(self.smu.function)
        events = self._events(self.smu.function, base, transient, acquire)
        if self.auto_on and not self.smu.output:
            self.smu.output = True
        self.readings = []
        self.runner.start(self._run(events))

    def spot(self) -> None:
        """One reading of what is there."""
        if self.runner.active:
            raise ScpiError(-213)
        if self.auto_on and not self.smu.output:
            self.smu.output = True
        self.readings = []
        self.runner.start(self._run([(0.0, 1, Measure(self.keep))]))

    def keep(self, reading: Reading) -> None:
        """A reading of the run."""
        self.readings.append(reading)
        self.stored(reading)

    def _levels(self, quantity: Quantity) -> list[float]:
        """One trigger after the other; all of them are checked."""
        source = self._source(quantity)
        match source.mode:
            case "LIST":
                levels = list(source.listed)
            case "SWE":
                levels = self._swept(source)
            case _:
                levels = [self.triggered(quantity)]
        for level in levels:
            self.smu.check_level(quantity, level)
        return levels

    def _swept(self, source: Source) -> list[float]:
        last = max(self.points - 1, 1)
        if self.spacing == "LOG":
            if not source.start * source.stop > 0:
                raise ScpiError(-221)
            ratio = source.stop / source.start
            levels = [source.start * ratio ** (place / last) for place in range(self.points)]
        else:
            span = source.stop - source.start
            levels = [source.start + span * place / last for place in range(self.points)]
        levels = levels if self.direction == "UP" else levels[::-1]
        return levels + levels[::-1] if self.stairs == "DOUB" else levels

    def _events(
        self, quantity: Quantity, base: float, transient: bool, acquire: bool
    ) -> list[tuple[float, int, Action]]:
        """What happens when [s], in that order; refused as a whole where two things overlap."""
        smu, pulsed = self.smu, self.shape == "PULS"
        levels, aperture = self._levels(quantity), max(map(smu.aperture, smu.modes.sensed), default=0.0)
        busy = self.pulse_delay + self.width if pulsed else 0.0
        each = max(busy * transient + self.transient.delay, (self.acquire.delay + aperture) * acquire)
        starts = times(self.transient, each, busy) if transient else []
        events = list[tuple[float, int, Action]]()
        for place, start in enumerate(starts):
            level = levels[place % len(levels)]
            change = start + (self.pulse_delay if pulsed else 0.0)
            events.append((change, 0, Do(lambda level=level: smu.set_level(quantity, level))))
            if pulsed:
                events.append((change + self.width, 0, Do(lambda: smu.set_level(quantity, base))))
        changes = [when for when, _, _ in events]
        taken = times(self.acquire, each, aperture) if acquire else []
        if overlapping(changes, taken, aperture):
            raise ScpiError(-221)
        events += [(when, 1, Measure(self.keep)) for when in taken]
        if transient and not self.continuous:
            end = max([when + aperture * order for when, order, _ in events], default=0.0)
            events.append((end, 2, Do(lambda: smu.set_level(quantity, base))))
        return sorted(events, key=lambda event: event[:2])

    def _run(self, events: list[tuple[float, int, Action]]) -> Iterator[Action]:
        zero = self.smu.clock.seconds
        for when, _, action in events:
            if (wait := zero + when - self.smu.clock.seconds) > SLACK:
                yield Wait(wait)
            yield action
        if self.auto_off:
            yield Do(lambda: setattr(self.smu, "output", False))


def nowhere(reading: Reading) -> None:
    """A channel without a trace buffer."""
