"""What the system sees of things that drivers could speak to: asked of libraries, never opened, never driven.

Serial ports by pyserial, VISA resources by pyvisa, Analog Discoveries by pydwf where Digilent's library is
there. Each look yields an address, as a bench file would name it, and what is said of it; it raises whatever
its library raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, TypeAlias

Found: TypeAlias = tuple[str, str]
"""Address, and what it says it is."""


def serial_ports() -> Iterator[Found]:
    """As `serial://PORT`."""
    ports: Any = import_module("serial.tools.list_ports")
    for port in sorted(ports.comports(), key=lambda port: str(port.device)):
        known = (port.manufacturer, port.product or port.description, port.serial_number)
        yield f"serial://{port.device}", ", ".join(str(one) for one in known if one and one != "n/a")


def discoveries() -> Iterator[Found]:
    """By serial number."""
    pydwf: Any = import_module("pydwf")
    devices = pydwf.DwfLibrary().deviceEnum
    for index in range(devices.enumerateDevices()):
        serial = str(devices.serialNumber(index))
        in_use = ", in use" if devices.deviceIsOpened(index) else ""
        yield serial.removeprefix("SN:"), f"{devices.deviceName(index)}, {serial}{in_use}"


def visa_resources() -> Iterator[Found]:
    """By the name of the resource."""
    pyvisa: Any = import_module("pyvisa")
    manager = pyvisa.ResourceManager("@py")  # the same for all: closed by nobody but the end of the program
    for name in manager.list_resources():
        yield str(name), ""


QUICK: dict[str, Callable[[], Iterator[Found]]] = {
    "serial port": serial_ports,
    "Analog Discovery": discoveries,
}
SLOW: dict[str, Callable[[], Iterator[Found]]] = {"VISA resource": visa_resources}
"""These take seconds."""
