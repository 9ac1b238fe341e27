"""Studies: the same numbers whoever does the work, whenever it is stopped, and from whatever order."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl import cli
from labctl.commands.study_progress import StudyProgress
from labctl.console import Exit
from labctl.errors import BadConfig, BadRun, BoardGone, LimitExceeded, Stopped
from labctl.study.answers import answers, compared, figures
from labctl.study.chips import Job, Row, jobs, work
from labctl.study.conditions import Condition, Study, expanded
from labctl.study.file import Metric, metric, only, read_study
from labctl.study.record import StudyRecord
from labctl.study.workers import Here, Processes
from labctl.study_run import preflight, run_study

ROOT = Path(__file__).resolve().parent.parent
SMALL = f"""
name = "small"
title = "A small study"
experiment = "{ROOT}/examples/letters.toml"
bench = "{ROOT}/benches/network-cr-twin.toml"
chips = 4
networks = 2

[change.board]
pixel = "40 mV"
device_to_device = true

[change.training]
software = {{ steps = 60, restarts = 2 }}
testing = {{ noise = ["15 %", "40 %"], draws = 2 }}

[[question]]
name = "error"
title = "Accuracy against conductance error"
shows = ["accuracy", "accuracy at 15 % noise", "energy"]
vary = {{ name = "error", key = "training.missed.error", unit = "%", values = ["0 %", "30 %"] }}

[[question]]
name = "dopant"
title = "Which dopant"
shows = ["time"]
chips = 2
vary = {{ name = "dopant", key = "board.dopant", values = ["Cr", "W"] }}

[[question]]
name = "noise"
title = "Accuracy against noise"
vary = {{ name = "noise", levels = "noise" }}
"""


def small(folder: Path, text: str = SMALL) -> Study:
    file = folder / "small.toml"
    file.write_text(text)
    return expanded(read_study(file), folder)


def never() -> bool:
    return False


def done(base: Path, name: str, study: Study, workers: Any = None) -> StudyRecord:
    record = StudyRecord.create(base, name, study, "small.toml")
    progress = StudyProgress(quiet=True)
    run_study(record, workers or Here(), progress.told, progress.watch, never)
    return record


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyRecord]:
    base = tmp_path_factory.mktemp("studies")
    with done(base, "one", small(base)) as record:
        yield record


# ---- what is asked --------------------------------------------------------------------------


def test_conditions_that_questions_share_are_done_once(tmp_path: Path) -> None:
    study = small(tmp_path)
    assert [len(asked.places) for asked in study.asked] == [2, 2, 1]
    assert [condition.chips for condition in study.conditions.values()] == [4, 4, 2]
    base = study.asked[0].places[0].condition
    assert study.asked[1].places[0].condition == base
    assert study.asked[2].places[0].condition == base


def test_chips_of_a_study_are_new_ones(tmp_path: Path) -> None:
    for condition in small(tmp_path).conditions.values():
        assert "memory" not in condition.bench["board"]


def test_only_some_questions(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    assert [one.name for one in only(read_study(file), ("noise",)).question] == ["noise"]
    with pytest.raises(BadConfig, match="no question"):
        only(read_study(file), ("nothing",))


@pytest.mark.parametrize(
    ("wrong", "instead", "told"),
    [
        ('key = "training.missed.error"', 'key = "training.missed.eror"', "eror"),
        ('key = "board.dopant"', 'key = "board.dopnt"', "dopnt"),
        ('values = ["0 %", "30 %"]', 'values = ["0 %", "130 %"]', "100 %"),
        ('values = ["0 %", "30 %"]', "values = []", "key and values"),
        ('levels = "noise"', 'levels = "noise", key = "board.dopant"', "either"),
        ('shows = ["time"]', 'shows = ["beauty"]', "beauty"),
        ('shows = ["time"]', 'shows = ["accuracy at 15 V noise"]', "15 V"),
        ('name = "dopant"\ntitle', 'name = "error"\ntitle', "two questions"),
        ("chips = 4", "chips = 0", "chips"),
        ("network-cr-twin", "nothing-there", "nothing-there"),
        ('key = "board.dopant"', 'key = "board..dopant"', "no key"),
    ],
)
def test_mistakes_of_a_study_file_are_told_before_anything_is_done(
    tmp_path: Path, wrong: str, instead: str, told: str
) -> None:
    assert wrong in SMALL
    with pytest.raises(BadConfig, match=told):
        small(tmp_path, SMALL.replace(wrong, instead))


def test_noise_that_limits_forbid_is_refused_before_the_first_chip(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded, match="infer"):
        preflight(small(tmp_path, SMALL.replace('"40 mV"', '"100 mV"')))


def test_metrics() -> None:
    assert metric("accuracy at 15 % noise") == Metric("accuracy at 15 % noise", "noise", 0.15)
    assert metric("accuracy at 5 % flips").disturbance == "flips"
    assert not metric("energy").is_share


# ---- what comes of it -----------------------------------------------------------------------


def test_a_row_holds_the_bill_and_the_answers(finished: StudyRecord) -> None:
    study = finished.study()
    first, *_ = study.conditions
    rows = finished.rows(first)
    assert list(rows) == [0, 1, 2, 3]
    for row in rows.values():
        assert (row["patterns"], row["sites"]) == (30, 30)
        assert [test["of"] for test in row["tested"]] == [60, 60]
        assert row["bill"]["infer"][0] == 30 + 2 * 60
        assert row["bill"]["read"][0] == 60 + row["bill"]["program"][0]
    assert rows[0] != rows[1]


def test_energy_and_time_leave_out_what_the_tests_cost(finished: StudyRecord) -> None:
    first, *_ = finished.study().conditions
    row = finished.rows(first)[0]
    infer = row["bill"]["infer"]
    joules = sum(entry[1] for entry in row["bill"].values()) - infer[1] * 120 / 150
    assert figures({0: row}, metric("energy"))[0] == pytest.approx(joules, rel=1e-12)


def test_answers_are_medians_and_quartiles_over_chips(finished: StudyRecord) -> None:
    found = answers(finished)
    by_place = {(one.question, one.metric, one.x): one for one in found}
    first, second, _ = finished.study().conditions
    values = np.array([row["right"] / 30 for row in finished.rows(first).values()])
    one = by_place["error", "accuracy", "0 %"]
    assert (one.chips, one.failed, one.at) == (4, 0, 0.0)
    assert one.median.value == np.median(values)
    assert one.quartiles == tuple(np.percentile(values, (25, 75)))
    assert one.worst == values.min()
    assert [one.x for one in found if one.question == "noise"] == ["15 %", "40 %"]
    change = compared(finished, second, first, "energy")
    joules = [figures(finished.rows(key), metric("energy")) for key in (second, first)]
    assert change.mean.value == pytest.approx(float((joules[0] - joules[1]).mean()))
    assert change.chips == 4


def test_an_error_of_one_chip_is_its_row_and_stops_no_other(tmp_path: Path) -> None:
    text = SMALL.replace('pixel = "40 mV"', 'pixel = "40 mV"\nlimits = { energy = "30 nJ" }')
    study = small(tmp_path, text)
    condition = next(iter(study.conditions.values()))
    weights = json.loads(json.dumps([[[[0.5] * 3] * 9, [[0.5]] * 3]]))
    rows = work(Job(condition, (0, 1), tuple(map(tuple, weights))))
    assert len(rows) == 2
    broken: Row = {"error": "NoConvergence", "wrong": "no step was short enough"}
    values = figures({0: rows[0], 1: broken}, metric("accuracy"))
    assert np.isnan(values[1])
    assert not np.isnan(values[0])


# ---- the same numbers whoever does the work --------------------------------------------------


def test_two_processes_give_the_same_numbers_as_one(finished: StudyRecord, tmp_path: Path) -> None:
    with done(tmp_path, "two", finished.study(), Processes(2)) as record:
        assert record.fingerprint() == finished.fingerprint()
        assert [(workers, chips) for _, workers, chips, _ in record.spells()] == [("2 processes", 10)]


def test_a_dask_cluster_gives_the_same_numbers_bit_for_bit(finished: StudyRecord, tmp_path: Path) -> None:
    scheduler = tmp_path / "scheduler.json"
    commands = [
        ["scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(scheduler)],
        [
            "worker",
            "--scheduler-file",
            str(scheduler),
            "--nworkers",
            "2",
            "--nthreads",
            "1",
            "--no-dashboard",
        ],
    ]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", *command],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        deadline = time.monotonic() + 60
        while not scheduler.is_file() or not scheduler.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (tmp_path / "study.toml").write_text(SMALL)
        address = json.loads(scheduler.read_text())["address"]
        file = str(tmp_path / "study.toml")
        with labctl("study", file, "--scheduler", address, "--name", "d", base=tmp_path) as asking:
            _, told = asking.communicate(timeout=120)
        assert asking.returncode == 0, told
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)
    with StudyRecord.open(tmp_path, "d") as record:
        assert record.fingerprint() == finished.fingerprint()


def test_a_scheduler_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.toml").write_text(SMALL)
    arguments = [
        "study",
        str(tmp_path / "study.toml"),
        "--scheduler",
        "nonsense://x",
        "--runs",
        str(tmp_path),
    ]
    assert cli.run(arguments) == Exit.REFUSED
    assert "no Dask scheduler answers" in capsys.readouterr().err


# ---- stopped and killed ----------------------------------------------------------------------


def labctl(*arguments: str, base: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "labctl", *arguments, "--runs", str(base)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begun(base: Path, name: str, least: int) -> subprocess.Popen[str]:
    """A study with two workers, of which so many chips are done."""
    (base / "study.toml").write_text(SMALL)
    process = labctl("study", str(base / "study.toml"), "--workers", "2", "--name", name, base=base)
    assert process.stderr is not None
    for line in process.stderr:
        if line.split()[:1] and line.split()[0].isdigit() and int(line.split()[0]) >= least:
            return process
    raise AssertionError("it ended before")


def children(process: int) -> list[int]:
    """Processes that this one has started."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(one) for one in found]


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_killed_study_leaves_no_worker_and_goes_on_to_the_same_numbers(
    finished: StudyRecord, tmp_path: Path
) -> None:
    process = begun(tmp_path, "k", 1)
    workers = children(process.pid)
    assert len(workers) >= 2
    with process:
        process.kill()
    deadline = time.monotonic() + 30
    while not all(map(gone, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with StudyRecord.open(tmp_path, "k") as record:
        assert record.counts()[0] >= 1
    again = labctl("resume", "k", "--workers", "1", base=tmp_path)
    _, told = again.communicate(timeout=120)
    assert again.returncode == 0, told
    with StudyRecord.open(tmp_path, "k") as record:
        assert record.counts() == (10, 10)
        assert record.fingerprint() == finished.fingerprint()


def test_an_interrupted_study_is_saved_and_goes_on(finished: StudyRecord, tmp_path: Path) -> None:
    text = SMALL.replace("chips = 4", "chips = 40")
    study = small(tmp_path, text)
    record = StudyRecord.create(tmp_path, "s", study, "small.toml")
    progress, seen = StudyProgress(quiet=True), list[int]()

    def told(count: int, total: int) -> None:
        seen.append(count)
        assert total == 82

    with record, pytest.raises(Stopped, match="between two chips"):
        run_study(record, Here(), told, progress.watch, lambda: seen[-1] >= 5)
    assert seen[-1] == 5
    with StudyRecord.resume(tmp_path, "s") as again:
        assert again.counts() == (5, 82)
        small_ones = {chip: row for chip, row in again.rows(next(iter(study.conditions))).items() if chip < 4}
        assert small_ones == finished.rows(next(iter(finished.study().conditions)))


def test_ctrl_c_stops_a_study_and_tells_how_to_go_on(tmp_path: Path) -> None:
    process = begun(tmp_path, "c", 0)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode in (Exit.STOPPED, Exit.DONE)
    if process.returncode == Exit.STOPPED:
        assert "labctl resume c --runs" in told


def test_a_worker_that_is_killed_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    study = small(tmp_path, SMALL.replace("chips = 4", "chips = 60"))
    record = StudyRecord.create(tmp_path, "w", study, "small.toml")
    progress = StudyProgress(quiet=True)

    def told(count: int, total: int) -> None:
        progress.told(count, total)
        if count >= 5:
            for child in children(os.getpid()):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(child, signal.SIGKILL)

    with record, pytest.raises(BoardGone, match="worker of the study was killed"):
        run_study(record, Processes(2), told, progress.watch, never)
    with StudyRecord.open(tmp_path, "w") as again:
        assert 5 <= again.counts()[0] < 122


def test_one_process_writes_to_a_study(tmp_path: Path) -> None:
    with StudyRecord.create(tmp_path, "l", small(tmp_path), "small.toml"):
        with pytest.raises(BadRun, match="in use"):
            StudyRecord.resume(tmp_path, "l")
        with StudyRecord.open(tmp_path, "l") as reader:
            assert reader.counts() == (0, 10)


def test_a_file_that_is_no_study_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    with pytest.raises(BadRun, match="no study"):
        StudyRecord.open(tmp_path, "x")
    (folder / "study.sqlite").write_bytes(b"not a database at all, but long enough to be one" * 100)
    with pytest.raises(BadRun, match="cannot be read"):
        StudyRecord.open(tmp_path, "x")
    (folder / "study.sqlite").unlink()
    with closing(sqlite3.connect(folder / "study.sqlite")) as connection:
        connection.execute("CREATE TABLE chip (x)")
        connection.commit()
    with pytest.raises(BadRun, match="not the record of a study"):
        StudyRecord.open(tmp_path, "x")


def test_a_study_goes_on_where_one_of_that_name_is_already(tmp_path: Path) -> None:
    StudyRecord.create(tmp_path, "a", small(tmp_path), "small.toml").close()
    with pytest.raises(BadRun, match="there already"):
        StudyRecord.create(tmp_path, "a", small(tmp_path), "small.toml")


# ---- a bench that is there -------------------------------------------------------------------


def test_a_bench_that_is_no_simulation_has_one_chip_and_keeps_its_runs(tmp_path: Path) -> None:
    bench = (ROOT / "benches/network-cr-twin.toml").read_text().replace('kind = "sim"', 'kind = "emulator"')
    (tmp_path / "bench.toml").write_text(bench.replace("{run}/chip.state", str(tmp_path / "chip.state")))
    text = SMALL.replace(f'bench = "{ROOT}/benches/network-cr-twin.toml"', 'bench = "bench.toml"')
    text = text[: text.index('[[question]]\nname = "dopant"')]
    study = small(tmp_path, text)
    assert [condition.chips for condition in study.conditions.values()] == [1, 1]
    with done(tmp_path, "b", study) as record:
        assert record.counts() == (2, 2)
        runs = sorted(path.name for path in (record.folder / "runs").iterdir())
        assert runs == sorted(study.conditions)
    assert (tmp_path / "chip.state").is_file()


# ---- the command -----------------------------------------------------------------------------


def test_the_command_asks_and_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "study.toml"
    file.write_text(SMALL)
    options = ["--question", "dopant", "--chips", "1", "--workers", "1", "--runs", str(tmp_path), "--json"]
    assert cli.run(["study", str(file), "--name", "q", *options]) == Exit.DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["chips"], told["of"]) == (2, 2)
    assert [one["x"] for one in told["answers"]] == ["Cr", "W"]


def test_a_dry_run_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "study.toml"
    file.write_text(SMALL)
    assert cli.run(["study", str(file), "--dry-run", "--runs", str(tmp_path / "runs")]) == Exit.DONE
    assert "3 conditions, 10 chips" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_a_study_that_is_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["study", "nothing"]) == Exit.REFUSED
    assert "there is no study" in capsys.readouterr().err


def test_jobs_leave_out_what_is_done(tmp_path: Path) -> None:
    condition: Condition = next(iter(small(tmp_path).conditions.values()))
    made = list(jobs(condition, frozenset({1}), (), 2))
    assert [job.chips for job in made] == [(0, 2), (3,)]


def test_progress_tells_what_is_left() -> None:
    progress = StudyProgress(quiet=True)
    progress.told(0, 10)
    time.sleep(0.01)
    progress.told(5, 10)
    assert progress.line(5, 10).startswith("5 of 10 chips; ")
    assert progress.line(5, 10).endswith("left")
