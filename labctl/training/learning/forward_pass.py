"""What a chip tells of itself: the conductances of its sites, and what each of its neurons puts out.

A forward pass is a list of inference pulses. Their traces hold the volts of every line, and neurons
drive lines: so the outputs of hidden neurons are measured as those of the last one are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from labctl.errors import BoardFault
from labctl.network import Matrices
from labctl.plan import Plan
from labctl.programming.common import Reading, read
from labctl.pulse import Floats, Pulse, Trace
from labctl.reading import conductance, settled
from labctl.spec import Spec
from labctl.training.assignment import layers_of
from labctl.training.inference import Inference, inferences


def reads(spec: Spec, sites: Sequence[int], how: Reading) -> list[Pulse]:
    """One read of each of these sites."""
    return [read(spec, site, how) for site in sites]


def examine(spec: Spec, sites: Sequence[int], how: Reading) -> Plan[dict[int, float]]:
    """The conductance [S] of each of these sites, read in one list; NaN where a trace says nothing of it."""
    pulses = reads(spec, sites, how)
    traces = yield pulses
    return {
        site: _readable(spec, pulse, trace, site)
        for site, pulse, trace in zip(sites, pulses, traces, strict=True)
    }


def _readable(spec: Spec, pulse: Pulse, trace: Trace, site: int) -> float:
    """One bad site must not end the training of the others."""
    try:
        return conductance(spec, pulse, trace, site)
    except BoardFault:
        return math.nan


def forward(spec: Spec, pixels: Floats, read_volts: float, how: Inference) -> Plan[Matrices]:
    """Outputs of every layer for rows of `pixels`, shape (patterns, neurons), in read voltages, measured.

    `pixels` has shape (patterns, inputs), in lit pixels. One list of pulses.
    """
    pulses = inferences(spec, pixels, read_volts, how)
    traces = yield pulses
    lines = [[neuron.output for neuron in layer] for layer in layers_of(spec)]
    everyone = [line for layer in lines for line in layer]
    volts = np.array([_settled(pulse, trace, everyone) for pulse, trace in zip(pulses, traces, strict=True)])
    bounds = np.cumsum([len(layer) for layer in lines])[:-1]
    return tuple(np.split(volts / read_volts, bounds, axis=1))


def _settled(pulse: Pulse, trace: Trace, lines: Sequence[int]) -> Floats:
    """[V], shape (lines,): means over the settled end of the pulse's flat top."""
    driver = int(np.argmax(np.abs(pulse.volts).max(axis=0)))
    top = settled(trace, driver, pulse.repeats)
    weights = trace.seconds[top]
    return weights @ trace.volts[top][:, lines] / weights.sum()
