"""OpenMENA over a pseudo-terminal: laws, the text on the wire, what is refused, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers import openmena
from drivers.openmena import OpenMenaBoard, OpenMenaSettings
from drivers.openmena_parts.firmware import Codes, column_text, row_text
from labctl.addressing import drive, level, multiply, read_row, select, wait
from labctl.bench import Bench
from labctl.board import Board
from labctl.config import build
from labctl.contract import LAWS, PROGRAMMING_LAWS
from labctl.contract.probe import DoesNotApply, Law
from labctl.errors import (
    BadConfig,
    BoardFault,
    BoardHung,
    InUse,
    LimitExceeded,
    Misbehaved,
    Outputs,
    Refused,
    Unavailable,
)
from labctl.pulse import Flag, Pulse, Purpose
from labctl.reading import row_conductances
from labctl.shapes import square, triangle
from sim_backend.emulators.openmena import OpenMena
from sim_backend.emulators.serving.server import on_pty, on_tcp

LOOK = 0.9
PASSED_OVER = {
    "charge_is_conserved",  # rows are not sensed
    "too_many_amps_are_refused",  # a site alone: 0.45 V behind 2 kohm; see the row's neighbours below
    "small_reads_are_ohmic",  # no negative reads
    "neurons_sum_and_saturate",
    "patterns_are_answered_one_by_one",
    "neighbours_are_left_alone",
}


def board_at(address: str, **settings: Any) -> OpenMenaBoard:
    limits = {"low": "-0.45 V", "high": "0.45 V", "longest_pulse": "4 s"}
    limits |= {"quiet_voltage": "0.23 V", "quiet_resistance": "7 kohm"}
    table = {"address": address, "sense": "32 kohm", "series": "2085 ohm", "limits": limits} | settings
    return OpenMenaBoard(build(table, OpenMenaSettings, "test"))


@pytest.fixture(scope="module")
def emulated() -> Iterator[tuple[OpenMena, str]]:
    """One board for the tests that leave it as good as they found it."""
    instrument = OpenMena()
    with on_pty(instrument) as address:
        yield instrument, address


class Spied(OpenMena):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def receive(self, message: bytes) -> bytes:
        self.told.append(message.decode())
        return super().receive(message)


class Instant:
    """No test waits for what nobody drives."""

    @staticmethod
    def sleep(seconds: float) -> None:
        assert seconds >= 0


def program(board: Board, volts: float, seconds: float = 1e-3, site: int = 0) -> Pulse:
    purpose = Purpose.PROGRAM if volts > 0 else Purpose.RESET
    return select(board.spec, site, level(board.spec, volts, seconds), purpose)


# ---- laws -----------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [*LAWS, *PROGRAMMING_LAWS], ids=lambda law: law.__name__)
def test_the_emulated_board_keeps_every_law(
    law: Law, emulated: tuple[OpenMena, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openmena, "time", Instant)
    instrument, address = emulated
    if law.__name__ in PASSED_OVER:
        with pytest.raises(DoesNotApply):
            law(board_at(address))
    else:
        law(board_at(address))
    assert instrument.harm == []


def test_a_law_holds_over_tcp_too() -> None:
    with on_tcp(OpenMena()) as address, board_at(address) as board:
        (trace,) = board.apply([read_row(board.spec, 3, 0.02, LOOK)])
        assert trace.seconds.sum() == pytest.approx(LOOK)


# ---- physics --------------------------------------------------------------------------------


def test_a_row_reads_as_the_devices_are(emulated: tuple[OpenMena, str]) -> None:
    instrument, address = emulated
    with board_at(address) as board:
        read = read_row(board.spec, 2, 0.0225, LOOK)
        (trace,) = board.apply([read])
        inside = replace(read, purpose=Purpose.READ)
        short = drive(
            instrument.board.spec,
            dict.fromkeys(range(16), 0.0) | {2: 0.0225},
            square(1.0, 0.1, 1e-5),
            inside.purpose,
        )
        (truth,) = instrument.board.apply([short])
    found = row_conductances(board.spec, read, trace)
    wanted = row_conductances(instrument.board.spec, short, truth)
    lsb = 3.3 / 4095 / 32e3 / 0.0225
    assert np.abs(found - wanted).max() <= lsb + 0.02 * wanted.max()
    assert trace.flags is Flag.NONE
    assert not trace.estimated
    assert trace.settle_seconds == pytest.approx(0.145)


def test_a_positive_train_sets_its_site_and_half_of_it_moves_the_neighbour_less() -> None:
    with on_pty(OpenMena()) as address, board_at(address) as board:

        def seen() -> np.ndarray:
            read = read_row(board.spec, 0, 0.0225, LOOK)
            return row_conductances(board.spec, read, board.apply([read])[0])

        board.apply([program(board, -0.43, 0.4)])
        low = seen()
        (trace,) = board.apply([program(board, 0.43, 0.4)])
        high = seen()
        assert high[0] > 1.5 * low[0]
        assert np.abs(high[1:] - low[1:]).max() < 0.2 * (high[0] - low[0])
    assert trace.estimated
    assert trace.seconds.sum() == pytest.approx(0.4)
    across = trace.volts[:, 0] - trace.volts[:, board.spec.rows]
    assert np.abs(across).max() == pytest.approx(0.43, abs=5e-4)


def test_what_nobody_measured_is_called_an_estimate() -> None:
    with on_pty(OpenMena()) as address, board_at(address) as board:
        volts = np.linspace(0.0, 0.02, 8)
        (products,) = board.apply([multiply(board.spec, volts, LOOK)])
        (one,) = board.apply([read_row(board.spec, 0, 0.02, LOOK)])
    assert products.estimated  # eight currents into rows of which only the sum is known
    assert not one.estimated
    assert (products.amps[:, 8:] <= 0).all()


def test_a_current_the_wrong_way_round_is_flagged_and_not_taken_for_none(
    emulated: tuple[OpenMena, str],
) -> None:
    with board_at(emulated[1]) as board:
        read = read_row(board.spec, 0, -0.02, LOOK)
        (trace,) = board.apply([read])
        assert trace.flags is Flag.SATURATED
        with pytest.raises(BoardFault, match="SATURATED"):
            row_conductances(board.spec, read, trace)


# ---- bytes ----------------------------------------------------------------------------------

REST = f"SETVOLTAGES: {' '.join(['0.7504'] * 8)} 0.7505"


def test_the_session_on_the_wire() -> None:
    instrument = Spied()
    with on_pty(instrument) as address, board_at(address) as board:
        board.apply([read_row(board.spec, 1, 0.05, LOOK), program(board, 0.3, 50e-6, site=9).repeated(7)])
    row, column = Codes(0.75).row(0.15), Codes(0.75).column(-0.15)
    volts = f"{row_text(row)} {column_text(column)}"
    assert instrument.told == [
        REST,
        "INFEREMULTIPLE: 1 2048 2185 2048 2048 2048 2048 2048 2048",
        f"WEIGHTMODIF: 1 1 1 7 {volts} {volts} 50",
        REST,  # a train answers nothing: what follows it does
        REST,  # on leaving
    ]
    assert instrument.rows == [2048] * 8


@pytest.mark.parametrize("code", range(0, 4096, 97))
def test_text_becomes_the_code_that_is_meant(code: int) -> None:
    """The firmware computes in single precision and truncates."""
    row = np.float32(row_text(code)) * np.float32(4095) / np.float32(1.5)
    column = (float(np.float32(column_text(code))) - 0.545) / 0.665 * 4095 / 3.3
    assert (int(row), int(column)) == (code, code)


def test_long_trains_are_cut_so_that_none_lasts_longer_than_nothing_could_stop() -> None:
    instrument = Spied()
    with on_pty(instrument) as address, board_at(address) as board:
        board.apply([program(board, 0.05, 1e-2).repeated(600)])
    trains = [line.split()[4] for line in instrument.told if line.startswith("WEIGHTMODIF")]
    assert sum(map(int, trains)) == 600
    assert all(2 * int(count) * 9.8e-3 <= 5.01 for count in trains)


# ---- what it cannot make ----------------------------------------------------------------------


def pulses_it_cannot_make(board: Board) -> dict[str, Pulse]:
    spec = board.spec
    pair = drive(spec, {0: 0.1, 1: 0.1, 8: 0.0}, level(spec, 1.0, 1e-3), Purpose.PROGRAM)
    return {
        "a level of 0.49": read_row(spec, 0, 0.02, 0.5),
        "a level of 1.29": read_row(spec, 0, 0.02, 1.3),
        "more than one site": pair,
        "a voltage on a column": drive(spec, {0: 0.02, 8: 0.01}, level(spec, 1.0, LOOK), Purpose.READ),
        "0.8 V on a row": drive(
            spec,
            {0: 0.8, **dict.fromkeys(range(8, 16), 0.0), 8: 0.45},
            level(spec, 1.0, 1e-3),
            Purpose.PROGRAM,
        ),
    }


def test_what_the_firmware_cannot_make_is_refused_before_anything_is_driven() -> None:
    instrument = Spied()
    with on_pty(instrument) as address, board_at(address, dopant="W", series="2 kohm") as board:
        limits = replace(board.spec.sites[0].limits, low_volts=-2.0, high_volts=2.0)
        board.spec = replace(board.spec, sites=tuple(replace(s, limits=limits) for s in board.spec.sites))
        good = read_row(board.spec, 0, 0.02, LOOK)
        for what, pulse in pulses_it_cannot_make(board).items():
            with pytest.raises(Refused, match=what) as caught:
                board.apply([good, pulse])
            assert not isinstance(caught.value, Misbehaved)
        assert instrument.told == [REST]
        board.apply([good])  # it goes on working
        with pytest.raises(Refused, match="edge"):
            board.apply([select(board.spec, 0, triangle(0.02, LOOK), Purpose.READ)])


def test_columns_that_it_holds_feed_the_row_and_are_counted() -> None:
    """The other seven columns are not asked for, but stand at 0 V, and their devices could have 380 ohm."""
    instrument = Spied()
    limits = {"low": "-0.45 V", "high": "0.45 V", "longest_pulse": "4 s"}
    with on_pty(instrument) as address, board_at(address, limits=limits) as board:
        row = (0.2 / 2085 - 0.2 / 380) / (1 / 2085 + 8 / 380)
        with pytest.raises(LimitExceeded, match=f"{(row + 0.2) / 380:.6g} A through site"):
            board.apply([program(board, 0.4)])
        assert instrument.told == [REST]
        board.apply([program(board, 0.2)])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"limits": {"low": "-0.45 V", "high": "1 V", "longest_pulse": "4 s"}}, "0.95"),
        ({"limits": {"low": "-0.45 V", "high": "0.45 V", "longest_pulse": "0.2 s"}}, "0.9 s"),
        ({"limits": {"quiet_voltage": "0.2 V"}}, "both, or neither"),
    ],
)
def test_limits_that_it_cannot_keep_are_told_when_it_is_made(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(BadConfig) as caught:
        board_at("serial:///dev/null", **changes)
    assert told in str(caught.value)


def test_one_process_has_the_port(emulated: tuple[OpenMena, str]) -> None:
    with board_at(emulated[1]), pytest.raises(InUse), board_at(emulated[1]):
        pass


def test_it_is_ready_when_its_port_is_there(emulated: tuple[OpenMena, str], tmp_path: Path) -> None:
    assert emulated[1] in board_at(emulated[1]).ready()
    with pytest.raises(Unavailable, match="is not there"):
        board_at(f"serial://{tmp_path}/ttyACM7").ready()


def test_make_safe_on_a_closed_board_opens_it_just_for_that() -> None:
    instrument = Spied()
    with on_pty(instrument) as address:
        assert board_at(address).make_safe() is Outputs.OFF
        assert instrument.told == [REST]


def test_a_board_that_greets_is_heard_out() -> None:
    instrument = OpenMena()
    instrument.power_cycle()
    with on_pty(instrument) as address, board_at(address) as board:
        assert len(board.apply([wait(board.spec, 1e-3)])) == 1


# ---- faults -----------------------------------------------------------------------------------


def answer(faults: str) -> tuple[Misbehaved, Outputs]:
    """What a read raises, and the outputs after, with this fault in the answers to looks."""
    with on_pty(OpenMena(), faults) as address, board_at(address) as board:
        with pytest.raises(Misbehaved) as caught:
            board.apply([read_row(board.spec, 0, 0.02, LOOK)])
        return caught.value, board.make_safe()


@pytest.mark.parametrize("count", [5, 60, 90, 120])
def test_fault_13_bytes_that_were_lost_are_no_conductance(count: int) -> None:
    """An overrun: the reply ends after some bytes, wherever that is."""
    instrument = Cut(count)
    with on_pty(instrument) as address, board_at(address) as board:
        with pytest.raises(Misbehaved):
            board.apply([read_row(board.spec, 0, 0.02, LOOK)])
        instrument.count = 10**6
        assert board.make_safe() is Outputs.OFF
        board.apply([read_row(board.spec, 0, 0.02, LOOK)])  # and nothing of it is left over


class Cut(OpenMena):
    """Loses a hole of twenty bytes out of what it says about looks."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def receive(self, message: bytes) -> bytes:
        reply = super().receive(message)
        return reply[: self.count] + reply[self.count + 20 :] if b"INFERE" in message else reply


def test_fault_13_framing_errors_are_no_text() -> None:
    error, outputs = answer("garbage 80 on INFERE")
    assert isinstance(error, BoardFault)
    assert outputs is Outputs.OFF


def test_fault_24_a_field_too_few_or_too_many_is_refused() -> None:
    for wrong in (
        b"1.00\t2.00\t",
        b"\t".join([b"1.00"] * 9),
        b"nan\t" * 8,
        b"1_0.00\t" * 8,
        b"4096.00\t" * 8,
    ):
        with on_pty(Told(wrong)) as address, board_at(address) as board:
            with pytest.raises(BoardFault, match="eight averages"):
                board.apply([read_row(board.spec, 0, 0.02, LOOK)])
            assert board.make_safe() is Outputs.OFF


class Told(OpenMena):
    """Says something else in place of the averages."""

    def __init__(self, row: bytes) -> None:
        super().__init__()
        self._row = row

    def receive(self, message: bytes) -> bytes:
        lines = super().receive(message).split(b"\r\n")
        if b"INFERE" in message:
            lines[2] = self._row
        return b"\r\n".join(lines)


@pytest.mark.parametrize("faults", ["echo", "say KEITHLEY INSTRUMENTS INC.,MODEL 2450,1,1"])
def test_fault_14_another_device_on_the_port_is_told_and_nothing_is_driven(faults: str) -> None:
    instrument = OpenMena()
    with on_pty(instrument, faults) as address:
        with pytest.raises(BoardFault, match="does not answer as OpenMENA does"), board_at(address):
            pass
        assert instrument.seconds < 1.0


def test_silence_is_a_board_that_hangs() -> None:
    with on_pty(OpenMena(), "silence") as address:
        with pytest.raises(BoardHung), board_at(address):
            pass
        assert board_at(address).make_safe() is Outputs.UNKNOWN


def test_a_train_that_was_refused_by_the_firmware_is_a_fault() -> None:
    with on_pty(Deaf()) as address, board_at(address) as board:
        with pytest.raises(BoardFault, match="Invalid arguments"):
            board.apply([program(board, 0.1)])
        assert board.make_safe() is Outputs.OFF


class Deaf(OpenMena):
    """Hears another row than it was told."""

    def receive(self, message: bytes) -> bytes:
        return super().receive(message.replace(b"WEIGHTMODIF: 0", b"WEIGHTMODIF: 9"))


# ---- its bench ----------------------------------------------------------------------------------


def test_its_bench_file_makes_a_board() -> None:
    bench = Bench.read(Path(__file__).parent.parent / "benches" / "openmena-cr.toml")
    assert bench.file.kind == "emulator"
    assert bench.board(Path()).spec.name == "openmena"
