"""Emulated instruments on real links: sockets and pseudo-terminals, clients of others, faults."""

import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
import serial

from labctl.errors import BadConfig, Unavailable
from sim_backend.emulators.behind.terminals import Resistors, Terminals
from sim_backend.emulators.keithley2400 import Keithley2400
from sim_backend.emulators.keithley2450 import Keithley2450
from sim_backend.emulators.keysight_b2900 import KeysightB2900
from sim_backend.emulators.serving.faults import parse
from sim_backend.emulators.serving.instrument import Emulated
from sim_backend.emulators.serving.server import PtyLink, TcpLink, on_pty, on_tcp, running

READ = b":READ?\n"


def meter(**how: Any) -> Keithley2450:
    return Keithley2450(Terminals(Resistors((10_000.0,))), **how)


def port_of(address: str) -> int:
    assert address.startswith("tcp://127.0.0.1:")
    return int(address.rpartition(":")[2])


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port_of(address)), timeout=5) as link:
        yield link


def line(link: socket.socket) -> bytes:
    """Up to a line feed, or what came before the end."""
    found = b""
    while not found.endswith(b"\n"):
        more = link.recv(1)
        if not more:
            break
        found += more
    return found


def asked(link: socket.socket, message: bytes) -> bytes:
    link.sendall(message)
    return line(link)


# ---- links -----------------------------------------------------------------------------------


def test_a_plain_socket_talks_to_it() -> None:
    with on_tcp(meter()) as address, connected(address) as link:
        assert b"MODEL 2450" in asked(link, b"*IDN?\n")
        link.sendall(b":SOUR:VOLT 0.1\n:OUTP ON\n")
        assert float(asked(link, READ)) == pytest.approx(1e-5, rel=1e-3)


def test_messages_in_pieces_and_in_heaps_are_the_same_messages() -> None:
    with on_tcp(meter()) as address, connected(address) as link:
        for piece in (b"*ID", b"N", b"?", b"\r\n"):
            link.sendall(piece)
        assert b"2450" in line(link)
        link.sendall(b":SOUR:VOLT 0.3\n" + b"*OPC?\n" * 50)
        replies = b""
        while replies.count(b"\n") < 50:
            replies += link.recv(4096)
        assert replies == b"1\n" * 50


def test_settings_outlive_a_session() -> None:
    with on_tcp(meter()) as address:
        with connected(address) as link:
            assert asked(link, b":SOUR:VOLT 0.3;:OUTP ON;*OPC?\n") == b"1\n"
        with connected(address) as link:
            assert asked(link, b":SOUR:VOLT?;:OUTP?\n") == b"3.000000E-01;1\n"


def test_a_second_client_is_turned_away() -> None:
    with on_tcp(meter()) as address, connected(address) as first:
        assert asked(first, b"*OPC?\n") == b"1\n"
        with suppress(ConnectionError), connected(address) as second:
            assert second.recv(1) == b""
        assert asked(first, b"*OPC?\n") == b"1\n"


def test_or_it_waits_for_its_turn() -> None:
    with on_tcp(meter(), waiting=True) as address:
        with connected(address) as first:
            assert asked(first, b"*OPC?\n") == b"1\n"
            second = socket.create_connection(("127.0.0.1", port_of(address)), timeout=5)
            second.sendall(b"*IDN?\n")
        with closing(second):
            assert b"2450" in line(second)


def test_a_port_that_is_taken_is_refused_with_its_reason() -> None:
    with (
        on_tcp(meter()) as address,
        pytest.raises(Unavailable, match="cannot be had"),
        on_tcp(meter(), port=port_of(address)),
    ):
        pass


def test_a_serial_library_talks_to_it() -> None:
    with on_pty(meter()) as address:
        assert address.startswith("serial:///dev/")
        for _ in range(2):
            with serial.Serial(address.removeprefix("serial://"), 115200, timeout=5) as link:
                link.write(b"*IDN?\n")
                assert b"MODEL 2450" in link.readline()
                link.write(b":SOUR:VOLT 0.2\n:SOUR:VOLT?\n")
                assert float(link.readline()) == 0.2


@pytest.mark.parametrize("make", [Keithley2400, Keithley2450, KeysightB2900])
def test_pyvisa_talks_to_it(make: Callable[..., Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyvisa-py tells what else could be installed
        import pyvisa

        manager = pyvisa.ResourceManager("@py")
    with on_tcp(make(Terminals(Resistors((10_000.0,))))) as address, closing(manager):
        name = f"TCPIP0::127.0.0.1::{port_of(address)}::SOCKET"
        with manager.open_resource(
            name, read_termination="\n", write_termination="\n", timeout=5000
        ) as found:
            link: Any = found
            assert len(link.query("*IDN?").split(",")) == 4
            link.write(":SOUR:VOLT 0.1")
            link.write(":OUTP ON")
            assert all(map(float, link.query(":READ?").split(",")[:1]))
            assert link.query(":SYST:ERR?").lstrip("+").startswith("0,")


def test_two_instruments_share_a_loop_and_their_devices() -> None:
    terminals = Terminals(Resistors((10_000.0,)))
    links = [TcpLink(Keithley2450(terminals)), PtyLink(Keithley2400(terminals))]
    with running(links) as (tcp, pty), connected(tcp) as link:
        assert b"2450" in asked(link, b"*IDN?\n")
        with serial.Serial(pty.removeprefix("serial://"), timeout=5) as other:
            other.write(b"*IDN?\n")
            assert b"2400" in other.readline()


def test_a_reading_takes_its_time_if_it_is_to() -> None:
    with on_tcp(meter(realtime=True)) as address, connected(address) as link:
        began = time.monotonic()
        link.sendall(b":SOUR:VOLT:DEL 0.05;:SOUR:VOLT 0.1;:OUTP ON\n" + READ)
        assert float(line(link)) == pytest.approx(1e-5, rel=1e-3)
        assert time.monotonic() - began >= 0.05


def test_off_is_heard_behind_a_long_reading() -> None:
    instrument = Keithley2400(Terminals(Resistors((10_000.0,))), realtime=True)
    with on_tcp(instrument) as address, connected(address) as link:
        link.sendall(b"*RST;:SOUR:DEL 60;:OUTP ON\n" + READ)
        link.sendall(b":OUTP OFF\n:OUTP?\n")
        assert line(link) == b"0\n"


def test_too_much_without_a_terminator_is_an_error_and_not_kept() -> None:
    with on_tcp(meter()) as address, connected(address) as link:
        for _ in range(20):
            link.sendall(b"x" * 100_000)
        link.sendall(b"\n*CLS\n")
        assert asked(link, b"*OPC?\n") == b"1\n"


def test_a_mistake_in_an_emulator_is_not_hidden() -> None:
    class Broken(Emulated):
        def receive(self, message: bytes) -> bytes:
            raise ZeroDivisionError(message)

    with pytest.raises(ZeroDivisionError), on_tcp(Broken()) as address, connected(address) as link:
        assert asked(link, b"*IDN?\n") == b""


def test_nothing_stays_open() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count

    before = descriptors()
    for _ in range(3):
        with on_tcp(meter()) as address, connected(address) as link:
            asked(link, b"*IDN?\n")
        with on_pty(meter()):
            pass
    assert descriptors() == before


# ---- faults ----------------------------------------------------------------------------------


@contextmanager
def faulty(script: str) -> Iterator[tuple[socket.socket, str]]:
    with on_tcp(meter(), script) as address, connected(address) as link:
        yield link, address


def test_fault_1_the_link_ends_in_the_middle_of_a_reply_and_can_be_had_again() -> None:
    with faulty("drop 7 at 2") as (link, address):
        assert asked(link, b"*OPC?\n") == b"1\n"
        assert asked(link, b"*IDN?\n") == b"KEITHLE"
        with connected(address) as again:
            assert b"2450" in asked(again, b"*IDN?\n")


def test_fault_3_the_link_ends_at_a_message() -> None:
    with faulty("hang-up on OUTP") as (link, _):
        assert asked(link, b"*OPC?\n") == b"1\n"
        assert asked(link, b":OUTP OFF\n") == b""


def test_fault_4_a_byte_at_a_time() -> None:
    with faulty("dribble 0.01 on IDN") as (link, _):
        began = time.monotonic()
        assert asked(link, b"*IDN?\n").endswith(b"\n")
        assert time.monotonic() - began > 0.3
        assert asked(link, b"*OPC?\n") == b"1\n"


def test_fault_5_a_flood() -> None:
    with faulty("flood 3e6 at 1") as (link, _):
        link.sendall(b"*IDN?\n")
        left = 3_000_000
        while left > 0:
            left -= len(link.recv(65536))


def test_fault_6_a_late_reply_comes_before_the_next() -> None:
    with faulty("late 0.1 at 1") as (link, _):
        began = time.monotonic()
        link.sendall(b"*IDN?\n*OPC?\n")
        assert b"2450" in line(link)
        assert time.monotonic() - began >= 0.1
        assert line(link) == b"1\n"


def test_fault_8_garbage() -> None:
    with faulty("garbage 30 at 1") as (link, _):
        reply = asked(link, b"*IDN?\n")
        assert len(reply) == 31
        assert any(byte > 127 for byte in reply)


def test_fault_9_a_lying_length() -> None:
    with faulty("say #9999999999 at 1") as (link, _):
        assert asked(link, b"*IDN?\n") == b"#9999999999\n"


def test_fault_14_another_device() -> None:
    with faulty("say ACME,TOASTER,1,1 on *IDN") as (link, _):
        assert asked(link, b"*IDN?\n") == b"ACME,TOASTER,1,1\n"
    with faulty("echo on *IDN") as (link, _):
        assert asked(link, b"*IDN?\n") == b"*IDN?\n"


def test_fault_15_errors_without_end() -> None:
    with faulty("errors") as (link, _):
        for _ in range(100):
            assert asked(link, b":SYST:ERR?\n").startswith(b"-113")


def test_fault_16_a_setting_is_taken_and_ignored() -> None:
    with faulty("ignore on ILIM 1e-3") as (link, _):
        before = asked(link, b":SOUR:VOLT:ILIM?\n")
        assert asked(link, b":SOUR:VOLT:ILIM 1e-3\n:SOUR:VOLT:ILIM?\n") == before
        assert asked(link, b":SYST:ERR?\n").startswith(b"0,")


def test_fault_17_on_from_the_beginning() -> None:
    with faulty("starts-on 3") as (link, _):
        assert asked(link, b":OUTP?;:SOUR:VOLT?\n") == b"1;3.000000E+00\n"


def test_fault_18_somebody_at_the_front_panel() -> None:
    with faulty("local :SOUR:VOLT:ILIM 0.5 at 3") as (link, _):
        assert asked(link, b":SOUR:VOLT:ILIM 1e-3\n:SOUR:VOLT:ILIM?\n") == b"1.000000E-03\n"
        assert asked(link, b":SOUR:VOLT:ILIM?\n") == b"5.000000E-01\n"


def test_fault_19_a_power_cycle() -> None:
    with faulty("power-cycle at 3") as (link, _):
        link.sendall(b"*ESR?\n:OUTP ON\n:OUTP?\n*ESR?\n")
        assert [line(link) for _ in range(3)] == [b"128\n", b"0\n", b"128\n"]


def test_fault_20_an_open_interlock() -> None:
    with faulty("interlock-open") as (link, _):
        assert asked(link, b":OUTP:INT:TRIP?\n") == b"0\n"


def test_fault_21_busy_for_ever_but_off_is_heard() -> None:
    with faulty("busy") as (link, _):
        link.sendall(b":OUTP ON;:INIT;*OPC?\n")
        link.settimeout(0.1)
        with pytest.raises(TimeoutError):
            link.recv(1)
        link.settimeout(5)
        assert asked(link, b":OUTP OFF\n:OUTP?\n") == b"0\n"


def test_fault_24_a_field_is_missing() -> None:
    with faulty("short on READ") as (link, _):
        link.sendall(b":OUTP ON\n")
        assert asked(link, b':READ? "defbuffer1",SOUR,READ\n').count(b",") == 0


def test_silence_repetition_and_no_terminator() -> None:
    with faulty("silence at 1; twice at 2; unended at 3") as (link, _):
        link.sendall(b"*IDN?\n*OPC?\n")
        assert [line(link), line(link)] == [b"1\n", b"1\n"]
        link.sendall(b"*OPC?\n")
        assert link.recv(10) == b"1"


def test_faults_happen_on_a_pty_too() -> None:
    with (
        on_pty(meter(), "drop 3 at 1; garbage 10 at 2") as address,
        serial.Serial(address.removeprefix("serial://"), timeout=0.2) as link,
    ):
        link.write(b"*IDN?\n")
        assert link.readline() == b"KEI"
        link.write(b"*IDN?\n")
        assert len(link.readline()) == 11


@pytest.mark.parametrize("script", ["bang", "drop 7 at three", "drop 7 from", "late 1 at 2; nonsense"])
def test_what_is_no_fault_is_refused(script: str) -> None:
    with pytest.raises(BadConfig, match="is no fault"):
        parse(script)


def test_a_fault_that_an_instrument_cannot_have_is_refused() -> None:
    with pytest.raises(BadConfig, match="cannot suffer"), on_tcp(Emulated(), "errors"):
        pass
