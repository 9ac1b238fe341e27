"""What every call to the emulated DWF library does before its own work: it is noted, and it may fail.

Two decorators: `call` for what asks or acts, `setting` for what changes a setting, which reaches the device
at once where auto-configuration is on, and otherwise with the next `configure`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeVar, cast

from pydwf import DwfErrorCode, DwfLibraryError

from sim_backend.emulators.discovery.device import AnalogDiscovery

if TYPE_CHECKING:
    from sim_backend.emulators.dwf import EmulatedDwfDevice

P = ParamSpec("P")
T = TypeVar("T")
GONE = "Device communication error: the device was disconnected"


class SubApi:
    """One instrument of a device, as pydwf has it: `device.analogIn` and so on."""

    prefix = ""

    def __init__(self, device: EmulatedDwfDevice) -> None:
        self._device = device

    @property
    def device(self) -> EmulatedDwfDevice:
        """The device that this is a part of."""
        return self._device

    @property
    def hardware(self) -> AnalogDiscovery:
        """What is emulated."""
        return self._device.hardware

    def meet(self, name: str, args: tuple[Any, ...]) -> bool:
        """Note a call; whether it has an effect. Raises what the library would."""
        return met(self._device, f"{self.prefix}.{name}", args)

    def applied(self) -> None:
        """A setting was changed."""
        if self._device.auto_configure:
            self.apply()

    def apply(self) -> None:
        """Transfer the settings to the device."""


S = TypeVar("S", bound=SubApi)


def call(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A call that asks or acts."""

    @functools.wraps(method)
    def called(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        if not self.meet(method.__name__, (*args, *kwargs.values())):
            return cast(T, None)
        return method(self, *args, **kwargs)

    return called


def setting(method: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """A call that changes a setting."""

    @functools.wraps(method)
    def called(self: S, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.meet(method.__name__, (*args, *kwargs.values())):
            method(self, *args, **kwargs)
            self.applied()

    return called


def met(device: EmulatedDwfDevice, name: str, args: tuple[Any, ...]) -> bool:
    """Note a call to an open device; whether it has an effect. Raises what the library would."""
    hardware = device.hardware
    faults = hardware.faults
    hardware.calls += 1
    if hardware.log is not None:
        hardware.log.append(f"{name}({', '.join(map(_shown, args))})")
    if faults.hang_at == hardware.calls:
        time.sleep(faults.hang_seconds)
    if hardware.gone:
        raise DwfLibraryError(DwfErrorCode.UnknownError, GONE)
    if not device.is_open:
        refuse("the device is not open")
    if faults.fail_at == hardware.calls:
        refuse("this call was made to fail")
    if name in faults.fail:
        raise DwfLibraryError(DwfErrorCode.UnknownError, faults.fail[name])
    return name not in faults.ignored


def refuse(why: str) -> NoReturn:
    """As the library does for an argument that its manual does not allow."""
    raise DwfLibraryError(DwfErrorCode.InvalidParameter1, why)


def within(value: float, least: float, most: float, what: str) -> float:
    """The value, or an error of the library."""
    if not (least <= value <= most):
        refuse(f"{what} {value} is not in {least} to {most}")
    return value


def _shown(value: Any) -> str:
    size: Any = getattr(value, "shape", None)
    if size is not None:
        return f"<{len(value)} points>"
    return str(getattr(value, "name", f"{value:.6g}" if isinstance(value, float) else value))
