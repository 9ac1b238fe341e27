"""What source-measure units that speak SCPI have in common; what differs is a table of commands a model.

Every setting is told, asked for and compared. A run that only reads is one message, and so are its answers:
readings, whether the output is still on, the next error. A run that writes or takes long is begun only when
the instrument's store was seen to be empty, so that what is fetched after a failure belongs to this run; it
is four messages: that question, the run, whether it goes on and with how many readings, and its end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from drivers.languages.numbers import Identity, number
from drivers.languages.scpi import Scpi
from drivers.links.transport import Transport
from drivers.source_meters.replies import table
from drivers.source_meters.source_meter import NO_READINGS, Readings, Setup, Tripped
from drivers.source_meters.words import MeterWords
from labctl.errors import BoardFault, BoardHung, LabError, Misbehaved
from labctl.quantity import quoted

CALIBRATION, QUICK_CALIBRATION = 100, 20
"""Levels of 0 V whose time stamps tell how long levels are: with a coarse clock, and with a fine one."""
LEAST_NPLC, MOST_NPLC = 0.01, 10.0
RECONNECTING = (0.0, 0.01, 0.05)
"""[s] before each attempt: some believe for a moment that the last client is still there."""
RANGE_TOLERANCE = 0.06
"""[1] Some answer with the range that they were given, some with the most that it can hold."""
SLOW = 1.2
"""[1] of a run's own time that its answer may take, beside the link's deadline."""


class ScpiSourceMeter(MeterWords):
    """Implements `SourceMeter` (`.source_meter`); subclasses are tables and what no table can hold."""

    def __init__(self, link: Transport, line_hertz: float, patience: float) -> None:
        self._link = link
        self._timing, self._learned = self.TIMING or (0.0, 1.0), False
        self._nplc = self._delay = 0.0
        self._scpi = Scpi(link)
        self._hertz = line_hertz
        self._patience = patience
        self._step = 0.0
        self._stored, self._count = False, 0

    # ------------------------------------------------------------------------- begin, end

    def identify(self) -> Identity:
        """Ask who it is."""
        return self._scpi.identity()

    def begin(self) -> None:
        """Off, reset, configured; each setting read back."""
        if not self.is_off():
            for command in self.LEFT_ON:
                self._scpi.tell(command)
            self.off()
            if not self.is_off():
                raise self._fault("was left on and does not switch off")
        self._scpi.drain()  # what somebody else did wrong is not our fault
        self._scpi.tell("*RST")
        self._scpi.tell("*CLS")
        self._step, self._stored, self._learned = 0.0, False, False
        for command, word in self.WORDS.items():
            self._scpi.set_word(command, word)
        if (found := self._scpi.ask_number(":SYST:LFR?")) != self._hertz:
            raise self._fault(
                f"is set to mains of {found:.0f} Hz, and the bench file to {self._hertz:.0f} Hz"
            )
        self._begun()
        self.check("its configuration")

    def _begun(self) -> None:
        """What a model needs beside words."""

    def off(self) -> None:
        """Writes only, and each whatever became of the one before."""
        failed: Misbehaved | None = None
        for command in self.OFF:
            try:
                self._scpi.tell(command)
            except Misbehaved as error:
                failed = error
        if failed is not None:
            raise failed

    def is_off(self) -> bool:
        """By asking."""
        return self._whole(f"{self.OUTPUT}?") == 0

    def drop(self) -> None:
        """Close the link."""
        self._link.close()

    def check(self, what: str) -> None:
        """Any entry in its error queue is a fault."""
        self._scpi.check(what)

    # --------------------------------------------------------------------------- settings

    def arrange(self, setup: Setup) -> None:
        """Level, ranges and compliance."""
        scpi = self._scpi
        scpi.set(self.LEVEL, 0.0, step=1e-6)  # a run that was cut short may have left another
        scpi.set(self.VOLTS_RANGE, setup.volts_range, tolerance=RANGE_TOLERANCE)
        scpi.set(self.AMPS_LIMIT, setup.amps_limit, tolerance=1e-3)
        scpi.set(self.AMPS_RANGE, setup.amps_range, tolerance=RANGE_TOLERANCE)
        scpi.set(self.AMPS_LIMIT, setup.amps_limit, tolerance=1e-3)  # a change of range may have cut it

    def switch_on(self) -> None:
        """On, at the 0 V that `arrange` has seen to."""
        self._scpi.tell(f"{self.OUTPUT} ON")
        if self.is_off():
            raise self._went_off("does not switch on")
        if self.ZERO:
            self._scpi.tell(self.ZERO)
        if self.TIMING and not self._learned:
            self._learn_timing()
            self._learned = True

    def _learn_timing(self) -> None:
        """What a level takes beside its delay depends on firmware: it is measured, at 0 V."""
        count = QUICK_CALIBRATION if self.reach.clock_seconds < 1e-4 else CALIBRATION
        seen = list[tuple[float, float]]()
        for times in (2, 6):
            stamps = self.at_once([0.0] * count, times * self.reach.shortest_step).seconds
            took = 0.0 if stamps is None else float(stamps[-1] - stamps[0]) / (count - 1)
            seen.append((self._nplc / self._hertz, took - self._delay))
        (short, quick), (long, slow) = seen
        apertures = (slow - quick) / (long - short)
        overhead = quick - apertures * short
        if not (0.5 <= apertures <= 5.0 and -1e-4 <= overhead <= 1e-2):
            raise self._fault(
                f"takes {quick:.6g} s and {slow:.6g} s for apertures of {short:.6g} s and {long:.6g} s"
            )
        self._timing, self._step = (max(0.0, overhead), apertures), 0.0

    def state(self) -> str:
        """All that is watched, in one message."""
        asked = (self.OUTPUT, self.VOLTS_RANGE, self.AMPS_RANGE, self.AMPS_LIMIT, self.LEVEL, *self.WATCHED)
        return self._scpi.ask(";".join(f"{command}?" for command in asked))

    # -------------------------------------------------------------------------------- runs

    def at_once(self, volts: Sequence[float], seconds: float) -> Readings:
        """One message, one answer."""
        self._stored = False
        if seconds != self._step:
            self._timed(seconds)
        count = len(volts)
        asked = [*self._load(volts), self.READ.format(count=count), f"{self.OUTPUT}?", ":SYST:ERR?"]
        answer = self._answer(";".join(asked), count * seconds * SLOW + self._patience)
        return self._ended(answer, count)

    def start(self, volts: Sequence[float], seconds: float) -> None:
        """Empty the store, load, begin."""
        self._stored = False
        if seconds != self._step:
            self._timed(seconds)
        if self._whole(";".join((self.CLEAR.format(count=len(volts)), self.STORED))) != 0:
            raise self._fault("does not empty its store of readings")
        self._stored, self._count = True, 0
        self._scpi.tell(";".join((*self._load(volts), self.START)))

    def running(self) -> bool:
        """By its status, and how many readings it has."""
        question = f"{self.STATUS};{self.STORED}"
        status, _, count = self._scpi.ask(question).rpartition(";")
        self._count = self._as_whole(count, question)
        return self._busy(status)

    def end(self) -> Readings:
        """One message, one answer: readings, if there are any; output; the next error."""
        asked = [self.FETCH.format(count=self._count)] if self._count else []
        answer = self._scpi.ask(";".join([*asked, f"{self.OUTPUT}?", ":SYST:ERR?"]))
        return self._ended(answer if asked else f";{answer}", self._count)

    def fetch(self) -> Readings:
        """What is in the store."""
        if not self._stored:
            return NO_READINGS
        count = self._whole(self.STORED)
        return self._parsed(self._scpi.ask(self.FETCH.format(count=count)), count) if count else NO_READINGS

    # --------------------------------------------------------------------------- helpers

    def _answer(self, message: str, seconds: float) -> str:
        """An instrument that refuses a command leaves the rest undone, and says why only when asked."""
        try:
            return self._scpi.ask(message, seconds)
        except BoardHung as error:
            entries = self._why()
            if entries:
                raise self._fault(f"refuses a run: {'; '.join(map(quoted, entries[:3]))}") from error
            raise

    def _why(self) -> list[str]:
        """Off, over a fresh link, and what it complains of; nothing if it does not say."""
        for nap in RECONNECTING:
            time.sleep(nap)
            try:
                self.off()
                return self._scpi.drain()
            except LabError:
                self.drop()
        return []

    def _timed(self, seconds: float) -> None:
        """Make every level last so long [s], most of it measured."""
        self._step = 0.0
        overhead, apertures = self._timing
        cycles = 0.9 * (seconds - overhead) * self._hertz / apertures
        nplc = float(f"{min(max(cycles, LEAST_NPLC), MOST_NPLC):.3g}")
        delay = round(max(0.0, seconds - overhead - apertures * nplc / self._hertz), 6)
        self._nplc, self._delay = self._program(nplc, delay, seconds), delay
        self.check(f"levels of {seconds} s")
        self._step = seconds

    def _parsed(self, text: str, count: int) -> Readings:
        rows = table(text, count, self.FIELDS)
        if rows is None:
            raise self._fault(f"sent {quoted(text[:120])} for {count} readings of {self.FIELDS} numbers")
        return self._readings(rows)

    def _ended(self, answer: str, count: int) -> Readings:
        """Readings, whether the output is still on, and the next entry of the error queue."""
        readings, _, rest = answer.partition(";")
        if not rest.startswith(("1;0,", "1;+0,")):
            output, _, error = rest.partition(";")
            if output == "0":
                raise self._went_off("went off in a run")
            if output != "1" or not error:
                raise self._fault(f"sent {quoted(rest)} after its readings")
            entries = [error, *self._scpi.drain()]
            raise self._fault(f"refuses a run: {'; '.join(map(quoted, entries[:3]))}")
        return self._parsed(readings, count) if count else NO_READINGS

    def _whole(self, question: str) -> int:
        return self._as_whole(self._scpi.ask(question), question)

    def _as_whole(self, text: str, question: str) -> int:
        found = number(text)
        if found != int(found):
            raise self._fault(f"sent {found}, which is no whole number, to {question}")
        return int(found)

    def _went_off(self, wrong: str) -> BoardFault:
        if self.TRIP and self._whole(f"{self.TRIP}?"):
            return Tripped(
                f"{self.reach.name} at {self._link.address} {wrong}: COMPLIANCE, at which it switches off",
                todo="a device took more than it may: look for one that is shorted, or write it with less",
            )
        tripped = self._whole(f"{self.INTERLOCK}?") == self.TRIPPED
        why = "its interlock is open" if tripped else "it may have been switched off, or its mains cut"
        return self._fault(f"{wrong}: {why}")

    def _fault(self, wrong: str) -> BoardFault:
        return BoardFault(f"{self.reach.name} at {self._link.address} {wrong}")
