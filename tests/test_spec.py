"""The gate: every rule fires just beyond its bound and not at it, and nothing slips past the quick look."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.addressing import infer, multiply, read_row, select, wait
from labctl.errors import LimitExceeded, Refused
from labctl.limits import Limits
from labctl.objections import objections
from labctl.parts import Neuron, Shapes, Site
from labctl.pulse import Pulse, Purpose
from labctl.screening import FEW, surely_within, suspects
from labctl.shapes import samples, square, triangle
from labctl.spec import Spec

# At most 1 mA through 1000 + 100 + 900 ohm: 2 V on the two sites of row 0. Row 1 may see -1.5 to 2.5 V.
STRICT = Limits(-3.0, 3.0, amps=1e-3, least_ohms=900.0, seconds=1e-2)
WIDE = Limits(-1.5, 2.5, amps=1.0, least_ohms=900.0, seconds=1.0)
SITES = (
    Site(0, 0, "Xe", "a", STRICT),
    Site(0, 1, "Xe", "b", STRICT),
    Site(1, 0, "Xe", "c", WIDE),
    Site(1, 1, "Xe", "d", WIDE),
)
SPEC = Spec("two by two", 2, 2, SITES, (1000.0, 1000.0, 100.0, 100.0), longest_pulse=2.0)
NEURON = Neuron(2, 1, (0,), 1e4, 1e-5, 0.0, 0.1)


def pulse(lines: dict[int, float], length: float = 1e-3, **others: Any) -> Pulse:
    """These lines held at these volts from beginning to end, all others open."""
    volts, driven = np.zeros((2, 4)), np.zeros(4, dtype=np.bool_)
    for line, level in lines.items():
        volts[:, line], driven[line] = level, True
    return replace(Pulse(np.array([0.0, length]), volts, driven, Purpose.PROGRAM), **others)


def beyond(bound: float) -> float:
    """The next number after the bound, away from zero."""
    return math.nextafter(bound, math.copysign(math.inf, bound))


def refusal(spec: Spec, pulses: Sequence[Pulse]) -> LimitExceeded:
    """The error with which the list is refused."""
    with pytest.raises(LimitExceeded) as caught:
        spec.check(pulses)
    return caught.value


# ---- what no site must see ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ({1: 2.5, 2: 0.0}, "2.5 V across site c"),
        ({1: 2.0, 3: -0.5}, "2.5 V across site d"),
        ({1: -1.5, 2: 0.0}, "-1.5 V across site c"),
        ({0: 2.0, 2: 0.0}, "0.001 A through site a if it had 900 ohm"),
        ({0: -2.0, 3: 0.0}, "0.001 A through site b"),
    ],
)
def test_volts_and_amps_are_allowed_up_to_the_bound(lines: dict[int, float], words: str) -> None:
    row = min(lines)
    SPEC.check([pulse(lines)])
    assert words in refusal(SPEC, [pulse(lines | {row: beyond(lines[row])})]).wrong


def test_the_peak_counts_wherever_it_is() -> None:
    SPEC.check([select(SPEC, 2, triangle(2.5, 1e-3), Purpose.PROGRAM)])
    wave = samples([0.0, 1.0, 2.501, 1.0, 0.0], 1e-4)
    assert "2.501 V" in refusal(SPEC, [select(SPEC, 2, wave, Purpose.PROGRAM)]).wrong


def test_no_site_sees_a_pulse_longer_than_its_limit() -> None:
    SPEC.check([pulse({0: 0.1, 2: 0.0}, 1e-2), pulse({1: 0.1, 2: 0.0}, 1.0)])
    assert "s on site a" in refusal(SPEC, [pulse({0: 0.1, 2: 0.0}, beyond(1e-2))]).wrong


def test_a_wait_is_as_long_as_the_board_allows_whatever_its_sites_do() -> None:
    for spec in (SPEC, replace(SPEC, isolating=False), replace(SPEC, neurons=(NEURON,))):
        spec.check([wait(spec, 2.0)])


def test_voltages_on_both_ends_of_a_site_take_each_other_off() -> None:
    SPEC.check([pulse({1: 9.0, 2: 7.0})])
    assert "across site c" in refusal(SPEC, [pulse({1: 9.0, 2: 6.0})]).wrong


def test_an_open_line_isolates_where_there_are_switches_and_not_elsewhere() -> None:
    SPEC.check([pulse({1: 2.5, 3: 0.0})])  # row 1 against column 1: sites a, b and c are switched off
    assert "site a" in refusal(replace(SPEC, isolating=False), [pulse({1: 2.5, 3: 0.0})]).wrong


def test_a_sneak_path_runs_backwards_through_what_is_not_selected() -> None:
    # 2 V on row 0 and column 0: row 1 and column 1 float, and the current through d is against its sign
    grid = replace(SPEC, isolating=False, sites=tuple(replace(s, limits=WIDE) for s in SITES))
    SPEC.check([pulse({1: 1.5, 2: 0.0})])
    grid.check([pulse({0: 1.5, 2: 0.0})])
    assert "-2 V across site" in refusal(grid, [pulse({0: 2.0, 2: 0.0})]).wrong


def test_rails_of_neurons_count_as_voltages() -> None:
    spec = replace(SPEC, neurons=(NEURON,))
    spec.check([infer(spec, np.array([0.9]), 1e-3)])  # 1 mA into 900 ohm: nothing is in series
    loud = replace(NEURON, high_volts=2.6)
    wrong = refusal(replace(SPEC, neurons=(loud,)), [infer(spec, np.array([0.0]), 1e-3)]).wrong
    assert "2.6 V across site c" in wrong


def test_inputs_of_neurons_are_against_the_ground_that_the_columns_are_held_at() -> None:
    spec = replace(SPEC, neurons=(NEURON,))
    lifted = pulse({0: 3.5}, volts=np.full((2, 4), 3.5))  # open columns at 3.5 V would hide it
    assert "3.5 V across site a" in refusal(spec, [lifted]).wrong
    assert "3.5 V across site a" in refusal(spec, [lifted, lifted]).wrong


# ---- what the sources cannot make --------------------------------------------------------------


def test_pulses_are_neither_too_short_nor_too_long() -> None:
    spec = replace(SPEC, shortest_pulse=1e-6, longest_pulse=0.5)
    spec.check([pulse({}, 1e-6), pulse({}, 0.5), pulse({1: 0.1, 2: 0.0}, 0.5)])
    for seconds in (math.nextafter(1e-6, 0.0), beyond(0.5), 5e-324, 1e308):
        assert "s long" in refusal(spec, [pulse({}, seconds)]).wrong


def test_levels_alone_have_edges_no_longer_than_told() -> None:
    spec = replace(SPEC, shapes=Shapes.STEPS, edge_seconds=1e-6)
    spec.check([select(spec, 2, square(1.0, 1e-3, 1e-6), Purpose.READ), pulse({1: 1.0, 2: 0.0})])
    slow = select(spec, 2, square(1.0, 1e-3, 2e-6), Purpose.READ)
    assert "an edge of 2e-06 s" in refusal(spec, [slow]).wrong


def test_lines_that_share_a_source_have_the_same_voltage_or_are_open() -> None:
    spec = replace(SPEC, shared_sources=((0, 1),))
    spec.check([pulse({0: 1.0, 1: 1.0, 2: 0.0}), pulse({0: 1.0, 2: 0.0}), pulse({1: 1.0, 2: 0.0})])
    assert "lines (0, 1)" in refusal(spec, [pulse({0: 1.0, 1: beyond(1.0), 2: 0.0})]).wrong


def test_a_grounded_line_has_no_voltage() -> None:
    spec = replace(SPEC, grounded=(2, 3))
    spec.check([pulse({1: 1.0, 2: 0.0})])
    assert "only be grounded" in refusal(spec, [pulse({1: 1.0, 2: 5e-324})]).wrong


# ---- what is no pulse --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "others",
    [
        {"volts": np.zeros((2, 3))},
        {"volts": np.zeros((3, 4))},
        {"volts": np.zeros(4)},
        {"driven": np.zeros(3, dtype=np.bool_)},
        {"driven": np.zeros((4, 1), dtype=np.bool_)},
        {"seconds": np.array([[0.0], [1e-3]])},
        {"seconds": np.zeros(1), "volts": np.zeros((1, 4))},
        {"seconds": np.zeros(0), "volts": np.zeros((0, 4))},
    ],
)
def test_arrays_that_do_not_fit_are_refused(others: dict[str, Any]) -> None:
    assert "of shape" in refusal(SPEC, [pulse({}, **others)]).wrong


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("line", [1, 3], ids=["driven", "open"])
def test_a_voltage_is_a_finite_number(line: int, value: float) -> None:
    volts = np.zeros((2, 4))
    volts[1, line] = value
    assert "finite number" in refusal(SPEC, [pulse({1: 0.0, 2: 0.0}, volts=volts)]).wrong


@pytest.mark.parametrize(
    "seconds", [[1e-6, 1e-3], [0.0, 0.0], [0.0, -1e-3], [0.0, math.nan], [math.nan, 1e-3], [0.0, math.inf]]
)
def test_time_begins_at_zero_and_goes_on(seconds: list[float]) -> None:
    assert "increase" in refusal(SPEC, [pulse({}, seconds=np.array(seconds))]).wrong


@pytest.mark.parametrize("repeats", [0, -1])
def test_a_pulse_happens_at_least_once(repeats: int) -> None:
    assert f"{repeats} repeats" in refusal(SPEC, [pulse({}, repeats=repeats)]).wrong


def test_denormal_volts_harm_nobody() -> None:
    SPEC.check([pulse({0: 5e-324, 2: -5e-324})])


# ---- lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [1, 2, 7, 100])
def test_one_bad_pulse_refuses_the_list_and_is_named(place: int) -> None:
    pulses = [pulse({1: 1.0, 2: 0.0})] * 100
    SPEC.check(pulses)
    pulses[place - 1] = pulse({1: 2.6, 2: 0.0})
    error = refusal(SPEC, pulses)
    assert error.wrong == f"pulse {place} of 100 (program) on two by two: 2.6 V across site c"
    assert error.allowed == "-1.5 V to 2.5 V"
    assert error.outputs is None  # nobody has asked


@given(st.lists(st.floats(), min_size=2, max_size=8), st.floats(0.0, 10.0), st.booleans())
def test_the_sum_of_squares_never_clears_what_the_extremes_do_not(
    levels: list[float], allowed: float, at_the_bound: bool
) -> None:
    volts = np.array([levels])
    with np.errstate(all="ignore"):
        spread = max(0.0, *levels) - min(0.0, *levels)
        bound = spread * (1 - 1e-15) if at_the_bound else allowed
        assert not surely_within(volts, bound) or (np.isfinite(volts).all() and spread <= bound)


@pytest.mark.parametrize("volts", [1e-170, 5e-324, -1e-160])
def test_a_wait_of_hardly_any_voltage_is_still_refused(volts: float) -> None:
    with pytest.raises(LimitExceeded, match="a wait with a voltage"):
        SPEC.check([replace(pulse({0: volts}), purpose=Purpose.WAIT)])


def test_an_empty_list_is_allowed() -> None:
    SPEC.check([])


VOLTS = st.one_of(
    st.sampled_from([0.0, 0.1, -1.5, 2.0, 2.5, 5e-324, 1e308, -1e308, math.nan, math.inf, -math.inf]),
    st.floats(-3.0, 3.0),
)
SECONDS = st.one_of(st.floats(0.0, 2.0), st.sampled_from([-1.0, 1e-12, math.nan, math.inf, 5e-324, 1e308]))


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Boards with every combination of what the rules speak of."""
    limit = st.builds(
        Limits,
        st.sampled_from([0.0, -1.5, -3.0]),
        st.sampled_from([0.0, 2.5, 3.0]),
        st.sampled_from([1e-4, 1e-3, 1.0]),
        st.sampled_from([1.0, 900.0]),
        st.sampled_from([1e-2, 1.0]),
    )
    return Spec(
        "random",
        2,
        2,
        tuple(replace(site, limits=draw(limit)) for site in SITES[: draw(st.integers(0, 4))]),
        tuple(draw(st.lists(st.sampled_from([0.0, 100.0, 1000.0]), min_size=4, max_size=4))),
        longest_pulse=draw(st.sampled_from([0.5, 2.0])),
        shapes=draw(st.sampled_from([Shapes.ANY, Shapes.ANY, Shapes.STEPS])),
        isolating=draw(st.booleans()),
        shared_sources=draw(st.sampled_from([(), (), ((0, 1),)])),
        grounded=draw(st.sampled_from([(), (2, 3)])),
        neurons=draw(st.sampled_from([(), (NEURON,), (replace(NEURON, low_volts=-2.6, high_volts=2.6),)])),
    )


@st.composite
def wild_pulses(draw: st.DrawFn) -> Pulse:
    """Anything that has the type of a pulse."""
    corners, lines = draw(st.sampled_from([(2, 4), (2, 4), (3, 4), (1, 4), (0, 4), (2, 3)]))
    sane = draw(st.booleans())
    steps = draw(st.lists(SECONDS, min_size=corners, max_size=corners))
    seconds = np.arange(corners) * 1e-3 if sane else np.array(steps, dtype=np.float64)
    volts = draw(st.lists(VOLTS, min_size=corners * lines, max_size=corners * lines))
    driven = draw(st.lists(st.booleans(), min_size=4, max_size=4))
    return Pulse(
        seconds,
        np.array(volts, dtype=np.float64).reshape(corners, lines),
        np.array(driven),
        Purpose.PROGRAM,
        draw(st.sampled_from([1, 1, 5, 0, -1])),
    )


@settings(max_examples=400)
@given(specs(), st.lists(wild_pulses(), min_size=1, max_size=4), st.sampled_from([1, FEW + 1]))
def test_the_quick_look_never_lets_through_what_the_rules_refuse(
    spec: Spec, pulses: list[Pulse], times: int
) -> None:
    pulses = pulses * times  # one after the other, or all together
    cleared = set(range(len(pulses))) - set(suspects(spec, pulses))
    with np.errstate(all="ignore"):
        assert [next(objections(spec, pulses[index]), None) for index in cleared] == [None] * len(cleared)
        good = [pulse for pulse in pulses if next(objections(spec, pulse), None) is None]
    spec.check(good)
    if len(good) < len(pulses):
        refusal(spec, pulses)


# ---- what a board is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"series_ohms": (1.0,) * 3}, "3 series resistances for 4 lines"),
        ({"series_ohms": (1.0, math.nan, 1.0, 1.0)}, "nan"),
        ({"series_ohms": (1.0, -1.0, 1.0, 1.0)}, "-1.0"),
        ({"series_ohms": (1.0, math.inf, 1.0, 1.0)}, "inf"),
        ({"wire_ohms": -500.0}, "wires of -500.0 ohm"),
        ({"wire_ohms": math.nan}, "wires of nan ohm"),
        ({"sites": (replace(SITES[0], row=2),)}, "on no line"),
        ({"sites": (replace(SITES[0], column=-1),)}, "on no line"),
        ({"sites": (SITES[0], SITES[0])}, "two sites at one crossing"),
    ],
)
def test_a_board_that_contradicts_itself_is_refused(others: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        replace(SPEC, **others)


def test_a_site_is_found_by_its_crossing_and_called_by_its_label() -> None:
    assert SPEC.site_at(1, 0) == 2
    assert SPEC.label(2) == "c"
    assert replace(SPEC, sites=(replace(SITES[3], label=""),)).label(0) == "(1, 1)"
    with pytest.raises(Refused, match="no site at row 5"):
        SPEC.site_at(5, 0)


def test_a_pulse_is_for_the_one_site_that_sees_the_most() -> None:
    assert SPEC.target(pulse({1: 1.0, 2: 0.0})) == 2
    assert SPEC.target(pulse({0: 0.5, 1: 1.0, 2: 0.0, 3: 0.4})) == 2  # a .5, b .1, c 1, d .6
    assert SPEC.target(read_row(SPEC, 1, 0.1, 1e-3)) is None  # c and d alike
    assert SPEC.target(wait(SPEC, 1e-3)) is None
    assert SPEC.target(infer(replace(SPEC, neurons=(NEURON,)), np.array([0.1]), 1e-3)) is None


def test_worst_joules_are_those_of_the_least_resistance() -> None:
    # a ramp from 0 to 1 V in 3 ms: the mean square is 1/3; 900 ohm behind 1100; five times
    ramp = select(SPEC, 0, samples([0.0, 1.0], 3e-3), Purpose.PROGRAM).repeated(5)
    assert SPEC.worst_joules(ramp) == pytest.approx(5 * 3e-3 / 3 / 2000.0)
    both = multiply(SPEC, np.array([0.3, 0.6]), 1e-3)
    once = select(SPEC, 0, square(1.0, 1e-3), Purpose.READ)
    parts = 2 * (0.3**2 + 0.6**2)  # on lines that others share, a current may go round the resistors
    assert SPEC.worst_joules(both) == pytest.approx(parts * SPEC.worst_joules(once) * 2000 / 900)
    assert SPEC.worst_joules(wait(SPEC, 1.0)) == 0.0


@pytest.mark.parametrize("sign", [+1.0, -1.0])
def test_a_line_whose_site_is_not_connected_has_a_highest_voltage_too(sign: float) -> None:
    spec = replace(SPEC, source_volts=4.0)
    spec.check([pulse({0: sign * 4.0})])
    spec.check([pulse({0: sign * 4.0})] * 2)
    for many in 1, 2:
        assert "against ground" in refusal(spec, [pulse({0: sign * beyond(4.0)})] * many).allowed


@pytest.mark.parametrize("repeats", [10**12, math.inf, 1.5, True, "2"])
@pytest.mark.parametrize("many", [1, 6])
def test_repeats_are_a_whole_number_that_can_be_reached(repeats: Any, many: int) -> None:
    assert "repeats" in refusal(SPEC, [pulse({0: 0.1, 2: 0.0}, repeats=repeats)] * many).wrong


@pytest.mark.parametrize("many", [1, 6])
def test_a_wait_is_of_no_voltage(many: int) -> None:
    SPEC.check([pulse({0: 0.0, 2: 0.0}, purpose=Purpose.WAIT)] * many)
    waits = [pulse({0: 0.1, 2: 0.0}, purpose=Purpose.WAIT)] * many
    assert "a wait with a voltage" in refusal(SPEC, waits).wrong


@pytest.mark.parametrize("many", [1, 6])
def test_no_source_is_put_on_a_line_that_a_neuron_drives(many: int) -> None:
    spec = replace(SPEC, neurons=(NEURON,))
    spec.check([pulse({0: 0.1})] * many)
    for volts in 0.0, 0.05:
        both = [pulse({0: 0.1, 1: volts})] * many
        assert "a line that a neuron drives" in refusal(spec, both).wrong


@pytest.mark.parametrize("many", [1, 6])
def test_the_rails_of_a_neuron_count_with_their_sign(many: int) -> None:
    careful = Limits(low_volts=-0.05, high_volts=1.0, amps=1.0, least_ohms=900.0)
    sites = (*SITES[:2], Site(1, 0, "Xe", "c", careful), SITES[3])
    inverted = replace(NEURON, low_volts=-0.1, high_volts=0.0)
    infers = [pulse({0: 0.1})] * many
    replace(SPEC, sites=sites, neurons=(NEURON,)).check(infers)
    assert "-0.1 V across site c" in refusal(replace(SPEC, sites=sites, neurons=(inverted,)), infers).wrong
