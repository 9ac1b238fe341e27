"""What laws drive and how they look: pulses chosen from a board's own limits, and what they read.

*A read* is as small as can be told from noise: 1 % of the site's highest voltage, or what gives a
device at the bottom of the window a hundred noise floors, whichever is more, and 5 % at most. It
lasts 20 shortest pulses, or as long as the board's slowest node needs to settle.

*A programming pulse* is half of the highest (or lowest) voltage, or 90 % of what the site's current
limit leaves behind the series resistors if that is less, for 50 reads. On a site whose limits are
below its threshold it moves nothing, which every law allows. Before a comparison a site is
*erased*: brought to the low end of its range by a pulse ten times as long, so that it starts twice
from the same state. No wait, no amplitude and no tolerance is known to the laws themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from labctl.addressing import edge, read_row, select
from labctl.board import Board
from labctl.energy import charges
from labctl.errors import LimitExceeded
from labctl.parts import Shapes
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.reading import conductance, row_conductances
from labctl.shapes import Wave, square
from labctl.spec import Spec

Law: TypeAlias = Callable[[Board], None]


class DoesNotApply(Exception):
    """The law speaks of something that this board does not have."""


# ---- pulses ---------------------------------------------------------------------------------


def some_sites(spec: Spec) -> list[int]:
    """First, middle and last: a fault of addressing shows at one of them, and no bench takes all day."""
    count = len(spec.sites)
    return sorted({0, count // 2, count - 1})


def read_volts(spec: Spec, site: int) -> float:
    """[V] of a read that is told from noise and moves nothing."""
    most = spec.sites[site].limits.high_volts
    lowest = spec.window[0] if spec.window else np.inf
    return min(0.05 * most, max(0.01 * most, 100 * spec.noise_floor_amps / lowest))


def read_seconds(spec: Spec) -> float:
    """[s] of a read."""
    return max(20 * spec.shortest_pulse, 12 * spec.response_seconds)


def flat(spec: Spec, volts: float, seconds: float) -> Wave:
    """A square with edges that this board can make."""
    return square(volts, seconds, edge(spec, seconds))


def read(spec: Spec, site: int, scale: float = 1.0, length: float = 1.0) -> Pulse:
    """`scale` times the volts and `length` times the seconds of a read, on this site alone."""
    wave = flat(spec, scale * read_volts(spec, site), length * read_seconds(spec))
    return select(spec, site, wave, Purpose.READ)


def read_and_rest(spec: Spec, site: int, scale: float = 1.0) -> Pulse:
    """A read that ends with 0 V until no charge is left on the way for the next pulse to find."""
    wave = flat(spec, scale * read_volts(spec, site), read_seconds(spec))
    seconds = np.append(wave.seconds, 2 * wave.seconds[-1])  # as long as the board needs to settle
    return select(spec, site, Wave(seconds, np.append(wave.volts, 0.0)), Purpose.READ)


def programming(spec: Spec, site: int, direction: int, length: float = 1.0) -> Pulse:
    """A pulse that raises (+1) or lowers (-1) a conductance, as strongly as its site may be driven."""
    place = spec.sites[site]
    limits, ohms = place.limits, spec.series_ohms[place.row] + spec.series_ohms[spec.rows + place.column]
    bound = limits.high_volts if direction > 0 else -limits.low_volts
    volts = min(bound / 2, 0.9 * limits.amps * (ohms + limits.least_ohms))
    longest = min(limits.seconds, spec.longest_pulse)
    seconds = min(50 * read_seconds(spec), longest / 10) * length
    rise = min(0.99 * spec.edge_seconds, seconds / 1000)
    purpose = Purpose.PROGRAM if direction > 0 else Purpose.RESET
    return select(spec, site, square(direction * volts, seconds, rise), purpose)


def erasing(spec: Spec, site: int) -> Pulse:
    """Down to where it always ends."""
    return programming(spec, site, -1, length=10)


# ---- looks ----------------------------------------------------------------------------------


def siemens(board: Board, site: int) -> float:
    """[S] of a site on an open board, by one read.

    Where nothing isolates, one row is driven and all other lines are held, so that no neighbour's
    current is added; lines that share a source cannot be told apart so, and are selected instead.
    """
    spec = board.spec
    if spec.isolating or spec.shared_sources:
        pulse = read(spec, site)
        return conductance(spec, pulse, board.apply([pulse])[0], site)
    place = spec.sites[site]
    pulse = read_row(spec, place.row, read_volts(spec, site), read_seconds(spec))
    return float(row_conductances(spec, pulse, board.apply([pulse])[0])[place.column])


def seen(board: Board, sites: Sequence[int]) -> Floats:
    """[S], shape (sites,): what they are now."""
    return np.array([siemens(board, site) for site in sites])


def mean_amps(trace: Trace) -> Floats:
    """[A], shape (lines,): means over time."""
    return trace.seconds @ trace.amps / trace.seconds.sum()


def joules(spec: Spec, pulse: Pulse, trace: Trace) -> tuple[float, float]:
    """[J] delivered, and turned to heat in series resistors."""
    delivered, _, series = charges(spec, [pulse], [trace])[0].joules
    return delivered, series


def noise_amps(spec: Spec) -> float:
    """[A] below which a current says nothing."""
    return max(spec.noise_floor_amps, 5 * spec.noise_amps)


def assert_same(spec: Spec, before: Floats, after: Floats, what: str, spread: float = 0.0) -> None:
    """Conductances agree within noise, accuracy, and `spread` where a site was programmed between."""
    noise = noise_amps(spec) / min(read_volts(spec, site) for site in range(len(spec.sites)))
    allowed = noise + (spec.accuracy + spread) * np.maximum(np.abs(before), np.abs(after))
    worst = int(np.argmax(np.abs(after - before) / allowed))
    assert np.all(np.abs(after - before) <= allowed), (
        f"{what}: {before[worst]:.5g} S before, {after[worst]:.5g} S after"
        f" (a difference of {allowed[worst]:.3g} S is within the board's noise and accuracy)"
    )


def assert_refused(board: Board, pulses: Sequence[Pulse], what: str) -> None:
    """The list is refused by `LimitExceeded` and leaves no trace in the devices."""
    sites = some_sites(board.spec)
    before = seen(board, sites)
    try:
        board.apply(pulses)
    except LimitExceeded:
        pass
    else:
        raise AssertionError(f"{what} was driven, not refused")
    assert_same(board.spec, before, seen(board, sites), f"{what} was refused, and driven all the same")


def needs(condition: object, reason: str) -> None:
    """Pass the law over where the board lacks what it speaks of."""
    if not condition:
        raise DoesNotApply(reason)


def any_shape(spec: Spec) -> bool:
    """True where the sources can make slopes."""
    return spec.shapes is Shapes.ANY
