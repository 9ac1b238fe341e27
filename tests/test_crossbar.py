"""The exact crossbar: against pencil and paper, an elimination in more digits, and a sparse direct solve.

The witnesses know nothing of lines or of closed forms. Both are made node by node from Kirchhoff's law; a
resistance of 0 ohm makes two nodes one.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import spsolve

from labctl.errors import NoConvergence, Refused
from sim_backend.crossbar import Crossbar, Solution, chains, effective, solve
from sim_backend.crossbar import closed as closed_form

Floats = npt.NDArray[np.float64]
Resistor = tuple[int, int, float]


class Nodes:
    """A crossbar as a list of conductances between numbered nodes: free ones first, then the terminals."""

    def __init__(self, bar: Crossbar) -> None:
        rows, columns = bar.rows, bar.columns
        free = 2 * rows * columns
        self.sources = free + np.arange(rows)
        self.sinks = free + rows + np.arange(columns)
        self.row = np.arange(rows * columns).reshape(rows, columns)
        self.column = self.row + rows * columns
        self._same = list(range(free + rows + columns))
        wires = list(self._wires(bar))
        for one, other, ohms in wires:
            if ohms == 0:
                low, high = sorted((self.of(one), self.of(other)))
                self._same[low] = high  # terminals have the highest numbers
        joined = [(a, b, 1 / ohms) for a, b, ohms in wires if ohms > 0]
        devices = zip(self.row.flat, self.column.flat, bar.siemens.flat, strict=True)
        self.edges = [(self.of(a), self.of(b), g) for a, b, g in [*joined, *devices]]
        self.free = [node for node in range(free) if self.of(node) == node]

    def of(self, node: int) -> int:
        while self._same[node] != node:
            node = self._same[node]
        return node

    def _wires(self, bar: Crossbar) -> Iterator[Resistor]:
        yield from zip(self.row[:, 0], self.sources, bar.source_ohms, strict=True)
        yield from zip(self.column[-1], self.sinks, bar.sink_ohms, strict=True)
        if bar.far_source_ohms is not None:
            yield from zip(self.row[:, -1], self.sources, bar.far_source_ohms, strict=True)
        if bar.far_sink_ohms is not None:
            yield from zip(self.column[0], self.sinks, bar.far_sink_ohms, strict=True)
        for i, j in np.ndindex(bar.siemens.shape):
            if j:
                yield self.row[i, j - 1], self.row[i, j], bar.row_wire_ohms
            if i:
                yield self.column[i - 1, j], self.column[i, j], bar.column_wire_ohms


def eliminated(bar: Crossbar) -> Floats:
    """[S], (rows, columns), of sources to sinks: node by node by star-mesh, in extended precision."""
    nodes = Nodes(bar)
    kept = [*nodes.free, *nodes.sources, *nodes.sinks]
    place = {int(node): k for k, node in enumerate(kept)}
    mesh = np.zeros((len(kept), len(kept)), np.longdouble)
    for a, b, siemens in nodes.edges:
        if a != b:
            mesh[place[a], place[b]] += siemens
            mesh[place[b], place[a]] += siemens
    for k in range(len(nodes.free)):
        others = mesh[k, k + 1 :]
        if others.sum() > 0:
            mesh[k + 1 :, k + 1 :] += np.outer(others, others / others.sum())
    count = len(nodes.free)
    return mesh[count : count + bar.rows, count + bar.rows :].astype(float)


def direct(bar: Crossbar, volts: Floats) -> tuple[Floats, Floats]:
    """Node voltages [V] of rows and columns, (rows, columns) each: one sparse matrix, factored."""
    nodes = Nodes(bar)
    total = 2 * bar.rows * bar.columns + bar.rows + bar.columns
    a, b, siemens = (np.array(part) for part in zip(*nodes.edges, strict=True))
    entries = np.concatenate([siemens, siemens, -siemens, -siemens])
    places = (np.concatenate([a, b, a, b]), np.concatenate([a, b, b, a]))
    matrix = sparse.csr_matrix((entries, places), shape=(total, total))
    found = np.zeros(total)
    found[nodes.sources] = volts
    free = np.array(nodes.free)
    found[free] = spsolve(matrix[free][:, free].tocsc(), -(matrix @ found)[free])
    same = np.array([nodes.of(node) for node in range(total)])
    return found[same[nodes.row]], found[same[nodes.column]]


def uniform(rows: int, columns: int, number: int = 0) -> Floats:
    return np.random.default_rng(number).uniform(1e-5, 1e-4, (rows, columns))


def off(found: Floats, true: Floats) -> float:
    """The largest error, as a share of the largest true value."""
    return float(np.abs(found - true).max() / np.abs(true).max())


def check_power(solution: Solution, within: float = 1e-9) -> None:
    given, gone = solution.watts_in, solution.watts_dissipated
    assert np.abs(given - gone).max() <= within * np.abs(given).min()


# By pencil.


def test_one_device_is_a_chain_of_three_resistors() -> None:
    found = solve(Crossbar([[1e-3]], 200.0, 800.0), [2.0])
    assert found.outputs == pytest.approx(np.array([[1e-3]]), rel=1e-14)  # 2 V over 200 + 1000 + 800 ohm
    assert found.row_volts.item() == pytest.approx(1.8)
    assert found.column_volts.item() == pytest.approx(0.8)
    assert found.watts.devices.item() == pytest.approx(1e-3)
    assert found.watts.sources.item() == pytest.approx(2e-4)
    assert found.watts.sinks.item() == pytest.approx(8e-4)


def test_the_wire_of_a_row_is_passed_by_what_lies_beyond() -> None:
    """1 V, 1 kohm source; device 0 of 1 kohm at once, device 1 of 1 kohm behind 1 kohm of wire."""
    found = solve(
        Crossbar([[1e-3, 1e-3]], 1e3, 0.0, row_wire_ohms=1e3, column_wire_ohms=7.0), 1.0 + np.zeros(1)
    )
    # 1 kohm beside 2 kohm is 2/3 kohm: the first node is at 0.4 V, the second at 0.2 V.
    assert found.row_volts == pytest.approx(np.array([[[0.4, 0.2]]]), rel=1e-10)
    assert found.outputs == pytest.approx(np.array([[4e-4, 2e-4]]), rel=1e-10)
    assert found.watts.row_wires.item() == pytest.approx(4e-5)
    assert found.watts.column_wires.item() == 0


def test_the_wire_of_a_column_is_passed_by_what_enters_above() -> None:
    """The same circuit turned about: what row 0 gives passes the segment above row 1; row 1 does not."""
    bar = Crossbar([[1e-3], [1e-3]], 0.0, 1e3, row_wire_ohms=7.0, column_wire_ohms=1e3)
    assert solve(bar, [1.0, 0.0]).outputs.item() == pytest.approx(2e-4, rel=1e-10)
    assert solve(bar, [0.0, 1.0]).outputs.item() == pytest.approx(4e-4, rel=1e-10)


def test_sources_attenuate_rows_and_sinks_attenuate_columns() -> None:
    """A known error elsewhere: source resistance on the wrong axis. Unequal ends tell the axes apart."""
    devices = np.array([[1e-3, 2e-3, 1e-3], [1e-3, 1e-3, 3e-3]])
    source, sink = np.array([100.0, 400.0]), np.array([50.0, 200.0, 800.0])
    rows = devices / (1 + source * devices.sum(axis=1))[:, None]
    assert effective(Crossbar(devices, source)) == pytest.approx(rows, rel=1e-14)
    columns = devices / (1 + sink * devices.sum(axis=0))
    assert effective(Crossbar(devices, 0.0, sink)) == pytest.approx(columns, rel=1e-14)


def test_ideal_lines_multiply_and_add() -> None:
    devices, volts = uniform(5, 3), np.array([[0.1, -0.2, 0.3, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    found = solve(Crossbar(devices), volts)
    assert found.outputs == pytest.approx(volts @ devices, rel=1e-14)
    assert (found.row_volts == volts[:, :, None]).all()
    assert (found.column_volts == 0).all()
    assert found.iterations == 0


# The closed form.

ENDS = [(100.0, 100.0), (0.0, 300.0), (300.0, 0.0), (1e-6, 1e6), (1e6, 1e-6), (1e6, 1e6)]


@pytest.mark.parametrize("shape", [(1, 1), (6, 4), (4, 6), (9, 9), (1, 7), (7, 1)])
@pytest.mark.parametrize("ends", ENDS)
def test_the_closed_form_is_the_dense_solution(shape: tuple[int, int], ends: tuple[float, float]) -> None:
    bar = Crossbar(uniform(*shape), *ends)
    true = eliminated(bar)
    assert effective(bar) == pytest.approx(true, rel=1e-13)
    volts = np.random.default_rng(1).uniform(-1, 1, (3, shape[0]))
    assert off(closed_form.outputs(bar, volts), volts @ true) < 1e-12
    assert off(solve(bar, volts).outputs, volts @ true) < 1e-12


def test_the_closed_form_is_the_equation_it_is_known_by() -> None:
    """I = (1 + Rn Dc - Rs Rn G^T A G)^-1 G^T A V with A = 1 / (1 + Rs Dr)."""
    devices, source, sink = uniform(130, 150), 120.0, 70.0
    a = 1 / (1 + source * devices.sum(axis=1))
    k = np.diag(1 + sink * devices.sum(axis=0)) - source * sink * (devices.T * a) @ devices
    true = np.linalg.solve(k, devices.T * a).T
    assert effective(Crossbar(devices, source, sink)) == pytest.approx(true, rel=1e-12)
    assert effective(Crossbar(devices.T, sink, source)) == pytest.approx(true.T, rel=1e-12)


def test_the_closed_form_keeps_its_digits_where_its_equation_loses_them() -> None:
    devices = 10 ** np.random.default_rng(2).uniform(-7, 0, (7, 5))
    bar = Crossbar(devices, 1e6, 1e6)
    assert effective(bar) == pytest.approx(eliminated(bar), rel=1e-13)
    check_power(solve(bar, np.linspace(0.1, 1, 7)))


def test_the_closed_form_with_each_line_its_own_ends() -> None:
    source, sink = [0.0, 1e-6, 10.0, 1e6], [1e4, 0.0, 1e-6, 1.0, 0.0]
    far_source, far_sink = [5.0, 0.0, 10.0, 1e3], [1e4, 3.0, 0.0, 1.0, 0.0]
    for ends in ((source, sink), (source, sink, 0.0, 0.0, far_source, far_sink)):
        bar = Crossbar(uniform(4, 5), *ends)
        assert effective(bar) == pytest.approx(eliminated(bar), rel=1e-13)
        check_power(solve(bar, [0.1, 0.2, 0.3, 0.4]))


def test_no_closed_form_with_wires() -> None:
    with pytest.raises(Refused, match="wires"):
        effective(Crossbar(uniform(3, 3), row_wire_ohms=1.0))


# The grid.


@pytest.mark.parametrize("shape", [(16, 16), (40, 25), (25, 40), (1, 50), (50, 1), (128, 128)])
def test_the_grid_is_the_sparse_direct_solution(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    bar = Crossbar(uniform(*shape), rng.uniform(50, 150, shape[0]), rng.uniform(50, 150, shape[1]), 1.5, 0.7)
    volts = rng.uniform(-1, 1, shape[0])
    found = solve(bar, volts)
    rows, columns = direct(bar, volts)
    assert off(found.outputs[0], columns[-1] / bar.sink_ohms) < 1e-9
    assert off(found.row_volts[0], rows) < 1e-9
    assert off(found.column_volts[0], columns) < 1e-9
    assert off(found.device_amps[0], (rows - columns) * bar.siemens) < 1e-9
    assert off(found.source_amps[0], (volts - rows[:, 0]) / bar.source_ohms) < 1e-9
    check_power(found)


@pytest.mark.parametrize("wires", [(1.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize("ends", [(0.0, 0.0), (0.0, 100.0), (100.0, 0.0), (100.0, 100.0)])
def test_wires_and_ends_may_be_zero(wires: tuple[float, float], ends: tuple[float, float]) -> None:
    bar = Crossbar(uniform(9, 7), *ends, *wires)
    volts = np.linspace(-0.2, 1, 9)
    assert off(solve(bar, volts).outputs[0], volts @ eliminated(bar)) < 1e-10


@pytest.mark.parametrize("far", [0.0, 1e-6, 80.0, 1e6])
@pytest.mark.parametrize("wires", [(2.0, 1.0), (2.0, 0.0), (0.0, 1.0)])
def test_the_far_ends_drive_and_sink_too(far: float, wires: tuple[float, float]) -> None:
    for ends in ((far, None), (None, far), (far, far)):
        bar = Crossbar(uniform(5, 6), 100.0, 30.0, *wires, *ends)
        volts = np.linspace(0.2, 1, 5)
        found = solve(bar, volts)
        assert off(found.outputs[0], volts @ eliminated(bar)) < 1e-10
        check_power(found)


def test_missing_and_stuck_devices() -> None:
    rng = np.random.default_rng(5)
    devices = np.where(rng.random((8, 8)) < 0.3, 0.0, uniform(8, 8))
    devices[2] = devices[:, 3] = 0.0
    devices[5, 5], devices[6, 1] = 1.0, 1.0
    bar = Crossbar(devices, 100.0, 100.0, 1.0, 1.0)
    volts = rng.uniform(0, 1, 8)
    found = solve(bar, volts)
    assert off(found.outputs[0], volts @ eliminated(bar)) < 1e-10
    assert found.outputs[0, 3] == 0
    assert (found.device_amps[0, 2] == 0).all()
    check_power(found)


def test_no_device_at_all_and_no_voltage_at_all() -> None:
    for wire in (0.0, 1.0):
        assert (solve(Crossbar(np.zeros((3, 4)), 1.0, 1.0, wire, wire), np.ones(3)).outputs == 0).all()
        found = solve(Crossbar(uniform(3, 4), 1.0, 1.0, wire, wire), np.zeros(3))
        assert (found.outputs == 0).all()
        assert found.watts_in.item() == found.watts_dissipated.item() == 0


def test_a_row_that_nothing_drives_is_held_by_its_neighbours() -> None:
    """Two rows on one column of a 1 kohm neuron, the lower one open: as if it were not there."""
    for wire in (0.0, 1e-3):
        bar = Crossbar([[1e-3], [1e-3]], [0.0, 1e12], 1e3, column_wire_ohms=wire)
        found = solve(bar, [1.0, 0.0])
        assert found.outputs.item() == pytest.approx(0.5e-3, rel=1e-5)
        assert found.row_volts[0, 1].item() == pytest.approx(0.5, rel=1e-5)  # it follows its column
        assert found.source_amps[0, 1] == pytest.approx(0, abs=1e-11)


def test_arrays_of_any_order_and_kind() -> None:
    devices = np.asfortranarray(uniform(5, 7))
    devices.setflags(write=False)
    bar, volts = Crossbar(devices, 10, 20, 1, 2), np.asfortranarray(np.eye(5, dtype=np.int8)[:3])
    assert np.array_equal(
        solve(bar, volts).outputs,
        solve(Crossbar(devices.copy(), 10.0, 20.0, 1.0, 2.0), volts * 1.0).outputs,
    )


def test_reciprocity() -> None:
    """Driven at a column and read at a row, a crossbar gives what it gives the other way about."""
    devices = uniform(6, 9)
    bar = Crossbar(devices, 30.0, 70.0, 1.0, 2.0)
    other = Crossbar(devices.T[::-1, ::-1], 70.0, 30.0, 2.0, 1.0)  # the ends of a row are at its left
    there = solve(bar, np.eye(6)).outputs
    back = solve(other, np.eye(9)).outputs
    assert off(back[::-1, ::-1].T, there) < 1e-10


def test_many_vectors_are_each_by_itself_and_add_up() -> None:
    bar, volts = (
        Crossbar(uniform(12, 10), 100.0, 50.0, 1.0, 1.0),
        np.random.default_rng(6).uniform(-1, 1, (5, 12)),
    )
    found = solve(bar, volts)
    assert found.outputs.shape == (5, 10)
    assert found.row_volts.shape == found.column_volts.shape == found.device_amps.shape == (5, 12, 10)
    for k, one in enumerate(volts):
        assert (solve(bar, one).outputs[0] == found.outputs[k]).all()
    assert off(solve(bar, volts.sum(axis=0)).outputs[0], found.outputs.sum(axis=0)) < 1e-9
    check_power(found)


@pytest.mark.parametrize("shape", [(300, 200), (200, 300)])
def test_power_in_is_power_dissipated(shape: tuple[int, int]) -> None:
    for wires in ((0.0, 0.0), (1.0, 1.0), (1e-6, 100.0)):
        check_power(solve(Crossbar(uniform(*shape), 10.0, 200.0, *wires), np.linspace(0, 1, shape[0])))


def test_wires_of_next_to_nothing_are_no_wires() -> None:
    bar, wired = (Crossbar(uniform(20, 30), 1e6, 1e6, wire, wire) for wire in (0.0, 1e-6))
    volts = np.linspace(0.1, 1, 20)
    assert off(solve(wired, volts).outputs[0], volts @ effective(bar)) < 1e-8


# Whatever may be asked for.

OHMS = st.sampled_from([0.0, 1e-6, 1e-3, 1.0, 100.0, 1e4, 1e6])
WIRES = st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0, 10.0, 100.0])
KINDS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Floats]] = {
    "uniform": lambda rng, shape: rng.uniform(1e-5, 1e-4, shape),
    "seven decades": lambda rng, shape: 10 ** rng.uniform(-7, 0, shape),
    "missing": lambda rng, shape: np.where(rng.random(shape) < 0.3, 0.0, rng.uniform(1e-5, 1e-4, shape)),
    "stuck": lambda rng, shape: np.where(rng.random(shape) < 0.2, 1.0, rng.uniform(1e-5, 1e-4, shape)),
    "all stuck": lambda _, shape: np.ones(shape),
}


@st.composite
def crossbars(draw: st.DrawFn) -> Crossbar:
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    devices = KINDS[draw(st.sampled_from(sorted(KINDS)))](rng, (rows, columns))

    def end(count: int) -> list[float]:
        return draw(st.lists(OHMS, min_size=count, max_size=count))

    far_source = end(rows) if draw(st.booleans()) else None
    far_sink = end(columns) if draw(st.booleans()) else None
    return Crossbar(devices, end(rows), end(columns), draw(WIRES), draw(WIRES), far_source, far_sink)


@seed(11)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(crossbars(), st.integers(0, 2**32), st.booleans())
def test_any_crossbar_is_solved_within_the_error_it_states(bar: Crossbar, number: int, mixed: bool) -> None:
    volts = np.random.default_rng(number).uniform(-1 if mixed else 0, 1, bar.rows)
    found = solve(bar, volts)
    exact = eliminated(bar)
    assert found.error <= 1e-10
    most = np.abs(volts) @ exact  # the largest output, if nothing cancelled
    assert np.abs(found.outputs[0] - volts @ exact).max() <= found.error * most.max() + 1e-300
    check_power(found)


def test_a_looser_tolerance_takes_fewer_iterations() -> None:
    bar, volts = Crossbar(uniform(40, 40), 100.0, 100.0, 20.0, 20.0), np.linspace(0, 1, 40)
    loose, tight = solve(bar, volts, tolerance=1e-3), solve(bar, volts, tolerance=1e-12)
    assert loose.iterations < tight.iterations
    assert tight.error <= 1e-12 < loose.error <= 1e-3
    assert off(loose.outputs, tight.outputs) <= loose.error


def test_where_the_tolerance_cannot_be_kept_it_says_so() -> None:
    """What the first row gives is taken by the others, but for 1e-73 of it: beyond any number of digits."""
    bar = Crossbar(np.ones((34, 29)), 1e-6, 1e6, 1e-6, 100.0)
    with pytest.raises(NoConvergence, match="off by"):
        solve(bar, np.eye(34)[0])


@pytest.mark.parametrize("wire", [0.0, 1.0])
def test_outputs_that_cancel_are_nothing_beside_what_cancels(wire: float) -> None:
    bar = Crossbar(np.full((2, 3), 1e-4), 0.0, 0.0, wire, 0.0)
    found = solve(bar, [1.0, -1.0])
    assert np.abs(found.outputs).max() < 1e-13 * 1e-4
    assert found.error < 1e-10


# What is refused.


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Crossbar([1.0, 2.0]), "shape"),
        (lambda: Crossbar(np.zeros((0, 3))), "shape"),
        (lambda: Crossbar([[-1e-6]]), "conductances of -1e-06 S"),
        (lambda: Crossbar([[np.nan]]), "nan"),
        (lambda: Crossbar([["a"]]), "no numbers"),
        (lambda: Crossbar([[1.0]], -1.0), "source resistances of -1 ohm"),
        (lambda: Crossbar([[1.0]], np.inf), r"source resistances of inf(.|\n)*nothing drives(.|\n)*1e12 ohm"),
        (lambda: Crossbar([[1.0]], 1e300), "source resistances of 1e.300"),
        (lambda: Crossbar([[1e-300]]), "conductances of 1e-300"),
        (lambda: Crossbar([[1.0 + 1.0j]]), "no numbers, but complex"),
        (lambda: Crossbar([[1.0], [1.0, 2.0]]), "no numbers"),
        (lambda: solve(Crossbar([[1.0]]), ["1 V"]), "no numbers"),
        (lambda: solve(Crossbar([[1.0]], 1.0, 1.0, 1.0, 1.0), np.zeros((0, 1))), "one vector or more"),
        (lambda: solve(Crossbar([[1.0]]), [1e-200]), "highest voltage is 1e-200 V"),
        (lambda: solve(Crossbar([[1.0]]), [1e200]), "highest voltage is 1e.200 V"),
        (lambda: Crossbar([[1.0]], [1.0, 2.0]), "source resistances of shape"),
        (lambda: Crossbar([[1.0]], 1.0, [1.0, 2.0]), "sink resistances of shape"),
        (lambda: Crossbar([[1.0]], row_wire_ohms=np.nan), "row wires of nan"),
        (lambda: Crossbar([[1.0]], column_wire_ohms=-1.0), "column wires of -1"),
        (lambda: Crossbar([[1.0]], far_sink_ohms=-1.0), "far sink resistances of -1"),
        (lambda: solve(Crossbar([[1.0]]), [1.0, 2.0]), "input voltages of shape"),
        (lambda: solve(Crossbar([[1.0]]), [np.nan]), "no finite numbers"),
        (lambda: solve(Crossbar([[1.0]]), [1.0], tolerance=0.0), "tolerance of 0"),
        (lambda: solve(Crossbar([[1.0]]), [1.0], tolerance=float("nan")), "tolerance of nan"),
    ],
)
def test_what_is_no_circuit_is_refused(wrong: Callable[[], object], says: str) -> None:
    with pytest.raises(Refused, match=says):
        wrong()


# ---- chains, compiled and not ---------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 2), (1, 7), (4, 5), (11, 9), (64, 33)])
def test_chains_are_the_same_with_and_without_numba(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(3)
    grounded = draw.choice([0.0, 1e-5, 1.0, np.inf], shape, p=[0.2, 0.6, 0.1, 0.1])
    values = draw.normal(size=shape)
    found = {}
    for compiled in (True, False):
        monkeypatch.setattr(chains, "COMPILED", compiled)
        pivots = chains.conductances(grounded.copy(), 2.0)
        pivots[:, :-1] += 0.5
        pivots[pivots == 0] = 1.0
        factors = np.zeros(shape)
        factors[:, :-1] = -0.5 / pivots[:, :-1]
        solved = values.copy()
        chains.substitute(pivots, factors, solved)
        found[compiled] = pivots, solved
    np.testing.assert_allclose(found[True][0], found[False][0], rtol=1e-14)
    np.testing.assert_allclose(found[True][1], found[False][1], rtol=1e-12, atol=1e-300)
