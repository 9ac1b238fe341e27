"""Endurance, on a switch that is a formula and wears out as told, and on the twin."""

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest

from labctl.characterize.endurance import Endurance, EnduranceSettings, failure, read_outs
from labctl.characterize.procedure import Row
from labctl.energy import Ledger
from labctl.errors import LimitExceeded
from labctl.parts import Site
from labctl.pulse import Pulse, Trace
from labctl.session import run
from tests.boards import compact
from tests.switches import LIMITS, SPEC, Switch, driven, ended, send


@dataclass
class Wearing(Switch):
    """Becomes `worn` after so many resets."""

    lasts: float = math.inf
    worn: tuple[float, float] = (1e-5, 1e-5)
    """[S] of both states then."""

    def answer(self, pulse: Pulse) -> Trace:
        """Like any other, until it is worn."""
        if self.resets >= self.lasts:
            self.low, self.high = self.worn
        return super().answer(pulse)


def procedure(**settings: Any) -> Endurance:
    return Endurance(EnduranceSettings(**{"cycles": 1000} | settings))


def test_read_outs_come_in_log_steps_and_at_the_end() -> None:
    seen = read_outs(driven(procedure(cycles=300), Switch()))
    assert seen.cycle.tolist() == [1, 2, 5, 10, 20, 50, 100, 200, 300]
    assert seen.reset_ohms == pytest.approx([1e5] * 9)
    assert seen.set_ohms == pytest.approx([2e3] * 9)
    assert seen.ratio == pytest.approx([50.0] * 9)


def test_the_device_gets_exactly_as_many_cycles_as_the_table_says() -> None:
    device = Switch()
    rows = driven(procedure(cycles=777), device)
    assert device.resets == rows[-1]["cycle"] == 777


def test_cycles_between_read_outs_are_one_pulse_that_repeats() -> None:
    device = Switch()
    driven(procedure(cycles=1000, most_at_once=500), device)
    assert max(pulse.repeats for pulse in device.driven) == 499  # from 500 to the one before 1000
    assert len(device.driven) < 70
    for pulse in device.driven:
        SPEC.check([pulse])


def test_pulses_that_are_too_long_together_alternate() -> None:
    device = Switch()
    rows = driven(procedure(cycles=50, set_seconds=0.15, reset_seconds=0.15), device)
    assert device.resets == rows[-1]["cycle"] == 50
    assert {pulse.repeats for pulse in device.driven} == {1}


def test_a_list_is_never_longer_than_told() -> None:
    device, how = Switch(), procedure(cycles=1000, longest_list=0.1, most_at_once=10_000)
    driven(how, device)
    assert max(pulse.duration for pulse in device.driven) <= 0.1 + 1e-9


def test_the_figures_of_a_good_device() -> None:
    rows = driven(procedure(), Switch())
    found = procedure().summary(SPEC, 0, rows)
    assert found.keys() == {one.name for one in Endurance.figures}
    assert rows[0].keys() == {one.name for one in Endurance.columns}
    assert (found["cycles"], found["failure"]) == (1000, "none")
    assert found["ratio_least"] == pytest.approx(50.0)
    assert not procedure().obstacle(found)


def test_joules_and_seconds_add_up_over_the_lists() -> None:
    rows = driven(procedure(cycles=100), Switch())
    states = {-1.5: 1e-5, 1.0: 5e-4}
    one = sum(5e-3 * volt**2 * (0.98 + 0.02 / 4) / (5e3 + 1 / siemens) for volt, siemens in states.items())
    assert rows[-1]["joules"] == pytest.approx(100 * one, rel=0.01)
    assert rows[-1]["seconds"] == pytest.approx(100 * 10e-3 + 14 * 50e-6, rel=1e-6)


@pytest.mark.parametrize(
    ("worn", "why"),
    [
        ((1e-5, 1e-5), "stuck in the high-resistance state"),
        ((5e-4, 5e-4), "stuck in the low-resistance state"),
        ((1e-4, 1.5e-4), "the window is closed"),
        ((0.0, 0.0), "open"),
    ],
)
def test_a_worn_device_is_found_out_and_the_cycling_ends(worn: tuple[float, float], why: str) -> None:
    device = Wearing(lasts=120, worn=worn)
    rows = driven(procedure(cycles=10_000), device)
    found = procedure().summary(SPEC, 0, rows)
    assert found["failure"] == why
    assert found["failed_at"] == 200
    assert rows[-1]["cycle"] == 202  # three read-outs in a row agree
    assert procedure().obstacle(found)


def test_one_bad_read_out_is_no_failure() -> None:
    device = Switch(read=lambda siemens, number: 1e-5 if number in (6, 7) else siemens)  # of cycle 10
    rows = driven(procedure(cycles=100), device)
    assert failure(rows, procedure().settings) == ""
    assert read_outs(rows).cycle.tolist() == [1, 2, 5, 10, 11, 20, 50, 100]


def test_a_device_that_never_switched_says_so() -> None:
    found = procedure().summary(SPEC, 0, driven(procedure(), Switch(throws_at=10.0)))
    assert (found["failure"], found["cycles"], found["failed_at"]) == ("it never switched", 3, 1)


def test_an_endless_endurance_ends_at_its_dose_limit_with_the_reason() -> None:
    rows, reason = ended(procedure(endless=True, most_pulses=5000), Switch())
    assert reason == "dose limit: more than 5000 pulses"
    assert 4998 <= float(rows[-1]["pulses"]) <= 5000
    assert read_outs(rows).cycle[-1] == rows[-1]["cycle"]  # the last cycle that it may have is read


def test_an_endless_endurance_ends_at_its_energy_with_the_reason() -> None:
    device = Switch()
    rows, reason = ended(procedure(endless=True, most_energy=2e-3), device)
    assert reason.startswith("dose limit: it could get more than 2 mJ")
    assert 1.9e-3 <= float(rows[-1]["joules"]) <= 2e-3


def test_an_endless_endurance_ends_at_its_time_with_the_reason() -> None:
    rows, reason = ended(procedure(endless=True, most_time=60.0), Switch())
    assert reason == "dose limit: more than 60 s"
    assert 59 <= float(rows[-1]["seconds"]) <= 60


def test_an_amplitude_beyond_the_limits_is_refused() -> None:
    spec = replace(SPEC, sites=(Site(0, 0, "Xe", "it", replace(LIMITS, low_volts=-1.0)),))
    with pytest.raises(LimitExceeded, match=r"-1.5 V across"):
        procedure().check(spec, 0)


@pytest.mark.parametrize("lists", [1, 4, 9, 14])
def test_a_run_that_was_cut_goes_on_to_the_same_rows(lists: int) -> None:
    how = procedure(cycles=2000, most_at_once=100)
    whole, cut, rows = driven(how, Switch()), Switch(), list[Row]()
    send(how.plan(SPEC, 0, rows), cut, most_lists=lists)
    assert len(rows) == lists
    assert driven(how, cut, rows) == whole


def test_no_rows_give_figures_too() -> None:
    found = procedure().summary(SPEC, 0, [])
    assert found.keys() == {one.name for one in Endurance.figures}
    assert (found["cycles"], found["failure"]) == (0.0, "none")


# ---- on the twin -------------------------------------------------------------------------------


def cycled(how: Endurance, board: Any, rows: list[Row] | None = None) -> list[Row]:
    found = [] if rows is None else rows
    how.check(board.spec, 0)
    run(how.plan(board.spec, 0, found), board, ledger=Ledger())
    return found


def test_going_on_gives_the_rows_of_a_run_that_was_not_cut() -> None:
    how, rows = procedure(cycles=300, most_at_once=50), list[Row]()
    limits = {"energy": "1 J"}
    with compact("selector-1x1", limits=limits) as board:
        whole = cycled(how, board)
        assert how.summary(board.spec, 0, whole)["failure"] == "none"
    with compact("selector-1x1", limits=limits) as board:
        cycled(procedure(cycles=100, most_at_once=50), board, rows)
        assert len(rows) < len(whole)
        assert cycled(how, board, rows) == whole


def test_the_limit_of_a_site_ends_it_with_the_words_of_the_limit() -> None:
    how = procedure(cycles=100_000, most_energy=1.0)
    with (
        compact("selector-1x1", limits={"energy": "0.1 mJ"}) as board,
        pytest.raises(LimitExceeded) as refusal,
    ):
        cycled(how, board)
    assert "site" in refusal.value.wrong
