"""Parameter files: what a dopant's devices are like, with the source of every number.

A file is TOML, beside this module (`<model>/W.toml`, `Sn.toml`, `Cr.toml`, `C.toml`) or anywhere a
bench file names it. It says whose parameters they are (`model = "sdc"`) and gives them in SI units.
`Device.vector` is the row of numbers that the equations take.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from labctl.errors import BadConfig, Unavailable
from labctl.pulse import Floats
from sim_backend.devices.model import Model
from sim_backend.devices.models import DEFAULT, MODELS
from sim_backend.devices.unrest import SECTIONS as UNREST
from sim_backend.devices.unrest import Unrest, unrest

FOLDER = Path(__file__).parent / "parameters"
_SECTIONS = {
    *("model", "dopant", "source", "parameters", "state"),
    *("device_to_device", "cycle_to_cycle", "pulse_to_pulse", "read"),
    *UNREST,
}


@dataclass(frozen=True)
class Device:
    """One kind of device: SI numbers by name, and where they come from."""

    dopant: str
    model: Model
    source: str
    values: dict[str, float]
    """Parameter of the model -> number: ohms, siemens, volts, seconds, amps."""
    spread: dict[str, float]
    """Parameter -> standard deviation from device to device; missing: none. Of its logarithm, or in its
    own unit where the model says that it is `additive`."""
    cycle: dict[str, float]
    """The same from cycle to cycle."""
    pulse: dict[str, float]
    """The same from pulse to pulse."""
    read_noise: float
    """Standard deviation of ln G from read to read."""
    initial: float
    """State x that a new device starts in."""
    unrest: Unrest
    """What else may change it: noise with a memory, drift, wear."""

    @property
    def text(self) -> str:
        """All of it in words that last: a model's functions have none."""
        told = (
            self.model.name,
            self.values,
            self.spread,
            self.cycle,
            self.pulse,
            self.read_noise,
            self.initial,
        )
        return f"{self.dopant} {told} {self.unrest}"

    @property
    def vector(self) -> Floats:
        """The row of numbers of a healthy device, shape (head + parameters,): see `devices.model`."""
        return self.model.row(self.values)


def load(name_or_path: str, model: str = DEFAULT) -> Device:
    """The parameters of a dopant ("Cr") for this model, or those of a TOML file of the user's.

    A file of the user's says itself which model it is for.
    """
    path = FOLDER / model / f"{name_or_path}.toml"
    if not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (FOLDER / model).glob("*.toml")))
        raise Unavailable(
            f"no parameters for a device {name_or_path!r}", allowed=f"{known}, or the path of a TOML file"
        )
    about = path.stat()
    found = _read(path, (about.st_mtime_ns, about.st_size, about.st_ino))
    spreads = dict(found.spread), dict(found.cycle), dict(found.pulse)  # nobody changes what others get
    return replace(found, values=dict(found.values), spread=spreads[0], cycle=spreads[1], pulse=spreads[2])


@lru_cache(maxsize=64)
def _read(path: Path, stamp: tuple[int, ...]) -> Device:
    """The device of this file as it is by its `stamp`: a study makes ten thousand chips of one."""
    try:
        return _device(path, tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: {error}", allowed="a TOML file in UTF-8") from error


def _device(path: Path, table: dict[str, Any]) -> Device:
    unknown = sorted(set(table) - _SECTIONS)
    if unknown:
        raise BadConfig(f"{path}: unknown key {unknown[0]}", allowed=", ".join(sorted(_SECTIONS)))
    model = _model(path, table.get("model", "metastable"))
    values = _values(path, table, model)
    state = _numbers(path, table, "state", ("initial",))
    spread, cycle, pulse = (
        _numbers(path, table, name, model.names)
        for name in ("device_to_device", "cycle_to_cycle", "pulse_to_pulse")
    )
    noise = _numbers(path, table, "read", ("noise",))
    if not 0 <= state.get("initial", 0.0) <= 1:
        raise BadConfig(f"{path}: initial is {state['initial']}", allowed="0 to 1")
    for name, value in (*spread.items(), *cycle.items(), *pulse.items(), *noise.items()):
        if not value >= 0:
            raise BadConfig(f"{path}: a spread of {name} of {value}", allowed="0 or more")
    return Device(
        dopant=str(table.get("dopant", path.stem)),
        model=model,
        source=str(table.get("source", "")),
        values=values,
        spread=spread,
        cycle=cycle,
        pulse=pulse,
        read_noise=noise.get("noise", 0.0),
        initial=state.get("initial", 0.0),
        unrest=unrest(path, {kind: _numbers(path, table, kind, names) for kind, names in UNREST.items()}),
    )


def _model(path: Path, name: object) -> Model:
    """Files from before there was more than one model do not name it: they are for the metastable switch."""
    if not isinstance(name, str) or name not in MODELS:
        raise BadConfig(f"{path}: model is {name!r}", allowed=", ".join(sorted(MODELS)))
    return MODELS[name]


def _values(path: Path, table: dict[str, Any], model: Model) -> dict[str, float]:
    """Those of the file and the defaults of the others, inside the ranges of the model."""
    given = _numbers(path, table, "parameters", model.names)
    defaults = {one.name: one.default for one in model.parameters if one.default is not None}
    values = defaults | given
    missing = [name for name in model.names if name not in values]
    if missing:
        raise BadConfig(f"{path}: [parameters] lacks {', '.join(missing)}", allowed=", ".join(model.names))
    for one in model.parameters:
        if not one.low <= values[one.name] <= one.high:
            raise BadConfig(f"{path}: parameters.{one.name} is {values[one.name]}", allowed=one.allowed())
    return {name: values[name] for name in model.names}


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
