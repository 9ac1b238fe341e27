"""Studies: the same numbers whoever does the work, whenever it is stopped, and from whatever order."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl import cli
from labctl.commands.study_progress import StudyProgress
from labctl.console import Exit
from labctl.errors import (
    BadConfig,
    BadRun,
    BoardGone,
    LabError,
    LimitExceeded,
    NoConvergence,
    Stopped,
    StorageFault,
    Unavailable,
)
from labctl.study import chips as chips_module
from labctl.study import workers as workers_module
from labctl.study.answers import answers, figures
from labctl.study.chips import Job, Lost, jobs, work
from labctl.study.conditions import Condition, Study, expanded
from labctl.study.file import Metric, metric, only, read_study
from labctl.study.record import StudyRecord
from labctl.study.rows import Row
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


NOISE = '"accuracy at 15 % noise", '
WEIGHTS = ((((0.5,) * 3,) * 9, ((0.5,),) * 3),)


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


def test_a_condition_is_the_same_wherever_its_files_are(tmp_path: Path) -> None:
    before = list(small(tmp_path).conditions)
    (tmp_path / "bench.toml").write_text((ROOT / "benches/network-cr-twin.toml").read_text())
    other = SMALL.replace(f'bench = "{ROOT}/benches/network-cr-twin.toml"', 'bench = "bench.toml"')
    assert list(small(tmp_path, other).conditions) == before


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
        ('vary = { name = "noise"', 'shows = ["energy"]\nvary = { name = "noise"', "the one figure"),
        ('levels = "noise"', 'levels = "flips"', "question noise: the axis needs tests with flips"),
        ('"accuracy at 15 % noise"', '"accuracy at 16 % noise"', '"accuracy at 16 % noise" needs tests'),
        ("chips = 2", 'by = { name = "noise", levels = "noise" }', "no series"),
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


@pytest.mark.parametrize("rule", ["none", "manhattan"])
def test_energy_and_time_are_those_of_a_chip_that_was_not_tested(tmp_path: Path, rule: str) -> None:
    """The tests come last: what is left of the bill is what the same chip costs without them."""
    learning = f'learning = {{ rule = "{rule}", manhattan = {{ epochs = 2, enough = 2 }} }}\n'
    wanted = learning * (rule != "none") + "testing = {"
    tested = SMALL.replace("testing = {", wanted)
    found = list[Row]()
    for text in (tested, tested.replace('noise = ["15 %", "40 %"]', "noise = []")):
        conditions = small(tmp_path, text[: text.index('[[question]]\nname = "noise"')].replace(NOISE, ""))
        condition = next(iter(conditions.conditions.values()))
        found += [row for row in work(Job(condition, (3,), WEIGHTS)) if not isinstance(row, Lost)]
    one, other = found
    assert one["tests"][0] == 120
    assert one["bill"]["infer"][0] == other["bill"]["infer"][0] + 120
    assert (other["bill"]["infer"][0] > 30) == (rule != "none")
    for name in ("energy", "time", "pulses", "energy with periphery"):
        untested = figures({0: other}, metric(name))[0]
        assert figures({0: one}, metric(name))[0] == pytest.approx(untested, rel=1e-12)


def test_answers_are_medians_and_quartiles_over_chips(finished: StudyRecord) -> None:
    found = answers(finished)
    by_place = {(one.question, one.metric, one.x): one for one in found}
    first, *_ = finished.study().conditions
    values = np.array([row["right"] / 30 for row in finished.rows(first).values()])
    one = by_place["error", "accuracy", "0 %"]
    assert (one.chips, one.failed, one.at) == (4, 0, 0.0)
    assert one.median.value == np.median(values)
    assert one.quartiles == tuple(np.percentile(values, (25, 75)))
    assert one.worst == values.min()
    assert [one.x for one in found if one.question == "noise"] == ["15 %", "40 %"]


def test_chips_that_failed_are_no_part_of_a_figure(finished: StudyRecord) -> None:
    rows = finished.rows(next(iter(finished.study().conditions)))
    broken: Row = {"error": "NoConvergence", "wrong": "no step was short enough"}
    values = figures({0: rows[0], 1: broken}, metric("accuracy"))
    assert np.isnan(values[1])
    assert not np.isnan(values[0])


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Lets chip number 1 of every condition raise this."""

    def prepare(error: Exception) -> None:
        def trained(job: Job, chip: int) -> Row:
            if chip == 1:
                raise error
            return {"right": chip}

        monkeypatch.setattr(chips_module, "_trained", trained)

    return prepare


@pytest.mark.parametrize("error", [LimitExceeded("3 V is too much"), NoConvergence("no step")])
def test_what_one_chip_fails_at_is_its_row_and_stops_no_other(
    tmp_path: Path, failing: Callable[[Exception], None], error: LabError
) -> None:
    failing(error)
    condition = next(iter(small(tmp_path).conditions.values()))
    wrong = {"error": type(error).__name__, "wrong": error.wrong}
    assert work(Job(condition, (0, 1, 2), ())) == [{"right": 0}, wrong, {"right": 2}]


def test_a_chip_whose_simulator_ended_has_no_row_and_is_tried_again(
    tmp_path: Path, failing: Callable[[Exception], None]
) -> None:
    """It may have been memory, or somebody's kill: no property of the chip."""
    failing(BoardGone("the engine ended"))
    study, progress = small(tmp_path), StudyProgress(quiet=True)
    with (
        StudyRecord.create(tmp_path, "g", study, "small.toml") as record,
        pytest.raises(BoardGone, match=r"3 chips were not done, .* BoardGone: the engine ended") as told,
    ):
        run_study(record, Here(), progress.told, progress.watch, never)
    assert "labctl resume" in told.value.todo
    with StudyRecord.open(tmp_path, "g") as record:
        assert record.counts() == (7, 10)
        assert all(1 not in record.rows(key) for key in study.conditions)


@pytest.mark.parametrize("error", [Unavailable("no such class"), ZeroDivisionError("a mistake")])
def test_what_is_wrong_with_every_chip_ends_the_study_and_no_row_says_so(
    tmp_path: Path, failing: Callable[[Exception], None], error: Exception
) -> None:
    failing(error)
    study, progress = small(tmp_path), StudyProgress(quiet=True)
    with StudyRecord.create(tmp_path, "u", study, "small.toml") as record:
        with pytest.raises(type(error)) as told:
            run_study(record, Here(), progress.told, progress.watch, never)
        assert record.counts() == (1, 10)
    first = next(iter(study.conditions))
    assert told.value.__notes__ == [f"chip 1 of condition {first}"]
    assert not isinstance(error, LabError) or error.wrong == f"chip 1 of condition {first}: no such class"


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


def test_who_is_asked_to_stop_waits_for_no_chip_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hanging.py").write_text(
        "import time\nfrom sim_backend.compact import CompactBoard\n"
        "class Hanging(CompactBoard):\n"
        "    def apply(self, pulses):\n        time.sleep(1000)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    bench = (ROOT / "benches/network-cr-twin.toml").read_text()
    (tmp_path / "bench.toml").write_text(bench.replace("sim_backend.compact:CompactBoard", "hanging:Hanging"))
    text = SMALL.replace(f'bench = "{ROOT}/benches/network-cr-twin.toml"', 'bench = "bench.toml"')
    study, progress = small(tmp_path, text), StudyProgress(quiet=True)
    with (
        StudyRecord.create(tmp_path, "h", study, "small.toml") as record,
        pytest.raises(Stopped, match="between two chips"),
    ):
        run_study(record, Processes(1), progress.told, progress.watch, lambda: bool(active_children()))
    assert active_children() == []


def test_a_cluster_that_does_not_answer_can_be_left() -> None:
    asked = list[int]()
    job: Any = object()

    def submit(function: Any, job: Job) -> Future[Any]:
        asked.append(1)
        return Future()

    found = workers_module._in_turn(submit, iter([job] * 9), 4, lambda: len(asked) == 4)
    assert list(found) == []
    assert len(asked) == 4


def test_a_study_whose_folder_is_gone_says_so(tmp_path: Path) -> None:
    study = small(tmp_path)
    with StudyRecord.create(tmp_path, "r", study, "small.toml") as record:
        (tmp_path / "r").rename(tmp_path / "elsewhere")
        with pytest.raises(StorageFault, match="moved or deleted") as told:
            record.keep(next(iter(study.conditions)), {0: {}})
    assert told.value.saved == ""


def test_a_study_leaves_one_file_that_can_be_copied(finished: StudyRecord, tmp_path: Path) -> None:
    with StudyRecord.create(tmp_path, "f", finished.study(), "small.toml") as record:
        record.keep(next(iter(finished.study().conditions)), {0: {"right": 1}})
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["lock", "study.sqlite"]
    data = (tmp_path / "f/study.sqlite").read_bytes()
    assert data[18:20] == b"\x01\x01"  # no write-ahead log: https://sqlite.org/fileformat.html


def test_what_is_left_of_a_study_that_was_ended_while_it_was_made_is_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    for name in ("lock", "owner", "study.sqlite.new", "study.sqlite.new-journal"):
        (folder / name).write_bytes(b"half")
    with pytest.raises(BadRun, match="begin it anew"):
        StudyRecord.open(tmp_path, "m")
    with StudyRecord.create(tmp_path, "m", small(tmp_path), "small.toml") as record:
        assert record.counts() == (0, 10)


def test_a_study_that_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRun, match="cannot be written to"):
        StudyRecord.create(tmp_path / "file", "n", small(tmp_path), "small.toml")
    monkeypatch.setattr("labctl.study.record.BYTES_PER_CHIP", 1e18)
    with pytest.raises(BadRun, match="too few for this run"):
        StudyRecord.create(tmp_path, "n", small(tmp_path), "small.toml")
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE chip SET body = '{'",
        "UPDATE condition SET body = '[]'",
        "DELETE FROM meta WHERE key = 'order'",
        "UPDATE meta SET value = '{' WHERE key = 'packages'",
        "PRAGMA user_version = 1",
    ],
)
def test_a_damaged_study_does_not_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    study = small(tmp_path)
    with StudyRecord.create(tmp_path, "d", study, "small.toml") as record:
        for key, condition in study.conditions.items():
            record.keep(key, {chip: {"error": "NoConvergence"} for chip in range(condition.chips)})
    with closing(sqlite3.connect(tmp_path / "d/study.sqlite")) as connection:
        connection.execute(damage)
        connection.commit()
    assert cli.run(["resume", "d", "--runs", str(tmp_path), "--json"]) == Exit.REFUSED
    told = json.loads(capsys.readouterr().out)["error"]["wrong"]
    assert "cannot be read" in told or "format 1" in told


def test_a_finished_study_is_only_told_again(finished: StudyRecord) -> None:
    spells = finished.spells()
    finished.close()
    assert cli.run(["resume", "one", "--runs", str(finished.folder.parent), "--json"]) == Exit.DONE
    with StudyRecord.open(finished.folder.parent, "one") as again:
        assert again.spells() == spells


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
        assert record.counts() == (2, 2)
        key = next(iter(study.conditions))
        row = record.rows(key)[0]
        assert row["tests"][0] == 120
        assert row["bill"]["infer"][0] == 150
        record._connection.execute("DELETE FROM chip WHERE condition = ?", [key])  # ended before it was kept
        progress = StudyProgress(quiet=True)
        run_study(record, Here(), progress.told, progress.watch, never)
        assert record.rows(key)[0] == row
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
