"""One fit from beginning to end: recordings in, parameters with their intervals and proofs out.

The proof of a fit is what it was not shown: each recording in turn is left out, the others are fitted
again, and the one left out is predicted. Those searches begin from the sets that come with the model
and from the full optimum; the choice of terms is not repeated, so the figures are a little kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from labctl.errors import BadData, Refused
from labctl.fit.candidate import Candidate, Start
from labctl.fit.estimate import COARSE, Effort, Found, cost, improve, search
from labctl.fit.excerpts import MOST_SAMPLES, Excerpt, excerpt
from labctl.fit.inspection import inspect, switches
from labctl.fit.problem import NUISANCES, Problem
from labctl.fit.recording import Recording, fingerprint
from labctl.fit.uncertainty import Estimate, uncertainty
from labctl.pulse import Floats

POOR = 0.03
"""Mean NMSE above which a fit is asked why: published models reach that on their own loops."""
LEAVE_OUT_STEPS = 20
STRUCTURE_STEPS = 15


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person decides about a fit."""

    fixed: Mapping[str, float] = field(default_factory=dict[str, float])
    """Unknowns that are known."""
    free: tuple[str, ...] = ()
    """Unknowns that the start leaves switched off and that are to be fitted all the same."""
    nuisances: tuple[str, ...] = ()
    """Of `NUISANCES`."""
    seed: int = 0
    robust: bool = False
    """A loss that grows linearly with large residuals."""
    leave_out: bool = True
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What was found, and how far it is to be believed."""

    candidate: Candidate
    parts: Sequence[Excerpt]
    values: Floats
    """All values of the model, shape (unknowns,)."""
    estimates: Sequence[Estimate]
    """Of what was open: the model's unknowns, then nuisances."""
    correlation: Floats
    """shape (estimates, estimates)."""
    predicted: Sequence[Floats]
    """[A] of each excerpt."""
    nmse: Sequence[float]
    left_out: Sequence[float]
    """NMSE of each excerpt as predicted by a fit to the others; empty: not asked for."""
    start: str
    """The shipped set whose terms were taken."""
    samples: float
    """How many independent samples the residuals are worth."""
    seed: int
    fingerprint: str
    seconds: float
    evaluations: int
    remarks: Sequence[str] = ()
    """What a person should know of the fit as a whole."""

    @property
    def mean_nmse(self) -> float:
        """Over the recordings: what was minimized."""
        return float(np.mean(self.nmse))

    @property
    def total_nmse(self) -> float:
        """Squared errors of all recordings together over their squares: the largest currents rule."""
        squares = np.array([part.square for part in self.parts])
        return float((np.array(self.nmse) * squares).sum() / squares.sum())

    @property
    def undetermined(self) -> list[Estimate]:
        """What these data do not determine."""
        return [one for one in self.estimates if one.undetermined and not one.nuisance]

    def interval(self, name: str) -> str:
        """What a parameter file says of a parameter."""
        for one in self.estimates:
            if one.name == name:
                if one.undetermined:
                    return f"not determined by these data: {one.undetermined}"
                return f"95 %: {one.low:.4g} to {one.high:.4g}"
        return "not fitted"


def fit(
    candidate: Candidate,
    recordings: Sequence[Recording],
    starts: Sequence[Start],
    settings: Settings,
    say: Callable[[str], None] = lambda _: None,
) -> Fit:
    """Fit a candidate to recordings. Raises `BadData` where they cannot determine anything."""
    began = time.monotonic()
    parts = prepared(recordings)
    starts = [_opened(candidate, start, settings) for start in starts]
    values, free, chosen = _structure(candidate, parts, starts, settings)
    say(f"{len(parts)} recordings, {len(free)} unknowns of {candidate.name}, terms as in {chosen}")
    coarse, fine = (
        _problem(candidate, parts, most, values, free, settings) for most in (COARSE, MOST_SAMPLES)
    )
    begins = [coarse.start(start.values) for start in starts]
    found = search(coarse, fine, begins, settings.seed, settings.effort, settings.robust)
    say(f"mean NMSE {found.cost:.4g}")
    remarks = _doubts(coarse, found, begins, settings)
    known = uncertainty(fine, found.u)
    left_out = list[float]()
    if settings.leave_out and len(parts) > 1:
        left_out = _left_out(coarse, found, begins, parts, settings, say)
    return Fit(
        candidate, parts, fine.full(found.u), known.estimates, known.correlation,
        [fine.predicted(found.u, k) for k in range(len(parts))], fine.nmse(found.u), left_out, chosen,
        known.samples, settings.seed, fingerprint(list(recordings)), time.monotonic() - began,
        coarse.evaluations + fine.evaluations, remarks,
    )  # fmt: skip


def prepared(recordings: Sequence[Recording]) -> list[Excerpt]:
    """Excerpts of all recordings with what is wrong with them; `BadData` where nothing can be fitted."""
    if not recordings:
        raise BadData("there is nothing to fit to", allowed="one recording or more")
    parts = [excerpt(recording) for recording in recordings]
    parts = [_remarked(part, inspect(part)) for part in parts]
    names = [part.name for part in parts]
    if len(set(names)) < len(names):
        parts = [_renamed(part, f"{part.name} ({k + 1})") for k, part in enumerate(parts)]
    if not any(switches(part) for part in parts):
        raise BadData(
            "the device never switches in these data: thresholds and rates cannot be determined by them",
            todo="drive it further (a larger amplitude or a lower frequency), or look whether it is stuck",
        )
    return parts


def _opened(candidate: Candidate, start: Start, settings: Settings) -> Start:
    """The start with what a person has fixed, and without it among the open ones."""
    names = [unknown.name for unknown in candidate.unknowns]
    for name in (*settings.fixed, *settings.free):
        if name not in names:
            raise Refused(f"{candidate.name} has no parameter {name!r}", allowed=", ".join(names))
    unknown = [kind for kind in settings.nuisances if kind not in NUISANCES]
    if unknown:
        raise Refused(f"no nuisance {unknown[0]!r}", allowed=", ".join(NUISANCES))
    values = start.values.copy()
    for name, value in settings.fixed.items():
        values[candidate.place(name)] = value
    return Start(start.name, values, (start.free | set(settings.free)) - set(settings.fixed))


def _structure(
    candidate: Candidate, parts: Sequence[Excerpt], starts: Sequence[Start], settings: Settings
) -> tuple[Floats, frozenset[str], str]:
    """Which terms are open: those of the start that a short fit likes best."""
    if len({start.free for start in starts}) == 1:
        return starts[0].values, starts[0].free, starts[0].name
    trials = list[tuple[float, int]]()
    for k, start in enumerate(starts):
        problem = _problem(candidate, parts, COARSE, start.values, start.free, settings)
        trials.append((improve(problem, problem.start(start.values), STRUCTURE_STEPS).cost, k))
    best = starts[min(trials)[1]]
    return best.values, best.free, best.name


def _problem(
    candidate: Candidate,
    parts: Sequence[Excerpt],
    most: int,
    values: Floats,
    free: frozenset[str],
    settings: Settings,
) -> Problem:
    thinned = [part.coarser(most) for part in parts]
    return Problem(candidate, thinned, values, sorted(free), settings.nuisances)


def _left_out(
    full: Problem,
    found: Found,
    begins: Sequence[Floats],
    parts: Sequence[Excerpt],
    settings: Settings,
    say: Callable[[str], None],
) -> list[float]:
    """NMSE of each part, predicted by a fit to all others."""
    free = [one.unknown.name for one in full.coordinates[: full.model_count]]
    figures = list[float]()
    for k, part in enumerate(parts):
        others = [thin for j, thin in enumerate(full.parts) if j != k]
        problem = Problem(full.candidate, others, full.values, free, settings.nuisances)
        mine = [j for j, one in enumerate(full.coordinates) if one.part != k]
        candidates = sorted((u[mine] for u in begins), key=lambda u: cost(problem, u))[:1]
        best = min(
            (improve(problem, u, LEAVE_OUT_STEPS, settings.robust) for u in [found.u[mine], *candidates]),
            key=lambda one: one.cost,
        )
        alone = Problem(full.candidate, [part], problem.full(best.u), (), settings.nuisances)
        rest = (
            improve(alone, alone.start(alone.values), LEAVE_OUT_STEPS).u if alone.coordinates else np.zeros(0)
        )
        figures.append(alone.nmse(rest)[0])
        say(f"{part.name} left out: predicted with NMSE {figures[-1]:.4g}")
    return figures


def _doubts(full: Problem, found: Found, begins: Sequence[Floats], settings: Settings) -> tuple[str, ...]:
    """Why a fit is poor: because of the recordings together, or of each by itself."""
    together = float(np.mean(full.nmse(found.u)))
    if not together > POOR:
        return ()
    poor = f"a poor fit (NMSE {together:.2g}): the parameters are not those of a device"
    free = [one.unknown.name for one in full.coordinates[: full.model_count]]
    alone = list[float]()
    for k, part in enumerate(full.parts):
        problem = Problem(full.candidate, [part], full.values, free, settings.nuisances)
        mine = [j for j, one in enumerate(full.coordinates) if one.part in (-1, k)]
        tried = sorted((u[mine] for u in [found.u, *begins]), key=lambda u: cost(problem, u))[:2]
        alone.append(min(improve(problem, u, LEAVE_OUT_STEPS, settings.robust).cost for u in tried))
    if len(alone) > 1 and float(np.mean(alone)) < together / 3:
        return (
            f"{poor}; each recording by itself is met with {', '.join(f'{one:.2g}' for one in alone)}: they"
            " are of different devices, or of one that has changed, or the model does not carry over from"
            " drive to drive; fit them apart and compare",
        )
    return (f"{poor}; try another --model, and look at the loops for what it does not have",)


def _remarked(part: Excerpt, remarks: Sequence[str]) -> Excerpt:
    return replace(part, remarks=(*part.remarks, *remarks))


def _renamed(part: Excerpt, name: str) -> Excerpt:
    return replace(part, name=name)
