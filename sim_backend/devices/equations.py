"""The equations of every model by rows of numbers, as the kernels of the fast twin need them.

A row is `[number of the model, speed, scale, shunt, *values]` (`sim_backend.devices.model`). Machine
code cannot be handed a Python function for each device without paying for every call, so the number
decides here. Whoever adds a model adds a branch to `current` and to `rate`, and to `prepared` if
something follows from its parameters alone; the tests compare them with the model's own functions.
"""

from __future__ import annotations

import numpy as np

from labctl.pulse import Floats
from sim_backend.devices.metastable import NUMBER as METASTABLE
from sim_backend.devices.metastable import metastable_current, metastable_rate, rest
from sim_backend.devices.sdc import NUMBER as SDC
from sim_backend.devices.sdc import sdc_current, sdc_rate, sdc_tangent
from sim_backend.devices.vteam import NUMBER as VTEAM
from sim_backend.devices.vteam import vteam_current, vteam_rate
from sim_backend.devices.yakopcic import NUMBER as YAKOPCIC
from sim_backend.devices.yakopcic import yakopcic_current, yakopcic_rate
from sim_backend.jit import kernel

NUDGE = 1e-6
"""[V] Difference by which a slope is taken that has no formula here."""
OHMIC = -1
"""Place in a prepared row: 1 where the current is proportional to the voltage at every x, otherwise 0."""


@kernel
def through(amps: float, v: float, scale: float, shunt: float) -> float:
    """[A] of a device whose model says `amps`, with its conductance scaled and a `shunt` [S] beside it."""
    return scale * amps + shunt * v


@kernel
def paced(per_second: float, speed: float) -> float:
    """[1/s] of a device whose model says `per_second`."""
    return speed * per_second


@kernel
def ohmic(p: Floats) -> bool:
    """Whether the current of this device is proportional to its voltage at every x."""
    if p[0] == METASTABLE:
        return p[10] == 1.0
    if p[0] == SDC:
        return p[5] == 0.0 and p[8] == 0.0
    return p[0] == VTEAM


@kernel
def prepared(row: Floats) -> Floats:
    """The row, what follows from it alone, and at `OHMIC` whether it is; as long for all of a model."""
    linear = 1.0 if ohmic(row) else 0.0
    if row[0] == METASTABLE:
        held = rest(row[6], row[9], row[15]), rest(row[7], row[9], row[15])
        return np.append(row, np.array([held[0], held[1], linear]))
    return np.append(row, linear)


@kernel
def current(v: float, x: float, p: Floats) -> float:
    """[A] of a device whose prepared row is `p`; NaN for a number that is no model's."""
    if p[0] == METASTABLE:
        amps = metastable_current(v, x, p[4], p[5], p[10], p[11], p[12], p[13], p[14])
    elif p[0] == SDC:
        amps = sdc_current(v, x, p[4], p[5], p[6], p[7], p[8])
    elif p[0] == VTEAM:
        amps = vteam_current(v, x, p[4], p[5])
    elif p[0] == YAKOPCIC:
        amps = yakopcic_current(v, x, p[4], p[5], p[6], p[15])
    else:
        amps = np.nan
    return through(amps, v, p[2], p[3])


@kernel
def tangent(v: float, x: float, p: Floats) -> tuple[float, float]:
    """[A] the current of a device whose prepared row is `p`, and [S] its slope against the voltage."""
    if p[0] == SDC:
        amps, slope = sdc_tangent(v, x, p[4], p[5], p[6], p[7], p[8])
        return through(amps, v, p[2], p[3]), through(slope, 1.0, p[2], p[3])
    here = current(v, x, p)
    return here, (current(v + NUDGE, x, p) - here) / NUDGE


@kernel
def rate(v: float, x: float, p: Floats) -> float:
    """[1/s] dx/dt of a device whose prepared row is `p`; NaN for a number that is no model's."""
    if p[0] == METASTABLE:
        slope = metastable_rate(v, x, p[6], p[7], p[8], p[9], p[16], p[17])
    elif p[0] == SDC:
        slope = sdc_rate(v, x, p[9], p[10], p[11], p[12], p[13], p[14], p[15], p[16], p[17], p[18])
    elif p[0] == VTEAM:
        slope = vteam_rate(v, x, p[6], p[7], p[8], p[9], p[10], p[11])
    elif p[0] == YAKOPCIC:
        slope = yakopcic_rate(v, x, p[7], p[8], p[9], p[10], p[11], p[12], p[13], p[14])
    else:
        slope = np.nan
    return paced(slope, p[1])
