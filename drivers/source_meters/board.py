"""A source-measure unit as a board: one device at its terminals, or one of several behind a box of relays.

What is the same whatever the instrument: who may have it, what becomes of a list that fails, and how it is
switched off. The language is a `SourceMeter` (`.source_meter`), its runs are played by `.player`.

When a run fails the source is switched off, what was measured is fetched, and pulses that are complete keep
their traces. A run that only reads is not fetched: to read once more harms nothing. Of an output that went
off in a run, what it was not driven with any more leaves no trace; where it tripped at its compliance, the
pulse in which it did has that flag. Where nobody can tell how
many pulses that write were driven, the outputs are reported as UNKNOWN even though they are off, because then
no plan may go on by itself.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress

from drivers.languages.numbers import Identity
from drivers.links import connect
from drivers.links.dead_socket import end_links
from drivers.links.transport import Transport
from drivers.source_meters.player import Player
from drivers.source_meters.runs import Run
from drivers.source_meters.settings import SourceMeterSettings, compliance_of, planner_of, spec_of
from drivers.source_meters.source_meter import Reach, SourceMeter
from drivers.source_meters.traces import Assembler
from drivers.switch_boxes.switchbox import SwitchBox, switch_box
from labctl.board import Board
from labctl.errors import BoardFault, BoardGone, LabError, Misbehaved, Outputs, Unavailable
from labctl.ownership import Holding
from labctl.pulse import Pulse, Trace
from labctl.quantity import quoted


class SourceMeterBoard(Board):
    """One row at HI, columns at LO. Subclasses name the instrument's language and its reach."""

    Settings = SourceMeterSettings
    reach: Reach

    def __init__(self, settings: SourceMeterSettings) -> None:
        self.settings = settings
        self._box: SwitchBox | None = switch_box(settings.switch) if settings.switch else None
        self._box_is_ours = self._is_off = False
        self.spec = spec_of(settings, self.reach, self._box.settle_seconds if self._box else 0.0)
        self._planner = planner_of(settings, self.spec, self.reach)
        link = connect(settings.address, seconds=settings.deadline)
        self._meter, self._recorded = self._language(link, settings), settings.record is None
        self._player = self._fresh_player()
        self._holdings = list[Holding]()
        self._planned: tuple[Sequence[Pulse], list[Run]] = ((), [])
        self._told = ""

    @abstractmethod
    def _language(self, link: Transport, settings: SourceMeterSettings) -> SourceMeter:
        """What the instrument is spoken to with."""

    def _fresh_player(self) -> Player:
        """One that knows nothing of the instrument yet."""
        return Player(self._meter, self._box, self.settings, compliance_of(self.settings, self.spec))

    # ------------------------------------------------------------------------- open and close

    def _open(self) -> None:
        self._hold(self.settings.address)
        self._record()
        self._player = self._fresh_player()
        self._recognize()
        self._meter.begin()
        if self._box is not None:
            self._box.open()
            self._box_is_ours = True

    def _record(self) -> None:
        """Only now: a bench file that is merely read makes no new file."""
        if self._recorded:
            return
        try:
            link = connect(self.settings.address, seconds=self.settings.deadline, record=self.settings.record)
        except LabError:
            self._recognize()  # so that what somebody left on is switched off, recording or not
            raise
        self._meter, self._recorded = self._language(link, self.settings), True

    def _recognize(self) -> None:
        """Refuse an instrument that is not the one of the bench file, before anything is set."""
        found, settings = self._answer(), self.settings
        if found.model.upper() not in self.reach.models:
            said = f"it is {quoted(found.model)} of {quoted(found.maker)}"
            raise self._not_meant(said, " or ".join(self.reach.models))
        if settings.serial is not None and found.serial != settings.serial:
            raise self._not_meant(f"its serial number is {quoted(found.serial)}", settings.serial)
        self._hold(f"{found.maker} {found.model} {found.serial}")
        untried = "" if found.firmware in self.reach.tried else ", with which this driver has not been tried"
        self._told = f"{found.model} {found.serial}, firmware {found.firmware}{untried}"

    def identity(self) -> str:
        """Who answered when it was opened, and whether its firmware is one that the driver has met."""
        return self._told

    def addresses(self) -> list[str]:
        """Of the instrument, and of the box of relays before it."""
        switch = self.settings.switch
        return [self.settings.address, *([switch.address] if switch else [])]

    def free(self) -> str:
        """End every connection to it. Raises `Refused`, `InUse` or `Unavailable`."""
        address, reach, deadline = self.settings.address, self.reach, self.settings.deadline
        return end_links(address, reach.dead_socket_port, reach.name, deadline)

    def _answer(self) -> Identity:
        """Who it is; tried again for a while where it still believes in the client before this one."""
        until, nap = time.monotonic() + self.settings.deadline, 0.01
        while True:
            try:
                return self._meter.identify()
            except (BoardGone, Unavailable) as error:
                if not time.monotonic() + nap < until:
                    if self.reach.dead_socket_port is not None:
                        error.todo += "; where a dead client still has it, `labctl doctor --free` ends that"
                    raise
            self._meter.drop()
            time.sleep(nap)
            nap *= 2

    def _not_meant(self, wrong: str, allowed: str) -> BoardFault:
        return BoardFault(
            f"{self.reach.name} at {self.settings.address}: {wrong}",
            allowed=allowed,
            todo="correct the address or the serial number in the bench file",
        )

    def _hold(self, what: str) -> None:
        holding = Holding(what, f"{self.reach.name} at {self.settings.address}")
        holding.take()
        self._holdings.append(holding)

    def _close(self) -> None:
        self._meter.drop()
        if self._box is not None:
            self._box_is_ours = False
            self._box.close_link()
        while self._holdings:
            self._holdings.pop().release()

    def ready(self) -> str:
        """Who answers, and whether its output is off; changes nothing. Raises `Unavailable`."""
        if self._holdings:
            return f"{self.reach.name}, in use by this program"
        try:
            with Holding(self.settings.address, "a look"):
                found = self._meter.identify()
                state = "off" if self._meter.is_off() else "ON"
        except LabError as error:
            todo = error.todo or "see that it is switched on and its address is right"
            raise Unavailable(error.wrong, todo=todo) from error
        finally:
            self._meter.drop()
        return f"{found.model} {found.serial}, firmware {found.firmware}, output {state}"

    # ------------------------------------------------------------------------------ make safe

    def _make_safe(self) -> Outputs:
        """Off first, and asked whether it is; then relays open; where it was not confirmed, tried again."""
        if len(self._holdings) < 2:
            return Outputs.UNKNOWN  # it may be another's, or not the one that was meant
        off = self._player.off()
        if self._box is not None and self._box_is_ours:  # or it may be in use behind another's source
            with suppress(LabError):
                self._box.open_all()
        self._is_off = off = off or self._switched_off()
        return Outputs.OFF if off and not self._player.uncounted else Outputs.UNKNOWN

    def _left(self, outputs: Outputs) -> None:
        if not self._is_off:  # else only how many pulses were driven is unknown, and that has been told
            super()._left(outputs)

    def _switched_off(self) -> bool:
        """Once more at least, and over fresh links for as long as one answer may take."""
        until, nap = time.monotonic() + self.settings.deadline, 0.01
        if self._player.off():
            return True
        while time.monotonic() + nap < until:
            time.sleep(nap)
            nap *= 2
            if self._player.off():
                return True
        return False

    # ---------------------------------------------------------------------------------- drive

    def _refuse(self, pulses: Sequence[Pulse]) -> None:
        self._planned = pulses, self._planner.runs(pulses)

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        planned, runs = self._planned
        if planned is not pulses:
            runs = self._planner.runs(pulses)
        player = self._player
        player.look()
        assembler = Assembler(self.spec.lines, self.reach, self.spec.link_seconds)
        for run in runs:
            assembler.begin(player.prepare(run))
            try:
                readings = player.play(run)
            except Misbehaved as error:
                yield from assembler.traces(run, player.salvage(run, error))
                raise
            yield from assembler.traces(run, readings)
            assembler.refuse_wrong_times()
