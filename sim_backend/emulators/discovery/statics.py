"""The emulated supplies and pins, call by call: what is set and stays, without a state machine.

Names and arguments are pydwf's own. Source: Digilent, "WaveForms SDK Reference Manual", AnalogIO and
DigitalIO.
"""
# ruff: noqa: N802 - the names are pydwf's

from __future__ import annotations

from typing import TYPE_CHECKING

from sim_backend.emulators.discovery.calls import SubApi, call, refuse, setting, within

if TYPE_CHECKING:
    from sim_backend.emulators.dwf import EmulatedDwfDevice


class EmulatedAnalogIO(SubApi):
    """The supplies: channels 0 (V+) and 1 (V-), each with node 0 (enable) and node 1 (volts)."""

    prefix = "analogIO"
    _names = (("Positive Supply", "V+"), ("Negative Supply", "V-"))

    def __init__(self, device: EmulatedDwfDevice) -> None:
        super().__init__(device)
        self._master, self._nodes = False, [[0.0, 0.0], [0.0, 0.0]]

    def apply(self) -> None:
        on = [self._master and bool(enable) for enable, _ in self._nodes]
        self.hardware.rails = (self._nodes[0][1] * on[0], self._nodes[1][1] * on[1])

    @call
    def reset(self) -> None:
        self._master, self._nodes = False, [[0.0, 0.0], [0.0, 0.0]]
        self.applied()

    @call
    def configure(self) -> None:
        self.apply()

    @call
    def status(self) -> None:
        pass

    @setting
    def enableSet(self, master_enable: bool) -> None:
        self._master = master_enable

    @call
    def enableGet(self) -> bool:
        return self._master

    @call
    def enableStatus(self) -> bool:
        return any(self.hardware.rails)

    @call
    def channelCount(self) -> int:
        return len(self._names)

    @call
    def channelName(self, channel_index: int) -> tuple[str, str]:
        return self._names[int(within(channel_index, 0, 1, "channel"))]

    @setting
    def channelNodeSet(self, channel_index: int, node_index: int, node_value: float) -> None:
        within(channel_index, 0, 1, "channel")
        if within(node_index, 0, 1, "node") == 1:
            within(node_value, *((0.0, 5.0) if channel_index == 0 else (-5.0, 0.0)), "supply")
        self._nodes[channel_index][node_index] = node_value

    @call
    def channelNodeGet(self, channel_index: int, node_index: int) -> float:
        return self._nodes[channel_index][node_index]


class EmulatedDigitalIO(SubApi):
    """The 16 pins."""

    prefix = "digitalIO"

    def __init__(self, device: EmulatedDwfDevice) -> None:
        super().__init__(device)
        self._enable = self._output = self._read = 0

    def apply(self) -> None:
        self.hardware.pins_out, self.hardware.pins = self._enable, self._output

    @call
    def reset(self) -> None:
        self._enable = self._output = 0
        self.applied()

    @call
    def configure(self) -> None:
        self.apply()

    @call
    def status(self) -> None:
        self._read = self.hardware.pin_levels()

    @setting
    def outputEnableSet(self, output_enable: int) -> None:
        self._enable = _pins(output_enable)

    @call
    def outputEnableGet(self) -> int:
        return self._enable

    @setting
    def outputSet(self, output: int) -> None:
        self._output = _pins(output)

    @call
    def outputGet(self) -> int:
        return self._output

    @call
    def inputStatus(self) -> int:
        return self._read


def _pins(bits: int) -> int:
    if bits >> 16:
        refuse(f"{bits:#x}: there are 16 pins")
    return bits
