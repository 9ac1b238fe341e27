"""Software training of the target weights, before anything is programmed.

The chip is trained towards conductances that were worked out in software. What matters is not that
the ideal weights classify every pattern, but that they still do with noisy pixels and with devices
that missed their target. So noise is injected at every step (pixels, weights, flips), the loss is a
squared hinge on the output neuron's voltage before its rails, and of several restarts, trained side
by side along the first axis of every array, the one with the best low quantile of the margin under
noise is kept. The gradient is written out; a saturated neuron lets a little of it through, or it
would never leave its rail. Everything is deterministic from one seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from labctl.errors import BadImages, Refused
from labctl.images import ImageSet
from labctl.network import HIDDEN, OUTPUT, Activation, Matrices, Network, Window, right
from labctl.pulse import Floats

LEAK = 0.1
"""Slope that training sees of a neuron at its rail."""
QUANTILE = 0.002
"""Of the margins under noise: what a restart is judged by."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What is put on pixels and weights, as fractions of full scale."""

    pixels: float = 0.0
    """Standard deviation on each pixel voltage, in read voltages."""
    weights: float = 0.0
    """Standard deviation on each weight, in largest weights."""
    flips: float = 0.0
    """Probability that a pixel is inverted."""
    unipolar: bool = False
    """The driver of a row has no negative supply: a noisy pixel stays at or above 0 V."""

    def __post_init__(self) -> None:
        """Refuse what is no spread or no probability."""
        if not (0 <= self.pixels <= 1 and 0 <= self.weights <= 1 and 0 <= self.flips <= 1):
            raise Refused(f"noise that is no fraction of full scale: {self}", allowed="0 to 1")

    def on_inputs(self, pixels: Floats, dark: float, rng: np.random.Generator) -> Floats:
        """Row voltages [read voltages] for pixels of 0 or 1, same shape, a draw of its own for each."""
        if self.flips:
            pixels = np.abs(pixels - (rng.random(pixels.shape) < self.flips))
        inputs = dark + (1 - dark) * pixels
        if self.pixels:
            inputs = inputs + self.pixels * rng.standard_normal(pixels.shape)
        return np.maximum(inputs, 0.0) if self.unipolar else inputs

    def on_weights(self, weights: Matrices, rng: np.random.Generator) -> Matrices:
        """Weights of devices that missed their target, same shapes."""
        return tuple(layer + self.weights * rng.standard_normal(layer.shape) for layer in weights)


QUIET = Noise()
TRAINING_NOISE = Noise(pixels=0.15, weights=0.10)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How target weights are trained; every number is a choice of this project."""

    activations: tuple[Activation, ...] = (HIDDEN, OUTPUT)
    sizes: tuple[int, ...] = (9, 3, 1)
    noise: Noise = TRAINING_NOISE
    dark: float = 0.0
    """[read voltages] What a dark pixel gets; above 0 it keeps the devices of dark rows biased."""
    margin: float = 1.0
    """[read voltages] Output below which the hinge pulls."""
    restarts: int = 12
    steps: int = 500
    copies: int = 4
    """Noisy copies of every pattern in one step."""
    rate: float = 0.05
    """Step of Adam at the start, of a weight range of 2."""

    def __post_init__(self) -> None:
        """Refuse a recipe that trains nothing."""
        fine = self.restarts >= 1 and self.steps >= 1 and self.copies >= 1 and self.rate > 0
        layers = len(self.sizes) == len(self.activations) + 1 and min(self.sizes) >= 1
        if not (fine and layers and self.sizes[-1] == 1 and 0 <= self.dark < 1 and self.margin > 0):
            raise Refused(
                f"a recipe that trains nothing: {self}",
                allowed="counts from 1, an activation a layer, one output, 0 <= dark < 1, rate, margin > 0",
            )


@dataclass(frozen=True, slots=True)
class Targets:
    """Trained weights and how they fare in software."""

    network: Network
    right: int
    """Ideal patterns classified right with ideal weights."""
    margin: float
    """[read voltages] Smallest output of right sign, over the ideal patterns; negative: one is wrong."""
    noisy_margin: float
    """The same as a low quantile under the training noise."""


def train_targets(images: ImageSet, recipe: Recipe | None = None, *, seed: int = 0) -> Targets:
    """Train weights in [-1, 1] for this set; the same seed gives the same weights."""
    recipe = recipe or Recipe()
    if images.pixels.shape[1] != recipe.sizes[0]:
        raise BadImages(f"{images.pixels.shape[1]} pixels for {recipe.sizes[0]} inputs")
    if recipe.dark == 0 and not images.pixels.any(axis=1).all():
        raise BadImages(
            f"image set {images.name!r} has a pattern without a lit pixel: neurons without bias answer 0 V",
            todo="remove it, or give dark pixels a voltage above 0",
        )
    rng = np.random.default_rng(seed)
    weights = _descend(images, recipe, rng)
    return _best(weights, images, recipe, rng)


def _descend(images: ImageSet, recipe: Recipe, rng: np.random.Generator) -> Matrices:
    """All restarts at once by Adam, projected onto [-1, 1]; shapes (restarts, inputs, neurons)."""
    shapes = [(recipe.restarts, *pair) for pair in pairwise(recipe.sizes)]
    weights = tuple(rng.uniform(-1, 1, shape) for shape in shapes)
    first, second = ([np.zeros(shape) for shape in shapes] for _ in range(2))
    pixels = np.tile(images.pixels, (recipe.restarts, recipe.copies, 1))
    labels = np.tile(images.labels, recipe.copies)
    for step in range(1, recipe.steps + 1):
        inputs = recipe.noise.on_inputs(pixels, recipe.dark, rng)
        noisy = recipe.noise.on_weights(weights, rng)
        rate = recipe.rate * (1 - step / recipe.steps) + 0.02 * recipe.rate
        for index, slope in enumerate(gradient(noisy, inputs, labels, recipe)):
            first[index] = 0.9 * first[index] + 0.1 * slope
            second[index] = 0.99 * second[index] + 0.01 * slope**2
            mean, square = first[index] / (1 - 0.9**step), second[index] / (1 - 0.99**step)
            weights[index][:] = np.clip(weights[index] - rate * mean / (np.sqrt(square) + 1e-8), -1, 1)
    return weights


def loss(answers: Floats, labels: Floats, margin: float) -> Floats:
    """Squared hinge, both classes of equal importance; answers (..., patterns) to shape (...)."""
    return (importance(labels) * np.maximum(0.0, margin - labels * answers) ** 2).sum(axis=-1)


def gradient(weights: Matrices, inputs: Floats, labels: Floats, recipe: Recipe) -> Matrices:
    """Slope of `loss` against each weight, same shapes; through a rail with slope `LEAK`."""
    free = Network(weights, recipe.activations).unclipped(inputs)
    layers = [inputs, *(act.clip(v) for act, v in zip(recipe.activations[:-1], free[:-1], strict=True))]
    return backpropagate(layers, free[-1][..., 0], weights, labels, recipe.activations, recipe.margin)


def backpropagate(
    layers: Sequence[Floats],
    answers: Floats,
    weights: Matrices,
    labels: Floats,
    activations: Sequence[Activation],
    margin: float,
    slack: float = 0.0,
) -> Matrices:
    """Slope of `loss` against each weight, same shapes as `weights`, of a forward pass made by whomever.

    `layers` are what goes into each layer, (..., patterns, inputs) in read voltages, and `answers`
    (..., patterns) what the last neuron put out: computed, or measured on a chip. A neuron within
    `slack` of a rail counts as being there, and lets the gradient through with slope `LEAK`.
    """
    short = np.maximum(0.0, margin - labels * answers)
    back = (-2 * importance(labels) * labels * short)[..., None] * -activations[-1].gain
    found = list[Floats]()
    for index in reversed(range(len(weights))):
        found.append(np.matmul(layers[index].swapaxes(-1, -2), back))
        if index:
            below = activations[index - 1]
            free = (layers[index] > below.low + slack) & (layers[index] < below.high - slack)
            slope = np.where(free, 1.0, LEAK) * -below.gain
            back = np.matmul(back, weights[index].swapaxes(-1, -2)) * slope
    return tuple(reversed(found))


def importance(labels: Floats) -> Floats:
    """A weight for each pattern, so that both classes count the same and the sum is 1."""
    return np.where(labels > 0, 0.5 / np.sum(labels > 0), 0.5 / np.sum(labels < 0))


def _best(weights: Matrices, images: ImageSet, recipe: Recipe, rng: np.random.Generator) -> Targets:
    """The restart that does best under noise; one that is right without noise goes before any that is not."""
    tried = [
        _judge(Network(tuple(layer[index] for layer in weights), recipe.activations), images, recipe, rng)
        for index in range(recipe.restarts)
    ]
    return max(tried, key=lambda targets: (targets.right, targets.noisy_margin))


def _judge(network: Network, images: ImageSet, recipe: Recipe, rng: np.random.Generator) -> Targets:
    ideal = network.answers(QUIET.on_inputs(images.pixels, recipe.dark, rng)) * images.labels
    noisy = noisy_answers(network, images, recipe.noise, draws=100, dark=recipe.dark, rng=rng) * images.labels
    return Targets(
        network=network,
        right=int(np.sum(ideal > 0)),
        margin=float(ideal.min()),
        noisy_margin=float(np.quantile(noisy, QUANTILE)),
    )


def noisy_answers(
    network: Network, images: ImageSet, noise: Noise, *, draws: int, dark: float, rng: np.random.Generator
) -> Floats:
    """Answers of chips, each with weights and pixels of its own, shape (draws, patterns)."""
    chips = tuple(np.broadcast_to(layer, (draws, *layer.shape)) for layer in network.weights)
    inputs = noise.on_inputs(np.broadcast_to(images.pixels, (draws, *images.pixels.shape)), dark, rng)
    return replace(network, weights=noise.on_weights(chips, rng)).answers(inputs)


@dataclass(frozen=True, slots=True)
class Score:
    """How many answers were right over many draws."""

    accuracy: float
    """Fraction of all answers."""
    perfect: float
    """Fraction of chips that had every pattern right."""


def score(answers: Floats, labels: Floats) -> Score:
    """Of answers with shape (draws, patterns)."""
    correct = right(answers, labels)
    return Score(float(correct.mean()), float(correct.all(axis=-1).mean()))


def missed_targets(
    network: Network, window: Window, error: float, *, draws: int, rng: np.random.Generator
) -> Network:
    """Chips whose conductances miss their targets by a relative Gaussian `error`; weights (draws, ..)."""
    siemens = [np.broadcast_to(window.conductances(w), (draws, *w.shape)) for w in network.weights]
    missed = tuple(window.weights(g * (1 + error * rng.standard_normal(g.shape))) for g in siemens)
    return replace(network, weights=missed)
