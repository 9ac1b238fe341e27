"""What all switch boxes see to, whatever their language.

Break before make: everything opens, and is seen to be open, before anything closes. Every state is read back,
the error queue is empty after each step, and the data sheet's time to settle is waited for on both sides. A
relay that does not do what it was told is a `BoardFault`, and everything is told to open before it is raised.

What is read back is what the box believes of its relays. A contact that has welded shut says nothing to most
boxes: only a current where there should be none shows it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from drivers.links import connect
from drivers.links.recording import Recorder
from drivers.switch_boxes.switchbox import Channel, SwitchSettings, listed
from labctl.errors import BoardFault, Misbehaved, Outputs, Refused
from labctl.ownership import Holding
from labctl.quantity import format_quantity, quoted

if TYPE_CHECKING:
    from drivers.languages.numbers import Identity
    from drivers.links.transport import Transport


class CheckedSwitchBox(ABC):
    """What all boxes share; a box adds its language."""

    models: ClassVar[tuple[str, ...]] = ()
    """In the answer to its question of who it is, in capitals; empty: it does not say."""
    settle_seconds: float
    _link: Transport

    def __init__(self, settings: SwitchSettings, settle_seconds: float) -> None:
        self.settings = settings
        self._own = tuple(dict.fromkeys(channel for site in settings.sites for channel in site))
        self._holdings: list[Holding] = []
        self._link = connect(settings.address, seconds=settings.deadline)
        self._recorded = settings.record is None
        self._settles_within(settle_seconds)
        self._speak()

    # ------------------------------------------------------------------------- what a box adds

    @abstractmethod
    def _speak(self) -> None:
        """Begin to use `_link`, which may change before it is first opened."""

    @abstractmethod
    def _identity(self) -> Identity:
        """Who it is, by asking."""

    @abstractmethod
    def _begin(self) -> None:
        """Drain what errors there are, and see to it that the channels of the bench are there."""

    @abstractmethod
    def _tell_open(self) -> None:
        """Tell every relay to open. Writes only, so that nothing has to answer for it to work."""

    @abstractmethod
    def _tell_close(self, channels: Sequence[Channel]) -> None:
        """Tell these channels to close."""

    @abstractmethod
    def _check(self, what: str) -> None:
        """Raise `BoardFault` if anything is in its error queue."""

    @abstractmethod
    def closed(self) -> set[Channel]:
        """Every channel that is closed now."""

    def cycles(self) -> dict[Channel, int]:
        """It does not count."""
        return {}

    # --------------------------------------------------------------------------- what is shared

    @final
    def open(self) -> None:
        """Take it, ask who it is, open all. What fails half way is given back."""
        try:
            self._hold(self.settings.address)
            self._record()
            self._link.open()
            self._recognize(self._identity())
            self._begin()
            self.open_all()
        except BaseException:
            self.close_link()
            raise

    def _record(self) -> None:
        """Only now: a bench file that is merely read makes no new file."""
        if not self._recorded:
            self._link, self._recorded = Recorder(self._link, Path(self.settings.record or "")), True
            self._speak()

    @final
    def close_link(self) -> None:
        """Give it back."""
        self._link.close()
        while self._holdings:
            self._holdings.pop().release()

    @final
    def open_all(self) -> None:
        """Open every relay, and see that they are open."""
        self._tell_open()
        self._wait()
        self._check("opening all channels")
        if stuck := self.closed():
            raise self._fault(f"{listed(stuck)} is still closed, and was told to open", "no channel closed")

    @final
    def select(self, channels: Sequence[Channel]) -> None:
        """These channels and no other."""
        wanted = set(channels)
        if unknown := wanted.difference(self._own):
            raise Refused(f"{self.name} has no {listed(unknown)}", allowed=listed(self._own))
        if self.closed() == wanted:
            return
        try:
            self._switch(wanted)
        except BaseException:
            with suppress(Misbehaved):  # what went wrong before is what is told
                self._tell_open()
            raise

    def _switch(self, wanted: set[Channel]) -> None:
        self.open_all()
        if not wanted:
            return
        self._tell_close(sorted(wanted, key=str))
        self._wait()
        self._check(f"closing {listed(wanted)}")
        if (closed := self.closed()) != wanted:
            raise self._fault(f"{listed(closed)} is closed", f"{listed(wanted)}, which was told to close")

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"{type(self).__name__} at {self.settings.address}"

    def _settles_within(self, seconds: float) -> None:
        """Take the time that the data sheet says, or the longer one of the bench file."""
        asked = self.settings.settle
        if asked is not None and not asked >= seconds:
            raise Refused(
                f"board.switch.settle is {format_quantity(asked, 's')}",
                allowed=f"{format_quantity(seconds, 's')}, which its data sheet says, or longer",
            )
        self.settle_seconds = asked or seconds

    def _wait(self) -> None:
        time.sleep(self.settle_seconds)

    def _recognize(self, identity: Identity) -> None:
        """Refuse what is not the box that was meant, before anything is switched."""
        meant = self.settings.serial
        if self.models and not any(model in identity.model.upper() for model in self.models):
            raise self._fault(f"it is {quoted(identity.model)}", " or ".join(self.models))
        if meant is not None and identity.serial != meant:
            raise self._fault(f"its serial number is {quoted(identity.serial)}", meant)
        if identity.serial.strip("0"):  # a 34970A says "0", as all of its kind do
            self._hold(f"{identity.maker} {identity.model} {identity.serial}")

    def _hold(self, what: str) -> None:
        holding = Holding(what, f"switch box at {self.settings.address}")
        holding.take()
        self._holdings.append(holding)

    def _fault(self, wrong: str, allowed: str) -> BoardFault:
        todo = "see to the card, its cables and the life of its relays"
        return BoardFault(f"{self.name}: {wrong}", allowed=allowed, outputs=Outputs.UNKNOWN, todo=todo)
