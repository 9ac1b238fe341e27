"""Read noise, on a device whose noise is drawn by the test and on the twin."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labctl.characterize.noise import Noise, NoiseSettings, series
from labctl.characterize.procedure import Row
from labctl.energy import Ledger
from labctl.errors import Refused
from labctl.pulse import Flag, Purpose
from labctl.session import run
from tests.boards import compact
from tests.switches import SERIES, SPEC, Switch, driven, ended, send

READS = 512


def procedure(**settings: Any) -> Noise:
    return Noise(NoiseSettings(**{"reads": READS} | settings))


def noisy(sd: float, seed: int = 0) -> Callable[[float, int], float]:
    values = np.exp(sd * np.random.default_rng(seed).normal(size=4 * READS))
    return lambda siemens, number: float(siemens * values[number])


def test_a_read_and_its_pause_are_one_pulse_that_throws_no_switch() -> None:
    device = Switch()
    rows = driven(procedure(), device)
    assert len(rows) == len(device.driven) == READS
    assert {pulse.purpose for pulse in device.driven} == {Purpose.READ}
    assert {pulse.duration for pulse in device.driven} == {1e-3}
    SPEC.check(device.driven)


def test_a_long_period_is_a_read_and_a_wait() -> None:
    device = Switch()
    rows = driven(procedure(reads=64, period=0.5), device)
    assert [pulse.purpose for pulse in device.driven[:3]] == [Purpose.READ, Purpose.WAIT, Purpose.READ]
    assert float(rows[-1]["seconds"]) == pytest.approx(64 * 0.5)
    SPEC.check(device.driven)


def test_a_period_no_longer_than_the_read_is_reads_alone() -> None:
    device = Switch()
    driven(procedure(reads=64, period=50e-6), device)
    assert {pulse.duration for pulse in device.driven} == {50e-6}


def test_white_noise_gives_its_spread_its_density_and_no_exponent() -> None:
    found = procedure().summary(SPEC, 0, driven(procedure(), Switch(siemens=1e-4, read=noisy(0.01))))
    assert found["ohms"] == pytest.approx(1e4, rel=0.01)
    assert found["sd"] == pytest.approx(0.01, rel=0.1)
    assert found["step_sd"] == pytest.approx(0.01, rel=0.1)
    assert float(found["sd_low"]) < 0.01 < float(found["sd_high"])
    assert found["white"] == pytest.approx(2 * 0.01**2 * 1e-3, rel=0.15)
    amps = 0.1 / (1e4 + SERIES)
    assert float(found["white_amps"]) / float(found["white"]) == pytest.approx(amps**2, rel=0.01)
    assert math.isnan(float(found["exponent"]))
    assert found["allan_slope"] == pytest.approx(-0.5, abs=0.12)
    assert str(found["telegraph"]).startswith("no: ")
    assert found["limited_by"] == "the device"


@pytest.mark.parametrize("bent", [0.0, 0.3])
def test_a_drift_is_called_a_drift_and_no_noise_of_the_device(bent: float) -> None:
    def drifting(siemens: float, number: int) -> float:
        way = number / READS
        return siemens * math.exp(0.01 * (way + bent * way**2))

    found = procedure().summary(SPEC, 0, driven(procedure(), Switch(siemens=1e-4, read=drifting)))
    assert found["drift_part"] == pytest.approx(1.0, abs=0.01)
    assert found["drift"] == pytest.approx(-0.01 * (1 + bent) / (READS * 1e-3), rel=0.02)
    assert str(found["limited_by"]).startswith("none: it drifts")


def test_noise_beside_a_drift_is_still_that_of_the_device() -> None:
    white = noisy(0.01)
    device = Switch(siemens=1e-4, read=lambda siemens, n: white(siemens, n) * math.exp(0.1 * n / READS))
    found = procedure().summary(SPEC, 0, driven(procedure(), device))
    assert float(found["drift_part"]) > 0.8
    assert found["white"] == pytest.approx(2 * 0.01**2 * 1e-3, rel=0.15)
    assert found["limited_by"] == "the device"


def test_two_levels_are_found_with_their_distance() -> None:
    values = np.random.default_rng(5)
    upper = np.cumsum(values.random(READS) < 1 / 20) % 2  # ln R falls by .1 where it is 1
    white = 0.01 * values.normal(size=READS)
    device = Switch(
        siemens=1e-4,
        read=lambda siemens, number: float(siemens * np.exp(0.1 * upper[number] + white[number])),
    )
    found = procedure().summary(SPEC, 0, driven(procedure(), device))
    assert found["telegraph"] == "yes"
    assert found["telegraph_step"] == pytest.approx(0.1, rel=0.05)
    assert found["seconds_low"] == pytest.approx(20e-3, rel=0.7)


def test_noise_below_the_instruments_is_said_to_be_the_instruments() -> None:
    amps = 0.1 / (1e4 + SERIES)
    loud = replace(SPEC, noise_amps=amps * 0.01)
    found = procedure().summary(loud, 0, driven(procedure(), Switch(siemens=1e-4, read=noisy(0.01))))
    assert found["limited_by"] == "the instrument"
    assert found["instrument_amps"] == pytest.approx(2 * 1e-3 * (0.01 * amps) ** 2)


def test_the_thermal_and_the_shot_floor_by_hand() -> None:
    found = procedure().summary(SPEC, 0, driven(procedure(), Switch(siemens=1e-4, read=noisy(0.01))))
    folded = 1e-3 / (0.25 * 50e-6)  # every ms, averaged over the settled quarter of 50 us
    assert found["thermal_amps"] == pytest.approx(4 * 1.380649e-23 * 298 * 1e-4 * folded, rel=0.01)
    assert found["shot_amps"] == pytest.approx(2 * 1.602177e-19 * 0.1 / 15e3 * folded, rel=0.01)


def test_a_device_without_noise_is_no_crash() -> None:
    found = procedure().summary(SPEC, 0, driven(procedure(), Switch()))
    assert found["sd"] == pytest.approx(0.0, abs=1e-9)
    assert math.isnan(float(found["exponent"]))


def test_a_device_below_the_noise_floor_is_given_up_after_one_list() -> None:
    how, device = procedure(reads=2048), Switch(siemens=1e-9)  # 0.1 nA
    found = how.summary(SPEC, 0, driven(how, device))
    assert len(device.driven) == 256
    assert (found["reads"], found["telegraph"], found["limited_by"]) == (0, "no: open", "none: open")
    assert found.keys() == {one.name for one in Noise.figures}


def test_reads_that_say_nothing_are_left_out() -> None:
    found = procedure().summary(SPEC, 0, driven(procedure(), Switch(flags=Flag.OVER_RANGE)))
    assert found["reads"] == 0


def test_a_drift_is_told_from_noise() -> None:
    device = Switch(siemens=1e-4, read=lambda siemens, number: siemens * math.exp(-1e-3 * number))
    found = procedure().summary(SPEC, 0, driven(procedure(), device))
    assert found["drift"] == pytest.approx(1.0, rel=1e-6)  # 1e-3 a read, a thousand reads a second
    assert found["allan_slope_late"] == pytest.approx(1.0, abs=0.01)
    assert math.isnan(float(found["exponent"]))


def test_every_figure_and_column_is_announced() -> None:
    rows = driven(procedure(), Switch(read=noisy(0.01)))
    assert procedure().summary(SPEC, 0, rows).keys() == {one.name for one in Noise.figures}
    assert rows[0].keys() == {one.name for one in Noise.columns}
    assert procedure().summary(SPEC, 0, []).keys() == {one.name for one in Noise.figures}


def test_a_period_shorter_than_the_read_is_refused() -> None:
    with pytest.raises(Refused, match="every 1e-05 s"):
        procedure(period=1e-5).check(SPEC, 0)


def test_time_beyond_the_cap_is_not_spent() -> None:
    rows, reason = ended(procedure(reads=4096, most_time=1.0), Switch())
    assert reason == "dose limit: more than 1 s"
    assert 700 < len(rows) <= 1000


@pytest.mark.parametrize("lists", [1, 3])
def test_a_run_that_was_cut_goes_on_to_the_same_rows(lists: int) -> None:
    how, cut, rows = procedure(reads=1000), Switch(read=noisy(0.01)), list[Row]()
    whole = driven(how, Switch(read=noisy(0.01)))
    send(how.plan(SPEC, 0, rows), cut, most_lists=lists)
    assert len(rows) == 256 * lists
    assert driven(how, cut, rows) == whole


def test_the_period_is_the_one_that_was_measured() -> None:
    rows = [{"seconds": 0.002 * number, "siemens": 1e-4} for number in range(10)]
    assert series(rows, 1e-3).period == pytest.approx(0.002)


# ---- on the twin -------------------------------------------------------------------------------


def read_noise(board: Any) -> dict[str, float | str]:
    how = procedure()
    how.check(board.spec, 0)
    rows = list[Row]()
    run(how.plan(board.spec, 0, rows), board, ledger=Ledger())
    return dict(how.summary(board.spec, 0, rows))


def test_a_simulated_device_is_noisier_with_noise_than_without() -> None:
    with compact("selector-1x1") as board:
        quiet = read_noise(board)
    with compact("selector-1x1", read_noise=True) as board:
        loud = read_noise(board)
    assert float(loud["step_sd"]) > 2 * float(quiet["step_sd"])
    assert 1e-3 < float(loud["step_sd"]) < 0.1
