"""What boards look like: a selector, a crossbar, and the 9-3-1 network board.

Pure functions from numbers to a `Spec`, the same for boards on the bench and for simulated ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypedDict

from labctl.limits import Limits
from labctl.network import HIDDEN, OUTPUT, Activation, Window
from labctl.parts import Neuron, Site
from labctl.spec import Spec

WINDOWS = {"W": (170e-6, 450e-6), "Sn": (40e-6, 240e-6), "Cr": (10e-6, 100e-6), "C": (2e-6, 15e-6)}
"""[S] Conductances that 9-3-1 weights are mapped to: inside Ron and Roff of the parameter files with
room to move at both ends [ours]."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """The numbers that every layout shares."""

    dopant: str = "Cr"
    series_ohms: float = 10e3
    """[ohm] between the pulse source and a row."""
    switch_ohms: float = 75.0
    """[ohm] of the switch of a column: half of a DG445's two 50 ohm and the trace to it."""
    limits: Limits = field(default_factory=Limits)
    settle_seconds: float = 20e-6
    link_seconds: float = 125e-6
    """[s] for one call: a microframe of USB 2."""
    noise_floor_amps: float = 1e-9
    sense_farads: float = 180e-12
    """[F] at the node between series resistor and device: Knowm's Discovery V2 board with its scope."""


def selector(columns: int, circuit: Circuit, name: str = "selector") -> Spec:
    """One row behind a resistor, `columns` devices to ground, each with a switch of its own."""
    return Spec(
        name=name,
        rows=1,
        columns=columns,
        sites=tuple(
            Site(0, column, circuit.dopant, f"M{column + 1}", circuit.limits) for column in range(columns)
        ),
        series_ohms=(circuit.series_ohms, *[circuit.switch_ohms] * columns),
        **_common(circuit),
    )


def crossbar(
    rows: int, columns: int, circuit: Circuit, name: str = "crossbar", *, switched: bool = False
) -> Spec:
    """`rows` x `columns` devices. Bare ones are all in the circuit, whatever is driven.

    Where every crossing is `switched` (1T1R), only those are that have both lines driven.
    """
    return Spec(
        name=name,
        rows=rows,
        columns=columns,
        sites=tuple(
            Site(row, column, circuit.dopant, limits=circuit.limits)
            for row in range(rows)
            for column in range(columns)
        ),
        series_ohms=(*[circuit.series_ohms] * rows, *[circuit.switch_ohms] * columns),
        isolating=switched,
        **_common(circuit),
    )


def network(
    circuit: Circuit,
    sizes: Sequence[int] = (9, 3, 1),
    window: Window | None = None,
    read_volts: float = 0.1,
    name: str = "network",
) -> Spec:
    """Layers of neurons between columns and rows: 9-3-1 has 30 sites and 4 neurons (arXiv:2408.14680).

    Rows are the inputs, then the outputs of each layer in turn; columns are the neurons. A site has its
    switch: driving its row and its column selects it alone. Where all columns are left open the
    switches are off and the neurons hold the columns.
    """
    held = window or Window(*WINDOWS[circuit.dopant])
    rows, columns = sum(sizes), sum(sizes[1:])
    sites, neurons = list[Site](), list[Neuron]()
    row = column = 0
    for inputs, outputs in pairwise(sizes):
        lines = range(row, row + inputs)
        activation = OUTPUT if column + outputs == columns else HIDDEN
        for place in range(outputs):
            sites += [
                Site(line, column + place, circuit.dopant, f"w{line}-{column + place}", circuit.limits)
                for line in lines
            ]
            held_by = (rows + column + place, row + inputs + place)
            neurons.append(_neuron(*held_by, tuple(lines), activation, held, read_volts))
        row, column = row + inputs, column + outputs
    spec = Spec(
        name=name,
        rows=rows,
        columns=columns,
        sites=tuple(sites),
        series_ohms=(*[circuit.series_ohms] * rows, *[circuit.switch_ohms] * columns),
        neurons=tuple(neurons),
        **_common(circuit),
    )
    return replace(spec, window=(held.low, held.high))


def _neuron(
    column: int,
    output: int,
    inputs: tuple[int, ...],
    activation: Activation,
    window: Window,
    read_volts: float,
) -> Neuron:
    """The resistors and rails that compute this activation with devices in this window."""
    return Neuron(
        column=column,
        output=output,
        inputs=inputs,
        feedback_ohms=window.feedback_ohms(activation.gain),
        reference_siemens=window.reference,
        low_volts=activation.low * read_volts,
        high_volts=activation.high * read_volts,
    )


class _Common(TypedDict):
    response_seconds: float
    settle_seconds: float
    link_seconds: float
    noise_floor_amps: float
    window: tuple[float, float] | None


def _common(circuit: Circuit) -> _Common:
    return {
        "response_seconds": circuit.series_ohms * circuit.sense_farads,
        "settle_seconds": circuit.settle_seconds,
        "link_seconds": circuit.link_seconds,
        "noise_floor_amps": circuit.noise_floor_amps,
        "window": WINDOWS.get(circuit.dopant),
    }
