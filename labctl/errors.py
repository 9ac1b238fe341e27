"""What can go wrong, and whose fault it was.

Two kinds, because they ask for different things of the person at the bench (and a third, for the
one who asked to stop)::

    LabError
    ├── Refused            you asked for something that must not be; nothing was driven
    │   ├── BadQuantity    a text that is no quantity with a unit
    │   ├── BadConfig      a bench or experiment file that does not say what it must
    │   ├── BadImages      an image set that no 3 x 3 classifier can be trained on
    │   ├── BadData        measured data that cannot be what it is said to be
    │   ├── BadRun         a run folder that is missing, damaged, in use or of another version
    │   ├── LimitExceeded  a pulse that a site, a board or the experiment must never see
    │   ├── InUse          an instrument that another process has
    │   └── Unavailable    a library, class or file that is not there
    ├── Stopped            you asked it to stop, and it did at a safe point; saved, resumable
    └── Misbehaved         it was allowed, and it went wrong; says whether outputs are off
        ├── BoardFault     the board answered, wrongly
        │   └── NoConvergence   the simulator found no solution
        ├── BoardGone      the board (or its engine) ended in the middle of a call
        ├── BoardHung      the board did not answer within its deadline
        └── StorageFault   the run folder could not be written

Every error carries the same five answers: what was wrong, what is allowed, whether outputs are
off, what was saved, and what to do. `str(error)` prints those that are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from labctl.pulse import Trace


class Outputs(StrEnum):
    """Whether anything is still driven; what was not confirmed is UNKNOWN, never OFF."""

    OFF = "off"
    ON = "on"
    UNKNOWN = "UNKNOWN"


class LabError(Exception):
    """The root: five answers, all plain text."""

    def __init__(
        self,
        wrong: str,
        *,
        allowed: str = "",
        outputs: Outputs | None = None,
        saved: str = "",
        todo: str = "",
    ) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.allowed = allowed
        self.outputs = outputs
        self.saved = saved
        self.todo = todo

    def __str__(self) -> str:
        """All that is known, a line each."""
        rows = [
            ("allowed", self.allowed),
            ("outputs", self.outputs.value if self.outputs else ""),
            ("saved", self.saved),
            ("what to do", self.todo),
        ]
        return "\n".join([self.wrong] + [f"  {name}: {text}" for name, text in rows if text])


class Refused(LabError):
    """You asked for something that must not be: nothing was driven.

    What is known of the outputs is as it was: where nobody asked, it says nothing of them.
    """


class BadQuantity(Refused):
    """A text that is no quantity, or one of the wrong dimension."""


class BadConfig(Refused):
    """A bench or experiment file that does not say what it must."""


class BadImages(Refused):
    """An image set with a wrong size, one class only, or contradicting labels."""


class BadData(Refused):
    """Measured data that is empty, damaged, in the wrong units, or that says nothing of the device."""


class BadRun(Refused):
    """A run folder that is missing, damaged, in use, or written by another version."""


class LimitExceeded(Refused):
    """A pulse beyond what the site, the board or the experiment allows."""


class InUse(Refused):
    """An instrument that another process has; says which."""


class Unavailable(Refused):
    """A library, a class or a file that is not there."""


class Stopped(LabError):
    """Stopped at a safe point because it was asked to: nothing is wrong, and the run can be resumed."""


class Misbehaved(LabError):
    """It was allowed and went wrong. `traces` holds what was measured before it did.

    The traces belong, in order, to the first pulses of the list that was being applied; the
    pulse after the last of them has an unknown outcome.
    """

    def __init__(
        self,
        wrong: str,
        *,
        allowed: str = "",
        outputs: Outputs = Outputs.UNKNOWN,
        saved: str = "",
        todo: str = "",
        traces: Sequence[Trace] = (),
    ) -> None:
        super().__init__(wrong, allowed=allowed, outputs=outputs, saved=saved, todo=todo)
        self.traces: tuple[Trace, ...] = tuple(traces)

    def with_traces(self, traces: Sequence[Trace]) -> Self:
        """The same error with other traces; not by `copy`, which other packages change for errors."""
        other = type(self).__new__(type(self), *self.args)
        other.__dict__.update(self.__dict__)
        other.__cause__, other.traces = self.__cause__, tuple(traces)
        return other


class BoardFault(Misbehaved):
    """The board answered, and the answer is wrong."""


class NoConvergence(BoardFault):
    """The simulator found no solution of the circuit, or stopped before the end."""


class BoardGone(Misbehaved):
    """The board, or the process that computes it, ended in the middle of a call."""


class BoardHung(Misbehaved):
    """The board did not answer within its deadline."""


class StorageFault(Misbehaved):
    """The run folder could not be written: the disk is full, read-only or gone."""
