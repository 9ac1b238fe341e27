"""An emulated Keithley 2400, in its SCPI language.

Follows "Model 2400 Series SourceMeter User's Manual", 2400S-900-01 Rev. K, sections 17 (signal oriented
commands) and 18 (command reference) and appendix B (messages); ranges and resolutions are those of its
specifications. What the manual was not at hand for is marked [not verified]. Not here: ohms, math, limit
tests, events of the arm layer, source memory, binary data; their headers are undefined (-113).
"""

from __future__ import annotations

from typing import ClassVar

from sim_backend.emulators.k2400.readings import Readings
from sim_backend.emulators.k2400.sweeps import MOST_CYCLES
from sim_backend.emulators.scpi.parser import Setting, command, none
from sim_backend.emulators.scpi.values import Number, ScpiError, Switch, Words, words
from sim_backend.emulators.smu.model import Scale, SmuModel, Wrong
from sim_backend.emulators.smu.scpi import of_both, sizes, spans

MODEL = SmuModel(
    volts=Scale((0.2, 2.0, 20.0, 200.0), 210.0, 2.5e-5, 5e-6, 2e-6),
    amps=Scale((1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0), 1.05, 5e-5, 1e-5, 5e-6),
    envelope=((21.0, 1.05), (210.0, 0.105)),
    cycles=(0.01, 10.0),
    default_limits=(21.0, 1.05e-4),
    least_limits=(2e-4, 1e-9),
    range_limits=True,
    limit_holds_range=True,
)
QUANTITIES = Words({"VOLTage": "volts", "CURRent": "amps"})
OFF_MODES = Words({"NORMal": "normal", "ZERO": "zero", "HIMPedance": "high-impedance", "GUARd": "guard"})
SECONDS = Number(0.0, 999.9999, 0.0, "S")
COUNT = Number(1, MOST_CYCLES, 1, whole=True)
SWITCH = Switch()
ZERO = Words({"OFF": False, "ON": True, "ONCE": False, "0": False, "1": True})
_SENSE = "[:SENSe[1]]:{Q}[:DC]"


class Keithley2400(Readings):
    """One instrument."""

    model = MODEL
    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2400,4012345,C34 Sep 21 2016 15:30:00/A02  /K/M"
    refusals: ClassVar = {
        Wrong.OFF: (803, "Not permitted with OUTPUT off"),
        Wrong.INTERLOCK: (802, "OUTPUT blocked by output enable"),
        Wrong.COMPLIANCE: (824, "Cannot exceed compliance range"),
        Wrong.POWER: (826, "Attempt to exceed power limit"),
        Wrong.EMPTY: (-230, "Data corrupt or stale"),
    }
    settings = (
        *of_both(":SOURce[1]:{Q}[:LEVel][:IMMediate][:AMPLitude]", sizes(MODEL), "level"),
        *of_both(":SOURce[1]:{Q}:RANGe", sizes(MODEL), "source_range"),
        *of_both(":SOURce[1]:{Q}:RANGe:AUTO", SWITCH, "source_auto"),
        *of_both(":SOURce[1]:{Q}:MODE", words("FIXed", "LIST", "SWEep"), "mode", own=True),
        *of_both(":SOURce[1]:{Q}:STARt", sizes(MODEL), "start", own=True),
        *of_both(":SOURce[1]:{Q}:STOP", sizes(MODEL), "stop", own=True),
        *of_both(":SOURce[1]:{Q}:STEP", sizes(MODEL), "step", own=True),
        *of_both(f"{_SENSE}:PROTection[:LEVel]", spans(MODEL), "limit"),
        *of_both(f"{_SENSE}:RANGe[:UPPer]", sizes(MODEL), "sense_range"),
        *of_both(f"{_SENSE}:RANGe:AUTO", SWITCH, "sense_auto"),
        *of_both(f"{_SENSE}:NPLCycles", Number(0.01, 10, 1), "cycles"),
        Setting(":SOURce[1]:FUNCtion[:MODE]", QUANTITIES, "function"),
        Setting(":SOURce[1]:VOLTage:PROTection[:LEVel]", Number(20, 210, 210, "V"), "protection", own=True),
        Setting(":SOURce[1]:DELay", SECONDS, "delay", own=True),
        Setting(":SOURce[1]:DELay:AUTO", SWITCH, "auto_delay", own=True),
        Setting(":SOURce[1]:CLEar:AUTO", SWITCH, "clears", own=True),
        Setting(":SOURce[1]:SWEep:POINts", COUNT, "points", own=True),
        Setting(":SOURce[1]:SWEep:SPACing", words("LINear", "LOGarithmic"), "spacing", own=True),
        Setting(":SOURce[1]:SWEep:DIRection", words("UP", "DOWn"), "direction", own=True),
        Setting(":SOURce[1]:SWEep:RANGing", words("BEST", "AUTO", "FIXed"), "ranging", own=True),
        Setting("[:SENSe[1]]:FUNCtion:CONCurrent", SWITCH, "concurrent", own=True),
        Setting(":OUTPut[1][:STATe]", SWITCH, "output", own=True),
        Setting(":OUTPut[1]:SMODe", OFF_MODES, "modes.off_mode"),
        Setting(":OUTPut[1]:ENABle[:STATe]", SWITCH, "enable_line", own=True),
        Setting(":SYSTem:RSENse", SWITCH, "modes.four_wire"),
        Setting(":SYSTem:AZERo[:STATe]", ZERO, "auto_zero", own=True),
        Setting(":SYSTem:BEEPer:STATe", SWITCH, "beeps", own=True),
        Setting(":DISPlay:ENABle", SWITCH, "display", own=True),
        Setting(":ROUTe:TERMinals", words("FRONt", "REAR"), "terminals", own=True),
        Setting(":ARM:COUNt", COUNT, "arm_count", own=True),
        Setting(":ARM:SOURce", words("IMMediate"), "arm_source", own=True),
        Setting(":TRIGger:COUNt", COUNT, "trigger_count", own=True),
        Setting(":TRIGger:SOURce", words("IMMediate"), "arm_source", own=True),
        Setting(":TRIGger:DELay", SECONDS, "trigger_delay", own=True),
        Setting(":FORMat[:DATA]", words("ASCii"), "data_format", own=True),
    )  # fmt: skip

    def reset(self) -> None:
        """``*RST``: sourcing volts, measuring amps, output off."""
        self.deliver_sweeps()
        self.deliver_readings()
        super().reset()
        self.smu.modes.sensed = ("amps",)
        self.enable_line = False
        self.auto_zero = self.beeps = self.display = True
        self.terminals, self.arm_source, self.data_format = "FRON", "IMM", "ASC"

    # ---- settings that are more than a value ----------------------------------------------------

    @property
    def output(self) -> bool:
        """Whether the source is on."""
        return self.smu.output

    @output.setter
    def output(self, on: bool) -> None:
        if not on:
            self.halt()
        elif self.enable_line and not self.smu.interlock_closed:
            raise ScpiError(*self.refusals[Wrong.INTERLOCK])
        self.smu.output = on

    @property
    def protection(self) -> float:
        """[V] Over-voltage protection; 210: none."""
        return min(self.smu.modes.most_volts, 210.0)

    @protection.setter
    def protection(self, volts: float) -> None:
        self.smu.modes.most_volts = volts

    @command("[:SENSe[1]]:CURRent[:DC]:PROTection:TRIPped?", "[:SENSe[1]]:VOLTage[:DC]:PROTection:TRIPped?")
    def _tripped(self, arguments: list[str]) -> str:
        none(arguments)
        return "1" if self.smu.tripped() else "0"

    @command(":OUTPut[1]:ENABle:TRIPped?")
    def _enable_tripped(self, arguments: list[str]) -> str:
        none(arguments)
        return "1" if self.enable_line and not self.smu.interlock_closed else "0"

    # ---- system -------------------------------------------------------------------------------

    @command(":SYSTem:TIME?")
    def _time(self, arguments: list[str]) -> str:
        none(arguments)
        return f"{self.clock.seconds:.2f}"

    @command(":SYSTem:LFRequency?")
    def _line(self, arguments: list[str]) -> str:
        none(arguments)
        return f"{self.model.line_hertz:.0f}"

    @command(":SYSTem:LOCal", ":SYSTem:REMote", ":SYSTem:RWLock", ":STATus:PRESet")
    def _heard(self, arguments: list[str]) -> None:
        none(arguments)

    @command(":SYSTem:BEEPer[:IMMediate]")
    def _beep(self, arguments: list[str]) -> None:
        if len(arguments) != 2:
            raise ScpiError(-109)

    @command(":STATus:QUEue[:NEXT]?")
    def _status_queue(self, arguments: list[str]) -> str:
        none(arguments)
        return self.next_error()

    @command(":STATus:MEASurement:CONDition?")
    def _measurement_condition(self, arguments: list[str]) -> str:
        none(arguments)
        return str((1 << 14) * self.smu.tripped())

    @command(":STATus:OPERation:CONDition?")
    def _operation_condition(self, arguments: list[str]) -> str:
        none(arguments)
        return str(1 << 10 if self.finished() else 1 << 3)
