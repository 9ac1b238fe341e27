"""How chips differ: one spread for all parameters, faults by number, offsets of the neurons' op-amps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.addressing import infer, select, wait
from labctl.errors import BadConfig
from labctl.images import letters
from labctl.network import Amplifier, chip_volts
from labctl.pulse import Floats, Pulse, Purpose
from labctl.reading import conductance, settled_volts
from labctl.shapes import square
from sim_backend.chip import Chip, Faults, Variability
from sim_backend.devices import parameters
from sim_backend.devices.model import HEAD, Model
from sim_backend.devices.models import MODELS
from sim_backend.variation import varied
from tests.boards import compact, ngspice

CR, SIGMA = parameters.load("Cr"), 0.2


def devices(model: Model, values: dict[str, float], sigma: float, sites: int = 4000) -> Floats:
    """Parameters (sites, parameters) of so many devices."""
    rows = np.tile(model.row(values), (sites, 1))
    return varied(model, rows, sigma, np.random.default_rng(3))[:, HEAD:]


# ---- variation ----------------------------------------------------------------------------------


def test_every_parameter_varies_by_one_sigma_and_what_is_nought_or_full_stays() -> None:
    values = CR.values | {"fade": 1.0}
    found = devices(CR.model, values, SIGMA)
    for one, drawn in zip(CR.model.parameters, found.T, strict=True):
        if values[one.name] in (0.0, one.high):
            assert (drawn == values[one.name]).all(), one.name
        elif one.additive:
            assert drawn.std() == pytest.approx(SIGMA * abs(values[one.name]), rel=0.05), one.name
            assert drawn.mean() == pytest.approx(values[one.name], rel=0.02), one.name
        else:
            logs = np.log(drawn / values[one.name])
            assert logs.std() == pytest.approx(SIGMA, rel=0.05), one.name
            assert abs(logs.mean()) < 0.02, one.name
    assert {one.name for one in CR.model.parameters if values[one.name] == 0.0} == {"power_on"}


@pytest.mark.parametrize("dopant", ["W", "Sn", "Cr", "C"])
@pytest.mark.parametrize("model", list(MODELS.values()), ids=lambda model: model.name)
def test_no_device_leaves_what_its_model_allows(model: Model, dopant: str) -> None:
    found = devices(model, parameters.load(dopant, model.name).values, 1.0)
    for one, drawn in zip(model.parameters, found.T, strict=True):
        assert one.low <= drawn.min() <= drawn.max() <= one.high
        assert (drawn == one.high).all() or not (drawn == one.high).any()  # drawn again, never clipped


def test_junctions_stay_a_pair_that_gives_no_current_at_no_voltage() -> None:
    model = MODELS["metastable"]
    found = devices(model, parameters.load("W", "metastable").values | {"af": 1e-6, "ar": 1e-6}, 0.5)
    af, ar = (found[:, place - HEAD] for place in model.places(["af", "ar"]))
    assert np.array_equal(af, ar)
    assert np.log(af / 1e-6).std() == pytest.approx(0.5, rel=0.05)


def test_more_variation_moves_the_same_chip_further_the_same_way() -> None:
    (von,) = CR.model.places(["von"])
    little, much = (Chip(CR, 5, Variability(variation=sigma), seed=2).fresh[:, von] for sigma in (0.1, 0.2))
    assert much - CR.values["von"] == pytest.approx(2 * (little - CR.values["von"]))
    assert np.ptp(little) > 0


def test_variation_goes_with_the_spreads_of_cycles_and_is_part_of_the_chip(tmp_path: Path) -> None:
    varying = Variability(cycle_to_cycle=True, variation=0.3)
    chip = Chip(CR, 3, varying, seed=2)
    chip.remember_in(tmp_path / "chip")
    Chip(CR, 3, varying, seed=2).remember_in(tmp_path / "chip")
    for other in (0.2, None):
        with pytest.raises(BadConfig, match="memory of another chip"):
            Chip(CR, 3, Variability(cycle_to_cycle=True, variation=other), seed=2).remember_in(
                tmp_path / "chip"
            )


def test_two_spreads_between_devices_are_one_too_many() -> None:
    with pytest.raises(BadConfig, match=r"variation.*device_to_device draws the spreads"):
        compact("network", variation="10 %", device_to_device=True)
    assert compact("network", variation="10 %", device_to_device=False).spec.sites
    with pytest.raises(BadConfig, match="variation"):
        compact("network", variation="101 %")


@pytest.mark.parametrize("sigma", ["0 %", "50 %"])
def test_ngspice_and_the_twin_are_handed_the_same_devices(sigma: str) -> None:
    found = []
    for make in (compact, ngspice):
        board = make("selector-1x16", variation=sigma, seed=8, columns=4)
        pulses = [select(board.spec, site, square(0.8, 1e-4), Purpose.PROGRAM) for site in range(4)]
        reads = [select(board.spec, site, square(0.1, 1e-4), Purpose.READ) for site in range(4)]
        with board:
            traces = board.apply([*pulses, *reads])[4:]
        found.append([conductance(board.spec, reads[site], traces[site], site) for site in range(4)])
    fast, slow = found
    assert fast == pytest.approx(slow, rel=5e-3)
    assert bool(np.ptp(np.log(fast)) > 0.1) is (sigma == "50 %")


# ---- faults by number -------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high"), [(0, 5), (3, 0), (2, 3), (30, 0)])
def test_exactly_so_many_devices_are_stuck(low: int, high: int) -> None:
    for seed in range(20):
        found = Chip(CR, 30, Variability(), seed, Faults(low_count=low, high_count=high)).faults
        assert (found.count("low"), found.count("high"), found.count("")) == (low, high, 30 - low - high)


def test_places_are_any_and_one_more_leaves_the_others() -> None:
    def stuck(seed: int, **counts: int) -> set[int]:
        found = Chip(CR, 30, Variability(), seed, Faults(**counts)).faults
        return {site for site, fault in enumerate(found) if fault}

    places = [site for seed in range(300) for site in stuck(seed, low_count=3)]
    assert np.bincount(places, minlength=30).min() > 10  # 30 on average
    for seed in range(5):
        assert stuck(seed, low_count=2) < stuck(seed, low_count=3)
        assert stuck(seed, high_count=4) < stuck(seed, high_count=4, low_count=2)


def test_named_sites_are_none_of_those_that_are_drawn() -> None:
    faults = Faults(low=(0, 1), open=(2,), high_count=2)
    for seed in range(50):
        found = Chip(CR, 5, Variability(), seed, faults).faults
        assert found == ["low", "low", "open", "high", "high"]
    board: Any = compact("selector-1x16", faults={"short_count": 2, "open_count": 1, "low": (4,)})
    assert sorted(board._chip.faults)[-4:] == ["low", "open", "short", "short"]


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ({"low_count": 10, "high_count": 7}, "17 faulty devices are to be drawn from 16"),
        ({"low_count": 16, "open": (3,)}, "16 faulty devices are to be drawn from 15"),
        ({"high_count": -1}, "high_count"),
    ],
)
def test_more_faults_than_devices_are_refused(faults: dict[str, Any], told: str) -> None:
    with pytest.raises(BadConfig, match=told):
        compact("selector-1x16", faults=faults)


def test_a_chip_keeps_its_faults_in_its_fingerprint(tmp_path: Path) -> None:
    Chip(CR, 9, Variability(), 1, Faults(low_count=1)).remember_in(tmp_path / "chip")
    with pytest.raises(BadConfig, match="memory of another chip"):
        Chip(CR, 9, Variability(), 1, Faults(high_count=1)).remember_in(tmp_path / "chip")


# ---- offsets of the neurons ---------------------------------------------------------------------------


def answers(board: Any, pulses: list[Pulse]) -> Floats:
    """[V], shape (patterns, neurons): what each neuron puts out."""
    board._chip.x[:] = np.random.default_rng(4).uniform(0.0, 0.04, 30)
    with board:
        traces = board.apply(pulses)
    outputs = [neuron.output for neuron in board.spec.neurons]
    return np.array(
        [[settled_volts(p, t, line) for line in outputs] for p, t in zip(pulses, traces, strict=True)]
    )


def test_an_offset_comes_out_times_the_noise_gain_by_hand_in_ngspice_and_in_the_twin() -> None:
    pixels = 0.1 * letters("z").pixels[:4]
    settings = {"model": "metastable", "neuron_offset": "2 mV", "seed": 6}
    boards: list[Any] = [make("network", **settings) for make in (compact, ngspice)]
    spec, tau = boards[0].spec, MODELS["metastable"].places(["tau"])[0]
    for board in boards:
        board._chip.parameters[:, tau] = 1e6  # nothing moves
    pulses = [infer(spec, row, 50e-6) for row in pixels]
    fast, slow = (answers(board, pulses) for board in boards)
    x, offsets = boards[0]._chip.x, boards[0]._parasitics.amplifier_offsets
    assert len(set(offsets)) == 4
    ron, roff = boards[0]._chip.parameters[0, HEAD : HEAD + 2]
    layers = [
        np.array(
            [[(x / ron + (1 - x) / roff)[spec.site_at(row, column)] for column in columns] for row in rows]
        )
        for rows, columns in ((range(9), range(3)), (range(9, 12), [3]))
    ]

    def by_hand(offsets: tuple[float, ...]) -> Floats:
        circuit = [
            Amplifier(one.feedback_ohms, one.reference_siemens, one.low_volts, one.high_volts, 1e5, offset)
            for one, offset in zip(spec.neurons, offsets, strict=True)
        ]
        hidden = [chip_volts(pixels, [layers[0][:, [n]]], [circuit[n]])[0] for n in range(3)]
        inner = np.concatenate(hidden, axis=1)
        return np.concatenate([inner, circuit[3].output_volts(inner, layers[1])], axis=1)

    assert fast == pytest.approx(by_hand(offsets), abs=1e-7)
    assert slow == pytest.approx(fast, abs=2e-5)
    assert np.abs(fast - by_hand((0.0,) * 4)).max() > 5e-3


def test_offsets_are_drawn_once_for_a_chip_and_have_the_rms_of_the_bench() -> None:
    drawn = [Chip(CR, 1, Variability(neuron_offset=3e-3), seed).offsets(4) for seed in range(500)]
    assert np.array(drawn).std() == pytest.approx(3e-3, rel=0.06)
    chip = Chip(CR, 1, Variability(read_noise=True, neuron_offset=3e-3), 7)
    first = chip.offsets(4)
    chip.before(0)
    assert np.array_equal(chip.offsets(4), first)


def test_a_bench_without_neurons_has_no_offset_of_them() -> None:
    with pytest.raises(BadConfig, match="neuron_offset"):
        compact("selector-1x16", neuron_offset="1 mV")
    with pytest.raises(BadConfig, match="neuron_offset"):
        compact("network", neuron_offset="-1 mV")


# ---- lists on a noisy chip ------------------------------------------------------------------------------

NOISY: dict[str, Any] = {"device_to_device": True, "cycle_to_cycle": True, "read_noise": True, "seed": 3}


def mixed(board: Any) -> list[Pulse]:
    """Programming, erasing and reading of two sites, and inference."""
    spec = board.spec
    moves = [
        [
            select(spec, site, square(volts, 5e-5), Purpose.PROGRAM),
            select(spec, site, square(0.1, 5e-5), Purpose.READ),
        ]
        for site, volts in ((3, 0.5), (3, -0.5), (4, 0.6), (3, 0.5))
    ]
    pulses = [pulse for pair in moves for pulse in pair]
    return [*pulses, wait(spec, 1e-3), *[infer(spec, 0.1 * row, 5e-5) for row in letters("z").pixels[:3]]]


def test_a_list_draws_what_its_pulses_draw_one_by_one() -> None:
    together: Any = compact("network", **NOISY)
    apart: Any = compact("network", **NOISY)
    pulses = mixed(together)
    with together, apart:
        together.apply(pulses)
        for pulse in pulses:
            apart.apply([pulse])
    assert together._chip._memory[1] == apart._chip._memory[1]  # as many draws
    assert np.array_equal(together._chip._present, apart._chip._present)
    assert np.array(together._chip.x) == pytest.approx(
        np.array(apart._chip.x), rel=0.03
    )  # the charge that is left


def test_a_noisy_list_goes_the_same_way_on_ngspice_and_on_the_twin() -> None:
    fast: Any = compact("network", **NOISY)
    slow: Any = ngspice("network", **NOISY)
    pulses = mixed(fast)
    with fast, slow:
        quick, careful = fast.apply(pulses), slow.apply(pulses)
    assert np.array(fast._chip.x) == pytest.approx(np.array(slow._chip.x), rel=5e-3, abs=1e-6)
    for one, other in zip(quick, careful, strict=True):
        joules = [float(trace.seconds @ (trace.volts * trace.amps).sum(axis=1)) for trace in (one, other)]
        assert joules[0] == pytest.approx(joules[1], rel=5e-3, abs=1e-18)


def test_a_noisy_list_goes_on_where_a_program_was_ended(tmp_path: Path) -> None:
    whole: Any = compact("network", **NOISY)
    pulses = mixed(whole)
    with whole:
        whole.apply(pulses[:4])
        whole.apply(pulses[4:])
    for part in (pulses[:4], pulses[4:]):
        board: Any = compact("network", memory=str(tmp_path / "chip"), **NOISY)
        with board:
            board.apply(part)
    assert np.array_equal(np.array(board._chip.x), np.array(whole._chip.x))
    assert np.array_equal(board._chip._present, whole._chip._present)


def test_sites_of_one_pulse_have_noise_of_their_own() -> None:
    board: Any = compact("network", read_noise=True, seed=5)
    pulse = infer(board.spec, np.full(9, 0.1), 5e-5)
    quiet: Any = compact("network")
    with board, quiet:
        noisy, still = board.apply([pulse] * 200), quiet.apply([pulse] * 200)
    factors = np.array([one.amps[4, :9] / other.amps[4, :9] for one, other in zip(noisy, still, strict=True)])
    assert factors.std(axis=0) == pytest.approx(0.01 / np.sqrt(3), rel=0.2)  # three devices on each row
    assert np.abs(np.corrcoef(factors.T) - np.eye(9)).max() < 0.3
