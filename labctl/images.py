"""Image sets: 3 x 3 pixels, two classes.

Nine rows of the board take nine pixels, so a pattern is nine numbers, 0 (dark) or 1 (lit), row by
row from the top left. The labels are +1 and -1, the sign that the output neuron should have. A set
is refused where no classifier could be trained on it: wrong size, one class only, or one picture
with both labels. The letters are those of Prezioso et al., Nature 521, 61 (2015): one ideal
pattern each of z, v and n, and nine with one pixel flipped. Any two letters differ in six pixels,
so their flips still differ in four or more and never contradict each other.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import numpy as np

from labctl.errors import BadImages, Unavailable
from labctl.pulse import Floats

PIXELS = 9
LETTERS = {"z": "110 010 011", "v": "101 101 010", "n": "010 101 101"}
"""Row by row, from Prezioso et al. (2015), figure 3."""
LINES = (
    *("111 000 000", "000 111 000", "000 000 111"),
    *("100 100 100", "010 010 010", "001 001 001"),
)
DIAGONALS = ("100 010 001", "001 010 100")
EXAMPLE = 'positive = ["110 010 011"] and negative = ["101 101 010", "010 101 101"]'


class Flips(StrEnum):
    """Which one-pixel errors of an ideal pattern a set holds beside it."""

    NONE = "none"
    LOST = "lost"
    """A lit pixel is dark."""
    ANY = "any"
    """Any one of the nine is wrong."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled patterns; arrays are copied and read-only."""

    name: str
    pixels: Floats
    """0 or 1, shape (patterns, 9)."""
    labels: Floats
    """+1 or -1, shape (patterns,)."""

    def __post_init__(self) -> None:
        """Refuse what no 3 x 3 classifier can be trained on (`BadImages`)."""
        for field in ("pixels", "labels"):
            array = np.array(getattr(self, field), dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, field, array)
        self._check_values()
        self._check_classes()

    def __len__(self) -> int:
        """How many patterns."""
        return len(self.labels)

    def _check_values(self) -> None:
        shape = self.pixels.shape
        if self.pixels.ndim != 2 or shape[1] != PIXELS:
            raise BadImages(f"image set {self.name!r}: pixels of shape {shape}", allowed="(patterns, 9)")
        if self.labels.shape != shape[:1]:
            raise BadImages(
                f"image set {self.name!r}: {shape[0]} patterns, labels of shape {self.labels.shape}",
                allowed="one label for each pattern",
            )
        if not np.isin(self.pixels, (0.0, 1.0)).all():
            raise BadImages(f"image set {self.name!r}: a pixel that is neither 0 nor 1", allowed="0 or 1")
        if not np.isin(self.labels, (-1.0, 1.0)).all():
            raise BadImages(f"image set {self.name!r}: a label that is neither +1 nor -1", allowed="+1 or -1")

    def _check_classes(self) -> None:
        classes = np.unique(self.labels)
        if len(classes) != 2:
            raise BadImages(
                f"image set {self.name!r}: {len(classes)} class{'es' * (len(classes) != 1)} instead of two",
                todo="give patterns with both labels",
            )
        seen: dict[tuple[float, ...], tuple[int, float]] = {}
        for index, (pixels, label) in enumerate(zip(self.pixels, self.labels, strict=True)):
            first, earlier = seen.setdefault(tuple(pixels), (index, label))
            if label != earlier:
                raise BadImages(
                    f"image set {self.name!r}: patterns {first + 1} and {index + 1} are the same picture"
                    f" ({as_text(pixels)}) with both labels",
                    todo="remove one of them, or give both the same label",
                )


def letters(target: str) -> ImageSet:
    """One letter (+1) against the other two (-1): 3 ideal patterns and 27 one-pixel flips."""
    if target not in LETTERS:
        raise BadImages(f"letter {target!r}", allowed=f"one of {', '.join(LETTERS)}")
    others = [rows for letter, rows in LETTERS.items() if letter != target]
    return labelled(f"letter {target}", [LETTERS[target]], others, Flips.ANY)


def lines_against_diagonals(flips: Flips = Flips.LOST) -> ImageSet:
    """Three rows and three columns (+1) against two diagonals (-1): 8 ideal patterns, 32 or 80 with flips.

    Any two of them differ in four pixels or more, so the flips of one never meet those of another.
    All 80 can be learnt, but with little to spare: a conductance error of 5 % already costs some.
    """
    return labelled("lines against diagonals", LINES, DIAGONALS, flips)


def labelled(
    name: str, positive: Sequence[str], negative: Sequence[str], flips: Flips = Flips.NONE
) -> ImageSet:
    """A set from texts such as "110 010 011", each followed by its one-pixel flips."""
    families = [(with_flips(parse_pattern(text), flips), +1.0) for text in positive]
    families += [(with_flips(parse_pattern(text), flips), -1.0) for text in negative]
    pixels = [family for family, _ in families] or [np.empty((0, PIXELS))]
    labels = [label for family, label in families for _ in family]
    return ImageSet(name, np.concatenate(pixels), np.array(labels))


def with_flips(pattern: Floats, flips: Flips = Flips.ANY) -> Floats:
    """The pattern, shape (9,), and those that differ from it in one pixel: shape (1 + flips, 9)."""
    flipped = np.abs(pattern - np.eye(PIXELS))
    wanted = {Flips.NONE: np.zeros(PIXELS), Flips.LOST: pattern, Flips.ANY: np.ones(PIXELS)}[flips]
    return np.vstack([pattern, flipped[wanted > 0]])


def parse_pattern(text: str) -> Floats:
    """Nine pixels, shape (9,), from "110 010 011"; a new line does as well as a space."""
    rows = text.split()
    if [len(row) for row in rows] != [3, 3, 3] or not set("".join(rows)) <= {"0", "1"}:
        raise BadImages(f"pattern {text!r}", allowed='three rows of three pixels, 0 or 1: "110 010 011"')
    return np.array([float(pixel) for row in rows for pixel in row])


def as_text(pixels: Floats) -> str:
    """Nine pixels as "110 010 011"."""
    return " ".join("".join(str(int(pixel)) for pixel in row) for row in np.reshape(pixels, (3, 3)))


def parse_image_set(text: str, name: str = "own images") -> ImageSet:
    """A user's own set, as TOML: lists `positive` and `negative`, optional `name` and `flips`.

    >>> images = parse_image_set('positive = ["110 010 011"]' + chr(10) + 'negative = ["101 101 010"]')
    >>> images.labels.tolist()
    [1.0, -1.0]
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadImages(f"image set {name!r} is no TOML: {error}", allowed=EXAMPLE) from error
    unknown = sorted(set(content) - {"name", "positive", "negative", "flips"})
    if unknown:
        raise BadImages(
            f"image set {name!r}: unknown key {', '.join(unknown)}",
            allowed="positive, negative, name, flips",
        )
    title, flips = content.get("name", name), content.get("flips", Flips.NONE)
    if not isinstance(title, str) or flips not in list(Flips):
        raise BadImages(
            f"image set {name!r}: name {title!r}, flips {flips!r}",
            allowed=f"name a text, flips one of {', '.join(Flips)}",
        )
    return labelled(title, _texts(content, "positive"), _texts(content, "negative"), Flips(flips))


def _texts(content: Mapping[str, Any], key: str) -> list[str]:
    """The patterns of one class; a class that is left out has none."""
    found = cast("object", content.get(key, []))
    if not isinstance(found, list):
        raise BadImages(f"{key} is no list of patterns", allowed=EXAMPLE)
    patterns = cast("list[object]", found)
    wrong = [pattern for pattern in patterns if not isinstance(pattern, str)]
    if wrong:
        raise BadImages(f"{key} holds {wrong[0]!r}, which is no pattern", allowed=EXAMPLE)
    return cast("list[str]", patterns)


def read_image_set(path: Path) -> ImageSet:
    """The set in a user's file (`parse_image_set`), by default with the file's name."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Unavailable(
            f"image set {path}: {error.strerror}",
            todo="give the path of a text file that can be read",
        ) from error
    except UnicodeDecodeError as error:
        raise BadImages(f"image set {path} is no UTF-8 text", allowed=EXAMPLE) from error
    return parse_image_set(text, name=path.stem)
