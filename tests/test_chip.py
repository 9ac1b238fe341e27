"""The simulated chip: what it remembers, and what is random about it."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labctl.errors import BadConfig
from sim_backend.chip import SHORT_SIEMENS, Chip, Faults, Variability
from sim_backend.devices import parameters
from sim_backend.devices.model import HEAD, SCALE, SHUNT, SPEED
from sim_backend.unrest import Coming

CR = parameters.load("Cr", "metastable")
ALL = Variability(device_to_device=True, cycle_to_cycle=True, read_noise=True)
NONE = Variability()
QUIET, ERASING = Coming(1e-3, 1, erasing=False), Coming(1e-3, 1, writing=True, erasing=True)


def life(chip: Chip, pulses: int = 6) -> np.ndarray:
    """The parameters that so many pulses see, the third and the fifth of them erasing."""
    return np.array([chip.before(n % 2, ERASING if n in {2, 4} else QUIET) for n in range(pulses)])


# ---- randomness ---------------------------------------------------------------------------------


def test_without_variation_all_devices_are_alike_for_ever() -> None:
    chip = Chip(CR, 3, NONE, seed=1)
    assert (life(chip) == CR.vector).all()
    assert chip.x.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("variability", "steady"),
    [
        (NONE, True),
        (Variability(device_to_device=True), True),
        (Variability(cycle_to_cycle=True), False),
        (Variability(read_noise=True), False),
    ],
)
def test_a_chip_is_steady_where_no_pulse_changes_its_parameters(
    variability: Variability, steady: bool
) -> None:
    chip = Chip(CR, 2, variability, seed=1)
    assert chip.steady is steady
    rows = life(chip, 10)
    assert bool((rows[0::2] == rows[0]).all() and (rows[1::2] == rows[1]).all()) is steady


def test_the_same_seed_is_the_same_chip_and_another_is_not() -> None:
    assert np.array_equal(life(Chip(CR, 2, ALL, seed=5)), life(Chip(CR, 2, ALL, seed=5)))
    assert not np.array_equal(life(Chip(CR, 2, ALL, seed=5)), life(Chip(CR, 2, ALL, seed=6)))


def test_devices_differ_by_the_spread_of_their_dopant() -> None:
    fresh = Chip(CR, 4000, Variability(device_to_device=True), seed=3).fresh
    logs = np.log(fresh[:, HEAD : HEAD + 6] / CR.vector[HEAD : HEAD + 6])
    expected = [CR.spread.get(name, 0.0) for name in CR.model.names[:6]]
    assert logs.std(axis=0) == pytest.approx(expected, rel=0.05)
    assert np.abs(logs.mean(axis=0)).max() < 0.03


def test_an_erasing_pulse_begins_a_cycle_of_that_device_alone() -> None:
    chip = Chip(CR, 2, Variability(cycle_to_cycle=True), seed=4)
    before = chip.parameters.copy()
    chip.before(0, QUIET)
    assert np.array_equal(chip.parameters, before)
    chip.before(0, ERASING)
    (von,) = CR.model.places(["von"])
    assert chip.parameters[0, von] != before[0, von]
    assert np.array_equal(np.delete(chip.parameters[0], von), np.delete(before[0], von))
    assert np.array_equal(chip.parameters[1], before[1])
    drawn = [chip.before(0, ERASING)[von] / CR.values["von"] for _ in range(2000)]
    assert np.log(drawn).std() == pytest.approx(CR.cycle["von"], rel=0.05)


def test_reads_flicker_and_leave_the_device_as_it_is() -> None:
    chip = Chip(CR, 1, Variability(read_noise=True), seed=4)
    rows = np.array([chip.before(0, QUIET) for _ in range(2000)])
    assert np.log(rows[:, SCALE]).std() == pytest.approx(CR.read_noise, rel=0.05)
    assert (np.delete(rows, SCALE, axis=1) == np.delete(CR.vector, SCALE)).all()
    assert (chip.parameters == CR.vector).all()


def test_no_two_kinds_of_randomness_share_a_number() -> None:
    chip = Chip(CR, 1, ALL, seed=9)
    streams = [chip._generator(kind, count).standard_normal(64) for kind in range(8) for count in range(3)]
    assert len(np.unique(np.concatenate(streams))) == 24 * 64


def test_each_writing_pulse_meets_another_device_and_reads_meet_the_one_that_was_written() -> None:
    device = replace(CR, cycle={}, pulse={"von": 0.1})
    chip = Chip(device, 1, Variability(cycle_to_cycle=True), seed=4)
    (von,) = device.model.places(["von"])
    written = [chip.before(0, Coming(1e-3, 1, writing=True))[von] for _ in range(2000)]
    assert np.log(np.array(written) / device.values["von"]).std() == pytest.approx(0.1, rel=0.05)
    assert [chip.before(0, QUIET)[von] for _ in range(3)] == [written[-1]] * 3


# ---- devices that do not work -----------------------------------------------------------------------


def test_named_sites_are_broken_as_they_are_named() -> None:
    chip = Chip(CR, 5, NONE, seed=1, faults=Faults(low=(0,), high=(1,), open=(2,), short=(3,)))
    assert chip.faults == ["low", "high", "open", "short", ""]
    assert chip.x.tolist()[:2] == [0.0, 1.0]
    rows = np.array([chip.before(site, QUIET) for site in range(5)])
    assert rows[:, SPEED].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert rows[:, SCALE].tolist() == [1.0, 1.0, 0.0, 1.0, 1.0]
    assert rows[:, SHUNT].tolist() == [0.0, 0.0, 0.0, SHORT_SIEMENS, 0.0]


def test_parts_of_a_large_chip_are_broken_and_the_same_seed_breaks_the_same() -> None:
    faults = Faults(low_part=0.1, high_part=0.05, open_part=0.02, short_part=0.01)
    found = Chip(CR, 20_000, NONE, seed=3, faults=faults).faults
    parts = {kind: found.count(kind) / len(found) for kind in ("low", "high", "open", "short")}
    assert parts == pytest.approx({"low": 0.1, "high": 0.05, "open": 0.02, "short": 0.01}, rel=0.15)
    assert Chip(CR, 20_000, NONE, seed=3, faults=faults).faults == found


# ---- memory -------------------------------------------------------------------------------------


def test_a_chip_with_a_file_goes_on_where_it_was_left(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "chip"
    first = Chip(CR, 2, ALL, seed=5)
    first.remember_in(file)
    parts = [life(first)]
    first.x[:] = [0.25, 0.75]
    second = Chip(CR, 2, ALL, seed=5)
    second.remember_in(file)
    assert second.x.tolist() == [0.25, 0.75]
    whole = Chip(CR, 2, ALL, seed=5)
    at_once = np.concatenate([life(whole), life(whole)])
    parts.append(life(second))
    assert np.array_equal(np.concatenate(parts), at_once)


def test_a_file_outlives_a_killed_process(tmp_path: Path) -> None:
    file = tmp_path / "chip"
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from sim_backend.chip import Chip, Variability\nfrom sim_backend.devices import parameters\n"
        "chip = Chip(parameters.load('Cr', 'metastable'), 2, Variability(), 1)\n"
        "chip.remember_in(Path(sys.argv[1]))\nchip.x[:] = [0.5, 0.125]\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parent.parent
    ended = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    chip = Chip(CR, 2, NONE, seed=1)
    chip.remember_in(file)
    assert chip.x.tolist() == [0.5, 0.125]


@pytest.mark.parametrize(
    "other",
    [
        Chip(CR, 2, NONE, seed=2),
        Chip(CR, 3, NONE, seed=1),
        Chip(CR, 2, ALL, seed=1),
        Chip(parameters.load("W", "metastable"), 2, NONE, seed=1),
        Chip(replace(CR, initial=0.5), 2, NONE, seed=1),
    ],
    ids=["seed", "sites", "variability", "dopant", "initial state"],
)
def test_the_memory_of_another_chip_is_refused_and_left_alone(other: Chip, tmp_path: Path) -> None:
    file = tmp_path / "chip"
    Chip(CR, 2, NONE, seed=1).remember_in(file)
    before = file.read_bytes()
    with pytest.raises(BadConfig, match="memory of another chip"):
        other.remember_in(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("place", ["file/chip", "file/deep/chip", "taken", "nul\0"])
def test_a_place_where_no_file_can_be_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "taken.new").mkdir()
    with pytest.raises(BadConfig, match="cannot be the memory of a chip") as caught:
        Chip(CR, 2, NONE, seed=1).remember_in(tmp_path / place)
    assert caught.value.allowed


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BadConfig, match="Permission denied"):
        Chip(CR, 2, NONE, seed=1).remember_in(tmp_path / "chip")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(48), bytes(49)])
def test_a_file_that_is_no_memory_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    with pytest.raises(BadConfig, match="memory of another chip"):
        Chip(CR, 2, NONE, seed=1).remember_in(file)
    assert file.read_bytes() == content
