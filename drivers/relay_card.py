"""A relay card on a serial port that speaks in words, as those of Numato Lab do: `relay on 0`.

Follows: Numato Lab, USB Relay Module user guides (8, 16 and 32 channels), "Command set". Tried on emulators
only.

It echoes what it is sent, answers on a line of its own, and ends everything with ">", so each command is
followed to its prompt and its echo compared: what was garbled on the way is noticed. All relays are written
at once, as digits of hexadecimal, relay 0 in the lowest bit. It has no error queue, counts no cycles, and
keeps what it was last told when nobody speaks to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from drivers.languages.numbers import Identity
from drivers.switch_boxes.checked import CheckedSwitchBox
from drivers.switch_boxes.switchbox import Channel, SwitchSettings
from labctl.errors import BoardHung, Refused
from labctl.quantity import quoted

PROMPT = b">"
SETTLE_SECONDS = 20e-3
"""[not verified] A small power relay takes up to 10 ms, and bounces."""


class RelayCard(CheckedSwitchBox):
    """Channels are relays, from 0. Its serial number is the `id` that was written into it."""

    def __init__(self, settings: SwitchSettings) -> None:
        super().__init__(settings, SETTLE_SECONDS)
        for channel in self._own:
            if not isinstance(channel, int) or not 0 <= channel < 128:
                raise Refused(f"{self.name} has no relay {channel!r}", allowed="a number from 0")
        self._digits = 0

    def closed(self) -> set[Channel]:
        """Every relay that is on."""
        reply = self._ask("relay readall")
        if not re.fullmatch(r"[0-9A-Fa-f]{1,32}", reply):
            raise self._fault(f"it answered {quoted(reply)} for its relays", "digits of hexadecimal")
        self._digits = len(reply)
        return {relay for relay in range(4 * len(reply)) if int(reply, 16) >> relay & 1}

    def _speak(self) -> None:
        """A line at a time, as it is."""

    def _identity(self) -> Identity:
        self._link.write(b"\r")  # ends what somebody else may have begun to type
        with suppress(BoardHung):
            self._link.read(PROMPT, seconds=0.5)
        version = self._ask("ver")
        return Identity("relay card", "", self._ask("id get"), version)

    def _begin(self) -> None:
        self.closed()
        if missing := [relay for relay in self._own if not int(relay) < 4 * self._digits]:
            raise self._fault(f"it has no relay {missing[0]}", f"0 to {4 * self._digits - 1}")

    def _tell_open(self) -> None:
        if self._digits:
            self._write(0)

    def _tell_close(self, channels: Sequence[Channel]) -> None:
        self._write(sum(1 << int(channel) for channel in channels))

    def _check(self, what: str) -> None:
        """It has no error queue."""

    def _write(self, relays: int) -> None:
        command = f"relay writeall {relays:0{self._digits}x}"
        if reply := self._ask(command):
            raise self._fault(f"it answered {quoted(reply)} to {command}", "nothing")

    def _ask(self, command: str) -> str:
        """What comes between the echo of the command and the prompt."""
        raw = self._link.ask(command.encode("ascii") + b"\r", PROMPT, most=256)
        echo, *reply = re.split(r"[\r\n]+", raw.decode("latin-1").strip("\r\n"))
        if echo.strip() != command:
            self._link.close()
            raise self._fault(f"it echoed {quoted(echo)}", f"{command}, which it was sent")
        return " ".join(reply).strip()
