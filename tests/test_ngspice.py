"""The ngspice board: states carry over, cuts do not show, and what goes wrong is said and is over."""

import math
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from labctl.addressing import drive, infer, read_row, select, wait
from labctl.errors import BoardGone, BoardHung, NoConvergence, Outputs, Unavailable
from labctl.pulse import Pulse, Purpose, Trace
from labctl.shapes import Wave, half_sine, samples, square, triangle
from sim_backend import stretches
from sim_backend.devices.model import HEAD
from sim_backend.engine import Job, Waves
from sim_backend.ngspice import NgspiceBoard, NgspiceSettings

SITE = 3
SERIES, SWITCH = 10e3, 75.0


@pytest.fixture(scope="module")
def selector() -> Iterator[NgspiceBoard]:
    with NgspiceBoard(NgspiceSettings(layout="selector", columns=16, model="metastable")) as board:
        yield board


@pytest.fixture(scope="module")
def crossbar() -> Iterator[NgspiceBoard]:
    with NgspiceBoard(
        NgspiceSettings(layout="crossbar", rows=4, columns=4, wire=5.0, model="metastable")
    ) as board:
        yield board


def joules(trace: Trace) -> float:
    return float(np.sum(trace.seconds[:, None] * trace.volts * trace.amps))


def program(board: NgspiceBoard, wave: Wave) -> Pulse:
    return select(board.spec, SITE, wave, Purpose.PROGRAM)


def applied(board: NgspiceBoard, lists: Sequence[Sequence[Pulse]], start: float = 0.02) -> list[Trace]:
    """The traces of several calls, from the same state of all devices."""
    board._chip.x[:] = start
    return [trace for pulses in lists for trace in board.apply(pulses)]


def rests(wave: Wave) -> Wave:
    """The wave with 100 us at 0 V behind it: the sense node has then forgotten it, to 1e-24."""
    return Wave(np.append(wave.seconds, wave.seconds[-1] + 1e-4), np.append(wave.volts, 0.0))


# ---- the same physics however it is asked for ----------------------------------------------------


def test_a_list_is_what_its_pulses_are_one_by_one(selector: NgspiceBoard) -> None:
    pulses = [
        program(selector, rests(wave))
        for wave in (square(1.0, 100e-6), triangle(-0.8, 200e-6), half_sine(0.9, 150e-6))
    ]
    together = applied(selector, [pulses])
    x = selector._chip.x[SITE]
    alone = applied(selector, [[pulse] for pulse in pulses])
    assert selector._chip.x[SITE] == pytest.approx(x, rel=1e-3)  # but for the steps, which differ
    assert x != pytest.approx(0.02, rel=0.1)
    assert [joules(t) for t in together] == pytest.approx([joules(t) for t in alone], rel=1e-3)


def test_each_transient_starts_from_where_the_last_one_ended(
    selector: NgspiceBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Job, Waves]] = []
    real = selector._engine.transient

    def spy(job: Job) -> Waves:
        seen.append((job, real(job)))
        return seen[-1][1]

    monkeypatch.setattr(selector._engine, "transient", spy)
    monkeypatch.setattr(stretches, "MOST_PARTS", 1)
    applied(selector, [[program(selector, square(1.0, 20e-6)).repeated(4)]])
    assert len(seen) == 4
    for (_, before), (job, _) in pairwise(seen):
        x, sense = before.values[:2, -1].tolist()
        assert {f"cx ic = {x!r}", f"ca ic = {sense!r}"} < set(job.alter)
        assert abs(sense) > 1e-4
    assert selector._chip.x[SITE] == seen[-1][1].values[0, -1]


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_a_cut_list_equals_an_uncut_one(
    selector: NgspiceBoard, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    pulses = [program(selector, square(volts, 50e-6)) for volts in (0.5, 0.7, -0.6, 0.9, 1.0, -1.0, 0.4)]
    pulses[2] = pulses[2].repeated(3)
    uncut = applied(selector, [pulses])
    x = selector._chip.x[SITE]
    monkeypatch.setattr(stretches, "MOST_PARTS", parts)
    cut = applied(selector, [pulses])
    assert selector._chip.x[SITE] == pytest.approx(x, rel=1e-3)
    assert [joules(t) for t in cut] == pytest.approx([joules(t) for t in uncut], rel=2e-3)
    assert [t.seconds.sum() for t in cut] == pytest.approx([p.duration for p in pulses], rel=1e-12)


def test_a_wave_of_very_many_samples_is_cut_and_put_together_again(selector: NgspiceBoard) -> None:
    wave = samples([0.5 * math.sin(k / 900 * math.pi) ** 2 for k in range(901)], 1e-6)
    (trace,) = applied(selector, [[program(selector, wave)]])
    assert trace.seconds.sum() == pytest.approx(900e-6, rel=1e-12)
    assert trace.volts[:, 0].max() == pytest.approx(0.5, rel=1e-4)


def test_a_jump_is_driven_as_a_jump(selector: NgspiceBoard) -> None:
    held = [program(selector, Wave(np.array([0.0, 1e-4]), np.full(2, volts))) for volts in (0.05, 0.1)]
    first, second = applied(selector, [held])
    assert set(first.volts[:, 0]) == {0.05}
    assert set(second.volts[:, 0]) == {0.1}


def test_a_read_is_ohms_law(selector: NgspiceBoard) -> None:
    (trace,) = applied(selector, [[program(selector, square(0.1, 1e-3))]], start=0.3)
    siemens = 0.3 / 381 + 0.7 / 173e3
    middle = int(np.searchsorted(np.cumsum(trace.seconds), 0.9e-3))
    expected = 0.1 / (SERIES + SWITCH + 1 / siemens)
    assert trace.amps[middle, 0] == pytest.approx(expected, rel=1e-3)
    assert trace.amps[middle, selector.spec.rows + SITE] == pytest.approx(-expected, rel=1e-3)


def test_what_is_not_selected_is_left_alone(selector: NgspiceBoard) -> None:
    (trace,) = applied(selector, [[program(selector, square(1.0, 1e-4))]])
    idle = [line for line in range(selector.spec.lines) if line not in (0, selector.spec.rows + SITE)]
    assert not trace.volts[:, idle].any()
    assert not trace.amps[:, idle].any()
    assert set(np.delete(selector._chip.x, SITE)) == {0.02}


def test_a_wait_needs_no_engine(selector: NgspiceBoard) -> None:
    (trace,) = applied(selector, [[wait(selector.spec, 10.0)]])
    assert trace.seconds.sum() == 10.0
    assert not trace.amps.any()


# ---- arrays --------------------------------------------------------------------------------------


def test_open_lines_float_between_their_neighbours(crossbar: NgspiceBoard) -> None:
    pulse = drive(crossbar.spec, {0: 0.2, 4: 0.0}, square(1.0, 1e-4), Purpose.PROGRAM)
    (trace,) = applied(crossbar, [[pulse]], start=0.1)
    middle = int(np.argmax(trace.volts[:, 0])) + 5
    open_rows, open_columns = trace.volts[middle, 1:4], trace.volts[middle, 5:8]
    assert not trace.amps[:, [1, 2, 3, 5, 6, 7]].any()
    assert np.all((open_rows > 0) & (open_rows < open_columns) & (open_columns < 0.2))
    # by symmetry: three devices up, nine across, three down; wires and lines' resistors are small
    siemens = 0.1 / 381 + 0.9 / 173e3
    sneak = siemens + 1 / (1 / (3 * siemens) + 1 / (9 * siemens) + 1 / (3 * siemens))
    assert trace.amps[middle, 0] == pytest.approx(0.2 / (SERIES + SWITCH + 1 / sneak), rel=0.01)


def test_reading_a_row_of_a_crossbar_leaves_nothing_over(crossbar: NgspiceBoard) -> None:
    (trace,) = applied(crossbar, [[read_row(crossbar.spec, 2, 0.1, 1e-3)]], start=0.05)
    assert trace.amps.sum(axis=1) == pytest.approx(np.zeros(len(trace.seconds)), abs=1e-12)
    assert trace.amps[:, 4:].min() < 0 < trace.amps[:, 2].max()


def test_neurons_answer_as_their_formula_says() -> None:
    with NgspiceBoard(NgspiceSettings(layout="network", model="metastable")) as board:
        board._chip.x[:] = np.random.default_rng(1).uniform(0.004, 0.03, 30)
        (trace,) = board.apply([infer(board.spec, 0.1 * np.array([1, 1, 0, 0, 1, 0, 0, 1, 1]), 1e-4)])
        siemens = board._chip.x / 381 + (1 - board._chip.x) / 173e3
        spec = board.spec
    volts = trace.volts[np.flatnonzero(trace.volts[:, 0] > 0.0999)[-1]]
    for neuron in spec.neurons:
        held = [k for k, site in enumerate(spec.sites) if spec.rows + site.column == neuron.column]
        inward = sum(siemens[k] * volts[spec.sites[k].row] for k in held)
        inward -= neuron.reference_siemens * sum(volts[line] for line in neuron.inputs)
        expected = min(max(-neuron.feedback_ohms * inward, neuron.low_volts), neuron.high_volts)
        assert volts[neuron.output] == pytest.approx(expected, abs=2e-4)
        assert volts[neuron.column] == pytest.approx(0.0, abs=1e-5)


# ---- what goes wrong -----------------------------------------------------------------------------


def test_fault_63_a_device_that_cannot_be_solved_is_an_error_that_says_so() -> None:
    wild = [1e3, 1e5, 0.1, 0.1, -1e-9, 0.0257, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]  # a time constant below 0
    with NgspiceBoard(NgspiceSettings(layout="selector", columns=2, model="metastable")) as board:
        board._chip.parameters[:, HEAD:] = wild
        with pytest.raises(NoConvergence) as caught:
            board.apply([select(board.spec, 0, square(1.0, 1e-4), Purpose.PROGRAM)])
        assert caught.value.outputs is Outputs.OFF
        assert caught.value.todo
        assert board._chip.x[0] == 0.0


def test_an_engine_that_dies_takes_only_its_own_pulses_along(
    selector: NgspiceBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "MOST_PARTS", 2)
    real, calls = selector._engine.transient, 0

    def dying(job: Job) -> Waves:
        nonlocal calls
        calls += 1
        if calls == 2:
            process = selector._engine._process
            assert process is not None
            os.kill(process._child.pid, signal.SIGKILL)
        return real(job)

    monkeypatch.setattr(selector._engine, "transient", dying)
    selector._chip.x[:] = 0.02
    with pytest.raises(BoardGone) as caught:
        selector.apply([program(selector, square(1.0, 50e-6))] * 5)
    assert caught.value.outputs is Outputs.OFF
    assert len(caught.value.traces) == 2
    after_two = selector._chip.x[SITE]
    applied(selector, [[program(selector, square(1.0, 50e-6))] * 2])
    assert selector._chip.x[SITE] == pytest.approx(after_two, rel=1e-12)


def test_a_board_whose_engine_died_can_be_entered_again() -> None:
    board = NgspiceBoard(NgspiceSettings(layout="selector", columns=2))
    pulse = select(board.spec, 0, square(1.0, 1e-4), Purpose.PROGRAM)
    with board:
        board.apply([pulse])
        x = board._chip.x[0]
        process = board._engine._process
        assert process is not None
        os.kill(process._child.pid, signal.SIGKILL)
        with pytest.raises(BoardGone) as caught:
            board.apply([pulse])
        assert caught.value.outputs is Outputs.OFF
        assert board._chip.x[0] == x
    with board:
        assert len(board.apply([pulse])) == 1
    assert board._chip.x[0] > x
    assert board._engine._process is None


def test_fault_63_a_hung_engine_is_given_up_at_the_deadline() -> None:
    with NgspiceBoard(NgspiceSettings(layout="selector", columns=2, deadline=0.5)) as board:
        pulse = select(board.spec, 0, square(1.0, 1e-4), Purpose.PROGRAM)
        board.apply([pulse])
        process = board._engine._process
        assert process is not None
        os.kill(process._child.pid, signal.SIGSTOP)
        with pytest.raises(BoardHung):
            board.apply([pulse])
        assert len(board.apply([pulse])) == 1


def test_a_missing_library_is_missed_on_entering(tmp_path: Path) -> None:
    board = NgspiceBoard(NgspiceSettings(layout="selector", library=str(tmp_path / "libngspice.so.0")))
    with pytest.raises(Unavailable, match=r"libngspice"), board:
        raise AssertionError("entered without a library")


def test_leaving_ends_the_engine() -> None:
    board = NgspiceBoard(NgspiceSettings(layout="selector", columns=2))
    with board:
        process = board._engine._process
        assert process is not None
        pid = process._child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert threading.active_count() == 1
