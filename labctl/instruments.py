"""What is connected to this machine, and who holds it: asked of the system's libraries, never driven.

Serial ports by pyserial, VISA resources by pyvisa, Analog Discoveries by pydwf where Digilent's library is
there; and the instruments of bench files, by asking each board whether it is ready. A library that is
missing, or that fails, is told in place of what it would have found. What instruments say of themselves is
foreign text, and is shown as such.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from labctl.bench import Bench
from labctl.errors import LabError
from labctl.making import Ready
from labctl.ownership import holder
from labctl.reality import reality

ADDRESSES = ("address", "serial", "device")
"""Settings of a board that name its instrument; those of a switch box and of parts too."""


@dataclass(frozen=True, slots=True)
class Connected:
    """Something that the system sees."""

    what: str
    """"serial port", "VISA resource" or "Analog Discovery"."""
    address: str
    """As a bench file would name it; empty where nothing was found."""
    told: str
    """What it says it is, or why nothing was found."""


@dataclass(frozen=True, slots=True)
class Described:
    """The instrument of a bench file."""

    bench: str
    reality: str
    driver: str
    addresses: tuple[str, ...]
    answer: str
    """What the board found when it was asked whether it is ready, or what it missed."""
    answers: bool
    held: str
    """By whom; empty: by nobody."""


def connected(visa: bool = False) -> list[Connected]:
    """What the system sees. VISA resources only on request: looking for them takes seconds."""
    looks: list[tuple[str, Callable[[], Iterator[Connected]]]] = [
        ("serial port", _serial_ports),
        ("Analog Discovery", _discoveries),
    ]
    if visa:
        looks.append(("VISA resource", _visa_resources))
    return [found for what, look in looks for found in _looked(what, look)]


def described(paths: Sequence[Path], ask: bool = True) -> list[Described]:
    """The instruments of these bench files; simulations and recordings have none, and are left out.

    With `ask`, each board is asked whether it is ready: it may connect, and drives nothing.
    """
    return [one for path in paths if (one := _described(path, ask)) is not None]


# ---- what the system sees -------------------------------------------------------------------


def _looked(what: str, look: Callable[[], Iterator[Connected]]) -> list[Connected]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a library would like to have, too
            found = list(look())
    except Exception as error:  # noqa: BLE001 - whatever a vendor's library raises is an answer
        first = str(error).strip().partition("\n")[0]
        return [Connected(what, "", f"cannot be looked for: {type(error).__name__}: {first}")]
    return found or [Connected(what, "", "none")]


def _serial_ports() -> Iterator[Connected]:
    ports: Any = import_module("serial.tools.list_ports")
    for port in sorted(ports.comports(), key=lambda port: str(port.device)):
        known = (port.manufacturer, port.product or port.description, port.serial_number)
        told = ", ".join(str(one) for one in known if one and one != "n/a")
        yield Connected("serial port", f"serial://{port.device}", told)


def _visa_resources() -> Iterator[Connected]:
    pyvisa: Any = import_module("pyvisa")
    manager = pyvisa.ResourceManager("@py")  # the same for all: closed by nobody but the end of the program
    for name in cast("Sequence[str]", manager.list_resources()):
        yield Connected("VISA resource", name, "")


def _discoveries() -> Iterator[Connected]:
    pydwf: Any = import_module("pydwf")
    devices = pydwf.DwfLibrary().deviceEnum
    for index in range(devices.enumerateDevices()):
        serial = str(devices.serialNumber(index))
        in_use = ", in use" if devices.deviceIsOpened(index) else ""
        told = f"{devices.deviceName(index)}, {serial}{in_use}"
        yield Connected("Analog Discovery", serial.removeprefix("SN:"), told)


# ---- what bench files say -------------------------------------------------------------------


def _described(path: Path, ask: bool) -> Described | None:
    try:
        bench = Bench.read(path)
        kind, driver = bench.file.kind, bench.file.board_class
        if kind not in ("board", "emulator"):
            return None
        addresses = tuple(dict.fromkeys(_addresses(bench.file.board)))  # each once
        told, answers = _asked(bench) if ask else ("not asked", False)
        held = "; ".join(who for address in addresses if (who := holder(address)))
        return Described(path.stem, reality(kind), driver, addresses, told, answers, held)
    except LabError as error:
        return Described(path.stem, "", "", (), error.wrong.partition("\n")[0], answers=False, held="")


def _asked(bench: Bench) -> tuple[str, bool]:
    try:
        with TemporaryDirectory() as nowhere:  # an emulator may keep the state of its devices there
            board = bench.board(Path(nowhere))
            return (board.ready(), True) if isinstance(board, Ready) else ("has no way to ask it", False)
    except LabError as error:
        return error.wrong.partition("\n")[0], False
    except Exception as error:  # noqa: BLE001 - whatever a driver raises, the other benches are asked too
        return f"{type(error).__name__}: {error}".partition("\n")[0], False


def _addresses(table: dict[str, Any]) -> Iterator[str]:
    """Of the board, and of what it is made of."""
    for key, value in table.items():
        if key in ADDRESSES and isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _addresses(cast("dict[str, Any]", value))
        elif isinstance(value, list | tuple):
            parts = cast("Sequence[Any]", value)
            yield from (
                address
                for part in parts
                if isinstance(part, dict)
                for address in _addresses(cast("dict[str, Any]", part))
            )
