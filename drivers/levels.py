"""Pulses as levels: what a source that makes nothing but steps makes of corners joined by straight lines.

A step stands in the middle of the edge that it replaces, so that every line's volt-seconds are kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from labctl.pulse import Floats, Pulse


class Level(NamedTuple):
    """All lines at rest for a time."""

    seconds: float
    volts: Floats
    """[V], shape (lines,): 0 on open lines."""


def levels(pulse: Pulse) -> list[Level]:
    """One repeat of the pulse, edges replaced by steps; its seconds add up to the pulse's.

    >>> from labctl.pulse import Purpose
    >>> up_and_down = np.array([[0.0], [1.0], [1.0], [0.0]])
    >>> pulse = Pulse(np.array([0.0, 2.0, 6.0, 8.0]), up_and_down, np.array([True]), Purpose.READ)
    >>> [(level.seconds, level.volts.item()) for level in levels(pulse)]
    [(1.0, 0.0), (6.0, 1.0), (1.0, 0.0)]
    """
    volts = pulse.volts * pulse.driven
    changes = np.flatnonzero((volts[1:] != volts[:-1]).any(axis=1))
    middles = (pulse.seconds[changes] + pulse.seconds[changes + 1]) / 2
    bounds = np.concatenate([[0.0], middles, pulse.seconds[-1:]])
    firsts = np.concatenate([[0], changes + 1]).astype(np.intp)
    return [
        Level(float(seconds), volts[first]) for seconds, first in zip(np.diff(bounds), firsts, strict=True)
    ]
