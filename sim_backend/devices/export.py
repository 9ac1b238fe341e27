"""A device for other simulators: subcircuits for ngspice, LTspice and Xyce, and a Verilog-A module.

All are written from the one statement of the model's equations (`sim_backend.devices.spice`). The
parameters keep their names and can be changed where the file is used; a term that the device does not
have (a parameter of 0) is left out. The state x is the voltage of an inner node with 1 F (in Verilog-A:
an integral over time), and begins at `x0`, with `uic` or after an operating point.

ngspice runs the exported file in a test of this project, and gives the loop that the fast twin gives.
LTspice, Xyce and the compilers of Verilog-A are not part of the project's environment and have not
run theirs: those texts are checked for their structure, and a small reader works their expressions
out and compares them with the equations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from labctl.errors import Refused
from sim_backend.devices import parameters
from sim_backend.devices.model import Parameter
from sim_backend.devices.parameters import Device
from sim_backend.devices.spice import (
    LTSPICE,
    NGSPICE,
    VERILOG_A,
    XYCE,
    Dialect,
    Named,
    Value,
    expression,
    names,
    number,
    value,
)

_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_TAKEN = {
    *("abs", "analog", "begin", "branch", "case", "default", "electrical", "else", "end", "endmodule", "for"),
    *("from", "function", "ground", "if", "inout", "input", "integer", "max", "min", "module", "output"),
    *("parameter", "pow", "real", "string", "top", "bottom", "state", "v", "while", "x", "x0"),
}
"""Words of Verilog-A, and names inside the module: nothing else can be called so."""


class Stated(NamedTuple):
    """A device in one dialect: its two expressions, and the parameters that they name."""

    current: str
    rate: str
    used: tuple[Parameter, ...]


def export(device: str, form: str, name: str = "memristor") -> str:
    """The text of a file with this device (a parameter file, or a dopant) as a model called `name`.

    `form`: "ngspice", "ltspice", "xyce" or "verilog-a". Raises `Refused` for another form, and for a name
    that no simulator would take.
    """
    if form not in FORMS:
        raise Refused(f"a device as {form!r}", allowed=", ".join(FORMS))
    if not _NAME.fullmatch(name) or name.lower() in _TAKEN:
        raise Refused(
            f"a model called {name[:40]!r}",
            allowed="a letter, then letters, digits and underscores; no word of Verilog-A",
        )
    return FORMS[form](parameters.load(device), name)


def stated(device: Device, dialect: Dialect, v: str, x: str) -> Stated:
    """The equations of this device, its parameters by name, its voltage and state as `v` and `x`."""
    named = {name: Named(name, worth) if worth else 0.0 for name, worth in device.values.items()}
    known: dict[str, Value | str | Named] = {"v": v, "x": x, **named}
    for name, (function, takes) in device.model.derived.items():
        positions = [named[one] for one in takes]
        known[name] = value(function, dict(zip(names(function), positions, strict=True)), dialect)
    current, rate = (expression(one, known, dialect) for one in (device.model.current, device.model.rate))
    used = tuple(
        one
        for one in device.model.parameters
        if _mentions(current + rate, dialect.parameter.format(one.name))
    )
    return Stated(current, rate, used)


def _mentions(text: str, parameter: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(parameter)}(?!\w)", text) is not None


# ---- subcircuits -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Spice:
    """What the subcircuits of three simulators differ in."""

    simulator: str
    dialect: Dialect
    current: str
    """How a current source is given an expression."""
    prefix: str = ""
    """Of parameters: Xyce keeps names such as VT for itself."""


def _subcircuit(device: Device, name: str, spice: _Spice) -> str:
    found = stated(device, spice.dialect, "v(d)", "v(x)")
    given = [f"{spice.prefix}{one.name}={number(device.values[one.name])}" for one in found.used]
    initial = "{x0}"
    lines = [
        *(f"* {line}".rstrip() for line in _told(device, found, spice.simulator, spice.prefix)),
        f"* use: x1 top bottom {name} params: x0=0.1",
        f"* .options reltol={device.model.reltol:g} or less: errors grow as fast as the state does",
        f".subckt {name} top bottom params: x0={number(device.initial)}",
        *(f"+ {text}" for text in given),
        "ed d 0 top bottom 1",
        f"bd top bottom {spice.current.format(found.current)}",
        f"bx 0 x {spice.current.format(found.rate)}",
        f"cx x 0 1 ic={initial}",
        "rx x 0 1e15",
        f".ic v(x)={initial}",
        f".ends {name}",
    ]
    return "\n".join(lines) + "\n"


def _ngspice(device: Device, name: str) -> str:
    return _subcircuit(device, name, _Spice("ngspice", NGSPICE, "i={0}"))


def _ltspice(device: Device, name: str) -> str:
    return _subcircuit(device, name, _Spice("LTspice", LTSPICE, "I={0}"))


def _xyce(device: Device, name: str) -> str:
    return _subcircuit(device, name, _Spice("Xyce", XYCE, "I={{{0}}}", prefix="p_"))


# ---- Verilog-A -------------------------------------------------------------------------------------


def _verilog_a(device: Device, name: str) -> str:
    found = stated(device, VERILOG_A, "v", "x")
    declared = [
        f"  parameter real {one.name} = {number(device.values[one.name])}; // {_unit(one)}{one.meaning}"
        for one in found.used
    ]
    lines = [
        *(f"// {line}".rstrip() for line in _told(device, found, "Verilog-A")),
        '`include "disciplines.vams"',
        "",
        f"module {name}(top, bottom);",
        "  inout top, bottom;",
        "  electrical top, bottom, state;",
        f"  parameter real x0 = {number(device.initial)} from [0:1]; // state x to begin with",
        *declared,
        "  real v, x;",
        "",
        "  analog begin",
        "    v = V(top, bottom);",
        "    x = V(state);",
        f"    I(top, bottom) <+ {found.current};",
        f"    V(state) <+ idt({found.rate}, x0);",
        "  end",
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


# ---- what every file begins with -------------------------------------------------------------------


def _told(device: Device, found: Stated, simulator: str, prefix: str = "") -> list[str]:
    """Model, source, and the parameters with their units, called as in the file."""
    model = device.model
    off = [name for name, worth in device.values.items() if not worth]
    return [
        f"{device.dopant}: {model.title} ({model.name}), for {simulator}",
        f"model: {model.source}",
        *(line.strip() for line in device.source.strip().splitlines() if line.strip()),
        "",
        "x is the state, 0 (high resistance) to 1 (low); positive from top to bottom sets",
        *(f"{prefix}{one.name} = {device.values[one.name]:g}{_meant(one)}" for one in found.used),
        *([f"0 in this device, and left out: {', '.join(off)}"] if off else []),
    ]


def _unit(parameter: Parameter) -> str:
    return f"{parameter.unit}: " if parameter.unit else ""


def _meant(parameter: Parameter) -> str:
    return f" {parameter.unit}: {parameter.meaning}" if parameter.unit else f": {parameter.meaning}"


FORMS: Mapping[str, Callable[[Device, str], str]] = {
    "ngspice": _ngspice,
    "ltspice": _ltspice,
    "xyce": _xyce,
    "verilog-a": _verilog_a,
}
"""What a device can be written as."""
