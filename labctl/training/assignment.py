"""What a chip is to become: target weights trained in software, mapped to conductances and to sites.

Pure functions. A conductance error is the paper's (arXiv:2408.14680): the programmed conductance
misses the one that was meant by a relative Gaussian error. Here it is put on the targets, so that any
board can be asked to live with it, simulated or not, and so that a controller's own errors come on top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labctl.config import Count, Fraction, Section, Seed
from labctl.errors import Refused
from labctl.images import ImageSet
from labctl.network import Activation, Amplifier, Network, Placement, Window, chip_volts, place
from labctl.parts import Neuron
from labctl.pulse import Floats
from labctl.spec import Spec
from labctl.training.target_weights import Noise, Recipe, train_targets


class Software(Section):
    """How target weights are trained before anything is programmed."""

    seed: Seed = 0
    pixel_noise: Fraction = 0.15
    weight_noise: Fraction = 0.10
    flips: Fraction = 0.0
    restarts: Count = 12
    steps: Count = 500


class ConductanceError(Section):
    """By how much targets are missed on purpose, to see what that costs."""

    error: Fraction = 0.0
    """Standard deviation of the programmed conductance, relative to the one that was meant."""
    seed: Seed = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the chip is to become: worked out once, kept with the run."""

    images: ImageSet
    network: Network
    placement: Placement
    window: Window
    read_volts: float
    targets: Floats
    """[S], shape (sites,), errors that are meant included; NaN for a site without a synapse."""


def assign(
    images: ImageSet, spec: Spec, software: Software, missed: ConductanceError | None = None
) -> Assignment:
    """Train target weights for this set and map them to the sites of this board."""
    recipe = recipe_for(spec, software)
    network = train_targets(images, recipe, seed=software.seed).network
    return assigned(images, network, spec, missed or ConductanceError())


def recipe_for(spec: Spec, software: Software) -> Recipe:
    """How weights are trained for the neurons of this board; `Refused` where it has none."""
    layers = layers_of(spec)
    if not layers or spec.window is None:
        raise Refused(
            f"{spec.name} has no neurons to train",
            allowed="a board with neurons and a conductance window",
            todo="choose a bench with the network layout",
        )
    window, read_volts = Window(*spec.window), layers[0][0].high_volts
    return Recipe(
        activations=tuple(
            Activation(
                one.feedback_ohms * window.scale, one.low_volts / read_volts, one.high_volts / read_volts
            )
            for one, *_ in layers
        ),
        sizes=(len(layers[0][0].inputs), *(len(layer) for layer in layers)),
        noise=Noise(software.pixel_noise, software.weight_noise, software.flips),
        restarts=software.restarts,
        steps=software.steps,
    )


def assigned(images: ImageSet, network: Network, spec: Spec, missed: ConductanceError) -> Assignment:
    """Weights that are trained already, mapped to the sites of this board."""
    if spec.window is None:
        raise Refused(f"{spec.name} has no conductance window", allowed="a board with one")
    window = Window(*spec.window)
    placement = place(network.sizes, [(site.row, site.column) for site in spec.sites])
    meant = placement.by_site([window.conductances(w) for w in network.weights], len(spec.sites))
    targets = meant * error_factors(missed, len(meant))
    return Assignment(images, network, placement, window, layers_of(spec)[0][0].high_volts, targets)


LEAST_FACTOR = 0.05
"""Of the target that was meant: a conductance is positive, so errors that leave less are drawn again."""


def error_factors(missed: ConductanceError, count: int) -> Floats:
    """1 + a Gaussian error for each target, shape (count,)."""
    if not missed.error:
        return np.ones(count)
    rng = np.random.default_rng([missed.seed, 0x0E])
    factors = 1 + missed.error * rng.standard_normal(count)
    while (low := factors < LEAST_FACTOR).any():
        factors[low] = 1 + missed.error * rng.standard_normal(int(low.sum()))
    return factors


def predicted(assignment: Assignment, spec: Spec, conductances: Floats) -> Floats:
    """[V], shape (patterns,): the answers of ideal amplifiers with these conductances [S]."""
    circuit = [
        Amplifier(one.feedback_ohms, one.reference_siemens, one.low_volts, one.high_volts)
        for one, *_ in layers_of(spec)
    ]
    volts = assignment.images.pixels * assignment.read_volts
    return chip_volts(volts, assignment.placement.by_layer(conductances), circuit)[-1][..., 0]


def layers_of(spec: Spec) -> list[list[Neuron]]:
    """Neurons that share their inputs, first layer first."""
    layers = dict[tuple[int, ...], list[Neuron]]()
    for neuron in spec.neurons:
        layers.setdefault(neuron.inputs, []).append(neuron)
    return list(layers.values())
