"""Which site of which part is which memristor of the network, and what the stack is as one board.

A stack is as good as the worst of its parts: as slow to settle, as noisy, as short of shapes. Its
series resistors are those of its parts, which therefore have to agree: a line of the network runs
through several of them, and its spec has room for one resistance a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from labctl.board import Board
from labctl.errors import BadConfig
from labctl.layouts import WINDOWS, Circuit, network
from labctl.making import board_class, board_of
from labctl.network import Window
from labctl.parts import Shapes, Site
from labctl.spec import Spec
from labctl.stacked.settings import Place, StackedSettings

SOURCE = "[board]"


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a memristor of the network really is; lines are those of its part."""

    part: int
    site: int
    row: int
    column: int


def parts_of(settings: StackedSettings) -> tuple[Board, ...]:
    """The parts, not open yet. Raises `BadConfig` or `Unavailable`."""
    return tuple(_part(number, settings) for number in range(len(settings.parts)))


def _part(number: int, settings: StackedSettings) -> Board:
    table, told = settings.parts[number], f"{SOURCE} parts[{number}]"
    board = board_of(board_class(table.board_class, told), table.board, f"{told}.board")
    if not board.spec.isolating:
        raise BadConfig(
            f"{told}: the sites of {board.spec.name} have no switches", allowed="a board of switches"
        )
    return board


def seats_of(settings: StackedSettings, specs: Sequence[Spec]) -> tuple[Seat, ...]:
    """Where each site of the network is, in its order. Raises `BadConfig` for too few, or one not there."""
    for part, site in (*settings.unused, *settings.order):
        if not (part < len(specs) and site < len(specs[part].sites)):
            raise BadConfig(
                f"{SOURCE}: there is no site {site} on part {part}",
                allowed=f"parts 0 to {len(specs) - 1}, sites "
                + ", ".join(f"0 to {len(spec.sites) - 1}" for spec in specs),
            )
    everyone = [(part, site) for part, spec in enumerate(specs) for site in range(len(spec.sites))]
    free = [place for place in everyone if place not in set(settings.unused)]
    needed = sum(before * after for before, after in zip(settings.sizes, settings.sizes[1:], strict=False))
    chosen = settings.order or free[:needed]
    if len(chosen) != needed:
        raise BadConfig(
            f"{SOURCE}: {len(chosen)} sites for the {needed} memristors of"
            f" {'-'.join(map(str, settings.sizes))} neurons",
            allowed=f"{needed} sites, on as many parts as that takes",
        )
    return tuple(_seat(place, specs) for place in chosen)


def _seat(place: Place, specs: Sequence[Spec]) -> Seat:
    part, site = place
    found = specs[part].sites[site]
    return Seat(part, site, found.row, specs[part].rows + found.column)


def spec_of(settings: StackedSettings, specs: Sequence[Spec], seats: Sequence[Seat]) -> Spec:
    """The network board that these parts make together. Raises `BadConfig` where they do not fit."""
    used = [specs[seat.part].sites[seat.site] for seat in seats]
    dopants = sorted({site.dopant for site in used})
    if len(dopants) > 1:
        raise BadConfig(f"{SOURCE}: devices of {' and '.join(dopants)} in one network", allowed="one dopant")
    window = _window(settings, dopants[0])
    rows, columns, off = _series(specs, seats)
    accuracy = max(spec.accuracy for spec in specs)
    if not off * window.high <= accuracy:
        raise BadConfig(
            f"{SOURCE}: the series resistors of the parts differ by {off:.4g} ohm",
            allowed=f"{accuracy / window.high:.4g} ohm: {accuracy:.3g} of a device at {window.high:.4g} S",
        )
    circuit = Circuit(dopants[0], rows, columns)
    name = "stack of " + " and ".join(spec.name for spec in specs)
    spec = network(circuit, settings.sizes, window, settings.pixel, name)
    sites = tuple(
        Site(
            place.row,
            place.column,
            site.dopant,
            f"{place.label}@{seat.part}.{site.label or seat.site}",
            site.limits,
        )
        for place, site, seat in zip(spec.sites, used, seats, strict=True)
    )
    grounded = {
        spec.rows + place.column
        for place, seat in zip(spec.sites, seats, strict=True)
        if seat.column in specs[seat.part].grounded
    }
    alike = replace(
        spec,
        sites=sites,
        neurons=tuple(replace(neuron, computed=True) for neuron in spec.neurons),
        grounded=tuple(sorted(grounded)),
        accuracy=accuracy + off * window.high,
    )
    return _as_the_worst(alike, specs)


def _as_the_worst(spec: Spec, parts: Sequence[Spec]) -> Spec:
    """Its figures, as bad as those of the worst part."""
    steps = any(part.shapes is Shapes.STEPS for part in parts)
    return replace(
        spec,
        source_volts=min(part.source_volts for part in parts),
        shortest_pulse=max(part.shortest_pulse for part in parts),
        longest_pulse=min(part.longest_pulse for part in parts),
        shapes=Shapes.STEPS if steps else Shapes.ANY,
        edge_seconds=min(part.edge_seconds for part in parts),
        sensed=tuple(range(spec.rows, spec.lines)),
        reads_forward_only=any(part.reads_forward_only for part in parts),
        noise_amps=max(part.noise_amps for part in parts),
        noise_floor_amps=max(part.noise_floor_amps for part in parts),
        settle_seconds=max(part.settle_seconds for part in parts),
        response_seconds=max(part.response_seconds for part in parts),
        link_seconds=max(part.link_seconds for part in parts),
        spread=max(part.spread for part in parts),
    )


def _window(settings: StackedSettings, dopant: str) -> Window:
    if settings.window is None and dopant not in WINDOWS:
        raise BadConfig(
            f"{SOURCE}: no conductance window is known for {dopant}", allowed="window = [low, high]"
        )
    return Window(*(settings.window or WINDOWS[dopant]))


def _series(specs: Sequence[Spec], seats: Sequence[Seat]) -> tuple[float, float, float]:
    """[ohm] Of rows and columns, in the middle of what the sites have, and the most both are off."""
    rows = [specs[seat.part].series_ohms[seat.row] for seat in seats]
    columns = [specs[seat.part].series_ohms[seat.column] for seat in seats]
    row, column = (min(rows) + max(rows)) / 2, (min(columns) + max(columns)) / 2
    return row, column, max(abs(r - row + c - column) for r, c in zip(rows, columns, strict=True))
