"""Several boards as one: 30 synapses on two boards of 16 devices, and neurons where there are none.

A pulse that selects a site goes to the part that has it, on that part's lines. A wait goes to all of
them, one after the other. A pulse that leaves the columns to the neurons is computed
(`labctl.stacked.inference`): the same inputs, the same formula, measured currents. So what is written
for a network board runs on a stack of boards that have no neurons, unchanged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby

import numpy as np

from labctl.board import Board
from labctl.errors import BoardFault, LimitExceeded, Misbehaved, Outputs, Refused
from labctl.making import Identified, Ready, Wired
from labctl.pulse import Flag, Floats, Pulse, Purpose, Trace
from labctl.stacked.inference import Computed
from labctl.stacked.layout import parts_of, seats_of, spec_of
from labctl.stacked.settings import StackedSettings

NEURONS, NOWHERE = -1, -2
"""Where a pulse goes that goes to no single part: to be computed, or nothing is connected."""


class StackedBoard(Board):
    """One or more boards whose sites are, in order, the memristors of a network."""

    Settings = StackedSettings

    def __init__(self, settings: StackedSettings) -> None:
        self._parts = parts_of(settings)
        specs = [part.spec for part in self._parts]
        self._seats = seats_of(settings, specs)
        self.spec = spec_of(settings, specs, self._seats)
        self._neurons = Computed(self.spec, specs, self._seats, together=settings.together, apply=self._on)
        self._opened = ExitStack()
        self._latest = 0
        """Part that was driven last: another that does not answer is not to keep it on."""
        self._touched = False
        """Something of the present list was driven."""

    @property
    def parts(self) -> tuple[Board, ...]:
        """The boards that it is made of."""
        return self._parts

    def identity(self) -> str:
        """Of all parts that know it."""
        told = (part.identity() for part in self._parts if isinstance(part, Identified))
        return "; ".join(filter(None, told))

    def ready(self) -> str:
        """What all parts found that can tell; `Unavailable` for the first that lacks something."""
        told = [part.ready() for part in self._parts if isinstance(part, Ready)]
        return "; ".join(told) or "nothing else is needed"

    def addresses(self) -> list[str]:
        """Of all parts that speak to anything."""
        wired = (part for part in self._parts if isinstance(part, Wired))
        return [address for part in wired for address in part.addresses()]

    def _open(self) -> None:
        for part in self._parts:
            self._opened.enter_context(part)

    def _close(self) -> None:
        self._opened.__exit__(*sys.exc_info())  # of an error on its way, no part is to make another

    def _make_safe(self) -> Outputs:
        """All of them, whatever one says, that which was driven last before others; as safe as the worst."""
        parts = sorted(enumerate(self._parts), key=lambda pair: pair[0] != self._latest)
        found = {part.make_safe() for _, part in parts}
        return next((worst for worst in (Outputs.ON, Outputs.UNKNOWN) if worst in found), Outputs.OFF)

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        self._touched = False
        places = [self._place(pulse) for pulse in pulses]  # of all, before anything is driven
        for place, group in groupby(zip(places, pulses, strict=True), key=lambda pair: pair[0]):
            run = [pulse for _, pulse in group]
            if place == NEURONS:
                yield from map(self._neurons.trace, run)
            elif place == NOWHERE:
                yield from map(self._waited, run)
            else:
                yield from self._selected(place, run)

    def _place(self, pulse: Pulse) -> int:
        """The part that this pulse goes to, or what else becomes of it."""
        if self.spec.computing(pulse.driven):
            return NEURONS
        connected = self.spec.connected(pulse.driven)
        if len(connected) > 1:
            raise LimitExceeded(
                f"a pulse that connects {len(connected)} sites of {self.spec.name}",
                allowed="one site selected, or all columns left to the neurons",
                todo="choose a bench with a network board: on a stack, sites are on several boards",
            )
        return self._seats[int(connected[0])].part if len(connected) else NOWHERE

    def _on(self, number: int, pulses: Sequence[Pulse]) -> list[Trace]:
        """Drive pulses of this part; what it refuses after others were driven is no refusal any more."""
        part, touched, self._touched, self._latest = self._parts[number], self._touched, True, number
        try:
            return part.apply(pulses)
        except Misbehaved as error:
            error.wrong = f"part {number}: {error.wrong}"
            raise
        except Refused as error:
            if not touched:
                raise
            raise BoardFault(f"part {number} refused in the middle of a list: {error.wrong}") from error

    # ---- one site

    def _selected(self, number: int, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        """A run of pulses for one part, in one list."""
        lines = [self._lines(pulse) for pulse in pulses]
        asked = [self._translated(number, pulse, *each) for pulse, each in zip(pulses, lines, strict=True)]
        try:
            traces = self._on(number, asked)
        except Misbehaved as error:
            measured = zip(error.traces, lines, strict=False)
            yield from [self._returned(number, trace, *each) for trace, each in measured]
            raise
        for trace, each in zip(traces, lines, strict=True):
            yield self._returned(number, trace, *each)

    def _lines(self, pulse: Pulse) -> tuple[list[int], list[int]]:
        """Row and column of the site: those of the network, and those of its part."""
        index = int(self.spec.connected(pulse.driven)[0])
        site, seat = self.spec.sites[index], self._seats[index]
        return [site.row, self.spec.rows + site.column], [seat.row, seat.column]

    def _translated(self, number: int, pulse: Pulse, ours: list[int], theirs: list[int]) -> Pulse:
        lines = self._parts[number].spec.lines
        volts, driven = np.zeros((len(pulse.seconds), lines)), np.zeros(lines, dtype=np.bool_)
        volts[:, theirs] = pulse.volts[:, ours]
        driven[theirs] = True
        return Pulse(pulse.seconds, volts, driven, pulse.purpose, pulse.repeats)

    def _returned(self, number: int, trace: Trace, ours: list[int], theirs: list[int]) -> Trace:
        """On the lines of the network. What one end of the site senses holds for the other."""
        volts = np.zeros((len(trace.seconds), self.spec.lines))
        amps = np.zeros_like(volts)
        volts[:, ours] = trace.volts[:, theirs]
        amps[:, ours] = self._both(number, trace.amps[:, theirs], theirs)
        return Trace(
            trace.seconds,
            volts,
            amps,
            trace.flags,
            trace.estimated,
            trace.settle_seconds,
            trace.link_seconds,
        )

    def _both(self, number: int, amps: Floats, theirs: list[int]) -> Floats:
        sensed = self._parts[number].spec.sensed
        row, column = (sensed is None or line in sensed for line in theirs)
        if row and not column:
            return np.column_stack([amps[:, 0], -amps[:, 0]])
        return np.column_stack([-amps[:, 1], amps[:, 1]]) if column and not row else amps

    # ---- none

    def _waited(self, pulse: Pulse) -> Trace:
        """Nothing is connected: every part waits as long, and each but the first on top of it."""
        settle = link = 0.0
        flags = Flag.NONE
        for number, part in enumerate(self._parts):
            lines = part.spec.lines
            nothing = np.zeros((2, lines)), np.zeros(lines, dtype=np.bool_)
            ends = np.array([0.0, pulse.seconds[-1]])
            asked = Pulse(ends, *nothing, Purpose.WAIT, pulse.repeats)
            (trace,) = self._on(number, [asked])
            settle += trace.settle_seconds + pulse.duration * (number > 0)
            link, flags = link + trace.link_seconds, flags | trace.flags
        seconds, volts = np.diff(pulse.seconds) * pulse.repeats, pulse.volts * pulse.driven
        middles = (volts[1:] + volts[:-1]) / 2
        return Trace(seconds, middles, np.zeros_like(middles), flags, False, settle, link)
