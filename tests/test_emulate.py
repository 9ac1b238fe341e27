"""`labctl emulate` and rig files: a process of its own that anybody's software can talk to."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serial

from labctl.cli import run
from labctl.errors import BadConfig
from sim_backend import array_kernel
from sim_backend.emulators.behind.terminals import Resistors, Terminals
from sim_backend.emulators.catalogue import BOARDS, KINDS, make
from sim_backend.emulators.rig import Rig, read, settings_of
from sim_backend.emulators.serving.server import running
from sim_backend.emulators.serving.witness import Witness

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def emulating(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[dict[str, Any]]]]:
    """The process, and what it serves."""
    command = [sys.executable, "-m", "labctl", "emulate", *arguments, "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            assert told["ready"] is True
            yield process, told["instruments"]
        finally:
            process.kill()


def asked(address: str, message: bytes) -> str:
    if address.startswith("serial://"):
        with serial.Serial(address.removeprefix("serial://"), timeout=10) as port:
            port.write(message)
            return port.readline().decode().strip()
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=10) as link:
        link.sendall(message)
        return link.makefile("r").readline().strip()


# ---- the command -----------------------------------------------------------------------------


def test_it_says_where_it_is_serves_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    seen = tmp_path / "witness"
    with emulating("keithley2450", "--resistor", "10 kohm", "--series", "0 ohm", "--witness", str(seen)) as (
        process,
        (place,),
    ):
        assert place["kind"] == "keithley2450"
        amps = asked(place["address"], b":SOUR:VOLT 0.1;:OUTP ON;:READ?\n")
        assert float(amps) == pytest.approx(1e-5, rel=1e-3)
        with Witness.of(seen) as eye:
            assert eye.look().live == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_devices_behind_it_have_a_state() -> None:
    with emulating("keithley2400", "--dopant", "W", "--series", "10 kohm", "--pty") as (_, (place,)):
        assert place["address"].startswith("serial:///dev/")
        read = b":SOUR:VOLT 0.1;:READ?\n"
        setup = b"*RST;:SENS:CURR:PROT 1e-3;:FORM:ELEM CURR;:OUTP ON;"
        before = float(asked(place["address"], setup + read))
        asked(place["address"], b":SOUR:VOLT 1;:READ?\n")
        assert float(asked(place["address"], read)) > 1.1 * before


def test_a_fault_script_is_obeyed() -> None:
    with emulating("keysight-b2900", "--fault", "say HELLO on *IDN", "--resistor", "1 kohm") as (_, (place,)):
        assert asked(place["address"], b"*IDN?\n") == "HELLO"


def test_without_a_kind_it_tells_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["emulate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kinds"] == list(KINDS)


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["toaster"], 'no emulated "toaster"'),
        (["keithley2450", "--fault", "bang"], "is no fault"),
        (["keithley2450", "--dopant", "Fe"], "Fe"),
        (["keithley2450", "--series", "10"], "has no unit"),
        (["keithley2450", "--resistor", "0 ohm"], "resistors.ohms"),
        (["keithley2450", "--port", "70000"], "port"),
        (["keithley2450", "--rig", "x.toml"], "two rigs"),
        (["--rig", "nowhere.toml"], "nowhere.toml"),
        (["keithley2450", "--witness", "/nowhere/witness"], "cannot be written"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["emulate", *arguments]) == 2
    assert wrong in capsys.readouterr().err


def test_a_port_that_is_taken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(["emulate", "keithley2450", "--resistor", "1 kohm", "--port", port]) == 2
    assert "cannot be had" in capsys.readouterr().err


# ---- rigs ------------------------------------------------------------------------------------

RIG = """
[resistors]
ohms = ["1 kohm", "10 kohm"]

[[instrument]]
kind = "keithley2450"

[[instrument]]
kind = "keysight-34970a"
link = "pty"
"""


def test_a_switch_box_says_what_the_meter_reaches(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text(RIG)
    rig = Rig(read(tmp_path / "rig.toml"))
    with running(rig.links()) as (meter, switch):
        setup = b":SOUR:VOLT:ILIM 1e-3;:SOUR:VOLT 0.1;:OUTP ON;"
        assert float(asked(meter, setup + b":READ?\n")) == pytest.approx(0.0, abs=1e-9)
        for channel, amps in ((101, 1e-4), (102, 1e-5)):
            asked(switch, f":ROUT:OPEN (@101,102);:ROUT:CLOS (@{channel});*OPC?\n".encode())
            assert float(asked(meter, b":READ?\n")) == pytest.approx(amps, rel=1e-3)


OHMS, METER = {"ohms": ["1 kohm"]}, {"kind": "keithley2450"}


@pytest.mark.parametrize(
    ("tables", "wrong"),
    [
        ({"resistors": OHMS, "instrument": []}, "no instrument"),
        ({"instrument": [METER]}, "nowhere"),
        ({"resistors": OHMS, "device": {"dopant": "W"}, "instrument": [METER]}, "twice"),
        ({"resistors": OHMS, "instrument": [{"kind": "toaster"}]}, "toaster"),
        ({"resistors": OHMS, "instrument": [METER | {"link": "usb"}]}, "link"),
        ({"resistors": OHMS, "instrument": [METER | {"fault": 3}]}, "fault"),
        ({"device": {"layout": "crossbar"}, "instrument": [METER]}, "two terminals"),
    ],
)
def test_what_is_no_rig_is_refused(tables: dict[str, Any], wrong: str) -> None:
    with pytest.raises(BadConfig, match=wrong):
        Rig(settings_of(tables, "test"))


@pytest.mark.parametrize(("kind", "calls"), [("keysight-34970a", 1), ("keithley2450", 0)])
def test_devices_that_a_switch_box_joins_are_compiled_before_anybody_waits(
    kind: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, integrate = list[int](), array_kernel.integrate

    def counting(*given: Any) -> int:
        counted.append(1)
        return integrate(*given)

    monkeypatch.setattr(array_kernel, "integrate", counting)
    rig = Rig(settings_of({"device": {"dopant": "Cr", "columns": 3}, "instrument": [{"kind": kind}]}, "test"))
    assert len(counted) == calls
    untouched = Terminals(rig.settings.device)
    untouched.closed = rig.terminals.closed = {0, 2}
    assert rig.terminals.hold(0.1, 1e-2) == untouched.hold(0.1, 1e-2)
    assert rig.terminals.siemens() == untouched.siemens()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_made_and_survives_a_power_cycle(kind: str) -> None:
    if kind in BOARDS:
        pytest.skip("brings its own devices, which are compiled first")
    instrument = make(kind, Terminals(Resistors((1000.0, 2000.0))))
    assert len(instrument.terminator) >= 1
    instrument.power_cycle()
    instrument.receive(b"")
