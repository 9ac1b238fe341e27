"""Spectra, Allan deviations and telegraph levels of series whose answer is known; all seeded."""

import math

import numpy as np
import pytest

from labctl.characterize.spectrum import (
    allan,
    flicker,
    sampled,
    shot_density,
    straightened,
    thermal_density,
    welch,
)
from labctl.characterize.telegraph import telegraph
from labctl.pulse import Floats

PERIOD = 0.01
COUNT = 2048


def white(seed: int, sd: float = 0.01) -> Floats:
    return np.random.default_rng(seed).normal(0.0, sd, COUNT)


def coloured(seed: int, exponent: float, at_1_hertz: float) -> Floats:
    """One-sided density at_1_hertz / f^exponent [1/Hz], cut from a series eight times as long."""
    generator, count = np.random.default_rng(seed), 8 * COUNT
    hertz = np.fft.rfftfreq(count, PERIOD)[1:]
    power = at_1_hertz / hertz**exponent * count / (2 * PERIOD)  # E|X|^2 of a density S: S n / (2 dt)
    lines = np.sqrt(power / 2) * (generator.normal(size=len(hertz)) + 1j * generator.normal(size=len(hertz)))
    return np.fft.irfft(np.concatenate([[0.0], lines]), count)[:COUNT]


def levels(seed: int, apart: float, stays: tuple[float, float] = (30, 20)) -> Floats:
    """Two levels `apart`, left with the chance 1 / stay a step, in white noise of width 1."""
    generator, state, found = np.random.default_rng(seed), 0, np.empty(COUNT)
    for place in range(COUNT):
        state = 1 - state if generator.random() < 1 / stays[state] else state
        found[place] = apart * state + generator.normal()
    return found


# ---- spectrum ----------------------------------------------------------------------------------


def test_a_spectrum_of_white_noise_is_flat_at_twice_the_variance_times_the_period() -> None:
    found = welch(white(1), PERIOD)
    assert found.density.mean() == pytest.approx(2 * 0.01**2 * PERIOD, rel=0.05)
    assert found.hertz[-1] == pytest.approx(0.5 / PERIOD)


def test_the_integral_of_a_spectrum_is_the_variance() -> None:
    values = white(2)
    found = welch(values, PERIOD)
    assert found.density.sum() * found.hertz[0] == pytest.approx(values.var(), rel=0.05)


def test_the_interval_of_a_bin_holds_the_truth_as_often_as_it_says() -> None:
    truth = 2 * 0.01**2 * PERIOD
    found = welch(white(3), PERIOD)
    inside = (found.low[1:-1] <= truth) & (truth <= found.high[1:-1])
    assert 0.9 <= inside.mean() <= 1.0


def test_white_noise_has_no_exponent() -> None:
    found = [flicker(white(seed), PERIOD) for seed in range(20)]
    assert sum(math.isnan(one.exponent) for one in found) >= 19
    assert found[0].white == pytest.approx(2 * 0.01**2 * PERIOD, rel=0.1)


@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.4, 2.0])
def test_the_exponent_of_coloured_noise_is_found_within_its_error(exponent: float) -> None:
    found = [flicker(coloured(seed, exponent, 1e-4), PERIOD) for seed in range(12)]
    values, errors = (
        np.array([getattr(one, name) for one in found]) for name in ("exponent", "exponent_error")
    )
    assert values.mean() == pytest.approx(exponent, abs=0.1)
    assert np.sum(np.abs(values - exponent) < 2 * errors) >= 10
    assert values.std() < 1.5 * errors.mean()


def test_a_floor_under_flicker_noise_is_found_and_so_is_their_corner() -> None:
    density = 2 * 0.01**2 * PERIOD
    at_1_hertz = 5 * density  # the corner is at 5 Hz
    found = [flicker(coloured(seed, 1.0, at_1_hertz) + white(100 + seed), PERIOD) for seed in range(12)]
    assert np.median([one.exponent for one in found]) == pytest.approx(1.0, abs=0.25)
    assert np.median([one.white for one in found]) == pytest.approx(density, rel=0.2)
    assert np.median([one.corner for one in found]) == pytest.approx(5.0, rel=0.6)


def test_a_drift_is_no_flicker_noise() -> None:
    straight = white(4) + np.linspace(0.0, 1.0, COUNT)
    assert math.isnan(flicker(straight, PERIOD).exponent)
    crooked = np.linspace(0.0, 1.0, COUNT) ** 3 + white(5, 1e-6)
    assert not flicker(crooked, PERIOD).exponent < 3


@pytest.mark.parametrize("values", [np.zeros(COUNT), np.ones(COUNT), np.zeros(3), np.zeros(0)])
def test_no_noise_is_no_crash(values: Floats) -> None:
    found = flicker(values, PERIOD)
    assert math.isnan(found.exponent)
    assert not found.white > 0
    assert not telegraph(values, PERIOD).found


def test_a_straight_line_is_taken_off() -> None:
    assert straightened(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(np.zeros(4), abs=1e-12)


# ---- Allan deviation ---------------------------------------------------------------------------


def test_an_allan_deviation_by_hand() -> None:
    # differences 1, -2, 3: avar(1) = (1 + 4 + 9)/(2 * 3); second differences of sums over 2: -1, 1
    found = allan(np.array([0.0, 1.0, -1.0, 2.0]), 1.0)
    assert found.deviation[0] == pytest.approx(math.sqrt(14 / 6))
    longer = allan(np.tile([0.0, 1.0, -1.0, 2.0], 2), 1.0)
    assert longer.seconds.tolist() == [1.0, 2.0]
    sums = np.cumsum([0.0, 0, 1, -1, 2, 0, 1, -1, 2])
    twos = [(sums[j + 4] - 2 * sums[j + 2] + sums[j]) ** 2 for j in range(5)]
    assert longer.deviation[1] == pytest.approx(math.sqrt(sum(twos) / (2 * 4 * 5)))


def test_white_noise_averages_down_with_the_root_of_time() -> None:
    found = allan(white(6), PERIOD)
    assert found.deviation[0] == pytest.approx(0.01, rel=0.05)
    assert found.slope(late=False).slope == pytest.approx(-0.5, abs=0.05)
    theory = 0.01 * np.sqrt(PERIOD / found.seconds)
    assert np.mean((found.low <= theory) & (theory <= found.high)) >= 0.9


def test_flicker_noise_does_not_average_down() -> None:
    found = [allan(coloured(seed, 1.0, 1e-4), PERIOD) for seed in range(8)]
    assert np.mean([one.slope(late=False).slope for one in found]) == pytest.approx(0.0, abs=0.1)
    level = math.sqrt(2 * math.log(2) * 1e-4)  # NIST SP 1065, table 5: avar = 2 ln 2 h
    assert np.mean([one.deviation.mean() for one in found]) == pytest.approx(level, rel=0.15)


def test_a_drift_grows_with_time_and_has_its_floor_before() -> None:
    slope = 0.2
    found = allan(white(7) + slope * PERIOD * np.arange(COUNT), PERIOD)
    assert found.slope(late=True).slope == pytest.approx(1.0, abs=0.15)
    assert found.deviation[-1] == pytest.approx(slope * found.seconds[-1] / math.sqrt(2), rel=0.05)
    best = (0.01**2 * PERIOD / slope**2) ** (1 / 3)  # where d/dtau of s^2 T/tau + (slope tau)^2/2 is 0
    assert found.floor[1] == pytest.approx(best, rel=0.6)


# ---- two levels --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_two_levels_are_found_with_their_distance_and_times(seed: int) -> None:
    found = telegraph(levels(seed, 6.0), PERIOD)
    assert found.found, found.reason
    assert found.high - found.low == pytest.approx(6.0, abs=0.3)
    assert found.width == pytest.approx(1.0, abs=0.1)
    assert found.seconds_low == pytest.approx(30 * PERIOD, rel=0.5)
    assert found.seconds_high == pytest.approx(20 * PERIOD, rel=0.5)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.5, 2.0])
def test_noise_without_levels_is_no_telegraph_noise(exponent: float) -> None:
    found = [telegraph(coloured(seed, exponent, 1.0), PERIOD) for seed in range(25)]
    assert sum(one.found for one in found) == 0


def test_one_step_is_a_jump_and_no_telegraph_noise() -> None:
    found = telegraph(white(8, 1.0) + np.where(np.arange(COUNT) < 700, 0.0, 20.0), PERIOD)
    assert not found.found
    assert found.reason == "only 1 change of level"


def test_levels_closer_than_the_noise_are_not_told_apart() -> None:
    assert not telegraph(levels(9, 1.0), PERIOD).found


# ---- theory ------------------------------------------------------------------------------------


def test_floors_by_hand() -> None:
    assert thermal_density(1e-4, 300.0) == pytest.approx(
        1.6568e-24, rel=1e-4
    )  # 4 * 1.380649e-23 * 300 * 1e-4
    assert shot_density(-1e-5) == pytest.approx(3.2044e-24, rel=1e-4)
    # averages over 1 ms of white noise S have the variance S/(2 * 1 ms); read every 10 ms: ten times S
    assert sampled(1.0, 0.01, 0.001) == pytest.approx(10.0)
    generator = np.random.default_rng(10)
    reads = generator.normal(0.0, math.sqrt(1 / (2 * 0.001)), COUNT)
    assert welch(reads, 0.01).density.mean() == pytest.approx(10.0, rel=0.05)
