"""Fits: what is known is found again, what is wrong is told, and what cannot be known is said so."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import recovery
from labctl import cli
from labctl.errors import BadData, Refused
from labctl.fit.estimate import Effort
from labctl.fit.excerpts import excerpt
from labctl.fit.fitting import Fit, Settings, fit, prepared
from labctl.fit.inspection import faults
from labctl.fit.readers import Telling, read
from labctl.fit.recording import Recording
from labctl.fit.uncertainty import Estimate
from sim_backend.devices import parameters
from sim_backend.fitting import candidates
from tests.recordings import SERIES, device_values, loop, recording, table, written

QUICK = Effort(random=6, improved=1, steps=20, final=20, kicks=0)
DATA = Path(os.environ.get("LABCTL_MEASURED", Path(__file__).parents[2] / "shared/data/measured"))


def fitted(recordings: list[Recording], **settings: object) -> Fit:
    """A quick fit of the metastable switch, from the shipped Cr."""
    candidate = candidates("Cr")["metastable"]
    told = Settings(**{"leave_out": False, "effort": QUICK, **settings})  # pyright: ignore[reportArgumentType]
    return fit(candidate, recordings, candidate.starts()[:1], told)


def found_of(one: Fit, name: str) -> Estimate:
    """The estimate of that name."""
    return next(estimate for estimate in one.estimates if estimate.name == name)


@pytest.fixture(scope="module")
def truth() -> dict[str, float]:
    """A device that is not the shipped one."""
    return {**device_values(), "ron": 500.0, "von": 0.27, "tau": 4e-4}


@pytest.fixture(scope="module")
def three(truth: dict[str, float]) -> list[Recording]:
    """Its loops at three drives, with noise."""
    drives = ((0.5, 10.0), (1.2, 10.0), (1.2, 100.0))
    return [
        recording(f"{v} V {f} Hz", volts=v, hertz=f, noise=1e-7, values=truth, seed=k)
        for k, (v, f) in enumerate(drives)
    ]


@pytest.fixture(scope="module")
def known(three: list[Recording]) -> Fit:
    """A fit to them."""
    return fitted(three, leave_out=True)


def test_a_known_device_is_found_again_inside_its_intervals(known: Fit, truth: dict[str, float]) -> None:
    for name in ("ron", "roff", "von", "voff", "tau"):
        one = found_of(known, name)
        assert not one.undetermined
        assert one.low <= truth[name] <= one.high, name
        assert one.high - one.low < 0.3 * abs(truth[name]), name
    assert known.mean_nmse < 1e-4


def test_what_was_left_out_is_predicted(known: Fit) -> None:
    assert len(known.left_out) == 3
    assert max(known.left_out) < 0.05


def test_a_fit_can_be_repeated_by_its_seed(three: list[Recording], known: Fit) -> None:
    again = fitted(three)
    assert again.values == pytest.approx(known.values, rel=1e-12)
    assert again.fingerprint == known.fingerprint
    assert fitted(list(reversed(three))).fingerprint == known.fingerprint


def test_correlations_are_correlations(known: Fit) -> None:
    assert np.diag(known.correlation) == pytest.approx(1.0)
    assert known.correlation == pytest.approx(known.correlation.T)
    assert (np.abs(known.correlation) <= 1 + 1e-9).all()


def test_what_is_fixed_stays(three: list[Recording]) -> None:
    found = fitted(three[1:2], fixed={"tau": 3e-4})
    assert found.values[found.candidate.place("tau")] == 3e-4
    assert "tau" not in [one.name for one in found.estimates]
    assert found.interval("tau") == "not fitted"


def test_unknown_names_are_refused(three: list[Recording]) -> None:
    with pytest.raises(Refused, match="metastable has no parameter 'tua'"):
        fitted(three, fixed={"tua": 1.0})
    with pytest.raises(Refused, match="no nuisance 'phase'"):
        fitted(three, nuisances=("phase",))


def test_data_without_a_reset_say_that_they_do_not_determine_it(truth: dict[str, float]) -> None:
    seconds, volts, _ = loop(volts=1.2, values=truth)
    from sim_backend.devices.metastable import MODEL
    from sim_backend.loop_kernel import simulated

    up = np.abs(volts[:100])
    amps, _ = simulated(seconds[:100], up, 0.0, SERIES, MODEL.row(truth), 0.02, 0.02)
    noisy = amps + 1e-7 * np.random.default_rng(1).standard_normal(100)
    found = fitted([Recording("set only", seconds[:100], up, noisy, SERIES)])
    voff = found_of(found, "voff")
    assert voff.undetermined
    assert "larger negative amplitudes" in voff.undetermined
    assert voff in found.undetermined
    assert found.interval("voff").startswith("not determined by these data")
    assert any("no negative voltage: nothing is known of resetting" in part.remarks for part in found.parts)
    assert not found_of(found, "ron").undetermined


# ---- what is wrong with the data ------------------------------------------------------------------


def test_drift_alone_is_refused() -> None:
    seconds = np.linspace(0, 100, 500)
    drifting = Recording("reads", seconds, np.full(500, 0.1), 1e-5 * (1 - 1e-3 * seconds), SERIES)
    with pytest.raises(BadData, match="drift only: the drive stays at 100 mV") as refusal:
        prepared([drifting])
    assert "record a sweep or pulses" in refusal.value.todo


def test_a_device_that_never_switches_is_refused() -> None:
    seconds, volts, _ = loop()
    noise = 1e-7 * np.random.default_rng(0).standard_normal(len(volts))
    resistor = Recording("resistor", seconds, volts, volts / (SERIES + 1e4) + noise, SERIES)
    with pytest.raises(BadData, match="never switches in these data: thresholds and rates cannot be"):
        prepared([resistor])
    parts = prepared([resistor, recording()])
    assert any("does not switch here" in remark for remark in parts[0].remarks)


def test_no_current_and_no_recording_are_refused() -> None:
    seconds, volts, _ = loop()
    with pytest.raises(BadData, match="no current at all"):
        prepared([Recording("open", seconds, volts, np.zeros(len(volts)), SERIES)])
    with pytest.raises(BadData, match="there is nothing to fit to"):
        prepared([])


def test_an_inverted_current_is_told_and_corrected_only_when_told(tmp_path: Path) -> None:
    t, v, i = loop()
    path = written(tmp_path / "a.csv", table("t,V,I", t, v, -i))
    with pytest.raises(BadData, match="the current runs against the voltage") as refusal:
        prepared(read(path, Telling(SERIES)))
    assert "--correct sign" in refusal.value.todo
    (part,) = prepared(read(path, Telling(SERIES, corrections=frozenset({"sign"}))))
    assert "corrected as told: sign" in part.remarks


def test_an_offset_is_told_and_fitted_as_a_nuisance() -> None:
    one = recording(volts=1.2, noise=1e-7)
    off = replace(one, amps=one.amps + 4e-6)
    (part,) = prepared([off])
    assert any(remark.startswith("the current is off by 4") for remark in part.remarks), part.remarks
    found = fitted([off], nuisances=("offset",))
    nuisance = found_of(found, "offset of loop")
    assert nuisance.nuisance
    assert nuisance.value == pytest.approx(4e-6, rel=0.05)
    assert found.mean_nmse < 0.3 * fitted([off]).mean_nmse


def test_a_delay_between_the_channels_is_told_and_fitted_as_a_nuisance() -> None:
    one = recording(volts=1.2, samples=400, noise=1e-7)
    late = replace(one, amps=np.interp(one.seconds - 1e-3, one.seconds, one.amps))
    (part,) = prepared([late])
    seen = faults(part)
    assert seen is not None
    assert seen.delay == pytest.approx(1e-3, rel=0.2)
    assert any("too late (not corrected; --nuisance delay fits it)" in remark for remark in part.remarks)
    found = fitted([late], nuisances=("delay",))
    assert found_of(found, "delay of loop").value == pytest.approx(1e-3, rel=0.1)


def test_a_clean_loop_draws_no_complaint() -> None:
    (part,) = prepared([recording(volts=1.2, noise=1e-7)])
    assert part.remarks == ()


def test_the_mean_cycle_leaves_the_first_out_and_knows_its_scatter() -> None:
    part = excerpt(recording(cycles=5, noise=1e-6))
    assert part.period == pytest.approx(0.1)
    assert part.cycles is not None
    assert len(part.cycles) == 4
    assert part.scatter == pytest.approx(1e-12 * 3 / 4 / part.square, rel=0.1)


def test_the_robust_loss_looks_past_spikes(truth: dict[str, float]) -> None:
    one = recording(volts=1.2, cycles=1, noise=1e-7, values=truth)
    spiked = one.amps.copy()
    spiked[[10, 60, 90]] += 1e-4
    found = fitted([replace(one, amps=spiked)], robust=True)
    assert found_of(found, "ron").value == pytest.approx(500.0, rel=0.05)


def test_recordings_of_two_devices_are_told(truth: dict[str, float]) -> None:
    one = recording("first", volts=1.2, noise=1e-7, values=device_values("W"))
    other = recording("second", volts=1.2, noise=1e-7, values={**truth, "von": 0.42, "ron": 2000.0})
    found = fitted([one, other])
    (remark,) = found.remarks
    assert remark.startswith("a poor fit (NMSE 0.")
    assert "they are of different devices" in remark
    assert "fit them apart" in remark
    assert fitted([one]).remarks == ()
    assert fitted([other]).remarks == ()


def test_a_model_that_does_not_fit_is_told() -> None:
    one = recording(volts=1.2, noise=1e-7)
    bent = replace(one, amps=one.amps * np.where(one.volts > 0, 0.3, 1.0))
    (remark,) = fitted([bent]).remarks
    assert "try another --model" in remark


def test_a_dopant_begins_from_its_own_set_and_from_the_others() -> None:
    candidate = candidates("Sn")["sdc"]
    own, *others = candidate.starts()
    shipped = parameters.load("Sn", "sdc").values
    assert own.name == "Sn"
    assert own.values == pytest.approx([shipped[one.name] for one in candidate.unknowns])
    assert [start.name for start in others] == ["W", "Cr", "C"]
    assert all(start.free == own.free for start in others)
    assert all(not np.array_equal(start.values, own.values) for start in others)


def test_a_fit_is_never_worse_than_what_it_began_with(truth: dict[str, float]) -> None:
    candidate = candidates("Cr")["metastable"]
    parts = [recording(volts=1.2, noise=1e-7, values=truth)]
    begun = excerpt(parts[0]).nmse(candidate.currents(candidate.starts()[0].values, excerpt(parts[0]), None))
    assert fitted(parts).mean_nmse < begun


# ---- the command ----------------------------------------------------------------------------------


def test_the_command_writes_a_file_that_a_bench_can_name(
    tmp_path: Path, truth: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    for volts, hertz in ((0.6, 10.0), (1.2, 10.0)):
        t, v, i = loop(volts=volts, hertz=hertz, noise=1e-7, values=truth)
        written(tmp_path / f"W_{volts}V.csv", table("t [s],V [V],I [uA]", t, v, i * 1e6))
    output = tmp_path / "mine.toml"
    data = sorted(map(str, tmp_path.glob("*.csv")))
    told = ["--model", "metastable", "--dopant", "Cr", "--series", "5.11 kohm", "--output", str(output)]
    assert cli.run(["fit", *data, *told, "--seed", "3", "--no-leave-out", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    device = parameters.load(str(output))
    assert device.values["ron"] == answer["values"]["ron"] == pytest.approx(500.0, rel=0.02)
    text = output.read_text()
    assert answer["fingerprint"] in text
    assert "95 %: " in text
    assert json.loads(output.with_suffix(".json").read_text())["parameters"]["ron"]["unit"] == "ohm"
    assert output.with_suffix(".csv").read_text().startswith("parameter,unit,value,standard_error")
    for name in ("loops", "residuals", "correlations"):
        assert (tmp_path / f"mine-{name}.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["nowhere.csv"], "nowhere.csv is not there"),
        (["{data}", "--model", "magic"], "there is no model 'magic'"),
        (["{data}", "--dopant", "Au"], "no shipped parameters of a dopant 'Au'"),
        (["{data}", "--fix", "tau"], "--fix 'tau'"),
        (["{data}", "--correct", "everything"], "--correct 'everything'"),
        (["{data}", "--across", "town"], "--across 'town'"),
        (["{data}", "--series", "5110"], "has no unit"),
    ],
)
def test_mistakes_in_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], wrong: str
) -> None:
    data = written(tmp_path / "a.csv", table("t,V,I", *loop()))
    assert cli.run(["fit", *(text.format(data=data) for text in arguments)]) == 2
    assert wrong in capsys.readouterr().err


def rows_of(header: str, scales: tuple[float, float, float], order: str = "tvi") -> str:
    """A table of a loop with its columns scaled and in this order."""
    columns = dict(zip("tvi", (c * k for c, k in zip(loop(), scales, strict=True)), strict=True))
    return table(header, *(columns[name] for name in order))


SPOILED = {
    "empty.csv": ("", "is empty", "record or export it again"),
    "header.csv": ("t,V,I\n", "no row of numbers", "export it again as text"),
    "cut.csv": (rows_of("t,V,I", (1, 1, 1))[:900], "rows", "look whether the file was cut off"),
    "amps.csv": (rows_of("t,V,I", (1, 1, 1e3)), "written in mA", "--unit current=mA"),
    "volts.csv": (rows_of("t,V,I", (1, 1e3, 1)), "written in mV", "--unit voltage=mV"),
    "small.csv": (rows_of("t,V,I", (1, 1e-3, 1)), "at most 1 mV", "mend the header"),
    "times.csv": (rows_of("t,V,I", (1e6, 1, 1)), "its samples lie 500 s apart", "--unit time=us"),
    "commas.csv": (rows_of("t,V,I", (1, 1, 1)).replace(".", ","), "in two ways", "with semicolons"),
    "nan.csv": ("t,V,I\n" + "nan,nan,nan\n" * 99, "no row of numbers", "export it again as text"),
    "swapped.csv": (rows_of("", (1, 1, 1), "tiv"), "look swapped", "--correct swap"),
    "first.csv": (
        rows_of("", (1, 1, 1), "vti"),
        "time stands still or goes back",
        "which column is the time",
    ),
    "still.csv": (
        table("t,V,I", np.arange(600.0), np.full(600, 0.1), 1e-5 * (1 - 1e-4 * np.arange(600.0))),
        "drift only",
        "record a sweep",
    ),
    "noise.csv": (
        table("t,V,I", *loop()[:2], 1e-8 * np.random.default_rng(0).standard_normal(600)),
        "does not follow the voltage",
        "look whether the device is connected",
    ),
    "ohmic.csv": (table("t,V,I", *loop()[:2], loop()[1] / 15e3), "never switches", "drive it further"),
    "letter.csv": ("dear friend,\nall is well\n", "no row of numbers", "the right file"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_files_get_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    text, wrong, todo = SPOILED[name]
    path, output = written(tmp_path / name, text), tmp_path / "out.toml"
    assert cli.run(["fit", str(path), "--series", "5.11 kohm", "--output", str(output)]) == 2
    said = capsys.readouterr().err
    assert wrong in said
    assert "what to do: " in said
    assert todo in said
    assert not output.exists()


def test_what_is_no_text_of_a_reasonable_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\x93NUMPY\0\1" * 99)
    (tmp_path / "nothing").mkdir()
    with (tmp_path / "long.csv").open("wb") as long:
        long.write(b"0.001,0.1,1e-6\n" * 300)
        long.truncate(200 << 20)  # a hole: takes no room
    answers = {"binary.csv": "is no text", "nothing": "has no data in it", "long.csv": "longer than 64 MiB"}
    for name, wrong in answers.items():
        assert cli.run(["fit", str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        assert wrong in said
        assert "allowed: " in said


# ---- proofs ---------------------------------------------------------------------------------------


def test_a_run_folder_gives_back_the_device_that_was_measured() -> None:
    """One of the trials of `python -m benchmarks recovery`, with the smaller model."""
    trial = recovery.trial(1, "Cr", "metastable", QUICK)
    verdicts = trial.verdicts()
    assert all(verdicts[name] for name in ("ron", "von", "voff"))
    assert False not in verdicts.values()
    assert trial.found.mean_nmse < 1e-4


LOOPS = {"W": 0.006, "Sn": 0.012, "Cr": 0.030, "C": 0.015}


HASTY = Effort(random=0, improved=1, steps=1, final=2, kicks=0)


@pytest.mark.parametrize("dopant", LOOPS)
@pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no measured data in {DATA} (LABCTL_MEASURED names the folder)"
)
def test_a_fit_of_measured_loops_is_never_worse_than_the_shipped_set(dopant: str) -> None:
    recordings = [read(path, Telling())[0] for path in sorted(DATA.glob(f"sine/{dopant}_*.csv.gz"))]
    candidate = candidates(dopant)["sdc"]
    found = fit(candidate, recordings, candidate.starts(), Settings(leave_out=False, effort=HASTY))
    shipped = candidate.starts()[0].values
    figures = [part.nmse(candidate.currents(shipped, part, None)) for part in prepared(recordings)]
    assert found.mean_nmse <= math.fsum(figures) / 6 * (1 + 1e-9)


@pytest.mark.parametrize("dopant", LOOPS)
@pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no measured data in {DATA} (LABCTL_MEASURED names the folder)"
)
def test_shipped_sets_predict_measured_loops(dopant: str) -> None:
    """Mean NMSE of the cycle-averaged loops, 0.5 and 1.5 V at 1, 10 and 100 Hz."""
    parts = prepared([read(path, Telling())[0] for path in sorted(DATA.glob(f"sine/{dopant}_*.csv.gz"))])
    candidate = candidates(dopant)["sdc"]
    values = candidate.starts()[0].values
    figures = [part.nmse(candidate.currents(values, part, None)) for part in parts]
    assert len(figures) == 6
    assert math.fsum(figures) / 6 <= LOOPS[dopant]
