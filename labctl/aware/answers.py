"""What the rows of a sweep or of a training say: accuracies, falls and recoveries, with 95 % intervals.

Networks are what is drawn anew from seed to seed: the chips of one network are not independent, so an
interval is Student's over networks, of the mean over the chips of each; that of an accuracy ends at 0 and
at 100 %. All networks are tried on the same chips, but the same deviations meet other weights in each:
accuracies of two networks on one chip are no more alike than those on two. A fall is taken network by
network, from what the same seed reaches in software, with standard training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labctl.aware.conditions import Condition, conditions
from labctl.aware.jobs import START, Job, trial_key
from labctl.aware.record import AwareRecord, Row
from labctl.estimates import UNKNOWN, Interval
from labctl.pulse import Floats


@dataclass(frozen=True, slots=True)
class Answer:
    """Networks of one kind, on chips of one condition."""

    condition: Condition
    aware: str
    """How they were trained: `jobs.START`, "standard", "noise" or "technology"."""
    accuracy: Interval
    """Mean over networks, each the mean over its chips."""
    fall: Interval
    """By which that is below standard training in software."""
    worst: float
    """Accuracy of the worst chip of any network."""
    networks: int
    chips: int
    """Of all networks together."""


@dataclass(frozen=True, slots=True)
class Headlines:
    """What a sweep comes to; None where it has no such networks."""

    ideal: Interval
    """Accuracy of standard training in software."""
    worst: Answer | None
    """Where networks of standard training fall most."""
    calibrated: Answer | None
    """The same networks with one gain a layer, on the same chips."""
    recovered: Answer | None
    """Networks that were trained for that condition, on the same chips."""
    least: Answer | None
    """Of networks that were trained for their condition, those that fall most."""


def seeds_of(record: AwareRecord) -> range:
    """Seeds of the networks of a sweep, or the one of a training."""
    file = record.file
    first = file.training.seed
    return range(first, first + (file.sweep.seeds if record.what == "sweep" and file.sweep else 1))


def ideals(record: AwareRecord) -> dict[int, float]:
    """Accuracy in software of the network of each seed that had standard training."""
    kind = "standard" if "standard" in kinds_of(record) else START
    found = {seed: record.network(Job(kind, seed, None, ()).key) for seed in seeds_of(record)}
    return {seed: accuracy_of(row) for seed, row in found.items() if row is not None}


def answers(record: AwareRecord) -> list[Answer]:
    """Of every condition and kind that has a chip, in the order of the file."""
    before = ideals(record)
    asked = asked_of(record)
    found = (_answer(record, before, aware, one) for one in asked for aware in kinds_of(record))
    return [one for one in found if one is not None]


def asked_of(record: AwareRecord) -> tuple[Condition, ...]:
    """Conditions of a sweep, or the one of a training."""
    file = record.file
    return conditions(file) if record.what == "sweep" else (Condition.of(file.technology),)


def kinds_of(record: AwareRecord) -> tuple[str, ...]:
    """Kinds of networks that are tried on chips."""
    file = record.file
    if record.what == "sweep" and file.sweep:
        return file.sweep.aware
    return (START, file.training.aware)


def headlines(record: AwareRecord, found: Sequence[Answer]) -> Headlines:
    """The figures that a sweep is made for."""
    standard = [one for one in found if one.aware == "standard" and math.isfinite(one.fall.value)]
    aware = [one for one in found if one.aware == "technology" and math.isfinite(one.fall.value)]
    worst = max(standard, key=lambda one: one.fall.value, default=None)
    there = {one.aware: one for one in found if worst and one.condition == worst.condition}
    least = max(aware, key=lambda one: one.fall.value, default=None)
    return Headlines(
        share(list(ideals(record).values())), worst, there.get("calibrated"), there.get("technology"), least
    )


def reach(found: Sequence[Answer], most: float) -> float | None:
    """The largest ratio up to which networks that know their technology fall by `most` or less.

    That is: in every condition whose source and neuron resistance are both at most this ratio of Ron.
    None where they fall by more in the mildest condition.
    """
    aware = [one for one in found if one.aware == "technology"]
    held = None
    for ratio in sorted({_larger(one) for one in aware}):
        if not all(one.fall.value <= most for one in aware if _larger(one) == ratio):
            break
        held = ratio
    return held


def _larger(one: Answer) -> float:
    return max(one.condition.source, one.condition.neuron)


def student(values: Sequence[float]) -> Interval:
    """The mean of independent values with Student's 95 % interval; one value has none."""
    if not values:
        return UNKNOWN
    mean = float(np.mean(values))
    if len(values) == 1:
        return Interval(mean, math.nan, math.nan)
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def share(values: Sequence[float], least: float = 0.0) -> Interval:
    """The same of shares, which end at 0 and 1; of differences of shares, at `least` = -1 and 1."""
    value, low, high = student(values)
    return Interval(value, float(np.maximum(low, least)), float(np.minimum(high, 1.0)))  # NaN stays NaN


def accuracy_of(row: Row) -> float:
    """Part of the test pictures that are classified right."""
    return row["right"] / row["of"]


def _answer(record: AwareRecord, before: dict[int, float], aware: str, condition: Condition) -> Answer | None:
    rows = {seed: record.chips(trial_key(aware, seed, condition)) for seed in seeds_of(record)}
    tried: dict[int, Floats] = {
        seed: np.array([accuracy_of(row) for row in chips.values()]) for seed, chips in rows.items() if chips
    }
    if not tried:
        return None
    means = {seed: float(chips.mean()) for seed, chips in tried.items()}
    falls = [before[seed] - mean for seed, mean in means.items() if seed in before]
    worst = min(float(chips.min()) for chips in tried.values())
    count = sum(map(len, tried.values()))
    return Answer(
        condition, aware, share(list(means.values())), share(falls, least=-1.0), worst, len(tried), count
    )
