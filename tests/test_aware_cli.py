"""`labctl aware` from the command line: train, evaluate, sweep; killed, stopped, damaged, gone on with."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from labctl import cli
from labctl.aware.answers import answers
from labctl.aware.evaluation import right_on_chip
from labctl.aware.record import AwareRecord
from labctl.aware.sweep import trained
from labctl.commands.study_progress import StudyProgress
from labctl.console import Exit
from labctl.runfolder import AWARE

FILE = """
name = "small"

[data]
set = "digits"
train = 300
test = 60

[network]
hidden = [12]

[technology]
source = "50 ohm"
neuron = "50 ohm"
variation = "5 %"

[training]
ideal_epochs = 3
epochs = 2
batch = 32
rate = 1e-2

[sweep]
source = [1e-3, 5e-2]
neuron = [1e-3, 5e-2]
points = "diagonals"
seeds = 2
chips = 2
"""
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""So small a network is not done faster by two, and far slower where the machine has other work."""
NETWORKS, CHIPS = 2 * (1 + 1 + 4 + 4), 2 * 3 * 4 * 2


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep that nobody stopped."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "small.toml").write_text(FILE)
    assert cli.run(["aware", "sweep", str(folder / "small.toml"), "--name", "s", *runs(folder)]) == 0
    return folder


def runs(folder: Path) -> list[str]:
    return ["--runs", str(folder / "runs")]


def answer(capsys: pytest.CaptureFixture[str], *command: str, code: int = 0) -> dict[str, Any]:
    """The one JSON document that the command prints."""
    capsys.readouterr()
    assert cli.run([*command, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """What is said of a command that is refused."""
    found = answer(capsys, *command, code=Exit.REFUSED)["error"]
    return f"{found['wrong']} {found['allowed']} {found['what_to_do']}"


# ---- one network ----------------------------------------------------------------------------


def test_train_and_evaluate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = answer(capsys, "aware", "train", "small.toml", "--name", "t")
    before, after = made["trained"].values()
    assert [len(one["epochs"]) for one in (before, after)] == [3, 2]
    assert before["epochs"][-1]["loss"] < before["epochs"][0]["loss"]
    assert made["answers"] == []
    tried = answer(capsys, "aware", "evaluate", "t", "--chips", "3")
    assert [(one["aware"], one["chips"]) for one in tried["answers"]] == [("start", 3), ("technology", 3)]
    assert all(0.1 < one["accuracy"]["value"] <= 1 for one in tried["answers"])
    more = answer(capsys, "aware", "evaluate", "t", "--chips", "5")
    assert [one["chips"] for one in more["answers"]] == [5, 5]
    assert answer(capsys, "aware", "evaluate", "t", "--chips", "2") == more  # chips that were tried stay


def test_the_chips_of_a_training_are_those_of_its_seed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("small.toml").write_text(FILE.replace("batch = 32", "batch = 32\nseed = 7"))
    answer(capsys, "aware", "train", "small.toml", "--name", "t")
    answer(capsys, "aware", "evaluate", "t", "--chips", "4")
    with AwareRecord.open(Path("runs"), "t") as record:
        network, pictures = trained(record)
        (told,) = answers(record)[1:]
        technology = record.file.technology
    right = [right_on_chip(network, pictures, technology, chip, seed=7) for chip in range(4)]
    assert told.accuracy.value == pytest.approx(sum(right) / 4 / 60)
    assert told.worst == min(right) / 60


def test_gains_are_given_to_networks_of_standard_training(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("small.toml").write_text(FILE.replace("ideal_epochs = 3", "ideal_epochs = 0"))
    found = answer(capsys, "aware", "sweep", "small.toml", "--name", "s")["trained"]
    for key, one in found.items():
        kind, seed = key.split()[:2]
        if kind == "calibrated":
            assert one["right"] == found[f"standard {seed}"]["right"] > found[f"start {seed}"]["right"]


def test_one_line_makes_the_difference(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = set[str]()
    for aware in ("standard", "noise", "technology"):
        Path("small.toml").write_text(FILE.replace("[training]", f'[training]\naware = "{aware}"'))
        found = answer(capsys, "aware", "train", "small.toml", "--name", aware)["trained"]
        assert {len(one["epochs"]) for one in found.values()} == {3, 2}
        weights |= {one["weights"] for one in found.values()}
    assert len(weights) == 4  # all begin with the same


def test_a_network_begins_with_one_of_another_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = answer(capsys, "aware", "train", "small.toml", "--name", "first")["trained"]
    made = next(one for key, one in first.items() if key.startswith("technology"))
    begins = FILE.replace("ideal_epochs = 3", 'start = "runs/first"')
    Path("small.toml").write_text(begins)
    begun = answer(capsys, "aware", "train", "small.toml", "--name", "second")["trained"]["start 0"]
    assert (begun["weights"], begun["epochs"]) == (made["weights"], [])
    for changed, told in (
        (FILE.replace("ideal_epochs = 3", 'start = "runs/none"'), "aware.sqlite"),
        (begins.replace("test = 60", "test = 60\nseed = 1"), "trained on other pictures"),
        (begins.replace("[12]", "[13]"), "another network"),
    ):
        Path("small.toml").write_text(changed)
        assert told in refused(capsys, "aware", "train", "small.toml", "--name", "third")
    assert not Path("runs/third").exists()


def test_chips_that_are_read_with_noise_do_not_depend_on_what_was_tried_before(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("small.toml").write_text(FILE.replace('variation = "5 %"', 'read_noise = "50 %"'))
    answer(capsys, "aware", "train", "small.toml", "--name", "one")
    shutil.copytree("runs/one", "runs/other")
    together = answer(capsys, "aware", "evaluate", "one", "--chips", "4")
    for chips in (1, 3, 4):
        apart = answer(capsys, "aware", "evaluate", "other", "--chips", str(chips))
    assert apart["fingerprint"] == together["fingerprint"]
    assert together["answers"][0]["worst"] < together["answers"][0]["accuracy"]["value"]


# ---- a sweep --------------------------------------------------------------------------------


def test_a_sweep_answers(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "show", "s", *runs(swept))
    assert (found["networks"], found["chips"]) == (NETWORKS, CHIPS)
    assert {(one["source"], one["neuron"]) for one in found["answers"]} == {
        (a, b) for a in (1e-3, 5e-2) for b in (1e-3, 5e-2)
    }
    worst = {
        one["aware"]: one["accuracy"]["value"]
        for one in found["answers"]
        if (one["source"], one["neuron"]) == (5e-2, 5e-2)
    }
    assert worst["technology"] > worst["standard"] + 0.1  # the fall, and the recovery
    assert worst["calibrated"] > worst["standard"] + 0.05  # of which a gain alone brings a part


def test_a_report_has_the_pictures_and_every_number(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = answer(capsys, "report", "s", *runs(swept))
    assert [Path(one).name for one in made["pictures"]] == ["resistance-sigma-5-array-any.png"]
    page = Path(made["report"]).read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "Technology-aware training, Rn / Ron 10⁻³: " in page
    numbers = json.loads(Path(made["answers"]).read_text(encoding="utf-8"))
    assert numbers["fingerprint"] in page
    assert len(numbers["answers"]) == 12


def test_a_sweep_is_listed_and_has_no_bill(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = answer(capsys, "runs", *runs(swept))["runs"]
    assert (row["run"], row["what"], row["state"]) == ("s", "sweep small", "finished")
    assert "no bill" in refused(capsys, "bill", "s", *runs(swept))
    assert "tries its networks itself" in refused(capsys, "aware", "evaluate", "s", *runs(swept))


def test_a_sweep_keeps_only_networks_that_others_begin_with(swept: Path) -> None:
    with closing(sqlite3.connect(swept / "runs/s" / AWARE)) as connection:
        kept = [key for (key,) in connection.execute("SELECT key FROM network WHERE state IS NOT NULL")]
        under_way = connection.execute("SELECT count(*) FROM epoch").fetchone()
    assert set(kept) == {f"{kind} {seed}" for seed in (0, 1) for kind in ("start", "standard")}
    assert under_way == (0,)


def test_a_dry_run_does_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "aware", "sweep", "small.toml", "--dry-run")
    assert (sum(found["networks"].values()), found["chips"]) == (NETWORKS, CHIPS)
    assert not (here / "runs").exists()


# ---- killed, stopped, gone on with ----------------------------------------------------------


def test_a_sweep_that_is_killed_twice_gives_the_same_rows(
    here: Path, swept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed(["aware", "sweep", "small.toml", "--name", "s"], "SELECT count(*) FROM epoch WHERE epoch = 2")
    killed(["resume", "s"], "SELECT count(*) > 5 FROM chip")
    assert answer(capsys, "show", "s")["networks"] < NETWORKS
    whole, again = answer(capsys, "show", "s", *runs(swept)), answer(capsys, "resume", "s")
    assert again["fingerprint"] == whole["fingerprint"]
    assert again["answers"] == whole["answers"]


def killed(command: list[str], until: str) -> None:
    """Run it in a process of its own, and kill that as soon as the record answers with a number above 0."""
    with subprocess.Popen([sys.executable, "-m", "labctl", *command], env=environment()) as process:
        while process.poll() is None and not counted(Path("runs/s") / AWARE, until):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def counted(path: Path, sql: str) -> int:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute(sql).fetchone()[0])
    except sqlite3.Error:  # not there yet, or being written
        return 0


def environment() -> dict[str, str]:
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": str(Path(cli.__file__).parents[1])}


def test_ctrl_c_stops_at_a_safe_point(
    here: Path, swept: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = StudyProgress.told

    def press(self: StudyProgress, done: int, total: int) -> None:
        told(self, done, total)
        if done == 9:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(StudyProgress, "told", press)
        stopped = answer(capsys, "aware", "sweep", "small.toml", "--name", "s", code=Exit.STOPPED)
    assert "labctl resume s" in stopped["error"]["what_to_do"]
    assert (
        answer(capsys, "resume", "s")["fingerprint"]
        == answer(capsys, "show", "s", *runs(swept))["fingerprint"]
    )


def test_nothing_is_left_to_resume(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = answer(capsys, "show", "s", *runs(swept))
    assert answer(capsys, "resume", "s", *runs(swept)) == before
    assert "--workers" in refused(capsys, "resume", "s", "--workers", "2", *runs(swept))


def test_other_pictures_are_not_gone_on_with(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(capsys, "aware", "train", "small.toml", "--name", "t")
    with closing(sqlite3.connect(Path("runs/t") / AWARE)) as connection:
        connection.execute("UPDATE meta SET value = '\"0123\"' WHERE key = 'data'")
        connection.commit()
    assert "not those that t was begun with" in refused(capsys, "resume", "t")


# ---- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "instead", "told"),
    [
        ('set = "digits"', 'set = "idx"', "data.folder"),
        ('set = "digits"', 'set = "mnist"\nfolder = "nowhere"', "make data"),
        ("train = 300", "train = 3000", "more than the"),
        ("hidden = [12]", "hidden = [0]", "hidden"),
        ("hidden = [12]", "array = [32, 32]", "needs"),
        ('source = "50 ohm"', 'source = "-50 ohm"', "source"),
        ('source = "50 ohm"', 'on = "1 Mohm"', "on < off"),
        ("epochs = 2\n", "epoch = 2\n", 'did you mean "epochs"'),
    ],
)
def test_a_bad_file_is_refused_before_anything_is_made(
    here: Path, capsys: pytest.CaptureFixture[str], wrong: str, instead: str, told: str
) -> None:
    assert wrong in FILE
    Path("small.toml").write_text(FILE.replace(wrong, instead))
    assert told in refused(capsys, "aware", "sweep", "small.toml", "--name", "s")
    assert not (here / "runs").exists()


def test_a_sweep_over_nothing_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("small.toml").write_text(FILE[: FILE.index("[sweep]")])
    assert "no [sweep]" in refused(capsys, "aware", "sweep", "small.toml", "--name", "s")
    assert "nothing.toml" in refused(capsys, "aware", "train", "nothing.toml")


@pytest.mark.parametrize(
    "told",
    [
        ["train", "small.toml"],
        ["sweep", "small.toml"],
        ["evaluate", "r"],
        ["deploy", "r", "--bench", "bench.toml"],
    ],
    ids=lambda told: told[0],
)
def test_without_torch_it_says_what_to_install(here: Path, told: list[str]) -> None:
    code = "import sys\nsys.modules['torch'] = None\nfrom labctl.cli import run\n"
    code += f"sys.exit(run(['aware', *{told!r}]))"
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert "pip install '.[aware]'" in ended.stderr
    assert not Path("runs").exists()


def test_a_damaged_record_is_refused_and_listed(
    swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(swept / "runs/s", tmp_path / "runs/s")
    path = tmp_path / "runs/s" / AWARE
    path.write_bytes(path.read_bytes()[:3000])
    for command in ("show", "resume", "report"):
        assert re.search("damaged|cannot be read", refused(capsys, command, "s", *runs(tmp_path)))
    (row,) = answer(capsys, "runs", *runs(tmp_path))["runs"]
    assert row["state"].startswith("cannot be read")


def test_help_needs_no_torch() -> None:
    code = "import sys\nfrom labctl.cli import run\nrun(['aware', '--help'])\n"
    code += "assert not {'torch', 'numpy', 'matplotlib', 'rich'} & set(sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
