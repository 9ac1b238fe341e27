"""Known parameters, measured as in the lab and found again: the proof that intervals hold their truth.

A trial draws a device around a shipped set, characterizes it as `labctl characterize iv` does, on an
ordinary simulated bench (a scope's capacitance, the twin's own steps, thermal noise, and the noise of a
good instrument), forgets it, and fits the run folders.
A parameter that the fit calls undetermined is not counted for it or against it. The intervals of a fit
hold all at once with 95 %: of twenty fits one may have a parameter outside.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.table import Table
from labctl.bench import Bench
from labctl.characterization_record import Characterization
from labctl.characterization_run import Advance, begin
from labctl.characterize import protocol_of
from labctl.energy import Ledger
from labctl.fit.estimate import Effort
from labctl.fit.fitting import Fit, Settings, fit
from labctl.fit.readers import Telling, read
from labctl.session import Observer
from labctl.spec import Spec
from sim_backend.devices import parameters
from sim_backend.devices.model import Model
from sim_backend.devices.models import MODELS
from sim_backend.fitting import candidates

TRIALS = 20
BRIEF = Effort(20, 2, 30, 40, 0)
"""Of a search: the data are made by the very model, so it need not look far."""
LOOPS = ((0.5, 1.0), (0.5, 100.0), (1.5, 1.0), (1.5, 10.0), (1.5, 100.0))
"""[V] and [Hz] of the loops of a trial, two cycles each."""
SENSE_NOISE = "60 nA"
"""0.3 mV over 5.11 kohm: what the instrument added in the measurements that the shipped sets come from."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What was true and what was found."""

    truth: Mapping[str, float]
    found: Fit

    def verdicts(self) -> dict[str, bool | None]:
        """Whether the truth is in the interval; None: the fit says that the data do not determine it."""
        return {
            one.name: None if one.undetermined else one.low <= self.truth[one.name] <= one.high
            for one in self.found.estimates
            if not one.nuisance
        }


def recovery(trials: int = TRIALS, dopant: str = "Cr", model: str = "sdc") -> Table:
    """All trials, a row a parameter: how often it was determined, and how often the truth was inside."""
    done = list[Trial]()
    for seed in range(trials):
        done.append(trial(seed, dopant, model))
        missed = [name for name, inside in done[-1].verdicts().items() if inside is False]
        seconds = done[-1].found.seconds
        told = f"NMSE {done[-1].found.mean_nmse:.2e}, missed: {', '.join(missed) or 'none'}, {seconds:.0f} s"
        print(f"trial {seed + 1}: {told}", file=sys.stderr)
    return table(done, dopant, model)


def table(done: Sequence[Trial], dopant: str, model: str) -> Table:
    """The figures of some trials."""
    rows = list[tuple[str, ...]]()
    for name in done[0].verdicts():
        verdicts = [one.verdicts()[name] for one in done]
        known = [verdict for verdict in verdicts if verdict is not None]
        errors = [_of(one.found, name) / one.truth[name] for one in done if one.verdicts()[name] is not None]
        width = f"{100 * float(np.median(np.abs(errors))):.2g} %" if errors else ""
        rows.append((name, f"{len(known)} of {len(done)}", f"{sum(known)} of {len(known)}", width))
    title = f"{len(done)} {model} devices around {dopant}, characterized with noise and fitted"
    head = ("parameter", "determined", "truth inside 95 %", "standard error")
    return Table(title, head, tuple(rows))


def trial(seed: int, dopant: str, model: str, effort: Effort = BRIEF) -> Trial:
    """One device, one run, one fit."""
    truth = drawn(MODELS[model], dopant, seed)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        file = base / "truth.toml"
        file.write_text(_file(MODELS[model], truth), encoding="utf-8")
        recordings = [one for run in characterized(base, file, seed) for one in read(run, Telling())]
    candidate = candidates(dopant)[model]
    settings = Settings(seed=seed, leave_out=False, effort=effort)
    return Trial(truth, fit(candidate, recordings, candidate.starts()[:1], settings))


def drawn(model: Model, dopant: str, seed: int) -> dict[str, float]:
    """A device around the shipped one: a tenth in what is positive, a few millivolts in thresholds."""
    rng = np.random.default_rng(1000 + seed)
    values = dict(parameters.load(dopant, model.name).values)
    for one in model.parameters:
        value, draw = values[one.name], float(rng.standard_normal())
        if value == 0.0 or one.name == "hold":
            continue
        moved = value * math.exp(0.08 * draw) if value > 0 and not one.additive else value * (1 + 0.05 * draw)
        values[one.name] = min(max(moved, one.low), one.high)
    return values


def characterized(base: Path, device: Path, seed: int) -> list[Path]:
    """`labctl characterize iv` on an ordinary bench with this device, a run a loop: their folders.

    The chip's memory makes it one device; the node of the scope and the twin's steps are as always.
    """
    file = base / "bench.toml"
    told = {
        "parameters": str(device), "series": "5.11 kohm", "seed": seed, "memory": str(base / "chip.state"),
        "sense_noise": SENSE_NOISE,
    }  # fmt: skip
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items()]
    file.write_text("\n".join([BENCH, *lines, '[board.limits]\nlongest_pulse = "2 s"\n']), encoding="utf-8")
    bench, folders = Bench.read(file), list[Path]()
    for k, (volts, hertz) in enumerate(LOOPS):
        drive = {"amplitude": f"{volts} V", "frequency": f"{hertz} Hz", "shape": "sine"}
        protocol = protocol_of("iv", {**drive, "cycles": 2, "points": 200}, "recovery")
        begin(Characterization(protocol, (0,), bench), base, f"loop-{k + 1}", _nobody)
        folders.append(base / f"loop-{k + 1}")
    return folders


BENCH = """
class = "sim_backend.compact:CompactBoard"
kind = "sim"
[board]
layout = "selector"
columns = 1
thermal_noise = true
"""


def _nobody(advance: Advance, spec: Spec, ledger: Ledger) -> Observer:
    """Nobody watches."""
    return lambda pulses, traces, booked: None


def _file(model: Model, values: Mapping[str, float]) -> str:
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    return "\n".join([f'model = "{model.name}"', 'dopant = "Cr"', "[parameters]", *lines]) + "\n"


def _of(found: Fit, name: str) -> float:
    return next(one.error for one in found.estimates if one.name == name)
