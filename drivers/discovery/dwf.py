"""Digilent's DWF library, by the import path of its class: what is plugged in, and what its errors mean.

pydwf turns every return code into an exception; here every exception becomes one of the house's: `BoardGone`
(unplugged), `BoardHung` (no answer in time), `BoardFault` (anything else), and `Unavailable` before anything
is open. The device itself is `drivers.discovery.analog_discovery`.

Tried on emulators only. Reference: Digilent, "WaveForms SDK Reference Manual" (libdwf 3.x), through
pydwf 1.1.19.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from pydwf import DwfErrorCode, DwfLibraryError

from labctl.errors import BoardFault, BoardGone, BoardHung, LabError, Misbehaved, Unavailable
from labctl.importing import named
from labctl.quantity import printable

if TYPE_CHECKING:
    from pydwf import DwfDevice, DwfLibrary

T = TypeVar("T")
_GONE = ("disconnect", "communication", "unplug", "removed", "no device")  # [not verified] on hardware


@runtime_checkable
class OwnTime(Protocol):
    """A library whose time is its own: an emulator's."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


def asked(what: str, call: Callable[..., T], *arguments: object) -> T:
    """What a call of the library answers; what it raises becomes one of the house's errors."""
    try:
        return call(*arguments)
    except DwfLibraryError as error:
        raise _told(what, error) from error
    except Exception as error:
        raise BoardFault(f"Analog Discovery: {what}: {type(error).__name__}: {error}") from error


def _told(what: str, error: DwfLibraryError) -> Misbehaved:
    said = printable(error.msg or "no reason given").strip()
    text = f"Analog Discovery: {what}: {said}"
    if error.code is DwfErrorCode.ApiLockTimeout:
        return BoardHung(text, todo="end the other program that uses it, or plug it in again")
    if any(word in said.lower() for word in _GONE):
        return BoardGone(text, todo="look at its USB cable, and open the board again")
    return BoardFault(text, todo="plug it in again; see whether Digilent's WaveForms can use it")


class Library:
    """The DWF library, by the import path of its class: pydwf's own or an emulator's."""

    def __init__(self, path: str, options: Mapping[str, Any]) -> None:
        self._path, self._options = path, dict(options)
        self._loaded: DwfLibrary | None = None

    @property
    def loaded(self) -> DwfLibrary:
        """The library itself. Raises `Unavailable` where it cannot be loaded."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> DwfLibrary:
        told = f'dwf = "{printable(self._path)}"'
        kind = named(self._path, told, '"pydwf:DwfLibrary", or an emulator of it')
        try:
            return kind(**self._options)
        except LabError:
            raise
        except Exception as error:
            raise Unavailable(
                f"{told}: {type(error).__name__}: {printable(str(error))}",
                todo="install Digilent's WaveForms, which brings libdwf, and its Adept runtime",
            ) from error

    def version(self) -> str:
        """Of libdwf."""
        return asked("version of the library", self.loaded.getVersion)

    def serials(self) -> list[str]:
        """Serial numbers of what is plugged in, in the library's order."""
        found = self.loaded.deviceEnum
        count = asked("enumeration", found.enumerateDevices)
        return [
            asked("serial number", found.serialNumber, index).removeprefix("SN:") for index in range(count)
        ]

    def index_of(self, serial: str | None) -> tuple[int, str]:
        """Place and serial number of the one that is meant; the only one if none is named."""
        serials = self.serials()
        meant = [pair for pair in enumerate(serials) if serial is None or pair[1].lower() == serial.lower()]
        if len(meant) == 1:
            return meant[0]
        raise Unavailable(
            f"no Analog Discovery with serial number {serial}"
            if serial
            else f"{len(serials)} Analog Discoveries, and the bench file does not say which",
            allowed=", ".join(serials) or "none is plugged in",
            todo="plug it in, or correct `serial` in the bench file",
        )

    def open(self, index: int) -> DwfDevice:
        """The device at this place, open."""
        return asked("opening", self.loaded.deviceControl.open, index)

    def sleep(self, seconds: float) -> None:
        """Wait, in the library's own time if it has one."""
        loaded: object = self.loaded
        (loaded.sleep if isinstance(loaded, OwnTime) else time.sleep)(seconds)
