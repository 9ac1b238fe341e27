"""What a few changed devices do to a factored crossbar, without factoring it again.

A tile whose devices change answers differently by a matrix of low rank: what it now pushes onto its ports
more, by what it senses there. Through the seams at which blocks were joined, both are carried to the ends of
the crossbar, with products of a stored matrix and a few columns in place of solves. What is pushed is sensed
elsewhere, and closing that loop takes one small solve (M. Woodbury, "Inverting modified matrices", 1950).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.merging import Seam, span, spans, together
from sim_backend.crossbar.regions import Region, halved
from sim_backend.crossbar.tiles import Place, Tiling


@dataclass(frozen=True, eq=False)
class Disturbance:
    """A change in a block, as its ports see it: answers += pushes x, with x = senses givens + mutual x."""

    pushes: Floats
    """(answers, rank)."""
    senses: Floats
    """(rank, givens)."""
    mutual: Floats
    """(rank, rank)."""

    @property
    def rank(self) -> int:
        """How many independent changes."""
        return self.mutual.shape[0]


def disturbance(
    old: Crossbar, new: Crossbar, region: Region, seams: dict[Region, Seam]
) -> Disturbance | None:
    """What the devices that differ between two crossbars change in the block of a region; None: nothing."""
    height, width = Tiling(old).size
    differ = np.argwhere(old.siemens != new.siemens)
    places = Counter((int(row) // height, int(column) // width) for row, column in differ)
    if not places:
        return None
    was, now = (Tiling(crossbar).blocks(list(places)) for crossbar in (old, new))
    touched = {
        place: _of_rank(now[place].matrix - was[place].matrix, count) for place, count in places.items()
    }
    return _carried(region, seams, touched)


def _of_rank(change: Floats, most: int) -> Disturbance:
    """A change as pushes by senses: elimination with full pivoting, which ends at the number of devices."""
    left = change.copy()
    pushes, senses = list[Floats](), list[Floats]()
    for _ in range(min(most, *left.shape)):
        row, column = np.unravel_index(np.abs(left).argmax(), left.shape)
        if left[row, column] == 0:
            break
        pushes.append(left[:, column].copy())
        senses.append(left[row] / left[row, column])
        left -= np.outer(pushes[-1], senses[-1])
    rank = len(pushes)
    pushed, sensed = np.array(pushes).reshape(rank, -1), np.array(senses).reshape(rank, -1)
    return Disturbance(pushed.T, sensed, np.zeros((rank, rank)))


def _carried(
    region: Region, seams: dict[Region, Seam], touched: dict[Place, Disturbance]
) -> Disturbance | None:
    """From the tiles of a region to its edges; None where none of them is touched."""
    down, across = region
    if not any(i in down and j in across for i, j in touched):
        return None
    if len(down) * len(across) == 1:
        return touched[down[0], across[0]]
    first, second = (_carried(half, seams, touched) for half in halved(region)[0])
    return _across(seams[region], (first, second))


def _across(seam: Seam, parts: tuple[Disturbance | None, Disturbance | None]) -> Disturbance:
    """Two blocks' disturbances, of which one may be none, as one of the block that they were joined to."""
    pair = [part or _none(seam, which) for which, part in enumerate(parts)]
    own = spans([part.rank for part in pair])
    pushed = _at_edge(seam, pair)
    rank = pushed[0].shape[1]
    pushes = np.zeros((sum(together(seam.way, seam.answers)), rank))
    senses = np.zeros((rank, sum(together(seam.way, seam.givens))))
    mutual = np.zeros((rank, rank))
    for which, part in enumerate(pair):
        mine, edge = own[which], part.senses[:, span(seam.givens[which], seam.way.edge[which])]
        senses[mine] = edge @ (seam.amps, seam.volts)[which]
        mutual[mine] = edge @ pushed[which]
        mutual[mine, mine] += part.mutual
        for there, here in seam.way.runs(seam.answers, which):
            pushes[there] = seam.columns[which][here] @ pushed[which]
            pushes[there, mine] += part.pushes[here]
        for there, here in seam.way.runs(seam.givens, which):
            senses[mine, there] += part.senses[:, here]
    return Disturbance(pushes, senses, mutual)


def _at_edge(seam: Seam, pair: list[Disturbance]) -> tuple[Floats, Floats]:
    """What all pushes do at the common edge: currents, which the first block meets; voltages, the second."""
    edges = [span(seam.answers[which], seam.way.edge[which]) for which in (0, 1)]
    first = np.hstack([pair[0].pushes[edges[0]], np.zeros((seam.lines, pair[1].rank))])
    second = np.hstack([np.zeros((seam.lines, pair[0].rank)), pair[1].pushes[edges[1]]])
    impedance, admittance = (seam.columns[which][edges[which]] for which in (0, 1))
    volts = seam.inverse @ (first + impedance @ second)
    return second + admittance @ volts, volts


def _none(seam: Seam, which: int) -> Disturbance:
    answers, givens = sum(seam.answers[which]), sum(seam.givens[which])
    return Disturbance(np.zeros((answers, 0)), np.zeros((0, givens)), np.zeros((0, 0)))
