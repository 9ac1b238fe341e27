"""What calls of `apply` take: to the first byte on the wire, and a thousand pulses in one call or in many.

The first byte is seen at the socket's other end: a relay in a process of its own stands before the emulated
instrument, and writes down the moment (CLOCK_MONOTONIC, the same in all processes) at which something came.
So its waking up is in it; what that alone takes is measured by sending a byte straight to it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import select
import socket
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.emulated import LIST, SERIES, board_at, emulated, reads, writes
from benchmarks.table import Table, seconds, told
from labctl.board import Board
from labctl.pulse import Pulse

CALLS = 500
PULSES = 1000
RUNS = 5
WRITE_VOLTS = 0.4
"""[V] Of a device with 10 kohm before it, up and down in turn: it stays alive."""
HOST = "127.0.0.1"


# ---- the first byte -------------------------------------------------------------------------


def first_byte(calls: int = CALLS) -> Table:
    """From the call to the first byte, as the instrument's side of the socket sees it."""
    rows: list[tuple[str, ...]] = []
    with emulated("--resistor", SERIES) as instrument, _relayed(instrument.port) as (port, came):
        with _bytes_to(port) as send:
            rows.append(_first("a byte, sent straight", send, came, calls))
        for guarded in (False, True):
            name = "board in its guard" if guarded else "board"
            with board_at(f"tcp://{HOST}:{port}", guarded=guarded) as board:
                pulses = reads(board, LIST)
                one, all_of_them = partial(board.apply, pulses[:1]), partial(board.apply, pulses)
                rows.append(_first(f"{name}, one pulse", one, came, calls))
                rows.append(_first(f"{name}, {LIST} pulses", all_of_them, came, calls // 5))
    head = ("what is called", "calls", "median", "p90", "p99")
    return Table("from `apply` to its first byte on the wire, an emulated 2450 over TCP", head, tuple(rows))


def _first(name: str, call: Callable[[], object], came: Any, calls: int) -> tuple[str, ...]:
    found = list[float]()
    for turn in range(calls + 2):
        came.value = 0
        start = time.monotonic_ns()
        call()
        while not came.value:  # it may still be on its way, where nothing was waited for
            time.sleep(1e-5)
        if turn >= 2:  # the first ones do what is done once
            found.append((came.value - start) * 1e-9)
    median, high, highest = np.quantile(found, [0.5, 0.9, 0.99])
    return name, f"{calls}", told(median), told(high), told(highest)


@contextlib.contextmanager
def _bytes_to(port: int) -> Generator[Callable[[], object]]:
    """An empty message, which an instrument takes no notice of."""
    with socket.create_connection((HOST, port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield lambda: line.send(b"\n")


@contextlib.contextmanager
def _relayed(port: int) -> Generator[tuple[int, Any]]:
    """A port that leads to that one, and the moment [ns] of the first byte since this was last set to 0."""
    context = multiprocessing.get_context("spawn")
    here, came = context.Value("i", 0, lock=False), context.Value("q", 0, lock=False)
    process = context.Process(target=_relay, args=(port, here, came), daemon=True)
    process.start()
    try:
        while not here.value:
            if not process.is_alive():
                raise RuntimeError("the relay did not start")
            time.sleep(1e-3)
        yield here.value, came
    finally:
        process.terminate()
        process.join()


def _relay(port: int, here: Any, came: Any) -> None:
    """One client after the other."""
    with socket.create_server((HOST, 0)) as listener:
        here.value = listener.getsockname()[1]
        while True:
            near, _ = listener.accept()
            with near, socket.create_connection((HOST, port)) as far:
                for line in (near, far):
                    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _pass_on(near, far, came)


def _pass_on(near: socket.socket, far: socket.socket, came: Any) -> None:
    """Until either ends."""
    while True:
        ready = select.select([near, far], [], [])[0]
        if near in ready and not came.value:
            came.value = time.monotonic_ns()
        for line, other in ((near, far), (far, near)):
            if line in ready:
                data = line.recv(65536)
                if not data:
                    return
                other.sendall(data)


# ---- one list, or one by one ----------------------------------------------------------------


def lists(count: int = PULSES) -> Table:
    """Programming pulses of the shortest width, on a simulated Sn device."""
    rows: list[tuple[str, ...]] = []
    with emulated("--dopant", "Sn", "--series", SERIES, "--columns", "1") as instrument:
        for guarded in (False, True):
            with board_at(instrument.address, guarded=guarded) as board:
                pulses = writes(board, count, WRITE_VOLTS)
                together = seconds(partial(board.apply, pulses), RUNS)
                single = seconds(partial(_one_by_one, board, pulses), RUNS)
                name = "in its guard" if guarded else "without a guard"
                driven = sum(pulse.duration for pulse in pulses)
                times = f"{single / together:.1f}"
                rows.append((name, told(driven), told(together), told(single), times, told(single / count)))
    head = ("board", "pulses", "one list", "one by one", "times faster", "each of them")
    return Table(f"{count:,} programming pulses, an emulated 2450 with an Sn device", head, tuple(rows))


def _one_by_one(board: Board, pulses: list[Pulse]) -> None:
    for pulse in pulses:
        board.apply([pulse])
