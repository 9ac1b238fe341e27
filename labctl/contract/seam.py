"""Laws of the seam: pulses go down, as many traces come up, and they are whole."""

from __future__ import annotations

import numpy as np

from labctl.addressing import wait
from labctl.board import Board
from labctl.contract.probe import (
    Law,
    assert_same,
    mean_amps,
    noise_amps,
    read,
    read_and_rest,
    read_seconds,
    seen,
    some_sites,
)
from labctl.errors import Refused
from labctl.pulse import Floats, Pulse


def a_list_is_answered_in_order(board: Board) -> None:
    """A list of pulses is answered by one trace for each, in the order of the list."""
    pulses = [read(board.spec, some_sites(board.spec)[-1], length=length) for length in (1, 3, 2)]
    with board:
        lengths = [float(trace.seconds.sum()) for trace in board.apply(pulses)]
    asked = [pulse.duration for pulse in pulses]
    assert len(lengths) == len(asked), f"{len(lengths)} traces for {len(asked)} pulses"
    assert np.argsort(lengths).tolist() == np.argsort(asked).tolist(), (
        f"pulses of {asked} s were answered in another order: {lengths} s"
    )


def nothing_is_answered_by_nothing(board: Board) -> None:
    """An empty list gives no traces."""
    with board:
        traces = board.apply([])
    assert len(traces) == 0, f"{len(traces)} traces for no pulse"


def traces_are_whole(board: Board) -> None:
    """A trace has the samples that the board promises, finite numbers on every line, and no negative time."""
    spec = board.spec
    with board:
        traces = board.apply(
            [*(read(spec, site) for site in some_sites(spec)), wait(spec, read_seconds(spec))]
        )
    for trace in traces:
        shape = (len(trace.seconds), spec.lines)
        assert len(trace.seconds) >= spec.samples, f"{len(trace.seconds)} samples; promised: {spec.samples}"
        for name, array in (("volts", trace.volts), ("amps", trace.amps)):
            assert array.shape == shape, f"{name} of shape {array.shape}; promised: {shape}"
            assert np.isfinite(array).all(), f"{name} that are no finite numbers"
        assert np.all(trace.seconds >= 0), "samples that stand for a negative time"


def seconds_add_up(board: Board) -> None:
    """The seconds of a trace add up to the duration of its pulse, repeats included."""
    site = some_sites(board.spec)[0]
    pulses = [
        read(board.spec, site),
        read(board.spec, site).repeated(5),
        wait(board.spec, read_seconds(board.spec)),
    ]
    with board:
        traces = board.apply(pulses)
    for pulse, trace in zip(pulses, traces, strict=True):
        total = float(trace.seconds.sum())
        assert abs(total - pulse.duration) <= board.spec.accuracy * pulse.duration, (
            f"a trace of {total:.6g} s for {pulse.repeats} x {pulse.seconds[-1]:.6g} s"
        )


def commanded_volts_appear(board: Board) -> None:
    """The mean voltage of every driven line is the one that was commanded."""
    spec = board.spec
    pulses = [read(spec, site, scale) for site in some_sites(spec) for scale in (1.0, -0.5)]
    with board:
        traces = board.apply(pulses)
    for pulse, trace in zip(pulses, traces, strict=True):
        asked, found = _mean_volts(pulse), trace.seconds @ trace.volts / trace.seconds.sum()
        allowed = spec.accuracy * float(np.abs(pulse.volts).max())
        wrong = np.abs(found - asked)[pulse.driven].max()
        assert wrong <= allowed, f"a driven line was {wrong:.4g} V off on average; allowed: {allowed:.3g} V"


def open_lines_carry_no_current(board: Board) -> None:
    """A line that is left open carries no current."""
    spec = board.spec
    pulses = [*(read(spec, site) for site in some_sites(spec)), wait(spec, read_seconds(spec))]
    with board:
        traces = board.apply(pulses)
    for pulse, trace in zip(pulses, traces, strict=True):
        amps = np.abs(mean_amps(trace)[~pulse.driven]).max(initial=0.0)
        assert amps <= noise_amps(spec), f"{amps:.4g} A into an open line"


def a_list_reads_as_its_pulses_do(board: Board) -> None:
    """Ten reads in one list see what ten reads one by one see."""
    spec = board.spec
    pulses = [read_and_rest(spec, site, 1 - turn / 10) for turn in range(5) for site in some_sites(spec)[-2:]]
    with board:
        alone = [mean_amps(board.apply([pulse])[0]) for pulse in pulses]
        together = [mean_amps(trace) for trace in board.apply(pulses)]
    for one, other in zip(alone, together, strict=True):
        allowed = noise_amps(spec) + spec.accuracy * np.abs(one).max()
        wrong = np.abs(one - other).max()
        assert wrong <= allowed, f"one by one and in a list differ by {wrong:.4g} A; allowed: {allowed:.3g} A"


def only_an_open_board_drives(board: Board) -> None:
    """A board that was not entered yet, or was left again, refuses to drive."""
    pulse = read(board.spec, 0)
    assert _refuses(board, pulse), "drove a pulse before it was entered"
    with board:
        board.apply([pulse])
    assert _refuses(board, pulse), "drove a pulse after it was left"


def a_board_is_entered_once(board: Board) -> None:
    """An open board refuses to be entered again, and goes on working."""
    with board:
        try:
            board.__enter__()
        except Refused:
            pass
        else:
            raise AssertionError("was entered twice")
        traces = board.apply([read(board.spec, 0)])
    assert len(traces) == 1, "does not work any more after it refused to be entered twice"


def devices_outlive_the_session(board: Board) -> None:
    """A board can be entered again after it was left, and its devices are as they were."""
    sites = some_sites(board.spec)
    with board:
        before = seen(board, sites)
    with board:
        after = seen(board, sites)
    assert_same(board.spec, before, after, "leaving and entering changed a device")


def _mean_volts(pulse: Pulse) -> Floats:
    """[V], shape (lines,)."""
    middles = (pulse.volts[1:] + pulse.volts[:-1]) / 2
    return np.diff(pulse.seconds) @ middles / pulse.seconds[-1]


def _refuses(board: Board, pulse: Pulse) -> bool:
    try:
        board.apply([pulse])
    except Refused:
        return True
    return False


SEAM: tuple[Law, ...] = (
    a_list_is_answered_in_order,
    nothing_is_answered_by_nothing,
    traces_are_whole,
    seconds_add_up,
    commanded_volts_appear,
    open_lines_carry_no_current,
    a_list_reads_as_its_pulses_do,
    only_an_open_board_drives,
    a_board_is_entered_once,
    devices_outlive_the_session,
)
