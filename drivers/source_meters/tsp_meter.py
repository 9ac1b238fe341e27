"""One channel of a source-measure unit that speaks TSP (`smua`, `smub`): runs made of its trigger model.

Every setting is told, asked for and compared. A run that only reads is one message, and its readings are the
answer. A run that writes or takes long is begun only when the buffers were seen to be empty, so that what is
fetched after a failure is of this run; it is five messages. What is sent is listed in `drivers.keithley2600`.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.languages.numbers import Identity, numbers
from drivers.languages.tsp import Tsp, lua_table
from drivers.links.transport import Transport
from drivers.source_meters.replies import bits, column, table
from drivers.source_meters.source_meter import NO_READINGS, Reach, Readings, Setup
from labctl.errors import BoardFault
from labctl.pulse import Flag
from labctl.quantity import quoted

LEAST_NPLC, MOST_NPLC = 0.001, 25.0
OVERHEAD = 2e-4
"""[s] of a step that is kept free for what a measurement takes beside its aperture."""
MEASURED = 0.8
"""[1] Of the rest of a step, the part that is measured."""
MOST_VALUES = 50
"""In one table of a list."""
SLOW = 1.2
"""[1] of a run's own time that its answer may take, beside the link's deadline."""
RANGE_TOLERANCE = 0.02
COMPLIANCE = 0x40
"""Bit of a reading's status word."""
INTERLOCK_OPEN = 2048
"""Bit of `status.measurement.condition`: interlock, or output enable."""
SWEEPING = {"a": 2, "b": 4}
"""Bit of each channel in `status.operation.sweeping.condition`."""
OFF = ("abort", "{s}.abort()", "{s}.source.output = {s}.OUTPUT_OFF")
WORDS = {
    "source.func": "OUTPUT_DCVOLTS",
    "source.offmode": "OUTPUT_HIGH_Z",  # off is an open relay: nothing is held, nothing discharged
    "source.autorangev": "AUTORANGE_OFF",
    "source.highc": "DISABLE",
    "sense": "SENSE_LOCAL",
    "measure.autorangei": "AUTORANGE_OFF",
    "measure.autozero": "AUTOZERO_OFF",
    "measure.filter.enable": "FILTER_OFF",
    "trigger.source.action": "ENABLE",
    "trigger.measure.action": "ENABLE",
    "trigger.endpulse.action": "SOURCE_HOLD",
    "trigger.endsweep.action": "SOURCE_IDLE",
}
NUMBERS = {"source.levelv": 0.0, "source.delay": 0.0, "measure.delay": 0.0, "measure.count": 1.0}
_SOURCE = ("output", "func", "offmode", "rangev", "levelv", "limiti")
WATCHED = [*(f"source.{name}" for name in _SOURCE), "measure.rangei", "trigger.source.limiti", "sense"]


class TspSourceMeter:
    """Implements `drivers.source_meters.source_meter.SourceMeter`."""

    def __init__(
        self, link: Transport, reach: Reach, channel: str, line_hertz: float, patience: float
    ) -> None:
        self.reach = reach
        self._link, self._tsp = link, Tsp(link)
        self._s, self._sweeping = f"smu{channel}", SWEEPING[channel]
        first = 1 if channel == "a" else 3
        self._levels, self._moment = f"trigger.timer[{first}]", f"trigger.timer[{first + 1}]"
        self._hertz, self._patience = line_hertz, patience
        self._step, self._stored, self._ready = 0.0, False, False
        self._counts, self._count = (f"{self._s}.nvbuffer1.n", f"{self._s}.nvbuffer2.n"), 0

    # ------------------------------------------------------------------------- begin, end

    def identify(self) -> Identity:
        """Ask who it is."""
        return self._tsp.identity()

    def begin(self) -> None:
        """Off, reset, configured; each setting read back."""
        s, tsp = self._s, self._tsp
        if not self.is_off():
            self.off()
            tsp.tell(f"{s}.source.levelv = 0 {s}.source.leveli = 0")
            if not self.is_off():
                raise self._fault("was left on and does not switch off")
        tsp.begin()
        tsp.tell(f"{s}.reset()")
        self._step, self._stored = 0.0, False
        for name, word in WORDS.items():
            tsp.set_word(f"{s}.{name}", f"{s}.{word}")
        for name, value in NUMBERS.items():
            tsp.set(f"{s}.{name}", value)
        for buffer in (f"{s}.nvbuffer1", f"{s}.nvbuffer2"):
            tsp.tell(f"{buffer}.clear() {buffer}.appendmode = 1 {buffer}.collecttimestamps = 1")
        self._set_triggers()
        self.check("its configuration")

    def _set_triggers(self) -> None:
        """Who waits for whom; timers that a run which was cut short may have left going begin anew."""
        s, tsp = self._s, self._tsp
        tsp.tell(f"{self._levels}.reset() {self._moment}.reset()")
        tsp.tell(f"{s}.trigger.measure.iv({s}.nvbuffer1, {s}.nvbuffer2)")
        tsp.set_word(f"{self._levels}.passthrough", "true")
        for attribute, event in (
            (f"{self._levels}.stimulus", f"{s}.trigger.ARMED_EVENT_ID"),
            (f"{self._moment}.stimulus", f"{s}.trigger.SOURCE_COMPLETE_EVENT_ID"),
            (f"{s}.trigger.measure.stimulus", f"{self._moment}.EVENT_ID"),
        ):
            tsp.set_word(attribute, event)
        self._step, self._ready = 0.0, True

    def off(self) -> None:
        """Writes only."""
        self._ready = False
        for command in OFF:
            self._tsp.tell(command.format(s=self._s))

    def is_off(self) -> bool:
        """By asking."""
        return self._tsp.ask_number(f"{self._s}.source.output") == 0

    def drop(self) -> None:
        """Close the link."""
        self._link.close()

    def check(self, what: str) -> None:
        """Any entry in its error queue is a fault."""
        self._tsp.check(what)

    # --------------------------------------------------------------------------- settings

    def arrange(self, setup: Setup) -> None:
        """Level, ranges and compliance."""
        s, tsp = self._s, self._tsp
        tsp.set(f"{s}.source.levelv", 0.0)  # a run that was cut short may have left another
        tsp.set(f"{s}.source.rangev", setup.volts_range, tolerance=RANGE_TOLERANCE)
        tsp.set(f"{s}.source.limiti", setup.amps_limit, tolerance=1e-3)
        tsp.set(f"{s}.measure.rangei", setup.amps_range, tolerance=RANGE_TOLERANCE)
        tsp.set(f"{s}.source.limiti", setup.amps_limit, tolerance=1e-3)  # a change of range may have cut it
        tsp.set(f"{s}.trigger.source.limiti", setup.amps_limit, tolerance=1e-3)

    def switch_on(self) -> None:
        """On, at the 0 V that `arrange` has seen to; its zero measured once."""
        s = self._s
        self._tsp.tell(f"{s}.source.output = {s}.OUTPUT_ON")
        if self.is_off():
            raise self._went_off("does not switch on")
        self._tsp.tell(f"{s}.measure.autozero = {s}.AUTOZERO_ONCE")

    def state(self) -> str:
        """All that is watched, in one message."""
        return self._tsp.ask(", ".join(f"{self._s}.{name}" for name in WATCHED))

    # -------------------------------------------------------------------------------- runs

    def at_once(self, volts: Sequence[float], seconds: float) -> Readings:
        """One message, one answer; then whether the output is still on and nothing was wrong."""
        self._stored = False
        self._timed(seconds)
        s, count = self._s, len(volts)
        run = (*self._cleared(), *self._load(volts), f"{s}.trigger.initiate()", "waitcomplete()")
        patience = count * seconds * SLOW + self._patience
        readings = self._tsp.tell_and_hear(*run, self._printed(count), seconds=patience)
        return self._ended(readings, count)

    def start(self, volts: Sequence[float], seconds: float) -> None:
        """Empty the buffers, load, begin."""
        self._stored = False
        self._timed(seconds)
        held = self._tsp.tell_and_hear(
            *self._cleared(), f"print({', '.join(self._counts)})", seconds=self._patience
        )
        if max(numbers(held, 2, "\t")) != 0:
            raise self._fault("does not empty its buffers")
        self._stored, self._count = True, 0
        *first, last = self._load(volts)
        for statement in first:  # one a message: a list may be long
            self._tsp.tell(statement)
        self._tsp.tell(last, f"{self._s}.trigger.initiate()")

    def running(self) -> bool:
        """By the bit of its channel, and how many readings it has."""
        condition, *held = self._tsp.ask_numbers("status.operation.sweeping.condition", *self._counts)
        self._count = int(min(held))
        return bool(int(condition) & self._sweeping)

    def end(self) -> Readings:
        """Readings, if there are any; then output and error queue."""
        count = self._count
        readings = self._tsp.tell_and_hear(self._printed(count), seconds=self._patience) if count else ""
        return self._ended(readings, count)

    def fetch(self) -> Readings:
        """What is in the buffers."""
        if not self._stored:
            return NO_READINGS
        count = int(min(self._tsp.ask_numbers(*self._counts)))
        if not count:
            return NO_READINGS
        readings = self._tsp.tell_and_hear(self._printed(count), seconds=self._patience)
        return self._parsed(readings, count)

    # --------------------------------------------------------------------------- helpers

    def _timed(self, seconds: float) -> None:
        """Make every level last so long [s], most of it measured at its end."""
        if not self._ready:
            self._set_triggers()
        if seconds == self._step:
            return
        self._step, s, tsp = 0.0, self._s, self._tsp
        cycles = MEASURED * (seconds - OVERHEAD) * self._hertz
        nplc = float(f"{min(max(cycles, LEAST_NPLC), MOST_NPLC):.3g}")
        nplc = tsp.set(f"{s}.measure.nplc", nplc, tolerance=0.01)
        tsp.set(f"{self._levels}.delay", seconds)
        tsp.set(f"{self._moment}.delay", round(seconds - OVERHEAD - nplc / self._hertz, 6), tolerance=1e-3)
        self.check(f"levels of {seconds} s")
        self._step = seconds

    def _load(self, volts: Sequence[float]) -> list[str]:
        """Statements that make these levels the next run's."""
        s, name, count = self._s, f"labctl_{self._s}", len(volts)
        found = [f"{name} = {lua_table(volts[:MOST_VALUES])}"]
        for at in range(MOST_VALUES, count, MOST_VALUES):
            more = lua_table(volts[at : at + MOST_VALUES])
            found.append(f"for _, level in ipairs({more}) do table.insert({name}, level) end")
        # a timer counts what follows its first event; a single level has none, and must not leave one behind
        event = f"{self._levels}.EVENT_ID" if count > 1 else "0"
        found.append(
            f"{s}.trigger.source.listv({name}) {s}.trigger.count = {count}"
            f" {self._levels}.count = {max(1, count - 1)} {s}.trigger.source.stimulus = {event}"
        )
        return found

    def _cleared(self) -> tuple[str, str]:
        return f"{self._s}.nvbuffer1.clear()", f"{self._s}.nvbuffer2.clear()"

    def _printed(self, count: int) -> str:
        amps, volts = f"{self._s}.nvbuffer1", f"{self._s}.nvbuffer2"
        return f"printbuffer(1, {count}, {volts}, {amps}, {amps}.timestamps, {amps}.statuses)"

    def _ended(self, readings: str, count: int) -> Readings:
        """After a run: whether the output is still on, and nothing was wrong."""
        output, errors = self._tsp.ask_numbers(f"{self._s}.source.output", "errorqueue.count")
        if output != 1:
            raise self._went_off("went off in a run")
        if errors:
            self.check("a run")
        return self._parsed(readings, count) if count else NO_READINGS

    def _parsed(self, text: str, count: int) -> Readings:
        rows = table(text, count, 4)
        if rows is None:
            raise self._fault(f"sent {quoted(text[:120])} for {count} readings of 4 numbers")
        volts, no_volts = column(rows, 0)
        amps, no_amps = column(rows, 1)
        status = bits(rows, 3, {Flag.COMPLIANCE: COMPLIANCE})
        return Readings(rows[:, 2], volts, amps, no_volts | no_amps | status)

    def _went_off(self, wrong: str) -> BoardFault:
        open_now = int(self._tsp.ask_number("status.measurement.condition")) & INTERLOCK_OPEN
        why = "its interlock is open" if open_now else "it may have been switched off, or its mains cut"
        return self._fault(f"{wrong}: {why}")

    def _fault(self, wrong: str) -> BoardFault:
        return BoardFault(f"{self.reach.name} at {self._link.address} {wrong}")
