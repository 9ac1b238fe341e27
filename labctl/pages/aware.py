"""What the commands answer about networks trained for a crossbar, from their record alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from labctl.aware.answers import Answer, accuracy_of, answers, headlines, kinds_of, reach
from labctl.aware.conditions import tile_name
from labctl.aware.file import AwareFile
from labctl.aware.jobs import CALIBRATED, START, Job, of_sweep, of_training
from labctl.aware.record import AwareRecord
from labctl.console import Page, Table
from labctl.estimates import Interval
from labctl.pages.commands import command

WITHIN = (0.01, 0.015, 0.019)
"""Falls for which it is told how far they are kept: this project's aim, and what the paper reached."""


def outline_page(file: AwareFile) -> Page:
    """What a sweep would do."""
    jobs = of_sweep(file)
    chips = chips_of(file, jobs)
    kinds = {aware: sum(job.aware == aware for job in jobs) for aware in dict.fromkeys(j.aware for j in jobs)}
    conditions = dict.fromkeys(one.key for job in jobs for one in job.tried_on)
    data = {"name": file.name, "conditions": list(conditions), "networks": kinds, "chips": chips}
    rows = [(kind_name(aware), str(count)) for aware, count in kinds.items()]
    said = f"{file.name}: {len(conditions)} conditions, {len(jobs)} networks, {chips} chips"
    return Page(data, [said, Table(("training", "networks"), rows)])


def aware_page(record: AwareRecord, seconds: float | None = None) -> Page:
    """What came of a training or of a sweep so far."""
    found, (networks, chips), (trained, tried) = answers(record), asked_of(record), record.counts()
    sentences = headline_lines(record, found)
    data: dict[str, Any] = {
        "run": record.folder.name,
        "folder": str(record.folder),
        "what": record.what,
        "name": record.file.name,
        "networks": trained,
        "networks_asked": networks,
        "chips": tried,
        "chips_asked": chips,
        "fingerprint": record.fingerprint(),
        "data": record.meta["data"],
        "headlines": sentences,
        "answers": [_plain(answer) for answer in found],
        "trained": record.networks(),
    }
    parts: list[str | Table] = [f"{record.folder.name}: {record.file.name}, a {record.what}"]
    parts += network_tables(record) if record.what == "training" else []
    parts += accuracy_tables(found, kinds_of(record))
    pace = f" in {seconds:.1f} s" if seconds is not None else ""
    ended = f"{trained} of {networks} networks, {tried} of {chips} chips{pace}"
    fingerprint = f"{ended}; fingerprint {data['fingerprint']}"
    return Page(data, [*parts, *sentences, "", fingerprint, _next(record)])


def asked_of(record: AwareRecord) -> tuple[int, int]:
    """How many networks and chips there will be; of a training, as many chips as there are."""
    if record.what == "training":  # chips are tried when somebody asks
        return len(of_training(record.file)), record.counts()[1]
    jobs = of_sweep(record.file)
    return len(jobs), chips_of(record.file, jobs)


def is_finished(record: AwareRecord) -> bool:
    """Whether all that was asked is done."""
    return record.counts() == asked_of(record)


def chips_of(file: AwareFile, jobs: Sequence[Job]) -> int:
    """How many chips are tried for these jobs of a sweep."""
    asked = file.sweep.chips if file.sweep else 0
    return sum(one.chips(asked) for job in jobs for one in job.tried_on)


# ---- tables ----------------------------------------------------------------------------------


def network_tables(record: AwareRecord) -> Iterator[Table]:
    """The networks of a training: their losses, and what they reach in software."""
    found = [(job, record.network(job.key)) for job in of_training(record.file)]
    rows = [
        (kind_name(job.aware), str(len(body["epochs"])), *_losses(body["epochs"]), told(_known(body)))
        for job, body in found
        if body is not None
    ]
    if rows:
        yield Table(("training", "epochs", "first loss", "last", "accuracy in software"), rows)


def _known(body: dict[str, Any]) -> Interval:
    return Interval(accuracy_of(body), math.nan, math.nan)


def accuracy_tables(found: Sequence[Answer], kinds: Sequence[str]) -> Iterator[Table]:
    """Accuracy on chips: a row for each condition, kinds of training beside each other."""
    rows = list[tuple[str, ...]]()
    for condition in dict.fromkeys(answer.condition for answer in found):
        mine = {answer.aware: answer for answer in found if answer.condition == condition}
        where = (f"{condition.source:g}", f"{condition.neuron:g}", f"{100 * condition.variation:g} %")
        cells = (told(mine[kind].accuracy) if kind in mine else "" for kind in kinds)
        rows.append((*where, tile_name(condition.tile), *cells))
    if rows:
        yield Table(("Rs/Ron", "Rn/Ron", "sigma", "array", *map(kind_name, kinds)), rows)


def kind_name(aware: str) -> str:
    """Of a kind of training, as a person reads it."""
    aware_of = {"noise": "noise-aware", "technology": "technology-aware"}
    return {START: "before", CALIBRATED: "with gains", **aware_of}.get(aware, aware)


def told(interval: Interval) -> str:
    """A share with its 95 % interval: "95.70 % (95.4 to 96.0)"; without one where it is not known."""
    value, low, high = (100 * one for one in interval)
    between = f" ({low:.1f} to {high:.1f})" if math.isfinite(low) else ""
    return f"{value:.2f} %{between}" if math.isfinite(value) else "–"


# ---- sentences -------------------------------------------------------------------------------


def headline_lines(record: AwareRecord, found: Sequence[Answer]) -> list[str]:
    """What a sweep comes to; nothing is said of a training."""
    if record.what != "sweep":
        return []
    heads = headlines(record, found)
    lines = [f"standard training in software: {told(heads.ideal)}"]
    if heads.worst is not None:
        lines.append(f"largest fall on chips: {_fallen(heads.worst)}")
    if heads.calibrated is not None:
        lines.append(f"the same with one gain a layer: {_fallen(heads.calibrated)}")
    if heads.recovered is not None:
        lines.append(f"trained for that technology: {_fallen(heads.recovered)}")
    if heads.least is not None:
        lines.append(f"technology-aware at its worst: {_fallen(heads.least)}")
        lines += [_reached(found, most) for most in WITHIN]
    return lines


def _fallen(answer: Answer) -> str:
    value, low, high = (100 * one for one in answer.fall)
    between = f" ({low:.1f} to {high:.1f})" if math.isfinite(low) else ""
    at = answer.condition
    where = f"Rs/Ron {at.source:g}, Rn/Ron {at.neuron:g}, sigma {100 * at.variation:g} %"
    return f"{value:.2f} points{between} to {100 * answer.accuracy.value:.2f} %, at {where}"


def _reached(found: Sequence[Answer], most: float) -> str:
    held = reach(found, most)
    where = "in no condition" if held is None else f"where neither Rs/Ron nor Rn/Ron is above {held:g}"
    mine = [one for one in found if one.aware == "technology"]
    good = sum(one.fall.value <= most for one in mine)
    points = f"{100 * most:g} point{'s' * (most != 0.01)}"
    return f"technology-aware within {points} {where}: {good} of all {len(mine)} conditions"


def _losses(epochs: Sequence[dict[str, float]]) -> tuple[str, str]:
    if not epochs:
        return "", ""
    return f"{epochs[0]['loss']:.4f}", f"{epochs[-1]['loss']:.4f}"


def _plain(answer: Answer) -> dict[str, Any]:
    """For other programs: the condition by its numbers."""
    condition = answer.condition
    where = {name: getattr(condition, name) for name in ("source", "neuron", "variation", "tile")}
    figures = {
        "accuracy": answer.accuracy._asdict(),
        "fall": answer.fall._asdict(),
        "worst": answer.worst,
        "networks": answer.networks,
        "chips": answer.chips,
    }
    return {"aware": answer.aware, **where, **figures}


def _next(record: AwareRecord) -> str:
    """What one would do now."""
    if not is_finished(record):
        return f"{command(record.folder, 'resume')} goes on"
    if record.what == "training" and not record.counts()[1]:
        return f"{command(record.folder, 'aware', 'evaluate')} tries it on chips"
    return f"{command(record.folder, 'report')} draws it"
