"""An emulated Keithley 2450, in its SCPI language.

Follows "Model 2450 Interactive SourceMeter Instrument Reference Manual", 2450-901-01, section 6 (SCPI command
reference) and appendix B (common commands); ranges and resolutions are those of its specifications. What the
manual was not at hand for is marked [not verified]. Not here: ohms, math, limits, digital lines, the other
languages; their headers are undefined (-113). With the output off a reading is of nothing: about 0 A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from sim_backend.emulators.k2450.stored import BIRTH
from sim_backend.emulators.k2450.sweeps import Sweeps
from sim_backend.emulators.scpi.parser import Setting, command, none, only
from sim_backend.emulators.scpi.values import Number, ScpiError, Switch, Words, quoted, words
from sim_backend.emulators.smu.model import Quantity, Scale, SmuModel, Wrong
from sim_backend.emulators.smu.scpi import of_both, sizes, spans

MODEL = SmuModel(
    volts=Scale((0.02, 0.2, 2.0, 20.0, 200.0), 210.0, 2.5e-6, 5e-7, 1e-6),
    amps=Scale((1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0), 1.05, 5e-6, 1e-6, 3e-6),
    envelope=((21.0, 1.05), (210.0, 0.105)),
    cycles=(0.01, 10.0),
    default_limits=(21.0, 1.05e-4),
    least_limits=(0.02, 1e-9),
    interlock_volts=21.0,
)
AUTO_DELAY = 1e-3
"""[s] Source delay that it chooses itself; the manual has a table by range [not verified]."""
PROTECTIONS = (2, 5, 10, 20, 40, 60, 80, 100, 120, 140, 160, 180)
FUNCTIONS: dict[str, Quantity] = {
    "VOLT": "volts", "VOLTAGE": "volts", "VOLT:DC": "volts", "VOLTAGE:DC": "volts",
    "CURR": "amps", "CURRENT": "amps", "CURR:DC": "amps", "CURRENT:DC": "amps",
}  # fmt: skip
QUANTITIES = Words({"VOLTage": "volts", "CURRent": "amps"})
OFF_MODES = Words({"NORMal": "normal", "ZERO": "zero", "HIMPedance": "high-impedance", "GUARd": "guard"})
SWITCH = Switch()
LANGUAGES = ("SCPI", "TSP", "SCPI2400")
_SENSE = "[:SENSe[1]]:{Q}[:DC]"


@dataclass(slots=True)
class Modes:
    """What is set for sourcing or measuring volts, and again for amps."""

    read_back: bool = True
    auto_delay: bool = True
    capacitive: bool = False
    four_wire: bool = False
    zeroed: bool = True
    off_mode: str = "normal"
    _delay: float = 0.0

    @property
    def delay(self) -> float:
        """[s] after the source changed."""
        return AUTO_DELAY if self.auto_delay else self._delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._delay, self.auto_delay = seconds, False


class Keithley2450(Sweeps):
    """One instrument."""

    model = MODEL
    identity = "KEITHLEY INSTRUMENTS,MODEL 2450,04412345,1.7.12b"
    most_errors = 1000
    _language = _next_language = "SCPI"
    refusals: ClassVar = {
        Wrong.POWER: (-221, "Settings conflict; beyond the power limit"),
        Wrong.INTERLOCK: (-221, "Settings conflict; the interlock is open"),
    }  # the instrument has codes of its own for both [not verified]
    settings = (
        *of_both(":SOURce[1]:{Q}[:LEVel][:IMMediate][:AMPLitude]", sizes(MODEL), "level"),
        *of_both(":SOURce[1]:{Q}:RANGe", sizes(MODEL), "source_range"),
        *of_both(":SOURce[1]:{Q}:RANGe:AUTO", SWITCH, "source_auto"),
        Setting(":SOURce[1]:VOLTage:ILIMit[:LEVel]", spans(MODEL)["amps"], "limit", "amps"),
        Setting(":SOURce[1]:CURRent:VLIMit[:LEVel]", spans(MODEL)["volts"], "limit", "volts"),
        *of_both(":SOURce[1]:{Q}:READ:BACK", SWITCH, "{q}_modes.read_back", own=True),
        *of_both(":SOURce[1]:{Q}:DELay", Number(0, 10_000, 0, "S"), "{q}_modes.delay", own=True),
        *of_both(":SOURce[1]:{Q}:DELay:AUTO", SWITCH, "{q}_modes.auto_delay", own=True),
        *of_both(":SOURce[1]:{Q}:HIGH:CAPacitance", SWITCH, "{q}_modes.capacitive", own=True),
        *of_both(f"{_SENSE}:RANGe[:UPPer]", sizes(MODEL), "sense_range"),
        *of_both(f"{_SENSE}:RANGe:AUTO", SWITCH, "sense_auto"),
        *of_both(f"{_SENSE}:NPLCycles", Number(0.01, 10, 1), "cycles"),
        *of_both(f"{_SENSE}:RSENse", SWITCH, "{q}_modes.four_wire", own=True),
        *of_both(f"{_SENSE}:AZERo[:STATe]", SWITCH, "{q}_modes.zeroed", own=True),
        *of_both(":OUTPut[1]:{Q}[:DC]:SMODe", OFF_MODES, "{q}_modes.off_mode", own=True),
        Setting(":OUTPut[1]:SMODe", OFF_MODES, "off_modes", own=True),
        Setting(":OUTPut[1][:STATe]", SWITCH, "output", own=True),
        Setting(":SOURce[1]:FUNCtion[:MODE]", QUANTITIES, "function"),
        Setting(
            ":SOURce[1]:VOLTage:PROTection[:LEVel]",
            Words({f"PROT{volts}": float(volts) for volts in PROTECTIONS} | {"NONE": math.inf}),
            "modes.most_volts",
        ),
        Setting("[:SENSe[1]]:COUNt", Number(1, 300_000, 1, whole=True), "count", own=True),
        Setting(":ROUTe:TERMinals", words("FRONt", "REAR"), "terminals", own=True),
        Setting(":FORMat[:DATA]", words("ASCii"), "data_format", own=True),
        Setting(":FORMat:ASCii:PRECision", Number(0, 16, 0, whole=True), "precision", own=True),
    )

    def reset(self) -> None:
        """``*RST``: sourcing volts, measuring amps, output off."""
        self.halt()
        self.deliver_buffers()
        self.deliver_lists()
        self.deliver_trigger()
        self.deliver_sweeps()
        super().reset()
        self.smu.modes.sensed = ("amps",)
        self.volts_modes, self.amps_modes = Modes(), Modes()
        self.terminals = "FRON"

    def power_cycle(self) -> None:
        """A language that was chosen speaks from now on."""
        self._language = self._next_language
        super().power_cycle()

    def receive(self, message: bytes) -> bytes:
        """In another language nothing here is understood; only SCPI is emulated."""
        if self._language != "SCPI" and message.strip().upper() != b"*LANG?":
            return self.complain(ScpiError(-285))
        return super().receive(message)

    # ---- what other parts ask -------------------------------------------------------------------

    def source_delay(self) -> float:
        """[s] of the function that is sourced."""
        return self._modes(self.smu.function).delay

    def reads_back(self, quantity: Quantity) -> bool:
        """Whether the source is measured, too."""
        return self._modes(quantity).read_back

    def _modes(self, quantity: Quantity) -> Modes:
        return self.volts_modes if quantity == "volts" else self.amps_modes

    @property
    def off_modes(self) -> str:
        """Of the function that is sourced; set, of both."""
        return self._modes(self.smu.function).off_mode

    @off_modes.setter
    def off_modes(self, mode: str) -> None:
        self.volts_modes.off_mode = self.amps_modes.off_mode = mode

    def error_form(self, code: int, text: str) -> str:
        """With the kind of event and its time."""
        when = BIRTH + timedelta(seconds=self.clock.seconds)
        return f'{code},"{text};1;{when:%Y/%m/%d %H:%M:%S.%f}"' if code else '0,"No error;0;0 0"'

    # ---- commands -------------------------------------------------------------------------------

    @command("[:SENSe[1]]:FUNCtion[:ON]")
    def _sense(self, arguments: list[str]) -> None:
        function = FUNCTIONS.get(quoted(only(arguments)).upper())
        if function is None:
            raise ScpiError(-224)
        self.smu.modes.sensed = (function,)

    @command("[:SENSe[1]]:FUNCtion[:ON]?")
    def _sensed(self, arguments: list[str]) -> str:
        none(arguments)
        return '"VOLT:DC"' if self.smu.modes.sensed[0] == "volts" else '"CURR:DC"'

    @command("[:SENSe[1]]:AZERo:ONCE")
    def _zero_once(self, arguments: list[str]) -> None:
        none(arguments)

    @command(":SOURce[1]:VOLTage:ILIMit[:LEVel]:TRIPped?", ":SOURce[1]:CURRent:VLIMit[:LEVel]:TRIPped?")
    def _tripped(self, arguments: list[str]) -> str:
        none(arguments)
        return "1" if self.smu.tripped() else "0"

    @command(":SOURce[1]:VOLTage:PROTection[:LEVel]:TRIPped?")
    def _protected(self, arguments: list[str]) -> str:
        none(arguments)
        return "0"

    @command(":OUTPut[1]:INTerlock:TRIPped?")
    def _interlock(self, arguments: list[str]) -> str:
        """1: the signal is there, all ranges are available."""
        none(arguments)
        return "1" if self.smu.interlock_closed else "0"

    @command("*LANG?")
    def _spoken(self, arguments: list[str]) -> str:
        none(arguments)
        return self._language

    @command("*LANG")
    def _speak(self, arguments: list[str]) -> None:
        if only(arguments).upper() not in LANGUAGES:
            raise ScpiError(-224)
        self._next_language = arguments[0].upper()

    @command(":SYSTem:LFRequency?")
    def _line(self, arguments: list[str]) -> str:
        none(arguments)
        return f"{self.model.line_hertz:.0f}"

    @command(":SYSTem:BEEPer[:IMMediate]", ":DISPlay:SCReen")
    def _show(self, arguments: list[str]) -> None:
        if not arguments:
            raise ScpiError(-109)

    @command(":STATus:OPERation:CONDition?", ":STATus:QUEStionable:CONDition?")
    def _conditions(self, arguments: list[str]) -> str:
        none(arguments)
        return "0"

    @command(":STATus:PRESet", ":STATus:CLEar")
    def _preset(self, arguments: list[str]) -> None:
        none(arguments)
