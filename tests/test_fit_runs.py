"""A run's pulses as a recording: when samples were taken, which site, and where the chain breaks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labctl.addressing import select
from labctl.energy import Ledger
from labctl.errors import BadData
from labctl.fit import runs
from labctl.fit.excerpts import MOMENT, excerpt, trusted
from labctl.journal import Journal, Outcome, Stored
from labctl.plan import Plan
from labctl.pulse import Pulse, Purpose
from labctl.session import run
from labctl.shapes import sine, square
from labctl.spec import Spec
from labctl.store import Store
from sim_backend.compact import CompactBoard
from sim_backend.simulated import SimulatedSettings


def driven(base: Path, sites: tuple[int, ...]) -> Path:
    """A run of one sine and one read on each of these sites."""
    settings = {"layout": "selector", "columns": 2, "series": "5 kohm", "dopant": "Cr"}
    board = CompactBoard(SimulatedSettings.model_validate(settings))
    with Store.create(base, "device", board.spec, {}) as store, board:
        run(pulses(board.spec, sites), board, ledger=Ledger(), store=store)
    return base / "device"


def pulses(spec: Spec, sites: tuple[int, ...]) -> Plan[None]:
    for site in sites:
        yield [select(spec, site, sine(1.0, 0.05), Purpose.PROGRAM)]
        yield [select(spec, site, square(0.1, 0.01), Purpose.READ)]


def entries_of(folder: Path) -> tuple[Spec, list[Stored]]:
    with Journal.open(folder.parent, folder.name) as journal:
        return journal.spec, list(journal.entries())


def test_samples_stand_where_the_pulse_had_their_volts(tmp_path: Path) -> None:
    folder = driven(tmp_path, (0,))
    spec, (sweep, _) = entries_of(folder)
    (found,) = runs.read(folder, None)
    inside = found.seconds < 0.05
    wanted = np.interp(found.seconds[inside], sweep.pulse.seconds, sweep.pulse.volts[:, 0])
    assert found.volts[inside] == pytest.approx(wanted, abs=1e-9)
    assert found.series_ohms == spec.series_ohms[0] + spec.series_ohms[1] == 5075.0
    assert found.seconds[-1] == pytest.approx(0.06)
    assert found.response_seconds == spec.response_seconds == pytest.approx(5e3 * 180e-12)
    assert excerpt(found).response_seconds == found.response_seconds
    assert replace(found, response_seconds=0.0).fingerprint != found.fingerprint


def test_every_pulse_weighs_the_same_unless_it_is_faint(tmp_path: Path) -> None:
    part = excerpt(runs.read(driven(tmp_path, (0,)), None)[0])
    sweep = part.seconds <= 0.05
    squares = part.share * part.amps**2
    assert part.share.sum() == pytest.approx(1.0)
    assert squares[sweep].sum() > 0.5 * squares.sum()
    assert part.count <= 400  # bins
    assert part.nmse(np.zeros(len(part.amps))) == pytest.approx(1.0, rel=0.02)


def test_the_moment_of_a_jump_is_believed_to_a_part_of_a_bin() -> None:
    samples, bins = np.arange(1000), np.arange(0, 1000, 5)
    noise = 1e-8 * np.random.default_rng(4).standard_normal(1000)
    jump = np.where(samples > 502, 1e-4, 0.0)
    trust = trusted(jump + noise, np.full(1000, 1e-3), bins)
    assert trust[100] == pytest.approx(np.median(np.abs(np.diff(noise, 2))) / (MOMENT * 1e-4), rel=0.9)
    assert trust[100] < 0.02  # the bin of the jump
    assert np.delete(trust, 100).min() > 0.99
    assert trusted(noise, np.full(1000, 1e-3), bins).min() > 0.99


def test_a_search_and_a_figure_differ_only_by_that_trust(tmp_path: Path) -> None:
    part = excerpt(runs.read(driven(tmp_path, (0,)), None)[0])
    assert part.trust is not None
    nothing = np.zeros(len(part.amps))
    assert part.residual(nothing) == pytest.approx(part.left(nothing) * part.trust)
    assert part.nmse(nothing) == pytest.approx(float(part.left(nothing) @ part.left(nothing)))
    coarser = part.coarser(250)
    assert coarser.trust is not None
    assert len(coarser.trust) == coarser.count < part.count


def test_several_sites_must_be_told_apart(tmp_path: Path) -> None:
    folder = driven(tmp_path, (0, 1))
    with pytest.raises(BadData, match="device drove 2 sites") as refusal:
        runs.read(folder, None)
    assert refusal.value.allowed == "M1, M2"
    assert "--site" in refusal.value.todo
    with pytest.raises(BadData, match="never drove site 7 alone") as refusal:
        runs.read(folder, "7")
    assert refusal.value.allowed == "M1, M2"
    by_label, by_number = (runs.read(folder, told)[0] for told in ("M2", "1"))
    assert by_label.fingerprint == by_number.fingerprint


def test_a_lost_waveform_cuts_the_recording(tmp_path: Path) -> None:
    spec, entries = entries_of(driven(tmp_path, (0, 0)))
    lost = [*entries[:1], replace(entries[1], trace=None, outcome=Outcome.UNKNOWN), *entries[2:]]
    found = runs.of_entries(spec, lost, None, "run")
    assert [one.name for one in found] == ["run-1", "run-2"]
    assert found[0].remarks == ("1 pulses without a waveform: the recording is cut there",)
    with pytest.raises(BadData, match=r"no waveform of site .* was kept"):
        runs.of_entries(spec, [replace(one, trace=None) for one in entries], None, "run")


@pytest.mark.parametrize("steps", [[1.0, 2.0, 0.5], [3.0, 0.1, 0.1, 7.0]])
def test_times_from_the_weights_of_simpson_and_of_trapezoids(steps: list[float]) -> None:
    ends = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.zeros(2 * len(steps) + 1)
    for k, step in enumerate(steps):
        weights[2 * k : 2 * k + 3] += np.array([1, 4, 1]) * step / 6
    assert runs._simpson(weights)[::2] == pytest.approx(ends)
    trapezoids = np.convolve(steps, [0.5, 0.5])
    assert runs._trapezoid(trapezoids) == pytest.approx(ends)


def test_no_pulse_that_selects_a_site(tmp_path: Path) -> None:
    spec, entries = entries_of(driven(tmp_path, (0,)))
    none = np.zeros(spec.lines, dtype=np.bool_)
    waits = [
        replace(one, pulse=Pulse(one.pulse.seconds, one.pulse.volts, none, Purpose.WAIT)) for one in entries
    ]
    with pytest.raises(BadData, match="no pulse selected a single site"):
        runs.of_entries(spec, waits, None, "run")
