"""Pictures of loops, thresholds, trains and resistance: what is on their axes is what was measured."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.characterize import PROCEDURES
from labctl.characterize.iv import IV, IVSettings
from labctl.characterize.procedure import AnyProcedure, Row
from labctl.energy import Ledger
from labctl.journal import Outcome, Stored
from labctl.parts import Shapes
from labctl.plan import Plan
from labctl.pulse import Pulse, Trace
from labctl.report import iv
from labctl.report.characterization import PICTURES
from labctl.report.response import trains_of
from labctl.report.shown import Shown
from labctl.report.style import Figure, house_style, save
from labctl.session import run
from tests.boards import OHMS, SPEC, NullBoard

MADE: dict[str, dict[str, Any]] = {
    "iv": {"cycles": 3},
    "threshold": {"cycles": 2, "step": 0.2},
    "response": {"pulses": 3, "set_volts": (0.4, 0.8), "reset_volts": (0.5,), "widths": (1e-4, 1e-3)},
    "resistance": {"levels": 8},
}


def procedure(name: str) -> AnyProcedure:
    made = PROCEDURES[name]
    return made(made.Settings(**MADE[name]))


def shown(name: str) -> Shown:
    """What the procedure finds on a resistor, with its pulses as a journal keeps them."""
    made, rows, kept = procedure(name), list[Row](), list[Stored]()

    def keep(pulses: Any, traces: Any, _booked: Any) -> None:
        for pulse, trace in zip(pulses, traces, strict=True):
            kept.append(stored(len(kept) + 1, pulse, trace))

    with NullBoard() as board:
        plan: Plan[None] = made.plan(SPEC, 0, rows)
        run(plan, board, ledger=Ledger(), observer=keep)

    def entries() -> Iterator[Stored]:
        return iter(kept)

    figures = {**made.summary(SPEC, 0, rows), "ended": "done"}
    return Shown("run-1", "bench", SPEC, 0, name, made, rows, figures, entries)


def stored(number: int, pulse: Pulse, trace: Trace) -> Stored:
    return Stored(number, number, pulse, Outcome.MEASURED, trace=trace)


def drawn(one: Shown) -> Figure:
    with house_style():
        figure = PICTURES[one.procedure.name](one)
    assert figure is not None
    return figure


def test_every_procedure_that_moves_a_device_has_a_picture() -> None:
    assert {name for name, one in PROCEDURES.items() if one.wears} <= set(PICTURES) <= set(PROCEDURES)


@pytest.mark.parametrize("name", MADE)
def test_a_picture_says_which_device_and_run(name: str, tmp_path: Path) -> None:
    with house_style():
        figure = PICTURES[name](one := shown(name))
        assert figure is not None
        path = save(figure, tmp_path / "one.png")
    texts = [text.get_text() for text in figure.texts]
    assert any(text.endswith("W, site (0, 0)") for text in texts)
    assert any("run run-1" in text and f"{len(one.rows)} rows" in text for text in texts)
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize("name", MADE)
def test_the_same_rows_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    one = shown(name)
    with house_style():
        paths = [save(PICTURES[name](one), tmp_path / f"{number}.png") for number in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("name", MADE)
def test_without_rows_nothing_is_drawn(name: str) -> None:
    one = replace(shown(name), rows=[], entries=lambda: iter(()))
    assert PICTURES[name](one) is None


def test_the_loops_of_a_resistor_are_straight_lines() -> None:
    spot = drawn(shown("iv")).axes[0]
    loops = [line for line in spot.lines if len(line.get_xdata()) > 2]
    assert len(loops) == 3
    for line in loops:
        amps = np.asarray(line.get_ydata()) * 1e-6  # the axis is in microamps
        assert amps == pytest.approx(np.asarray(line.get_xdata()) / OHMS)


def test_of_many_loops_some_are_drawn_and_the_last_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iv, "MOST_DRAWN", 2)
    assert len(iv.loops_of(shown("iv"))) == 2


def test_loops_whose_waveforms_were_dropped_are_not_drawn() -> None:
    one = shown("iv")
    kept = [replace(entry, trace=None) for entry in one.entries()]
    assert PICTURES["iv"](replace(one, entries=lambda: iter(kept))) is None


def test_trains_are_averaged_over_their_cycles() -> None:
    def row(cycle: float, pulse: float, siemens: float) -> Row:
        return {
            "cycle": cycle,
            "direction": "set",
            "volts": 0.5,
            "width": 1e-3,
            "pulse": pulse,
            "siemens": siemens,
        }

    rows = [row(1.0, 0.0, 1e-5), row(1.0, 1.0, 2e-5), row(2.0, 0.0, 3e-5), row(2.0, 1.0, 6e-5)]
    found = trains_of(rows, "set")
    assert (found.volts, found.widths) == ([0.5], [1e-3])
    assert found.siemens.tolist() == [[pytest.approx([2e-5, 4e-5])]]
    assert trains_of(rows, "reset").volts == []


def test_the_line_of_a_resistor_is_drawn_through_its_points() -> None:
    spot = drawn(shown("resistance")).axes[0]
    line = spot.lines[-1]
    (_, far), (_, volts) = line.get_xdata(), line.get_ydata()
    assert volts / (far * 1e-6) == pytest.approx(OHMS)


def test_a_threshold_that_was_not_found_is_said_so() -> None:
    titles = [spot.get_title(loc="left") for spot in drawn(shown("threshold")).axes]
    assert titles == ["Set: not found", "Reset: not found"]


def test_the_heading_of_loops_says_what_was_driven() -> None:
    found = shown("iv")
    assert heading_of(found).startswith("triangle of 1 V at 10 Hz")
    steps = replace(found, spec=replace(SPEC, shapes=Shapes.STEPS, edge_seconds=1e-6))
    assert heading_of(steps).startswith("staircase of 1 V at 10 Hz")
    uneven = replace(found, procedure=IV(IVSettings(negative=0.5)))
    assert heading_of(uneven).startswith("triangle of 1 V and -500 mV at 10 Hz")


def test_a_threshold_at_the_first_amplitude_is_known_from_above_only() -> None:
    found = shown("threshold")
    row = {"cycle": 1.0, "volts": 0.05, "device_volts": 0.03, "before": 1e-5, "after": 2e-5, "change": 1.0}
    rows: list[Row] = [{**row, "direction": "set"}, {**row, "direction": "reset", "volts": -0.25}]
    figures = found.procedure.summary(SPEC, 0, rows)
    with house_style():
        figure = PICTURES["threshold"](replace(found, rows=rows, figures=figures))
    assert figure is not None
    assert [spot.get_title(loc="left") or spot.get_title() for spot in figure.axes] == [
        "Set: 50 mV or less",
        "Reset: 250 mV",
    ]


def heading_of(found: Shown) -> str:
    with house_style():
        figure = PICTURES["iv"](found)
    assert figure is not None
    return str(figure.texts[1].get_text())


@pytest.mark.filterwarnings("error")
def test_trains_of_which_no_read_said_anything_give_a_picture_too() -> None:
    found = shown("response")
    rows: list[Row] = [{**row, "siemens": float("nan")} for row in found.rows]
    with house_style():
        figures = found.procedure.summary(SPEC, 0, rows)
        assert PICTURES["response"](replace(found, rows=rows, figures=figures)) is not None
