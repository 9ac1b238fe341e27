"""The whole crossbar as one matrix, against dense nodal matrices, the grid's own solver, fresh factorings.

The witness writes Kirchhoff's current law for every node, with nothing in common with the merging of blocks;
where ends or wires have 0 ohm it ties their nodes together, so those cases have a witness too.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.circuits import SOLVERS, Case, missing, spice_job
from labctl.errors import Refused
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.factored import Factored
from sim_backend.crossbar.solve import solve
from sim_backend.engine import Engine

Floats = NDArray[np.float64]


def devices(rows: int, columns: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).uniform(1e-5, 1e-4, (rows, columns))


def off(found: Floats, wanted: Floats) -> float:
    """The largest difference, as a share of the largest entry."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


class Nodes:
    """Nodes of a circuit, some of which are tied together; Kirchhoff's law in `numpy.longdouble`."""

    def __init__(self, count: int) -> None:
        self._same = list(range(count))
        self._resistors = list[tuple[int, int, float]]()

    def node(self, name: int) -> int:
        while self._same[name] != name:
            name = self._same[name]
        return name

    def join(self, a: int, b: int, ohms: float) -> None:
        if ohms == 0:
            low, high = sorted((self.node(a), self.node(b)))
            self._same[high] = low
        else:
            self._resistors.append((a, b, 1 / ohms))

    def conductances(self) -> Floats:
        found = np.zeros((len(self._same), len(self._same)))
        for a, b, siemens in self._resistors:
            a, b = self.node(a), self.node(b)
            found[a, a] += siemens
            found[b, b] += siemens
            found[a, b] -= siemens
            found[b, a] -= siemens
        return found


def nodal(crossbar: Crossbar) -> Floats:
    """(rows, columns) [S] by one dense solve. Terminals are numbered first: sources, then neurons."""
    rows, columns = crossbar.siemens.shape
    ends = rows + columns
    nodes = Nodes(ends + 2 * rows * columns)
    row = ends + np.arange(rows * columns).reshape(rows, columns)
    column = row + rows * columns
    for (i, j), siemens in np.ndenumerate(crossbar.siemens):
        if siemens > 0:
            nodes.join(row[i, j], column[i, j], 1 / siemens)
        if j:
            nodes.join(row[i, j - 1], row[i, j], crossbar.row_wire_ohms)
        if i:
            nodes.join(column[i - 1, j], column[i, j], crossbar.column_wire_ohms)
    _ends(nodes, np.arange(rows), row[:, 0], crossbar.source_ohms)
    _ends(nodes, rows + np.arange(columns), column[-1], crossbar.sink_ohms)
    _ends(nodes, np.arange(rows), row[:, -1], crossbar.far_source_ohms)
    _ends(nodes, rows + np.arange(columns), column[0], crossbar.far_sink_ohms)
    inner = sorted({nodes.node(name) for name in range(ends, ends + 2 * rows * columns)} - set(range(ends)))
    all_siemens = nodes.conductances()
    inside = all_siemens[np.ix_(inner, inner)]
    seen = all_siemens[:ends, :ends] - all_siemens[:ends][:, inner] @ np.linalg.solve(
        inside, all_siemens[inner][:, :ends]
    )
    return -seen[rows:, :rows].T


def _ends(nodes: Nodes, terminals: NDArray[np.intp], places: NDArray[np.intp], ohms: Floats | None) -> None:
    if ohms is not None:
        for terminal, place, resistance in zip(terminals, places, ohms, strict=True):
            nodes.join(int(terminal), int(place), float(resistance))


SHAPES = [(1, 1), (1, 6), (6, 1), (2, 3), (17, 5), (5, 17), (16, 16), (33, 12)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_shape(shape: tuple[int, int]) -> None:
    crossbar = Crossbar(devices(*shape), 100.0, 50.0, 1.0, 2.0)
    assert off(Factored(crossbar).effective, nodal(crossbar)) < 1e-10


ENDS = {
    "source and neuron of 0 ohm": (0, 0, 1, 2),
    "row wires only": (100, 50, 1, 0),
    "column wires only": (100, 50, 0, 2),
    "wires and nothing else": (0, 0, 0, 2),
    "far ends": (100, 50, 1, 2, 30, 70),
    "far sources": (100, 50, 1, 2, 30),
    "far neurons": (100, 50, 1, 2, None, 70),
    "far ends of 0 ohm": (100, 50, 1, 2, 0, 0),
    "all ends of 0 ohm": (0, 0, 1, 2, 0, 0),
}


@pytest.mark.parametrize("ohms", ENDS.values(), ids=ENDS)
def test_any_ends(ohms: tuple[float, ...]) -> None:
    crossbar = Crossbar(devices(11, 9), *ohms)
    assert off(Factored(crossbar).effective, nodal(crossbar)) < 1e-10


@pytest.mark.parametrize(("row_wire", "column_wire"), [(0, 2), (1, 0)])
def test_a_line_without_any_resistance_between_two_ends(row_wire: float, column_wire: float) -> None:
    """How its current divides is undefined, and what comes out of the crossbar is not."""
    both = Crossbar(devices(11, 9), 0, 0, row_wire, column_wire, 0, 0)
    one = Crossbar(
        devices(11, 9),
        0,
        0,
        row_wire,
        column_wire,
        None if row_wire == 0 else 0,
        None if column_wire == 0 else 0,
    )
    assert off(Factored(both).effective, Factored(one).effective) < 1e-12


def test_lines_of_different_ends() -> None:
    generator = np.random.default_rng(3)
    sources, sinks = generator.uniform(0, 1e3, 34), generator.uniform(0, 1e3, 33)
    sources[::7], sinks[::5] = 0.0, 0.0
    crossbar = Crossbar(devices(34, 33), sources, sinks, 1.0, 0.5)
    assert off(Factored(crossbar).effective, nodal(crossbar)) < 1e-10


@pytest.mark.parametrize("wire", [1e-6, 1e-3, 1.0, 100.0])
@pytest.mark.parametrize(("source", "sink"), [(1e-6, 1e-6), (1e-6, 1e6), (1e6, 1e-6), (100.0, 100.0)])
def test_twelve_decades_lose_no_digits(wire: float, source: float, sink: float) -> None:
    crossbar = Crossbar(devices(40, 45), source, sink, wire, wire)
    solution = solve(crossbar, np.eye(40), tolerance=1e-10)
    assert off(Factored(crossbar).effective, solution.outputs) < 1e-9
    assert Factored(crossbar).error < 1e-9


def test_wires_of_nearly_nothing_come_near_to_the_closed_form() -> None:
    with_wires = Crossbar(devices(50, 70), 100, 200, 1e-9, 1e-9)
    without = Crossbar(devices(50, 70), 100, 200)
    assert off(Factored(with_wires).effective, Factored(without).effective) < 1e-9


def test_without_wires_it_is_the_equation() -> None:
    """K = 1 + Rn Dc - Rs Rn G^T A G, I = K^-1 G^T A V, with A = 1 / (1 + Rs Dr)."""
    siemens, source, sink = devices(12, 8), 300.0, 200.0
    a = np.diag(1 / (1 + source * siemens.sum(axis=1)))
    k = np.eye(8) + sink * np.diag(siemens.sum(axis=0)) - source * sink * siemens.T @ a @ siemens
    wanted = np.linalg.solve(k, siemens.T @ a).T
    assert off(Factored(Crossbar(siemens, source, sink)).effective, wanted) < 1e-12


def test_open_devices_rows_and_columns() -> None:
    siemens = devices(20, 18)
    siemens[3], siemens[:, 5], siemens[7, 7] = 0.0, 0.0, 0.0
    found = Factored(Crossbar(siemens, 100, 100, 1, 1)).effective
    assert np.abs(found[3]).max() == 0.0
    assert np.abs(found[:, 5]).max() == 0.0
    assert off(found, nodal(Crossbar(siemens, 100, 100, 1, 1))) < 1e-10


def test_nothing_but_open_devices() -> None:
    crossbar = Crossbar(np.zeros((5, 4)), 100, 100, 1, 1)
    assert not Factored(crossbar).effective.any()
    assert Factored(crossbar).error == 0.0


def test_larger_than_a_tile_against_the_grid_solver() -> None:
    crossbar = Crossbar(devices(150, 110), 100, 100, 1, 1)
    volts = np.random.default_rng(2).standard_normal((5, 150))
    solution = solve(crossbar, volts)
    assert off(Factored(crossbar).outputs(volts), solution.outputs) < 1e-10


def test_turned_round_it_is_transposed() -> None:
    """Reciprocity: driven at the neurons and read at the sources, the circuit is the same."""
    siemens = devices(70, 40)
    forth = Factored(Crossbar(siemens, 100, 20, 1, 2)).effective
    turned = Crossbar(siemens.T[::-1, ::-1], 20, 100, 2, 1)
    assert off(Factored(turned).effective[::-1, ::-1].T, forth) < 1e-12


def test_many_vectors() -> None:
    crossbar = Crossbar(devices(30, 20), 100, 100, 1, 1)
    factored = Factored(crossbar)
    volts = np.random.default_rng(5).standard_normal((100, 30))
    together = factored.outputs(volts)
    assert together.shape == (100, 20)
    assert factored.outputs(volts[7]).shape == (1, 20)
    assert np.allclose(together[7], factored.outputs(volts[7])[0], rtol=1e-13, atol=0)
    assert not factored.effective.flags.writeable


UPDATED = {
    "wires": (100, 100, 1, 1),
    "no ends": (0, 0, 1, 1),
    "microohms": (1e-6, 1e-6, 1e-6, 1e-6),
    "far ends": (100, 100, 1, 1, 30, 70),
    "one wire": (100, 100, 0, 1),
    "no wire": (100, 100),
}


@pytest.mark.parametrize("keep", [False, True], ids=["afresh", "kept"])
@pytest.mark.parametrize("ohms", UPDATED.values(), ids=UPDATED)
def test_updated_is_as_if_factored_afresh(ohms: tuple[float, ...], keep: bool) -> None:
    crossbar = Crossbar(devices(130, 110), *ohms)
    sites = np.array([[0, 0], [0, 1], [40, 33], [45, 33], [129, 0], [129, 109]])
    siemens = np.array([1e-3, 0.0, 2e-5, 9e-5, 1e-12, 1e-4])
    found = Factored(crossbar, keep=keep).updated(sites, siemens)
    devices_now = crossbar.siemens.copy()
    devices_now[tuple(sites.T)] = siemens
    assert np.array_equal(found.crossbar.siemens, devices_now)
    wanted = Factored(crossbar.with_devices(devices_now))
    assert off(found.effective, wanted.effective) < 1e-11
    assert found.error < 1e-9


def test_updates_add_up_and_can_be_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Factored(Crossbar(devices(100, 90), 100, 100, 1, 1), keep=True)
    with monkeypatch.context() as patched:
        patched.setattr("sim_backend.crossbar.factored.merged", None)  # nothing is factored again
        changed = first.updated([[1, 2]], [0.0]).updated([[80, 70], [1, 2]], [1e-3, 5e-5])
        changed = changed.updated([[8, 8]], [0.0])
    fresh = Factored(changed.crossbar)
    assert off(changed.effective, fresh.effective) < 1e-12
    back = changed.with_devices(first.crossbar.siemens)
    assert np.array_equal(back.effective, first.effective)


def test_many_devices_in_one_tile() -> None:
    """More devices in one tile than it has lines on a side."""
    first = Factored(Crossbar(devices(200, 130), 100, 100, 1, 1), keep=True)
    columns = np.arange(40)
    sites = np.vstack(
        [np.column_stack([np.full(40, 180), columns]), np.column_stack([np.full(40, 190), columns])]
    )
    found = first.updated(sites, np.linspace(0, 1e-4, 80))
    assert off(found.effective, Factored(found.crossbar).effective) < 1e-11


def test_many_changes() -> None:
    first = Factored(Crossbar(devices(24, 24), 100, 100, 1, 1), keep=True)
    half = np.where(np.arange(576).reshape(24, 24) % 2, first.crossbar.siemens, 3e-5)
    assert off(first.with_devices(half).effective, nodal(first.crossbar.with_devices(half))) < 1e-10


def test_a_small_change_keeps_its_digits() -> None:
    """The derivative of an output by a device: the product of two voltages, by Tellegen's theorem."""
    crossbar = Crossbar(devices(60, 50), 100, 100, 1, 1)
    before = Factored(crossbar, keep=True)
    siemens = crossbar.siemens[20, 30]
    step = 1e-4 * siemens
    up, down = (before.updated([[20, 30]], [siemens + sign * step]).effective for sign in (1, -1))
    volts = solve(crossbar, np.eye(60)[20])
    across = volts.row_volts[0, 20, 30] - volts.column_volts[0, 20, 30]
    turned = Crossbar(crossbar.siemens.T[::-1, ::-1], 100, 100, 1, 1)
    back = solve(turned, np.eye(50)[49 - 30])
    across_back = back.row_volts[0, 49 - 30, 59 - 20] - back.column_volts[0, 49 - 30, 59 - 20]
    slope = (up[20, 30] - down[20, 30]) / (2 * step)
    assert slope == pytest.approx(across * across_back, rel=1e-6)


@pytest.mark.parametrize(
    ("sites", "siemens", "named"),
    [
        ([[0, 40]], [1e-5], "not there"),
        ([[-1, 0]], [1e-5], "not there"),
        ([[0.0, 1.0]], [1e-5], "not there"),
        ([0, 1], [1e-5], "shape"),
        ([[0, 1]], [1e-5, 2e-5], "shape"),
        ([[0, 1], [0, 1]], [1e-5, 2e-5], "twice"),
        ([[0, 1], [2]], [1e-5, 2e-5], "no numbers"),
        ([[0, 1]], ["much"], "no numbers"),
        ([[0, 1]], [-1e-5], "conductances"),
        ([[0, 1]], [np.nan], "conductances"),
    ],
)
def test_what_is_no_update_is_refused(sites: list[object], siemens: list[object], named: str) -> None:
    factored = Factored(Crossbar(devices(40, 40), 100, 100, 1, 1))
    with pytest.raises(Refused, match=named):
        factored.updated(sites, siemens)  # type: ignore[arg-type]


@pytest.mark.parametrize("volts", [np.zeros(5), np.zeros((2, 2, 4)), np.full(4, np.nan)])
def test_volts_of_another_shape_are_refused(volts: Floats) -> None:
    with pytest.raises(Refused, match="voltages"):
        Factored(Crossbar(devices(4, 3), 100, 100, 1, 1)).outputs(volts)


def test_digits_that_are_lost_are_said_to_be() -> None:
    """An open row: with 1e12 ohm the matrix holds its digits, with much more it does not."""
    open_row, ends = devices(3, 4), np.array([100.0, 1e12, 100.0])
    found = Factored(Crossbar(open_row, ends, 100.0, 1.0, 1.0), keep=True)
    assert off(found.effective, solve(found.crossbar, np.eye(3)).outputs) < 1e-9
    assert found.updated([(0, 0)], [1e-5]).error < 1e-9
    with pytest.raises(Refused, match=r"double precision(.|\n)*use solve"):
        Factored(Crossbar(open_row, ends * 1e8, 100.0, 1.0, 1.0))


def test_values_beyond_double_precision_are_refused() -> None:
    with pytest.raises(Refused, match="double precision"):
        Factored(Crossbar(np.full((40, 40), 1e100), 1e100, 1e100, 1e100, 1e100))


def test_a_peer_that_cannot_be_compared_has_a_row_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    assert "one resistance" in missing("badcrossbar", Case(4, 4, end_ohms=100.0))
    assert missing("badcrossbar", Case(4, 4)) == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for peer in ("badcrossbar", "neospice"):
        assert missing(peer, Case(4, 4)) == "not installed: sh tools/peers.sh"
    assert missing("solve", Case(4, 4)) == ""


def test_what_the_benchmark_compares_with_is_the_same_circuit() -> None:
    case = Case(9, 7, end_ohms=30.0, vectors=3)
    wanted = case.volts @ nodal(case.crossbar)
    for name in ("solve", "Factored", "Factored, further", "Factored, 10 updated", "sparse direct"):
        assert off(SOLVERS[name](case)(), wanted) < 1e-9
    with Engine() as engine:
        volts = engine.transient(spice_job(case)).values[:, -1]
    assert off(volts / 30.0, wanted[0]) < 1e-6
