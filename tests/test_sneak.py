"""The bounds of sneak paths against what devices can do: dense nodal solutions, and hand calculations.

The witness shares nothing with the bounds: every crossing is a node, whatever has no ohms is one node, and
devices are anywhere at or above their least resistance.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LimitExceeded
from labctl.limits import Limits
from labctl.parts import Site
from labctl.pulse import Floats, Pulse, Purpose
from labctl.sneak import Sneak, _most, _Rise  # pyright: ignore[reportPrivateUsage]
from labctl.spec import Spec
from tests.boards import compact

OPEN = float("nan")
CLOSE = 1e-6
"""[V] and [1]: where all devices of an open line hardly conduct, no solution is closer."""


def board(least: Floats, ohms: Floats, wire: float = 0.0, isolating: bool = False, **limits: float) -> Spec:
    """A crossbar with devices of at least so many ohms, none where NaN; sources of `ohms`, rows first."""
    rows, columns = least.shape
    sites = tuple(
        Site(row, column, "none", limits=Limits(least_ohms=float(least[row, column]), amps=1e-3, **limits))
        for row in range(rows)
        for column in range(columns)
        if np.isfinite(least[row, column])
    )
    far = wire * (max(rows, columns) - 1)
    ends = tuple(map(float, ohms))
    return Spec("bare", rows, columns, sites, ends, wire_ohms=far, isolating=isolating)


def pulse(*levels: float, purpose: Purpose = Purpose.PROGRAM) -> Pulse:
    volts = np.array(levels)
    return Pulse(np.array([0.0, 1e-3]), np.tile(np.nan_to_num(volts), (2, 1)), np.isfinite(volts), purpose)


def sneaking(spec: Spec, one: Pulse) -> Sneak:
    return Sneak(spec, one, spec.exposed(one))


def device_volts(siemens: Floats, volts: Floats, ohms: Floats, wire: float) -> Floats:
    """[V] (rows, columns) across each device; rows are fed at column 0, columns at row 0, NaN is open."""
    rows, columns = siemens.shape
    lines = rows + columns
    node = np.arange(2 * rows * columns + lines)  # row crossings, column crossings, terminals
    on_row = np.arange(rows * columns).reshape(rows, columns)
    on_column = on_row + rows * columns
    terminal = 2 * rows * columns + np.arange(lines)
    pairs = [(a, b, wire) for a, b in zip(on_row[:, :-1].ravel(), on_row[:, 1:].ravel(), strict=True)]
    pairs += [(a, b, wire) for a, b in zip(on_column[:-1].ravel(), on_column[1:].ravel(), strict=True)]
    ends = np.append(on_row[:, 0], on_column[0])
    pairs += [(t, e, r) for t, e, r, v in zip(terminal, ends, ohms, volts, strict=True) if np.isfinite(v)]
    for a, b, resistance in pairs:
        if resistance == 0:
            node[node == node[a]] = node[b]
    matrix = np.zeros((len(node), len(node)))
    edges = [(a, b, 1 / r) for a, b, r in pairs if r] + list(
        zip(on_row.ravel(), on_column.ravel(), siemens.ravel(), strict=True)
    )
    for a, b, conductance in edges:
        one, other = node[a], node[b]
        matrix[[one, other], [one, other]] += conductance
        matrix[[one, other], [other, one]] -= conductance
    held = np.isfinite(volts)
    known = dict(zip(node[terminal[held]], volts[held], strict=True))
    fixed = np.array(list(known), dtype=np.intp)
    free = np.setdiff1d(np.unique(node[:-lines] if lines else node), fixed)
    level = np.zeros(len(node))
    level[fixed] = list(known.values())
    level[free] = np.linalg.solve(matrix[np.ix_(free, free)], -matrix[np.ix_(free, fixed)] @ level[fixed])
    return level[node[on_row]] - level[node[on_column]]


# ---- by hand ------------------------------------------------------------------------------------


def test_the_witness_is_a_divider() -> None:
    # 1 V by 100 ohm and 50 ohm of wire into 1 kohm, 50 ohm of wire and 200 ohm; others hardly conduct
    siemens = np.array([[1e-15, 1e-15], [1e-15, 1e-3]])
    volts = device_volts(siemens, np.array([OPEN, 1.0, OPEN, 0.0]), np.array([9.0, 100.0, 9.0, 200.0]), 50.0)
    assert volts[1, 1] == pytest.approx(1000 / 1400, rel=1e-9)


def test_one_source_and_one_sink_are_a_loop_of_two_resistors_and_the_site() -> None:
    spec = board(np.full((3, 4), 400.0), np.array([100.0] * 3 + [50.0] * 4))
    one = pulse(0.55, OPEN, OPEN, 0.0, OPEN, OPEN, OPEN)
    assert not spec.shared(one.driven)
    assert spec.loop_ohms(one.driven, spec.exposed(one)) == pytest.approx(np.full(12, 550.0))
    spec.check([one])
    with pytest.raises(LimitExceeded, match="A through site"):
        spec.check([replace(one, volts=one.volts * 1.001)])


def test_a_lone_site_of_many_lines_is_limited_by_its_own_resistors() -> None:
    # a column that nothing else is on, beside one that is held: 1 V over 300 + 100 + 600 ohm
    least = np.array([[600.0, 1e15], [1e15, 600.0]])
    one = pulse(1.0, 0.0, 0.0, 0.0)
    found = sneaking(board(least, np.array([300.0, 300.0, 100.0, 100.0])), one)
    assert found.amps(np.arange(1))[0] == pytest.approx(1e-3, rel=1e-9)
    assert found.amps(np.array([3]))[0] == pytest.approx(0.0, abs=1e-14)


def test_half_selected_columns_feed_the_selected_row_past_its_resistor() -> None:
    """10 kohm in the row are no protection: at least three columns at half the voltage are beside it.

    The row falls below 0.4 V, where they feed it by 1 kohm each; the column of the site rises to nothing.
    """
    spec = board(np.full((1, 4), 1e3), np.array([10e3, 0.0, 0.0, 0.0, 0.0]))
    one = pulse(0.8, 0.0, 0.4, 0.4, 0.4)
    row = (0.8 / 10e3 + 3 * 0.4 / 1e3) / (1 / 10e3 + 4 / 1e3)
    assert sneaking(spec, one).amps(np.arange(1))[0] == pytest.approx(row / 1e3, rel=1e-9)
    truth = device_volts(np.full((1, 4), 1e-3), one.volts[0], np.array(spec.series_ohms), 0.0)
    assert truth[0, 0] == pytest.approx(row, rel=1e-9)
    assert row / 1e3 > 4 * 0.8 / 11e3


def test_no_site_gets_more_than_all_sources_give() -> None:
    # one row at -0.4 V behind 4 kohm: 0.1 mA at most, also where 60 ohm of wire part columns from 75 ohm
    spec = board(np.full((4, 4), 380.0), np.array([4e3] * 4 + [75.0] * 4), wire=20.0)
    found = sneaking(spec, pulse(OPEN, -0.4, OPEN, OPEN, 0.0, 0.0, 0.0, 0.0))
    assert found.amps(np.arange(16)).max() <= 0.4 / 4e3
    lowest_column = -max(found.across()[1][:4])  # row 0 is open, and at 0 V at most
    assert lowest_column >= -1e-4 * (75 + 60) * (1 + 1e-9)


def test_a_lone_sink_takes_what_its_resistor_lets_it() -> None:
    # 1 V on row 0 and column 0 without ohms, column 1 open: all ends in row 1, behind 1 kohm at 0 V
    spec = board(np.full((2, 2), 500.0), np.array([0.0, 1e3, 0.0, 0.0]))
    found = sneaking(spec, pulse(1.0, 0.0, 1.0, OPEN)).amps(np.arange(4))
    assert found.max() == pytest.approx(1e-3, rel=1e-9)


def test_what_is_no_number_bounds_nothing() -> None:
    nothing, one = np.full((1, 2, 3), np.nan), np.ones((1, 2, 3))
    assert _most(_Rise(nothing, one), _Rise(one, one), np.full(2, 1e3)).tolist() == [np.inf, np.inf]


def test_a_simulated_board_says_what_its_wires_are() -> None:
    sizes = {"rows": 3, "columns": 5, "wire": "20 ohm"}
    assert compact("crossbar-4x4", **sizes).spec.wire_ohms == 80.0  # four segments between five columns
    assert compact("crossbar-4x4", wire="0 ohm").spec.wire_ohms == 0.0


def test_neighbours_feed_as_they_are_known_to_be() -> None:
    ohms = np.array([10e3, 0.0, 0.0, 0.0, 0.0])
    spec = board(np.full((1, 4), 1e3), ohms, quiet_volts=0.41, quiet_ohms=20e3)
    row = (0.8 / 10e3 + 3 * 0.4 / 20e3) / (1 / 10e3 + 3 / 20e3 + 1 / 1e3)
    assert sneaking(spec, pulse(0.8, 0.0, 0.4, 0.4, 0.4)).amps(np.arange(1))[0] == pytest.approx(
        row / 1e3, rel=1e-9
    )


def test_wires_take_a_line_further_from_the_source_that_holds_it() -> None:
    # a column at 0 V behind 100 ohm, fed by 900 ohm at 1 V: 0.1 V at its end, 0.1 V more 100 ohm up its wire
    least, ohms = np.array([[900.0], [900.0]]), np.array([0.0, 0.0, 100.0])
    one = pulse(1.0, 0.0, 0.0)
    bound = sneaking(board(least, ohms, wire=100.0), one).across()[0][1]
    assert bound == pytest.approx(-0.2, rel=1e-9)
    siemens = np.array([[1e-15], [1e-15]])
    siemens[0] = 1 / 900
    near = device_volts(siemens, one.volts[0], ohms, 100.0)[1, 0]
    far = device_volts(siemens[::-1], one.volts[0][[1, 0, 2]], ohms, 100.0)[0, 0]
    assert bound <= min(near, far)


# ---- whatever the devices are -------------------------------------------------------------------


LEVELS = st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0, OPEN])
OHMS = st.sampled_from([0.0, 5.0, 50.0, 500.0, 5000.0])


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.data())
def test_no_device_sees_more_than_the_bounds(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    lines = rows + columns
    levels = np.array(data.draw(st.lists(LEVELS, min_size=lines, max_size=lines)))
    ohms = np.array(data.draw(st.lists(OHMS, min_size=lines, max_size=lines)))
    wire, isolating = data.draw(st.sampled_from([0.0, 0.0, 1.0, 20.0, 200.0])), data.draw(st.booleans())
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    least = draw.choice([380.0, 1000.0, 5000.0], (rows, columns))
    least[draw.random((rows, columns)) < data.draw(st.sampled_from([0.0, 0.0, 0.3]))] = np.nan
    quiet = data.draw(st.sampled_from([0.0, 0.0, 4000.0])) or np.inf
    below = data.draw(st.sampled_from([0.2, 0.5, 0.8]))
    held, one = np.isfinite(levels), pulse(*(levels * draw.choice([1.0, 0.7], lines)))
    spec = board(least, ohms, wire, isolating, quiet_volts=below, quiet_ohms=quiet)
    exposed = spec.exposed(one)
    if held.sum() < 2 or len(exposed) == 0:
        return
    found = sneaking(spec, one)
    (low, high), most = found.across(), found.amps(np.arange(len(exposed)))
    there = tuple(np.array([(spec.sites[site].row, spec.sites[site].column) for site in exposed]).T)
    spread = np.ptp(one.volts[0, held])
    for _ in range(8):
        siemens = np.full((rows, columns), 1e-15)
        part = np.where(
            draw.random(len(exposed)) < draw.random(), draw.choice([1.0, 1.0, 0.1], len(exposed)), 1e-5
        )
        siemens[there] = part / least[there]
        volts = device_volts(siemens, np.where(held, one.volts[0], OPEN), ohms, wire)
        for _ in range(10 * np.isfinite(quiet)):  # who sees little is as its keeper says
            little = (np.abs(volts) <= below) & (siemens > 1 / quiet)
            siemens[little] = 1 / quiet
            volts = device_volts(siemens, np.where(held, one.volts[0], OPEN), ohms, wire)
        if np.any((np.abs(volts) <= below) & (siemens > 1 / quiet)):
            continue
        seen, amps = volts[there], np.abs(volts * siemens)[there]
        assert np.all(seen <= high + CLOSE)
        assert np.all(seen >= low - CLOSE)
        assert np.all(amps <= most * (1 + CLOSE) + 1e-12)
        if not spec.shared(one.driven):
            assert np.all(amps <= spread / spec.loop_ohms(one.driven, exposed) + 1e-12)


def test_lines_that_nothing_is_on_do_not_hide_the_others() -> None:
    """A row against two columns of a switched crossbar, with all else open: 3 V and no more than 700 ohm."""
    least = np.full((4, 4), 600.0)
    spec = board(least, np.full(8, 50.0), isolating=True)
    one = pulse(3.0, OPEN, OPEN, OPEN, 0.0, 0.0, OPEN, OPEN)
    assert sneaking(spec, one).amps(np.arange(2)) == pytest.approx([3 / 700] * 2, rel=0.1)
    with pytest.raises(LimitExceeded, match="A through site"):
        spec.check([one])
    sparse = board(np.where(np.eye(4) > 0, 600.0, np.nan), np.full(8, 50.0))
    three = pulse(3.0, OPEN, OPEN, OPEN, 0.0, 0.0, OPEN, OPEN)
    assert sneaking(sparse, three).amps(np.arange(4)) == pytest.approx([3 / 700, 0, 0, 0], abs=1e-12)


def test_a_site_that_is_driven_as_hard_is_no_neighbour() -> None:
    # both see 0.5 V at the terminals, and with the row's 10 kohm out of the way both carry 1 V over 760 ohm
    ohms = np.array([10e3, 0.0, 0.0])
    known = {"quiet_volts": 0.4, "quiet_ohms": 7e3}
    spec = board(np.full((1, 2), 380.0), ohms, **known)
    assert sneaking(spec, pulse(0.0, -0.5, 0.5)).amps(np.arange(2)) == pytest.approx([1 / 760] * 2, rel=0.03)
    # nor does a device become one where another line is driven harder
    least = np.array([[380.0, 380.0, np.nan], [np.nan, np.nan, 10e3]])
    wider = board(least, np.array([10e3, 0.0, 0.0, 0.0, 0.0]), **known)
    found = sneaking(wider, pulse(0.0, 0.9, -0.5, 0.5, -0.9))
    assert found.amps(np.arange(2)) == pytest.approx([1 / 760] * 2, rel=0.03)


def test_signs_that_cancel_lift_no_column() -> None:
    """16 of 32 rows at 0.1 V, others at -0.1 V, all behind 10 kohm: what lifts a column is 16 over 75 ohm."""
    volts = np.where(np.arange(32) % 2 == 0, 0.1, -0.1)
    spec = board(np.full((32, 32), 380.0), np.array([10e3] * 32 + [75.0] * 32))
    found = sneaking(spec, pulse(*volts, *[0.0] * 32))
    lifted = 16 * 0.1 / 10380 / (1 / 75 + 16 / 10380)
    assert found.across()[1].max() <= 0.1 + lifted * (1 + 1e-9)
    assert found.amps(np.arange(1))[0] < 0.3e-3
    twice = sneaking(spec, pulse(*(2 * volts), *[0.0] * 32))
    assert twice.amps(np.arange(64)).max() < 0.3e-3  # a lifted column gives no more than it was lifted to


def test_bounds_are_those_of_the_highest_corner_of_a_shape() -> None:
    spec = board(np.full((2, 3), 700.0), np.array([500.0, 50.0, 5.0, 5.0, 5.0]))
    still = pulse(1.0, 0.5, 0.0, 0.5, 0.5)
    shape = np.array([0.0, 0.3, 1.0, -0.2, 0.0])
    moving = replace(still, seconds=np.arange(5) * 1e-3, volts=shape[:, None] * still.volts[0])
    calm, swung = sneaking(spec, still), sneaking(spec, moving)
    assert swung.amps(np.arange(6)) == pytest.approx(calm.amps(np.arange(6)))
    low, high = calm.across()
    assert swung.across()[0] == pytest.approx(np.minimum(low, -0.2 * high))
    assert swung.across()[1] == pytest.approx(np.maximum(high, -0.2 * low))
