"""Noise that remembers, drift and wear: against their closed forms, and alike on ngspice and on the twin."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.signal import welch

from labctl.addressing import select, wait
from labctl.errors import BadConfig
from labctl.pulse import Purpose
from labctl.reading import conductance
from labctl.shapes import square
from sim_backend.chip import Chip, Variability
from sim_backend.devices import parameters
from sim_backend.devices.ageing import Relaxation, Retention, Wear
from sim_backend.devices.fluctuations import (
    BOLTZMANN,
    CHARGE,
    KELVIN,
    Flicker,
    Telegraph,
    averaged,
    current_noise,
)
from sim_backend.devices.model import SCALE, SHUNT, SPEED
from sim_backend.unrest import Coming, Kinds
from tests.boards import compact, ngspice

READ = Coming(1e-4, 1, erasing=False)
ERASE = Coming(1e-3, 1, writing=True, erasing=True)


def chip_with(sites: int = 1, seed: int = 7, **kinds: bool) -> Chip:
    return Chip(parameters.load("Cr"), sites, Variability(unrest=Kinds(**kinds)), seed)


def scales(chip: Chip, count: int, period: float) -> np.ndarray:
    found = np.empty(count)
    for index in range(count):
        found[index] = chip.before(0, READ)[SCALE]
        chip.pass_time(period)
    return found


# ---- flicker -------------------------------------------------------------------------------------


def test_flicker_has_a_spectrum_of_one_over_f_and_the_rms_that_it_states() -> None:
    flicker = Flicker(rms=0.01, fastest=1e-3, slowest=10.0)
    rng = np.random.default_rng(5)
    levels, period = rng.standard_normal(len(flicker.relaxations)), 1e-3
    series = np.empty(2**17)
    for index in range(len(series)):
        levels = flicker.step(levels, period, rng.standard_normal(len(levels)))
        series[index] = np.log(flicker.factor(levels, 0.0))
    frequency, power = welch(series, 1 / period, nperseg=2**14)
    inside = (frequency > 0.2) & (frequency < 50)
    slope = np.polyfit(np.log(frequency[inside]), np.log(power[inside]), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.1)
    assert series.std() == pytest.approx(0.01, rel=0.15)


@pytest.mark.parametrize("ratio", [1e-3, 0.1, 1.0, 30.0, 1e6])
def test_the_mean_over_a_pulse_has_the_variance_that_the_integral_gives(ratio: float) -> None:
    lags = np.linspace(0.0, 1.0, 200_001)  # of the pulse; the variance is twice the integral of (1-u) r(u)
    integrand = (1 - lags) * np.exp(-lags / ratio)
    expected = 2 * np.trapezoid(integrand, lags)
    assert averaged(np.array([ratio]), 1.0)[0] ** 2 == pytest.approx(expected, rel=1e-4)


def test_reads_far_apart_see_other_flicker_and_reads_close_together_the_same() -> None:
    close = scales(chip_with(flicker=True), 2, 1e-9)
    assert close[0] == pytest.approx(close[1], rel=1e-4)
    apart = np.log(scales(chip_with(flicker=True), 3000, 1e5))
    assert apart.std() == pytest.approx(0.01, rel=0.1)
    assert abs(np.corrcoef(apart[1:], apart[:-1])[0, 1]) < 0.05


# ---- telegraph noise --------------------------------------------------------------------------------


def test_a_trap_is_full_as_long_as_its_dwell_times_say() -> None:
    trap = Telegraph(share=1.0, amplitude=0.02, full_seconds=0.05, empty_seconds=0.1)
    assert trap.probability(False, 1e9) == pytest.approx(1 / 3)
    assert trap.probability(True, 0.0) == 1.0
    small = 1e-6
    assert (1 - trap.probability(True, small)) / small == pytest.approx(1 / 0.05, rel=1e-3)
    assert trap.probability(False, small) / small == pytest.approx(1 / 0.1, rel=1e-3)


def test_part_of_the_devices_have_a_trap_and_show_two_levels() -> None:
    chip = chip_with(sites=200, telegraph=True)
    seen: list[set[float]] = [set() for _ in range(200)]
    for _ in range(40):
        for site in range(200):
            seen[site].add(float(chip.before(site, READ)[SCALE]))
        chip.pass_time(1.0)
    trapped = [levels for levels in seen if len(levels) == 2]
    assert len(trapped) / 200 == pytest.approx(0.2, abs=0.08)
    assert trapped[0] == {1.0, 0.98}


# ---- drift and wear -----------------------------------------------------------------------------------


def test_half_an_hour_costs_what_the_measured_drift_says() -> None:
    law = Retention(exponent=0.03, spread=0.66, onset=1.0, jump_seconds=1e5)
    kept = law.kept(0.03, 0.0, 1800.0)
    assert kept == pytest.approx(1801.0**-0.03)
    assert 1.10 < 1 / kept < 1.70  # +10 to +70 % of the low resistance
    twice = law.kept(0.03, 0.0, 600.0) * law.kept(0.03, 600.0, 1200.0)
    assert twice == pytest.approx(kept)  # two looks see what one sees
    assert law.probability_of_jump(1e5) == pytest.approx(1 - np.exp(-1))


def test_a_grown_filament_relaxes_once_and_a_dissolved_one_does_not() -> None:
    law = Relaxation(part=0.3, power=2.0, spread=0.0, seconds=0.3)
    assert law.settled(0.3, 0.0) == pytest.approx(0.15)  # half of itself
    assert law.settled(0.9, 0.0) == pytest.approx(0.9**3 / (0.9**2 + 0.3**2))
    device = replace(parameters.load("Cr"), unrest=replace(parameters.load("Cr").unrest, relaxation=law))
    chip = Chip(device, 1, Variability(unrest=Kinds(relaxation=True)), seed=1)
    chip.before(0, READ)
    chip.x[0] = 0.6  # a set pulse
    seen = []
    for _ in range(3):
        chip.before(0, READ)
        seen.append(float(chip.x[0]))
        chip.pass_time(0.3)
    rest = 0.6**3 / (0.6**2 + 0.3**2)
    assert seen == pytest.approx([0.6, rest + (0.6 - rest) * np.exp(-1), rest + (0.6 - rest) * np.exp(-2)])
    chip.before(0, READ)
    chip.x[0] = 0.2  # a reset pulse
    chip.before(0, READ)
    chip.pass_time(100.0)
    chip.before(0, READ)
    assert chip.x[0] == pytest.approx(0.2)


def test_a_written_state_drifts_and_writing_it_again_begins_anew() -> None:
    chip = chip_with(retention=True)
    exponent = chip._restless._exponents[0]
    chip.x[0] = 0.5
    chip.before(0, READ)
    for seconds in (9.0, 90.0):  # two looks see what one sees
        chip.pass_time(seconds)
        chip.before(0, READ)
    assert chip.x[0] == pytest.approx(0.5 * 100.0**-exponent)
    chip.x[0] = 0.6
    chip.before(0, READ)
    chip.pass_time(9.0)
    chip.before(0, READ)
    assert chip.x[0] == pytest.approx(0.6 * 10.0**-exponent)


def test_cycles_raise_a_leak_and_end_a_life() -> None:
    wear = Wear(cycles=1000.0, shape=2.0, leak=1e-4)
    assert wear.life(1 - np.exp(-1)) == pytest.approx(1000.0)  # 63 % die before
    assert wear.shunt(500.0, 1000.0) == pytest.approx(0.25e-4)
    chip = chip_with(wear=True)
    life = chip._restless._lives[0]
    half = Coming(1.0, round(life / 2), writing=True, erasing=True)
    row = chip.before(0, half)
    assert row[SPEED] == 1.0
    assert row[SHUNT] == pytest.approx(0.25e-4, rel=1e-3)
    assert chip.before(0, Coming(1.0, round(life), writing=True, erasing=True))[SPEED] == 0.0
    assert chip.before(0, READ)[SHUNT] == pytest.approx(1e-4)


def test_nothing_is_drawn_that_was_not_asked_for() -> None:
    chip = chip_with()
    assert chip.steady
    for coming in (READ, ERASE):
        assert np.array_equal(chip.before(0, coming), parameters.load("Cr").vector)


def test_unrest_goes_on_from_its_file_where_it_was_left(tmp_path: Path) -> None:
    kinds = {"flicker": True, "telegraph": True, "retention": True, "wear": True}

    def live(chip: Chip, count: int) -> list[list[float]]:
        rows = []
        for index in range(count):
            rows.append([*chip.before(index % 2, ERASE if index % 3 == 0 else READ), *chip.x])
            chip.pass_time(0.5)
        return rows

    whole = live(chip_with(2, **kinds), 12)
    first, second = chip_with(2, **kinds), chip_with(2, **kinds)
    first.remember_in(tmp_path / "chip")
    before = live(first, 6)
    second.remember_in(tmp_path / "chip")
    assert before + live(second, 6) == whole


# ---- on boards ------------------------------------------------------------------------------------------


def reads(board: Any, count: int) -> np.ndarray:
    spec = board.spec
    erase, program = (
        select(spec, 0, square(volts, 1e-3), purpose)
        for volts, purpose in ((-1.0, Purpose.RESET), (1.0, Purpose.PROGRAM))
    )
    read = select(spec, 0, square(0.1, 1e-4), Purpose.READ)
    with board:
        board.apply([erase, erase, program])
        traces = board.apply([read, wait(spec, 10.0)] * count)[::2]
    return np.array([conductance(spec, read, trace, 0) for trace in traces])


@pytest.mark.parametrize(
    "kind",
    [
        "flicker",
        "relaxation",
        "retention",
        "telegraph",
        "wear",
        "read_noise",
        "cycle_to_cycle",
        "thermal_noise",
    ],
)
def test_ngspice_and_the_twin_draw_the_same_and_draw_something(kind: str, tmp_path: Path) -> None:
    shipped = Path(parameters.FOLDER, parameters.DEFAULT, "Cr.toml").read_text(encoding="utf-8")
    file = tmp_path / "mine.toml"  # every device has a trap, and few cycles to live
    file.write_text(f"{shipped}\n[telegraph]\nshare = 1.0\n[wear]\ncycles = 10\n", encoding="utf-8")
    settings = {"seed": 11, "columns": 2, "parameters": str(file)}
    quiet = reads(compact("selector-1x16", **settings), 6)
    fast = reads(compact("selector-1x16", **settings, **{kind: True}), 6)
    slow = reads(ngspice("selector-1x16", **settings, **{kind: True}), 6)
    assert fast == pytest.approx(slow, rel=2e-3)
    assert np.abs(fast / quiet - 1).max() > (1e-7 if kind == "thermal_noise" else 2e-3)


def test_flicker_and_drift_show_in_what_a_board_reads() -> None:
    quiet = reads(compact("selector-1x16", columns=1), 40)
    assert np.ptp(quiet) < 1e-2 * quiet.mean()
    noisy = reads(compact("selector-1x16", columns=1, flicker=True, seed=3), 40)
    assert np.diff(np.log(noisy)).std() == pytest.approx(0.01 * np.sqrt(2 * 0.35), rel=0.5)
    drifting = reads(compact("selector-1x16", columns=1, retention=True, seed=3), 40)
    assert drifting[-1] < 0.97 * drifting[0]


def test_thermal_and_shot_noise_have_the_power_of_their_formulae() -> None:
    amps, ohms, seconds = np.full(40_000, 2e-6), 5e4, np.full(40_000, 1e-3)
    noise = current_noise(amps, ohms, seconds, 0.0, np.random.default_rng(2).standard_normal(40_000))
    expected = (4 * BOLTZMANN * KELVIN / ohms + 2 * CHARGE * 2e-6) / (2 * 1e-3)
    assert noise.var() == pytest.approx(expected, rel=0.03)
    slow = current_noise(amps, ohms, seconds * 1e-6, 1e-3, np.ones(40_000))
    assert slow[0] ** 2 == pytest.approx(expected / 2, rel=1e-6)  # the board's band: 1/(4 * 1 ms)


def test_the_noise_of_the_ammeter_is_that_of_its_setting() -> None:
    board = compact("selector-1x16", columns=1, sense_noise="20 nA", seed=5)
    quiet = compact("selector-1x16", columns=1)
    pulse = select(board.spec, 0, square(0.1, 1e-3), Purpose.READ)
    with board, quiet:
        noisy, clean = board.apply([pulse] * 400), [quiet.apply([pulse])[0] for _ in range(400)]
    added = np.concatenate([one.amps - other.amps for one, other in zip(noisy, clean, strict=True)])
    assert added.std() == pytest.approx(20e-9, rel=0.03)
    assert board.spec.noise_amps == pytest.approx(20e-9)


def test_noise_below_nothing_is_refused() -> None:
    with pytest.raises(BadConfig, match="sense_noise"):
        compact("selector-1x16", sense_noise="-5 nA")


# ---- what a bench may not say ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ({"low": (16,)}, "site 16"),
        ({"low": (3,), "open": (3,)}, "site 3 twice"),
        ({"low_part": "60 %", "high_part": "50 %"}, "more than all"),
        ({"low": (-1,)}, "low"),
        ({"broken": (1,)}, "broken"),
    ],
)
def test_faults_that_cannot_be_are_told(faults: dict[str, Any], told: str) -> None:
    with pytest.raises(BadConfig, match=told):
        compact("selector-1x16", faults=faults)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[flicker]\nrms = -0.01", "flicker.rms"),
        ("[flicker]\nfastest = 10.0\nslowest = 1.0", "fastest"),
        ("[telegraph]\nshare = 1.5", "share"),
        ("[wear]\ncycles = 0", "wear.cycles"),
        ("[retention]\nhalf_life = 3.0", "half_life"),
    ],
)
def test_a_device_file_that_makes_no_sense_is_told(line: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    shipped = Path(parameters.FOLDER, parameters.DEFAULT, "Cr.toml").read_text(encoding="utf-8")
    file.write_text(f"{shipped}\n{line}\n", encoding="utf-8")
    with pytest.raises(BadConfig, match=told):
        parameters.load(str(file))
