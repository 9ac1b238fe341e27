"""The command line: what it says, to whom, and with which exit code."""

import io
import json
import re
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from labctl import cli, console, contract, training_run
from labctl.board import Board
from labctl.commands.progress import Progress
from labctl.console import Exit, Page, Table
from labctl.energy import Charge, Ledger
from labctl.errors import BoardGone, LabError, Misbehaved, Outputs, Refused, Stopped, StorageFault
from labctl.pulse import Flag, Pulse, Purpose, Trace
from labctl.quantity import parse
from labctl.training.assignment import assign
from labctl.training_session import read_session
from sim_backend.compact import CompactBoard

ROOT = Path(__file__).resolve().parent.parent
LETTERS = str(ROOT / "examples/letters.toml")
TWIN = str(ROOT / "benches/network-cr-twin.toml")
SELECTOR = (
    'class = "sim_backend.compact:CompactBoard"\nkind = "sim"\n[board]\nlayout = "selector"\ncolumns = 2\n'
)


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        return json.loads(self.out)


class Shell:
    """Runs `labctl` in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: object) -> Said:
        self._capture.readouterr()
        code = cli.run([str(one) for one in arguments])
        said = self._capture.readouterr()
        return Said(code, said.out, said.err)


@pytest.fixture
def labctl(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run, `one`; not to be changed."""
    base = tmp_path_factory.mktemp("runs")
    assert cli.run(["train", LETTERS, "--bench", TWIN, "--runs", str(base), "--name", "one"]) == 0
    return base


# ---- train ------------------------------------------------------------------------------------


def test_train_says_what_was_learnt_what_it_cost_and_where_it_is(labctl: Shell, tmp_path: Path) -> None:
    said = labctl("train", LETTERS, "--bench", TWIN, "--runs", tmp_path, "--name", "one")
    assert said.code == Exit.DONE
    assert said.out.splitlines()[0] == "one: letter z on network-cr-twin (simulated)"
    for told in (
        "30 / 30 (on",
        "within 5 %",
        "program",
        "total",
        "bench time",
        "wall time",
        str(tmp_path / "one"),
    ):
        assert told in said.out
    assert all((tmp_path / "one" / name).exists() for name in _pictures(said.out))


def _pictures(out: str) -> list[str]:
    return [
        name for line in out.splitlines() if line.startswith("pictures ") for name in line[9:].split(", ")
    ]


def test_train_answers_a_program_with_one_document(labctl: Shell, tmp_path: Path) -> None:
    said = labctl("train", LETTERS, "--bench", TWIN, "--runs", tmp_path, "--json")
    found = said.document
    assert (said.code, said.err) == (0, "")
    assert found["run"].startswith("letters-")
    assert (found["right"], found["patterns"], found["within_tolerance"]) == (30, 30, 30)
    assert found["bench"] == {"name": "network-cr-twin", "kind": "sim"}
    assert found["bill"]["agrees"] is True


def test_a_synapse_off_its_target_is_named_with_its_reason(labctl: Shell, tmp_path: Path) -> None:
    text = 'name = "x"\n[training.programming]\nmost_pulses = 3\n'
    (tmp_path / "x.toml").write_text(text)
    said = labctl("train", tmp_path / "x.toml", "--bench", TWIN, "--runs", tmp_path, "--name", "one")
    assert said.code == Exit.DONE  # the session worked; the figures say how well
    others = labctl("show", "one", "--runs", tmp_path, "--json").document["others"]
    assert others
    for site in others:
        assert site["reason"] == "too many pulses"
        assert any(
            line.startswith(site["site"]) and "too many pulses" in line for line in said.out.splitlines()
        )


class OneSiteUnreadable(CompactBoard):
    """Whatever touches site 5 runs into compliance."""

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for pulse, trace in zip(pulses, super()._drive(pulses), strict=True):
            yield replace(trace, flags=Flag.COMPLIANCE) if self.spec.target(pulse) == 5 else trace


def test_a_site_that_cannot_be_read_is_named_and_the_others_are_trained(
    labctl: Shell, tmp_path: Path
) -> None:
    bench = tmp_path / "bench.toml"
    bench.write_text(
        'class = "tests.test_cli:OneSiteUnreadable"\nkind = "sim"\n[board]\nlayout = "network"\n'
    )
    said = labctl("train", LETTERS, "--bench", bench, "--runs", tmp_path, "--name", "one")
    assert said.code == Exit.DONE
    document = labctl("show", "one", "--runs", tmp_path, "--json").document
    (other,) = document["others"]
    assert (other["siemens"], other["error"]) == (None, None)
    assert "it could not be read" in other["reason"]
    assert document["within_tolerance"] == 29


@pytest.mark.parametrize(
    "mistake",
    ['nmae = "x"', 'name = "x"\n[budget]\ntime = "nan s"', 'name = "x"\n[training.software]\nseed = -1'],
)
def test_a_mistake_in_a_file_is_told_and_begins_nothing(mistake: str, labctl: Shell, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(mistake)
    said = labctl("train", tmp_path / "x.toml", "--bench", TWIN, "--runs", tmp_path / "runs")
    assert (said.code, said.out) == (Exit.REFUSED, "")
    assert said.err.startswith("error: ")
    assert not (tmp_path / "runs").exists()


def test_an_empty_name_is_refused(labctl: Shell, tmp_path: Path) -> None:
    said = labctl("train", LETTERS, "--bench", TWIN, "--runs", tmp_path, "--name", "")
    assert said.code == Exit.REFUSED
    assert "no name of a run" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_class_is_told(labctl: Shell, tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text('class = "sim_backend.compact:None"\nkind = "sim"\n')
    said = labctl("train", LETTERS, "--bench", tmp_path / "b.toml", "--runs", tmp_path / "runs", "--json")
    assert said.code == Exit.REFUSED
    assert said.document["error"]["type"] == "Unavailable"
    assert said.document["error"]["what_to_do"]


# ---- runs, show, bill, resume -----------------------------------------------------------------


def test_runs_lists_them_also_those_that_cannot_be_read(labctl: Shell, runs: Path, tmp_path: Path) -> None:
    assert "no runs in" in labctl("runs", "--runs", tmp_path).out
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "journal.sqlite").write_text("nonsense")
    (tmp_path / "one").symlink_to(runs / "one")
    listed = labctl("runs", "--runs", runs, "--json").document["runs"]
    assert [(row["run"], row["state"], row["right"], row["kind"]) for row in listed] == [
        ("one", "finished", "30 / 30", "sim")
    ]
    rows = labctl("runs", "--runs", tmp_path)
    assert rows.code == Exit.DONE
    assert "cannot be read" in rows.out


def test_show_says_what_train_said(labctl: Shell, runs: Path) -> None:
    said = labctl("show", "one", "--runs", runs)
    assert said.out.startswith("one: letter z on network-cr-twin (simulated)\npatterns right   30 / 30")
    assert labctl("show", runs / "one").out == said.out  # by the path of its folder


def test_a_run_that_is_missing_is_refused(labctl: Shell, runs: Path) -> None:
    for command in ("show", "bill", "resume"):
        said = labctl(command, "none", "--runs", runs)
        assert said.code == Exit.REFUSED
        assert "labctl runs" in said.err


def test_the_bill_adds_up_and_agrees(labctl: Shell, runs: Path) -> None:
    said = labctl("bill", "one", "--runs", runs)
    found = labctl("bill", "one", "--runs", runs, "--json").document
    assert said.code == Exit.DONE
    assert "agrees with what was booked" in said.out
    assert "periphery" in said.out
    assert found["difference"] <= 1e-9
    assert sum(row["joules"]["delivered"] for row in found["rows"]) == pytest.approx(
        found["total"]["joules"]["delivered"], rel=1e-12
    )
    shown = next(line.split() for line in said.out.splitlines() if line.startswith("total"))
    assert parse(" ".join(shown[2:4]), "J") == pytest.approx(found["total"]["joules"]["delivered"], rel=1e-3)


@pytest.mark.parametrize(
    "tampered",
    [
        "UPDATE result SET delivered_joules = delivered_joules * 1.000001 WHERE id = 40",
        "UPDATE result SET waveform = NULL, read_seconds = read_seconds * 1.01 WHERE id = 1",
        "UPDATE note SET body = json_set(body, '$.bill.joules[0]', 1e-7) WHERE kind = 'result'",
    ],
)
def test_a_bill_that_does_not_agree_says_so(tampered: str, labctl: Shell, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    journal = tmp_path / "one" / "journal.sqlite"
    journal.write_bytes((runs / "one" / "journal.sqlite").read_bytes())
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute(tampered)
        connection.commit()
    said = labctl("bill", "one", "--runs", tmp_path)
    assert said.code == Exit.NO
    assert "DOES NOT AGREE" in said.out
    assert labctl("bill", "one", "--runs", tmp_path, "--json").document["agrees"] is False


@pytest.mark.parametrize("bill", ["3", "{}", '{"pulses": 1, "joules": [1], "seconds": []}'])
def test_a_forged_last_note_is_refused(bill: str, labctl: Shell, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    journal = tmp_path / "one" / "journal.sqlite"
    journal.write_bytes((runs / "one" / "journal.sqlite").read_bytes())
    with closing(sqlite3.connect(journal)) as connection:
        change = "UPDATE note SET body = json_set(body, '$.bill', json(?)) WHERE kind = 'result'"
        connection.execute(change, (bill,))
        connection.commit()
    said = labctl("bill", "one", "--runs", tmp_path)
    assert said.code == Exit.REFUSED
    assert "no bill" in said.err


def test_the_bill_says_what_was_dropped_and_names_the_tariff(labctl: Shell, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('name = "x"\nkeep_mebibytes = 0\n')
    tariff = '[tariff]\nname = "ADC"\npower = "2 mW"\nenergy_per_pulse = "1 nJ"\n'
    (tmp_path / "b.toml").write_text(Path(TWIN).read_text() + tariff)
    labctl("train", tmp_path / "x.toml", "--bench", tmp_path / "b.toml", "--runs", tmp_path, "--name", "one")
    said = labctl("bill", "one", "--runs", tmp_path)
    found = labctl("bill", "one", "--runs", tmp_path, "--json").document
    pulses, seconds = found["total"]["pulses"], sum(found["total"]["seconds"].values())
    assert said.code == Exit.DONE
    assert f"{pulses} waveforms were dropped" in said.out
    assert 'tariff "ADC" (2 mW, 1 nJ a pulse)' in said.out
    assert found["periphery"]["joules"] == pytest.approx(2e-3 * seconds + 1e-9 * pulses)


def test_a_finished_run_is_not_resumed(labctl: Shell, runs: Path) -> None:
    said = labctl("resume", "one", "--runs", runs)
    assert said.code == Exit.REFUSED
    assert "is finished" in said.err


def test_a_stopped_run_is_told_and_resumed(
    labctl: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, asked = training_run.begin, iter(range(100))
    with monkeypatch.context() as patch:
        patch.setattr(
            training_run,
            "begin",
            lambda *given: begin(*given[:4], lambda: next(asked) == 20),  # pyright: ignore
        )
        said = labctl("train", LETTERS, "--bench", TWIN, "--runs", tmp_path, "--name", "one")
    assert said.code == Exit.STOPPED
    assert said.err.startswith("stopped: between two lists of pulses, as asked")
    assert f"labctl resume one --runs {tmp_path}" in said.err
    shown = labctl("show", "one", "--runs", tmp_path).out
    assert "stopped after" in shown
    resumed = labctl("resume", "one", "--runs", tmp_path)
    assert resumed.code == Exit.DONE
    assert "30 / 30" in resumed.out


# ---- dry-run, check, doctor, version ----------------------------------------------------------


def test_a_dry_run_says_whether_the_budget_will_do(labctl: Shell, tmp_path: Path) -> None:
    assert "fits the budget" in labctl("dry-run", LETTERS, "--bench", TWIN).out
    (tmp_path / "x.toml").write_text('name = "x"\n[budget]\npulses = 100\nenergy = "1 pJ"\n')
    said = labctl("dry-run", tmp_path / "x.toml", "--bench", TWIN, "--json")
    assert said.code == Exit.NO
    assert said.document["fits_budget"] == {"pulses": False, "seconds": True, "joules": False}
    assert said.document["worst_joules"] > said.document["joules"] > 1e-12


def kept(board: Board) -> None:
    """Every board has a site."""
    assert board.spec.sites


def broken(board: Board) -> None:
    """No board has a site."""
    assert not board.spec.sites, "it has one"


def test_check_says_which_laws_are_kept(
    labctl: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.toml").write_text(SELECTOR)
    monkeypatch.setattr(contract, "LAWS", (kept,))
    assert labctl("check", tmp_path / "b.toml").code == Exit.DONE
    monkeypatch.setattr(contract, "LAWS", (kept, broken))
    said = labctl("check", tmp_path / "b.toml", "--json")
    assert said.code == Exit.NO
    assert [(law["law"], law["outcome"]) for law in said.document["laws"]] == [
        ("kept", "kept"),
        ("broken", "broken"),
    ]


def test_check_asks_before_it_wears_a_real_board(
    labctl: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.toml").write_text(SELECTOR.replace('"sim"', '"board"'))
    monkeypatch.setattr(contract, "LAWS", (kept,))
    monkeypatch.setattr(contract, "PROGRAMMING_LAWS", (broken,))
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))  # no terminal: nobody to ask
    assert labctl("check", tmp_path / "b.toml", "--hardware").code == Exit.DONE
    said = labctl("check", tmp_path / "b.toml", "--programming")
    assert (said.code, said.out) == (Exit.REFUSED, "")
    assert "--yes" in said.err
    assert labctl("check", tmp_path / "b.toml", "--programming", "--yes").code == Exit.NO


def test_the_doctor_tells_what_to_do(labctl: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_NGSPICE", "/nowhere.so")
    assert labctl("doctor", TWIN, "--runs", tmp_path).code == Exit.DONE
    said = labctl("doctor", "--runs", tmp_path)  # all in benches/
    assert said.code == Exit.NO
    assert "problem" in said.out
    assert "LABCTL_NGSPICE" in said.out


def test_version_is_told(labctl: Shell) -> None:
    assert labctl("version").out.startswith("labctl ")
    assert "labctl" in labctl("version", "--json").document


# ---- exit codes and errors --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("no"), 2),
        (BoardGone("it ended", outputs=Outputs.UNKNOWN), 3),
        (StorageFault("disk full"), 4),
        (Stopped("stopped between two lists"), 75),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("a mistake"), 70),
    ],
)
def test_errors_have_their_exit_codes(
    error: BaseException, code: int, labctl: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(training_run, "begin", fail)
    train = ("train", LETTERS, "--bench", TWIN, "--runs", tmp_path)
    said = labctl(*train)
    assert said.code == code
    assert str(error.wrong if isinstance(error, LabError) else error).removeprefix("stopped ") in said.err
    document = labctl(*train, "--json").document["error"]
    assert (document["type"], document["exit_code"]) == (type(error).__name__, code)
    if code == 70:
        assert "Traceback" in said.err


def test_all_five_answers_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    error = Misbehaved("odd", allowed="even", outputs=Outputs.UNKNOWN, saved="pulse 3", todo="look")
    assert console.tell(error, as_json=False) == 3
    assert capsys.readouterr().err.splitlines() == [
        "error: odd",
        "  allowed: even",
        "  outputs: UNKNOWN",
        "  saved: pulse 3",
        "  what to do: look",
    ]


@pytest.mark.parametrize(
    "command", [["no-such-command"], ["train"], ["train", "x", "--jsn"], ["show", "a", "b"]]
)
def test_a_mistake_in_the_command_is_refused(command: list[str], labctl: Shell) -> None:
    said = labctl(*command)
    assert (said.code, said.out) == (Exit.REFUSED, "")
    assert "labctl" in said.err
    assert labctl(*command, "--json").document["error"]["exit_code"] == Exit.REFUSED


def test_help_tells_the_exit_codes(labctl: Shell) -> None:
    said = labctl("--help")
    page = (ROOT / "docs/reference/exit-codes.md").read_text()
    assert said.code == Exit.DONE
    for code in Exit:
        assert re.search(rf"^ +{code.value} ", said.out, re.MULTILINE)
        assert f"\n| {code.value} |" in page


# ---- how it is shown ----------------------------------------------------------------------------


HOSTILE = Page(
    {"x": [float("nan"), 1.0]}, ["\x1b[31mred\x07", Table(("a", "b"), [("[bold]x", "1 V\x1b[2J")])]
)


def test_foreign_text_cannot_write_on_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console.show(HOSTILE, as_json=False)
    plain = capsys.readouterr().out
    monkeypatch.setattr(console, "is_terminal", lambda stream: True)  # pyright: ignore
    console.show(HOSTILE, as_json=False)
    drawn = capsys.readouterr().out
    for said in (plain, drawn):
        assert not {"\x1b", "\x07"} & set(said)
        assert "[bold]x" in said  # no markup of theirs
        assert "\\x1b[31mred" in said


def test_a_hostile_name_of_a_run_is_spelt_out(labctl: Shell, tmp_path: Path) -> None:
    said = labctl("show", "\x1b[31m", "--runs", tmp_path)
    assert said.code == Exit.REFUSED
    assert "\x1b" not in said.err


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    console.show(HOSTILE, as_json=True)
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {"x": [None, 1.0]}


def test_tables_stand_in_columns() -> None:
    table = Table(("what", "J"), [("read", "1 nJ"), ("program", "120 nJ")])
    lines = console._plain(table)
    assert lines == ["what          J", "read       1 nJ", "program  120 nJ"]


# ---- progress -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched() -> tuple[Any, Any]:
    session = read_session(Path(LETTERS), Path(TWIN))
    spec = session.bench.board(Path()).spec
    return assign(session.images, spec, session.experiment.training.software), spec


def charge(purpose: Purpose, site: int | None) -> Charge:
    return Charge(purpose, site, False, (1e-9, 5e-10, 5e-10), (1e-3, 0.0, 0.0, 0.0))


def driven(progress: Progress, watched: tuple[Any, Any], purpose: Purpose, sites: list[int | None]) -> str:
    ledger = Ledger()
    observe = progress(*watched, ledger)
    for site in sites:
        booked = [charge(purpose, site)]
        ledger.charge(booked)
        observe([], [], booked)
    return progress.line(time.monotonic())


def test_progress_counts_sites_pulses_and_joules(watched: tuple[Any, Any]) -> None:
    order = [int(site) for site in watched[0].placement.order()]
    line = driven(Progress(stream=io.StringIO()), watched, Purpose.PROGRAM, [order[0], order[15]])
    assert line.startswith("15 of 30 sites")
    assert "; 2 pulses; " in line
    assert "; 2 nJ; " in line
    assert line.endswith("s left")
    assert driven(Progress(), watched, Purpose.INFER, [None]).startswith("30 of 30 sites")
    assert driven(Progress(), watched, Purpose.READ, [3]).startswith("0 of 30 sites")


def test_progress_of_rounds_counts_the_sites_that_left_them(watched: tuple[Any, Any]) -> None:
    progress, ledger = Progress(stream=io.StringIO()), Ledger()
    observe = progress(*watched, ledger)

    def see(purpose: Purpose, sites: list[int]) -> str:
        observe([], [], [charge(one, site) for site in sites for one in (purpose, Purpose.READ)])
        progress._work.look([charge(purpose, sites[0])])  # type: ignore[arg-type]
        return progress.line(time.monotonic())

    assert see(Purpose.PROGRAM, list(range(30))).startswith("0 of 30 sites, round of 30")
    assert see(Purpose.PROGRAM, [0, 3, 29]).startswith("27 of 30 sites, round of 3")
    assert see(Purpose.PROGRAM, [0]).startswith("27 of 30 sites")  # the last one, or a part that was refused
    observe([], [], [charge(Purpose.INFER, None)])
    learning = see(Purpose.PROGRAM, [4])
    assert learning.startswith("30 of 30 sites, learning")
    assert "left" not in learning


def test_plain_progress_is_a_line_for_each_tenth(
    watched: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))
    stream = io.StringIO()
    order: list[int | None] = [int(site) for site in watched[0].placement.order() for _ in range(20)]
    driven(Progress(stream=stream), watched, Purpose.PROGRAM, order)
    lines = stream.getvalue().splitlines()
    assert [line.partition(" ")[0] for line in lines] == [str(count) for count in range(3, 30, 3)]


def test_progress_may_be_silent(watched: tuple[Any, Any]) -> None:
    stream = io.StringIO()
    driven(Progress(quiet=True, stream=stream), watched, Purpose.PROGRAM, [0] * 1000)
    assert stream.getvalue() == ""


def test_a_terminal_that_goes_away_ends_nothing(
    watched: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    seconds = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))
    assert "29 of 30" in driven(Progress(stream=Gone()), watched, Purpose.PROGRAM, list(range(30)))


def test_on_a_terminal_progress_is_a_bar(watched: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    seconds = iter(range(10**6))
    with monkeypatch.context() as patch:
        patch.setattr("labctl.commands.progress.time.monotonic", lambda: float(next(seconds)))
        with Progress(stream=stream) as progress:
            driven(progress, watched, Purpose.PROGRAM, list(range(30)))
    assert "sites" in stream.getvalue()


def test_a_page_of_an_unfinished_run_says_how_to_go_on(
    labctl: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise BoardGone("the cable")

    monkeypatch.setattr("sim_backend.compact.CompactBoard._solve_path", gone)
    assert labctl("train", LETTERS, "--bench", TWIN, "--runs", tmp_path, "--name", "one").code == 3
    said = labctl("show", "one", "--runs", tmp_path)
    assert "failed after 0 pulses (the cable)" in said.out
    assert "labctl resume one" in said.out
