"""A device that is short, and one that is open: what reads say of it before and after pulses are sent.

A short is told before anything is sent. A site that reads as less than half the least resistance that its
kind was ever seen to have is read once more, at half the voltage: a bad contact, a wrong zero or a clipped
converter make one such number, and only metal makes both. It gets no pulse, which could only make it worse.

An open device cannot be told beforehand from one whose resistance is beyond what the board can measure, and
which a pulse would bring back. So it is told afterwards, when the strongest pulses have changed nothing: by a
read of the other polarity.
"""

from __future__ import annotations

import math

from labctl.errors import BoardFault, Refused
from labctl.plan import Plan
from labctl.programming.common import Reading, read
from labctl.pulse import Pulse
from labctl.quantity import format_quantity
from labctl.reading import conductance
from labctl.spec import Spec

SHORT = 0.5
"""Of the least resistance that the site could have (`Limits.least_ohms`): what has less is a short."""


def looks_short(spec: Spec, site: int, siemens: float) -> bool:
    """Whether this one conductance is that of a short; no, where the site's least resistance is unknown."""
    least = SHORT * spec.sites[site].limits.least_ohms
    return math.isfinite(least) and siemens * least > 1


def short(spec: Spec, site: int, now: float, how: Reading) -> Plan[str]:
    """Why no pulse must be sent to a site that reads `now` [S]; nothing if it may have them.

    A second read that says nothing of the device does not clear it.
    """
    if not looks_short(spec, site, now):
        return ""
    halved = how.model_copy(update={"volts": how.volts / 2})
    again = yield from _read(spec, site, read(spec, site, halved))
    if math.isfinite(again) and not looks_short(spec, site, again):
        return ""
    values = [_told(1 / now, how.volts), _told(1 / again, halved.volts)]
    return f"{values[0]}, and {values[1]}"


def open_circuit(spec: Spec, site: int, how: Reading) -> Plan[str]:
    """That no current flows in the other polarity either; nothing if it does, or nobody can tell."""
    if spec.reads_forward_only:
        return ""
    forward = read(spec, site, how)
    backward = Pulse(forward.seconds, -forward.volts, forward.driven, forward.purpose)
    if (yield from _read(spec, site, backward)) == 0.0:
        return f"open: no current at {_both(how.volts)}"
    return ""


def _read(spec: Spec, site: int, pulse: Pulse) -> Plan[float]:
    """[S]; NaN where the read says nothing of the device, or is not allowed."""
    try:
        (trace,) = yield [pulse]
        return conductance(spec, pulse, trace, site)
    except (BoardFault, Refused):
        return math.nan


def _told(ohms: float, volts: float) -> str:
    found = format_quantity(ohms, "ohm") if math.isfinite(ohms) else "not readable"
    return f"{found} at {format_quantity(volts, 'V')}"


def _both(volts: float) -> str:
    return f"{format_quantity(volts, 'V')} and {format_quantity(-volts, 'V')}"
