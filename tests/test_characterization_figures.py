"""Pictures of programming, write-verify, endurance, retention and noise: they say what the rows say."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.characterize import PROCEDURES
from labctl.characterize.procedure import AnyProcedure, Row
from labctl.report.characterization import PICTURES
from labctl.report.quantities import cumulative, log_axis, shared_range
from labctl.report.shown import Shown
from labctl.report.style import Figure, axes, house_style, save, sheet
from tests.switches import SPEC, Switch, driven

MADE: dict[str, dict[str, Any]] = {
    "programming": {"cycles": 5},
    "write_verify": {"cycles": 2, "patience": 100},
    "endurance": {"cycles": 100},
    "retention": {"last": 10.0},
    "noise": {"reads": 128},
}


def procedure(name: str) -> AnyProcedure:
    made = PROCEDURES[name]
    return made(made.Settings(**MADE[name]))


def shown(name: str, rows: Sequence[Row]) -> Shown:
    made = procedure(name)
    figures = {**made.summary(SPEC, 0, rows), "ended": "done"}
    return Shown("run-1", "bench", SPEC, 0, name, made, rows, figures, lambda: iter(()))


def noisy() -> Switch:
    values = np.exp(0.01 * np.random.default_rng(0).normal(size=1000))
    return Switch(siemens=1e-4, read=lambda siemens, number: float(siemens * values[number]))


DEVICES: dict[str, Callable[[], Switch]] = {
    "noisy": noisy,
    "silent": Switch,
    "dead": lambda: Switch(throws_at=10.0),
    "open": lambda: Switch(siemens=0.0, low=0.0, high=0.0),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", MADE)
def test_every_device_gives_a_picture_or_none_but_no_crash(name: str, device: str, tmp_path: Path) -> None:
    rows = driven(procedure(name), DEVICES[device]())
    with house_style():
        figure = PICTURES[name](shown(name, rows))
        if device == "noisy":
            assert figure is not None
        if figure is not None:
            assert save(figure, tmp_path / "it.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", MADE)
def test_a_step_without_rows_has_no_picture(name: str) -> None:
    assert PICTURES[name](shown(name, [])) is None


def texts(figure: Figure) -> str:
    """Everything that is written outside the axes."""
    return " ".join(text.get_text() for text in figure.texts)


def test_headings_carry_the_figures() -> None:
    with house_style():
        told = texts(
            PICTURES["programming"](shown("programming", driven(procedure("programming"), Switch())))
        )
        assert "5 of 5 cycles set, 100 % by the first pulse" in told
        told = texts(PICTURES["endurance"](shown("endurance", driven(procedure("endurance"), Switch()))))
        assert "100 cycles, no failure" in told
        worn = driven(procedure("endurance"), Switch(throws_at=10.0))
        assert "it never switched at cycle 1" in texts(PICTURES["endurance"](shown("endurance", worn)))
        told = texts(PICTURES["retention"](shown("retention", driven(procedure("retention"), Switch()))))
        assert "as it was" in told
        told = texts(PICTURES["noise"](shown("noise", driven(procedure("noise"), noisy()))))
        assert "no 1/f noise above white noise, no telegraph levels" in told
        drifting = Switch(siemens=1e-4, read=lambda siemens, number: siemens * math.exp(1e-5 * number))
        told = texts(PICTURES["noise"](shown("noise", driven(procedure("noise"), drifting))))
        assert "it drifts by -1 % a second, no telegraph levels" in told
        moved = Switch(siemens=1e-4, read=lambda siemens, number: siemens * 1.01**number)
        told = texts(PICTURES["retention"](shown("retention", driven(procedure("retention"), moved))))
        assert "in as many reads alone: they move it" in told


@pytest.mark.parametrize(
    ("limits", "unit", "labels"),
    [
        ((900.0, 2e5), "Ω", ["1 kΩ", "10 kΩ", "100 kΩ"]),
        ((1.5e-7, 2e-4), "", ["10⁻⁶", "10⁻⁵", "10⁻⁴"]),
        ((0.9, 12.0), "", ["1", "2", "5", "10"]),
        ((3e5, 8e6), "", ["5·10⁵", "10⁶", "2·10⁶", "5·10⁶"]),
    ],
)
def test_logarithmic_axes_carry_round_quantities(
    limits: tuple[float, float], unit: str, labels: list[str]
) -> None:
    with house_style():
        figure = sheet(4, 4, "", "", "")
        spot = axes(figure, 1, 1, 2, 2)
        spot.set_xlim(*limits)
        log_axis(spot, "x", unit)
        figure.canvas.draw()
        ticks = zip(spot.get_xticks(), spot.get_xticklabels(), strict=True)
        assert [text.get_text() for value, text in ticks if limits[0] <= value <= limits[1]] == labels


def test_a_range_without_values_is_a_range() -> None:
    low, high = shared_range(np.array([np.nan, np.inf, 0.0, -1.0]))
    assert 0 < low < high


def test_cumulative_shares_by_hand() -> None:
    ordered, share = cumulative(np.array([3.0, 1.0]))
    assert (ordered.tolist(), share.tolist()) == ([1.0, 3.0], [0.25, 0.75])
