"""Pictures of a run: the numbers behind them, and files that are real pictures."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from labctl.bench import Bench
from labctl.energy import Charge, Ledger, charges
from labctl.errors import BadRun, Stopped
from labctl.experiment import Experiment, images_of, read_experiment
from labctl.journal import Journal, Outcome, Stored, recompute
from labctl.programming.write_verify import Ending
from labctl.pulse import Flag, Pulse, Purpose, Trace
from labctl.report import answers, bill, conductances, paths
from labctl.report.grid import Grid
from labctl.report.history import History, SitePath, history, trace_paths
from labctl.report.pictures import draw, figures
from labctl.report.scales import conductance_ticks, pulse_ticks
from labctl.report.style import house_style, metric, percent, said
from labctl.report.summary import Answers, Goal, State, summary
from labctl.shapes import square
from labctl.store import Store
from labctl.training_run import Session, begin
from tests.boards import OHMS, SPEC, NullBoard

ROOT = Path(__file__).resolve().parent.parent
ALL = ["conductances.png", "paths.png", "bill.png", "answers.png"]


def pulse(purpose: Purpose, volts: float = 0.1) -> Pulse:
    wave = square(volts, 1e-4)
    lines = np.column_stack([wave.volts, np.zeros(len(wave.volts))])
    return Pulse(wave.seconds, lines, np.array([True, True]), purpose)


def stored(
    purpose: Purpose, outcome: Outcome = Outcome.MEASURED, *, kept: bool = True, flags: Flag = Flag.NONE
) -> Stored:
    """An entry as the null board, a resistor of `OHMS`, would have left it."""
    sent = pulse(purpose)
    if outcome is not Outcome.MEASURED:
        return Stored(1, 1, sent, outcome)
    with NullBoard() as board:
        (got,) = board.apply([sent])
    trace = Trace(got.seconds, got.volts, got.amps, flags)
    (charge,) = charges(SPEC, [sent], [trace])
    return Stored(1, 1, sent, outcome, charge, flags, trace if kept else None)


# ---- the path of a site ---------------------------------------------------------------------

READ, PROGRAM, RESET = Purpose.READ, Purpose.PROGRAM, Purpose.RESET


def test_a_read_is_counted_by_the_pulses_before_it() -> None:
    seen = trace_paths(SPEC, map(stored, [READ, RESET, READ, PROGRAM, READ, READ]))
    path = seen.paths[0]
    assert path.pulses.tolist() == [0, 1, 2, 2]
    assert path.siemens == pytest.approx([1 / OHMS] * 4, rel=1e-9)
    assert path.resets == (1,)
    assert path.total == 2
    assert path.before == pytest.approx(1 / OHMS)
    assert path.present == pytest.approx(1 / OHMS)


def test_what_left_no_waveform_is_missing_and_said() -> None:
    entries = [stored(READ, kept=False), stored(PROGRAM, kept=False), stored(READ), stored(PROGRAM)]
    seen = trace_paths(SPEC, [*entries, stored(READ, kept=False)])
    assert seen.dropped == 2
    assert seen.paths[0].pulses.tolist() == [1]
    assert np.isnan([seen.paths[0].before, seen.paths[0].present]).all()
    assert "2 reads left no waveform" in paths.said_of(seen)


def test_a_pulse_of_unknown_outcome_makes_the_present_unknown_until_the_next_read() -> None:
    entries = [stored(READ), stored(PROGRAM, Outcome.UNKNOWN), stored(READ, Outcome.UNKNOWN)]
    seen = trace_paths(SPEC, entries)
    assert (seen.unknown, seen.paths[0].total) == (1, 1)
    assert np.isnan(seen.present(1)).all()
    again = trace_paths(SPEC, [*entries, stored(READ)])
    assert again.present(1) == pytest.approx([1 / OHMS])


def test_what_was_not_driven_did_not_happen() -> None:
    assert trace_paths(SPEC, [stored(PROGRAM, Outcome.NOT_DRIVEN)]).paths == {}


def test_a_read_in_compliance_says_nothing() -> None:
    seen = trace_paths(SPEC, [stored(READ, flags=Flag.COMPLIANCE)])
    assert seen.useless == 1
    assert seen.paths[0].pulses.size == 0


# ---- real runs ------------------------------------------------------------------------------


def unwatched(*_: object) -> Callable[[Sequence[Pulse], Sequence[Trace], Sequence[Charge]], None]:
    return lambda *_: None


def session(folder: Path, *changes: tuple[str, str]) -> Session:
    text = (ROOT / "examples/letters.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "experiment.toml").write_text(text)
    experiment: Experiment = read_experiment(folder / "experiment.toml")
    return Session(
        experiment, images_of(experiment, folder), Bench.read(ROOT / "benches/network-cr-twin.toml")
    )


def after(lists: int) -> Callable[[], bool]:
    """Ask to stop after so many lists."""
    left = iter(range(lists))
    return lambda: next(left, None) is None


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that finished, gave up, kept nothing, were stopped in the middle and before the first pulse."""
    base = tmp_path_factory.mktemp("runs")
    begin(session(base, ("enabled = false", "enabled = true")), base, "finished", unwatched)
    begin(session(base, ('tolerance = "2 %"', "most_pulses = 3")), base, "gave-up", unwatched)
    begin(session(base, ("[images]", "keep_mebibytes = 0\n[images]")), base, "dropped", unwatched)
    for name, lists in (("stopped", 40), ("empty", 0)):
        with pytest.raises(Stopped):
            begin(session(base), base, name, unwatched, after(lists))
    return base


def test_the_paths_are_those_that_the_controller_saw(runs: Path) -> None:
    with Journal.open(runs, "finished") as journal:
        seen = history(journal)
        result = next(note.body for note in journal.notes() if note.kind == "result")
    assert seen.present(30).tolist() == pytest.approx(result["conductances_siemens"], rel=1e-12)
    for outcome in result["outcomes"]:
        path = seen.paths[outcome["site"]]
        # first read, read after the reset, its path, and the read at the end
        assert path.siemens[1:-1].tolist() == pytest.approx(outcome["path"], rel=1e-12)
        assert path.total == outcome["pulses"] + 1
        assert path.resets == (1,)


def test_a_run_says_what_it_was_to_reach_and_what_came_of_it(runs: Path) -> None:
    with Journal.open(runs, "gave-up") as journal:
        told, seen = summary(journal), history(journal)
    goal = told.goal
    assert goal is not None
    assert [layer.shape for layer in goal.layers] == [(9, 3), (3, 1)]
    assert goal.tolerance == 0.02
    assert told.origin.state is State.FINISHED
    assert told.origin.kind == "sim"
    assert set(told.given_up.values()) == {Ending.PULSES}
    now = conductances.present(told, seen)
    text = conductances.reached(told, goal, now)
    inside = sum(bool(abs(now[site] / goal.targets[site] - 1) <= 0.02) for site in range(30))
    assert text.startswith(
        f"{inside} of 30 synapses within 2 % of their target; given up, too many pulses: w"
    )
    assert told.answers is not None
    assert len(told.answers.volts) == 30


def test_the_charts_of_the_bill_add_up_to_the_bill(runs: Path) -> None:
    with Journal.open(runs, "finished") as journal:
        ledger = recompute(journal)
    delivered, device, series = ledger.total().joules
    by_purpose = bill.by_purpose(ledger)
    assert list(by_purpose) == [Purpose.RESET, Purpose.PROGRAM, Purpose.READ, Purpose.INFER]
    assert np.sum(list(by_purpose.values()), axis=0) == pytest.approx([device, series])
    by_site = bill.by_site(ledger, 30)
    assert np.sum(list(by_site.values())) == pytest.approx(delivered)
    assert by_site[Purpose.INFER][:30].sum() == 0
    assert by_site[Purpose.PROGRAM][4] == pytest.approx(ledger.total(purpose=PROGRAM, site=4).joules[0])
    assert sum(bill.by_kind(ledger).values()) == pytest.approx(float(ledger.total().seconds.sum()))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("finished", ALL),
        ("gave-up", ALL),
        ("dropped", ["conductances.png", "bill.png", "answers.png"]),
        ("stopped", ALL[:3]),
        ("empty", ALL[:1]),
    ],
)
def test_every_run_has_the_pictures_of_what_it_has(runs: Path, run: str, expected: list[str]) -> None:
    with Journal.open(runs, run) as journal:
        drawn = draw(journal)
    assert [path.name for path in drawn] == expected
    assert sorted(path.name for path in (runs / run).glob("*.p*")) == sorted(expected)
    for path in drawn:
        width, height = size_of(path)
        assert 1000 <= width <= 2400
        assert 600 <= height <= 1600
        assert len(path.read_bytes()) > 20_000


def size_of(path: Path) -> tuple[int, int]:
    """Width and height that the header of a PNG file gives (PNG specification, sections 5.2 and 11.2.2)."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert head[12:16] == b"IHDR"
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])


def test_the_same_run_gives_the_same_bytes(runs: Path) -> None:
    with Journal.open(runs, "stopped") as journal:
        first = [path.read_bytes() for path in draw(journal)]
        assert [path.read_bytes() for path in draw(journal)] == first


def texts(figure: Any) -> list[str]:
    """All that is written on a figure, its axes included."""
    figure.canvas.draw()
    written = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for spot in figure.axes:
        written += [spot.title, spot.xaxis.label, spot.yaxis.label, *spot.texts]
        written += [spot._left_title, spot._right_title]
    return [text.get_text() for text in written if text.get_text()]


def test_axes_have_units_and_the_small_print_says_where_it_is_from(runs: Path) -> None:
    with Journal.open(runs, "finished") as journal, house_style():
        made = figures(journal)
    expected = {
        "conductances": ["Before", "Target", "After", "Error", "conductance (µS)", "error (% of target)"],
        "paths": ["w0-0", "w11-3", "conductance (µS)", "pulses on the site", "reset"],
        "bill": ["energy (µJ)", "time (ms)", "energy (nJ)"],
        "answers": ["output voltage (mV)", "class +1", "class −1", "ideal circuit"],
    }
    for name, wanted in expected.items():
        found = texts(made[name])
        assert set(wanted) <= set(found)
        small_print = next(text for text in found if text.startswith("run finished"))
        assert "bench network-cr-twin (sim)" in small_print
        assert "board network" in small_print


def test_no_text_leaves_its_picture(runs: Path) -> None:
    for run in ("finished", "gave-up", "stopped"):
        with Journal.open(runs, run) as journal, house_style():
            for figure in figures(journal).values():
                figure.canvas.draw()
                for text in [*figure.texts, *(text for spot in figure.axes for text in spot.texts)]:
                    box = text.get_window_extent()
                    assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1, text.get_text()
                    assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1, text.get_text()


def test_what_is_given_up_is_named_in_its_panel(runs: Path) -> None:
    with Journal.open(runs, "gave-up") as journal, house_style():
        found = texts(figures(journal)["paths"])
    assert "too many pulses" in found
    assert "last read outside" in found


def test_settings_of_the_process_come_back_and_no_window_system_is_touched(runs: Path) -> None:
    before = dict(mpl.rcParams)
    with Journal.open(runs, "stopped") as journal:
        draw(journal)
    assert dict(mpl.rcParams) == before
    code = (
        "import sys; from pathlib import Path; from labctl.journal import Journal\n"
        "from labctl.report.pictures import draw\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"with Journal.open(Path({str(runs)!r}), 'stopped') as journal: draw(journal)\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'tkinter' not in sys.modules"
    )
    environment = {"MPLBACKEND": "tkagg", "PATH": "", "MPLCONFIGDIR": str(runs)}
    command = [sys.executable, "-W", "error", "-c", code]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=120)


# ---- runs that are no training session, and runs that lie -------------------------------------


def null_run(base: Path, notes: Sequence[tuple[str, dict[str, Any]]] = (), **about: Any) -> Journal:
    """A run of the null board: read, program, read, as far as it needs no training."""
    with Store.create(base, "null", SPEC, about) as store, NullBoard() as board:
        sent = [pulse(READ), pulse(PROGRAM), pulse(READ)]
        first = store.intend(sent)
        traces = board.apply(sent)
        store.record(first, sent, traces, charges(SPEC, sent, traces))
        for kind, body in notes:
            store.note(kind, body)
    return Journal.open(base, "null")


def test_a_run_without_targets_has_its_paths_and_its_bill(tmp_path: Path) -> None:
    with null_run(tmp_path) as journal:
        assert [path.name for path in draw(journal)] == ["paths.png", "bill.png"]


def test_a_name_may_hold_what_means_something_elsewhere(tmp_path: Path) -> None:
    with null_run(tmp_path, bench_source="$\\frac{$ 忆阻器.toml", experiment={"name": "50 % _{x"}) as journal:
        assert draw(journal)


RESULT: dict[str, Any] = {
    "answers_volts": [0.1],
    "predicted_volts": [0.1],
    "conductances_siemens": [1e-4],
    "outcomes": [{"site": 0, "ending": "within tolerance"}],
}
ASSIGNED: dict[str, Any] = {"targets_siemens": [1e-4], "weights": [[[0.5]]], "window_siemens": [1e-5, 1e-4]}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("assignment", {"targets_siemens": []}),
        ("assignment", ASSIGNED | {"targets_siemens": [1e-4, 1e-4]}),
        ("assignment", ASSIGNED | {"weights": [[[0.5], [0.5]]]}),
        ("assignment", ASSIGNED | {"weights": [0.5]}),
        ("assignment", ASSIGNED | {"window_siemens": "wide"}),
        ("result", RESULT | {"outcomes": [{"site": 7, "ending": "within tolerance"}]}),
        ("result", RESULT | {"outcomes": [{"site": 0, "ending": "bored"}]}),
        ("result", RESULT | {"conductances_siemens": None}),
        ("result", RESULT | {"answers_volts": [0.1, 0.2]}),
        ("result", {"right": 30}),
    ],
)
def test_notes_that_make_no_sense_are_a_bad_run(tmp_path: Path, kind: str, body: dict[str, Any]) -> None:
    about = {
        "experiment": {"name": "x", "training": {"programming": {"tolerance": "2 %"}}},
        "images": {"pixels": [[0.0] * 9], "labels": [1.0]},
    }
    with null_run(tmp_path, [(kind, body)], **about) as journal, pytest.raises(BadRun, match="make no sense"):
        draw(journal)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with null_run(tmp_path) as journal:
        (journal.folder / "paths.png").mkdir()
        with pytest.raises(BadRun, match="cannot be written"):
            draw(journal)


# ---- small parts ------------------------------------------------------------------------------


def test_the_layers_lie_side_by_side_and_centred() -> None:
    grid = Grid((np.arange(27).reshape(9, 3), np.arange(27, 30).reshape(3, 1)))
    cells = {cell.site: (cell.x, cell.y) for cell in grid.cells()}
    assert (grid.rows, grid.width) == (9, 5)
    assert cells[0] == (0, 8)
    assert cells[26] == (2, 0)
    assert [cells[site] for site in (27, 28, 29)] == [(4, 5), (4, 4), (4, 3)]


def test_wrong_answers_are_counted_and_told() -> None:
    given = Answers(
        np.zeros((3, 9)),
        np.array([1.0, -1.0, -1.0]),
        np.array([0.1, -0.05, 0.02]),
        np.zeros(3),
        "on the chip's own neurons",
    )
    assert given.right.tolist() == [True, True, False]
    assert answers.subtitle(given).startswith("2 of 3 patterns")
    assert "the worst is wrong by 20 mV" in answers.subtitle(given)
    assert "at most 100 mV from an ideal circuit" in answers.subtitle(given)


def test_a_goal_knows_what_is_within_tolerance() -> None:
    goal = Goal(np.array([1e-4, 1e-4, np.nan]), (np.array([[0], [1]]),), 0.02, (1e-5, 1e-4))
    assert goal.reached(np.array([1.019e-4, 9.7e-5, 1e-4])).tolist() == [True, False, False]
    assert goal.reached(np.full(3, np.nan)).tolist() == [False] * 3


def test_numbers_are_short_and_have_no_minus_zero() -> None:
    assert [conductances.as_number(value, signed=True) for value in (-0.04, 0.26, -1.24, -94.2, 250.4)] == [
        *("0.0", "+0.3", "−1.2", "−94.2", "+250")
    ]
    assert conductances.as_number(99.97, signed=False) == "100"
    assert (percent(0.02), percent(0.125)) == ("2 %", "12.5 %")
    assert (said(1.33e-6, "J"), said(0.1, "V"), said(12.0, "s")) == ("1.33 µJ", "100 mV", "12 s")
    assert metric(3e-8, "J") == (1e9, "nJ")
    assert metric(2.0, "s") == (1.0, "s")
    assert metric(0.0, "s") == (1.0, "s")


def test_ticks_are_round_and_few() -> None:
    assert pulse_ticks(1) == [0, 1]
    assert pulse_ticks(8) == [0, 2, 4, 6, 8]
    assert pulse_ticks(100) == [0, 10, 40, 90]
    assert conductance_ticks(4.8, 130.0) == [10, 100]
    assert conductance_ticks(120.0, 520.0) == [200, 500]
    assert all(110 <= tick <= 115 for tick in conductance_ticks(110.0, 115.0))


def test_a_bill_of_nothing_and_a_run_of_nothing_have_no_picture(runs: Path) -> None:
    with Journal.open(runs, "empty") as journal:
        said_of_run = summary(journal)
    assert bill.picture(said_of_run, Ledger()) is None
    assert paths.picture(said_of_run, History({})) is None
    nothing_read = History({0: SitePath(np.array([], dtype=np.intp), np.array([]), (), 1)})
    assert paths.picture(said_of_run, nothing_read) is None
    assert answers.picture(said_of_run) is None
