"""What a source-measure unit must be able to say, whatever language it speaks.

A board drives one through this face alone: voltages are sourced, currents measured. Everything that takes
time is a *run*: levels of equal length, one after the other, timed by the instrument, each measured once
at its end; the last level of every run is 0 V. A pulse is a few levels of a run (`.steps`), a list of
pulses is as few runs as possible, and between runs the source stands at 0 V.

Nothing here checks what may be driven: `labctl.spec` has done so before. A language sets what it is told,
reads it back, and raises `BoardFault` where the instrument says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from labctl.errors import BoardFault
from labctl.pulse import Floats, Indices

if TYPE_CHECKING:
    from drivers.languages.numbers import Identity


@dataclass(frozen=True, slots=True)
class Reach:
    """What a model can do, by its manual and data sheet."""

    name: str
    """As a person says it: "Keithley 2450"."""
    models: tuple[str, ...]
    """Model names in the answer to `*IDN?` that this language is for, in capitals: ("MODEL 2450",)."""
    volts_ranges: tuple[float, ...]
    """[V] full scales, smallest first, that are used."""
    amps_ranges: tuple[float, ...]
    """[A] full scales, smallest first, that are used."""
    shortest_step: float
    """[s] of a level that is measured."""
    longest_step: float
    """[s]"""
    most_steps: int
    """Levels in one run."""
    edge_seconds: float
    """[s] within which it goes from one level to the next."""
    noise_amps: float
    """[A] standard deviation of one reading of `shortest_step`, in the lowest of `amps_ranges`."""
    noise_floor_amps: float
    """[A] offset that its data sheet allows in the lowest of `amps_ranges`."""
    accuracy: float
    """[1] of a small voltage or current, offsets of the ranges included."""
    clock_seconds: float = 1e-6
    """[s] resolution of the time stamps of readings."""
    dead_socket_port: int | None = None
    """That ends all connections to it: see `drivers.links.dead_socket`."""
    tried: tuple[str, ...] = ()
    """Firmware with which this driver has met the instrument itself."""

    @property
    def shortest_pulse(self) -> float:
        """[s] with edges of a hundredth of it, of which the half at either end is at 0 V."""
        return self.shortest_step / 0.99


class Setup(NamedTuple):
    """What is fixed while a run lasts: no instrument chooses a range by itself."""

    volts_range: float
    """[V] one of `Reach.volts_ranges`."""
    amps_range: float
    """[A] one of `Reach.amps_ranges`."""
    amps_limit: float
    """[A] compliance, either sign."""


class Readings(NamedTuple):
    """What a run measured, one reading a level, in order; fewer than its levels if it was cut short."""

    seconds: Floats | None
    """[s], shape (readings,): when, since any fixed moment; None where the instrument has no clock."""
    volts: Floats
    """[V], shape (readings,): measured, or programmed and read back."""
    amps: Floats
    """[A], shape (readings,): out of HI; 0 where there is a flag that says why there is no number."""
    flags: Indices
    """shape (readings,): of `labctl.pulse.Flag`."""


class Tripped(BoardFault):
    """It met its compliance and switched itself off, as it was set to."""


NO_READINGS = Readings(None, np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.intp))


class SourceMeter(Protocol):
    """One instrument and its language, for one thread at a time.

    Every method raises `BoardHung`, `BoardGone` or `BoardFault`, and nothing else; what the outputs are then
    is not its business but the board's, which asks.
    """

    reach: Reach

    def identify(self) -> Identity:
        """Connect if need be, and ask who it is. Changes nothing: it may be somebody else's instrument."""
        ...

    def begin(self) -> None:
        """Bring it to a known state with the output off; every setting read back, its error queue empty.

        The state is read first: a source that was left on goes to 0 V and off before anything else is
        touched, for a reset while it drives a device could do anything.
        """
        ...

    def arrange(self, setup: Setup) -> None:
        """Level 0 V, ranges, compliance: set and read back. The source stands at 0 V already, or is off."""
        ...

    def switch_on(self) -> None:
        """Output on at 0 V, confirmed by asking."""
        ...

    def at_once(self, volts: Sequence[float], seconds: float) -> Readings:
        """A whole run in as few messages as possible: one that only reads, and is short.

        Raises `BoardFault` if the output is off afterwards or the instrument complains.
        """
        ...

    def start(self, volts: Sequence[float], seconds: float) -> None:
        """Begin a run of these levels [V], each of so many `seconds`, and return without waiting for it.

        The store of readings is seen to be empty first: what `fetch` finds in it is of this run.
        """
        ...

    def running(self) -> bool:
        """Whether the run still goes on: a short question that does not disturb it."""
        ...

    def end(self) -> Readings:
        """What a run has measured that `running` has seen the end of, in as few messages as possible.

        Raises `BoardFault` if the output is not on any more, and says why (an interlock, a power cut;
        `Tripped` where it met its compliance), or if the instrument complains.
        """
        ...

    def fetch(self) -> Readings:
        """What the run that was started last has measured so far, even if it is off by now; else nothing."""
        ...

    def state(self) -> str:
        """Whether it is on, a semicolon, and every setting that safety rests on: alike if nobody meddled."""
        ...

    def check(self, what: str) -> None:
        """Raise `BoardFault` if its error queue holds anything; `what` was done is for the message."""
        ...

    def off(self) -> None:
        """Stop the run and switch off. Writes only, so that nothing has to answer for it to work."""
        ...

    def is_off(self) -> bool:
        """Whether the output is off, by asking."""
        ...

    def drop(self) -> None:
        """Close the link, whatever state it is in; the next call opens it afresh. Raises nothing."""
        ...
