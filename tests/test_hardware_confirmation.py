"""A real board is driven for the first time after somebody said that it is the one; and is called real."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import get_args

import pytest
import typer

from labctl import cli, confirmation, console
from labctl.bench import Bench, BenchFile
from labctl.commands.hardware import confirm
from labctl.console import Exit
from labctl.errors import Refused, StorageFault
from labctl.places import own
from labctl.reality import COLOURS, WORDS, reality

REAL = """
class = "sim_backend.compact:CompactBoard"
kind = "board"
guard = { enabled = false }

[board]
layout = "selector"
columns = 2
limits = { high = "1 V", low = "-0.5 V", longest_pulse = "1 ms" }
"""


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def bench(folder: Path, text: str = REAL, name: str = "real") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def answering(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in CI: there is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))


def test_yes_at_a_terminal_is_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Bench.read(bench(tmp_path))
    answering(monkeypatch, "y")
    confirm(found, hardware=False)
    asked = capsys.readouterr()
    assert asked.out.strip() == ""  # who reads the answer is not asked (click ends its prompt there)
    for told in (
        str(tmp_path / "real.toml"),
        "sim_backend.compact:CompactBoard",
        "layout = selector",
        "limits.high = 1 V",
        "2 of Cr: -500 mV to 1 V, at most 300 uA, 1 ms a pulse",
    ):
        assert told in asked.err
    answering(monkeypatch, "n")
    confirm(found, hardware=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("answer", ["n", "", "what?\nn"])
def test_anything_but_yes_refuses_and_is_not_remembered(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Bench.read(bench(tmp_path))
    answering(monkeypatch, answer)
    with pytest.raises(Refused, match="did not agree"):
        confirm(found, hardware=False)
    assert not confirmation.confirmed(found)


def test_no_answer_at_all_is_an_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    with pytest.raises(typer.Abort):
        confirm(Bench.read(bench(tmp_path)), hardware=False)


@pytest.mark.usefixtures("nobody")
def test_ci_is_refused(tmp_path: Path) -> None:
    found = Bench.read(bench(tmp_path))
    with pytest.raises(Refused) as caught:
        confirm(found, hardware=False)
    assert "--hardware" in str(caught.value)
    confirm(found, hardware=True)
    confirm(found, hardware=False)


@pytest.mark.usefixtures("nobody")
def test_another_port_or_limit_is_another_board(tmp_path: Path) -> None:
    confirm(Bench.read(bench(tmp_path)), hardware=True)
    confirm(Bench.read(bench(tmp_path, name="renamed")), hardware=False)
    for old, new in (('"1 V"', '"1.1 V"'), ("columns = 2", "columns = 3")):
        with pytest.raises(Refused):
            confirm(Bench.read(bench(tmp_path, REAL.replace(old, new))), hardware=False)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("kind", ["sim", "emulator", "replay"])
def test_what_is_not_real_is_not_asked_about(kind: str, tmp_path: Path) -> None:
    confirm(Bench.read(bench(tmp_path, REAL.replace('"board"', f'"{kind}"'))), hardware=False)
    assert not (own() / confirmation.FILE).exists()


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\xff"])
def test_a_damaged_memory_asks_again(text: str, tmp_path: Path) -> None:
    found = Bench.read(bench(tmp_path))
    (own() / confirmation.FILE).write_text(text, encoding="latin-1")
    with pytest.raises(Refused):
        confirm(found, hardware=False)
    confirm(found, hardware=True)
    assert confirmation.confirmed(found)


def test_a_memory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (own() / "confirmed.new").mkdir()
    with pytest.raises(StorageFault):
        confirm(Bench.read(bench(tmp_path)), hardware=True)


# ---- commands -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("characterize", "first_use"),
    ],
)
def test_commands_that_drive_ask_first(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(bench(tmp_path))
    where = ["--runs", str(tmp_path / "runs")] if command[0] == "characterize" else []
    assert cli.run([*command, file, *where]) == Exit.REFUSED
    said = capsys.readouterr()
    assert "--hardware" in said.err
    assert said.out == ""
    assert not (tmp_path / "runs").exists()
    assert cli.run([*command, file, *where, "--hardware"]) == Exit.DONE
    assert "(real)" in capsys.readouterr().out


@pytest.mark.usefixtures("nobody")
def test_the_refusal_is_one_document_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", str(bench(tmp_path)), "--json"]) == Exit.REFUSED
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == Exit.REFUSED


@pytest.mark.usefixtures("nobody")
def test_a_run_that_is_gone_on_with_is_asked_about_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, runs = str(bench(tmp_path)), str(tmp_path / "runs")
    assert (
        cli.run(["characterize", "first_use", file, "--runs", runs, "--name", "one", "--hardware"])
        == Exit.DONE
    )
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path / "somebody else"))
    assert cli.run(["resume", "one", "--runs", runs]) == Exit.REFUSED
    assert "did not agree" in capsys.readouterr().err
    assert cli.run(["runs", "--runs", runs]) == Exit.DONE
    assert " real " in capsys.readouterr().out


# ---- words and colours --------------------------------------------------------------------------


def test_every_kind_has_its_word_and_its_colour() -> None:
    assert set(WORDS) == set(get_args(BenchFile.model_fields["kind"].annotation))
    assert set(COLOURS) == set(WORDS.values())
    assert reality("anything else") == "anything else"


def test_on_a_terminal_the_word_has_its_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("CI", raising=False)
    console.say("one: iv on bench (real)")
    console.show(console.Page({}, [console.Table(("kind",), [("simulated",), ("[/red]",)])]), as_json=False)
    shown = screen.getvalue()
    assert "\x1b[1;31m(real)\x1b[0m" in shown
    assert "\x1b[32msimulated\x1b[0m" in shown
    assert "[/red]" in shown  # foreign text is text
