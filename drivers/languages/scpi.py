"""A conversation in SCPI: what is told is asked for afterwards, and what is answered is read strictly.

A command that was sent is not a command that was taken: the first write to a link whose other side has
closed succeeds, and an instrument may clip a value or ignore it without a word. So `set` writes, asks and
compares; nothing counts as done because it was sent. Replies are printable ASCII or they are `BoardFault`,
and after one that is not, the link is closed, since nobody knows where the next reply begins.
"""

from __future__ import annotations

import re
from time import monotonic

from drivers.languages.numbers import Identity, identity, number, numbers, wire
from drivers.links.transport import MOST_BYTES, Transport
from labctl.errors import BoardFault, Refused
from labctl.quantity import quoted

MOST_ERRORS = 50
"""An error queue that is longer has no end."""
_ERROR = re.compile(r"([+-]?[0-9]{1,6}) *(?:,.*)?")
_DIGITS = tuple(b"%d" % digit for digit in range(1, 10))  # #0, a block without a length, cannot be checked
_SWITCH = {"ON": "1", "OFF": "0"}


class Scpi:
    """Speaks SCPI over a link; `end` ends every message, both ways."""

    def __init__(self, link: Transport, *, end: str = "\n", errors: str = ":SYST:ERR?") -> None:
        self.link = link
        self._end = end.encode("ascii")
        self._errors = errors

    def tell(self, command: str) -> None:
        """Send a command. Nothing is known of it until something is asked."""
        self.link.write(self._message(command))

    def ask(self, command: str, seconds: float | None = None, most: int = MOST_BYTES) -> str:
        """The reply, without its end; `seconds` in place of the link's own deadline."""
        return self._text(self.link.ask(self._message(command), self._end, seconds=seconds, most=most))

    def tell_and_ask(self, command: str, query: str, seconds: float | None = None) -> str:
        """Send a command, and show by the reply to a question that the link was there to take it."""
        self.tell(command)
        return self.ask(query, seconds)

    def ask_number(self, command: str, seconds: float | None = None) -> float:
        """The one finite number that is answered. Raises `NoNumber` for a sentinel."""
        return number(self.ask(command, seconds))

    def ask_numbers(
        self, command: str, count: int | None = None, seconds: float | None = None
    ) -> list[float]:
        """The numbers that are answered, with commas between; exactly `count` of them."""
        return numbers(self.ask(command, seconds), count)

    def ask_block(self, command: str, seconds: float, most: int = MOST_BYTES) -> bytes:
        """A definite-length block (IEEE 488.2, 8.7.9), its length checked before anything of it is taken."""
        until = monotonic() + seconds
        self.tell(command)
        try:
            count = self._block_length(until, most)
            block = self.link.read_exactly(count, seconds=until - monotonic())
            if rest := self.link.read(self._end, seconds=until - monotonic(), most=8).strip(b"\r"):
                raise BoardFault(f"{self.link.address} sent {quoted(repr(rest))} after the end of its block")
        except BaseException:
            self.link.close()  # nobody knows what is still to come of it
            raise
        return block

    def set(self, command: str, value: float, *, tolerance: float = 1e-6, step: float = 0.0) -> float:
        """Set a number, ask for it, and give what was answered, which is at most `tolerance` times the
        value and a `step` of the instrument's away from it. Raises `BoardFault` when it is not.
        """
        self.tell(f"{command} {wire(value)}")
        got = self.ask_number(f"{command}?")
        if not abs(got - value) <= tolerance * abs(value) + step:
            raise self._not_taken(command, wire(value), wire(got))
        return got

    def set_word(self, command: str, word: str, answer: str | None = None) -> None:
        """Set a word (`OFF`, `VOLTage`, `"CURR"`), ask for it, and compare; `answer` where it answers
        another. Short forms, long forms and case are the same; so are ON and 1, OFF and 0.
        """
        self.tell(f"{command} {word}")
        got = self.ask(f"{command}?")
        if not same_word(got, word if answer is None else answer):
            raise self._not_taken(command, word, got)

    def identity(self) -> Identity:
        """Who it says it is."""
        return identity(self.ask("*IDN?"))

    def drain(self) -> list[str]:
        """Every entry of the error queue, which is empty afterwards. Raises `BoardFault` if it never is."""
        entries: list[str] = []
        while len(entries) <= MOST_ERRORS:
            entry = self.ask(self._errors)
            code = _ERROR.fullmatch(entry)
            if code is None:
                raise BoardFault(f"{self.link.address} answered {quoted(entry)} for its next error")
            if int(code[1]) == 0:
                return entries
            entries.append(entry)
        raise BoardFault(
            f"{self.link.address} has more than {MOST_ERRORS} errors: {quoted(entries[-1])}",
            todo="read its error queue at its front panel, and switch it off and on",
        )

    def check(self, what: str) -> None:
        """Any entry in the error queue is a failure of `what` was done: `BoardFault`."""
        if entries := self.drain():
            raise BoardFault(f"{self.link.address} refuses {what}: {'; '.join(map(quoted, entries[:3]))}")

    def _block_length(self, until: float, most: int) -> int:
        head = self.link.read_exactly(2, seconds=until - monotonic())
        if head[:1] != b"#" or head[1:] not in _DIGITS:
            raise BoardFault(f"{self.link.address} sent no block of known length, but {quoted(repr(head))}")
        digits = self.link.read_exactly(int(head[1:]), seconds=until - monotonic())
        if not (digits.isdigit() and int(digits) <= most):
            raise BoardFault(
                f"{self.link.address} says that its block has {quoted(repr(digits))} bytes",
                allowed=f"at most {most}",
            )
        return int(digits)

    def _message(self, command: str) -> bytes:
        if not (command.isascii() and command.isprintable()):
            raise Refused(f"{quoted(command)} is no command", allowed="printable ASCII, one line")
        return command.encode("ascii") + self._end

    def _text(self, reply: bytes) -> str:
        text = reply.decode("latin-1").removesuffix("\r")
        if not (text.isascii() and (text.isprintable() or text.replace("\t", " ").isprintable())):
            self.link.close()
            raise BoardFault(
                f"{self.link.address} sent {quoted(text)}, which is not printable ASCII",
                todo="see to its cable, its baud rate, and that no other program speaks to it",
            )
        return text

    def _not_taken(self, command: str, asked: str, got: str) -> BoardFault:
        return BoardFault(
            f"{self.link.address} was told {command} {asked} and has {quoted(got)}",
            allowed=asked,
            todo="see that it can do this, and that nobody uses its front panel",
        )


def same_word(one: str, other: str) -> bool:
    """Whether two SCPI words are the same: short form or long, quoted or not, ON or 1.

    >>> same_word("CURR", '"CURRent"'), same_word("0", "OFF"), same_word("VOLT", "CURR")
    (True, True, False)
    """
    return _short(one) == _short(other)


def _short(text: str) -> str:
    bare = text.strip().strip('"').upper()
    return ":".join(_short_node(node) for node in _SWITCH.get(bare, bare).split(":"))


def _short_node(node: str) -> str:
    """Short forms have four letters, or three where the fourth would be a vowel (SCPI 1999, 6.2.1)."""
    letters = node.rstrip("0123456789")
    if len(letters) <= 4:
        return node
    return letters[: 3 if letters[3] in "AEIOU" else 4] + node.removeprefix(letters)
