"""Laws of refusal: what must not be is not driven, and nothing else of its list either."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from labctl.addressing import drive, select
from labctl.board import Board
from labctl.contract.probe import (
    Law,
    any_shape,
    assert_refused,
    flat,
    needs,
    read,
    read_seconds,
    read_volts,
    some_sites,
)
from labctl.pulse import Pulse, Purpose
from labctl.shapes import triangle
from labctl.spec import Spec

BEYOND = 1.01
"""Just enough to be too much."""


def too_many_volts_are_refused(board: Board) -> None:
    """A voltage above or below what a site may see is refused, and nothing is driven."""
    spec = board.spec
    with board:
        for site in some_sites(spec):
            limits = spec.sites[site].limits
            for volts in (BEYOND * limits.high_volts + 1e-9, BEYOND * limits.low_volts - 1e-9):
                assert_refused(board, [_at(spec, site, volts)], f"{volts:.4g} V on site {spec.label(site)}")


def too_many_amps_are_refused(board: Board) -> None:
    """A voltage that could drive more current through a site than its dopant bears is refused."""
    spec = board.spec
    beyond = [(site, volts) for site in some_sites(spec) if (volts := _over_current(spec, site)) is not None]
    needs(beyond, "the series resistors allow no current above the limits")
    with board:
        for site, volts in beyond:
            assert_refused(board, [_at(spec, site, volts)], f"{volts:.4g} V into site {spec.label(site)}")


def wrong_lengths_are_refused(board: Board) -> None:
    """A pulse that is too short for the board, or too long for it or for the site, is refused."""
    spec = board.spec
    longest = min(spec.longest_pulse, spec.sites[0].limits.seconds)
    with board:
        for seconds in (spec.shortest_pulse / BEYOND, longest * BEYOND):
            pulse = select(spec, 0, flat(spec, read_volts(spec, 0), seconds), Purpose.READ)
            assert_refused(board, [pulse], f"a pulse of {seconds:.4g} s")


def what_is_no_pulse_is_refused(board: Board) -> None:
    """NaN, infinity, time that runs backwards, no repeats and missing lines are refused and not driven."""
    good = read(board.spec, some_sites(board.spec)[-1])
    peak = int(np.argmax(np.abs(good.volts).max(axis=0)))
    bad: dict[str, Pulse] = {
        "NaN volts": _with_volts(good, peak, math.nan),
        "infinite volts": _with_volts(good, peak, math.inf),
        "NaN seconds": replace(good, seconds=np.append(good.seconds[:-1], math.nan)),
        "time that runs backwards": replace(good, seconds=good.seconds[::-1].copy()),
        "no repeats": good.repeated(0),
        "a negative number of repeats": good.repeated(-1),
        "volts for too few lines": replace(good, volts=good.volts[:, :-1].copy()),
        "too few lines that are driven or open": replace(good, driven=good.driven[:-1].copy()),
        "a single corner": replace(good, seconds=good.seconds[:1].copy(), volts=good.volts[:1].copy()),
    }
    with board:
        for what, pulse in bad.items():
            assert_refused(board, [pulse], what)


def what_sources_cannot_make_is_refused(board: Board) -> None:
    """Slopes from sources of steps, two voltages from one source, and volts on grounded lines are refused."""
    spec = board.spec
    impossible = _impossible(spec)
    needs(impossible, "every line has a source of its own that makes any shape")
    with board:
        for what, pulse in impossible.items():
            assert_refused(board, [pulse], what)


def one_bad_pulse_refuses_its_list(board: Board) -> None:
    """A list with one bad pulse among good ones is refused as a whole."""
    spec = board.spec
    site = some_sites(spec)[-1]
    good = read(spec, site)
    bad = _at(spec, site, BEYOND * spec.sites[site].limits.high_volts + 1e-9)
    with board:
        for place in range(3):
            pulses = [good, good]
            pulses.insert(place, bad)
            assert_refused(board, pulses, f"a list whose pulse {place + 1} is beyond the limits")


def _at(spec: Spec, site: int, volts: float) -> Pulse:
    return select(spec, site, flat(spec, volts, read_seconds(spec)), Purpose.PROGRAM)


def _over_current(spec: Spec, site: int) -> float | None:
    """[V] that only the current limit forbids; None where the voltage limit comes first."""
    limits = spec.sites[site].limits
    pulse = read(spec, site)
    ohms = float(spec.series(pulse.driven)[pulse.driven].sum()) + limits.least_ohms
    volts = BEYOND * limits.amps * ohms
    return volts if volts <= limits.high_volts else None


def _with_volts(pulse: Pulse, line: int, volts: float) -> Pulse:
    changed = pulse.volts.copy()
    changed[1, line] = volts
    return replace(pulse, volts=changed)


def _impossible(spec: Spec) -> dict[str, Pulse]:
    volts, seconds = read_volts(spec, 0), read_seconds(spec)
    made = dict[str, Pulse]()
    if not any_shape(spec):
        slow = triangle(volts, max(seconds, 4 * spec.edge_seconds))
        made["a slope of a board of steps"] = select(spec, 0, slow, Purpose.READ)
    for group in spec.shared_sources:
        lines = {group[0]: 1.0, group[1]: 0.5}
        made[f"two voltages on lines {group}"] = drive(spec, lines, flat(spec, volts, seconds), Purpose.READ)
    for line in spec.grounded:
        made[f"a voltage on grounded line {line}"] = drive(
            spec, {line: 1.0}, flat(spec, volts, seconds), Purpose.READ
        )
    return made


REFUSAL: tuple[Law, ...] = (
    too_many_volts_are_refused,
    too_many_amps_are_refused,
    wrong_lengths_are_refused,
    what_is_no_pulse_is_refused,
    what_sources_cannot_make_is_refused,
    one_bad_pulse_refuses_its_list,
)
