"""Training sessions from files to result: what is kept, how one goes on, and what is refused."""

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from labctl import training_run
from labctl.bench import Bench
from labctl.energy import Charge, Ledger
from labctl.errors import BadConfig, BadRun, LimitExceeded, Refused, Stopped, Unavailable
from labctl.experiment import Experiment, images_of
from labctl.journal import Journal, Stored, recompute
from labctl.pages.bill import statement
from labctl.pages.run import state_of
from labctl.pulse import Pulse, Purpose, Trace
from labctl.running import new_name
from labctl.session import Observer
from labctl.spec import Spec
from labctl.store import Store
from labctl.training.assignment import Assignment
from labctl.training_session import Session, read_session

ROOT = Path(__file__).resolve().parent.parent
LETTERS = ROOT / "examples/letters.toml"
TWIN = ROOT / "benches/network-cr-twin.toml"
SITES = set(range(30))


def nobody(assignment: Assignment, spec: Spec, ledger: Ledger) -> Observer:
    """Watches nothing."""

    def observe(pulses: Sequence[Pulse], traces: Sequence[Trace], charges: Sequence[Charge]) -> None:
        pass

    return observe


def after(lists: int) -> Callable[[], bool]:
    """Stops before the list of that number, counted from 0."""
    asked = iter(range(lists + 1))
    return lambda: next(asked) == lists


def session(**experiment: object) -> Session:
    made = Experiment.model_validate({"name": "letters", **experiment})
    return Session(made, images_of(made, LETTERS.parent), Bench.read(TWIN))


def with_reset() -> Session:
    return session(training={"reset": {"enabled": True}})


def entries(base: Path, name: str = "one") -> list[Stored]:
    with Journal.open(base, name) as journal:
        return list(journal.entries())


def interrupted(base: Path, lists: int, of: Session | None = None) -> int:
    """A run that was stopped after so many lists; returns how many pulses it has."""
    with pytest.raises(Stopped) as caught:
        training_run.begin(of or session(), base, "one", nobody, after(lists))
    assert "everything up to pulse" in caught.value.saved
    return len(entries(base))


def dies_at(monkeypatch: pytest.MonkeyPatch, purpose: Purpose, base: Path, of: Session) -> None:
    """A run whose process ends between driving the first pulse of this purpose and writing its result."""
    record = Store.record

    def broken(
        store: Store, first: int, pulses: Sequence[Pulse], traces: Sequence[Trace], booked: Sequence[Charge]
    ) -> None:
        if pulses[0].purpose is purpose:
            raise KeyboardInterrupt
        record(store, first, pulses, traces, booked)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "record", broken)
        with suppress(KeyboardInterrupt):
            training_run.begin(of, base, "one", nobody)


# ---- a session from its files -----------------------------------------------------------------


def test_a_session_is_trained_and_its_bill_agrees(tmp_path: Path) -> None:
    done = training_run.begin(read_session(LETTERS, TWIN), tmp_path, "one", nobody)
    assert done.trained.right == 30
    with Journal.open(tmp_path, "one") as journal:
        assert statement(journal).difference <= 1e-9
        assert journal.meta["bench"]["kind"] == "sim"
        notes = {note.kind: note.body for note in journal.notes()}
    assert notes["result"]["right"] == 30
    assert notes["result"]["bill"]["pulses"] == done.ledger.total().pulses
    assert len([target for target in notes["assignment"]["targets_siemens"] if target]) == 30


def test_the_experiment_names_its_bench(tmp_path: Path) -> None:
    shutil.copy(TWIN, tmp_path / "mine.toml")
    (tmp_path / "x.toml").write_text('name = "x"\nbench = "mine.toml"')
    assert read_session(tmp_path / "x.toml").bench.name == "mine"


def test_without_a_bench_nothing_is_begun(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('name = "x"')
    with pytest.raises(BadConfig, match="names no bench") as caught:
        read_session(tmp_path / "x.toml")
    assert "--bench" in caught.value.allowed


def test_a_users_own_images_are_learnt_and_kept_with_the_run(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'positive = ["111 000 000"]\nnegative = ["000 000 111"]\nflips = "any"'
    )
    (tmp_path / "x.toml").write_text('name = "x"\n[images]\nset = "file"\nfile = "own.toml"')
    of = read_session(tmp_path / "x.toml", TWIN)
    with pytest.raises(Stopped):
        training_run.begin(of, tmp_path, "one", nobody, after(20))
    (tmp_path / "own.toml").unlink()
    done = training_run.resume(tmp_path, "one", nobody)
    assert len(done.assignment.images) == 20
    assert done.trained.right == 20


def test_names_of_runs_are_new(tmp_path: Path) -> None:
    at = datetime(2026, 11, 21, 23, 5, 1, tzinfo=UTC)
    assert new_name("letters", tmp_path, at) == "letters-20261121-230501"
    (tmp_path / "letters-20261121-230501").mkdir()
    assert new_name("letters", tmp_path, at) == "letters-20261121-230501-2"
    (tmp_path / "letters-20261121-230501-2").mkdir()
    assert new_name("letters", tmp_path, at) == "letters-20261121-230501-3"
    assert len(new_name("x" * 64, tmp_path, at)) < 64


def test_a_board_without_neurons_is_refused_and_leaves_no_run(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        'class = "sim_backend.compact:CompactBoard"\nkind = "sim"\n[board]\nlayout = "selector"\n'
    )
    with pytest.raises(Refused, match="no neurons"):
        training_run.begin(read_session(LETTERS, tmp_path / "grid.toml"), tmp_path, "one", nobody)
    assert not (tmp_path / "one").exists()


# ---- to go on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("lists", [0, 1, 40, 150])
def test_a_stopped_run_goes_on_and_finishes(lists: int, tmp_path: Path) -> None:
    before = interrupted(tmp_path, lists)
    done = training_run.resume(tmp_path, "one", nobody)
    assert done.trained.right == 30
    now = entries(tmp_path)
    first = [entry for entry in now if entry.list == now[before].list]
    assert {entry.pulse.purpose for entry in first} == {Purpose.READ}
    assert len(first) == 30  # every site is read again first
    with Journal.open(tmp_path, "one") as journal:
        assert statement(journal).agrees
        assert recompute(journal).total().pulses == done.ledger.total().pulses == len(now)
        kinds = [note.kind for note in journal.notes()]
    assert [kind for kind in kinds if kind != "assignment"] == ["interrupted", "resumed", "result"]


def test_caps_hold_for_the_sum(tmp_path: Path) -> None:
    interrupted(tmp_path, 40)
    done = training_run.resume(tmp_path, "one", nobody)
    with Journal.open(tmp_path, "one") as journal:
        spec = journal.spec
    driven = Counter(
        spec.target(entry.pulse) for entry in entries(tmp_path) if entry.pulse.purpose is Purpose.PROGRAM
    )
    assert {outcome.site: outcome.pulses for outcome in done.trained.outcomes} == driven


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    interrupted(tmp_path, 150)
    training_run.resume(tmp_path, "one", nobody)
    whole = training_run.begin(session(), tmp_path, "two", nobody)
    count = sum(entry.pulse.purpose is Purpose.PROGRAM for entry in entries(tmp_path))
    assert count <= whole.ledger.total(purpose=Purpose.PROGRAM).pulses + 5  # of the site it was at


def test_a_chip_is_not_reset_twice(tmp_path: Path) -> None:
    interrupted(tmp_path, 20, with_reset())
    assert training_run.resume(tmp_path, "one", nobody).trained.right == 30
    assert sum(entry.pulse.purpose is Purpose.RESET for entry in entries(tmp_path)) == 30


def test_a_reset_of_unknown_outcome_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dies_at(monkeypatch, Purpose.RESET, tmp_path, with_reset())
    assert training_run.resume(tmp_path, "one", nobody).trained.right == 30
    resets = [entry for entry in entries(tmp_path) if entry.pulse.purpose is Purpose.RESET]
    assert len(resets) == 30
    assert {entry.charge for entry in resets} == {None}


def test_a_pulse_of_unknown_outcome_counts_against_the_caps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_at(monkeypatch, Purpose.PROGRAM, tmp_path, session())
    (pulse, probe) = [entry for entry in entries(tmp_path) if entry.charge is None]
    done = training_run.resume(tmp_path, "one", nobody)
    assert done.trained.right == 30
    with Journal.open(tmp_path, "one") as journal:
        resumed = next(note.body for note in journal.notes() if note.kind == "resumed")
        site, worst = journal.spec.target(pulse.pulse), journal.spec.worst_joules(pulse.pulse)
        bill = statement(journal)
    assert resumed == {"unknown": [pulse.id, probe.id]}
    assert (bill.unknown, bill.agrees) == (2, True)
    outcome = next(outcome for outcome in done.trained.outcomes if outcome.site == site)
    booked = done.ledger.total(purpose=Purpose.PROGRAM, site=site)
    assert outcome.pulses == 1 + booked.pulses
    assert outcome.joules == pytest.approx(worst + float(booked.joules[0]), rel=1e-12)


def test_a_run_goes_on_as_it_began_whatever_became_of_the_files(tmp_path: Path) -> None:
    shutil.copy(LETTERS, tmp_path / "x.toml")
    shutil.copy(TWIN, tmp_path / "bench.toml")
    before = read_session(tmp_path / "x.toml", tmp_path / "bench.toml")
    interrupted(tmp_path, 30, before)
    (tmp_path / "x.toml").write_text('name = "x"\n[images]\nletter = "v"')
    (tmp_path / "bench.toml").unlink()
    done = training_run.resume(tmp_path, "one", nobody)
    assert done.assignment.images.name == before.images.name
    assert done.trained.right == 30


def test_a_run_that_died_before_its_assignment_was_written_goes_on(tmp_path: Path) -> None:
    interrupted(tmp_path, 0)
    with closing(sqlite3.connect(tmp_path / "one" / "journal.sqlite")) as connection:
        connection.execute("DELETE FROM note")
        connection.commit()
    assert training_run.resume(tmp_path, "one", nobody).trained.right == 30


# ---- what cannot go on --------------------------------------------------------------------------


def test_a_finished_run_is_not_gone_on_with(tmp_path: Path) -> None:
    training_run.begin(session(), tmp_path, "one", nobody)
    count = len(entries(tmp_path))
    with pytest.raises(BadRun, match="is finished"):
        training_run.resume(tmp_path, "one", nobody)
    assert len(entries(tmp_path)) == count


def test_a_run_of_that_name_is_not_begun_again(tmp_path: Path) -> None:
    interrupted(tmp_path, 3)
    with pytest.raises(BadRun, match="is there already"):
        training_run.begin(session(), tmp_path, "one", nobody)


def test_a_run_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadRun, match="there is no run"):
        training_run.resume(tmp_path, "none", nobody)


def test_a_damaged_run_is_not_driven(tmp_path: Path) -> None:
    interrupted(tmp_path, 10)
    journal = tmp_path / "one" / "journal.sqlite"
    content = bytearray(journal.read_bytes())
    content[4096:12288] = bytes(8192)
    journal.write_bytes(content)
    with pytest.raises(BadRun):
        training_run.resume(tmp_path, "one", nobody)


def test_a_folder_that_cannot_be_written_begins_nothing(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file, not a folder")
    with pytest.raises(BadRun, match="cannot be written"):
        training_run.begin(session(), tmp_path / "runs", "one", nobody)


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ({"reading": {"volts": 9.0}}, "9 V"),
        ({"reset": {"enabled": True, "volts": 9.0}}, "-9 V"),
        ({"inference": {"seconds": 1.0}}, "1 s on site"),
    ],
)
def test_a_session_that_would_send_what_is_refused_drives_nothing(
    training: dict[str, object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(LimitExceeded, match=told):
        training_run.begin(session(training=training), tmp_path, "one", nobody)
    assert list(tmp_path.iterdir()) == []


def without_ngspice(folder: Path) -> Session:
    """A session on a bench whose board cannot be opened."""
    bench = folder / "bench.toml"
    bench.write_text(
        TWIN.read_text().replace("compact:CompactBoard", "ngspice:NgspiceBoard")
        + f'library = "{folder}/no-such-library"\n'
    )
    return read_session(LETTERS, bench)


def test_a_run_whose_board_cannot_be_opened_has_failed_and_can_go_on(tmp_path: Path) -> None:
    of, base = without_ngspice(tmp_path), tmp_path / "runs"
    with pytest.raises(Unavailable):
        training_run.begin(of, base, "one", nobody)
    for _ in range(2):  # nor can it be resumed, which is then its last word
        with Journal.open(base, "one") as journal:
            notes = journal.notes()
        assert state_of(notes) == "failed"
        assert notes[-1].body["error"] == "Unavailable"
        assert "no-such-library" in notes[-1].body["wrong"]
        with pytest.raises(Unavailable):
            training_run.resume(base, "one", nobody)
    assert entries(base) == []


def edited(base: Path, table: str, change: Callable[[dict[str, Any]], None], where: str, what: str) -> None:
    """Change some JSON of a run behind its back."""
    column = "value" if table == "meta" else "body"
    with closing(sqlite3.connect(base / "one" / "journal.sqlite")) as connection:
        (text,) = connection.execute(f"SELECT {column} FROM {table} WHERE {where} = ?", (what,)).fetchone()
        body = json.loads(text)
        change(body)
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where} = ?", (json.dumps(body), what))
        connection.commit()


def test_a_labctl_with_other_targets_does_not_go_on(tmp_path: Path) -> None:
    count = interrupted(tmp_path, 10)
    edited(tmp_path, "note", lambda body: body.update(targets_siemens=[1e-5] * 30), "kind", "assignment")
    with pytest.raises(BadRun, match="other target conductances"):
        training_run.resume(tmp_path, "one", nobody)
    assert len(entries(tmp_path)) == count


@pytest.mark.parametrize("limits", [{"high": "2.9 V"}, {"current": "0.1 mA"}])
def test_a_run_does_not_go_on_with_other_limits(limits: dict[str, str], tmp_path: Path) -> None:
    count = interrupted(tmp_path, 10)
    edited(tmp_path, "meta", lambda body: body["board"].update(limits=limits), "key", "bench")
    with pytest.raises(BadRun, match="was begun on a board that was not") as caught:
        training_run.resume(tmp_path, "one", nobody)
    assert caught.value.todo
    assert len(entries(tmp_path)) == count


def test_a_damaged_assignment_is_bad(tmp_path: Path) -> None:
    interrupted(tmp_path, 2)
    edited(tmp_path, "note", lambda body: body.clear(), "kind", "assignment")
    with pytest.raises(BadRun, match="targets_siemens"):
        training_run.resume(tmp_path, "one", nobody)


@pytest.mark.parametrize("key", ["experiment", "bench", "images"])
def test_a_run_whose_configuration_is_forged_is_refused(key: str, tmp_path: Path) -> None:
    interrupted(tmp_path, 2)
    edited(tmp_path, "meta", lambda body: body.clear(), "key", key)
    with pytest.raises(Refused):
        training_run.resume(tmp_path, "one", nobody)


# ---- what it may cost ---------------------------------------------------------------------------


def test_a_budget_ends_a_session_before_it_is_exceeded(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded) as caught:
        training_run.begin(session(budget={"pulses": 100}), tmp_path, "one", nobody)
    assert "100 pulses" in caught.value.allowed
    assert len(entries(tmp_path)) <= 100


def test_a_dry_run_costs_what_the_session_costs_and_leaves_nothing(tmp_path: Path) -> None:
    forecast = training_run.rehearse(session(budget={"pulses": 100}), nobody)
    done = training_run.begin(session(), tmp_path, "one", nobody)
    assert forecast.trained.right == 30
    assert forecast.ledger.total().pulses == done.ledger.total().pulses
    assert forecast.ledger.total().joules == pytest.approx(done.ledger.total().joules, rel=1e-12)
    assert forecast.worst_joules > float(done.ledger.total().joules[0])
