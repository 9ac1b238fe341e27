"""All pictures of a run, as PNG files in its folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from labctl.characterization_record import is_characterization
from labctl.errors import BadRun
from labctl.journal import Journal, recompute
from labctl.report import answers, bill, characterization, conductances, paths
from labctl.report.history import history
from labctl.report.style import Figure, house_style, save
from labctl.report.summary import summary


def draw(journal: Journal) -> list[Path]:
    """Draw the run, finished or not, into its own folder; returns the files that were written.

    `conductances.png` (before, target, after, error), `paths.png` (each synapse, pulse by pulse),
    `bill.png` (joules and seconds) and `answers.png` (the output neuron, pattern by pattern). What
    the run has not come to is left out. Of a characterization: what `labctl.report.characterization`
    has for its steps. Raises `BadRun` for a journal that makes no sense, and for
    a folder that cannot be written to.
    """
    with house_style():
        try:
            return [save(made, journal.folder / f"{name}.png") for name, made in _figures(journal)]
        except OSError as error:
            raise BadRun(
                f"pictures cannot be written to {journal.folder}: {error.strerror or error}",
                todo="give yourself permission to write there, free some space, or copy the folder",
            ) from error


def _figures(journal: Journal) -> Iterable[tuple[str, Figure]]:
    return characterization.figures(journal) if is_characterization(journal) else figures(journal).items()


def figures(journal: Journal) -> dict[str, Figure]:
    """The figures that this training session has something for, by the name of their file."""
    told, seen = summary(journal), history(journal)
    made = {
        "conductances": conductances.picture(told, seen),
        "paths": paths.picture(told, seen),
        "bill": bill.picture(told, recompute(journal)),
        "answers": answers.picture(told),
    }
    return {name: figure for name, figure in made.items() if figure is not None}
