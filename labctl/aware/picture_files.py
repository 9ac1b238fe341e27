"""Picture sets in the formats of their makers: IDX (MNIST) and the binary files of CIFAR-10.

Everything is read whole and measured against what the format says before any of it is used.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labctl.errors import BadData, Unavailable

Part = tuple[NDArray[np.float32], NDArray[np.int64]]
_RECORD = 1 + 3 * 32 * 32  # of CIFAR-10: label, then red, green, blue
_IDX = {3: b"\0\0\x08\x03", 1: b"\0\0\x08\x01"}  # unsigned bytes in so many dimensions


def idx(folder: Path) -> tuple[Part, Part]:
    """MNIST's training and test set from its four files, plain or `.gz`."""
    return _idx_part(folder, "train"), _idx_part(folder, "t10k")


def cifar10(folder: Path) -> tuple[Part, Part]:
    """CIFAR-10's training and test set from `data_batch_1.bin` to `_5.bin` and `test_batch.bin`."""
    batches = [_cifar_batch(folder / f"data_batch_{number}.bin") for number in range(1, 6)]
    pictures, labels = (np.concatenate(some) for some in zip(*batches, strict=True))
    return (pictures, labels), _cifar_batch(folder / "test_batch.bin")


def scaled(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Values in [0, 1]."""
    return grey.astype(np.float32) / np.float32(255)


def _idx_part(folder: Path, part: str) -> Part:
    pictures = _idx_array(folder, f"{part}-images", dimensions=3)
    labels = _idx_array(folder, f"{part}-labels", dimensions=1)
    told = f"{folder} ({part})"
    if len(pictures) != len(labels):
        raise BadData(f"{told}: {len(pictures)} pictures, {len(labels)} labels", todo="get both files again")
    if pictures.shape[1:] != (28, 28):
        raise BadData(f"{told}: pictures of {pictures.shape[1:]} pixels", allowed="28 x 28")
    return scaled(pictures[:, None]), _labels(labels, told)


def _idx_array(folder: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    """Of a file: its magic number, the size of each dimension (big-endian), and the bytes."""
    path = _found(folder, [f"{name}{dot}idx{dimensions}-ubyte{gz}" for dot in "-." for gz in ("", ".gz")])
    contents = _contents(path)
    head = 4 + 4 * dimensions
    if contents[:4] != _IDX[dimensions] or len(contents) < head:
        raise BadData(f"{path} is no IDX file of bytes in {dimensions} dimensions", todo="get it again")
    shape = struct.unpack(f">{dimensions}I", contents[4:head])
    expected = int(np.prod(shape, dtype=object))
    if len(contents) - head != expected:
        raise BadData(
            f"{path} is short or damaged: {len(contents) - head} bytes of {expected}", todo="get it again"
        )
    return np.frombuffer(contents, np.uint8, offset=head).reshape(shape)


def _found(folder: Path, names: list[str]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise Unavailable(f"{folder} has no file {names[0]}", allowed=", ".join(names), todo="put it there")


def _contents(path: Path) -> bytes:
    try:
        contents = path.read_bytes()
        return gzip.decompress(contents) if path.suffix == ".gz" else contents
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path} cannot be read: {error}", todo="get it again") from error


def _cifar_batch(path: Path) -> Part:
    contents = _contents(_found(path.parent, [path.name]))
    if not contents or len(contents) % _RECORD:
        raise BadData(
            f"{path} is short or damaged", allowed=f"records of {_RECORD} bytes", todo="get it again"
        )
    records = np.frombuffer(contents, np.uint8).reshape(-1, _RECORD)
    return scaled(records[:, 1:].reshape(-1, 3, 32, 32)), _labels(records[:, 0], str(path))


def _labels(found: NDArray[np.uint8], told: str) -> NDArray[np.int64]:
    if found.max(initial=0) > 9:
        raise BadData(f"{told}: label {found.max()}", allowed="0 to 9", todo="get it again")
    return found.astype(np.int64)
