"""What a kind of device is believed to do: the question that a predictive controller asks of a model.

A model stands outside the core; an experiment names it by import path, as a bench names its board.
It answers for one kind of device, a typical one. How far a single device differs is told in one
number a polarity, its *shift*: the volts by which its threshold lies further from 0 V. What a
device did is absorbed exactly by the shift at which the model does the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

from labctl.config import Section
from labctl.errors import Unavailable
from labctl.importing import named
from labctl.quantity import printable

_FORM = '"module:Class" of a model, such as "sim_backend.prediction:DeviceModel"'


class Prediction(Section):
    """Which model predicts responses, and for which device."""

    model: str = "sim_backend.prediction:DeviceModel"
    """Import path of a `Response`."""
    device: str = ""
    """Name or file of its parameters; nothing: those of the site's dopant."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """By how much thresholds of one polarity scatter, as standard deviations [V]."""

    device: float
    """From device to device."""
    cycle: float
    """From one cycle, which an erasing pulse begins, to the next."""
    pulse: float
    """From pulse to pulse."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """What no model can know beforehand."""

    rise: Threshold
    fall: Threshold
    read: float
    """Of ln G from read to read."""


@runtime_checkable
class Response(Protocol):
    """One kind of device at a constant source voltage behind resistors.

    Conductances [S] are as they are read. `volts` [V] are the source's, with their sign; `ohms` stand
    between source and device; `shift` [V] is that of the device's threshold. Answers depend on what is
    asked alone, not on what was asked before: all chips of a process ask the same one.
    """

    @property
    def scatter(self) -> Scatter:
        """How far single devices and single pulses differ from it."""
        ...

    def noise(self, siemens: float) -> float:
        """Standard deviation of ln G from one writing pulse to the next, in the state that reads so."""
        ...

    def seconds(self, before: float, after: float, volts: float, ohms: float, shift: float = 0.0) -> float:
        """The time [s] from one conductance to the other; inf where it never gets there."""
        ...

    def siemens(self, before: float, seconds: float, volts: float, ohms: float, shift: float = 0.0) -> float:
        """The conductance [S] after so long."""
        ...

    def volts(
        self, before: float, after: float, seconds: float, ohms: float, most: float, shift: float = 0.0
    ) -> float:
        """The source voltage [V], signed, that does it in that time; NaN where `most` would not."""
        ...

    def shift(self, before: float, after: float, seconds: float, volts: float, ohms: float) -> float:
        """The shift [V] of a device that did this; NaN where none explains it."""
        ...

    def gentlest(
        self, before: float, after: float, ohms: float, most: float, shortest: float, longest: float
    ) -> tuple[float, float]:
        """How long [s] a pulse for this should be, from shortest to longest, so that it scatters least.

        And the standard deviation of ln G after it, from pulse to pulse of one device. `most` [V] is
        the most that the source may give, with its sign.
        """
        ...


def load(prediction: Prediction, dopant: str, read_volts: float) -> Response:
    """The model for devices of this dopant that are read with a source of so many volts.

    Raises `Unavailable` where there is no such model, and whatever the model says of its parameters.
    """
    made: Any = _model_class(prediction.model)(prediction.device or dopant, read_volts)
    if not isinstance(made, Response):
        told = f'prediction.model = "{printable(prediction.model)}"'
        raise Unavailable(f"{told} predicts nothing", allowed="a class with the methods of Response")
    return made


def _model_class(path: str) -> Any:
    told = f'prediction.model = "{printable(path)}"'
    found = named(path, told, _FORM)
    if not isinstance(found, type):
        raise Unavailable(f"{told} is no class", allowed=_FORM)
    return cast(Any, found)
