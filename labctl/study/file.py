"""Study files: which questions are asked of how many chips. Nothing in one is about any simulator.

A study takes one experiment and one bench, and asks questions: each varies a key of either along an
axis, once for each of its series. Keys are those of the experiment file and of the bench file::

    [[question]]
    name = "conductance-error"
    title = "Accuracy against conductance error"
    shows = ["accuracy at 15 % noise"]
    vary = { name = "conductance error", key = "training.missed.error", unit = "%", values = ["0 %", "10 %"] }
    by = { name = "dopant", key = "board.dopant", values = ["Cr", "W"] }
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from labctl.config import Count, Name, Section, read_toml
from labctl.errors import BadConfig, BadQuantity
from labctl.quantity import parse, quoted

Value: TypeAlias = str | int | float | bool | tuple[str, ...]
"""Of a key; a list where the key takes one."""
Disturbance: TypeAlias = Literal["noise", "flips"]
PLAIN = (
    *("accuracy", "accuracy in the last test", "pulses", "energy", "energy with periphery", "time"),
    *("sites within 2 %", "sites within 5 %", "sites given up"),
)
UNITS = {"energy": "J", "energy with periphery": "J", "time": "s"}
"""Of figures that are quantities; the others are shares or counts."""
_TESTED = re.compile(r"accuracy at (?P<level>.+) (?P<kind>noise|flips)")


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a chip."""

    name: str
    """As the study file says it."""
    disturbance: Disturbance | None = None
    """Of a test with noise on the pixels."""
    level: float = 0.0

    @property
    def is_share(self) -> bool:
        """Whether it is a part of a whole, from 0 to 1."""
        return self.name.startswith("accuracy")


def metric(text: str) -> Metric:
    """What a text such as "energy" or "accuracy at 15 % noise" asks for; raises `ValueError`."""
    found = _TESTED.fullmatch(text)
    if found is None:
        if text in PLAIN:
            return Metric(text)
        raise ValueError(
            f'{quoted(text)} is no figure; allowed: {", ".join(PLAIN)}, "accuracy at 15 % noise"'
        )
    try:
        level = parse(found["level"], "%")
    except BadQuantity as error:
        raise ValueError(f"{error.wrong}; allowed: {error.allowed}") from error
    return Metric(text, "noise" if found["kind"] == "noise" else "flips", level)


def _is_metric(text: str) -> str:
    metric(text)
    return text


class Point(Section):
    """One place on an axis."""

    label: str
    at: float | None = None
    """Where to draw it; without, points stand side by side."""
    change: dict[str, Any] = Field(default_factory=dict)
    """Tables of the experiment or of the bench, as in their files."""


class Axis(Section):
    """What is varied: a key and its values, points that change several keys, or the levels of a test."""

    name: str
    key: str | None = None
    """Dotted: "training.missed.error", "board.dopant", "bench"."""
    values: tuple[Value, ...] = ()
    unit: Literal["%", "V", "A", "s", "ohm", "S", "J"] | None = None
    """Of values that are quantities."""
    points: tuple[Point, ...] = ()
    levels: Disturbance | None = None
    """The levels of noise at which every chip is tested: no chip of its own for each."""


def _has_points(axis: Axis) -> Axis:
    given = [bool(axis.key), bool(axis.points), bool(axis.levels)]
    if sum(given) != 1 or bool(axis.key) != bool(axis.values):
        raise ValueError("an axis has either key and values, or points, or levels")
    return axis


GoodAxis = Annotated[Axis, AfterValidator(_has_points)]


def _no_levels(axis: Axis) -> Axis:
    if axis.levels is not None:
        raise ValueError("levels are an axis to vary along, and no series")
    return axis


class Question(Section):
    """One question: a table, and a picture for each figure that it shows."""

    name: Name
    title: str
    shows: tuple[Annotated[str, AfterValidator(_is_metric)], ...] = ("accuracy",)
    vary: GoodAxis
    by: Annotated[GoodAxis, AfterValidator(_no_levels)] | None = None
    chips: Count | None = None
    """In place of the study's."""
    change: dict[str, Any] = Field(default_factory=dict)
    """For every point of this question."""
    says: str = ""
    """What is to be known to read the answer."""

    @model_validator(mode="after")
    def _along_levels(self) -> Question:
        """What varies from level to level is the accuracy."""
        if self.vary.levels is not None and self.shows != ("accuracy",):
            raise ValueError('along levels of a test the one figure is the accuracy: shows = ["accuracy"]')
        return self


class Other(Section):
    """What an answer is held against: the same figure of the same question, elsewhere."""

    series: str | None = None
    """As the answer's, unless it is said."""
    x: str | None = None


class Cited(Section):
    """One answer of the study: of this question this figure, at this point of this series."""

    says: str
    question: Name | None = None
    """None: the study does not ask it."""
    metric: Annotated[str, AfterValidator(_is_metric)] = "accuracy"
    series: str = ""
    x: str = ""
    against: Other | None = None
    """Say how much more or less than there, chip by chip."""


class Headline(Cited):
    """A figure that the study's report begins with."""


class Claim(Cited):
    """What somebody else says, to stand beside what was found."""

    source: str
    comparable: str
    """Whether the two may be compared, and why not where not."""


class StudyFile(Section):
    """A study file, as it was written."""

    name: Name
    title: str
    experiment: str
    """Experiment file, beside this one."""
    bench: str
    chips: Count = 100
    """Of every condition; on a bench that is no simulation there is the one that is there."""
    networks: Count = 8
    """Sets of target weights, from seeds of their own, that the chips share in turn."""
    change: dict[str, Any] = Field(default_factory=dict)
    """For every condition."""
    question: tuple[Question, ...]
    headline: tuple[Headline, ...] = ()
    claim: tuple[Claim, ...] = ()


def read_study(path: Path) -> StudyFile:
    """The study in this file; raises `BadConfig` with every mistake."""
    study = checked(read_toml(path, StudyFile), str(path))
    asked = {question.name: question for question in study.question}
    wrong = [line for cited in (*study.headline, *study.claim) for line in _astray(cited, asked)]
    if wrong:
        raise BadConfig(
            "\n  ".join([f"{path}: what is cited is not asked", *wrong]),
            allowed="a question, one of the figures that it shows, a point and a series of it; or none",
        )
    return study


def _astray(cited: Cited, asked: Mapping[str, Question]) -> Iterator[str]:
    """What leads nowhere in a headline or claim."""
    question = asked.get(cited.question or "")
    if question is None:
        if cited.question is not None:
            yield f"{quoted(cited.says)}: no question {quoted(cited.question)}"
        return
    if cited.metric not in question.shows:
        yield f"{quoted(cited.says)}: {question.name} does not show {quoted(cited.metric)}"
    other = cited.against or Other()
    for label in (cited.series, other.series):
        if label is not None and label not in (_labels(question.by) if question.by else [""]):
            yield f"{quoted(cited.says)}: {question.name} has no series {quoted(label)}"
    for label in (cited.x, other.x):
        known = _labels(question.vary)
        if label is not None and known and label not in known:
            yield f"{quoted(cited.says)}: {question.name} has no point {quoted(label)}"


def _labels(axis: Axis) -> list[str]:
    """Of the points of an axis; none where the levels of a test are, which the experiment knows."""
    return [point.label for point in axis.points] or [label_of(value) for value in axis.values]


def label_of(value: Value) -> str:
    """A value as it is shown: the parts of a list beside each other."""
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def checked(study: StudyFile, source: str) -> StudyFile:
    """Names of questions are names of files: each once."""
    names = [question.name for question in study.question]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise BadConfig(
            f"{source}: " + (f"two questions are called {twice[0]}" if twice else "no question"),
            allowed="at least one [[question]], each with a name of its own",
        )
    return study


def only(study: StudyFile, names: tuple[str, ...]) -> StudyFile:
    """The study with these questions alone; all of them where none is named."""
    known = [question.name for question in study.question]
    for name in names:
        if name not in known:
            raise BadConfig(f"{study.name} has no question {quoted(name)}", allowed=", ".join(known))
    chosen = tuple(question for question in study.question if not names or question.name in names)
    return study.model_copy(update={"question": chosen})
