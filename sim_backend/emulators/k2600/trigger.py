"""The trigger model of a 2600B channel, and the timers that drive it, in the instrument's own time.

Follows the Series 2600B reference manual, "Triggering": an arm layer around a trigger layer of three steps,
source, measure and end of pulse, each of which waits for its stimulus if it has one; event detectors remember
one event. Timers begin on a stimulus, and give an event after each of their delays.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import count

from sim_backend.emulators.lua.values import (
    Attribute,
    LuaError,
    Part,
    Table,
    Value,
    action,
    is_true,
    numbers,
    whole,
)
from sim_backend.emulators.smu.model import Reading
from sim_backend.emulators.smu.run import Action, Do, Measure, Wait
from sim_backend.emulators.tsp.output import PARAMETER

TIMERS = 8
NO_EVENT = 0
FIRST_TIMER = 20
"""Event of timer 1; the others follow."""
EVENTS = {
    "SWEEPING_EVENT_ID": 1,
    "ARMED_EVENT_ID": 2,
    "SOURCE_COMPLETE_EVENT_ID": 3,
    "MEASURE_COMPLETE_EVENT_ID": 4,
    "PULSE_COMPLETE_EVENT_ID": 5,
    "SWEEP_COMPLETE_EVENT_ID": 6,
    "IDLE_EVENT_ID": 7,
}
"""Of a channel; what the numbers are is the firmware's own affair."""
MEASURE_OVERHEAD = 60e-6
"""[s] that a measurement takes beside its aperture."""
_MOMENT = 1e-12


class Timer:
    """One `trigger.timer`."""

    def __init__(self, number: int) -> None:
        self.event = FIRST_TIMER + number
        self.deliver()

    def deliver(self) -> None:
        """`reset()`."""
        self.delays, self.count, self.stimulus, self.passes, self.overrun = [1e-5], 1, NO_EVENT, False, False

    def part(self, name: str) -> Part:
        """Of Lua."""
        attributes: dict[str, Attribute | Value] = {
            "EVENT_ID": float(self.event),
            "delay": Attribute(lambda: self.delays[0], self._set_delay),
            "delaylist": Attribute(lambda: Table(self.delays), self._set_delays),
            "count": Attribute(lambda: float(self.count), self._set_count),
            "stimulus": Attribute(lambda: float(self.stimulus), self._set_stimulus),
            "passthrough": Attribute(lambda: self.passes, self._set_passes),
            "overrun": Attribute(lambda: self.overrun),
            "reset": action(self.deliver),
            "clear": action(self._clear),
        }
        return Part(name, attributes)

    def _set_delay(self, value: Value) -> None:
        self._set_delays(Table([value]))

    def _set_delays(self, value: Value) -> None:
        delays = numbers(value, "delay")
        if not delays or not all(0.0 <= delay <= 100e3 for delay in delays):
            raise LuaError("Parameter, delay, out of range", PARAMETER)
        self.delays = delays

    def _set_count(self, value: Value) -> None:
        if not 0 <= whole(value, "count") <= 1_048_575:
            raise LuaError("Parameter, count, out of range", PARAMETER)
        self.count = whole(value)

    def _set_stimulus(self, value: Value) -> None:
        self.stimulus = whole(value, "stimulus")

    def _set_passes(self, value: Value) -> None:
        self.passes = is_true(value)

    def _clear(self) -> None:
        self.overrun = False


class Timers:
    """All of them: `trigger.timer`."""

    def __init__(self) -> None:
        self.all = [Timer(number) for number in range(1, TIMERS + 1)]

    def part(self) -> Part:
        """`trigger` of Lua."""
        timers = [timer.part(f"trigger.timer[{place}]") for place, timer in enumerate(self.all, 1)]
        return Part("trigger", {"timer": Table(timers)})

    def deliver(self) -> None:
        """All `reset()`."""
        for timer in self.all:
            timer.deliver()


@dataclass(slots=True)
class Plan:
    """What a channel has been told of its trigger model."""

    arms: int = 1
    count: int = 1
    stimuli: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("arm", "source", "measure", "endpulse"), NO_EVENT)
    )
    levels: list[float] = field(default_factory=list[float])
    sources: bool = False
    measures: bool = False
    holds_after_pulse: bool = True
    holds_after_sweep: bool = False
    source_delay: float = 0.0
    measure_delay: float = 0.0


@dataclass(slots=True)
class Hands:
    """What a sweep does to its channel."""

    now: Callable[[], float]
    level: Callable[[float], None]
    idle: Callable[[], None]
    take: Callable[[Reading], None]
    starve: Callable[[], None]
    """It waits for what never comes."""


class Sweep:
    """One `initiate()`: the actions of a run, in order."""

    def __init__(self, plan: Plan, timers: Timers, hands: Hands) -> None:
        self._plan, self._timers, self._hands = plan, timers, hands
        self._latched = set[str]()
        self._due: list[tuple[float, int, Timer, int]] = []
        self._order = count()
        self._busy: set[Timer] = set()

    def actions(self) -> Iterator[Action]:
        """From idle to idle."""
        plan, hands = self._plan, self._hands
        self._fire("SWEEPING_EVENT_ID")
        for _ in range(plan.arms):
            yield from self._wait("arm")
            self._fire("ARMED_EVENT_ID")
            for turn in range(plan.count):
                yield from self._turn(turn)
            if not plan.holds_after_sweep:
                yield Do(hands.idle)
            self._fire("SWEEP_COMPLETE_EVENT_ID")
        self._fire("IDLE_EVENT_ID")

    def _turn(self, turn: int) -> Iterator[Action]:
        plan, hands = self._plan, self._hands
        yield from self._wait("source")
        if plan.sources:
            level = plan.levels[turn % len(plan.levels)]
            yield Do(lambda: hands.level(level))
        if plan.source_delay > 0:
            yield Wait(plan.source_delay)
        self._fire("SOURCE_COMPLETE_EVENT_ID")
        yield from self._wait("measure")
        if plan.measures:
            if plan.measure_delay > 0:
                yield Wait(plan.measure_delay)
            yield Measure(hands.take)
            yield Wait(MEASURE_OVERHEAD)
        self._fire("MEASURE_COMPLETE_EVENT_ID")
        yield from self._wait("endpulse")
        if not plan.holds_after_pulse:
            yield Do(hands.idle)
        self._fire("PULSE_COMPLETE_EVENT_ID")

    def _wait(self, step: str) -> Generator[Action]:
        if self._plan.stimuli[step] == NO_EVENT:
            return
        while True:
            self._catch_up()
            if step in self._latched:
                self._latched.discard(step)
                return
            if not self._due:
                yield Do(self._hands.starve)
                return
            yield Wait(max(0.0, self._due[0][0] - self._hands.now()))

    def _catch_up(self) -> None:
        """Timers that have run out by now."""
        while self._due and self._due[0][0] <= self._hands.now() + _MOMENT:
            at, _, timer, place = heapq.heappop(self._due)
            self._schedule(timer, at, place + 1)
            self._happened(timer.event)

    def _fire(self, name: str) -> None:
        self._catch_up()
        self._happened(EVENTS[name])

    def _happened(self, event: int) -> None:
        self._latched.update(step for step, stimulus in self._plan.stimuli.items() if stimulus == event)
        for timer in self._timers.all:
            if timer.stimulus == event:
                self._begin(timer)

    def _begin(self, timer: Timer) -> None:
        if timer in self._busy:
            timer.overrun = True
            return
        self._busy.add(timer)
        self._schedule(timer, self._hands.now(), 0)
        if timer.passes:
            self._happened(timer.event)

    def _schedule(self, timer: Timer, at: float, place: int) -> None:
        """Its next event, if there is one."""
        if timer.count and place >= timer.count:
            self._busy.discard(timer)
            return
        delay = timer.delays[place % len(timer.delays)]
        heapq.heappush(self._due, (at + delay, next(self._order), timer, place))
