"""How much a device has been given, and the end of a plan that would give it more than its caps.

The caps of `Capped` are kept before each list: a list that could exceed one, if the device had its
least resistance, is not driven, and the plan is closed there. What was driven counts with what was
measured; what went wrong in the middle of a list, and what has an unknown outcome, counts in full
and at worst.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from labctl.characterize.procedure import Capped
from labctl.energy import Charge, charges
from labctl.errors import LabError, Misbehaved, Refused
from labctl.plan import Plan
from labctl.pulse import Pulse, Purpose, Trace
from labctl.quantity import format_quantity
from labctl.spec import Spec

WRITES = (Purpose.PROGRAM, Purpose.RESET)
"""Purposes of pulses that are counted by the caps of pulses and of energy."""


@dataclass(frozen=True, slots=True)
class Dose:
    """What one device was given."""

    pulses: int = 0
    """That program or reset, repeats counted."""
    joules: float = 0.0
    """[J] delivered to them."""
    seconds: float = 0.0
    """[s] of all pulses and waits, with settling and link."""

    def __add__(self, other: Dose) -> Dose:
        return Dose(self.pulses + other.pulses, self.joules + other.joules, self.seconds + other.seconds)


def at_worst(spec: Spec, pulses: Sequence[Pulse]) -> Dose:
    """The most that this list can give."""
    writing = [pulse for pulse in pulses if pulse.purpose in WRITES]
    settling = spec.settle_seconds * len(pulses) + (spec.link_seconds if pulses else 0.0)
    return Dose(
        sum(pulse.repeats for pulse in writing),
        math.fsum(map(spec.worst_joules, writing)),
        math.fsum(pulse.duration for pulse in pulses) + settling,
    )


def measured(pulses: Sequence[Pulse], booked: Sequence[Charge]) -> Dose:
    """What these pulses gave, by their charges."""
    writing = [pulse.repeats for pulse in pulses if pulse.purpose in WRITES]
    return Dose(
        sum(writing),
        math.fsum(charge.joules[0] for charge in booked if charge.purpose in WRITES),
        math.fsum(sum(charge.seconds) for charge in booked),
    )


class Meter:
    """Counts what one device is given in one step, and says when a list would be too much."""

    def __init__(self, spec: Spec, caps: Sequence[tuple[Capped, Dose]]) -> None:
        """Each cap comes with what counts against it already."""
        self._spec, self._caps = spec, caps
        self.given = Dose()

    def excess(self, pulses: Sequence[Pulse]) -> str:
        """Which cap this list could exceed, in words; empty: none."""
        coming = self.given + at_worst(self._spec, pulses)
        return next(filter(None, (excess(cap, had + coming) for cap, had in self._caps)), "")

    def book(self, pulses: Sequence[Pulse], traces: Sequence[Trace]) -> None:
        """This list was driven."""
        self.given += measured(pulses, charges(self._spec, pulses, traces))

    def book_failed(self, pulses: Sequence[Pulse], error: LabError) -> None:
        """This list was refused, or went wrong: then nobody knows what it gave."""
        if not isinstance(error, Refused):
            self.given += at_worst(self._spec, pulses)


def excess(caps: Capped, dose: Dose) -> str:
    """Which cap this dose is beyond, in words; empty: none. Written so that a NaN is beyond."""
    if not dose.pulses <= caps.most_pulses:
        return f"dose limit: more than {caps.most_pulses} pulses"
    if not dose.joules <= caps.most_energy:
        return f"dose limit: it could get more than {format_quantity(caps.most_energy, 'J')}"
    if not dose.seconds <= caps.most_time:
        return f"dose limit: more than {format_quantity(caps.most_time, 's')}"
    return ""


def capped(plan: Plan[None], meter: Meter, between: Callable[[], None]) -> Plan[str]:
    """The plan, until its end or until its next list could exceed a cap: then which one.

    `between` is called whenever the plan has worked on what it was sent. The plan is always closed.
    """
    answer: Callable[[], Sequence[Pulse]] = partial(next, plan)
    try:
        while True:
            try:
                pulses = answer()
            except StopIteration:
                return ""
            finally:
                between()
            if reason := meter.excess(pulses):
                return reason
            try:
                traces = yield pulses
            except (Refused, Misbehaved) as error:
                meter.book_failed(pulses, error)
                answer = partial(plan.throw, error)
            else:
                meter.book(pulses, traces)
                answer = partial(plan.send, traces)
    finally:
        plan.close()
