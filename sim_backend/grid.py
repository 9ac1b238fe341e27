"""The nodal picture of several connected devices: which wire runs from where to where.

A crossbar with wire resistance has a node at every crossing on its row and on its column; without,
a line is one node. A driven line ends in a node whose voltage is known, behind its series
resistor; a line without one is that node itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labctl.pulse import Bools, Floats
from labctl.spec import Spec
from sim_backend.array_kernel import Network
from sim_backend.parasitics import Parasitics

NO_NEURONS = np.zeros((0, 8))
NO_INPUTS = np.zeros((0, 1), dtype=np.intp)


def network_of(spec: Spec, parasitics: Parasitics, driven: Bools, sites: Sequence[int]) -> Network:
    """The circuit around these sites while these lines are driven."""
    return _neurons(spec, parasitics) if spec.computing(driven) else _grid(spec, parasitics, driven, sites)


def _neurons(spec: Spec, parasitics: Parasitics) -> Network:
    width = max(len(neuron.inputs) for neuron in spec.neurons)
    return Network(
        wires=np.zeros((0, 0)),
        unknown=0,
        top=np.array([site.row for site in spec.sites], dtype=np.intp),
        bottom=np.array([spec.rows + site.column for site in spec.sites], dtype=np.intp),
        held=np.zeros(0, dtype=np.intp),
        shown=np.zeros(0, dtype=np.intp),
        neurons=np.array([_amplifier(spec, index, parasitics) for index in range(len(spec.neurons))]),
        inputs=np.array([[*n.inputs, *[-1] * (width - len(n.inputs))] for n in spec.neurons], dtype=np.intp),
    )


def _amplifier(spec: Spec, index: int, parasitics: Parasitics) -> tuple[float, ...]:
    """A row of `Network.neurons`."""
    neuron = spec.neurons[index]
    rails = neuron.low_volts, neuron.high_volts
    resistors = neuron.feedback_ohms, neuron.reference_siemens
    amplifier = parasitics.amplifier_gain, parasitics.offset_volts(index)
    return neuron.column, neuron.output, *resistors, *rails, *amplifier


def _grid(spec: Spec, parasitics: Parasitics, driven: Bools, sites: Sequence[int]) -> Network:
    places = [spec.sites[site] for site in sites]
    wired = parasitics.wire_ohms > 0
    nodes = dict[tuple[int, int], int]()
    for line in range(spec.lines):
        held = bool(driven[line]) and spec.series_ohms[line] == 0.0
        for step in range(_steps(spec, line) if wired else 1):
            if not (held and step == 0):
                nodes[line, step] = len(nodes)
    unknown = len(nodes)
    held_lines = [line for line in range(spec.lines) if driven[line]]
    for line in held_lines:
        nodes[line, 0 if spec.series_ohms[line] == 0.0 else -1] = len(nodes)
    wires = np.zeros((len(nodes), len(nodes)))
    for line in range(spec.lines):
        if driven[line] and spec.series_ohms[line] > 0.0:
            _join(wires, nodes[line, -1], nodes[line, 0], spec.series_ohms[line])
        for step in range(1, _steps(spec, line) if wired else 1):
            _join(wires, nodes[line, step - 1], nodes[line, step], parasitics.wire_ohms)
    order = {line: position for position, line in enumerate(held_lines)}
    return Network(
        wires=wires,
        unknown=unknown,
        top=np.array([nodes[place.row, place.column if wired else 0] for place in places], dtype=np.intp),
        bottom=np.array(
            [nodes[spec.rows + place.column, place.row if wired else 0] for place in places], dtype=np.intp
        ),
        held=np.array([order.get(line, -1) for line in range(spec.lines)], dtype=np.intp),
        shown=np.array([nodes[line, 0] for line in range(spec.lines)], dtype=np.intp),
        neurons=NO_NEURONS,
        inputs=NO_INPUTS,
    )


def _steps(spec: Spec, line: int) -> int:
    """Crossings along a line: one node each."""
    return spec.columns if line < spec.rows else spec.rows


def _join(wires: Floats, a: int, b: int, ohms: float) -> None:
    wires[a, a] += 1 / ohms
    wires[b, b] += 1 / ohms
    wires[a, b] -= 1 / ohms
    wires[b, a] -= 1 / ohms
