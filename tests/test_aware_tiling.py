"""Layers on tiles: nothing lost, no pair parted, and what a tile computes is what its own array would."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from labctl.aware import closed_form, tiling
from labctl.aware.technology import Technology
from labctl.aware.wires import effective_with_wires
from labctl.errors import Refused


def technology(tile: tuple[int, int] | None, weights: str = "pairs") -> Technology:
    return Technology(tile=tile, weights=weights)  # type: ignore[arg-type]


def layer(inputs: int, outputs: int, of: Technology) -> Tensor:
    chance = torch.Generator().manual_seed(1)
    columns = 2 * outputs if of.weights == "pairs" else outputs + 1
    return tiling.with_references(
        1e-5 + 9e-5 * torch.rand(inputs, columns, generator=chance, dtype=torch.float64), of
    )


def arrays_of(siemens: Tensor) -> Tensor:
    return closed_form.effective(siemens, 200.0, 100.0)


# ---- the cut -------------------------------------------------------------------------------------


@given(
    st.integers(1, 60),
    st.integers(1, 40),
    st.tuples(st.integers(1, 64), st.integers(2, 64)),
    st.sampled_from(["pairs", "reference"]),
)
def test_every_weight_is_on_one_tile_and_every_tile_fits(
    inputs: int, outputs: int, tile: tuple[int, int], weights: str
) -> None:
    held = np.zeros((inputs, outputs), dtype=int)
    cut = tiling.tiles(inputs, outputs, technology(tile, weights))
    for each in cut:
        held[each.rows, each.outputs] += 1
        assert each.shape[0] <= tile[0]
        assert each.shape[1] <= tile[1]
    assert (held == 1).all()
    heights, widths = ({each.shape[axis] for each in cut} for axis in (0, 1))
    assert max(heights) - min(heights) <= 1
    assert max(widths) - min(widths) <= (2 if weights == "pairs" else 1)


def test_a_layer_that_fits_is_one_array() -> None:
    for tile in (None, (784, 1000), (784, 1001)):
        (only,) = tiling.tiles(784, 500, technology(tile))
        assert only.shape == (784, 1000)
    (only,) = tiling.tiles(784, 500, technology(None, "reference"))
    assert only.shape == (784, 501)


def test_a_layer_is_cut_evenly() -> None:
    cut = tiling.tiles(784, 500, technology((128, 128)))
    assert {each.shape for each in cut} == {(112, 126), (112, 124)}
    assert len(cut) == 7 * 8


def test_pairs_lie_side_by_side_and_references_last() -> None:
    pairs = torch.arange(12.0).reshape(2, 6)  # plus 0, 1, 2; minus 3, 4, 5 in the first row
    first, second = tiling.tiles(2, 3, technology((2, 4)))
    assert first.devices(pairs, 3).tolist() == [[0, 3, 1, 4], [6, 9, 7, 10]]
    assert second.devices(pairs, 3).tolist() == [[2, 5], [8, 11]]
    references = torch.arange(10.0).reshape(2, 5)  # weights 0, 1, 2; references 3, 4
    first, second = tiling.tiles(2, 3, technology((2, 3), "reference"))
    assert first.devices(references, 3).tolist() == [[0, 1, 3], [5, 6, 8]]
    assert second.devices(references, 3).tolist() == [[2, 4], [7, 9]]


def test_every_array_across_has_references_of_its_own() -> None:
    with_one = torch.arange(8.0).reshape(2, 4)
    found = tiling.with_references(with_one, technology((9, 3), "reference"))
    assert found.tolist() == [[0, 1, 2, 3, 3], [4, 5, 6, 7, 7]]
    assert torch.equal(tiling.with_references(with_one, technology((9, 3))), with_one)


@given(st.integers(1, 300), st.integers(2, 40), st.sampled_from(["pairs", "reference"]))
def test_the_width_of_a_matrix_tells_its_outputs(outputs: int, columns: int, weights: str) -> None:
    of = technology((8, columns), weights)
    devices = 2 * outputs if weights == "pairs" else outputs + tiling.arrays_across(outputs, of)
    assert tiling.outputs_of(devices, of) == outputs


# ---- what they compute together ----------------------------------------------------------------


@pytest.mark.parametrize("weights", ["pairs", "reference"])
@pytest.mark.parametrize("tile", [None, (8, 6), (7, 5), (1, 2), (13, 50)])
def test_currents_of_tiles_add_up(weights: str, tile: tuple[int, int] | None) -> None:
    of = technology(tile, weights)
    siemens, volts = layer(20, 9, of), torch.linspace(-1, 1, 20, dtype=torch.float64)
    expected = torch.zeros(siemens.shape[1], dtype=torch.float64)
    for each in tiling.tiles(20, 9, of):
        amps = volts[each.rows] @ arrays_of(each.devices(siemens, 9))
        if weights == "pairs":
            expected[:9][each.outputs] += amps[0::2]
            expected[9:][each.outputs] += amps[1::2]
        else:
            expected[:9][each.outputs] += amps[:-1]
            expected[9 + each.across] += amps[-1]
    torch.testing.assert_close(volts @ tiling.stitched(siemens, of, arrays_of), expected)


def test_one_array_for_all_is_the_closed_form_of_the_layer() -> None:
    of = technology(None)
    siemens = layer(20, 9, of)
    torch.testing.assert_close(tiling.stitched(siemens, of, arrays_of), arrays_of(siemens))


def test_without_resistance_tiles_change_nothing() -> None:
    for weights in ("pairs", "reference"):
        of = technology((7, 5), weights)
        siemens = layer(20, 9, of)
        assert torch.equal(tiling.stitched(siemens, of, lambda each: each), siemens)


def test_smaller_arrays_attenuate_less() -> None:
    kept = []
    for tile in ((32, 32), (16, 16), (8, 8), (4, 4)):
        of = technology(tile)
        siemens = layer(32, 16, of)
        kept.append(float(tiling.stitched(siemens, of, arrays_of).sum() / siemens.sum()))
    assert kept == sorted(kept)


def test_tiles_of_a_shape_are_computed_in_one_call_and_chips_with_them() -> None:
    of = technology((8, 6))
    chips = torch.stack([layer(20, 9, of), layer(20, 9, of).flip(0)])
    shapes: list[tuple[int, ...]] = []

    def effective(arrays: Tensor) -> Tensor:
        shapes.append(tuple(arrays.shape))
        return effective_with_wires(arrays, 100.0, 50.0, 1.0)

    found = tiling.stitched(chips, of, effective)
    assert sorted(shapes) == [(2, 3, 6, 6), (2, 6, 7, 6)]
    for chip, one in zip(chips, found, strict=True):
        torch.testing.assert_close(tiling.stitched(chip, of, effective), one, rtol=1e-10, atol=0)


def test_gradients_reach_every_device() -> None:
    of = technology((3, 4), "reference")
    siemens = (layer(5, 4, of) * 1e5).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda each: tiling.stitched(each, of, lambda tile: closed_form.effective(tile, 0.02, 0.01)), siemens
    )


# ---- what cannot be ----------------------------------------------------------------------------


def test_an_array_without_room_for_one_weight_is_refused() -> None:
    with pytest.raises(Refused, match="64 x 1 have no room for a pair of devices"):
        tiling.tiles(10, 10, technology((64, 1)))
    with pytest.raises(Refused, match="a weight and its reference"):
        tiling.tiles(10, 10, technology((64, 1), "reference"))


def test_a_matrix_that_no_layer_has_is_refused() -> None:
    with pytest.raises(Refused, match="a layer of 7 columns"):
        tiling.stitched(torch.ones(4, 7), technology((8, 8)), arrays_of)
    with pytest.raises(Refused, match="a layer of 1 columns"):
        tiling.stitched(torch.ones(4, 1), technology(None, "reference"), arrays_of)
    with pytest.raises(Refused, match="a layer of 4 columns"):
        tiling.outputs_of(4, technology((8, 3), "reference"))
