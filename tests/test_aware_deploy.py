"""A network on chips: what is programmed, what is asked, and that what chips answer is what was predicted."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from labctl.aware.data import Data
from labctl.aware.deploy import Deployed, deploy
from labctl.aware.deploy_plans import Deploying, foreseen, placed, refuse_window, through_wires
from labctl.aware.deployment import (
    Kernel,
    answers,
    effective,
    full_scales,
    layers_of,
    multiplied,
    vectors_of,
)
from labctl.aware.layers import CrossbarConv2d, CrossbarLinear, on_chip
from labctl.aware.technology import Technology
from labctl.bench import Bench
from labctl.errors import BadRun, Refused, Stopped
from labctl.journal import Journal
from labctl.pages.bill import statement
from labctl.pages.deployment import deployment_page
from labctl.programming.write_verify import Programming
from labctl.pulse import Purpose
from labctl.spec import Spec
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.solve import solve
from tests.crossbars import SwitchedBoard, SwitchedSettings

TECHNOLOGY = Technology(source=50.0, neuron=75.0, wire=2.0, tile=(8, 8))
FAKE = """
class = "tests.crossbars:SwitchedBoard"
kind = "sim"
[board]
rows = 8
columns = 8
series = "50 ohm"
switch = "75 ohm"
wire = "2 ohm"
seed = 7
window = ["10 uS", "100 uS"]
"""


def network(technology: Technology = TECHNOLOGY, *sizes: int, seed: int = 0) -> nn.Sequential:
    """Layers of 12-6-4, or of these sizes, with the weights that they are born with, but larger."""
    generator, inner = torch.Generator().manual_seed(seed), list[nn.Module]()
    widths = sizes or (12, 6, 4)
    for inputs, outputs in pairwise(widths):
        layer = CrossbarLinear(inputs, outputs, technology, generator=generator)
        with torch.no_grad():
            layer.weight.mul_(3.0)
        layer.project()
        inner += [layer, nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *inner[:-1])


def convolutional(technology: Technology = TECHNOLOGY) -> nn.Sequential:
    """Pictures of 6 x 2, padded to 8 x 4: two convolutions, each pooled, 4 channels of 2 x 1 remain."""
    made = torch.Generator().manual_seed(3)
    inner: list[nn.Module] = [
        nn.ZeroPad2d(1),
        CrossbarConv2d(1, 3, 3, technology, padding=1, generator=made),
        nn.MaxPool2d(2),
        nn.ReLU(),
        CrossbarConv2d(3, 4, 3, technology, padding=1, generator=made),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        CrossbarLinear(8, 4, technology, generator=made),
    ]
    for layer in inner:
        if isinstance(layer, CrossbarConv2d | CrossbarLinear):
            with torch.no_grad():
                layer.weight.mul_(2.0)
            layer.project()
    return nn.Sequential(*inner)


def small(count: int = 40) -> Data:
    """Pictures of 6 x 2, and the classes that the convolutional network gives them in software."""
    drawn = np.random.default_rng(6).uniform(0, 1, (2 * count, 1, 6, 2)).astype(np.float32)
    with torch.no_grad():
        labels = convolutional(Technology())(torch.as_tensor(drawn)).argmax(1).numpy()
    return Data(drawn[:count], labels[:count], drawn[count:], labels[count:])


def pictures(inputs: int = 12, count: int = 40) -> Data:
    """Random ones, with the labels that the network of seed 0 gives them."""
    drawn = np.random.default_rng(5).uniform(0, 1, (2 * count, 1, 1, inputs)).astype(np.float32)
    with torch.no_grad():
        labels = (
            network()(torch.as_tensor(drawn)).argmax(1).numpy() if inputs == 12 else np.zeros(2 * count, int)
        )
    return Data(drawn[:count], labels[:count], drawn[count:], labels[count:])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return fake(tmp_path)


def fake(folder: Path, text: str = FAKE) -> Bench:
    path = folder / "fake.toml"
    path.write_text(text)
    return Bench.read(path)


def spec(rows: int = 8, columns: int = 8, **settings: Any) -> Spec:
    return SwitchedBoard(SwitchedSettings(rows=rows, columns=columns, **settings)).spec


# ---- layers and pieces ------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["pairs", "reference"])
@pytest.mark.parametrize("wire", [0.0, 2.0])
def test_pieces_compute_what_the_network_computes(weights: Any, wire: float) -> None:
    technology = TECHNOLOGY.model_copy(update={"weights": weights, "wire": wire})
    made, data = network(technology, 21, 9, 5), pictures(21)
    made[1].gain = 1.7  # pyright: ignore[reportArgumentType]
    layers, flat = layers_of(made), data.test.reshape(40, 21).astype(float)
    assert max(piece.targets.shape for layer in layers for piece in layer.pieces) <= (8, 8)
    by = multiplied(layers)
    found = answers(layers, flat, full_scales(layers, flat, 0.05, by), 0.05, by)
    with torch.no_grad(), on_chip(made):
        expected = made(torch.as_tensor(data.test)).numpy()
    assert found.outputs == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert found.beyond == 0


@pytest.mark.parametrize("weights", ["pairs", "reference"])
def test_convolutions_compute_what_the_network_computes(weights: Any) -> None:
    made = convolutional(TECHNOLOGY.model_copy(update={"weights": weights}))
    layers, data = layers_of(made), small().test.astype(float)
    by = multiplied(layers)
    scales = full_scales(layers, data, 0.05, by)
    found = answers(layers, data, scales, 0.05, by)
    with torch.no_grad(), on_chip(made):
        expected = made(torch.as_tensor(data, dtype=torch.float32)).numpy()
    assert found.outputs == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert found.beyond == 0
    halved = answers(layers, data, [scale / 2 for scale in scales], 0.05, by)
    assert halved.outputs == pytest.approx(found.outputs)
    assert halved.beyond == 40  # each of them has a pixel above a half


def test_a_kernel_by_hand() -> None:
    # 2 x 2 over 2 x 3, no padding: two places, and what it covers row by row
    kernel = Kernel(2, 0)
    found = kernel.patches(np.array([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]))
    assert found.tolist() == [[[1, 2, 4, 5], [2, 3, 5, 6]]]
    outputs = np.array([[10.0, 11.0], [20.0, 21.0]])  # of each place, two channels
    assert kernel.pictures(outputs, (1, 1, 2, 3)).tolist() == [[[[10, 20]], [[11, 21]]]]
    assert vectors_of(layers_of(convolutional()), small().test[0].astype(float)) == (8 * 4, 4 * 2, 1)


def test_a_layer_on_one_array_by_hand() -> None:
    technology = Technology(source=100.0, neuron=0.0)
    made = network(technology, 3, 2)
    (layer,) = layers_of(made)
    (piece,) = layer.pieces
    alone = piece.targets / (1 + 100.0 * piece.targets.sum(axis=1, keepdims=True))
    assert effective(piece.targets, technology) == pytest.approx(alone)
    volts = np.array([[0.02, 0.05, 0.0]])
    amps = volts @ alone
    weights = made[1].weight.detach().numpy().astype(float)  # pyright: ignore
    assert piece.targets[:, 0::2] - piece.targets[:, 1::2] == pytest.approx(
        layer.siemens * weights.T, rel=1e-4
    )
    expected = (amps[:, 0::2] - amps[:, 1::2]) / 0.05 / layer.siemens + layer.bias
    assert layer.outputs([amps], np.array([[0.05]])) == pytest.approx(expected)


def test_a_picture_beyond_the_full_scale_is_scaled_and_counted() -> None:
    layers, data = layers_of(network()), pictures()
    flat, seen = data.test.reshape(40, 12).astype(float), list[float]()

    def noting(piece: Any, volts: Any) -> Any:
        seen.append(float(volts.max()))
        return by(piece, volts)

    by = multiplied(layers)
    scales = full_scales(layers, flat, 0.05, by)
    small = answers(layers, flat, (1.0, scales[1] / 2), 0.05, noting)
    assert small.outputs == pytest.approx(answers(layers, flat, scales, 0.05, by).outputs)
    assert 0 < small.beyond < 40
    assert max(seen) <= 0.05 * (1 + 1e-12)


def test_levels_are_those_of_the_technology() -> None:
    (layer,) = layers_of(network(TECHNOLOGY.model_copy(update={"levels": 4, "tile": None}), 6, 3))
    assert len(np.unique(layer.pieces[0].targets.round(9))) <= 4


def test_other_networks_are_refused() -> None:
    convolution = nn.Sequential(CrossbarConv2d(1, 2, 3, TECHNOLOGY), nn.Flatten())
    bent = nn.Sequential(*network()[:-2], nn.Tanh(), *network()[-1:])
    straight = nn.Sequential(*network()[:-2], *network()[-1:])
    for one in (convolution, bent, straight, nn.Sequential()):
        with pytest.raises(Refused, match="cannot be put on arrays"):
            layers_of(one)


# ---- on a board -------------------------------------------------------------------------------


def test_a_piece_upside_down_on_the_board_is_the_array_of_the_layer() -> None:
    """The board by its dense matrix, the layer by the exact solver: sinks at row 0 and below the last row."""
    board = SwitchedBoard(SwitchedSettings(rows=6, columns=5))
    place = placed(board.spec, (4, 3))
    devices = board.siemens.ravel()[place.sites]
    volts = np.array([0.01, 0.05, 0.0, 0.03])
    from labctl.aware.deploy_plans import multiply

    plan = multiply(board.spec, place, volts[None], Deploying(), lambda count: None)
    with board:
        pulses = next(plan)
        with pytest.raises(StopIteration) as end:
            plan.send(board.apply(pulses))
    exact = solve(Crossbar(devices, 50.0, 75.0, 2.0, 2.0), volts).outputs
    assert end.value.value == pytest.approx(np.atleast_2d(exact), rel=1e-8)
    assert pulses[0].purpose is Purpose.INFER


def test_a_device_is_programmed_to_what_it_reads_through_its_wires() -> None:
    place = placed(spec(), (3, 2))
    assert place.wires.tolist() == [[2, 3], [1, 2], [0, 1]]
    seen = through_wires(np.full((3, 2), 1e-3), place.wires * 2.0)
    assert 1 / seen == pytest.approx(1000 + 2.0 * place.wires)
    assert through_wires(seen, -place.wires * 2.0) == pytest.approx(1e-3)


def test_boards_that_cannot_hold_a_piece_are_refused() -> None:
    with pytest.raises(Refused, match="8 x 8 devices for a piece of 9 x 4"):
        placed(spec(), (9, 4))
    with pytest.raises(Refused, match="no switch"):
        placed(replace(spec(), isolating=False), (2, 2))
    with pytest.raises(Refused, match="a window that cannot hold the weights"):
        refuse_window(spec(), (1e-5, 2e-4))
    with pytest.raises(Refused, match="a window that cannot hold the weights"):
        refuse_window(spec(), (float("nan"), 1e-4))
    refuse_window(spec(), (1e-5, 1e-4))
    assert np.abs(foreseen(spec(), placed(spec(), (2, 2)), Deploying())[0].volts).max() == 0.05


# ---- all of it --------------------------------------------------------------------------------


def done(bench: Bench, base: Path, **options: Any) -> Deployed:
    return deploy(network(), pictures(), [bench], base, "d", **{"pictures": 40, "chips": 2} | options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployed, Path]:
    folder = tmp_path_factory.mktemp("deployed")
    return done(fake(folder), folder), folder / "d"


def test_chips_answer_what_was_predicted(finished: tuple[Deployed, Path]) -> None:
    found, _ = finished
    assert found.agreeing == found.pictures == 40
    assert found.measured == found.predicted
    assert abs(found.measured - found.meant) <= 2
    assert not found.missed
    assert (found.arrays, found.devices) == (2 * 2 + 1, 12 * 12 + 6 * 8)


def test_convolutions_on_chips_answer_what_was_predicted(bench: Bench, tmp_path: Path) -> None:
    told = list[tuple[int, int]]()
    found = deploy(
        convolutional(),
        small(),
        [bench],
        tmp_path,
        "d",
        pictures=12,
        chips=2,
        told=lambda *count: told.append(count),
    )
    assert found.agreeing == found.pictures == 12
    assert found.measured == found.predicted
    vectors = [32 * 2, 8 * 4, 1]  # places, by arrays: 9 x 6, 27 x 8 and 8 x 8 devices in tiles of 8 x 8
    assert found.arrays == 2 + 4 + 1
    assert found.bill.inference.pulses == 12 * sum(vectors)
    assert found.bill.picture_joules == pytest.approx(found.bill.inference.joules / 12)
    assert told[-1] == (found.devices + 12 * sum(vectors),) * 2


def test_the_page_says_what_was_measured_and_predicted(finished: tuple[Deployed, Path]) -> None:
    found, folder = finished
    page = deployment_page(found, folder)
    (accuracies, bill) = (part for part in page.parts if not isinstance(part, str))
    percent = f"{100 * found.measured / 40:.2f} %"
    assert ("measured on the chips", percent) in accuracies.rows
    assert [row[0] for row in bill.rows] == ["programming", "inference"]
    assert page.data["agreeing"] == 40


def test_every_array_has_a_run_and_a_bill_that_agree(finished: tuple[Deployed, Path]) -> None:
    found, folder = finished
    joules, seeds = 0.0, set[int]()
    for path in sorted(folder.glob("layer-*")):
        with Journal.open(folder, path.name) as journal:
            bill = statement(journal)
            seeds.add(journal.meta["bench"]["board"]["seed"])
            assert bill.agrees
            joules += float(bill.ledger.total().joules[0])
            assert [note.kind for note in journal.notes()][-1] == "result"
    assert seeds == set(range(7, 12))
    assert found.bill.programming.joules + found.bill.inference.joules == pytest.approx(joules)
    assert found.bill.inference.pulses == 40 * found.arrays
    assert found.bill.picture_joules == pytest.approx(found.bill.inference.joules / 40)


def test_what_is_done_is_not_done_again(finished: tuple[Deployed, Path]) -> None:
    found, folder = finished
    again = done(fake(folder.parent), folder.parent)
    assert again.bill.programming == found.bill.programming
    assert (again.measured, again.agreeing) == (found.measured, found.agreeing)
    with pytest.raises(BadRun, match="another deployment"):
        deploy(network(seed=1), pictures(), [fake(folder.parent)], folder.parent, "d", pictures=4)


def test_a_deployment_that_was_stopped_goes_on(bench: Bench, tmp_path: Path) -> None:
    lists = iter(range(10**6))
    with pytest.raises(Stopped):
        done(bench, tmp_path, stop=lambda: next(lists) >= 12)
    begun = sorted(path.name for path in (tmp_path / "d").glob("layer-*"))
    found = done(bench, tmp_path)
    assert begun
    assert found.agreeing == 40
    assert not found.missed
    with Journal.open(tmp_path / "d", begun[0]) as journal:
        assert sum(note.kind == "programmed" for note in journal.notes()) == 1
        assert statement(journal).agrees


BENCHES = Path(__file__).parents[1] / "benches"
W = Technology(on=2.3e3, off=5.8e3, source=50.0, neuron=50.0, wire=1.0, tile=(8, 8))


@pytest.mark.parametrize(
    ("bench_file", "sizes"), [("tile-8x8-w-twin.toml", (12, 6, 4)), ("tile-8x8-w-ngspice.toml", (8, 4, 3))]
)
def test_memristors_answer_what_was_predicted(
    bench_file: str, sizes: tuple[int, ...], tmp_path: Path
) -> None:
    """Of every picture; the circuit is that of the bench, the prediction that of `labctl.aware`."""
    made, data = network(W, *sizes), pictures(sizes[0])
    how = Deploying(programming=Programming(visits="in rounds", tolerance=0.05))
    bench = Bench.read(BENCHES / bench_file)
    found = deploy(made, data, [bench], tmp_path, "d", pictures=30, chips=1, how=how)
    assert found.agreeing == 30
    assert not found.missed


def test_progress_ends_at_the_end(bench: Bench, tmp_path: Path) -> None:
    told = list[tuple[int, int]]()
    done(bench, tmp_path, pictures=5, told=lambda count, total: told.append((count, total)))
    assert told[-1][0] == told[-1][1] == 192 + 5 * 5


def test_benches_that_are_too_few_or_recordings_are_refused(bench: Bench, tmp_path: Path) -> None:
    there = Bench(bench.file.model_copy(update={"kind": "emulator"}), bench.source, tmp_path)
    recorded = Bench(bench.file.model_copy(update={"kind": "replay"}), bench.source, tmp_path)
    for benches, why in (
        ([there, there], "takes 5 arrays, and there are 2"),
        ([recorded], "is a recording"),
        ([], "no bench"),
    ):
        with pytest.raises(Refused, match=why):
            deploy(network(), pictures(), benches, tmp_path, "d", pictures=1)
    assert not (tmp_path / "d").exists()


def test_a_deployment_that_cannot_be_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    wide = TECHNOLOGY.model_copy(update={"on": 5e3})
    whole = TECHNOLOGY.model_copy(update={"tile": None})
    for made, why in ((network(wide), "window that cannot hold"), (network(whole), "for a piece of 12 x 12")):
        with pytest.raises(Refused, match=why):
            deploy(made, pictures(), [bench], tmp_path, "d", pictures=1)
    with pytest.raises(Refused, match="41 test pictures"):
        done(bench, tmp_path, pictures=41)
    assert not (tmp_path / "d").exists()
