"""The exact crossbar against ngspice, resistor by resistor."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from sim_backend.crossbar import Crossbar, solve
from sim_backend.engine import Engine, Job

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


def netlist(bar: Crossbar, volts: Floats) -> Iterator[str]:
    """Elements; a neuron ends in a source of 0 V, whose current is the output."""
    yield from (f"vs{i} s{i} 0 {v!r}" for i, v in enumerate(volts.tolist()))
    yield from (f"rs{i} s{i} r{i}_0 {ohms!r}" for i, ohms in enumerate(bar.source_ohms.tolist()))
    yield from (f"vm{j} m{j} 0 0" for j in range(bar.columns))
    last = bar.rows - 1
    yield from (f"rn{j} c{last}_{j} m{j} {ohms!r}" for j, ohms in enumerate(bar.sink_ohms.tolist()))
    for i, j in np.ndindex(bar.siemens.shape):
        if bar.siemens[i, j]:
            yield f"rd{i}_{j} r{i}_{j} c{i}_{j} {1 / float(bar.siemens[i, j])!r}"
        if j:
            yield f"rr{i}_{j} r{i}_{j - 1} r{i}_{j} {bar.row_wire_ohms!r}"
        if i:
            yield f"rc{i}_{j} c{i - 1}_{j} c{i}_{j} {bar.column_wire_ohms!r}"
    for name, ohms in (("rf", bar.far_source_ohms), ("rg", bar.far_sink_ohms)):
        for k, one in enumerate([] if ohms is None else ohms.tolist()):
            inner = f"s{k} r{k}_{bar.columns - 1}" if name == "rf" else f"c0_{k} m{k}"
            yield f"{name}{k} {inner} {one!r}"


def by_ngspice(engine: Engine, bar: Crossbar, volts: Floats) -> tuple[Floats, Floats]:
    """Outputs [A] (columns,) and source currents [A] (rows,)."""
    vectors = [f"vm{j}#branch" for j in range(bar.columns)] + [f"vs{i}#branch" for i in range(bar.rows)]
    saved = " ".join(f"i({name.partition('#')[0]})" for name in vectors)
    circuit = "\n".join(["* crossbar", *netlist(bar, volts), f".save {saved}", ".end"])
    found = engine.transient(Job(circuit, 1e-6, 1e-7, tuple(vectors))).values[:, -1]
    return found[: bar.columns], -found[bar.columns :]


CASES = {
    "equal ends": Crossbar(np.full((4, 4), 5e-5), 100.0, 100.0, 1.0, 1.0),
    "unequal": Crossbar(
        np.random.default_rng(0).uniform(1e-5, 1e-4, (8, 6)), np.linspace(10, 900, 8), 70.0, 2.0, 5.0
    ),
    "far ends": Crossbar(
        np.random.default_rng(1).uniform(1e-5, 1e-4, (5, 7)), 50.0, 30.0, 20.0, 10.0, 80.0, 40.0
    ),
    "missing and stuck": Crossbar(
        np.where(np.eye(6) > 0, 0.0, np.where(np.eye(6)[::-1] > 0, 1.0, 3e-5)), 10.0, 10.0, 1.0, 1.0
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_grid_is_what_ngspice_finds(engine: Engine, name: str) -> None:
    bar = CASES[name]
    volts = np.random.default_rng(2).uniform(0.1, 1, bar.rows)
    outputs, sources = by_ngspice(engine, bar, volts)
    found = solve(bar, volts)
    assert found.outputs[0] == pytest.approx(outputs, rel=1e-6)
    assert found.source_amps[0] == pytest.approx(sources, rel=1e-6, abs=1e-6 * np.abs(sources).max())


def test_the_closed_form_is_what_ngspice_finds_with_wires_of_next_to_nothing(engine: Engine) -> None:
    devices = np.random.default_rng(3).uniform(1e-5, 1e-4, (6, 4))
    volts = np.linspace(0.1, 1, 6)
    outputs, _ = by_ngspice(engine, Crossbar(devices, 300.0, 500.0, 1e-5, 1e-5), volts)
    assert solve(Crossbar(devices, 300.0, 500.0), volts).outputs[0] == pytest.approx(outputs, rel=1e-6)
