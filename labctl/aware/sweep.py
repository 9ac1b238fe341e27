"""The work of a training or of a sweep: what has no row yet is trained, and tried on chips.

A network is kept after each epoch, a chip as soon as it is tried, so going on is the same as never having
stopped. Networks of a sweep that are tried on all their chips are let go of: a sweep keeps what it found,
not a hundred networks; those that others begin with stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray
from torch import nn

from labctl.aware import data, evaluation
from labctl.aware.conditions import Condition
from labctl.aware.file import AwareFile
from labctl.aware.jobs import CALIBRATED, START, Job, of_sweep, of_training
from labctl.aware.layers import calibrate
from labctl.aware.networks import build, set_weights, weights_of
from labctl.aware.record import AwareRecord, Row, What, digest_of
from labctl.aware.training import Trainer
from labctl.errors import BadData, BadRun, Stopped

Told: TypeAlias = Callable[[int, int], None]
"""Told how many epochs and chips are done, of how many."""
Stop: TypeAlias = Callable[[], bool]
Weights: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Effort:
    """What one spell of work came to."""

    steps: int
    """Epochs of training, and chips."""
    seconds: float


def run(record: AwareRecord, told: Told, stop: Stop) -> Effort:
    """Do what is left of a training or of a sweep; raises `Stopped` when it was asked to."""
    file = record.file
    if record.what == "sweep" and file.sweep is not None:
        return _Work(record, of_sweep(file), file.sweep.chips, told, stop).done()
    return _Work(record, of_training(file), 0, told, stop).done()


def try_training(record: AwareRecord, chips: int, told: Told, stop: Stop) -> Effort:
    """Try the network of a training on so many chips, before and after; chips that were tried stay.

    Raises `BadRun` of a sweep, which tries its networks itself.
    """
    if record.what != "training":
        raise BadRun(
            f"{record.folder.name} is a sweep, which tries its networks itself",
            allowed="a training",
            todo=f"`labctl show {record.folder.name}` tells what it found",
        )
    return _Work(record, of_training(record.file), chips, told, stop).done()


def trained(record: AwareRecord) -> tuple[nn.Module, data.Data]:
    """The network that a training made, and its pictures; raises `BadRun` where it is not made yet."""
    last, file = of_training(record.file)[-1], record.file
    weights = record.weights(last.key) if record.what == "training" else None
    if weights is None:
        name = record.folder.name
        raise BadRun(
            f"{name} has no network to deploy",
            allowed="a training that has finished",
            todo=f"`labctl resume {name}`" if record.what == "training" else "`labctl aware train`",
        )
    network = build(file.network, file.data, file.technology, last.seed)
    set_weights(network, weights)
    return network, _pictures(record)


def check_start(file: AwareFile, what: What, relative_to: Path, pictures: str) -> None:
    """Raises what is wrong with the run that a training or a sweep of this file would begin with.

    `pictures` is the digest of those that it would be trained on and tested with.
    """
    if file.training.start is None:
        return
    for seed in {job.seed for job in (of_sweep(file) if what == "sweep" else of_training(file))}:
        network = build(file.network, file.data, file.technology, seed)
        set_weights(network, _given(relative_to / file.training.start, seed, pictures))


def _given(folder: Path, seed: int, pictures: str) -> Weights:
    """The network of another run: the one that a training made, or that a sweep began this seed with.

    Raises `BadRun` where there is none, or where it saw other pictures: they may be among those of the test.
    """
    with AwareRecord.open(folder.parent, folder.name) as other, other.guarded():
        made = Job(START, seed, None, ()) if other.what == "sweep" else of_training(other.file)[-1]
        found, its = other.weights(made.key), other.meta["data"]
    if its != pictures:
        raise BadRun(
            f"{folder} was trained on other pictures, {its}, and may have seen those of this test",
            allowed=f"a run with the same [data], {pictures}",
            todo="correct training.start or [data]",
        )
    if found is None:
        raise BadRun(
            f"{folder} has no network {made.key!r}", todo="let that run finish, or take a seed that it has"
        )
    return found


class _Work:
    """Jobs, and what is needed for them."""

    def __init__(self, record: AwareRecord, jobs: Sequence[Job], chips: int, told: Told, stop: Stop) -> None:
        self._record, self._jobs, self._chips = record, jobs, chips
        self._told, self._stop = told, stop
        self._file = record.file
        self._data = _pictures(record)
        self._total = sum(map(self._size, jobs))
        self._done = sum(map(self._count, jobs))

    def done(self) -> Effort:
        """Do it all."""
        began, before = time.monotonic(), self._done
        self._told(self._done, self._total)
        try:
            for job in self._jobs:
                if self._count(job) < self._size(job) or self._record.network(job.key) is None:
                    self._do(job)
        finally:
            self._record.keep_spell(self._done - before, time.monotonic() - began)
        return Effort(self._done - before, time.monotonic() - began)

    def _size(self, job: Job) -> int:
        """Steps of a job: epochs of training, and chips."""
        return self._epochs(job) + sum(one.chips(self._chips) for one in job.tried_on)

    def _count(self, job: Job) -> int:
        """Steps of it that are done."""
        trained = self._record.network(job.key) is not None
        kept = None if trained else self._record.epoch(job.key)
        epochs = self._epochs(job) if trained else kept[0] if kept else 0
        return epochs + sum(len(self._left_out(job, one)) for one in job.tried_on)

    def _epochs(self, job: Job) -> int:
        table = self._file.training
        if job.aware == CALIBRATED:
            return 0
        if job.aware != START:
            return table.epochs
        return table.ideal_epochs if table.start is None else 0

    def _left_out(self, job: Job, condition: Condition) -> set[int]:
        """Chips of a condition that need not be tried again."""
        asked = range(condition.chips(self._chips))
        return set(self._record.chips(job.trial(condition))) & set(asked)

    def _do(self, job: Job) -> None:
        network = self._trained(job)
        for condition in job.tried_on:
            tried = self._left_out(job, condition)
            for chip in range(condition.chips(self._chips)):
                if chip not in tried:
                    self._try(job, network, condition, chip)
        if self._record.what == "sweep" and job.aware not in {START, "standard"}:
            self._record.let_go(job.key)

    def _trained(self, job: Job) -> nn.Module:
        """The network of a job, which is trained where it is not yet."""
        technology = job.trained_for.technology if job.trained_for else self._file.technology
        network = build(self._file.network, self._file.data, technology, job.seed)
        kept = self._record.weights(job.key)
        if kept is not None:
            set_weights(network, kept)
            return network
        epochs = self._begin(job, network)
        right = evaluation.right_in_software(network, self._data)
        body = {"epochs": epochs, "right": right, "of": len(self._data.test_labels)}
        self._record.keep_network(job.key, body, weights_of(network))
        return network

    def _begin(self, job: Job, network: nn.Module) -> list[Row]:
        """Train from the beginning, from what was kept, or not at all; figures of every epoch."""
        table = self._file.training
        if job.aware == START and table.start is not None:
            folder = self._record.relative_to / table.start
            set_weights(network, _given(folder, job.seed, self._record.meta["data"]))
            return []
        if job.aware == START:
            return self._train(
                job, Trainer(network, self._data, table, "standard", table.ideal_epochs, job.seed)
            )
        first = "standard" if job.aware == CALIBRATED else START
        before = self._record.weights(Job(first, job.seed, None, ()).key)
        assert before is not None  # jobs are in this order
        set_weights(network, before)
        if job.aware == CALIBRATED:
            calibrate(network)
            return []
        return self._train(job, Trainer(network, self._data, table, job.aware, table.epochs, job.seed))

    def _train(self, job: Job, trainer: Trainer) -> list[Row]:
        figures: list[Row] = []
        kept = self._record.epoch(job.key)
        if kept is not None:
            _, figures, state = kept
            trainer.restore(state)
        while trainer.done < trainer.epochs:
            self._refuse_if_asked()
            figures = [*figures, dict(trainer.epoch())]
            self._record.keep_epoch(job.key, figures, trainer.state())
            self._step()
        return figures

    def _try(self, job: Job, network: nn.Module, condition: Condition, chip: int) -> None:
        self._refuse_if_asked()
        seed = self._file.training.seed  # of all networks: chip 7 is the same for each
        right = evaluation.right_on_chip(network, self._data, condition.technology, chip, seed)
        body = {"right": right, "of": len(self._data.test_labels)}
        self._record.keep_chip(job.trial(condition), chip, body)
        self._step()

    def _refuse_if_asked(self) -> None:
        if self._stop():
            raise Stopped("stopped between two epochs or chips, as asked", saved=self._record.saved())

    def _step(self) -> None:
        """One more is done."""
        self._done += 1
        self._told(self._done, self._total)


def _pictures(record: AwareRecord) -> data.Data:
    """Those that it was begun with; raises `BadData` where they are others."""
    found = data.load(record.file.data, record.relative_to)
    if digest_of(vars(found)) != record.meta["data"]:
        raise BadData(
            f"the pictures are not those that {record.folder.name} was begun with",
            allowed=f"pictures with the digest {record.meta['data']}",
            todo="put them back, or begin anew under another name",
        )
    return found
