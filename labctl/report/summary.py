"""What a run says of itself: its name and bench, what it was to reach, and what came of it.

All of it is in the notes and the configuration that the journal keeps. A run that was interrupted
has no result yet, one that is no training session has no targets either: what is not there is empty
here, and what is there but makes no sense is `BadRun`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labctl.energy import Tariff
from labctl.errors import BadRun, Refused
from labctl.journal import Journal, Note
from labctl.network import place, right
from labctl.programming.write_verify import Ending
from labctl.pulse import Bools, Floats
from labctl.quantity import parse, printable
from labctl.spec import Spec


class State(StrEnum):
    """How far a run has come."""

    FINISHED = "finished"
    STOPPED = "stopped, can be resumed"
    FAILED = "failed"
    OPEN = "not finished"
    """It is running, or it died."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a picture comes from: its small print."""

    run: str
    experiment: str
    bench: str
    kind: str
    """One of board, sim, emulator, replay."""
    board: str
    begun: str
    state: State

    def __str__(self) -> str:
        """One line."""
        bench = f"bench {self.bench} ({self.kind})" if self.bench else ""
        parts = [f"run {self.run}", self.experiment, bench, f"board {self.board}"]
        parts += [f"begun {self.begun}" if self.begun else "", self.state]
        return "  ·  ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, eq=False)
class Goal:
    """What the sites were to become."""

    targets: Floats
    """[S], shape (sites,); NaN for a site without a synapse."""
    layers: tuple[NDArray[np.intp], ...]
    """Which site holds which synapse, one array a layer, shape (inputs, neurons)."""
    tolerance: float
    """Of the target."""
    window: tuple[float, float]
    """[S]"""

    def errors(self, siemens: Floats) -> Floats:
        """Relative distance from the target, shape (sites,)."""
        return siemens / self.targets - 1

    def reached(self, siemens: Floats) -> Bools:
        """True where a conductance is known to be within tolerance, shape (sites,)."""
        return np.abs(self.errors(siemens)) <= self.tolerance

    def synapses(self) -> list[int]:
        """All sites that hold a synapse, layer by layer."""
        return [int(site) for layer in self.layers for site in layer.ravel()]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What the last neuron answered to each pattern."""

    pixels: Floats
    """0 or 1, shape (patterns, 9)."""
    labels: Floats
    """+1 or -1, shape (patterns,)."""
    volts: Floats
    """[V], shape (patterns,)."""
    predicted: Floats
    """[V], shape (patterns,): by ideal amplifiers with the conductances that were read."""
    neurons: str
    """Whose answers they are."""

    @property
    def right(self) -> Bools:
        """True where the sign is that of the label, shape (patterns,)."""
        return right(self.volts, self.labels)


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that a run says of itself."""

    origin: Origin
    labels: tuple[str, ...]
    """What to call each site."""
    crossings: tuple[tuple[int, int], ...]
    """Row and column of each site."""
    tariff: Tariff = field(default_factory=Tariff)
    goal: Goal | None = None
    endings: Mapping[int, Ending] = field(default_factory=dict[int, Ending])
    """Why programming of each site ended."""
    final: Floats | None = None
    """[S], shape (sites,), as read at the end."""
    answers: Answers | None = None

    @property
    def given_up(self) -> dict[int, Ending]:
        """Sites whose programming ended before they were within tolerance, and why."""
        return {site: ending for site, ending in self.endings.items() if ending is not Ending.DONE}


def summary(journal: Journal) -> Summary:
    """What this run says of itself; raises `BadRun` where that makes no sense."""
    notes, meta, spec = journal.notes(), journal.meta, journal.spec
    assignment, result = _last(notes, "assignment"), _last(notes, "result")
    try:
        return Summary(
            origin=_origin(journal.folder.name, meta, spec, notes),
            labels=tuple(spec.label(site) for site in range(len(spec.sites))),
            crossings=tuple((site.row, site.column) for site in spec.sites),
            tariff=_tariff(meta),
            goal=_goal(assignment, result, meta, spec) if assignment else None,
            endings=_endings(result, spec) if result else {},
            final=_by_site(result["conductances_siemens"], spec) if result else None,
            answers=_answers(result, meta, spec) if result else None,
        )
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError, Refused) as error:
        raise BadRun(
            f"{journal.folder} holds notes that make no sense: {printable(str(error))[:200]}",
            allowed="a run written by this version",
        ) from error


def _last(notes: list[Note], kind: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {}
    return next((note.body for note in reversed(notes) if note.kind == kind), nothing)


def _origin(run: str, meta: Mapping[str, Any], spec: Spec, notes: list[Note]) -> Origin:
    return Origin(
        run=run,
        experiment=printable(str(meta.get("experiment", {}).get("name", ""))),
        bench=printable(Path(str(meta.get("bench_source", ""))).stem),
        kind=printable(str(meta.get("bench", {}).get("kind", ""))),
        board=spec.name,
        begun=str(meta.get("created", ""))[:16].replace("T", " "),
        state=_state(notes),
    )


def _state(notes: list[Note]) -> State:
    states = {"result": State.FINISHED, "interrupted": State.STOPPED, "failed": State.FAILED}
    return states.get(notes[-1].kind, State.OPEN) if notes else State.OPEN


def _tariff(meta: Mapping[str, Any]) -> Tariff:
    table = meta.get("bench", {}).get("tariff")
    if not table:
        return Tariff()
    return Tariff(
        printable(str(table["name"])), parse(table["power"], "W"), parse(table["energy_per_pulse"], "J")
    )


def _goal(
    assignment: Mapping[str, Any], result: Mapping[str, Any], meta: Mapping[str, Any], spec: Spec
) -> Goal:
    shapes = [np.array(layer, dtype=np.float64).shape for layer in assignment["weights"]]
    sizes = [shapes[0][0], *(neurons for _, neurons in shapes)]
    low, high = map(float, assignment["window_siemens"])
    return Goal(
        targets=_targets(assignment, result, spec),
        layers=place(sizes, [(site.row, site.column) for site in spec.sites]).sites,
        tolerance=parse(meta["experiment"]["training"]["programming"]["tolerance"], "%"),
        window=(low, high),
    )


def _targets(assignment: Mapping[str, Any], result: Mapping[str, Any], spec: Spec) -> Floats:
    """[S], shape (sites,): those that sites were last programmed to; fine tuning moves them."""
    targets = _by_site(assignment["targets_siemens"], spec)
    for outcome in result.get("outcomes", ()):
        targets[int(outcome["site"])] = float(outcome["target"])
    return targets


def _endings(result: Mapping[str, Any], spec: Spec) -> dict[int, Ending]:
    found = {int(one["site"]): Ending(one["ending"]) for one in result["outcomes"]}
    if not all(0 <= site < len(spec.sites) for site in found):
        raise ValueError("the outcome of a site that the board does not have")
    return found


def _answers(result: Mapping[str, Any], meta: Mapping[str, Any], spec: Spec) -> Answers:
    images = meta["images"]
    pixels, labels = (
        np.array(images["pixels"], dtype=np.float64),
        np.array(images["labels"], dtype=np.float64),
    )
    volts, ideal = (np.array(result[key], dtype=np.float64) for key in ("answers_volts", "predicted_volts"))
    if not (pixels.shape == (len(volts), 9) and labels.shape == volts.shape == ideal.shape):
        raise ValueError("answers that do not fit the patterns")
    return Answers(pixels, labels, volts, ideal, spec.neurons_told)


def _by_site(values: list[float | None], spec: Spec) -> Floats:
    found = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    if found.shape != (len(spec.sites),):
        raise ValueError(f"{len(values)} conductances for {len(spec.sites)} sites")
    return found
