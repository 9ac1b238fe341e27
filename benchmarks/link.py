"""Setting a source and reading it over loopback TCP: with and without the guard, and as others do it.

One emulated 2450 in a process of its own, a resistor behind it. A pair is one voltage set and one current
read. The ways to make them have the instrument for themselves in turn, several times over, so that a machine
that has more to do for a while favours none. CPU time tells whose the time is, whatever else goes on.

Beside the ways of `benchmarks.others`: our link sends the same two messages as bare pyvisa-py; our driver
sends a run of levels that the instrument times, ends it at 0 V, and asks whether the output is still on and
for the error queue, all in one message; our board takes lists of pulses, refuses what exceeds a limit, plans
runs, and compares what was sourced with what was asked for; the guard does all that in another process.
"""

from __future__ import annotations

import contextlib
import math
import os
import statistics
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from functools import partial
from itertools import cycle
from typing import NamedTuple

from benchmarks import others
from benchmarks.emulated import (
    LIST,
    SERIES,
    SHORTEST,
    Emulated,
    Going,
    board_at,
    cpu_seconds,
    emulated,
    guard_of,
    levels,
    reads,
)
from benchmarks.table import Table
from drivers.keithley2450 import Keithley2450Language
from drivers.languages.scpi import Scpi
from drivers.links import connect
from drivers.source_meters.source_meter import Setup

ROUNDS = 5
RUN_SECONDS = 0.3
"""[s] of each way in each round."""
ALL = "limits, levels, output, errors"


class Way(NamedTuple):
    """How pairs are made."""

    name: str
    checked: str
    opened: Callable[[Emulated], AbstractContextManager[Going]]


class Run(NamedTuple):
    """What one run of a way came to."""

    per_second: float
    client: float
    guard: float
    instrument: float
    """[s] of CPU time for a pair, each."""


def link(rounds: int = ROUNDS) -> Table:
    """Pairs a second, the median of the rounds, and the CPU time of a pair."""
    runs: dict[str, list[Run]] = {way.name: [] for way in WAYS}
    with emulated("--resistor", SERIES) as instrument:
        for _ in range(rounds):
            for way in WAYS:
                with way.opened(instrument) as going:
                    runs[way.name].append(_run(going, instrument))
    bare = statistics.median(run.per_second for run in runs[WAYS[0].name])
    rows = tuple(_row(way, runs[way.name], bare) for way in WAYS)
    head = ("way", "pairs/s", "best", "times the first", "client", "guard", "instrument", "what is checked")
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return Table(f"set + read over TCP, emulated 2450; CPU time in us a pair; load {load}", head, rows)


def _row(way: Way, runs: list[Run], bare: float) -> tuple[str, ...]:
    rates = [run.per_second for run in runs]
    median = statistics.median(rates)
    spent = [_microseconds(statistics.median(found)) for found in list(zip(*runs, strict=True))[1:]]
    return way.name, f"{median:,.0f}", f"{max(rates):,.0f}", f"{median / bare:.0f}", *spent, way.checked


def _microseconds(seconds: float) -> str:
    return "–" if math.isnan(seconds) else f"{seconds * 1e6:.0f}"


def _run(going: Going, instrument: Emulated) -> Run:
    going.go()  # what is done once, such as ranges and timing
    processes = os.getpid(), going.guard, instrument.pid
    before = [_spent(pid) for pid in processes]
    start, made = time.perf_counter(), 0
    while (took := time.perf_counter() - start) < RUN_SECONDS:
        going.go()
        made += going.pairs
    after = [_spent(pid) for pid in processes]
    return Run(made / took, *((late - early) / made for early, late in zip(before, after, strict=True)))


def _spent(pid: int | None) -> float:
    return math.nan if pid is None else cpu_seconds(pid)


# ---- ours -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _messages(instrument: Emulated) -> Generator[Going]:
    """The two messages of bare pyvisa-py, over our link."""
    line, volts = connect(instrument.address), cycle(levels(LIST))
    scpi = Scpi(line)
    for message in others.READY:
        scpi.tell(message)

    def go() -> float:
        scpi.tell(f":SOUR:VOLT {next(volts)}")
        return scpi.ask_number(":READ?")

    try:
        yield Going(go)
        scpi.tell(":OUTP OFF")
        scpi.check("what it was told")
    finally:
        line.close()


@contextlib.contextmanager
def _driver(instrument: Emulated, count: int) -> Generator[Going]:
    """Runs of the driver, without what a board adds."""
    line = connect(instrument.address)
    meter = Keithley2450Language(line, 50.0, 2.0, "FRON")
    runs = cycle([[volts, 0.0] for volts in levels(LIST)] if count == 1 else [[*levels(count), 0.0]])
    try:
        meter.begin()
        meter.arrange(Setup(0.2, 1e-5, 1e-4))
        meter.switch_on()
        yield Going(lambda: meter.at_once(next(runs), SHORTEST), count)
        meter.off()
    finally:
        line.close()


@contextlib.contextmanager
def _board(instrument: Emulated, count: int, *, guarded: bool) -> Generator[Going]:
    """Lists of so many pulses."""
    board = board_at(instrument.address, guarded=guarded)
    pulses = reads(board, LIST)
    lists = cycle([[pulse] for pulse in pulses] if count == 1 else [pulses[:count]])
    with board:
        yield Going(lambda: board.apply(next(lists)), count, guard_of(board))


WAYS = (
    Way("pyvisa-py as shipped", "nothing", partial(others.bare, nodelay=False)),
    Way("pyvisa-py, TCP_NODELAY", "nothing", partial(others.bare, nodelay=True)),
    Way("PyMeasure's manner", "nothing", partial(others.instrument_class, checked=False, nodelay=False)),
    Way(
        "PyMeasure's manner, checked", "errors", partial(others.instrument_class, checked=True, nodelay=False)
    ),
    Way("the same, TCP_NODELAY", "errors", partial(others.instrument_class, checked=True, nodelay=True)),
    Way("labctl link, two messages", "numbers", _messages),
    Way("labctl driver, one by one", "output, errors", partial(_driver, count=1)),
    Way(f"labctl driver, runs of {LIST}", "output, errors", partial(_driver, count=LIST)),
    Way("labctl board, one by one", ALL, partial(_board, count=1, guarded=False)),
    Way(f"labctl board, lists of {LIST}", ALL, partial(_board, count=LIST, guarded=False)),
    Way("labctl board in its guard, one by one", ALL, partial(_board, count=1, guarded=True)),
    Way(f"labctl board in its guard, lists of {LIST}", ALL, partial(_board, count=LIST, guarded=True)),
)
