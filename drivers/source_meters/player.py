"""Runs on an instrument: relays and ranges before one, a look at the settings, the wait for its end.

The output is switched on at 0 V for the first run and stays at 0 V between runs; relays move only then. What
safety rests on is asked for again and again (`Player.look`): somebody at the front panel, or a cut of the
mains, changes the answer.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress

import numpy as np

from drivers.source_meters.runs import Run
from drivers.source_meters.settings import SourceMeterSettings
from drivers.source_meters.source_meter import NO_READINGS, Readings, Setup, SourceMeter, Tripped
from drivers.source_meters.traces import driven
from drivers.switch_boxes.switchbox import SwitchBox
from labctl.errors import BoardFault, BoardHung, LabError, Misbehaved
from labctl.pulse import Flag
from labctl.quantity import format_quantity, quoted

BRISK = 0.2
"""[s] of a run that reads and is not worth interrupting: it is sent, and its readings are waited for."""
LOOK_AFTER_LISTS = 20
LOOK_AFTER_RUN = 0.25
"""[s] of runs since the last look at the settings."""
LOOK_AFTER = 5.0
"""[s] since the last look, whatever was driven."""
MARGIN = 2.0
"""[s] that a run may take longer than its steps."""
OTHER_LEVEL, SMALL_LEVEL = 0.05, 0.01
"""Of a level, and of its range: by more than both together no level is off."""
OVER_RANGE = int(Flag.OVER_RANGE)
HARMLESS = 0.12
"""[V] of a read that moves nothing: one that is higher is not driven again, since the bill has it once."""
LONGEST_NAP = 0.05
"""[s] between two questions whether a run has ended: it can be stopped as soon."""


class Player:
    """Plays runs on one instrument, with a compliance of `amps_limit` [A], through a switch box or none."""

    def __init__(
        self, meter: SourceMeter, box: SwitchBox | None, settings: SourceMeterSettings, amps_limit: float
    ) -> None:
        self.meter, self._box = meter, box
        self._settings, self._limit = settings, amps_limit
        self.uncounted = False
        """Whether nobody knows how many pulses that write were driven."""
        self._on = False
        self._setup: Setup | None = None
        self._columns: tuple[int, ...] | None = None
        self._state, self._states = "", dict[Setup, str]()
        self._known: Setup | None = None
        """One whose state was seen: after the output was off, it is looked at first."""
        self._looked, self._lists, self._seconds = 0.0, 0, 0.0

    def off(self) -> bool:
        """One attempt to switch off, confirmed; after a failure the next one is over a fresh link."""
        self._on, self._columns, self._setup = False, None, None
        try:
            self.meter.off()
            if self.meter.is_off():
                return True
        except LabError:
            pass
        self.meter.drop()
        return False

    def look(self) -> None:
        """See, now and then, that nobody has changed a setting and that the instrument was not off."""
        self._lists += 1
        due = self._lists > LOOK_AFTER_LISTS or self._seconds > LOOK_AFTER_RUN
        if self._on and (due or time.monotonic() - self._looked > LOOK_AFTER):
            self._compare(self._state)

    def prepare(self, run: Run) -> float:
        """Relays, ranges, output. Returns the seconds that were waited for relays."""
        wanted, settle = run.key.columns, 0.0
        if self._box is not None and wanted != self._columns:
            sites = self._settings.switch.sites if self._settings.switch else ()
            self._columns = None
            self._box.select([channel for column in wanted for channel in sites[column]])
            self._columns, settle = wanted, self._box.settle_seconds
        self._arrange(run.key.volts_range, run.key.amps_range)
        return settle

    def play(self, run: Run) -> Readings:
        """All of it, one reading a level; once more where the range was too small and no device minds."""
        readings = self._played(run)
        higher, harmless = self._higher_range(), not run.key.writes and max(map(abs, run.volts)) <= HARMLESS
        if higher and harmless and _over_range(readings):
            self._arrange(0.0, higher)
            return self._played(run)
        return readings

    def salvage(self, run: Run, error: Misbehaved) -> Readings:
        """What a run measured before it failed with `error`; switched off first."""
        volts_range = self._setup.volts_range if self._setup else 0.0
        if not self.off() and self._box is not None:
            with suppress(LabError):  # what cannot be switched off is at least cut off
                self._box.open_all()
        try:
            readings = self.meter.fetch()
        except LabError:
            self.uncounted = run.key.writes and len({unit.pulse for unit in run.units}) > 1
            return NO_READINGS
        return driven(run, readings, SMALL_LEVEL * volts_range, tripped=isinstance(error, Tripped))

    def _arrange(self, volts_range: float, amps_range: float) -> None:
        reach, before = self.meter.reach, self._setup
        volts = volts_range or (before.volts_range if before else reach.volts_ranges[0])
        amps = amps_range or (before.amps_range if before else reach.amps_ranges[0])
        setup = Setup(volts, amps, self._limit)
        if self._known and not self._on:
            self._set(self._known)
        if setup != self._setup or not self._on:
            self._set(setup)

    def _set(self, setup: Setup) -> None:
        """Ranges and compliance, output on; the state is what it was when they were last like this."""
        if setup != self._setup:
            self._setup = None
            self.meter.arrange(setup)
            self._setup = setup
        expected = self._states.get(setup)
        if not self._on:
            if expected is not None:
                self._refuse_changed(beside_output(self.meter.state()), beside_output(expected))
            self._on = True
            self.meter.switch_on()
        self.meter.check("its ranges and compliance")
        self._compare(expected)
        self._states[setup], self._known = self._state, setup

    def _refuse_changed(self, found: str, expected: str) -> None:
        if found != expected:
            raise self._wrong(f"its settings are {quoted(found)}", expected)

    def _compare(self, expected: str | None) -> None:
        """What the settings are with what they were the last time."""
        self._state = self.meter.state()
        if expected is not None:
            self._refuse_changed(self._state, expected)
        self._looked, self._lists, self._seconds = time.monotonic(), 0, 0.0

    def _higher_range(self) -> float | None:
        """[A] the next, if the compliance has any use for it."""
        now, ranges = self._setup.amps_range if self._setup else 0.0, self.meter.reach.amps_ranges
        return next((full for full in ranges if now < full), None) if now < self._limit else None

    def _played(self, run: Run) -> Readings:
        meter = self.meter
        self._seconds += run.seconds
        if run.seconds <= BRISK and not run.key.writes:
            readings = meter.at_once(run.volts, run.key.seconds)
        else:
            meter.start(run.volts, run.key.seconds)
            self._wait(run)
            readings = meter.end()
        if len(readings.amps) != len(run.volts):
            raise self._wrong(f"it gave {len(readings.amps)} readings", f"{len(run.volts)}, one a level")
        self._refuse_other_levels(run, readings)
        return readings

    def _refuse_other_levels(self, run: Run, readings: Readings) -> None:
        """The levels that it says it has sourced are those of the run, but where its compliance cut in."""
        asked = np.array(run.volts)
        allowed = OTHER_LEVEL * np.abs(asked) + SMALL_LEVEL * (
            self._setup.volts_range if self._setup else 0.0
        )
        wrong = np.abs(readings.volts - asked) > allowed
        if wrong.any() and (wrong := wrong & (readings.flags == 0)).any():
            place = int(np.argmax(wrong))
            raise self._wrong(
                f"it sourced {readings.volts[place]:.6g} V", f"{asked[place]:.6g} V, as it was told"
            )

    def _wait(self, run: Run) -> None:
        until, nap = time.monotonic() + run.seconds * 1.1 + MARGIN, 1e-3
        while self.meter.running():
            if not time.monotonic() < until:
                raise BoardHung(
                    f"{self.meter.reach.name} is still busy: levels of {format_quantity(run.seconds, 's')}",
                    todo="see that no trigger is waited for, then switch it off and on",
                )
            time.sleep(nap)
            nap = min(2 * nap, LONGEST_NAP)

    def _wrong(self, wrong: str, allowed: str) -> BoardFault:
        return BoardFault(
            f"{self.meter.reach.name} at {self._settings.address}: {wrong}",
            allowed=allowed,
            todo="see that nobody uses its front panel, and that its mains are not cut",
        )


def beside_output(state: str) -> str:
    """A state without its first field, with whatever its language separates fields."""
    return re.split(r"[;\t]", state, maxsplit=1)[-1]


def _over_range(readings: Readings) -> bool:
    return any(flag & OVER_RANGE for flag in readings.flags.tolist())
