"""Many devices at once, integrated: a grid of lines and wires, or two layers of neurons.

The electrical side is algebraic here (no capacitors): for given states the node voltages follow
from one dense nodal solve, or, where op-amps hold the columns, from their closed form. What is left
is dx/dt of every device, which is not stiff, so the method is the explicit Bogacki-Shampine pair of
orders 3 and 2 with first-same-as-last. As for a single device, a step gives two samples with
Simpson's weights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats, Indices
from sim_backend.devices.equations import OHMIC, current, prepared, rate, tangent
from sim_backend.jit import kernel

TOO_SHORT, TOO_STIFF = -1, -2
SHORTEST_STEP = 1e-15
SETTLED = 1e-9
"""[V] A step of Newton's method this small leaves an error of about its square."""
LEAK = 1e-12
"""[S] from every node to ground, as ngspice's gmin: a line that nothing holds has a voltage."""


class Network(NamedTuple):
    """The circuit around the devices; either `neurons` is empty or the grid is not used."""

    wires: Floats
    """[S], shape (nodes, nodes): nodal matrix of wires and series resistors; the last nodes are known."""
    unknown: int
    """How many of the nodes are not held by a source."""
    top: Indices
    """shape (sites,): node (grid) or line (neurons) at the top electrode."""
    bottom: Indices
    """shape (sites,): node (grid) or line (neurons) at the bottom electrode."""
    held: Indices
    """shape (lines,): position of the line among the known nodes; -1: left open."""
    shown: Indices
    """shape (lines,): node whose voltage is that of an open line."""
    neurons: Floats
    """shape (neurons, 8): column, output, feedback [ohm], reference [S], rails [V], gain, offset [V]."""
    inputs: Indices
    """shape (neurons, inputs): lines that feed each neuron's reference; -1: none."""


class Solution(NamedTuple):
    """Where the kernels write what they find; the nodes are also where the next search begins."""

    nodes: Floats
    """[V], shape (nodes,)."""
    volts: Floats
    """[V], shape (lines,)."""
    amps: Floats
    """[A], shape (lines,): into each line from whatever drives it."""
    through: Floats
    """[A], shape (sites,): through each device, where neurons hold the columns."""


@kernel
def linearised(x: Floats, p: Floats, net: Network, nodes: Floats) -> tuple[Floats, Floats]:
    """Nodal matrix (nodes, nodes) [S] and injected currents (nodes,) [A], devices by their tangents."""
    matrix = net.wires.copy()
    injected = np.zeros(len(nodes))
    for site in range(len(x)):
        a, b = net.top[site], net.bottom[site]
        across = float(nodes[a] - nodes[b])
        here, slope = tangent(across, x[site], p[site])
        matrix[a, a] += slope
        matrix[b, b] += slope
        matrix[a, b] -= slope
        matrix[b, a] -= slope
        injected[a] -= here - slope * across
        injected[b] += here - slope * across
    return matrix, injected


@kernel
def improve(x: Floats, p: Floats, net: Network, nodes: Floats) -> float:
    """One step of Newton's method on the unknown nodes, in place; return how far it moved [V]."""
    unknown, size = net.unknown, len(nodes)
    if unknown == 0:
        return 0.0
    matrix, injected = linearised(x, p, net, nodes)
    side = injected[:unknown].copy()
    for i in range(unknown):
        matrix[i, i] += LEAK
        for j in range(unknown, size):
            side[i] -= matrix[i, j] * nodes[j]
    if not np.isfinite(matrix.sum() + side.sum()):
        return np.nan  # numba's solver would raise, numpy's would not
    solved = np.linalg.solve(matrix[:unknown, :unknown], side)
    moved = np.abs(solved - nodes[:unknown]).max()
    nodes[:unknown] = solved
    return float(moved)


@kernel
def solve_grid(volts: Floats, x: Floats, p: Floats, net: Network, found: Solution) -> None:
    """Node voltages and line currents for source volts (lines,) and states (sites,); NaN: not found."""
    nodes = found.nodes
    if not np.isfinite(nodes[0]):
        nodes[:] = 0.0  # the search before failed: begin anew
    for line in range(len(volts)):
        if net.held[line] >= 0:
            nodes[net.unknown + net.held[line]] = volts[line]
    near = np.inf if np.all(p[:, OHMIC] == 1.0) else SETTLED  # one linear solve is exact, or it is not
    moved = improve(x, p, net, nodes)
    for _ in range(50):
        if moved <= near:
            break
        moved = improve(x, p, net, nodes)
    if not moved <= near:
        nodes[:] = np.nan
    leaving = net.wires @ nodes
    for site in range(len(x)):
        a, b = net.top[site], net.bottom[site]
        through = current(float(nodes[a] - nodes[b]), x[site], p[site])
        leaving[a] += through
        leaving[b] -= through
    for line in range(len(volts)):
        if net.held[line] >= 0:
            found.volts[line], found.amps[line] = volts[line], leaving[net.unknown + net.held[line]]
        else:
            found.volts[line], found.amps[line] = nodes[net.shown[line]], 0.0


@kernel
def solve_neurons(volts: Floats, x: Floats, p: Floats, net: Network, found: Solution) -> None:
    """Line voltages and currents while op-amps hold the columns; neurons in the order of their layers."""
    line_volts, amps = found.volts, found.amps
    line_volts[:] = volts
    amps[:] = 0.0
    for index in range(len(net.neurons)):
        column, output = int(net.neurons[index, 0]), int(net.neurons[index, 1])
        feedback, reference = net.neurons[index, 2], net.neurons[index, 3]
        low, high = net.neurons[index, 4], net.neurons[index, 5]
        gain, offset = net.neurons[index, 6], net.neurons[index, 7]
        total = 0.0
        for line in net.inputs[index]:
            if line >= 0:
                total += line_volts[line]
        ground, swing = offset, 0.0
        for _ in range(8):  # each round is closer by the loop gain, 1e3 and more
            inward = -reference * (total + ground)
            for site in range(len(x)):
                if net.bottom[site] == column:
                    across = float(line_volts[net.top[site]] - ground)
                    found.through[site] = current(across, x[site], p[site])
                    inward += found.through[site]
            swing = ground - feedback * inward
            moved = offset - swing / gain - ground
            ground += moved
            if abs(moved) <= SETTLED:
                break
        line_volts[column] = ground
        line_volts[output] = min(max(swing, low), high)
    for site in range(len(x)):
        amps[net.top[site]] += found.through[site]
        amps[net.bottom[site]] -= found.through[site]


@kernel
def evaluate(volts: Floats, x: Floats, p: Floats, net: Network, found: Solution, f: Floats) -> None:
    """dx/dt (sites,) into `f`, voltages and currents into `found`."""
    if len(net.neurons) > 0:
        solve_neurons(volts, x, p, net, found)
        levels = found.volts
    else:
        solve_grid(volts, x, p, net, found)
        levels = found.nodes
    for site in range(len(x)):
        f[site] = rate(float(levels[net.top[site]] - levels[net.bottom[site]]), x[site], p[site])


@kernel
def write(out: Floats, used: int, weight: float, found: Solution) -> int:
    """Append one sample."""
    lines = len(found.volts)
    out[used, 0] = weight
    out[used, 1 : 1 + lines] = found.volts
    out[used, 1 + lines :] = found.amps
    return used + 1


class Stages(NamedTuple):
    """dx/dt (sites,) at the four points of a step; the first is the last of the step before."""

    first: Floats
    half: Floats
    late: Floats
    last: Floats


@kernel
def attempt(
    x: Floats, t: float, h: float, wave: tuple[Floats, Floats], p: Floats, net: Network,
    found: Solution, k: Stages,
) -> tuple[Floats, float]:  # fmt: skip
    """One step of Bogacki and Shampine from `x` at `t`: the new states (sites,), and their error."""
    start, slope = wave
    evaluate(start + slope * (t + 0.5 * h), x + 0.5 * h * k.first, p, net, found, k.half)
    evaluate(start + slope * (t + 0.75 * h), x + 0.75 * h * k.half, p, net, found, k.late)
    new = x + h * (2.0 / 9.0 * k.first + 1.0 / 3.0 * k.half + 4.0 / 9.0 * k.late)
    evaluate(start + slope * (t + h), new, p, net, found, k.last)
    error = h * (-5.0 / 72.0 * k.first + k.half / 12.0 + k.late / 9.0 - k.last / 8.0)
    return new, float(np.abs(error).max())


@kernel
def record(
    x: Floats, new: Floats, t: float, h: float, wave: tuple[Floats, Floats], p: Floats, net: Network,
    found: Solution, k: Stages, out: Floats, used: int,
) -> int:  # fmt: skip
    """The two samples of a step, at its middle and at its end, with Simpson's weights."""
    start, slope = wave
    end = Solution(found.nodes, found.volts.copy(), found.amps.copy(), found.through)
    middle = 0.5 * (x + new) + 0.125 * h * (k.first - k.last)
    evaluate(start + slope * (t + 0.5 * h), middle, p, net, found, k.half)
    out[used - 1, 0] += h / 6.0
    used = write(out, used, h * 2.0 / 3.0, found)
    return write(out, used, h / 6.0, end)


@kernel
def follow(
    x: Floats, start: Floats, slope: Floats, length: float, step: float, p: Floats, net: Network,
    tolerance: float, found: Solution, k: Stages, out: Floats, used: int,
) -> tuple[int, float]:  # fmt: skip
    """Integrate one straight segment from `start` volts (lines,) with `slope` [V/s]; x changes in place.

    `k.first` must hold dx/dt at its beginning, and holds that at its end afterwards.
    """
    t, wave = 0.0, (start, slope)
    while t < length:
        left = length - t
        h = left if step >= 0.999 * left else min(step, 0.5 * left)
        new, error = attempt(x, t, h, wave, p, net, found, k)
        error /= tolerance
        if not error <= 1.0:
            step = h * max(0.1, 0.9 * error ** (-1.0 / 3.0)) if error < np.inf else 0.1 * h
            if step < SHORTEST_STEP:
                return TOO_STIFF, step
            continue
        if used + 2 > len(out):
            return TOO_SHORT, step
        used = record(x, new, t, h, wave, p, net, found, k, out, used)
        x[:] = new
        k.first[:] = k.last
        t = t + h if h < left else length
        step = h * min(5.0, max(0.2, 0.9 * (error + 1e-12) ** (-1.0 / 3.0)))
    return used, step


@kernel
def integrate(
    seconds: Floats, volts: Floats, ends: Indices, rows: Floats, x: Floats, net: Network,
    tolerance: float, out: Floats, counts: Indices,
) -> int:  # fmt: skip
    """Run all devices through a chain of pulses; return the number of samples written.

    seconds (corners,) and volts (corners, lines) of all pulses one after the other, each from 0 s;
    ends: (pulses,) index of the last corner of each. rows: (1 or pulses, sites, parameters) in each.
    x: (sites,), changed in place. out: (capacity, 1 + 2 lines) of seconds, line volts, line amps.
    counts: (pulses,) samples of each. Returns `TOO_SHORT` where `out` has no room, `TOO_STIFF` where no
    step was small enough.
    """
    used, corner, step, sites, lines = 0, 0, 1e-5, len(x), volts.shape[1]
    found = Solution(np.zeros(len(net.wires)), np.zeros(lines), np.zeros(lines), np.zeros(sites))
    k = Stages(np.zeros(sites), np.zeros(sites), np.zeros(sites), np.zeros(sites))
    p = np.empty((sites, len(prepared(rows[0, 0]))))
    for pulse in range(len(ends)):
        if pulse < len(rows):
            for site in range(sites):
                p[site] = prepared(rows[pulse, site])
        first = used
        if used + 1 > len(out):
            return TOO_SHORT
        evaluate(volts[corner], x, p, net, found, k.first)  # a pulse may begin with a jump
        used = write(out, used, 0.0, found)
        while corner < ends[pulse]:
            length = seconds[corner + 1] - seconds[corner]
            slope = (volts[corner + 1] - volts[corner]) / length
            used, step = follow(
                x, volts[corner], slope, length, min(step, length), p, net, tolerance, found, k, out, used
            )
            if used < 0:
                return used
            corner += 1
        counts[pulse] = used - first
        corner += 1
    return used
