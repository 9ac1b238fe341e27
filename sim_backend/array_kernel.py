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
from sim_backend.devices.equations import current, prepared, rate
from sim_backend.jit import kernel

TOO_SHORT, TOO_STIFF = -1, -2
SHORTEST_STEP = 1e-15
NUDGE = 1e-6
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
    """shape (neurons, 7): column, output, feedback [ohm], reference [S], low [V], high [V], gain."""
    inputs: Indices
    """shape (neurons, inputs): lines that feed each neuron's reference; -1: none."""
    ohmic: bool
    """Every current is proportional to its voltage: one linear solve is exact."""


@kernel
def solve_grid(volts: Floats, x: Floats, p: Floats, net: Network, nodes: Floats, line_volts: Floats, amps: Floats) -> None:
    """Node voltages (in place) and line currents for source volts (lines,) and states (sites,)."""
    unknown, size, lines = net.unknown, len(net.wires), len(volts)
    for line in range(lines):
        if net.held[line] >= 0:
            nodes[unknown + net.held[line]] = volts[line]
    for _ in range(1 if net.ohmic else 50):
        matrix = net.wires.copy()
        injected = np.zeros(size)
        for site in range(len(x)):
            a, b = net.top[site], net.bottom[site]
            across = float(nodes[a] - nodes[b])
            here = current(across, x[site], p[site])
            slope = (current(across + NUDGE, x[site], p[site]) - here) / NUDGE
            matrix[a, a] += slope
            matrix[b, b] += slope
            matrix[a, b] -= slope
            matrix[b, a] -= slope
            injected[a] -= here - slope * across
            injected[b] += here - slope * across
        moved = 0.0
        if unknown > 0:
            side = injected[:unknown].copy()
            for i in range(unknown):
                matrix[i, i] += LEAK
                for j in range(unknown, size):
                    side[i] -= matrix[i, j] * nodes[j]
            solved = np.linalg.solve(matrix[:unknown, :unknown], side)
            moved = np.abs(solved - nodes[:unknown]).max()
            nodes[:unknown] = solved
        if moved <= 1e-12:
            break
    for line in range(lines):
        amps[line] = 0.0
        if net.held[line] >= 0:
            node = unknown + net.held[line]
            line_volts[line] = volts[line]
            for j in range(size):
                amps[line] += net.wires[node, j] * nodes[j]
        else:
            line_volts[line] = nodes[net.shown[line]]
    for site in range(len(x)):
        a, b = net.top[site], net.bottom[site]
        through = current(float(nodes[a] - nodes[b]), x[site], p[site])
        for line in range(lines):
            if net.held[line] >= 0:
                amps[line] += through * ((unknown + net.held[line] == a) - 1.0 * (unknown + net.held[line] == b))


@kernel
def solve_neurons(volts: Floats, x: Floats, p: Floats, net: Network, line_volts: Floats, amps: Floats) -> None:
    """Line voltages and currents while op-amps hold the columns; neurons in the order of their layers."""
    line_volts[:] = volts
    amps[:] = 0.0
    for index in range(len(net.neurons)):
        column, output = int(net.neurons[index, 0]), int(net.neurons[index, 1])
        feedback, reference = net.neurons[index, 2], net.neurons[index, 3]
        low, high, gain = net.neurons[index, 4], net.neurons[index, 5], net.neurons[index, 6]
        total = 0.0
        for line in net.inputs[index]:
            if line >= 0:
                total += line_volts[line]
        ground, swing = 0.0, 0.0
        for _ in range(4):  # each round is closer by the loop gain, 1e3 and more
            inward = -reference * (total + ground)
            for site in range(len(x)):
                if net.bottom[site] == column:
                    inward += current(float(line_volts[net.top[site]] - ground), x[site], p[site])
            swing = ground - feedback * inward
            ground = -swing / gain
        line_volts[column] = ground
        line_volts[output] = min(max(swing, low), high)
    for site in range(len(x)):
        row, column = net.top[site], net.bottom[site]
        through = current(float(line_volts[row] - line_volts[column]), x[site], p[site])
        amps[row] += through
        amps[column] -= through


@kernel
def evaluate(
    volts: Floats, x: Floats, p: Floats, net: Network, nodes: Floats, line_volts: Floats, amps: Floats, f: Floats
) -> None:
    """dx/dt (sites,) into `f`, line voltages and currents into theirs."""
    if len(net.neurons) > 0:
        solve_neurons(volts, x, p, net, line_volts, amps)
        for site in range(len(x)):
            f[site] = rate(float(line_volts[net.top[site]] - line_volts[net.bottom[site]]), x[site], p[site])
    else:
        solve_grid(volts, x, p, net, nodes, line_volts, amps)
        for site in range(len(x)):
            f[site] = rate(float(nodes[net.top[site]] - nodes[net.bottom[site]]), x[site], p[site])


@kernel
def write(out: Floats, used: int, weight: float, line_volts: Floats, amps: Floats) -> int:
    """Append one sample."""
    lines = len(line_volts)
    out[used, 0] = weight
    out[used, 1 : 1 + lines] = line_volts
    out[used, 1 + lines :] = amps
    return used + 1


@kernel
def follow(
    x: Floats, start: Floats, stop: Floats, length: float, step: float, p: Floats, net: Network,
    nodes: Floats, tolerance: float, out: Floats, used: int,
) -> tuple[int, float]:  # fmt: skip
    """Integrate one straight segment from `start` to `stop` volts (lines,); x changes in place."""
    sites, lines, t = len(x), len(start), 0.0
    line_volts, amps = np.zeros(lines), np.zeros(lines)
    k1, k2, k3, k4 = np.zeros(sites), np.zeros(sites), np.zeros(sites), np.zeros(sites)
    slope = (stop - start) / length
    evaluate(start, x, p, net, nodes, line_volts, amps, k1)
    if used == 0:
        used = write(out, used, 0.0, line_volts, amps)
    while t < length:
        left = length - t
        h = left if step >= 0.999 * left else min(step, 0.5 * left)
        evaluate(start + slope * (t + 0.5 * h), x + 0.5 * h * k1, p, net, nodes, line_volts, amps, k2)
        evaluate(start + slope * (t + 0.75 * h), x + 0.75 * h * k2, p, net, nodes, line_volts, amps, k3)
        new = x + h * (2.0 / 9.0 * k1 + 1.0 / 3.0 * k2 + 4.0 / 9.0 * k3)
        end = t + h if h < left else length
        evaluate(start + slope * end, new, p, net, nodes, line_volts, amps, k4)
        error = np.abs(h * (-5.0 / 72.0 * k1 + k2 / 12.0 + k3 / 9.0 - k4 / 8.0)).max() / tolerance
        if not error <= 1.0:
            step = h * max(0.1, 0.9 * error ** (-1.0 / 3.0)) if error < np.inf else 0.1 * h
            if step < SHORTEST_STEP:
                return TOO_STIFF, step
            continue
        if used + 2 > len(out):
            return TOO_SHORT, step
        last_volts, last_amps = line_volts.copy(), amps.copy()
        middle = 0.5 * (x + new) + 0.125 * h * (k1 - k4)
        evaluate(start + slope * (0.5 * (t + end)), middle, p, net, nodes, line_volts, amps, k2)
        out[used - 1, 0] += h / 6.0
        used = write(out, used, h * 2.0 / 3.0, line_volts, amps)
        used = write(out, used, h / 6.0, last_volts, last_amps)
        x[:] = new
        k1[:] = k4
        t = end
        step = h * min(5.0, max(0.2, 0.9 * (error + 1e-12) ** (-1.0 / 3.0)))
    return used, step


@kernel
def integrate(
    seconds: Floats, volts: Floats, ends: Indices, x: Floats, rows: Floats, net: Network,
    tolerance: float, out: Floats, counts: Indices,
) -> int:  # fmt: skip
    """Run all devices through a chain of pulses; return the number of samples written.

    seconds (corners,) and volts (corners, lines) of all pulses one after the other, each from 0 s;
    ends: (pulses,) index of the last corner of each. x: (sites,), changed in place; rows: (sites, parameters).
    out: (capacity, 1 + 2 lines) of seconds, line volts, line amps. counts: (pulses,) samples of each.
    Returns `TOO_SHORT` where `out` has no room, `TOO_STIFF` where no step was small enough.
    """
    used, corner, step = 0, 0, 1e-5
    nodes = np.zeros(len(net.wires))
    p = np.empty((len(rows), len(rows[0]) + 2))
    for site in range(len(rows)):
        p[site] = prepared(rows[site])
    for pulse in range(len(ends)):
        first = used
        if used > 0:
            if used + 1 > len(out):
                return TOO_SHORT
            out[used] = out[used - 1]
            out[used, 0] = 0.0
            used += 1
        while corner < ends[pulse]:
            length = seconds[corner + 1] - seconds[corner]
            used, step = follow(
                x, volts[corner], volts[corner + 1], length, min(step, length), p, net, nodes, tolerance, out, used
            )
            if used < 0:
                return used
            corner += 1
        counts[pulse] = used - first
        corner += 1
    return used
