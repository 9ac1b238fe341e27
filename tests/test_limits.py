"""Limits only ever narrow."""

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import Refused
from labctl.limits import ABSOLUTE, Budget, Limits, allowed_for
from labctl.parts import Site

NAMES = [field.name for field in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_that_is_no_number_cannot_be_made(name: str) -> None:
    with pytest.raises(Refused, match="cannot be kept"):
        Limits(**{name: math.nan})


@pytest.mark.parametrize(
    "limits",
    [
        {"low_volts": 0.1},
        {"high_volts": -0.1},
        *({name: value} for name in ("amps", "least_ohms", "seconds", "joules") for value in (0.0, -1.0)),
    ],
)
def test_limits_that_allow_nothing_cannot_be_made(limits: dict[str, float]) -> None:
    with pytest.raises(Refused, match="cannot be kept"):
        Limits(**limits)


@pytest.mark.parametrize("name", ["pulses", "seconds", "joules"])
@pytest.mark.parametrize("value", [math.nan, 0.0, -1.0])
def test_a_budget_of_nothing_cannot_be_made(name: str, value: float) -> None:
    with pytest.raises(Refused, match="cannot be kept"):
        Budget(**{name: value})


def test_the_stricter_of_two_limits_holds_in_everything() -> None:
    wide = Limits(-3.0, 2.0, 1e-3, 500.0, 10.0, 1.0)
    narrow = Limits(-1.0, 2.5, 1e-4, 1000.0, 20.0, 0.5)
    assert wide & narrow == narrow & wide == Limits(-1.0, 2.0, 1e-4, 500.0, 10.0, 0.5)


@pytest.mark.parametrize(("dopant", "amps"), [("W", 1e-3), ("C", 50e-6), ("Cr", 300e-6), ("Sn", 300e-6)])
def test_nothing_raises_the_absolute_maximum_of_a_dopant(dopant: str, amps: float) -> None:
    site = Site(0, 0, dopant, limits=Limits(-9.0, 9.0, amps=1.0, least_ohms=1e9, seconds=1e9))
    assert site.limits.amps == amps
    assert (site.limits.low_volts, site.limits.high_volts) == (-3.0, 3.0)
    assert site.limits.least_ohms == ABSOLUTE[dopant].least_ohms


@given(
    st.builds(
        Limits,
        st.floats(-1e3, 0),
        st.floats(0, 1e3),
        st.floats(1e-9, 1e3),
        st.floats(1e-3, 1e9),
        st.floats(1e-9, 1e9),
        st.floats(1e-12, 1e9),
    ),
    st.sampled_from(sorted(ABSOLUTE)),
)
def test_a_site_allows_no_more_than_bench_or_dopant(limits: Limits, dopant: str) -> None:
    found, most = allowed_for(dopant, limits), ABSOLUTE[dopant]
    assert found.low_volts >= max(limits.low_volts, most.low_volts)
    for name in ("high_volts", "amps", "least_ohms", "seconds", "joules"):
        assert getattr(found, name) <= min(getattr(limits, name), getattr(most, name))


@pytest.mark.parametrize("limits", [Limits(), Limits(amps=1e-4), Limits(least_ohms=100.0)])
def test_an_unknown_dopant_must_bring_limits_of_its_own(limits: Limits) -> None:
    with pytest.raises(Refused, match="is not known"):
        Site(0, 0, "Xe", limits=limits)


def test_an_unknown_dopant_with_limits_of_its_own_keeps_them() -> None:
    own = Limits(amps=1e-4, least_ohms=100.0)
    assert Site(0, 0, "Xe", limits=own).limits == own
