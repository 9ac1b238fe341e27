"""Large crossbars on the twin: as the dense twin and ngspice at small sizes, as theory at others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.addressing import drive, level, multiply, read_row, select
from labctl.bench import Bench
from labctl.board import Board
from labctl.config import build
from labctl.energy import charges
from labctl.errors import BadConfig
from labctl.plan import Plan
from labctl.programming.write_verify import Ending, Outcome, Programming, Reading, read, write_verify
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.reading import conductance, row_conductances, settled_amps
from labctl.shapes import square, triangle
from labctl.spec import Spec
from sim_backend.compact import CompactBoard
from sim_backend.crossbar import Crossbar, solve
from sim_backend.crossbar_board import CrossbarBoard
from sim_backend.devices.metastable import MODEL
from sim_backend.ngspice import NgspiceBoard

BENCHES = Path(__file__).parents[1] / "benches"
TABLE = {"layout": "crossbar", "dopant": "W", "series": "50 ohm", "switch": "80 ohm", "switched": True}
RON, ROFF, TAU = MODEL.places(["ron", "roff", "tau"])


def made(kind: Any, **settings: Any) -> Any:
    return kind(build(TABLE | settings, kind.Settings, "test"))


def states(board: Any, x: Floats) -> None:
    board._chip.x[:] = x


def some_states(board: Board, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).uniform(0.02, 0.3, len(board.spec.sites))


def patterns(spec: Spec) -> dict[str, Pulse]:
    """What drives one device, a row, everything and a part, gently and so that states move."""
    volts = np.random.default_rng(2).uniform(0, 0.2, spec.rows)
    half = {0: 0.5, 2: 0.5, spec.rows + 1: 0.0, spec.rows + 2: 0.1}
    return {
        "multiply": multiply(spec, volts, 50e-6),
        "read a row": read_row(spec, 1, 0.1, 50e-6),
        "read": select(spec, spec.columns + 2, square(0.1, 50e-6), Purpose.READ),
        "set": select(spec, spec.columns + 2, square(0.5, 50e-6), Purpose.PROGRAM),
        "reset all": multiply(spec, np.full(spec.rows, -0.25), 20e-6),
        "set a part": drive(spec, half, level(spec, 1.0, 20e-6), Purpose.PROGRAM),
        "triangle": drive(
            spec, {0: 0.4, spec.rows: 0.0, spec.rows + 1: 0.0}, triangle(1.0, 20e-6), Purpose.PROGRAM
        ),
        "again and again": read_row(spec, 0, 0.1, 20e-6).repeated(3),
    }


def answered(board: Any, x: Floats, pulse: Pulse) -> tuple[Trace, Floats, Floats]:
    """The trace from states `x`, the states after it, and joules by sink."""
    states(board, x)
    (trace,) = board.apply([pulse])
    return trace, board._chip.x.copy(), np.array(charges(board.spec, [pulse], [trace])[0].joules)


def assert_same_ends(name: str, pulse: Pulse, known: Trace, found: Trace, close: float) -> None:
    """Of a read: the settled currents of all lines. While states move, samples are taken at other times."""
    if pulse.purpose is not Purpose.PROGRAM and name != "reset all":
        lines = range(known.amps.shape[1])
        one, other = ([settled_amps(pulse, trace, line) for line in lines] for trace in (known, found))
        assert other == pytest.approx(one, rel=close, abs=close * max(map(abs, one))), name
        shown = [trace.volts[np.abs(trace.amps).sum(axis=1).argmax()] for trace in (known, found)]
        assert shown[1] == pytest.approx(shown[0], abs=close), name  # also of lines that nobody drives


@pytest.mark.parametrize(
    "settings",
    [
        {"rows": 4, "columns": 4, "wire": "5 ohm"},
        {"rows": 8, "columns": 8},
        {"rows": 4, "columns": 5, "wire": "5 ohm", "series": "0 ohm"},
        {"rows": 4, "columns": 4, "wire": "10 ohm", "switched": False},
        {"rows": 3, "columns": 5, "switched": False, "series": "1 kohm"},
    ],
    ids=["4x4 wired", "8x8", "no series", "bare wired", "bare"],
)
def test_small_ones_do_what_the_dense_twin_does(settings: dict[str, Any]) -> None:
    one, other = made(CompactBoard, **settings), made(CrossbarBoard, **settings)
    x = some_states(one)
    with one, other:
        for name, pulse in patterns(one.spec).items():
            (known, moved, joules), (found, also, spent) = (answered(b, x, pulse) for b in (one, other))
            assert also == pytest.approx(moved, abs=1e-5), name
            assert spent == pytest.approx(joules, rel=1e-4), name
            assert_same_ends(name, pulse, known, found, 1e-4)
            assert found.volts[-1] == pytest.approx(known.volts[-1], abs=1e-6), name
            assert found.seconds.sum() == pytest.approx(pulse.duration)


@pytest.mark.parametrize("settings", [{"wire": "5 ohm"}, {}, {"wire": "10 ohm", "switched": False}])
def test_they_do_what_ngspice_does(settings: dict[str, Any]) -> None:
    one, other = (made(kind, rows=4, columns=4, **settings) for kind in (NgspiceBoard, CrossbarBoard))
    x = some_states(one)
    with one, other:
        for name, pulse in patterns(one.spec).items():
            (known, moved, joules), (found, also, spent) = (answered(b, x, pulse) for b in (one, other))
            assert also == pytest.approx(moved, abs=1e-3), name
            assert spent == pytest.approx(joules, rel=3e-3), name
            assert_same_ends(name, pulse, known, found, 1e-3)


@pytest.mark.parametrize("wire", [0.0, 2.0])
@pytest.mark.parametrize(("rows", "columns"), [(48, 20), (20, 48)])
def test_products_are_those_of_the_linear_crossbar(wire: float, rows: int, columns: int) -> None:
    """Ohmic devices, so that their conductances are known from their states."""
    board = made(CrossbarBoard, rows=rows, columns=columns, wire=f"{wire} ohm", model=MODEL.name, dopant="Cr")
    board._chip.x[:] = np.random.default_rng(3).uniform(0, 1, rows * columns)
    kind, x = board._chip.parameters, np.array(board._chip.x)
    siemens = (x / kind[:, RON] + (1 - x) / kind[:, ROFF]).reshape(rows, columns)
    volts = np.random.default_rng(4).uniform(0, 0.1, rows)
    pulse = multiply(board.spec, volts, 50e-6)
    with board:
        (trace,) = board.apply([pulse])
    upside_down = Crossbar(siemens[::-1], 50.0, 80.0, wire, wire)
    known = solve(upside_down, volts[::-1])
    out = np.array([-settled_amps(pulse, trace, rows + column) for column in range(columns)])
    assert out == pytest.approx(known.outputs[0], rel=1e-4)
    into = np.array([settled_amps(pulse, trace, row) for row in range(rows)])
    assert into == pytest.approx(known.source_amps[0, ::-1], rel=1e-4, abs=1e-4 * float(np.abs(into).max()))


def test_the_wires_of_a_selected_device_are_in_its_path() -> None:
    """Row 5, column 7: seven segments along the row, five down the column."""
    board = made(CrossbarBoard, rows=12, columns=12, wire="2 kohm", model=MODEL.name, dopant="Cr")
    site = board.spec.site_at(5, 7)
    states(board, np.zeros(144))
    board._chip.parameters[:, TAU] = 1e6  # frozen
    pulse = select(board.spec, site, square(0.1, 50e-6), Purpose.READ)
    with board:
        (trace,) = board.apply([pulse])
    off = 1 / board._chip.parameters[site, ROFF]
    assert conductance(board.spec, pulse, trace, site) == pytest.approx(off / (1 + off * 12 * 2e3), rel=1e-3)


def test_a_read_row_sees_what_selected_reads_see_behind_small_resistors() -> None:
    board = made(CrossbarBoard, rows=24, columns=24, series="1 ohm", switch="1 ohm")
    states(board, some_states(board))
    row = read_row(board.spec, 3, 0.1, 50e-6)
    singles = [
        select(board.spec, board.spec.site_at(3, c), square(0.1, 50e-6), Purpose.READ) for c in range(24)
    ]
    with board:
        (trace,) = board.apply([row])
        alone = [
            conductance(board.spec, p, t, board.spec.site_at(3, c))
            for c, (p, t) in enumerate(zip(singles, board.apply(singles), strict=True))
        ]
    assert row_conductances(board.spec, row, trace) == pytest.approx(alone, rel=1e-2)


def test_reads_that_move_nothing_cost_two_solves_each(monkeypatch: pytest.MonkeyPatch) -> None:
    from sim_backend import crossbar_drive

    count = [0]
    real = crossbar_drive.operating_point

    def counted(*arguments: Any) -> Any:
        count[0] += 1
        return real(*arguments)

    monkeypatch.setattr(crossbar_drive, "operating_point", counted)
    board = made(CrossbarBoard, rows=16, columns=16)
    states(board, np.full(256, 0.3))  # of a new device, 20 reads would be felt
    pulses = [read_row(board.spec, row, 0.1, 50e-6) for row in range(5)]
    with board:
        board.apply(pulses)
        assert count[0] == 2 * 5 + 1  # and all lines at 0 V, once
        board.apply([pulses[0].repeated(20)])
    assert count[0] == 2 * 6 + 2


@pytest.mark.parametrize(("top", "ramp"), [(0.16, False), (0.08, True)])
def test_small_movements_add_up_to_what_steps_would_find(top: float, ramp: bool) -> None:
    board, other = made(CrossbarBoard, rows=4, columns=4), made(CompactBoard, rows=4, columns=4)
    volts = np.full(4, top)
    one_pulse = multiply(board.spec, volts, 2e-6)
    if ramp:
        shape = triangle(1.0, 20e-6)
        one_pulse = drive(
            board.spec, dict.fromkeys(range(4), top) | dict.fromkeys(range(4, 8), 0.0), shape, Purpose.READ
        )
    pulses = [one_pulse] * 400
    for one in (board, other):
        states(one, np.full(16, 0.01))
        with one:
            one.apply(pulses)
    moved = np.array(other._chip.x) - 0.01
    assert moved.max() > 3e-5
    assert np.array(board._chip.x) - 0.01 == pytest.approx(moved, rel=0.01)


def test_a_bare_crossbar_beyond_the_dense_twin_keeps_charge() -> None:
    board = made(CrossbarBoard, rows=40, columns=30, wire="1 ohm", switched=False, series="500 ohm")
    states(board, some_states(board))
    pulse = select(board.spec, board.spec.site_at(20, 10), square(0.1, 50e-6), Purpose.READ)
    with board:
        (trace,) = board.apply([pulse])
    amps = trace.amps[np.abs(trace.volts).max(axis=1).argmax()]
    assert amps[20] == pytest.approx(-amps[40 + 10], rel=1e-6)
    assert np.count_nonzero(amps) == 2
    floating = np.delete(trace.volts[1], [20, 50])
    assert (floating > 0).all()  # neighbours carry sneak currents
    assert (floating < 0.1).all()


# ---- what every simulated board has ---------------------------------------------------------------


def test_states_outlive_the_board_and_faults_stay(tmp_path: Path) -> None:
    memory = str(tmp_path / "chip.state")
    settings = {"rows": 6, "columns": 6, "memory": memory, "faults": {"open": [7], "short": [8]}}
    row = read_row(made(CrossbarBoard, **settings).spec, 1, 0.1, 50e-6)
    first = made(CrossbarBoard, **settings)
    with first:
        first.apply([select(first.spec, 9, square(0.5, 1e-3), Purpose.PROGRAM)])
        (trace,) = first.apply([row])
    second = made(CrossbarBoard, **settings)
    with second:
        (again,) = second.apply([row])
    found = row_conductances(second.spec, row, again)
    assert found == pytest.approx(row_conductances(first.spec, row, trace), rel=1e-3)
    assert found[1] < 0.02 * found[0]  # site 7 is open
    assert found[2] > 10 * found[0]  # site 8 a short
    assert found[3] > 2 * found[0]  # site 9 was set


def test_noise_and_variation_are_those_of_the_settings() -> None:
    noisy = {"read_noise": True, "sense_noise": "50 nA", "variation": "10 %", "seed": 5}
    boards = [made(CrossbarBoard, rows=6, columns=6, **noisy) for _ in range(2)]
    pulse = multiply(boards[0].spec, np.full(6, 0.1), 50e-6)
    seen = []
    for board in boards:
        with board:
            seen.append([board.apply([pulse])[0].amps for _ in range(2)])
    assert np.array_equal(seen[0][0], seen[1][0])  # the same seed
    assert np.abs(seen[0][1] - seen[0][0]).max() > 1e-8
    quiet = made(CrossbarBoard, rows=6, columns=6)
    with quiet:
        (trace,) = quiet.apply([pulse])
    assert np.abs(trace.amps[2] - seen[0][0][2]).max() > 1e-6


def test_only_crossbars() -> None:
    with pytest.raises(BadConfig, match="layout"):
        made(CrossbarBoard, layout="selector")
    with pytest.raises(BadConfig, match="switched"):
        build({"layout": "selector", "switched": True}, CompactBoard.Settings, "test")


# ---- benches ------------------------------------------------------------------------------------


def driven(board: Board, plan: Plan[Outcome]) -> Outcome:
    """What a plan comes to on an open board."""
    try:
        pulses = next(plan)
        while True:
            pulses = plan.send(board.apply(pulses))
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize(
    ("name", "count"), [("tile-64x64-w-twin", 60), ("tile-8x8-w-ngspice", 2), ("tile-8x8-w-twin", 8)]
)
def test_tiles_of_tungsten_are_programmed_within_two_per_cent(name: str, count: int, tmp_path: Path) -> None:
    board = Bench.read(BENCHES / f"{name}.toml").board(tmp_path)
    spec, draw = board.spec, np.random.default_rng(6)
    assert spec.window is not None
    with board:
        for site in map(int, draw.choice(len(spec.sites), count, replace=False)):
            probe = read(spec, site, Reading())
            now = conductance(spec, probe, board.apply([probe])[0], site)
            target = float(draw.uniform(*spec.window))
            found = driven(board, write_verify(spec, site, target, now, Programming(), Reading()))
            assert found.ending is Ending.DONE
            assert abs(found.error) <= 0.02
            assert found.pulses <= 40
