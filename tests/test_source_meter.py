"""Pulses into runs of a source-measure unit, readings into traces: by hand calculation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.source_meters.runs import MOST_REST, Planner
from drivers.source_meters.source_meter import Reach, Readings
from drivers.source_meters.steps import common_step, shape
from drivers.source_meters.traces import Assembler
from labctl.errors import BoardFault, LimitExceeded
from labctl.limits import Limits
from labctl.objections import objections
from labctl.parts import Shapes, Site
from labctl.pulse import Flag, Pulse, Purpose
from labctl.screening import suspects
from labctl.shapes import Wave, square, staircase
from labctl.spec import Spec

REACH = Reach(
    name="a meter",
    models=("MODEL 1",),
    volts_ranges=(0.2, 2.0, 20.0),
    amps_ranges=(1e-6, 1e-5, 1e-4, 1e-3),
    shortest_step=1e-3,
    longest_step=10.0,
    most_steps=100,
    edge_seconds=1e-3,
    noise_amps=1e-10,
    noise_floor_amps=1e-9,
    accuracy=0.02,
)
PLANNER = Planner(REACH, series_ohms=9_400.0, least_ohms=600.0, amps_limit=1e-3, readings=10)


def on(wave: Wave, purpose: Purpose = Purpose.READ, columns: tuple[int, ...] = (0,), lines: int = 2) -> Pulse:
    """The wave on the row, these columns at 0 V."""
    volts = np.zeros((len(wave.seconds), lines))
    volts[:, 0] = wave.volts
    driven = np.zeros(lines, dtype=np.bool_)
    driven[[0, *(1 + column for column in columns)]] = True
    return Pulse(wave.seconds, volts, driven, purpose)


def answered(run, conductance: float = 1e-4, flags: int = 0) -> Readings:
    """What a plain resistor would answer."""
    volts = np.array(run.volts)
    seconds = np.arange(len(volts)) * run.key.seconds
    return Readings(seconds, volts, volts * conductance, np.full(len(volts), flags, dtype=np.intp))


# ---- steps --------------------------------------------------------------------------------------


def test_an_edge_becomes_a_step_in_its_middle() -> None:
    wave = square(0.5, 20e-3, 2e-3)
    before, steps, after = shape(wave.seconds.tolist(), wave.volts.tolist())
    assert before == pytest.approx(1e-3)
    assert after == pytest.approx(1e-3)
    assert [wave.volts[corner] for corner, _ in steps] == [0.5]
    assert steps[0].seconds == pytest.approx(18e-3)


@given(
    levels=st.lists(st.floats(-2, 2).filter(lambda v: v == 0 or abs(v) > 1e-3), min_size=1, max_size=6),
    step=st.floats(2e-3, 50e-3),
)
def test_the_area_of_a_pulse_is_kept(levels: list[float], step: float) -> None:
    wave = staircase(levels, step, step / 50)
    before, steps, after = shape(wave.seconds.tolist(), wave.volts.tolist())
    area = sum(wave.volts[corner] * seconds for corner, seconds in steps)
    middles = (wave.volts[1:] + wave.volts[:-1]) / 2
    assert area == pytest.approx(float(np.diff(wave.seconds) @ middles), abs=1e-12)
    assert before + after + sum(seconds for _, seconds in steps) == pytest.approx(wave.seconds[-1])


def test_a_read_is_one_level_and_a_step_back_to_nothing() -> None:
    (run,) = PLANNER.runs([on(square(0.1, 20e-3))])
    assert run.volts == [0.1, 0.0]
    assert run.key.seconds == pytest.approx(20e-3 - 0.2e-3)


def test_a_list_of_equal_reads_is_one_run_as_long_as_the_instrument_allows() -> None:
    runs = PLANNER.runs([on(square(0.01 * index, 20e-3)) for index in range(2, 10)] * 15)
    assert [len(run.volts) for run in runs] == [100, 100, 40]
    assert [len(run.units) for run in runs] == [50, 50, 20]


def test_a_pulse_that_writes_is_read_several_times() -> None:
    (run,) = PLANNER.runs([on(square(1.0, 100e-3, 1e-3), Purpose.PROGRAM)])
    assert run.volts == [1.0] * 10 + [0.0]
    assert sum(run.weights[:10]) == pytest.approx(99e-3)
    assert run.units[0].spare == pytest.approx(9.9e-3 - 1e-3)


def test_a_pulse_that_writes_is_read_as_often_as_there_is_time() -> None:
    (run,) = PLANNER.runs([on(square(1.0, 3.5e-3, 0.1e-3), Purpose.PROGRAM)])
    assert run.volts == [1.0] * 3 + [0.0]


def test_levels_of_a_pulse_share_a_step() -> None:
    seconds = np.array([0.0, 0.1e-3, 4e-3, 4.1e-3, 10e-3, 10.1e-3])
    volts = np.array([0.0, 0.5, 0.5, 1.0, 1.0, 0.0])
    (run,) = PLANNER.runs([on(Wave(seconds, volts), Purpose.PROGRAM)])
    half, whole = run.volts.count(0.5), run.volts.count(1.0)
    assert half * run.key.seconds == pytest.approx(4e-3, rel=0.005)
    assert whole * run.key.seconds == pytest.approx(6e-3, rel=0.005)


def test_levels_without_a_common_step_are_refused_with_what_is_allowed() -> None:
    seconds = np.array([0.0, 0.1e-3, 2e-3, 2.1e-3, 2e-3 + math.pi * 1e-3, 2.2e-3 + math.pi * 1e-3])
    volts = np.array([0.0, 0.5, 0.5, 1.0, 1.0, 0.0])
    with pytest.raises(LimitExceeded, match="cannot make") as refused:
        PLANNER.runs([on(square(0.1, 20e-3)), on(Wave(seconds, volts))])
    assert "pulse 2" in str(refused.value)
    assert "common step" in refused.value.allowed


def test_a_level_that_is_too_short_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        PLANNER.runs([on(square(0.1, 1e-3, 0.1e-3))])


def test_more_levels_than_the_instrument_holds_are_refused() -> None:
    with pytest.raises(LimitExceeded, match="cannot make"):
        PLANNER.runs([on(staircase([0.01 * level for level in range(1, 101)], 2e-3, 1e-5))])


@settings(max_examples=200)
@given(st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=4), st.integers(1, 20))
def test_a_common_step_fits_every_level(lengths: list[float], readings: int) -> None:
    step = common_step(lengths, readings, REACH)
    if len(set(lengths)) == 1:
        assert step is not None
    if step is not None:
        assert REACH.shortest_step * (1 - 1e-6) <= step <= REACH.longest_step
        for seconds in lengths:
            assert round(seconds / step) * step == pytest.approx(seconds, rel=0.00505)


def test_ranges_hold_what_the_least_resistance_would_take() -> None:
    reads = PLANNER.runs([on(square(0.09, 20e-3)), on(square(0.11, 20e-3)), on(square(2.1, 20e-3))])
    assert [run.key.amps_range for run in reads] == [1e-5, 1e-4, 1e-3]
    assert [run.key.volts_range for run in reads] == [0.2, 0.2, 20.0]


def test_pulses_on_other_columns_are_other_runs() -> None:
    pulses = [on(square(0.1, 20e-3), columns=(column,), lines=4) for column in (0, 0, 2)]
    assert [run.key.columns for run in PLANNER.runs(pulses)] == [(0,), (2,)]


def test_without_a_column_nothing_is_driven() -> None:
    (run,) = PLANNER.runs([on(square(1.0, 20e-3), columns=())])
    assert run.volts == [0.0]
    assert run.seconds == pytest.approx(20e-3)


def test_a_wait_is_one_long_step_whatever_its_repeats() -> None:
    none = np.zeros(2, dtype=np.bool_)
    wait = Pulse(np.array([0.0, 2.0]), np.zeros((2, 2)), none, Purpose.WAIT, repeats=10)
    (run,) = PLANNER.runs([wait])
    assert run.volts == [0.0, 0.0]
    assert run.seconds == pytest.approx(20.0)


def test_a_long_rest_does_not_become_many_steps() -> None:
    wave = square(0.1, 20e-3)
    seconds = np.append(wave.seconds, 10.0)
    runs = PLANNER.runs([on(Wave(seconds, np.append(wave.volts, 0.0)))])
    assert len(runs) == 2
    assert sum(len(run.volts) for run in runs) < MOST_REST
    assert sum(sum(run.weights) for run in runs) == pytest.approx(10.0)


# ---- traces -------------------------------------------------------------------------------------


def traces_of(pulses: list[Pulse], lines: int = 2, **given) -> list:
    assembler = Assembler(lines, REACH, link_seconds=1e-3)
    found = []
    for run in PLANNER.runs(pulses):
        assembler.begin(0.0)
        found += assembler.traces(run, answered(run, **given))
    return found


@pytest.mark.parametrize("repeats", [1, 7])
@pytest.mark.parametrize("purpose", [Purpose.READ, Purpose.PROGRAM])
def test_a_trace_lasts_as_long_as_its_pulse_and_has_its_energy(purpose: Purpose, repeats: int) -> None:
    pulses = [on(square(volts, 30e-3, 0.3e-3), purpose).repeated(repeats) for volts in (0.5, -1.0)]
    for pulse, trace in zip(pulses, traces_of(pulses), strict=True):
        volts = float(np.abs(pulse.volts).max())
        assert trace.seconds.sum() == pytest.approx(pulse.duration, rel=1e-9)
        joules = float(trace.seconds @ (trace.volts * trace.amps).sum(axis=1))
        assert joules == pytest.approx(volts**2 * 1e-4 * 29.7e-3 * repeats, rel=1e-9)


def test_what_the_row_gives_the_column_takes() -> None:
    (trace,) = traces_of([on(square(0.5, 20e-3), columns=(1,), lines=3)], lines=3)
    assert trace.amps[0].tolist() == pytest.approx([5e-5, 0.0, -5e-5])
    assert not trace.estimated


def test_columns_that_share_a_current_are_estimated() -> None:
    (trace,) = traces_of([on(square(0.5, 20e-3), columns=(0, 1), lines=3)], lines=3)
    assert trace.amps[0].tolist() == pytest.approx([5e-5, -2.5e-5, -2.5e-5])
    assert trace.estimated


def test_flags_reach_their_own_trace_and_lost_samples_bound_the_energy() -> None:
    pulses = [on(square(0.1, 20e-3))] * 3
    (run,) = PLANNER.runs(pulses)
    readings = answered(run)
    readings.flags[2] = int(Flag.OVER_RANGE)
    assembler = Assembler(2, REACH, 0.0)
    flags = [trace.flags for trace in assembler.traces(run, readings)]
    assert flags == [Flag.NONE, Flag.OVER_RANGE | Flag.LOWER_BOUND, Flag.NONE]


def test_of_a_run_that_was_cut_short_only_whole_pulses_have_traces() -> None:
    (run,) = PLANNER.runs([on(square(0.1, 20e-3))] * 3)
    whole = answered(run)
    cut = Readings(whole.seconds[:3], whole.volts[:3], whole.amps[:3], whole.flags[:3])
    assert len(Assembler(2, REACH, 0.0).traces(run, cut)) == 1


def test_levels_that_were_longer_than_asked_are_booked_as_long_as_they_were() -> None:
    (run,) = PLANNER.runs([on(square(0.1, 20e-3))] * 5)
    readings = answered(run)
    longer = readings._replace(seconds=readings.seconds * 1.03)
    traces = Assembler(2, REACH, 0.0).traces(run, longer)
    assert traces[0].seconds.sum() == pytest.approx(20.6e-3)


def test_fault_33_levels_of_quite_another_length_are_a_fault() -> None:
    (run,) = PLANNER.runs([on(square(0.1, 20e-3))] * 5)
    readings = answered(run)
    assembler = Assembler(2, REACH, 0.0)
    traces = assembler.traces(run, readings._replace(seconds=readings.seconds * 2))
    assert [trace.seconds.sum() for trace in traces] == pytest.approx([40e-3] * 5)  # driven, so billed
    with pytest.raises(BoardFault, match="steps took"):
        assembler.refuse_wrong_times()


# ---- the quick look at a list ---------------------------------------------------------------------

SITE = Site(0, 0, "Sn", limits=Limits(high_volts=2.0, low_volts=-2.0, seconds=0.2))
STEPPED = Spec(
    "stepped", 1, 1, (SITE,), (10e3, 0.0), shapes=Shapes.STEPS, edge_seconds=1e-3, grounded=(1,),
    shortest_pulse=1e-3,
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.floats(-2.2, 2.2), st.floats(2e-3, 0.25), st.floats(1e-4, 0.4), st.sampled_from([0.0, 0.1])
        ),
        min_size=1,
        max_size=9,
    )
)
def test_what_is_cleared_at_a_look_has_no_objection(asked: list[tuple[float, float, float, float]]) -> None:
    pulses = list[Pulse]()
    for volts, seconds, edge, grounded in asked:
        pulse = on(square(volts, seconds, min(edge * seconds, 2e-3)))
        wrong = pulse.volts.copy()
        wrong[1, 1] = grounded if volts > 1.0 else 0.0
        pulses.append(Pulse(pulse.seconds, wrong, pulse.driven, pulse.purpose))
    doubted = set(suspects(STEPPED, pulses))
    for index, pulse in enumerate(pulses):
        if index not in doubted:
            assert not list(objections(STEPPED, pulse))


def test_steps_that_a_source_can_make_are_cleared_at_a_look() -> None:
    pulses = [on(square(0.1, 20e-3, 0.5e-3))] * 10
    assert list(suspects(STEPPED, pulses)) == list(suspects(STEPPED, pulses[:1])) == []
    slow = on(square(0.1, 20e-3, 2e-3))
    assert list(suspects(STEPPED, [*pulses, slow])) == [10]
    assert list(suspects(STEPPED, [slow])) == [0]
