"""Devices and contacts that are not what they should be, and what a bench may be off by.

Those behind emulated instruments are measured over real sockets; those of a chip are simulated.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.keithley2450 import Keithley2450
from labctl import characterization_run, training_run
from labctl.addressing import level, select
from labctl.bench import Bench
from labctl.board import Board
from labctl.characterization_record import Characterization
from labctl.characterize import protocol_of
from labctl.energy import Ledger
from labctl.errors import Refused, Stopped
from labctl.guard import Guarded
from labctl.images import letters
from labctl.journal import Journal
from labctl.limits import ABSOLUTE
from labctl.pages.run import run_page
from labctl.programming.write_verify import IDLE_MOST, Ending, Outcome, Programming, Reading, write_verify
from labctl.pulse import Pulse, Purpose, Trace
from labctl.reading import conductance
from labctl.session import run
from labctl.training.assignment import assign
from labctl.training.controller import Reset, Trained, Training, train
from sim_backend.compact import CompactBoard
from tests.boards import OHMS, SPEC, NullBoard, compact
from tests.source_meters import reading, resistor, rig
from tests.test_training_run import after, nobody, session

BAD = 7
"""The site that is broken."""
HOW = Training()


def trained(board: Board, how: Training = HOW) -> tuple[Trained, Ledger]:
    """The letters on this chip, whatever is wrong with it, and the bill."""
    ledger = Ledger()
    with board:
        goal = assign(letters("z"), board.spec, how.software)
        return run(train(goal, board.spec, how), board, ledger=ledger), ledger


def outcome_of(found: Trained) -> Outcome:
    """Of the broken site; all others are where they should be."""
    (bad,) = [outcome for outcome in found.outcomes if outcome.site == BAD]
    assert {outcome.ending for outcome in found.outcomes if outcome is not bad} == {Ending.DONE}
    assert len(found.answers) == 30
    return bad


def programmed(board: Board, how: Programming, target: float, ledger: Ledger | None = None) -> Outcome:
    """The only site of an open board, from where it is."""
    probe = select(board.spec, 0, level(board.spec, 0.1, 50e-6), Purpose.READ)
    now = conductance(board.spec, probe, board.apply([probe])[0], 0)
    plan = write_verify(board.spec, 0, target, now, how, Reading())
    return run(plan, board, ledger=ledger or Ledger())


# ---- 25: whose firmware it is -----------------------------------------------------------------------


def test_fault_25_the_firmware_is_in_the_run_with_a_warning_where_nobody_has_tried_it(tmp_path: Path) -> None:
    with rig("keithley2450", resistor(20e3)) as found:
        firmware = found.instrument.identity.split(",")[3]
        bench = tmp_path / "smu.toml"
        bench.write_text(
            'class = "drivers.keithley2450:Keithley2450"\nkind = "emulator"\n'
            f'[board]\naddress = "{found.address}"\ndopant = "Sn"\nseries = "10 kohm"\n'
        )
        what = Characterization(protocol_of("first_use", {}, "test"), (0,), Bench.read(bench))
        assert isinstance(what.bench.board(tmp_path), Guarded)
        characterization_run.begin(what, tmp_path, "one", nobody)
    with Journal.open(tmp_path, "one") as journal:
        (told,) = [note.body["identity"] for note in journal.notes() if note.kind == "instrument"]
        page = run_page(journal)
    assert f"firmware {firmware}, with which this driver has not been tried" in told
    assert f"instrument {told}" in page.parts
    assert page.data["instruments"] == [told]


def test_fault_25_a_firmware_that_was_tried_is_told_without_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with rig("keithley2450") as found:
        firmware = found.instrument.identity.split(",")[3]
        monkeypatch.setattr(Keithley2450, "reach", replace(Keithley2450.reach, tried=(firmware,)))
        with found.board as board:
            assert board.identity().endswith(f"firmware {firmware}")


# ---- 28: open ---------------------------------------------------------------------------------------


def test_fault_28_an_open_device_is_looked_at_in_both_polarities_and_the_run_goes_on() -> None:
    found, ledger = trained(compact("network", faults={"open": (BAD,)}))
    bad = outcome_of(found)
    assert (bad.ending, bad.after) == (Ending.STUCK, 0.0)
    assert bad.reason == "open: no current at 100 mV and -100 mV"
    assert found.conductances[BAD] == 0.0
    assert bad.pulses < HOW.programming.most_pulses
    assert spent(ledger, BAD) < 1e-7  # of what charges its wires


class Loose(CompactBoard):
    """The contact of one site comes and goes."""

    lost = range(0)
    """Pulses on this site that find no contact."""
    _count = 0

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for pulse, trace in zip(pulses, super()._drive(pulses), strict=True):
            if list(self.spec.connected(pulse.driven)) == [BAD]:
                self._count += 1
                if self._count in self.lost:
                    yield Trace(trace.seconds, trace.volts, np.zeros_like(trace.amps))
                    continue
            yield trace


@pytest.mark.parametrize(
    ("lost", "ending"),
    [(range(4, 8), Ending.DONE), (range(4, 10_000), Ending.STUCK)],
    ids=["for a while", "for good"],
)
def test_fault_28_a_contact_that_is_lost_suspends_the_site_and_not_the_run(
    lost: range, ending: Ending
) -> None:
    board: Any = compact("network")
    board.__class__, board.lost = Loose, lost
    bad = outcome_of(trained(board)[0])
    assert bad.ending is ending
    assert bad.pulses <= HOW.programming.most_pulses
    assert bad.joules < HOW.programming.most_energy
    assert ("open" in bad.reason) == (ending is Ending.STUCK)


# ---- 29: short --------------------------------------------------------------------------------------


def spent(ledger: Ledger, site: int) -> float:
    """[J] that pulses which write delivered to this site."""
    return sum(
        entry.joules[0]
        for purpose, of, _, entry in ledger.rows()
        if of == site and purpose in (Purpose.PROGRAM, Purpose.RESET)
    )


@pytest.mark.parametrize("reset", [False, True], ids=["", "with reset"])
@pytest.mark.parametrize("visits", ["site by site", "in rounds"])
def test_fault_29_a_short_is_seen_at_two_voltages_and_gets_no_pulse(visits: str, reset: bool) -> None:
    how = Training(programming=Programming.model_validate({"visits": visits}), reset=Reset(enabled=reset))
    found, ledger = trained(compact("network", faults={"short": (BAD,)}), how)
    bad = outcome_of(found)
    assert bad.ending is Ending.SHORT
    assert bad.pulses == 0
    assert spent(ledger, BAD) == 0.0
    assert "ohm at 100 mV, and" in bad.reason
    assert "ohm at 50 mV" in bad.reason


def test_fault_29_pulses_that_learn_spare_a_short() -> None:
    how = Training.model_validate({"learning": {"rule": "manhattan", "transfer": False}})
    found, ledger = trained(compact("network", faults={"short": (BAD,)}), how)
    assert found.learnt
    assert found.learnt.frozen[BAD] == str(Ending.SHORT)
    assert spent(ledger, BAD) == 0.0


class Once(CompactBoard):
    """The first look at a site shows a short that is none."""

    _count = 0

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for trace in super()._drive(pulses):
            self._count += 1
            if self._count > 1:
                yield trace
                continue
            amps = (trace.volts[:, :1] - trace.volts[:, 1:]) / (sum(self.spec.series_ohms) + 20.0)
            yield Trace(trace.seconds, trace.volts, np.hstack([amps, -amps]))


def test_fault_29_what_one_read_alone_calls_a_short_is_programmed() -> None:
    board: Any = compact("selector-1x1")
    board.__class__ = Once
    with board:
        outcome = programmed(board, Programming(), 5e-5)
    assert outcome.before > 2 / ABSOLUTE["Cr"].least_ohms
    assert outcome.ending is Ending.DONE


# ---- 30, 32, 37: what does not move, and what moves by itself -----------------------------------------

RESTLESS = {"read_noise": True, "flicker": True, "telegraph": True}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["low", "high"])
def test_fault_30_a_stuck_cell_is_given_up_and_named_whatever_its_noise(kind: str, seed: int) -> None:
    board, ledger = compact("selector-1x1", faults={kind: (0,)}, seed=seed, **RESTLESS), Ledger()
    with board:
        outcome = programmed(board, Programming(), 3e-5, ledger)
    assert outcome.ending is Ending.STUCK
    assert IDLE_MOST <= outcome.pulses < 60
    assert ledger.programmed_joules(0) == pytest.approx(outcome.joules)
    assert outcome.joules < Programming().most_energy


@pytest.mark.parametrize("seed", range(5))
def test_fault_32_telegraph_noise_is_not_taken_for_learning(seed: int) -> None:
    """Every read of the stuck cell differs, by more than its tolerance at times; none is progress."""
    board = compact("selector-1x1", faults={"high": (0,)}, seed=seed, **RESTLESS)
    with board:
        outcome = programmed(board, Programming(), 2e-5)
    path = np.array(outcome.path)
    assert outcome.ending is Ending.STUCK
    assert np.log(path).std() > 0
    assert abs(math.log(outcome.after / outcome.before)) < 5 * np.log(path).std()


def test_fault_32_what_drifts_after_it_was_programmed_is_read_again_and_told() -> None:
    found, _ = trained(compact("network", relaxation=True, seed=3))
    after = np.array([found.conductances[outcome.site] for outcome in found.outcomes])
    told = np.array([outcome.after for outcome in found.outcomes])
    assert [outcome.ending for outcome in found.outcomes] == [Ending.DONE] * 30
    assert (
        np.abs(after / told - 1).max() > 1e-3
    )  # what is reported is what was read last, not what was aimed at


CAPS = {
    "pulses": (Programming(most_pulses=4), Ending.PULSES),
    "seconds": (Programming(most_seconds=2e-4), Ending.SECONDS),
    "joules": (Programming(most_energy=1e-10), Ending.ENERGY),
}


@pytest.mark.parametrize(("how", "ending"), CAPS.values(), ids=CAPS)
def test_fault_37_each_cap_ends_a_cell_that_never_gets_there(how: Programming, ending: Ending) -> None:
    with compact("selector-1x1", faults={"low": (0,)}) as board:
        outcome = programmed(board, how, 1e-4)
    assert outcome.ending is ending
    assert outcome.pulses <= 30


# ---- 31: what stands in series ------------------------------------------------------------------------


def test_fault_31_a_series_resistor_that_is_off_shows_on_a_known_resistor(tmp_path: Path) -> None:
    with rig("keithley2450", resistor(10e3, series=10.2e3)) as found:
        for series, ohms in (("10 kohm", 10.2e3), ("10.2 kohm", 10e3)):
            bench = tmp_path / "smu.toml"
            bench.write_text(
                'class = "drivers.keithley2450:Keithley2450"\nkind = "emulator"\n[guard]\nenabled = false\n'
                f'[board]\naddress = "{found.address}"\ndopant = "Sn"\nseries = "{series}"\n'
            )
            what = Characterization(protocol_of("first_use", {}, "test"), (0,), Bench.read(bench))
            told = characterization_run.begin(what, tmp_path, f"at-{series.split()[0]}", nobody)
            (figures,) = told.figures.values()
            assert figures["ohms"] == pytest.approx(ohms, rel=0.004)


def calibrated(days: int, tmp_path: Path) -> Bench:
    """A bench that allows itself 30 days, calibrated so many days ago."""
    path = tmp_path / "bench.toml"
    then = (datetime.now(UTC) - timedelta(days=days)).date()
    path.write_text(
        'class = "sim_backend.compact:CompactBoard"\nkind = "sim"\n[board]\nlayout = "network"\n'
        f'[calibration]\ndate = {then}\nolder_than = "30 days"\n'
    )
    return Bench.read(path)


def test_fault_31_nothing_is_trained_on_a_bench_whose_calibration_is_too_old(tmp_path: Path) -> None:
    good = session()
    fresh = type(good)(good.experiment, good.images, calibrated(29, tmp_path))
    with pytest.raises(Stopped):
        training_run.begin(fresh, tmp_path, "fresh", nobody, after(3))
    stale = type(good)(good.experiment, good.images, calibrated(32, tmp_path))
    with pytest.raises(Refused, match="was calibrated on") as refused:
        training_run.begin(stale, tmp_path, "stale", nobody)
    assert "30 days" in refused.value.allowed
    assert not (tmp_path / "stale").exists()
    what = Characterization(protocol_of("first_use", {}, "test"), (0,), calibrated(32, tmp_path))
    characterization_run.begin(what, tmp_path, "measured", nobody)  # it is how one calibrates


# ---- 26, 33: the trace is what counts ------------------------------------------------------------------


class Slow(NullBoard):
    """Half of every pulse is lost on its way up."""

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for trace in super()._drive(pulses):
            yield Trace(trace.seconds, trace.volts / 2, trace.amps / 2)


def test_fault_33_a_pulse_that_came_out_smaller_is_billed_as_it_was_measured() -> None:
    pulse = select(SPEC, 0, level(SPEC, 0.5, 1e-3), Purpose.PROGRAM)
    bills = list[float]()
    for board in (NullBoard(), Slow()):
        ledger = Ledger()

        def plan() -> Any:
            yield [pulse]

        with board:
            run(plan(), board, ledger=ledger)
        bills.append(float(ledger.total().joules[0]))
    assert bills[0] == pytest.approx(0.5**2 / (OHMS + sum(SPEC.series_ohms)) * 1e-3, rel=0.02)
    assert bills[1] == pytest.approx(bills[0] / 4)


def test_fault_26_a_current_at_its_limit_ends_a_site_and_not_the_run() -> None:
    with rig("keithley2450", resistor(20e3), compliance="2 uA") as found, found.board as board:
        pulse = reading(board, 0.1)
        (trace,) = board.apply([pulse])
        plan = write_verify(board.spec, 0, 1e-4, 1e-5, Programming(), Reading(volts=0.1, seconds=10e-3))
        outcome = run(plan, board, ledger=Ledger())
    assert trace.flags
    assert outcome.ending is Ending.FAULT
    assert "COMPLIANCE" in outcome.reason
    assert outcome.pulses == 1
