"""What the pictures of a sweep show, before anything is drawn: points in series along an axis.

A sweep varies source and neuron resistance, the sigma of chips, and array size. Each becomes an axis of
its own, for every choice of the others; a choice that has one point along it gives no picture.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from labctl.aware.answers import Answer
from labctl.aware.conditions import Condition, Tile, tile_name

MOST_SERIES = 5
"""Lines in one picture: where there are more, these many of them, evenly from the mildest to the worst."""
Points = Mapping[str, Sequence[tuple[float, Answer]]]
"""By the name of a series: places along the axis, and what was found there."""
KeyT = TypeVar("KeyT", bound=Hashable)


@dataclass(frozen=True)
class AwareChart:
    """One picture: for each kind of training the same series along the same axis."""

    name: str
    """Of its file, without the ending."""
    title: str
    fixed: str
    """What is the same everywhere in it."""
    axis: str
    ticks: Mapping[float, str]
    log: bool
    by: str
    """What tells the series apart; empty where there is one."""
    panels: Mapping[str, Points]
    """By the kind of training."""


def charts(found: Sequence[Answer]) -> list[AwareChart]:
    """All that a sweep has to show."""
    return [*_of_ends(found), *_of_sigma(found), *_of_arrays(found)]


# ---- source and neuron resistance -----------------------------------------------------------


def _of_ends(found: Sequence[Answer]) -> Iterator[AwareChart]:
    for (sigma, tile), mine in _grouped(found, lambda at: (at.variation, at.tile)).items():
        ratios = sorted({one.condition.source for one in mine})
        if len(ratios) < 2:
            continue
        places = _log_places(ratios)
        by, series = _lines_of_ends(mine)
        yield AwareChart(
            name=f"resistance-sigma-{100 * sigma:g}-array-{tile_name(tile)}",
            title="Accuracy against source and neuron resistance",
            fixed=f"sigma {100 * sigma:g} % from chip to chip, {_array(tile)}",
            axis="source resistance Rs / Ron",
            ticks={place: ratio_name(ratio) for ratio, place in places.items()},
            log=ratios[0] > 0,
            by=by,
            panels=_panels(mine, series, "source", places),
        )


def _lines_of_ends(found: Sequence[Answer]) -> tuple[str, Callable[[Condition], list[str]]]:
    """What tells lines along Rs apart: Rn, or of a sweep along the diagonals, whether it grows with Rs."""
    pairs = {(one.condition.source, one.condition.neuron) for one in found}
    sources, neurons = sorted({pair[0] for pair in pairs}), sorted({pair[1] for pair in pairs})

    def diagonals(at: Condition) -> list[str]:
        here, there = sources.index(at.source), neurons.index(at.neuron)
        rises, falls = there == here, there == len(neurons) - 1 - here
        return ["grows with Rs"] * rises + ["falls as Rs grows"] * falls

    whole = len(pairs) == len(sources) * len(neurons)
    if whole or len(sources) != len(neurons) or not all(diagonals(one.condition) for one in found):
        return "Rn / Ron", lambda at: [ratio_name(at.neuron)]
    return "Rn", diagonals


# ---- what else is varied --------------------------------------------------------------------


def _of_sigma(found: Sequence[Answer]) -> Iterator[AwareChart]:
    for (tile,), mine in _grouped(found, lambda at: (at.tile,)).items():
        places = {sigma: 100 * sigma for sigma in sorted({one.condition.variation for one in mine})}
        if len(places) > 1:
            yield AwareChart(
                name=f"variation-array-{tile_name(tile)}",
                title="Accuracy against variation from chip to chip",
                fixed=_array(tile),
                axis="sigma of the conductances (%)",
                ticks={place: f"{place:g}" for place in places.values()},
                log=False,
                by="Rs / Ron, Rn / Ron",
                panels=_panels(mine, _some_ends(mine, "variation"), "variation", places),
            )


def _of_arrays(found: Sequence[Answer]) -> Iterator[AwareChart]:
    for (sigma,), mine in _grouped(found, lambda at: (at.variation,)).items():
        tiles = sorted({one.condition.tile for one in mine}, key=_cells)
        places = {tile: float(place) for place, tile in enumerate(tiles)}
        if len(places) > 1:
            yield AwareChart(
                name=f"array-sigma-{100 * sigma:g}",
                title="Accuracy against the size of the arrays",
                fixed=f"sigma {100 * sigma:g} % from chip to chip",
                axis="rows x columns of devices",
                ticks={place: _short(tile) for tile, place in places.items()},
                log=False,
                by="Rs / Ron, Rn / Ron",
                panels=_panels(mine, _some_ends(mine, "tile"), "tile", places),
            )


def _some_ends(found: Sequence[Answer], along: str) -> Callable[[Condition], list[str]]:
    """Series by both resistances: those where `along` was varied, or some, from the mildest to the worst."""
    grouped = _grouped(found, lambda at: (at.source, at.neuron))
    varied = [
        ends for ends, mine in grouped.items() if len({getattr(one.condition, along) for one in mine}) > 1
    ]
    ends = sorted(varied, key=lambda at: (sum(at), at))
    if len(ends) > MOST_SERIES:
        ends = [ends[round(k * (len(ends) - 1) / (MOST_SERIES - 1))] for k in range(MOST_SERIES)]
    return lambda at: [f"{ratio_name(at.source)}, {ratio_name(at.neuron)}"] * ((at.source, at.neuron) in ends)


# ---- shared ---------------------------------------------------------------------------------


def _grouped(found: Sequence[Answer], key: Callable[[Condition], KeyT]) -> dict[KeyT, list[Answer]]:
    groups: dict[KeyT, list[Answer]] = {}
    for one in found:
        groups.setdefault(key(one.condition), []).append(one)
    return groups


def _panels(
    found: Sequence[Answer],
    series: Callable[[Condition], list[str]],
    varied: str,
    places: Mapping[Any, float],
) -> dict[str, Points]:
    """By kind of training and series; every panel has every series, in the same order."""
    severity = sorted(found, key=lambda one: one.condition.source + one.condition.neuron)
    names = list(dict.fromkeys(name for one in severity for name in series(one.condition)))
    panels: dict[str, dict[str, list[tuple[float, Answer]]]] = {}
    for one in found:
        mine = panels.setdefault(one.aware, {name: [] for name in names})
        for name in series(one.condition):
            mine[name].append((places[getattr(one.condition, varied)], one))
    for points in panels.values():
        for line in points.values():
            line.sort(key=lambda point: point[0])
    return dict(panels)


def _log_places(ratios: Sequence[float]) -> dict[float, float]:
    """Where ratios stand: themselves on a logarithmic axis, or side by side where one of them is 0."""
    if ratios[0] > 0:
        return {ratio: ratio for ratio in ratios}
    return {ratio: float(place) for place, ratio in enumerate(ratios)}


def ratio_name(ratio: float) -> str:
    """Of a resistance to Ron: 10⁻³, 3·10⁻⁴, 0.05."""
    digits, power = f"{ratio:.10e}".split("e")
    if ratio == 0 or not -9 <= int(power) <= -2:
        return f"{ratio:g}"
    raised = f"10⁻{'⁰¹²³⁴⁵⁶⁷⁸⁹'[-int(power)]}"
    return raised if float(digits) == 1 else f"{float(digits):g}·{raised}"


def _array(tile: Tile) -> str:
    return "each layer in one array" if tile is None else f"arrays of {tile[0]} x {tile[1]} devices"


def _short(tile: Tile) -> str:
    return "one array" if tile is None else f"{tile[0]} x {tile[1]}"


def _cells(tile: Tile) -> float:
    return float("inf") if tile is None else tile[0] * tile[1]
