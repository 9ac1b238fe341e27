"""Training and evaluation of small networks: the fall, the recovery, and that both can be had again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from labctl.aware import evaluation, layers, networks  # noqa: E402 - after torch is known to be there
from labctl.aware.data import Data, DataTable, load  # noqa: E402
from labctl.aware.file import Network, Training  # noqa: E402
from labctl.aware.technology import Technology  # noqa: E402
from labctl.aware.training import Trainer  # noqa: E402
from labctl.errors import BadConfig, BadData  # noqa: E402

TABLE = DataTable(set="digits")
FCN = Network(hidden=(64,))
CNN = Network(kind="cnn", side=8, channels=(16, 32), hidden=(64,))
CHIPS = Technology(source=300.0, neuron=1e3, variation=0.1)
"""Rs/Ron = 3 %, Rn/Ron = 10 %: lines of 64 crossings attenuate as those of 784 do at a tenth of it."""
RECIPE = Training(rate=3e-3)
FEW = 4


@pytest.fixture(scope="module")
def data() -> Data:
    return load(TABLE)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(table: Network = FCN, technology: Technology = CHIPS, seed: int = 0) -> torch.nn.Module:
    return networks.build(table, TABLE, technology, seed)


def trained(start: torch.nn.Module, data: Data, aware: str, epochs: int) -> torch.nn.Module:
    trainer = Trainer(copy.deepcopy(start), data, RECIPE, aware, epochs, seed=0)
    for _ in range(epochs):
        trainer.epoch()
    return trainer.network


def percent(right: int, data: Data) -> float:
    return 100 * right / len(data.test)


def on_chips(network: torch.nn.Module, data: Data, technology: Technology = CHIPS) -> float:
    right = [evaluation.right_on_chip(network, data, technology, chip) for chip in range(FEW)]
    return percent(sum(right), data) / FEW


def fall_and_recovery(table: Network, data: Data, epochs: int) -> tuple[float, float, float]:
    start = trained(network(table), data, "standard", epochs)
    standard = trained(start, data, "standard", 5)
    aware = trained(start, data, "technology", 5)
    ideal = percent(evaluation.right_in_software(standard, data), data)
    return ideal, on_chips(standard, data), on_chips(aware, data)


@pytest.mark.parametrize(("table", "epochs"), [(FCN, 15), (CNN, 12)], ids=["fcn", "cnn"])
def test_standard_training_falls_and_training_that_knows_the_technology_does_not(
    table: Network, epochs: int, data: Data
) -> None:
    ideal, standard, aware = fall_and_recovery(table, data, epochs)
    assert ideal > 92
    assert standard < ideal - 30
    assert aware > ideal - 2


def test_on_a_perfect_chip_a_network_is_what_it_is_in_software(data: Data) -> None:
    perfect = Technology()
    net = trained(network(technology=perfect), data, "standard", 3)
    right = evaluation.right_in_software(net, data)
    assert (
        abs(evaluation.right_on_chip(net, data, perfect, chip=None) - right) <= 1
    )  # a tie in single precision


def test_evaluation_leaves_a_network_as_it_was(data: Data) -> None:
    net = network()
    before = [(one.technology, one.awareness, one.chip, one.training) for one in layers.crossbars(net)]
    evaluation.right_on_chip(net, data, Technology(neuron=5.0), chip=2, seed=3)
    evaluation.right_in_software(net, data)
    assert [
        (one.technology, one.awareness, one.chip, one.training) for one in layers.crossbars(net)
    ] == before


def test_a_network_is_tried_on_the_chips_that_are_asked_for_not_on_those_it_was_made_for(data: Data) -> None:
    net = trained(network(technology=Technology()), data, "standard", 5)
    with_circuit = evaluation.right_on_chip(net, data, CHIPS, chip=0)
    assert with_circuit < evaluation.right_on_chip(net, data, Technology(), chip=0) - 50


def test_chips_differ_and_each_is_always_the_same(data: Data) -> None:
    net = trained(network(), data, "technology", 2)
    wide = Technology(source=300.0, neuron=1e3, variation=0.5)
    first = [evaluation.right_on_chip(net, data, wide, chip) for chip in range(FEW)]
    again = [evaluation.right_on_chip(net, data, wide, chip) for chip in reversed(range(FEW))]
    assert len(set(first)) > 1
    assert first == again[::-1]


def test_training_twice_gives_the_same_weights_bit_for_bit(data: Data) -> None:
    found = [networks.weights_of(trained(network(), data, "technology", 2)) for _ in range(2)]
    for name, value in found[0].items():
        np.testing.assert_array_equal(found[1][name], value)


@pytest.mark.parametrize("aware", ["standard", "noise", "technology"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been(
    aware: str, optimizer: str, data: Data
) -> None:
    table = Training(rate=1e-3, optimizer="adam" if optimizer == "adam" else "sgd")
    through = Trainer(network(), data, table, aware, 3, seed=0)
    figures = [through.epoch() for _ in range(3)]
    killed = Trainer(network(), data, table, aware, 3, seed=0)
    killed.epoch()
    state = killed.state()
    resumed = Trainer(network(seed=5), data, table, aware, 3, seed=0)
    resumed.restore(state)
    assert [resumed.epoch() for _ in range(2)] == figures[1:]
    for name, value in through.state().items():
        np.testing.assert_array_equal(resumed.state()[name], value)


def test_training_that_is_exact_in_every_step_is_nearly_the_same(data: Data) -> None:
    quiet = Technology(source=300.0, neuron=1e3)
    found = list[dict[str, np.ndarray[Any, Any]]]()
    for exact in (False, True):
        net = network(technology=quiet)
        trainer = Trainer(net, data, Training(exact=exact), "technology", 1, seed=0)
        assert {one.refresh for one in layers.crossbars(net)} == {1 if exact else 64}
        trainer.epoch()
        found.append(networks.weights_of(net))
    held, exact = (one["1.weight"] for one in found)
    assert 0 < np.linalg.norm(held - exact) < 0.02 * np.linalg.norm(exact)


def test_weights_stay_in_what_the_window_can_hold(data: Data) -> None:
    trainer = Trainer(network(), data, Training(rate=0.3), "standard", 1, seed=0)
    trainer.epoch()
    largest = [
        float(one.weight.detach().abs().max()) / one.limit for one in layers.crossbars(trainer.network)
    ]
    assert max(largest) == pytest.approx(1)  # the rate is so large that some would have left it


def test_noise_aware_training_knows_the_devices_and_not_the_circuit(data: Data) -> None:
    here = Technology(variation=0.1)
    both = [trained(network(technology=one), data, "noise", 1) for one in (here, CHIPS)]
    found = [networks.weights_of(one) for one in both]
    for name, value in found[0].items():
        np.testing.assert_array_equal(found[1][name], value)


def test_gains_are_the_same_as_smaller_biases(data: Data) -> None:
    aware = trained(network(), data, "technology", 2)
    bare = copy.deepcopy(aware)
    product = 1.0
    for layer in layers.crossbars(bare):
        product *= layer.gain
        layer.gain = 1.0
        assert layer.bias is not None
        with torch.no_grad():
            layer.bias /= product
    assert product > 2
    for chip in range(2):
        with_gains = evaluation.right_on_chip(aware, data, CHIPS, chip)
        assert abs(evaluation.right_on_chip(bare, data, CHIPS, chip) - with_gains) <= 1


def test_weights_of_another_network_are_refused() -> None:
    weights = networks.weights_of(network())
    with pytest.raises(BadData, match="another network"):
        networks.set_weights(network(Network(hidden=(32,))), weights)
    with pytest.raises(BadData, match="2 gains for 3 layers"):
        networks.set_weights(network(Network(hidden=(64, 32))), weights)


def test_a_training_that_diverges_says_so(data: Data) -> None:
    trainer = Trainer(network(), data, Training(rate=1e-3), "standard", 2, seed=0)
    spoiled = {name: value * np.nan for name, value in networks.weights_of(trainer.network).items()}
    networks.set_weights(trainer.network, spoiled)
    with pytest.raises(BadConfig, match=r"diverged(.|\n)*training\.rate"):
        trainer.epoch()


def test_a_seed_gives_the_first_weights() -> None:
    first, again, other = (networks.weights_of(network(CNN, seed=seed)) for seed in (1, 1, 2))
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)
    assert any((other[name] != value).any() for name, value in first.items())


def test_the_convolutional_network_has_its_layer_of_4096_by_512() -> None:
    net = networks.build(Network(kind="cnn"), DataTable(), Technology(), 0)
    sizes = [tuple(one.weight.shape) for one in layers.crossbars(net)]
    assert sizes == [(32, 9), (64, 288), (512, 4096), (10, 512)]
    net.eval()
    with torch.no_grad():
        assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
