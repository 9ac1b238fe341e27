"""The fast twin as a board: what it keeps, how it grows, and that it is the same without numba."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.addressing import select, wait
from labctl.errors import NoConvergence
from labctl.pulse import Purpose
from labctl.shapes import samples, square
from sim_backend.devices import parameters
from sim_backend.devices.model import HEAD
from sim_backend.jit import COMPILED
from tests.boards import compact

ROOT = Path(__file__).resolve().parent.parent
SET = square(1.0, 1e-4)
NEW = parameters.load("Cr").initial


def test_states_carry_over_from_call_to_call_as_within_one() -> None:
    one, other = (compact("selector-1x1", model="metastable") for _ in range(2))
    pulse = select(one.spec, 0, SET, Purpose.PROGRAM)
    with one, other:
        together = one.apply([pulse] * 3)
        apart = [other.apply([pulse])[0] for _ in range(3)]
    x, y = (float(board._chip.x[0]) for board in (one, other))  # type: ignore[attr-defined]
    assert x == pytest.approx(y, abs=1e-4)
    assert 0.1 < x < 1.0
    for left, right in zip(together, apart, strict=True):
        assert left.seconds @ left.amps[:, 0] == pytest.approx(right.seconds @ right.amps[:, 0], rel=1e-3)


def test_repeats_are_the_pulse_again_and_again() -> None:
    one, other = compact("selector-1x1"), compact("selector-1x1")
    pulse = select(one.spec, 0, SET, Purpose.PROGRAM)
    with one, other:
        (repeated,), single = one.apply([pulse.repeated(3)]), other.apply([pulse] * 3)
    assert repeated.seconds.sum() == pytest.approx(3e-4, rel=1e-12)
    joined = np.concatenate([trace.amps for trace in single])
    assert np.array_equal(repeated.amps, joined)


def test_a_list_is_settled_for_each_selection_and_linked_once() -> None:
    board = compact("selector-1x16")
    first, second = (select(board.spec, site, SET, Purpose.READ) for site in (0, 1))
    with board:
        traces = board.apply([first, first, second, first])
    assert [trace.settle_seconds for trace in traces] == [2e-5, 0.0, 2e-5, 2e-5]
    assert [trace.link_seconds for trace in traces] == [1.25e-4, 0.0, 0.0, 0.0]


def test_only_what_is_selected_is_moved() -> None:
    board: Any = compact("selector-1x16")
    with board:
        board.apply([select(board.spec, 3, SET, Purpose.PROGRAM)])
    assert np.flatnonzero(board._chip.x != NEW).tolist() == [3]


@pytest.mark.parametrize("circuit", ["selector-1x16", "network", "crossbar-4x4"])
def test_waiting_costs_time_and_nothing_else(circuit: str) -> None:
    board: Any = compact(circuit)
    board._chip.x[:] = 0.5
    with board:
        trace = board.apply([wait(board.spec, 10.0).repeated(2)])[0]
    assert trace.seconds.sum() == pytest.approx(20.0)
    assert not trace.amps.any()
    assert not trace.volts.any()
    assert (np.array(board._chip.x) == 0.5).all()


@pytest.mark.parametrize("circuit", ["selector-1x1", "crossbar-4x4"])
def test_a_pulse_of_more_samples_than_expected_is_kept_whole(circuit: str) -> None:
    board: Any = compact(circuit, model="metastable")
    board._chip.x[:] = 0.5
    with board:
        pulse = select(board.spec, 0, samples([-0.7, 0.5], 0.2), Purpose.PROGRAM)
        trace = board.apply([pulse])[0]
    assert len(trace.seconds) > 2 * 32  # what there is room for at first
    assert trace.seconds.sum() == pytest.approx(0.2, rel=1e-9)
    assert trace.seconds @ trace.volts[:, 0] == pytest.approx(-0.1 * 0.2, rel=1e-9)


def test_a_device_without_a_solution_is_an_error_and_stays_as_it_was() -> None:
    board: Any = compact("selector-1x1")
    board._chip.parameters[0, HEAD] = np.nan
    with board:
        with pytest.raises(NoConvergence, match="no step was short enough") as caught:
            board.apply([select(board.spec, 0, SET, Purpose.PROGRAM)])
        assert "check the device parameters" in caught.value.todo
    assert board._chip.x[0] == NEW


WITHOUT_NUMBA = """
import json, sys
if "blocked" in sys.argv:
    sys.modules["numba"] = None
import numpy as np
from labctl.addressing import infer, read_row, select
from labctl.pulse import Purpose
from labctl.shapes import square
from sim_backend.devices.model import HEAD
from sim_backend.jit import COMPILED
from tests.boards import compact
found = {"compiled": COMPILED}
for name, pulses in {
    "selector-1x1": lambda spec: [select(spec, 0, square(1.0, 1e-4), Purpose.PROGRAM)],
    "crossbar-4x4": lambda spec: [read_row(spec, 1, 0.1, 1e-5)],
    "network": lambda spec: [infer(spec, np.linspace(0, 0.1, 9), 1e-5)],
}.items():
    board = compact(name, model="metastable")
    board._chip.x[:] = 0.1
    with board:
        traces = board.apply(pulses(board.spec))
    joules = [float(t.seconds @ (t.volts * t.amps).sum(axis=1)) for t in traces]
    ron, roff = board._chip.parameters[0, 4:6]
    found[name] = [*(board._chip.x / ron + (1 - board._chip.x) / roff).tolist(), *joules]
print(json.dumps(found))
"""


def answers(*arguments: str) -> dict[str, Any]:
    """What the program above prints."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_NUMBA, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.skipif(not COMPILED, reason="numba is not installed")
def test_without_numba_the_same_functions_give_the_same_numbers() -> None:
    fast, slow = answers(), answers("blocked")
    assert (fast.pop("compiled"), slow.pop("compiled")) == (True, False)
    for circuit in fast:
        assert slow[circuit] == pytest.approx(fast[circuit], rel=1e-9)
