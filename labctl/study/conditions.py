"""From questions to conditions: what is the same for all chips that one number is taken over.

A condition is plain data, complete in itself: experiment, images and bench as JSON. So it can be
written down, handed to another process or machine, and recognised: two questions that ask for the
same condition share its chips. All chips are the same in all conditions (number n has seed n), so
that differences between conditions are differences on the same chips.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from labctl.bench import Bench, BenchFile
from labctl.config import build, dump
from labctl.errors import BadConfig
from labctl.experiment import Experiment, images_of, read_experiment
from labctl.images import ImageSet
from labctl.quantity import format_quantity, parse, quoted
from labctl.study.file import Axis, Point, Question, StudyFile, Value, label_of, metric
from labctl.tomlfile import load

Tables = dict[str, Any]
_BENCH_TABLES = ("board", "tariff", "class", "kind", "stand_in")


@dataclass(frozen=True, slots=True)
class Condition:
    """Everything that is to be known to train and test a chip, but for its number."""

    experiment: Tables
    images: Tables
    bench: Tables
    bench_source: str
    chips: int

    @property
    def key(self) -> str:
        """The same for the same condition, however many chips it has and wherever its files are."""
        told = json.dumps([self.experiment, self.images, self.bench], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def simulated(self) -> bool:
        """Whether there are as many chips as one likes."""
        return self.bench["kind"] == "sim"

    def image_set(self) -> ImageSet:
        """The patterns."""
        found = self.images
        return ImageSet(found["name"], np.array(found["pixels"]), np.array(found["labels"]))


@dataclass(frozen=True, slots=True)
class Place:
    """One point of a question."""

    x: str
    at: float | None
    series: str
    condition: str
    """Its key."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the conditions that answer it."""

    question: Question
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Study:
    """A study that has been read and checked; nothing is open yet."""

    file: StudyFile
    conditions: Mapping[str, Condition]
    """By key, in the order in which they are asked for."""
    asked: tuple[Asked, ...]


def expanded(file: StudyFile, folder: Path, *, chips: int | None = None) -> Study:
    """All conditions of a study whose file is in `folder`; raises what is wrong with any of them."""
    found: dict[str, Condition] = {}
    asked = list[Asked]()
    for question in file.question:
        places = list[Place]()
        for series, x, changes in _points(question):
            tables = _merged(_merged(file.change, question.change), changes)
            condition = _condition(file, folder, tables, chips or question.chips or file.chips)
            _refuse_untested(question, condition)
            before = found.get(condition.key)
            more = max(condition.chips, before.chips if before else 0)
            found[condition.key] = replace(condition, chips=more)
            places.append(Place(x.label, x.at, series, condition.key))
        asked.append(Asked(question, tuple(places)))
    return Study(file, found, tuple(asked))


def _points(question: Question) -> Iterator[tuple[str, Point, Tables]]:
    """Series, point, and what both change."""
    for one in points_of(question.by) if question.by else [Point(label="")]:
        for x in points_of(question.vary):
            yield one.label, x, _merged(one.change, x.change)


def points_of(axis: Axis) -> list[Point]:
    """The places on an axis, with what each changes; one for the levels of a test."""
    if axis.levels is not None:
        return [Point(label="")]
    if axis.points:
        return list(axis.points)
    return [
        Point(label=label_of(value), at=_number(value, axis.unit), change=_nested(str(axis.key), value))
        for value in axis.values
    ]


def _number(value: Value, unit: str | None) -> float | None:
    if isinstance(value, tuple):
        return _number(value[0], unit) if len(value) == 1 else None
    if isinstance(value, str):
        return parse(value, unit) if unit else None
    return None if isinstance(value, bool) else float(value)


def _nested(key: str, value: Value) -> Tables:
    names = key.split(".")
    if not all(names):
        raise BadConfig(f"{quoted(key)} is no key", allowed='names and points: "training.missed.error"')
    found: Any = value
    for name in reversed(names):
        found = {name: found}
    return cast("Tables", found)


def _condition(file: StudyFile, folder: Path, tables: Tables, chips: int) -> Condition:
    bench_path = folder / str(tables.get("bench", file.bench))
    experiment_path = folder / file.experiment
    bench_changes = {key: value for key, value in tables.items() if key in _BENCH_TABLES}
    changes = {key: value for key, value in tables.items() if key not in (*_BENCH_TABLES, "bench")}
    source = f"a condition of study {file.name}"
    bench_tables = _without_memory(_merged(load(bench_path), bench_changes))
    bench = Bench(build(bench_tables, BenchFile, f"{source}: bench"), str(bench_path), bench_path.parent)
    bench.board(Path())  # settings that are wrong are told now
    given = dump(read_experiment(experiment_path))
    experiment = build(_merged(given, changes), Experiment, f"{source}: experiment")
    images = images_of(experiment, experiment_path.parent)
    return Condition(
        dump(experiment),
        {"name": images.name, "pixels": images.pixels.tolist(), "labels": images.labels.tolist()},
        dump(bench.file),
        str(bench_path),
        chips if bench.file.kind == "sim" else 1,
    )


def _refuse_untested(question: Question, condition: Condition) -> None:
    """A figure that no chip will have is told now, and not as so many chips that failed."""
    testing = condition.experiment["training"]["testing"]
    if question.vary.levels is not None and not testing[question.vary.levels]:
        raise _untested(question, "the axis", question.vary.levels)
    for figure in map(metric, question.shows):
        kind = figure.disturbance
        if kind is not None and not any(is_level(figure.level, parse(one, "%")) for one in testing[kind]):
            raise _untested(question, quoted(figure.name), kind)


def _untested(question: Question, what: str, kind: str) -> BadConfig:
    return BadConfig(
        f"question {question.name}: {what} needs tests with {kind} that the experiment does not have",
        todo=f"write their levels into change.training.testing.{kind}",
    )


def is_level(level: float, tested: float) -> bool:
    """Whether a test was one at this level."""
    return abs(level - tested) < 1e-9


def _without_memory(bench: Tables) -> Tables:
    """Simulated chips of a study are new; a real one remembers by itself."""
    board = cast("Tables", bench.get("board", {}))
    if bench.get("kind") != "sim" or "memory" not in board:
        return bench
    return {**bench, "board": {key: value for key, value in board.items() if key != "memory"}}


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> Tables:
    """`other` wins, key by key, tables inside tables too."""
    merged = dict(one)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], cast("Tables", value)) if both else value
    return merged


def level_label(level: float) -> str:
    """A level of a test as a label: "15 %"."""
    return format_quantity(level, "%")
