"""Many plans of one kind at once: what each asks for next is joined into one list, a round.

A call of a board pays for its link once, however long the list, so plans that wait for nobody but
their own device share calls. Nobody may suffer from who else is in the round. A round that is
refused was not driven: each part is sent alone, and only the plan whose part it was hears why. After
a round that went wrong, the traces tell who is served, who was in the middle of it (that plan gets
the error with its own traces), and who was not reached: they are sent alone. No pulse whose outcome
is unknown is ever sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from labctl.errors import Misbehaved, Refused
from labctl.plan import Plan
from labctl.pulse import Pulse, Trace

T = TypeVar("T")


def side_by_side(plans: Iterable[Plan[T]]) -> Plan[list[T]]:
    """Run these plans at once and return their results, in their order.

    An error that a plan does not catch ends all of them, as it would if they ran one after the other.
    """
    members = [_Member(plan) for plan in plans]
    try:
        for member in members:
            member.start()
        while waiting := [member for member in members if member.pulses is not None]:
            yield from _round(waiting)
        return [result for member in members for result in member.results]
    finally:
        for member in members:
            member.plan.close()


class _Member(Generic[T]):
    """One plan and what it waits for."""

    def __init__(self, plan: Plan[T]) -> None:
        self.plan = plan
        self.pulses: Sequence[Pulse] | None = None
        """Asked for and not yet answered; None when it is at its end."""
        self.results: list[T] = []
        """One, at the end."""

    @property
    def asked(self) -> Sequence[Pulse]:
        return self.pulses or ()

    def start(self) -> None:
        self._advance(lambda: next(self.plan))

    def answer(self, traces: Sequence[Trace]) -> None:
        self._advance(lambda: self.plan.send(traces))

    def fail(self, error: Refused | Misbehaved) -> None:
        self._advance(lambda: self.plan.throw(error))

    def _advance(self, go_on: Callable[[], Sequence[Pulse]]) -> None:
        self.pulses = None
        try:
            self.pulses = go_on()
        except StopIteration as end:
            self.results.append(end.value)


def _round(members: Sequence[_Member[T]]) -> Plan[None]:
    """One list for all of them, or, where that was refused or went wrong, what is left of it one by one."""
    if len(members) == 1:
        yield from _alone(members[0])
        return
    try:
        traces = yield [pulse for member in members for pulse in member.asked]
    except Refused:
        left = list(members)
    except Misbehaved as error:
        left = _after(error, members)
    else:
        left = _served(members, traces)
    for member in left:
        yield from _alone(member)


def _alone(member: _Member[T]) -> Plan[None]:
    """What one plan asked for, in a list of its own; it hears of it if that goes wrong."""
    try:
        traces = yield member.asked
    except (Refused, Misbehaved) as error:
        member.fail(error)
    else:
        member.answer(traces)


def _served(members: Sequence[_Member[T]], traces: Sequence[Trace]) -> list[_Member[T]]:
    """Hand out traces to all whose pulses were measured to the last; the others, in their order."""
    first = 0
    for index, member in enumerate(members):
        last = first + len(member.asked)
        if last > len(traces):
            return list(members[index:])
        member.answer(traces[first:last])
        first = last
    return []


def _after(error: Misbehaved, members: Sequence[_Member[T]]) -> list[_Member[T]]:
    """The first plan that was not served gets the error; the others, which were not reached."""
    ends = _ends(members)
    failed = next((index for index, end in enumerate(ends) if end > len(error.traces)), len(members) - 1)
    first = ends[failed - 1] if failed else 0
    its_own = error.with_traces(error.traces[first:])
    _served(members[:failed], error.traces[:first])
    members[failed].fail(its_own)
    return list(members[failed + 1 :])


def _ends(members: Sequence[_Member[T]]) -> list[int]:
    """How many pulses of the round there are up to the end of each."""
    ends, total = list[int](), 0
    for member in members:
        total += len(member.asked)
        ends.append(total)
    return ends
