"""Errors that are meant, noise that is applied, and how many answers are right under it."""

import numpy as np
import pytest

from labctl.energy import Ledger
from labctl.images import letters
from labctl.network import right
from labctl.session import run
from labctl.training import inference
from labctl.training.assignment import (
    LEAST_FACTOR,
    Assignment,
    ConductanceError,
    Software,
    assign,
    assigned,
    error_factors,
)
from labctl.training.controller import Training, train
from labctl.training.inference import disturbed
from sim_backend.compact import CompactBoard, SimulatedSettings

QUICK = Software(steps=100, restarts=4)


def board() -> CompactBoard:
    return CompactBoard(SimulatedSettings(layout="network", dopant="W", pixel=0.04))


def goal() -> Assignment:
    return assign(letters("z"), board().spec, QUICK)


def test_a_conductance_error_is_gaussian_and_relative_and_leaves_every_target_positive() -> None:
    factors = error_factors(ConductanceError(error=0.1, seed=3), 20_000)
    assert factors.mean() == pytest.approx(1.0, abs=0.003)  # four standard errors of 0.1 / sqrt(20,000)
    assert factors.std() == pytest.approx(0.1, rel=0.02)
    wide = error_factors(ConductanceError(error=0.4, seed=3), 20_000)
    assert wide.min() >= LEAST_FACTOR
    assert np.array_equal(wide, error_factors(ConductanceError(error=0.4, seed=3), 20_000))
    assert not np.array_equal(wide, error_factors(ConductanceError(error=0.4, seed=4), 20_000))


def test_targets_are_missed_by_just_these_factors() -> None:
    meant, missed = goal(), ConductanceError(error=0.2, seed=5)
    found = assigned(meant.images, meant.network, board().spec, missed)
    assert found.targets / meant.targets == pytest.approx(error_factors(missed, len(meant.targets)))


def test_noise_is_of_the_level_that_is_asked_for_and_flips_are_flips() -> None:
    how, images = inference.Testing(noise=(0.1, 0.3), flips=(0.2,), draws=200), letters("z").pixels
    plain = np.tile(images, (200, 1))
    (_, _, low), (_, _, high), (kind, level, flipped) = disturbed(goal(), how)
    assert (low - plain).std() == pytest.approx(0.1, rel=0.02)
    assert (high - plain).std() == pytest.approx(0.3, rel=0.02)
    assert low.min() < 0  # applied as it is, not cut off
    assert (kind, level) == ("flips", 0.2)
    assert set(np.unique(flipped)) == {0.0, 1.0}
    assert (flipped != plain).mean() == pytest.approx(0.2, rel=0.03)


def test_a_chip_answers_to_noisy_pixels_as_its_conductances_say() -> None:
    how = Training(software=QUICK, testing=inference.Testing(noise=(0.0, 0.4), draws=10))
    chip, aim, ledger = board(), goal(), Ledger()
    with chip:
        found = run(train(aim, chip.spec, how), chip, ledger=ledger)
    quiet, noisy = found.tested
    assert (quiet.right, quiet.of) == (10 * found.right, 300)
    weights = aim.placement.by_layer(aim.window.weights(found.conductances))
    network = type(aim.network)(weights, aim.network.activations)
    pixels = list(disturbed(aim, how.testing))[1][2]
    expected = int(right(network.answers(pixels), np.tile(aim.images.labels, 10)).sum())
    assert expected < 300  # the noise is enough to tell
    assert noisy.right == pytest.approx(expected, abs=3)
