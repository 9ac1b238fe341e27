"""What an emulated Keithley 2450 keeps of a reading, in which buffers, and what its elements are called."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from sim_backend.emulators.scpi.values import Number, ScpiError
from sim_backend.emulators.smu.model import Quantity

DEFAULTS = ("defbuffer1", "defbuffer2")
SIZE = 100_000
SMALLEST, LARGEST = 10, 4_500_000
BIRTH = datetime(2020, 1, 1, tzinfo=UTC)
"""What the clock of the instrument says when it is switched on: a run gives the same bytes every day."""
LONG = {
    "DATE": "DATE", "FORMATTED": "FORM", "FRACTIONAL": "FRAC", "READING": "READ", "RELATIVE": "REL",
    "SECONDS": "SEC", "SOURCE": "SOUR", "SOURFORMATTED": "SOURFORM", "SOURSTATUS": "SOURSTAT",
    "SOURUNIT": "SOURUNIT", "STATUS": "STAT", "TIME": "TIME", "TSTAMP": "TST", "UNIT": "UNIT",
}  # fmt: skip
"""Elements, long and short."""
SYMBOLS = {"volts": "Volt DC", "amps": "Amp DC"}
READ_BACK, LIMITED, FOUR_WIRE, ON = 8, 32, 64, 128
"""Bits of the source status (manual, `bufferVar.sourcestatuses`)."""
FRONT, FIRST = 8, 256
"""Bits of the reading status (manual, `bufferVar.statuses`)."""
COUNT = Number(1, 300_000, 1, whole=True)


class Stored(NamedTuple):
    """A reading with what it was taken with."""

    value: float
    source: float
    seconds: float
    status: int
    source_status: int
    units: tuple[Quantity, Quantity]


@dataclass(slots=True)
class Buffer:
    """One reading buffer."""

    size: int = SIZE
    once: bool = False
    """Stops when it is full; otherwise the oldest go."""
    readings: deque[Stored] = field(default_factory=deque[Stored])

    def put(self, reading: Stored) -> None:
        """The newest."""
        if len(self.readings) >= self.size:
            if self.once:
                return
            self.readings.popleft()
        self.readings.append(reading)


def named(arguments: Sequence[str]) -> list[str]:
    """Elements by their short names; READ if there are none."""
    short_names = [LONG.get(text.upper(), text.upper()) for text in arguments]
    if not set(short_names) <= set(LONG.values()):
        raise ScpiError(-224)
    return short_names or ["READ"]
