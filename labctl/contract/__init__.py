"""What every board must do: one law a function, the same list in CI and on the desk.

A law takes a board that is not open, uses nothing but its public face, and raises `AssertionError`
with what it saw. Its docstring is the law, in one sentence. No law brings a tolerance of its own:
how well a board measures, holds a voltage and repeats itself, it says in its `Spec`.

`LAWS` only read. `PROGRAMMING_LAWS` move conductances, within the limits of the sites, and wear the
device: whoever runs them on the desk asks first. What they drive is chosen in `contract.probe`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from labctl.board import Board
from labctl.contract.physics import PHYSICS
from labctl.contract.probe import DoesNotApply, Law
from labctl.contract.programming import PROGRAMMING
from labctl.contract.refusal import REFUSAL
from labctl.contract.seam import SEAM
from labctl.errors import Refused

LAWS: tuple[Law, ...] = (*SEAM, *PHYSICS, *REFUSAL)
PROGRAMMING_LAWS: tuple[Law, ...] = PROGRAMMING


class Outcome(StrEnum):
    """What became of a law on a board."""

    KEPT = "kept"
    BROKEN = "broken"
    PASSED_OVER = "does not apply"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One law on one board."""

    law: str
    """The name of its function."""
    sentence: str
    outcome: Outcome
    why: str = ""
    """What was seen where it was broken, or why it does not apply."""


def examine(board: Board, laws: Sequence[Law]) -> list[Verdict]:
    """Try every law, whatever becomes of those before it; the board is safe and closed after each."""
    if not __debug__:
        raise Refused("under `python -O` no law can be broken", todo="run it without -O and PYTHONOPTIMIZE")
    return [_verdict(board, law) for law in laws]


def _verdict(board: Board, law: Law) -> Verdict:
    outcome, why = _outcome(board, law)
    return Verdict(law.__name__, " ".join((law.__doc__ or "").split()), outcome, why)


def _outcome(board: Board, law: Law) -> tuple[Outcome, str]:
    try:
        try:
            law(board)
        finally:
            board.__exit__(None, None, None)  # safe and closed, even if the law left it open; harmless twice
    except DoesNotApply as reason:
        return Outcome.PASSED_OVER, str(reason)
    except AssertionError as broken:
        return Outcome.BROKEN, str(broken) or "no reason given"
    except Exception as error:  # noqa: BLE001  whatever a stranger's driver raises, the next law is tried
        return Outcome.BROKEN, f"{type(error).__name__}: {error}"
    return Outcome.KEPT, ""
