"""Simulated devices against measured ones: closed-loop programming, and trains of pulses on tungsten.

The measured figures stand in `measured.toml`, with their source. The simulated ones come from the
very procedure that a bench would run (`labctl characterize programming`), on the fast twin, 100
cycles a row, with the cycle-to-cycle spread and the retention of the shipped parameter files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.table import Table
from labctl.addressing import select, wait
from labctl.characterize.procedure import Figures
from labctl.characterize.programming import ClosedLoop, ProgrammingSettings
from labctl.energy import Ledger
from labctl.pulse import Purpose
from labctl.reading import conductance
from labctl.session import run
from labctl.shapes import square
from labctl.site_limits import SiteLimits
from sim_backend.compact import CompactBoard
from sim_backend.settings import SimulatedSettings

MEASURED = Path(__file__).parent / "measured.toml"
SERIES = {"C": 47.5e3}
"""[ohm] of the measurement; 5.11 kohm for the others (their own charges and energies say so)."""
LEAST = {"W": 500.0, "Sn": 500.0, "Cr": 380.0, "C": 3000.0}
LIMIT = {"C": 100e3}
PAUSE = 1.0
"""[s] between a pulse and its read: the measured rows are 2.2 s apart."""
FIGURES = ("first", "pulses", "set_ohms", "set_sd")
TRAINS = {0.4: (15.8e-6, 2.9e-6), 0.5: (40.2e-6, 5.5e-6), 0.8: (69.8e-6, 4.9e-6), 1.0: (110.3e-6, 7.0e-6)}
"""[V] -> [S], mean and standard deviation of 25, after a train of 100 us pulses (Rs 10 kohm)."""
TRAIN_PULSES = 100
STILL = 1e-3
"""Relative change of the conductance by a pulse that does nothing."""


def board(
    dopant: str, series: float, seed: int = 1, parameters: str | None = None, **drawn: bool
) -> CompactBoard:
    """One device of this dopant, with limits of its own: the measurements went beyond labctl's caution."""
    limits = SiteLimits(current=1e-3, least_resistance=LEAST[dopant], energy=10.0)
    return CompactBoard(
        SimulatedSettings(
            layout="selector",
            dopant=f"{dopant} (measured)",
            parameters=parameters or dopant,
            columns=1,
            series=series,
            switch=1.0,
            sense=0.0,
            seed=seed,
            limits=limits,
            **drawn,
        )
    )


def measured() -> list[Mapping[str, Any]]:
    """The rows of `measured.toml`."""
    return list(tomllib.loads(MEASURED.read_text(encoding="utf-8"))["row"])


def simulated(row: Mapping[str, Any], seed: int = 1, cycles: int = 100) -> Figures:
    """The same figures of a simulated device."""
    dopant = row["dopant"]
    procedure = ClosedLoop(
        ProgrammingSettings(
            cycles=cycles,
            set_volts=row["volts"],
            set_seconds=row["seconds"],
            limit=LIMIT.get(dopant, 5e3),
            pause=PAUSE,
        )
    )
    one = board(dopant, SERIES.get(dopant, 5110.0), seed, cycle_to_cycle=True, relaxation=True)
    rows: list[Any] = []
    with one:
        run(procedure.plan(one.spec, 0, rows), one, ledger=Ledger())
    return procedure.summary(one.spec, 0, rows)


def inside(row: Mapping[str, Any], found: Figures) -> list[str]:
    """The figures that lie inside the 95 % interval of the measured ones."""
    return [name for name in FIGURES if row[name][1] <= float(found[name]) <= row[name][2]]


def programming() -> Table:
    """Every row, simulated and measured."""
    lines, total = list[tuple[str, ...]](), 0
    for row in measured():
        found = simulated(row)
        fits = inside(row, found)
        total += len(fits)
        cells = [_cell(name, row, found, name in fits) for name in FIGURES]
        lines.append((row["dopant"], f"{row['volts']:g} V {row['seconds'] * 1e3:g} ms", *cells))
    title = (
        f"closed-loop programming: simulated / measured (95 %); * outside; {total} of {4 * len(lines)} inside"
    )
    return Table(
        title, ("dopant", "set pulse", "first", "pulses", "median R [kohm]", "sd ln R"), tuple(lines)
    )


def _cell(name: str, row: Mapping[str, Any], found: Figures, fits: bool) -> str:
    scale = 1e-3 if name == "set_ohms" else 1.0
    value, low, high = (scale * one for one in row[name])
    return f"{float(found[name]) * scale:.3g}{'' if fits else ' *'} / {value:.3g} ({low:.3g}-{high:.3g})"


def train(volts: float) -> float:
    """[S] of the tungsten device of the trains: a reset, pulses until they do nothing, a rest, a read."""
    one = board("W", 10e3, parameters="W-discovery", relaxation=True)
    spec = one.spec
    reset = select(spec, 0, square(-2.0, 0.1), Purpose.RESET)
    pulse = select(spec, 0, square(volts, 100e-6), Purpose.PROGRAM)
    read = select(spec, 0, square(0.1, 1e-3), Purpose.READ)
    with one:
        one.apply([reset, wait(spec, PAUSE)])
        before = 0.0
        for _ in range(TRAIN_PULSES):
            now = conductance(spec, read, one.apply([pulse, read])[1], 0)
            if abs(now - before) < STILL * before:
                break
            before = now
        return conductance(spec, read, one.apply([wait(spec, PAUSE), read])[1], 0)


def trains() -> Table:
    """Each amplitude, simulated without variation and measured."""
    lines = list[tuple[str, ...]]()
    for volts, (known, sd) in TRAINS.items():
        found = train(volts)
        cells = (f"{found * 1e6:.1f}", f"{known * 1e6:.1f} +- {sd * 1e6:.1f}")
        lines.append((f"{volts:g} V", *cells, f"{100 * (found / known - 1):+.0f} %"))
    title = "tungsten behind 10 kohm after -2 V: pulses of 100 us, at most 100, until they do nothing"
    return Table(title, ("amplitude", "simulated [uS]", "measured [uS]", "difference"), tuple(lines))
