"""The trace buffer of emulated source-measure units: readings of a run, kept whatever becomes of the run.

Follows the TRACe subsystems of the Keithley 2400 User's Manual (2400S-900-01, section 18) and of the B2900
SCPI Command Reference (B2910-90030). What was taken before a run was aborted or the output went off stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sim_backend.emulators.scpi.parser import Scpi, command, none, only
from sim_backend.emulators.scpi.values import Number, ScpiError
from sim_backend.emulators.smu.model import Reading

_CONTROLS = {"NEXT": True, "NEV": False, "NEVER": False}
_FEEDS = ("SENS", "SENSE", "SENS1", "SENSE1")


class Stores(Scpi):
    """An instrument with a trace buffer, of its first channel."""

    most_stored: ClassVar[int] = 2500

    def deliver_store(self) -> None:
        """Empty, and not fed."""
        self._stored: list[Reading] = []
        self._store_points, self._fed = 100, False

    def store(self, reading: Reading) -> None:
        """A reading of a run, if the buffer takes any."""
        if self._fed:
            self._stored.append(reading)
            self._fed = len(self._stored) < self._store_points

    def tell_readings(self, readings: Sequence[Reading]) -> str:
        """In the elements that were chosen."""
        raise NotImplementedError

    @command(":TRACe[c]:CLEar")
    def _clear_store(self, arguments: list[str], channel: int = 1) -> None:
        none(arguments)
        self._unless_fed(channel)
        self._stored = []

    @command(":TRACe[c]:POINts")
    def _size_store(self, arguments: list[str], channel: int = 1) -> None:
        self._unless_fed(channel)
        self._store_points = int(Number(1, self.most_stored, 100, whole=True).read(only(arguments)))

    @command(":TRACe[c]:POINts?")
    def _store_size(self, arguments: list[str], channel: int = 1) -> str:
        none(arguments)
        return str(self._store_points)

    @command(":TRACe[c]:FEED")
    def _feed_store(self, arguments: list[str], channel: int = 1) -> None:
        self._unless_fed(channel)
        if only(arguments).upper() not in _FEEDS:
            raise ScpiError(-224)

    @command(":TRACe[c]:FEED?")
    def _store_feed(self, arguments: list[str], channel: int = 1) -> str:
        none(arguments)
        return "SENS"

    @command(":TRACe[c]:FEED:CONTrol")
    def _control_store(self, arguments: list[str], channel: int = 1) -> None:
        word = only(arguments).upper()
        if word not in _CONTROLS:
            raise ScpiError(-224)
        self._fed = _CONTROLS[word]
        if self._fed:
            self._stored = []

    @command(":TRACe[c]:FEED:CONTrol?")
    def _store_control(self, arguments: list[str], channel: int = 1) -> str:
        none(arguments)
        return "NEXT" if self._fed else "NEV"

    @command(":TRACe[c]:POINts:ACTual?")
    def _stored_points(self, arguments: list[str], channel: int = 1) -> str:
        none(arguments)
        return str(len(self._stored))

    @command(":TRACe[c]:DATA?")
    def _stored_data(self, arguments: list[str], channel: int = 1) -> str:
        none(arguments)
        if not self._stored:
            raise ScpiError(-230)
        return self.tell_readings(self._stored)

    def _unless_fed(self, channel: int) -> None:
        if channel != 1:
            raise ScpiError(-114)
        if self._fed:
            raise ScpiError(-221)
