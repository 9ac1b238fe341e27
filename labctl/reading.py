"""What a trace says of a device: numbers from the flat top of a read pulse."""

from __future__ import annotations

import numpy as np

from labctl.errors import BoardFault
from labctl.pulse import Bools, Floats, Pulse, Trace
from labctl.spec import Spec

FLAT = 0.99
"""Part of the peak above which a sample belongs to the flat top."""
SETTLED = 0.75
"""Part of the flat top that is given to settling."""


def conductance(spec: Spec, pulse: Pulse, trace: Trace, site: int) -> float:
    """[S] of the one site that the pulse reads, by least squares over the settled end of its top.

    Device volts are those between the lines less the drop over the series resistors. A current below
    the board's noise floor is an open device: 0 S.
    """
    place = spec.sites[site]
    row, column = place.row, spec.rows + place.column
    top = settled(trace, row)
    series = spec.series(pulse.driven)
    weights, amps = trace.seconds[top], trace.amps[top, row]
    volts = trace.volts[top, row] - trace.volts[top, column] - amps * (series[row] + series[column])
    power = float(weights @ volts**2)
    if not power > 0:
        raise BoardFault(
            f"{spec.name}: no voltage across site {spec.label(site)} while it was read",
            todo="check the wiring and the amplitude of the read pulse",
        )
    mean = float(weights @ amps) / float(weights.sum())
    if abs(mean) < spec.noise_floor_amps:
        return 0.0
    return float(weights @ (volts * amps)) / power


def settled_volts(pulse: Pulse, trace: Trace, line: int) -> float:
    """[V] of a line, mean over the settled end of the pulse's flat top."""
    driver = int(np.argmax(np.abs(pulse.volts).max(axis=0)))
    top = settled(trace, driver)
    weights = trace.seconds[top]
    return float(weights @ trace.volts[top, line]) / float(weights.sum())


def settled(trace: Trace, line: int) -> Bools:
    """shape (samples,): where the line is at its peak, in the last quarter of that time."""
    volts = np.abs(trace.volts[:, line])
    top = volts >= FLAT * volts.max()
    spent = np.cumsum(trace.seconds * top)
    return top & (spent > SETTLED * spent[-1])
