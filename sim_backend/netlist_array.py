"""Circuits of several devices as text: a grid of lines, or layers of neurons.

Both are those of the fast twin (`sim_backend.grid`, `sim_backend.array_kernel`). In the grid a driven
line is fed at its first crossing through its series resistor; with wire resistance every crossing is
a node of its own, without it a line is one node.

A neuron is a transimpedance amplifier and, behind it, a stage between two rails. The amplifier is an
integrator (transconductance into a capacitor: one pole, gain and gain-bandwidth product as told)
that holds its column at virtual ground, whatever the stage behind it does::

      inputs --[ -sum ]--[ reference ]--+--[ feedback ]--+
                                        |                |
      column ---( ammeter )-------------s---( op-amp )---t---[ rails ]--- output

An op-amp with an input offset holds its column there instead of at 0 V.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from labctl.parts import Neuron
from labctl.pulse import Bools, Floats
from labctl.spec import Spec
from sim_backend.array_kernel import LEAK
from sim_backend.devices import models
from sim_backend.devices.spice import number
from sim_backend.netlist import Netlist, Probe, Source, State, device, resistor
from sim_backend.parasitics import Parasitics

NEARLY_STATIC = (1e-4, 25)
"""Tolerance and steps while neurons compute: nothing is to change but what the edges charge."""
TRANSCONDUCTANCE = 1e-3
"""[S] inside the op-amp; its value does not matter, only its ratio to the capacitor and the resistor."""


def array(spec: Spec, parasitics: Parasitics, driven: Bools, sites: Sequence[int], rows: Floats) -> Netlist:
    """The circuit around these sites, with `rows` (sites, parameters), while these lines are driven."""
    if spec.computing(driven):
        return _neurons(spec, parasitics, rows)
    return _grid(spec, parasitics, driven, sites, rows)


# ---- a grid ----------------------------------------------------------------------------------------


def _grid(spec: Spec, parasitics: Parasitics, driven: Bools, sites: Sequence[int], rows: Floats) -> Netlist:
    places = [spec.sites[site] for site in sites]
    in_use = {place.row for place in places} | {spec.rows + place.column for place in places}
    elements, states = list[str](), list[State]()
    sources, probes = list[Source](), list[Probe]()

    def node(line: int, step: int) -> str:
        return f"n{line}_{step}" if parasitics.wire_ohms else f"n{line}"

    for place, name, row in zip(places, range(len(places)), rows, strict=True):
        bottom = node(spec.rows + place.column, place.row)
        added, state = device(str(name), node(place.row, place.column), bottom, row)
        elements += added
        states.append(state)
    for line in sorted(in_use | {line for line in range(spec.lines) if driven[line]}):
        first = node(line, 0)
        elements += _wires(spec, parasitics, line)
        if not driven[line]:
            elements.append(resistor(f"l{line}", first, "0", 1 / LEAK))
            probes.append(Probe(line, first, None))
            continue
        ohms = spec.series_ohms[line]
        if ohms:
            elements.append(resistor(f"s{line}", f"s{line}", first, ohms))
        sources.append(Source(f"v{line}", f"s{line}" if ohms else first, line))
        probes.append(Probe(line, sources[-1].node, sources[-1].name))
    close = models.of(rows[0]).reltol
    return Netlist("a grid", tuple(elements), tuple(sources), tuple(states), tuple(probes), close)


def _wires(spec: Spec, parasitics: Parasitics, line: int) -> list[str]:
    if not parasitics.wire_ohms:
        return []
    crossings = spec.columns if line < spec.rows else spec.rows
    return [
        resistor(f"w{line}_{step}", f"n{line}_{step - 1}", f"n{line}_{step}", parasitics.wire_ohms)
        for step in range(1, crossings)
    ]


# ---- layers of neurons -----------------------------------------------------------------------------


def _neurons(spec: Spec, parasitics: Parasitics, rows: Floats) -> Netlist:
    elements, states = list[str](), list[State]()
    for name, (place, row) in enumerate(zip(spec.sites, rows, strict=True)):
        added, state = device(str(name), f"n{place.row}", f"n{spec.rows + place.column}", row)
        elements += added
        states.append(state)
    pole = TRANSCONDUCTANCE / (2 * math.pi * parasitics.amplifier_hertz)
    outputs = {neuron.output for neuron in spec.neurons}
    sources = [Source(f"v{line}", f"n{line}", line) for line in range(spec.rows) if line not in outputs]
    probes = [Probe(source.line, source.node, source.name) for source in sources]
    for name, neuron in enumerate(spec.neurons):
        elements += _neuron(str(name), neuron, parasitics, parasitics.offset_volts(name))
        states.append(State(f"cp{name}", f"p{name}", pole))
        probes.append(Probe(neuron.column, f"n{neuron.column}", f"vm{name}"))
        probes.append(Probe(neuron.output, f"n{neuron.output}", f"bo{name}"))
    return Netlist("neurons", tuple(elements), tuple(sources), tuple(states), tuple(probes), *NEARLY_STATIC)


def _neuron(name: str, neuron: Neuron, parasitics: Parasitics, offset: float) -> list[str]:
    total = "+".join(f"v(n{line})" for line in neuron.inputs)
    low, high = number(neuron.low_volts), number(neuron.high_volts)
    reference, plus = neuron.reference_siemens, f"o{name}" if offset else "0"
    return [
        f"vm{name} n{neuron.column} s{name} 0",
        *([f"vo{name} {plus} 0 {number(offset)}"] if offset else []),
        f"gp{name} 0 p{name} {plus} s{name} {number(TRANSCONDUCTANCE)}",
        resistor(f"p{name}", f"p{name}", "0", parasitics.amplifier_gain / TRANSCONDUCTANCE),
        f"e{name} t{name} 0 p{name} 0 1",
        resistor(f"f{name}", f"t{name}", f"s{name}", neuron.feedback_ohms),
        *([f"bm{name} m{name} 0 v=-({total})"] if reference else []),
        *([resistor(f"r{name}", f"m{name}", f"s{name}", 1 / reference)] if reference else []),
        f"bo{name} n{neuron.output} 0 v=min(max(v(t{name}),{low}),{high})",
    ]
