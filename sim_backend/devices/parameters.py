"""Parameter files: what a dopant's devices are like, with the source of every number.

A file is TOML beside this module (`W.toml`, `Sn.toml`, `Cr.toml`, `C.toml`) or anywhere a bench
file names it. `Device.vector` is the row of numbers that the equations take.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from labctl.errors import BadConfig, Unavailable
from labctl.pulse import Floats
from sim_backend.devices import equations

NAMES = ("ron", "roff", "von", "voff", "tau", "vt", "phi", "af", "bf", "ar", "br", "hold")
"""The parameters of the metastable switch, in the order of a row."""
_DEFAULTS = {"phi": 1.0, "af": 0.0, "bf": 1.0, "ar": 0.0, "br": 1.0, "hold": 1.0}
_POSITIVE = {"ron", "roff", "tau", "vt"}
_FRACTIONS = {"phi", "hold"}
_SECTIONS = {"dopant", "source", "parameters", "state", "device_to_device", "cycle_to_cycle", "read"}


@dataclass(frozen=True)
class Device:
    """One kind of device: SI numbers by name, and where they come from."""

    dopant: str
    source: str
    values: dict[str, float]
    """`NAMES` -> number: ohms, volts, seconds, amps."""
    spread: dict[str, float]
    """Parameter -> standard deviation of its logarithm from device to device; missing: none."""
    cycle: dict[str, float]
    """The same from cycle to cycle."""
    read_noise: float
    """Standard deviation of ln G from read to read."""
    initial: float
    """State x that a new device starts in."""

    @property
    def vector(self) -> Floats:
        """The row of numbers, shape (parameters,), in the order of `NAMES`."""
        return np.array([self.values[name] for name in NAMES])


def arguments(row: Floats) -> dict[str, float]:
    """What the equations take beside v and x, by name, from a row of parameters."""
    values = dict(zip(NAMES, map(float, row), strict=True))
    rest_on, rest_off = equations.prepared(row)[-2:]
    return values | {"rest_on": float(rest_on), "rest_off": float(rest_off)}


def load(name_or_path: str) -> Device:
    """The parameters of a dopant ("Cr"), or those of a TOML file of the user's."""
    path = Path(__file__).parent / "parameters" / f"{name_or_path}.toml"
    if not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (Path(__file__).parent / "parameters").glob("*.toml")))
        raise Unavailable(
            f"no parameters for a device {name_or_path!r}", allowed=f"{known}, or the path of a TOML file"
        )
    try:
        return _device(path, tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: {error}", allowed="a TOML file in UTF-8") from error


def _device(path: Path, table: dict[str, Any]) -> Device:
    unknown = sorted(set(table) - _SECTIONS)
    if unknown:
        raise BadConfig(f"{path}: unknown key {unknown[0]}", allowed=", ".join(sorted(_SECTIONS)))
    values = _DEFAULTS | _numbers(path, table, "parameters", NAMES)
    missing = [name for name in NAMES if name not in values]
    if missing:
        raise BadConfig(f"{path}: [parameters] lacks {', '.join(missing)}", allowed=", ".join(NAMES))
    state = _numbers(path, table, "state", ("initial",))
    spread, cycle = (_numbers(path, table, name, NAMES) for name in ("device_to_device", "cycle_to_cycle"))
    noise = _numbers(path, table, "read", ("noise",))
    for name, value in values.items():
        if name in _POSITIVE and not value > 0:
            raise BadConfig(f"{path}: parameters.{name} is {value}", allowed="a number above 0")
    for name, value in (*((name, values[name]) for name in _FRACTIONS), *state.items()):
        if not 0 <= value <= 1:
            raise BadConfig(f"{path}: {name} is {value}", allowed="0 to 1")
    for name, value in (*spread.items(), *cycle.items(), *noise.items()):
        if not value >= 0:
            raise BadConfig(f"{path}: a spread of {name} of {value}", allowed="0 or more")
    return Device(
        dopant=str(table.get("dopant", path.stem)),
        source=str(table.get("source", "")),
        values=values,
        spread=spread,
        cycle=cycle,
        read_noise=noise.get("noise", 0.0),
        initial=state.get("initial", 0.0),
    )


def _numbers(path: Path, table: dict[str, Any], section: str, names: tuple[str, ...]) -> dict[str, float]:
    found: Any = table.get(section, {})
    if not isinstance(found, dict):
        raise BadConfig(f"{path}: {section} is {found!r}", allowed=f"a table [{section}]")
    found = cast(dict[str, Any], found)
    for name, value in found.items():
        if name not in names:
            raise BadConfig(f"{path}: unknown key {section}.{name}", allowed=", ".join(names))
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadConfig(f"{path}: {section}.{name} is {value!r}", allowed="a finite number in SI units")
    return {name: float(value) for name, value in found.items()}
