"""The shipped devices against measured ones: closed-loop programming and trains of pulses.

What is asserted is what `python -m benchmarks programming trains` prints and docs/reference/devices.md
tells: how many figures are inside the measured 95 % intervals, and how far trains are off.
"""

import pytest

from benchmarks.programming import FIGURES, TRAINS, inside, measured, simulated, train

LEAST = {"W": 12, "Sn": 16, "Cr": 23, "C": 17}
"""Of 24 figures, with the seed of the benchmark."""


@pytest.mark.parametrize("dopant", LEAST)
def test_programming_figures_are_inside_the_measured_intervals_as_often_as_the_page_says(dopant: str) -> None:
    rows = [row for row in measured() if row["dopant"] == dopant]
    assert len(rows) * len(FIGURES) == 24
    assert sum(len(inside(row, simulated(row))) for row in rows) >= LEAST[dopant]


@pytest.mark.parametrize("volts", TRAINS)
def test_a_train_of_pulses_on_tungsten_ends_within_a_quarter_of_the_measured(volts: float) -> None:
    assert train(volts) == pytest.approx(TRAINS[volts][0], rel=0.25)
