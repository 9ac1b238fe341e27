"""The device models: their equations against the papers', written out with cases here, and by rows."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.devices import equations, models, parameters
from sim_backend.devices.metastable import MODEL as METASTABLE
from sim_backend.devices.model import HEAD, SCALE, SHUNT, SPEED, Model
from sim_backend.devices.models import MODELS
from sim_backend.devices.parameters import Device

DEVICES = {
    f"{model}-{dopant}": parameters.load(dopant, model)
    for model in MODELS
    for dopant in ("W", "Sn", "Cr", "C")
}
devices = st.sampled_from(list(DEVICES.values()))
volts, states = st.floats(-2.0, 2.0), st.floats(0.0, 1.0)


def of_device(device: Device, v: float, x: float) -> tuple[float, float]:
    """Current and rate by the row."""
    row = equations.prepared(device.vector)
    return equations.current(v, x, row), equations.rate(v, x, row)


# ---- the interface ------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_a_model_tells_what_its_equations_take(model: Model) -> None:
    known = {"v", "x", *model.names, *model.derived}
    taken = {
        name
        for function in (model.current, model.rate)
        for name in inspect.signature(getattr(function, "py_func", function)).parameters
    }
    used = {name for derived in model.derived.values() for name in derived.parameters}
    assert taken <= known <= taken | used
    assert all(one.low < one.high and one.meaning for one in model.parameters)
    assert all(one.low > 0 for one in model.parameters if one.logarithmic)


def test_no_two_models_share_a_name_or_a_number() -> None:
    assert len({model.number for model in MODELS.values()}) == len(MODELS) == 4
    assert list(MODELS) == [model.name for model in MODELS.values()]


@given(devices, volts, states)
def test_rows_give_what_the_models_own_functions_give(device: Device, v: float, x: float) -> None:
    known = device.model.arguments(device.values) | {"v": v, "x": x}
    by_name = [
        function(
            *(known[name] for name in inspect.signature(getattr(function, "py_func", function)).parameters)
        )
        for function in (device.model.current, device.model.rate)
    ]
    assert of_device(device, v, x) == pytest.approx(by_name, rel=1e-12, abs=1e-300)


@given(devices, volts, states)
def test_the_head_of_a_row_stands_for_what_may_happen_to_any_device(
    device: Device, v: float, x: float
) -> None:
    amps, rate = of_device(device, v, x)
    row = device.vector
    row[SPEED], row[SCALE], row[SHUNT] = 0.0, 0.25, 1e-3
    p = equations.prepared(row)
    assert equations.current(v, x, p) == pytest.approx(0.25 * amps + 1e-3 * v, rel=1e-12, abs=1e-300)
    assert equations.rate(v, x, p) == 0.0
    row[SPEED] = 2.0
    assert equations.rate(v, x, equations.prepared(row)) == pytest.approx(2.0 * rate, rel=1e-12)


def test_a_number_that_is_no_models_gives_no_number() -> None:
    row = np.array([17.0, 1.0, 1.0, 0.0, *np.ones(20)])
    assert math.isnan(equations.current(0.1, 0.5, row))
    assert math.isnan(equations.rate(0.1, 0.5, row))


@given(devices, volts, states)
def test_a_device_that_says_it_is_ohmic_is(device: Device, v: float, x: float) -> None:
    row = equations.prepared(device.vector)
    proportional = [equations.current(v * k, x, row) / k for k in (1.0, 0.1)]
    if row[equations.OHMIC]:
        assert proportional[0] == pytest.approx(proportional[1], rel=1e-9)


def test_who_is_ohmic() -> None:
    told = {name: equations.ohmic(device.vector) for name, device in DEVICES.items()}
    assert all(told[f"vteam-{dopant}"] and told[f"metastable-{dopant}"] for dopant in ("W", "Sn", "Cr", "C"))
    assert not any(told[f"yakopcic-{dopant}"] for dopant in ("W", "Sn", "Cr", "C"))
    schottky = METASTABLE.row(DEVICES["metastable-W"].values | {"phi": 0.9})
    assert not equations.ohmic(schottky)


# ---- physics that every model owes --------------------------------------------------------------


@given(devices, states)
def test_nothing_flows_and_nothing_moves_at_no_voltage(device: Device, x: float) -> None:
    amps, rate = of_device(device, 0.0, x)
    assert amps == 0.0
    assert abs(rate) < 1e-25  # per second: a billionth in the age of the universe


@given(devices, volts)
def test_states_stay_between_off_and_on(device: Device, v: float) -> None:
    assert of_device(device, v, 0.0)[1] >= 0.0 >= of_device(device, v, 1.0)[1]


@given(devices, volts, states)
def test_up_above_no_voltage_and_down_below(device: Device, v: float, x: float) -> None:
    amps, rate = of_device(device, v, x)
    assert rate * v >= -1e-25
    assert amps * v >= 0.0


@given(devices, st.floats(-0.3, 0.3), st.floats(0.0, 0.9))
def test_a_further_state_conducts_more(device: Device, v: float, x: float) -> None:
    assert abs(of_device(device, v, x + 0.1)[0]) >= abs(of_device(device, v, x)[0])


# ---- the papers' equations, with their cases ----------------------------------------------------


@given(st.sampled_from(["W", "Sn", "Cr", "C"]), volts, states)
def test_vteam_is_that_of_the_paper(dopant: str, v: float, x: float) -> None:
    device = DEVICES[f"vteam-{dopant}"]
    p = device.values
    rate = 0.0
    if v > p["von"]:
        rate = p["kon"] * (v / p["von"] - 1) ** p["aon"] * (1 - x)
    elif v < -p["voff"]:
        rate = -p["koff"] * (-v / p["voff"] - 1) ** p["aoff"] * x
    amps = v / (x * p["ron"] + (1 - x) * p["roff"])
    assert of_device(device, v, x)[0] == pytest.approx(amps, rel=1e-9)
    assert of_device(device, v, x)[1] == pytest.approx(rate, rel=1e-6, abs=1e-3)


@given(st.sampled_from(["W", "Sn", "Cr", "C"]), volts, states)
def test_yakopcic_is_that_of_the_papers(dopant: str, v: float, x: float) -> None:
    device = DEVICES[f"yakopcic-{dopant}"]
    p = device.values
    rate = 0.0
    if v > p["vp"]:
        inside = math.exp(-p["alphap"] * (x - p["xp"])) * ((p["xp"] - x) / (1 - p["xp"]) + 1)
        rate = p["ap"] * (math.exp(v) - math.exp(p["vp"])) * (inside if x >= p["xp"] else 1.0)
    elif v < -p["vn"]:
        inside = math.exp(p["alphan"] * (x + p["xn"] - 1)) * x / (1 - p["xn"])
        rate = -p["an"] * (math.exp(-v) - math.exp(p["vn"])) * (inside if x <= 1 - p["xn"] else 1.0)
    amps = (p["a1"] if v >= 0 else p["a2"]) * x * math.sinh(p["b"] * v) + p["leak"] * v
    assert of_device(device, v, x)[0] == pytest.approx(amps, rel=1e-9, abs=1e-20)
    assert of_device(device, v, x)[1] == pytest.approx(rate, rel=1e-9, abs=1e-9)


@given(st.sampled_from(["W", "Sn", "Cr", "C"]), volts, states)
def test_sdc_is_what_its_page_says(dopant: str, v: float, x: float) -> None:
    device = DEVICES[f"sdc-{dopant}"]
    p, narrow, slowest = device.values, device.values["narrow_on"], device.values["tau"]
    width = p["width_on"] * (1 - narrow * x if narrow < 0 else 1 / (1 + narrow * x))
    b = p["bend"] * (1 - p["fade"] * x)
    b = max(b, 0.01) if p["fade"] else b
    amps = p["gon"] * x * (math.expm1(b * v) / b if b > 1e-3 else v)
    amps += p["gleak"] * (math.sinh(p["curve"] * v) / p["curve"] if p["curve"] else v)
    rate = 0.0
    if v > 0:
        k = 100 * v / width * math.exp(min((v - p["von"] - p["shift_on"] * x) / width, 300))
        k *= (x + p["nucleus"]) ** p["power_on"]
        rate = k / (1 + slowest * k) * (1 - x)
    elif v < 0:
        k = -100 * v / p["width_off"] * math.exp((-v - p["voff"] - p["shift_off"] * x) / p["width_off"])
        rate = -k / (1 + slowest * k) * x
    assert of_device(device, v, x)[0] == pytest.approx(amps, rel=1e-7 if p["fade"] else 1e-9, abs=1e-16)
    assert of_device(device, v, x)[1] == pytest.approx(rate, rel=1e-9, abs=1e-15 / slowest)


def test_rates_by_hand() -> None:
    # VTEAM, W: twice the threshold is overdrive 1, whatever the power; at x = .25 three quarters can turn on
    p = DEVICES["vteam-W"].values
    assert of_device(DEVICES["vteam-W"], 2 * p["von"], 0.25)[1] == pytest.approx(0.75 * p["kon"], rel=1e-9)
    # sdc at its threshold of twenty widths: 2000 per second, and half of the filament is yet to grow
    plain = {"von": 0.4, "width_on": 0.02, "narrow_on": 0.0, "power_on": 0.0, "shift_on": 0.0, "tau": 1e-9}
    row = equations.prepared(MODELS["sdc"].row(DEVICES["sdc-C"].values | plain))
    assert equations.rate(0.4, 0.5, row) == pytest.approx(1000.0, rel=1e-5)
    one_decade = 0.02 * math.log(10)
    ahead = (0.4 + one_decade) / 0.4 * 10e3
    assert equations.rate(0.4 + one_decade, 0.5, row) == pytest.approx(ahead, rel=1e-4)


def test_the_model_of_a_row_is_known_by_its_number() -> None:
    for device in DEVICES.values():
        assert models.of(device.vector) is device.model
        assert len(device.vector) == HEAD + len(device.model.names)
