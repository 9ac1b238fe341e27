"""What is connected is told, foreign text is shown as text, and nothing is driven by looking."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drivers import connected as connected_things
from labctl import cli
from labctl.bench import Bench
from labctl.console import Exit
from labctl.instruments import Connected, connected, described
from labctl.making import Wired
from labctl.ownership import Holding
from sim_backend.emulators.openmena import OpenMena
from sim_backend.emulators.serving.server import on_pty

NASTY = "KEITHLEY [/] \x1b[31m2450\n"


def modules(monkeypatch: pytest.MonkeyPatch, **there: Any) -> None:
    """Only these libraries are there; the others cannot be imported."""

    def imported(name: str) -> Any:
        key = name.replace(".", "_")
        if key not in there:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return there[key]

    monkeypatch.setattr(connected_things, "import_module", imported)


def port(device: str, **more: str) -> SimpleNamespace:
    empty = {"manufacturer": None, "product": None, "description": "n/a", "serial_number": None}
    return SimpleNamespace(device=device, **empty | more)


def enumeration(count: int) -> SimpleNamespace:
    """Of pydwf's library."""
    return SimpleNamespace(
        enumerateDevices=lambda: count,
        deviceName=lambda index: "Analog Discovery 2",
        serialNumber=lambda index: f"SN:210321A{index}",
        deviceIsOpened=lambda index: index == 1,
    )


def test_serial_ports_and_discoveries_are_named_as_a_bench_file_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ports = [port("/dev/ttyUSB0"), port("/dev/ttyACM0", manufacturer="Arduino", serial_number="757")]
    dwf = SimpleNamespace(DwfLibrary=lambda: SimpleNamespace(deviceEnum=enumeration(2)))
    modules(monkeypatch, serial_tools_list_ports=SimpleNamespace(comports=lambda: ports), pydwf=dwf)
    assert connected() == [
        Connected("serial port", "serial:///dev/ttyACM0", "Arduino, 757"),
        Connected("serial port", "serial:///dev/ttyUSB0", ""),
        Connected("Analog Discovery", "210321A0", "Analog Discovery 2, SN:210321A0"),
        Connected("Analog Discovery", "210321A1", "Analog Discovery 2, SN:210321A1, in use"),
    ]


def test_visa_is_looked_for_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = list[bool]()

    def manager(library: str) -> SimpleNamespace:
        return SimpleNamespace(
            list_resources=lambda: ("USB0::0x05E6::0x2450::04::INSTR",), close=lambda: closed.append(True)
        )

    modules(monkeypatch, pyvisa=SimpleNamespace(ResourceManager=manager))
    assert [one.what for one in connected()] == ["serial port", "Analog Discovery"]
    assert closed == []
    assert connected(visa=True)[-1] == Connected("VISA resource", "USB0::0x05E6::0x2450::04::INSTR", "")
    assert closed == []  # it is the one of the whole program: links may hang on it


def test_a_library_that_is_missing_or_fails_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash() -> Any:
        raise OSError("libdwf.so: cannot open shared object file\nand more")

    ports = SimpleNamespace(comports=list)
    modules(monkeypatch, serial_tools_list_ports=ports, pydwf=SimpleNamespace(DwfLibrary=crash))
    serial, discovery = connected()
    assert serial.told == "none"
    assert discovery.told == "cannot be looked for: OSError: libdwf.so: cannot open shared object file"


def test_the_libraries_that_are_installed_can_be_asked() -> None:
    found = connected(visa=True)
    assert {one.what for one in found} == {"serial port", "Analog Discovery", "VISA resource"}
    assert not any("ModuleNotFoundError" in one.told for one in found)


# ---- benches ------------------------------------------------------------------------------------

SIM = 'class = "sim_backend.compact:CompactBoard"\nkind = "sim"\n[board]\nlayout = "selector"\n'
OPENMENA = """
class = "drivers.openmena:OpenMenaBoard"
kind = "emulator"

[board]
address = "{address}"
sense = "32 kohm"
series = "1085 ohm"
limits = {{ low = "-0.4 V", high = "0.4 V", longest_pulse = "4 s" }}
"""


@pytest.fixture
def openmena(tmp_path: Path) -> Iterator[tuple[OpenMena, str, Path]]:
    instrument = OpenMena()
    with on_pty(instrument) as address:
        path = tmp_path / "openmena.toml"
        path.write_text(OPENMENA.format(address=address))
        yield instrument, address, path


def test_the_instrument_of_a_bench_is_asked_and_not_driven(openmena: tuple[OpenMena, str, Path]) -> None:
    instrument, address, path = openmena
    (found,) = described([path])
    assert (found.bench, found.reality, found.driver) == (
        "openmena",
        "emulated",
        "drivers.openmena:OpenMenaBoard",
    )
    assert found.addresses == (address,)
    assert found.answers
    assert address in found.answer
    assert found.held == ""
    assert instrument.seconds == 0.0


def test_who_holds_it_is_told(openmena: tuple[OpenMena, str, Path]) -> None:
    _, address, path = openmena
    with Holding(address, what="a long measurement"):
        (found,) = described([path], ask=False)
    assert "a long measurement" in found.held
    assert found.answer == "not asked"
    assert not found.answers


def test_simulations_have_no_instrument_and_wrong_files_say_so(tmp_path: Path) -> None:
    (tmp_path / "sim.toml").write_text(SIM)
    (tmp_path / "wrong.toml").write_text('class = "nowhere:Nothing"\nkind = "board"\n')
    (found,) = described(
        [
            tmp_path / "sim.toml",
            tmp_path / "wrong.toml",
        ]
    )
    assert found.bench == "wrong"
    assert "nowhere" in found.answer


def test_who_holds_one_of_two_discovery_boards_is_told(tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "benches/network-discovery-cr.toml"
    board = Bench.read(Path(__file__).parents[1] / "benches/discovery-v2-mode1-cr.toml").unguarded(tmp_path)
    assert isinstance(board, Wired)
    with board:
        (one,) = described([path.with_name("discovery-v2-mode1-cr.toml")], ask=False)
        (stack,) = described([path], ask=False)
    assert "discovery-v2-mode1" in one.held
    assert stack.held == ""
    assert [address.rpartition(" ")[2] for address in stack.addresses] == ["EMU-A", "EMU-B"]


# ---- the command --------------------------------------------------------------------------------


def test_the_command_answers_people_and_programs(
    openmena: tuple[OpenMena, str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, address, path = openmena
    assert cli.run(["instruments", str(path), "--quick"]) == Exit.DONE
    said = capsys.readouterr().out
    for told in ("serial port", "Analog Discovery", "openmena", "emulated", address, "nobody"):
        assert told in said
    assert cli.run(["instruments", str(path), "--quick", "--json"]) == Exit.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["benches"][0]["addresses"] == [address]


def test_fault_57_what_an_instrument_says_of_itself_writes_on_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nasty = port("/dev/ttyUSB0", product=NASTY)
    modules(monkeypatch, serial_tools_list_ports=SimpleNamespace(comports=lambda: [nasty]))
    monkeypatch.chdir(tmp_path)
    assert cli.run(["instruments"]) == Exit.DONE
    plain = capsys.readouterr().out
    assert "\x1b" not in plain
    assert r"KEITHLEY [/] \x1b[31m2450\n" in plain
    assert "no bench file names an instrument" in plain
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.run(["instruments"]) == Exit.DONE
    assert "\x1b[31m2450" not in capsys.readouterr().out
