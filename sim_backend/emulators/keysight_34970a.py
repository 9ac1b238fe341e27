"""An emulated Keysight 34970A or DAQ970A with relay cards in its slots.

Follows the Agilent 34970A/34972A Command Reference, 34972-90001; codes of errors beyond the standard's are
from its list of error messages [not verified]. Not here: measuring, scanning, alarms. Stricter than the
bench: a channel that is in the scan list cannot be opened or closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sim_backend.emulators.behind.relays import Relays
from sim_backend.emulators.behind.terminals import Terminals
from sim_backend.emulators.scpi.common import Common
from sim_backend.emulators.scpi.parser import command, none, only
from sim_backend.emulators.scpi.values import Number, ScpiError, channels
from sim_backend.emulators.serving.instrument import Clock

CARDS = {
    "34901A": range(1, 23),
    "34902A": range(1, 17),
    "34903A": range(1, 21),
    "34904A": tuple(10 * row + column for row in range(1, 5) for column in range(1, 9)),
    "34905A": (),
}
"""Channels that open and close; of the DAQM9 cards the same."""
TWO_WIRE = 20
"""Channels of a 34901A that reach a site; the two behind them are for currents."""
NO_SLOT = (111, "Channel list: slot number out of range")
NO_CHANNEL = (112, "Channel list: channel number out of range")
SCANNED = (301, "Module currently committed to scan")
CANNOT = (303, "Module not able to perform requested operation")


class Keysight34970A(Common):
    """The mainframe; `cards` are the modules in its slots, by number."""

    most_errors = 20

    def __init__(
        self,
        terminals: Terminals | None = None,
        cards: Mapping[int, str] | None = None,
        sites: Sequence[Sequence[str]] | None = None,
        identity: str = "HEWLETT-PACKARD,34970A,0,13-2-2",
    ) -> None:
        super().__init__(Clock())
        self.identity = identity
        columns = terminals.columns if terminals else 0
        self.cards = dict(cards or dict.fromkeys(range(1, 2 + max(columns - 1, 0) // TWO_WIRE), "34901A"))
        found = [str(100 * slot + relay) for slot, card in self.cards.items() for relay in _relays(card)]
        wired = [name for name in found if int(name[1:]) <= TWO_WIRE]
        self.relays = Relays(found, sites or [(name,) for name in wired[:columns]], terminals)
        self._scanned = set[str]()
        self._endless = False

    def reset(self) -> None:
        """``*RST``: every relay opens."""
        self.relays.move(set())
        self._scanned = set[str]()

    def error_form(self, code: int, text: str) -> str:
        """With a sign."""
        return f'{code:+d},"{text}"'

    def next_error(self) -> str:
        """With the fault `errors` there is always one more."""
        return self.error_form(*NO_CHANNEL) if self._endless else super().next_error()

    def suffer(self, fault: str, amount: str) -> bool:
        """`errors`: its queue is never empty; of a channel: those of `Relays.suffer`."""
        self._endless = self._endless or fault == "errors"
        return fault == "errors" or self.relays.suffer(fault, amount)

    def _listed(self, arguments: list[str], moving: bool = False) -> list[str]:
        found = [str(channel) for channel in channels(only(arguments))]
        for name in found:
            if len(name) != 3 or int(name[0]) not in self.cards:
                raise ScpiError(*NO_SLOT)
            if name not in self.relays:
                raise ScpiError(*NO_CHANNEL)
            if moving and name in self._scanned:
                raise ScpiError(*SCANNED)
        return found

    @command(":ROUTe:CLOSe")
    def _close(self, arguments: list[str]) -> None:
        self.relays.close(self._listed(arguments, moving=True))

    @command(":ROUTe:CLOSe:EXCLusive")
    def _close_exclusively(self, arguments: list[str]) -> None:
        found = self._listed(arguments, moving=True)
        slots = {name[0] for name in found}
        self.relays.open([name for name in self.relays.channels if name[0] in slots])
        self.relays.close(found)

    @command(":ROUTe:OPEN")
    def _open(self, arguments: list[str]) -> None:
        self.relays.open(self._listed(arguments, moving=True))

    @command(":ROUTe:CLOSe?")
    def _is_closed(self, arguments: list[str]) -> str:
        closed = set(self.relays.closed)
        return ",".join(str(int(name in closed)) for name in self._listed(arguments))

    @command(":ROUTe:OPEN?")
    def _is_open(self, arguments: list[str]) -> str:
        closed = set(self.relays.closed)
        return ",".join(str(int(name not in closed)) for name in self._listed(arguments))

    @command(":ROUTe:DONE?")
    def _done(self, arguments: list[str]) -> str:
        none(arguments)
        return "1"

    @command(":ROUTe:SCAN")
    def _scan(self, arguments: list[str]) -> None:
        empty = only(arguments).replace(" ", "") == "(@)"
        self._scanned = set[str]() if empty else set(self._listed(arguments))

    @command(":ROUTe:SCAN?")
    def _scan_list(self, arguments: list[str]) -> str:
        none(arguments)
        text = f"(@{','.join(sorted(self._scanned))})"
        return f"#{len(str(len(text)))}{len(text)}{text}"

    @command(":ABORt")
    def _abort(self, arguments: list[str]) -> None:
        none(arguments)

    @command(":DIAGnostic:RELay:CYCLes?")
    def _cycles(self, arguments: list[str]) -> str:
        return ",".join(f"{self.relays.cycles[name]:+d}" for name in self._listed(arguments))

    @command(":DIAGnostic:RELay:CYCLes:CLEar")
    def _clear_cycles(self, arguments: list[str]) -> None:
        for name in self._listed(arguments):
            del self.relays.cycles[name]

    @command(":SYSTem:CTYPe?")
    def _card_type(self, arguments: list[str]) -> str:
        slot = _SLOT.read(only(arguments))
        if slot % 100:
            raise ScpiError(*NO_SLOT)
        maker = self.identity.partition(",")[0]
        card = self.cards.get(int(slot) // 100)
        return f"{maker},{card},0,2.3" if card else f"{maker},0,0,0"

    @command(":SYSTem:CPON")
    def _power_card_on(self, arguments: list[str]) -> None:
        named = only(arguments).upper()
        slot = "" if named == "ALL" else str(int(_SLOT.read(named)) // 100)
        self.relays.open([name for name in self.relays.channels if name.startswith(slot)])


_SLOT = Number(100, 300, 100, whole=True)


def _relays(card: str) -> Sequence[int]:
    kind = card.replace("DAQM", "34")
    if kind not in CARDS:
        raise ScpiError(*CANNOT)
    return CARDS[kind]
