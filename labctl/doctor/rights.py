"""The right to use USB devices and serial ports, where a bench of a real board needs one (Linux)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from labctl.bench import BenchFile
from labctl.config import read_toml
from labctl.doctor.finding import Finding, Level
from labctl.errors import BadConfig

RULES = (Path("/etc/udev/rules.d"), Path("/lib/udev/rules.d"), Path("/usr/lib/udev/rules.d"))
_DIGILENT = ("1443", "digilent")
"""Digilent's USB vendor, and its name: their runtime installs 52-digilent-usb.rules."""
_USBTMC = ("usbtmc", 'binterfaceclass}=="fe"', "05e6", "2a8d", "0957")
"""The class of test and measurement devices, Keithley, and Keysight by its new and its old number."""
GROUPS = ("dialout", "uucp")
"""Who may use serial ports: on Debian and its kin, and on Arch."""


def rights(bench_files: Sequence[Path], folders: Sequence[Path] = RULES) -> list[Finding]:
    """What these benches need of the system, each need once."""
    if sys.platform != "linux":
        return []
    needs = {need for path in bench_files for need in _needs(path)}
    found = list[Finding]()
    if "discovery" in needs:
        todo = "install Digilent's Adept runtime, which brings 52-digilent-usb.rules"
        found.append(_rule("udev rule for Digilent", _DIGILENT, folders, todo))
    if "usb" in needs:
        todo = "write a rule for the vendor, with GROUP plugdev: docs/how-to/connect-a-bench.md has one"
        found.append(_rule("udev rule for USB-TMC", _USBTMC, folders, todo))
        found.append(_group("USB instruments", ("plugdev",)))
    if "serial" in needs:
        found.append(_group("serial ports", GROUPS))
    return found


def _needs(path: Path) -> Iterator[str]:
    """What a real board needs of "serial", "usb" and "discovery", by its class and its addresses."""
    try:
        file = read_toml(path, BenchFile)
    except BadConfig:  # told where benches are asked
        return
    if file.kind != "board":
        return
    texts = list(_texts(file.board))
    if any(text.startswith("serial:") for text in texts):
        yield "serial"
    if any(text.upper().startswith("USB") for text in texts):
        yield "usb"
    if any("discovery" in text.lower() for text in (file.board_class, *texts)):
        yield "discovery"


def _texts(table: Any) -> Iterator[str]:
    """Every text in tables and arrays."""
    match table:
        case str():
            yield table
        case dict():
            yield from (text for one in cast("dict[str, Any]", table).values() for text in _texts(one))
        case list() | tuple():
            yield from (text for one in cast("Iterable[Any]", table) for text in _texts(one))
        case _:
            return


def _rule(what: str, marks: Sequence[str], folders: Sequence[Path], todo: str) -> Finding:
    for path in sorted(path for folder in folders for path in folder.glob("*.rules")):
        try:
            text = path.read_text(encoding="utf-8", errors="replace").lower()
        except OSError:
            continue
        if any(mark in text for mark in marks):
            return Finding(Level.OK, what, str(path))
    return Finding(Level.WARNING, what, "there is none, so that only root may use the device", todo)


def _group(what: str, names: Sequence[str]) -> Finding:
    import grp

    what = f"group for {what}"
    if os.geteuid() == 0:
        return Finding(Level.OK, what, "you are root")
    there = [group for group in grp.getgrall() if group.gr_name in names]
    mine = [group.gr_name for group in there if group.gr_gid in os.getgroups()]
    if mine or not there:
        return Finding(Level.OK, what, ", ".join(mine) or f"this system has none of {', '.join(names)}")
    name = there[0].gr_name
    todo = f"sudo usermod -aG {name} $USER, then log in again"
    return Finding(Level.WARNING, what, f"you are not in {name}", todo)
