"""Parameter files: what is in those of the house, and what is said of a bad one."""

from pathlib import Path

import numpy as np
import pytest

from labctl.errors import BadConfig, Unavailable
from labctl.limits import ABSOLUTE
from sim_backend.devices import equations, models, parameters
from sim_backend.devices.models import MODELS

GOOD = "[parameters]\nron = 1e3\nroff = 1e5\nvon = 0.2\nvoff = 0.1\ntau = 1e-3\nvt = 0.0257\n"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dopant", sorted(ABSOLUTE))
def test_every_dopant_has_a_file_with_its_source_for_every_model(dopant: str, model: str) -> None:
    device = parameters.load(dopant, model)
    assert (device.dopant, device.model.name) == (dopant, model)
    assert len(device.source) > 40
    assert 0 <= device.initial < 0.1
    row = equations.prepared(device.vector)
    on, off = (equations.current(0.1, x, row) / 0.1 for x in (1.0, 0.0))
    assert 0 < off < on / 4


@pytest.mark.parametrize("dopant", sorted(ABSOLUTE))
def test_the_plain_model_differs_from_device_to_device_and_keeps_its_limits(dopant: str) -> None:
    device = parameters.load(dopant, "metastable")
    assert {"ron", "von", "tau"} <= set(device.spread)
    assert ABSOLUTE[dopant].least_ohms <= device.values["ron"] < device.values["roff"]


def test_numbers_stand_in_the_order_of_their_names_behind_the_head() -> None:
    head = [0, 1, 1, 0]  # metastable; at full speed, to scale, no shunt
    expected = [381, 173e3, 0.313, 0.153, 5.3e-4, 0.0257, 1, 0, 1, 0, 1, 1]
    device = parameters.load("Cr", "metastable")
    assert device.vector.tolist() == head + expected
    assert device.model.values(device.vector) == device.values
    assert models.of(device.vector) is device.model


def test_a_file_of_ones_own_needs_the_physics_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    device = parameters.load(str(file))
    assert (device.dopant, device.initial, device.read_noise) == ("mine", 0.0, 0.0)
    assert device.spread == device.cycle == {}
    assert device.model.name == "metastable"
    assert device.values["phi"] == device.values["hold"] == 1.0


def test_a_file_says_its_model_and_no_argument_overrules_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    vteam = "ron = 1e3\nroff = 1e5\nvon = 0.2\nvoff = 0.1\nkon = 1e3\nkoff = 1e3\naon = 2\naoff = 1\n"
    file.write_text(f'model = "vteam"\n[parameters]\n{vteam}')
    assert parameters.load(str(file), "sdc").model is MODELS["vteam"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("tau = 1e-3", ""), "lacks tau"),
        (GOOD + "rno = 1", "unknown key parameters.rno"),
        (GOOD.replace("1e3", "0"), "parameters.ron is 0"),
        (GOOD.replace("1e3", "-5.0"), "parameters.ron is -5"),
        (GOOD.replace("1e3", "nan"), "parameters.ron is nan"),
        (GOOD.replace("1e3", "inf"), "parameters.ron is inf"),
        (GOOD.replace("1e3", "true"), "parameters.ron is True"),
        (GOOD.replace("1e3", "'1 kohm'"), "parameters.ron is '1 kohm'"),
        (GOOD + "phi = 1.1", "phi is 1.1"),
        (GOOD + "hold = -1", "hold is -1"),
        (GOOD + "[state]\ninitial = 1.5", "initial is 1.5"),
        (GOOD + "[read]\nnoise = -0.1", "a spread of noise"),
        (GOOD + "[device_to_device]\nron = -0.1", "a spread of ron"),
        (GOOD + "[device_to_devise]\nron = 0.1", "unknown key device_to_devise"),
        (GOOD.replace("tau = 1e-3", "tau = 1e9"), "parameters.tau is 1000000000.0"),
        ('model = "mystery"\n' + GOOD, "metastable, sdc, vteam, yakopcic"),
        ("model = 3\n" + GOOD, "model is 3"),
        ('model = "vteam"\n' + GOOD, "unknown key parameters.tau"),
        ("parameters = 3", "parameters is 3"),
        ("[parameters", "TOML"),
    ],
)
def test_a_bad_file_is_refused_with_its_key(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(BadConfig) as caught:
        parameters.load(str(file))
    assert words in str(caught.value)
    assert str(file) in caught.value.wrong


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadConfig, match="a TOML file in UTF-8"):
        parameters.load(str(file))


@pytest.mark.parametrize("name", ["Xe", "", "/nowhere/at/all.toml"])
def test_an_unknown_device_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(Unavailable) as caught:
        parameters.load(name)
    assert {"C", "Cr", "Sn", "W"} <= set(caught.value.allowed.split(", "))


def test_arguments_have_the_names_of_the_equations_and_what_follows_from_them() -> None:
    found = models.arguments(parameters.load("W", "metastable").vector)
    assert found["ron"] == 1563
    assert found["rest_on"] == pytest.approx(1 / (1 + np.exp(0.288 / 0.0257)), rel=1e-9)
    assert found["rest_off"] == pytest.approx(1 / (1 + np.exp(0.111 / 0.0257)), rel=1e-9)
