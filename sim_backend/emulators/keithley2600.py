"""Emulated Keithley 2600B SourceMeters of one channel: 2601B, 2611B and 2635B, in TSP.

Follows the Series 2600B System SourceMeter Reference Manual, 2600BS-901-01, "TSP commands"; ranges and
resolutions are those of the data sheet. Codes of errors beyond -285 and -286 are [not verified]. Stricter
than the bench: an open interlock (of a 2601B: its output enable line) refuses any output, whatever the range.
Not here: digital lines, blenders, contact check, files, calibration, and `smub`.
"""

from __future__ import annotations

from sim_backend.emulators.behind.terminals import Terminals
from sim_backend.emulators.k2600.channel import Channel
from sim_backend.emulators.k2600.parts import parts
from sim_backend.emulators.k2600.trigger import Timers
from sim_backend.emulators.lua.values import Attribute, LuaError, Part, Value, action
from sim_backend.emulators.serving.instrument import Blocked, Clock
from sim_backend.emulators.serving.witness import Witness
from sim_backend.emulators.smu.core import Smu
from sim_backend.emulators.smu.model import Scale, SmuModel, Unfit, Wrong
from sim_backend.emulators.smu.run import Runner
from sim_backend.emulators.tsp.language import Tsp
from sim_backend.emulators.tsp.output import PARAMETER

_DECADES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)


def _model(
    volts: tuple[float, ...], amps: tuple[float, ...], envelope: tuple[tuple[float, float], ...], least: float
) -> SmuModel:
    """Ranges, the envelope, and the least current limit; each range reaches 1 % further than its name."""

    def scale(ranges: tuple[float, ...]) -> Scale:
        return Scale(ranges, 1.01 * ranges[-1], source_step=2.5e-5, measure_step=1e-6, noise=2e-6, over=1.01)

    return SmuModel(
        volts=scale(volts),
        amps=scale(amps),
        envelope=envelope,
        cycles=(0.001, 25.0),
        default_limits=(20.0, 0.1),
        least_limits=(0.1 * volts[0], least),
        interlock_volts=0.0,
    )


_HIGH = ((20.2, 1.515), (202.0, 0.101))
MODELS = {
    "2601B": _model((0.1, 1.0, 6.0, 40.0), (*_DECADES, 3.0), ((6.06, 3.03), (40.4, 1.01)), 1e-8),
    "2611B": _model((0.2, 2.0, 20.0, 200.0), (*_DECADES, 1.5), _HIGH, 1e-8),
    "2635B": _model((0.2, 2.0, 20.0, 200.0), (1e-9, 1e-8, *_DECADES, 1.5), _HIGH, 1e-10),
}
REFUSALS = {
    Wrong.RANGE: (PARAMETER, "Parameter out of range"),
    Wrong.POWER: (5007, "Operation would exceed the power limit"),
    Wrong.INTERLOCK: (802, "OUTPUT blocked by output enable"),
}
INTERLOCK_OPEN = 2048
"""Bit of `status.measurement`."""
SMUA = 2
"""Bit of the channel in `status.operation.sweeping`."""


class Keithley2600(Tsp):
    """One instrument."""

    def __init__(
        self,
        terminals: Terminals | None = None,
        witness: Witness | None = None,
        *,
        model: str = "2635B",
        serial: str = "1400001",
        realtime: bool = False,
        seed: int = 0,
    ) -> None:
        clock = Clock(real=realtime)
        self.smu = Smu(MODELS[model], terminals, clock, witness, seed)
        self._timers = Timers()
        self._runner = Runner(self.smu)
        self.channel = Channel(self.smu, self._runner, self._timers)
        self._stuck = self._clips = False
        super().__init__(("Keithley Instruments Inc.", f"Model {model}", serial, "3.3.5"), clock)

    def names(self) -> dict[str, Value]:
        """`smua`, `trigger`, `status`, and what only people notice."""
        people = {"display": ("clear", "settext", "setcursor"), "beeper": ("beep",)}
        return {
            "smua": parts(self.channel),
            "trigger": self._timers.part(),
            "status": self._status(),
            **{name: Part(name, dict.fromkeys(verbs, _nothing)) for name, verbs in people.items()},
        }

    def _status(self) -> Part:
        smu = self.smu
        sweeping = Part(
            "status.operation.sweeping",
            {"condition": Attribute(lambda: float(SMUA * self._busy)), "SMUA": float(SMUA)},
        )
        of_channel = Part(
            "status.measurement.instrument.smua", {"condition": Attribute(lambda: 2.0 * smu.tripped())}
        )
        instrument = Part("status.measurement.instrument", {"smua": of_channel})
        condition = Attribute(lambda: float(INTERLOCK_OPEN * (not smu.interlock_closed) + 2 * smu.tripped()))
        measurement = Part(
            "status.measurement",
            {"condition": condition, "instrument": instrument, "INTERLOCK": float(INTERLOCK_OPEN)},
        )
        operation = Part("status.operation", {"sweeping": sweeping})
        found = {"measurement": measurement, "operation": operation, "reset": action(lambda: None)}
        return Part("status", found)

    @property
    def _busy(self) -> bool:
        return self.channel.sweeping or self._stuck

    def reset(self) -> None:
        """`reset()`."""
        self.channel.deliver()
        self._timers.deliver()

    def advance(self) -> None:
        """A sweep goes on, and real time passes."""
        if self.clock.real or self._runner.active:
            try:
                self._runner.advance()
            except (Unfit, LuaError) as error:
                self.channel.halt()
                refused = self.translate(error)
                self.errors.add(refused.code, str(refused))
        self.channel.advanced()

    def rest(self, seconds: float) -> None:
        """`delay()`: the level is held."""
        self.smu.hold(seconds)

    def wait(self) -> None:
        """`waitcomplete()`."""
        if self.channel.starving or self._stuck:
            raise Blocked(float("inf"))
        if self._runner.active:
            self._runner.wait()
        self.channel.advanced()

    def stop(self) -> None:
        """`abort`."""
        self.channel.halt()

    def translate(self, error: Exception) -> LuaError:
        """A refusal of the channel, in this instrument's codes."""
        if isinstance(error, LuaError):
            return error
        if not isinstance(error, Unfit):
            raise error
        code, text = REFUSALS.get(error.wrong, (5041, "Cannot perform requested action"))
        return LuaError(text, code)

    def suffer(self, fault: str, amount: str) -> bool:
        """A fault that it has from the beginning."""
        match fault:
            case "starts-on":
                self.smu.set_level("volts", float(amount or 5.0))
                self.smu.output = True
            case "interlock-open":
                self.smu.open_interlock()
            case "busy":
                self._stuck = True
            case _:
                return super().suffer(fault, amount)
        return True


def _nothing(given: list[Value]) -> list[Value]:
    """A display, a beeper."""
    return []
