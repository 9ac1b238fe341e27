"""The quick effective matrix of a wired crossbar, against exact ones: a dense nodal matrix, a merged grid."""

import numpy as np
import pytest
import torch
from torch import Tensor

from labctl.aware import closed_form
from labctl.aware.wires import effective_with_wires
from labctl.errors import Refused
from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.factored import Factored


def devices(rows: int, columns: int, *, seed: int = 0) -> Tensor:
    """[S] 10 to 100 kohm."""
    chance = torch.Generator().manual_seed(seed)
    return 1e-5 + 9e-5 * torch.rand(rows, columns, generator=chance, dtype=torch.float64)


def pairs(rows: int, columns: int) -> Tensor:
    """[S] as training and making leave them: wider weights on some rows than on others, 10 % of variation."""
    rng = np.random.default_rng(0)
    weights = np.clip(rng.normal(0, 0.25, (rows, columns // 2)) * rng.uniform(size=(rows, 1)), -1, 1)
    found = np.stack([5.5e-5 + 4.5e-5 * weights, 5.5e-5 - 4.5e-5 * weights], axis=-1).reshape(rows, columns)
    return torch.tensor(found * (1 + 0.1 * rng.standard_normal(found.shape)))


def nodal(siemens: Tensor, source: float, neuron: float, wire: float) -> Tensor:
    """[S] by one dense matrix of all nodes, column nodes behind row nodes; all resistances above 0."""
    rows, columns = siemens.shape
    node = torch.arange(rows * columns).reshape(rows, columns)
    below = node + rows * columns
    one = torch.ones((), dtype=torch.float64)
    branches = [
        (node[:, :-1], node[:, 1:], one / wire),
        (below[:-1], below[1:], one / wire),
        (node, below, siemens),
    ]
    matrix = torch.zeros(2 * rows * columns, 2 * rows * columns, dtype=torch.float64)
    for left, right, amount in branches:
        for a, b, sign in ((left, left, 1), (right, right, 1), (left, right, -1), (right, left, -1)):
            where, values = (a.flatten(), b.flatten()), (sign * amount).expand(a.shape).flatten()
            matrix = matrix.index_put(where, values, accumulate=True)
    for ends, ohms in ((node[:, 0], source), (below[-1], neuron)):
        matrix = matrix.index_put((ends, ends), (one / ohms).expand(len(ends)), accumulate=True)
    driven = torch.zeros(len(matrix), rows, dtype=torch.float64)
    driven[node[:, 0], torch.arange(rows)] = 1 / source
    return torch.linalg.solve(matrix, driven)[below[-1]].T / neuron


def error(found: Tensor, exact: Tensor) -> float:
    """Of the outputs for grey and for black and white inputs, relative to the largest."""
    rng = np.random.default_rng(1)
    grey, black = rng.uniform(size=(20, len(exact))), rng.uniform(size=(20, len(exact))) < 0.2
    volts = torch.tensor(np.concatenate([grey, black]))
    return float((volts @ (found - exact)).abs().max() / (volts @ exact).abs().max())


def merged(siemens: Tensor, source: float, neuron: float, wire: float) -> Tensor:
    found: Floats = Factored(Crossbar(siemens.numpy(), source, neuron, wire, wire)).effective
    return torch.tensor(found)


# ---- by hand -----------------------------------------------------------------------------------


def test_one_device_is_in_series_with_both_ends() -> None:
    found = effective_with_wires(torch.tensor([[1e-4]], dtype=torch.float64), 300.0, 200.0, 50.0)
    torch.testing.assert_close(found, torch.tensor([[1 / 10500]], dtype=torch.float64))


def test_one_row_on_ideal_neurons_is_a_ladder() -> None:
    # 2 kohm to the first column; behind it 1 kohm of wire and 1 kohm: 1 kohm in all, behind 1 kohm of source
    siemens = torch.tensor([[5e-4, 1e-3]], dtype=torch.float64)
    found = effective_with_wires(siemens, 1000.0, 0.0, 1000.0)
    torch.testing.assert_close(found, torch.tensor([[0.5 / 2000, 0.25 / 1000]], dtype=torch.float64))


def test_one_column_of_ideal_sources_ends_below_its_last_row() -> None:
    siemens = torch.tensor([[1e-3], [5e-4]], dtype=torch.float64)
    found = effective_with_wires(siemens, 0.0, 1000.0, 1000.0)
    torch.testing.assert_close(found, torch.tensor([[0.25 / 1000], [0.5 / 2000]], dtype=torch.float64))


# ---- against the exact matrix ------------------------------------------------------------------


@pytest.mark.parametrize(("source", "neuron", "wire"), [(100, 50, 5), (1e3, 2e3, 300), (300, 10, 10)])
def test_as_many_modes_as_lines_are_exact(source: float, neuron: float, wire: float) -> None:
    siemens = devices(7, 5)
    exact = nodal(siemens, source, neuron, wire)
    found = effective_with_wires(siemens, source, neuron, wire, modes=7)
    assert float((found - exact).abs().max() / exact.max()) < 1e-9


@pytest.mark.parametrize(("source", "neuron"), [(0, 0), (10, 0), (0, 10), (10, 10), (100, 30), (30, 100)])
@pytest.mark.parametrize("wire", [0.01, 1.0, 5.0])
def test_outputs_are_those_of_the_exact_matrix(source: float, neuron: float, wire: float) -> None:
    siemens = devices(48, 64)
    exact = merged(siemens, source, neuron, wire)
    assert error(effective_with_wires(siemens, source, neuron, wire), exact) < 3e-4


@pytest.mark.parametrize(
    ("ends", "wire", "kept", "most"),
    [(1, 0.1, 0.93, 1e-6), (10, 1, 0.59, 5e-5), (100, 1, 0.34, 2e-4), (1, 10, 0.17, 4e-4)],
)
def test_pairs_on_128_lines_keep_what_the_documentation_promises(
    ends: float, wire: float, kept: float, most: float
) -> None:
    siemens = pairs(128, 128)
    exact, found = merged(siemens, ends, ends, wire), effective_with_wires(siemens, ends, ends, wire)
    assert float(exact.sum() / siemens.sum()) == pytest.approx(kept, abs=0.01)
    assert error(found, exact) < most
    assert error(found[:, ::2] - found[:, 1::2], exact[:, ::2] - exact[:, 1::2]) < 4e-3


def test_more_modes_come_nearer() -> None:
    siemens = pairs(64, 96)
    exact = merged(siemens, 100.0, 50.0, 5.0)
    errors = [error(effective_with_wires(siemens, 100.0, 50.0, 5.0, modes=k), exact) for k in (0, 1, 2, 4, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.1
    assert errors[-1] < 1e-4


def test_the_longer_way_is_the_larger_resistance() -> None:
    found = effective_with_wires(torch.full((6, 6), 1e-4, dtype=torch.float64), 10.0, 10.0, 100.0)
    assert bool((found.diff(dim=1) < 0).all())  # from the source at the left
    assert bool((found.diff(dim=0) > 0).all())  # to the neuron below


def test_missing_devices_and_open_lines_conduct_nothing() -> None:
    siemens = devices(12, 10)
    siemens[3], siemens[:, 4], siemens[5, 6] = 0, 0, 0
    found = effective_with_wires(siemens, 100.0, 50.0, 5.0)
    assert error(found, merged(siemens, 100.0, 50.0, 5.0)) < 5e-4
    assert float(found[3].abs().max()) == 0
    assert float(found[:, 4].abs().max()) == 0


# ---- limits ------------------------------------------------------------------------------------


def test_without_wires_it_is_the_closed_form() -> None:
    siemens = devices(30, 20)
    exact = closed_form.effective(siemens, 100.0, 50.0)
    assert torch.equal(effective_with_wires(siemens, 100.0, 50.0, 0.0), exact)
    for wire in (1e-9, 1e-3):
        assert error(effective_with_wires(siemens, 100.0, 50.0, wire), exact) < 5e-5


def test_no_resistance_at_all_leaves_the_devices() -> None:
    siemens = devices(30, 20)
    assert torch.equal(effective_with_wires(siemens, 0.0, 0.0, 0.0), siemens)
    torch.testing.assert_close(effective_with_wires(siemens, 0.0, 0.0, 1e-9), siemens)


def test_what_comes_back_is_what_one_direct_way_leaves_out() -> None:
    siemens = devices(30, 20)
    direct = effective_with_wires(siemens, 100.0, 50.0, 5.0, modes=0)
    assert bool((direct < effective_with_wires(siemens, 100.0, 50.0, 5.0)).all())


def test_chips_and_tiles_are_computed_as_if_alone() -> None:
    together = torch.stack([devices(9, 8, seed=k) for k in range(6)]).reshape(2, 3, 9, 8)
    found = effective_with_wires(together, 100.0, 50.0, 5.0)
    alone = effective_with_wires(together[1, 2], 100.0, 50.0, 5.0)
    torch.testing.assert_close(found[1, 2], alone, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("source", "neuron", "wire"), [(10, 10, 0.01), (1e-3, 0, 1), (100, 30, 1e-6)])
def test_single_precision_is_enough(source: float, neuron: float, wire: float) -> None:
    for siemens in (devices(64, 96), devices(4, 3)):
        exact = effective_with_wires(siemens, source, neuron, wire)
        found = effective_with_wires(siemens.float(), source, neuron, wire)
        assert found.dtype == torch.float32
        assert float((found - exact).abs().max() / exact.max()) < 2e-6


# ---- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "neuron", "wire"), [(0.01, 0.02, 0.03), (0, 0, 0.03), (0.1, 0, 0.01), (0, 0.1, 0.01)]
)
@pytest.mark.parametrize("modes", [0, 1, 3])
def test_the_gradient_is_that_of_finite_differences(
    source: float, neuron: float, wire: float, modes: int
) -> None:
    siemens = (devices(4, 3) * 1e5).requires_grad_()  # 1 to 10 S: of order 1, as the check wants it
    assert torch.autograd.gradcheck(
        lambda each: effective_with_wires(each, source, neuron, wire, modes=modes), siemens, rtol=1e-5
    )


def test_the_gradient_is_nearly_that_of_the_exact_matrix() -> None:
    siemens = devices(14, 12).requires_grad_()
    upstream = torch.rand(14, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    circuit = 300.0, 200.0, 30.0
    (found,) = torch.autograd.grad(effective_with_wires(siemens, *circuit), siemens, upstream)
    (exact,) = torch.autograd.grad(nodal(siemens, *circuit), siemens, upstream)
    assert float((found - exact).norm() / exact.norm()) < 5e-3
    (direct,) = torch.autograd.grad(effective_with_wires(siemens, *circuit, modes=0), siemens, upstream)
    assert float((direct - exact).norm() / exact.norm()) > 5e-2


# ---- what cannot be ----------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_resistances_that_are_none_are_refused(wrong: float, place: int) -> None:
    ohms = [10.0, 10.0, 10.0]
    ohms[place] = wrong
    with pytest.raises(Refused, match=f"{('Rs', 'Rn', 'a wire')[place]} = "):
        effective_with_wires(devices(3, 3), *ohms)


def test_less_than_no_mode_is_refused() -> None:
    with pytest.raises(Refused, match="-1 modes"):
        effective_with_wires(devices(3, 3), 1.0, 1.0, 1.0, modes=-1)
