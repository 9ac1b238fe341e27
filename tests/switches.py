"""A memristor that is a formula, and a way to drive a plan on it by hand: no board, no loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from labctl.characterize.procedure import AnyProcedure, Row
from labctl.characterize.protocol import Protocol, Step, Witness, measure
from labctl.limits import Limits
from labctl.parts import Site
from labctl.plan import Plan
from labctl.pulse import Flag, Pulse, Purpose, Trace
from labctl.spec import Spec

SERIES = 5_000.0
LIMITS = Limits(-3.0, 3.0, amps=1e-2, least_ohms=1_000.0, seconds=0.2)
SPEC = Spec("bench", 1, 1, (Site(0, 0, "Xe", "it", LIMITS),), (SERIES - 50.0, 50.0))


@dataclass
class Switch:
    """Two states and nothing in between; the source's volts that throw it."""

    siemens: float = 1e-5
    low: float = 1e-5
    """[S] after a reset."""
    high: float = 5e-4
    """[S] after a set."""
    throws_at: float = 0.5
    """[V] of either sign."""
    sets_after: Callable[[int], int] = lambda cycle: 1
    """How many set pulses the set of a cycle (from 1) takes."""
    flags: Flag = Flag.NONE
    resets: int = 0
    sets: int = 0
    read: Callable[[float, int], float] = lambda siemens, number: siemens
    """What read `number` (from 0) finds of the state, in siemens."""
    reads: int = 0
    driven: list[Pulse] = field(default_factory=list[Pulse])

    def answer(self, pulse: Pulse) -> Trace:
        """One sample a straight line, all repeats in it: the state is the one at its end."""
        self.driven.append(pulse)
        seconds = np.diff(pulse.seconds) * pulse.repeats
        volts = (pulse.volts[1:, 0] + pulse.volts[:-1, 0]) / 2
        flat = pulse.volts[1:, 0] == pulse.volts[:-1, 0]
        shown = np.array([self._after(*one, pulse) for one in zip(volts, flat, strict=True)])
        amps = volts * shown / (1 + shown * SERIES)
        both = np.column_stack([volts, np.zeros_like(volts)])
        return Trace(seconds, both, np.column_stack([amps, -amps]), self.flags)

    def _after(self, volts: float, flat: bool, pulse: Pulse) -> float:
        if not flat:
            return self.siemens
        if pulse.purpose is Purpose.READ and volts != 0:
            self.reads += 1
            return self.read(self.siemens, self.reads - 1)
        if volts <= -self.throws_at:
            self.siemens, self.sets = self.low, 0
            self.resets += pulse.repeats
        elif volts >= self.throws_at:
            self.sets += 1
            if self.sets >= self.sets_after(self.resets):
                self.siemens = self.high
        return self.siemens


class Rows(Witness):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def begins(self, step: str, site: int) -> None:
        """Nothing to keep."""

    def found(self, step: str, site: int, rows: Sequence[Row]) -> None:
        """Keep the rows."""
        self.rows += rows

    def ends(self, step: str, site: int, figures: object) -> None:
        """Nothing to keep."""


def driven(
    procedure: AnyProcedure, device: Switch, rows: list[Row] | None = None, spec: Spec = SPEC
) -> list[Row]:
    """The rows of the procedure's plan, driven to its end; those that are there already are `rows`."""
    found = [] if rows is None else rows
    send(procedure.plan(spec, 0, found), device)
    return found


def send(plan: Plan[None], device: Switch, most_lists: float = float("inf")) -> None:
    """Answer a plan until its end, or until it has asked for so many lists and one more."""
    try:
        pulses, lists = next(plan), 0
        while lists < most_lists:
            pulses, lists = plan.send([device.answer(pulse) for pulse in pulses]), lists + 1
    except StopIteration:
        return
    plan.close()


def ended(procedure: AnyProcedure, device: Switch, spec: Spec = SPEC) -> tuple[list[Row], str]:
    """The rows, and how it ended, with the caps kept."""
    witness = Rows()
    protocol = Protocol(procedure.name, procedure.title, procedure.settings, (Step("it", procedure),))
    plan = measure(protocol, spec, (0,), witness)
    try:
        pulses = next(plan)
        while True:
            pulses = plan.send([device.answer(pulse) for pulse in pulses])
    except StopIteration as end:
        return witness.rows, str(end.value["it", 0]["ended"])
