"""The on-chip training controller: from an image set to a chip that classifies it.

The algorithm is that of arXiv:2408.14680: target weights are trained in software and mapped to
conductances (`assign`); then, on the chip (`train`), all sites are examined, reset or not, and each
is adjusted by the difference between target and present conductance, with a read after every
pulse; at last the patterns are applied and the chip's own neurons answer. Where the paper is
silent the choices are this project's, each an option with a default.

Everything here is a plan or a pure function: no I/O, no board. Whatever drives the plan may throw
an error in at a `yield`; a site that fails is marked, with the reason, and training goes on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from labctl.addressing import infer, level, select
from labctl.config import Count, Fraction, PositiveSeconds, PositiveVolts, Section, Seed
from labctl.errors import BoardFault, Refused
from labctl.images import ImageSet
from labctl.network import Activation, Amplifier, Network, Placement, Window, chip_volts, place, right
from labctl.parts import Neuron
from labctl.plan import Plan
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.reading import conductance, settled_volts
from labctl.spec import Spec
from labctl.target_weights import Noise, Recipe, train_targets
from labctl.write_verify import NOTHING, Outcome, Programming, Reading, Spent, read, write_verify


class Software(Section):
    """How target weights are trained before anything is programmed."""

    seed: Seed = 0
    pixel_noise: Fraction = 0.15
    weight_noise: Fraction = 0.10
    flips: Fraction = 0.0
    restarts: Count = 12
    steps: Count = 500


class Reset(Section):
    """The reset of all devices before they are adjusted; left out unless asked for."""

    enabled: bool = False
    volts: PositiveVolts = 2.0
    """Of the source; applied negative."""
    seconds: PositiveSeconds = 2e-3


class Inference(Section):
    """How patterns are applied. The pixel voltage is that of the neurons' rails."""

    seconds: PositiveSeconds = 50e-6


def _in_order(how: Programming) -> Programming:
    if not how.shortest <= how.longest:
        raise ValueError(f"shortest, {how.shortest:g} s, is more than longest, {how.longest:g} s")
    return how


class Training(Section):
    """All options of the controller."""

    software: Software = Software()
    reading: Reading = Reading()
    reset: Reset = Reset()
    programming: Annotated[Programming, AfterValidator(_in_order)] = Programming()
    inference: Inference = Inference()


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the chip is to become: worked out once, kept with the run."""

    images: ImageSet
    network: Network
    placement: Placement
    window: Window
    read_volts: float
    targets: Floats
    """[S], shape (sites,); NaN for a site without a synapse."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What the chip has become."""

    outcomes: tuple[Outcome, ...]
    """In the order in which the sites were programmed."""
    conductances: Floats
    """[S], shape (sites,), read after the last pulse; NaN without a synapse, or not readable."""
    answers: Floats
    """[V], shape (patterns,): output of the last neuron."""
    predicted: Floats
    """[V], shape (patterns,): what an ideal circuit would answer with these conductances."""
    right: int
    """Patterns that the chip classified right."""


def assign(images: ImageSet, spec: Spec, how: Training) -> Assignment:
    """Train target weights for this set and map them to the sites of this board."""
    if not spec.neurons or spec.window is None:
        raise Refused(
            f"{spec.name} has no neurons to train",
            allowed="a board with neurons and a conductance window",
            todo="choose a bench with the network layout",
        )
    layers = _layers(spec)
    window, read_volts = Window(*spec.window), layers[0][0].high_volts
    activations = tuple(
        Activation(one.feedback_ohms * window.scale, one.low_volts / read_volts, one.high_volts / read_volts)
        for one, *_ in layers
    )
    sizes = (len(layers[0][0].inputs), *(len(layer) for layer in layers))
    options = how.software
    recipe = Recipe(
        activations=activations,
        sizes=sizes,
        noise=Noise(options.pixel_noise, options.weight_noise, options.flips),
        restarts=options.restarts,
        steps=options.steps,
    )
    network = train_targets(images, recipe, seed=options.seed).network
    placement = place(sizes, [(site.row, site.column) for site in spec.sites])
    targets = placement.by_site([window.conductances(w) for w in network.weights], len(spec.sites))
    return Assignment(images, network, placement, window, read_volts, targets)


def train(
    assignment: Assignment,
    spec: Spec,
    how: Training,
    *,
    skip_reset: bool = False,
    spent: Mapping[int, Spent] | None = None,
) -> Plan[Trained]:
    """Examine, reset or not, adjust site by site, read all again, and let the chip classify.

    A run that was interrupted goes on with what its sites have `spent` (by site) and `skip_reset`:
    sites are read again first, what is done is not undone, and caps hold for the sum.
    """
    sites = _sites(assignment)
    present = yield from examine(spec, sites, how.reading)
    if how.reset.enabled and not skip_reset:
        present = yield from reset(spec, sites, how)
    outcomes = yield from adjust(spec, assignment, present, how, spent or {})
    final = yield from examine(spec, sites, how.reading)
    conductances = np.full(len(spec.sites), np.nan)
    conductances[sites] = [final[site] for site in sites]
    answers = yield from classify(spec, assignment, how.inference)
    return Trained(
        outcomes,
        conductances,
        answers,
        predicted(assignment, spec, conductances),
        int(right(answers, assignment.images.labels).sum()),
    )


def foreseen(assignment: Assignment, spec: Spec, how: Training) -> list[Pulse]:
    """All pulses that are known before anything is driven: reads, resets if there are any, inference.

    Whoever has them checked first need not find out at the end, on a worn chip, that it cannot classify.
    """
    sites = _sites(assignment)
    resets = _resets(spec, sites, how.reset) if how.reset.enabled else []
    return [*_reads(spec, sites, how.reading), *resets, *_inferences(spec, assignment, how.inference)]


def _sites(assignment: Assignment) -> list[int]:
    """The sites that hold a synapse, in the order in which they are programmed."""
    return [int(site) for site in assignment.placement.order()]


def _reads(spec: Spec, sites: Sequence[int], how: Reading) -> list[Pulse]:
    return [read(spec, site, how) for site in sites]


def _resets(spec: Spec, sites: Sequence[int], how: Reset) -> list[Pulse]:
    wave = level(spec, -how.volts, how.seconds, longest_edge=1e-6)
    return [select(spec, site, wave, Purpose.RESET) for site in sites]


def _inferences(spec: Spec, assignment: Assignment, how: Inference) -> list[Pulse]:
    return [infer(spec, pixels * assignment.read_volts, how.seconds) for pixels in assignment.images.pixels]


def examine(spec: Spec, sites: Sequence[int], how: Reading) -> Plan[dict[int, float]]:
    """The conductance [S] of each of these sites, read in one list; NaN where a trace says nothing of it."""
    pulses = _reads(spec, sites, how)
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


def reset(spec: Spec, sites: Sequence[int], how: Training) -> Plan[dict[int, float]]:
    """One reset pulse on each of these sites, then what they read [S]."""
    yield _resets(spec, sites, how.reset)
    return (yield from examine(spec, sites, how.reading))


def adjust(
    spec: Spec,
    assignment: Assignment,
    present: Mapping[int, float],
    how: Training,
    spent: Mapping[int, Spent],
) -> Plan[tuple[Outcome, ...]]:
    """Bring one site after the other from its `present` conductance [S] to its target."""
    outcomes: list[Outcome] = []
    for site, now in present.items():
        target, before = float(assignment.targets[site]), spent.get(site, NOTHING)
        plan = write_verify(spec, site, target, now, how.programming, how.reading, before)
        outcomes.append((yield from plan))
    return tuple(outcomes)


def classify(spec: Spec, assignment: Assignment, how: Inference) -> Plan[Floats]:
    """[V], shape (patterns,): what the chip's last neuron answers to each pattern, in one list."""
    pulses = _inferences(spec, assignment, how)
    traces = yield pulses
    return np.array([_answer(spec, pulse, trace) for pulse, trace in zip(pulses, traces, strict=True)])


def predicted(assignment: Assignment, spec: Spec, conductances: Floats) -> Floats:
    """[V], shape (patterns,): the answers of ideal amplifiers with these conductances [S]."""
    circuit = [
        Amplifier(one.feedback_ohms, one.reference_siemens, one.low_volts, one.high_volts)
        for one, *_ in _layers(spec)
    ]
    volts = assignment.images.pixels * assignment.read_volts
    return chip_volts(volts, assignment.placement.by_layer(conductances), circuit)[-1][..., 0]


def _answer(spec: Spec, pulse: Pulse, trace: Trace) -> float:
    return settled_volts(pulse, trace, spec.neurons[-1].output)


def _layers(spec: Spec) -> list[list[Neuron]]:
    """Neurons that share their inputs, first layer first."""
    layers = dict[tuple[int, ...], list[Neuron]]()
    for neuron in spec.neurons:
        layers.setdefault(neuron.inputs, []).append(neuron)
    return list(layers.values())
