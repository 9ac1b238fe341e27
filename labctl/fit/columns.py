"""Which column is what: by its header, or by its place where there is none, and always by plausibility.

A device of this kind works at tenths of a volt to a few volts and at nanoamps to milliamps. Data far
from that is not rescaled on a guess: a factor of a thousand that was guessed wrongly is a fit that
looks fine. It is refused, with the unit that it was most likely written in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from labctl.errors import BadData, BadQuantity
from labctl.fit.delimited import Numbers
from labctl.pulse import Floats
from labctl.quantity import format_quantity, parse, quoted


class Role(StrEnum):
    """What a column holds; the value is what a message calls it."""

    TIME = "time"
    VOLTS = "voltage"
    SOURCE = "source voltage"
    DEVICE = "device voltage"
    RESISTOR = "voltage of the series resistor"
    AMPS = "current"


_UNIT_OF = {Role.TIME: "s", Role.AMPS: "A"}
_NAMES = (
    (Role.TIME, r"t|time|seconds?|zeit"),
    (Role.RESISTOR, r"v_?(r|rs|res|resistor|shunt|2)|ch(annel)?_?2|v_?out"),
    (Role.DEVICE, r"v_?(d|m|dev|device|mem|memristor|dut|mr)"),
    (Role.SOURCE, r"v_?(s|src|source|in|1|gen|generator)|ch(annel)?_?1|av"),
    (Role.VOLTS, r"v|u|volts?|voltages?|bias|drive"),
    (Role.AMPS, r"i|amps?|amperes?|currents?|ai|i_?(d|m|mem|memristor|device)|strom"),
)
_HEADER = re.compile(r"^\s*(?P<name>.*?)\s*[\[(/,_ ]\s*(?P<unit>[A-Za-zµμΩ]{1,4})\s*[\])]?\s*$")
MOST_VOLTS, MOST_AMPS, LEAST_VOLTS = 20.0, 0.02, 5e-3
"""[V], [A], [V] beyond which no recording of these devices is plausible."""
MOST_STEP = 2.0
"""[s] between two samples: in longer ones nobody sees a device switch."""


@dataclass(frozen=True, slots=True)
class Units:
    """Units that a file does not name; None: SI."""

    time: str | None = None
    voltage: str | None = None
    current: str | None = None

    def of(self, role: Role) -> str | None:
        """The unit for columns of this role."""
        return {Role.TIME: self.time, Role.AMPS: self.current}.get(role, self.voltage)


def by_role(table: Numbers, units: Units = Units()) -> Mapping[Role, Floats]:
    """Columns in SI units by what they hold. Raises `BadData` where that cannot be said."""
    width = table.values.shape[1]
    if table.headers:
        named = [_named(table.path, header) for header in table.headers]
    elif width in (2, 3):
        named = [(role, None) for role in (Role.TIME, Role.VOLTS, Role.AMPS)[3 - width :]]
    else:
        raise BadData(f"{table.path} has {width} columns and no header", allowed="V, I or t, V, I")
    found = dict[Role, Floats]()
    for k, (role, unit) in enumerate(named):
        if role is not None and role not in found:
            found[role] = table.values[:, k] * factor(table.path, role, unit or units.of(role))
    return found


def factor(path: Path, role: Role, unit: str | None) -> float:
    """What numbers in `unit` are multiplied by to be SI; 1 without a unit."""
    if unit is None:
        return 1.0
    try:
        return parse(f"1 {unit}", _UNIT_OF.get(role, "V"))
    except BadQuantity as error:
        raise BadData(f"{path}: {quoted(unit)} is no unit of a {role.value}: {error.wrong}") from error


def _named(path: Path, header: str) -> tuple[Role | None, str | None]:
    """The role and the unit of a header; no role: a column that nobody needs."""
    match = _HEADER.match(header)
    if match is not None and _is_unit(match["unit"]):
        name, unit = match["name"], match["unit"].replace("μ", "µ")
    else:
        name, unit = header, None
    name = re.sub(r"[^a-z0-9_]", "_", name.strip().lower()).strip("_")
    for role, pattern in _NAMES:
        if re.fullmatch(pattern, name) or (len(name) > 3 and re.match(f"({pattern})(_|$)", name)):
            return role, unit
    if name in ("", "_") and unit is not None:  # a header that is its unit
        return {"s": Role.TIME, "A": Role.AMPS}.get(unit[-1], Role.VOLTS), unit
    return None, unit


def _is_unit(text: str) -> bool:
    return bool(re.fullmatch(r"[fpnuµμmkMG]?(s|V|A|Hz|ohm|Ohm|Ω)", text))


# ---- plausibility -----------------------------------------------------------------------------


def refuse_implausible(path: Path, volts: Floats, amps: Floats, series_ohms: float) -> None:
    """Raise `BadData` where these cannot be [V] and [A] of such a device behind such a resistor."""
    high, most = float(np.abs(volts).max()), float(np.abs(amps).max())
    if high > MOST_VOLTS:
        unit = "mV" if high <= MOST_VOLTS * 1e3 else "uV"
        raise _units(path, f"voltages of up to {high:.4g} V", unit, f"--unit voltage={unit}")
    if high < LEAST_VOLTS:
        raise _units(
            path,
            f"voltages of at most {format_quantity(high, 'V')}",
            "V under a header that says mV, or are currents",
            "mend the header, or --unit voltage=kV for numbers without one, or --correct swap",
        )
    if most > MOST_AMPS:
        sizes = ("mA", 1e-3), ("uA", 1e-6), ("nA", 0.0)
        unit = next(name for name, size in sizes if most * size <= MOST_AMPS)
        raise _units(path, f"currents of up to {most:.4g} A", unit, f"--unit current={unit}")
    through = high / series_ohms if series_ohms else np.inf
    if most > 1.3 * through:
        raise BadData(
            f"{path}: {format_quantity(most, 'A')} flow where {format_quantity(high, 'V')} behind"
            f" {format_quantity(series_ohms, 'ohm')} can drive {format_quantity(through, 'A')} at most",
            todo="check --series, the unit of the current (--unit current=uA), and which column is which",
        )


def refuse_implausible_time(path: Path, step: float) -> None:
    """Raise `BadData` where samples that lie `step` [s] apart cannot be of a device that switches."""
    if step > MOST_STEP:
        unit = "ms" if step <= MOST_STEP * 100 else "us"
        raise BadData(
            f"{path}: its samples lie {step:.4g} s apart, too far to see a device switch:"
            f" most likely the time is in {unit}",
            allowed=f"up to {MOST_STEP:g} s",
            todo=f"--unit time={unit}, or --unit time=s if it is in seconds all the same",
        )


def looks_swapped(first: Floats, second: Floats) -> bool:
    """Whether what should be volts and amps look like amps and volts."""
    volts, amps = float(np.abs(first).max()), float(np.abs(second).max())
    return 0 < volts <= 0.02 and 0.05 <= amps <= MOST_VOLTS and volts < amps / 20


def _units(path: Path, what: str, unit: str, option: str) -> BadData:
    return BadData(
        f"{path}: {what} are not what these devices see: most likely they were written in {unit}",
        allowed=f"{LEAST_VOLTS:g} to {MOST_VOLTS:g} V, and up to {MOST_AMPS:g} A",
        todo=f"{option}, or a header that names the unit",
    )
