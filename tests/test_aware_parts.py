"""What chance does to conductances: the same for the same chip, as wide as was asked, with a gradient."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from labctl.aware import parts
from labctl.aware.parts import Draws
from labctl.aware.technology import Technology
from labctl.errors import Refused

EVERYTHING = Technology(
    levels=16, programming_error=0.02, stuck_off=0.01, stuck_on=0.02, variation=0.3, read_noise=0.01
)
LOW, HIGH = EVERYTHING.window


def targets(rows: int = 40, columns: int = 30) -> Tensor:
    chance = torch.Generator().manual_seed(5)
    return LOW + (HIGH - LOW) * torch.rand(rows, columns, generator=chance, dtype=torch.float64)


# ---- the same for the same chip ------------------------------------------------------------------


def test_a_chip_is_the_same_whatever_else_was_drawn() -> None:
    first = parts.made(targets(), EVERYTHING, Draws(1, 7, 2))
    torch.manual_seed(3)
    torch.randn(100)
    parts.made(targets(9, 9), EVERYTHING, Draws(1, 6, 2))
    torch.testing.assert_close(parts.made(targets(), EVERYTHING, Draws(1, 7, 2)), first, rtol=0, atol=0)


@pytest.mark.parametrize("distribution", ["normal", "lognormal"])
def test_many_chips_at_once_are_those_that_come_one_by_one(distribution: str) -> None:
    technology = EVERYTHING.model_copy(update={"distribution": distribution, "variation": 0.8})
    chips = (4, 0, 19)
    together = parts.made(targets(), technology, Draws(1, chips, 2))
    assert together.shape == (3, 40, 30)
    for chip, found in zip(chips, together, strict=True):
        alone = parts.made(targets(), technology, Draws(1, chip, 2))
        torch.testing.assert_close(found, alone, rtol=0, atol=0)
    noisy = parts.read(together, technology, Draws(1, chips, 2), number=5)
    alone = parts.read(together[1], technology, Draws(1, 0, 2), number=5)
    torch.testing.assert_close(noisy[1], alone, rtol=0, atol=0)


def test_seeds_chips_layers_parts_and_reads_differ() -> None:
    draws = [Draws(1, 7, 2), Draws(2, 7, 2), Draws(1, 8, 2), Draws(1, 7, 3), Draws(17, 2), Draws(1, -8, 2)]
    found = [draw.normal(part, (20, 20)) for draw in draws for part in ("variation", "read 1", "read 11")]
    for one, other in itertools.combinations(found, 2):
        assert abs(float((one * other).mean())) < 0.25  # 5 sigma of what independent ones give


def test_no_part_uses_the_numbers_of_another() -> None:
    only = Technology(variation=0.3)
    more = Technology(variation=0.3, programming_error=0.1)
    ratio = parts.made(targets(), more, Draws(1, 7)) / parts.made(targets(), only, Draws(1, 7))
    alone = parts.made(targets(), Technology(programming_error=0.1), Draws(1, 7)) / targets()
    torch.testing.assert_close(ratio, alone)


def test_a_larger_sigma_scales_the_same_deviations_in_either_precision() -> None:
    small, large = (parts.made(targets(), Technology(variation=s), Draws(1, 7)) for s in (0.05, 0.1))
    torch.testing.assert_close(large / targets() - 1, 2 * (small / targets() - 1))
    single = parts.made(targets().float(), Technology(variation=0.05), Draws(1, 7))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, small.float(), rtol=1e-6, atol=0)


# ---- each part -----------------------------------------------------------------------------------


def test_nothing_asked_is_nothing_done() -> None:
    there = targets()
    assert parts.made(there, Technology(), Draws(1, 7)) is there
    assert parts.read(there, Technology(), Draws(1, 7)) is there
    assert parts.made(there, Technology(), Draws(1, (0, 1))).shape == (2, 40, 30)


def test_levels_are_evenly_spaced_and_the_gradient_passes() -> None:
    there = targets().requires_grad_()
    found = parts.quantised(there, Technology(levels=4))
    steps = (found - LOW) / ((HIGH - LOW) / 3)
    torch.testing.assert_close(steps, steps.round())
    assert set(steps.round().flatten().tolist()) == {0, 1, 2, 3}
    assert float((found - there).detach().abs().max()) <= (HIGH - LOW) / 6 * (1 + 1e-12)
    found.sum().backward()
    assert there.grad is not None
    assert (there.grad == 1).all()


def test_normal_parts_are_as_wide_as_asked_and_relative_to_the_target() -> None:
    there = targets(300, 300)
    for technology in (Technology(variation=0.1), Technology(programming_error=0.1)):
        deviations = parts.made(there, technology, Draws(1, 7)) / there - 1
        assert float(deviations.mean()) == pytest.approx(0, abs=0.002)
        assert float(deviations.std()) == pytest.approx(0.1, rel=0.02)


def test_a_normal_part_is_drawn_again_where_it_would_be_below_nothing() -> None:
    there = targets(300, 300)
    found = parts.made(there, Technology(variation=0.5), Draws(1, 7)) / there
    assert float(found.min()) >= 0
    density, kept = math.exp(-2) / math.sqrt(2 * math.pi), 0.5 * math.erfc(-2 / math.sqrt(2))
    assert float(found.mean()) == pytest.approx(1 + 0.5 * density / kept, abs=0.008)
    narrow = parts.made(there, Technology(variation=0.25), Draws(1, 7)) / there
    same = found > 0.02
    alike = torch.isclose(found - 1, 2 * (narrow - 1), rtol=1e-4, atol=1e-6)
    assert 0.95 < float((alike & same).double().mean()) < 0.98  # 2.3 % were drawn again


def test_the_log_normal_keeps_the_median() -> None:
    there = targets(300, 300)
    logarithms = torch.log(
        parts.made(there, Technology(variation=0.4, distribution="lognormal"), Draws(1, 7)) / there
    )
    assert float(logarithms.median()) == pytest.approx(0, abs=0.01)
    assert float(logarithms.std()) == pytest.approx(0.4, rel=0.02)


def test_stuck_devices_are_at_the_ends_and_a_larger_part_has_the_smaller() -> None:
    there = targets(300, 300).requires_grad_()
    few, many = (
        parts.made(there, Technology(stuck_off=part, stuck_on=2 * part), Draws(1, 7)) for part in (0.01, 0.02)
    )
    for level, part in ((LOW, 0.02), (HIGH, 0.04)):
        assert float((many == level).double().mean()) == pytest.approx(part, rel=0.1)
        assert bool(((many == level) | (few != level)).all())
    many.sum().backward()
    assert there.grad is not None
    assert bool((there.grad == ((many != LOW) & (many != HIGH))).all())


def test_all_stuck_is_possible() -> None:
    found = parts.made(targets(), Technology(stuck_off=1.0), Draws(1, 7))
    assert bool((found == LOW).all())
    found = parts.made(targets(), Technology(stuck_on=1.0), Draws(1, 7))
    assert bool((found == HIGH).all())


def test_each_read_has_its_own_noise() -> None:
    technology, there = Technology(read_noise=0.05), targets(200, 200)
    first, again, second = (parts.read(there, technology, Draws(1, 7), k) for k in (0, 0, 1))
    assert torch.equal(first, again)
    assert float((second / first - 1).std()) == pytest.approx(0.05 * math.sqrt(2), rel=0.05)


def test_the_gradient_of_everything_drawn_is_that_of_finite_differences() -> None:
    technology = EVERYTHING.model_copy(update={"levels": None})
    there = (targets(4, 5) * 1e5).requires_grad_()  # of order 1, as the check wants it
    assert torch.autograd.gradcheck(
        lambda each: (
            parts.read(parts.made(each * 1e-5, technology, Draws(1, (7, 8))), technology, Draws(1, (7, 8)))
            * 1e5
        ),
        there,
    )


def test_chips_that_are_not_those_of_the_draws_are_refused() -> None:
    with pytest.raises(Refused, match=r"\(3, 40, 30\) for the draws of \(2,\)"):
        parts.made(targets().expand(3, -1, -1), EVERYTHING, Draws(1, (0, 1)))
    with pytest.raises(Refused, match="one chip"):
        parts.read(targets().expand(3, -1, -1), EVERYTHING, Draws(1, 0))
