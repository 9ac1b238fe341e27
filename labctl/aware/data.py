"""Labelled pictures for large networks, from files that the user has: nothing is fetched here.

Four sets. `mnist`: the 10,000 digits of `make data`. `digits`: scikit-learn's 1,797 of 8 x 8, for quick
tests. `idx`: the full MNIST, or anything in its format (http://yann.lecun.com/exdb/mnist, gz or not), in
a folder. `cifar10`: the binary files of CIFAR-10 (https://www.cs.toronto.edu/~kriz/cifar.html) in a
folder. What is used for training and what for testing is drawn with a seed, every class in proportion;
of sets that come in two parts, each from its own part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from labctl.aware import fetched, picture_files
from labctl.config import Count, Section, Seed
from labctl.errors import BadData, Unavailable

Bytes = NDArray[np.uint8]
Pictures = NDArray[np.float32]
Labels = NDArray[np.int64]
CLASSES = 10
"""Of every set."""


@dataclass(frozen=True)
class Kind:
    """What a set is like: channels and side of its pictures, and how many are usually taken."""

    channels: int
    side: int
    train: int
    test: int


KINDS = {
    "mnist": Kind(1, 28, 8_000, 2_000),
    "digits": Kind(1, 8, 1_437, 360),
    "idx": Kind(1, 28, 60_000, 10_000),
    "cifar10": Kind(3, 32, 50_000, 10_000),
}


class DataTable(Section):
    """The `[data]` table: which pictures, and how they are divided."""

    set: Literal["mnist", "digits", "idx", "cifar10"] = "mnist"
    folder: str | None = None
    """Where the files are, beside the file that says so; `mnist` needs none after `make data`."""
    train: Count | None = None
    """Pictures to train on; None: as many as the set usually has."""
    test: Count | None = None
    """Pictures to test with, none of them trained on."""
    pool: Count = 1
    """Pixels a side that are averaged into one, for smaller arrays: 2 makes 14 x 14 of 28 x 28."""
    seed: Seed = 0
    """Of the draw."""

    @model_validator(mode="after")
    def _possible(self) -> DataTable:
        if self.kind.side % self.pool:
            side = self.kind.side
            raise ValueError(
                f"pool = {self.pool} does not divide the side of {side} pixels; allowed: one that does"
            )
        if self.set == "digits" and self.folder is not None:
            raise ValueError('set = "digits" has no folder, but comes with scikit-learn; allowed: no folder')
        return self

    @property
    def kind(self) -> Kind:
        """What its pictures are like."""
        return KINDS[self.set]

    @property
    def side(self) -> int:
        """Pixels of a side, once they are pooled."""
        return self.kind.side // self.pool

    @property
    def sizes(self) -> tuple[int, int]:
        """How many to train on and to test with."""
        return self.train or self.kind.train, self.test or self.kind.test


@dataclass(frozen=True, eq=False)
class Data:
    """Pictures with values in [0, 1], shape (pictures, channels, side, side), and labels 0 to 9."""

    train: Pictures
    train_labels: Labels
    test: Pictures
    test_labels: Labels


def load(table: DataTable, folder: Path = Path()) -> Data:
    """The pictures of the table; `folder` is where its file is.

    Raises `Unavailable` for what is not there, `BadData` for what is damaged, short or cannot be.
    """
    train, test = table.sizes
    rng = np.random.default_rng(table.seed)
    match table.set:
        case "idx" | "cifar10":
            read = picture_files.idx if table.set == "idx" else picture_files.cifar10
            parts = read(_folder(table, folder))
            (a, a_labels), (b, b_labels) = parts
            chosen = _first(a_labels, train, rng, "train"), _first(b_labels, test, rng, "test")
        case "mnist" | "digits":
            a, a_labels = b, b_labels = _one_pool(table, folder)
            order = _first(a_labels, train + test, rng, "train and test")
            chosen = order[test:], order[:test]
    return Data(
        _pooled(a[chosen[0]], table.pool),
        a_labels[chosen[0]],
        _pooled(b[chosen[1]], table.pool),
        b_labels[chosen[1]],
    )


def _one_pool(table: DataTable, folder: Path) -> tuple[Pictures, Labels]:
    if table.set == "digits":
        return _small_digits()
    images, labels = fetched.read(folder / table.folder if table.folder else fetched.FOLDER)
    return picture_files.scaled(images[:, None]), labels.astype(np.int64)


def _small_digits() -> tuple[Pictures, Labels]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise Unavailable(
            "the 8 x 8 digits are part of scikit-learn, which is not installed",
            todo='pip install scikit-learn, or set = "mnist" in [data]',
        ) from error
    bunch = cast("Any", load_digits())
    grey = np.asarray(bunch.images, np.float32)[:, None] / np.float32(16)
    return grey, np.asarray(bunch.target, np.int64)


def _folder(table: DataTable, beside: Path) -> Path:
    if table.folder is None:
        raise Unavailable(
            f'data.folder is missing; data.set is "{table.set}"', allowed="the folder of its files"
        )
    folder = beside / table.folder
    if not folder.is_dir():
        raise Unavailable(f"{folder} is no folder", todo="correct data.folder, or put the files there")
    return folder


def _first(labels: Labels, count: int, rng: np.random.Generator, told: str) -> NDArray[np.intp]:
    """Which pictures come first in an order that is random, yet has every class in proportion anywhere."""
    if count > len(labels):
        raise BadData(
            f"{count} pictures to {told} with are more than the {len(labels)} that there are",
            todo="correct data.train and data.test",
        )
    place = np.empty(len(labels))
    for label in range(CLASSES):
        mine = rng.permutation(np.flatnonzero(labels == label))
        place[mine] = (np.arange(len(mine)) + 0.5) / max(1, len(mine))
    return np.argsort(place, kind="stable")[:count]


def _pooled(pictures: Pictures, pool: int) -> Pictures:
    """Means over squares of pool x pool pixels."""
    count, channels, side, _ = pictures.shape
    squares = pictures.reshape(count, channels, side // pool, pool, side // pool, pool)
    return np.ascontiguousarray(squares.mean(axis=(3, 5)), dtype=np.float32)
