"""The bill, against one that was worked out by hand.

0.5 V into 5 kohm in series, a memristor of 3.9 kohm and a switch of 100 ohm is 55.56 uA: 27.8 uW are
delivered, 12.0 uW heat the memristor and 15.7 uW the resistors.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.addressing import infer, read_row, select, wait
from labctl.energy import Ledger, Tariff, charges
from labctl.parts import Neuron, Site
from labctl.pulse import Pulse, Purpose, Trace
from labctl.shapes import square
from labctl.spec import Spec

SPEC = Spec("pair", 1, 2, (Site(0, 0, "W"), Site(0, 1, "W")), (5_000.0, 100.0, 200.0))
AMPS = 0.5 / 9_000.0
MILLI = 1e-3


def pulse(purpose: Purpose = Purpose.PROGRAM, site: int = 0, volts: float = 0.5) -> Pulse:
    """A square of a millisecond on one site."""
    return select(SPEC, site, square(volts, MILLI), purpose)


def trace(repeats: int = 1, site: int = 0, **others: float | bool) -> Trace:
    """The current of the module's docstring for a millisecond, and as often as told."""
    volts, amps = np.zeros((2 * repeats, 3)), np.zeros((2 * repeats, 3))
    volts[:, 0], amps[:, 0], amps[:, 1 + site] = 0.5, AMPS, -AMPS
    return replace(Trace(np.full(2 * repeats, MILLI / 2), volts, amps), **others)


def test_the_bill_of_a_memristor_behind_resistors() -> None:
    (charge,) = charges(SPEC, [pulse()], [trace()])
    delivered, device, series = charge.joules
    assert delivered == pytest.approx(0.5**2 / 9_000 * MILLI, rel=1e-12)
    assert device == pytest.approx(3_900 * AMPS**2 * MILLI, rel=1e-12)
    assert series == pytest.approx(5_100 * AMPS**2 * MILLI, rel=1e-12)
    assert (charge.purpose, charge.site, charge.estimated) == (Purpose.PROGRAM, 0, False)


def test_the_sign_of_the_voltage_does_not_matter() -> None:
    once = trace()
    backwards = Trace(once.seconds, -once.volts, -once.amps)
    assert charges(SPEC, [pulse()], [once])[0].joules == charges(SPEC, [pulse()], [backwards])[0].joules


def test_repeats_cost_as_often() -> None:
    once, thrice = charges(SPEC, [pulse(), pulse().repeated(3)], [trace(), trace(repeats=3)])
    assert thrice.joules == pytest.approx([3 * joules for joules in once.joules])
    assert thrice.seconds[0] == pytest.approx(3 * MILLI)


@pytest.mark.parametrize(
    ("purpose", "kind"),
    [
        (Purpose.PROGRAM, 0),
        (Purpose.RESET, 0),
        (Purpose.READ, 1),
        (Purpose.INFER, 1),
        (Purpose.WAIT, 2),
    ],
)
def test_seconds_are_booked_by_what_the_pulse_was_for(purpose: Purpose, kind: int) -> None:
    (charge,) = charges(SPEC, [pulse(purpose)], [trace(settle_seconds=2e-5, link_seconds=1e-4)])
    expected = [0.0, 0.0, 2e-5, 1e-4]
    expected[kind] += MILLI
    assert charge.seconds == pytest.approx(expected)


def test_several_sites_at_once_are_booked_under_none() -> None:
    row = read_row(SPEC, 0, 0.5, MILLI)
    assert charges(SPEC, [row], [trace()])[0].site is None
    assert charges(SPEC, [wait(SPEC, MILLI)], [trace()])[0].site is None


def test_while_neurons_hold_the_columns_nothing_is_in_series() -> None:
    neuron = Neuron(2, 0, (1,), 1e4, 1e-5, 0.0, 0.1)
    spec = Spec(
        "tiny", 2, 1, (Site(0, 0, "W"), Site(1, 0, "W")), (5_000.0, 5_000.0, 100.0), neurons=(neuron,)
    )
    (charge,) = charges(spec, [infer(spec, np.array([0.1]), MILLI)], [trace()])
    assert charge.joules[2] == 0.0
    assert charge.joules[1] == charge.joules[0] > 0.0


def test_only_what_was_measured_is_charged() -> None:
    assert charges(SPEC, [pulse()] * 3, []) == []
    assert len(charges(SPEC, [pulse()] * 3, [trace()])) == 1


numbers = st.floats(-1.0, 1.0)


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(list(Purpose)), numbers, numbers), max_size=8))
def test_a_list_costs_what_its_pulses_cost_one_by_one(drawn: list[tuple[int, Purpose, float, float]]) -> None:
    pulses = [pulse(purpose, site=n % 2) for n, purpose, *_ in drawn]
    traces = [
        Trace(np.full(n, 1e-6), np.full((n, 3), volts), np.full((n, 3), amps)) for n, _, volts, amps in drawn
    ]
    together = charges(SPEC, pulses, traces)
    apart = [charges(SPEC, [one], [its])[0] for one, its in zip(pulses, traces, strict=True)]
    for left, right in zip(together, apart, strict=True):
        assert left[:3] == right[:3]
        assert left.joules == pytest.approx(right.joules, rel=1e-12, abs=1e-24)
        assert left.seconds == pytest.approx(right.seconds, rel=1e-12)


def booked() -> Ledger:
    """A bill of two sites, a row, and something estimated."""
    pulses = [
        pulse(),
        pulse(site=1),
        pulse(Purpose.RESET),
        pulse(Purpose.READ),
        pulse(),
        read_row(SPEC, 0, 0.5, MILLI),
    ]
    traces = [trace(), trace(site=1), trace(), trace(), trace(estimated=True), trace()]
    ledger = Ledger()
    ledger.charge(charges(SPEC, pulses, traces))
    return ledger


ONE = 0.5 * AMPS * MILLI


def test_what_was_estimated_stands_in_rows_of_its_own() -> None:
    ledger = booked()
    assert [(purpose, site, estimated) for purpose, site, estimated, _ in ledger.rows()] == [
        (Purpose.PROGRAM, 0, False),
        (Purpose.PROGRAM, 1, False),
        (Purpose.RESET, 0, False),
        (Purpose.READ, 0, False),
        (Purpose.PROGRAM, 0, True),
        (Purpose.READ, None, False),
    ]
    assert ledger.total(estimated=True).joules[0] == pytest.approx(ONE)
    assert ledger.total(estimated=False).joules[0] == pytest.approx(5 * ONE)


def test_all_rows_together_are_the_total() -> None:
    ledger = booked()
    entries = [entry for *_, entry in ledger.rows()]
    assert sum(entry.pulses for entry in entries) == ledger.total().pulses == 6
    assert ledger.total().joules == pytest.approx(sum(entry.joules for entry in entries))
    assert ledger.total().seconds == pytest.approx([4 * MILLI, 2 * MILLI, 0.0, 0.0])


def test_totals_are_of_what_is_asked_for() -> None:
    ledger = booked()
    assert ledger.total(purpose=Purpose.PROGRAM).pulses == 3
    assert ledger.total(site=0).pulses == 4
    assert ledger.total(purpose=Purpose.PROGRAM, site=0, estimated=False).pulses == 1
    assert ledger.total(purpose=Purpose.INFER).pulses == 0
    assert ledger.total(purpose=Purpose.INFER).joules.tolist() == [0.0, 0.0, 0.0]


def test_what_a_site_was_programmed_with_is_programs_and_resets_measured_or_not() -> None:
    assert booked().programmed_joules(0) == pytest.approx(3 * ONE)
    assert booked().programmed_joules(1) == pytest.approx(ONE)
    assert booked().programmed_joules(None) == 0.0


def test_a_ledger_grows_by_what_is_booked() -> None:
    ledger = booked()
    ledger.charge(charges(SPEC, [pulse()], [trace()]))
    assert ledger.total(purpose=Purpose.PROGRAM, site=0, estimated=False).joules[0] == pytest.approx(2 * ONE)


def test_periphery_is_a_price_for_seconds_and_pulses_and_never_in_the_total() -> None:
    ledger = booked()
    before = ledger.total().joules.tolist()
    assert ledger.periphery(Tariff("board", watts=2.0, joules_per_pulse=1e-3)) == pytest.approx(0.012 + 0.006)
    assert ledger.periphery(Tariff()) == 0.0
    assert ledger.total().joules.tolist() == before
