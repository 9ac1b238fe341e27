"""Source configuration lists of an emulated Keithley 2450: settings by index, recalled one after the other.

Follows "Model 2450 Reference Manual", 2450-901-01, section 3 (configuration lists). An index keeps function,
level, range and limit of the source; whether the output is on is left as it is [not verified].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sim_backend.emulators.k2450.buffers import Buffers
from sim_backend.emulators.scpi.parser import command, only
from sim_backend.emulators.scpi.values import Number, ScpiError, quoted
from sim_backend.emulators.smu.model import OTHER, Quantity

INDEX = Number(1, 300_000, 1, whole=True)


class Recalled(NamedTuple):
    """One index of a source configuration list."""

    function: Quantity
    level: float
    range: float
    auto: bool
    limit: float


@dataclass(slots=True)
class ConfigurationList:
    """Source settings by index, and the index that was recalled last (0: none)."""

    stored: list[Recalled] = field(default_factory=list[Recalled])
    last: int = 0

    def following(self) -> int:
        """The next index; after the last one the first."""
        return self.last % max(len(self.stored), 1) + 1

    def preceding(self) -> int:
        """The index before; before the first one the last."""
        return self.last - 1 if self.last > 1 else len(self.stored)


class Lists(Buffers):
    """The lists of one instrument, by name."""

    def deliver_lists(self) -> None:
        """None."""
        self.lists: dict[str, ConfigurationList] = {}

    @command(":SOURce[1]:CONFiguration:LIST:CREate")
    def _create_list(self, arguments: list[str]) -> None:
        name = quoted(only(arguments))
        if not name or name in self.lists:
            raise ScpiError(-224)
        self.lists[name] = ConfigurationList()

    @command(":SOURce[1]:CONFiguration:LIST:STORe")
    def _store_in_list(self, arguments: list[str]) -> None:
        found, smu = self.named_list(arguments), self.smu
        quantity = smu.function
        one = Recalled(
            quantity, smu.level(quantity), smu.source_range(quantity), smu.source_auto(quantity),
            smu.limit(OTHER[quantity]),
        )  # fmt: skip
        index = int(INDEX.read(arguments[1])) if len(arguments) > 1 else len(found.stored) + 1
        if index > len(found.stored) + 1:
            raise ScpiError(-222)
        found.stored[index - 1 : index] = [one]

    @command(":SOURce[1]:CONFiguration:LIST:RECall")
    def _recall_from_list(self, arguments: list[str]) -> None:
        found = self.named_list(arguments)
        self.recall(found, int(INDEX.read(arguments[1])) if len(arguments) > 1 else 1)

    @command(":SOURce[1]:CONFiguration:LIST:DELete")
    def _delete_list(self, arguments: list[str]) -> None:
        found = self.named_list(arguments)
        if len(arguments) == 1:
            del self.lists[quoted(arguments[0])]
        else:
            index = int(INDEX.read(arguments[1]))
            self._stored(found, index)
            del found.stored[index - 1]

    @command(":SOURce[1]:CONFiguration:LIST:SIZE?")
    def _size_of_list(self, arguments: list[str]) -> str:
        return str(len(self.named_list(arguments).stored))

    def named_list(self, arguments: Sequence[str]) -> ConfigurationList:
        """By its name, quotes and all."""
        if not arguments:
            raise ScpiError(-109)
        if quoted(arguments[0]) not in self.lists:
            raise ScpiError(-224)
        return self.lists[quoted(arguments[0])]

    def _stored(self, found: ConfigurationList, index: int) -> Recalled:
        if not 1 <= index <= len(found.stored):
            raise ScpiError(-222)
        return found.stored[index - 1]

    def recall(self, found: ConfigurationList, index: int) -> None:
        """Bring back the settings of an index."""
        one, smu = self._stored(found, index), self.smu
        found.last = index
        if smu.function != one.function:
            smu.function = one.function
        smu.set_limit(OTHER[one.function], one.limit)
        smu.set_source_auto(one.function, True)
        smu.set_level(one.function, one.level)
        if not one.auto:
            smu.set_source_range(one.function, one.range)
