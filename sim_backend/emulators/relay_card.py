"""An emulated relay card on a serial port, in the words of Numato Lab's: `relay on 0`, `relay readall`.

Follows Numato Lab, USB Relay Module user guides, "Command set". It echoes each line, answers on a line of its
own and ends with ">". Stricter than the bench: it says so when it does not understand [not verified what the
card says].
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from sim_backend.emulators.behind.relays import Relays
from sim_backend.emulators.behind.terminals import Terminals
from sim_backend.emulators.serving.instrument import Emulated

DIGITS = string.digits + string.ascii_uppercase
"""What relays are called, one at a time: 0 to 9, then letters."""


class RelayCard(Emulated):
    """`count` relays, in a row with the columns of the terminals."""

    terminator = b"\r"

    def __init__(
        self,
        terminals: Terminals | None = None,
        count: int = 16,
        sites: Sequence[Sequence[str]] | None = None,
        name: str = "00000000",
    ) -> None:
        self._names = [str(relay) for relay in range(count)]
        columns = terminals.columns if terminals else 0
        self.relays = Relays(self._names, sites or [(name,) for name in self._names[:columns]], terminals)
        self.name = name
        self._width = max(1, count // 4)

    def receive(self, message: bytes) -> bytes:
        """One line, echoed; its answer, and the prompt."""
        line = message.decode("latin-1").replace("\n", "")
        rows = [line, *filter(None, [self._answer(line.strip())]), ">"]
        return "\n\r".join(rows).encode("latin-1")

    def power_cycle(self) -> None:
        """Every relay opens."""
        self.relays.move(set())

    def suffer(self, fault: str, amount: str) -> bool:
        """Of a relay: those of `Relays.suffer`."""
        return self.relays.suffer(fault, amount)

    def _answer(self, line: str) -> str:
        if line == "ver":
            return "00000008"
        if line == "id get":
            return self.name
        if match := re.fullmatch(r"id set ([A-Za-z0-9]{8})", line):
            self.name = match[1]
            return ""
        return self._relay(line) if line else ""

    def _relay(self, line: str) -> str:
        match line.split(" "):
            case ["relay", "readall"]:
                closed = sum(1 << int(name) for name in self.relays.closed)
                return f"{closed:0{self._width}x}"
            case ["relay", "writeall", mask] if re.fullmatch(f"[0-9A-Fa-f]{{{self._width}}}", mask):
                self.relays.move({name for name in self._names if int(mask, 16) >> int(name) & 1})
                return ""
            case ["relay", ("on" | "off" | "read") as verb, digit] if digit in DIGITS[: len(self._names)]:
                return self._one(verb, str(DIGITS.index(digit)))
            case ["reset"]:
                self.relays.move(set())
                return ""
            case _:
                return "command not found"

    def _one(self, verb: str, name: str) -> str:
        if verb == "read":
            return "on" if name in self.relays.closed else "off"
        if verb == "on":
            self.relays.close([name])
        else:
            self.relays.open([name])
        return ""
