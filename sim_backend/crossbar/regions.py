"""From tiles to the whole crossbar: regions are halved until a tile is left, and joined on the way back.

Depth first, so that only one path of blocks is in memory; its largest are at the top, where the crossbar's
edges leave the fewest ports. The longer side is halved: an edge of few lines between two regions is cheap.
"""

from __future__ import annotations

from typing import TypeAlias

from sim_backend.crossbar.merging import BELOW, BESIDE, Block, Seam, Way, joined, joined_and_seam
from sim_backend.crossbar.tiles import Place, Tiling

Region: TypeAlias = tuple[range, range]
"""Tiles: (down, across)."""

TILES_AT_ONCE = 16
"""Made as one stack: 16,384 crossings, which stay in a processor's cache."""


def everything(tiling: Tiling) -> Region:
    """All tiles of a crossbar."""
    tall, wide = tiling.shape
    return range(tall), range(wide)


def merged(
    tiling: Tiling,
    region: Region,
    seams: dict[Region, Seam] | None = None,
    tiles: dict[Place, Block] | None = None,
) -> Block:
    """All tiles of a region as one block; every seam of it is left in `seams`, if given."""
    down, across = region
    if tiles is None and len(down) * len(across) <= TILES_AT_ONCE:
        tiles = tiling.blocks([(i, j) for i in down for j in across])
    if tiles is not None and len(down) * len(across) == 1:
        return tiles[down[0], across[0]]
    halves, way = halved(region)
    first, second = (merged(tiling, half, seams, tiles) for half in halves)
    if seams is None:
        return joined(first, second, way)
    block, seams[region] = joined_and_seam(first, second, way)
    return block


def halved(region: Region) -> tuple[tuple[Region, Region], Way]:
    """The two halves of a region of several tiles, and how they lie."""
    down, across = region
    if len(across) >= len(down):
        middle = len(across) // 2
        return ((down, across[:middle]), (down, across[middle:])), BESIDE
    middle = len(down) // 2
    return ((down[middle:], across), (down[:middle], across)), BELOW
