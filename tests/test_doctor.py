"""The doctor: what is wrong with a machine is told, with what to do, and never raised."""

import json
import os
import shutil
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest

from labctl import doctor, runfolder
from labctl.bench import BenchFile
from labctl.config import build, dump, read_toml
from labctl.doctor import Finding, Level, Package
from labctl.errors import BadConfig, Unavailable
from labctl.guard import registry
from sim_backend.engine_child import LIBRARY_VARIABLE
from tests.boards import NullBoard


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


def test_this_machine_can_run_the_tests(tmp_path: Path) -> None:
    findings = by_name(doctor.examine(tmp_path))
    assert {finding.level for finding in findings.values()} == {Level.OK}
    assert findings["folder of runs"].found == str(tmp_path)


def test_an_old_python_is_a_problem() -> None:
    assert doctor.python((3, 10, 9)).level is Level.PROBLEM
    assert "3.11" in doctor.python((3, 10, 9)).todo
    assert doctor.python((3, 11, 0)).level is Level.OK


@pytest.mark.parametrize(("needed", "level"), [(True, Level.PROBLEM), (False, Level.WARNING)])
def test_a_missing_package_says_what_it_is_for(needed: bool, level: Level) -> None:
    found = doctor.package(Package("no-such-package-here", needed, "finding unicorns"))
    assert found.level is level
    assert "finding unicorns" in found.found
    assert found.todo == "pip install no-such-package-here"


# ---- benches --------------------------------------------------------------------------------


class Ready(NullBoard):
    """A board that can tell, and what it was told to tell."""

    def __init__(self, settings: object) -> None:
        super().__init__()

    def ready(self) -> str:
        return "both screws are tight"


class Missing(Ready):
    def ready(self) -> str:
        raise Unavailable("no screws", todo="buy some\n    M3   two")


class Broken(Ready):
    def ready(self) -> str:
        raise ZeroDivisionError("screws / 0")


class Silent(NullBoard):
    def __init__(self, settings: object) -> None:
        super().__init__()


FAULT = "this is a fault of the board's driver"


def bench(folder: Path, board: type, name: str = "bench") -> Path:
    file = folder / f"{name}.toml"
    file.write_text(f'class = "{board.__module__}:{board.__qualname__}"\nkind = "board"\n')
    return file


@pytest.mark.parametrize(
    ("board", "level", "found", "todo"),
    [
        (Ready, Level.OK, "both screws are tight", ""),
        (Silent, Level.OK, "nothing else is needed", ""),
        (Missing, Level.PROBLEM, "no screws", "buy some; M3 two"),
        (
            Broken,
            Level.PROBLEM,
            "ZeroDivisionError: screws / 0",
            f"{FAULT}: report it",
        ),
    ],
)
def test_a_board_is_asked_if_it_can_tell(
    tmp_path: Path, board: type, level: Level, found: str, todo: str
) -> None:
    assert doctor.benches([bench(tmp_path, board)]) == [Finding(level, "benches", f"bench: {found}", todo)]


def test_benches_with_the_same_answer_share_a_finding(tmp_path: Path) -> None:
    files = [bench(tmp_path, board, name) for board, name in ((Ready, "a"), (Silent, "b"), (Ready, "c"))]
    assert [finding.found.partition(":")[0] for finding in doctor.benches(files)] == ["a, c", "b"]


def test_a_bench_file_that_is_missing_or_wrong_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text('class = "nowhere:Nothing"\nkind = "board"\n')
    for finding in doctor.benches([tmp_path / "none.toml", tmp_path / "wrong.toml"]):
        assert finding.level is Level.PROBLEM
        assert finding.found


# ---- ngspice --------------------------------------------------------------------------------

NGSPICE = Path(__file__).parent.parent / "benches" / "selector-cr-ngspice.toml"


def test_a_bench_on_ngspice_says_which() -> None:
    (finding,) = doctor.benches([NGSPICE])
    assert finding.level is Level.OK
    assert finding.found.startswith("selector-cr-ngspice: ngspice ")


@pytest.mark.parametrize("name", ["/nowhere/libngspice.so", "libm.so.6"])
def test_a_library_that_is_missing_or_a_stranger_is_a_problem(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIBRARY_VARIABLE, name)
    (finding,) = doctor.benches([NGSPICE])
    assert finding.level is Level.PROBLEM
    assert name in finding.found
    assert LIBRARY_VARIABLE in finding.todo
    assert "apt-get install libngspice0" in finding.todo


# ---- the folder of runs ---------------------------------------------------------------------


def test_a_folder_that_is_not_there_yet_is_fine_and_is_not_made(tmp_path: Path) -> None:
    runs = tmp_path / "a" / "b"
    findings = by_name(doctor.folder_of_runs(runs))
    assert findings["folder of runs"].level is Level.OK
    assert "made by the first run" in findings["folder of runs"].found
    assert not runs.exists()


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    findings = by_name(doctor.folder_of_runs(tmp_path / "runs"))
    assert findings["folder of runs"].level is Level.PROBLEM
    assert "--runs" in findings["folder of runs"].todo


def test_a_network_file_system_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runfolder, "_mounts", lambda: f"1 0 0:1 / {tmp_path} rw - nfs4 host:/x rw")
    found = by_name(doctor.folder_of_runs(tmp_path))["file system"]
    assert found.level is Level.PROBLEM
    assert "nfs4" in found.found


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        total: int = 10**9
        used: int = 10**9 - 10**6
        free: int = 10**6

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage())  # pyright: ignore
    found = by_name(doctor.folder_of_runs(tmp_path))["free disk"]
    assert found.level is Level.PROBLEM
    assert "1 MB are free" in found.found


# ---- rights ---------------------------------------------------------------------------------


def needing(folder: Path, address: str, kind: str = "board") -> Path:
    file = folder / "needing.toml"
    file.write_text(f'class = "x:Y"\nkind = "{kind}"\n[board]\n[board.switch]\naddress = "{address}"\n')
    return file


def test_simulations_and_emulators_need_no_rights(tmp_path: Path) -> None:
    assert doctor.rights([]) == []
    assert doctor.rights([needing(tmp_path, "serial:///dev/ttyACM0", "emulator")]) == []


@pytest.mark.parametrize(
    ("address", "what", "rule"),
    [
        (
            "USB0::0x05E6::0x2450::04::INSTR",
            "udev rule for USB-TMC",
            'ATTR{idVendor}=="05e6", GROUP="plugdev"',
        ),
        ("210321A1 discovery", "udev rule for Digilent", 'ATTRS{manufacturer}=="Digilent", MODE="0666"'),
    ],
)
def test_a_udev_rule_is_looked_for_where_a_bench_needs_one(
    tmp_path: Path, address: str, what: str, rule: str
) -> None:
    file = needing(tmp_path, address)
    found = by_name(doctor.rights([file], [tmp_path, tmp_path / "none"]))[what]
    assert found.level is Level.WARNING
    assert found.todo
    (tmp_path / "70-instruments.rules").write_text(f"# somebody's\n{rule}\n")
    found = by_name(doctor.rights([file], [tmp_path]))[what]
    assert found == Finding(Level.OK, what, str(tmp_path / "70-instruments.rules"))


def test_who_is_in_no_group_of_serial_ports_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Group(NamedTuple):
        gr_name: str = "dialout"
        gr_gid: int = 20

    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("grp.getgrall", lambda: [Group()])
    file = needing(tmp_path, "serial:///dev/ttyACM0")
    for mine, level in (([], Level.WARNING), ([20], Level.OK)):
        monkeypatch.setattr("os.getgroups", lambda mine=mine: mine)
        (found,) = doctor.rights([file])
        assert found.level is level
        assert "dialout" in found.found
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert doctor.rights([file])[0].level is Level.OK


# ---- guards and calibration -----------------------------------------------------------------


def test_a_guard_that_ended_without_being_sure_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_SHARED", str(tmp_path))
    assert doctor.guards() == []
    gone = registry.Note("guard-1-a", "/b/smu.toml", "keithley", 2**22 - 7, 1, "ann", "lab", "2026-10-01")
    living = replace(gone, name="guard-2-b", pid=os.getpid(), bench="/b/other.toml")
    for note in (gone, living):
        (tmp_path / f"{note.name}.json").write_text(json.dumps(asdict(note)))
    (tmp_path / "guard-2-b.sock").touch()
    dead, alive = doctor.guards()
    assert dead.level is Level.PROBLEM
    assert "UNKNOWN" in dead.found
    assert "labctl stop /b/smu.toml" in dead.todo
    assert alive == Finding(
        Level.OK, "guards", f"other: keithley, by ann since 2026-10-01; its guard is process {os.getpid()}"
    )


@pytest.mark.parametrize(
    ("told", "level"),
    [
        ('older_than = "30 days"', Level.WARNING),
        ('older_than = "31 days"', Level.OK),
        ('note = "10 kohm, 0.01 %"', Level.OK),
    ],
)
def test_a_calibration_grows_old(told: str, level: Level, tmp_path: Path) -> None:
    file = bench(tmp_path, Silent)
    file.write_text(file.read_text() + f"[calibration]\ndate = 2026-09-01\n{told}\n")
    (found,) = doctor.calibrations([file], date(2026, 10, 2))
    assert found.level is level
    assert "31 days ago" in found.found
    assert ("0.01 %" in found.found) == ("0.01 %" in told)
    (found,) = doctor.calibrations([file], date(2026, 8, 1))
    assert found.level is Level.PROBLEM


@pytest.mark.parametrize(
    "told", ["date = 20260901", 'date = "tomorrow"', 'date = 2026-09-01\nolder_than = "30"']
)
def test_a_calibration_that_says_nothing_is_a_mistake(told: str, tmp_path: Path) -> None:
    file = bench(tmp_path, Silent)
    file.write_text(file.read_text() + f"[calibration]\n{told}\n")
    with pytest.raises(BadConfig, match="calibration"):
        read_toml(file, BenchFile)


def test_a_calibration_goes_into_a_run_folder_and_back(tmp_path: Path) -> None:
    file = bench(tmp_path, Silent)
    file.write_text(file.read_text() + '[calibration]\ndate = 2026-09-01\nolder_than = "1 day"\n')
    found = read_toml(file, BenchFile)
    assert build(json.loads(json.dumps(dump(found))), BenchFile, "run") == found
