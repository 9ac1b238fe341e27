"""Programming one site, against a memristor that is a formula in this file: no board, no loop.

The device moves by `speed * seconds * exp(volts across it / 30 mV)` siemens, up or down.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.energy import Ledger
from labctl.errors import BoardFault, BoardGone, LabError, LimitExceeded, Refused
from labctl.limits import Limits
from labctl.parts import Site
from labctl.plan import Plan
from labctl.programming.belief import Experience
from labctl.programming.prediction import Response
from labctl.programming.write_verify import (
    IDLE_MOST,
    Ending,
    Outcome,
    Programming,
    Reading,
    Spent,
    read,
    write_verify,
)
from labctl.pulse import Flag, Pulse, Purpose, Trace
from labctl.session import run
from labctl.spec import Spec
from sim_backend.compact import CompactBoard, SimulatedSettings

SERIES = 1_000.0
LIMITS = Limits(-2.0, 2.0, amps=1e-3, least_ohms=1_000.0, seconds=0.1)
SPEC = Spec("bench", 1, 1, (Site(0, 0, "Xe", "it", LIMITS),), (SERIES - 50.0, 50.0))
HOW, READING = Programming(), Reading()
TARGET = 100e-6


@dataclass
class Device:
    """A memristor between 1 uS and 1 mS behind `SERIES`; `speed` [S/s] at 0 V."""

    siemens: float = 20e-6
    speed: float = 0.01
    flags: Flag = Flag.NONE

    def answer(self, pulse: Pulse) -> Trace:
        """One sample for the whole pulse, at its peak."""
        volts = float(pulse.volts[np.abs(pulse.volts[:, 0]).argmax(), 0])
        across, seconds = volts / (1 + self.siemens * SERIES), pulse.duration
        amps = across * self.siemens
        if pulse.purpose is not Purpose.READ:
            moved = self.speed * seconds * math.exp(abs(across) / 0.03)
            self.siemens = min(max(self.siemens + math.copysign(moved, across), 1e-6), 1e-3)
        return Trace(np.array([seconds]), np.array([[volts, 0.0]]), np.array([[amps, -amps]]), self.flags)


@dataclass
class Programmed:
    """What a plan did to a device."""

    outcome: Outcome
    lists: list[Sequence[Pulse]]

    @property
    def sent(self) -> list[Pulse]:
        """The pulses that were not reads."""
        return [pulse for pulses in self.lists for pulse in pulses if pulse.purpose is not Purpose.READ]


def program(
    device: Device,
    how: Programming = HOW,
    *,
    target: float = TARGET,
    spec: Spec = SPEC,
    spent: Spent | None = None,
    error: LabError | None = None,
    fails_at: int = 1,
    response: Response | None = None,
    experience: Experience | None = None,
) -> Programmed:
    """Run a plan on the device; `error` is what the list of that number ends in, from 1 on."""
    plan: Plan[Outcome] = write_verify(
        spec, 0, target, device.siemens, how, READING, spent or Spent(), response, experience
    )
    lists: list[Sequence[Pulse]] = []
    try:
        pulses = next(plan)
        while True:
            lists.append(pulses)
            if error is not None and len(lists) == fails_at:
                pulses = plan.throw(error)
            else:
                pulses = plan.send([device.answer(pulse) for pulse in pulses])
    except StopIteration as end:
        return Programmed(end.value, lists)


# ---- getting there -------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [5e-6, 99e-6 * 0.9, 110e-6, 600e-6])
@pytest.mark.parametrize("speed", [1e-4, 0.01, 1.0], ids=lambda speed: f"{speed} S/s")
def test_it_gets_there_from_both_sides_with_devices_fast_and_slow(start: float, speed: float) -> None:
    device = Device(start, speed)
    done = program(device)
    assert done.outcome.ending is Ending.DONE
    assert done.outcome.after == pytest.approx(device.siemens, rel=1e-9)
    assert abs(done.outcome.error) <= HOW.tolerance
    assert done.outcome.pulses == len(done.sent) <= 30


@pytest.mark.parametrize(("site", "target"), [(129, 248e-6), (177, 424e-6), (114, 371e-6)])
def test_devices_that_leap_past_their_target_are_caught(site: int, target: float) -> None:
    """W without a series resistor to slow it: one pulse too much, and it is at the other end."""
    settings = SimulatedSettings(
        layout="selector", dopant="W", columns=256, series=50.0, switch=50.0, device_to_device=True
    )
    with CompactBoard(settings) as board:
        before = board._chip.x[site]
        plan = write_verify(
            board.spec, site, target, 71e-6, HOW.model_copy(update={"tolerance": 0.01}), Reading(volts=0.05)
        )
        outcome = run(plan, board, ledger=Ledger())
        assert board._chip.x[site] != before
    assert outcome.ending is Ending.DONE
    assert max(outcome.path) > 2.5 * target  # it did leap
    assert outcome.pulses <= 80


def test_the_outcome_tells_the_way() -> None:
    done = program(Device())
    outcome = done.outcome
    assert outcome.path[0] == outcome.before == 20e-6
    assert outcome.path[-1] == outcome.after
    assert len(outcome.path) == outcome.pulses + 1
    assert outcome.error == pytest.approx(outcome.after / TARGET - 1)


def test_joules_are_those_of_the_programming_pulses_alone() -> None:
    done = program(Device())
    by_hand = 0.0
    for pulse, before in zip(done.sent, done.outcome.path, strict=False):
        volts = abs(pulse.volts).max()
        by_hand += pulse.duration * volts**2 / (SERIES + 1 / before)
    assert done.outcome.joules == pytest.approx(by_hand, rel=1e-9)


def test_each_pulse_is_followed_by_a_read() -> None:
    purposes = {tuple(pulse.purpose for pulse in pulses) for pulses in program(Device()).lists}
    assert purposes == {(Purpose.PROGRAM, Purpose.READ)}


@given(st.floats(1e-6, 1e-3), st.floats(1e-4, 0.5), st.floats(-1.0, 1.0))
def test_a_site_within_tolerance_is_left_alone(target: float, tolerance: float, part: float) -> None:
    now = target * (1 + 0.999 * tolerance * part)
    done = program(Device(now), Programming(tolerance=tolerance), target=target)
    assert (done.lists, done.outcome.ending, done.outcome.path) == ([], Ending.DONE, (now,))


def test_it_stops_as_soon_as_it_is_within_tolerance() -> None:
    path = np.array(program(Device()).outcome.path)
    assert (abs(path[:-1] / TARGET - 1) > HOW.tolerance).all()


def test_volts_are_those_across_the_device() -> None:
    first = program(Device(1e-3, speed=1e-9), target=2e-3).sent[0]  # 1 kohm behind 1 kohm
    assert first.volts.max() == pytest.approx(2 * HOW.first_volts)
    assert first.duration == pytest.approx(HOW.first_width)


def test_an_open_device_is_pulsed_and_not_a_crash() -> None:
    device = Device(0.0)
    assert program(device).outcome.ending is Ending.DONE


class Broken(Device):
    """A wire has come off."""

    def answer(self, pulse: Pulse) -> Trace:
        return Trace(np.array([pulse.duration]), pulse.volts[1:2], np.zeros((1, 2)))


def test_a_device_that_stays_open_is_stuck_and_not_a_crash() -> None:
    outcome = program(Broken(0.0)).outcome
    assert (outcome.ending, outcome.after) == (Ending.STUCK, 0.0)


# ---- caps ----------------------------------------------------------------------------------------

SLOW = 2e-6
"""[S/s] So slow that 100 uS take many pulses."""


def test_a_cap_on_pulses_is_kept() -> None:
    done = program(Device(speed=SLOW), Programming(most_pulses=3))
    assert (done.outcome.ending, len(done.sent)) == (Ending.PULSES, 3)


def test_a_cap_on_seconds_is_kept() -> None:
    done = program(Device(speed=SLOW), Programming(most_seconds=1e-3))
    seconds = [pulse.duration for pulse in done.sent]
    assert done.outcome.ending is Ending.SECONDS
    assert sum(seconds[:-1]) < 1e-3 <= sum(seconds)


def test_a_cap_on_joules_is_kept() -> None:
    done = program(Device(speed=SLOW), Programming(most_energy=1e-8))
    assert done.outcome.ending is Ending.ENERGY
    assert 1e-8 <= done.outcome.joules < 1e-7


@pytest.mark.parametrize(
    ("spent", "ending"),
    [
        (Spent(pulses=100), Ending.PULSES),
        (Spent(seconds=1.0), Ending.SECONDS),
        (Spent(joules=1e-4), Ending.ENERGY),
    ],
)
def test_what_was_spent_before_an_interruption_counts(spent: Spent, ending: Ending) -> None:
    done = program(Device(), spent=spent)
    assert (done.outcome.ending, done.sent) == (ending, [])
    assert (done.outcome.pulses, done.outcome.joules) == (spent.pulses, spent.joules)


def test_pulses_that_are_left_after_an_interruption_are_used() -> None:
    done = program(Device(speed=SLOW), spent=Spent(pulses=98))
    assert (done.outcome.ending, done.outcome.pulses, len(done.sent)) == (Ending.PULSES, 100, 2)


# ---- what does not go well -----------------------------------------------------------------------


@pytest.mark.parametrize("target", [TARGET, 5e-6], ids=["up", "down"])
def test_a_device_that_does_not_move_is_stuck_after_the_strongest_pulses(target: float) -> None:
    done = program(Device(speed=0.0), target=target)
    assert done.outcome.ending is Ending.STUCK
    strongest = done.sent[-IDLE_MOST:]
    assert [abs(pulse.volts).max() for pulse in strongest] == pytest.approx([2.0] * IDLE_MOST, rel=1e-6)
    assert [pulse.duration for pulse in strongest] == pytest.approx([HOW.longest] * IDLE_MOST)
    assert len(done.sent) < 60


@given(st.floats(1e-6, 9e-4), st.floats(0.2, 3.0))
def test_a_stuck_device_is_found_out_at_any_conductance_and_limit(siemens: float, high: float) -> None:
    limits = Limits(-high, high, amps=1e-2, least_ohms=1_000.0)
    spec = replace(SPEC, sites=(Site(0, 0, "Xe", "it", limits),))
    done = program(Device(siemens, speed=0.0), Programming(most_pulses=10_000), target=1e-3, spec=spec)
    assert done.outcome.ending is Ending.STUCK
    assert len(done.sent) < 100


def test_a_site_that_allows_no_voltage_in_that_direction_is_stuck() -> None:
    spec = replace(SPEC, sites=(Site(0, 0, "Xe", "it", replace(LIMITS, low_volts=0.0)),))
    done = program(Device(), target=5e-6, spec=spec)
    assert done.outcome.ending is Ending.STUCK
    assert all(abs(pulse.volts).max() == 0.0 for pulse in done.sent)


def test_a_limit_in_the_way_ends_it_with_the_reason() -> None:
    done = program(Device(speed=SLOW), error=LimitExceeded("too many joules"), fails_at=3)
    assert (done.outcome.ending, done.outcome.reason) == (Ending.LIMIT, "too many joules")
    assert done.outcome.pulses == 2  # the third was never driven


def test_a_fault_ends_it_and_counts_the_pulse_that_is_known_to_have_been_driven() -> None:
    driven = Trace(np.array([1e-5]), np.array([[0.2, 0.0]]), np.array([[1e-6, -1e-6]]))
    for traces, pulses in ([], 2), ([driven], 3):
        fault = BoardFault("no answer", traces=traces)
        outcome = program(Device(speed=SLOW), error=fault, fails_at=3).outcome
        assert (outcome.ending, outcome.reason, outcome.pulses) == (Ending.FAULT, "no answer", pulses)


def test_a_read_that_says_nothing_is_a_fault_of_a_pulse_that_counts() -> None:
    outcome = program(Device(flags=Flag.COMPLIANCE)).outcome
    assert (outcome.ending, outcome.pulses, outcome.path) == (Ending.FAULT, 1, (20e-6,))
    assert "COMPLIANCE" in outcome.reason
    assert outcome.joules > 0


def test_a_board_that_is_gone_is_not_the_sites_fault() -> None:
    with pytest.raises(BoardGone):
        program(Device(), error=BoardGone("unplugged"))


def test_a_site_that_could_not_be_read_gets_no_pulse() -> None:
    done = program(Device(math.nan))
    assert (done.outcome.ending, done.sent) == (Ending.FAULT, [])
    assert "could not be read" in done.outcome.reason


@pytest.mark.parametrize("target", [math.nan, math.inf, 0.0, -1e-6])
def test_a_target_that_is_no_conductance_is_refused(target: float) -> None:
    with pytest.raises(Refused, match="target"):
        program(Device(), target=target)


# ---- what it may ask for -------------------------------------------------------------------------


@given(
    st.builds(
        Limits,
        st.floats(-3.0, 0.0),
        st.floats(0.2, 3.0),
        st.floats(2e-4, 1e-2),
        st.floats(1_000.0, 5_000.0),
        st.floats(1e-4, 1.0),
    ),
    st.builds(
        Programming,
        first_volts=st.floats(0.01, 5.0),
        first_width=st.floats(1e-7, 1e-1),
        shortest=st.floats(1e-7, 1e-2),
        longest=st.floats(1e-6, 1.0),
        e_fold=st.floats(1e-4, 1.0),
    ),
    st.floats(0.0, 1.0),
    st.floats(1e-6, 1e-3),
    st.floats(1e-3, 1.0),
)
def test_it_never_asks_for_more_than_site_and_board_allow(
    limits: Limits, how: Programming, speed: float, target: float, longest: float
) -> None:
    site = Site(0, 0, "Xe", "it", limits)
    spec = replace(SPEC, sites=(site,), longest_pulse=longest)
    for pulses in program(Device(speed=speed), how, target=target, spec=spec).lists:
        spec.check(pulses)


def test_a_read_outlasts_the_slowest_node_of_the_board() -> None:
    assert read(SPEC, 0, READING).duration == READING.seconds
    slow = replace(SPEC, response_seconds=1e-4)
    assert read(slow, 0, READING).duration == pytest.approx(12e-4)
