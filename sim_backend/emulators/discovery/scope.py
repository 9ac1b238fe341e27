"""The emulated scope, call by call.

Names and arguments are pydwf's own; only what a program for a Memristor Discovery board needs is there.
Values that the manual does not allow are refused here, where the library would take the nearest: Digilent,
"WaveForms SDK Reference Manual".
"""
# ruff: noqa: N802 - the names are pydwf's

from __future__ import annotations

import copy

from pydwf import DwfAcquisitionMode, DwfAnalogInFilter, DwfState, DwfTriggerSource

from labctl.pulse import Floats
from sim_backend.emulators.discovery.calls import SubApi, call, refuse, setting, within
from sim_backend.emulators.discovery.settings import BUFFER, CLOCK, RANGES, Scope


class EmulatedAnalogIn(SubApi):
    """The scope."""

    prefix = "analogIn"

    @property
    def _staged(self) -> Scope:
        if self._device.scope is None:
            self._device.scope = Scope()
        return self._device.scope

    def apply(self) -> None:
        self.hardware.scope = copy.deepcopy(self._staged)

    @call
    def reset(self) -> None:
        self._device.scope = Scope()
        self.applied()

    @call
    def configure(self, reconfigure: bool, start: bool) -> None:
        if reconfigure:
            self.apply()
        if start:
            self.hardware.arm()
        else:
            self.hardware.scope_state = "Ready"

    @call
    def status(self, read_data_flag: bool) -> DwfState:
        hardware = self.hardware
        hardware.catch_up()
        done = hardware.scope_state == "Done"
        if done and hardware.generator_state == "Running" and hardware.settings.real_time:
            return DwfState.Triggered
        self._device.fetched = hardware.captured if done and read_data_flag else None
        return DwfState[hardware.scope_state]

    @call
    def statusSamplesValid(self) -> int:
        return self.hardware.valid

    @call
    def statusData(self, channel_index: int, count: int) -> Floats:
        if self._device.fetched is None:
            refuse("no capture was fetched: ask for the status with its data, until it is done")
        within(count, 1, self.hardware.valid, "samples")
        return self._device.fetched[int(within(channel_index, 0, 1, "channel"))][:count].copy()

    @call
    def frequencyInfo(self) -> tuple[float, float]:
        return CLOCK / 2**32, CLOCK

    @setting
    def frequencySet(self, sample_frequency: float) -> None:
        within(sample_frequency, CLOCK / 2**32, CLOCK * (1 + 1e-9), "frequency")
        self._staged.hertz = CLOCK / max(round(CLOCK / sample_frequency), 1)

    @call
    def frequencyGet(self) -> float:
        return self._staged.hertz

    @call
    def bufferSizeInfo(self) -> tuple[int, int]:
        return 16, BUFFER

    @setting
    def bufferSizeSet(self, buffer_size: int) -> None:
        self._staged.size = int(within(buffer_size, 16, BUFFER, "samples"))

    @call
    def bufferSizeGet(self) -> int:
        return self._staged.size

    @setting
    def acquisitionModeSet(self, acquisition_mode: DwfAcquisitionMode) -> None:
        if acquisition_mode is not DwfAcquisitionMode.Single:
            refuse(f"the emulator captures in mode Single, not {acquisition_mode.name}")
        self._staged.mode = acquisition_mode.name

    @call
    def acquisitionModeGet(self) -> DwfAcquisitionMode:
        return DwfAcquisitionMode[self._staged.mode]

    @setting
    def channelEnableSet(self, channel_index: int, channel_enable: bool) -> None:
        self._staged.enabled[channel_index] = channel_enable

    @call
    def channelEnableGet(self, channel_index: int) -> bool:
        return self._staged.enabled[channel_index]

    @setting
    def channelFilterSet(self, channel_index: int, channel_filter: DwfAnalogInFilter) -> None:
        if channel_filter is not DwfAnalogInFilter.Decimate:
            refuse(f"the emulator decimates, and knows no {channel_filter.name}")
        self._staged.filters[channel_index] = channel_filter.name

    @call
    def channelFilterGet(self, channel_index: int) -> DwfAnalogInFilter:
        return DwfAnalogInFilter[self._staged.filters[channel_index]]

    @setting
    def channelRangeSet(self, channel_index: int, channel_range: float) -> None:
        self._staged.ranges[channel_index] = RANGES[0] if channel_range <= RANGES[0] else RANGES[1]

    @call
    def channelRangeGet(self, channel_index: int) -> float:
        return self._staged.ranges[channel_index]

    @setting
    def channelOffsetSet(self, channel_index: int, channel_offset: float) -> None:
        self._staged.offsets[channel_index] = within(channel_offset, -25.0, 25.0, "offset")

    @call
    def channelOffsetGet(self, channel_index: int) -> float:
        return self._staged.offsets[channel_index]

    @setting
    def triggerSourceSet(self, trigger_source: DwfTriggerSource) -> None:
        if trigger_source.name not in ("None_", "AnalogOut1"):
            refuse(f"the emulator triggers by AnalogOut1, not by {trigger_source.name}")
        self._staged.source = trigger_source.name

    @call
    def triggerSourceGet(self) -> DwfTriggerSource:
        return DwfTriggerSource[self._staged.source]

    @setting
    def triggerPositionSet(self, trigger_position: float) -> None:
        self._staged.position = trigger_position

    @call
    def triggerPositionGet(self) -> float:
        return self._staged.position

    @setting
    def triggerAutoTimeoutSet(self, trigger_auto_timeout: float) -> None:
        self._staged.timeout = trigger_auto_timeout

    @call
    def triggerAutoTimeoutGet(self) -> float:
        return self._staged.timeout
