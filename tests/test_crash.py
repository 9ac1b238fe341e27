"""Whenever the process is killed, what it had acknowledged is in the journal.

LABCTL_KILLS sets how often it is killed: 60 unless told, 2000 for the figure in the README.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.energy import Ledger, charges
from labctl.journal import Journal, Outcome, recompute
from labctl.runfolder import names_of_runs
from labctl.store import Store

ROOT = Path(__file__).resolve().parent.parent
KILLS = int(os.environ.get("LABCTL_KILLS", "60"))


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, int]]]:
    base = tmp_path_factory.mktemp("killed")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.crash", str(base), str(KILLS), "1"],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60 + KILLS,
    )
    assert ended.returncode == 0, ended.stderr
    return base, [json.loads(line) for line in ended.stdout.splitlines()]


Trials = tuple[Path, list[dict[str, int]]]


def test_fault_40_no_acknowledged_pulse_is_lost(trials: Trials) -> None:
    _, rows = trials
    assert len(rows) == KILLS
    assert {row["ended by"] & 0x7F for row in rows} == {signal.SIGKILL, signal.SIGXFSZ}
    assert [row["lost"] for row in rows] == [0] * KILLS
    assert sum(row["acknowledged"] > 0 for row in rows) >= KILLS // 4  # those killed after one
    assert all(row["acknowledged"] <= row["intended"] for row in rows)


def test_at_most_one_list_of_each_killed_process_is_unknown(trials: Trials) -> None:
    _, rows = trials
    assert max(row["unknown lists"] for row in rows) <= 1
    assert sum(row["unknown lists"] for row in rows) > 0


def test_a_run_that_was_killed_so_often_is_whole_and_goes_on(trials: Trials) -> None:
    base, _ = trials
    name = names_of_runs(base)[0]
    with Store.resume(base, name) as store:
        entries = list(store.journal.entries())
        assert [entry.id for entry in entries] == list(range(1, len(entries) + 1))
        kept = [entry for entry in entries if entry.trace is not None]
        assert len(kept) < sum(entry.outcome is Outcome.MEASURED for entry in entries)  # some were dropped
        for entry in kept:
            assert entry.trace is not None
            assert entry.charge is not None
            (again,) = charges(store.journal.spec, [entry.pulse], [entry.trace])
            assert again.joules == pytest.approx(entry.charge.joules, rel=1e-12)


def test_the_bill_of_a_killed_run_is_what_its_results_add_up_to(trials: Trials) -> None:
    base, _ = trials
    with Journal.open(base, names_of_runs(base)[0]) as journal:
        ledger = Ledger()
        ledger.charge([entry.charge for entry in journal.entries() if entry.charge is not None])
        again = recompute(journal)
    assert again.total().pulses == ledger.total().pulses
    assert again.total().joules == pytest.approx(ledger.total().joules, rel=1e-9)
    assert again.total().seconds == pytest.approx(ledger.total().seconds, rel=1e-9)
