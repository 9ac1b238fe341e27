"""Setting a source and reading it as others do it: bare pyvisa-py, and a class in PyMeasure's manner.

- bare: `write(":SOUR:VOLT …")`, `query(":READ?")`. As shipped, two short messages go out in a row, and Nagle
  holds the second until the first is acknowledged, which the other side puts off: 40 ms. With TCP_NODELAY
  set on the socket inside it, it does not; VI_ATTR_TCPIP_NODELAY is refused by pyvisa-py on a raw socket.
- in PyMeasure's manner: a property that writes a text with `%g`, and a measurement that is a query, its reply
  split at commas and turned into floats; `checked`: with the error queue asked for after the set, as its
  `check_set_errors=True` has it. Over pyvisa, as its own adapter. The loop is ours: none of its code is here.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator
from itertools import cycle
from typing import Any

from benchmarks.emulated import LIST, Emulated, Going, levels

READY = (
    "*RST",
    ':SENS:FUNC "CURR"',
    ":SOUR:VOLT:RANG 0.2",
    ":SENS:CURR:RANG 1e-05",
    ":SOUR:VOLT:ILIM 0.0001",
    ":SENS:CURR:NPLC 0.01",
    ":OUTP ON",
)
"""What those send first who set everything by hand."""


@contextlib.contextmanager
def _resource(instrument: Emulated, *, nodelay: bool) -> Generator[Any]:
    """A raw socket of pyvisa-py, as its user opens it, on an instrument that is ready and on."""
    import pyvisa

    manager = pyvisa.ResourceManager("@py")
    name = f"TCPIP0::127.0.0.1::{instrument.port}::SOCKET"
    found: Any = manager.open_resource(name, read_termination="\n", write_termination="\n")
    try:
        if nodelay:
            line: socket.socket = found.visalib.sessions[found.session].interface
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for message in READY:
            found.write(message)
        yield found
        found.write(":OUTP OFF")
        if not found.query(":SYST:ERR?").startswith("0,"):
            raise RuntimeError("the emulator refused something")
    finally:
        found.close()
        manager.close()


@contextlib.contextmanager
def bare(instrument: Emulated, *, nodelay: bool) -> Generator[Going]:
    """Two calls, and a float of what comes."""
    volts = cycle(levels(LIST))
    with _resource(instrument, nodelay=nodelay) as resource:

        def go() -> float:
            resource.write(f":SOUR:VOLT {next(volts)}")
            return float(resource.query(":READ?"))

        yield Going(go, 1)


class Meter:
    """An instrument class in PyMeasure's manner: text is formatted, sent, answered, split and cast."""

    def __init__(self, resource: Any, *, checked: bool) -> None:
        self._resource, self._checked = resource, checked

    def _values(self, question: str) -> list[float]:
        return [float(text.strip()) for text in self._resource.query(question).split(",")]

    def _errors(self) -> None:
        while int((entry := self._resource.query(":SYST:ERR?")).split(",")[0]):
            raise RuntimeError(entry)

    @property
    def source_voltage(self) -> float:
        """[V] that it stands at."""
        return self._values(":SOUR:VOLT?")[0]

    @source_voltage.setter
    def source_voltage(self, volts: float) -> None:
        self._resource.write(f":SOUR:VOLT:LEV {volts:g}")
        if self._checked:
            self._errors()

    @property
    def current(self) -> float:
        """[A] that is measured now."""
        return self._values(":READ?")[0]


@contextlib.contextmanager
def instrument_class(instrument: Emulated, *, checked: bool, nodelay: bool) -> Generator[Going]:
    """A property set, another read."""
    volts = cycle(levels(LIST))
    with _resource(instrument, nodelay=nodelay) as resource:
        meter = Meter(resource, checked=checked)

        def go() -> float:
            meter.source_voltage = next(volts)
            return meter.current

        yield Going(go, 1)
