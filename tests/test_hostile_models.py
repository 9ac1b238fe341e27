"""Models that lie, fail or answer nonsense, and devices that do not do what any model says.

Whatever they are, no pulse is asked for that site, board or plan do not allow, caps hold, and the session
goes on: the adaptive method takes over, and the outcome says so.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.parts import Site
from labctl.programming.belief import MOST_LOST, Experience
from labctl.programming.checked_response import CheckedResponse, Lost
from labctl.programming.common import IDLE_MOST, LEAST_PROGRESS, Push
from labctl.programming.prediction import Scatter, Threshold
from labctl.programming.predictive import FUTILE, PATIENCE
from labctl.programming.write_verify import Ending, Programming
from labctl.pulse import Pulse, Trace
from tests.test_write_verify import LIMITS, SPEC, Device, Programmed, program
from tests.test_write_verify_predictive import HOW, Formula

NONSENSE = (math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300, 1e-300)
QUESTIONS = ("noise", "seconds", "siemens", "volts", "shift")


class Hostile(Formula):
    """Answers one question, from some number on, with what it must not."""

    def __init__(self, question: str, answer: Any, after: int = 0) -> None:
        super().__init__()
        self.question, self.answer, self.left = question, answer, after

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name != super().__getattribute__("question"):
            return found
        self.left -= 1
        if self.left >= 0:
            return found
        answer = self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer if name == "scatter" else lambda *_, **__: answer


def allowed(done: Programmed, how: Programming) -> None:
    """Board, site and plan allow every pulse that was asked for."""
    for pulses in done.lists:
        SPEC.check(pulses)
    for pulse in done.sent:
        assert how.shortest * (1 - 1e-9) <= pulse.duration <= how.longest * (1 + 1e-9)
        assert np.abs(pulse.volts).max() <= LIMITS.high_volts
    assert len(done.sent) <= how.most_pulses


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("answer", [*NONSENSE, RuntimeError("a bug of theirs"), "text", None])
@pytest.mark.parametrize("question", QUESTIONS)
def test_no_answer_of_a_model_ends_a_session_or_reaches_a_pulse(
    question: str, answer: Any, after: int
) -> None:
    done = program(Device(), HOW, response=Hostile(question, answer, after))  # type: ignore[arg-type]
    allowed(done, HOW)
    assert done.outcome.ending is Ending.DONE


@pytest.mark.parametrize(
    "answer", [(math.nan, 0.0), (1.0, 0.0), (0.0, 0.0), (1e-5, math.nan), (1e-5, -1.0), (1e-5, math.inf), 3.0]
)
def test_a_duration_that_is_not_allowed_is_not_used(answer: Any) -> None:
    done = program(Device(), HOW, response=Hostile("gentlest", answer))  # type: ignore[arg-type]
    allowed(done, HOW)
    assert done.outcome.ending is Ending.DONE
    assert "for gentlest" in done.outcome.reason or "failed at gentlest" in done.outcome.reason


def test_scatter_that_is_no_number_is_not_believed() -> None:
    steady, none = Threshold(0.01, 0.0, 0.0), Threshold(math.nan, 0.0, 0.0)
    for scatter in (Scatter(none, steady, 0.0), Scatter(steady, steady, -1.0), None, ValueError("no")):
        response: Any = Hostile("scatter", scatter)
        with pytest.raises(Lost, match="scatter"):
            CheckedResponse(response)
        done = program(Device(), HOW, response=response)
        assert (done.outcome.ending, "scatter" in done.outcome.reason) == (Ending.DONE, True)


def test_the_wrong_polarity_is_not_a_voltage_for_this_movement() -> None:
    """A model that answers -1 V for a set pulse asks for an erasing one, within all limits."""
    done = program(Device(), HOW, response=Hostile("volts", -1.0))  # type: ignore[arg-type]
    assert all(pulse.volts.min() >= 0 for pulse in done.sent)
    assert "the model answered -1.0 for volts" in done.outcome.reason


def test_after_a_few_sites_a_model_that_misleads_is_not_asked_any_more() -> None:
    experience, asked = Experience(), list[int]()

    class Counting(Hostile):
        def __getattribute__(self, name: str) -> Any:
            if name == "scatter":
                asked.append(1)
            return super().__getattribute__(name)

    model: Any = Counting("volts", math.inf)
    reasons = [program(Device(), HOW, response=model, experience=experience).outcome.reason for _ in range(6)]
    assert experience.misled
    assert (experience.led, experience.lost) == (0, MOST_LOST)
    assert [reason.startswith("the model answered inf") for reason in reasons] == [True] * 3 + [False] * 3
    assert reasons[-1] == "the model was given up on other sites"


def test_a_model_that_mostly_leads_is_asked_again() -> None:
    experience = Experience(led=20, lost=MOST_LOST)
    assert program(Device(), HOW, response=Formula(), experience=experience).outcome.reason == ""
    assert experience.led == 21


# ---- devices -------------------------------------------------------------------------------------


@dataclass
class Lying(Device):
    """Reads are off by a factor that changes from pulse to pulse, and drifts; now and then nothing moves."""

    noise: float = 0.5
    drift: float = 0.0
    deaf: float = 0.0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))
    factor: float = 1.0

    def answer(self, pulse: Pulse) -> Trace:
        """As the plain one, but for what is wrong with this one."""
        before = self.siemens
        found = super().answer(pulse)
        if self.random.random() < self.deaf:
            self.siemens = before
        self.factor *= math.exp(self.drift)
        lie = self.factor * math.exp(self.noise * self.random.standard_normal())
        return replace(found, amps=found.amps * lie)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["adaptive", "predictive"]),
    st.floats(0.0, 0.7),
    st.floats(-0.1, 0.1),
    st.floats(0.0, 1.0),
    st.floats(1e-8, 1e3),
    st.floats(2e-6, 9e-4),
    st.integers(0, 99),
)
def test_no_device_gets_more_than_caps_and_limits_allow(
    method: Any, noise: float, drift: float, deaf: float, speed: float, target: float, seed: int
) -> None:
    how = Programming(method=method, most_energy=3e-6)
    device = Lying(2e-5, speed, noise=noise, drift=drift, deaf=deaf, random=np.random.default_rng(seed))
    done = program(device, how, target=target, response=Formula())
    allowed(done, how)
    strongest = LIMITS.amps * LIMITS.high_volts * how.longest
    assert done.outcome.joules <= how.most_energy + strongest * math.exp(5 * noise + 10 * abs(drift) * 100)
    assert done.outcome.pulses == len(done.sent)


@pytest.mark.parametrize("response", [0.0, 1e-6, 1e6])
def test_a_device_that_is_nothing_like_the_model_is_brought_there_all_the_same(response: float) -> None:
    done = program(Device(), HOW, response=Formula(speed=response))
    assert done.outcome.ending is Ending.DONE
    assert len(done.sent) <= PATIENCE + 30


STRONGEST = 0.999 * LIMITS.high_volts


def strongest(done: Programmed, how: Programming) -> int:
    return sum(
        np.abs(pulse.volts).max() > STRONGEST and pulse.duration > 0.999 * how.longest for pulse in done.sent
    )


@pytest.mark.parametrize("target", [900e-6, 2e-6], ids=["up", "down"])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.08])
@pytest.mark.parametrize("method", ["adaptive", "predictive"])
def test_a_stuck_device_gets_few_of_the_strongest_pulses_however_noisy_it_reads(
    method: Any, noise: float, target: float
) -> None:
    """Noise looks like a movement: with 1 %, every other pulse seems to move a stuck device."""
    how = Programming(method=method)
    for seed in range(10):
        device = Lying(5e-5, speed=0.0, noise=noise, random=np.random.default_rng(seed))
        done = program(device, how, target=target, response=Formula(pulse_to_pulse=noise))
        assert done.outcome.ending is Ending.STUCK
        assert strongest(done, how) <= 4 * IDLE_MOST
        assert len(done.sent) <= PATIENCE + 40


class Slow(Device):
    """The strongest pulses alone move it, by 1 uS."""

    def answer(self, pulse: Pulse) -> Trace:
        """As the plain one, but for the movement."""
        found = super().answer(pulse)
        if np.abs(pulse.volts).max() > STRONGEST:
            self.siemens += math.copysign(1e-6, pulse.volts.sum())
        return found


@pytest.mark.parametrize("method", ["adaptive", "predictive"])
def test_a_slow_device_is_not_stuck(method: Any) -> None:
    """Its steps are half a percent of ln G: few, but there are pulses enough."""
    how = Programming(method=method, most_pulses=300)
    done = program(Slow(150e-6, speed=0.0), how, target=250e-6, response=Formula())
    assert done.outcome.ending is Ending.DONE
    assert 90 < len(done.sent) < 200


def test_pushes_that_lead_nowhere_add_up() -> None:
    push = Push(+1)
    for after in (1.01, 0.99, 1.015):  # of a device that does not move, read with noise
        push.see(1.0, after, LEAST_PROGRESS)
        push.moved = math.log(after)
    assert push.idle == 3
    push.see(1.015, 1.2, LEAST_PROGRESS)
    assert (push.idle, push.moved, push.due) == (0, 0.0, 0.0)
    down = Push(-1)
    down.see(0.0, 0.0, LEAST_PROGRESS)
    assert down.idle == 1  # an open device


def test_a_model_whose_pulses_lead_nowhere_is_given_up_before_its_patience_ends() -> None:
    device = Lying(5e-5, speed=0.0, noise=0.08)
    done = program(device, HOW, target=900e-6, response=Formula(pulse_to_pulse=0.08))
    assert done.outcome.ending is Ending.STUCK
    assert "led nowhere" in done.outcome.reason or len(done.sent) <= FUTILE + IDLE_MOST


# ---- specs that leave no room --------------------------------------------------------------------


def limited(**limits: float) -> Any:
    return replace(SPEC, sites=(Site(0, 0, "Xe", "it", replace(LIMITS, **limits)),))


@pytest.mark.parametrize("method", ["adaptive", "predictive"])
def test_where_the_shortest_pulse_is_longer_than_the_longest_nothing_is_sent(method: Any) -> None:
    """It is not clipped to a pulse that is shorter than the plan allows."""
    how = Programming(method=method, shortest=1e-4)
    done = program(Device(), how, spec=limited(seconds=1e-5), response=Formula())
    assert (done.outcome.ending, done.sent) == (Ending.LIMIT, [])
    assert "a pulse of 0.0001 s or more, where 1e-05 s are allowed" in done.outcome.reason


@pytest.mark.parametrize("method", ["adaptive", "predictive"])
def test_where_no_voltage_erases_a_site_that_is_too_high_is_given_up(method: Any) -> None:
    how, spec = Programming(method=method), limited(low_volts=0.0)
    done = program(Device(500e-6), how, spec=spec, response=Formula())
    assert done.outcome.ending is Ending.STUCK
    assert len(done.sent) <= 20
    for pulses in done.lists:
        spec.check(pulses)


def test_limits_of_nothing_allow_nothing() -> None:
    spec = limited(high_volts=1e-9)
    done = program(Device(speed=1e-9), HOW, spec=spec, response=Formula())
    assert done.outcome.ending is Ending.STUCK
    assert len(done.sent) <= FUTILE + 20
