"""What the SCPI fronts of source-measure units share: a channel, its runs, its errors, settings by quantity.

A front's class names the codes of its refusals (`refusals`) and makes its settings with `of_both`, which
writes a pattern for volts and for amps: ``{Q}`` stands for the quantity, ``{O}`` for the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from sim_backend.emulators.behind.terminals import Terminals
from sim_backend.emulators.scpi.common import Common
from sim_backend.emulators.scpi.parser import Setting
from sim_backend.emulators.scpi.values import STANDARD, Kind, Number, ScpiError
from sim_backend.emulators.serving.instrument import Blocked, Clock
from sim_backend.emulators.serving.witness import Witness
from sim_backend.emulators.smu.core import Smu
from sim_backend.emulators.smu.model import OTHER, Quantity, SmuModel, Unfit, Wrong
from sim_backend.emulators.smu.run import Runner

WORDS = {"volts": "VOLTage", "amps": "CURRent"}
UNITS = {"volts": "V", "amps": "A"}
NAN, OVERFLOW = 9.91e37, 9.9e37
"""What stands for a reading that there is none of, and for one beyond the range."""


def of_both(
    pattern: str, kind: Kind | Mapping[Quantity, Kind], name: str, *, own: bool = False
) -> tuple[Setting, ...]:
    """The setting of volts and of amps; `kind` is that of both, or of each.

    A name with ``{q}`` in it is that of an attribute of each; another is that of methods (`Setting`).
    """
    return tuple(
        Setting(
            pattern.replace("{Q}", WORDS[quantity]).replace("{O}", WORDS[OTHER[quantity]]),
            kind[quantity] if isinstance(kind, Mapping) else kind,
            name.replace("{q}", quantity),
            None if "{q}" in name else quantity,
            own,
        )
        for quantity in OTHER
    )


def sizes(model: SmuModel) -> dict[Quantity, Number]:
    """Levels, of either sign, of both."""
    return {q: Number(-model.scale(q).most, model.scale(q).most, 0.0, UNITS[q]) for q in OTHER}


def spans(model: SmuModel) -> dict[Quantity, Number]:
    """Ranges and limits, which have no sign, of both."""
    return {q: Number(0.0, model.scale(q).most, model.scale(q).ranges[0], UNITS[q]) for q in OTHER}


class SmuFront(Common):
    """A SCPI front before one channel."""

    model: ClassVar[SmuModel]
    refusals: ClassVar[Mapping[Wrong, tuple[int, str]]] = {}
    """Codes of its own; others are -222 or -221."""

    def __init__(
        self,
        terminals: Terminals | None,
        witness: Witness | None = None,
        *,
        realtime: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(Clock(real=realtime))
        self.smu = Smu(self.model, terminals, self.clock, witness, seed)
        self.runner = Runner(self.smu)
        self._endless_errors = self._stuck = False
        self.reset()

    # ---- what the parser asks -----------------------------------------------------------------

    def target(self, channel: int) -> Any:
        """The one channel."""
        return self.smu

    def advance(self) -> None:
        """Runs go on, and real time passes."""
        if self.clock.real or self.runner.active:
            try:
                self.runner.advance()
            except Unfit as refused:
                self.runner.stop()
                self.complain(refused)

    @property
    def output(self) -> bool:
        """Whether the source is on."""
        return self.smu.output

    @output.setter
    def output(self, on: bool) -> None:
        if not on:
            self.halt()
        self.smu.output = on

    def halt(self) -> None:
        """What is under way ends here."""
        self.runner.stop()

    def finished(self) -> bool:
        """Whether no run is under way."""
        return not self.runner.active and not self._stuck

    def wait(self) -> None:
        """Until no run is; with the fault `busy` for ever."""
        if self._stuck:
            raise Blocked(math.inf)
        if self.runner.active:
            self.runner.wait()

    def translate(self, error: Exception) -> ScpiError | None:
        """A refusal of the channel, in this instrument's codes."""
        if not isinstance(error, Unfit):
            return None
        code = {Wrong.RANGE: -222}.get(error.wrong, -221)
        return ScpiError(*self.refusals.get(error.wrong, (code, STANDARD[code])))

    def set_to(self, setting: Setting, channel: int, rest: str) -> None:
        """Not while a run is under way, but for the output: stricter than some of them."""
        if self.runner.active and setting.name != "output":
            raise Unfit(Wrong.BUSY)
        super().set_to(setting, channel, rest)

    def next_error(self) -> str:
        """As the parser; with the fault `errors` there is always one more."""
        if self._endless_errors:
            return self.error_form(-113, STANDARD[-113])
        return super().next_error()

    def reset(self) -> None:
        """``*RST``."""
        self.halt()
        self.smu.reset()

    def suffer(self, fault: str, amount: str) -> bool:
        """A fault that it has from the beginning."""
        match fault:
            case "errors":
                self._endless_errors = True
            case "starts-on":
                self.smu.set_level("volts", float(amount or 5.0))
                self.smu.output = True
            case "interlock-open":
                self.smu.open_interlock()
            case "busy":
                self._stuck = True
            case _:
                return False
        return True
