"""Numbers of a simulated circuit that its `Spec` does not tell, because nobody above the seam needs them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parasitics:
    """What stands around the devices and is nobody's business above the seam."""

    sense_farads: float = 180e-12
    """[F] at the node between series resistor and selected device."""
    wire_ohms: float = 0.0
    """[ohm] of one segment of a row or column between two crossings (crossbars)."""
    amplifier_gain: float = 1e5
    amplifier_hertz: float = 1e7
    """[Hz] Gain-bandwidth product of the neurons' op-amps."""
    amplifier_offsets: tuple[float, ...] = ()
    """[V] at their inputs, one a neuron; empty: none has any."""

    def offset_volts(self, neuron: int) -> float:
        """[V] at the input of this neuron's op-amp."""
        return self.amplifier_offsets[neuron] if self.amplifier_offsets else 0.0
