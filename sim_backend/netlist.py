"""Circuits as text for ngspice, made from numbers and nothing else.

A `Netlist` is a circuit without its waveforms: those of one transient come in with `job`. A short
waveform and the initial states are altered in a circuit that stays loaded, so the text of a circuit
says nothing of either, and the next pulse on the same kind of device finds it there. A long waveform
stands in the text.

A device is a current between two nodes, and a capacitor of 1 F whose voltage is its state x::

    ed d 0 a b 1      bd a b i=I(v(d), v(x))      bx 0 x i=dx/dt(v(d), v(x))      cx x 0 1

both from the one statement of its equations (`sim_backend.devices.spice`). The path of one selected
device is that of the fast twin (`sim_backend.path_kernel`). The device's voltage has a node of its own,
because ngspice works out a derivative for each node that an expression names: with v(a,b) it would
work out one more, and take a fifth longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats
from sim_backend.devices import models
from sim_backend.devices.equations import paced, through
from sim_backend.devices.model import SCALE, SHUNT, SPEED
from sim_backend.devices.spice import expression, number, value
from sim_backend.engine import Job
from sim_backend.stretches import Stretch
from sim_backend.transient import MOST_CHARACTERS

PAIRS = 10
"""Corners on one line of a long waveform."""


class Source(NamedTuple):
    """A voltage source from `node` to ground that drives a line."""

    name: str
    node: str
    line: int


class State(NamedTuple):
    """A capacitor from `node` to ground whose voltage is carried from one transient to the next."""

    name: str
    node: str
    farads: float


class Probe(NamedTuple):
    """Where the voltage and the current of a line are found."""

    line: int
    volts: str
    """Name of a node."""
    amps: str | None
    """Element whose branch current flows out of the line, into its positive end; None: an open line."""


@dataclass(frozen=True)
class Netlist:
    """A circuit without its waveforms, and how closely to look at it."""

    title: str
    elements: tuple[str, ...]
    sources: tuple[Source, ...]
    states: tuple[State, ...]
    """Those of the devices first, in their order."""
    probes: tuple[Probe, ...]
    tolerance: float = 1e-5
    """ngspice's `reltol`. With `steps` it leaves at worst 5e-4 in the conductance after a pulse and 1e-3
    in its energy; 1e-4 and 50 would leave three times that and save a tenth of the time."""
    steps: int = 100
    """Fewest steps in a pulse."""

    @cached_property
    def vectors(self) -> tuple[str, ...]:
        """What a transient is to bring back: nodes of the states first, then each thing once."""
        nodes = [state.node for state in self.states] + [probe.volts for probe in self.probes]
        branches = [f"{probe.amps}#branch" for probe in self.probes if probe.amps]
        return (*nodes[: len(self.states)], *dict.fromkeys([*nodes[len(self.states) :], *branches]))

    @cached_property
    def body(self) -> str:
        """All but the title and the sources."""
        saved = " ".join(
            f"i({name.removesuffix('#branch')})" if name.endswith("#branch") else f"v({name})"
            for name in dict.fromkeys(self.vectors)
        )
        return "\n".join(
            [*self.elements, f".options noacct reltol={self.tolerance!r}", f".save {saved}", ".end"]
        )


def job(netlist: Netlist, stretch: Stretch, states: Floats) -> Job:
    """The transient of this circuit through this stretch, from these states (states,) [V of a capacitor].

    Where all waveforms are short, they and the states are altered in a circuit that stays loaded;
    where one is long, all is in the text, which need not stay.
    """
    held, waves = _waveforms(netlist, stretch)
    alter = [f"@{source.name}[pwl] = [ {' '.join(pairs)} ]" for source, pairs in waves.items()]
    initial = states.tolist()
    if all(len(text) <= MOST_CHARACTERS for text in alter):
        alter += [
            f"{name} ic = {volts!r}" for (name, _, _), volts in zip(netlist.states, initial, strict=True)
        ]
        initial = [0.0] * len(initial)
        waves = {source: ["0 0", "1 0"] for source in waves}
    else:
        alter = []
    lines = [
        f"* {netlist.title}",
        *held,
        *[line for source, pairs in waves.items() for line in _pwl(source, pairs)],
        *[_capacitor(state, volts) for state, volts in zip(netlist.states, initial, strict=True)],
        netlist.body,
    ]
    max_step = stretch.shortest / netlist.steps
    return Job("\n".join(lines), float(stretch.seconds[-1]), max_step, netlist.vectors, tuple(alter))


def _waveforms(netlist: Netlist, stretch: Stretch) -> tuple[list[str], dict[Source, list[str]]]:
    """The lines of the sources that are steady, and the corners of the others as text."""
    seconds, volts = stretch.seconds.tolist(), stretch.volts.T.tolist()
    steady = (stretch.volts == stretch.volts[0]).all(axis=0).tolist()
    held = [f"{name} {node} 0 {volts[line][0]!r}" for name, node, line in netlist.sources if steady[line]]
    moving = [source for source in netlist.sources if not steady[source.line]]
    return held, {source: list(map("{!r} {!r}".format, seconds, volts[source.line])) for source in moving}


def _capacitor(state: State, volts: float) -> str:
    return f"{state.name} {state.node} 0 {state.farads!r} ic={volts!r}"


def _pwl(source: Source, pairs: Sequence[str]) -> list[str]:
    rows = [f"+ {' '.join(pairs[first : first + PAIRS])}" for first in range(0, len(pairs), PAIRS)]
    return [f"{source.name} {source.node} 0 pwl(", *rows, "+ )"]


def device(name: str, top: str, bottom: str, row: Floats) -> tuple[list[str], State]:
    """The sources of a device of these parameters between two nodes, and its state."""
    amps, rate = _expressions(row.tobytes())
    nodes = {"v": f"v(d{name})", "x": f"v(x{name})"}
    elements = [
        f"ed{name} d{name} 0 {top} {bottom} 1",
        f"bd{name} {top} {bottom} i={amps.format(**nodes)}",
        f"bx{name} 0 x{name} i={rate.format(**nodes)}",
    ]
    return elements, State(f"cx{name}", f"x{name}", 1.0)


@lru_cache(maxsize=1024)
def _expressions(row: bytes) -> tuple[str, str]:
    """Current and rate with `{v}` and `{x}` in the place of the device's own nodes."""
    numbers = np.frombuffer(row)
    speed, scale, shunt = map(float, numbers[[SPEED, SCALE, SHUNT]])
    model, known = models.of(numbers), {**models.arguments(numbers), "v": "{v}", "x": "{x}"}
    amps, rate = value(model.current, known), value(model.rate, known)
    return (
        expression(through, {"amps": amps, "v": "{v}", "scale": scale, "shunt": shunt}),
        expression(paced, {"per_second": rate, "speed": speed}),
    )


def resistor(name: str, start: str, end: str, ohms: float) -> str:
    """A resistor; there is none of 0 ohm in ngspice, so whoever has one joins its nodes."""
    return f"r{name} {start} {end} {number(ohms)}"


def path(lines: tuple[int, int], ohms: tuple[float, float], farads: float, row: Floats) -> Netlist:
    """One selected device of these parameters between two `lines` with their series resistors [ohm].

    `farads` [F] are at the node between the row's resistor and the device; without one, nowhere.
    """
    top, bottom = ("a" if ohms[0] else "s"), ("b" if ohms[1] else "c")
    elements, state = device("", top, bottom, row)
    states = [state]
    if ohms[0]:
        elements.append(resistor("s", "s", top, ohms[0]))
    if ohms[1]:
        elements.append(resistor("c", bottom, "c", ohms[1]))
    if farads and ohms[0]:
        states.append(State("ca", top, farads))
    sources = (Source("vs", "s", lines[0]), Source("vc", "c", lines[1]))
    probes = tuple(Probe(source.line, source.node, source.name) for source in sources)
    close = models.of(row).reltol
    return Netlist("one selected device", tuple(elements), sources, tuple(states), probes, close)
