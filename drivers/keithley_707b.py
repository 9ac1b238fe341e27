"""Keithley 707B and 708B switching matrices, and the 3706A system switch, as switch boxes.

Follows: Models 707B and 708B Switching Matrix Reference Manual, 707B-901-01, and Series 3700A System
Switch/Multimeter Reference Manual, 3700AS-901-01, sections "TSP command reference". Tried on emulators only.

`channel.getclose` tells every closed channel of every slot, backplane relays too: what the bench does not
name and somebody left closed is therefore seen, and opened. The instrument itself waits for its cards to
settle before the next statement runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from drivers.languages.numbers import Identity, numbers
from drivers.languages.tsp import Tsp
from drivers.switch_boxes.checked import CheckedSwitchBox
from drivers.switch_boxes.switchbox import Channel, SwitchSettings
from labctl.errors import Refused
from labctl.quantity import quoted


class _TspSwitchBox(CheckedSwitchBox):
    """Their common language; `_form` is how a channel is written."""

    _form: re.Pattern[str]
    _example: str

    def __init__(self, settings: SwitchSettings, settle_seconds: float) -> None:
        super().__init__(settings, settle_seconds)
        for channel in self._own:
            if not self._form.fullmatch(str(channel)):
                raise Refused(f"{self.name} has no channel {channel!r}", allowed=self._example)
        self._named = {str(channel).upper(): channel for channel in self._own}

    def closed(self) -> set[Channel]:
        """Every channel and backplane relay of all slots that is closed."""
        reply = self._tsp.ask('channel.getclose("allslots")')
        if reply in ("nil", ""):
            return set()
        return {self._channel(text) for text in re.split("[;,]", reply)}

    def cycles(self) -> dict[Channel, int]:
        """How often each channel of the bench has closed, as the card has counted."""
        counts = numbers(self._tsp.ask(f'channel.getcount("{_list(list(self._named))}")'), len(self._named))
        self._check("counting closures")
        return {channel: int(count) for channel, count in zip(self._named.values(), counts, strict=True)}

    def _channel(self, text: str) -> Channel:
        """As the bench writes it; a channel that it does not name, as the instrument does."""
        name = re.sub(r"\([0-9]+\)", "", text).strip().upper()  # a paired channel follows in brackets
        if not re.fullmatch(r"[0-9A-Z]{4,5}", name):
            raise self._fault(f"it says that {quoted(text)} is closed", self._example)
        return self._named.get(name, name)

    def _speak(self) -> None:
        self._tsp = Tsp(self._link)

    def _identity(self) -> Identity:
        return self._tsp.identity()

    def _begin(self) -> None:
        self._tsp.begin()
        for slot in sorted({name[0] for name in self._named}):
            card = self._tsp.ask(f"slot[{slot}].idn")
            if card == "nil" or "empty" in card.lower():
                raise self._fault(f"slot {slot} is empty", "a card that has the channels of the bench")
        self._tsp.set_word("channel.connectrule", "channel.BREAK_BEFORE_MAKE")
        self._check("breaking before making")

    def _tell_open(self) -> None:
        self._tsp.tell('channel.open("allslots")')

    def _tell_close(self, channels: Sequence[Channel]) -> None:
        self._tsp.tell(f'channel.exclusiveclose("{_list(channels)}")')

    def _check(self, what: str) -> None:
        self._tsp.check(what)


class Keithley707B(_TspSwitchBox):
    """Channels are crosspoints: slot, row and column, "1A01"."""

    models = ("707B", "708B")
    _form = re.compile(r"[1-6][A-H][0-9]{2}", re.IGNORECASE)
    _example = 'slot, row and column: "1A01"'

    def __init__(self, settings: SwitchSettings) -> None:
        super().__init__(settings, 15e-3)  # [not verified] a 7072; the instrument waits for its cards besides


class Keithley3706A(_TspSwitchBox):
    """Channels are numbers: slot and channel, 1001 to 6999; of a matrix card slot, row and column."""

    models = ("3706",)
    _form = re.compile(r"[1-6][0-9]{3}")
    _example = "slot and channel: 1001"

    def __init__(self, settings: SwitchSettings) -> None:
        super().__init__(settings, 10e-3)  # [not verified] electromechanical cards take 4 ms


def _list(channels: Sequence[Channel]) -> str:
    return ",".join(map(str, channels))
