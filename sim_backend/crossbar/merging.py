"""Blocks of a crossbar as seen from their edges, and how two of them become one.

A block is a rectangle of crossings. Of each row that enters it, the voltage at its left edge and the current
leaving at its right edge are given; of each column, the voltage at its lower edge and the current
entering at its upper edge. What it answers is the other half: current in at the left, voltage at the right,
voltage at the top, current out at the bottom. This mixed form exists for every block: wires of 0 ohm and
devices of 0 S are entries like others, where admittances would be infinite or impedances undefined. It also
loses no digits to wires of a microohm: what is inverted in joining two blocks is 1 + Z Y, of the impedance Z
that one side shows at the common edge and the admittance Y of the other; its eigenvalues are 1 or more.

Joining along an edge of n lines is a Schur complement: one n x n solve and products with what is left, on
any number of pairs at once. A side whose lines end in the block has no ports: the outer edges of the crossbar
cost nothing. (Elimination in the order of nested dissection: A. George, SIAM J. Numer. Anal. 10, 345 (1973).)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeAlias

import numpy as np

from labctl.pulse import Floats

LEFT, RIGHT, TOP, BOTTOM = range(4)

Counts: TypeAlias = tuple[int, ...]
"""How many ports at the left, right, top and bottom."""


@dataclass(frozen=True, eq=False)
class Block:
    """A block, or a stack of them, all of one size: answers = matrix @ givens, both side by side."""

    matrix: Floats
    """(..., answers, givens): [S], [ohm] or 1, by the kinds of the two."""
    answers: Counts
    givens: Counts

    def part(self, answer: int, given: int) -> Floats:
        """What the givens of one side do to the answers of a side."""
        return self.matrix[..., span(self.answers, answer), span(self.givens, given)]

    def column(self, given: int) -> Floats:
        """What the givens of one side do to all answers."""
        return self.matrix[..., span(self.givens, given)]


@dataclass(frozen=True)
class Way:
    """How two blocks lie: the first shows an impedance at the common edge, the second an admittance."""

    edge: tuple[int, int]
    """The sides that meet, of the first and of the second."""
    order: tuple[tuple[int, int], ...]
    """(block, side): how the remaining ports come to stand."""

    def runs(self, counts: tuple[Counts, Counts], which: int) -> list[tuple[slice, slice]]:
        """Where the remaining ports of one of the two stand: (in both, in itself), a pair a side."""
        together = spans([counts[block][side] for block, side in self.order])
        return [
            (there, span(counts[which], side))
            for (block, side), there in zip(self.order, together, strict=True)
            if block == which
        ]


BESIDE = Way((RIGHT, LEFT), ((0, LEFT), (1, RIGHT), (0, TOP), (1, TOP), (0, BOTTOM), (1, BOTTOM)))
"""The first is left of the second."""
BELOW = Way((TOP, BOTTOM), ((1, LEFT), (0, LEFT), (1, RIGHT), (0, RIGHT), (1, TOP), (0, BOTTOM)))
"""The first is below the second."""


@dataclass(frozen=True, eq=False)
class Seam:
    """Where two blocks were joined: all that a later disturbance of either needs to pass."""

    way: Way
    answers: tuple[Counts, Counts]
    givens: tuple[Counts, Counts]
    """Of the two blocks."""
    columns: tuple[Floats, Floats]
    """(answers, lines): what the common edge does to all answers of each."""
    inverse: Floats
    """(lines, lines): of 1 + Z Y."""
    volts: Floats
    amps: Floats
    """(lines, givens of both): at the common edge."""

    @property
    def lines(self) -> int:
        """How many go through."""
        return self.inverse.shape[0]


def joined(first: Block, second: Block, way: Way) -> Block:
    """Two blocks, or stacks of as many pairs, as one."""
    return _assembled((first, second), way, *_at_edge((first, second), way)[:2])


def joined_and_seam(first: Block, second: Block, way: Way) -> tuple[Block, Seam]:
    """The same of one pair, and where they were joined."""
    pair = (first, second)
    volts, amps, inverse = _at_edge(pair, way, inverted=True)
    columns = first.column(way.edge[0]).copy(), second.column(way.edge[1]).copy()
    answers, givens = (first.answers, second.answers), (first.givens, second.givens)
    seam = Seam(way, answers, givens, columns, inverse, volts, amps)
    return _assembled(pair, way, volts, amps), seam


def _at_edge(pair: tuple[Block, Block], way: Way, inverted: bool = False) -> tuple[Floats, Floats, Floats]:
    """Voltages and currents of the lines through the common edge by the givens of both, and 1 / (1 + Z Y).

    volts = first's own - Z amps and amps = second's own + Y volts; a block's matrix holds -Z.
    """
    impedance, admittance = (block.part(side, side) for block, side in zip(pair, way.edge, strict=True))
    first, second = (_own(pair, way, which) for which in (0, 1))
    one = np.eye(impedance.shape[-1])
    right = first + product(impedance, second)
    both = np.concatenate([right, one], axis=-1) if inverted else right
    found = _solved(one - product(impedance, admittance), both)
    volts, inverse = np.split(found, [right.shape[-1]], axis=-1)
    return volts, second + product(admittance, volts), inverse


def _own(pair: tuple[Block, Block], way: Way, which: int) -> Floats:
    """What a block answers at the common edge by its own givens, among the givens of both."""
    block, side = pair[which], way.edge[which]
    givens = pair[0].givens, pair[1].givens
    found = np.zeros((*block.matrix.shape[:-2], block.answers[side], sum(together(way, givens))))
    row = span(block.answers, side)
    for there, here in way.runs(givens, which):
        found[..., there] = block.matrix[..., row, here]
    return found


def _assembled(pair: tuple[Block, Block], way: Way, volts: Floats, amps: Floats) -> Block:
    answers, givens = (pair[0].answers, pair[1].answers), (pair[0].givens, pair[1].givens)
    counts = together(way, answers), together(way, givens)
    matrix = np.empty((*volts.shape[:-2], sum(counts[0]), sum(counts[1])))
    for which, at_edge in enumerate((amps, volts)):
        block, into = pair[which], pair[which].column(way.edge[which])
        for rows, own in way.runs(answers, which):
            matrix[..., rows, :] = product(into[..., own, :], at_edge)
            for columns, given in way.runs(givens, which):
                matrix[..., rows, columns] += block.matrix[..., own, given]
    return Block(matrix, *counts)


def together(way: Way, counts: tuple[Counts, Counts]) -> Counts:
    """Ports of two joined blocks, by side."""
    return tuple(
        sum(counts[which][side] for which, side in way.order if side == wanted)
        for wanted in (LEFT, RIGHT, TOP, BOTTOM)
    )


def _solved(matrix: Floats, right: Floats) -> Floats:
    if matrix.shape[-1] == 1:
        return right / matrix
    return np.linalg.solve(matrix, right).astype(np.float64, copy=False)


def product(left: Floats, right: Floats) -> Floats:
    """Matrices (or stacks of them) multiplied; stacks of columns by rows fare better without BLAS."""
    return left * right if left.shape[-1] == 1 else left @ right


def span(counts: Counts, side: int) -> slice:
    """Where the ports of a side stand."""
    start = sum(counts[:side])
    return slice(start, start + counts[side])


def spans(counts: list[int]) -> list[slice]:
    """Where each of several runs stands when they follow each other."""
    ends = list(accumulate(counts, initial=0))
    return [slice(start, end) for start, end in pairwise(ends)]
