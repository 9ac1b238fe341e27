"""Digilent's DWF library as pydwf shows it, with emulated Analog Discoveries on its USB.

`EmulatedDwf` stands where `pydwf.DwfLibrary` stands; classes, attributes, methods and arguments carry the
same names, which a test compares with pydwf itself. Its options say what is plugged in
(`DiscoverySettings`); several libraries in one process see the same USB, and hardware keeps its state when
a library is made anew.

`sleep` is what pydwf has not: time of its own. A driver that finds it waits by it, and no time is lost.
"""
# ruff: noqa: N802 - the names are pydwf's

from __future__ import annotations

import time
from typing import Any, Self

from pydwf import DwfDeviceParameter, DwfEnumFilter, DwfErrorCode, DwfLibraryError

from labctl.config import build
from labctl.pulse import Floats
from sim_backend.emulators.discovery.calls import GONE, met, within
from sim_backend.emulators.discovery.device import AnalogDiscovery
from sim_backend.emulators.discovery.generator import EmulatedAnalogOut
from sim_backend.emulators.discovery.scope import EmulatedAnalogIn
from sim_backend.emulators.discovery.settings import DiscoverySettings, Generator, Scope
from sim_backend.emulators.discovery.statics import EmulatedAnalogIO, EmulatedDigitalIO

__all__ = ["USB", "EmulatedDwf", "EmulatedDwfDevice"]
USB: dict[str, AnalogDiscovery] = {}
"""What is plugged in, by serial number."""
ANALOG_DISCOVERY_2 = 3
VERSION = "3.20.1"


class EmulatedDwf:
    """The library."""

    def __init__(self, check_library_version: bool = False, **options: Any) -> None:
        if options:
            settings = build(options, DiscoverySettings, "dwf_options")
            found = USB.get(settings.serial)
            if found is None or found.settings != settings:
                USB[settings.serial] = AnalogDiscovery(settings)
        self.opened: list[EmulatedDwfDevice] = []
        self.defaults: dict[DwfDeviceParameter, int] = {DwfDeviceParameter.OnClose: 1}
        self.deviceEnum = EmulatedDeviceEnumeration(self)
        self.deviceControl = EmulatedDeviceControl(self)

    def getVersion(self) -> str:
        return VERSION

    def paramSet(self, device_parameter: DwfDeviceParameter, value: int) -> None:
        self.defaults[device_parameter] = value

    def paramGet(self, device_parameter: DwfDeviceParameter) -> int:
        return self.defaults.get(device_parameter, 0)

    def sleep(self, seconds: float) -> None:
        """Let time pass for the devices that are open; in real time, too, where that was asked for."""
        for device in self.opened:
            device.hardware.rest(seconds)
            if device.hardware.settings.real_time:
                time.sleep(seconds)


class EmulatedDeviceEnumeration:
    """What is plugged in."""

    def __init__(self, dwf: EmulatedDwf) -> None:
        self._dwf = dwf
        self._found: list[AnalogDiscovery] = []

    def enumerateDevices(self, enum_filter: DwfEnumFilter | None = None) -> int:
        self._found = [
            one for one in USB.values() if one.faults.gone_at is None or one.calls < one.faults.gone_at
        ]
        _note(self._found, "deviceEnum.enumerateDevices()")
        return len(self._found)

    def deviceType(self, device_index: int) -> tuple[int, int]:
        self.at(device_index)
        return ANALOG_DISCOVERY_2, 3

    def deviceIsOpened(self, device_index: int) -> bool:
        return self.at(device_index).opened

    def deviceName(self, device_index: int) -> str:
        self.at(device_index)
        return "Analog Discovery 2"

    def userName(self, device_index: int) -> str:
        self.at(device_index)
        return "Discovery2"

    def serialNumber(self, device_index: int) -> str:
        return f"SN:{self.at(device_index).settings.serial}"

    def at(self, device_index: int) -> AnalogDiscovery:
        """The hardware behind an index."""
        return self._found[int(within(device_index, 0, len(self._found) - 1, "device"))]


class EmulatedDeviceControl:
    """Opening and closing."""

    def __init__(self, dwf: EmulatedDwf) -> None:
        self._dwf = dwf

    def open(self, device_index: int, config_index: int | None = None) -> EmulatedDwfDevice:
        if device_index == -1:
            self._dwf.deviceEnum.enumerateDevices()
        hardware = self._dwf.deviceEnum.at(max(device_index, 0))
        _note([hardware], f"deviceControl.open({device_index})")
        if hardware.opened:
            raise DwfLibraryError(DwfErrorCode.AlreadyOpened, "The device is opened by another process")
        if hardware.gone:
            raise DwfLibraryError(DwfErrorCode.UnknownError, GONE)
        device = EmulatedDwfDevice(self._dwf, hardware)
        self._dwf.opened.append(device)
        return device

    def closeAll(self) -> None:
        for device in list(self._dwf.opened):
            device.close()


class EmulatedDwfDevice:
    """One device that is open."""

    def __init__(self, dwf: EmulatedDwf, hardware: AnalogDiscovery) -> None:
        self.dwf = dwf
        self.hardware = hardware
        self.is_open = hardware.opened = True
        self.auto_configure = 1
        self.generators: list[Generator] | None = None
        self.scope: Scope | None = None
        self.fetched: list[Floats] | None = None
        self._parameters = dict(dwf.defaults)
        self.analogIn = EmulatedAnalogIn(self)
        self.analogOut = EmulatedAnalogOut(self)
        self.analogIO = EmulatedAnalogIO(self)
        self.digitalIO = EmulatedDigitalIO(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.close()

    def close(self) -> None:
        """The library forgets the device even where the device does not answer any more."""
        try:
            done = met(self, "close", ())
        finally:
            self.is_open = self.hardware.opened = False
            if self in self.dwf.opened:
                self.dwf.opened.remove(self)
        if done and self._parameters[DwfDeviceParameter.OnClose] == 2:
            self.hardware.power_off()
        elif done and self._parameters[DwfDeviceParameter.OnClose] == 1:
            self.hardware.stop()

    def autoConfigureSet(self, auto_configure: int) -> None:
        if met(self, "autoConfigureSet", (auto_configure,)):
            self.auto_configure = auto_configure

    def autoConfigureGet(self) -> int:
        met(self, "autoConfigureGet", ())
        return self.auto_configure

    def reset(self) -> None:
        if met(self, "reset", ()):
            self.generators = self.scope = None
            self.hardware.power_off()

    def paramSet(self, parameter: DwfDeviceParameter, value: int) -> None:
        if met(self, "paramSet", (parameter, value)):
            self._parameters[parameter] = value

    def paramGet(self, parameter: DwfDeviceParameter) -> int:
        met(self, "paramGet", (parameter,))
        return self._parameters.get(parameter, 0)


def _note(hardware: list[AnalogDiscovery], text: str) -> None:
    for one in hardware:
        if one.log is not None:
            one.log.append(text)
