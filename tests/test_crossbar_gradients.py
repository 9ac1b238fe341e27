"""Derivatives of a crossbar's outputs, against finite differences of solves and hand calculations."""

from typing import Any

import numpy as np
import pytest

from labctl.errors import Refused
from labctl.pulse import Floats
from sim_backend.crossbar import Crossbar, solve
from sim_backend.crossbar.gradients import gradients

ROWS, COLUMNS, VECTORS = 5, 4, 3
CLOSE = 1e-7
"""Of the largest derivative of its kind; what rounding leaves of a difference of two solves."""


def case(row_wire: float, column_wire: float, far: bool, seed: int = 3) -> dict[str, Any]:
    """What a `Crossbar` is made of."""
    draw = np.random.default_rng(seed)
    return {
        "siemens": draw.uniform(1e-4, 1e-3, (ROWS, COLUMNS)),
        "source_ohms": draw.uniform(20, 200, ROWS),
        "sink_ohms": draw.uniform(20, 200, COLUMNS),
        "row_wire_ohms": row_wire,
        "column_wire_ohms": column_wire,
        "far_source_ohms": draw.uniform(20, 200, ROWS) if far else None,
        "far_sink_ohms": draw.uniform(20, 200, COLUMNS) if far else None,
    }


def drawn(seed: int = 4) -> tuple[Floats, Floats]:
    draw = np.random.default_rng(seed)
    return draw.uniform(-1, 1, (VECTORS, ROWS)), draw.uniform(-1, 1, (VECTORS, COLUMNS))


def weighed(parts: dict[str, Any], volts: Floats, upstream: Floats) -> float:
    return float((solve(Crossbar(**parts), volts, tolerance=1e-13).outputs * upstream).sum())


def differences(parts: dict[str, Any], name: str, volts: Floats, upstream: Floats) -> Floats:
    """By what the sum changes for a change of each number of this name: to both sides, or upwards from 0."""
    values = np.asarray(parts[name], dtype=np.float64)
    step = 3e-4 * max(float(np.abs(values).max()), 1.0 if values.max() == 0 else 0.0)
    found = np.zeros(values.shape)
    for place in np.ndindex(values.shape):

        def at(times: float, place: tuple[int, ...] = place) -> float:
            moved = values.copy()
            moved[place] += times * step
            return weighed(parts | {name: moved[()]}, volts, upstream)

        if values[place] > 2 * step:
            found[place] = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
        else:
            found[place] = (-25 * at(0) + 48 * at(1) - 36 * at(2) + 16 * at(3) - 3 * at(4)) / (12 * step)
    return found


@pytest.mark.parametrize(
    ("row_wire", "column_wire", "far"),
    [(0, 0, False), (2, 3, False), (2, 0, False), (1, 2, True), (0, 0, True), (0, 4, True), (50, 80, False)],
)
def test_derivatives_are_those_of_finite_differences(row_wire: float, column_wire: float, far: bool) -> None:
    parts, (volts, upstream) = case(row_wire, column_wire, far), drawn()
    found = gradients(Crossbar(**parts), volts, upstream, tolerance=1e-12)
    for name, value in parts.items():
        if value is None:
            assert getattr(found, name) is None
        else:
            expected = differences(parts, name, volts, upstream)
            assert getattr(found, name) == pytest.approx(
                expected, rel=0, abs=CLOSE * np.abs(expected).max()
            ), name


def test_derivatives_by_voltages_are_the_effective_conductances() -> None:
    parts, (volts, upstream) = case(2, 3, False), drawn()
    found = gradients(Crossbar(**parts), volts, upstream)
    effective = solve(Crossbar(**parts), np.eye(ROWS)).outputs
    assert found.volts == pytest.approx(upstream @ effective.T, rel=1e-9)


def test_one_device_between_two_resistors() -> None:
    g, rs, rn, volts = 1e-3, 300.0, 200.0, 0.7
    found = gradients(Crossbar([[g]], rs, rn), [volts], [1.0])
    total = 1 / g + rs + rn
    assert found.siemens[0, 0] == pytest.approx(volts / (g * total) ** 2, rel=1e-12)
    assert found.source_ohms[0] == pytest.approx(-volts / total**2, rel=1e-12)
    assert found.sink_ohms[0] == pytest.approx(-volts / total**2, rel=1e-12)
    assert found.volts[0, 0] == pytest.approx(1 / total, rel=1e-12)


def test_a_missing_device_and_ends_of_0_ohm_have_derivatives() -> None:
    parts, (volts, upstream) = case(2, 3, False), drawn()
    parts["siemens"][2, 1] = 0.0
    parts["source_ohms"], parts["sink_ohms"] = np.zeros(ROWS), np.zeros(COLUMNS)
    found = gradients(Crossbar(**parts), volts, upstream, tolerance=1e-12)
    for name in ("siemens", "source_ohms", "sink_ohms"):
        step = 1e-6 if name == "siemens" else 1e-2
        for place in [(2, 1)] if name == "siemens" else [(0,), (3,)]:
            sums = []
            for times in range(5):
                moved = np.array(parts[name])
                moved[place] += times * step
                sums.append(weighed(parts | {name: moved}, volts, upstream))
            expected = float(np.dot([-25, 48, -36, 16, -3], sums)) / (12 * step)
            assert getattr(found, name)[place] == pytest.approx(expected, rel=1e-5)


def test_sums_over_vectors_are_sums() -> None:
    parts, (volts, upstream) = case(2, 3, True), drawn()
    bar = Crossbar(**parts)
    together = gradients(bar, volts, upstream)
    alone = [gradients(bar, one, other) for one, other in zip(volts, upstream, strict=True)]
    assert together.siemens == pytest.approx(sum(one.siemens for one in alone), rel=1e-9)
    assert together.row_wire_ohms == pytest.approx(sum(one.row_wire_ohms for one in alone), rel=1e-9)
    assert together.volts == pytest.approx(np.vstack([one.volts for one in alone]), rel=1e-9)


@pytest.mark.parametrize("weights", [np.ones(ROWS), np.ones((2, COLUMNS)), np.full(COLUMNS, np.nan)])
def test_weights_of_another_shape_are_refused(weights: Floats) -> None:
    with pytest.raises(Refused):
        gradients(Crossbar(**case(0, 0, False)), np.ones(ROWS), weights)
