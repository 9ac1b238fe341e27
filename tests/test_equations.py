"""The device equations against the published ones, which are written out here.

Mean metastable switch: Nugent and Molter, PLoS ONE 9, e85175; its Schottky branch: arXiv:1608.04659.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.pulse import Floats
from sim_backend.devices import parameters
from sim_backend.devices.equations import current, prepared, rate, tangent
from sim_backend.devices.metastable import (
    MODEL,
    logistic,
    metastable_current,
    metastable_rate,
    rest,
    schottky,
)
from sim_backend.devices.model import SCALE, SHUNT, Model
from sim_backend.devices.models import MODELS

VT = 0.0257
volts = st.floats(-2.0, 2.0)
states = st.floats(0.0, 1.0)
dopants = st.sampled_from(["W", "Sn", "Cr", "C"])


def published_rate(v: float, x: float, p: dict[str, float]) -> float:
    """dx/dt of the mean switch: off ones that turn on less on ones that turn off, in one time constant."""
    on = 1 / (1 + math.exp(-(v - p["von"]) / p["vt"]))
    off = 1 - 1 / (1 + math.exp(-(v + p["voff"]) / p["vt"]))
    return (on * (1 - x) - off * x) / p["tau"]


def numbers(dopant: str, **others: float) -> dict[str, float]:
    """The parameters of a dopant by name, some of them changed."""
    return parameters.load(dopant, "metastable").values | others


def row(values: dict[str, float]) -> Floats:
    """The prepared row of these parameters."""
    return prepared(MODEL.row(values))


@given(st.floats(-700.0, 700.0))
def test_the_logistic_is_the_logistic(z: float) -> None:
    assert logistic(z) == pytest.approx(1 / (1 + math.exp(-z)), rel=1e-12, abs=1e-16)


def test_the_logistic_overflows_nowhere() -> None:
    assert (logistic(-1e300), logistic(0.0), logistic(1e300)) == (0.0, 0.5, 1.0)


@given(dopants, volts, states)
def test_without_hold_the_rate_is_the_published_one(dopant: str, v: float, x: float) -> None:
    values = numbers(dopant, hold=0.0)
    slack = 1e-12 / values["tau"]
    assert rate(v, x, row(values)) == pytest.approx(published_rate(v, x, values), rel=1e-9, abs=slack)


@given(dopants, states)
def test_with_hold_a_state_stays_at_no_voltage(dopant: str, x: float) -> None:
    assert rate(0.0, x, row(numbers(dopant, hold=1.0))) == 0.0


@given(dopants, volts, states)
def test_hold_takes_off_the_rates_at_no_voltage_and_nothing_else(dopant: str, v: float, x: float) -> None:
    p = numbers(dopant)
    on, off = (1 / (1 + math.exp(-z / VT)) for z in (v - p["von"], -(v + p["voff"])))
    on_0, off_0 = (1 / (1 + math.exp(z / VT)) for z in (p["von"], p["voff"]))
    by_hand = (max(on - on_0, 0) * (1 - x) - max(off - off_0, 0) * x) / p["tau"]
    assert rate(v, x, row(p)) == pytest.approx(by_hand, rel=1e-9, abs=1e-12 / p["tau"])


@given(dopants, volts, states)
def test_states_stay_between_off_and_on(dopant: str, v: float, x: float) -> None:
    p = row(numbers(dopant))
    assert rate(v, 0.0, p) >= 0.0 >= rate(v, 1.0, p)
    assert rate(v, x, p) * v >= 0.0  # up above 0 V, down below


def test_rates_by_hand() -> None:
    # Cr at .313 V and x = 0: half of the switches turn on in a time constant, less what is held back
    p = numbers("Cr")
    held = 1 / (1 + math.exp(0.313 / VT))
    assert rate(0.313, 0.0, row(p)) == pytest.approx((0.5 - held) / 5.3e-4, rel=1e-9)
    assert rest(0.313, VT, 1.0) == pytest.approx(held, rel=1e-9)
    assert rest(0.313, VT, 0.0) == 0.0
    assert metastable_rate(10.0, 0.25, 0.3, 0.1, 2.0, VT, 0.0, 0.0) == pytest.approx(0.75 / 2.0)


def test_currents_by_hand() -> None:
    # half of the switches on: 1/2k + 1/200k = 505 uS; .2 V
    ohmic = metastable_current(0.2, 0.5, 1e3, 1e5, 1.0, 0.0, 1.0, 0.0, 1.0)
    assert ohmic == pytest.approx(101e-6, rel=1e-12)
    mixed = metastable_current(0.2, 0.5, 1e3, 1e5, 0.8, 1e-7, 5.0, 2e-7, 4.0)
    branch = 1e-7 * (math.exp(1.0) - 1) - 2e-7 * (math.exp(-0.8) - 1)
    assert mixed == pytest.approx(0.8 * 101e-6 + 0.2 * branch, rel=1e-12)


@given(volts, st.floats(0.0, 1e-6), st.floats(0.1, 20.0), st.floats(0.1, 20.0))
def test_equal_junctions_are_as_published(v: float, a: float, bf: float, br: float) -> None:
    by_hand = a * math.exp(bf * v) - a * math.exp(-br * v)
    assert schottky(v, a, bf, a, br) == pytest.approx(by_hand, rel=1e-9, abs=1e-20)


@given(st.floats(0.0, 1e-3), st.floats(0.1, 20.0), st.floats(0.0, 1e-3), st.floats(0.1, 20.0))
def test_no_voltage_is_no_current(af: float, bf: float, ar: float, br: float) -> None:
    assert schottky(0.0, af, bf, ar, br) == 0.0
    p = row(numbers("W", phi=0.9, af=af, bf=bf, ar=ar, br=br))
    assert current(0.0, 0.7, p) == 0.0


def test_a_junction_is_no_longer_exponential_where_nothing_survives() -> None:
    assert schottky(1e6, 1e-9, 5.0, 1e-9, 5.0) == pytest.approx(1e-9 * math.exp(50), rel=1e-9)


@pytest.mark.parametrize("dopant", ["W", "Sn", "Cr", "C"])
@pytest.mark.parametrize("model", list(MODELS.values()), ids=lambda model: model.name)
@given(v=volts, x=states)
def test_a_tangent_has_the_current_and_its_slope(model: Model, dopant: str, v: float, x: float) -> None:
    made = model.row(parameters.load(dopant, model.name).values)
    made[SCALE], made[SHUNT] = 0.9, 1e-6
    p = prepared(made)
    amps, slope = tangent(v, x, p)
    assert amps == pytest.approx(current(v, x, p), rel=1e-14)
    by_difference = (current(v + 1e-6, x, p) - amps) / 1e-6
    assert slope == pytest.approx(by_difference, rel=1e-4, abs=1e-12)
