"""The trigger model of an emulated Keithley 2450: blocks, source configuration lists, sweeps made of both.

Follows "Model 2450 Reference Manual", 2450-901-01, sections 3 (trigger model, configuration lists) and 6. A
branch counter counts how often it is reached and starts anew when its loop is done. Here are the blocks that
time things; those that wait for events, lines and timers are undefined headers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from sim_backend.emulators.k2450.lists import INDEX, ConfigurationList, Lists
from sim_backend.emulators.k2450.stored import Buffer
from sim_backend.emulators.scpi.parser import command, none, only
from sim_backend.emulators.scpi.values import Number, ScpiError, Switch, quoted
from sim_backend.emulators.smu.run import Action, Do, Measure, Wait

BLOCK = Number(1, 63, 1, whole=True)
DELAY = Number(0.0, 10_000.0, 0.0, "S")
SHORTEST_DELAY = 167e-9
COUNT = Number(1, 1_000_000, 1, whole=True)
SWITCH = Switch()
NO_MODEL = (-221, "Settings conflict; the trigger model has no blocks")
"""The instrument has a code of its own for it [not verified]."""

Block: TypeAlias = Callable[[], Iterator[Action | int]]
"""What it does; an int is the block that it branches to."""


class TriggerModel(Lists):
    """Blocks by number, and whoever runs them."""

    def deliver_trigger(self) -> None:
        """No blocks."""
        self._blocks: dict[int, Block] = {}
        self._counters: dict[int, int] = {}
        self._done: set[int] = set()
        self._at, self._state = 0, "EMPTY"

    # ---- blocks -------------------------------------------------------------------------------

    @command(":TRIGger:LOAD")
    def _load(self, arguments: list[str]) -> None:
        self._idle()
        match quoted(arguments[0]).upper() if arguments else "":
            case "EMPTY":
                self.clear_blocks()
            case "SIMPLELOOP":
                self._simple_loop(arguments[1:])
            case "":
                raise ScpiError(-109)
            case _:
                raise ScpiError(-224)

    def _simple_loop(self, arguments: list[str]) -> None:
        if not arguments:
            raise ScpiError(-109)
        count = int(COUNT.read(arguments[0]))
        delay = DELAY.read(arguments[1]) if len(arguments) > 1 else 0.0
        buffer = self.buffer(arguments[2] if len(arguments) > 2 else None)
        self.clear_blocks()
        self.put(1, lambda: self.clears(buffer))
        self.put(2, lambda: iter([Wait(delay)]))
        self.put(3, lambda: self.measures(buffer, 1))
        self.put(4, lambda: self.counts(4, count, 2))

    @command(":TRIGger:BLOCk:BUFFer:CLEar")
    def _block_clear(self, arguments: list[str]) -> None:
        buffer = self.buffer(arguments[1] if len(arguments) > 1 else None)
        self.put(self._block(arguments), lambda: self.clears(buffer))

    @command(":TRIGger:BLOCk:SOURce:STATe")
    def _block_source(self, arguments: list[str]) -> None:
        on = SWITCH.read(argument(arguments, 1))
        self.put(self._block(arguments), lambda: iter([Do(lambda: setattr(self.smu, "output", on))]))

    @command(":TRIGger:BLOCk:DELay:CONStant")
    def _block_delay(self, arguments: list[str]) -> None:
        seconds = DELAY.read(argument(arguments, 1))
        if 0.0 < seconds < SHORTEST_DELAY:
            raise ScpiError(-222)
        self.put(self._block(arguments), lambda: iter([Wait(seconds)]))

    @command(":TRIGger:BLOCk:MEASure", ":TRIGger:BLOCk:MDIGitize")
    def _block_measure(self, arguments: list[str]) -> None:
        buffer = self.buffer(arguments[1] if len(arguments) > 1 else None)
        count = int(COUNT.read(arguments[2])) if len(arguments) > 2 else 1
        self.put(self._block(arguments), lambda: self.measures(buffer, count))

    @command(":TRIGger:BLOCk:NOP")
    def _block_nothing(self, arguments: list[str]) -> None:
        self.put(self._block(arguments), lambda: iter(()))

    @command(":TRIGger:BLOCk:CONFig:RECall")
    def _block_recall(self, arguments: list[str]) -> None:
        found = self.named_list(arguments[1:])
        index = int(INDEX.read(arguments[2])) if len(arguments) > 2 else 1
        self.put(self._block(arguments), lambda: self._recalls(found, index))

    @command(":TRIGger:BLOCk:CONFig:NEXT")
    def _block_next(self, arguments: list[str]) -> None:
        found = self.named_list(arguments[1:])
        self.put(self._block(arguments), lambda: self._recalls(found, found.following()))

    @command(":TRIGger:BLOCk:CONFig:PREVious")
    def _block_previous(self, arguments: list[str]) -> None:
        found = self.named_list(arguments[1:])
        self.put(self._block(arguments), lambda: self._recalls(found, found.preceding()))

    @command(":TRIGger:BLOCk:BRANch:COUNter")
    def _block_counter(self, arguments: list[str]) -> None:
        block, times, to = self._block(arguments), argument(arguments, 1), argument(arguments, 2)
        count, target = int(COUNT.read(times)), int(BLOCK.read(to))
        self.put(block, lambda: self.counts(block, count, target))

    @command(":TRIGger:BLOCk:BRANch:COUNter:COUNt?")
    def _counted(self, arguments: list[str]) -> str:
        return str(self._counters.get(int(BLOCK.read(only(arguments))), 0))

    @command(":TRIGger:BLOCk:BRANch:ALWays")
    def _block_branch(self, arguments: list[str]) -> None:
        target = int(BLOCK.read(argument(arguments, 1)))
        self.put(self._block(arguments), lambda: iter([target]))

    # ---- what blocks do -------------------------------------------------------------------------

    def clears(self, buffer: Buffer) -> Iterator[Action]:
        """Empty a buffer."""
        yield Do(buffer.readings.clear)

    def measures(self, buffer: Buffer, count: int) -> Iterator[Action]:
        """So many readings into a buffer."""
        for _ in range(count):
            yield Measure(partial(self.keep, buffer))

    def counts(self, block: int, count: int, target: int) -> Iterator[int]:
        """Branch, until it was reached so often."""
        self._counters[block] = self._counters.get(block, 0) + 1
        if self._counters[block] < count:
            yield target
        else:
            self._done.add(block)

    def _recalls(self, found: ConfigurationList, index: int) -> Iterator[Action]:
        level = self.smu.level(self.smu.function)
        self.recall(found, index)
        yield from self.settles(level)

    def settles(self, before: float) -> Iterator[Action]:
        """The source delay, if the level is another one."""
        if self.smu.output and self.smu.level(self.smu.function) != before:
            yield Wait(self.source_delay())

    # ---- runs ---------------------------------------------------------------------------------

    @command(":INITiate[:IMMediate]")
    def _initiate(self, arguments: list[str]) -> None:
        none(arguments)
        self._idle()
        if not self._blocks:
            raise ScpiError(*NO_MODEL)
        if max(self._blocks) != len(self._blocks):
            raise ScpiError(-221)
        self._counters, self._done, self._state = {}, set[int](), "RUNNING"
        self.runner.start(self._run())

    @command(":ABORt")
    def _abort(self, arguments: list[str]) -> None:
        none(arguments)
        self.halt()

    @command(":TRIGger:STATe?")
    def _trigger_state(self, arguments: list[str]) -> str:
        none(arguments)
        if self._stuck:
            return f"RUNNING;RUNNING;{self._at}"
        return f"{self._state};{self._state};{self._at}"

    def halt(self) -> None:
        """The model is aborted, if it is running."""
        if self.runner.active and self._state == "RUNNING":
            self._state = "ABORTED"
        super().halt()

    def clear_blocks(self) -> None:
        """None are left."""
        self._idle()
        self._blocks, self._state = {}, "EMPTY"

    def put(self, number: int, block: Block) -> None:
        """Define a block."""
        self._idle()
        self._blocks[number], self._state = block, "BUILDING"

    def fail(self) -> None:
        """The model stops, the output goes off: what a sweep does at its limit."""
        self.output = False
        self._state = "FAILED"

    def _run(self) -> Iterator[Action]:
        place = 1
        while place in self._blocks:
            self._at, following = place, place + 1
            if place in self._done:  # its loop is done: it starts anew
                self._done.discard(place)
                self._counters[place] = 0
            for action in self._blocks[place]():
                if isinstance(action, int):
                    following = action
                else:
                    yield action
            if following <= place:
                yield NOTHING
            place = following
        self._state = "IDLE"

    def _idle(self) -> None:
        if self.runner.active:
            raise ScpiError(-221)

    def _block(self, arguments: Sequence[str]) -> int:
        return int(BLOCK.read(argument(arguments, 0)))


def argument(arguments: Sequence[str], place: int) -> str:
    """One that must be there."""
    if len(arguments) <= place or not arguments[place]:
        raise ScpiError(-109)
    return arguments[place]


NOTHING = Do(lambda: None)
"""At every branch back, so that a loop of blocks that take no time can be cut."""
