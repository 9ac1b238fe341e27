"""Experiment files: what is to be learnt, how, and what it may cost; nothing about any board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from labctl.config import Joules, Name, PositiveSeconds, Section, read_toml
from labctl.errors import BadConfig
from labctl.images import ImageSet, letters, lines_against_diagonals, read_image_set
from labctl.limits import Budget
from labctl.training.controller import Training


class Images(Section):
    """Which labelled 3 x 3 images."""

    set: Literal["letters", "lines", "file"] = "letters"
    letter: Literal["z", "v", "n"] = "z"
    """Of the letters: this one against the other two."""
    file: str | None = None
    """Of a user's own set, beside the experiment file."""


class BudgetTable(Section):
    """What the run may spend before it is stopped; left out: whatever the sites allow."""

    pulses: Annotated[int, Field(gt=0)] | None = None
    time: PositiveSeconds | None = None
    energy: Joules | None = None


class Experiment(Section):
    """An experiment file, as it was written."""

    name: Name
    bench: str | None = None
    """Bench file to use unless the command names one; beside the experiment file."""
    images: Images = Images()
    training: Training = Training()
    budget: BudgetTable = BudgetTable()
    keep_mebibytes: Annotated[int, Field(ge=0)] = 64
    """Of waveforms, kept in the run folder; later ones leave their integrals."""


def read_experiment(path: Path) -> Experiment:
    """The experiment in this file; raises `BadConfig` with every mistake."""
    return read_toml(path, Experiment)


def images_of(experiment: Experiment, folder: Path) -> ImageSet:
    """The image set that it names; files are beside the experiment file, in `folder`."""
    if experiment.images.file is not None and experiment.images.set != "file":
        raise BadConfig(
            f'images.file is given, but images.set is "{experiment.images.set}"', allowed='set = "file"'
        )
    match experiment.images.set:
        case "letters":
            return letters(experiment.images.letter)
        case "lines":
            return lines_against_diagonals()
        case "file":
            if experiment.images.file is None:
                raise BadConfig(
                    'images.file is missing; images.set is "file"', allowed="the path of a TOML file"
                )
            return read_image_set(folder / experiment.images.file)


def budget_of(experiment: Experiment) -> Budget:
    """What the run may spend."""
    given = {
        "pulses": experiment.budget.pulses,
        "seconds": experiment.budget.time,
        "joules": experiment.budget.energy,
    }
    return Budget(**{name: float(value) for name, value in given.items() if value is not None})
