"""Several procedures on several sites, one after the other: what a characterization run drives.

A protocol is a list of steps; a procedure by itself is a protocol of one. A step ends when its plan
does, when a dose limit is reached, or when the board refuses or fails on the site; how it ended is
its figure "ended". Where a step finds that nothing more must be sent to a device (open, short), or
the board failed on it, the other steps of this site are left out, and say so. The next site goes on.

Whoever drives the plan is told what happens as it happens (`Witness`), and may begin in the middle:
steps that have ended are not repeated, and rows that are there are not measured again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labctl.characterize.dose import Dose, Meter, capped
from labctl.characterize.procedure import AnyProcedure, Capped, Figures, Row
from labctl.errors import BoardFault, Refused
from labctl.plan import Plan
from labctl.spec import Spec

ENDED = "ended"
"""Name of the figure that says how a step ended."""
DONE = "done"


@dataclass(frozen=True)
class Step:
    """One procedure of a protocol, under a name of its own."""

    name: str
    procedure: AnyProcedure
    decides: bool = True
    """Whether what it finds may end the work on a device."""


@dataclass(frozen=True)
class Protocol:
    """What is done to each site, in this order."""

    name: str
    title: str
    settings: Capped
    """As they were given; their caps hold for all steps of a site together."""
    steps: tuple[Step, ...]

    @property
    def wears(self) -> bool:
        """Whether any step moves the device's state."""
        return any(step.procedure.wears for step in self.steps)

    def check(self, spec: Spec, sites: Sequence[int]) -> None:
        """Raise `Refused` if any step cannot be done on any of these sites, before anything is driven."""
        for site in sites:
            for step in self.steps:
                try:
                    step.procedure.check(spec, site)
                except Refused as error:
                    if len(self.steps) > 1:
                        error.wrong = f"step {step.name}: {error.wrong}"
                        error.todo = f"give it other settings ([{step.name}]), or leave it out (leave_out)"
                    raise


Key = tuple[str, int]
"""Name of a step, and a site."""


@dataclass(frozen=True)
class Before:
    """What a run has behind it when it goes on."""

    rows: Mapping[Key, list[Row]] = field(default_factory=dict[Key, list[Row]])
    ended: Mapping[Key, Figures] = field(default_factory=dict[Key, Figures])
    doses: Mapping[Key, Dose] = field(default_factory=dict[Key, Dose])

    def given(self, site: int) -> Dose:
        """In all steps of this site."""
        return sum((dose for (_, its), dose in self.doses.items() if its == site), Dose())


class Witness(ABC):
    """Is told what happens, in time to write it down before anything else is driven."""

    @abstractmethod
    def begins(self, step: str, site: int) -> None:
        """From here on pulses belong to this step."""

    @abstractmethod
    def found(self, step: str, site: int, rows: Sequence[Row]) -> None:
        """New rows of its table."""

    @abstractmethod
    def ends(self, step: str, site: int, figures: Figures) -> None:
        """The step is over; nothing of it will be repeated."""


def measure(
    protocol: Protocol, spec: Spec, sites: Sequence[int], witness: Witness, before: Before | None = None
) -> Plan[dict[Key, Figures]]:
    """All steps on one site after the other: the figures of each."""
    before, found = before or Before(), dict[Key, Figures]()
    for site in sites:
        given, reason = before.given(site), ""
        for step in protocol.steps:
            key = step.name, site
            if key in before.ended:
                found[key] = before.ended[key]
            elif reason:
                found[key] = {ENDED: f"not begun: {reason}"}
                witness.ends(step.name, site, found[key])
            else:
                own = step.procedure.settings, before.doses.get(key, Dose())
                meter = Meter(spec, (own, (protocol.settings, given)))
                begun = _Step(step, spec, site, witness, before.rows.get(key, []))
                found[key] = yield from begun.plan(meter)
                given += meter.given
            reason = reason or _obstacle(step, found[key])
    return found


def _obstacle(step: Step, figures: Figures) -> str:
    ended = str(figures[ENDED])
    if ended.startswith(_FAULT):
        return "the board failed on it"
    return step.procedure.obstacle(figures) if step.decides and not ended.startswith("not begun") else ""


_FAULT, _REFUSED = "the board failed: ", "refused: "


class _Step:
    """One step on one site."""

    def __init__(self, step: Step, spec: Spec, site: int, witness: Witness, rows: Sequence[Row]) -> None:
        self._step, self._spec, self._site, self._witness = step, spec, site, witness
        self._rows = list(rows)
        self._told = len(self._rows)

    def plan(self, meter: Meter) -> Plan[Figures]:
        """Drive it to its end, whatever that is."""
        name, procedure = self._step.name, self._step.procedure
        self._witness.begins(name, self._site)
        try:
            plan = procedure.plan(self._spec, self._site, self._rows)
            ended = (yield from capped(plan, meter, self._tell)) or DONE
        except Refused as error:
            ended = f"{_REFUSED}{error.wrong}{f' (allowed: {error.allowed})' if error.allowed else ''}"
        except BoardFault as error:
            ended = f"{_FAULT}{error.wrong}"
        figures = {**procedure.summary(self._spec, self._site, self._rows), ENDED: ended}
        self._witness.ends(name, self._site, figures)
        return figures

    def _tell(self) -> None:
        if new := self._rows[self._told :]:
            self._witness.found(self._step.name, self._site, new)
            self._told = len(self._rows)
