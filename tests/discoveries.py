"""Memristor Discovery boards over emulated Analog Discoveries, each with a serial number of its own."""

from itertools import count
from typing import Any

from drivers.knowm_discovery import DiscoveryBoard
from labctl.config import build
from sim_backend.emulators.discovery.device import AnalogDiscovery
from sim_backend.emulators.dwf import USB

EMULATED = "sim_backend.emulators.dwf:EmulatedDwf"
_NUMBERS = count(1)


def discovery(
    board: str = "v2", mode: int = 1, dopant: str = "Cr", plugged: dict[str, Any] | None = None, **table: Any
) -> DiscoveryBoard:
    """A board; `plugged` are options of its emulator that differ from what the bench file says."""
    options = {"serial": f"T{next(_NUMBERS)}", "board": board, "mode": mode, "dopant": dopant}
    options |= plugged or {}
    table = {"board": board, "mode": mode, "dopant": dopant, "serial": options["serial"]} | table
    table |= {"dwf": EMULATED, "dwf_options": options}
    made = DiscoveryBoard(build(table, DiscoveryBoard.Settings, "test"))
    made.ready()  # plugs it in
    return made


def hardware(board: DiscoveryBoard) -> AnalogDiscovery:
    """What is plugged in behind this board."""
    return USB[board._settings.serial or ""]
