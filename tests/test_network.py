"""The network of the chip: neurons by hand, weights as conductances, synapses on sites."""

import math

import numpy as np
import pytest

from labctl.errors import Refused
from labctl.network import (
    HIDDEN,
    OUTPUT,
    Activation,
    Amplifier,
    Network,
    Window,
    amplifiers,
    chip_volts,
    place,
    right,
)

WINDOW = Window(low=1 / 30e3, high=1 / 3e3)
CROSSINGS = [(i, j) for i in range(9) for j in range(3)] + [(9 + j, 3) for j in range(3)]


def some_network(*leading: int) -> Network:
    rng = np.random.default_rng(3)
    shapes = [(*leading, 9, 3), (*leading, 3, 1)]
    return Network(tuple(rng.uniform(-1, 1, shape) for shape in shapes), (HIDDEN, OUTPUT))


def test_forward_is_the_hand_calculation() -> None:
    hidden = np.zeros((9, 3))
    hidden[0], hidden[1] = (-1.0, 0.5, -0.5), (-1.0, 0.5, 0.25)
    network = Network((hidden, np.array([[0.5], [1.0], [-1.0]])), (HIDDEN, OUTPUT))
    pixels = np.array([[1.0, 1, 0, 0, 0, 0, 0, 0, 0]])
    first, second = network.forward(pixels)
    # sums -2, 1, -.25, times -.7: 1.4 meets the upper rail, -.7 the lower, .175 is in between
    assert first[0] == pytest.approx([1.0, 0.0, 0.175])
    assert second[0] == pytest.approx([-(0.5 - 0.175)])
    assert network.answers(pixels) == pytest.approx([-0.325])


def test_hidden_neurons_never_drive_a_device_negative() -> None:
    hidden, _ = some_network().forward(np.random.default_rng(0).random((50, 9)))
    assert hidden.min() == 0.0


def test_symmetric_rails_are_an_option() -> None:
    network = Network((np.ones((9, 3)), np.ones((3, 1))), (Activation(0.7, -1, 1), OUTPUT))
    assert network.forward(np.ones((1, 9)))[0].tolist() == [[-1, -1, -1]]


def test_draws_along_leading_axes_are_independent_networks() -> None:
    many, pixels = some_network(4), np.random.default_rng(0).random((5, 9))
    one = Network(tuple(layer[2] for layer in many.weights), many.activations)
    assert many.answers(pixels).shape == (4, 5)
    assert np.allclose(many.answers(pixels)[2], one.answers(pixels))
    assert many.sizes == (9, 3, 1)


def test_right_needs_the_sign_and_refuses_zero_and_nan() -> None:
    assert (
        right(np.array([0.1, -0.1, 0.0, math.nan]), np.array([1, 1, 1, 1])).tolist() == [True] + [False] * 3
    )


@pytest.mark.parametrize(
    "values", [(0.0, 0, 1), (-1.0, 0, 1), (1.0, 1, 1), (1.0, 0, math.inf), (math.nan, 0, 1)]
)
def test_an_activation_that_no_amplifier_has_is_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(Refused):
        Activation(*values)


@pytest.mark.parametrize("shapes", [[], [(9, 3)], [(9, 3), (2, 1)]])
def test_layers_that_do_not_follow_each_other_are_refused(shapes: list[tuple[int, int]]) -> None:
    with pytest.raises(Refused, match="activations for layers"):
        Network(tuple(np.zeros(shape) for shape in shapes), (HIDDEN, OUTPUT))


# ---- weights and conductances ---------------------------------------------------------------


def test_the_window_spans_the_weights() -> None:
    assert WINDOW.conductances(np.array([-1.0, 0.0, 1.0])) == pytest.approx([1 / 30e3, 5.5 / 30e3, 1 / 3e3])
    assert WINDOW.feedback_ohms(0.9) == pytest.approx(0.9 / 150e-6)


def test_weights_and_conductances_are_inverse() -> None:
    weights = some_network().weights[0]
    assert np.allclose(WINDOW.weights(WINDOW.conductances(weights)), weights, atol=1e-12)


@pytest.mark.parametrize("weight", [1.0000001, -1.5, math.nan, math.inf])
def test_a_weight_beyond_the_window_is_refused_not_clipped(weight: float) -> None:
    with pytest.raises(Refused, match=r"weight \S+ is beyond"):
        WINDOW.conductances(np.array([[0.0, weight]]))


def test_a_measured_conductance_may_lie_outside_the_window() -> None:
    assert WINDOW.weights(np.array([2 * WINDOW.high]))[0] > 1


def test_reference_and_scale_are_options_within_the_window() -> None:
    window = Window(10e-6, 110e-6, reference=40e-6)
    assert window.scale == pytest.approx(30e-6)
    assert Window(10e-6, 110e-6, scale=20e-6).conductances(np.array([1.0])) == pytest.approx([80e-6])
    with pytest.raises(Refused, match="leave the window"):
        Window(10e-6, 110e-6, reference=40e-6, scale=40e-6)


@pytest.mark.parametrize(
    "edges", [(0.0, 1e-3), (2e-3, 1e-3), (1e-3, 1e-3), (math.nan, 1e-3), (1e-3, math.nan)]
)
def test_a_window_without_room_is_refused(edges: tuple[float, float]) -> None:
    with pytest.raises(Refused, match="a window of"):
        Window(*edges)


# ---- in volts -------------------------------------------------------------------------------


def test_volts_and_normalised_units_tell_the_same() -> None:
    network, read_volts = some_network(), 0.1
    pixels = np.random.default_rng(1).random((20, 9))
    siemens = [WINDOW.conductances(weights) for weights in network.weights]
    chip = chip_volts(pixels * read_volts, siemens, amplifiers(network.activations, WINDOW, read_volts))
    for volts, outputs in zip(chip, network.forward(pixels), strict=True):
        assert np.allclose(volts, outputs * read_volts, atol=1e-12)


def test_offset_and_finite_gain_of_an_amplifier_by_hand() -> None:
    # one device of 200 uS at 0.1 V, reference 100 uS, R_f 10 kohm: 10 uA, so -0.1 V from an ideal one
    inputs = (np.array([[0.1]]), np.array([[200e-6]]))
    ideal = Amplifier(10e3, 100e-6, -1, 1)
    assert ideal.output_volts(*inputs)[0, 0] == pytest.approx(-0.1)
    # the noise gain is 1 + 10k (200u + 100u) = 4
    offset = Amplifier(10e3, 100e-6, -1, 1, offset_volts=1e-3)
    assert offset.output_volts(*inputs)[0, 0] == pytest.approx(-0.1 + 4e-3)
    slack = Amplifier(10e3, 100e-6, -1, 1, open_loop_gain=1000)
    assert slack.output_volts(*inputs)[0, 0] == pytest.approx(-0.1 / 1.004)


def test_rails_hold_the_output() -> None:
    amplifier = Amplifier(10e3, 100e-6, 0.0, 0.1)
    volts = np.array([[0.1], [-1.0]])
    assert amplifier.output_volts(volts, np.array([[200e-6]]))[:, 0].tolist() == [0.0, 0.1]


# ---- placement ------------------------------------------------------------------------------


def test_synapses_lie_where_the_board_is_wired() -> None:
    placement = place((9, 3, 1), CROSSINGS)
    assert placement.sites[0].shape == (9, 3)
    assert CROSSINGS[placement.sites[0][4, 2]] == (4, 2)
    assert [CROSSINGS[site] for site in placement.sites[1][:, 0]] == [(9, 3), (10, 3), (11, 3)]
    assert sorted(placement.order()) == list(range(30))


def test_the_order_of_the_sites_does_not_matter() -> None:
    shuffled = [CROSSINGS[index] for index in np.random.default_rng(0).permutation(30)]
    placement = place((9, 3, 1), [(20, 20), *shuffled])
    found = [(20, 20), *shuffled][placement.sites[0][7, 1]]
    assert found == (7, 1)


def test_values_go_to_sites_and_back() -> None:
    placement, weights = place((9, 3, 1), [*CROSSINGS, (12, 0)]), some_network().weights
    by_site = placement.by_site(weights, 31)
    assert by_site[CROSSINGS.index((10, 3))] == weights[1][1, 0]
    assert np.isnan(by_site[30])
    assert all(np.array_equal(a, b) for a, b in zip(placement.by_layer(by_site), weights, strict=True))


def test_other_sizes_follow_the_same_rule() -> None:
    wires = [(i, j) for i in range(2) for j in range(2)] + [(2, 2), (3, 2), (4, 3)]
    placement = place((2, 2, 1, 1), wires)
    assert [wires[layer[-1, -1]] for layer in placement.sites] == [(1, 1), (3, 2), (4, 3)]


def test_a_board_without_the_sites_is_refused() -> None:
    with pytest.raises(Refused, match="9-3-1 network needs a site at row 9, column 3"):
        place((9, 3, 1), CROSSINGS[:27])
