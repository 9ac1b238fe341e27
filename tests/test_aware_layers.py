"""Layers on crossbars: the closed form against a nodal matrix, gradients against finite differences, and
the quick step of training against the exact one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from labctl.aware import closed_form, leading, mapping, paired, parts  # noqa: E402
from labctl.aware.layers import (  # noqa: E402
    Awareness,
    Crossbar,
    CrossbarConv2d,
    CrossbarLinear,
    calibrate,
    crossbars,
    on_chip,
    project,
    set_chip,
    set_draws,
    set_technology,
)
from labctl.aware.technology import Technology  # noqa: E402
from labctl.errors import Refused  # noqa: E402
from labctl.pulse import Floats  # noqa: E402

HARD = Technology(source=100.0, neuron=50.0)
DRAWN = Technology(source=100.0, neuron=50.0, variation=0.2, programming_error=0.05, stuck_off=0.02)
KINDS = [HARD, HARD.model_copy(update={"weights": "reference"}), DRAWN]
NAMES = ["pairs", "reference", "drawn"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The same sums in the same order, and no fight for cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    yield
    torch.set_num_threads(before)


def layer(inputs: int, outputs: int, technology: Technology, *, exact: bool = False) -> CrossbarLinear:
    """A layer of double precision with weights all over its window."""
    made = CrossbarLinear(inputs, outputs, technology, limit=0.4).double()
    with torch.no_grad():
        made.weight.uniform_(-0.4, 0.4)
    made.refresh = 1 if exact else 1000
    return made.train()


def nodal(siemens: Floats, source: float, neuron: float) -> Floats:
    """[S] effective conductances, by Kirchhoff's current law at every line, Rs and Rn above 0."""
    rows, columns = siemens.shape
    laws = np.zeros((rows + columns, rows + columns))
    laws[:rows, rows:], laws[rows:, :rows] = -siemens, -siemens.T
    np.fill_diagonal(laws, np.concatenate([siemens.sum(1) + 1 / source, siemens.sum(0) + 1 / neuron]))
    volts = np.linalg.solve(laws, np.vstack([np.eye(rows) / source, np.zeros((columns, rows))]))
    return volts[rows:].T / neuron


def some_siemens(*shape: int) -> Floats:
    return np.random.default_rng(5).uniform(1e-5, 1e-4, shape)


@pytest.mark.parametrize(("source", "neuron"), [(100.0, 50.0), (1e-6, 1e-6), (1e6, 1e3), (3.0, 1e6)])
def test_the_closed_form_is_the_nodal_solution(source: float, neuron: float) -> None:
    siemens = some_siemens(30, 20)
    found = closed_form.effective(torch.from_numpy(siemens), source, neuron).numpy()
    np.testing.assert_allclose(found, nodal(siemens, source, neuron), rtol=1e-9)


def test_one_end_alone_is_a_divider_and_no_end_is_nothing() -> None:
    siemens = torch.from_numpy(some_siemens(7, 5))
    by_rows = siemens / (1 + 200.0 * siemens.sum(1, keepdim=True))
    by_columns = siemens / (1 + 300.0 * siemens.sum(0, keepdim=True))
    torch.testing.assert_close(closed_form.effective(siemens, 200.0, 0.0), by_rows, rtol=1e-14, atol=0)
    torch.testing.assert_close(closed_form.effective(siemens, 0.0, 300.0), by_columns, rtol=1e-14, atol=0)
    assert torch.equal(closed_form.effective(siemens, 0.0, 0.0), siemens)
    nearly = closed_form.effective(siemens, 200.0, 1e-9)
    torch.testing.assert_close(nearly, by_rows, rtol=1e-9, atol=0)


def test_chips_in_front_are_solved_one_by_one() -> None:
    siemens = torch.from_numpy(some_siemens(3, 2, 9, 6))
    found = closed_form.effective(siemens, 100.0, 50.0)
    for chip in np.ndindex(3, 2):
        alone = closed_form.effective(siemens[chip], 100.0, 50.0)
        torch.testing.assert_close(found[chip], alone, rtol=1e-12, atol=0)


@pytest.mark.parametrize("ends", [(900.0, 800.0), (900.0, 0.0), (0.0, 800.0)])
def test_the_gradient_of_the_closed_form_agrees_with_finite_differences(ends: tuple[float, float]) -> None:
    x = torch.rand(2, 6, 5, dtype=torch.double, requires_grad=True)  # in units of 100 uS
    assert torch.autograd.gradcheck(
        lambda given: closed_form.effective(given * 1e-4, *ends) * 1e4, x, atol=1e-9, rtol=1e-7
    )


@pytest.mark.parametrize("ohms", [-1.0, float("nan"), float("inf")])
def test_resistances_that_are_none_are_refused(ohms: float) -> None:
    for source, neuron in ((ohms, 1.0), (1.0, ohms)):
        with pytest.raises(Refused, match="0 ohm or more"):
            closed_form.effective(torch.ones(2, 2), source, neuron)


@pytest.mark.parametrize("technology", KINDS, ids=NAMES)
def test_the_gradient_of_a_layer_agrees_with_finite_differences(technology: Technology) -> None:
    made = layer(8, 4, technology, exact=True)
    made.eval().chip = parts.Draws(1, 3, 0)
    volts = torch.randn(3, 8, dtype=torch.double, requires_grad=True)

    def output(weight: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(made, {"weight": weight}, (given,))

    weight = (made.weight.detach() * 0.99).requires_grad_()  # finite differences stay inside the window
    assert torch.autograd.gradcheck(output, (weight, volts), atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("technology", KINDS[:2], ids=NAMES[:2])
def test_weights_come_back_from_their_conductances(technology: Technology) -> None:
    made = layer(6, 3, technology)
    siemens = mapping.siemens(made.weight.mT, made.limit, technology).detach()
    low, high = technology.window
    assert float(siemens.min()) >= low * (1 - 1e-12)
    assert float(siemens.max()) <= high * (1 + 1e-12)
    scale = mapping.scale(made.limit, technology)
    torch.testing.assert_close(mapping.difference(siemens, technology) / scale, made.weight.mT)


def test_targets_lie_as_on_the_chip() -> None:
    pairs = layer(6, 3, HARD)
    np.testing.assert_allclose(pairs.targets()[:, 0::2] + pairs.targets()[:, 1::2], sum(HARD.window))
    scale = mapping.scale(pairs.limit, HARD)
    found = (pairs.targets()[:, 0::2] - pairs.targets()[:, 1::2]) / scale
    np.testing.assert_allclose(found, pairs.weight.detach().numpy().T, atol=1e-12)
    shared = layer(6, 5, KINDS[1].model_copy(update={"tile": (6, 4)}))  # arrays of 3 + 1 and 2 + 1 columns
    assert shared.targets().shape == (6, 7)
    np.testing.assert_allclose(shared.targets()[:, [3, 6]], sum(HARD.window) / 2)


@pytest.mark.parametrize("technology", KINDS[:2], ids=NAMES[:2])
def test_without_ends_a_layer_is_the_plain_product(technology: Technology) -> None:
    made = layer(6, 3, technology.model_copy(update={"source": 0.0, "neuron": 0.0}))
    volts = torch.randn(4, 6, dtype=torch.double)
    torch.testing.assert_close(made(volts), torch.nn.functional.linear(volts, made.weight, made.bias))
    made.awareness = Awareness.STANDARD
    assert torch.equal(made(volts), torch.nn.functional.linear(volts, made.weight, made.bias))


@pytest.mark.parametrize("technology", KINDS, ids=NAMES)
@pytest.mark.parametrize("size", [(9, 4), (60, 40)], ids=["small", "large"])
def test_a_quick_step_computes_what_the_exact_one_does(technology: Technology, size: tuple[int, int]) -> None:
    volts = torch.randn(5, size[0], dtype=torch.double, requires_grad=True)
    made = layer(*size, technology)
    found: dict[int, list[torch.Tensor]] = {}
    for refresh in (1, 1000):
        made.refresh = refresh
        set_draws(made, seed=2)
        given = [made.weight, made.bias, volts]
        output = made(volts)
        found[refresh] = [output.detach(), *torch.autograd.grad((output**2).sum(), given)]
    for exact, quick, within in zip(found[1], found[1000], (1e-7, 3e-3, 1e-6, 1e-6), strict=True):
        assert float((quick - exact).norm() / exact.norm()) < within


def test_the_derivatives_written_out_for_pairs_are_those_of_the_general_form() -> None:
    made = layer(12, 5, HARD)
    volts = torch.randn(4, 12, dtype=torch.double, requires_grad=True)
    weights = made.weight
    slope, middle = mapping.slope(made.limit, HARD), sum(HARD.window) / 2
    short = paired.Pairs(weights, paired.Shape(12, 5, slope, middle, HARD.source, HARD.neuron))
    long = leading.Columns(mapping.siemens(weights.mT, made.limit, HARD), HARD)
    got = [short.currents(volts, torch.zeros_like(weights)), long.currents(volts, torch.zeros(12, 10))]
    torch.testing.assert_close(got[0], got[1], rtol=1e-12, atol=1e-18)
    upstream = torch.randn_like(got[0])
    down = [torch.autograd.grad(one, (weights, volts), upstream) for one in got]
    for one, other in zip(*down, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-16)


def test_what_is_held_between_refreshes_ages_slowly() -> None:
    """Weights that moved by 10 % leave an error of 10 % of what the leading part would have."""
    made = layer(60, 40, HARD)
    volts = torch.randn(5, 60, dtype=torch.double)
    made(volts)
    with torch.no_grad():
        made.weight.mul_(0.9).add_(0.02 * torch.randn_like(made.weight)).clamp_(-0.4, 0.4)
        held = made(volts)
        made.train()
        exact = made(volts)
        form = made._form(*made._pass())
        bare = form.currents(volts, torch.zeros_like(made.weight)) * made._unit() + made.bias
    assert float((bare - exact).norm() / exact.norm()) < 2e-3
    assert float((held - exact).norm()) < 0.35 * float((bare - exact).norm())


@pytest.mark.parametrize("technology", [HARD, DRAWN, HARD.model_copy(update={"tile": (20, 6)})])
def test_a_convolution_is_a_layer_on_patches(technology: Technology) -> None:
    made = CrossbarConv2d(3, 4, 5, technology, padding=2, limit=0.3).double().eval()
    set_chip(made, 2, seed=1)
    images = torch.randn(2, 3, 8, 8, dtype=torch.double)
    with torch.no_grad():
        patches = torch.nn.functional.unfold(images, 5, padding=2)
        wanted = torch.einsum("brp,rc->bcp", patches, made.matrix()) + made.bias[:, None]
        torch.testing.assert_close(made(images), wanted.reshape(2, 4, 8, 8))


def test_chips_differ_and_each_is_always_the_same() -> None:
    network = torch.nn.Sequential(CrossbarLinear(9, 6, DRAWN), torch.nn.ReLU(), CrossbarLinear(6, 3, DRAWN))
    volts = torch.randn(4, 9)
    outputs: dict[int | None, torch.Tensor] = {}
    network.eval()
    with torch.no_grad(), on_chip(network):
        for chip in (0, 1, None):
            set_chip(network, chip, seed=4)
            outputs[chip] = network(volts)
        set_chip(network, 0, seed=4)
        assert torch.equal(network(volts), outputs[0])
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[None])


def test_training_draws_new_devices_each_step_and_can_be_repeated() -> None:
    made = layer(9, 6, DRAWN)
    volts = torch.randn(4, 9, dtype=torch.double)
    set_draws(made, seed=2, first=10)
    first, second = made(volts), made(volts)
    assert not torch.allclose(first, second)
    set_draws(made, seed=2, first=10)
    assert torch.equal(made(volts), first)


def test_no_chip_of_training_is_one_of_evaluation() -> None:
    made = layer(9, 6, DRAWN, exact=True)
    with torch.no_grad():
        set_draws(made, seed=2)
        seen = [made.matrix() for _ in range(4)]
        made.eval()
        for chip in range(6):
            set_chip(made, chip, seed=2)
            assert not any(torch.allclose(made.matrix(), one) for one in seen)


def test_what_is_held_is_renewed_in_time() -> None:
    made = layer(12, 5, HARD)
    form, held, ages = made._form(*made._pass()), leading.Held(3), list[bool]()
    for _ in range(7):
        ages.append(held.due)
        held.rest(form)
    assert ages == [True, False, False, True, False, False, True]


def test_reads_are_noisy_each_time_anew() -> None:
    made = layer(9, 6, HARD.model_copy(update={"read_noise": 0.05})).eval()
    with torch.no_grad():
        first, second = made.matrix(), made.matrix()
        made.technology = HARD
        quiet = made.matrix()
    assert not torch.allclose(first, second)
    assert 0.001 < float((first - quiet).std()) < 0.1


def test_noise_of_reading_is_the_devices_and_not_what_the_circuit_makes_of_them() -> None:
    hard = Technology(source=1e3, neuron=1e3, read_noise=0.05)  # the circuit takes most of it off again
    made = layer(30, 20, hard).eval()
    set_chip(made, 3, seed=1)
    meant = mapping.siemens(made.weight.mT, made.limit, hard)
    with torch.no_grad():
        for number in range(2):
            devices = parts.read(meant, hard, parts.Draws(1, 3, 0), number).numpy()
            wanted = mapping.difference(torch.from_numpy(nodal(devices, 1e3, 1e3)), hard)
            torch.testing.assert_close(made.matrix() * mapping.scale(made.limit, hard), wanted)


@pytest.mark.parametrize("noise", [{"read_noise": 0.05}, {"output_noise": 0.05}], ids=["read", "output"])
def test_a_chip_that_is_set_again_is_read_as_before(noise: dict[str, float]) -> None:
    made = layer(9, 6, HARD.model_copy(update=noise)).eval()
    volts = torch.randn(4, 9, dtype=torch.double)
    with torch.no_grad():
        found = list[torch.Tensor]()
        for chip in (2, 2, 5):
            set_chip(made, chip, seed=1)
            found += [made(volts), made(volts)]
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])
    assert not torch.allclose(found[0], found[1])
    assert not torch.allclose(found[0], found[4])


@pytest.mark.parametrize(("tile", "arrays"), [(None, 1), ((10, 8), 4)])
def test_converters_add_to_each_output_what_they_add_of_a_device(
    tile: tuple[int, int] | None, arrays: int
) -> None:
    """10 % of the current of one device of Ron at the largest input, from each array below another."""
    told = Technology(output_noise=0.1, tile=tile)
    made = layer(40, 50, told).eval()
    made.gain = 3.0
    largest = torch.tensor([0.0, 1.0, 5.0], dtype=torch.double)
    volts = torch.rand(3, 400, 40, dtype=torch.double) * largest[:, None, None]
    volts[:, :, 0] = -largest[:, None]
    with torch.no_grad():
        added = (made(volts) - volts @ made.matrix() - made.bias).std((1, 2))
    device = 1e-4 * 3 / mapping.scale(made.limit, told)
    torch.testing.assert_close(added, 0.1 * device * arrays**0.5 * largest, rtol=0.02, atol=1e-12)
    made.awareness = Awareness.STANDARD
    assert torch.equal(made(volts), torch.nn.functional.linear(volts, made.weight, made.bias))


def test_converters_of_a_convolution_have_the_range_of_their_image() -> None:
    made = CrossbarConv2d(2, 30, 3, Technology(output_noise=0.1), padding=1, limit=0.3).double().eval()
    images = torch.rand(2, 2, 16, 16, dtype=torch.double) * torch.tensor([1.0, 4.0])[:, None, None, None]
    with torch.no_grad():
        noisy = made(images)
        made.technology = Technology()
        added = (noisy - made(images)).std((1, 2, 3))
    device = 1e-4 / mapping.scale(0.3, Technology()) * images.amax((1, 2, 3))
    torch.testing.assert_close(added, 0.1 * device, rtol=0.03, atol=0)


def test_on_chip_gives_everything_back() -> None:
    made = layer(9, 6, HARD)
    made.awareness = Awareness.STANDARD
    volts = torch.randn(4, 9, dtype=torch.double)
    with torch.no_grad(), on_chip(made):
        wanted = volts @ made.matrix() + made.bias
        assert made.awareness is Awareness.TECHNOLOGY
        assert not made.training
        torch.testing.assert_close(made(volts), wanted)
    assert made.awareness is Awareness.STANDARD
    assert made.training


def test_what_was_computed_is_not_kept_when_weights_or_chips_change() -> None:
    made = layer(9, 6, HARD).eval()
    with torch.no_grad():
        before = made.matrix()
        made.weight.data[0, 0] += 0.01
        moved = made.matrix()
        set_technology(made, HARD.model_copy(update={"source": 0.0}))
        other = made.matrix()
    assert not torch.equal(before, moved)
    assert not torch.allclose(moved, other)


def test_a_gain_takes_off_the_mean_attenuation() -> None:
    made = layer(60, 40, HARD).eval()
    with torch.no_grad():
        attenuated = made.matrix()
        calibrate(made)
        corrected = made.matrix()
    meant = made.weight.detach().mT
    assert made.gain > 1.2
    assert float((corrected - meant).norm()) < 0.5 * float((attenuated - meant).norm())


def test_noise_of_reading_has_no_part_in_a_gain() -> None:
    made = layer(60, 40, HARD).eval()
    calibrate(made)
    quiet = made.gain
    made.technology = HARD.model_copy(update={"read_noise": 0.3, "output_noise": 0.3})
    calibrate(made)
    assert made.gain == quiet


@pytest.mark.parametrize("wrong", [0.5, float("nan")])
def test_weights_beyond_the_window_are_refused_until_they_are_projected(wrong: float) -> None:
    made = layer(4, 3, HARD, exact=True)
    with torch.no_grad():
        made.weight[0, 0] = wrong
    with pytest.raises(Refused, match="the window"):
        made.matrix()
    made.refresh = 1000
    made.train()
    with pytest.raises(Refused, match="the window"):
        made(torch.ones(1, 4, dtype=torch.double))
    if wrong > made.limit:  # what is not a number stays none
        project(made)
        made.matrix()
        assert float(made.weight.detach().abs().max()) <= made.limit


def test_a_network_learns_through_its_circuit() -> None:
    """Two classes that differ in three inputs: the loss falls, on attenuated currents, inside the window."""
    generator = torch.Generator().manual_seed(3)
    network = torch.nn.Sequential(
        CrossbarLinear(20, 16, HARD, generator=generator), torch.nn.ReLU(), CrossbarLinear(16, 2, HARD)
    )
    volts = torch.rand(200, 20, generator=generator)
    labels = (volts[:, :3].sum(1) > 1.5).long()
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    losses: list[float] = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(volts), labels)
        loss.backward()
        optimiser.step()
        project(network)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert all(isinstance(one, Crossbar) for one in crossbars(network))
