"""Intervals and slopes, against tables and sums that can be done by hand."""

import math

import numpy as np
import pytest

from labctl.estimates import bootstrap, line, spread, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # 44 of 100: centre (.44 + 1.9207/100)/1.038415 = .44222, half 1.96/1.038415 sqrt(.002464 + 9.604e-5)
        (44, 100, 0.3467, 0.5377),
        (0, 10, 0.0, 0.2775),  # z^2/(n + z^2) = 3.8415/13.8415
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_wilson_against_a_hand_calculation(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson(successes, trials)
    assert found == pytest.approx((successes / trials, low, high), abs=1e-4)


def test_a_share_of_nothing_is_not_known() -> None:
    assert all(map(math.isnan, wilson(0, 0)))


def test_a_bootstrap_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    found = bootstrap(values, np.mean)
    half = 1.96 * values.std() / math.sqrt(400)
    assert found.value == values.mean()
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.15 * half)


def test_a_bootstrap_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    intervals = [bootstrap(generator.normal(0.0, 1.0, 100), np.median) for _ in range(100)]
    assert 88 <= sum(one.low <= 0.0 <= one.high for one in intervals) <= 100


def test_the_same_values_have_the_same_interval() -> None:
    values = np.arange(20.0)
    assert bootstrap(values, np.median) == bootstrap(values, np.median)


def test_one_value_has_no_interval_and_none_has_no_value() -> None:
    assert bootstrap(np.array([5.0]), np.median)[0] == 5.0
    assert math.isnan(bootstrap(np.array([5.0]), np.median).low)
    assert math.isnan(bootstrap(np.array([]), np.median).value)


def test_a_median_with_open_devices_may_be_infinite_and_is_no_nan() -> None:
    found = bootstrap(np.array([1.0, math.inf, math.inf, math.inf, math.inf]), np.median)
    assert found.value == found.high == math.inf
    assert not math.isnan(found.low)


def test_a_spread_counts_one_degree_of_freedom_for_the_mean() -> None:
    assert spread(np.array([1.0, 3.0])) == pytest.approx(math.sqrt(2.0))
    assert math.isnan(spread(np.array([1.0])))


def test_a_line_by_hand() -> None:
    # y = 1, 3, 4 at x = 0, 1, 2: slope 3/2, intercept 7/6, residuals -1/6, 2/6, -1/6: s^2 = 1/6
    found = line(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 4.0]))
    assert (found.slope, found.intercept) == pytest.approx((1.5, 7 / 6))
    assert found.slope_error == pytest.approx(math.sqrt(1 / 6 / 2))
    assert found.intercept_error == pytest.approx(math.sqrt(1 / 6 * (1 / 3 + 1 / 2)))
    assert found.scatter == pytest.approx(math.sqrt(1 / 6))


def test_a_line_that_is_not_determined_is_nan() -> None:
    assert math.isnan(line(np.array([1.0, 1.0]), np.array([0.0, 1.0])).slope)
    assert math.isnan(line(np.array([]), np.array([])).slope)
    assert math.isnan(line(np.array([0.0, 1.0]), np.array([0.0, 1.0])).slope_error)


def test_weights_count_like_points_that_come_twice() -> None:
    x, y = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 4.0])
    twice = line(np.append(x, 2.0), np.append(y, 4.0))
    assert line(x, y, np.array([1.0, 1.0, 2.0])).slope == pytest.approx(twice.slope)
