"""All that changes a device apart from its pulses, as a parameter file states it.

The figures that hold for every dopant stand in `parameters/unrest.toml`, each with its source or
with the word *guess*; a device's own file may state others.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from labctl.errors import BadConfig
from sim_backend.devices.ageing import Relaxation, Retention, Wear
from sim_backend.devices.fluctuations import Flicker, Telegraph

FILE = Path(__file__).parent / "parameters" / "unrest.toml"
_KINDS: dict[str, type[Any]] = {
    "flicker": Flicker,
    "telegraph": Telegraph,
    "relaxation": Relaxation,
    "retention": Retention,
    "wear": Wear,
}
SECTIONS = {kind: tuple(field.name for field in fields(made)) for kind, made in _KINDS.items()}
"""Section of a parameter file -> the numbers in it."""


@dataclass(frozen=True, slots=True)
class Unrest:
    """Noise and ageing of one kind of device."""

    flicker: Flicker
    telegraph: Telegraph
    relaxation: Relaxation
    retention: Retention
    wear: Wear


def unrest(path: Path, given: Mapping[str, Mapping[str, float]]) -> Unrest:
    """What holds for every dopant, with what the file `path` says of its own, by section and name."""
    made: dict[str, Any] = {}
    for kind, names in SECTIONS.items():
        numbers = {**_common()[kind], **given.get(kind, {})}
        for name in names:
            if not 0.0 < numbers[name] < math.inf and not (name in _MAY_BE_ZERO and numbers[name] == 0.0):
                raise BadConfig(f"{path}: {kind}.{name} is {numbers[name]}", allowed="a number above 0")
        made[kind] = _KINDS[kind](**numbers)
    if not made["flicker"].fastest < made["flicker"].slowest:
        raise BadConfig(f"{path}: flicker.fastest is not below flicker.slowest", allowed="fastest < slowest")
    for kind, name in (("telegraph", "amplitude"), ("telegraph", "share")):
        if not getattr(made[kind], name) <= 1.0:
            raise BadConfig(f"{path}: {kind}.{name} is above 1", allowed="0 to 1")
    return Unrest(**made)


_MAY_BE_ZERO = {"rms", "amplitude", "share", "exponent", "spread", "leak", "part"}


@cache
def _common() -> dict[str, dict[str, float]]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
