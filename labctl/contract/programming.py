"""Laws of programming: polarity, memory, isolation, and that time and energy add up. They wear the device."""

from __future__ import annotations

from labctl.addressing import select
from labctl.board import Board
from labctl.contract.probe import (
    Law,
    assert_refused,
    assert_same,
    erasing,
    flat,
    joules,
    needs,
    noise_amps,
    programming,
    read_seconds,
    read_volts,
    seen,
    siemens,
    some_sites,
)
from labctl.pulse import Purpose
from labctl.spec import Spec

MOST_NEIGHBOURS = 8
"""That are read, of a programmed site."""


def polarity_is_right(board: Board) -> None:
    """A positive pulse raises a conductance or leaves it, and a negative one lowers it or leaves it."""
    spec = board.spec
    with board:
        for site in some_sites(spec):
            low = _after(board, site, -1)
            high = _after(board, site, +1)
            again = _after(board, site, -1)
            allowed = noise_amps(spec) / read_volts(spec, site) + spec.accuracy * max(low, high)
            assert high >= low - allowed, f"a positive pulse lowered {low:.4g} S to {high:.4g} S"
            assert again <= high + allowed, f"a negative pulse raised {high:.4g} S to {again:.4g} S"


def what_was_programmed_stays(board: Board) -> None:
    """A programmed conductance stays while the board waits, and when it is left and entered again."""
    site = some_sites(board.spec)[-1]
    with board:
        board.apply([erasing(board.spec, site), programming(board.spec, site, +1)])
        before = seen(board, [site])
    with board:
        after = seen(board, [site])
        board.apply([erasing(board.spec, site)])
    assert_same(board.spec, before, after, "leaving and entering changed what was programmed")


def neighbours_are_left_alone(board: Board) -> None:
    """On a board that isolates its sites, programming one changes no other."""
    spec = board.spec
    needs(spec.isolating, "its sites have no switches")
    needs(len(spec.sites) > 1, "it has one site only")
    site = some_sites(spec)[-2]
    others = _neighbours(spec, site)
    with board:
        before = seen(board, others)
        board.apply([programming(spec, site, direction) for direction in (+1, -1, +1)])
        after = seen(board, others)
    assert_same(spec, before, after, f"programming site {spec.label(site)} changed another")


def halves_make_a_whole(board: Board) -> None:
    """Two pulses of half the length do what one of the whole length does."""
    spec, site = board.spec, some_sites(board.spec)[0]
    half, whole = programming(spec, site, +1, length=0.5), programming(spec, site, +1)
    with board:
        board.apply([erasing(spec, site), whole])
        once = seen(board, [site])
        board.apply([erasing(spec, site), half, half])
        twice = seen(board, [site])
    assert_same(spec, once, twice, "two half pulses did not do what a whole one did", spread=spec.spread)


def repeats_add_up(board: Board) -> None:
    """A setting pulse that is repeated n times takes n times its energy or more: its site conducts more."""
    spec, site = board.spec, some_sites(board.spec)[0]
    once = programming(spec, site, +1)
    thrice = once.repeated(3)
    with board:
        first = joules(spec, once, board.apply([erasing(spec, site), once])[1])[0]
        all_three = joules(spec, thrice, board.apply([erasing(spec, site), thrice])[1])[0]
    least = 3 * first * (1 - spec.spread - spec.accuracy)
    assert all_three >= least, f"one pulse takes {first:.4g} J, three of them {all_three:.4g} J"


def a_list_programs_as_its_pulses_do(board: Board) -> None:
    """Programming by one list ends where programming pulse by pulse ends."""
    spec, site = board.spec, some_sites(board.spec)[-1]
    pulses = [erasing(spec, site), *(programming(spec, site, +1, length) for length in (0.1, 0.2, 0.3))]
    with board:
        board.apply(pulses)
        listed = seen(board, [site])
        for pulse in pulses:
            board.apply([pulse])
        single = seen(board, [site])
    assert_same(spec, listed, single, "a list did not do what its pulses do", spread=spec.spread)


def a_refused_list_programs_nothing(board: Board) -> None:
    """A list that is refused for its last pulse leaves no mark of the pulses before it."""
    spec, site = board.spec, some_sites(board.spec)[0]
    beyond = 1.01 * spec.sites[site].limits.high_volts + 1e-9
    bad = select(spec, site, flat(spec, beyond, read_seconds(spec)), Purpose.PROGRAM)
    with board:
        board.apply([erasing(spec, site)])
        assert_refused(
            board, [programming(spec, site, +1), bad], "a list whose last pulse is beyond the limits"
        )


def _after(board: Board, site: int, direction: int) -> float:
    """[S] after one programming pulse."""
    board.apply([programming(board.spec, site, direction)])
    return siemens(board, site)


def _neighbours(spec: Spec, site: int) -> list[int]:
    """Other sites, those on the same lines first."""
    here = spec.sites[site]
    others = [index for index in range(len(spec.sites)) if index != site]
    others.sort(
        key=lambda index: spec.sites[index].row != here.row and spec.sites[index].column != here.column
    )
    return others[:MOST_NEIGHBOURS]


PROGRAMMING: tuple[Law, ...] = (
    polarity_is_right,
    what_was_programmed_stays,
    neighbours_are_left_alone,
    halves_make_a_whole,
    repeats_add_up,
    a_list_programs_as_its_pulses_do,
    a_refused_list_programs_nothing,
)
