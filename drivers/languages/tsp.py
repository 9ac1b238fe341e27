"""A conversation in TSP, the Lua of Keithley's instruments: statements out, printed values back.

A TSP instrument runs what it is sent and answers nothing by itself; a question is a `print(...)`. Errors wait
in `errorqueue`, with tabs between code, message, severity and node. Numbers are printed with six digits
unless `format.asciiprecision` says otherwise, so `begin` asks for all sixteen, and sees that it gets them.
Nothing counts as set because it was sent: `set` writes, asks and compares. What is common with SCPI (links,
strict text) is `drivers.languages.scpi`'s.

Follows: Series 2600B System SourceMeter Reference Manual, 2600BS-901-01, sections "Instrument programming"
and "TSP commands".
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.languages.numbers import Identity, number, numbers, wire
from drivers.languages.scpi import MOST_ERRORS, Scpi
from drivers.links.transport import MOST_BYTES, Transport
from labctl.errors import BoardFault
from labctl.quantity import quoted

DIGITS = 16
"""That a number is printed with: no float is lost with 17, and no instrument has one that needs it."""


class Tsp:
    """Speaks TSP over a link."""

    def __init__(self, link: Transport) -> None:
        self.link = link
        self._lines = Scpi(link)

    def begin(self) -> None:
        """Numbers as text, in full. What was left in the error queue is read away and told to nobody."""
        self.drain()
        self.tell("format.data = format.ASCII")
        self.tell(f"format.asciiprecision = {DIGITS}")
        if self.ask_number("format.asciiprecision") != DIGITS:
            raise self._fault(f"prints no {DIGITS} digits")

    def tell(self, *statements: str) -> None:
        """Run these, in one message. Nothing is known of it until something is asked."""
        self._lines.tell(" ".join(statements))

    def ask(self, expression: str, seconds: float | None = None, most: int = MOST_BYTES) -> str:
        """The one line that printing it gives."""
        return self._lines.ask(f"print({expression})", seconds, most)

    def ask_number(self, expression: str, seconds: float | None = None) -> float:
        """The one finite number that it is. Raises `NoNumber` for a sentinel."""
        return number(self.ask(expression, seconds))

    def ask_numbers(
        self, *expressions: str, count: int | None = None, seconds: float | None = None
    ) -> list[float]:
        """The numbers that printing them gives, as many as there are expressions or `count`."""
        wanted = len(expressions) if count is None else count
        return numbers(self.ask(", ".join(expressions), seconds), wanted, "\t")

    def ask_texts(self, *expressions: str, seconds: float | None = None) -> list[str]:
        """What printing them gives, as text: one for each."""
        found = self.ask(", ".join(expressions), seconds).split("\t")
        if len(found) != len(expressions):
            raise self._fault(f"printed {len(found)} values for {len(expressions)}: {quoted(str(found))}")
        return found

    def tell_and_hear(self, *statements: str, seconds: float) -> str:
        """Run these in one message; the one line that they print. What fails prints nothing: `BoardHung`."""
        return self._lines.ask(" ".join(statements), seconds)

    def set(self, attribute: str, value: float, *, tolerance: float = 1e-6) -> float:
        """Assign, ask, compare; what it has now, in full. Raises `BoardFault` if it is not that."""
        self.tell(f"{attribute} = {wire(value)}")
        got = self.ask_number(attribute)
        if not abs(got - value) <= tolerance * abs(value):
            raise self._not_taken(attribute, wire(value), wire(got))
        return got

    def set_word(self, attribute: str, word: str) -> None:
        """The same for a named value, such as `smua.OFF`: the instrument itself says whether it has it."""
        self.tell(f"{attribute} = {word}")
        if self.ask(f"{attribute} == {word}") != "true":
            raise self._not_taken(attribute, word, self.ask(attribute))

    def identity(self) -> Identity:
        """Who it says it is: the one question of IEEE 488.2 that needs no `print`."""
        return self._lines.identity()

    def drain(self) -> list[str]:
        """Every entry of the error queue, which is empty afterwards. Raises `BoardFault` if it never is."""
        entries: list[str] = []
        while len(entries) <= MOST_ERRORS:
            if self.ask_number("errorqueue.count") == 0:
                return entries
            code, _, rest = self.ask("errorqueue.next()").partition("\t")
            message = rest.partition("\t")[0]
            entries.append(f"{number(code):.0f} {message}")
        raise BoardFault(
            f"{self.link.address} has more than {MOST_ERRORS} errors: {quoted(entries[-1])}",
            todo="read its error queue at its front panel, and switch it off and on",
        )

    def check(self, what: str) -> None:
        """Any entry in the error queue is a failure of `what` was done: `BoardFault`."""
        if entries := self.drain():
            raise self._fault(f"refuses {what}: {'; '.join(map(quoted, entries[:3]))}")

    def _not_taken(self, attribute: str, asked: str, got: str) -> BoardFault:
        return BoardFault(
            f"{self.link.address} was told {attribute} = {asked} and has {quoted(got)}",
            allowed=asked,
            todo="see that it can do this, and that nobody uses its front panel",
        )

    def _fault(self, wrong: str) -> BoardFault:
        return BoardFault(f"{self.link.address} {wrong}")


def lua_table(values: Sequence[float]) -> str:
    """Numbers as a Lua table.

    >>> lua_table([0.1, -1e-7])
    '{0.1, -1e-07}'
    """
    return "{" + ", ".join(map(wire, values)) + "}"
