"""Bench files: what they say wrongly is told before anything is opened."""

import sys
from pathlib import Path

import pytest

from labctl.bench import Bench, tariff_of
from labctl.errors import BadConfig, Refused, Unavailable

GOOD = """
class = "sim_backend.compact:CompactBoard"
kind = "sim"

[board]
layout = "selector"
columns = 4
"""


def bench(folder: Path, text: str) -> Path:
    path = folder / "some-bench.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_bench_makes_its_board(tmp_path: Path) -> None:
    found = Bench.read(bench(tmp_path, GOOD))
    board = found.board(tmp_path)
    assert (found.name, found.file.kind) == ("some-bench", "sim")
    assert (board.spec.rows, board.spec.columns) == (1, 4)
    assert list(tmp_path.iterdir()) == [tmp_path / "some-bench.toml"]  # nothing was opened or made


def test_the_folder_of_the_run_is_put_into_its_settings(tmp_path: Path) -> None:
    found = Bench.read(bench(tmp_path, GOOD + 'memory = "{run}/chip.state"\n'))
    with found.board(tmp_path / "one"):
        assert (tmp_path / "one" / "chip.state").exists()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("columns", "colums", 'board.colums|colums: unknown key; did you mean "columns"?'),
        ("columns = 4", 'series = "10 kV"', "10 kV is a voltage"),
        ("columns = 4", "series = 10e3", "no unit"),
        ("columns = 4", 'series = "nan ohm"', "not a finite number"),
        ("columns = 4", 'series = "-1 ohm"', "at least 0 ohm"),
        ("columns = 4", 'limits = { high = "nan V" }', "not a finite number"),
        ("columns = 4", 'limits = { energy = "-1 J" }', "at least 0 J"),
        ("columns = 4", 'limits = { longest_pulse = "0 s" }', "more than 0 s"),
        ("layout", "layuot", "layout: missing"),
        ('kind = "sim"', 'kind = "simulation"', "kind"),
        ('kind = "sim"', 'kind = "sim"\ntarif = {}', 'did you mean "tariff"?'),
        ('kind = "sim"', 'kind = "sim"\ntariff = { power = "1 V" }', "1 V is a voltage"),
        ('kind = "sim"', 'kind = "sim"\ntariff = { power = "-1 W" }', "at least 0 W"),
    ],
)
def test_mistakes_in_the_file_are_told(old: str, new: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig) as caught:
        Bench.read(bench(tmp_path, GOOD.replace(old, new)))
    assert any(one in caught.value.wrong for one in told.split("|"))


@pytest.mark.parametrize("limits", ['high = "-1 V"', 'low = "1 V"'])
def test_limits_that_allow_nothing_are_refused(limits: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        Bench.read(bench(tmp_path, f"{GOOD}limits = {{ {limits} }}\n"))
    assert "limits that cannot be kept" in caught.value.wrong


@pytest.mark.parametrize(
    "path",
    [
        "sim_backend.compact:NoSuchBoard",
        "sim_backend.no_such_module:Board",
        "no_such_package:Board",
        "sim_backend.compact",
        ":Board",
        "",
        "..compact:CompactBoard",
        "sim_backend.compact:NoConvergence",  # there, and no board
        "\\u001b[31m:x",
    ],
)
def test_a_class_that_cannot_be_had_says_so(path: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        Bench.read(bench(tmp_path, GOOD.replace("sim_backend.compact:CompactBoard", path)))
    assert caught.value.allowed
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("def f(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("from labctl.board import Board\nclass Mine(Board): pass", "is abstract: it has no _drive"),
    ],
)
def test_a_module_that_is_no_use_says_why(
    module: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "strangers_board", raising=False)
    (tmp_path / "strangers_board.py").write_text(module)
    path = bench(tmp_path, GOOD.replace("sim_backend.compact:CompactBoard", "strangers_board:Mine"))
    with pytest.raises(Unavailable) as caught:
        Bench.read(path)
    assert told in caught.value.wrong
    assert caught.value.allowed


@pytest.mark.parametrize("path", ["sim_backend.compact", "sim_backend.compact:", ":CompactBoard", ""])
def test_a_class_without_both_parts_is_told_the_form(path: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not name a class") as caught:
        Bench.read(bench(tmp_path, GOOD.replace("sim_backend.compact:CompactBoard", path)))
    assert '"module:Class"' in caught.value.allowed


@pytest.mark.parametrize(
    ("layout", "unused"),
    [
        ("selector", "rows = 2"),
        ("network", "rows = 2"),
        ("network", "columns = 4"),
        ("selector", 'wire = "1 ohm"'),
        ("network", 'wire = "1 ohm"'),
        ("selector", 'window = ["10 uS", "100 uS"]'),
        ("crossbar", 'window = ["10 uS", "100 uS"]'),
    ],
)
def test_a_setting_that_the_layout_has_no_use_for_is_refused(
    layout: str, unused: str, tmp_path: Path
) -> None:
    text = GOOD.replace("columns = 4", unused).replace("selector", layout)
    with pytest.raises(BadConfig) as caught:
        Bench.read(bench(tmp_path, text))
    key = unused.partition(" ")[0]
    assert f"{key}: a {layout} has none of its own; allowed: with layout" in caught.value.wrong


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="cannot be read"):
        Bench.read(tmp_path / "none.toml")


def test_a_tariff_is_read_without_the_board(tmp_path: Path) -> None:
    text = GOOD.replace(
        "[board]", '[tariff]\nname = "ADC"\npower = "2 W"\nenergy_per_pulse = "3 uJ"\n[board]'
    )
    found = Bench.read(bench(tmp_path, text))
    assert found.tariff == tariff_of(found.file)
    assert (found.tariff.name, found.tariff.watts, found.tariff.joules_per_pulse) == ("ADC", 2.0, 3e-6)


# ---- dry runs -------------------------------------------------------------------------------


def test_a_simulated_bench_is_its_own_stand_in(tmp_path: Path) -> None:
    found = Bench.read(bench(tmp_path, GOOD))
    assert found.for_dry_runs() is found


def test_a_real_bench_must_name_its_stand_in(tmp_path: Path) -> None:
    real = GOOD.replace('kind = "sim"', 'kind = "board"')
    with pytest.raises(BadConfig, match="no simulation"):
        Bench.read(bench(tmp_path, real)).for_dry_runs()


def test_the_stand_in_is_beside_the_bench_file(tmp_path: Path) -> None:
    (tmp_path / "twin.toml").write_text(GOOD)
    real = GOOD.replace('kind = "sim"', 'kind = "board"\nstand_in = "twin.toml"')
    assert Bench.read(bench(tmp_path, real)).for_dry_runs().name == "twin"
