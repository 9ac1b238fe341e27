"""Train weights again from where a chip is: with devices that cannot move, and the neurons that it has.

The circuit is taken as it was measured (`circuit`). Several starts are trained side by side, a
row of a matrix each: the chip as it is, the weights that were meant with their hidden neurons in every
order (the neuron that suffers least from a stuck device may take the part that needs it most), and
random ones. Devices that cannot move keep the weight that was read of them, which may lie far outside
[-1, 1]. All of it is small matrices, where the price is the number of calls: gradients go into one
flat array, and Adam makes one step for all weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, permutations

import numpy as np

from labctl.images import ImageSet
from labctl.network import Matrices
from labctl.pulse import Bools, Floats
from labctl.training.learning.circuit import Circuit, flattened, matrices
from labctl.training.target_weights import LEAK, QUANTILE, Noise, importance

MOST_ORDERS = 6
"""Of the hidden neurons, that are tried: all there are of three."""
PULL_MOST = 2.0
"""[read voltages] Of the squared hinge, which is linear beyond: behind a stuck device a wrong answer can
lie fifty read voltages off, and must not drown all others."""
SURE = 0.05
"""[read voltages] An answer that is to count as right is at least this far from 0 V: what is computed of a
chip is no better known, and weights that live on a fraction of an offset would not survive on it."""


@dataclass(frozen=True, slots=True)
class Retraining:
    """How weights are trained again; every number is a choice of this project."""

    pixel_noise: float = 0.15
    weight_noise: float = 0.05
    """On weights that can move."""
    steps: int = 100
    starts: int = 8
    """Random ones, beside the chip as it is and the orders of hidden neurons."""
    copies: int = 2
    """Noisy copies of every pattern in one step."""
    rate: float = 0.05
    margin: float = 1.0
    judged: int = 20
    """Noisy copies of every pattern that weights are judged by."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """How weights fare under noise; each of shape (rows,)."""

    accuracy: Floats
    """Part of the noisy patterns that is surely right."""
    margin: Floats
    """[read voltages] Low quantile of the outputs of right sign."""


def retrain(
    images: ImageSet,
    circuit: Circuit,
    sizes: Sequence[int],
    now: Floats,
    meant: Floats,
    free: Bools,
    how: Retraining,
    rng: np.random.Generator,
) -> Floats:
    """Weights that make the best of this circuit, shape (rows, synapses): one row for each start.

    `now` are the weights that the chip has, `meant` those that were trained for a good one; where not
    `free`, a row keeps `now`. All three have shape (synapses,).
    """
    rows = [now, *orders(meant, sizes), *rng.uniform(-1, 1, (how.starts, len(now)))]
    return descend(images, circuit, sizes, np.where(free, rows, now), free, how, rng)


def orders(weights: Floats, sizes: Sequence[int]) -> Iterator[Floats]:
    """The same network with the neurons of its first hidden layer in another order, each (synapses,)."""
    first, *others = matrices(weights, sizes)
    if not others:
        return
    for order in islice(permutations(range(sizes[1])), MOST_ORDERS):
        picked = list(order)
        yield flattened([first[:, picked], others[0][picked], *others[1:]])


def descend(
    images: ImageSet,
    circuit: Circuit,
    sizes: Sequence[int],
    starts: Floats,
    free: Bools,
    how: Retraining,
    rng: np.random.Generator,
) -> Floats:
    """All rows at once by Adam, free weights kept in [-1, 1]; `starts` and the result (rows, synapses)."""
    weights = np.where(free, np.clip(starts, -1, 1), starts)
    low, high = np.where(free, -1.0, weights), np.where(free, 1.0, weights)
    slopes, first, second = (np.zeros_like(weights) for _ in range(3))
    layered = matrices(slopes, sizes)
    pixels, labels = np.tile(images.pixels, (how.copies, 1)), np.tile(images.labels, how.copies)
    pull, spread = -2 * importance(labels) * labels, how.weight_noise * free
    noise = Noise(pixels=how.pixel_noise)
    for step in range(1, how.steps + 1):
        inputs = noise.on_inputs(pixels, 0.0, rng)
        noisy = matrices(weights + spread * rng.standard_normal(weights.shape), sizes)
        slope(circuit, inputs, noisy, labels, pull, how.margin, layered)
        first += 0.1 * (slopes - first)
        second += 0.01 * (slopes * slopes - second)
        rate = how.rate * (1.02 - step / how.steps) / (1 - 0.9**step)
        weights -= rate * first / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        np.clip(weights, low, high, out=weights)
    return weights


def slope(
    circuit: Circuit,
    inputs: Floats,
    weights: Matrices,
    labels: Floats,
    pull: Floats,
    margin: float,
    out: Matrices,
) -> None:
    """Slope of the hinge against each weight, into `out`; `pull` is -2 times importance and label.

    The hinge is squared up to `PULL_MOST`, then linear.
    """
    layers, answers = circuit.forward(inputs, weights)
    back = (pull * np.clip(margin - labels * answers, 0.0, PULL_MOST))[..., None]
    for index in reversed(range(len(weights))):
        back = back * -circuit.activations[index].gain
        np.matmul(layers[index].swapaxes(-1, -2), back, out=out[index])
        out[index][:] -= circuit.offsets[index] * back.sum(axis=-2, keepdims=True)
        out[index][:] *= circuit.response
        if index:
            below, here = circuit.activations[index - 1], layers[index]
            back = np.matmul(back, circuit.present(weights[index]).swapaxes(-1, -2))
            back *= np.where((here > below.low) & (here < below.high), 1.0, LEAK)


def judge(
    images: ImageSet, circuit: Circuit, sizes: Sequence[int], weights: Floats, how: Retraining, seed: int
) -> Judged:
    """How rows of weights (rows, synapses) fare with noisy pixels: the same ones for all with this seed."""
    noise, rng = Noise(pixels=how.pixel_noise), np.random.default_rng([seed, 0x1D])
    pixels = noise.on_inputs(np.tile(images.pixels, (how.judged, 1)), 0.0, rng)
    outputs = circuit.forward(pixels, matrices(weights, sizes))[1] * np.tile(images.labels, how.judged)
    return Judged((outputs > SURE).mean(axis=-1), np.quantile(outputs, QUANTILE, axis=-1))
