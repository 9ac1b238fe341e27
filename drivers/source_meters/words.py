"""What a model of source-measure unit adds to SCPI as all of them speak it: a table of commands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from drivers.source_meters.source_meter import Reach, Readings
from labctl.pulse import Floats


class MeterWords(ABC):
    """One model: its commands, and what no table can hold."""

    reach: Reach

    LEFT_ON: ClassVar[tuple[str, ...]]
    """Told one by one to a source that somebody left on, before it is switched off."""
    OFF: ClassVar[tuple[str, ...]]
    """Told one by one to stop a run and switch off."""
    OUTPUT: ClassVar[str]
    WORDS: ClassVar[Mapping[str, str]]
    """Settings that never change, and their words; each is read back."""
    VOLTS_RANGE: ClassVar[str]
    AMPS_RANGE: ClassVar[str]
    AMPS_LIMIT: ClassVar[str]
    LEVEL: ClassVar[str]
    WATCHED: ClassVar[tuple[str, ...]]
    """Questions, beside those above, whose answers safety rests on."""
    ZERO: ClassVar[str] = ""
    """Measures its own zero once, at 0 V; nothing where it does so by itself."""
    INTERLOCK: ClassVar[str]
    """Asks whether what allows the output has tripped."""
    TRIPPED: ClassVar[int] = 1
    """Answer that says so."""
    TRIP: ClassVar[str] = ""
    """Asks whether its compliance switched it off; nothing where it does not do that."""

    TIMING: ClassVar[tuple[float, float] | None] = None
    """By the manual: [s] and apertures that a level takes beside its delay; None: a timer sees to it."""

    FIELDS: ClassVar[int]
    """Numbers in one reading."""
    READ: ClassVar[str]
    """Runs what was loaded, waits, and answers with the readings; {count} stands for their number."""
    START: ClassVar[str]
    CLEAR: ClassVar[str]
    """Empties its store, and makes it take so many readings: {count}."""
    STORED: ClassVar[str]
    """Asks how many readings are in it."""
    STATUS: ClassVar[str]
    """Asks what tells whether a run goes on; answers without a semicolon, or with more of them."""
    FETCH: ClassVar[str]
    """Asks for all of them."""

    @abstractmethod
    def _program(self, nplc: float, delay: float, seconds: float) -> float:
        """Aperture in line cycles, [s] of delay, [s] of all of a level; gives the aperture that was taken."""

    @abstractmethod
    def _load(self, volts: Sequence[float]) -> list[str]:
        """Commands for these levels."""

    @abstractmethod
    def _readings(self, rows: Floats) -> Readings:
        """From the numbers that it sends, shape (readings, fields)."""

    @abstractmethod
    def _busy(self, status: str) -> bool:
        """Whether a run goes on, by the answer to `STATUS`."""
