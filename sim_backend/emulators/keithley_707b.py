"""Emulated Keithley 707B switching matrix and 3706A system switch: relays behind TSP.

Follows Models 707B and 708B Switching Matrix Reference Manual, 707B-901-01, and Series 3700A System
Switch/Multimeter Reference Manual, 3700AS-901-01. Not here: patterns, labels, scans, the meter of a 3706A.
Stricter than the bench: `channel.open` of what is not closed is fine, of what is not there is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from sim_backend.emulators.behind.relays import Relays
from sim_backend.emulators.behind.terminals import Terminals
from sim_backend.emulators.lua.values import (
    Attribute,
    LuaError,
    Part,
    Table,
    Value,
    argument,
    text,
    whole,
)
from sim_backend.emulators.tsp.language import Tsp

NO_CHANNEL = 1115
"""[not verified] Of a parameter that names no channel."""
RULES = {"OFF": 0.0, "BREAK_BEFORE_MAKE": 1.0, "MAKE_BEFORE_BREAK": 2.0}
MATRIX = tuple(f"{row}{column:02d}" for row in "ABCDEFGH" for column in range(1, 13))
"""Crosspoints of a 7072 and its like."""
MULTIPLEXER = tuple(f"{channel:03d}" for channel in (*range(1, 61), *range(911, 917), *range(921, 927)))
"""Channels of a 3720, and the relays to the backplane."""
SLOTS = 6


class _Switch(Tsp):
    """Slots with cards, and the `channel` functions."""

    def __init__(
        self,
        identity: tuple[str, str, str, str],
        cards: Mapping[int, tuple[str, Sequence[str]]],
        terminals: Terminals | None,
        sites: Sequence[Sequence[str]] | None,
    ) -> None:
        self._cards = {slot: name for slot, (name, _) in cards.items()}
        names = [f"{slot}{name}" for slot, (_, found) in cards.items() for name in found]
        columns = terminals.columns if terminals else 0
        self.relays = Relays(names, sites or [(name,) for name in names[:columns]], terminals)
        self._rule = RULES["BREAK_BEFORE_MAKE"]
        super().__init__(identity)

    def reset(self) -> None:
        """Every relay opens."""
        self.relays.move(set())
        self._rule = RULES["BREAK_BEFORE_MAKE"]

    def suffer(self, fault: str, amount: str) -> bool:
        """Of a channel: those of `Relays.suffer`."""
        return self.relays.suffer(fault, amount) or super().suffer(fault, amount)

    def names(self) -> dict[str, Value]:
        """`channel` and `slot`."""
        relays = self.relays
        channel: dict[str, Attribute | Value] = {
            **RULES,
            "connectrule": Attribute(lambda: self._rule, self._set_rule),
            "open": self._act(relays.open, slots=True),
            "close": self._act(relays.close),
            "exclusiveclose": self._act(lambda found: relays.move(set(found)), empty=True),
            "exclusiveslotclose": self._act(self._close_in_slots),
            "reset": self._act(relays.open, slots=True),
            "getclose": lambda given: [self._closed(given)],
            "getcount": lambda given: [",".join(str(relays.cycles[name]) for name in self._listed(given))],
            "getstate": lambda given: [
                ";".join(str(int(name in relays.closed)) for name in self._listed(given))
            ],
        }
        return {"channel": Part("channel", channel), "slot": Table(map(self._slot, range(1, SLOTS + 1)))}

    def _slot(self, number: int) -> Part:
        card = self._cards.get(number)
        told = f"{card},Relays,01.40b,{1234560 + number}" if card else "Empty Slot"
        return Part(f"slot[{number}]", {"idn": told})

    def _set_rule(self, value: Value) -> None:
        if whole(value, "channel.connectrule") not in (0, 1, 2):
            raise LuaError("Parameter, connectrule, out of range", 1101)
        self._rule = float(whole(value))

    def _act(
        self, act: Callable[[list[str]], None], *, slots: bool = False, empty: bool = False
    ) -> Callable[[list[Value]], list[Value]]:
        def call(given: list[Value]) -> list[Value]:
            act(self._listed(given, slots=slots, empty=empty))
            return []

        return call

    def _close_in_slots(self, found: list[str]) -> None:
        slots = {name[0] for name in found}
        self.relays.open([name for name in self.relays.channels if name[0] in slots])
        self.relays.close(found)

    def _closed(self, given: list[Value]) -> Value:
        wanted = set(self._listed(given))
        return ";".join(name for name in self.relays.closed if name in wanted) or None

    def _listed(self, given: list[Value], *, slots: bool = True, empty: bool = False) -> list[str]:
        """The channels that a list names: channels, ranges, and slots where they may be named."""
        parts = [part.strip() for part in text(argument(given, 0), "channel list").split(",")]
        if parts == [""]:
            if empty:
                return []
            raise LuaError("Parameter, channel list, is empty", NO_CHANNEL)
        return [name for part in parts for name in self._named(part, slots)]

    def _named(self, part: str, slots: bool) -> Iterable[str]:
        all_of = self.relays.channels
        if match := re.fullmatch(r"slot([1-6])|allslots", part):
            if not slots:
                raise LuaError(f"Parameter, {part}, is not allowed here", NO_CHANNEL)
            return [name for name in all_of if name.startswith(match[1] or "")]
        first, _, last = (one.strip().upper() for one in part.partition(":"))
        for name in (first, last or first):
            if name not in self.relays:
                raise LuaError(f"Parameter, channel {name}, does not exist", NO_CHANNEL)
        return all_of[all_of.index(first) : all_of.index(last or first) + 1]


class Keithley707B(_Switch):
    """A matrix; `cards` are models by slot, each of 8 rows and 12 columns."""

    def __init__(
        self,
        terminals: Terminals | None = None,
        cards: Mapping[int, str] | None = None,
        sites: Sequence[Sequence[str]] | None = None,
        serial: str = "1290001",
    ) -> None:
        found = {slot: (card, MATRIX) for slot, card in (cards or {1: "7072"}).items()}
        super().__init__(("KEITHLEY INSTRUMENTS", "MODEL 707B", serial, "01.54i"), found, terminals, sites)


class Keithley3706A(_Switch):
    """A system switch; `cards` are models by slot, each a multiplexer of 60 channels."""

    def __init__(
        self,
        terminals: Terminals | None = None,
        cards: Mapping[int, str] | None = None,
        sites: Sequence[Sequence[str]] | None = None,
        serial: str = "1370001",
    ) -> None:
        found = {slot: (card, MULTIPLEXER) for slot, card in (cards or {1: "3720"}).items()}
        super().__init__(
            ("KEITHLEY INSTRUMENTS INC.", "MODEL 3706A-SNFP", serial, "01.56a"), found, terminals, sites
        )
