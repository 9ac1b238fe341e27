"""Shapes, corner by corner."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from labctl.errors import Refused
from labctl.shapes import (
    Wave,
    half_sine,
    join,
    samples,
    sawtooth,
    sine,
    square,
    staircase,
    triangle,
)


def corners(wave: Wave) -> list[tuple[float, float]]:
    """Seconds and volts of each corner."""
    return list(zip(wave.seconds.tolist(), wave.volts.tolist(), strict=True))


def test_a_square_is_flat_between_its_edges() -> None:
    assert corners(square(-0.5, 8.0, 1.0)) == [(0, 0), (1, -0.5), (7, -0.5), (8, 0)]


def test_edges_take_a_hundredth_unless_told() -> None:
    assert corners(square(2.0, 100.0)) == [(0, 0), (1, 2), (99, 2), (100, 0)]
    assert corners(sawtooth(2.0, 100.0)) == [(0, 0), (99, 2), (100, 0)]


def test_a_triangle_peaks_at_half_time() -> None:
    assert corners(triangle(-1.5, 4.0)) == [(0, 0), (2, -1.5), (4, 0)]


def test_a_sawtooth_rises_slowly_and_falls_fast() -> None:
    assert corners(sawtooth(3.0, 4.0, 1.0)) == [(0, 0), (3, 3), (4, 0)]


def test_a_staircase_begins_and_ends_at_zero_and_joins_its_levels_by_edges() -> None:
    assert corners(staircase([0.5, -1.0], 4.0, 1.0)) == [
        (0, 0),
        (1, 0.5),
        (4, 0.5),
        (5, -1),
        (8, -1),
        (9, 0),
    ]


def test_samples_stand_a_step_apart() -> None:
    assert corners(samples([1.0, 0.0, 3.0], 2.0)) == [(0, 1), (2, 0), (4, 3)]


@pytest.mark.parametrize("volts", [2.0, -0.3])
def test_a_half_sine_is_off_by_no_more_than_its_chords(volts: float) -> None:
    wave = half_sine(volts, 1e-3)
    fine = np.linspace(0.0, 1e-3, 100_001)
    off = np.interp(fine, wave.seconds, wave.volts) - volts * np.sin(math.pi * fine / 1e-3)
    bound = (math.pi / 40) ** 2 / 8 * abs(volts)
    assert 0.9 * bound < np.abs(off).max() <= bound * (1 + 1e-6)
    assert corners(wave)[0] == (0, 0)
    assert wave.volts[-1] == 0.0
    assert wave.volts[20] == volts


def test_a_sine_is_two_halves_of_opposite_sign() -> None:
    wave = sine(1.0, 2.0)
    assert np.interp([0.5, 1.0, 1.5], wave.seconds, wave.volts) == pytest.approx([1.0, 0.0, -1.0], abs=1e-12)
    assert wave.seconds[-1] == pytest.approx(2.0)
    assert np.all(np.diff(wave.seconds) > 0)


def test_waves_that_meet_are_joined_without_a_second_corner() -> None:
    both = join(samples([0.0, 1.0], 1.0), samples([1.0, -1.0], 2.0))
    assert corners(both) == [(0, 0), (1, 1), (3, -1)]


def test_waves_that_do_not_meet_are_refused() -> None:
    with pytest.raises(Refused, match="before one that begins"):
        join(samples([0.0, 1.0], 1.0), samples([0.0, 1.0], 1.0))


@pytest.mark.parametrize("seconds", [0.0, -1e-3, math.nan, math.inf])
@pytest.mark.parametrize(
    "make",
    [
        square,
        half_sine,
        sine,
        triangle,
        sawtooth,
        lambda v, s: staircase([v], s),
        lambda v, s: samples([v, v], s),
    ],
    ids=["square", "half sine", "sine", "triangle", "sawtooth", "staircase", "samples"],
)
def test_no_shape_lasts_no_time_or_for_ever(make: Callable[[float, float], Wave], seconds: float) -> None:
    with pytest.raises(Refused, match="cannot be made"):
        make(1.0, seconds)


@pytest.mark.parametrize(
    "make",
    [
        lambda: square(1.0, 2.0, 1.0),  # no top is left
        lambda: square(1.0, 2.0, 0.0),
        lambda: square(1.0, 2.0, math.nan),
        lambda: sawtooth(1.0, 2.0, 2.0),
        lambda: staircase([1.0], 2.0, 2.0),
        lambda: staircase([], 2.0),
        lambda: samples([1.0], 2.0),
    ],
)
def test_shapes_without_room_are_refused(make: Callable[[], Wave]) -> None:
    with pytest.raises(Refused, match="cannot be made"):
        make()
