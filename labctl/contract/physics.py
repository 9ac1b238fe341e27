"""Laws of the circuit: charge and energy are conserved, small reads change nothing, neurons sum."""

from __future__ import annotations

import numpy as np

from labctl.addressing import infer, wait
from labctl.board import Board
from labctl.contract.probe import (
    Law,
    assert_same,
    joules,
    mean_amps,
    needs,
    noise_amps,
    read,
    read_and_rest,
    read_seconds,
    read_volts,
    seen,
    some_sites,
)
from labctl.parts import Neuron
from labctl.pulse import Pulse
from labctl.reading import conductance, settled_amps, settled_volts
from labctl.spec import Spec


def charge_is_conserved(board: Board) -> None:
    """What charge enters at some lines leaves at others, once a pulse has come to rest at 0 V (Kirchhoff)."""
    spec = board.spec
    needs(spec.sensed is None, "not every line is sensed")
    pulses = [read_and_rest(spec, site) for site in some_sites(spec)]
    with board:
        traces = board.apply(pulses)
    for trace in traces:
        amps = mean_amps(trace)
        lost, allowed = abs(amps.sum()), noise_amps(spec) + spec.accuracy * np.abs(amps).sum()
        assert lost <= allowed, f"on average {lost:.4g} A enter and do not leave; allowed: {allowed:.3g} A"


def passive_devices_deliver_nothing(board: Board) -> None:
    """The sources deliver at least what the series resistors turn into heat, and never less than nothing."""
    spec = board.spec
    pulses = [read_and_rest(spec, site, scale) for site in some_sites(spec) for scale in (1.0, -0.5)]
    with board:
        traces = board.apply(pulses)
    for pulse, trace in zip(pulses, traces, strict=True):
        delivered, series = joules(spec, pulse, trace)
        noise = noise_amps(spec) * float(np.abs(pulse.volts).max()) * pulse.duration
        assert delivered >= -noise, f"a passive site gave {-delivered:.4g} J back"
        assert delivered >= series - noise - spec.accuracy * series, (
            f"{delivered:.4g} J were delivered, and {series:.4g} J became heat in series resistors"
        )


def repeats_cost_as_often(board: Board) -> None:
    """A read that is repeated takes its energy as often as it is repeated."""
    spec = board.spec
    once = read_and_rest(spec, some_sites(spec)[0])
    with board:
        traces = board.apply([once, once.repeated(4)])
    one, four = joules(spec, once, traces[0])[0], joules(spec, once.repeated(4), traces[1])[0]
    noise = noise_amps(spec) * read_volts(spec, 0) * 4 * read_seconds(spec)
    assert abs(four - 4 * one) <= noise + spec.accuracy * 4 * one, (
        f"one read takes {one:.4g} J, the same four times {four:.4g} J"
    )


def no_volts_no_amps(board: Board) -> None:
    """A pulse of 0 V draws no current."""
    spec = board.spec
    with board:
        traces = board.apply([read(spec, site, scale=0.0) for site in some_sites(spec)])
    amps = max(float(np.abs(mean_amps(trace)).max()) for trace in traces)
    assert amps <= noise_amps(spec), f"{amps:.4g} A at 0 V; allowed: {noise_amps(spec):.3g} A"


def reading_changes_nothing(board: Board) -> None:
    """Twenty reads change what the next read sees by no more than noise."""
    sites = some_sites(board.spec)
    with board:
        before = seen(board, sites)
        board.apply([read(board.spec, site) for site in sites for _ in range(20)])
        after = seen(board, sites)
    assert_same(board.spec, before, after, "reading changed a device")


def waiting_changes_nothing(board: Board) -> None:
    """Waiting changes no device and delivers no energy."""
    spec, sites = board.spec, some_sites(board.spec)
    pulse = wait(spec, min(100 * read_seconds(spec), spec.longest_pulse))
    with board:
        before = seen(board, sites)
        trace = board.apply([pulse])[0]
        after = seen(board, sites)
    assert_same(spec, before, after, "waiting changed a device")
    noise = noise_amps(spec) * read_volts(spec, 0) * pulse.duration
    assert abs(joules(spec, pulse, trace)[0]) <= noise, "a wait that delivers energy"


def small_reads_are_ohmic(board: Board) -> None:
    """Reads of half the voltage see the same conductance on average over both polarities, none below zero."""
    # a contact that rectifies bends the conductance at one polarity as much up as at the other down
    spec, sites = board.spec, some_sites(board.spec)
    lows = [spec.sites[site].limits.low_volts <= -read_volts(spec, site) for site in sites]
    needs(all(lows) and not spec.reads_forward_only, "no negative reads")
    found = list[list[float]]()
    with board:
        for scale in (1.0, -1.0, 0.5, -0.5):
            pulses = [read(spec, site, scale) for site in sites]
            answered = zip(sites, pulses, board.apply(pulses), strict=True)
            found.append([conductance(spec, pulse, trace, site) for site, pulse, trace in answered])
    forward, backward, half_forward, half_backward = np.array(found)
    full, half = (forward + backward) / 2, (half_forward + half_backward) / 2
    assert_same(spec, full, half, "half the voltage gave another conductance")


def neurons_sum_and_saturate(board: Board) -> None:
    """A neuron answers, within its rails, with the inverted sum that its column's current stands for."""
    spec = board.spec
    needs(spec.neurons, "no neurons")
    pulses = _patterns(spec)
    with board:
        traces = board.apply(pulses)
    for pulse, trace in zip(pulses, traces, strict=True):
        for neuron in spec.neurons:
            ends = {line: settled_volts(pulse, trace, line) for line in (*neuron.inputs, neuron.output)}
            out = -settled_amps(pulse, trace, neuron.column)
            _assert_answers(spec, neuron, ends[neuron.output], out, sum(ends[line] for line in neuron.inputs))


def patterns_are_answered_one_by_one(board: Board) -> None:
    """Neurons answer a list of patterns as they answer them one by one, and 0 V with 0 V."""
    spec = board.spec
    needs(spec.neurons, "no neurons")
    pulses = _patterns(spec)
    with board:
        alone = np.array([_answers(spec, pulse, board) for pulse in pulses])
        traces = board.apply(pulses)
    listed = np.array(
        [[settled_volts(p, t, n.output) for n in spec.neurons] for p, t in zip(pulses, traces, strict=True)]
    )
    allowed = max(_uncertain_volts(spec, neuron, 0.0) for neuron in spec.neurons)
    wrong = float(np.abs(alone - listed).max())
    assert wrong <= allowed, (
        f"answers one by one and in a list differ by {wrong:.4g} V; allowed: {allowed:.3g} V"
    )
    dark = float(np.abs(listed[0]).max())
    assert dark <= allowed, f"a neuron answers {dark:.4g} V to 0 V at every input; allowed: {allowed:.3g} V"


def _patterns(spec: Spec) -> list[Pulse]:
    """Dark, one input after the other, all inputs."""
    inputs = spec.rows - len({neuron.output for neuron in spec.neurons})
    lit = np.vstack([np.zeros(inputs), np.eye(inputs), np.ones(inputs)])
    return [infer(spec, row * read_volts(spec, 0), 5 * read_seconds(spec)) for row in lit]


def _answers(spec: Spec, pulse: Pulse, board: Board) -> list[float]:
    trace = board.apply([pulse])[0]
    return [settled_volts(pulse, trace, neuron.output) for neuron in spec.neurons]


def _uncertain_volts(spec: Spec, neuron: Neuron, amps: float) -> float:
    """[V] by which an answer may be off: the noise of its currents, and its own accuracy."""
    swing = neuron.high_volts - neuron.low_volts
    return neuron.feedback_ohms * (noise_amps(spec) + spec.accuracy * amps) + spec.accuracy * swing


def _assert_answers(
    spec: Spec, neuron: Neuron, answer: float, column_amps: float, input_volts: float
) -> None:
    reference = neuron.reference_siemens * input_volts
    allowed = _uncertain_volts(spec, neuron, abs(column_amps) + abs(reference))
    free = -neuron.feedback_ohms * (column_amps - reference)
    wanted = min(max(free, neuron.low_volts), neuron.high_volts)
    assert abs(answer - wanted) <= allowed, (
        f"{column_amps:.4g} A in its column ask the neuron of line {neuron.output} for {wanted:.4g} V,"
        f" within {allowed:.2g} V and its rails; it answers {answer:.4g} V"
    )


PHYSICS: tuple[Law, ...] = (
    charge_is_conserved,
    passive_devices_deliver_nothing,
    repeats_cost_as_often,
    no_volts_no_amps,
    reading_changes_nothing,
    waiting_changes_nothing,
    small_reads_are_ohmic,
    neurons_sum_and_saturate,
    patterns_are_answered_one_by_one,
)
