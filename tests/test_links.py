"""What every link promises, on real sockets and real ptys, with other sides that keep no promise."""

import gc
import os
import signal
import socket
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

from drivers.languages.scpi import Scpi
from drivers.links import connect
from drivers.links.stream import CHUNK, StreamLink
from drivers.links.tcp import TcpLink
from drivers.links.transport import MOST_BYTES
from labctl.errors import BadConfig, BoardFault, BoardGone, BoardHung, InUse, Outputs, Refused, Unavailable
from tests.memory_link import MemoryLink
from tests.peers import Line, lines, over_tcp, peer, wait_readable

KINDS = ("tcp", "visa", "serial", "visa-serial")
LATE = 2.0
"""[s] What a busy machine may add to a deadline here; the fuzz test measures the 50 ms that are promised."""


def echo(line: Line) -> None:
    for question in lines(line):
        line.sendall(b"<" + question + b">\n")


# ------------------------------------------------------------------------------------- all is well


@pytest.mark.parametrize("kind", KINDS)
def test_questions_are_answered_in_turn(kind: str) -> None:
    with peer(kind, echo) as address:
        link = connect(address)
        assert link.address == address
        link.open()
        link.open()
        assert [link.ask(b"%d\n" % n) for n in range(20)] == [b"<%d>" % n for n in range(20)]
        link.write(b"a\n")
        link.write(b"b\n")
        assert (link.read(), link.read()) == (b"<a>", b"<b>")
        link.write(b"12345678\n")
        assert link.read_exactly(4) + link.read_exactly(6) + link.read() == b"<12345678>"
        assert link.ask(b"x>y\n", b">") == b"<x"
        assert link.read(b"\n") == b"y>"
        link.close()
        link.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_link_opens_when_it_is_used(kind: str) -> None:
    with peer(kind, echo) as address:
        link = connect(address)
        assert link.ask(b"1\n") == b"<1>"
        link.close()
        assert link.ask(b"2\n") == b"<2>"
        link.close()


def test_a_tcp_link_is_set_up_for_instruments() -> None:
    with over_tcp(echo) as port:
        link = connect(f"tcp://127.0.0.1:{port}")
        assert isinstance(link, TcpLink)
        link.open()
        assert link._socket is not None
        assert link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        link.close()
        named = connect(f"tcp://localhost:{port}")
        assert named.ask(b"1\n") == b"<1>"
        named.close()


def test_fault_12_a_cable_that_was_pulled_is_noticed_by_the_kernel() -> None:
    with over_tcp(echo) as port:
        link = TcpLink("tcp", "127.0.0.1", port)
        link.open()
        assert link._socket is not None
        assert link._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        link.close()


# ------------------------------------------------------------------------------ the catalogue's faults


@pytest.mark.parametrize("kind", KINDS)
def test_fault_01_unplugged_at_every_byte_of_a_reply(kind: str) -> None:
    reply = b"+1.0E-07\n"
    for count in range(len(reply)):

        def cut(line: Line, count: int = count) -> None:
            line.recv(64)
            line.sendall(reply[:count])
            if kind in ("serial", "visa-serial"):
                time.sleep(0.05)  # what a pty holds is lost with it
            line.close()

        with peer(kind, cut) as address:
            link = connect(address, seconds=1.0)
            with pytest.raises((BoardGone, BoardHung)) as raised:
                link.ask(b":READ?\n")
            assert raised.value.outputs is Outputs.UNKNOWN
            link.close()


def test_fault_03_a_write_to_a_link_that_has_ended_is_noticed() -> None:
    def once(line: Line) -> None:
        line.recv(64)
        line.sendall(b"1\n")

    with over_tcp(once) as port:
        link = TcpLink("tcp", "127.0.0.1", port)
        assert link.ask(b":OUTP?\n") == b"1"
        assert link._socket is not None
        wait_readable(link._socket)
        with pytest.raises(BoardGone):
            link.write(b":OUTP OFF\n")
        link.close()


def test_fault_03_what_is_told_to_a_link_that_ends_is_never_confirmed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def once(line: Line) -> None:
        line.recv(64)
        line.sendall(b"1\n")

    with over_tcp(once) as port:
        link = TcpLink("tcp", "127.0.0.1", port)
        scpi = Scpi(link)
        assert scpi.ask(":OUTP?") == "1"
        assert link._socket is not None
        wait_readable(link._socket)
        link._ready = lambda: False  # it ends just after the look
        scpi.tell(":OUTP OFF")  # the kernel takes it, and nobody reads it
        with pytest.raises(BoardGone):
            scpi.ask(":OUTP?")
        link.close()


@pytest.mark.parametrize("kind", KINDS)
def test_fault_04_a_dribble_ends_at_the_deadline(kind: str) -> None:
    stop = threading.Event()

    def dribble(line: Line) -> None:
        line.recv(64)
        while not stop.wait(0.2):
            line.sendall(b"1")

    with peer(kind, dribble) as address:
        link = connect(address)
        began = time.monotonic()
        with pytest.raises(BoardHung, match="bytes came"):
            link.ask(b":READ?\n", seconds=0.7)
        took = time.monotonic() - began
        stop.set()
        link.close()
    assert 0.65 < took < 0.7 + LATE


@pytest.mark.parametrize("kind", KINDS)
def test_fault_05_a_flood_is_capped(kind: str) -> None:
    def flood(line: Line) -> None:
        line.recv(64)
        for _ in range(300 * 16):  # 300 MiB, if anybody took them
            line.sendall(b"7" * 2**16)

    with peer(kind, flood) as address:
        link = connect(address, seconds=20.0)
        most = MOST_BYTES if kind in ("tcp", "visa") else 2**14  # pyvisa-py takes a serial port byte by byte
        tracemalloc.start()
        with pytest.raises(BoardFault, match="no end of a reply") as raised:
            link.ask(b":READ?\n", most=most)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        link.close()
    assert peak < 16 * 2**20  # of 300 MiB, and with what pyvisa-py allocates on the way
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("kind", KINDS)
def test_fault_06_a_late_reply_is_never_taken_for_another(kind: str) -> None:
    asked: list[bytes] = []

    def late(line: Line) -> None:
        for question in lines(line):
            asked.append(question)
            if len(asked) == 1:
                time.sleep(0.5)
            line.sendall(b"<" + question + b">\n")

    with peer(kind, late) as address:
        link = connect(address, seconds=2.0)
        with pytest.raises(BoardHung):
            link.ask(b"1\n", seconds=0.3)
        assert [link.ask(b"%d\n" % n) for n in (2, 3, 4)] == [b"<2>", b"<3>", b"<4>"]
        link.close()


@pytest.mark.parametrize("kind", ["tcp", "visa", "serial"])
def test_fault_07_what_is_sent_in_pieces_arrives_whole(kind: str) -> None:
    sent = bytes(range(256)) * (2**14 if kind != "serial" else 2**8)
    sent = sent.replace(b"\n", b" ") + b"\n"
    heard = bytearray()

    def slow(line: Line) -> None:
        while not heard.endswith(b"\n") and (piece := line.recv(8192)):
            heard.extend(piece)
            time.sleep(0.0001)
        line.sendall(b"%d\n" % len(heard))

    with peer(kind, slow) as address:
        link = connect(address, seconds=30.0)
        assert link.ask(sent) == b"%d" % len(sent)
        link.close()
    assert heard == sent


@pytest.mark.parametrize("kind", ["tcp", "visa", "serial"])
def test_fault_07_who_does_not_take_what_is_sent_hangs(kind: str) -> None:
    stop = threading.Event()
    with peer(kind, lambda _: stop.wait(30)) as address:
        link = connect(address, seconds=0.5)
        link.open()
        began = time.monotonic()
        with pytest.raises(BoardHung):
            link.write(bytes(32 * 2**20))
        took = time.monotonic() - began
        stop.set()
        link.close()
    assert 0.45 < took < 0.5 + LATE


@pytest.mark.parametrize("garbage", [b"\xff\xfe1.0", b"1.0\x00", b"\x1b[2J1.0", b"1\x7f", "１".encode()])
def test_fault_08_garbage_is_a_fault_and_closes_the_link(garbage: bytes) -> None:
    opened: list[int] = []

    def answer(line: Line) -> None:
        opened.append(1)
        for _ in lines(line):
            line.sendall((garbage if len(opened) == 1 else b"1.0") + b"\n")

    with over_tcp(answer) as port:
        scpi = Scpi(connect(f"tcp://127.0.0.1:{port}"))
        with pytest.raises(BoardFault) as raised:
            scpi.ask_number(":READ?")
        assert str(raised.value).isprintable() or "\n" in str(raised.value)
        assert "\x1b" not in str(raised.value)
        assert scpi.ask_number(":READ?") == 1.0
        scpi.link.close()
    assert len(opened) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_fault_10_what_came_unasked_is_no_answer(kind: str) -> None:
    def twice(line: Line) -> None:
        for _ in lines(line):
            line.sendall(b"1\n1\n")

    with peer(kind, twice) as address:
        link = connect(address, seconds=1.0)
        assert link.ask(b"?\n") == b"1"
        time.sleep(0.05)
        with pytest.raises(BoardFault, match="nobody asked"):
            link.ask(b"?\n")
        link.close()


def test_fault_10_a_serial_port_is_for_one_program() -> None:
    with peer("serial", echo) as address:
        one, other = connect(address), connect(address)
        assert one.ask(b"1\n") == b"<1>"
        with pytest.raises(InUse):
            other.open()
        assert one.ask(b"2\n") == b"<2>"
        one.close()
        other.close()


@pytest.mark.parametrize("kind", ["serial", "visa-serial"])
def test_fault_13_a_burst_larger_than_a_pty_holds_arrives_whole(kind: str) -> None:
    burst = b"+1.000000E-07," * 3000 + b"0"  # 42 kB; the writer blocks at 20 kB

    def answer(line: Line) -> None:
        line.recv(64)
        line.sendall(burst + b"\n")

    with peer(kind, answer) as address:
        link = connect(address, seconds=20.0)
        assert link.ask(b":TRAC:DATA?\n") == burst
        link.close()


# --------------------------------------------------------------------------------- after a failure


def test_who_never_was_there_is_unavailable_and_who_was_is_gone() -> None:
    with over_tcp(lambda _: None) as port:
        pass
    link = connect(f"tcp://127.0.0.1:{port}", seconds=1.0)
    with pytest.raises(Unavailable, match="cannot be opened"):
        link.ask(b"?\n")
    with over_tcp(echo) as port:
        link = connect(f"tcp://127.0.0.1:{port}", seconds=1.0)
        link.open()
    for _ in range(3):
        with pytest.raises(BoardGone):
            link.ask(b"?\n")
    link.close()
    with pytest.raises(Unavailable):
        link.ask(b"?\n")


@pytest.mark.parametrize(
    "address",
    [
        "serial:///dev/no-such-port",
        "serial:///dev/null",
        "ASRL/dev/no-such-port::INSTR",
        "TCPIP0::127.0.0.1::1::SOCKET",
        "GPIB0::24::INSTR",
        "USB0::0x05E6::0x2450::04419556::INSTR",
        "GPIB0::24::INSTR@ivi",
        "tcp://127.0.0.1:1",
        "tcp://no-such-host.invalid:5025",
        "replay:/no/such/file",
    ],
)
def test_what_cannot_be_opened_says_so_within_its_time(address: str) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        connect(address, seconds=1.0).open()
    assert time.monotonic() - began < 1.0 + 5 * LATE  # the first one imports pyvisa


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pyvisa-py leaves a socket
def test_who_does_not_speak_vxi_11_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        connect("TCPIP0::127.0.0.1::inst0::INSTR", seconds=1.0).open()
    gc.collect()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "foo",
        "tcp://",
        "tcp://host",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://host:5025/",
        "tcp://ho st:5025",
        "tcp://host:٥٠٢٥",
        "serial://",
        "serial:///dev/ttyUSB0?baud=fast",
        "serial:///dev/ttyUSB0?bauds=9600",
        "serial:///dev/ttyUSB0?baud=9600&",
        "http://host:80",
        "replay:",
        "GPIB0::24::INSTR@sim",
        "TCPIP::::INSTR",
        "NOBUS0::1::INSTR",
        "tcp://host\n:5025",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadConfig, match=r"is no address|names no backend") as raised:
        connect(address)
    assert raised.value.allowed


def test_a_deadline_is_above_zero() -> None:
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(Refused):
            connect("tcp://127.0.0.1:1", seconds=seconds)


def test_signals_do_not_move_a_deadline() -> None:
    ticks: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: ticks.append(1))
    try:
        with over_tcp(lambda line: line.recv(64) and line.recv(64)) as port:
            link = connect(f"tcp://127.0.0.1:{port}", seconds=0.5)
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
            began = time.monotonic()
            with pytest.raises(BoardHung):
                link.ask(b"?\n")
            took = time.monotonic() - began
            signal.setitimer(signal.ITIMER_REAL, 0)
            link.close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ticks
    assert 0.45 < took < 0.5 + LATE


def test_a_ctrl_c_while_an_answer_is_waited_for_drops_the_link() -> None:
    opened: list[int] = []

    def slow(line: Line) -> None:
        opened.append(1)
        for question in lines(line):
            if len(opened) == 1:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)
            line.sendall(b"<" + question + b">\n")

    with over_tcp(slow) as port:
        link = connect(f"tcp://127.0.0.1:{port}", seconds=5.0)
        with pytest.raises(KeyboardInterrupt):
            link.ask(b"1\n")
        assert link.ask(b"2\n") == b"<2>"
        link.close()
    assert len(opened) == 2


def test_a_board_that_starts_anew_is_left_alone_and_its_greeting_is_forgotten() -> None:
    def board(line: Line) -> None:
        line.sendall(b"hello, I am a board\n")
        echo(line)

    with peer("serial", board) as address:
        link = connect(f"{address}&boot=0.2")
        assert link.ask(b"1\n") == b"<1>"
        link.close()


def test_an_off_goes_out_at_once_after_a_time_out_also_where_late_replies_survive() -> None:
    heard: list[tuple[float, bytes]] = []

    def silent(line: Line) -> None:
        heard.extend((time.monotonic(), question) for question in lines(line))

    with peer("serial", silent) as address:
        link = connect(address, seconds=2.0)
        with pytest.raises(BoardHung):
            link.ask(b"1\n", seconds=0.1)
        began = time.monotonic()
        link.write(b"OFF\n")
        while len(heard) < 2 and time.monotonic() < began + 10:
            time.sleep(0.005)
        link.close()
    assert heard[1][1] == b"OFF"
    assert heard[1][0] - began < 0.9


def test_after_a_time_out_a_reply_that_may_be_late_is_refused_once() -> None:
    def late(line: Line) -> None:
        for n, question in enumerate(lines(line)):
            if n == 0:
                time.sleep(0.3)
            line.sendall(b"<" + question + b">\n")

    with peer("serial", late) as address:
        link = connect(address, seconds=1.0)
        with pytest.raises(BoardHung):
            link.ask(b"1\n", seconds=0.1)
        link.write(b"2\n")
        with pytest.raises(BoardHung):
            link.read()
        link.open()
        link.write(b"3\n")
        assert link.read() == b"<3>"
        link.close()


def test_a_second_ctrl_c_while_the_link_is_dropped_leaves_no_stale_reply() -> None:
    for name in ("_disconnect", "_spoilt", "_drop"):
        with over_tcp(echo) as port:
            link = TcpLink("tcp", "127.0.0.1", port)
            assert link.ask(b"1\n") == b"<1>"
            line = link._socket
            assert line is not None

            def interrupt(*_: object) -> None:
                raise KeyboardInterrupt

            real, link._arm, ready = link._arm, interrupt, link._ready  # after this nothing is sent
            setattr(link, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                link.ask(b"2\n")
            line.send(b"2\n")  # as if it had been interrupted a little later
            delattr(link, name)
            link._arm, link._ready = real, ready
            assert link.ask(b"3\n") == b"<3>"
            link.close()
            line.close()


def test_what_nobody_reads_is_capped_too() -> None:
    link = MemoryLink(lambda _: b"7" * 2**18)
    for _ in range(1 + MOST_BYTES // CHUNK):
        link.write(b"!\n")
    with pytest.raises(BoardFault, match="no end of a reply"):
        link.write(b"!\n")
    assert not link._held


def test_links_are_transports_and_files_do_not_move(tmp_path: Path) -> None:
    with over_tcp(echo) as port:
        link = connect(f"tcp://127.0.0.1:{port}", record=str(tmp_path / "session.txt"))
        assert link.ask(b"1\n") == b"<1>"
        link.close()
    assert "< <1>" in (tmp_path / "session.txt").read_text()
    assert issubclass(TcpLink, StreamLink)


def interrupted_at(opcode: int, call: Callable[[], object]) -> bool:
    """Whether the call, with a Ctrl-C before that instruction of the drivers' code, got so far."""
    left = [opcode]

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., object] | None:
        if "/drivers/" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("kind", ["tcp", "visa", "serial"])
def test_fault_38_a_ctrl_c_at_any_instruction_leaves_no_stale_reply(kind: str) -> None:
    step = 25 if kind == "serial" else 1  # there, each listens for a while afterwards
    with peer(kind, echo) as address:
        link = connect(address, seconds=1.0 if kind == "serial" else 10.0)
        link.open()
        position = 1
        while interrupted_at(position, partial(link.ask, b"interrupted\n")):
            for question in (b"a%d" % position, b"b%d" % position):
                assert link.ask(question + b"\n") == b"<" + question + b">"
            position += step
        link.close()
    assert position > 40
