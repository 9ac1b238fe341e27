"""Retention, on a device whose drift is a formula and on the twin."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from labctl.characterize.procedure import Row
from labctl.characterize.retention import Retention, RetentionSettings, Series, drift, times, watched
from labctl.energy import Ledger
from labctl.errors import Refused
from labctl.pulse import Pulse, Purpose, Trace
from labctl.session import run
from tests.boards import compact
from tests.switches import SPEC, Switch, driven, ended, send


@dataclass
class Drifting(Switch):
    """Conductance as a function of the time [s] that it was left alone."""

    law: Callable[[float], float] = lambda seconds: 1e-4
    clock: float = 0.0

    def answer(self, pulse: Pulse) -> Trace:
        """The law at the end of the pulse."""
        self.clock += pulse.duration
        self.siemens = self.law(self.clock)
        return super().answer(pulse)


def procedure(**settings: Any) -> Retention:
    return Retention(RetentionSettings(**settings))


def test_reads_are_evenly_spaced_in_log_time() -> None:
    rows = driven(procedure(first=0.1, last=1000.0, per_decade=3), Drifting())
    seconds = [float(row["seconds"]) for row in watched(rows)]
    assert seconds == pytest.approx(0.1 * 10 ** (np.arange(13) / 3), rel=1e-9)
    assert len(times(procedure().settings)) == 26


def test_nothing_is_driven_but_waits_and_reads() -> None:
    device = Drifting()
    driven(procedure(), device)
    assert {pulse.purpose for pulse in device.driven} == {Purpose.WAIT, Purpose.READ}
    SPEC.check(device.driven)


def test_waits_are_shorter_than_the_longest_pulse_of_the_board() -> None:
    device, spec = Drifting(), replace(SPEC, longest_pulse=7.0)
    driven(procedure(), device, spec=spec)
    spec.check(device.driven)
    assert max(pulse.duration for pulse in device.driven) <= 7.0


@pytest.mark.parametrize("nu", [0.05, -0.02, 0.3])
def test_the_drift_exponent_of_a_power_law_is_found(nu: float) -> None:
    how = procedure(tolerance=0.05)
    device = Drifting(law=lambda seconds: 1e-4 * seconds**-nu)
    found = how.summary(SPEC, 0, driven(how, device))
    assert found["nu"] == pytest.approx(nu, rel=1e-3)
    assert found["siemens"] == pytest.approx(1e-4 * 0.01**-nu, rel=1e-3)
    # .05 up or down: t = t0 (1 -+ .05)^(-1/nu)
    factor = (0.95 if nu > 0 else 1.05) ** (-1 / nu)
    assert found["leaves"] == pytest.approx(0.01 * factor, rel=0.01)
    assert float(found["left"]) >= float(found["leaves"]) * 0.99
    assert float(found["leaves_low"]) <= float(found["leaves"])


def test_the_error_of_the_exponent_by_hand() -> None:
    # ln G = 0, -.1, 0 at ln t = 0, 1, 2: slope 0, s^2 = (.1^2 * 2/3)/1, variance of slope s^2/2
    found = drift(Series(np.exp([0.0, 1.0, 2.0]), np.exp([0.0, -0.1, 0.0])), 0.1)
    assert found.nu.value == pytest.approx(0.0, abs=1e-12)
    assert found.nu_error == pytest.approx(math.sqrt(0.01 * 2 / 3 / 2))


def test_the_interval_of_the_exponent_holds_the_truth_as_often_as_it_says() -> None:
    generator, seconds, inside = np.random.default_rng(4), times(procedure().settings), 0
    for _ in range(200):
        siemens = 1e-4 * seconds**-0.03 * np.exp(0.02 * generator.normal(size=len(seconds)))
        found = drift(Series(seconds, siemens), 0.1).nu
        inside += found.low <= 0.03 <= found.high
    assert 180 <= inside <= 198  # 1.96 standard errors of 24 degrees of freedom hold 93.8 %


def test_a_state_that_stays_never_leaves() -> None:
    found = procedure().summary(SPEC, 0, driven(procedure(), Drifting()))
    assert abs(float(found["nu"])) < 1e-9
    assert math.isnan(float(found["left"]))
    assert found["leaves"] == math.inf
    assert found["change"] == pytest.approx(0.0, abs=1e-9)


def test_a_jump_to_another_state_is_seen_when_it_happens() -> None:
    device = Drifting(law=lambda seconds: 1e-4 if seconds < 30.0 else 1e-5)
    found = procedure().summary(SPEC, 0, driven(procedure(), device))
    assert 30.0 <= float(found["left"]) < 30.0 * 10**0.2 * 1.01


def test_as_many_reads_follow_right_after_each_other() -> None:
    device = Drifting()
    rows = driven(procedure(), device)
    assert [row["kind"] for row in rows] == ["watched"] * 26 + ["control"] * 25
    assert {pulse.purpose for pulse in device.driven[-26:]} == {Purpose.READ}


def test_a_device_that_reads_move_is_said_to_be_disturbed_and_not_to_drift() -> None:
    device = Switch(siemens=1e-4, read=lambda siemens, number: siemens * 1.02**number)
    found = procedure().summary(SPEC, 0, driven(procedure(), device))
    assert found["change"] == pytest.approx(1.02**25 - 1)
    assert found["change_control"] == pytest.approx(1.02**25 - 1)
    assert found["disturbed"] == "yes"


def test_a_drift_in_time_is_no_disturbance_and_neither_is_scatter() -> None:
    drifting = Drifting(law=lambda seconds: 1e-4 * seconds**-0.05)
    assert procedure().summary(SPEC, 0, driven(procedure(), drifting))["disturbed"] == "no"
    for seed in range(20):
        values = np.exp(0.02 * np.random.default_rng(seed).normal(size=60))
        noisy = Switch(siemens=1e-4, read=lambda siemens, number, values=values: siemens * values[number])
        assert procedure().summary(SPEC, 0, driven(procedure(), noisy))["disturbed"] == "no"


@dataclass
class Analogue(Switch):
    """Moves by a hundredth a millisecond and volt: something that can be programmed."""

    def answer(self, pulse: Pulse) -> Trace:
        """Move, unless it is a read."""
        volts = float(max(pulse.volts[:, 0], key=abs))
        if pulse.purpose is Purpose.PROGRAM:
            self.siemens *= math.exp(volts * pulse.duration * 1e4)
        self.throws_at = math.inf
        return super().answer(pulse)


def test_a_state_is_programmed_first_and_only_once() -> None:
    how, device = procedure(target=5e-5), Analogue()
    rows = driven(how, device)
    assert rows[0]["state"] == "within tolerance"
    assert {row["state"] for row in rows[1:]} == {""}
    assert rows[0]["siemens"] == pytest.approx(5e-5, rel=0.02)
    kinds = [pulse.purpose is Purpose.PROGRAM for pulse in device.driven]
    assert any(kinds)
    assert not any(kinds[kinds.index(False, len(kinds) - 60) :])


def test_a_device_that_cannot_be_programmed_is_watched_and_said_to_be_so() -> None:
    how = procedure(target=5e-5)
    found = how.summary(SPEC, 0, driven(how, Switch(throws_at=10.0)))
    assert found["state"] == "does not move"


def test_an_open_device_has_no_drift_and_no_crash() -> None:
    found = procedure().summary(SPEC, 0, driven(procedure(), Drifting(law=lambda seconds: 0.0)))
    assert found["reads"] == 0
    assert math.isnan(float(found["nu"]))


def test_no_rows_give_figures_too() -> None:
    found = procedure().summary(SPEC, 0, [])
    assert found.keys() == {one.name for one in Retention.figures}


@pytest.mark.parametrize("lists", [1, 5, 17, 26, 33])
def test_a_run_that_was_cut_goes_on_to_the_same_rows(lists: int) -> None:
    """What was waited without a read after it is waited again: cut where a row was just written."""
    how, cut, rows = procedure(last=500.0), Drifting(), list[Row]()
    whole = driven(how, Drifting())
    send(how.plan(SPEC, 0, rows), cut, most_lists=lists)
    went_on = driven(how, cut, rows)
    assert [row["siemens"] for row in went_on] == [row["siemens"] for row in whole]
    assert [row["seconds"] for row in went_on] == pytest.approx([row["seconds"] for row in whole], rel=1e-9)


def test_time_beyond_the_cap_is_not_waited() -> None:
    rows, reason = ended(procedure(last=1e5, most_time=5000.0), Drifting())
    assert reason.startswith("dose limit: more than 5")
    assert float(rows[-1]["seconds"]) <= 5000.0


@pytest.mark.parametrize(("settings", "wrong"), [({"first": 10.0, "last": 10.0}, "first wait")])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], wrong: str) -> None:
    with pytest.raises(Refused, match=wrong):
        procedure(**settings).check(SPEC, 0)


def test_a_bare_crossbar_is_watched_but_not_programmed() -> None:
    bare = replace(SPEC, isolating=False)
    procedure().check(bare, 0)
    with pytest.raises(Refused, match="switch"):
        procedure(target=5e-5).check(bare, 0)


def test_a_simulated_device_keeps_its_state_and_going_on_gives_the_same_rows() -> None:
    def watched(how: Retention, board: Any, rows: list[Row]) -> list[Row]:
        how.check(board.spec, 0)
        run(how.plan(board.spec, 0, rows), board, ledger=Ledger())
        return rows

    how = procedure(last=100.0)
    with compact("selector-1x1") as board:
        whole = watched(how, board, [])
        assert abs(float(how.summary(board.spec, 0, whole)["nu"])) < 0.05
    with compact("selector-1x1") as board:
        rows = list[Row]()
        plan = how.plan(board.spec, 0, rows)
        pulses = next(plan)
        for _ in range(7):
            pulses = plan.send(board.apply(pulses))
        plan.close()
        went_on = watched(how, board, rows)
    for one in ("seconds", "siemens"):
        assert [row[one] for row in went_on] == pytest.approx([row[one] for row in whole], rel=1e-9)
