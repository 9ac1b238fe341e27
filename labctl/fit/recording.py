"""What was measured: times, source volts, amps, and how much of the file could not be read.

A recording is a value. Its fingerprint is that of the numbers as they were parsed, not of the file:
the same data with other line ends or another separator is the same data.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from labctl.pulse import Floats, Indices


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One measurement of one device."""

    name: str
    seconds: Floats
    """[s], shape (samples,), increasing."""
    volts: Floats
    """[V], shape (samples,): of the source, across series resistance and device."""
    amps: Floats
    """[A], shape (samples,): through the device."""
    series_ohms: float
    """[ohm] between source and device; 0 where `volts` is the device's own."""
    period: float = 0.0
    """[s] of one cycle, where the file says so; 0: to be found out."""
    remarks: tuple[str, ...] = ()
    """What a reader noticed and a person should know."""
    weights: Floats | None = None
    """shape (samples,): what each sample counts; None: as long as it is to its neighbours."""
    response_seconds: float = 0.0
    """[s] time constant of the node between resistor and device; 0: it follows at once."""
    bins: Indices | None = None
    """shape (bins,): the sample that each bin begins with, in which what is left of a fit is averaged."""

    def __post_init__(self) -> None:
        """Freeze the arrays: a recording is a value."""
        for array in (self.seconds, self.volts, self.amps):
            array.setflags(write=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the numbers, as hexadecimal text."""
        digest = hashlib.sha256(np.float64(self.series_ohms).tobytes())
        if self.response_seconds:
            digest.update(np.float64(self.response_seconds).tobytes())
        for array in (self.seconds, self.volts, self.amps):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()

    def remarked(self, *remarks: str) -> Recording:
        """The same with more remarks."""
        return replace(self, remarks=(*self.remarks, *remarks))


def fingerprint(recordings: list[Recording]) -> str:
    """SHA-256 of all recordings together, whatever their order."""
    return hashlib.sha256("".join(sorted(one.fingerprint for one in recordings)).encode()).hexdigest()
