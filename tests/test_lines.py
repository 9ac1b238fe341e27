"""Rs, Rn and wires from reads: exact without noise, honest with it, refused where they cannot be known."""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labctl.characterize import protocol_of
from labctl.characterize.bench_technology import technology
from labctl.characterize.ladder import fitted, together
from labctl.characterize.lines import Lines, LinesSettings
from labctl.characterize.procedure import Figures, Row
from labctl.energy import Ledger
from labctl.errors import BoardFault, Refused
from labctl.pulse import Flag, Pulse, Purpose, Trace
from labctl.report.characterization import PICTURES
from labctl.report.lines import between
from labctl.report.shown import Shown
from labctl.report.style import house_style
from labctl.session import run
from tests.boards import CIRCUITS, compact
from tests.crossbars import SwitchedBoard, SwitchedSettings

KNOWN = {"source": 50.0, "neuron": 75.0, "row_wire": 2.0, "column_wire": 2.0}


def board(**settings: Any) -> SwitchedBoard:
    return SwitchedBoard(SwitchedSettings(**settings))


def measured(on: SwitchedBoard, **settings: Any) -> tuple[Lines, list[Row], Figures]:
    procedure, rows = Lines(LinesSettings(**settings)), list[Row]()
    procedure.check(on.spec, 0)
    with on:
        run(procedure.plan(on.spec, 0, rows), on, ledger=Ledger())
    return procedure, rows, procedure.summary(on.spec, 0, rows)


# ---- one line ---------------------------------------------------------------------------------


def test_two_devices_of_a_row_by_hand() -> None:
    """Rs = 100, wire = 50, branches of 1 kohm and 2 kohm: 2050 || 1000 behind 100."""
    alone = np.array([[1 / 1100, 1 / 2150]])
    middle = 1 / (1 / 1000 + 1 / 2050)
    node = middle / (100 + middle)
    assert together(alone, 100.0, 50.0) == pytest.approx(np.array([[node / 1000, node / 2050]]))


def test_an_open_device_takes_nothing_and_a_line_without_resistance_shares_nothing() -> None:
    alone = np.array([[1e-4, 0.0, 2e-4]])
    assert together(alone, 80.0, 3.0)[0, 1] == 0.0
    assert together(alone, 0.0, 0.0) == pytest.approx(alone)


@pytest.mark.parametrize(("end", "wire"), [(0.0, 0.0), (1e-3, 0.0), (300.0, 10.0), (0.0, 5.0)])
def test_a_fit_finds_what_a_ladder_was_made_with(end: float, wire: float) -> None:
    branches = 1 / np.random.default_rng(3).uniform(1e4, 1e5, (5, 12))
    alone = 1 / (1 / branches + end + wire * np.arange(12))
    found = fitted(alone, together(alone, end, wire), 0.0)
    assert (found.end, found.wire) == (pytest.approx(end, abs=1e-6), pytest.approx(wire, abs=1e-6))
    assert found.misfit < 1e-12


# ---- a crossbar -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (3, 9)])
def test_without_noise_lines_are_known(size: tuple[int, int]) -> None:
    on = board(rows=size[0], columns=size[1])
    before = on.siemens.copy()
    _, rows, figures = measured(on, rounds=1, lines=8)
    for name, ohms in KNOWN.items():
        assert figures[name] == pytest.approx(ohms, rel=1e-6)
        assert float(figures[f"{name}_error"]) < 1e-6
    assert np.array_equal(on.siemens, before)
    assert len({row["row"] for row in rows if row["line"] == "row"}) == min(size[0], 8)


def test_what_is_not_there_is_found_to_be_nothing() -> None:
    _, _, figures = measured(board(rows=4, columns=4, series=0.0, switch=0.0, wire=0.0), rounds=1)
    assert [figures[name] for name in KNOWN] == pytest.approx([0.0] * 4, abs=0.01)


def test_with_read_noise_the_intervals_hold() -> None:
    """Of 4 x 40 intervals at 95 %, some eight miss; twenty would be one in ten thousand."""
    missed = 0
    for seed in range(40):
        _, _, figures = measured(board(rows=5, columns=5, read_noise=1e-3, seed=seed), rounds=2)
        assert figures["read_noise"] == pytest.approx(1e-3, rel=0.5)
        for name, ohms in KNOWN.items():
            missed += not abs(float(figures[name]) - ohms) <= float(figures[f"{name}_error"])
    assert missed <= 20


def test_with_read_noise_ends_are_known_to_a_few_percent() -> None:
    _, _, figures = measured(board(rows=12, columns=12, read_noise=5e-4, seed=2), rounds=4)
    assert figures["source"] == pytest.approx(50, rel=0.05)
    assert figures["neuron"] == pytest.approx(75, rel=0.05)
    assert figures["row_wire"] == pytest.approx(2, abs=float(figures["row_wire_error"]) * 2)


def test_a_run_that_died_goes_on_with_the_next_line() -> None:
    on = board(rows=3, columns=4)
    procedure, rows, _ = measured(on, rounds=2)
    for kept in (4, 3 * 4, len(rows) - 3, len(rows)):
        again, sent = rows[:kept], list[Pulse]()

        def note(pulses: Sequence[Pulse], *_: object, sent: list[Pulse] = sent) -> None:
            sent.extend(pulses)

        with on:
            run(procedure.plan(on.spec, 0, again), on, ledger=Ledger(), observer=note)
        assert [(row["line"], row["row"], row["column"]) for row in again] == [
            (row["line"], row["row"], row["column"]) for row in rows
        ]
        assert bool(sent) == (kept < len(rows))
        assert all(pulse.purpose is Purpose.READ for pulse in sent)


def test_before_two_lines_of_each_kind_are_there_nothing_is_known() -> None:
    on = board(rows=3, columns=3)
    procedure, rows, _ = measured(on, rounds=1)
    figures = procedure.summary(on.spec, 0, rows[:12])
    assert all(math.isnan(float(value)) for value in figures.values())
    assert procedure.text(on.spec, figures) == ""


# ---- where it cannot be known -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("circuit", "why"),
    [("selector-1x16", "share"), ("crossbar-4x4", "no switches"), ("network", "crossings")],
)
def test_boards_whose_lines_cannot_be_known_are_refused(circuit: str, why: str) -> None:
    assert circuit in CIRCUITS
    with pytest.raises(Refused, match=why):
        protocol_of("lines", {}, "mine").check(compact(circuit).spec, [0])


def test_one_row_and_lines_that_are_not_sensed_are_refused() -> None:
    with pytest.raises(Refused, match="1 x 8"):
        protocol_of("lines", {}, "mine").check(board(rows=1).spec, [0])
    with pytest.raises(Refused, match="currents of 8 of 16 lines"):
        protocol_of("lines", {}, "mine").check(replace(board().spec, sensed=tuple(range(8))), [0])


def test_a_saturated_read_is_a_fault() -> None:
    on = board(rows=2, columns=2)
    plan = Lines(LinesSettings()).plan(on.spec, 0, [])
    pulses = next(plan)
    traces = [Trace(p.seconds, p.volts, p.volts * 1e-4, Flag.SATURATED) for p in pulses]
    with pytest.raises(BoardFault, match="SATURATED"):
        plan.send(traces)


# ---- what it is for ---------------------------------------------------------------------------


def test_the_technology_of_a_bench_can_be_trained_for() -> None:
    from labctl.aware.technology import Technology
    from labctl.config import build

    on = board(rows=4, columns=4)
    procedure, _, figures = measured(on, rounds=1)
    table = tomllib.loads(procedure.text(on.spec, figures))["technology"]
    made = build(table, Technology, "test")
    assert (made.source, made.neuron, made.wire) == pytest.approx((50, 75, 2), rel=1e-4)
    assert made.window == pytest.approx((1e-5, 1e-4))


def test_a_wire_below_nothing_is_no_technology_and_one_lost_in_noise_is_nothing() -> None:
    figures: dict[str, float | str] = {f"{name}_error": 0.5 for name in KNOWN} | KNOWN
    lost = technology(board().spec, figures | {"row_wire": -0.2, "column_wire": -0.2})
    assert tomllib.loads(lost)["technology"]["wire"] == "0 ohm"
    with pytest.raises(Refused, match="no resistance"):
        technology(board().spec, figures | {"row_wire": -3.0, "column_wire": -3.0})


def test_its_picture_names_what_was_found() -> None:
    on = board(rows=3, columns=3)
    procedure, rows, figures = measured(on, rounds=1)
    shown = Shown("run-1", "bench", on.spec, 0, "lines", procedure, rows, figures, lambda: iter(()))
    with house_style():
        figure = PICTURES["lines"](shown)
    assert figure is not None
    assert any("Rs 50.00 ± 0.01 Ω" in text.get_text() for text in figure.texts)
    width = figure.bbox.width
    assert all(text.get_window_extent().x1 <= width for text in figure.texts)


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [
        (50.0527, 23e-6, "50.05 ± 0.01"),
        (75.3, 0.41, "75.30 ± 0.41"),
        (2.0, 3.3, "2.0 ± 3.3"),
        (-0.001, 0.021, "-0.001 ± 0.021"),
        (1234.5, 88.0, "1234 ± 88"),
        (0.0, 0.0, "0.0000 ± 0.0001"),
        (50.0, float("nan"), "50 ± unknown"),
    ],
)
def test_a_figure_has_the_digits_that_its_error_is_worth(value: float, error: float, told: str) -> None:
    assert between(value, error) == told
