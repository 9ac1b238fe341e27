"""Memristor Discovery boards over emulated Analog Discoveries: laws, physics, calls, and what goes wrong."""

from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from drivers.discovery.circuits import Node, wiring
from drivers.discovery.waves import edges_of, means, runs, table_of
from drivers.knowm_discovery import DiscoveryBoard
from labctl.addressing import drive, level, select, wait
from labctl.bench import Bench
from labctl.config import build
from labctl.contract import LAWS, PROGRAMMING_LAWS
from labctl.contract.probe import DoesNotApply, Law
from labctl.energy import charges
from labctl.errors import (
    BoardFault,
    BoardGone,
    BoardHung,
    InUse,
    LabError,
    LimitExceeded,
    Misbehaved,
    Outputs,
    Refused,
    Unavailable,
)
from labctl.pulse import Flag, Pulse, Purpose
from labctl.reading import conductance
from labctl.shapes import Wave, half_sine, sine, square, triangle
from sim_backend.compact import CompactBoard
from sim_backend.emulators.dwf import USB
from tests.discoveries import EMULATED, discovery, hardware

BOARDS = {
    "v2-mode1-Cr": ("v2", 1, "Cr"),
    "v2-mode1-C": ("v2", 1, "C"),
    "v2-mode2-Cr": ("v2", 2, "Cr"),
    "v2-mode2-W": ("v2", 2, "W"),
    "v1-W": ("v1", 1, "W"),
    "v0-Cr": ("v0", 1, "Cr"),
}
NEVER = {"charge_is_conserved", "neurons_sum_and_saturate", "patterns_are_answered_one_by_one"}
BOUND_BY_AMPS = {"v2-mode1-C", "v1-W"}
"""Boards whose resistor lets more current through than the dopant bears."""
TRANSCRIPTS = Path(__file__).parent / "transcripts"


@pytest.fixture(autouse=True)
def _a_bench_of_its_own() -> None:
    USB.clear()


@pytest.mark.parametrize("law", [*LAWS, *PROGRAMMING_LAWS], ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", BOARDS)
def test_every_board_keeps_every_law_over_its_emulator(name: str, law: Law) -> None:
    board = discovery(*BOARDS[name])
    passed_over = NEVER if name in BOUND_BY_AMPS else NEVER | {"too_many_amps_are_refused"}
    if law.__name__ in passed_over:
        with pytest.raises(DoesNotApply):
            law(board)
    else:
        law(board)


# ---- circuits and waves, by hand ---------------------------------------------------------------


@pytest.mark.parametrize("grounded", [False, True])
@pytest.mark.parametrize("siemens", [0.0, 5e-6, 400e-6])
def test_the_closed_form_of_the_node_is_the_solution_of_its_equation(grounded: bool, siemens: float) -> None:
    node = Node(20e3, grounded)
    seconds = np.array([0.0, 1e-6, 8e-6, 8e-6, 9e-6, 20e-6])  # a slope, a level, a jump, a slope, rest
    volts = np.array([0.2, 1.0, 1.0, -0.5, 0.0, 0.0])
    at = np.linspace(0.0, 20e-6, 401)
    found = node.volts(at, seconds, volts, siemens)
    into = siemens if grounded else 1 / node.series_ohms
    expected, now = np.zeros(401), 0.0
    for index in range(5):
        begin, end = seconds[index : index + 2]
        if begin == end:
            continue
        inside = (at >= begin) & (at <= end)

        def slope(t, v, first=index, begin=begin, end=end):
            source = volts[first] + (volts[first + 1] - volts[first]) * (t - begin) / (end - begin)
            return (into * source - v * (siemens + 1 / node.series_ohms)) / node.farads

        solved = solve_ivp(slope, (begin, end), [now], t_eval=at[inside], rtol=1e-9, atol=1e-12)
        ended = solve_ivp(slope, (begin, end), [now], rtol=1e-9, atol=1e-12)
        expected[inside], now = solved.y[0], float(ended.y[0, -1])
    assert np.abs(found - expected).max() < 1e-6


def test_a_short_read_ends_where_the_equation_says() -> None:
    # V(pw) = Vinf (1 - exp(-pw / tau)), with 10 kohm, 1 Mohm and 180 pF, as Knowm's software has it
    node, ohms = Node(10e3, grounded=False), 100e3
    together = 1 / (1 / ohms + 1e-6)
    settled = 0.1 * together / (10e3 + together)
    tau = 180e-12 / (1 / 10e3 + 1 / together)
    step = 0.1 * node.divider
    found = node.volts(np.array([10e-6]), np.array([0.0, 10e-6]), np.array([step, step]), 1 / ohms)
    assert found[0] == pytest.approx(settled * (1 - np.exp(-10e-6 / tau)), rel=1e-9)


@pytest.mark.parametrize("points", [100, 4096])
def test_a_table_keeps_the_volt_seconds_of_every_part(points: int) -> None:
    wave = square(1.3, 50e-6)
    table = table_of(wave.seconds, wave.volts, points)
    assert len(table) == points
    assert table.sum() * 50e-6 / points == pytest.approx(1.3 * 49.5e-6, rel=1e-9)
    assert table.max() == pytest.approx(1.3)
    half = table[: points // 2].sum() * 50e-6 / points
    assert half == pytest.approx(1.3 * 24.75e-6, rel=1e-9)


def test_means_between_edges_are_those_of_straight_lines_between_samples() -> None:
    values = np.linspace(0.0, 1.0, 101)  # a ramp over 100 steps of 1 us
    found, part = means(1e-6, values, np.array([0.0, 25e-6, 100e-6, 120e-6]))
    assert found == pytest.approx([0.125, 0.625, 0.0])
    assert part == pytest.approx([1.0, 1.0, 0.0])


def test_samples_of_a_trace_have_every_corner_among_their_edges() -> None:
    for wave in (square(1.0, 50e-6), half_sine(1.0, 50e-6), sine(1.0, 1e-3), triangle(1.0, 5e-6)):
        edges = edges_of(wave.seconds)
        assert np.all(np.diff(edges) > 0)
        assert np.isin(wave.seconds, edges).all()
        assert 32 <= len(edges) <= 100


def pulses_of(*lengths: float, purpose: Purpose = Purpose.READ) -> list[Pulse]:
    """Pulses of these lengths on site 0."""
    spec = discovery().spec
    return [select(spec, 0, level(spec, 0.05, seconds), purpose) for seconds in lengths]


def test_reads_share_a_run_as_far_as_its_table_resolves_them() -> None:
    assert [len(run.pulses) for run in runs(pulses_of(*[50e-6] * 70), 4096)] == [32, 32, 6]
    assert [len(run.pulses) for run in runs(pulses_of(50e-6, 50e-3, 50e-6), 4096)] == [1, 1, 1]
    assert [len(run.pulses) for run in runs(pulses_of(50e-6, 500e-6, 50e-6), 4096)] == [3]


def test_a_write_begins_a_run_so_that_no_other_can_have_been_driven() -> None:
    (write,) = pulses_of(50e-6, purpose=Purpose.PROGRAM)
    (read,) = pulses_of(50e-6)
    found = [len(run.pulses) for run in runs([read, write, read, read, write, write, read], 4096)]
    assert found == [1, 3, 1, 2]


def test_many_repeats_are_cut_into_captures_that_resolve_them() -> None:
    (pulse,) = pulses_of(10e-6)
    found = list(runs([pulse.repeated(70)], 4096))
    assert [run.repeats for run in found] == [32, 32, 6]
    assert [run.more for run in found] == [True, True, False]


def test_a_board_has_the_modes_that_it_has() -> None:
    assert wiring("v2", 2).bits([(0, 0), (1, 0), (1, 7)]) == 0x8101
    assert wiring("v1", 1).bits([(0, 3)]) == 0x1D08
    with pytest.raises(Refused, match="mode 2 of a v0"):
        discovery("v0", 2)


# ---- what is measured, against what is there ------------------------------------------------------


def twin_of(board: DiscoveryBoard) -> CompactBoard:
    """The fast twin of the same circuit: the scope is a part of the source.

    On V0 and V1 the capacitor is beside the resistor, where devices of high resistance leave no voltage.
    """
    spec = board.spec
    table = {"layout": "selector", "columns": 16, "dopant": spec.sites[0].dopant}
    table["series"] = f"{spec.series_ohms[0]!r} ohm"
    table["sense"] = "0 F" if board._wiring.grounded else "180 pF"
    return CompactBoard(build(table, CompactBoard.Settings, "test"))


WAVES = {
    "set": (square(1.0, 50e-6), Purpose.PROGRAM, 1),
    "reset": (square(-1.2, 200e-6), Purpose.RESET, 1),
    "half sine": (half_sine(1.0, 100e-6), Purpose.PROGRAM, 1),
    "long": (square(0.6, 150e-3), Purpose.PROGRAM, 1),
    "train of short ones": (square(1.5, 5e-6), Purpose.PROGRAM, 40),
    "loop": (sine(0.8, 1e-3), Purpose.PROGRAM, 1),
    "coarse range": (square(-2.45, 100e-6), Purpose.RESET, 1),
    "read": (square(0.06, 200e-6), Purpose.READ, 1),
}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        *[(name, what) for name in ("v2-mode1-Cr", "v2-mode2-Cr") for what in WAVES],
        *[("v0-Cr", what) for what in ("set", "reset", "half sine", "long", "loop")],
    ],
)
def test_energies_are_those_of_the_twin(name: str, what: str) -> None:
    board = discovery(*BOARDS[name])
    wave, purpose, repeats = WAVES[what]
    with board, twin_of(board) as twin:
        found = list[float]()
        for one in (board, twin):
            pulse = select(one.spec, 0, wave, purpose).repeated(repeats)
            found.append(charges(one.spec, [pulse], one.apply([pulse]))[0].joules[0])
    assert found[0] == pytest.approx(found[1], rel=0.03)


@pytest.mark.parametrize("name", ["v2-mode1-Cr", "v2-mode2-W", "v1-W", "v0-Cr"])
def test_conductances_are_those_of_the_devices(name: str) -> None:
    board = discovery(*BOARDS[name])
    with board, twin_of(board) as twin:
        for site in (0, 7):
            found = list[float]()
            for one in (board, twin):
                pulses = [
                    select(one.spec, site, level(one.spec, volts, 60e-6), Purpose.READ)
                    for volts in (0.05, -0.05)
                ]
                found += [
                    conductance(one.spec, p, t, site) for p, t in zip(pulses, one.apply(pulses), strict=True)
                ]
            assert found[:2] == pytest.approx(found[2:], rel=0.03)


def test_devices_side_by_side_share_a_row() -> None:
    board = discovery(dopant="W")
    spec = board.spec
    with board:
        lines = {0: 0.05, 1: 0.0, 4: 0.0, 9: 0.0}
        pulse = drive(spec, lines, level(spec, 1.0, 60e-6), Purpose.INFER)
        (trace,) = board.apply([pulse])
    amps, each = trace.amps[20], 1 / 71.06e-6 + 75  # W as it comes
    assert amps[0] == pytest.approx(0.05 / (spec.series_ohms[0] + each / 3), rel=0.03)
    assert amps[[1, 4, 9]] == pytest.approx(-amps[0] / 3, rel=0.02)
    assert not amps[[2, 3, 5]].any()
    assert not trace.estimated


def test_a_pair_in_mode_2_is_estimated_because_no_scope_is_at_the_source() -> None:
    board = discovery("v2", 2, "W")
    spec = board.spec
    lines = {0: 0.06, 1: 0.06, 2 + 3: 0.0}
    pulse = drive(spec, lines, level(spec, 1.0, 100e-6), Purpose.READ)
    single = select(spec, 3, level(spec, 0.06, 100e-6), Purpose.READ)
    with board:
        pair, alone = board.apply([pulse, single])
    assert (pair.estimated, alone.estimated) == (True, False)
    assert pair.amps[20, 0] == pytest.approx(alone.amps[20, 0], rel=0.03)
    assert pair.amps[20, 1] == pytest.approx(pair.amps[20, 0], rel=0.03)


def test_offsets_and_w1s_own_are_found() -> None:
    board = discovery(
        dopant="W", plugged={"offsets": ("5 mV", "-30 mV", "15 mV"), "gains": (1.01, 0.99, 1.0)}
    )
    with board:
        found = board._bench(5.0).calibration
    assert found.generator == pytest.approx(0.015, abs=1e-4)
    assert found.offsets == pytest.approx((0.005, -0.030), abs=1e-4)
    assert found.gains == pytest.approx((1.01, 0.99), abs=1e-3)


def test_offsets_that_drift_are_measured_again() -> None:
    board = discovery(dopant="W")
    pulse = select(board.spec, 0, level(board.spec, 0.05, 60e-6), Purpose.READ)
    with board:
        hardware(board).faults.drift = 2e-3
        board._lists = 499
        (trace,) = board.apply([pulse])
        assert conductance(board.spec, pulse, trace, 0) == pytest.approx(71.06e-6, rel=0.03)


def test_a_list_of_reads_is_one_start_of_the_generator() -> None:
    board = discovery()
    reads = [select(board.spec, 0, level(board.spec, 0.05, 50e-6), Purpose.READ)] * 20
    with board:
        log = hardware(board).log = []
        traces = board.apply(reads)
    assert log.count("analogOut.configure(0, 1)") == 1
    assert [trace.link_seconds > 0 for trace in traces] == [True] + [False] * 19
    assert [trace.settle_seconds > 0 for trace in traces] == [True] + [False] * 19


def test_a_wait_is_waited_with_all_switches_open() -> None:
    board = discovery()
    with board:
        log = hardware(board).log = []
        before = hardware(board).board.rows[0]._chip.clock
        (trace,) = board.apply([wait(board.spec, 20.0)])
        assert hardware(board).board.rows[0]._chip.clock - before == pytest.approx(20.0)
        assert hardware(board).conducting() == 0
    assert float(trace.seconds.sum()) == 20.0
    assert "analogOut.configure(0, 1)" not in log


def test_two_boards_in_one_process_carry_thirty_synapses() -> None:
    boards = discovery(plugged={"seed": 1}), discovery(plugged={"seed": 2})
    with boards[0], boards[1]:
        for board in boards:
            pulse = select(board.spec, 3, square(1.5, 200e-6), Purpose.PROGRAM)
            board.apply([pulse])
    moved = [hardware(board).board.states() for board in boards]
    assert all(states[3] > 1.5 * states[2] for states in moved)
    assert sum(len(board.spec.sites) for board in boards) == 32


# ---- the calls ------------------------------------------------------------------------------------


def test_the_calls_of_opening_reading_and_closing() -> None:
    board = discovery()
    log = hardware(board).log = []
    read = select(board.spec, 2, square(0.05, 50e-6), Purpose.READ)
    with board:
        opened = len(log)
        board.apply([read])
        done = len(log)
    first = log.index("analogIn.configure(True, True)")
    parts = {
        "opening, up to the first capture": log[:first],
        "one read": log[opened:done],
        "closing": log[done:],
    }
    text = "".join(f"# {name}\n" + "".join(f"{call}\n" for call in calls) for name, calls in parts.items())
    assert text == (TRANSCRIPTS / "analog-discovery.txt").read_text()


def test_opening_drives_nothing_before_the_switches_are_open_and_closing_opens_them_first() -> None:
    board = discovery()
    log = hardware(board).log = []
    with board:
        pass
    zero, pins = log.index("analogOut.configure(0, 0)"), log.index("digitalIO.inputStatus()")
    rails, play = log.index("analogIO.configure()"), log.index("analogOut.configure(0, 1)")
    assert zero < pins < rails < play
    assert log[-1] == "close()"
    last = {name: len(log) - 1 - log[::-1].index(name) for name in set(log)}
    assert last["digitalIO.inputStatus()"] < last["analogOut.configure(0, 0)"] < last["analogIO.configure()"]
    assert "paramSet(OnClose, 2)" in log[: log.index("analogOut.configure(0, 0)")]


def test_making_safe_asks_before_it_says_off() -> None:
    board = discovery()
    assert board.make_safe() is Outputs.UNKNOWN  # never opened: nobody asked
    with board:
        assert board.make_safe() is Outputs.OFF
        hardware(board).faults.fail["analogOut.status"] = "no answer"
        assert board.make_safe() is Outputs.UNKNOWN
        hardware(board).faults.fail.clear()
    assert board.make_safe() is Outputs.OFF


def test_ready_says_what_it_found_or_what_is_missing() -> None:
    board = discovery(plugged={"serial": "READY-1"})
    assert board.ready() == "libdwf 3.20.1, Analog Discovery READY-1"
    with pytest.raises(Unavailable, match="no Analog Discovery with serial number NOT-THERE"):
        discovery(serial="NOT-THERE")
    real = DiscoveryBoard(build({"dopant": "W"}, DiscoveryBoard.Settings, "test"))
    with pytest.raises(Unavailable, match="no_such"):
        DiscoveryBoard(real._settings.model_copy(update={"dwf": "no_such:Library"})).ready()
    if find_library("dwf") is None:
        with pytest.raises(Unavailable, match="Unable to open DWF library"):
            real.ready()


@pytest.mark.parametrize("mode", [1, 2])
def test_the_bench_file_is_read_and_its_board_opens(mode: int, tmp_path: Path) -> None:
    bench = Bench.read(Path(__file__).parent.parent / "benches" / f"discovery-v2-mode{mode}-cr.toml")
    assert bench.file.kind == "emulator"
    assert bench.file.board["dwf"] == EMULATED


# ---- modes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("told", "there"), [(1, 2), (2, 1)])
def test_the_wrong_mode_is_refused_and_all_is_off(told: int, there: int) -> None:
    board = discovery("v2", told, plugged={"mode": there})
    with pytest.raises(Refused, match=f"the slide switch is in mode {there}"), board:
        pass
    assert hardware(board).rails == (0.0, 0.0)
    assert hardware(board).conducting() == 0


def without_devices(board: DiscoveryBoard) -> None:
    """Take the chip out: no switch reaches anything."""
    hardware(board).conducting = lambda: 0


def test_the_mode_cannot_be_told_without_devices() -> None:
    board = discovery()
    without_devices(board)
    with pytest.raises(Refused, match="the mode cannot be told"), board:
        pass
    sure = discovery(assume_mode=True)
    without_devices(sure)
    with sure:
        read = select(sure.spec, 0, level(sure.spec, 0.05, 60e-6), Purpose.READ)
        assert conductance(sure.spec, read, sure.apply([read])[0], 0) == 0.0


# ---- what goes wrong ------------------------------------------------------------------------------


def one_read(board: DiscoveryBoard, site: int = 0) -> Pulse:
    """A read of this site."""
    return select(board.spec, site, level(board.spec, 0.05, 60e-6), Purpose.READ)


def test_fault_1_unplugged_at_any_call_is_gone_or_told() -> None:
    probe = discovery()
    with probe:
        before = hardware(probe).calls
        probe.apply([one_read(probe)])
    total = hardware(probe).calls
    for call in [*range(1, 40, 3), *range(before - 3, total + 1)]:
        board = discovery()
        hardware(board).faults.gone_at = call
        with pytest.raises(LabError) as told, board:
            board.apply([one_read(board)])
        assert isinstance(told.value, BoardGone), (call, told.value)
        assert told.value.outputs is Outputs.UNKNOWN


def test_any_call_that_fails_leaves_nothing_on() -> None:
    probe = discovery()
    with probe:
        before = hardware(probe).calls
        probe.apply([one_read(probe)])
        leaving = hardware(probe).calls
    for call in [*range(1, 40), *range(before, hardware(probe).calls + 1)]:
        board, told = discovery(), False
        hardware(board).faults.fail_at = call
        try:
            with board:
                board.apply([one_read(board)])
        except Misbehaved:
            told = True
        assert told or call > leaving, call  # what fails once in leaving is done a second time
        assert hardware(board).conducting() == 0, call
        assert hardware(board).generator_state in ("Ready", "Done"), call
        assert not hardware(board).opened


@pytest.mark.parametrize(
    "call",
    [
        "analogIn.frequencySet",
        "analogIn.bufferSizeSet",
        "analogIn.triggerPositionSet",
        "analogOut.idleSet",
        "analogOut.nodeFunctionSet",
        "analogOut.nodeFrequencySet",
        "analogOut.nodeAmplitudeSet",
        "analogOut.nodeOffsetSet",
        "analogOut.runSet",
        "analogIO.enableSet",
        "digitalIO.outputSet",
        "paramSet",
    ],
)
def test_fault_16_a_setting_that_is_ignored_is_found_by_reading_it_back(call: str) -> None:
    board = discovery()
    hardware(board).faults.ignored.add(call)
    with pytest.raises(BoardFault), board:
        board.apply([one_read(board, 1)])


def test_fault_17_a_generator_left_on_is_off_before_the_switches_have_power() -> None:
    board = discovery()
    left = hardware(board)
    left.generating.enabled, left.generating.idle, left.generating.offset = 1, "Offset", 4.0
    before, log = left.board.states(), []
    left.log = log
    with board:
        assert left.generating.idle_volts() != 4.0
    assert log.index("analogOut.configure(0, 0)") < log.index("analogIO.configure()")
    assert np.abs(left.board.states() - before).max() < 0.02


def test_fault_21_a_capture_that_never_ends_is_given_up() -> None:
    board = discovery()
    with board:
        hardware(board).faults.never_done = True
        with pytest.raises(BoardHung, match="the capture is not Done") as hung:
            board.apply([one_read(board)])
        assert hung.value.outputs is Outputs.OFF
        assert hung.value.traces == ()
        hardware(board).faults.never_done = False
        assert len(board.apply([one_read(board)])) == 1


def test_fault_27_what_clips_is_flagged_and_no_read() -> None:
    board = discovery(dopant="W", plugged={"offsets": ("0 V", "220 mV", "0 V")})  # of scope 2, at W1
    pulses = [select(board.spec, 0, square(volts, 60e-6), Purpose.RESET) for volts in (-2.2, -2.3)]
    with board:
        sound, clipped = board.apply(pulses)
    assert not sound.flags & Flag.SATURATED
    assert clipped.flags & Flag.SATURATED
    with pytest.raises(BoardFault, match="SATURATED"):
        conductance(board.spec, pulses[1], clipped, 0)


def test_fault_27_more_than_the_fine_range_is_captured_in_the_coarse_one() -> None:
    board = discovery(dopant="W", limits={"high": "2.5 V"})
    pulse = select(board.spec, 0, square(2.45, 50e-6), Purpose.PROGRAM)
    with board:
        (trace,) = board.apply([pulse])
    assert trace.flags is Flag.NONE
    assert trace.volts[20, 0] == pytest.approx(2.45, rel=0.01)


def test_fault_33_energy_is_that_of_the_pulse_that_was_measured() -> None:
    board = discovery(dopant="W")
    pulse = select(board.spec, 0, square(0.5, 100e-6), Purpose.PROGRAM)
    with board:
        first = charges(board.spec, [pulse], board.apply([pulse]))[0].joules[0]
        hardware(board).faults.amplitude = 0.96
        less = charges(board.spec, [pulse], board.apply([pulse]))[0].joules[0]
        hardware(board).faults.amplitude = 0.7
        with pytest.raises(BoardFault, match="not where it was told to be") as told:
            board.apply([pulse, pulse])
    assert less == pytest.approx(0.96**2 * first, rel=0.02)
    assert len(told.value.traces) == 1  # what it did instead is kept, and the next pulse was not driven
    assert told.value.traces[0].volts[20, 0] == pytest.approx(0.35, rel=0.02)


def test_fault_34_samples_that_are_lost_make_the_energy_a_lower_bound() -> None:
    board = discovery(dopant="W")
    pulse = select(board.spec, 0, square(0.3, 100e-6), Purpose.PROGRAM)
    with board:
        (whole,) = board.apply([pulse])
        hardware(board).faults.lost = 0.4
        (part,) = board.apply([pulse])
    energies = charges(board.spec, [pulse, pulse], [whole, part])
    assert whole.flags is Flag.NONE
    assert part.flags & Flag.LOWER_BOUND
    assert energies[1].joules[0] == pytest.approx(0.6 * energies[0].joules[0], rel=0.05)
    assert float(part.seconds.sum()) == pytest.approx(100e-6)


@pytest.mark.parametrize(("bit", "stuck"), [(3, 0), (9, 1)])
def test_fault_35_a_stuck_pin_is_found_before_anything_is_driven(bit: int, stuck: int) -> None:
    board = discovery()
    with board:
        before = hardware(board).board.states()
        log = hardware(board).log = []
        hardware(board).faults.stuck[bit] = stuck
        with pytest.raises(BoardFault, match=f"DIO {bit} did not follow") as told:
            board.apply([select(board.spec, 3, square(1.0, 1e-3), Purpose.PROGRAM)])
        assert "analogOut.configure(0, 1)" not in log
        assert np.array_equal(hardware(board).board.states(), before)
        assert told.value.outputs is (Outputs.UNKNOWN if stuck else Outputs.OFF)
        hardware(board).faults.stuck.clear()


def test_a_switch_that_conducts_without_its_pin_is_found_at_opening() -> None:
    board = discovery(dopant="W")
    real = hardware(board).conducting
    hardware(board).conducting = lambda: real() | 1 << 5
    with pytest.raises(BoardFault, match="with all switches open scope 1 sees"), board:
        pass


def test_fault_44_a_second_one_is_refused_and_told_who_has_it() -> None:
    board = discovery()
    other = DiscoveryBoard(board._settings)
    with board, pytest.raises(InUse, match="Analog Discovery"), other:
        pass
    with other:
        pass


def test_what_the_seam_refuses_reaches_no_instrument() -> None:
    board = discovery("v2", 2)
    spec = board.spec
    two = drive(spec, {0: 0.05, 1: 0.02, 2: 0.0}, Wave(np.array([0.0, 1e-5, 2e-5]), np.ones(3)), Purpose.READ)
    with board:
        log = hardware(board).log = []
        with pytest.raises(LimitExceeded, match="share a source"):
            board.apply([two])
        assert log == []
