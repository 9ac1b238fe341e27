"""Put a trained network on chips, ask the chips, and hold what they answer against what was predicted.

Two predictions: of chips as the technology says they vary, drawn as in any evaluation; and of these very
chips, from the conductances that were read back, in the technology's circuit. The folder of a deployment
holds a run for each array, with its own journal and bill, and `deployment.json`: what was asked, and in the
end what came of it. A deployment that was killed goes on when it is asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import nn

from labctl.aware import evaluation
from labctl.aware.data import Data
from labctl.aware.deploy_bill import Bill, bill_of
from labctl.aware.deploy_plans import Deploying
from labctl.aware.deployment import (
    Answers,
    ChipLayer,
    Multiply,
    Piece,
    answers,
    full_scales,
    layers_of,
    multiplied,
    vectors_of,
)
from labctl.aware.layers import crossbars
from labctl.aware.networks import weights_of
from labctl.aware.record import digest_of
from labctl.aware.technology import Technology
from labctl.aware.tiles_on_boards import Array, Missed, Stop, benches_for, check
from labctl.bench import Bench
from labctl.config import dump
from labctl.errors import BadRun, Refused
from labctl.pulse import Floats
from labctl.runfolder import run_folder
from labctl.running import about_bench

Told: TypeAlias = "Callable[[int, int], None]"
"""Told how many devices and vectors are done, of how many."""
FILE = "deployment.json"
SCALED_BY = 500
"""Training pictures that full scales are taken from."""


@dataclass(frozen=True)
class Deployed:
    """What came of a deployment. Counts are of the test pictures that the chips were asked."""

    name: str
    pictures: int
    measured: int
    """Classified right by the chips."""
    software: int
    """By plain products."""
    meant: int
    """By the technology's circuit, with every device at its target."""
    drawn: tuple[int, ...]
    """By chips drawn as the technology says, one number a chip."""
    predicted: int
    """By the technology's circuit with the conductances that were read back."""
    agreeing: int
    """Pictures of which the chips say the class that was predicted from these."""
    arrays: int
    devices: int
    missed: tuple[Missed, ...]
    beyond: int
    """Pictures that led beyond a layer's full scale, and were scaled down."""
    scales: tuple[float, ...]
    """Full scale of each layer's inputs."""
    bill: Bill


def deploy(
    network: nn.Module,
    data: Data,
    benches: Sequence[Bench],
    base: Path,
    name: str,
    *,
    pictures: int = 200,
    chips: int = 20,
    how: Deploying | None = None,
    told: Told = lambda done, total: None,
    stop: Stop | None = None,
) -> Deployed:
    """Put the network on the benches, in the folder of that name, and ask it the first test pictures.

    What a folder of that name has done already is not done again. Raises `Refused` for what cannot be, and
    `BadRun` for the folder of another deployment.
    """
    how = how or Deploying()
    technology, layers = crossbars(network)[0].technology, layers_of(network)
    pieces = [piece for layer in layers for piece in layer.pieces]
    given = benches_for(benches, pieces)
    check(given, pieces, technology.window, how)
    asked = _asked(data, pictures)
    folder = run_folder(base, name)
    about = {"network": digest_of(weights_of(network)), "technology": dump(technology), "how": dump(how)}
    _begin(folder, {**about, "benches": [about_bench(bench) for bench in benches]})
    vectors = vectors_of(layers, _values(asked.test[:1])[0])
    each = sum(vectors[piece.layer] for piece in pieces)
    total = sum(piece.targets.size for piece in pieces) + len(asked.test) * each
    with ExitStack() as stack:
        arrays = [
            stack.enter_context(Array(piece, bench, folder, about, technology.wire, how))
            for piece, bench in zip(pieces, given, strict=True)
        ]
        made = _Chips(layers, arrays, how, _Count(told, total), stop)
        result = made.result(name, network, asked, technology, chips)
    _keep(folder, {"result": asdict(result)})
    return result


class _Count:
    """Adds up what plans say is done."""

    def __init__(self, told: Told, total: int) -> None:
        self._told, self._total, self._done = told, total, 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._told(self._done, self._total)


class _Chips:
    """A network's layers and the arrays that they are on."""

    def __init__(
        self,
        layers: Sequence[ChipLayer],
        arrays: Sequence[Array],
        how: Deploying,
        count: _Count,
        stop: Stop | None,
    ) -> None:
        self._layers, self._arrays, self._how, self._count, self._stop = layers, arrays, how, count, stop

    def result(
        self, name: str, network: nn.Module, asked: Data, technology: Technology, chips: int
    ) -> Deployed:
        """Program, read back, ask, compare."""
        read, missed = list[Floats](), list[Missed]()
        for array in self._arrays:
            siemens, failed = array.programmed(self._count, self._stop)
            read.append(_known(array, siemens))
            missed += failed
        ideal = multiplied(self._layers)
        scales = full_scales(self._layers, _values(asked.train[:SCALED_BY]), self._how.read_volts, ideal)
        predicted, meant, measured = (
            self._answers(asked, scales, by) for by in (multiplied(self._layers, read), ideal, self._ask)
        )
        for array in self._arrays:
            array.finished()
        return Deployed(
            name=name,
            pictures=len(asked.test),
            measured=measured.right(asked.test_labels),
            software=evaluation.right_in_software(network, asked),
            meant=meant.right(asked.test_labels),
            drawn=tuple(evaluation.right_on_chip(network, asked, technology, chip) for chip in range(chips)),
            predicted=predicted.right(asked.test_labels),
            agreeing=int((predicted.classes == measured.classes).sum()),
            arrays=len(self._arrays),
            devices=sum(array.piece.targets.size for array in self._arrays),
            missed=tuple(missed),
            beyond=measured.beyond,
            scales=scales,
            bill=bill_of(self._arrays, vectors_of(self._layers, _values(asked.test[:1])[0])),
        )

    def _answers(self, asked: Data, scales: Sequence[float], by: Multiply) -> Answers:
        return answers(self._layers, _values(asked.test), scales, self._how.read_volts, by)

    def _ask(self, piece: Piece, volts: Floats) -> Floats:
        return self._arrays[piece.number].multiplied(volts, self._count, self._stop)


def _known(array: Array, siemens: Floats) -> Floats:
    """What a device that could not be read is taken for: its target."""
    return np.where(np.isfinite(siemens), siemens, array.piece.targets)


def _values(pictures: NDArray[np.float32]) -> Floats:
    return pictures.astype(np.float64)


def _asked(data: Data, pictures: int) -> Data:
    if not 1 <= pictures <= len(data.test):
        raise Refused(
            f"{pictures} test pictures", allowed=f"1 to {len(data.test)}: the test pictures there are"
        )
    return replace(data, test=data.test[:pictures], test_labels=data.test_labels[:pictures])


# ---- the folder -------------------------------------------------------------------------------


def _begin(folder: Path, about: dict[str, Any]) -> None:
    """Make the folder, or see that it is the one of the same deployment."""
    if not (folder / FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, {"asked": about})
    elif _kept(folder).get("asked") != json.loads(json.dumps(about)):
        raise BadRun(
            f"{folder} holds another deployment",
            allowed="the same network, benches and settings",
            todo="choose another name",
        )


def _keep(folder: Path, more: dict[str, Any]) -> None:
    _write(folder, _kept(folder) | more)


def _kept(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadRun(f"{folder / FILE} cannot be read: {error}") from error
    return found


def _write(folder: Path, body: dict[str, Any]) -> None:
    new = folder / f"{FILE}.new"
    new.write_text(json.dumps(body, indent=1), encoding="utf-8")
    new.replace(folder / FILE)  # at once: a file that is there is whole
