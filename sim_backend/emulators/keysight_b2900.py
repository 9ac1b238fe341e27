"""An emulated Keysight B2902A, in its SCPI language; devices are at channel 1, nothing is at channel 2.

Follows "Keysight B2900A Series SCPI Command Reference", B2910-90030; ranges and resolutions are those of the
data sheet of the B2902A. What the manual was not at hand for is marked [not verified]. Not here: ohms, math,
limits, lines, arbitrary waveforms, binary data; their headers are undefined (-113).
"""

from __future__ import annotations

from typing import ClassVar

from sim_backend.emulators.b2900.channel import Channel
from sim_backend.emulators.b2900.states import States
from sim_backend.emulators.b2900.trains import SHORTEST_PULSE
from sim_backend.emulators.behind.terminals import Terminals
from sim_backend.emulators.scpi.parser import Setting
from sim_backend.emulators.scpi.values import Number, ScpiError, Switch, Words, words
from sim_backend.emulators.serving.instrument import Clock
from sim_backend.emulators.serving.witness import Witness
from sim_backend.emulators.smu.core import Smu
from sim_backend.emulators.smu.model import Scale, SmuModel, Wrong
from sim_backend.emulators.smu.scpi import of_both, sizes, spans

MODEL = SmuModel(
    volts=Scale((0.2, 2.0, 20.0, 200.0), 210.0, 5e-6, 1e-6, 2e-6),
    amps=Scale((1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 3.0), 3.03, 1e-5, 1e-6, 3e-6),
    envelope=((6.0, 3.03), (21.0, 1.515), (210.0, 0.105)),
    cycles=(4e-4, 100.0),
    default_limits=(2.0, 1e-4),
    least_limits=(2e-3, 1e-9),
    interlock_volts=42.0,
)
QUANTITIES = Words({"VOLTage": "volts", "CURRent": "amps"})
OFF_MODES = Words({"NORMal": "normal", "ZERO": "zero", "HIZ": "high-impedance"})
TRIGGERS = words("AINT", "TIMer", "BUS")
SWITCH = Switch()
COUNT = Number(1, 100_000, 1, whole=True)
DELAY = Number(0.0, 100_000.0, 0.0, "S")
TIMER = Number(1e-5, 100_000.0, 1e-5, "S")
_SOURCE, _SENSE = "[:SOURce[c]]:{Q}", "[:SENSe[c]]:{Q}[:DC]"
TRAINS = (("ACQuire", "acquire"), ("TRANsient", "transient"))


class KeysightB2900(States):
    """One instrument."""

    model = MODEL
    identity = "Keysight Technologies,B2902A,MY51141234,4.1.2011.1712"
    most_errors = 100
    most_stored = 100_000
    refusals: ClassVar = {
        Wrong.POWER: (-221, "Settings conflict; beyond the output capability"),
        Wrong.INTERLOCK: (-221, "Settings conflict; the interlock is open"),
    }  # the instrument has codes of its own for both [not verified]
    settings = (
        *of_both(f"{_SOURCE}[:LEVel][:IMMediate][:AMPLitude]", sizes(MODEL), "smu.level"),
        *of_both(f"{_SOURCE}[:LEVel]:TRIGgered[:AMPLitude]", sizes(MODEL), "triggered"),
        *of_both(f"{_SOURCE}:RANGe", sizes(MODEL), "smu.source_range"),
        *of_both(f"{_SOURCE}:RANGe:AUTO", SWITCH, "smu.source_auto"),
        *of_both(f"{_SOURCE}:MODE", words("FIXed", "LIST", "SWEep"), "{q}.mode"),
        *of_both(f"{_SOURCE}:STARt", sizes(MODEL), "{q}.start"),
        *of_both(f"{_SOURCE}:STOP", sizes(MODEL), "{q}.stop"),
        *of_both(f"{_SOURCE}:POINts", Number(1, 2500, 1, whole=True), "points"),
        *of_both(f"{_SENSE}:PROTection[:LEVel][:BOTH]", spans(MODEL), "smu.limit"),
        *of_both(f"{_SENSE}:RANGe[:UPPer]", sizes(MODEL), "smu.sense_range"),
        *of_both(f"{_SENSE}:RANGe:AUTO", SWITCH, "smu.sense_auto"),
        *of_both(f"{_SENSE}:NPLCycles", Number(4e-4, 100, 1), "smu.cycles"),
        *of_both(f"{_SENSE}:APERture", Number(8e-6, 2, 0.02, "S"), "smu.aperture"),
        Setting("[:SENSe[c]]:REMote", SWITCH, "smu.modes.four_wire"),
        Setting("[:SENSe[c]]:WAIT[:STATe]", SWITCH, "sense_waits"),
        Setting("[:SOURce[c]]:WAIT[:STATe]", SWITCH, "source_waits"),
        Setting("[:SOURce[c]]:FUNCtion:MODE", QUANTITIES, "smu.function"),
        Setting("[:SOURce[c]]:FUNCtion[:SHAPe]", Words({"DC": "DC", "PULSe": "PULS"}), "shape"),
        Setting("[:SOURce[c]]:FUNCtion:TRIGgered:CONTinuous", SWITCH, "continuous"),
        Setting("[:SOURce[c]]:PULSe:WIDTh", Number(SHORTEST_PULSE, 100_000, SHORTEST_PULSE, "S"), "width"),
        Setting("[:SOURce[c]]:PULSe:DELay", Number(0, 99_999.9, 0, "S"), "pulse_delay"),
        Setting("[:SOURce[c]]:SWEep:POINts", Number(1, 2500, 1, whole=True), "points"),
        Setting("[:SOURce[c]]:SWEep:SPACing", words("LINear", "LOGarithmic"), "spacing"),
        Setting("[:SOURce[c]]:SWEep:DIRection", words("UP", "DOWN"), "direction"),
        Setting("[:SOURce[c]]:SWEep:STAir", words("SINGle", "DOUBle"), "stairs"),
        Setting(":OUTPut[c][:STATe]", SWITCH, "output"),
        Setting(":OUTPut[c]:ON:AUTO", SWITCH, "auto_on"),
        Setting(":OUTPut[c]:OFF:AUTO", SWITCH, "auto_off"),
        Setting(":OUTPut[c]:OFF:MODE", OFF_MODES, "off_mode"),
        Setting(":OUTPut[c]:PROTection[:STATe]", SWITCH, "smu.modes.trips_off"),
        Setting(":OUTPut[c]:HCAPacitance[:STATe]", SWITCH, "capacitive"),
        Setting(":OUTPut[c]:LOW", words("FLOat", "GROund"), "low"),
        Setting(":TRIGger[c][:ALL]:COUNt", COUNT, "count"),
        Setting(":TRIGger[c][:ALL]:DELay", DELAY, "delay"),
        Setting(":TRIGger[c][:ALL]:SOURce", TRIGGERS, "trigger"),
        Setting(":TRIGger[c][:ALL]:TIMer", TIMER, "timer"),
        *(Setting(f":TRIGger[c]:{word}:COUNt", COUNT, f"{name}.count") for word, name in TRAINS),
        *(Setting(f":TRIGger[c]:{word}:DELay", DELAY, f"{name}.delay") for word, name in TRAINS),
        *(Setting(f":TRIGger[c]:{word}:SOURce", TRIGGERS, f"{name}.source") for word, name in TRAINS),
        *(Setting(f":TRIGger[c]:{word}:TIMer", TIMER, f"{name}.timer") for word, name in TRAINS),
        *(Setting(f":ARM[c]:{word}:COUNt", COUNT, f"{name}.arms") for word, name in TRAINS),
        *(Setting(f":ARM[c]:{word}:DELay", DELAY, f"{name}.arm_delay") for word, name in TRAINS),
        Setting(":FORMat[:DATA]", words("ASCii"), "data_format", own=True),
        Setting(":DISPlay:ENABle", SWITCH, "display", own=True),
        Setting(":SYSTem:BEEPer:STATe", SWITCH, "beeps", own=True),
    )

    def __init__(
        self,
        terminals: Terminals | None,
        witness: Witness | None = None,
        *,
        realtime: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(terminals, witness, realtime=realtime, seed=seed)
        second = Smu(self.model, None, Clock(real=realtime), witness, seed + 1)
        self.channels = (Channel(self.smu, self.runner), Channel(second))
        self.channels[0].stored = self.store
        self.reset()

    def target(self, channel: int) -> Channel:
        """Channel 1 or 2."""
        if not 1 <= channel <= len(self.channels):
            raise ScpiError(-114)
        return self.channels[channel - 1]

    def reset(self) -> None:
        """``*RST``."""
        super().reset()
        for channel in self.channels:
            channel.reset()
        self.deliver_readings()
        self.display = self.beeps = True
        self.data_format = "ASC"
