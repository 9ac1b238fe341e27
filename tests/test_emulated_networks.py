"""The experiment of the network board, unmodified, on emulated boards and instruments.

It goes through guard, drivers and bytes down to simulated devices; ngspice is the witness for what it cost.
"""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from labctl import tomlfile
from labctl.bench import Bench, BenchFile
from labctl.board import Board
from labctl.config import build
from labctl.energy import Ledger
from labctl.experiment import images_of, read_experiment
from labctl.guard import Guarded
from labctl.pulse import Purpose
from labctl.session import run
from labctl.training.assignment import assign
from labctl.training.controller import Trained, train
from sim_backend.emulators.rig import Rig, settings_of
from sim_backend.emulators.serving.server import running
from tests.boards import ngspice

ROOT = Path(__file__).parents[1]
BENCHES = ROOT / "benches"


def trained(board: Board) -> tuple[Trained, Ledger]:
    """examples/letters.toml as it is, and its bill."""
    experiment = read_experiment(ROOT / "examples/letters.toml")
    goal = assign(images_of(experiment, ROOT / "examples"), board.spec, experiment.training.software)
    ledger = Ledger()
    with board:
        return run(train(goal, board.spec, experiment.training), board, ledger=ledger), ledger


def bench_of(table: Mapping[str, Any], source: Path) -> Bench:
    return Bench(build(table, BenchFile, str(source)), str(source), source.parent)


@contextmanager
def rig(name: str) -> Iterator[list[str]]:
    """The addresses of the instruments of this rig, each on a port that is free."""
    tables = tomllib.loads((BENCHES / "rigs" / f"{name}.toml").read_text())
    for instrument in tables["instrument"]:
        instrument["port"] = 0
    with running(Rig(settings_of(tables, name)).links()) as addresses:
        yield addresses


def on_ngspice(bench: str, tmp_path: Path) -> Board:
    """The stack of simulated parts of this bench, its parts solved by ngspice."""
    file = BENCHES / f"{bench}.toml"
    table = tomlfile.load(file)
    for part in table["board"]["parts"]:
        part["class"] = "sim_backend.ngspice:NgspiceBoard"
    return bench_of(table, file).board(tmp_path)


def joules(ledger: Ledger, purpose: Purpose | None = None) -> float:
    return float(ledger.total(purpose=purpose).joules[0])


def test_two_emulated_discovery_boards_learn_the_letters_and_cost_what_ngspice_says(tmp_path: Path) -> None:
    board = Bench.read(BENCHES / "network-discovery-cr.toml").board(tmp_path)
    assert isinstance(board, Guarded)
    result, bill = trained(board)
    assert result.right == 30
    assert bill.total(estimated=True).pulses == 0
    _, stack = trained(on_ngspice("network-stacked-cr-twin", tmp_path / "ngspice"))
    for purpose in (None, Purpose.PROGRAM, Purpose.READ, Purpose.INFER):
        assert joules(bill, purpose) == pytest.approx(joules(stack, purpose), rel=0.05)
    _, network = trained(ngspice("network"))
    assert joules(bill) == pytest.approx(joules(network), rel=0.05)


def test_an_emulated_2450_with_a_switch_box_learns_the_letters_and_costs_what_ngspice_says(
    tmp_path: Path,
) -> None:
    file = BENCHES / "network-2450-cr.toml"
    with rig("keithley2450-1x30-cr") as (meter, switches):
        text = (
            file.read_text().replace("tcp://127.0.0.1:5025", meter).replace("tcp://127.0.0.1:5026", switches)
        )
        board = bench_of(tomllib.loads(text), file).board(tmp_path)
        assert isinstance(board, Guarded)
        result, bill = trained(board)
    assert result.right == 30
    assert bill.total(estimated=True).pulses == 0
    _, stack = trained(on_ngspice("network-stacked-slow-cr-twin", tmp_path / "ngspice"))
    for purpose in (None, Purpose.PROGRAM, Purpose.READ, Purpose.INFER):
        assert joules(bill, purpose) == pytest.approx(joules(stack, purpose), rel=0.05)
