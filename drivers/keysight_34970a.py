"""Keysight (Agilent, HP) 34970A and DAQ970A with a multiplexer, actuator or matrix card, as a switch box.

Follows: Agilent 34970A/34972A Command Reference, 34972-90001, and Keysight DAQ970A Programming Guide,
DAQ97-90006. Tried on emulators only.

`ROUT:CLOS?` tells what the card was last told, not what its contacts do. The scan list is emptied at the
start, since a channel in it cannot be closed by hand. Only the slots that the bench names are touched. A
34901A has two banks that share the COM terminals: the card sees to that by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.languages.numbers import Identity
from drivers.languages.scpi import Scpi
from drivers.switch_boxes.checked import CheckedSwitchBox
from drivers.switch_boxes.switchbox import Channel, SwitchSettings
from labctl.errors import Refused
from labctl.quantity import quoted

_MATRIX = tuple(10 * row + column for row in range(1, 5) for column in range(1, 9))
_RELAYS = {
    "901A": tuple(range(1, 23)),  # 20 of 2 wires, 2 of currents
    "902A": tuple(range(1, 17)),
    "903A": tuple(range(1, 21)),
    "904A": _MATRIX,  # row, column
}
CARDS = {f"{kind}{card}": relays for kind in ("34", "DAQM") for card, relays in _RELAYS.items()}
"""Channels of one slot, by card; those that can open all their relays."""
SETTLE_SECONDS = 20e-3
"""The slowest of these cards opens or closes 60 channels in a second."""


class Keysight34970A(CheckedSwitchBox):
    """Channels are numbers: slot and channel, 101 to 322."""

    models = ("34970A", "34972A", "DAQ970A", "DAQ973A")

    def __init__(self, settings: SwitchSettings) -> None:
        super().__init__(settings, SETTLE_SECONDS)
        self._slots = sorted({self._slot(channel) for channel in self._own})
        self._relays: list[int] = []

    def closed(self) -> set[Channel]:
        """Every channel of the cards that is closed."""
        answers = self._scpi.ask_numbers(f"ROUT:CLOS? {_list(self._relays)}", len(self._relays))
        if strange := set(answers) - {0.0, 1.0}:
            raise self._fault(f"it answered {strange} for the state of a channel", "0 or 1")
        return {relay for relay, answer in zip(self._relays, answers, strict=True) if answer}

    def cycles(self) -> dict[Channel, int]:
        """How often each channel of the bench has closed, as the card has counted."""
        counts = self._scpi.ask_numbers(f"DIAG:REL:CYCL? {_list(self._own)}", len(self._own))
        self._check("counting cycles")
        return {channel: int(count) for channel, count in zip(self._own, counts, strict=True)}

    def _speak(self) -> None:
        self._scpi = Scpi(self._link, errors="SYST:ERR?")

    def _identity(self) -> Identity:
        return self._scpi.identity()

    def _begin(self) -> None:
        self._scpi.drain()  # what others left in it is not ours
        self._relays = [relay for slot in self._slots for relay in self._card(slot)]
        self._scpi.tell("ABOR")
        self._scpi.tell("ROUT:SCAN (@)")
        self._check("an empty scan list")

    def _card(self, slot: int) -> list[int]:
        """The channels of the card in that slot, which must be one with all that the bench names."""
        card = self._scpi.ask(f"SYST:CTYP? {100 * slot}").split(",")
        kind = card[1].strip() if len(card) > 1 else ""
        if kind not in CARDS:
            raise self._fault(f"slot {slot} has {quoted(kind)} in it", f"one of {', '.join(CARDS)}")
        channels = [100 * slot + relay for relay in CARDS[kind]]
        if missing := [c for c in self._own if self._slot(c) == slot and c not in channels]:
            raise self._fault(f"the {kind} in slot {slot} has no channel {missing[0]}", _list(channels))
        return channels

    def _tell_open(self) -> None:
        if self._relays:
            self._scpi.tell(f"ROUT:OPEN {_list(self._relays)}")

    def _tell_close(self, channels: Sequence[Channel]) -> None:
        self._scpi.tell(f"ROUT:CLOS {_list(channels)}")

    def _check(self, what: str) -> None:
        self._scpi.check(what)

    def _slot(self, channel: Channel) -> int:
        if not isinstance(channel, int) or not 101 <= channel <= 399:
            raise Refused(f"{self.name} has no channel {channel!r}", allowed="slot and channel: 101")
        return channel // 100


def _list(channels: Sequence[Channel]) -> str:
    """A channel list, neighbours as a range.

    >>> _list([101, 103, 104, 105])
    '(@101,103:105)'
    """
    runs: list[list[int]] = []
    for channel in map(int, channels):
        if runs and channel == runs[-1][-1] + 1:
            runs[-1].append(channel)
        else:
            runs.append([channel])
    return f"(@{','.join(f'{run[0]}:{run[-1]}' if len(run) > 1 else str(run[0]) for run in runs)})"
