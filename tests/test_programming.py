"""Closed-loop programming, on a switch that is a formula and on the twin."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labctl.characterize.probing import read
from labctl.characterize.procedure import Row
from labctl.characterize.programming import ClosedLoop, ProgrammingSettings
from labctl.energy import Ledger
from labctl.errors import LimitExceeded
from labctl.parts import Site
from labctl.pulse import Purpose
from labctl.session import run
from tests.boards import compact, ngspice
from tests.switches import LIMITS, SPEC, Switch, driven, ended, send


def procedure(**settings: Any) -> ClosedLoop:
    return ClosedLoop(ProgrammingSettings(**{"cycles": 6} | settings))


def test_the_rows_are_the_pulses_in_their_order() -> None:
    rows = driven(procedure(cycles=2), Switch(sets_after=lambda cycle: 2))
    assert [(row["cycle"], row["pulse"], row["success"]) for row in rows] == [
        (1, 0, ""),
        (1, 1, "no"),
        (1, 2, "yes"),
        (2, 0, ""),
        (2, 1, "no"),
        (2, 2, "yes"),
    ]


def test_the_first_set_pulse_comes_with_its_reset_and_each_pulse_with_its_read() -> None:
    device = Switch(sets_after=lambda cycle: 2)
    driven(procedure(cycles=1), device)
    read_, program, reset = Purpose.READ, Purpose.PROGRAM, Purpose.RESET
    assert [one.purpose for one in device.driven] == [reset, read_, program, read_, program, read_]
    assert device.driven[0].volts[:, 0].min() == -2.5
    assert device.driven[0].duration == pytest.approx(0.1)


def test_the_figures_against_a_hand_calculation() -> None:
    taken = {1: 1, 2: 1, 3: 3, 4: 99, 5: 1, 6: 2}  # pulses that a set takes; 4 fails after 10
    rows = driven(procedure(), Switch(sets_after=lambda cycle: taken[cycle]))
    found = procedure().summary(SPEC, 0, rows)
    assert (found["cycles"], found["success"], found["first"]) == (6, 5 / 6, 3 / 6)
    assert found["pulses"] == pytest.approx((1 + 1 + 3 + 1 + 2) / 5)
    assert found["pulses_all"] == pytest.approx((1 + 1 + 3 + 10 + 1 + 2) / 6)
    assert found["set_ohms"] == pytest.approx(1 / 5e-4)
    assert found["reset_ohms"] == pytest.approx(1e5)
    assert found["set_sd"] == found["reset_sd"] == pytest.approx(0.0, abs=1e-9)
    assert found["verdict"] == "switches"


def test_joules_are_those_in_the_device() -> None:
    found = procedure().summary(SPEC, 0, driven(procedure(), Switch()))
    ohms, seconds = 1e5, 0.1 * (0.98 + 0.02 / 4)  # the edges are one sample at half the voltage
    assert found["reset_joules"] == pytest.approx((2.5 / (ohms + 5e3)) ** 2 * ohms * seconds, rel=0.01)


def test_spreads_are_those_of_the_logarithm() -> None:
    values = np.random.default_rng(3).normal(0.0, 0.3, 50)
    device = Switch(read=lambda siemens, number: siemens * math.exp(values[number // 2]))
    found = procedure(cycles=50).summary(SPEC, 0, driven(procedure(cycles=50), device))
    assert found["reset_sd"] == pytest.approx(values.std(ddof=1), rel=1e-6)
    assert found["set_sd"] == pytest.approx(values.std(ddof=1), rel=1e-6)
    assert float(found["set_sd_low"]) < 0.3 < float(found["set_sd_high"])


def test_a_device_that_never_switches_ends_it_and_says_so() -> None:
    how = procedure(cycles=100, patience=4)
    device = Switch(throws_at=10.0)
    found = how.summary(SPEC, 0, driven(how, device))
    assert (found["cycles"], found["success"]) == (4, 0.0)
    assert found["verdict"] == "not set in the last 4 cycles"
    assert how.obstacle(found)
    assert math.isnan(float(found["set_ohms"]))


def test_a_device_that_no_reset_moves_ends_it_though_every_pulse_finds_it_set() -> None:
    how = procedure(cycles=100, patience=4)
    stuck = Switch(siemens=5e-4, low=5e-4)
    found = how.summary(SPEC, 0, driven(how, stuck))
    assert (found["cycles"], found["success"], found["not_reset"]) == (4, 1.0, 4)
    assert found["verdict"] == "not reset in the last 4 cycles"
    assert how.obstacle(found)
    assert stuck.resets == 4


def test_a_device_that_still_switches_now_and_then_goes_on() -> None:
    how = procedure(cycles=9, patience=3)
    now_and_then = Switch(sets_after=lambda cycle: 1 if cycle % 3 == 0 else 99)
    found = how.summary(SPEC, 0, driven(how, now_and_then))
    assert (found["cycles"], found["verdict"]) == (9, "switches")


def test_a_cycle_that_failed_once_is_no_series() -> None:
    how = procedure(cycles=1)
    assert how.summary(SPEC, 0, driven(how, Switch(throws_at=10.0)))["verdict"] == "not set once"


def test_an_open_device_is_open_and_no_crash() -> None:
    how = procedure(patience=2)
    found = how.summary(SPEC, 0, driven(how, Switch(siemens=0.0, low=0.0, high=0.0)))
    assert (found["verdict"], found["unresolved"]) == ("open", 2)
    assert found["reset_ohms"] == math.inf


def test_no_rows_give_figures_too() -> None:
    found = procedure().summary(SPEC, 0, [])
    assert found.keys() == {one.name for one in ClosedLoop.figures}
    assert found["verdict"] == "no cycle yet"


def test_every_figure_and_column_is_announced() -> None:
    rows = driven(procedure(), Switch())
    assert procedure().summary(SPEC, 0, rows).keys() == {one.name for one in ClosedLoop.figures}
    assert rows[0].keys() == {one.name for one in ClosedLoop.columns}


@pytest.mark.parametrize(
    ("limits", "wrong"),
    [
        (replace(LIMITS, low_volts=-2.0), "-2.5 V across"),
        (replace(LIMITS, amps=1e-4), "A through"),
        (replace(LIMITS, seconds=0.05), "0.1 s on site"),
    ],
)
def test_a_reset_beyond_the_limits_is_refused_with_what_is_allowed(limits: Any, wrong: str) -> None:
    spec = replace(SPEC, sites=(Site(0, 0, "Xe", "it", limits),))
    with pytest.raises(LimitExceeded, match=wrong) as refusal:
        procedure().check(spec, 0)
    assert refusal.value.allowed


def test_a_carbon_device_is_set_below_100_kohm() -> None:
    carbon = replace(SPEC, sites=(Site(0, 0, "C", "it", replace(LIMITS, high_volts=0.2, low_volts=-0.2)),))
    device = Switch(high=1 / 50e3, low=1e-6)
    assert driven(procedure(cycles=1), device, spec=carbon)[1]["success"] == "yes"
    assert driven(procedure(cycles=1, limit=20e3), device, spec=carbon)[1]["success"] == "no"


@pytest.mark.parametrize("lists", range(1, 9))
def test_a_run_that_was_cut_goes_on_to_the_same_rows(lists: int) -> None:
    def device() -> Switch:
        return Switch(sets_after=lambda cycle: cycle)

    whole, cut, rows = driven(procedure(cycles=4), device()), device(), list[Row]()
    send(procedure(cycles=4).plan(SPEC, 0, rows), cut, most_lists=lists)
    assert 0 < len(rows) < len(whole)
    assert driven(procedure(cycles=4), cut, rows) == whole


def test_a_dose_limit_ends_it_with_the_reason() -> None:
    rows, reason = ended(procedure(cycles=100, most_pulses=20), Switch())
    assert reason == "dose limit: more than 20 pulses"
    assert len(rows) == 20


def test_a_pause_comes_between_pulse_and_read() -> None:
    device = Switch()
    driven(procedure(cycles=1, pause=2.0), device)
    assert [one.purpose for one in device.driven][:3] == [Purpose.RESET, Purpose.WAIT, Purpose.READ]
    assert device.driven[1].duration == 2.0


# ---- on the twin -------------------------------------------------------------------------------


def twin(**settings: Any) -> Any:
    return compact("selector-1x1", limits={"energy": "1 J"}, **settings)


def cycled(how: ClosedLoop, board: Any, rows: list[Row] | None = None) -> list[Row]:
    found = [] if rows is None else rows
    how.check(board.spec, 0)
    run(how.plan(board.spec, 0, found), board, ledger=Ledger())
    return found


def test_a_simulated_device_switches_and_longer_pulses_set_it_lower() -> None:
    found: list[float] = []
    for seconds in (5e-3, 0.1):
        how = procedure(set_seconds=seconds)
        with twin() as board:
            figures = how.summary(board.spec, 0, cycled(how, board))
        assert figures["verdict"] == "switches"
        assert float(figures["set_ohms"]) < 5e3 < float(figures["reset_ohms"])
        assert float(figures["set_joules"]) < float(figures["reset_joules"])
        found.append(float(figures["set_ohms"]))
    assert found[1] <= found[0]


def test_going_on_gives_the_rows_of_a_run_that_was_not_cut() -> None:
    how, rows = procedure(cycles=4), list[Row]()
    with twin() as board:
        whole = cycled(how, board)
    with twin() as board:
        cycled(procedure(cycles=2), board, rows)
        assert cycled(how, board, rows) == whole


def test_a_hundred_cycles_are_a_hundred_lists_and_one_for_each_further_set_pulse() -> None:
    how, rows, lists = procedure(cycles=100), list[Row](), 0
    with twin() as board:
        plan = how.plan(board.spec, 0, rows)
        pulses = next(plan)
        while True:
            lists += 1
            try:
                pulses = plan.send(board.apply(pulses))
            except StopIteration:
                break
    assert lists == 100 + sum(float(row["pulse"]) > 1 for row in rows)


def test_ngspice_and_the_twin_give_the_same_figures() -> None:
    how, found = procedure(cycles=2), list[dict[str, Any]]()
    for make in (compact, ngspice):
        with make("selector-1x1", limits={"energy": "1 J"}) as board:
            found.append(dict(how.summary(board.spec, 0, cycled(how, board))))
    one, other = found
    for name in ("set_ohms", "reset_ohms", "set_joules", "reset_joules", "pulses"):
        assert one[name] == pytest.approx(other[name], rel=0.03)


def test_a_read_of_the_protocol_is_what_it_says() -> None:
    pulse = read(SPEC, 0, ProgrammingSettings().reading)
    assert (pulse.volts.max(), pulse.duration) == pytest.approx((0.15, 10e-3))
