"""Exported devices: ngspice runs them and they loop as the twin does; the other texts say the same."""

import math
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from labctl.errors import Refused
from labctl.pulse import Floats
from labctl.shapes import Wave, half_sine, join
from sim_backend import path_kernel
from sim_backend.devices import equations, parameters
from sim_backend.devices.export import FORMS, export
from sim_backend.devices.models import MODELS
from sim_backend.devices.parameters import FOLDER, Device
from sim_backend.engine import Engine, Job

DOPANTS = ("W", "Sn", "Cr", "C")
CASES = [pytest.param(model, dopant, id=f"{model}-{dopant}") for model in MODELS for dopant in DOPANTS]
SERIES, SWITCH, SENSE, START = 10e3, 75.0, 180e-12, 0.05
LOOP = join(half_sine(1.2, 5e-3), half_sine(-1.2, 5e-3))


def path_of(model: str, dopant: str) -> str:
    return str(FOLDER / model / f"{dopant}.toml")


# ---- ngspice runs it -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(None, 60.0) as engine:
        yield engine


@pytest.mark.parametrize(("model", "dopant"), CASES)
def test_ngspice_runs_the_exported_file_and_it_loops_as_the_twin_does(
    engine: Engine, model: str, dopant: str
) -> None:
    pairs = " ".join(f"{t!r} {v!r}" for t, v in zip(LOOP.seconds.tolist(), LOOP.volts.tolist(), strict=True))
    circuit = "\n".join(
        [
            "* a user's circuit",
            f"vs s 0 pwl({pairs})",
            f"rs s a {SERIES!r}",
            f"ca a 0 {SENSE!r} ic=0",
            f"x1 a b memristor x0={START!r}",
            f"rc b 0 {SWITCH!r}",
            export(path_of(model, dopant), "ngspice"),
            ".options noacct reltol=1e-6",
            ".save v(a) i(vs)",
            ".end",
        ]
    )
    waves = engine.transient(Job(circuit, float(LOOP.seconds[-1]), 1e-6, ("a", "vs#branch")))
    times, amps = by_twin(parameters.load(dopant, model), LOOP)
    found = np.interp(times[1:], waves.seconds, -waves.values[1])
    assert np.mean((found - amps[1:]) ** 2) / np.mean(amps[1:] ** 2) < 1e-6


WITHOUT_UIC = """
import sys
from PySpice.Spice.NgSpice.Shared import NgSpiceShared
NgSpiceShared.LIBRARY_PATH = sys.argv[1]
ngspice = NgSpiceShared.new_instance()
ngspice.load_circuit(sys.stdin.read())
ngspice.exec_command("tran 1u 10u")
print("x begins at", float(ngspice.plot(None, ngspice.last_plot)["x1.x"]._data[0]))
"""


def test_the_state_begins_at_x0_after_an_operating_point_too() -> None:
    finder = [sys.executable, "-m", "sim_backend.engine_child"]
    library = subprocess.run(finder, capture_output=True, text=True, check=True).stdout.strip()
    circuit = "\n".join(
        ["* a user's circuit", "vs a 0 0", "x1 a 0 m params: x0=0.3", export("Cr", "ngspice", "m"), ".end"]
    )
    command = [sys.executable, "-c", WITHOUT_UIC, library]
    done = subprocess.run(command, input=circuit, capture_output=True, text=True, check=True)
    assert "x begins at 0.3" in done.stdout


def by_twin(device: Device, wave: Wave) -> tuple[Floats, Floats]:
    """Times [s] and currents [A] out of the source, by the kernel of the fast twin."""
    out, counts = np.empty((100_000, 5)), np.zeros(1, dtype=np.intp)
    circuit, state = path_kernel.Circuit(SERIES, SWITCH, SENSE), np.array([START, 0.0])
    volts = np.column_stack([wave.volts, np.zeros_like(wave.volts)])
    ends, rows = np.array([len(wave.seconds) - 1]), device.vector[None]
    used = path_kernel.integrate(wave.seconds, volts, ends, rows, state, circuit, 1e-6, out, counts)
    weights = out[:used, 0]
    ends_of_steps = np.cumsum(1.5 * weights[1::2])
    starts = np.append(0.0, ends_of_steps[:-1])
    times = np.append(0.0, np.column_stack([(starts + ends_of_steps) / 2, ends_of_steps]).ravel())
    return times, out[:used, 3]


# ---- the other texts say the same ---------------------------------------------------------------


def worth(text: str, known: Mapping[str, float]) -> float:
    """What an expression amounts to: Python's arithmetic, but for `a ? b : c`, if(), pow and ln."""
    words = {"ln": math.log, "pow": math.pow, "exp": math.exp, "sinh": math.sinh, "tanh": math.tanh}
    words |= {"max": max, "min": min, "abs": abs, "either": lambda test, a, b: a() if test else b()}
    return float(eval(chosen(text), {"__builtins__": {}} | words | dict(known)))


def chosen(text: str) -> str:
    """With a function `either` in the place of the one choice at the top of an expression."""
    if found := re.search(r"\((\w+(?:\(\w\))?) > 0 \? ", text):
        inner, end = sides(text, found.end(), " : ")
    elif found := re.search(r"\bif\(([^,]*)>0,", text):
        inner, end = sides(text, found.end(), ",")
    else:
        return text
    assert len(inner) == 2
    both = ",".join(f"lambda: ({one})" for one in inner)
    return f"{text[: found.start()]}either({found[1]} > 0,{both}){text[end + 1 :]}"


def sides(text: str, start: int, between: str) -> tuple[list[str], int]:
    """The parts up to the parenthesis that closes, and where that is."""
    depth, parts, place = 1, [""], start
    while True:
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return parts, place
        if depth == 1 and text.startswith(between, place):
            parts, place = [*parts, ""], place + len(between)
            continue
        parts[-1] += text[place]
        place += 1


def expressions(form: str, text: str) -> tuple[str, str, dict[str, float]]:
    """Current and rate, with v and x for voltage and state, and the parameters that are declared."""
    if form == "verilog-a":
        (amps,) = re.findall(r"I\(top, bottom\) <\+ (.*);", text)
        (rate,) = re.findall(r"V\(state\) <\+ idt\((.*), x0\);", text)
        declared = re.findall(r"parameter real (\w+) = ([-+.\de]+)", text)
        return amps, rate, {name: float(number) for name, number in declared}
    (amps,) = re.findall(r"^bd top bottom [iI]=(.*)$", text, re.MULTILINE)
    (rate,) = re.findall(r"^bx 0 x [iI]=(.*)$", text, re.MULTILINE)
    declared = re.findall(r"^(?:\.subckt.* params:|\+) (\w+)=([-+.\de]+)", text, re.MULTILINE)
    amps, rate = (re.sub(r"[{}]", "", one).replace("v(d)", "v").replace("v(x)", "x") for one in (amps, rate))
    return amps, rate, {name: float(number) for name, number in declared}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("model", "dopant"), CASES)
def test_every_text_says_what_the_equations_say(form: str, model: str, dopant: str) -> None:
    device = parameters.load(dopant, model)
    amps, rate, declared = expressions(form, export(path_of(model, dopant), form))
    row = equations.prepared(device.vector)
    assert declared.pop("x0") == device.initial
    for v, x in np.random.default_rng(3).uniform([-1.5, 0.0], [1.5, 1.0], (60, 2)).tolist():
        known = declared | {"v": v, "x": x}
        assert worth(amps, known) == pytest.approx(equations.current(v, x, row), rel=1e-9, abs=1e-18)
        assert worth(rate, known) == pytest.approx(equations.rate(v, x, row), rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_a_text_tells_model_source_units_and_use(form: str) -> None:
    text = export(path_of("sdc", "Cr"), form, "my_device")
    head = [line for line in text.splitlines() if line.startswith(("*", "//"))]
    told = "\n".join(head)
    assert "sdc" in told
    assert "Energies 2024" in told
    prefix = "p_" if form == "xyce" else ""
    assert re.search(rf"\b{prefix}gon = [\d.e-]+ S: conductance", told)
    assert re.search(rf"\b{prefix}narrow_on = [-\d.e]+: how it narrows", told)
    assert "power_on" in next(line for line in head if "0 in this device" in line)
    if form != "verilog-a":
        assert "x1 top bottom my_device params: x0=0.1" in told
        assert ".options reltol=3e-06" in told
    assert text.isascii()
    assert text.count("my_device") >= 1
    assert text.count("(") == text.count(")")
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("form", ["ngspice", "ltspice", "xyce"])
def test_a_subcircuit_is_whole(form: str) -> None:
    lines = [line for line in export(path_of("sdc", "W"), form, "m").splitlines() if line[0] != "*"]
    assert lines[0].startswith(".subckt m top bottom params: x0=0.0")
    assert lines[-1] == ".ends m"
    assert [line[0] for line in lines if line[0] not in ".+"] == ["e", "b", "b", "c", "r"]
    assert lines[-2] == ".ic v(x)={x0}"
    (rate,) = (line for line in lines if line.startswith("bx "))
    assert ("?" in rate) is (form != "ltspice")
    assert ("if(" in rate) is (form == "ltspice")


def test_a_module_is_whole() -> None:
    text = export(path_of("yakopcic", "W"), "verilog-a", "m")
    words = re.findall(r"\b(?:module|endmodule|begin|end|inout|electrical)\b", re.sub(r"//.*", "", text))
    assert words == ["module", "inout", "electrical", "begin", "end", "endmodule"]
    assert '`include "disciplines.vams"' in text
    assert "**" not in re.sub(r"//.*", "", text)


def test_a_power_is_written_as_each_takes_it() -> None:
    from sim_backend.devices.spice import NGSPICE, VERILOG_A, expression
    from tests.test_spice import raised

    assert expression(raised, {"a": "v(a)", "b": 2.5}, NGSPICE) == "(v(a)**2.5)"
    assert expression(raised, {"a": "v(a)", "b": 2.5}, VERILOG_A) == "pow(v(a),2.5)"


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("hspice", "m"),
        ("ngspice", "1m"),
        ("ngspice", "a b"),
        ("xyce", ""),
        ("verilog-a", "module"),
        ("xyce", "mé"),
    ],
)
def test_what_nobody_could_read_is_refused(form: str, name: str) -> None:
    with pytest.raises(Refused) as caught:
        export("Cr", form, name)
    assert caught.value.allowed
