"""Write-verify statistics, on a device that is a formula and on the twin."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from labctl.characterize.procedure import Row
from labctl.characterize.statistics import StatisticsSettings, WriteVerify, by_target, root_mean_square
from labctl.config import build
from labctl.energy import Ledger
from labctl.errors import BadConfig, LimitExceeded, Refused
from labctl.parts import Site
from labctl.pulse import Pulse, Purpose, Trace
from labctl.session import run
from tests.boards import compact
from tests.switches import SPEC, Switch, driven, ended, send


@dataclass
class Analogue(Switch):
    """Moves by `speed` * volts * seconds in ln G, between 1 uS and 1 mS."""

    speed: float = 1e4
    throws_at: float = math.inf

    def answer(self, pulse: Pulse) -> Trace:
        """Move, unless it is a read."""
        volts = float(max(pulse.volts[:, 0], key=abs))
        if pulse.purpose is Purpose.PROGRAM:
            self.siemens = min(max(self.siemens * math.exp(volts * pulse.duration * self.speed), 1e-6), 1e-3)
        return super().answer(pulse)


def procedure(**settings: Any) -> WriteVerify:
    return WriteVerify(StatisticsSettings(**{"cycles": 3} | settings))


def test_each_cycle_goes_through_the_targets_in_their_order() -> None:
    rows = driven(procedure(targets=(5e-5, 2e-4, 1e-5)), Analogue())
    assert [row["target"] for row in rows] == [5e-5, 2e-4, 1e-5] * 3
    assert [row["cycle"] for row in rows] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    befores, afters = ([row[name] for row in rows] for name in ("before", "after"))
    assert befores[1:] == afters[:-1]


def test_the_figures_of_a_device_that_goes_where_it_is_sent() -> None:
    rows = driven(procedure(), Analogue())
    found = procedure().summary(SPEC, 0, rows)
    assert found.keys() == {one.name for one in WriteVerify.figures}
    assert rows[0].keys() == {one.name for one in WriteVerify.columns}
    assert (found["programmings"], found["success"], found["worst_success"]) == (6, 1.0, 1.0)
    assert found["error"] == pytest.approx(math.sqrt(np.mean([float(row["error"]) ** 2 for row in rows])))
    assert float(found["error"]) <= 0.02
    assert found["pulses"] == np.median([float(row["pulses"]) for row in rows])
    assert found["endings"] == "6 within tolerance"


def test_the_worst_target_is_the_one_out_of_reach() -> None:
    how = procedure(targets=(5e-5, 2e-3), patience=100)  # the device ends at 1 mS
    rows = driven(how, Analogue())
    found = how.summary(SPEC, 0, rows)
    assert (found["worst_target"], found["worst_success"], found["success"]) == (2e-3, 0.0, 0.5)
    assert [one.success.value for one in by_target(rows)] == [1.0, 0.0]


def test_a_device_that_never_switches_ends_it() -> None:
    how = procedure(cycles=100)
    rows = driven(how, Analogue(speed=0.0))
    found = how.summary(SPEC, 0, rows)
    assert len(rows) == how.settings.patience
    assert found["endings"] == "3 does not move"
    assert how.obstacle(found)
    assert math.isnan(float(found["pulses"]))


def test_an_open_device_is_no_crash() -> None:
    found = procedure().summary(SPEC, 0, driven(procedure(), Analogue(siemens=0.0, speed=0.0)))
    assert found["success"] == 0.0


def test_no_rows_give_figures_too() -> None:
    found = procedure().summary(SPEC, 0, [])
    assert found.keys() == {one.name for one in WriteVerify.figures}


def test_a_dose_limit_ends_it_with_the_reason() -> None:
    rows, reason = ended(procedure(cycles=1000, most_pulses=50), Analogue())
    assert reason == "dose limit: more than 50 pulses"
    assert 0 < len(rows) < 50


@pytest.mark.parametrize("done", [1, 2, 5])
def test_a_run_that_was_cut_goes_on_with_the_next_target(done: int) -> None:
    whole, cut = driven(procedure(), Analogue()), Analogue()
    rows, plan_rows = list[Row](), list[Row]()
    plan = procedure().plan(SPEC, 0, plan_rows)
    pulses = next(plan)
    while len(plan_rows) < done:
        pulses = plan.send([cut.answer(pulse) for pulse in pulses])
    plan.close()
    rows += plan_rows
    assert driven(procedure(), cut, rows) == whole


def test_a_first_pulse_beyond_the_limits_is_refused() -> None:
    limits = replace(SPEC.sites[0].limits, high_volts=0.1)
    spec = replace(SPEC, sites=(Site(0, 0, "Xe", "it", limits),))
    with pytest.raises(LimitExceeded, match=r"0.15 V across"):
        procedure().check(spec, 0)


def test_a_board_without_switches_is_refused() -> None:
    with pytest.raises(Refused, match="switch"):
        procedure().check(replace(SPEC, isolating=False), 0)


@pytest.mark.parametrize("targets", [[], ["0 S"], ["10 kohm"], [1e-5]])
def test_targets_that_are_none_are_refused(targets: list[Any]) -> None:
    with pytest.raises(BadConfig):
        build({"targets": targets}, StatisticsSettings, "test")


def test_a_root_mean_square_by_hand() -> None:
    assert root_mean_square(np.array([3.0, 4.0])) == pytest.approx(math.sqrt(12.5))


def test_a_simulated_device_is_programmed_to_most_targets() -> None:
    how = procedure(targets=(60e-6, 150e-6), cycles=2)
    with compact("selector-1x1") as board:
        how.check(board.spec, 0)
        rows = list[Row]()
        run(how.plan(board.spec, 0, rows), board, ledger=Ledger())
        found = how.summary(board.spec, 0, rows)
    assert len(rows) == 4
    assert float(found["success"]) >= 0.5
    send(how.plan(board.spec, 0, rows), Switch())  # nothing is left: it sends nothing
    assert len(rows) == 4
