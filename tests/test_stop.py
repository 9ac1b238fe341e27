"""`labctl stop`: everything is made safe from another shell, and what is not confirmed is not called safe."""

import json
import os
import signal
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from labctl.commands.stop import stop
from labctl.errors import BoardGone, Outputs
from labctl.guard import Guarded, registry
from labctl.places import SHARED_VARIABLE
from tests.dying import guarded
from tests.lamp import PULSE, Light

LIST = [PULSE] * 2


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ("a long name of a folder " * 6) / "shared"  # longer than the address of a socket
    monkeypatch.setenv(SHARED_VARIABLE, str(folder))
    return folder


@pytest.fixture
def light(tmp_path: Path) -> Iterator[Light]:
    lamp = Light(tmp_path / "light")
    yield lamp
    lamp.close()


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    def ask(*benches: Path) -> tuple[int, Sequence[dict[str, str]]]:
        capsys.readouterr()
        code = stop(list(benches), as_json=True)
        return code, json.loads(capsys.readouterr().out)["stopped"]

    return ask


def lamp(tmp_path: Path, trouble: str = "", **patience: Any) -> Guarded:
    return guarded(tmp_path / "light", trouble=trouble, **patience)


def bench(tmp_path: Path, more: str = "", kind: str = "board") -> Path:
    path = tmp_path / "lamp.toml"
    settings = f'light = "{tmp_path / "light"}"\n{more}'
    path.write_text(f'class = "tests.lamp:Lamp"\nkind = "{kind}"\n[board]\n{settings}')
    return path


def test_nothing_to_stop_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert stop() == 0
    assert capsys.readouterr().out == "no board is held by a guard\n"


def test_a_driving_board_is_stopped_and_its_program_told(tmp_path: Path, light: Light, said: Any) -> None:
    with lamp(tmp_path) as board:
        board.apply(LIST)
        assert light.on
        code, (row,) = said()
        assert not light.on
        assert (code, row["board"], row["outputs"]) == (0, "null", "off")
        assert f"process {os.getpid()}" in row["held by"]
        with pytest.raises(BoardGone, match="labctl stop") as caught:
            board.apply(LIST)
        assert caught.value.outputs is Outputs.OFF
    assert said() == (0, [])


def test_boards_are_stopped_all_at_once(tmp_path: Path, said: Any) -> None:
    lights = [Light(tmp_path / f"light-{number}") for number in range(3)]
    boards = [guarded(tmp_path / f"light-{number}") for number in range(3)]
    for board in boards:
        board.__enter__().apply(LIST)
    code, rows = said()
    assert (code, [row["outputs"] for row in rows]) == (0, ["off"] * 3)
    assert not any(one.on for one in lights)
    for board, one in zip(boards, lights, strict=True):
        board.__exit__(None, None, None)
        one.close()


def test_what_is_not_confirmed_is_said_and_is_not_success(tmp_path: Path, light: Light, said: Any) -> None:
    board = lamp(tmp_path, "unknown")
    board.__enter__().apply(LIST)
    code, (row,) = said()
    assert (code, row["outputs"]) == (1, "UNKNOWN")
    with pytest.raises(BoardGone) as caught:
        board.apply(LIST)
    assert caught.value.outputs is Outputs.UNKNOWN
    board.__exit__(None, None, None)
    code, (row,) = said()  # and nobody has confirmed it since
    assert (code, row["outputs"]) == (1, "UNKNOWN")
    assert "labctl stop BENCH" in row["held by"]


def test_a_bench_that_nobody_holds_is_opened_and_made_safe(tmp_path: Path, light: Light, said: Any) -> None:
    light.switch(on=True)
    code, (row,) = said(bench(tmp_path))
    assert (code, row["held by"], row["outputs"]) == (0, "nobody", "off")
    assert not light.on


def test_a_bench_whose_guard_was_killed_is_made_safe_by_name(
    tmp_path: Path, light: Light, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labctl.bench import Bench

    path = bench(tmp_path)
    board = Bench.read(path).board(tmp_path)
    board.__enter__().apply(LIST)
    monkeypatch.setattr(Guarded, "_made_safe", lambda self: Outputs.UNKNOWN)  # its program fails to
    os.kill(registry.notes()[0].pid, signal.SIGKILL)
    with pytest.raises(BoardGone):
        board.apply(LIST)
    board.__exit__(None, None, None)
    assert light.on
    assert said()[0] == 1
    code, (row,) = said(path)
    assert (code, row["outputs"], light.on) == (0, "off", False)
    assert said() == (0, [])


def test_a_bench_that_is_held_is_stopped_once(tmp_path: Path, light: Light, said: Any) -> None:
    from labctl.bench import Bench

    path = bench(tmp_path)
    with Bench.read(path).board(tmp_path) as board:
        board.apply(LIST)
        code, rows = said(path)
        assert (code, [row["outputs"] for row in rows]) == (0, ["off"])
        assert not light.on


def test_a_bench_that_cannot_be_opened_is_unknown(tmp_path: Path, said: Any) -> None:
    code, (row,) = said(bench(tmp_path, 'trouble = "refuse"'))
    assert (code, row["outputs"], row["held by"]) == (1, "UNKNOWN", "the lamp has no bulb")
    code, (row,) = said(tmp_path / "none.toml")
    assert (code, row["outputs"]) == (1, "UNKNOWN")
    code, (row,) = said(bench(tmp_path, 'trouble = "unknown"'))
    assert (code, row["outputs"]) == (1, "UNKNOWN")
    assert "not confirmed to be off" in row["held by"]


def test_for_a_person_it_is_a_table(tmp_path: Path, light: Light, capsys: pytest.CaptureFixture[str]) -> None:
    assert stop([bench(tmp_path)]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["bench", "board", "held", "by", "outputs"]
    assert row.split() == ["lamp", "null", "nobody", "off"]


def test_everybody_may_stop_a_bench(tmp_path: Path, shared: Path) -> None:
    with lamp(tmp_path):
        (door,) = shared.glob("*.sock")
        assert stat.S_IMODE(door.stat().st_mode) == 0o666


@pytest.mark.parametrize("forged", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_note_that_is_none_stops_nobody(forged: str, shared: Path, said: Any) -> None:
    shared.mkdir(parents=True)
    (shared / "guard-1-abc.json").write_text(forged)
    assert said() == (0, [])
