"""What each device model costs, in ngspice and in the fast twin, against the plain metastable switch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.table import Table, ratio, told
from labctl.addressing import infer, select
from labctl.images import letters
from labctl.pulse import Pulse, Purpose
from labctl.shapes import half_sine, join, square
from labctl.spec import Spec
from sim_backend.compact import CompactBoard
from sim_backend.devices.models import MODELS
from sim_backend.ngspice import NgspiceBoard, NgspiceSettings
from sim_backend.simulated import SimulatedBoard

PLAIN = "metastable"
START = 0.05
"""State that every device begins each time from."""


def models() -> Table:
    """The same pulses on the same circuit with each model; tungsten, and the network board with chromium."""
    rows = [
        (
            model,
            name,
            *_against_plain(NgspiceBoard, layout, dopant, model, name),
            *_against_plain(CompactBoard, layout, dopant, model, name),
        )
        for layout, dopant in (("selector", "W"), ("network", "Cr"))
        for name in _cases(NgspiceBoard(_settings(layout, dopant, PLAIN)).spec)
        for model in MODELS
    ]
    head = ("model", "pulses", "ngspice", "of plain", "twin", "of plain")
    return Table("device models against the plain metastable switch, one `apply`", head, tuple(rows))


def _against_plain(
    kind: Callable[[NgspiceSettings], SimulatedBoard], layout: str, dopant: str, model: str, name: str
) -> tuple[str, str]:
    one, plain = (kind(_settings(layout, dopant, which)) for which in (model, PLAIN))
    with one, plain:
        pulses = _cases(one.spec)[name]
        took, _, over = ratio(_each(one, pulses), _each(plain, pulses), 21)
    return told(took), f"{over:.2f}"


def _settings(layout: str, dopant: str, model: str) -> NgspiceSettings:
    return NgspiceSettings.model_validate({"layout": layout, "dopant": dopant, "model": model})


def _each(board: SimulatedBoard, pulses: Sequence[Pulse]) -> Callable[[], None]:
    def once() -> None:
        board._chip.x[:] = START
        board.apply(pulses)

    return once


def _cases(spec: Spec) -> dict[str, Sequence[Pulse]]:
    if spec.neurons:
        return {"30 patterns of 50 us": [infer(spec, 0.1 * p, 50e-6) for p in letters("z").pixels]}
    waves = {
        "read of 100 us": square(0.1, 100e-6),
        "1 V, 100 us": square(1.0, 100e-6),
        "-1 V, 1 ms": square(-1.0, 1e-3),
        "loop of 1 V at 100 Hz": join(half_sine(1.0, 5e-3), half_sine(-1.0, 5e-3)),
    }
    return {name: [select(spec, 0, wave, Purpose.PROGRAM)] for name, wave in waves.items()}
