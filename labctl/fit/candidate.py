"""A model that may be fitted: its unknowns, what it predicts, and the file that a bench can name.

Fitting knows no simulator. What a candidate must do is here; who has device models brings them
(`sim_backend.fitting:candidates`, which the command finds by that name).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labctl.fit.excerpts import Excerpt
from labctl.pulse import Floats


@dataclass(frozen=True, slots=True)
class Unknown:
    """One number of a model that a fit may find."""

    name: str
    unit: str
    meaning: str
    start: float
    low: float
    high: float
    logarithmic: bool = False
    """It is positive and found as its logarithm."""
    experiment: str = ""
    """What would determine it, where data do not."""


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Values to begin with, and which of them are open."""

    name: str
    values: Floats
    """shape (unknowns,)."""
    free: frozenset[str]
    """Names of the unknowns that are fitted; the others keep their value: a term that is switched off."""


class Candidate(ABC):
    """A model that predicts the current of a device."""

    name: str
    title: str
    unknowns: tuple[Unknown, ...]

    @abstractmethod
    def currents(self, values: Floats, part: Excerpt, state: float | None) -> Floats:
        """[A], shape (samples,), for values (unknowns,).

        With a `state` from 0 to 1 from there on; with None in the periodic state of a repeated drive.
        """

    @abstractmethod
    def starts(self) -> Sequence[Start]:
        """Sets of values that come with the model, best known first."""

    @abstractmethod
    def read_start(self, path: str) -> Start:
        """A parameter file of the user's as a start; raises `Refused` for what is none of this model."""

    @abstractmethod
    def file_text(self, values: Floats, about: Mapping[str, str], intervals: Sequence[str]) -> str:
        """A parameter file with these values; `about` it, and a line on each interval, as comments."""

    def place(self, name: str) -> int:
        """Where in the values an unknown stands."""
        return [unknown.name for unknown in self.unknowns].index(name)
