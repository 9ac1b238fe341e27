"""Target weights: the gradient, the seed, and what trained networks can take."""

import numpy as np
import pytest

from labctl.errors import BadImages, Refused
from labctl.images import Flips, letters, lines_against_diagonals, parse_image_set
from labctl.network import OUTPUT, Activation, Window
from labctl.training.target_weights import (
    LEAK,
    Noise,
    Recipe,
    backpropagate,
    gradient,
    loss,
    missed_targets,
    noisy_answers,
    score,
    train_targets,
)

WINDOW = Window(low=1 / 30e3, high=1 / 3e3)
QUICK = Recipe(restarts=3, steps=40)


def test_the_gradient_agrees_with_finite_differences() -> None:
    rng = np.random.default_rng(5)
    recipe = Recipe(activations=(Activation(0.7, -100, 100), OUTPUT), margin=3.0)
    weights = (rng.uniform(-1, 1, (2, 9, 3)), rng.uniform(-1, 1, (2, 3, 1)))
    inputs, labels = rng.random((2, 6, 9)), np.array([1.0, 1, -1, -1, -1, 1])

    def losses() -> np.ndarray:
        answers = -((-0.7 * inputs @ weights[0]) @ weights[1])[..., 0]
        return loss(answers, labels, recipe.margin)

    for layer, slope in zip(weights, gradient(weights, inputs, labels, recipe), strict=True):
        for place in [(0, 0), (2, 0), (1, -1)]:
            layer[:, *place] += 1e-6
            above = losses()
            layer[:, *place] -= 2e-6
            assert slope[:, *place] == pytest.approx((above - losses()) / 2e-6, rel=1e-5, abs=1e-8)
            layer[:, *place] += 1e-6


def test_a_measured_forward_pass_gives_the_same_slopes_as_a_computed_one() -> None:
    """Hidden outputs and answers as a chip would show them: the second within `slack` of its rail."""
    rng, labels = np.random.default_rng(5), np.array([1.0, -1.0, 1.0, -1.0])
    weights, inputs = (rng.uniform(-0.3, 0.3, (9, 3)), rng.uniform(-1, 1, (3, 1))), rng.random((4, 9))
    recipe = Recipe()
    hidden = np.clip(-0.7 * inputs @ weights[0], 0, 1)
    computed = gradient(weights, inputs, labels, recipe)
    answers = (-hidden @ weights[1])[:, 0]
    measured = backpropagate([inputs, hidden], answers, weights, labels, recipe.activations, 1.0)
    for one, other in zip(computed, measured, strict=True):
        assert one == pytest.approx(other, abs=1e-12)
    lifted = np.full((4, 3), 0.01)
    free, railed = (
        backpropagate([inputs, lifted], answers, weights, labels, recipe.activations, 1.0, slack)[0]
        for slack in (0.0, 0.02)
    )
    assert railed == pytest.approx(LEAK * free)


def test_both_classes_count_the_same() -> None:
    labels = np.array([1.0, -1, -1, -1])
    assert loss(np.array([0.0, 1, 1, 1]) * labels, labels, 1.0) == pytest.approx(0.5)
    assert loss(np.array([1.0, 0, 0, 0]) * labels, labels, 1.0) == pytest.approx(0.5)


def test_the_same_seed_gives_the_same_weights() -> None:
    first, again, other = (train_targets(letters("z"), QUICK, seed=seed) for seed in (1, 1, 2))
    assert all(
        np.array_equal(a, b) for a, b in zip(first.network.weights, again.network.weights, strict=True)
    )
    assert not np.array_equal(first.network.weights[0], other.network.weights[0])


@pytest.mark.parametrize("letter", ["z", "v", "n"])
def test_every_letter_is_learnt_with_full_margin_and_survives_what_the_paper_tolerates(letter: str) -> None:
    images, rng = letters(letter), np.random.default_rng(99)
    targets = train_targets(images)
    network = targets.network
    assert targets.right == 30
    assert targets.margin > 0.99
    assert max(np.abs(layer).max() for layer in network.weights) <= 1.0
    for error, least in ((0.05, 0.999), (0.10, 0.99)):
        chips = missed_targets(network, WINDOW, error, draws=2000, rng=rng)
        assert score(chips.answers(images.pixels), images.labels).perfect >= least
    noisy = noisy_answers(network, images, Noise(0.15, 0.10), draws=1000, dark=0.0, rng=rng)
    assert score(noisy, images.labels).accuracy >= 0.995


def test_dark_pixels_may_be_biased() -> None:
    images, rng = letters("v"), np.random.default_rng(99)
    recipe = Recipe(dark=0.4)
    targets = train_targets(images, recipe)
    noisy = noisy_answers(targets.network, images, Noise(0.15, 0.10), draws=500, dark=0.4, rng=rng)
    assert targets.right == 30
    assert score(noisy, images.labels).accuracy >= 0.98


@pytest.mark.parametrize(("flips", "least"), [(Flips.NONE, 0.99), (Flips.LOST, 0.97)])
def test_lines_against_diagonals_are_learnt(flips: Flips, least: float) -> None:
    images = lines_against_diagonals(flips)
    targets = train_targets(images, Recipe(noise=Noise(0.05, 0.05), restarts=24, steps=800))
    chips = missed_targets(targets.network, WINDOW, 0.05, draws=1000, rng=np.random.default_rng(0))
    assert targets.right == len(images)
    assert score(chips.answers(images.pixels), images.labels).perfect >= least


def test_noise_injection_pays_under_noise() -> None:
    images = letters("z")
    plain, hardened = (
        train_targets(images, Recipe(noise=noise), seed=4).network for noise in (Noise(), Noise(0.15, 0.10))
    )
    accuracies = [
        score(
            noisy_answers(
                network, images, Noise(0.3, 0.2), draws=500, dark=0.0, rng=np.random.default_rng(1)
            ),
            images.labels,
        ).accuracy
        for network in (plain, hardened)
    ]
    assert accuracies[1] > accuracies[0] + 0.01


def test_noise_is_what_it_says() -> None:
    rng, pixels = np.random.default_rng(0), np.tile([0.0, 1.0], (20000, 1))
    spread = Noise(pixels=0.2).on_inputs(pixels, 0.0, rng) - pixels
    assert spread.std() == pytest.approx(0.2, rel=0.03)
    assert np.abs(Noise(flips=0.1).on_inputs(pixels, 0.0, rng) - pixels).mean() == pytest.approx(
        0.1, rel=0.05
    )
    assert Noise().on_inputs(pixels, 0.4, rng)[0].tolist() == [0.4, 1.0]
    assert Noise(pixels=0.2, unipolar=True).on_inputs(pixels, 0.0, rng).min() == 0.0
    (weights,) = Noise(weights=0.1).on_weights((pixels,), rng)
    assert (weights - pixels).std() == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize("bad", [{"pixels": -0.1}, {"weights": float("nan")}, {"flips": 1.1}])
def test_noise_that_is_no_fraction_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(Refused, match="no fraction"):
        Noise(**bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"restarts": 0},
        {"steps": 0},
        {"sizes": (9, 3)},
        {"sizes": (9, 3, 2)},
        {"dark": 1.0},
        {"rate": float("nan")},
    ],
)
def test_a_recipe_that_trains_nothing_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(Refused, match="trains nothing"):
        Recipe(**bad)  # type: ignore[arg-type]


def test_a_picture_without_light_needs_a_biased_dark() -> None:
    images = parse_image_set('positive = ["000 000 000"]\nnegative = ["110 010 011"]')
    with pytest.raises(BadImages, match="without a lit pixel"):
        train_targets(images, QUICK)
    assert train_targets(images, Recipe(restarts=6, steps=200, dark=0.4)).right == 2


def test_inputs_must_fit_the_images() -> None:
    with pytest.raises(BadImages, match="9 pixels for 4 inputs"):
        train_targets(letters("z"), Recipe(sizes=(4, 3, 1)))
