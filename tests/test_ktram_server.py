"""Knowm's kT-RAM server over loopback HTTP: laws, what is asked, and what its answers may be."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.ktram_parts.web import Web
from drivers.ktram_server import KtRamServerBoard, KtRamServerSettings
from labctl.addressing import drive, level, select
from labctl.bench import Bench
from labctl.board import Board
from labctl.config import build
from labctl.contract import LAWS, PROGRAMMING_LAWS
from labctl.contract.probe import DoesNotApply, Law
from labctl.errors import BadConfig, BoardFault, BoardGone, BoardHung, LabError, Outputs, Refused, Unavailable
from labctl.pulse import Pulse, Purpose
from labctl.reading import conductance
from sim_backend.emulators.ktram_http import LOGIN, on_http
from sim_backend.emulators.ktram_server import SERIAL, KtRam, KtRamSettings

PASSED_OVER = {
    "charge_is_conserved",  # columns are not sensed
    "too_many_amps_are_refused",  # 20 kohm
    "neurons_sum_and_saturate",
    "patterns_are_answered_one_by_one",
    "neighbours_are_left_alone",
}


@pytest.fixture(autouse=True)
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_KTRAM_LOGIN", LOGIN)


def board_at(address: str, **settings: Any) -> KtRamServerBoard:
    limits = {"low": "-0.75 V", "high": "0.75 V"}
    table = {"address": address, "module": 1, "top": 8, "bottom": 8, "limits": limits, "deadline": "60 s"}
    return KtRamServerBoard(build(table | settings, KtRamServerSettings, "test"))


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[KtRam, str]]:
    ktram = KtRam()
    with on_http(ktram) as address:
        yield ktram, address


def read(board: Board, volts: float = 0.15, seconds: float = 500e-6, site: int = 0) -> Pulse:
    return select(board.spec, site, level(board.spec, volts, seconds, 1e-9), Purpose.READ)


# ---- laws -----------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [*LAWS, *PROGRAMMING_LAWS], ids=lambda law: law.__name__)
def test_the_emulated_server_keeps_every_law(law: Law, server: tuple[KtRam, str]) -> None:
    if law.__name__ in PASSED_OVER:
        with pytest.raises(DoesNotApply):
            law(board_at(server[1]))
    else:
        law(board_at(server[1]))


# ---- what is asked ----------------------------------------------------------------------------


def test_the_session_on_the_wire() -> None:
    ktram = KtRam()
    with on_http(ktram) as address, board_at(address, gain=30.0) as board:
        write = level(board.spec, 0.65, 250e-6, 1e-9)
        board.apply(
            [
                read(board),
                select(board.spec, 11, write, Purpose.PROGRAM).repeated(3),
                read(board, site=11).repeated(5),
            ]
        )
    assert [path.removeprefix("/kt-ram-server/") for path in ktram.heard] == [
        "get-module-info/1",
        "clear",
        "pulse-read-activations/0.15/499.999/20000/30/1/RESISTANCE/false",
        "pulse-write-activations/0.65/249.999/20000/3/false",
        "pulse-read-activations/0.15/499.999/20000/30/5/RESISTANCE/false",
        "clear",
    ]
    assert ktram.writes == 3


def test_a_write_lowers_what_a_read_measures_and_a_negative_one_raises_it() -> None:
    devices = KtRamSettings().devices.model_copy(update={"rows": 2, "columns": 2, "dopant": "Sn"})
    with (
        on_http(KtRam(KtRamSettings(devices=devices))) as address,
        board_at(address, top=2, bottom=2, dopant="Sn") as board,
    ):

        def ohms() -> float:
            pulse = read(board, site=3)
            return 1 / conductance(board.spec, pulse, board.apply([pulse])[0], 3)

        def written(volts: float) -> float:
            wave = level(board.spec, volts, 500e-6)
            (trace,) = board.apply([select(board.spec, 3, wave, Purpose.PROGRAM).repeated(20)])
            assert trace.estimated
            return ohms()

        first = ohms()
        low = written(0.75)
        assert low < 0.8 * first
        assert written(-0.75) > 1.2 * low


@pytest.mark.parametrize(
    ("lines", "seconds", "told"),
    [
        ({0: 0.1, 8: 0.0}, 600e-6, "s on site"),
        ({0: 0.1, 1: 0.1, 8: 0.0}, 50e-6, "other lines than one row and one column"),
        ({0: 0.1}, 50e-6, "other lines than one row and one column"),
    ],
)
def test_what_the_server_does_not_make_is_refused_before_anything_is_asked(
    lines: dict[int, float], seconds: float, told: str
) -> None:
    ktram = KtRam()
    limits = {"low": "-0.75 V", "high": "0.75 V", "longest_pulse": "500 us"}
    with on_http(ktram) as address, board_at(address, limits=limits) as board:
        heard = len(ktram.heard)
        bad = drive(board.spec, lines, level(board.spec, 1.0, seconds), Purpose.READ)
        with pytest.raises(Refused, match=told):
            board.apply([read(board, seconds=400e-6), bad])
        assert len(ktram.heard) == heard


def test_a_read_without_a_calibration_profile_is_told_in_the_servers_words() -> None:
    ktram = KtRam(KtRamSettings(profiles=((0.15, 499.999, 20e3, 30.0),)))
    with on_http(ktram) as address, board_at(address) as board:
        board.apply([read(board)])
        with pytest.raises(BoardFault, match=r"No calibration profile for 0\.1 V"):
            board.apply([read(board, volts=0.1)])


# ---- who may ----------------------------------------------------------------------------------


def test_without_a_login_nothing_is_asked(server: tuple[KtRam, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABCTL_KTRAM_LOGIN")
    heard = len(server[0].heard)
    with pytest.raises(Unavailable, match="LABCTL_KTRAM_LOGIN"):
        board_at(server[1]).ready()
    assert len(server[0].heard) == heard


def test_a_wrong_login_is_told_without_the_login(
    server: tuple[KtRam, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_KTRAM_LOGIN", "somebody:guessed")
    with pytest.raises(Unavailable, match="does not know the login") as caught, board_at(server[1]):
        pass
    assert "guessed" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://server.knowm.ai:4242/kt-ram-server",  # a password in the clear
        "https://somebody:secret@server.knowm.ai/kt-ram-server",
        "https://server.knowm.ai:99999/kt-ram-server",
        "https://server.knowm.ai/kt-ram-server?x=1",
        "file:///etc/passwd",
        "nonsense",
    ],
)
def test_an_address_that_could_leak_the_login_is_none(address: str) -> None:
    with pytest.raises(BadConfig):
        board_at(address)


def test_fault_14_another_module_in_the_slot_is_refused(server: tuple[KtRam, str]) -> None:
    assert str(SERIAL) in board_at(server[1], serial=SERIAL).ready()
    with pytest.raises(Unavailable, match=str(SERIAL)), board_at(server[1], serial=7):
        pass
    with pytest.raises(BoardFault, match="no module 2"), board_at(server[1], module=2):
        pass


# ---- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("say", BoardFault),
        ("say [[1e5]", BoardFault),
        ("say [[NaN]]", BoardFault),
        ("say [[Infinity]]", BoardFault),
        ("say [[1e999]]", BoardFault),
        ("say [[true]]", BoardFault),
        ('say [["1e5"]]', BoardFault),
        ("say [[-5.0]]", BoardFault),
        ("say [[0]]", BoardFault),
        ("say [1e5]", BoardFault),
        ("say [[1e5, 1e5]]", BoardFault),
        ("say [[1e5], [1e5]]", BoardFault),
        ("say [[]]", BoardFault),
        ('say {"a": 1, "a": 2}', BoardFault),
        ("say " + "[" * 100_000, BoardFault),
        ("say \xff\xfe", BoardFault),
        ("status 302", BoardFault),
        ("status 500", BoardFault),
        ("flood 3000000", BoardFault),
        ("drop", BoardGone),
    ],
)
def test_a_wrong_answer_is_an_error_and_never_a_number(fault: str, error: type[LabError]) -> None:
    ktram = KtRam()
    with on_http(ktram) as address, board_at(address) as board:
        ktram.fault = fault
        with pytest.raises(error):
            board.apply([read(board)])
        if not fault.startswith(("status", "say true")):
            assert board.make_safe() is Outputs.UNKNOWN
        ktram.fault = ""
        assert board.make_safe() is Outputs.OFF
        board.apply([read(board)])


@pytest.mark.parametrize("fault", ["late 30", "dribble 0.3"])
def test_fault_04_the_deadline_is_for_the_whole_answer(fault: str) -> None:
    ktram = KtRam()
    ktram.fault = f"before {fault}"
    with on_http(ktram) as address:
        web = Web(address, "LABCTL_KTRAM_LOGIN", None, 0.5)
        began = time.monotonic()
        with pytest.raises(BoardHung, match="500 ms"):
            web.ask("get-board-info")
        assert time.monotonic() - began < 10  # the answers take 30 s, and a byte comes each 0.3 s
        ktram.fault = ""


def test_a_write_is_sent_once_whatever_becomes_of_it() -> None:
    ktram = KtRam()
    with on_http(ktram) as address, board_at(address) as board:
        pulse = select(board.spec, 0, level(board.spec, 0.5, 100e-6), Purpose.PROGRAM)
        ktram.fault = "drop"
        with pytest.raises(BoardGone):
            board.apply([pulse, pulse, pulse])
        assert ktram.writes == 1
        ktram.fault = ""


def test_headers_without_end_are_cut_off() -> None:
    """A server that never ends its first line: the deadline ends it, whatever it sends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        stop = threading.Event()

        def pour() -> None:
            client, _ = listener.accept()
            with client:
                try:
                    client.recv(4096)
                    while not stop.wait(0.05):
                        client.sendall(b"HTTP/1.1 200 O" if stop.is_set() else b"X")
                except OSError:
                    return

        thread = threading.Thread(target=pour)
        thread.start()
        web = Web(f"http://127.0.0.1:{port}/x", "LABCTL_KTRAM_LOGIN", None, 0.5)
        with pytest.raises(BoardHung):
            web.ask("clear")
        stop.set()
        thread.join()


def test_nobody_there_is_a_board_that_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(BoardGone), board_at(f"http://127.0.0.1:{port}/kt-ram-server"):
        pass


# ---- its bench ----------------------------------------------------------------------------------


def test_its_bench_file_makes_a_board() -> None:
    bench = Bench.read(Path(__file__).parent.parent / "benches" / "ktram-server-w.toml")
    assert bench.file.kind == "emulator"
    assert bench.board(Path()).spec.name == "ktram-server"
