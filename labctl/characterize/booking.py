"""What pulses gave to the one device that they were for, and how long they took on the bench."""

from __future__ import annotations

import math
from collections.abc import Sequence

from labctl.characterize.probing import curve
from labctl.pulse import Pulse, Trace
from labctl.spec import Spec


def device_joules(spec: Spec, pulse: Pulse, trace: Trace, site: int) -> float:
    """[J] that the device itself took, all repeats together, without series resistors."""
    found = curve(spec, pulse, trace, site)
    return float(found.seconds @ (found.volts * found.amps))


def bench_seconds(traces: Sequence[Trace]) -> float:
    """[s] that these took: pulses, settling and link."""
    times = (float(trace.seconds.sum()) + trace.settle_seconds + trace.link_seconds for trace in traces)
    return math.fsum(times)
