"""Off that cannot be confirmed, and clients that died: instruments whose link is not there."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.keithley2450 import Keithley2450
from drivers.languages.scpi import Scpi
from drivers.links import connect
from labctl import cli, doctor
from labctl.errors import BoardFault, BoardGone, BoardHung, InUse, Misbehaved, Outputs, Refused, Unavailable
from tests.peers import Line, peer
from tests.source_meters import KINDS, reading, resistor, rig

OFF = b":OUTP OFF\n"
every_kind = pytest.mark.parametrize("name", KINDS)

# ---- 2: the link ends while OFF is sent -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["tcp", "visa", "serial", "visa-serial"])
def test_fault_02_an_off_that_was_cut_at_any_byte_is_never_confirmed(kind: str) -> None:
    for count in range(len(OFF) + 1):
        opened = threading.Event()

        def cut(line: Line, count: int = count, opened: threading.Event = opened) -> None:
            heard = b""
            opened.wait(10)  # a line that ends before anybody has opened it is another fault
            while len(heard) < count and (piece := line.recv(1)):
                heard += piece
            line.close()

        with peer(kind, cut) as address:
            link = connect(address, seconds=0.5)
            link.open()
            opened.set()
            with pytest.raises((BoardGone, BoardHung)) as raised:
                Scpi(link).tell_and_ask(OFF.decode().strip(), ":OUTP?")
            assert raised.value.outputs is Outputs.UNKNOWN
            link.close()


def off_of(name: str) -> str:
    """The message that switches this instrument off."""
    with rig(name) as found:
        return found.board._meter.OFF[-1]


@every_kind
@pytest.mark.parametrize("fault", ["hang-up", "ignore"])
def test_fault_02_an_off_that_never_arrives_leaves_the_outputs_unknown(name: str, fault: str) -> None:
    faults = f"{fault} on {off_of(name)}"
    with rig(name, resistor(20e3), faults=faults, deadline="0.2 s") as found:
        board = found.board.__enter__()
        board.apply([reading(board)])
        assert board.make_safe() is Outputs.UNKNOWN
        assert found.instrument.smu.output  # and it is on
        with pytest.raises(BoardFault, match="was left, and its outputs are not confirmed to be off"):
            board.__exit__(None, None, None)


@every_kind
def test_fault_02_an_off_that_was_lost_is_sent_again_over_a_fresh_link(name: str) -> None:
    with rig(name, resistor(20e3)) as found:
        with found.board as board:
            board.apply([reading(board)])
        off = found.heard.index(off_of(name)) + 1
    with rig(name, resistor(20e3), faults=f"hang-up at {off}") as found, found.board as board:
        board.apply([reading(board)])
        assert found.instrument.smu.output
        assert board.make_safe() is Outputs.OFF
        assert not found.instrument.smu.output


# ---- 11: the instrument still has a client that died ----------------------------------------------


@contextmanager
def died(address: str) -> Generator[int]:
    """A client of the instrument that went without closing; it is ended by who connects to this port."""
    port = int(address.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port)) as client,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):

        def end() -> None:
            with suppress(OSError):
                caller, _ = server.accept()
                with caller:
                    if caller.recv(1) == b"":  # connections end when that to this port does
                        client.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=end, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            with suppress(OSError):
                socket.create_connection(server.getsockname(), timeout=1).close()
            thread.join(10)


def test_fault_11_a_client_that_died_is_ended_by_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with rig("keithley2450", resistor(20e3), deadline="0.3 s") as found, died(found.address) as port:
        monkeypatch.setattr(Keithley2450, "reach", replace(Keithley2450.reach, dead_socket_port=port))
        with pytest.raises((BoardGone, Unavailable)) as told:
            found.board.__enter__()
        assert "labctl doctor --free" in told.value.todo
        bench = tmp_path / "smu.toml"
        bench.write_text(
            'class = "drivers.keithley2450:Keithley2450"\nkind = "emulator"\n'
            f'[board]\naddress = "{found.address}"\ndopant = "Sn"\nseries = "10 kohm"\n'
        )
        cli.run(["doctor", str(bench), "--free", "--runs", str(tmp_path)])
        (row,) = [line for line in capsys.readouterr().out.splitlines() if "freed" in line]
        assert "every connection to it was ended" in row
        with found.board as board:
            board.apply([reading(board)])


def test_fault_11_what_cannot_be_freed_or_is_alive_is_told(tmp_path: Path) -> None:
    with rig("keithley2450") as found, found.board, pytest.raises(InUse):
        found.another().free()
    with rig("keithley2400", link="pty") as found, pytest.raises(Refused, match="cannot be freed"):
        found.board.free()
    bench = tmp_path / "twin.toml"
    bench.write_text(
        'class = "sim_backend.compact:CompactBoard"\nkind = "sim"\n[board]\nlayout = "selector"\n'
    )
    (finding,) = doctor.freed([bench])
    assert finding.level is doctor.Level.PROBLEM
    assert "no way to free it" in finding.found
    assert cli.run(["doctor", "--free"]) == 2


def test_fault_11_a_second_client_waits_for_the_first_to_go() -> None:
    with rig("keithley2450", resistor(20e3), deadline="5 s") as found:
        port = int(found.address.rpartition(":")[2])
        first = socket.create_connection(("127.0.0.1", port))
        leaves = threading.Timer(0.3, first.close)
        leaves.start()
        try:
            with found.board as board:
                board.apply([reading(board)])
        except Misbehaved as error:
            pytest.fail(str(error))
        finally:
            leaves.join()
