"""Knowm's Memristor Discovery boards (V2 in modes 1 and 2, V1, V0) on a Digilent Analog Discovery 2 or 3.

A V2 board is 1 x 16 in mode 1 and 2 x 8 in mode 2, V1 and V0 are 1 x 8; every column is at ground, each site
has its switch, all rows share W1. Lists of pulses become runs of the generator (`drivers.discovery.waves`),
captures become traces (`drivers.discovery.traces`), offsets are measured with the switches
(`drivers.discovery.calibration`).

Opening: generator to zero, switches open, then the supplies of the switches; closing the other way round,
each step by itself. `OnClose` is set so that the device shuts down with its handle, whoever closes it.

Tried on emulators only. Reference: Knowm's Memristor Discovery software and its help pages (github.com/knowm/
memristor-discovery); Digilent, "WaveForms SDK Reference Manual".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from drivers.discovery import calibration
from drivers.discovery.analog_discovery import BUFFER, CLOCK, TABLE, Discovery, Listening, Wave, tried
from drivers.discovery.calibration import Calibration, Looks
from drivers.discovery.circuits import Node, wiring
from drivers.discovery.dwf import Library
from drivers.discovery.settings import PYDWF, DiscoverySettings
from drivers.discovery.spec import spec_of
from drivers.discovery.traces import Bench, as_asked, traces_of
from drivers.discovery.waves import Run, runs, table_of
from labctl.board import Board
from labctl.errors import BoardFault, LabError, Misbehaved, Outputs, Refused
from labctl.making import EMULATED
from labctl.ownership import Holding
from labctl.pulse import Pulse, Purpose, Trace

__all__ = ["DiscoveryBoard", "DiscoverySettings"]
SUPPLIES = 5.0
"""[V] of V+, and of V- with the other sign."""
FINE, COARSE = 5.0, 50.0
"""[V] The two ranges of a scope channel, peak to peak."""
FINE_ENOUGH = 2.3
"""[V] Up to this the fine range holds a pulse, offsets included."""
LISTS_UNTIL_AGAIN = 500
"""Lists of pulses after which the offsets are measured again."""
B_SIDE = 0xFF00
"""Switches 9 to 16 of a V2 board."""


class DiscoveryBoard(Board):
    """A Memristor Discovery board."""

    Settings = DiscoverySettings

    def __init__(self, settings: DiscoverySettings) -> None:
        self._settings = settings
        self._wiring = wiring(settings.board, settings.mode)
        node = Node(settings.series or self._wiring.ohms, self._wiring.grounded)
        self.spec = spec_of(settings, self._wiring, node)
        self._nodes = (node,) * self._wiring.rows
        self._library = Library(settings.dwf, settings.dwf_options)
        self._discovery: Discovery | None = None
        self._serial = ""
        self._holding: Holding | None = None
        self._known: dict[float, Calibration] = {}
        self._own = 0.0
        """[V] W1's offset, as it was last known: so that a second opening asks less of the devices."""
        self._lists, self._last = 0, Outputs.UNKNOWN
        self._pins = -1
        """What the DIO pins are known to be; -1: nothing is known."""
        self._failed = False
        """Whether it has been told, in this session, that something went wrong."""

    def ready(self) -> str:
        """Which library, and which Analog Discovery; drives nothing."""
        version = self._library.version()
        return f"libdwf {version}, Analog Discovery {self._library.index_of(self._settings.serial)[1]}"

    def identity(self) -> str:
        """Which Analog Discovery was opened last, and by which library; it tells no firmware."""
        return f"Analog Discovery {self._serial}, libdwf {self._library.version()}" if self._serial else ""

    def addresses(self) -> list[str]:
        """The one that is plugged in; or an emulator of the library."""
        return [self._address(self._settings.serial)]

    def _address(self, serial: str | None) -> str:
        """What it is held by, so that nobody else opens it."""
        emulated = "" if self._settings.dwf == PYDWF else EMULATED
        return f"{emulated}Analog Discovery {serial or 'whichever is plugged in'}"

    # ---- open, safe, close --------------------------------------------------------------------

    def _open(self) -> None:
        index, serial = self._library.index_of(self._settings.serial)
        self._holding = Holding(self._address(serial), self.spec.name).take()
        self._serial, self._last, self._pins, self._failed = serial, Outputs.UNKNOWN, -1, False
        discovery = self._discovery = Discovery(self._library.open(index), self._library.sleep)
        discovery.prepare()
        discovery.quiet()
        self._throw(0)
        discovery.supplies(SUPPLIES)
        self._throw(self._wiring.rest)
        self._calibrate()

    def _make_safe(self) -> Outputs:
        """Switches open and generator off, each by itself; OFF if both were asked and say so."""
        discovery = self._discovery
        if discovery is not None:
            wrong = tried([lambda: discovery.pins(self._wiring.rest), discovery.quiet])
            self._pins = self._wiring.rest if not wrong else -1
            self._last = Outputs.UNKNOWN if wrong else Outputs.OFF
        return self._last

    def _close(self) -> None:
        discovery, self._discovery = self._discovery, None
        holding, self._holding = self._holding, None
        self._known, self._pins = {}, -1
        try:
            wrong = discovery.shut() if discovery is not None else []
        finally:
            if holding is not None:
                holding.release()
        if wrong:
            self._last = Outputs.UNKNOWN
            if not self._failed:  # or it would hide what went wrong before, and its traces
                raise self._not_shut(wrong)

    def _not_shut(self, wrong: Sequence[LabError]) -> Misbehaved:
        first = wrong[0]
        kind = type(first) if isinstance(first, Misbehaved) else BoardFault
        text = "; ".join(error.wrong for error in wrong)
        return kind(
            f"{self.spec.name} could not be shut down: {text}",
            outputs=Outputs.UNKNOWN,
            todo="unplug the Analog Discovery: without USB it drives nothing",
        )

    # ---- drive ----------------------------------------------------------------------------------

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        try:
            yield from self._driven(pulses)
        except Misbehaved:
            self._failed = True
            raise

    def _driven(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        self._lists += 1
        if self._lists % LISTS_UNTIL_AGAIN == 0:
            self._known = {FINE: self._opened(FINE)[0]}
        parts, link = list[Trace](), self.spec.link_seconds
        for run in runs(pulses, TABLE):
            for pulse, trace in zip(run.pulses, self._played(run), strict=True):
                parts.append(trace)
                if run.more:
                    continue
                yield replace(_joined(parts), link_seconds=link)
                parts, link = [], 0.0
                if not as_asked(self._bench(FINE), pulse, trace):
                    raise BoardFault(
                        f"{self.spec.name}: the source was not where it was told to be",
                        todo="see the trace in the run folder; look at W1's wire and for a short",
                    )
        self._throw(self._wiring.rest)

    def _played(self, run: Run) -> Iterator[Trace]:
        pulse = run.pulses[0]
        rows = self._wiring.rows
        if pulse.purpose is Purpose.WAIT or not pulse.driven[:rows].any():
            self._throw(self._wiring.rest)
            self._library.sleep(pulse.duration)
            yield _nothing(pulse, run.repeats)
            return
        sites = [self.spec.sites[index] for index in map(int, self.spec.connected(pulse.driven))]
        thrown = self._throw(self._wiring.bits([(site.row, site.column) for site in sites]))
        coarse = run.peak(rows) > FINE_ENOUGH
        bench = self._bench(COARSE if coarse else FINE)
        wave, listening = self._wave(run, bench), _listening(run, COARSE if coarse else FINE)
        capture = self._running.play(wave, listening)
        for trace in traces_of(bench, run, capture):
            yield replace(trace, settle_seconds=self.spec.settle_seconds if thrown else 0.0)
            thrown = False

    def _wave(self, run: Run, bench: Bench) -> Wave:
        """One period in W1's volts: before the divider, of the board's sign, and its own offset taken off."""
        points = int(np.clip(round(run.period * CLOCK), 16, TABLE))
        own, w1 = bench.calibration.generator, self._wiring.sign / self._nodes[0].divider
        table = w1 * table_of(*run.corners(self._wiring.rows), points) - own
        return Wave(table, run.period, run.repeats, -own)

    def _throw(self, bits: int) -> bool:
        """Bring the switches to this, and see that they are; whether any had to be thrown."""
        if bits == self._pins:
            return False
        self._pins = -1
        self._running.pins(bits)
        self._pins = bits
        self._library.sleep(self.spec.settle_seconds)
        return True

    @property
    def _running(self) -> Discovery:
        if self._discovery is None:
            raise Refused(f"{self.spec.name} is not open")
        return self._discovery

    # ---- calibration ----------------------------------------------------------------------------

    def _bench(self, range_volts: float) -> Bench:
        """What captures in this range are worked out with; a coarse one is looked at when it is needed."""
        if range_volts not in self._known:
            pins = self._pins
            self._known[range_volts], _ = self._opened(range_volts)
            self._throw(pins)
        return Bench(self._wiring, self._nodes, self._known[range_volts])

    def _calibrate(self) -> None:
        """Offsets and gains with all switches open, W1's own with the last eight memristors."""
        found, opened = self._opened(FINE)
        two_modes = self._settings.board == "v2"
        closed = self._look(FINE, calibration.CLOSED, B_SIDE if two_modes else self._wiring.switches)
        if two_modes:
            self._refuse_other_mode(calibration.mode_seen(opened, closed))
        found = calibration.with_devices(found, opened, closed)
        self._known, self._own = {FINE: found}, found.generator

    def _opened(self, range_volts: float) -> tuple[Calibration, Looks]:
        """What a look with all switches open tells in this range; W1's own offset is taken as it was."""
        opened = self._look(range_volts, calibration.OPEN)
        return calibration.at_rest(self._wiring, self._nodes, opened, self._own), opened

    def _look(self, range_volts: float, how: calibration.How, switches: int = 0) -> Looks:
        self._throw(self._wiring.rest | switches)
        slowest = self.spec.response_seconds
        looks = calibration.look(self._running.play, range_volts, slowest, how, self._own)
        self._throw(self._wiring.rest)
        return looks

    def _refuse_other_mode(self, seen: int | None) -> None:
        mode = self._settings.mode
        if seen == mode or (seen is None and self._settings.assume_mode):
            return
        if seen is None:
            raise Refused(
                f"{self.spec.name}: no memristor from 9 to 16 conducts, so the mode cannot be told",
                allowed=f"a board in mode {mode}, with a chip in it",
                outputs=Outputs.OFF,
                todo="look at the chip; or, if you see the slide switch, say assume_mode = true",
            )
        raise Refused(
            f"{self.spec.name}: the slide switch is in mode {seen}",
            allowed=f"mode {mode}, as the bench file says",
            outputs=Outputs.OFF,
            todo="move the switch (left: mode 1), or change the bench file",
        )


def _listening(run: Run, range_volts: float) -> Listening:
    """All of a run in as many samples as there are."""
    length = run.period * run.repeats
    divider = max(math.ceil(length * CLOCK / (BUFFER - 2)), 1)
    return Listening(divider, max(math.ceil(length * CLOCK / divider) + 1, 16), range_volts)


def _joined(parts: Sequence[Trace]) -> Trace:
    """One trace of a pulse whose repeats were driven in several runs."""
    if len(parts) == 1:
        return parts[0]
    flags = parts[0].flags
    for part in parts:
        flags |= part.flags
    return replace(
        parts[0],
        seconds=np.concatenate([part.seconds for part in parts]),
        volts=np.concatenate([part.volts for part in parts]),
        amps=np.concatenate([part.amps for part in parts]),
        flags=flags,
    )


def _nothing(pulse: Pulse, repeats: int) -> Trace:
    """Nothing was driven for as long as the pulse lasts."""
    seconds = np.diff(pulse.seconds) * repeats
    nothing = np.zeros((len(seconds), len(pulse.driven)))
    return Trace(seconds, nothing, nothing.copy())
