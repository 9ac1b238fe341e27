"""Several devices at once, against nodal equations that are written out here.

Where only currents are looked at, the devices are frozen (a time constant of a million seconds).
"""

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from labctl.addressing import drive, infer, multiply, read_row
from labctl.energy import charges
from labctl.errors import NoConvergence
from labctl.images import letters
from labctl.network import Amplifier, chip_volts
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.shapes import samples, square
from sim_backend.devices.metastable import MODEL
from sim_backend.devices.model import HEAD
from tests.boards import compact

SERIES, SWITCH, WIRE = 2_000.0, 75.0, 100.0
FLAT = samples([1.0, 1.0], 1e-5)
X = np.array([0.05, 0.9, 0.4, 0.2])
RON, ROFF, TAU, PHI = MODEL.places(["ron", "roff", "tau", "phi"])


def grid(wire: float = WIRE, frozen: bool = True, rows: int = 2, columns: int = 2, dopant: str = "Cr") -> Any:
    """A crossbar of which the first four devices begin at `X`."""
    sizes = {"rows": rows, "columns": columns, "series": f"{SERIES} ohm", "wire": f"{wire} ohm"}
    board: Any = compact("crossbar-4x4", model=MODEL.name, dopant=dopant, **sizes)
    board._chip.x[:4] = X[: rows * columns]
    if frozen:
        board._chip.parameters[:, TAU] = 1e6
    return board


def siemens(board: Any) -> Floats:
    """Conductances, shape (rows, columns), by the published mixture of on and off."""
    ron, roff = board._chip.parameters[:, RON], board._chip.parameters[:, ROFF]
    x = np.array(board._chip.x)
    return (x / ron + (1 - x) / roff).reshape(board.spec.rows, board.spec.columns)


def driven(board: Any, pulse: Pulse) -> Trace:
    """What the board answers to one pulse."""
    with board:
        return board.apply([pulse])[0]


def by_nodes(g: Floats, wire: float, volts: dict[int, float]) -> tuple[Floats, Floats]:
    """Volts at, and amps into, the lines of a grid: one dense nodal solve.

    Nodes: r(i, j) = i n + j on the rows, then c(i, j) on the columns; sources feed r(i, 0) and c(0, j).
    """
    m, n = g.shape
    matrix, side = np.zeros((2 * m * n, 2 * m * n)), np.zeros(2 * m * n)

    def join(a: int, b: int, conductance: float) -> None:
        matrix[[a, b], [a, b]] += conductance
        matrix[[a, b], [b, a]] -= conductance

    for i in range(m):
        for j in range(n):
            join(i * n + j, m * n + i * n + j, g[i, j])
            if j:
                join(i * n + j - 1, i * n + j, 1 / wire)
            if i:
                join(m * n + (i - 1) * n + j, m * n + i * n + j, 1 / wire)
    feeds = {line: (line * n, SERIES) if line < m else (m * n + line - m, SWITCH) for line in range(m + n)}
    for line, level in volts.items():
        node, ohms = feeds[line]
        matrix[node, node] += 1 / ohms
        side[node] += level / ohms
    nodes = np.linalg.solve(matrix, side)
    at = np.array([volts.get(line, nodes[feeds[line][0]]) for line in range(m + n)])
    into = [
        (volts[line] - nodes[node]) / ohms if line in volts else 0.0 for line, (node, ohms) in feeds.items()
    ]
    return at, np.array(into)


# ---- grids --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "volts",
    [
        {0: 0.1, 1: 0.0, 2: 0.0, 3: 0.0},
        {0: 0.07, 1: -0.03, 2: 0.0, 3: 0.02},
        {0: 0.1, 2: 0.0},
        {1: 0.1, 2: 0.0, 3: 0.0},
        {0: 0.1, 1: 0.1, 3: 0.0},
    ],
    ids=["row read", "all driven", "sneak paths", "one row floats", "one column floats"],
)
@pytest.mark.parametrize("wire", [WIRE, 1e-3, 0.0])
def test_lines_of_a_grid_have_the_volts_and_amps_of_a_nodal_solve(
    volts: dict[int, float], wire: float
) -> None:
    board = grid(wire)
    trace = driven(board, drive(board.spec, volts, FLAT, Purpose.READ))
    at, into = by_nodes(siemens(board), wire or 1e-6, volts)
    assert trace.volts == pytest.approx(np.tile(at, (len(trace.seconds), 1)), rel=1e-6, abs=1e-9)
    assert trace.amps == pytest.approx(np.tile(into, (len(trace.seconds), 1)), rel=1e-6, abs=1e-11)


def test_a_larger_grid_is_fed_at_its_first_crossings() -> None:
    board = grid(rows=4, columns=3)
    volts = {0: 0.1, 1: 0.0, 2: 0.05, 4: 0.0, 5: 0.0, 6: 0.0}  # row 3 floats
    trace = driven(board, drive(board.spec, volts, FLAT, Purpose.READ))
    at, into = by_nodes(siemens(board), WIRE, volts)
    assert trace.volts[0] == pytest.approx(at, rel=1e-6)
    assert trace.amps[0] == pytest.approx(into, rel=1e-6, abs=1e-11)


def test_a_sneak_path_is_three_devices_in_series() -> None:
    board = grid(wire=0.0)
    g = siemens(board)
    sneak = 1 / (1 / g[0, 1] + 1 / g[1, 1] + 1 / g[1, 0])
    trace = driven(board, drive(board.spec, {0: 0.1, 2: 0.0}, FLAT, Purpose.READ))
    assert trace.amps[0, 0] == pytest.approx(0.1 / (SERIES + SWITCH + 1 / (g[0, 0] + sneak)), rel=1e-6)


def test_what_the_sources_give_is_in_devices_and_resistors() -> None:
    board = grid()
    pulse = multiply(board.spec, np.array([0.3, 0.1]), 1e-4)
    with board:
        (charge,) = charges(board.spec, [pulse], board.apply([pulse]))
    _, into = by_nodes(siemens(board), WIRE, {0: 0.3, 1: 0.1, 2: 0.0, 3: 0.0})
    flat = 0.98e-4 + 2 * 1e-6 / 3  # two ramps of a microsecond, whose mean square is a third
    assert charge.joules[0] == pytest.approx(flat * (0.3 * into[0] + 0.1 * into[1]), rel=1e-6)
    assert charge.joules[2] == pytest.approx(flat * (into**2 @ [SERIES, SERIES, SWITCH, SWITCH]), rel=1e-6)


def test_states_follow_the_published_rates() -> None:
    board = grid(wire=0.0, frozen=False, dopant="W")
    p = board._chip.parameters[0]
    ron, roff, von, voff, tau, vt = p[HEAD : HEAD + 6]
    volts = {0: 0.7, 1: 0.2, 2: 0.0, 3: 0.2}

    def f(z: Floats) -> Floats:
        return 1 / (1 + np.exp(-z / vt))

    def slopes(_: float, x: Floats) -> Floats:
        g = (x / ron + (1 - x) / roff).reshape(2, 2)
        _, into = by_nodes(g, 1e-6, volts)
        ends = np.array([volts[line] for line in range(4)]) - into * [SERIES, SERIES, SWITCH, SWITCH]
        v = (ends[:2, None] - ends[None, 2:]).ravel()
        on = np.maximum(f(v - von) - f(-von), 0)
        off = np.maximum(f(-v - voff) - f(-voff), 0)
        return (on * (1 - x) - off * x) / tau

    solved = solve_ivp(slopes, (0.0, 3e-4), X, method="Radau", rtol=1e-9, atol=1e-12)
    driven(board, drive(board.spec, volts, samples([1.0, 1.0], 3e-4), Purpose.PROGRAM))
    assert np.abs(solved.y[:, -1] - X).max() > 0.05
    assert np.array(board._chip.x) == pytest.approx(solved.y[:, -1], abs=1e-5)


@pytest.mark.parametrize("volts", [0.7, -0.7])
def test_junctions_are_solved_for(volts: float) -> None:
    board = grid(wire=0.0, rows=1, columns=1)
    board._chip.parameters[:, PHI:] = [0.85, 2e-6, 3.0, 3e-6, 2.5, 1.0]
    g = float(siemens(board)[0, 0])

    def amps(v: float) -> float:
        junctions = 2e-6 * np.expm1(3.0 * v) - 3e-6 * np.expm1(-2.5 * v)
        return 0.85 * g * v + 0.15 * float(junctions)

    inside = brentq(lambda v: v + (SERIES + SWITCH) * amps(v) - volts, -1, 1, xtol=1e-15)
    trace = driven(board, drive(board.spec, {0: volts, 1: 0.0}, FLAT, Purpose.READ))
    assert trace.amps[:, 0] == pytest.approx(amps(inside), rel=1e-9)


def test_samples_add_up_and_a_pulse_may_begin_with_a_jump() -> None:
    board = grid(wire=0.0)
    up, down = (drive(board.spec, {0: v, 2: 0.0}, FLAT, Purpose.READ) for v in (0.5, -0.2))
    with board:
        traces = board.apply([up, down.repeated(3), up])
    _, into = by_nodes(siemens(board), 1e-6, {0: 1.0, 2: 0.0})
    for trace, volts, seconds in zip(traces, (0.5, -0.2, 0.5), (1e-5, 3e-5, 1e-5), strict=True):
        assert trace.seconds.sum() == pytest.approx(seconds, rel=1e-12)
        assert trace.volts[:, 0].tolist() == [volts] * len(trace.seconds)
        joules = trace.seconds @ (trace.volts[:, 0] * trace.amps[:, 0])
        assert joules == pytest.approx(seconds * volts**2 * into[0], rel=1e-5)


@pytest.mark.parametrize("parameter", [RON, TAU, PHI + 1])
def test_what_is_no_number_is_never_a_solution(parameter: int) -> None:
    board = grid()
    board._chip.parameters[1, PHI] = 0.9
    board._chip.parameters[1, parameter] = np.nan
    before = np.array(board._chip.x)
    with pytest.raises(NoConvergence, match="no step was short enough"):
        driven(board, read_row(board.spec, 0, 0.1, 1e-5))
    assert np.array_equal(board._chip.x, before)


# ---- neurons ------------------------------------------------------------------------------------


def test_neurons_are_amplifiers_with_gain_and_rails() -> None:
    board: Any = compact("network", model=MODEL.name)
    board._chip.parameters[:, TAU] = 1e6
    board._chip.x[:] = np.random.default_rng(4).uniform(0.0, 0.04, 30)
    ron, roff = board._chip.parameters[0, RON : ROFF + 1]
    by_site = board._chip.x / ron + (1 - board._chip.x) / roff
    spec = board.spec
    layers = [
        np.array([[by_site[spec.site_at(i, j)] for j in range(3)] for i in range(9)]),
        np.array([[by_site[spec.site_at(i, 3)]] for i in range(9, 12)]),
    ]
    circuit = [
        Amplifier(n.feedback_ohms, n.reference_siemens, n.low_volts, n.high_volts, open_loop_gain=1e5)
        for n in (spec.neurons[0], spec.neurons[-1])
    ]
    pixels = 0.1 * letters("z").pixels
    hidden, answers = chip_volts(pixels, layers, circuit)
    assert 0.0 < hidden.mean() < 0.1
    with board:
        traces = board.apply([infer(spec, row, 1e-6) for row in pixels])
    peak = [trace.volts[np.abs(trace.volts[:, :9]).sum(axis=1).argmax()] for trace in traces]
    assert np.array(peak)[:, 9:12] == pytest.approx(hidden, abs=1e-9)
    assert np.array(peak)[:, 12] == pytest.approx(answers[:, 0], abs=1e-9)


def test_currents_of_the_neurons_are_those_of_the_devices() -> None:
    board: Any = compact("network", model=MODEL.name)
    board._chip.parameters[:, TAU] = 1e6
    board._chip.x[:] = 0.02
    trace = driven(board, infer(board.spec, np.full(9, 0.1), 1e-6))
    assert trace.amps.sum(axis=1) == pytest.approx(0.0, abs=1e-15)  # what goes in comes out at the columns
    g = 0.02 / board._chip.parameters[0, RON] + 0.98 / board._chip.parameters[0, ROFF]
    top = trace.volts[:, 0].argmax()
    assert trace.amps[top, :9] == pytest.approx(0.3 * g, rel=1e-4)  # three columns near 0 V
    assert trace.amps[top, 13:16] == pytest.approx(-0.9 * g, rel=1e-4)


def test_a_shape_is_followed_through_its_corners() -> None:
    board = grid(wire=0.0)
    trace = driven(board, drive(board.spec, {0: 0.4, 2: 0.0}, square(1.0, 1e-5, 1e-6), Purpose.READ))
    assert trace.volts[[0, -1], 0].tolist() == [0.0, 0.0]
    assert trace.seconds @ trace.volts[:, 0] == pytest.approx(0.4 * 9e-6, rel=1e-9)
