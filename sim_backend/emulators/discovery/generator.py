"""The emulated generators, call by call.

Names and arguments are pydwf's own; only what a program for a Memristor Discovery board needs is there.
Values that the manual does not allow are refused here, where the library would take the nearest: Digilent,
"WaveForms SDK Reference Manual".
"""
# ruff: noqa: N802 - the names are pydwf's

from __future__ import annotations

import copy

import numpy as np
from pydwf import DwfAnalogOutFunction, DwfAnalogOutIdle, DwfAnalogOutNode, DwfState, DwfTriggerSource

from labctl.pulse import Floats
from sim_backend.emulators.discovery.calls import SubApi, call, refuse, setting, within
from sim_backend.emulators.discovery.settings import CLOCK, GENERATOR_VOLTS, TABLE, Generator


class EmulatedAnalogOut(SubApi):
    """W1 and W2; the board is driven by W1 alone."""

    prefix = "analogOut"
    _channels = 2

    def _reset(self) -> list[Generator]:
        return [Generator() for _ in range(self._channels)]

    @property
    def _staged(self) -> list[Generator]:
        if self._device.generators is None:
            self._device.generators = self._reset()
        return self._device.generators

    def _of(self, channel_index: int) -> Generator:
        within(channel_index, 0, self._channels - 1, "channel")
        return self._staged[channel_index]

    def apply(self) -> None:
        self.hardware.generating = copy.copy(self._staged[0])

    @call
    def reset(self, channel_index: int) -> None:
        for channel in range(self._channels) if channel_index == -1 else (channel_index,):
            self._staged[channel] = Generator()
        self.hardware.stop()
        self.applied()

    @call
    def configure(self, channel_index: int, start: int) -> None:
        within(channel_index, -1, self._channels - 1, "channel")
        if channel_index in (0, -1):
            self.apply()
            if start == 1:
                self.hardware.start()
            elif start == 0:
                self.hardware.stop()

    @call
    def status(self, channel_index: int) -> DwfState:
        self.hardware.catch_up()
        return DwfState[self.hardware.generator_state if channel_index == 0 else "Ready"]

    @call
    def count(self) -> int:
        return self._channels

    @setting
    def runSet(self, channel_index: int, run_duration: float) -> None:
        self._of(channel_index).run = within(run_duration, 0.0, 1e5, "run")

    @call
    def runGet(self, channel_index: int) -> float:
        return self._of(channel_index).run

    @setting
    def waitSet(self, channel_index: int, wait_duration: float) -> None:
        self._of(channel_index).wait = within(wait_duration, 0.0, 1e5, "wait")

    @call
    def waitGet(self, channel_index: int) -> float:
        return self._of(channel_index).wait

    @setting
    def repeatSet(self, channel_index: int, repeat: int) -> None:
        self._of(channel_index).repeat = int(within(repeat, 0, 32767, "repeat"))

    @call
    def repeatGet(self, channel_index: int) -> int:
        return self._of(channel_index).repeat

    @setting
    def triggerSourceSet(self, channel_index: int, trigger_source: DwfTriggerSource) -> None:
        self._of(channel_index).trigger = trigger_source.name

    @call
    def triggerSourceGet(self, channel_index: int) -> DwfTriggerSource:
        return DwfTriggerSource[self._of(channel_index).trigger]

    @setting
    def idleSet(self, channel_index: int, idle: DwfAnalogOutIdle) -> None:
        self._of(channel_index).idle = idle.name

    @call
    def idleGet(self, channel_index: int) -> DwfAnalogOutIdle:
        return DwfAnalogOutIdle[self._of(channel_index).idle]

    @setting
    def nodeEnableSet(self, channel_index: int, node: DwfAnalogOutNode, mode: int) -> None:
        self._of(channel_index).enabled = mode

    @call
    def nodeEnableGet(self, channel_index: int, node: DwfAnalogOutNode) -> int:
        return self._of(channel_index).enabled

    @setting
    def nodeFunctionSet(self, channel_index: int, node: DwfAnalogOutNode, func: DwfAnalogOutFunction) -> None:
        if func.name not in ("DC", "Custom"):
            refuse(f"the emulator makes DC and Custom, not {func.name}")
        self._of(channel_index).function = func.name

    @call
    def nodeFunctionGet(self, channel_index: int, node: DwfAnalogOutNode) -> DwfAnalogOutFunction:
        return DwfAnalogOutFunction[self._of(channel_index).function]

    @setting
    def nodeFrequencySet(self, channel_index: int, node: DwfAnalogOutNode, frequency: float) -> None:
        self._of(channel_index).hertz = within(frequency, 1e-4, CLOCK / 4, "frequency")

    @call
    def nodeFrequencyGet(self, channel_index: int, node: DwfAnalogOutNode) -> float:
        return self._of(channel_index).hertz

    @setting
    def nodeAmplitudeSet(self, channel_index: int, node: DwfAnalogOutNode, amplitude: float) -> None:
        self._of(channel_index).amplitude = within(amplitude, 0.0, GENERATOR_VOLTS, "amplitude")

    @call
    def nodeAmplitudeGet(self, channel_index: int, node: DwfAnalogOutNode) -> float:
        return self._of(channel_index).amplitude

    @setting
    def nodeOffsetSet(self, channel_index: int, node: DwfAnalogOutNode, offset: float) -> None:
        self._of(channel_index).offset = within(offset, -GENERATOR_VOLTS, GENERATOR_VOLTS, "offset")

    @call
    def nodeOffsetGet(self, channel_index: int, node: DwfAnalogOutNode) -> float:
        return self._of(channel_index).offset

    @call
    def nodeDataInfo(self, channel_index: int, node: DwfAnalogOutNode) -> tuple[int, int]:
        return 1, TABLE

    @setting
    def nodeDataSet(self, channel_index: int, node: DwfAnalogOutNode, data: Floats) -> None:
        within(len(data), 2, TABLE, "points")
        within(float(np.abs(data).max()), 0.0, 1.0, "normalised volts")
        self._of(channel_index).data = np.array(data, dtype=np.float64)
