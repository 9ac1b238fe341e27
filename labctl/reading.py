"""What a trace says of devices: conductances from the settled end of a read pulse's flat top.

The series resistors carry the device's own current, so their drop is taken off the terminal volts
before Ohm's law is fitted. While a sense capacitor charges, the source gives more current than the
device takes: only the last quarter of each flat top counts. An open device is an answer (0 S); a
trace that says nothing of the device is a fault, and never a NaN.
"""

from __future__ import annotations

import numpy as np

from labctl.errors import BoardFault
from labctl.pulse import Bools, Flag, Floats, Pulse, Trace, finite
from labctl.spec import Spec

FLAT = 0.99
"""Part of the peak above which a sample belongs to the flat top."""
SETTLED = 0.75
"""Part of the flat top that is given to settling."""
UNUSABLE = Flag.COMPLIANCE | Flag.OVER_RANGE | Flag.SATURATED | Flag.INTERLOCK
"""What makes a current a property of the instrument instead of the device."""


def conductance(spec: Spec, pulse: Pulse, trace: Trace, site: int) -> float:
    """[S] of the one site that the pulse reads, by least squares over the settled end of its top.

    Device volts are those between the lines less the drop over the series resistors. A current below
    the board's noise floor is an open device: 0 S. Raises `BoardFault` where there is nothing to fit.
    """
    place = spec.sites[site]
    row, column = place.row, spec.rows + place.column
    _refuse_useless(spec, trace)
    weights = trace.seconds * settled(trace, row, pulse.repeats)
    series = spec.series(pulse.driven)
    amps = trace.amps[:, row] if _sensed(spec, row) else -trace.amps[:, column]
    volts = trace.volts[:, row] - trace.volts[:, column] - amps * (series[row] + series[column])
    return _fit(spec, weights, volts, amps, site)


def row_conductances(spec: Spec, pulse: Pulse, trace: Trace) -> Floats:
    """[S], shape (columns,): of every crossing of the one row that a `read_row` pulse drives.

    Each from the current out of its own column; 0 where the row has no site, and for an open device.
    Wires are not corrected for: their drop counts as the device's.
    """
    _refuse_useless(spec, trace)
    row = int(np.argmax(np.abs(pulse.volts[:, : spec.rows]).max(axis=0)))
    top = settled(trace, row, pulse.repeats)
    series, out = spec.series(pulse.driven), -trace.amps[top, spec.rows :]
    into = trace.amps[top, row] if _sensed(spec, row) else out.sum(axis=1)
    above = trace.volts[top, row] - into * series[row]
    below = trace.volts[top, spec.rows :] + out * series[spec.rows :]
    found = np.zeros(spec.columns)
    for site, place in enumerate(spec.sites):
        if place.row == row:
            column = place.column
            across = above - below[:, column]
            found[column] = _fit(spec, trace.seconds[top], across, out[:, column], site)
    return found


def settled_volts(pulse: Pulse, trace: Trace, line: int) -> float:
    """[V] of a line, mean over the settled end of the pulse's flat top."""
    return _settled_mean(pulse, trace, trace.volts[:, line])


def settled_amps(pulse: Pulse, trace: Trace, line: int) -> float:
    """[A] into a line, mean over the settled end of the pulse's flat top."""
    return _settled_mean(pulse, trace, trace.amps[:, line])


def settled(trace: Trace, line: int, repeats: int = 1) -> Bools:
    """Where the line is at its peak, in the last quarter of that time in each repeat: shape (samples,)."""
    volts = np.abs(trace.volts[:, line])
    top = volts >= FLAT * np.maximum.reduce(volts, initial=0.0)
    if repeats == 1 and len(volts):
        spent = np.cumsum(trace.seconds * top)
        return top & (spent > SETTLED * spent[-1])
    middles = np.cumsum(trace.seconds) - trace.seconds / 2
    turn = np.minimum(middles * (repeats / max(trace.seconds.sum(), 1e-300)), repeats - 1).astype(np.intp)
    flat = trace.seconds * top
    totals = np.bincount(turn, weights=flat, minlength=repeats)
    spent = np.cumsum(flat) - (np.cumsum(totals) - totals)[turn]
    return top & (spent > SETTLED * totals[turn])


def _settled_mean(pulse: Pulse, trace: Trace, values: Floats) -> float:
    driver = int(np.argmax(np.abs(pulse.volts).max(axis=0)))
    top = settled(trace, driver, pulse.repeats)
    weights = trace.seconds[top]
    return float(weights @ values[top]) / float(weights.sum())


def _fit(spec: Spec, weights: Floats, volts: Floats, amps: Floats, site: int) -> float:
    """Least squares of amps = G volts, all shape (samples,)."""
    weighted = weights * volts
    power = float(weighted @ volts)
    if not power > 0:
        raise BoardFault(
            f"{spec.name}: no voltage across site {spec.label(site)} while it was read",
            todo="check the wiring and the amplitude of the read pulse",
        )
    if abs(float(weights @ amps)) < spec.noise_floor_amps * float(np.add.reduce(weights)):
        return 0.0
    siemens = float(weighted @ amps) / power
    if not siemens > 0:
        raise BoardFault(
            f"{spec.name}: the current at site {spec.label(site)} runs against its voltage ({siemens:.4g} S)",
            todo="look for a short, or for series resistances that are not those of the spec",
        )
    return siemens


def _sensed(spec: Spec, line: int) -> bool:
    return spec.sensed is None or line in spec.sensed


def _refuse_useless(spec: Spec, trace: Trace) -> None:
    wrong = trace.flags & UNUSABLE
    whole = finite(trace.seconds) and finite(trace.volts) and finite(trace.amps)
    if wrong or not whole:
        what = wrong.name if wrong else "values that are no finite numbers"
        raise BoardFault(
            f"{spec.name}: a read that says nothing of the device: {what}",
            todo="choose another range or a smaller read pulse, and check the wiring",
        )
