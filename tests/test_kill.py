"""A training session that is killed, or stopped, at any moment loses nothing and can go on.

LABCTL_KILLS sets how many sessions are killed, up to twice each: 10 unless told, 200 for the figure in
the README.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import BadRun
from labctl.journal import Journal, Stored
from labctl.pages.bill import statement
from labctl.pulse import Purpose
from labctl.spec import Spec
from tests.trainee import ROOT, SESSION

KILLS = int(os.environ.get("LABCTL_KILLS", "10"))
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
SITES = 30


def trials(base: Path, number: str, kills: int = KILLS, session: Sequence[str] = ()) -> list[dict[str, Any]]:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.trainee", str(base), str(kills), number, "1", *session],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120 + 10 * kills,
    )
    assert ended.returncode == 0, ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(rows) == kills
    return rows


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    base = tmp_path_factory.mktemp("killed")
    return base, trials(base, "SIGKILL")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    base = tmp_path_factory.mktemp("stopped")
    return base, trials(base, "SIGINT")


Trials = tuple[Path, list[dict[str, Any]]]


def finished(base: Path, name: str) -> None:
    """The run came to its end: 30 of 30 right, on a bill that agrees."""
    with Journal.open(base, name) as journal:
        results = [note.body for note in journal.notes() if note.kind == "result"]
        assert [(result["right"], result["patterns"]) for result in results] == [(30, 30)]
        assert statement(journal).agrees


def list_after(entries: list[Stored], before: int) -> list[Stored]:
    """The first list that was intended after so many pulses."""
    return [entry for entry in entries if entry.list == entries[before].list]


def test_fault_40_killed_sessions_lose_nothing_that_was_acknowledged(killed: Trials) -> None:
    base, rows = killed
    deaths = [life["acknowledged"] for row in rows for life in row["lives"] if life["code"] < 0]
    assert len(deaths) > KILLS / 2
    assert any(deaths)
    for row in rows:
        with Journal.open(base, row["name"]) as journal:
            unknown = {entry.id for entry in journal.unknown()}
            lists = {entry.list for entry in journal.unknown()}
            count = journal.counts()["intended"]
        for life in row["lives"]:
            known = range(1 + (life["before"] or 0), 1 + life["acknowledged"])
            assert not unknown & set(known)
            assert life["acknowledged"] <= count
        assert len(lists) <= sum(life["code"] == -signal.SIGKILL for life in row["lives"])


def test_killed_sessions_go_on_and_finish(killed: Trials) -> None:
    base, rows = killed
    for row in rows:
        assert row["lives"][-1]["code"] in (0, -signal.SIGKILL)  # killed when all was done: finished, too
        finished(base, row["name"])


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_what_goes_on_reads_every_site_first(how: str, request: pytest.FixtureRequest) -> None:
    base, rows = request.getfixturevalue(how)
    for row in rows:
        with Journal.open(base, row["name"]) as journal:
            entries, spec = list(journal.entries()), journal.spec
        for life in row["lives"]:
            if life["resumed"] and life["acknowledged"]:
                first = list_after(entries, life["before"])
                assert {entry.pulse.purpose for entry in first} == {Purpose.READ}
                assert {spec.target(entry.pulse) for entry in first} == set(range(SITES))


def test_fault_41_a_stopped_session_says_75_and_leaves_nothing_unknown(stopped: Trials) -> None:
    base, rows = stopped
    codes = [life["code"] for row in rows for life in row["lives"] if life["hit"]]
    assert 75 in codes
    assert set(codes) <= {0, 75, 130}, [life["complained"] for row in rows for life in row["lives"]]
    for row in rows:
        assert all(life["acknowledged"] == 0 for life in row["lives"] if life["code"] == 130)  # too early
        assert row["lives"][-1]["code"] == 0
        finished(base, row["name"])
        with Journal.open(base, row["name"]) as journal:
            assert journal.unknown() == []


# ---- predictive, in rounds, and with fine tuning ------------------------------------------------

LEARNER = """
name = "learner"
bench = "{bench}"

[training.programming]
method = "predictive"
visits = "in rounds"
most_pulses = 60

[training.learning]
rule = "fine_tuning"

[training.testing]
noise = ["15 %"]
draws = 2
"""


@pytest.fixture(scope="module")
def learners(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    """Two stuck devices, neurons with offsets, devices that differ and scatter: all that a run can hold."""
    base = tmp_path_factory.mktemp("learners")
    experiment = base / "learner.toml"
    experiment.write_text(LEARNER.format(bench=ROOT / "benches/network-cr-faulty-twin.toml"))
    return base, trials(base, "SIGKILL", max(KILLS // 2, 2), [str(experiment)])


def rows_of(base: Path, name: str) -> tuple[list[Stored], list[dict[str, Any]], Spec]:
    with Journal.open(base, name) as journal:
        assert statement(journal).agrees
        results = [note.body for note in journal.notes() if note.kind == "result"]
        return list(journal.entries()), results, journal.spec


def test_a_chip_that_learns_in_rounds_is_killed_and_comes_to_a_good_end(learners: Trials) -> None:
    base, rows = learners
    assert any(
        life["code"] == -signal.SIGKILL and life["acknowledged"] for row in rows for life in row["lives"]
    )
    for row in rows:
        _, results, _ = rows_of(base, row["name"])
        assert len(results) == 1
        assert results[0]["right"] >= 28  # with fewer pulses left for what was driven before
        assert results[0]["learning"]["epochs"][-1]["accuracy"] > 0.9


def test_its_caps_count_every_life_and_nothing_of_unknown_outcome_comes_again(learners: Trials) -> None:
    base, rows = learners
    for row in rows:
        entries, results, spec = rows_of(base, row["name"])
        written = [entry for entry in entries if entry.pulse.purpose is Purpose.PROGRAM]
        counts = Counter(spec.target(entry.pulse) for entry in written)
        assert max(counts.values()) <= 60
        for outcome in results[0]["outcomes"]:
            assert outcome["pulses"] == counts[outcome["site"]]
        for life in row["lives"]:
            if life["resumed"] and life["acknowledged"]:
                first = list_after(entries, life["before"])
                assert {entry.pulse.purpose for entry in first} == {Purpose.READ}
                assert {spec.target(entry.pulse) for entry in first} == set(range(SITES))


# ---- the command as it is installed -----------------------------------------------------------


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "labctl", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_pulses(base: Path, name: str, process: subprocess.Popen[str]) -> None:
    """Until the session has driven something."""
    while process.poll() is None:
        with suppress(BadRun), Journal.open(base, name) as journal:
            if journal.counts()["measured"]:
                return
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 75), (signal.SIGTERM, 75), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_the_command_ends_as_it_was_asked_to_and_goes_on(tmp_path: Path, number: int, code: int) -> None:
    process = start("train", *SESSION, "--runs", str(tmp_path), "--name", "one")
    wait_for_pulses(tmp_path, "one", process)
    process.send_signal(number)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == code, complained
    assert said.startswith("one: letter z on network-cr-twin (simulated)")
    if code == 75:
        assert f"labctl resume one --runs {tmp_path}" in complained
        assert "everything up to pulse" in complained
    process = start("resume", "one", "--runs", str(tmp_path))
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    assert "30 / 30" in said
    finished(tmp_path, "one")
