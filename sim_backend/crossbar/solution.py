"""What a crossbar does under given voltages: outputs, every node and device, and where the power goes.

Currents along the lines are sums of device currents, from the ends on: they hold their digits when the
wires have next to no resistance, where the difference of two node voltages would not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from labctl.pulse import Floats
from sim_backend.crossbar.array import Crossbar


@dataclass(frozen=True, eq=False)
class Solution:
    """The answer to one or more input vectors; the leading axis is always that of the vectors."""

    crossbar: Crossbar
    """What was solved."""
    volts: Floats
    """[V], (vectors, rows): at the sources."""
    outputs: Floats
    """[A], (vectors, columns): into the neurons, near and far together."""
    row_volts: Floats
    """[V], (vectors, rows, columns): the rows' nodes."""
    column_volts: Floats
    """[V], (vectors, rows, columns): the columns' nodes."""
    device_amps: Floats
    """[A], (vectors, rows, columns): through each device, from row to column."""
    error: float
    """Any output's error at most, as a share of its vector's largest output; of power, what share is lacking.

    Where voltages of both signs cancel, the largest output is that of what flows in one direction, plus
    that in the other, as if they did not: of outputs that should be 0, no share could be stated.
    """
    iterations: int
    """Of conjugate gradients, over all vectors; 0 for the closed form."""

    @cached_property
    def source_amps(self) -> Floats:
        """[A], (vectors, rows): out of each row's sources, near and far together."""
        return self.device_amps.sum(axis=2)

    @cached_property
    def watts_in(self) -> Floats:
        """[W], (vectors,): given by the sources."""
        return np.einsum("vi,vi->v", self.volts, self.source_amps)

    @cached_property
    def watts(self) -> Watts:
        """Where the power goes."""
        bar, amps = self.crossbar, self.device_amps
        rows = _along(amps, bar.source_ohms, bar.far_source_ohms, bar.row_wire_ohms)
        columns = _along(amps.swapaxes(1, 2), bar.far_sink_ohms, bar.sink_ohms, bar.column_wire_ohms)
        devices = np.einsum("vij,vij,ij->v", amps, amps, _inverse(bar.siemens))
        return Watts(devices, rows[0], columns[0], rows[1], columns[1])

    @property
    def watts_dissipated(self) -> Floats:
        """[W], (vectors,): in devices, wires, sources and neurons."""
        return self.watts.total


@dataclass(frozen=True, eq=False)
class Watts:
    """[W], each (vectors,): what every kind of resistance turns into heat."""

    devices: Floats
    row_wires: Floats
    column_wires: Floats
    sources: Floats
    sinks: Floats

    @property
    def total(self) -> Floats:
        """Of all together."""
        return self.devices + self.row_wires + self.column_wires + self.sources + self.sinks


def _inverse(values: Floats) -> Floats:
    """1 / values, and 0 where there is no device."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)


def _along(
    amps: Floats, first_ohms: Floats | None, last_ohms: Floats | None, wire_ohms: float
) -> tuple[Floats, Floats]:
    """Power [W] (vectors,) in wires and in ends of lines whose nodes give `amps` to their devices."""
    first = _shared(amps, first_ohms, last_ohms, wire_ohms)
    within = first[..., None] - np.cumsum(amps, axis=2)
    last = within[..., -1]
    wires = wire_ohms * np.square(within[..., :-1]).sum(axis=(1, 2))
    heat = np.zeros(len(amps))
    for through, ohms in ((first, first_ohms), (last, last_ohms)):
        heat += 0.0 if ohms is None else np.square(through) @ ohms
    return wires, heat


def _shared(amps: Floats, first_ohms: Floats | None, last_ohms: Floats | None, wire_ohms: float) -> Floats:
    """[A], (vectors, lines): how much of the lines' currents comes from their first end.

    With both ends at one voltage, a node's current divides as the resistances to either end have it.
    """
    if first_ohms is None:
        return np.zeros(amps.shape[:2])
    if last_ohms is None:
        return amps.sum(axis=2)
    segments = np.arange(amps.shape[2], dtype=np.float64)[::-1]
    after: Floats = last_ohms[:, None] + wire_ohms * segments
    whole = first_ohms + last_ohms + wire_ohms * (amps.shape[2] - 1)
    share = np.divide(after, whole[:, None], out=np.full_like(after, 0.5), where=whole[:, None] > 0)
    return np.einsum("vlk,lk->vl", amps, share)
