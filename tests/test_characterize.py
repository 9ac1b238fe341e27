"""Procedures: what they drive, what they make of it, and where they refuse; on paper and on boards."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labctl.board import Board
from labctl.characterize import PROCEDURES, TITLES, protocol_of
from labctl.characterize.dose import Dose, Meter, capped
from labctl.characterize.first_use import SUB_THRESHOLD, FirstUse, FirstUseSettings
from labctl.characterize.iv import IV, IVSettings, wave
from labctl.characterize.loops import figures_of
from labctl.characterize.probing import Curve, neighbours, probe, read, siemens, write
from labctl.characterize.procedure import AnyProcedure, Capped, Figures, Row
from labctl.characterize.protocol import Before, Protocol, Step, Witness, measure
from labctl.characterize.resistance import Resistance, ResistanceSettings, line
from labctl.characterize.response import RESET, SET, Response, ResponseSettings
from labctl.characterize.threshold import Threshold, ThresholdSettings, Trial
from labctl.energy import Ledger
from labctl.errors import BadConfig, BoardFault, Refused
from labctl.limits import Limits
from labctl.parts import Shapes, Site
from labctl.plan import Plan
from labctl.programming.write_verify import Reading
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.session import run
from labctl.shapes import square
from labctl.spec import Spec
from tests.boards import OHMS, SPEC, NullBoard, compact, spec_with


def driven(procedure: AnyProcedure, board: Board, site: int = 0, rows: list[Row] | None = None) -> list[Row]:
    """The rows of a procedure on this board."""
    rows = [] if rows is None else rows
    procedure.check(board.spec, site)
    with board:
        run(procedure.plan(board.spec, site, rows), board, ledger=Ledger())
    return rows


class Resistor(NullBoard):
    """The null board with another resistance, which may depend on the highest voltage that it has seen."""

    def __init__(self, ohms: Callable[[float], float], spec: Spec = SPEC) -> None:
        super().__init__(spec)
        self.ohms, self.highest, self.pulses = ohms, 0.0, list[Pulse]()

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for pulse in pulses:
            self.pulses.append(pulse)
            self.highest = max(self.highest, float(np.abs(pulse.volts).max()))
            self._siemens = 1 / (self.ohms(self.highest) + sum(self.spec.series_ohms))
            yield from super()._drive([pulse])


# ---- the first look ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ohms", "state", "formed"),
    [
        (10e3, "low resistance", "yes"),
        (300e3, "high resistance", "yes"),
        (10e6, "high resistance", "unknown"),
        (1e12, "open", "no"),
        (20.0, "short", "yes"),
    ],
)
def test_a_first_look_tells_the_state(ohms: float, state: str, formed: str) -> None:
    procedure, board = FirstUse(FirstUseSettings()), Resistor(lambda _: ohms)
    rows = driven(procedure, board)
    figures = procedure.summary(board.spec, 0, rows)
    assert (figures["state"], figures["formed"]) == (state, formed)
    assert bool(procedure.obstacle(figures)) == (state in ("open", "short"))
    assert board.highest <= FirstUseSettings().highest
    if ohms < 1e6:
        assert float(figures["ohms"]) == pytest.approx(ohms, rel=1e-9)
        assert float(figures["asymmetry"]) == pytest.approx(0, abs=1e-9)


def test_a_first_look_ends_at_a_short_and_is_never_allowed_above_the_threshold() -> None:
    board = Resistor(lambda _: 20.0)
    assert len(driven(FirstUse(FirstUseSettings()), board)) == 2
    with pytest.raises(BadConfig, match="highest"):
        protocol_of("first_use", {"highest": "0.2 V"}, "mine")
    assert FirstUseSettings(highest=SUB_THRESHOLD).highest == SUB_THRESHOLD


def test_a_first_look_without_rows_says_so() -> None:
    procedure = FirstUse(FirstUseSettings())
    assert procedure.obstacle(procedure.summary(SPEC, 0, []))


# ---- loops ------------------------------------------------------------------------------------


def triangle(points: int = 4001, volts: float = 1.0) -> Floats:
    """[V] one period of a triangle, positive half first."""
    return volts * np.interp(np.linspace(0, 4, points), [0, 1, 3, 4], [0, 1, -1, 0])


def loop(siemens_at: Callable[[int, float], float]) -> Curve:
    """A curve of a device without series resistor, its conductance given by sample and voltage."""
    volts = triangle()
    amps = np.array([siemens_at(index, v) * v for index, v in enumerate(volts.tolist())])
    return Curve(np.full(len(volts), 0.1 / len(volts)), volts, volts, amps)


def test_a_resistor_has_states_but_no_thresholds() -> None:
    found = figures_of(loop(lambda _index, _volts: 1e-4), 0.1)
    assert math.isnan(found.vset)
    assert math.isnan(found.vreset)
    assert (found.hrs, found.lrs) == (pytest.approx(1e4), pytest.approx(1e4))
    assert (found.imax, found.imin) == (pytest.approx(1e-4), pytest.approx(-1e-4))
    assert found.area == pytest.approx(0, abs=1e-12)
    assert found.energy == pytest.approx(0.1 * 1e-4 / 3, rel=1e-3)  # T V^2 G / 3 of a triangle


def test_a_device_that_switches_has_its_thresholds_where_it_switches() -> None:
    def switching(index: int, volts: float) -> float:
        """Sets at 0.3 V on the way up, resets at -0.2 V on the way down."""
        on = (
            (index <= 1000 and volts >= 0.3) or 1000 < index <= 2000 or (index <= 3000 and -0.2 <= volts <= 0)
        )
        return 1e-3 if on else 1e-5

    found = figures_of(loop(switching), 0.1)
    assert found.vset == pytest.approx(0.3, abs=2e-3)
    assert found.vreset == pytest.approx(-0.2, abs=2e-3)
    assert (found.hrs, found.lrs) == (pytest.approx(1e5), pytest.approx(1e3))
    lobes = (1e-3 - 1e-5) * 0.3**2 / 2, (1e-3 - 1e-5) * 0.2**2 / 2
    assert found.area == pytest.approx(sum(lobes), rel=0.02)


def test_a_gradual_set_has_its_threshold_at_the_geometric_mean() -> None:
    """ln G rises in a straight line from 0.1 V to 0.9 V: half way is at 0.5 V."""

    def gradual(index: int, volts: float) -> float:
        if index <= 1000:
            return 1e-5 * 100.0 ** min(max((volts - 0.1) / 0.8, 0.0), 1.0)
        return 1e-3

    assert figures_of(loop(gradual), 0.05).vset == pytest.approx(0.5, abs=2e-3)


def test_a_branch_that_does_not_reach_the_read_voltage_says_nothing() -> None:
    found = figures_of(loop(lambda _index, _volts: 1e-4), 2.0)
    assert math.isnan(found.hrs)
    assert math.isnan(found.lrs)


@pytest.mark.parametrize("shape", ["triangle", "sine", "staircase"])
def test_a_cycle_has_both_peaks_and_ends_at_zero(shape: Any) -> None:
    how = IVSettings(shape=shape, amplitude=0.8, negative=0.5, frequency=100.0, points=64)
    found = wave(how, SPEC)
    assert (found.volts.max(), found.volts.min()) == (pytest.approx(0.8), pytest.approx(-0.5))
    assert found.volts[0] == found.volts[-1] == 0
    assert found.seconds[-1] == pytest.approx(0.01, rel=0.01)
    if shape == "triangle":
        assert np.interp(0.00125, found.seconds, found.volts) == pytest.approx(0.4)
    if shape == "sine":
        assert np.interp(0.00125, found.seconds, found.volts) == pytest.approx(0.8 * math.sin(math.pi / 4))


def test_sources_that_make_levels_get_staircases() -> None:
    steps = replace(SPEC, shapes=Shapes.STEPS, edge_seconds=1e-6)
    for name in ("iv", "response", "threshold", "resistance", "first_use"):
        protocol_of(name, {}, "mine").check(steps, [0])
    with pytest.raises(Refused, match="only makes levels"):
        IV(IVSettings(shape="sine")).check(steps, 0)


def test_a_board_with_a_slow_node_is_refused_fast_loops() -> None:
    with pytest.raises(Refused, match="too fast"):
        IV(IVSettings(frequency=1000.0)).check(replace(SPEC, response_seconds=1e-3), 0)


def test_loops_of_a_resistor_behind_series_resistors_are_its_own() -> None:
    procedure = IV(IVSettings(cycles=3))
    rows = driven(procedure, NullBoard())
    figures = procedure.summary(SPEC, 0, rows)
    assert [row["cycle"] for row in rows] == [1.0, 2.0, 3.0]
    assert (figures["hrs"], figures["lrs"]) == (pytest.approx(OHMS), pytest.approx(OHMS))
    assert figures["imax"] == pytest.approx(1 / 15_050, rel=0.02)
    assert figures["hrs_sd"] == 0.0


def test_loops_that_are_there_are_not_measured_again() -> None:
    board, procedure = NullBoard(), IV(IVSettings(cycles=3))
    rows = driven(procedure, board)
    before = list(rows)
    driven(procedure, board, rows=rows)
    assert (board.driven, rows) == (3, before)
    driven(procedure, board, rows=rows[:2])
    assert board.driven == 4


# ---- trains -----------------------------------------------------------------------------------

TRAINS = ResponseSettings(set_volts=(0.5, 0.6), reset_volts=(0.4,), widths=(1e-4, 1e-3), pulses=3)


def test_a_train_is_restored_read_and_read_after_each_pulse() -> None:
    procedure = Response(TRAINS)
    first = next(procedure.trains())
    pulses = procedure.list_of(SPEC, 0, first)
    peaks = [float(max(pulse.volts[:, 0], key=abs)) for pulse in pulses]
    assert peaks == [1.0, -2.0, 0.1, 0.5, 0.1, 0.5, 0.1, 0.5, 0.1]
    reset = next(train for train in procedure.trains() if train.direction == RESET)
    peaks = [float(max(pulse.volts[:, 0], key=abs)) for pulse in procedure.list_of(SPEC, 0, reset)]
    assert peaks[:4] == [-2.0, 1.0, 0.1, -0.4]
    assert {pulse.purpose for pulse in pulses} == {Purpose.PROGRAM, Purpose.RESET, Purpose.READ}


def answered(plan: Plan[None], siemens_of: Iterator[float]) -> None:
    """Send traces whose reads have these conductances, until the plan ends."""
    try:
        pulses = next(plan)
        while True:
            traces = [
                trace_of(pulse, next(siemens_of) if pulse.purpose is Purpose.READ else 1e-4)
                for pulse in pulses
            ]
            pulses = plan.send(traces)
    except StopIteration:
        return


def trace_of(pulse: Pulse, conductance: float) -> Trace:
    """What `SPEC` would measure of a resistor."""
    volts = (pulse.volts[1:] + pulse.volts[:-1]) / 2
    amps = (volts[:, 0] - volts[:, 1]) / (1 / conductance + sum(SPEC.series_ohms))
    return Trace(np.diff(pulse.seconds), volts, np.column_stack([amps, -amps]))


def test_the_rows_of_trains_and_what_they_come_to() -> None:
    procedure, rows = Response(TRAINS), list[Row]()
    levels = [1e-5, 2e-5, 3e-5, 4e-5] * 3 + [1e-5, 8e-5, 9e-5, 10e-5] + [10e-5, 9e-5, 8e-5, 7e-5] * 2
    answered(procedure.plan(SPEC, 0, rows), iter(levels))
    assert [row["siemens"] for row in rows] == pytest.approx(levels)
    assert [row["pulse"] for row in rows[:4]] == [0.0, 1.0, 2.0, 3.0]
    assert {(row["direction"], row["volts"]) for row in rows} == {(SET, 0.5), (SET, 0.6), (RESET, -0.4)}
    figures = procedure.summary(SPEC, 0, rows)
    assert (figures["lowest"], figures["highest"]) == (pytest.approx(1e-5), pytest.approx(1e-4))
    assert figures["trains"] == 6.0
    assert figures["set_nonlinearity"] == pytest.approx((8e-5 - 4e-5) / 9e-5)  # straight would be at 4e-5
    assert figures["reset_nonlinearity"] == pytest.approx(0, abs=1e-6)


def test_part_of_a_train_is_driven_again() -> None:
    procedure, rows = Response(TRAINS), list[Row]()
    answered(procedure.plan(SPEC, 0, rows), iter([1e-4] * 24))
    again = rows[:10]
    answered(procedure.plan(SPEC, 0, again), iter([2e-4] * 16))
    assert [row["siemens"] for row in again] == pytest.approx([1e-4] * 8 + [2e-4] * 16)
    assert [{**row, "siemens": 0.0} for row in again] == [{**row, "siemens": 0.0} for row in rows]


# ---- thresholds -------------------------------------------------------------------------------

STARTS = 0.9e-4, 1e-4, 1.0, 1.0, 1.1e-4, 1.0
SEARCH = ThresholdSettings(first=0.1, step=0.1, highest_set=0.35, highest_reset=0.2, cycles=2)


def tried(direction: str, volts: float, after: float, cycle: float = 1.0) -> Row:
    return {
        "cycle": cycle,
        "direction": direction,
        "volts": volts,
        "before": 1e-4,
        "after": after,
        "device_volts": volts / 2,
        "change": after / 1e-4 - 1,
    }


def test_amplitudes_rise_until_the_device_moves_and_then_the_other_direction_is_searched() -> None:
    search = Threshold(SEARCH)
    assert search.after([]) == Trial(1, SET, 0.1)
    assert search.after([tried(SET, 0.1, 1.05e-4)]) == Trial(1, SET, 0.2)
    assert search.after([tried(SET, 0.2, 1.11e-4)]) == Trial(1, RESET, -0.1)
    assert search.after([tried(SET, 0.3, 1.0e-4)]) == Trial(
        1, RESET, -0.1
    )  # 0.4 V would be above the highest
    assert search.after([tried(RESET, -0.1, 0.95e-4)]) == Trial(1, RESET, -0.2)
    assert search.after([tried(RESET, -0.2, 1.0e-4)]) == Trial(2, SET, 0.1)
    assert search.after([tried(RESET, -0.1, 0.5e-4, 2.0)]) is None


def test_thresholds_are_medians_of_the_searches_that_found_one() -> None:
    rows = [tried(SET, 0.1, 1e-4), tried(SET, 0.2, 2e-4), tried(RESET, -0.1, 1e-4), tried(RESET, -0.2, 1e-4)]
    rows += [tried(SET, 0.1, 1.2e-4, 2.0), tried(RESET, -0.1, 0.5e-4, 2.0)]
    figures = Threshold(SEARCH).summary(SPEC, 0, rows)
    assert figures["set_volts"] == pytest.approx(0.15)
    assert figures["set_device_volts"] == pytest.approx(0.075)
    assert figures["set_volts_sd"] == pytest.approx(0.1 / math.sqrt(2))
    assert figures["reset_volts"] == pytest.approx(-0.1)
    assert (figures["set_missed"], figures["reset_missed"]) == (0.0, 1.0)
    assert (figures["set_at_first"], figures["reset_at_first"]) == (1.0, 1.0)
    assert figures["set_unrest"] == 0.0
    restless = [{**row, "before": before} for row, before in zip(rows, STARTS, strict=True)]
    assert Threshold(SEARCH).summary(SPEC, 0, restless)["set_unrest"] == pytest.approx(0.1)
    assert not Threshold(SEARCH).obstacle(figures)


def test_a_search_that_was_stopped_in_the_middle_has_not_missed() -> None:
    rows = [tried(SET, 0.1, 1e-4), tried(SET, 0.2, 1e-4), tried(SET, 0.3, 1e-4), tried(RESET, -0.1, 1e-4)]
    figures = Threshold(SEARCH).summary(SPEC, 0, rows)
    assert (figures["set_missed"], figures["reset_missed"]) == (1.0, 0.0)
    assert not Threshold(SEARCH).obstacle(figures)


def test_a_device_that_never_switches_has_no_thresholds() -> None:
    procedure = Threshold(SEARCH)
    figures = procedure.summary(SPEC, 0, driven(procedure, NullBoard()))
    assert math.isnan(float(figures["set_volts"]))
    assert (figures["set_missed"], figures["reset_missed"]) == (2.0, 2.0)
    assert procedure.obstacle(figures) == "it does not switch"


def test_a_search_downwards_is_refused() -> None:
    with pytest.raises(Refused, match="a search from"):
        Threshold(ThresholdSettings(first=0.5, highest_set=0.4)).check(SPEC, 0)


# ---- resistance -------------------------------------------------------------------------------


def test_the_line_at_high_current_is_the_series_resistance() -> None:
    amps = np.linspace(1e-6, 1e-4, 12)
    volts = np.where(amps < 4e-5, 0.05, 0.13 + 150 * amps)
    found = line(volts, amps)
    assert (found["contact"], found["offset"]) == (pytest.approx(150), pytest.approx(0.13))
    assert found["contact_error"] == pytest.approx(0, abs=1e-6)
    assert math.isnan(line(volts[:2], amps[:2])["contact"])
    assert math.isnan(line(volts[:0], amps[:0])["contact"])


def test_of_a_resistor_all_is_series() -> None:
    procedure = Resistance(ResistanceSettings())
    figures = procedure.summary(SPEC, 0, driven(procedure, NullBoard()))
    assert (figures["contact"], figures["least"]) == (pytest.approx(OHMS), pytest.approx(OHMS))
    assert figures["offset"] == pytest.approx(0, abs=1e-9)


def test_on_a_bare_crossbar_no_path_is_known() -> None:
    with pytest.raises(Refused, match="has no switches"):
        Resistance(ResistanceSettings(highest=0.1)).check(compact("crossbar-4x4").spec, 0)


# ---- caps -------------------------------------------------------------------------------------


def endless(spec: Spec, failures: list[str]) -> Plan[None]:
    """Writes for ever, whatever happens."""
    while True:
        try:
            yield [write(spec, 0, 0.5, 1e-3), read(spec, 0, Reading())]
        except BoardFault as error:
            failures.append(error.wrong)


@pytest.mark.parametrize(
    ("caps", "told", "most"),
    [
        (Capped(most_pulses=7), "dose limit: more than 7 pulses", 7),
        (Capped(most_energy=2e-7), "dose limit: it could get more than 200 nJ", 12),
        (Capped(most_time=0.01), "dose limit: more than 10 ms", 9),
    ],
)
def test_a_plan_without_end_is_ended_by_its_dose(caps: Capped, told: str, most: int) -> None:
    board, meter = NullBoard(), Meter(SPEC, ((caps, Dose()),))
    with board:
        assert run(capped(endless(SPEC, []), meter, lambda: None), board, ledger=Ledger()) == told
    assert 0 < meter.given.pulses <= most
    assert not meter.given.joules > caps.most_energy
    assert not meter.given.seconds > caps.most_time
    assert meter.excess([write(SPEC, 0, 0.5, 1e-3)] * 3)


def test_what_was_given_before_counts() -> None:
    meter = Meter(SPEC, ((Capped(most_pulses=10), Dose(pulses=8)),))
    assert meter.excess([write(SPEC, 0, 0.5, 1e-3)] * 3)
    assert not meter.excess([write(SPEC, 0, 0.5, 1e-3)] * 2)
    assert meter.excess([write(SPEC, 0, 0.5, 1e-3).repeated(3)])
    assert not meter.excess([read(SPEC, 0, Reading())] * 100)


def test_a_list_that_failed_counts_in_full_and_one_that_was_refused_not_at_all() -> None:
    plan, failures = endless(SPEC, []), list[str]()
    meter = Meter(SPEC, ((Capped(), Dose()),))
    guarded = capped(endless(SPEC, failures), meter, lambda: None)
    pulses = next(guarded)
    guarded.throw(BoardFault("gone wrong"))
    assert (meter.given.pulses, failures) == (1, ["gone wrong"])
    assert meter.given.joules == pytest.approx(SPEC.worst_joules(pulses[0]))
    with pytest.raises(Refused):
        guarded.throw(Refused("no"))
    assert meter.given.pulses == 1
    plan.close()


# ---- protocols --------------------------------------------------------------------------------


class Notes(Witness):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told = list[tuple[Any, ...]]()

    def begins(self, step: str, site: int) -> None:
        self.told.append(("begins", step, site))

    def found(self, step: str, site: int, rows: Sequence[Row]) -> None:
        self.told.append(("found", step, len(rows)))

    def ends(self, step: str, site: int, figures: Figures) -> None:
        self.told.append(("ends", step, figures["ended"]))


def two_steps(cycles: int = 2) -> Protocol:
    steps = Step("look", FirstUse(FirstUseSettings())), Step("loops", IV(IVSettings(cycles=cycles)))
    return Protocol("both", "", Capped(), steps)


def test_steps_follow_each_other_and_rows_are_told_before_the_next_list() -> None:
    board, notes = NullBoard(), Notes()
    with board:
        figures = run(measure(two_steps(), SPEC, [0], notes), board, ledger=Ledger())
    assert figures["loops", 0]["cycles"] == 2.0
    looks = [("found", "look", 2)] * 3
    loops = [("found", "loops", 1)] * 2
    assert notes.told == [
        ("begins", "look", 0),
        *looks,
        ("ends", "look", "done"),
        ("begins", "loops", 0),
        *loops,
        ("ends", "loops", "done"),
    ]


def test_nothing_follows_a_device_that_is_short() -> None:
    board, notes = Resistor(lambda _: 20.0), Notes()
    with board:
        figures = run(measure(two_steps(), SPEC, [0], notes), board, ledger=Ledger())
    assert figures["loops", 0] == {"ended": "not begun: the device is short"}
    assert board.highest < 0.1


def test_a_step_that_does_not_decide_ends_nothing() -> None:
    look, loops = two_steps().steps
    protocol = Protocol("both", "", Capped(), (replace(look, decides=False), loops))
    with Resistor(lambda _: 20.0) as board:
        figures = run(measure(protocol, SPEC, [0], Notes()), board, ledger=Ledger())
    assert (figures["look", 0]["state"], figures["loops", 0]["ended"]) == ("short", "done")


def test_a_board_that_fails_on_a_site_ends_that_site() -> None:
    class Fails(NullBoard):
        def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
            if pulses[0].purpose is Purpose.PROGRAM:
                raise BoardFault("compliance")
            yield from super()._drive(pulses)

    protocol = Protocol("all", "", Capped(), (*two_steps().steps[::-1], Step("again", IV(IVSettings()))))
    with Fails() as board:
        figures = run(measure(protocol, SPEC, [0], Notes()), board, ledger=Ledger())
    assert figures["loops", 0]["ended"] == "the board failed: compliance"
    assert figures["look", 0]["ended"] == figures["again", 0]["ended"] == "not begun: the board failed on it"


def test_what_is_behind_a_run_is_not_done_again() -> None:
    done: Figures = {"state": "low resistance", "ended": "done"}
    rows: list[Row] = [{"cycle": 1.0, "hrs": 1.0}]
    before = Before({("loops", 0): rows}, {("look", 0): done}, {})
    board, notes = NullBoard(), Notes()
    with board:
        figures = run(measure(two_steps(3), SPEC, [0], notes, before), board, ledger=Ledger())
    assert board.driven == 2
    assert figures["look", 0] is done
    assert figures["loops", 0]["cycles"] == 3.0
    assert rows == [{"cycle": 1.0, "hrs": 1.0}]  # not changed under whoever gave them


def test_the_caps_of_a_protocol_hold_for_its_steps_together() -> None:
    steps = tuple(Step(name, IV(IVSettings(cycles=4))) for name in ("one", "two"))
    with NullBoard() as board:
        figures = run(
            measure(Protocol("x", "", Capped(most_pulses=6), steps), SPEC, [0], Notes()),
            board,
            ledger=Ledger(),
        )
    assert [(figures[name, 0]["cycles"], figures[name, 0]["ended"]) for name in ("one", "two")] == [
        (4.0, "done"),
        (2.0, "dose limit: more than 6 pulses"),
    ]


def test_the_report_is_in_a_safe_order_and_wears_out_nothing_unasked() -> None:
    report = protocol_of("report", {}, "mine")
    names = [step.name for step in report.steps]
    assert names[0] == "first_use"
    assert names.index("noise") < names.index("iv_small") < names.index("threshold") < names.index("iv_large")
    assert "endurance" not in names
    assert [step.name for step in report.steps if not step.decides] == ["write_verify"]
    more = protocol_of("report", {"with_endurance": True, "leave_out": ["noise"]}, "mine")
    assert [step.name for step in more.steps] == [*(name for name in names if name != "noise"), "endurance"]
    with pytest.raises(BadConfig, match="leave_out"):
        protocol_of("report", {"leave_out": ["first_use"]}, "mine")


def test_a_report_that_a_board_refuses_names_the_step() -> None:
    report = protocol_of("report", {"iv_small": {"amplitude": "0.3 V"}}, "mine")
    with pytest.raises(Refused, match="step threshold: ") as caught:
        report.check(spec_with(high_volts=0.4, low_volts=-0.4), [0])
    assert "[threshold]" in caught.value.todo
    alone = protocol_of("threshold", {}, "mine")
    with pytest.raises(Refused, match="pulse 1 of"):
        alone.check(spec_with(high_volts=0.4, low_volts=-0.4), [0])


def test_a_procedure_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(Refused, match="no procedure") as caught:
        protocol_of("ivv", {}, "mine")
    assert all(name in caught.value.allowed for name in TITLES)


# ---- on boards --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROCEDURES)
def test_every_procedure_says_what_it_is(name: str) -> None:
    made = PROCEDURES[name]
    figures = made(made.Settings()).summary(SPEC, 0, [])
    told = [column.name for column in made.figures]
    assert len(set(told)) == len(told)
    assert set(figures) == set(told)
    assert all(column.meaning for column in (*made.columns, *made.figures))


@pytest.mark.parametrize("circuit", ["selector-1x16", "network"])
@pytest.mark.parametrize("name", [name for name in PROCEDURES if name != "lines"])
def test_defaults_fit_every_board_with_switches(circuit: str, name: str) -> None:
    board = compact(circuit)
    protocol_of(name, {}, "mine").check(board.spec, [0, len(board.spec.sites) - 1])


def test_a_site_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match="no site 1"):
        protocol_of("iv", {}, "mine").check(SPEC, [1])


def test_an_amplitude_beyond_the_limits_is_refused_before_anything_is_driven() -> None:
    with pytest.raises(Refused, match="pulse 1 of 1"):
        protocol_of("iv", {"amplitude": "2 V"}, "mine").check(spec_with(high_volts=1.5), [0])


SMALL: dict[str, dict[str, Any]] = {
    "first_use": {},
    "iv": {"cycles": 1},
    "threshold": {"cycles": 1, "step": "0.2 V"},
    "response": {"pulses": 2, "widths": ["100 us"]},
    "resistance": {"levels": 4},
}


@pytest.mark.parametrize("name", SMALL)
def test_nothing_is_driven_that_is_harder_than_what_was_foreseen(name: str) -> None:
    (step,) = protocol_of(name, SMALL[name], "mine").steps
    board = Resistor(lambda seen: 10e3 / (1 + 0.1 * seen))
    driven(step.procedure, board)
    foreseen = step.procedure.foreseen(SPEC, 0)
    for pulse in board.pulses:
        assert any(
            np.abs(pulse.volts).max() <= np.abs(one.volts).max() + 1e-12
            and pulse.volts.max() <= one.volts.max() + 1e-12
            and SPEC.worst_joules(pulse) <= SPEC.worst_joules(one) * (1 + 1e-9)
            for one in foreseen
        )


@pytest.mark.parametrize("circuit", ["selector-1x1", "network"])
def test_a_loop_of_a_memristor_is_a_pinched_hysteresis(circuit: str) -> None:
    procedure, board = IV(IVSettings(cycles=2)), compact(circuit)
    figures = procedure.summary(board.spec, 0, driven(procedure, board))
    assert float(figures["hrs"]) > 2 * float(figures["lrs"])
    assert 0 < float(figures["vset"]) < 1
    assert -1 < float(figures["vreset"]) < 0
    assert float(figures["area"]) > 0


def test_trains_of_a_memristor_go_up_and_down() -> None:
    procedure, board = Response(ResponseSettings(widths=(1e-3,), pulses=5)), compact("selector-1x1")
    rows = driven(procedure, board)
    for start in range(0, len(rows), 6):
        first, last = float(rows[start]["siemens"]), float(rows[start + 5]["siemens"])
        assert last >= first if rows[start]["direction"] == SET else last <= first
    higher = [float(row["siemens"]) for row in rows if row["direction"] == SET and row["pulse"] == 5.0]
    assert higher == sorted(higher)


def test_thresholds_of_a_memristor_are_found_on_either_side() -> None:
    settings = ThresholdSettings(cycles=1, step=0.1, highest_set=2.0, highest_reset=2.0, restore_set=2.0)
    procedure, board = Threshold(settings), compact("selector-1x1")
    figures = procedure.summary(board.spec, 0, driven(procedure, board))
    assert 0 < float(figures["set_volts"]) <= 2
    assert -2 <= float(figures["reset_volts"]) < 0


def test_on_a_bare_crossbar_a_site_is_read_apart_from_its_neighbours() -> None:
    board, how = compact("crossbar-4x4"), Reading(volts=0.05)
    spec = board.spec
    assert neighbours(spec, 5) == [4, 6, 7]
    assert neighbours(compact("network").spec, 5) == []
    with board:
        pulses = [read(spec, site, how) for site in (5, 6)]
        own = [
            siemens(spec, pulse, trace, site)
            for pulse, trace, site in zip(pulses, board.apply(pulses), (5, 6), strict=True)
        ]
        board.apply([write(spec, 8, 0.5, 1e-3)])  # another row, set as a whole
        again = [
            siemens(spec, pulse, trace, site)
            for pulse, trace, site in zip(pulses, board.apply(pulses), (5, 6), strict=True)
        ]
    assert again == pytest.approx(own, rel=0.05)


def test_a_crossbar_that_does_not_measure_its_columns_is_refused() -> None:
    spec = replace(compact("crossbar-4x4").spec, sensed=(0, 1, 2, 3))
    with pytest.raises(Refused, match="does not measure the current of the column"):
        FirstUse(FirstUseSettings()).check(spec, 0)


def test_on_a_bare_crossbar_all_other_lines_are_held() -> None:
    spec = Spec(
        "bare",
        2,
        2,
        tuple(Site(r, c, "W", limits=Limits()) for r in (0, 1) for c in (0, 1)),
        (5e3,) * 4,
        isolating=False,
    )
    pulse = probe(spec, 3, square(0.1, 1e-3), Purpose.READ)
    assert pulse.driven.all()
    assert np.abs(pulse.volts).max(axis=0).tolist() == [0.0, 0.1, 0.0, 0.0]
