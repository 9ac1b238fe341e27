"""What an emulated Keysight B2900 is told of functions and lists, and what its registers say.

Follows "Keysight B2900A Series SCPI Command Reference", B2910-90030 (SENSe, SOURce:LIST, STATus, SYSTem).
"""

from __future__ import annotations

from sim_backend.emulators.b2900.readings import Readings
from sim_backend.emulators.scpi.parser import command, none
from sim_backend.emulators.scpi.values import ScpiError, numbers, quoted
from sim_backend.emulators.smu.model import Quantity
from sim_backend.emulators.smu.scpi import sizes

FUNCTIONS: dict[str, Quantity] = {
    "VOLT": "volts", "VOLTAGE": "volts", "VOLT:DC": "volts", "VOLTAGE:DC": "volts",
    "CURR": "amps", "CURRENT": "amps", "CURR:DC": "amps", "CURRENT:DC": "amps",
}  # fmt: skip
MOST_LISTED = 2500
IDLE = ((1 << 1) | (1 << 4), (1 << 7) | (1 << 10))
"""Bits of the operation condition register: transient and acquisition idle, of each channel."""
INTERLOCK = 1 << 10
"""Bit of the questionable condition register."""


class States(Readings):
    """Functions, lists, registers."""

    @command("[:SENSe[c]]:FUNCtion[:ON]")
    def _sense(self, arguments: list[str], channel: int) -> None:
        wanted = self._functions(arguments)
        modes = self.target(channel).smu.modes
        modes.sensed = tuple(q for q in ("volts", "amps") if q in wanted or q in modes.sensed)

    @command("[:SENSe[c]]:FUNCtion:OFF")
    def _sense_not(self, arguments: list[str], channel: int) -> None:
        unwanted = self._functions(arguments)
        modes = self.target(channel).smu.modes
        modes.sensed = tuple(q for q in modes.sensed if q not in unwanted)

    @command("[:SENSe[c]]:FUNCtion[:ON]?")
    def _sensed(self, arguments: list[str], channel: int) -> str:
        none(arguments)
        words = {"volts": '"VOLT"', "amps": '"CURR"'}
        return ",".join(words[quantity] for quantity in self.target(channel).smu.modes.sensed) or '""'

    @staticmethod
    def _functions(arguments: list[str]) -> list[Quantity]:
        wanted = [quoted(text).upper() for text in arguments]
        if not wanted:
            raise ScpiError(-109)
        if not set(wanted) <= set(FUNCTIONS):
            raise ScpiError(-224)
        return [FUNCTIONS[word] for word in wanted]

    @command("[:SENSe[c]]:CURRent[:DC]:PROTection:TRIPped?", "[:SENSe[c]]:VOLTage[:DC]:PROTection:TRIPped?")
    def _tripped(self, arguments: list[str], channel: int) -> str:
        none(arguments)
        return "1" if self.target(channel).smu.tripped() else "0"

    @command("[:SOURce[c]]:LIST:VOLTage")
    def _list_volts(self, arguments: list[str], channel: int) -> None:
        kind = sizes(self.model)["volts"]
        self.target(channel).set_listed("volts", numbers(arguments, kind, MOST_LISTED))

    @command("[:SOURce[c]]:LIST:VOLTage:APPend")
    def _append_volts(self, arguments: list[str], channel: int) -> None:
        found = self.target(channel)
        before = found.listed("volts")
        more = numbers(arguments, sizes(self.model)["volts"], MOST_LISTED - len(before))
        found.set_listed("volts", [*before, *more])

    @command("[:SOURce[c]]:LIST:VOLTage?")
    def _listed_volts(self, arguments: list[str], channel: int) -> str:
        none(arguments)
        return ",".join(map(self.form, self.target(channel).listed("volts")))

    @command("[:SOURce[c]]:LIST:VOLTage:POINts?")
    def _listed_points(self, arguments: list[str], channel: int) -> str:
        none(arguments)
        return str(len(self.target(channel).listed("volts")))

    @command("[:SOURce[c]]:LIST:CURRent")
    def _list_amps(self, arguments: list[str], channel: int) -> None:
        kind = sizes(self.model)["amps"]
        self.target(channel).set_listed("amps", numbers(arguments, kind, MOST_LISTED))

    @command("[:SOURce[c]]:LIST:CURRent?")
    def _listed_amps(self, arguments: list[str], channel: int) -> str:
        none(arguments)
        return ",".join(map(self.form, self.target(channel).listed("amps")))

    @command(":STATus:OPERation:CONDition?")
    def _operation(self, arguments: list[str]) -> str:
        none(arguments)
        idle = (bits for bits, channel in zip(IDLE, self.channels, strict=True) if not channel.runner.active)
        return str(0 if self._stuck else sum(idle))

    @command(":STATus:QUEStionable:CONDition?")
    def _questionable(self, arguments: list[str]) -> str:
        none(arguments)
        return str(0 if self.smu.interlock_closed else INTERLOCK)

    @command(":SYSTem:INTerlock:TRIPped?")
    def _interlock(self, arguments: list[str]) -> str:
        """1: open; high voltage is not available."""
        none(arguments)
        return "0" if self.smu.interlock_closed else "1"

    @command(":SYSTem:LFRequency?")
    def _line(self, arguments: list[str]) -> str:
        none(arguments)
        return f"{self.model.line_hertz:.0f}"

    @command(":SYSTem:TIME:TIMer:COUNt:RESet[:IMMediate]")
    def _zero_time(self, arguments: list[str]) -> None:
        none(arguments)
        self.zero = self.clock.seconds

    @command(":STATus:PRESet", "*TRG")
    def _nothing(self, arguments: list[str]) -> None:
        none(arguments)
