"""The ngspice board against bare `NgSpiceShared`, and the fast twin against the ngspice board."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.table import Table, ratio, seconds, told
from labctl.addressing import infer, select
from labctl.board import Board
from labctl.images import letters
from labctl.pulse import Pulse, Purpose
from labctl.shapes import square
from sim_backend.compact import CompactBoard
from sim_backend.engine_child import find_library
from sim_backend.netlist import job, path
from sim_backend.ngspice import NgspiceBoard, NgspiceSettings
from sim_backend.simulated import SimulatedSettings
from sim_backend.stretches import stretches
from sim_backend.transient import Job


class BareNgspice:
    """PySpice's `NgSpiceShared` in this process, as its manual has it, and as lean as it can be made."""

    def __init__(self) -> None:
        from PySpice.Spice.NgSpice import Shared

        logging.disable(logging.CRITICAL)
        Shared.NgSpiceShared.LIBRARY_PATH = find_library(None)
        self._ngspice: Any = Shared.NgSpiceShared.new_instance()
        self._ffi: Any = Shared.ffi
        self._loaded: Job | None = None

    def usual(self, work: Job) -> None:
        """Load the circuit, alter, run, take the plot as numpy arrays, drop both."""
        self._ngspice.load_circuit(work.circuit)
        self._run(work)
        plot = self._ngspice.plot(simulation=None, plot_name=self._ngspice.last_plot)
        _ = {name: np.asarray(plot[name]._data) for name in plot}
        self._ngspice.exec_command("destroy all")
        self._ngspice.exec_command("remcirc")

    def lean(self, work: Job) -> None:
        """Keep the circuit loaded and copy only the vectors wanted, past PySpice's units."""
        if self._loaded is None or self._loaded.circuit != work.circuit:
            self._ngspice.load_circuit(work.circuit)
            self._loaded = work
        self._run(work)
        library = self._ngspice._ngspice_shared
        for name in ("time", *work.vectors):
            info = library.ngGet_Vec_Info(name.encode())
            np.frombuffer(bytes(self._ffi.buffer(info.v_realdata, info.v_length * 8)))
        self._ngspice.exec_command("destroy all")

    def _run(self, work: Job) -> None:
        for assignment in work.alter:
            self._ngspice.exec_command(f"alter {assignment}")
        self._ngspice.exec_command(f"tran {work.max_step!r} {work.stop!r} 0 {work.max_step!r} uic")


def against_bare_ngspice() -> Table:
    """One pulse and lists of 100: the board's whole `apply` over the same netlist run bare."""
    bare, rows = BareNgspice(), list[tuple[str, ...]]()
    with NgspiceBoard(NgspiceSettings(layout="selector")) as board:
        for name, pulses in _cases(board).items():
            if any(pulse.purpose is not Purpose.READ for pulse in pulses):
                continue  # only reads leave the device where it was, so that both solve the same
            work = _jobs(board, pulses)
            for kind, run in (("load, run, plot()", bare.usual), ("kept loaded, raw vectors", bare.lean)):
                ours, its, over = ratio(lambda p=pulses: board.apply(p), _each(run, work))
                count = len(pulses)
                rows.append((name, kind, told(ours / count), told(its / count), f"{over:.2f}"))
    return Table(
        "ngspice board (in its own process, with limits and traces) against bare NgSpiceShared, a pulse",
        ("pulses", "bare", "board", "bare", "ratio"),
        tuple(rows),
    )


def twin_against_ngspice() -> Table:
    """The same pulses on both boards."""
    rows = [
        *_faster(
            NgspiceBoard(NgspiceSettings(layout="selector")),
            CompactBoard(SimulatedSettings(layout="selector")),
        ),
        *_faster(
            NgspiceBoard(NgspiceSettings(layout="network")), CompactBoard(SimulatedSettings(layout="network"))
        ),
    ]
    head = ("board", "pulses", "ngspice", "twin", "times faster")
    return Table("fast twin against ngspice, one `apply`", head, tuple(rows))


def _faster(spice: Board, twin: Board) -> list[tuple[str, ...]]:
    rows = list[tuple[str, ...]]()
    with spice, twin:
        for name, pulses in _cases(spice).items():
            slow = seconds(lambda p=pulses: spice.apply(p), 9)
            fast = seconds(lambda p=pulses: twin.apply(p), 99)
            rows.append((spice.spec.name, name, told(slow), told(fast), f"{slow / fast:.0f}"))
    return rows


def _cases(board: Board) -> dict[str, Sequence[Pulse]]:
    spec = board.spec
    read = select(spec, 0, square(0.1, 100e-6), Purpose.READ)
    write = select(spec, 0, square(0.4, 100e-6), Purpose.PROGRAM)
    erase = select(spec, 0, square(-0.4, 100e-6), Purpose.PROGRAM)
    long = select(spec, 0, square(0.4, 10e-3), Purpose.PROGRAM)
    if spec.neurons:
        return {"30 patterns of 50 us": [infer(spec, 0.1 * p, 50e-6) for p in letters("z").pixels]}
    return {
        "1 read of 100 us": [read],
        "100 reads of 100 us": [read] * 100,
        "1 program of 100 us": [write],
        "1 program of 10 ms": [long],
        "100 up and down of 100 us": [write, erase] * 50,
    }


def _jobs(board: NgspiceBoard, pulses: Sequence[Pulse]) -> list[Job]:
    spec = board.spec
    netlist = path((0, 1), (spec.series_ohms[0], spec.series_ohms[1]), 180e-12, board._chip.parameters[0])
    states = np.array([board._chip.x[0], 0.0])
    return [job(netlist, stretch, states) for stretch in stretches(pulses)]


def _each(run: Callable[[Job], None], work: Sequence[Job]) -> Callable[[], None]:
    def all_of_them() -> None:
        for one in work:
            run(one)

    return all_of_them
