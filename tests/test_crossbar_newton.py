"""Crossbars of non-linear devices, against a dense Newton that is written out here, and against ngspice."""

from typing import Any

import numpy as np
import pytest

from labctl.errors import NoConvergence, Refused
from labctl.pulse import Floats
from sim_backend.crossbar import Crossbar, solve
from sim_backend.crossbar.newton import Current, operating_point, solve_nonlinear
from sim_backend.crossbar.wiring import Wiring
from sim_backend.engine import Engine, Job
from tests.test_crossbar import eliminated

CURVE = 4.0
"""[1/V]"""


def devices(rows: int, columns: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).uniform(5e-5, 1e-3, (rows, columns))


def bending(siemens: Floats, curve: float = CURVE) -> Current:
    """I = G sinh(c v)/c."""
    return lambda v: (siemens * np.sinh(curve * v) / curve, siemens * np.cosh(curve * v))


def nodal(bar: Crossbar, volts: Floats, sunk: Floats, current: Current) -> tuple[Floats, Floats]:
    """[V] of both electrodes of each device: Newton with a dense matrix; no wire and no end may have 0 ohm.

    Nodes: r(i, j) = i n + j on the rows, then c(i, j) on the columns; sources feed r(i, 0), sinks c(m-1, j).
    """
    m, n = bar.siemens.shape
    tops = np.arange(m * n).reshape(m, n)
    bottoms = m * n + tops
    wires, side = np.zeros((2 * m * n, 2 * m * n)), np.zeros(2 * m * n)

    def join(a: Any, b: Any, siemens: Any) -> None:
        np.add.at(wires, (a, a), siemens)
        np.add.at(wires, (b, b), siemens)
        np.add.at(wires, (a, b), -siemens)
        np.add.at(wires, (b, a), -siemens)

    def hold(a: Any, ohms: Any, level: Any) -> None:
        if ohms is not None:
            np.add.at(wires, (a, a), 1 / ohms)
            np.add.at(side, a, level / ohms)

    join(tops[:, :-1].ravel(), tops[:, 1:].ravel(), 1 / bar.row_wire_ohms)
    join(bottoms[:-1].ravel(), bottoms[1:].ravel(), 1 / bar.column_wire_ohms)
    hold(tops[:, 0], bar.source_ohms, volts)
    hold(tops[:, -1], bar.far_source_ohms, volts)
    hold(bottoms[-1], bar.sink_ohms, sunk)
    hold(bottoms[0], bar.far_sink_ohms, sunk)
    nodes = np.zeros(2 * m * n)
    for _ in range(60):
        across = (nodes[: m * n] - nodes[m * n :]).reshape(m, n)
        amps, slopes = (one.ravel() for one in current(across))
        matrix, wrong = wires.copy(), wires @ nodes - side
        wrong[: m * n] += amps
        wrong[m * n :] -= amps
        rows, columns = tops.ravel(), bottoms.ravel()
        matrix[rows, rows] += slopes
        matrix[columns, columns] += slopes
        matrix[rows, columns] -= slopes
        matrix[columns, rows] -= slopes
        nodes -= np.linalg.solve(matrix, wrong)
    return nodes[: m * n].reshape(m, n), nodes[m * n :].reshape(m, n)


@pytest.mark.parametrize("far", [None, 30.0], ids=["one end", "both ends"])
@pytest.mark.parametrize(("row_wire", "column_wire"), [(1.0, 2.0), (100.0, 1.0), (1e-3, 20.0)])
def test_nodes_are_those_of_a_dense_newton(row_wire: float, column_wire: float, far: float | None) -> None:
    draw, siemens = np.random.default_rng(3), devices(5, 7)
    siemens[2, 3] = 0.0
    ends = draw.uniform(10, 200, 5), draw.uniform(10, 200, 7)
    bar = Crossbar(siemens, *ends, row_wire, column_wire, far, far)
    volts, sunk = draw.uniform(-1, 1, 5), draw.uniform(-0.2, 0.2, 7)
    found = operating_point(Wiring.of(bar), bending(siemens), volts, sunk, 1e-11)
    rows, columns = nodal(bar, volts, sunk, bending(siemens))
    assert np.abs(found.nodes.rows - rows).max() < 1e-10
    assert np.abs(found.nodes.columns - columns).max() < 1e-10


@pytest.mark.parametrize("wires", [(0.0, 0.0), (2.0, 0.0), (0.0, 3.0), (2.0, 3.0), (1e-6, 1e-6)])
@pytest.mark.parametrize("ends", [0.0, 1e-6, 50.0, 1e6])
def test_resistors_are_solved_as_the_linear_solver_does(wires: tuple[float, float], ends: float) -> None:
    siemens, volts = devices(6, 9), np.random.default_rng(4).uniform(0, 1, (2, 6))
    bar = Crossbar(siemens, ends, ends, *wires)
    found = solve_nonlinear(bar, lambda v: (siemens * v, siemens), volts)
    known = solve(bar, volts)
    assert found.outputs == pytest.approx(known.outputs, rel=1e-8)
    assert found.row_volts == pytest.approx(known.row_volts, abs=1e-9)
    assert found.watts.total == pytest.approx(known.watts.total, rel=1e-7)


@pytest.mark.parametrize("wire", [0.0, 1.0])
def test_power_that_goes_in_is_dissipated(wire: float) -> None:
    siemens = devices(48, 40)
    bar = Crossbar(siemens, 20.0, 40.0, wire, wire)
    found = solve_nonlinear(bar, bending(siemens), np.random.default_rng(5).uniform(-0.6, 0.6, 48))
    assert found.watts_in == pytest.approx(found.watts_dissipated, rel=1e-9)
    assert found.watts.devices > 0.1 * found.watts_in


@pytest.mark.parametrize("wire", [0.0, 5.0])
def test_steps_close_in_quadratically_and_the_error_is_what_is_left(wire: float) -> None:
    siemens, volts = devices(16, 16), np.full(16, 0.5)
    bar = Crossbar(siemens, 50.0, 50.0, wire, wire)
    exact = solve_nonlinear(bar, bending(siemens), volts, tolerance=1e-13)
    assert exact.iterations <= 8
    for tolerance in (1e-2, 1e-4, 1e-6, 1e-8):
        found = solve_nonlinear(bar, bending(siemens), volts, tolerance=tolerance)
        off = max(
            np.abs(found.row_volts - exact.row_volts).max(),
            np.abs(found.column_volts - exact.column_volts).max(),
        )
        assert off <= tolerance * 0.5
        assert np.abs(found.outputs / exact.outputs - 1).max() <= found.error


DECADES = [0.0, 1e-6, 1e-3, 1.0, 100.0, 1e6]


@pytest.mark.parametrize("number", range(60))
def test_nothing_is_further_off_than_the_error_says(number: int) -> None:
    """Resistors, ends and wires of any decade, against an elimination in more digits."""
    draw = np.random.default_rng(number)
    rows, columns = (int(count) for count in draw.integers(1, 7, 2))
    siemens = draw.choice([0.0, 1e-6, 1e-4, 1e-2, 1.0], (rows, columns))
    near, sink = draw.choice(DECADES, rows), draw.choice(DECADES, columns)
    far = draw.choice(DECADES, rows) if number % 3 == 0 else None
    far_sink = draw.choice(DECADES, columns) if number % 4 == 0 else None
    bar = Crossbar(siemens, near, sink, *draw.choice(DECADES, 2), far, far_sink)
    matrix, volts = eliminated(bar), draw.standard_normal(rows)
    found = solve_nonlinear(bar, lambda v: (siemens * v, siemens), volts)
    most = max((np.maximum(sign * volts, 0) @ matrix).max() for sign in (1, -1))  # as if none cancelled
    assert np.abs(found.outputs[0] - volts @ matrix).max() <= found.error * most


def test_a_current_of_another_shape_is_refused() -> None:
    with pytest.raises(Refused, match=r"shapes \(1, 3\)"):
        solve_nonlinear(Crossbar(devices(3, 3)), lambda v: (v[:1], v[:1]), np.ones(3))


def test_steps_that_lead_astray_are_halved() -> None:
    """A diode at 1 V behind 100 ohm: at rest its slope is e to the thirtieth of what it is at 0 V."""
    siemens = devices(4, 4)

    def diode(v: Floats) -> tuple[Floats, Floats]:
        with np.errstate(over="ignore"):
            return 1e-3 * siemens * np.expm1(30 * v), 0.03 * siemens * np.exp(30 * v)

    bar = Crossbar(siemens, 100.0, 100.0)
    found = solve_nonlinear(bar, diode, np.full(4, 1.0))
    lost = 100.0 * (found.source_amps[0][:, None] + found.outputs[0])
    across = found.row_volts[0] - found.column_volts[0]
    assert lost + across == pytest.approx(np.full((4, 4), 1.0), rel=1e-9)
    assert diode(across)[0].sum(axis=0) == pytest.approx(found.outputs[0], rel=1e-6)


def test_nothing_in_nothing_out() -> None:
    siemens = devices(3, 4)
    found = solve_nonlinear(Crossbar(siemens, 10.0, 10.0, 1.0, 1.0), bending(siemens), np.zeros(3))
    assert not found.outputs.any()
    assert found.iterations == 0


@pytest.mark.parametrize(
    "current",
    [
        lambda v: (np.full_like(v, np.nan), np.ones_like(v)),
        lambda v: (v / 0.0, np.ones_like(v)),
        lambda v: (np.where(v > 0.2, 1.0, -1.0), np.full_like(v, 1e-9)),
    ],
    ids=["NaN", "infinite", "a jump at 0.2 V"],
)
def test_devices_without_a_solution_say_so(current: Current) -> None:
    with np.errstate(all="ignore"), pytest.raises(NoConvergence, match="fit its devices"):
        solve_nonlinear(Crossbar(devices(3, 3), 100.0, 100.0, 1.0, 1.0), current, np.full(3, 0.5))


@pytest.mark.parametrize("tolerance", [0.0, -1.0, np.nan])
def test_a_tolerance_is_above_0(tolerance: float) -> None:
    with pytest.raises(Refused, match="tolerance"):
        solve_nonlinear(Crossbar(devices(2, 2)), bending(devices(2, 2)), np.ones(2), tolerance=tolerance)


def test_volts_of_another_shape_are_refused() -> None:
    with pytest.raises(Refused, match="shape"):
        solve_nonlinear(Crossbar(devices(2, 3)), bending(devices(2, 3)), np.ones(3))


# ---- ngspice -------------------------------------------------------------------------------------


def netlist(siemens: Floats, volts: Floats, source: float, sink: float, wire: float) -> Job:
    """A crossbar of B-sources; ammeters, of 0 V, behind the sinks."""
    m, n = siemens.shape
    lines = ["* sinh", ".options reltol=1e-12 abstol=1e-18 vntol=1e-14 gmin=1e-18"]
    lines += [f"v{i} s{i} 0 {float(volts[i])!r}\nrs{i} s{i} r{i}_0 {source!r}" for i in range(m)]
    lines += [f"rn{j} c{m - 1}_{j} t{j} {sink!r}\nvt{j} t{j} 0 0" for j in range(n)]
    for i in range(m):
        for j in range(n):
            g = float(siemens[i, j])
            lines.append(f"b{i}_{j} r{i}_{j} c{i}_{j} i={g / CURVE!r}*sinh({CURVE!r}*v(r{i}_{j},c{i}_{j}))")
            lines += [f"rw{i}_{j} r{i}_{j - 1} r{i}_{j} {wire!r}"] if j else []
            lines += [f"cw{i}_{j} c{i - 1}_{j} c{i}_{j} {wire!r}"] if i else []
    meters = tuple(f"vt{j}#branch" for j in range(n))
    saved = " ".join(f"i(vt{j})" for j in range(n))
    return Job(
        "\n".join([*(line.replace("cw", "rcw") for line in lines), f".save {saved}", ".end"]),
        1e-6,
        1e-7,
        meters,
    )


@pytest.mark.parametrize("size", [(4, 4), (6, 8)])
def test_outputs_are_those_of_ngspice(size: tuple[int, int]) -> None:
    siemens, volts = devices(*size), np.random.default_rng(6).uniform(-0.5, 0.5, size[0])
    with Engine() as engine:
        waves = engine.transient(netlist(siemens, volts, 50.0, 80.0, 5.0))
    found = solve_nonlinear(Crossbar(siemens, 50.0, 80.0, 5.0, 5.0), bending(siemens), volts)
    assert found.outputs[0] == pytest.approx(waves.values[:, -1], rel=1e-7)
