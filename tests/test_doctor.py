"""The doctor: what is wrong with a machine is told, with what to do, and never raised."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from labctl import doctor, runfolder
from labctl.doctor import Finding, Level, Package
from labctl.errors import Unavailable
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
        (Broken, Level.PROBLEM, "ZeroDivisionError: screws / 0", "this is a fault of the board's driver"),
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
