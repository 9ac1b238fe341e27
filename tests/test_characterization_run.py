"""Characterizations from the command to their tables: what is kept, how one goes on, what is refused."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl import characterization_run, cli
from labctl.bench import Bench
from labctl.characterization_record import (
    Characterization,
    before_of,
    entries_of,
    parts_of,
    sites_of,
)
from labctl.characterize import TITLES, protocol_of
from labctl.console import Exit
from labctl.errors import BadRun, Refused, Stopped, StorageFault
from labctl.journal import Journal
from labctl.pages.bill import statement
from labctl.pages.run import state_of
from labctl.pulse import Pulse, Purpose, Trace
from labctl.store import Store
from sim_backend.compact import CompactBoard
from tests.test_cli import Shell

ROOT = Path(__file__).resolve().parent.parent
SELECTOR = """
class = "sim_backend.compact:CompactBoard"
kind = "sim"
[board]
layout = "selector"
columns = 3
memory = "{run}/chip.state"
"""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    path = tmp_path / "bench.toml"
    path.write_text(SELECTOR)
    return path


@pytest.fixture
def labctl(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def nobody(*_: Any) -> Any:
    """Watches nothing."""
    return lambda *_: None


def after(lists: int) -> Any:
    """Stops before the list of that number, counted from 0."""
    asked = iter(range(lists + 1))
    return lambda: next(asked) == lists


def wanted(bench: Path, name: str = "iv", sites: Sequence[int] = (0,), **settings: Any) -> Characterization:
    return Characterization(protocol_of(name, settings, "test"), tuple(sites), Bench.read(bench))


def table(path: Path) -> tuple[list[str], list[str], list[list[str]]]:
    """Comments, header and rows of a CSV file."""
    lines = path.read_text().splitlines()
    comments = [line for line in lines if line.startswith("#")]
    header, *rows = csv.reader(lines[len(comments) :])
    return comments, header, rows


# ---- what is kept -----------------------------------------------------------------------------


def test_a_characterization_leaves_tables_with_their_provenance(bench: Path, tmp_path: Path) -> None:
    done = characterization_run.begin(wanted(bench, sites=(0, 2), cycles=3), tmp_path, "one", nobody)
    assert set(done.figures) == {("iv", 0), ("iv", 2)}
    comments, header, rows = table(tmp_path / "one/iv-M3.csv")
    assert header[:3] == ["cycle", "vset [V]", "vreset [V]"]
    assert len(rows) == 3
    text = "\n".join(comments)
    for told in ("run: one", "site: M3 (number 2, Cr)", '"cycles": 3', "ended: done", f"bench: {bench}"):
        assert told in text
    lines = (tmp_path / "one/iv-M3.csv").read_text().splitlines()
    read: Any = np.genfromtxt((line for line in lines if line[0] != "#"), delimiter=",", names=True)
    with Journal.open(tmp_path, "one") as journal:
        kept = parts_of(journal)["iv", 2].rows
        assert read["hrs_ohm"].tolist() == [row["hrs"] for row in kept]
        assert state_of(journal.notes()) == "finished"
        assert statement(journal).agrees
        assert [key for key, _ in entries_of(journal)] == [("iv", 0)] * 3 + [("iv", 2)] * 3


def test_a_run_that_was_stopped_goes_on_with_its_next_row(bench: Path, tmp_path: Path) -> None:
    what = wanted(bench, sites=(0, 1), cycles=4)
    with pytest.raises(Stopped):
        characterization_run.begin(what, tmp_path, "one", nobody, after(6))
    assert len(table(tmp_path / "one/iv-M2.csv")[2]) == 2
    assert "not finished" in (tmp_path / "one/iv-M2.csv").read_text()
    with Journal.open(tmp_path, "one") as journal:
        before = before_of(journal)
        assert {key: len(rows) for key, rows in before.rows.items()} == {("iv", 0): 4, ("iv", 1): 2}
        assert set(before.ended) == {("iv", 0)}
        assert before.doses["iv", 1].pulses == 2
    characterization_run.resume(tmp_path, "one", nobody)
    with Journal.open(tmp_path, "one") as journal:
        assert journal.counts()["intended"] == 8
        assert [row["cycle"] for row in parts_of(journal)["iv", 1].rows] == [1.0, 2.0, 3.0, 4.0]
        assert statement(journal).agrees
    with pytest.raises(BadRun, match="is finished"):
        characterization_run.resume(tmp_path, "one", nobody)


def test_an_endless_one_is_ended_by_its_dose_also_across_a_stop(bench: Path, tmp_path: Path) -> None:
    what = wanted(bench, cycles=10**6, most_pulses=5)
    with pytest.raises(Stopped):
        characterization_run.begin(what, tmp_path, "one", nobody, after(2))
    done = characterization_run.resume(tmp_path, "one", nobody)
    assert done.figures["iv", 0]["ended"] == "dose limit: more than 5 pulses"
    assert done.figures["iv", 0]["cycles"] == 5.0
    assert done.ledger.total(purpose=Purpose.PROGRAM).pulses == 5


def test_pulses_of_unknown_outcome_count_against_the_caps(
    bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Store.record

    def dies(store: Store, first: int, *rest: Any) -> None:
        if first == 3:
            raise KeyboardInterrupt
        record(store, first, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "record", dies)
        with suppress(KeyboardInterrupt):
            characterization_run.begin(wanted(bench, cycles=10, most_pulses=6), tmp_path, "one", nobody)
    done = characterization_run.resume(tmp_path, "one", nobody)
    assert done.figures["iv", 0]["cycles"] == 5.0  # two before, three after, and one that nobody knows
    with Journal.open(tmp_path, "one") as journal:
        assert [entry.id for entry in journal.unknown()] == [3]


def test_rows_that_cannot_be_written_down_end_it(
    bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = Store.note

    def full(store: Store, kind: str, body: Any = None) -> None:
        if kind == "rows":
            raise StorageFault("the disk is full")
        note(store, kind, body)

    monkeypatch.setattr(Store, "note", full)
    with pytest.raises(StorageFault):
        characterization_run.begin(wanted(bench, cycles=10), tmp_path, "one", nobody)
    with Journal.open(tmp_path, "one") as journal:
        assert journal.counts()["measured"] == 1


def test_what_must_not_be_driven_is_refused_and_leaves_no_run(bench: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="pulse 1 of 1"):
        characterization_run.begin(wanted(bench, amplitude="3.5 V"), tmp_path, "one", nobody)
    assert not (tmp_path / "one").exists()


class OpenDevices(CompactBoard):
    """A selector whose devices are not there."""

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for trace in super()._drive(pulses):
            yield Trace(trace.seconds, trace.volts, np.zeros_like(trace.amps))


def test_a_report_ends_at_an_open_device(bench: Path, tmp_path: Path) -> None:
    bench.write_text(
        SELECTOR.replace("sim_backend.compact:CompactBoard", "tests.test_characterization_run:OpenDevices")
    )
    done = characterization_run.begin(wanted(bench, "report"), tmp_path, "one", nobody)
    ended = {step: figures["ended"] for (step, _), figures in done.figures.items()}
    assert ended.pop("first_use") == "done"
    assert set(ended.values()) == {"not begun: the device is open"}
    with Journal.open(tmp_path, "one") as journal:
        assert {entry.pulse.purpose for entry in journal.entries()} == {Purpose.READ}
        assert max(np.abs(entry.pulse.volts).max() for entry in journal.entries()) <= 0.1


def test_sites_are_named_by_label_or_number(bench: Path) -> None:
    spec = Bench.read(bench).board(Path()).spec
    assert sites_of(spec, []) == (0,)
    assert sites_of(spec, ["M3", "0", "M1"]) == (2, 0)
    for wrong in ("M4", "3", "-1", "", "²"):
        with pytest.raises(Refused, match="no site"):
            sites_of(spec, [wrong])


def test_a_dry_run_drives_nothing_and_says_what_it_would_cost(bench: Path, tmp_path: Path) -> None:
    forecast = characterization_run.rehearse(wanted(bench, sites=(0, 1), cycles=2, amplitude="0.8 V"), nobody)
    assert forecast.pulses == {0: 2, 1: 2}
    assert forecast.highest_volts == {0: pytest.approx(0.8), 1: pytest.approx(0.8)}
    delivered = forecast.ledger.total(site=0).joules[0]
    assert 0 < delivered < forecast.worst_joules[0]
    assert list(tmp_path.iterdir()) == [bench]


# ---- the command ------------------------------------------------------------------------------


def test_the_list_has_every_procedure(labctl: Shell) -> None:
    assert labctl("characterize", "--list", "--json").document["procedures"] == TITLES


def test_a_run_is_answered_shown_listed_and_billed(labctl: Shell, bench: Path, tmp_path: Path) -> None:
    command = ("characterize", "iv", bench, "--site", "M2", "--set", "cycles=2", "--runs", tmp_path)
    said = labctl(*command, "--name", "one")
    assert said.code == Exit.DONE
    assert said.out.splitlines()[0] == "one: iv on bench (simulated)"
    for told in ("iv on site M2: 2 rows, done", "vset", "hrs", "wall time", "iv-M2.png"):
        assert told in said.out
    assert (tmp_path / "one/iv-M2.png").stat().st_size > 10_000
    shown = labctl("show", "one", "--runs", tmp_path)
    assert "iv on site M2: 2 rows, done" in shown.out
    document = labctl("show", "one", "--runs", tmp_path, "--json").document
    (step,) = document["steps"]
    assert (step["site"], step["rows"], step["table"]) == ("M2", 2, "iv-M2.csv")
    assert step["figures"]["cycles"] == 2.0
    assert labctl("bill", "one", "--runs", tmp_path).code == Exit.DONE
    listed = labctl("runs", "--runs", tmp_path, "--json").document["runs"]
    assert [(row["what"], row["state"]) for row in listed] == [("iv", "finished")]


def test_settings_come_from_a_file_and_are_changed_on_the_command_line(
    labctl: Shell, bench: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "mine.toml"
    settings.write_text('widths = ["10 us"]\npulses = 2\n[reading]\nvolts = "50 mV"\n')
    changes = ("--set", "reading.seconds=100 us", "--set", 'set_volts=["0.5 V"]', "--set", "reset_volts=[]")
    said = labctl(
        "characterize", "response", bench, "--settings", settings, *changes, "--runs", tmp_path, "--json"
    )
    assert said.code == Exit.DONE
    with Journal.open(tmp_path, said.document["run"]) as journal:
        kept = journal.meta["characterization"]["settings"]
    assert kept["reading"] == {"volts": "50 mV", "seconds": "100 us"}
    assert (kept["widths"], kept["set_volts"], kept["reset_volts"]) == (["10 us"], ["500 mV"], [])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["iv"], "nothing to measure, or nowhere"),
        (["ivv", "BENCH"], "no procedure"),
        (["iv", "BENCH", "--set", "cycles"], "changes no setting"),
        (["iv", "BENCH", "--set", "cycels=3"], 'did you mean "cycles"'),
        (["iv", "BENCH", "--set", "amplitude=1"], 'write "1 V"'),
        (["iv", "BENCH", "--set", "cycles=0"], "cycles"),
        (["iv", "BENCH", "--site", "Z9"], "no site"),
        (["iv", "BENCH", "--settings", "nowhere.toml"], "cannot be read"),
        (["iv", "BENCH", "--set", "amplitude=9 V"], "across site M1"),
    ],
)
def test_mistakes_are_refused_and_nothing_is_made(
    labctl: Shell, bench: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    runs = tmp_path / "runs"
    said = labctl("characterize", *(bench if one == "BENCH" else one for one in arguments), "--runs", runs)
    assert said.code == Exit.REFUSED
    assert told in said.err
    assert not runs.exists()


def test_a_dry_run_is_told(labctl: Shell, bench: Path, tmp_path: Path) -> None:
    said = labctl("characterize", "iv", bench, "--dry-run", "--runs", tmp_path / "runs")
    assert said.code == Exit.DONE
    for told in ("nothing real was driven", "pulses      10", "bench time", "M1", "1 V", "J"):
        assert told in said.out
    document = labctl("characterize", "iv", bench, "--dry-run", "--json").document
    assert document["sites"][0]["highest_volts"] == 1.0
    assert document["sites"][0]["worst_joules"] > document["joules"] > 0
    assert not (tmp_path / "runs").exists()


def test_a_real_board_is_asked_about_before_it_is_worn(labctl: Shell, bench: Path, tmp_path: Path) -> None:
    bench.write_text(SELECTOR.replace('"sim"', '"board"'))
    wears = ("characterize", "iv", bench, "--set", "cycles=1", "--runs", tmp_path, "--name")
    said = labctl(*wears, "one", "--hardware")
    assert said.code == Exit.REFUSED
    assert "--yes" in said.err
    assert not (tmp_path / "one").exists()
    assert labctl(*wears, "two", "--yes").code == Exit.DONE
    assert labctl("characterize", "first_use", bench, "--runs", tmp_path).code == Exit.DONE
    said = labctl("characterize", "iv", bench, "--dry-run")
    assert said.code == Exit.REFUSED
    assert "stand_in" in said.err


def test_a_crossbar_says_who_else_sees_the_pulses(labctl: Shell, tmp_path: Path) -> None:
    path = tmp_path / "bare.toml"
    path.write_text(SELECTOR.replace('"selector"', '"crossbar"\nrows = 2'))
    said = labctl("characterize", "iv", path, "--site", "1", "--set", "cycles=1", "--dry-run")
    assert "sites (0, 0), (0, 2) see the same voltages" in said.out


# ---- the command as it is installed -----------------------------------------------------------


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "labctl", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_rows(base: Path, process: subprocess.Popen[str], count: int) -> int:
    """Until the run has so many rows; how many it has."""
    found = 0
    while process.poll() is None and found < count:
        with suppress(BadRun), Journal.open(base, "one") as journal:
            found = sum(len(part.rows) for part in parts_of(journal).values())
        time.sleep(0.001)
    return found


@pytest.mark.parametrize(
    ("number", "code", "rows"),
    [
        (signal.SIGKILL, -signal.SIGKILL, 1),
        (signal.SIGKILL, -signal.SIGKILL, 7),
        (signal.SIGKILL, -signal.SIGKILL, 31),
        (signal.SIGINT, 75, 5),
    ],
)
def test_a_command_that_is_ended_in_the_middle_goes_on_from_its_rows(
    bench: Path, tmp_path: Path, number: int, code: int, rows: int
) -> None:
    process = start("characterize", "iv", bench, "--set", "cycles=200", "--runs", tmp_path, "--name", "one")
    found = wait_for_rows(tmp_path, process, rows)
    process.send_signal(number)
    _, complained = process.communicate(timeout=60)
    assert process.returncode == code, complained
    with Journal.open(tmp_path, "one") as journal:
        before = parts_of(journal)["iv", 0].rows
        driven = journal.counts()["intended"]
    assert found <= len(before) < 200
    assert cli.run(["resume", "one", "--runs", str(tmp_path), "--json"]) == Exit.DONE
    with Journal.open(tmp_path, "one") as journal:
        part = parts_of(journal)["iv", 0]
        assert part.rows[: len(before)] == before
        assert [row["cycle"] for row in part.rows] == [float(cycle + 1) for cycle in range(200)]
        assert journal.counts()["intended"] == driven + 200 - len(before)
        assert len(journal.unknown()) <= 1
        assert statement(journal).agrees
    if code == 75:
        assert "`labctl resume one" in complained
    assert json.dumps(part.figures)
