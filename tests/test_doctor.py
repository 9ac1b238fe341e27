"""The doctor: what is wrong with a machine is told, with what to do, and never raised."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from labctl import doctor, runfolder
from labctl.doctor import Finding, Level, Package
from sim_backend import engine


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


def test_this_machine_can_run_the_tests(tmp_path: Path) -> None:
    findings = by_name(doctor.examine(tmp_path))
    assert {finding.level for finding in findings.values()} == {Level.OK}
    assert findings["ngspice"].found.startswith("version ")
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


# ---- ngspice --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["/nowhere/libngspice.so", "libm.so.6"])
def test_a_library_that_is_missing_or_a_stranger_is_a_problem(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(doctor.LIBRARY_VARIABLE, name)
    found = doctor.ngspice()
    assert found.level is Level.PROBLEM
    assert name in found.found
    assert doctor.LIBRARY_VARIABLE in found.todo


def test_no_library_at_all_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(doctor.LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)  # pyright: ignore
    found = doctor.ngspice()
    assert found.level is Level.PROBLEM
    assert "apt-get install libngspice0" in found.todo


@pytest.mark.parametrize(("version", "level"), [(None, Level.WARNING), (25, Level.PROBLEM), (44, Level.OK)])
def test_the_version_is_judged(version: int | None, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ngspice_version", lambda library: version)  # pyright: ignore
    assert doctor.ngspice().level is level


def test_the_doctor_and_the_engine_want_the_same_ngspice() -> None:
    assert doctor.OLDEST_NGSPICE == engine.OLDEST


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
