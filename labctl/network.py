"""The network as the chip computes it: layers in normalised units and in volts, weights as conductances.

Neuron j of the chip is an inverting transimpedance amplifier. Its column is a virtual ground, a
reference resistor takes G_ref times the sum of the layer's inputs away from the column current, and
its supply rails are the activation. So one memristor is one signed weight, w = (G - G_ref) / G_scale:

    output_j = clip(-gain * sum_i w_ij input_i, low, high),      gain = R_f G_scale

with voltages counted in read voltages. There is no bias. Fitted devices start to switch off at a
few tens of millivolts below 0 V, so whatever drives a memristor must never go negative: pixels are
unipolar, and the rails of a hidden neuron are 0 and the read voltage. The output neuron drives no
memristor; its rails may be symmetric, and its sign is the class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from labctl.errors import Refused
from labctl.pulse import Floats

Matrices: TypeAlias = tuple[Floats, ...]
"""One a layer, shape (..., inputs, neurons); leading axes are independent draws."""


@dataclass(frozen=True, slots=True)
class Activation:
    """What a layer's amplifiers do with the weighted sum, voltages in read voltages."""

    gain: float
    """R_f G_scale: slope of the output against the weighted sum."""
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse what is no amplifier between two rails."""
        if not (0 < self.gain < math.inf and -math.inf < self.low < self.high < math.inf):
            raise Refused(
                f"neurons with gain {self.gain} between rails {self.low} and {self.high}",
                allowed="a gain above 0, finite rails, the low one below the high one",
            )

    def unclipped(self, inputs: Floats, weights: Floats) -> Floats:
        """What it would put out without rails, shape (..., patterns, neurons)."""
        return -self.gain * np.matmul(inputs, weights)

    def clip(self, values: Floats) -> Floats:
        """What the rails leave of it."""
        return np.clip(values, self.low, self.high)


HIDDEN = Activation(gain=0.7, low=0.0, high=1.0)
"""Single supply: hidden neurons drive memristors and must not go negative. A gain below 1 still fills
the rails, keeps the noise gain of the amplifier low, and makes one stuck device harmless more often."""
OUTPUT = Activation(gain=1.0, low=-1.0, high=1.0)
"""Three hidden neurons between 0 and 1 allow no margin above 1, and training reaches it: full scale."""


@dataclass(frozen=True, slots=True)
class Network:
    """Weights and activations, first layer first. Weights in [-1, 1] fit the chip's window."""

    weights: Matrices
    activations: tuple[Activation, ...]

    def __post_init__(self) -> None:
        """Refuse layers that do not follow each other."""
        shapes = [weights.shape[-2:] for weights in self.weights]
        fits = all(left[1] == right[0] for left, right in pairwise(shapes))
        if not shapes or not fits or len(shapes) != len(self.activations):
            raise Refused(
                f"{len(self.activations)} activations for layers of shape {shapes}",
                allowed="(inputs, neurons) of each layer, whose neurons are the inputs of the next",
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs and the neurons of each layer: (9, 3, 1)."""
        return (self.weights[0].shape[-2], *(weights.shape[-1] for weights in self.weights))

    def unclipped(self, inputs: Floats) -> Matrices:
        """What every layer would put out without its own rails, shape (..., patterns, neurons)."""
        found = list[Floats]()
        for weights, activation in zip(self.weights, self.activations, strict=True):
            found.append(activation.unclipped(inputs, weights))
            inputs = activation.clip(found[-1])
        return tuple(found)

    def forward(self, inputs: Floats) -> Matrices:
        """Outputs of every layer for inputs of shape (..., patterns, inputs), in read voltages."""
        free = self.unclipped(inputs)
        return tuple(act.clip(values) for act, values in zip(self.activations, free, strict=True))

    def answers(self, inputs: Floats) -> Floats:
        """The output neuron without its rails, shape (..., patterns): its sign is the class."""
        return self.unclipped(inputs)[-1][..., 0]


def right(answers: Floats, labels: Floats) -> NDArray[np.bool_]:
    """Which answers (any unit) have the sign of their label; 0 and NaN are never right."""
    return answers * labels > 0


@dataclass(frozen=True, slots=True)
class Window:
    """The conductances [S] that the chip may use, and how weights lie in them.

    `low` is weight -1 and `high` weight +1 unless `reference` and `scale` say otherwise: -1 and +1
    must then still be inside. Refused, never clipped.
    """

    low: float
    high: float
    reference: float = math.nan
    """[S] G_ref, the fixed resistor that stands for weight 0; by default the middle."""
    scale: float = math.nan
    """[S] G_scale, the step from weight 0 to weight 1; by default as much as fits."""

    def __post_init__(self) -> None:
        """Fill in the defaults; refuse a window that holds no device or not all weights."""
        if not 0 < self.low < self.high < math.inf:
            raise Refused(f"a window of {self.low} S to {self.high} S", allowed="0 < low < high, in siemens")
        if math.isnan(self.reference):
            object.__setattr__(self, "reference", (self.low + self.high) / 2)
        most = min(self.reference - self.low, self.high - self.reference)
        if math.isnan(self.scale):
            object.__setattr__(self, "scale", most)
        if not 0 < self.scale <= most * (1 + 1e-12):
            raise Refused(
                f"weights of -1 to +1 as {self.reference:g} S -+ {self.scale:g} S leave the window",
                allowed=f"{self.low:g} S to {self.high:g} S",
            )

    def conductances(self, weights: Floats) -> Floats:
        """[S], same shape. A weight outside [-1, 1], or NaN, is refused."""
        weights = np.asarray(weights, dtype=np.float64)
        if not bool(np.all(np.abs(weights) <= 1.0)):
            worst = float(weights.flat[np.argmax(np.where(np.isnan(weights), np.inf, np.abs(weights)))])
            raise Refused(f"weight {worst:g} is beyond the conductance window", allowed="-1 to +1")
        return self.reference + self.scale * weights

    def weights(self, conductances: Floats) -> Floats:
        """What measured conductances [S] amount to, same shape; a device may well lie outside the window."""
        return (np.asarray(conductances, dtype=np.float64) - self.reference) / self.scale

    def feedback_ohms(self, gain: float) -> float:
        """[ohm] R_f of an amplifier with this normalised gain."""
        return gain / self.scale


@dataclass(frozen=True, slots=True)
class Amplifier:
    """The neurons of one layer in ohms and volts; ideal unless told otherwise."""

    feedback_ohms: float
    reference_siemens: float
    low_volts: float
    high_volts: float
    open_loop_gain: float = math.inf
    offset_volts: float = 0.0

    def output_volts(self, volts: Floats, conductances: Floats) -> Floats:
        """[V], shape (..., patterns, neurons).

        `volts` [V], shape (..., patterns, inputs); `conductances` [S], shape (..., inputs, neurons).
        Nodal equation of the column at v = offset - output / A, where the reference resistor is fed
        with minus the sum of the inputs. The offset appears at the output times the noise gain.
        """
        amps = np.matmul(volts, conductances) - self.reference_siemens * volts.sum(axis=-1, keepdims=True)
        total = conductances.sum(axis=-2, keepdims=True) + self.reference_siemens
        noise_gain = 1 + self.feedback_ohms * total
        ideal = -self.feedback_ohms * amps + noise_gain * self.offset_volts
        return np.clip(ideal / (1 + noise_gain / self.open_loop_gain), self.low_volts, self.high_volts)


def amplifiers(activations: Sequence[Activation], window: Window, read_volts: float) -> tuple[Amplifier, ...]:
    """The circuit of each layer that computes these activations with devices in this window."""
    return tuple(
        Amplifier(
            feedback_ohms=window.feedback_ohms(activation.gain),
            reference_siemens=window.reference,
            low_volts=activation.low * read_volts,
            high_volts=activation.high * read_volts,
        )
        for activation in activations
    )


def chip_volts(volts: Floats, conductances: Sequence[Floats], circuit: Sequence[Amplifier]) -> Matrices:
    """[V] Outputs of every layer for pixel voltages (..., patterns, inputs) and conductances [S] by layer."""
    outputs = list[Floats]()
    for siemens, amplifier in zip(conductances, circuit, strict=True):
        volts = amplifier.output_volts(volts, siemens)
        outputs.append(volts)
    return tuple(outputs)


@dataclass(frozen=True, slots=True)
class Placement:
    """Which site holds which synapse."""

    sites: tuple[NDArray[np.intp], ...]
    """Index in the board's list of sites, one array a layer, shape (inputs, neurons)."""

    def order(self) -> NDArray[np.intp]:
        """All sites that hold a synapse: layer by layer, input by input, shape (synapses,)."""
        return np.concatenate([layer.ravel() for layer in self.sites])

    def by_layer(self, by_site: Floats) -> Matrices:
        """Values of shape (sites,) as one array a layer, shape (inputs, neurons)."""
        return tuple(by_site[layer] for layer in self.sites)

    def by_site(self, by_layer: Sequence[Floats], count: int) -> Floats:
        """The reverse, shape (count,); NaN for a site that holds no synapse."""
        values = np.full(count, np.nan)
        for layer, matrix in zip(self.sites, by_layer, strict=True):
            values[layer] = matrix
        return values


def place(sizes: Sequence[int], crossings: Iterable[tuple[int, int]]) -> Placement:
    """Synapses of a network of these sizes on sites at these (row, column) crossings.

    Rows are the inputs of the first layer, then the outputs of each layer in turn; columns are the
    neurons, first layer first. For (9, 3, 1): rows 0..8 pixels, 9..11 hidden outputs; columns 0..2
    hidden neurons, 3 the output neuron. Sites at other crossings stay free.
    """
    found = {crossing: index for index, crossing in enumerate(crossings)}
    layers = list[NDArray[np.intp]]()
    row = column = 0
    for inputs, neurons in pairwise(sizes):
        wanted = [(row + i, column + j) for i in range(inputs) for j in range(neurons)]
        missing = [crossing for crossing in wanted if crossing not in found]
        if missing:
            raise Refused(
                f"a {'-'.join(map(str, sizes))} network needs a site at row {missing[0][0]},"
                f" column {missing[0][1]} ({len(missing)} missing in this layer)",
                todo="choose a board that is wired for this network",
            )
        layers.append(np.array([found[crossing] for crossing in wanted]).reshape(inputs, neurons))
        row, column = row + inputs, column + neurons
    return Placement(tuple(layers))
