"""What must hold when something has gone wrong: a second bench, a dead link, a guard that was killed."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from drivers.keithley2450 import Keithley2450
from labctl.addressing import select
from labctl.bench import Bench
from labctl.commands.hardware import confirm
from labctl.errors import BadConfig, BoardFault, BoardGone, BoardHung, InUse, Outputs, Refused
from labctl.guard import registry
from labctl.places import shared
from labctl.pulse import Flag, Purpose
from labctl.shapes import square
from sim_backend.emulators import keithley2450, keithley_707b
from sim_backend.emulators.behind.terminals import Resistors, Terminals
from sim_backend.emulators.serving.server import on_tcp
from tests.memory_link import MemoryLink
from tests.source_meters import KINDS, built, meddle, reading, resistor, rig, writing

every_kind = pytest.mark.parametrize("name", KINDS)


class Another(keithley2450.Keithley2450):
    identity = "KEITHLEY INSTRUMENTS,MODEL 2450,04499999,1.7.12b"


@contextmanager
def box(terminals: Terminals) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    """A 707B as a bench file has it, and what it hears."""
    instrument, heard = keithley_707b.Keithley707B(terminals), list[bytes]()
    receive = instrument.receive
    instrument.receive = lambda message: (heard.append(message), receive(message))[1]
    with on_tcp(instrument) as address:
        channels = ("1A01", "1A02", "1A03")
        yield (
            {"class": "drivers.keithley_707b:Keithley707B", "address": address, "channels": channels},
            heard,
        )


def bench(folder: Path, address: str, kind: str = "emulator", more: str = "") -> Path:
    path = folder / "bench.toml"
    path.write_text(
        f'class = "drivers.keithley2450:Keithley2450"\nkind = "{kind}"\n[board]\naddress = "{address}"\n'
        f'dopant = "Sn"\nseries = "10 kohm"\ndeadline = "1 s"\n{more}'
    )
    return path


# ---- two benches ------------------------------------------------------------------------------


def test_fault_44_a_bench_that_is_refused_a_box_leaves_its_relays_alone() -> None:
    terminals = Terminals(Resistors((10e3, 20e3, 40e3), 10e3))
    terminals.closed = set()
    mine, other = keithley2450.Keithley2450(terminals), Another(resistor(10e3))
    with box(terminals) as (switch, heard), on_tcp(mine) as first, on_tcp(other) as second:
        with built(Keithley2450, first, switch=switch) as board:
            board.apply([reading(board)])
            box_of_board = board._box
            assert box_of_board is not None
            box_of_board._link.close()  # not every box has one client at a time
            before = len(heard)
            with pytest.raises(InUse):
                built(Keithley2450, second, switch=switch).__enter__()
            assert (terminals.closed, len(heard)) == ({0}, before)
        assert terminals.closed == set()


def test_fault_17_a_channel_that_somebody_else_drives_is_not_reset() -> None:
    with rig("keysight_b2900", resistor(20e3)) as found:
        for message in (b":SOUR2:VOLT 1", b":OUTP2 ON"):
            found.instrument.receive(message)
        with pytest.raises(BoardFault, match="has channel 2 on"):
            found.board.__enter__()
        assert found.instrument.receive(b":OUTP2?;:SOUR2:VOLT?").startswith(b"1;")
        assert not any("*RST" in message for message in found.heard)


# ---- what cannot be switched off --------------------------------------------------------------


def test_what_cannot_be_switched_off_is_cut_off() -> None:
    """Long before the meter was given up: its link takes its whole deadline for each question."""
    terminals = Terminals(Resistors((10e3, 20e3, 40e3), 10e3))
    terminals.closed = set()

    def dead(sent: bytes) -> bytes:
        time.sleep(1.0)
        raise BoardHung("no answer")

    with box(terminals) as (switch, _), on_tcp(keithley2450.Keithley2450(terminals)) as address:
        board = built(Keithley2450, address, switch=switch)
        board.__enter__()
        pulse = select(board.spec, 0, square(0.5, 50e-3, 5e-5), Purpose.PROGRAM)
        board.apply([pulse])
        meter: Any = board._meter
        meter.drop()
        meter._link = meter._scpi.link = MemoryLink(dead)
        opened = list[float]()

        def look() -> None:
            while terminals.closed:
                time.sleep(0.01)
            opened.append(time.monotonic())

        eye = Thread(target=look)
        eye.start()
        with pytest.raises(BoardHung) as hung:
            board.apply([pulse])
        ended = time.monotonic()
        eye.join()
        assert hung.value.outputs is Outputs.UNKNOWN
        assert opened[0] < ended - 1.0
        with pytest.raises(BoardFault, match="not confirmed to be off"):
            board.__exit__(None, None, None)


@every_kind
def test_a_source_that_stays_on_when_it_is_left_is_told(name: str) -> None:
    with rig(name, resistor(20e3)) as found:
        board = found.board
        board.__enter__()
        board.apply([reading(board)])
        meddle(found.instrument, lambda message: None if message.endswith("OFF") else message)
        with pytest.raises(BoardFault, match="was left, and its outputs are not confirmed to be off"):
            board.__exit__(None, None, None)
        assert found.instrument.smu.output


def test_fault_42_a_guard_that_was_killed_while_it_recorded_is_followed_by_one_that_switches_off(
    tmp_path: Path,
) -> None:
    instrument = keithley2450.Keithley2450(resistor(20e3))
    with on_tcp(instrument) as address:
        path = bench(tmp_path, address, more=f'record = "{tmp_path}/session.txt"\n')
        with Bench.read(path).board(tmp_path) as board:
            board.apply([reading(board)])
            assert instrument.smu.output
            (note,) = registry.notes()
            os.kill(note.pid, signal.SIGKILL)
            with pytest.raises(BoardGone) as gone:
                board.apply([reading(board)])
            assert (gone.value.outputs, instrument.smu.output) == (Outputs.OFF, False)
    assert {path.name for path in tmp_path.glob("session*")} == {"session.txt", "session-2.txt"}


def test_fault_46_without_room_for_a_recording_what_was_left_on_is_switched_off(tmp_path: Path) -> None:
    with rig("keithley2450", resistor(20e3), record=str(tmp_path / "no" / "session.txt")) as found:
        found.instrument.receive(b":SOUR:VOLT 2;:OUTP ON")
        assert found.instrument.smu.output
        with pytest.raises(Refused, match="cannot be made to record into"):
            found.board.__enter__()
        assert not found.instrument.smu.output


# ---- what was driven --------------------------------------------------------------------------


@every_kind
def test_fault_33_writes_whose_levels_were_too_long_are_billed_before_it_is_told(name: str) -> None:
    with rig(name, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board)])
        receive = found.instrument.receive

        def slow(message: bytes) -> bytes:
            """Stamps of a clock that is half as fast again."""
            reply = receive(message)
            if b"TRAC" not in message or b"DATA" not in message:
                return reply
            readings, semicolon, rest = reply.rstrip(b"\n").partition(b";")
            fields = readings.split(b",")
            fields[2::4] = [b"%.9e" % (1.6 * float(stamp)) for stamp in fields[2::4]]
            return b",".join(fields) + semicolon + rest + b"\n"

        found.instrument.receive = slow
        asked = [0.5 + 0.02 * index for index in range(8)]
        pulses = [writing(board, volts, 0.15) for volts in asked]
        with pytest.raises(BoardFault, match="steps took") as fault:
            board.apply(pulses)
        assert fault.value.outputs is Outputs.OFF
        assert [trace.volts[:, 0].max() for trace in fault.value.traces] == pytest.approx(asked, rel=0.02)


@every_kind
def test_fault_27_only_a_read_that_moves_nothing_is_driven_again(name: str) -> None:
    with rig(name, resistor(10.0, 5e3), series="9 kohm") as found, found.board as board:
        terminals, seconds = found.instrument.smu._terminals, list[float]()
        hold = terminals.hold

        def watched(volts: float, duration: float, *rest: Any) -> Any:
            seconds.append(duration if abs(volts) > 0.5 else 0.0)
            return hold(volts, duration, *rest)

        terminals.hold = watched
        (trace,) = board.apply([reading(board, 0.9)])
        assert sum(seconds) < 12e-3  # once: 10 ms
        assert trace.flags & (Flag.OVER_RANGE | Flag.COMPLIANCE)


# ---- what it is called ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("sim", "tcp://127.0.0.1:1"),
        ("replay", "tcp://127.0.0.1:1"),
        ("emulator", "tcp://192.168.0.7:5025"),
        ("emulator", "USB0::0x05E6::0x2450::04412345::INSTR"),
        ("emulator", "serial:///dev/ttyUSB0?baud=57600"),
        ("board", "replay:{}"),
        ("emulator", "replay:{}"),
    ],
)
def test_fault_68_a_real_instrument_has_no_other_name(kind: str, address: str, tmp_path: Path) -> None:
    """Dry runs drive a `sim`; nobody is asked before an `emulator` is driven; a `replay` has no guard."""
    session = Path(__file__).parent / "transcripts" / "keithley2450.txt"
    with pytest.raises(BadConfig, match="and its board speaks to"):
        Bench.read(bench(tmp_path, address.format(session), kind))


def test_what_it_is_called_is_what_it_is(tmp_path: Path) -> None:
    session = Path(__file__).parent / "transcripts" / "keithley2450.txt"
    named = (("board", "tcp://192.168.0.7:5025"), ("emulator", "tcp://localhost:5025"))
    for kind, address in (*named, ("emulator", "serial:///dev/pts/3"), ("replay", f"replay:{session}")):
        Bench.read(bench(tmp_path, address, kind))
    with pytest.raises(Refused, match="is a real board"):
        confirm(Bench.read(bench(tmp_path, "tcp://192.168.0.7:5025", "board")), hardware=False)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere there is no folder of all users")
def test_one_folder_of_locks_and_guards_whatever_a_shell_calls_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABCTL_SHARED")
    here = shared()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert shared() == here
