"""The neurons of one chip as they were measured: offsets, and what devices conduct at small voltages.

An offset v at the input of a neuron shifts its virtual ground, so that each device sees its input less
v, and comes out times the noise gain. And a device that rectifies conducts less in a forward pass than
it was read to do: by some parts in a hundred, the same for all devices of a kind (`response`)::

    w'_ij    = response (w_ij + r) - r                       r = G_ref / G_scale
    output_j = -gain sum_i w'_ij (input_i - v_j) + v_j (1 + gain (inputs + 1) r)

Both follow from what neurons answer to patterns whose devices have been read, where they are between
their rails. Voltages are in read voltages, weights as they are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np

from labctl.network import Activation, Matrices
from labctl.pulse import Bools, Floats

AT_RAIL = 0.02
"""[read voltages] Within this of a rail a neuron says nothing of what it would put out without it."""


@dataclass(frozen=True, slots=True, eq=False)
class Circuit:
    """Neurons as they are on one chip, voltages in read voltages."""

    activations: tuple[Activation, ...]
    reference: float
    """G_ref / G_scale."""
    offsets: Matrices
    """At the input of each neuron, shape (neurons,) a layer."""
    response: float = 1.0
    """Conductance of devices at the voltages of a forward pass, relative to what is read of them."""

    def unclipped(self, layer: int, inputs: Floats, weights: Floats) -> Floats:
        """What a layer would put out without rails, shape (..., patterns, neurons)."""
        noisy = self.offsets[layer] * self.noise_gain(layer, weights)
        return -self.activations[layer].gain * np.matmul(inputs, self.present(weights)) + noisy

    def present(self, weights: Floats) -> Floats:
        """What weights, as they are read, are in a forward pass."""
        if self.response == 1.0:
            return weights
        return self.response * weights + (self.response - 1) * self.reference

    def noise_gain(self, layer: int, weights: Floats) -> Floats:
        """By how much an offset comes out, shape (..., 1, neurons)."""
        inputs, gain = weights.shape[-2], self.activations[layer].gain
        devices = weights.sum(axis=-2, keepdims=True) + inputs * self.reference
        return 1 + gain * (self.response * devices + self.reference)

    def forward(self, inputs: Floats, weights: Matrices) -> tuple[list[Floats], Floats]:
        """What goes into each layer, and the answer without rails, shape (..., patterns)."""
        layers, last = [inputs], len(weights) - 1
        for index, matrix in enumerate(weights[:last]):
            free = self.unclipped(index, layers[-1], matrix)
            layers.append(self.activations[index].clip(free))
        return layers, self.unclipped(last, layers[-1], weights[last])[..., 0]


def matrices(flat: Floats, sizes: Sequence[int]) -> Matrices:
    """Weights (..., synapses) as views, one a layer, shape (..., inputs, neurons)."""
    found, start = list[Floats](), 0
    for inputs, neurons in pairwise(sizes):
        stop = start + inputs * neurons
        found.append(flat[..., start:stop].reshape(*flat.shape[:-1], inputs, neurons))
        start = stop
    return tuple(found)


def flattened(weights: Sequence[Floats]) -> Floats:
    """Layers (inputs, neurons) as one row, shape (synapses,)."""
    return np.concatenate([matrix.ravel() for matrix in weights])


PROBED = (-0.8, -0.3, 0.2, 0.5, 0.8, 1.3)
"""[read voltages] Computed outputs of each hidden neuron at which it is probed: offsets of several
millivolts take the answers to patterns past the rails, and one of these then falls between them."""


def probes(circuit: Circuit, weights: Matrices) -> Floats:
    """Pixels that should bring neurons of the first layer to `PROBED`, one neuron after the other.

    Those pixels that pull in the right direction are equally lit; shape (probes, inputs), from 0 to 1.
    """
    first, *_ = weights
    rows = list[Floats]()
    for column, level in product(first.T, PROBED):
        pull = np.maximum(-column * np.sign(level), 0.0)
        lit = abs(level) / circuit.activations[0].gain / max(float(pull.sum()), 1e-12)
        if lit <= 1.0:
            rows.append(lit * (pull > 0))
    return np.array(rows).reshape(-1, len(first))


DOUBTFUL = 0.03
"""[read voltages] By how much a measured output may be off what is computed."""
LIKELY_RESPONSE = 0.05
"""Standard deviation of `Circuit.response` from 1 that is thought likely beforehand."""
LIKELY_OFFSET = 0.1
"""[read voltages] The same of an offset."""


def measured_circuit(
    bare: Circuit, weights: Matrices, inputs: Floats, outputs: Matrices
) -> tuple[Circuit, Bools]:
    """The circuit with its offsets and its response, and of which neurons the offset is known.

    `outputs` are measured, (patterns, neurons) a layer, for `inputs` (patterns, inputs). Least squares
    over all outputs between the rails, of what ideal neurons do not explain; what nothing tells of stays
    what was likely beforehand: no offset, and a response of 1. The second has shape (neurons of all layers,).
    """
    count = sum(measured.shape[1] for measured in outputs)
    known = np.zeros(count, dtype=np.bool_)
    likely = np.append(np.full(count, DOUBTFUL / LIKELY_OFFSET), DOUBTFUL / LIKELY_RESPONSE)
    rows, rest, first = [np.diag(likely)], [np.zeros(count + 1)], 0
    for index, measured in enumerate(outputs):
        act, matrix = bare.activations[index], weights[index]
        free = (measured > act.low + AT_RAIL) & (measured < act.high - AT_RAIL)
        pattern, neuron = np.nonzero(free)
        found = np.zeros((len(pattern), count + 1))
        found[np.arange(len(pattern)), first + neuron] = bare.noise_gain(index, matrix)[0, neuron]
        found[:, -1] = -act.gain * np.matmul(inputs, matrix + bare.reference)[free]
        rows.append(found)
        rest.append((measured - bare.unclipped(index, inputs, matrix))[free])
        known[first : first + measured.shape[1]] = free.any(axis=0)
        first, inputs = first + measured.shape[1], measured
    solution = np.linalg.lstsq(np.concatenate(rows), np.concatenate(rest))[0]
    bounds = np.cumsum([measured.shape[1] for measured in outputs])[:-1]
    offsets = tuple(np.split(solution[:-1], bounds))
    return replace(bare, offsets=offsets, response=1 + float(solution[-1])), known
