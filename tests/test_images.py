"""Image sets: what is in them, and what is refused."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from labctl.errors import BadImages, Refused, Unavailable
from labctl.images import (
    Flips,
    ImageSet,
    as_text,
    letters,
    lines_against_diagonals,
    parse_image_set,
    parse_pattern,
    read_image_set,
    with_flips,
)

TWO = 'positive = ["110 010 011"]\nnegative = ["101 101 010"]\n'


@pytest.mark.parametrize("target", ["z", "v", "n"])
def test_letters_are_one_letter_with_its_flips_against_the_rest(target: str) -> None:
    images = letters(target)
    assert images.pixels.shape == (30, 9)
    assert images.labels.tolist() == [1.0] * 10 + [-1.0] * 20
    assert len(np.unique(images.pixels, axis=0)) == 30


def test_letters_are_those_of_the_paper_row_by_row() -> None:
    assert letters("z").pixels[0].tolist() == [1, 1, 0, 0, 1, 0, 0, 1, 1]
    assert letters("v").pixels[0].tolist() == [1, 0, 1, 1, 0, 1, 0, 1, 0]
    assert letters("n").pixels[0].tolist() == [0, 1, 0, 1, 0, 1, 1, 0, 1]


def test_letters_stay_apart_under_any_flip() -> None:
    ideal = [letters(target).pixels[0] for target in "zvn"]
    assert [np.abs(a - b).sum() for a, b in combinations(ideal, 2)] == [6, 6, 6]


def test_an_unknown_letter_is_refused_with_what_there_is() -> None:
    with pytest.raises(BadImages, match="z, v, n"):
        letters("x")


@pytest.mark.parametrize(("flips", "lines", "diagonals"), [("none", 6, 2), ("lost", 24, 8), ("any", 60, 20)])
def test_lines_against_diagonals_never_repeat_a_picture(flips: str, lines: int, diagonals: int) -> None:
    images = lines_against_diagonals(Flips(flips))
    assert (np.sum(images.labels > 0), np.sum(images.labels < 0)) == (lines, diagonals)
    assert len(np.unique(images.pixels, axis=0)) == len(images)


def test_flips_change_one_pixel_each() -> None:
    pattern = parse_pattern("110 010 011")
    assert np.abs(with_flips(pattern) - pattern).sum(axis=1).tolist() == [0] + [1] * 9
    assert with_flips(pattern, Flips.LOST).sum(axis=1).tolist() == [5] + [4] * 5


def test_text_and_pixels_are_inverse() -> None:
    assert as_text(parse_pattern("110\n010\n011")) == "110 010 011"


@pytest.mark.parametrize("text", ["", "110 010", "110 010 01", "110 010 011 000", "110 010 012", "110010011"])
def test_a_pattern_of_wrong_size_or_pixels_is_refused(text: str) -> None:
    with pytest.raises(BadImages, match="three rows of three pixels"):
        parse_pattern(text)


def test_an_own_set_is_read_from_toml() -> None:
    images = parse_image_set('name = "corners"\nflips = "any"\n' + TWO)
    assert (images.name, len(images)) == ("corners", 20)
    assert len(parse_image_set(TWO)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("positive = [", "no TOML"),
        ("positives = []\n" + TWO, "unknown key positives"),
        ('positive = ["110 010 011"]', "1 class instead of two"),
        ("", "0 classes instead of two"),
        ('positive = ["110 010 011"]\nnegative = ["110 010 011"]', r"patterns 1 and 2 .*110 010 011.* both"),
        ('positive = "110 010 011"\nnegative = []', "positive is no list"),
        ("positive = [110]\nnegative = []", "positive holds 110"),
        ('flips = "all"\n' + TWO, "none, lost, any"),
        ("flips = [1]\n" + TWO, "none, lost, any"),
        ("name = 1\n" + TWO, "name a text"),
        ('positive = ["11 01"]\nnegative = []', "three rows of three"),
    ],
)
def test_an_own_set_that_cannot_be_trained_on_says_why(text: str, message: str) -> None:
    with pytest.raises(BadImages, match=message):
        parse_image_set(text)


def test_flips_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(BadImages, match="both labels"):
        parse_image_set('flips = "any"\npositive = ["110 010 011"]\nnegative = ["110 010 010"]')


def test_the_same_picture_twice_with_one_label_is_allowed() -> None:
    assert len(parse_image_set('positive = ["110 010 011", "110 010 011"]\nnegative = ["101 101 010"]')) == 3


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (np.zeros((2, 8)), [1, -1], r"\(2, 8\)"),
        (np.zeros(9), [1], r"\(9,\)"),
        (np.eye(2, 9), [1, -1, 1], "one label"),
        (np.eye(2, 9) * 0.5, [1, -1], "neither 0 nor 1"),
        (np.eye(2, 9) * np.nan, [1, -1], "neither 0 nor 1"),
        (np.eye(2, 9), [1, 0], "neither \\+1 nor -1"),
    ],
)
def test_arrays_are_checked(pixels: np.ndarray, labels: list[float], message: str) -> None:
    with pytest.raises(Refused, match=message):
        ImageSet("own", pixels, np.array(labels))


def test_arrays_are_copied_and_cannot_be_changed() -> None:
    mine = np.eye(2, 9)
    images = ImageSet("own", mine, np.array([1.0, -1.0]))
    mine[0, 0] = 7
    assert images.pixels[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        images.pixels[0, 0] = 0


def test_a_file_gives_its_name_to_the_set(tmp_path: Path) -> None:
    path = tmp_path / "corners.toml"
    path.write_text(TWO, encoding="utf-8")
    assert read_image_set(path).name == "corners"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        read_image_set(tmp_path / "nowhere.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadImages, match="UTF-8"):
        read_image_set(tmp_path / "bytes.toml")
