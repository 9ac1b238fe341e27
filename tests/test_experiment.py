"""Experiment files: what they say wrongly is told, all at once, before anything is driven."""

import math
from pathlib import Path

import pytest

from labctl.errors import BadConfig, BadImages, Refused, Unavailable
from labctl.experiment import Experiment, budget_of, images_of, read_experiment

OWN = 'name = "own"\n[images]\nset = "file"\nfile = "own.toml"\n'


def experiment(folder: Path, text: str) -> Experiment:
    path = folder / "experiment.toml"
    path.write_text(text, encoding="utf-8")
    return read_experiment(path)


def test_a_name_is_enough(tmp_path: Path) -> None:
    found = experiment(tmp_path, 'name = "letters"')
    assert len(images_of(found, tmp_path)) == 30
    assert budget_of(found).joules == math.inf


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('nmae = "x"', 'did you mean "name"?'),
        ("", "name: missing"),
        ('name = "../x"', "is no name"),
        ('name = "x"\n[training.programing]\n', 'did you mean "programming"?'),
        ('name = "x"\n[training.programming]\ntolerance = "2 V"', "2 V is a voltage"),
        ('name = "x"\n[training.programming]\ntolerance = 0.02', "no unit"),
        ('name = "x"\n[training.programming]\ntolerance = "nan %"', "not a finite number"),
        ('name = "x"\n[training.programming]\nmost_energy = "-1 J"', "at least 0 J"),
        ('name = "x"\n[training.reading]\nvolts = "0,1 V"', "comma"),
        ('name = "x"\n[budget]\nenergy = "nan J"', "not a finite number"),
        ('name = "x"\n[budget]\ntime = "-3 s"', "more than 0 s"),
        ('name = "x"\n[budget]\npulses = 0', "budget.pulses"),
        ('name = "x"\n[images]\nset = "digits"', "images.set"),
        ('name = "x"\nkeep_mebibytes = -1', "keep_mebibytes"),
    ],
)
def test_mistakes_are_told_with_their_key(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig) as caught:
        experiment(tmp_path, text)
    assert told in caught.value.wrong


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadConfig) as caught:
        experiment(tmp_path, 'name = 3\nbnech = "x"\n[budget]\ntime = "3 V"')
    assert "3 mistakes" in caught.value.wrong


def test_a_budget_is_what_the_file_says(tmp_path: Path) -> None:
    found = experiment(tmp_path, 'name = "x"\n[budget]\npulses = 100\ntime = "2 min"\nenergy = "1 mJ"')
    budget = budget_of(found)
    assert (budget.pulses, budget.seconds, budget.joules) == (100, 120.0, 1e-3)


def test_a_budget_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        budget_of(experiment(tmp_path, 'name = "x"\n[budget]\nenergy = "0 J"'))


# ---- one's own images -----------------------------------------------------------------------


def test_a_users_images_are_beside_the_experiment(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('positive = ["111 000 000"]\nnegative = ["000 000 111"]\n')
    images = images_of(experiment(tmp_path, OWN), tmp_path)
    assert (images.name, len(images)) == ("own", 2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('positive = ["1111 0000 0000"]\nnegative = ["000 000 111"]', "pattern '1111 0000 0000'"),
        ('positive = ["111 000 000"]\nnegative = []', "1 class instead of two"),
        ("", "0 classes instead of two"),
        ('positive = ["111 000 000"]\nnegative = ["111 000 000"]', "both labels"),
        ('positive = "111"', "no list"),
        ("not toml", "no TOML"),
    ],
)
def test_images_that_cannot_be_learnt_are_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(BadImages) as caught:
        images_of(experiment(tmp_path, OWN), tmp_path)
    assert told in caught.value.wrong


def test_a_missing_image_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        images_of(experiment(tmp_path, OWN), tmp_path)


@pytest.mark.parametrize(
    "images", ['set = "file"', 'file = "own.toml"', 'set = "letters"\nfile = "own.toml"']
)
def test_images_that_are_half_said_are_refused(images: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"images\.file"):
        images_of(experiment(tmp_path, f'name = "x"\n[images]\n{images}\n'), tmp_path)
